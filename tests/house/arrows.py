#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the arrows of the architecture: each folder of src/ uses only what the table below allows.

Includes are always checked. With a build directory the symbols are checked too: what the objects of a folder leave undefined and
another folder defines must come from a folder that the table allows, or be a declared exception. (A header that passes on the
declarations of another folder would hide such a use from a check of the includes.)

A header is named after the file, or the thing, that it declares, and headers do not include one another in a circle.
"""
import argparse
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

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
    "fingerprint": {"base", "core", "identity"},
    "fingerprint_usb": {"base", "core", "identity"},
    "face": {"base", "core", "identity"},
    "ble": {"base"},
    "voice": {"base", "core", "identity"},
    "recorder": {"base"},
    "records": {"base", "core", "ledger"},
    "cabinet": {"base", "core", "ledger", "lock", "records"},
    "people": {"base", "core", "ledger", "records", "identity"},
    "locker": {"base", "core", "ledger", "lock", "records", "cabinet", "people", "identity", "recorder"},
    "bus": {"base", "core", "locker"},
    "message": {"base", "core"},
    "mqtt": {"base"},
    "sync": {"base", "core", "locker", "ledger", "message", "mqtt"},
    "link": {"base", "core", "message"},
    "handheld": {"base", "core", "locker", "link", "ble"},
    "daemon": {"base", "core", "config", "ledger", "lock", "records", "identity", "recorder", "locker", "bus", "sync", "handheld"},
    "ctl": {"base"},
    "sim": {"base"},
}
# Made by meson at the top of the build directory.
GENERATED = {"build-config.h"}
# The core is pure: of the system it may use what computes. (tests/house/core-symbols.sh looks at the symbols.)
CORE_SYSTEM = {"assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "math.h", "stdarg.h", "stdbool.h", "stddef.h",
               "stdint.h", "stdio.h", "stdlib.h", "string.h", "strings.h"}
# Headers of nothing in particular: what several files share gets in there, and comes out everywhere.
SHARED = {"common.h", "internal.h", "private.h", "shared.h"}
# Libraries with one home each: include prefix → folders.
HOMES = {
    "sqlite3.h": {"ledger"},
    "modbus": {"line"},
    "gpiod.h": {"gpio"},
    "libfprint-2/fprint.h": {"fingerprint_usb"},
    "glib-unix.h": {"fingerprint_usb"},
    "opencv2/": {"face"},
    "alsa/": {"voice"},
    "aubio/": {"voice"},
    "linux/videodev2.h": {"face"},
    "mosquitto.h": {"mqtt"},
    "systemd/sd-bus": {"ble", "bus", "ctl", "daemon"},
    "ini.h": {"config", "sim"},
}
# Symbols that a folder uses against the table: (user, owner) → (reason, symbols). One that is no longer used is reported.
EXCEPTIONS = {
    ("bus", "ledger"): (
        "reading what is stored needs no use case: these calls change nothing, and locker.h hands out the Ledger for them",
        {"ledger_audit_head", "ledger_backup_begin", "ledger_backup_end", "ledger_backup_step", "ledger_credential_each", "ledger_epoch", "ledger_event_each",
         "ledger_is_audit_head",
         "ledger_lockout_each", "ledger_outbox_length", "ledger_parcel_get", "ledger_parcel_history", "ledger_path",
         "ledger_person_each", "ledger_place_each", "ledger_service_get", "parcel_row_done", "person_kind_to_string",
         "service_row_done", "service_to_string"}),
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
            if top != folder and name.endswith("_struct.h"):
                yield f"{path}: {name} is for the files of {top} alone"
            elif top != folder and top not in ARROWS[folder]:
                yield f"{path}: {folder} may not include {top} ({name})"
        elif not os.path.exists(os.path.join(os.path.dirname(path), name)):
            yield f'{path}: "{name}" is neither in its folder nor below src/'


def check_headers(headers):
    """headers: {path below src: text} → [problem]"""
    problems = [f"src/{path}: name it after what it declares, one header a module" for path in sorted(headers)
                if os.path.basename(path) in SHARED]
    quoted = {path: [name for bracket, name in INCLUDE.findall(text) if bracket == '"' and name in headers]
              for path, text in headers.items()}
    done = set()

    def walk(path, way):
        if path in way:
            circle = way[way.index(path):] + [path]
            problems.append("headers in a circle: " + " → ".join(circle))
        elif path not in done:
            for name in quoted[path]:
                walk(name, way + [path])
            done.add(path)

    for path in sorted(quoted):
        walk(path, [])
    return problems


def check_includes(root):
    """→ (number of files, [problem])"""
    problems, files, headers = [], 0, {}
    source = os.path.join(root, "src")
    for folder in sorted(os.listdir(source)):
        if not os.path.isdir(os.path.join(source, folder)):
            continue
        if folder not in ARROWS:
            problems.append(f"src/{folder}: no row in the table of tests/house/arrows.py")
            continue
        for where, _, names in os.walk(os.path.join(source, folder)):
            for name in sorted(n for n in names if n.endswith((".c", ".cpp", ".h"))):
                path = os.path.relpath(os.path.join(where, name), os.getcwd())
                with open(path, encoding="utf-8") as f:
                    text = f.read()
                problems += complaints(folder, path, text)
                if name.endswith(".h"):
                    headers[os.path.relpath(os.path.join(where, name), source)] = text
                files += 1
    return files, problems + check_headers(headers)


def read_symbols(objects):
    """→ ({symbol defined}, {symbol left undefined: [object]})"""
    defined, undefined = set(), {}
    listed = subprocess.run(["nm", "-g", "-A", *objects], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        path, _, rest = line.rpartition(":")
        *_, kind, symbol = rest.split()
        if kind in "Uwv":
            undefined.setdefault(symbol, []).append(os.path.basename(path))
        else:
            defined.add(symbol)
    return defined, {symbol: where for symbol, where in undefined.items() if symbol not in defined}


def check_symbols(build, arrows, exceptions):
    """→ (number of objects, number of symbols that cross a folder's wall, [problem])"""
    problems, count, crossing, found = [], 0, 0, {}
    source = os.path.join(build, "src")
    for folder in sorted(arrows):
        objects = [os.path.join(where, name) for where, _, names in os.walk(os.path.join(source, folder))
                   for name in sorted(names) if name.endswith(".o")]
        if objects:
            found[folder] = read_symbols(objects)
            count += len(objects)
        elif os.path.isdir(os.path.join(source, folder)):
            problems.append(f"{source}/{folder}: nothing is built")
    owners = {}
    for folder, (defined, _) in found.items():
        for symbol in defined:
            owners.setdefault(symbol, set()).add(folder)
    used = set()
    for folder, (_, undefined) in found.items():
        for symbol, where in sorted(undefined.items()):
            of = owners.get(symbol)
            if not of:
                continue
            crossing += 1
            excepted = {(folder, owner, symbol) for owner in of if symbol in exceptions.get((folder, owner), ("", ()))[1]}
            used |= excepted
            if not excepted and not of & arrows[folder]:
                problems.append(f"{', '.join(where)}: {folder} may not use {symbol} of {' or '.join(sorted(of))}")
    problems += [f"{symbol}: declared as an exception for {folder}, but {folder} does not use it"
                 for (folder, owner), (_, symbols) in exceptions.items() for symbol in sorted(symbols)
                 if (folder, owner, symbol) not in used]
    return count, crossing, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", nargs="?", help="a build directory, complete: checks the symbols as well")
    args = parser.parse_args()

    files, problems = check_includes(ROOT)
    summary = f"{files} files"
    if args.build:
        try:
            count, crossing, more = check_symbols(args.build, ARROWS, EXCEPTIONS)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"arrows.py: {error}")
        if not count:
            more.append(f"{args.build}: no objects below src/")
        problems += more
        summary += f", {crossing} symbols between the folders of {count} objects"
    for problem in problems:
        print(problem)
    print(f"{summary}, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
