# SPDX-License-Identifier: Apache-2.0
"""From exec to READY=1, with a million parcels of history and with none, in turns.

What is timed begins before the process is made and ends when READY=1 comes out of the NOTIFY_SOCKET. Caches are warm: at boot the disk adds
what it takes to read the programs and some hundred kilobytes of ledger.
"""
import os
import tempfile

from benchlib import BenchCabinet, History, arguments, cabinet_text, history_ledger, median, percentile, report, settings_for

PARCELS, SHORT = 1_000_000, 50_000


def main():
    args = arguments(__doc__, starts=(40, "starts with each ledger"), parcels=(PARCELS, "parcels of history"))
    if args.short:
        args.parcels = min(args.parcels, SHORT)
    sources = [history_ledger(args.build, n) for n in (0, args.parcels)]
    took = ([], [])
    with tempfile.TemporaryDirectory() as directory:
        cabinets = []
        try:
            for i, source in enumerate(sources):
                os.mkdir(os.path.join(directory, str(i)))
                ledger = History(source, os.path.join(directory, str(i))).path
                cabinets.append(BenchCabinet(args.build, cabinet_text(16), settings_for(ledger), fast=True).start(daemon=False))
            for turn in range(6 if args.short else args.starts + 1):
                for i in (0, 1) if turn % 2 else (1, 0):
                    microseconds = cabinets[i].start_until_ready()
                    cabinets[i].stop_daemon()
                    if turn:  # the first one fills the caches
                        took[i].append(microseconds)
        finally:
            for cabinet in cabinets:
                cabinet.stop()
    for name, values in zip(("no history", f"{args.parcels} parcels"), took):
        print(f"start to READY, {name}: median {median(values) / 1000:.1f} ms, p99 {percentile(values, 99) / 1000:.1f} ms")
    ratio = median([full / empty for empty, full in zip(*took)])
    report("start with history, median", f"{median(took[1]) / 1000:.1f}", "< 100 ms", median(took[1]) < 100_000, " ms")
    report("start with history, slowest", f"{max(took[1]) / 1000:.1f}", "< 100 ms", max(took[1]) < 100_000, " ms")
    report("start with history against none", f"{ratio:.2f}", "<= 1.10", ratio <= 1.1)


if __name__ == "__main__":
    main()
