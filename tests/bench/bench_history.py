# SPDX-License-Identifier: Apache-2.0
"""Every operation with a million parcels of history against the same with none.

Two cabinets, each with its own bus, boards and daemon, do the same step in turns, now one first, now the other. Without a lock, a step
is timed from the D-Bus call to its reply; with one, from the call to the first byte of the unlock command on the line; the end of a step
(stored, collected, rejected, returned) from the answer on the line that confirms the shut door to the prompt. The ratio of an operation
is the median of the ratios of its pairs. With --memory both ledgers lie on tmpfs, so that no disk covers up what the history costs.
"""
import os
import sys
import tempfile
import time

from benchlib import (CABINET, PARCEL, PROPERTIES, ROOT, SLOT, BenchCabinet, History, Refused, Terminal, arguments, cabinet_text, dictionary,
                      history_ledger, median, report, settings_for, slot_path)

PARCELS, SHORT = 1_000_000, 50_000
GOAL = 1.1
SESSION_ROUNDS = 3  # what is quick is done more often


class Side:
    """One cabinet; the same steps are done on both."""

    def __init__(self, build, source, directory):
        ledger = History(source, directory).path
        self.cabinet = BenchCabinet(build, cabinet_text(1, baud=115200), settings_for(ledger), fast=True).start()
        self.terminal = Terminal(self.cabinet)
        self.bus = self.terminal.bus
        self.terminal.enrol_courier()
        self.parcels, self.path, self.person, self.slot, self.round = [], None, None, None, 0

    def stop(self):
        self.terminal.close()
        self.cabinet.stop()

    # --- steps: each returns microseconds (or None) and leaves what the next one needs

    def call(self, *what):
        return self.bus.call(*what).took

    def start_session(self, kind):
        reply = self.terminal.start(kind)
        self.path = reply.value
        return reply.took

    def end_session(self):
        return self.terminal.session(self.path, "End").took

    def sign_in(self):
        return self.terminal.authenticate(self.path, "courier-pin", number="4711", pin="258036").took

    def wrong_code(self, short="WrongCode"):
        try:
            self.terminal.authenticate(self.path, "code", code="ZZZZZZ", slot=self.parcels[0][0])
        except Refused as refusal:
            if refusal.short != short:
                raise
            return refusal.reply.took
        raise AssertionError("a wrong code was accepted")

    def right_code(self):
        slot, code, _ = self.parcels[0]
        return self.terminal.authenticate(self.path, "code", code=code, slot=slot).took

    def deposit(self):
        slot, _, _, self.opened, self.settled, _ = self.terminal.deposit(self.path, self.parcels, recipient="Erika Mustermann",
                                                                         phone="+49 170 1234567", waybill="W1")
        return self.opened

    def settle(self):
        return self.settled

    def collect(self, choice):
        slot, _, _ = self.parcels[0]
        _, opened, _ = self.terminal.opening(self.path, "Collect", "o", "/")
        self.chosen = self.terminal.session(self.path, choice).took
        if choice == "Accept":
            self.terminal.sim.do(f"take {slot}")
        self.settled = self.terminal.shut(slot, self.path, "collected" if choice == "Accept" else "rejected")
        self.done = self.parcels.pop(0)
        return opened

    def choose(self):
        return self.chosen

    def take_back(self):
        slot = self.done[0]
        _, opened, _ = self.terminal.opening(self.path, "TakeBack")
        self.terminal.sim.do(f"take {slot}")
        self.settled = self.terminal.shut(slot, self.path, "returned")
        return opened

    def operator_opens(self):
        path = slot_path("008")
        self.terminal.journal.skip()
        serial, sent = self.bus.send(path, SLOT, "Open", "us", 0, "inspection")
        seen = self.terminal.journal.wait_unlock(sent)
        self.bus.reply(serial, sent)
        self.terminal.wait_until_shuttable("008")
        self.terminal.sim.do("close 008")
        self.terminal.sim.wait("008", door="shut")
        time.sleep(0.1)
        return seen[-1]["start_us"] - sent

    def enrol(self):
        self.round += 1
        reply = self.bus.call(ROOT, CABINET, "Enrol", "a{sv}",
                              dictionary(kind="recipient", phone=f"+49 151 {self.round:07}", name="Max Mustermann"))
        self.person = reply.value
        return reply.took

    def revoke(self):
        return self.call(ROOT, CABINET, "Revoke", "ts", self.person, "has left")

    def parcel(self, member):
        reply = self.bus.call(self.parcels[0][2], PARCEL, member, "s", "asked for")
        if member == "NewCode":
            slot, _, path = self.parcels[0]
            self.parcels[0] = (slot, reply.value, path)
        if member == "Recall":
            self.done = self.parcels.pop(0)
        return reply.took

    def newest_events(self):
        last = self.bus.call(ROOT, PROPERTIES, "Get", "ss", CABINET, "LastEvent").value
        return self.call(ROOT, CABINET, "GetEvents", "tu", max(last - 50, 0), 50)

    def first_events(self):
        return self.call(ROOT, CABINET, "GetEvents", "tu", 0, 20)

    def history_of_one(self):
        return self.call(ROOT, CABINET, "FindHistory", "t", int(self.done[2].rsplit("/", 1)[1]))

    def service(self, member):
        return self.call(slot_path("007"), SLOT, member, "us", 0, "hinge")

    def objects(self):
        return self.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")

    def get(self, name):
        return self.call(ROOT, PROPERTIES, "Get", "ss", CABINET, name)

    def people(self):
        return self.call(ROOT, CABINET, "ListPeople")

    def lockouts(self):
        return self.call(ROOT, CABINET, "ListLockouts")

    def lift(self):
        return self.call(ROOT, CABINET, "LiftLockout", "ss", "*", "asked at the desk")


