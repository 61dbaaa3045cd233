# SPDX-License-Identifier: Apache-2.0
"""Judges what lockerd said and did against what really happened, by locksim's journal. Pure: everything is handed in, all times are
microseconds of CLOCK_BOOTTIME.

What a lock's sensors can show, and so what a report may claim:
    open      the contact says so; where there is only a latch contact, the bolt is not home in a shut door
    unlocked  open, or the bolt is not home (as far as there is a sensor for it)
"""
import bisect
import collections
import re

EXPIRES = 5_000_000     # a command that has not gone out by then is stale
RELEASE = 1_500_000     # the release window of the cabinets used here
DETECTION = 4_000_000   # three questions without an answer, a late window apart, make a board offline
MAX_PULSE = 500_000     # of the profiles whose pulses the computer ends
OLDEST = 30_000_000     # a report waits for two good answers in a row; a board that spoils every other one delays them by seconds
STALL_AFTER = 1_200_000 # a pulse that began late ends late
IN_FLIGHT = 500_000     # a pulse that can no longer be held back when its movement is settled: one exchange, not quiet at once
REOPENS = 800_000       # a pulse and the spring: who pushes the door shut meanwhile sees it open again

Report = collections.namedtuple("Report", "time type lock")
Answer = collections.namedtuple("Answer", "asked answered what error locks")
Movement = collections.namedtuple("Movement", "id lock action why intended settled outcome")
Problem = collections.namedtuple("Problem", "kind time text")


class Signal:
    """A truth value over time, false at first."""

    def __init__(self):
        self.times = []
        self.values = []

    def set(self, time, value):
        if value != self.now:
            self.times.append(time)
            self.values.append(value)

    @property
    def now(self):
        return self.values[-1] if self.values else False

    def at(self, time):
        i = bisect.bisect_right(self.times, time)
        return self.values[i - 1] if i else False

    def was(self, value, since, until):
        """Was it so at any moment of that time?"""
        if self.at(since) == value:
            return True
        i = bisect.bisect_right(self.times, since)
        return i < len(self.times) and self.times[i] <= until

    def last_edge(self, value, until):
        """The last change to `value` up to then, or None."""
        i = bisect.bisect_right(self.times, until) - 1
        while i >= 0 and self.values[i] != value:
            i -= 1
        return self.times[i] if i >= 0 else None

    def quiet_since(self):
        return self.times[-1] if self.times else 0


class Lock:
    """What really happened at one lock. has_contact, has_latch: which sensors the cabinet has."""

    def __init__(self, has_contact, has_latch):
        self.has_contact, self.has_latch = has_contact, has_latch
        self.shut, self.home = True, True
        self.open, self.unlocked = Signal(), Signal()
        self.pulses = []      # when its coil was switched on
        self.forced = []      # when somebody broke it open

    def door(self, time, shut):
        self.shut = shut
        self._look(time)

    def latch(self, time, home):
        self.home = home
        self._look(time)

    def _look(self, time):
        locked = self.shut and (self.home or not self.has_latch)
        self.unlocked.set(time, not locked)
        self.open.set(time, not self.shut if self.has_contact else not locked)


class Truth:
    """Every lock's real history; feed() takes journal entries in any order that locksim wrote them in."""

    def __init__(self, sensors):
        """sensors: lock → (has_contact, has_latch)"""
        self.locks = {name: Lock(*has) for name, has in sensors.items()}
        self.strays = []      # coils without a lock
        self.objections = []

    def feed(self, entry):
        event, time = entry["event"], entry["time_us"]
        if event == "coil" and entry["on"]:
            if entry.get("lock") in self.locks:
                self.locks[entry["lock"]].pulses.append(time)
            else:
                self.strays.append(entry)
        elif event == "door":
            self.locks[entry["lock"]].door(time, entry["state"] == "shut")
        elif event == "latch":
            self.locks[entry["lock"]].latch(time, entry["state"] == "locked")
        elif event == "forced":
            self.locks[entry["lock"]].forced.append(time)
        elif event == "objection":
            self.objections.append(entry)


