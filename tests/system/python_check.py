# SPDX-License-Identifier: MIT
# python_check.py - what the python_*.py programs print: "right NAME", "wrong NAME ..." or "failed NAME ...", then "done".
import sys
import time


def check(name, step):
    """Runs step(), which must give something true."""
    start = time.time()
    try:
        result = step()
        word = "right" if result else "wrong"
        rest = "" if result else " %r" % (result,)
    except Exception as e:  # what a library raises is its own business
        word = "failed"
        rest = " %s: %s" % (type(e).__name__, str(e).split("\n")[0][:300])
    print("%s %s%s %.2f s" % (word, name, rest, time.time() - start))
    sys.stdout.flush()


def refused(text, step):
    """True when step() raises something with this text in it."""
    try:
        step()
    except Exception as e:
        return text in str(e)
    return False