def steps():
    """(name, step, its arguments) of one round; names that come back are more samples of the same operation"""
    yield from [("session: start", "start_session", "courier"), ("session: PIN (scrypt)", "sign_in")]
    for _ in range(3):
        yield from [("deposit", "deposit"), ("deposit: stored", "settle")]
    yield ("session: end", "end_session")
    for choice in ("Accept", "Reject"):
        yield ("session: start", "start_session", "recipient")
        for _ in range(SESSION_ROUNDS):
            yield ("code: wrong", "wrong_code")
        yield from [("lockout: list", "lockouts"), ("lockout: lift", "lift"), ("parcel: new code", "parcel", "NewCode"),
                    ("code: right", "right_code"), ("collect", "collect", choice), (f"collect: {choice.lower()}", "choose"),
                    (f"collect: {'collected' if choice == 'Accept' else 'rejected'}", "settle"), ("session: end", "end_session")]
        if choice == "Accept":
            yield ("history of a parcel", "history_of_one")
    for again in (False, True):
        if again:
            yield ("parcel: recall", "parcel", "Recall")
        yield from [("session: start", "start_session", "courier"), ("session: PIN (scrypt)", "sign_in"), ("take back", "take_back"),
                    ("take back: returned", "settle"), ("session: end", "end_session")]
    yield ("open by an operator", "operator_opens")
    for _ in range(SESSION_ROUNDS):
        yield from [("enrol", "enrol"), ("revoke", "revoke"), ("slot: disable", "service", "Disable"),
                    ("slot: enable", "service", "Enable"), ("events: the newest 50", "newest_events"),
                    ("events: the first 20", "first_events"), ("all objects", "objects"), ("free positions", "get", "FreePositions"),
                    ("people: list", "people")]


def locked_out():
    """At the end, because it stays: until the tenth wrong entry locks, then what the lock costs."""
    yield ("session: start", "start_session", "courier")
    yield ("session: PIN (scrypt)", "sign_in")
    yield ("deposit", "deposit")
    yield ("session: end", "end_session")
    yield ("session: start", "start_session", "recipient")
    for _ in range(9):
        yield ("code: wrong", "wrong_code")
    yield ("lockout: begins", "wrong_code")
    for _ in range(10):
        yield ("lockout: refuses", "wrong_code", "LockedOut")
    yield ("lockout: lift", "lift")


def run(sides, plan, samples, turn):
    for name, step, *what in plan:
        pair = {}
        for side in sides if turn % 2 else sides[::-1]:
            pair[side] = getattr(side, step)(*what)
        if all(pair.values()):
            samples.setdefault(name, []).append(tuple(pair[side] for side in sides))
        turn += 1
    return turn


def main():
    args = arguments(__doc__, rounds=(30, "rounds of all operations"), parcels=(PARCELS, "parcels of history"),
                     memory=(False, "ledgers on tmpfs"))
    if args.short:
        args.parcels = min(args.parcels, SHORT)  # a million takes more than a minute to make
    sources = [history_ledger(args.build, n) for n in (0, args.parcels)]
    samples, turn = {}, 0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if args.memory else None) as directory:
        sides = []
        try:
            for i, source in enumerate(sources):
                os.mkdir(os.path.join(directory, str(i)))
                sides.append(Side(args.build, source, os.path.join(directory, str(i))))
            for _ in range(2 if args.short else args.rounds):
                turn = run(sides, steps(), samples, turn)
                run(sides, locked_out(), samples, turn)
                for side in sides:
                    side.terminal.session(side.path, "End")
                    side.start_session("recipient")
                    side.parcel("NewCode")  # a code that was guessed at is good no more
                    side.right_code()
                    side.collect("Accept")
                    side.end_session()
        except BaseException:
            for side in sides:
                print(side.cabinet.log()[-2000:], file=sys.stderr)
            raise
        finally:
            for side in sides:
                side.stop()
    show(samples, args.parcels)


def interval(ratios):
    """Where the median is with 95 % certainty, whatever the distribution."""
    ordered, n = sorted(ratios), len(ratios)
    k = max(0, int(n / 2 - 0.98 * n ** 0.5))
    return ordered[k], ordered[n - 1 - k]


def show(samples, parcels):
    print(f"{'operation':26} {'pairs':>5} {'empty ms':>9} {'full ms':>9} {'ratio':>6}  95 %        ({parcels} parcels of history)")
    ratios = {name: [full / empty for empty, full in pairs] for name, pairs in samples.items()}
    undecided, slower = [], []
    for name, pairs in sorted(samples.items()):
        ratio, (low, high) = median(ratios[name]), interval(ratios[name])
        if low > GOAL:
            slower.append(name)
        elif ratio > GOAL:
            undecided.append(name)
        print(f"{name:26} {len(pairs):5} {median([p[0] for p in pairs]) / 1000:9.3f} {median([p[1] for p in pairs]) / 1000:9.3f} "
              f"{ratio:6.2f}  {low:.2f}-{high:.2f}{' SLOWER' if low > GOAL else ' ?' if ratio > GOAL else ''}")
    every = median([median(r) for r in ratios.values()])
    report("history, all operations", f"{every:.2f}", f"<= {GOAL}", every <= GOAL)
    report("history, operations that are slower", ", ".join(slower) or "none", f"none above {GOAL}", not slower)
    if undecided:
        print(f"Too noisy to say (the ratio is above {GOAL}, its interval is not): {', '.join(undecided)}")


if __name__ == "__main__":
    main()
