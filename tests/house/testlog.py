#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the results in meson's testlog.json: prints "PASSED FAILED SKIPPED", and on stderr what failed or was skipped, with
the end of its output. With --failed: prints the names of what failed, a line each."""
import json
import sys

GOOD = {"OK", "EXPECTEDFAIL"}


def tail(test, lines):
    text = (test.get("stdout") or "") + (test.get("stderr") or "")
    return "".join(f"    {line}\n" for line in text.rstrip().splitlines()[-lines:])


def main():
    passed = failed = skipped = 0
    names_only = sys.argv[1] == "--failed"
    try:
        with open(sys.argv[-1], encoding="utf-8", errors="replace") as f:
            results = [json.loads(line) for line in f if line.strip()]
    except (OSError, ValueError) as error:
        sys.exit(f"{sys.argv[-1]}: {error}")
    if names_only:
        print("".join(t["name"].split(" / ")[-1] + "\n" for t in results if t["result"] not in GOOD | {"SKIP"}), end="")
        return 0
    for test in results:
        if test["result"] in GOOD:
            passed += 1
        elif test["result"] == "SKIP":
            skipped += 1
            sys.stderr.write(f"skipped: {test['name']}\n{tail(test, 1)}")
        else:
            failed += 1
            sys.stderr.write(f"{test['result']}: {test['name']}\n{tail(test, 40)}")
    print(passed, failed, skipped)
    return 0


if __name__ == "__main__":
    sys.exit(main())
