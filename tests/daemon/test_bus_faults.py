#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Ten thousand randomised exchanges with late, lost, doubled, damaged, cut, stale and cross-addressed answers, on a whole cabinet with
people at it: no wrong door is ever reported open, no lock is energised that nobody asked for. locksim's journal is the truth.

Usage: test_bus_faults.py BUILDDIR [--exchanges N] [--seed S] [unittest arguments]

The seed decides which faults come and what people do; how the programs' steps interleave is the machine's, so that a seed gives a
similar run, not the same one.
"""
import argparse
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
import unittest

from bus_judge import Answer, Frames, Judge, Movement, Report, Truth, crc
from daemonlib import Cabinet
from dbusclient import CABINET, ROOT, SESSION, SLOT, Client, DBusError, GLib, Gio, Pending, Session, dictionary, iterate, slot_path

OPTIONS = argparse.Namespace()  # filled by main()

HEAD = "[Cabinet]\nNumber=F-1\n\n[Size S]\nOrder=1\n"
# supply: how many at once
SUPPLIES = {"one": 1, "two": 1, "three": 2, "four": 1, "five": 2}
# line: baud, response timeout in ms
LINES = {"slow": (9600, 100), "slow2": (9600, 100), "mixed": (19200, 80), "fast": (115200, 60), "fast2": (115200, 60)}
W, G, C = "waveshare-relay-d-8", "generic-pulse-16", "cu48"
# line: (board, profile) at the addresses 1, 2, …; neighbours of one kind, because the answer of the one in the other's name has the right form.
BOARDS = {
    "slow": [("W1", W), ("W2", W), ("G1", G), ("G2", G)],
    "slow2": [("G3", G), ("G4", G), ("W3", W), ("W4", W)],
    "mixed": [("W5", W), ("W6", W), ("G5", G), ("G6", G)],
    "fast": [("C1", C), ("C2", C), ("C3", C)],
    "fast2": [("C4", C), ("C5", C), ("C6", C)],
}
SUPPLY_OF_LINE = dict(zip(LINES, SUPPLIES))
BOARD_NAMES = [name for boards in BOARDS.values() for name, _ in boards]
# slots, lock, keys for the sensors: contact alone, contact and latch, latch alone
SLOTS = [
    ("01-06", "W1:1-6", "Door=W1:1-6"),
    ("07-10", "W2:1-4", "Door=W2:1-4\nLatch=W2:5-8"),
    ("11-16", "G1:1-6", "Door=G1:1-6\nLatch=G1:7-12"),
    ("17-22", "G3:1-6", "Door=G3:1-6"),
    ("23-26", "W3:1-4", "Door=W3:1-4"),
    ("27-30", "W4:1-4", "Door=W4:1-4"),
    ("31-36", "W5:1-6", "Door=W5:1-6"),
    ("37-40", "W6:1-4", "Door=W6:1-4\nLatch=W6:5-8"),
    ("41-46", "G5:1-6", "Door=G5:1-6"),
    ("47-52", "C1:1-6", "Latch=C1:1-6"),
    ("53-58", "C2:1-6", "Latch=C2:1-6"),
    ("59-64", "C3:1-6", "Latch=C3:1-6"),
    ("65-70", "C4:1-6", "Latch=C4:1-6"),
    ("71-76", "C5:1-6", "Latch=C5:1-6"),
    ("77-82", "C6:1-6", "Latch=C6:1-6"),
    ("P1-P2", "G2:1-2", "Door=G2:1-2"),
]
# The lids of P1 hang on the board of their door, those of P2 on another line's.
POSITIONS = [("P1/1-4", "G2:3-6", "Door=G2:3-6"), ("P2/1-4", "G6:1-4", "Door=G6:1-4\nLatch=G6:5-8")]
# late and dribble last less than the late window after the response timeout, which is what the daemon promises to see through.
WINDOW = 1_000_000 + 100_000 + 500_000  # late window, response timeout, two rounds
PATIENCE = 21_000_000                   # an answer's bound for each movement: expiry, window and look of both pulses, and the board's deadlines
COURIERS = 6
FILES = []
SETTINGS = {"Session": {"IdleTimeout": "60s", "DoorOpenTimeout": "3s", "ReopenGrace": "1s", "AnswerTimeout": "2s", "MaxSessions": "32"},
            "Lockout": {"Attempts": "10"}}


def boot():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def cabinet_text():
    text = HEAD
    for supply, active in SUPPLIES.items():
        text += f"\n[Supply {supply}]\nMaxActive={active}\nCooldown=50ms\n"
    for line, (baud, timeout) in LINES.items():
        text += f"\n[Line {line}]\nDevice=/dev/{line}\nBaud={baud}\nResponseTimeout={timeout}ms\n"
        for i, (name, profile) in enumerate(BOARDS[line]):
            text += f"\n[Board {name}]\nLine={line}\nAddress={i + 1}\nProfile={profile}\nSupply={SUPPLY_OF_LINE[line]}\n"
    for column, (slots, lock, sensors) in enumerate(SLOTS):
        text += f"\n[Slot {slots}]\nSize=S\nColumn={column + 1}\nRow=1\nLock={lock}\n{sensors}\n"
    for positions, lock, sensors in POSITIONS:
        text += f"\n[Position {positions}]\nLock={lock}\n{sensors}\n"
    return text


def written(text):
    """The text as a file that is there until the program ends."""
    f = tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".conf")
    f.write(text)
    f.flush()
    FILES.append(f)
    return f.name


def labels(text):
    first, last = text.split("-")
    prefix = first.rstrip("0123456789")
    width = len(first) - len(prefix)
    return [f"{prefix}{i:0{width}}" for i in range(int(first[len(prefix):]), int(last.removeprefix(prefix)) + 1)]


def sensors_of_locks():
    """lock, as locksim calls it → (has_contact, has_latch)"""
    has = {}
    for slots, _, sensors in SLOTS:
        for label in labels(slots):
            has[label] = ("Door=" in sensors, "Latch=" in sensors)
    for positions, _, sensors in POSITIONS:
        slot, numbers = positions.split("/")
        for number in labels(numbers):
            has[f"{slot}/{number}"] = ("Door=" in sensors, "Latch=" in sensors)
    return has


class PatientClient(Client):
    """Waits longer than any answer may take: what is late is the judge's to find."""

    def begin(self, path, interface, member, signature="", *arguments, name="org.lockerd.Locker1"):
        pending = Pending(f"{interface}.{member}")
        body = GLib.Variant(f"({signature})", arguments) if signature else None
        self.connection.call(name, path, interface, member, body, None, Gio.DBusCallFlags.NO_AUTO_START, 180_000, None,
                             lambda connection, result: pending.finish(connection, result))
        return pending


