#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_layers.py - includes point from left to right only (docs/architecture.md).

For each room: which rooms its files may include. Anything else is an error with file:line.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

CONTRACT = ["ioctl"]
BASE = ["cuse_dev/base"]
PROFILE = ["cuse_dev/vdev/profile.h"]
TEXTURE = ["ioctl/vgpu_texture.h"]  # data alone: how a texture is described

ALLOWED = {
    "ioctl": CONTRACT,
    "cuse_dev/base": BASE,
    # front
    "cuse_dev/main.c": CONTRACT + BASE + PROFILE + ["cuse_dev/control/control.h", "cuse_dev/door",
                                                    "cuse_dev/session"],
    "cuse_dev/control": CONTRACT + BASE + PROFILE + ["cuse_dev/control", "cuse_dev/door", "cuse_dev/session"],
    "cuse_dev/door": CONTRACT + BASE + ["cuse_dev/door", "cuse_dev/session"],
    "cuse_dev/session": CONTRACT + BASE + PROFILE + ["cuse_dev/session"],
    "cuse_dev/ctl": CONTRACT + ["cuse_dev/base/store.h", "cuse_dev/control/protocol.h", "cuse_dev/ctl"],
    # worker
    "cuse_dev/worker": CONTRACT + BASE + ["cuse_dev/session/wire.h", "cuse_dev/worker", "cuse_dev/vdev",
                                          "cuse_dev/queue", "cuse_dev/mem", "cuse_dev/backend/backend.h"],
    "cuse_dev/vdev": CONTRACT + BASE + ["cuse_dev/vdev", "cuse_dev/queue", "cuse_dev/mem",
                                        "cuse_dev/backend/backend.h"],
    "cuse_dev/queue": CONTRACT + BASE + ["cuse_dev/queue", "cuse_dev/mem", "cuse_dev/backend/backend.h"],
    "cuse_dev/mem": CONTRACT + BASE + ["cuse_dev/mem"],
    # soft backend
    "cuse_dev/backend/backend.h": TEXTURE,
    "cuse_dev/backend/soft/soft.c": BASE + ["cuse_dev/backend"],
    "cuse_dev/backend/soft/soft.h": BASE + ["cuse_dev/backend"],
    "cuse_dev/backend/soft/run.c": BASE + ["cuse_dev/backend"],
    "cuse_dev/backend/soft/image": BASE + ["ioctl/vgpu_bundle.h", "cuse_dev/backend/backend.h",
                                           "cuse_dev/backend/soft/image"],
    "cuse_dev/backend/soft/ptx": BASE + TEXTURE + ["cuse_dev/backend/backend.h", "cuse_dev/backend/soft/ptx",
                                         "cuse_dev/backend/soft/ir"],
    # a program, not a room: what it shows comes from all stages
    "cuse_dev/backend/soft/ptx/tool": BASE + ["cuse_dev/backend"],
    "cuse_dev/backend/soft/ir": BASE + ["cuse_dev/backend/soft/ir"],
    "cuse_dev/backend/soft/interp": BASE + TEXTURE + ["ioctl/vgpu_tensormap.h", "cuse_dev/backend/backend.h", "cuse_dev/backend/soft/interp",
                                            "cuse_dev/backend/soft/ir", "cuse_dev/backend/soft/simt",
                                            "cuse_dev/backend/soft/rt"],
    "cuse_dev/backend/soft/tier": BASE + ["cuse_dev/backend/backend.h", "cuse_dev/backend/soft/tier",
                                          "cuse_dev/backend/soft/llvm/llvm.h", "cuse_dev/backend/soft/ir",
                                          "cuse_dev/backend/soft/simt"],
    "cuse_dev/backend/soft/llvm": BASE + ["cuse_dev/backend/backend.h", "cuse_dev/backend/soft/llvm",
                                          "cuse_dev/backend/soft/ir", "cuse_dev/backend/soft/interp",
                                          "cuse_dev/backend/soft/simt", "cuse_dev/backend/soft/rt"],
    # the program vgpu-compiler
    "cuse_dev/compiler": BASE + ["cuse_dev/compiler", "cuse_dev/backend/soft/tier/job.h",
                                 "cuse_dev/backend/soft/llvm/llvm.h", "cuse_dev/backend/soft/ir"],
    "cuse_dev/backend/soft/simt": BASE + TEXTURE + ["cuse_dev/backend/backend.h", "cuse_dev/backend/soft/simt",
                                          "cuse_dev/backend/soft/ir", "cuse_dev/backend/soft/interp",
                                          "cuse_dev/backend/soft/rt"],
    "cuse_dev/backend/soft/rt": BASE + TEXTURE + ["cuse_dev/backend/soft/rt", "cuse_dev/backend/soft/ir"],
    # client
    "libcuda/api": ["libcuda"],
    "libcuda/impl": CONTRACT + ["libcuda/api", "libcuda/impl", "libcuda/core", "libcuda/link"],
    "libcuda/core": CONTRACT + ["libcuda/api", "libcuda/core", "libcuda/link"],
    "libcuda/link": CONTRACT + ["libcuda/link"],
    # a library of its own: the front's operations alone, no pages, no worker
    "libcuda/nvml": CONTRACT + ["libcuda/nvml", "libcuda/core/visible.h"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def room_of(path: str) -> str:
    """The longest entry of ALLOWED that @path is or lies in."""
    fits = [r for r in ALLOWED if path == r or path.startswith(r + "/")]
    return max(fits, key=len) if fits else ""


def main() -> int:
    errors = files = 0
    for top in ("ioctl", "cuse_dev", "libcuda"):
        for path in sorted((ROOT / top).rglob("*.[ch]")):
            name = path.relative_to(ROOT).as_posix()
            room = room_of(name)
            if not room:
                print(f"{name}:1: no room of check_layers.py covers this file")
                errors += 1
                continue
            files += 1
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                target = match.group(1)
                if not (ROOT / target).exists():  # beside the file, or generated
                    beside = path.parent / target
                    if not beside.exists():
                        continue
                    target = beside.relative_to(ROOT).as_posix()
                if not any(target == a or target.startswith(a + "/") for a in ALLOWED[room]):
                    print(f"{name}:{number}: {room} must not include {target}")
                    errors += 1
    print(f"{files} files, {errors} errors")
    return 1 if errors or not files else 0


if __name__ == "__main__":
    sys.exit(main())
