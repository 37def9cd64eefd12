#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_abi.py - the contract in ioctl/ keeps its numbers, sizes and offsets.

usage: check_abi.py [--update]

A program made from the headers prints every operation and command, every constant, and every struct
with the offset and size of its members; that must be what stands in tests/support/abi.txt. Rules 2 and 5 of
vgpu_ioctl.h say what may change: lines may be added, a struct may grow at its end. Whoever does that
runs --update and shows the difference in review; the script refuses to drop or move anything
unless the major version changed.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests/support/abi.txt"
HEADERS = ["ioctl/vgpu_tensormap.h", "ioctl/vgpu_texture.h", "ioctl/vgpu_ioctl.h", "ioctl/vgpu_share.h",
           "ioctl/vgpu_bundle.h"]


def bare(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def structs(text: str):
    """(name, [member...]) of every struct in @text."""
    for match in re.finditer(r"^struct (\w+) \{(.*?)^\};", bare(text), flags=re.S | re.M):
        members = []
        for line in match[2].split(";"):
            for part in line.split(","):
                words = re.sub(r"\[.*?\]", "", part).split()
                if words:
                    members.append(words[-1])
        yield match[1], members


def constants(text: str):
    """Names of the plain constants."""
    text = bare(text).replace("\\\n", " ")
    return re.findall(r"^#define (VGPU_\w+)[ \t]+\S", text, flags=re.M)


def program() -> str:
    out = ["#include <stddef.h>", "#include <stdio.h>"]
    out += [f'#include "{h}"' for h in HEADERS]
    out += ["int main(void)", "{"]
    out += ["#define X(nr, NAME, name, where, since) \\",
            '\tprintf("op %s %#x ioc %#lx\\n", #NAME, nr, (unsigned long)(unsigned)VGPU_IOC_##NAME);',
            "VGPU_OPS(X)", "#undef X", "#define X(nr, NAME, name) printf(\"cmd %s %d\\n\", #NAME, nr);",
            "VGPU_CMDS(X)", "#undef X"]
    for header in HEADERS:
        text = (ROOT / header).read_text()
        for name in constants(text):
            out.append(f'printf("const {name} %#llx\\n", (unsigned long long)({name}));')
        for name, members in structs(text):
            out.append(f'printf("struct {name} %zu\\n", sizeof(struct {name}));')
            for m in members:
                out.append(f'printf("  {name}.{m} @%zu %zu\\n", offsetof(struct {name}, {m}), '
                           f'sizeof(((struct {name} *)0)->{m}));')
    return "\n".join(out + ["return 0;", "}", ""])


def measure() -> list:
    with tempfile.TemporaryDirectory() as work:
        source, binary = pathlib.Path(work, "abi.c"), pathlib.Path(work, "abi")
        source.write_text(program())
        subprocess.run([os.environ.get("CC", "cc"), "-I", ROOT, "-o", binary, source], check=True)
        return subprocess.run([binary], check=True, capture_output=True, text=True).stdout.splitlines()


def major(lines: list) -> str:
    return next((line for line in lines if line.startswith("const VGPU_VERSION_MAJOR ")), "")


def main() -> int:
    now, then = measure(), TABLE.read_text().splitlines() if TABLE.exists() else []
    if len(now) < 100:
        print(f"only {len(now)} lines: the headers were not understood")
        return 1
    gone, new = [x for x in then if x not in now], [x for x in now if x not in then]
    for line in gone:
        print("-", line)
    for line in new:
        print("+", line)
    if "--update" not in sys.argv:
        if gone or new:
            print("the contract changed; see the top of tests/support/check_abi.py")
        return 1 if gone or new or now != then else 0

    # What may differ: the size of a struct (it grew) and of its operation's number, limits that count.
    keep = [x for x in gone if not re.match(r"struct |op |const VGPU_VERSION_MINOR ", x)]
    if keep and then and major(now) == major(then):
        print("refused: these are used by programs that exist:", *keep, sep="\n  ")
        return 1
    TABLE.write_text("\n".join(now) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