class Wire:
    """The faults of boards and lines, drawn anew every second or so."""

    KINDS = {
        "late": lambda r: r.choice([r.randint(1, 90), r.randint(90, 900)]),
        "dribble": lambda r: r.randint(1, 60),
        "deaf": lambda r: r.randint(4, 45),
        "drop": lambda r: r.randint(4, 45),
        "double": lambda r: r.randint(4, 45),
        "damage": lambda r: r.randint(4, 45),
        "truncate": lambda r: r.randint(4, 45),
        "wrong-address": lambda r: r.randint(4, 45),
        "wrong-echo": lambda r: r.randint(10, 100),
        "stale": lambda r: r.randint(4, 45),
        "silent": lambda r: "",
        "address": lambda r: 77,
    }
    COMMON = ["late", "drop", "double", "damage", "truncate", "dribble", "wrong-address", "wrong-echo", "stale", "deaf"]

    def __init__(self, sim, rng):
        self.sim, self.rng = sim, rng
        self.next = 0.0
        self.begun = False
        self.faulty = set()

    def board(self, name):
        self.sim.do(f"board {name} normal")
        self.faulty.discard(name)
        if self.rng.random() < 0.3:
            return
        kinds = self.rng.sample(self.COMMON, self.rng.choice([1, 2, 2, 3]))
        if self.rng.random() < 0.03:
            kinds = [self.rng.choice(["silent", "address"])]
        self.faulty.add(name)
        for kind in kinds:
            self.sim.do(f"board {name} {kind} {self.KINDS[kind](self.rng)}".strip())

    def line(self, name):
        self.sim.do(f"line {name} normal")
        chance = self.rng.random()
        if chance < 0.15:
            self.sim.do(f"line {name} noise {self.rng.randint(5, 40)}")
        elif chance < 0.25:
            self.sim.do(f"line {name} babble {self.rng.randint(30, 500)}")

    def step(self, now):
        if now < self.next:
            return
        self.next = now + self.rng.uniform(0.5, 1.2)
        for name in BOARD_NAMES:
            if not self.begun or self.rng.random() < 0.4:
                self.board(name)
        for name in LINES:
            if not self.begun or self.rng.random() < 0.3:
                self.line(name)
        self.begun = True

    def calm(self, now, seconds):
        self.begun = False
        for name in BOARD_NAMES:
            self.sim.do(f"board {name} normal")
        for name in LINES:
            self.sim.do(f"line {name} normal")
        self.faulty.clear()
        self.next = now + seconds


