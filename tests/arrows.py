#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that each folder of src/ includes only what the table below allows: the arrows of the architecture."""
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")

# Folder → folders it may include. Every folder may include itself and include/lockerd.
ARROWS = {
    "base": set(),
    "core": {"base"},
    "config": {"base", "core"},
    "ledger": {"base", "core"},
    "lockwire": {"base"},
    "line": {"base", "core", "lockwire"},
    "gpio": {"base", "core", "lockwire"},
    "lock": {"base", "core", "lockwire"},
    "identity": {"base", "core"},
    "recorder": {"base"},
    "locker": {"base", "core", "ledger", "lock", "identity", "recorder"},
    "bus": {"base", "core", "locker"},
    "sync": {"base", "core", "locker", "ledger"},
    "link": {"base", "core", "locker"},
    "daemon": {"base", "core", "config", "ledger", "lock", "identity", "recorder", "locker", "bus", "sync", "link"},
    "ctl": {"base"},
    "sim": {"base"},
}
# Made by meson at the top of the build directory.
GENERATED = {"build-config.h"}
# The core is pure: of the system it may use what computes. (tests/core-symbols.sh looks at the symbols.)
CORE_SYSTEM = {"assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "math.h", "stdarg.h", "stdbool.h", "stddef.h",
               "stdint.h", "stdio.h", "stdlib.h", "string.h", "strings.h"}
# Libraries with one home each: include prefix → folders.
HOMES = {
    "sqlite3.h": {"ledger"},
    "modbus": {"line"},
    "gpiod.h": {"gpio"},
    "mosquitto.h": {"sync"},
    "systemd/sd-bus": {"bus", "ctl", "daemon"},
    "ini.h": {"config", "sim"},
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def complaints(folder, path, text):
    for bracket, name in INCLUDE.findall(text):
        top = name.split("/")[0]
        if bracket == "<":
            if folder == "core" and name not in CORE_SYSTEM:
                yield f"{path}: the core may not include <{name}>"
            for prefix, homes in HOMES.items():
                if name.startswith(prefix) and folder not in homes:
                    yield f"{path}: <{name}> belongs to {', '.join(sorted(homes))}"
        elif name in GENERATED or top == "lockerd" or name.endswith(".inc"):
            continue
        elif ".." in name.split("/"):
            yield f'{path}: "{name}": include by the path below src/'
        elif top in ARROWS and "/" in name:
            if top != folder and top not in ARROWS[folder]:
                yield f"{path}: {folder} may not include {top} ({name})"
        elif not os.path.exists(os.path.join(os.path.dirname(path), name)):
            yield f'{path}: "{name}" is neither in its folder nor below src/'


def main():
    problems, files = [], 0
    source = os.path.join(ROOT, "src")
    for folder in sorted(os.listdir(source)):
        if not os.path.isdir(os.path.join(source, folder)):
            continue
        if folder not in ARROWS:
            problems.append(f"src/{folder}: no row in the table of tests/arrows.py")
            continue
        for where, _, names in os.walk(os.path.join(source, folder)):
            for name in sorted(n for n in names if n.endswith((".c", ".h"))):
                path = os.path.relpath(os.path.join(where, name), os.getcwd())
                with open(path, encoding="utf-8") as f:
                    problems += complaints(folder, path, f.read())
                files += 1
    for problem in problems:
        print(problem)
    print(f"{files} files, {len(problems)} wrong includes")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
