#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Computes the table of docs/guessing.md: how many guesses a year are let through, and how likely one of them is right.

Without an argument it checks that the table is up to date; --write brings it up to date. tests/unit/test_guessing.c plays the same
attacks against the real functions and holds its own counts against the table.
"""
import os
import sys

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "guessing.md")
BEGIN, END = "<!-- begin: tests/house/guessing.py -->\n", "<!-- end -->\n"

YEAR = 365.25 * 86400
ATTEMPTS, DURATION = 3, 1800
PACE = 4 * DURATION / ATTEMPTS  # seconds until one more wrong entry fits
PACE_AT_ONCE = 4 * ATTEMPTS
LIFTS = 5 + YEAR / 7200  # of one courier
RISK = 0.003
LETTERS, DIGITS = 32 ** 6, 10 ** 6

# key, what is guessed, values a guess is compared with, of how many, at a pace of its own for how many claims (0: no pace), couriers
ROWS = [
    ("letters-30", "codes of letters and digits, 30 parcels inside with two codes each", 60, LETTERS, 1, 0),
    ("letters-100", "… 100 parcels", 200, LETTERS, 1, 0),
    ("letters-300", "… 300 parcels", 600, LETTERS, 1, 0),
    ("letters-100-lifted", "… 100 parcels, and a courier's PIN is known and lifts whenever it may", 200, LETTERS, 1, 1),
    ("letters-100-own-code", "… 100 parcels, one's own right code after each two guesses", 200, LETTERS, 1, 0),
    ("digits-one", "codes of digits, always at the same slot, two codes", 2, DIGITS, 1, 0),
    ("digits-any", "… at any of 100 slots of one parcel", 2, DIGITS, 1, 0),
    ("digits-shared", "… at any of 25 slots of four positions", 8, DIGITS, 1, 0),
    ("digits-own-code", "… always at the same slot, one's own right code after each two guesses", 2, DIGITS, 1, 0),
    ("digits-lifted", "… at any of 100 slots, and four couriers' PINs are known and lift", 2, DIGITS, 1, 4),
    ("pin-one", "one courier's PIN of six digits", 1, DIGITS, 1, 0),
    ("pin-twenty", "any of twenty couriers' PINs of six digits", 1, DIGITS, 0, 0),
    ("pin-own", "one courier's PIN, who signs in after each two guesses", 1, DIGITS, 1, 0),
    ("pin-4-digits", "any of twenty couriers' PINs with `MinimumPinLength=4`", 1, 10 ** 4, 0, 0),
    ("password", "any of 200 recipients' passwords, taken for one of a million", 1, DIGITS, 0, 0),
    ("pattern-one", "one person's drawn pattern, taken for any of the 387488 there are", 1, 387488, 1, 0),
    ("pattern", "any of 200 persons' patterns, likewise", 1, 387488, 0, 0),
]


def guesses(right, space, paced, couriers):
    by_risk = RISK * space / right
    by_pace = (PACE_AT_ONCE + YEAR / PACE) + couriers * LIFTS * PACE_AT_ONCE if paced else by_risk
    return min(by_risk, by_pace)


def table():
    lines = ["| key | what is guessed, all year | guesses a year | one of them is right, % |", "|---|---|---|---|"]
    for key, what, right, space, paced, couriers in ROWS:
        n = int(guesses(right, space, paced, couriers))
        lines.append(f"| `{key}` | {what} | {n} | {100 * n * right / space:.3f} |")
    return "\n".join(lines) + "\n"


def main():
    with open(DOCUMENT, encoding="utf-8") as f:
        before, _, rest = f.read().partition(BEGIN)
        there, _, after = rest.partition(END)
    if sys.argv[1:] == ["--write"]:
        with open(DOCUMENT, "w", encoding="utf-8") as f:
            f.write(before + BEGIN + table() + END + after)
        return 0
    if there != table():
        print("docs/guessing.md: the table is not what tests/house/guessing.py computes; run it with --write")
        return 1
    worst = max(100 * guesses(*row[2:]) * row[2] / row[3] for row in ROWS)
    print(f"{len(ROWS)} rows, at most {worst:.3f} % a year")
    return 0 if worst <= 0.3 + 1e-9 else 1


if __name__ == "__main__":
    sys.exit(main())
