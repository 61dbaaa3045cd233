#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that every journal message id is explained in the catalog, once, that each is used by the code, and that systemd
accepts the catalog."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def main():
    problems = []
    ids = dict(re.findall(r'#define\s+LOCKERD_MESSAGE_(\w+)\s+"([0-9a-f]{32})"', read("src", "base", "message_ids.h")))
    catalog = read("systemd", "lockerd.catalog")
    entries = re.findall(r"^# (\w+)\n-- ([0-9a-f]{32})\nSubject: .+\nDefined-By: lockerd\n", catalog, re.M)
    problems += [f"{n}: two names for one id" for n in ids if list(ids.values()).count(ids[n]) > 1]
    problems += [f"{n}: not explained in systemd/lockerd.catalog" for n in ids if (n, ids[n]) not in entries]
    problems += [f"{n} {i}: explained, but not in src/base/message_ids.h" for n, i in entries if ids.get(n) != i]
    if len(re.findall(r"^-- ", catalog, re.M)) != len(entries):
        problems.append("systemd/lockerd.catalog: an entry without name, subject or origin")

    used = set()
    for folder, _, names in os.walk(os.path.join(ROOT, "src")):
        for name in names:
            if name.endswith((".c", ".h")) and name != "message_ids.h":
                used |= set(re.findall(r"\bLOCKERD_MESSAGE_(\w+)", read(folder, name)))
    problems += [f"{n}: no code writes this message" for n in ids if n not in used]
    problems += [f"{n}: used, but not in src/base/message_ids.h" for n in used if n not in ids]

    with tempfile.TemporaryDirectory() as root:
        vendor = os.path.join(root, "usr", "lib", "systemd", "catalog")
        os.makedirs(vendor)
        os.makedirs(os.path.join(root, "var", "lib", "systemd", "catalog"))
        shutil.copy(os.path.join(ROOT, "systemd", "lockerd.catalog"), vendor)
        made = subprocess.run(["journalctl", "--root", root, "--update-catalog"], capture_output=True, text=True, check=False)
        listed = subprocess.run(["journalctl", "--root", root, "--list-catalog"], capture_output=True, text=True, check=False)
        if made.returncode or made.stderr.strip():
            problems.append(f"journalctl --update-catalog: {made.stderr.strip()}")
        if len(listed.stdout.splitlines()) != len(ids):
            problems.append(f"journalctl lists {len(listed.stdout.splitlines())} entries instead of {len(ids)}")
    for problem in problems:
        print(problem)
    print(f"{len(ids)} message ids, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
