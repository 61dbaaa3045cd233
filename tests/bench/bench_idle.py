# SPDX-License-Identifier: Apache-2.0
"""What a cabinet costs that nobody comes to: processor time and wake-ups of the daemon and all of its workers, boards at the real speed of
their line, against the time that a process needs which is woken as often and does nothing.

The kernel counts both (/proc/PID/schedstat, /proc/PID/status), so that other programs on the machine disturb little. The first seconds after
the start do not count: then the whole ledger is checked.
"""
import os
import select
import time

from benchlib import BenchCabinet, arguments, report, settings_for

GOAL_MS = 60  # in 60 s
SETTLED = 20  # seconds after the start


def cost(pid):
    """→ (µs of processor time, how often it went to sleep)"""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        usec = int(f.read().split()[0]) / 1000
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        slept = next(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt_switches"))
    return usec, slept


def name(pid):
    with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
        return f.read().strip()


def wakeup_usec():
    """Processor time of one wake-up of a process that has nothing to do: what the machine charges for the least."""
    pid = os.fork()
    if pid == 0:
        while True:
            select.select([], [], [], 0.005)
    time.sleep(0.2)
    before = cost(pid)
    time.sleep(2)
    after = cost(pid)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def main():
    args = arguments(__doc__.split("\n", maxsplit=1)[0], seconds=(60, "how long nobody comes"))
    seconds = 10 if args.short else args.seconds
    with open(os.path.join(os.path.dirname(__file__), "..", "..", "config", "cabinet-12.conf"), encoding="utf-8") as f:
        text = f.read()
    with BenchCabinet(args.build, text, settings_for()) as cabinet:
        time.sleep(SETTLED)
        pids = cabinet.processes()
        before = {pid: cost(pid) for pid in pids}
        time.sleep(seconds)
        after = {pid: cost(pid) for pid in pids}
        total = wakes = 0
        for pid in pids:
            usec, slept = (after[pid][i] - before[pid][i] for i in (0, 1))
            total, wakes = total + usec, wakes + slept
            print(f"{name(pid)}: {usec / 1000 / seconds * 60:.1f} ms and {slept / seconds * 60:.0f} wake-ups a minute")
        floor = wakeup_usec()
    per_minute = total / 1000 / seconds * 60
    print(f"{wakes / seconds * 60:.0f} wake-ups a minute; one that does nothing costs {floor:.1f} µs here, one of ours {total / wakes:.1f} µs "
          f"({total / wakes / floor:.1f} times as much)")
    report("a cabinet at rest, 12 slots, processor time a minute", f"{per_minute:.1f}", f"≤ {GOAL_MS} ms", per_minute <= GOAL_MS, " ms")


if __name__ == "__main__":
    main()