class Judge:
    """window: how old a fact may be at the most when it is reported (late window and two rounds)."""

    def __init__(self, truth, window):
        self.truth, self.window = truth, window
        self.problems = []
        self.counts = collections.Counter()
        self.ages = collections.defaultdict(list)   # type → µs from the edge to the report

    def problem(self, kind, time, text):
        self.problems.append(Problem(kind, time, text))

    # --- reports

    def reports(self, reports):
        used = {}             # (lock, what) → the edge that was reported last
        for r in sorted(reports, key=lambda r: r.time):
            self.counts[r.type] += 1
            lock = self.truth.locks.get(r.lock)
            if lock is None:
                self.problem("unknown-lock", r.time, f"{r.type} of {r.lock}, which does not exist")
            elif r.type in ("opened", "forced-open"):
                self._moved(r, lock.open, True, used, "open")
                if r.type == "forced-open":
                    self._forced(r, lock)
            elif r.type == "closed":
                self._moved(r, lock.unlocked, False, used, "closed")
            elif r.type in ("released", "open-too-long"):
                # Nobody needs to look at a door for time to pass; until its board counts as offline it is taken to stand as before.
                window = self.window + (DETECTION if r.type == "open-too-long" else 0)
                if not lock.unlocked.was(True, r.time - window, r.time):
                    self.problem(r.type, r.time, f"{r.lock} was reported {r.type}, but was locked all the time")
            elif r.type == "failed-to-open":
                self._failed(r, lock)
            elif r.type == "unknown":
                # What happened unseen may be told once more.
                used.pop((r.lock, "open"), None)
                used.pop((r.lock, "closed"), None)

    def _moved(self, r, signal, value, used, what):
        edge = signal.last_edge(value, r.time)
        if edge is None:
            self.problem(r.type, r.time, f"{r.lock} was reported {r.type}, but never was so before")
            return
        if not signal.was(value, r.time - self.window, r.time):
            self.problem(r.type, r.time, f"{r.lock} was reported {r.type}, but has not been so for {self.window / 1e6:.1f} s")
        before = used.get((r.lock, what))
        if before is not None and edge <= before:
            self.problem(r.type, r.time, f"{r.lock} was reported {r.type} twice for one movement, at {before}")
        used[r.lock, what] = edge
        if r.time - edge > OLDEST:
            self.problem(r.type, r.time, f"{r.lock} was reported {r.type} {(r.time - edge) / 1e6:.1f} s late")
        self.ages[r.type].append(r.time - edge)

    def _forced(self, r, lock):
        """A door that opened by its own pulse was not broken open, when that was seen within the release window. Seen later, nobody can tell;
        it is counted."""
        edge = lock.open.last_edge(True, r.time)
        if edge is None or any(edge - 100_000 <= f <= edge for f in lock.forced):
            return
        pulse = max((p for p in lock.pulses if edge - REOPENS <= p <= edge), default=None)
        if pulse is None:
            return
        self.counts["forced-open by its own pulse, seen late"] += 1
        if r.time - pulse < RELEASE:
            self.problem("forced", r.time, f"{r.lock} was reported forced open, but its own pulse opened it at {edge}")

    def _failed(self, r, lock):
        """Somebody who has seen it open for the whole time cannot say that it did not."""
        pulse = max((p for p in lock.pulses if p <= r.time), default=None)
        edge = lock.unlocked.last_edge(True, r.time)
        if pulse is not None and edge is not None and lock.unlocked.at(r.time) and pulse <= edge <= pulse + REOPENS:
            self.counts["failed-to-open although it was open"] += 1

    # --- acts

    def movements(self, movements):
        """Every pulse has a movement, in time, and at most two for each."""
        by_lock = collections.defaultdict(list)
        for m in sorted(movements, key=lambda m: m.intended):
            if m.action == "unlock":
                by_lock[m.lock].append(m)
        pulses = collections.Counter()
        for entry in self.truth.strays:
            self.problem("pulse", entry["time_us"], f"coil {entry['board']}:{entry['channel']}, on which no lock hangs, was energised")
        for name, lock in self.truth.locks.items():
            for t in lock.pulses:
                self.counts["pulses"] += 1
                mine = [m for m in by_lock[name] if m.intended <= t]
                if not mine:
                    self.problem("pulse", t, f"{name} was energised, but nobody had asked for it")
                    continue
                # The newest that was not settled yet, else one whose pulse may have been on its way, else the newest.
                m = (next((m for m in reversed(mine) if m.settled is None or m.settled >= t), None) or
                     next((m for m in reversed(mine) if m.settled + IN_FLIGHT >= t and pulses[m.id] < 2), None) or mine[-1])
                pulses[m.id] += 1
                if m.settled is not None and t > m.settled + IN_FLIGHT:
                    self.problem("pulse", t, f"{name} was energised {(t - m.settled) / 1e3:.0f} ms after movement {m.id} was "
                                             f"settled as {m.outcome}")
                elif t > m.intended + 2 * EXPIRES + RELEASE + self.window:
                    self.problem("pulse", t, f"{name} was energised {(t - m.intended) / 1e6:.1f} s after it was asked for")
                if pulses[m.id] > 2:
                    self.problem("pulse", t, f"{name} was energised {pulses[m.id]} times for movement {m.id} ({m.why})")
        self.counts["movements"] += len(movements)
        self.counts["movements with two pulses"] += sum(n == 2 for n in pulses.values())

    def answers(self, answers, movements, patience):
        """A success means an open door; patience: µs for each movement that a request needed (at least one)."""
        for a in answers:
            self.counts[f"{a.what}: {a.error or 'done'}"] += 1
            if a.answered is None:
                self.problem("answer", a.asked, f"{a.what} was never answered")
                continue
            n = max(1, sum(a.asked <= m.intended <= a.answered for m in movements))
            if a.answered - a.asked > n * patience:
                self.problem("answer", a.asked, f"{a.what} took {(a.answered - a.asked) / 1e6:.1f} s")
            if a.error and (a.error.startswith("local.") or a.error.startswith("org.freedesktop")):
                self.problem("answer", a.asked, f"{a.what} ended with {a.error}")
            for name in a.locks if not a.error else ():
                if name not in self.truth.locks:
                    self.problem("answer", a.answered, f"{a.what} was answered with a place that does not exist: '{name}'")
                elif not self.truth.locks[name].unlocked.was(True, a.asked - self.window, a.answered):
                    self.problem("answer", a.answered, f"{a.what} was answered with success, but {name} did not open")

    def objections(self, stalls=(), offs=None):
        """offs: (board, channel) → when the daemon asked for that coil to be switched off. Where the computer has to end a pulse, a board that
        does not hear it is beyond anybody's power; not to ask in time is a fault.
        stalls: when the simulator itself stood still, (since, until). A board that hears a question after its answer has been given up is
        one that does not exist: what it objects to then is its own doing."""
        for o in self.truth.objections:
            time = o["time_us"]
            if o["kind"] in ("gap", "supply", "cooldown") and any(since <= time <= until + STALL_AFTER for since, until in stalls):
                self.counts["objections of a simulator that stood still"] += 1
            elif o["kind"] == "too-long" and offs and self._asked_off(o, offs):
                self.counts["pulses whose end was asked for in time, but not heard"] += 1
            else:
                self.problem("objection", time, f"{o['kind']}: {o['text']}")

    @staticmethod
    def _asked_off(o, offs):
        channel = int(re.search(r":(\d+) ", o["text"])[1])
        return any(o["time_us"] - MAX_PULSE < t < o["time_us"] for t in offs.get((o["board"], channel), ()))

    def state(self, lock, word, time):
        """A door's state in a moment in which it has long been still."""
        k = self.truth.locks[lock]
        if k.open.at(time):
            right = ("open", "forced", "left_open")
        elif k.unlocked.at(time):
            right = ("open", "closing", "left_open")
        else:
            right = ("locked", "jammed")
        self.counts["states compared"] += 1
        if word not in right:
            self.problem("state", time, f"{lock} is {word}, should be {' or '.join(right)}")
            return False
        return True


