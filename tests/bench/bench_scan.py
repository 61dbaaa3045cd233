# SPDX-License-Identifier: Apache-2.0
"""How much of the wire polling uses: 16 boards at 9600 baud, against what the wire allows.

The journal of the boards gives the exchanges of ten seconds and their bytes. The limit for each is its bytes, the board's turnaround
and the silences of 3.5 characters that a frame must have around it. Two turnarounds are tried: a board that itself waits for 3.5
characters before it takes a request as complete and then needs a millisecond (both silences count), and one that answers a
millisecond after the last byte (only the silence before the next request counts: the harder test).
"""
import time

from benchlib import BenchCabinet, Journal, arguments, cabinet_text, median, percentile, report, settings_for

BAUD, BOARDS = 9600, 16
CHARACTER = 10e6 / BAUD
GAP = 3.5 * CHARACTER
PROCESSING = 1000
BOARD_KINDS = {"boards that wait for silence": round(GAP) + PROCESSING, "boards that answer at once": PROCESSING}


def exchanges(journal, seconds):
    """(begin of the request, characters of request and answer), one a row, in the order of the line"""
    journal.skip()
    time.sleep(seconds)
    rows, request = [], None
    for entry in journal.read():
        if entry["event"] == "rx":
            request = entry
        elif entry["event"] == "tx" and request:
            rows.append((request["start_us"], (len(request["hex"]) + len(entry["hex"])) // 2, request["hex"][:2]))
            request = None
    return rows


def measure(build, turnaround, seconds):
    options = ("--turnaround", f"{turnaround}us")
    with BenchCabinet(build, cabinet_text(BOARDS, baud=BAUD), settings_for(), sim_options=options) as cabinet:
        journal = Journal(cabinet.sim)
        time.sleep(1)
        rows = exchanges(journal, seconds)
        journal.close()
    took = rows[-1][0] - rows[0][0]  # n rows, n - 1 exchanges with what follows them
    limit = sum(characters * CHARACTER + turnaround + GAP for _, characters, _ in rows[:-1])
    return rows, took, limit


def main():
    args = arguments(__doc__, seconds=(12, "how long the line is watched"))
    for name, turnaround in BOARD_KINDS.items():
        rows, took, limit = measure(args.build, turnaround, 3 if args.short else args.seconds)
        spare = [b[0] - a[0] - a[1] * CHARACTER - turnaround - GAP for a, b in zip(rows, rows[1:])]
        print(f"{BOARDS} {name}: {len(rows) / took * 1e6:.1f} exchanges a second, each board every "
              f"{took / len(rows) * len({r[2] for r in rows}) / 1000:.0f} ms; beyond the limit {median(spare):.0f} us an exchange "
              f"(p99 {percentile(spare, 99):.0f})")
        report(f"scan rate, {name}", f"{100 * limit / took:.1f}", ">= 95 %", limit / took >= 0.95, " % of the wire's limit")


if __name__ == "__main__":
    main()