class Actors:
    """People as generators: they yield (a condition, seconds) and get whether it came true in time."""

    def __init__(self):
        self.waiting = []

    def add(self, generator):
        self._go(generator, None)

    def _go(self, generator, value):
        try:
            condition, seconds = generator.send(value)
        except StopIteration:
            return
        self.waiting.append((generator, condition, time.monotonic() + seconds))

    def step(self):
        now = time.monotonic()
        waiting, self.waiting = self.waiting, []
        for i, (generator, condition, until) in enumerate(waiting):
            value = bool(condition and condition())
            if value or now >= until:
                self._go(generator, value)
            else:
                self.waiting.append(waiting[i])


def sleep(seconds):
    return None, seconds


class Run:
    """One cabinet, its people, its faults."""

    def __init__(self, build, seed, fast):
        self.rng = random.Random(seed)
        self.seed = seed
        self.cabinet = Cabinet(build, cabinet=written(cabinet_text()), settings=SETTINGS, fast=fast)
        self.truth = Truth(sensors_of_locks())
        self.frames = Frames({line: timeout * 1000 + 20_000 for line, (_, timeout) in LINES.items()})
        self.judge = Judge(self.truth, WINDOW)
        self.answers, self.codes = [], {}
        self.actors = Actors()
        self.paused = self.hands_off = False
        self.shut_at = {}
        self.quiet_moments = 0
        self.hard, self.wanted = 0, 1 << 60
        self.stalls, self.look_at = [], 0

    # --- start and end

    def __enter__(self):
        self.cabinet.start()
        self.sim = self.cabinet.sim
        self.sim.do(f"seed {self.seed % 2 ** 32}")
        self.journal = open(self.sim.journal_path, encoding="utf-8")
        self.rest = ""
        self.wire = Wire(self.sim, self.rng)
        self.client = PatientClient(self.cabinet.bus.address)
        self.cabinet.clients.append(self.client)
        self.wall = time.time_ns() // 1000 - boot()
        for i in range(COURIERS):
            self.client.enrol_courier(f"471{i}", pin="258036")
        return self

    def __exit__(self, kind, *_):
        self.journal.close()
        self.sim.do("clear")  # the judge has them from the journal
        self.cabinet.stop(check=kind is None)

    # --- what has happened so far

    def read_journal(self):
        text = self.rest + self.journal.read()
        lines = text.split("\n")
        self.rest = lines.pop()
        for line in lines:
            entry = json.loads(line)
            if entry["event"] in ("rx", "tx"):
                self.frames.feed(entry)
            else:
                self.truth.feed(entry)

    def request(self, what, path, interface, member, signature="", *arguments, locks=None):
        """A call as a step of an actor; the answer is kept for the judge. Returns (value, error name or None)."""
        asked = boot()
        pending = self.client.begin(path, interface, member, signature, *arguments)
        if not (yield (lambda: pending.done), 170):
            self.answers.append(Answer(asked, None, what, None, ()))
            return None, "none"
        try:
            value, error = pending.result(), None
        except DBusError as e:
            value, error = None, e.short
        self.answers.append(Answer(asked, boot(), what, error, tuple(locks(value)) if locks and not error else ()))
        return value, error

    @staticmethod
    def locks_of_place(value):
        slot, position = value[0], value[1]
        return [slot, f"{slot}/{position}"] if slot.startswith("P") else [slot]

    # --- people

    def session_request(self, session, what, member, signature="", *arguments, locks=None):
        return self.request(what, session.path, SESSION, member, signature, *arguments, locks=locks)

    def start_session(self, kind):
        path, error = yield from self.request("StartSession", ROOT, CABINET, "StartSession", "s", kind)
        if error:
            return None
        session = self.client.sessions[path] = Session(self.client, path)
        return session

    def end_session(self, session):
        yield from self.session_request(session, "End", "End")
        self.client.sessions.pop(session.path, None)

    def settled(self, session, words):
        return lambda: any(p.what in words for p in session.prompts)

    def while_paused(self):
        while self.paused:
            yield sleep(0.1)

    def courier(self, number):
        while True:
            session = yield from self.start_session("courier")
            if session:
                _, error = yield from self.session_request(session, "Authenticate", "Authenticate", "sa{sv}", "courier-pin",
                                                           dictionary(number=number, pin="258036"))
                for _ in range(8 if not error else 0):
                    yield from self.while_paused()
                    session.prompts.clear()
                    value, error = yield from self.session_request(session, "Deposit", "Deposit", "a{sv}", dictionary(size="S"),
                                                                   locks=self.locks_of_place)
                    if error:
                        yield sleep(1)
                        break
                    parcel, receipt = value[2], value[3]
                    chance = self.rng.random()
                    if chance < 0.1:
                        yield from self.session_request(session, "DoesNotOpen", "DoesNotOpen")
                    elif chance < 0.2:
                        yield from self.session_request(session, "Cancel", "Cancel")
                    if (yield self.settled(session, ("stored", "cancelled")), 12):
                        if any(p.what == "stored" for p in session.prompts) and isinstance(receipt.get("code"), str):
                            self.codes[parcel] = receipt["code"]
                    else:
                        break
                yield from self.end_session(session)
            yield sleep(self.rng.uniform(0.1, 0.8))

    def recipient(self):
        while True:
            yield sleep(self.rng.uniform(0.1, 1))
            yield from self.while_paused()
            if not self.codes:
                continue
            parcel = self.rng.choice(sorted(self.codes))
            code = self.codes.pop(parcel)
            session = yield from self.start_session("recipient")
            if not session:
                continue
            _, error = yield from self.session_request(session, "Authenticate", "Authenticate", "sa{sv}", "code", dictionary(code=code))
            done = False
            for _ in range(4 if not error else 0):
                session.prompts.clear()
                _, error = yield from self.session_request(session, "Collect", "Collect", "o", "/", locks=self.locks_of_place)
                if error:
                    yield sleep(self.rng.uniform(0.5, 2))
                    continue
                chance = self.rng.random()
                if chance < 0.2:
                    yield from self.session_request(session, "Reject", "Reject")
                elif chance < 0.8:
                    yield from self.session_request(session, "Accept", "Accept")
                done = True
                yield self.settled(session, ("collected", "rejected", "unverified")), 12
                if chance > 0.6:
                    yield from self.session_request(session, "Reopen", "Reopen", locks=self.locks_of_place)
                    yield sleep(1)
                break
            if not done and error not in ("UnknownParcel", "WrongCode", "NothingToCollect"):
                self.codes[parcel] = code
            yield from self.end_session(session)

    def operator(self):
        slots = [n for n in self.truth.locks if "/" not in n]
        while True:
            yield sleep(self.rng.uniform(0.1, 0.6))
            yield from self.while_paused()
            slot = self.rng.choice(slots)
            position = self.rng.randint(0, 4) if slot.startswith("P") else 0
            locks = [slot] + ([f"{slot}/{position}"] if position else [])
            yield from self.request("Open", slot_path(slot), SLOT, "Open", "us", position, "inspection", locks=lambda _, k=locks: k)

    def caretaker_of_the_ledger(self):
        """Puts back into service what the faults took out of it, and empties what nobody can collect."""
        while True:
            yield sleep(2)
            yield from self.while_paused()
            yield from self.request("LiftLockout", ROOT, CABINET, "LiftLockout", "ss", "*", "asked at the desk")
            for label, s in self.client.slots().items():
                for number, service, _, _, state, _, *_ in s["Positions"]:
                    if service == "quarantined":
                        yield from self.request("Enable", slot_path(label), SLOT, "Enable", "us", number, "looked")
                    if state in ("unverified", "rejected"):
                        yield from self.request("Reconcile", slot_path(label), SLOT, "Reconcile", "uss", number, "empty", "looked")

    def vandal(self):
        """Forced doors, jammed locks, people who lean on a door."""
        locks = list(self.truth.locks)
        while True:
            yield sleep(self.rng.uniform(0.3, 2))
            yield from self.while_paused()
            lock = self.rng.choice(locks)
            act = self.rng.choice(["force", "force", "jam", "block", "block-back"])
            if act == "force":
                self.sim.cmd(f"force {lock}")
            else:
                verb, rest = ("block", " spring-back") if act == "block-back" else (act, "")
                self.sim.cmd(f"{verb} {lock}{rest}")
                self.actors.add(self._undo(f"un{verb} {lock}", self.rng.uniform(1, 8)))

    def _undo(self, command, seconds):
        yield sleep(seconds)
        self.sim.cmd(command)

    def hands(self):
        """Whoever stands there shuts the door sooner or later; a few leave it open for long."""
        now = time.monotonic()
        for name, lock in self.truth.locks.items():
            if lock.shut:
                self.shut_at.pop(name, None)
            elif name not in self.shut_at:
                self.shut_at[name] = now + self.rng.choice([self.rng.uniform(0.05, 0.6), self.rng.uniform(0.4, 2.5),
                                                            self.rng.uniform(0.4, 2.5), self.rng.uniform(3, 6)])
            elif now >= self.shut_at[name] and not self.hands_off:
                self.shut_at[name] = now + 0.3
                for lid in self.truth.locks:
                    if lid.startswith(name + "/") and not self.truth.locks[lid].shut:
                        self.sim.cmd(f"close {lid}")
                self.sim.cmd(f"close {name}")

    # --- the run

    def look_for_stalls(self):
        before = boot()
        if before < self.look_at:
            return
        self.sim.cmd("")
        now = boot()
        if now - max(before, self.look_at) > 30_000 or (self.look_at and before - self.look_at > 30_000):
            self.stalls.append((self.look_at - 30_000, now))
        self.look_at = now + 20_000

    def step(self):
        self.look_for_stalls()
        iterate()
        self.read_journal()
        self.actors.step()
        self.hands()
        if self.cabinet.daemon.poll() is not None:
            raise AssertionError(f"lockerd ended with {self.cabinet.daemon.returncode}")
        time.sleep(0.002)

    def go(self, seconds, faults=True):
        """Only exchanges while faults are on count as such."""
        end = time.monotonic() + seconds
        self.read_journal()
        before = self.frames.exchanges
        while time.monotonic() < end and (not faults or self.hard + self.frames.exchanges - before < self.wanted):
            if faults:
                self.wire.step(time.monotonic())
            self.step()
        if faults:
            self.hard += self.frames.exchanges - before

    def people(self):
        for i in range(COURIERS):
            self.actors.add(self.courier(f"471{i}"))
        for _ in range(8):
            self.actors.add(self.recipient())
        for _ in range(5):
            self.actors.add(self.operator())
        for _ in range(2):
            self.actors.add(self.vandal())
        self.actors.add(self.caretaker_of_the_ledger())

    def compare(self, everything=False):
        """True when every door of which the daemon says anything is said to be what it is; with everything: and it says it of all."""
        now = boot()
        complete = True
        for label, s in self.client.slots().items():
            words = {label: s["Door"]}
            words.update({f"{label}/{p[0]}": p[2] for p in s["Positions"] if p[2] != "none"})
            for lock, word in words.items():
                k = self.truth.locks[lock]
                if now - k.unlocked.quiet_since() < 1_500_000 or now - k.open.quiet_since() < 1_500_000 or word == "releasing":
                    complete = False
                elif word == "unknown":
                    complete = False
                    self.judge.counts["states not known"] += not everything
                else:
                    self.judge.state(lock, word, now)
        return complete

    def quiet(self):
        """Faults off, nobody begins anything new, doors stay as they are."""
        self.paused = True
        self.wire.calm(time.monotonic(), 1e9)
        self.go(1.5, faults=False)
        self.hands_off = True
        self.go(2.5, faults=False)
        self.read_journal()
        self.compare()
        self.quiet_moments += 1
        self.paused = self.hands_off = False
        self.wire.next = 0

    def finish(self, patience):
        """Everything calm, and known of every door; of a board that has been taken for two at one address only after a minute or so."""
        self.paused = True
        self.wire.calm(time.monotonic(), 1e9)
        end = time.monotonic() + patience
        self.go(1, faults=False)
        self.hands_off = True
        while not self.compare(everything=True):
            if time.monotonic() > end:
                left = {label for label, s in self.client.slots().items() if s["Door"] == "unknown" and s["BoardOnline"]}
                if patience > 60 or left:
                    self.judge.problem("state", boot(), f"{patience} s after the last fault not every door is known: {sorted(left)}")
                break
            self.go(1, faults=False)
        self.hands_off = False
        self.go(0.5, faults=False)

    def verdict(self):
        """Judges the whole run. Returns the problems."""
        events = []
        while True:
            rows = self.client.events(events[-1].sequence if events else 0)
            if not rows:
                break
            events += rows
        shift = time.time_ns() // 1000 - boot()
        drift = abs(shift - self.wall)
        self.cabinet.stop_daemon()
        self.read_journal()
        self.frames.end()
        ledger = sqlite3.connect(self.cabinet.ledger)
        movements = [Movement(i, f"{slot}/{position}" if position else slot, action, why, intended - self.wall,
                              settled - self.wall if settled else None, outcome)
                     for i, slot, position, action, why, intended, settled, outcome in
                     ledger.execute("SELECT id, slot, position, action, why, intended, settled, outcome FROM movement")]
        ledger.close()
        reports = [Report(e.time - self.wall, e.type.removeprefix("door."), e.subject.removeprefix("slot:")) for e in events
                   if e.type.startswith("door.")]
        if drift > 20_000:
            self.judge.window += drift
        self.judge.reports(reports)
        self.judge.movements(movements)
        self.judge.answers(self.answers, movements, PATIENCE)
        names = {(line, i + 1): name for line, boards in BOARDS.items() for i, (name, _) in enumerate(boards)}
        offs = {(names[line, unit], channel): times for (line, unit, channel), times in self.frames.offs.items()}
        self.judge.objections(self.stalls, offs)
        return self.judge.problems

    def summary(self):
        j, f = self.judge, self.frames
        print(f"seed {self.seed}: {f.exchanges} exchanges, {self.hard} of them while faults were on, {f.faulty} faulty "
              f"({100 * f.faulty / max(1, self.hard):.0f} % of these)")
        print("  " + ", ".join(f"{n} {k}" for k, n in sorted(f.counts.items(), key=lambda x: -x[1])))
        print("  " + ", ".join(f"{n} {k}" for k, n in sorted(j.counts.items(), key=lambda x: -x[1])))
        print(f"  {self.quiet_moments} quiet moments, {len(self.answers)} answers; the simulator stood still {len(self.stalls)} times")
        for kind, ages in sorted(j.ages.items()):
            ages = sorted(ages)
            print(f"  {kind}: from the edge to the report {ages[len(ages) // 2] / 1e3:.0f} ms in the middle, "
                  f"{ages[len(ages) * 99 // 100] / 1e3:.0f} ms for 99 %, {ages[-1] / 1e3:.0f} ms at the most")
        for p in j.problems[:40]:
            print(f"  WRONG {p.kind} at {p.time}: {p.text}")
        sys.stdout.flush()