# --- frames

def _crc_row(c):
    for _ in range(8):
        c = c >> 1 ^ 0xA001 if c & 1 else c >> 1
    return c


CRC = [_crc_row(i) for i in range(256)]


def crc(data):
    c = 0xFFFF
    for byte in data:
        c = c >> 8 ^ CRC[(c ^ byte) & 0xFF]
    return c


def answers_question(question, answer):
    """Is it, by its form, the right answer to this question?"""
    unit, function = question[0], question[1]
    if len(answer) < 5 or answer[0] != unit or crc(answer) != 0:
        return False
    if answer[1] == function | 0x80:
        return len(answer) == 5
    if answer[1] != function:
        return False
    if function in (5, 6):
        return answer[:6] == question[:6]
    count = int.from_bytes(question[4:6], "big")
    size = (count + 7) // 8 if function in (1, 2) else 2 * count
    return answer[2] == size and len(answer) == 5 + size


def what_is_wrong(question, answer):
    """What the daemon saw in place of the right answer."""
    if crc(answer) != 0 or len(answer) < 4:
        if question[1] in (5, 6):
            right = 8
        else:
            count = int.from_bytes(question[4:6], "big")
            right = 5 + ((count + 7) // 8 if question[1] in (1, 2) else 2 * count)
        return "truncated" if len(answer) < right else "noise" if len(answer) > right else "damaged"
    if answer[0] != question[0]:
        return "cross-addressed"
    if answer[1] == question[1] == 5:
        return "wrong echo"
    return "another answer"


class Frames:
    """Counts exchanges by what came back. An answer belongs to the exchange in which it arrives; one that comes later makes the one it
    was meant for late, not lost."""

    LATE = 2_500_000

    def __init__(self, patience):
        """patience: line → µs from the end of a question after which its answer is not waited for any more"""
        self.patience = patience
        self.counts = collections.Counter()
        self.exchanges = 0
        self.turns = {}                                     # line → [question, time, answers]
        self.missing = collections.defaultdict(list)        # line → questions without an answer, (time, question)
        self.offs = collections.defaultdict(list)           # (line, unit, channel) → times
        self.polls = collections.defaultdict(list)          # (line, unit, function) → times

    def feed(self, entry):
        event = entry["event"]
        if event == "rx":
            question = bytes.fromhex(entry["hex"])
            self._end(entry["line"])
            self.exchanges += 1
            self.turns[entry["line"]] = [question, entry["time_us"], []]
            if question[1] == 5 and question[4:6] == b"\0\0":
                self.offs[entry["line"], question[0], int.from_bytes(question[2:4], "big") + 1].append(entry["time_us"])
            if question[1] in (1, 2):
                self.polls[entry["line"], question[0], question[1]].append(entry["time_us"])
        elif event == "tx" and entry["line"] in self.turns:
            self.turns[entry["line"]][2].append((entry["time_us"], bytes.fromhex(entry["hex"])))

    def _end(self, line):
        if line not in self.turns:
            return
        question, asked, answers = self.turns.pop(line)
        own = None
        for time, answer in answers:
            if own is None and time - asked <= self.patience[line] and answers_question(question, answer):
                own = answer
            elif not self._late(line, question, time, answer) and own == answer:
                self.counts["doubled"] += 1
                break
        else:
            if own is not None and len(answers) == 1:
                self.counts["good, but slow" if answers[0][0] - asked > 20_000 else "good"] += 1
            elif own is not None:
                self.counts["good, and something else"] += 1
            elif answers and not answers_question(question, answers[0][1]):
                self.counts[what_is_wrong(question, answers[0][1])] += 1
            else:
                self.counts["lost or late"] += 1
        if own is None and not any(answers_question(question, answer) for _, answer in answers):
            self.missing[line].append((asked, question))

    def _late(self, line, question, time, answer):
        missing = self.missing[line]
        missing[:] = [m for m in missing if time - m[0] < self.LATE]
        for m in missing:
            if answers_question(m[1], answer):
                missing.remove(m)
                self.counts["came late"] += 1
                return True
        return False

    def end(self):
        for line in list(self.turns):
            self._end(line)

    @property
    def faulty(self):
        return self.exchanges - self.counts["good"]
