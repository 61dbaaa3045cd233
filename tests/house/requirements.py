#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps tests/requirements.md, the table from requirement to test, true.

A test names what it shows: "Requirement: A4, F1", in C in a comment directly above the test function, in Python in the
test's docstring, in a shell test in a comment (then the file is the test). Without arguments the script checks; with
--write it writes the table.
"""
import argparse
import ast
import os
import re
import sys

# Number → what it is about, short; the numbers that a test must name today are without a mark.
KNOWN = {
    "A1": "slots have positions, plain or locked", "A2": "deposit: slot and position are chosen, opened and told",
    "A3": "the position locks when the item is in", "A4": "pickup unlocks this position only",
    "A5": "the same requests from every client", "A6": "two people never share an open slot",
    "B1": "deposit over the short-range link", "B2": "the handheld derives the code",
    "B3": "pickup with the derived code", "B4": "offline needs nobody, and reaches the backend in order, once",
    "C1": "recipients enrol credentials", "C2": "a parcel finds its recipient's credentials",
    "C3": "a match opens, anything else does not", "C4": "who is not enrolled gets a code",
    "C5": "by configuration everybody gets a code", "C6": "identity and verification data apart; erasure erases",
    "D1": "couriers sign in by fingerprint", "D2": "dynamic code with the cabinet's number and place",
    "D3": "six digits, or digits and letters", "D4": "three wrong codes lock for half an hour",
    "D5": "inspect, then accept or reject", "D6": "video tied to its session",
    "E1": "the express server announces parcels", "E2": "face reminder", "E3": "reminder after the first time",
    "E4": "recall after the second time", "E5": "reminders at the usual hour", "E6": "the nearest fitting cabinet",
    "F1": "an acknowledgement is not an opening", "F2": "empty only when ledger and sensors agree",
    "F3": "too small, does not open, reopen, cancel", "F4": "one dead part takes nothing else down",
    "F5": "a stale command never opens a door", "F6": "supplies and pulses have limits, whatever dies",
    "F7": "accessible slots, sizes, temperatures", "F8": "map, open, disable, reconcile, audit with who and why",
    "F9": "personal data masked and sealed", "F10": "tamper-evident ledger",
    "F11": "couriers take back in one go", "F12": "alarm and inside release open",
    "F13": "wrong wiring stops at the first wrong door", "F14": "a restored, cloned or foreign ledger is recognised",
    "F15": "guessing is bounded, and nobody locks everybody out", "F16": "a clock without a witness opens and expires nothing",
    "F17": "who takes over a part gets no door and nobody's data",
    "B5": "events travel by couriers' handhelds",
    "P1": "a kiosk app that can be shipped", "P2": "a page in Cockpit", "P3": "commissioning finds wiring faults",
    "P4": "sentences in three languages", "P5": "metrics in OpenMetrics text", "P6": "a reference backend",
    "P7": "an idle cabinet costs next to nothing",
}
NOT_YET = {"C1", "D1", "D6", "E1", "E2", "E3", "E4", "E5", "E6", "F5",
           "B5", "P1", "P2", "P3", "P4", "P5", "P6", "P7"}

TAG = re.compile(r"\bRequirements?:[ \t]*([A-Z]\d+(?:[ \t]*,\s*(?:[*#/]+\s*)?[A-Z]\d+)*)")
C_TEST = re.compile(r"(?P<comment>/\*(?:(?!\*/).)*\*/)\s*(?:static\s+)?(?:void|int)\s+(?P<name>test_\w+)\s*\(", re.S)


def numbers(text):
    return [n for found in TAG.findall(text or "") for n in re.findall(r"[A-Z]\d+", found)]


def c_tests(path, text, problems):
    claimed = 0
    for match in C_TEST.finditer(text):
        found, name = numbers(match["comment"]), match["name"]
        claimed += len(TAG.findall(match["comment"]))
        if found and len(re.findall(rf"\b{name}\b", text)) < 2:
            problems.append(f"{path}: {name} is never run: it is named only where it is defined")
        yield name, found
    if claimed < len(TAG.findall(text)):
        problems.append(f"{path}: a requirement tag does not stand in a comment directly above a test function")


def python_tests(path, text, problems):
    claimed = 0
    tree = ast.parse(text, path)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
            doc = ast.get_docstring(node) or ""
            claimed += len(TAG.findall(doc))
            yield node.name, numbers(doc)
    whole = ast.get_docstring(tree) or ""
    if numbers(whole):
        claimed += len(TAG.findall(whole))
        yield "", numbers(whole)
    if claimed < len(TAG.findall(text)):
        problems.append(f"{path}: a requirement tag does not stand in the docstring of a test")


def shell_tests(_path, text, _problems):
    yield "", numbers("\n".join(line for line in text.splitlines() if line.startswith("#")))


def is_registered(path, build_files):
    """Whether a meson.build names the file, or the one in its folder names it without "test_" and suffix."""
    name = os.path.basename(path)
    stem = os.path.splitext(name)[0]
    short = re.sub(r"^test[-_]", "", stem)
    beside = build_files.get(os.path.join(os.path.dirname(path), "meson.build"), "")
    return (re.search(rf"'{re.escape(short)}'", beside) is not None
            or any(re.search(rf"(?<![\w.-]){re.escape(stem)}(?![\w-])", text) for text in build_files.values()))


def scan(root):
    """→ ({number: [“file: test”]}, [problem])"""
    table, problems, build_files, sources = {}, [], {}, []
    base = os.path.join(root, "tests")
    for folder, folders, files in os.walk(base):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__")))
        for name in sorted(files):
            path = os.path.join(folder, name)
            # Scenarios of the virtual board are run by its own script, which names their files.
            if name == "meson.build" or path.endswith(os.path.join("board", "run.py")):
                with open(path, encoding="utf-8") as f:
                    build_files[path] = re.sub(r"#.*", "", f.read())
            elif name.endswith((".c", ".py", ".sh")) and os.path.abspath(path) != os.path.abspath(__file__):
                sources.append(path)
    for path in sources:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        short = os.path.relpath(path, base)
        kind = {".c": c_tests, ".py": python_tests, ".sh": shell_tests}[os.path.splitext(path)[1]]
        names = set()
        for name, found in kind(short, text, problems):
            for number in dict.fromkeys(found):
                if number not in KNOWN:
                    problems.append(f"{short}: {name}: there is no requirement {number}")
                    continue
                table.setdefault(number, []).append(f"{short}: {name}" if name else short)
            if found:
                names.add(name)
        if names and not is_registered(path, build_files):
            problems.append(f"{short}: names requirements, but neither a meson.build below tests/ nor tests/board/run.py runs it")
    return table, problems


def page(table):
    lines = ["# Requirements and the tests that show them", "",
             "Written by `tests/house/requirements.py --write` from the tags in the tests; `./check` fails when it is stale.", "",
             "| no. | about | shown by |", "|---|---|---|"]
    for number, about in KNOWN.items():
        tests = "<br>".join(f"`{t}`" for t in table.get(number, [])) or "not yet"
        lines.append(f"| {number} | {about} | {tests} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table instead of checking it")
    parser.add_argument("--root", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."),
                        help="the project, default: where this script lies")
    args = parser.parse_args()
    target = os.path.join(args.root, "tests", "requirements.md")

    table, problems = scan(args.root)
    problems += [f"no test names requirement {n} ({KNOWN[n]})" for n in KNOWN if n not in NOT_YET and n not in table]
    want = page(table)
    if args.write:
        with open(target, "w", encoding="utf-8") as f:
            f.write(want)
    else:
        try:
            with open(target, encoding="utf-8") as f:
                have = f.read()
        except FileNotFoundError:
            have = ""
        if have != want:
            problems.append("tests/requirements.md is stale: run tests/house/requirements.py --write")
        shown = {t for tests in table.values() for t in tests}
        problems += [f"tests/requirements.md names {t}, which does not exist or no longer says so"
                     for t in re.findall(r"`([^`]+)`", "".join(l for l in have.splitlines() if re.match(r"\| [A-F]\d", l)))
                     if t not in shown]
    for problem in problems:
        print(problem)
    print(f"{sum(1 for n in KNOWN if n in table)} of {len(KNOWN)} requirements are shown by a test, "
          f"{sum(1 for n in KNOWN if n not in NOT_YET and n not in table)} are missing one")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
