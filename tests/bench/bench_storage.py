# SPDX-License-Identifier: Apache-2.0
"""Bytes written to storage for a parcel's life: a courier's deposit and the recipient's collection, each with its session, sensors and all,
the copying of the log into the ledger included.

The kernel counts them in /proc/PID/io: what the daemon hands to the file system (wchar), and the blocks of 4 KiB that become dirty by it
(write_bytes), of which the last one of each commit is written again with the next. It does not count the latter on tmpfs: TMPDIR= must be on a
disk."""
import time

from benchlib import BenchCabinet, Terminal, arguments, cabinet_text, report, settings_for

GOAL_KIB = 150


def written(pid):
    """→ (bytes handed to the file system, bytes of blocks)"""
    with open(f"/proc/{pid}/io", encoding="ascii") as f:
        counts = dict(line.split(": ") for line in f)
    return int(counts["wchar"]), int(counts["write_bytes"])


def live(terminal):
    """→ nothing; a parcel comes and goes."""
    parcels = []
    path = terminal.courier()
    terminal.deposit(path, parcels, recipient="Erika Mustermann", phone="+49 170 1234567")
    terminal.session(path, "End")
    slot, code, _ = parcels[0]
    path = terminal.start("recipient").value
    terminal.authenticate(path, "code", code=code, slot=slot)
    terminal.opening(path, "Collect", "o", "/")
    terminal.session(path, "Accept")
    terminal.sim.do(f"take {slot}")
    terminal.shut(slot, path, "collected")
    terminal.session(path, "End")


def main():
    args = arguments(__doc__.split(":", maxsplit=1)[0], parcels=(40, "how many come and go"))
    parcels = 8 if args.short else args.parcels
    text = cabinet_text(1, channels=8, baud=115200)
    with BenchCabinet(args.build, text, settings_for(), fast=True) as cabinet:
        terminal = Terminal(cabinet)
        terminal.enrol_courier()
        for _ in range(3):
            live(terminal)
        time.sleep(6)  # the log is copied, and the ledger checked
        before = written(cabinet.daemon.pid)
        for i in range(parcels):
            live(terminal)
            if i % 10 == 9:
                time.sleep(3)  # people do not come one after the other
        time.sleep(4)
        bytes_, blocks = ((after - earlier) / parcels / 1024 for after, earlier in zip(written(cabinet.daemon.pid), before))
        terminal.close()
    print(f"blocks that became dirty: {blocks:.0f} KiB" if blocks else "this file system does not count blocks: set TMPDIR= to a directory on a disk")
    report("written to storage for a parcel's life", f"{bytes_:.0f}", f"≤ {GOAL_KIB} KiB", bytes_ <= GOAL_KIB, " KiB")


if __name__ == "__main__":
    main()