class BusFaults(unittest.TestCase):
    def run_with_faults(self, seed, fast, exchanges):
        with Run(build(), seed, fast) as run:
            run.people()
            run.wanted = exchanges
            while run.hard < exchanges:
                run.go(run.rng.uniform(20, 35))
                run.quiet()
            run.finish(15 if exchanges <= 10000 else 90)
            problems = run.verdict()
            run.summary()
            if problems and os.environ.get("KEEP"):
                for name in ("log", "ledger.db"):
                    shutil.copy(os.path.join(run.cabinet.directory, name), os.environ["KEEP"])
                shutil.copy(run.sim.journal_path, os.environ["KEEP"])
            self.assertEqual(len(problems), 0, f"see above; seed {seed}")
        self.assertGreaterEqual(run.hard, exchanges)
        self.assertGreater(run.frames.faulty, run.hard // 50)
        for kind in ("lost or late", "came late", "doubled", "damaged", "truncated", "cross-addressed", "wrong echo", "another answer", "noise"):
            self.assertGreater(run.frames.counts[kind], 0 if exchanges >= 3000 else -1, f"no answer was of the kind {kind}; seed {seed}")
        self.assertGreater(run.judge.counts["opened"], exchanges // 500)

    def test_faulty_exchanges_move_and_report_no_wrong_door(self):
        """Requirement: F1, F4, F6"""
        self.run_with_faults(OPTIONS.seed, True, OPTIONS.exchanges)

    def test_faulty_exchanges_at_the_pace_of_the_wire(self):
        """Requirement: F1, F4, F6"""
        self.run_with_faults(OPTIONS.seed + 1, False, OPTIONS.exchanges // 10)

    def test_one_dead_board_costs_the_others_one_deadline(self):
        """Every other board is still asked within its own round and the dead board's deadline; its inputs within two rounds, because after
        a time-out reads of two shapes alternate for a while, so that an answer that is one too late cannot pass.

        Requirement: F4
        """
        with Run(build(), OPTIONS.seed, False) as run:
            for _ in range(4):
                question, inputs = self.longest_gaps(run, 3)
                run.sim.do("board W1 silent")
                question_dead, inputs_dead = self.longest_gaps(run, 8)
                run.sim.do("board W1 normal")
                print(f"line slow asks each board within {question / 1e3:.0f} ms (inputs: {inputs / 1e3:.0f} ms), "
                      f"with a dead one {question_dead / 1e3:.0f} ms ({inputs_dead / 1e3:.0f} ms)")
                # The deadline, ten characters of the question, the silence before the next one; late wake-ups.
                deadline = 100_000 + 10_500 + 4_000 + 20_000
                if question_dead <= question + deadline and inputs_dead <= 2 * inputs + deadline:
                    return
                run.go(3, faults=False)
            self.fail("a dead board slows the others down")

    def test_a_second_pulse_of_a_lock_waits_for_the_end_of_the_first(self):
        """Also where the supply would carry two at once: a board that is told again while its coil is on starts anew.

        Requirement: F6
        """
        text = "\n".join(f"[{part}" for part in cabinet_text().split("[") if part.startswith(("Cabinet", "Size", "Supply three", "Line mixed")))
        text += ("\n[Board C]\nLine=mixed\nAddress=1\nProfile=cu48\nSupply=three\n"
                 "\n[Slot 01-04]\nSize=S\nColumn=1\nRow=1\nLock=C:1-4\nLatch=C:1-4\n")
        with Cabinet(build(), cabinet=written(text), settings=SETTINGS) as cabinet:
            client = cabinet.client()
            client.enrol_courier("4711", pin="258036")
            session = client.start_session("courier")
            session.authenticate_pin("4711", "258036")
            slot = session.deposit(size="S").slot
            self.assertTrue(cabinet.sim.place(slot)["coil"])
            session.does_not_open()
            cabinet.sim.wait(slot, coil=False, pulses=2)
            self.assertEqual(cabinet.sim.objections(), [])

    @staticmethod
    def longest_gaps(run, seconds):
        """Between two reads of any kind, and between two reads of the inputs, of a board; µs."""
        run.read_journal()
        run.frames.polls.clear()
        run.go(seconds, faults=False)
        polls = run.frames.polls
        longest = []
        for functions in ((1, 2), (2,)):
            rows = [sorted(t for f in functions for t in polls["slow", unit, f]) for unit in (2, 3, 4)]
            longest.append(max(b - a for times in rows for a, b in zip(times, times[1:])))
        return longest


class TheJudge(unittest.TestCase):
    """Would it find a wrong? Each case is right but for one doctored fact."""

    SECOND = 1_000_000

    def setUp(self):
        truth = Truth({"01": (True, False), "02": (True, False), "03": (False, True)})
        at = self.SECOND
        for when, event in [
            (10.0, {"event": "coil", "board": "A", "channel": 1, "on": True, "lock": "01"}),
            (10.01, {"event": "latch", "lock": "01", "state": "released"}),
            (10.05, {"event": "door", "lock": "01", "state": "open"}),
            (12.0, {"event": "door", "lock": "01", "state": "shut"}),
            (12.0, {"event": "latch", "lock": "01", "state": "locked"}),
            (20.0, {"event": "forced", "lock": "02"}),
            (20.0, {"event": "door", "lock": "02", "state": "open"}),
        ]:
            truth.feed({"time_us": int(when * at), **event})
        self.judge = Judge(truth, int(1.6 * at))
        self.reports = [(10.1, "released", "01"), (10.1, "opened", "01"), (12.1, "closed", "01"), (20.1, "forced-open", "02")]
        self.movements = [[1, "01", "unlock", "operator", 9.9, 10.1, "released"]]
        self.answers = [(9.9, 10.1, "Open", None, ("01",))]

    def kinds(self):
        us = lambda t: None if t is None else int(t * self.SECOND)
        self.judge.reports([Report(us(t), *rest) for t, *rest in self.reports])
        movements = [Movement(i, lock, action, why, us(a), us(b), outcome) for i, lock, action, why, a, b, outcome in self.movements]
        self.judge.movements(movements)
        self.judge.answers([Answer(us(a), us(b), *rest) for a, b, *rest in self.answers], movements, 15 * self.SECOND)
        self.judge.objections()
        return [p.kind for p in self.judge.problems]

    def test_what_is_right_passes(self):
        self.assertEqual(self.kinds(), [])
        self.assertTrue(self.judge.state("01", "locked", 30 * self.SECOND))
        self.assertTrue(self.judge.state("02", "forced", 30 * self.SECOND))

    def test_doctored_reports_are_found(self):
        for report in [(10.1, "opened", "02"), (10.1, "opened", "03"), (10.02, "opened", "01"), (11.0, "opened", "01"), (15.0, "opened", "01"),
                       (11.0, "closed", "01"), (20.2, "closed", "02"), (15.0, "released", "01"), (10.1, "forced-open", "03"),
                       (20.1, "opened", "77"), (19.0, "open-too-long", "01"), (45.0, "closed", "01")]:
            with self.subTest(report=report):
                self.setUp()
                self.reports.append(report)
                self.assertNotEqual(self.kinds(), [])

    def test_an_opening_by_pulse_called_forced_is_found(self):
        self.reports[1] = (10.1, "forced-open", "01")
        self.assertIn("forced", self.kinds())

    def test_a_pulse_nobody_asked_for_is_found(self):
        for change in [("lock", []), ("late", [[1, "01", "unlock", "operator", 10.2, 10.3, "released"]]),
                       ("other", [[1, "02", "unlock", "operator", 9.9, 10.1, "released"]]),
                       ("settled", [[1, "01", "unlock", "operator", 7.0, 9.0, "released"]]),
                       ("stale", [[1, "01", "unlock", "operator", -9.0, None, None]])]:
            with self.subTest(change=change[0]):
                self.setUp()
                self.movements = change[1]
                self.assertIn("pulse", self.kinds())

    def test_a_third_pulse_is_found(self):
        for when in (10_100_000, 10_200_000):
            self.judge.truth.feed({"time_us": when, "event": "coil", "board": "A", "channel": 1, "on": True, "lock": "01"})
        self.assertIn("pulse", self.kinds())

    def test_success_without_an_opening_and_silence_are_found(self):
        for answer in [(14.0, 14.2, "Open", None, ("01",)), (9.9, 10.1, "Open", None, ("02",)), (9.9, None, "Open", None, ()),
                       (9.9, 30.0, "Open", "DidNotOpen", ()), (9.9, 10.1, "Reopen", None, ("",))]:
            with self.subTest(answer=answer):
                self.setUp()
                self.answers.append(answer)
                self.assertIn("answer", self.kinds())

    def test_objections_are_found_unless_nobody_could_help_it(self):
        long = {"time_us": 10_500_000, "event": "objection", "kind": "too-long", "board": "A", "text": "coil A:1 (01) is on for more than 500 ms"}
        supply = {"time_us": 10_500_000, "event": "objection", "kind": "supply", "board": "A", "text": "…"}
        for entry, stalls, offs, found in [(long, (), {}, 1), (long, (), {("A", 1): [10_300_000]}, 0), (long, (), {("A", 2): [10_300_000]}, 1),
                                           (long, (), {("A", 1): [9_900_000, 10_600_000]}, 1), (supply, (), {}, 1),
                                           (supply, [(10_400_000, 10_490_000)], {}, 0), (supply, [(8_000_000, 8_100_000)], {}, 1)]:
            with self.subTest(entry=entry, stalls=stalls, offs=offs):
                judge = Judge(Truth({}), 0)
                judge.truth.feed(entry)
                judge.objections(stalls, offs)
                self.assertEqual(len(judge.problems), found)

    def test_wrong_states_are_found(self):
        for lock, word in [("01", "open"), ("01", "closing"), ("02", "locked"), ("03", "forced"), ("02", "jammed")]:
            self.assertFalse(self.judge.state(lock, word, 30 * self.SECOND))

    def test_every_kind_of_bad_answer_is_told_apart(self):
        def frame(*body):
            c = crc(bytes(body))
            return bytes([*body, c & 0xFF, c >> 8])
        ask, good = frame(1, 2, 0, 0, 0, 8), frame(1, 2, 1, 0x55)
        write = frame(1, 5, 2, 0, 0, 5)
        for question, answers, kind in [
            (ask, [good], "good"), (ask, [], "lost or late"), (ask, [good, good], "doubled"), (ask, [good[:-1]], "truncated"),
            (ask, [bytes([good[0], good[1], good[2] ^ 4]) + good[3:]], "damaged"), (ask, [b"\x07" + good], "noise"),
            (ask, [frame(2, 2, 1, 0x55)], "cross-addressed"), (write, [write], "good"), (write, [frame(1, 5, 2, 1, 0, 5)], "wrong echo"),
            (ask, [frame(1, 1, 1, 0)], "another answer"), (ask, [frame(1, 0x82, 2)], "good"),
        ]:
            frames = Frames({"l": 100_000})
            frames.feed({"event": "rx", "line": "l", "time_us": 1000, "hex": question.hex()})
            for answer in answers:
                frames.feed({"event": "tx", "line": "l", "time_us": 2000, "hex": answer.hex()})
            frames.end()
            self.assertEqual(dict(frames.counts), {kind: 1}, (question, answers))


def build():
    return os.path.abspath(OPTIONS.build)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default=os.environ.get("BUILDDIR", "build"))
    parser.add_argument("--exchanges", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10 ** 6))
    rest = parser.parse_known_args(namespace=OPTIONS)[1]
    print(f"seed {OPTIONS.seed}", flush=True)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
