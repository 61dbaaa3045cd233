# SPDX-License-Identifier: Apache-2.0
"""Collect: from the D-Bus call to the first byte of the unlock frame on the line, against what cannot be avoided.

That is one durable SQLite commit on the ledger's file system and the wait for an idle line. Before each call a stand-in ledger (WAL,
synchronous=FULL, the same file system) takes one row, big enough that the commit writes as many pages as Collect's own transaction
does. The wait is read from the boards' journal: what was left, at the moment of the call, of the exchange on the wire, and the
3.5 characters of silence after it.
"""
import os
import random
import sqlite3
import time

from benchlib import SESSION, BenchCabinet, Terminal, arguments, cabinet_text, median, now, percentile, report, settings_for

GOAL = 1.25
PAGE = 1024  # bytes, as in a new ledger
COLLECT_PAGES = 12  # what Collect's transaction writes to the WAL
LINES = {
    "9600 baud, 16 boards": dict(boards=16, baud=9600),
    "115200 baud, 16 boards": dict(boards=16, baud=115200),
    "115200 baud, 1 board": dict(boards=1, baud=115200),
}


class Reference:
    """The durable commit."""

    def __init__(self, directory):
        self._db = sqlite3.connect(os.path.join(directory, "reference.db"), isolation_level=None)
        self._db.execute(f"PRAGMA page_size = {PAGE}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA wal_autocheckpoint = 0")
        self._db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)")
        self._payload = os.urandom((COLLECT_PAGES - 1) * (PAGE - 4) - 200)
        self._commits = 0

    def commit(self):
        begin = now()
        self._db.execute("INSERT INTO t (payload) VALUES (?)", (self._payload,))
        took = now() - begin
        self._commits += 1
        if self._commits % 50 == 0:  # as the daemon does it: between the commits, not in them
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return took


class Line:
    """What the journal says about the line at a moment."""

    def __init__(self, baud):
        self.gap = 1750 if baud > 19200 else 35_000_000 // baud
        self._entries = []

    def add(self, entries):
        self._entries = (self._entries + [e for e in entries if e["event"] in ("rx", "tx")])[-400:]

    def wait(self, at):
        """Microseconds from `at` until the exchange that is on the wire then is over and the silence after it."""
        rx = [e for e in self._entries if e["event"] == "rx" and e["start_us"] <= at]
        if not rx:
            return 0
        tx = next((e for e in self._entries if e["event"] == "tx" and e["start_us"] >= rx[-1]["time_us"]), None)
        return max(0, tx["time_us"] + self.gap - at) if tx else None


def collect(terminal, slot, code, line, reference):
    """One pickup from session to shut door → (latency, commit, wait)"""
    path = terminal.start("recipient").value
    terminal.authenticate(path, "code", code=code, slot=slot)
    time.sleep(0.05)
    commit = reference.commit()
    call = terminal.bus.prepare(path, SESSION, "Collect", "o", "/")
    line.add(terminal.journal.read())
    # Any phase of the polls; and nothing that takes a processor away from those who are measured.
    time.sleep(0.02 + random.random() * 0.03)
    serial, sent = terminal.bus.post(call)
    seen = terminal.journal.wait_unlock(sent)
    terminal.bus.reply(serial, sent)
    line.add(seen)
    terminal.session(path, "Accept")
    terminal.wait_until_shuttable(slot)
    terminal.sim.do(f"take {slot}", f"close {slot}")
    terminal.bus.wait_prompt(path, "collected")
    terminal.session(path, "End")
    return seen[-1]["start_us"] - sent, commit, line.wait(sent)


def measure(build, boards, baud, samples):
    results = []
    with BenchCabinet(build, cabinet_text(boards, baud=baud), settings_for()) as cabinet:
        reference, terminal, line = Reference(cabinet.directory), Terminal(cabinet), Line(baud)
        terminal.enrol_courier()
        while len(results) < samples:
            parcels = []
            path = terminal.courier()
            for _ in range(min(8, samples - len(results))):
                terminal.deposit(path, parcels)
            terminal.session(path, "End")
            rows = [collect(terminal, slot, code, line, reference) for slot, code, _ in parcels]
            results += [row for row in rows if row[2] is not None]
        terminal.close()
    return results


def show(name, rows):
    latency, commit, wait = zip(*rows)
    floor = [c + w for c, w in zip(commit, wait)]
    print(f"{name}: {len(rows)} pickups, ms           median    mean     p99")
    for what, values in (("call to first byte", latency), ("  one durable commit", commit), ("  wait for an idle line", wait),
                         ("  both: what must be", floor)):
        print(f"  {what:28} {median(values) / 1000:9.2f} {sum(values) / len(values) / 1000:7.2f} {percentile(values, 99) / 1000:7.2f}")
    print(f"  beyond it, on average: {(sum(latency) - sum(floor)) / len(rows) / 1000:.2f} ms; ratio of the means {sum(latency) / sum(floor):.2f}, "
          f"of the p99 {percentile(latency, 99) / percentile(floor, 99):.2f}")
    ratio = median(latency) / median(floor)
    report(f"collect, {name}, ratio of the medians", f"{ratio:.2f}", f"<= {GOAL}", ratio <= GOAL)


def main():
    args = arguments(__doc__, samples=(200, "pickups a line"), line=("", "only the line whose name contains this"))
    for name, wiring in LINES.items():
        if args.line in name:
            show(name, measure(args.build, samples=8 if args.short else args.samples, **wiring))


if __name__ == "__main__":
    main()
