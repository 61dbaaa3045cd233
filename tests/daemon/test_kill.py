# SPDX-License-Identifier: Apache-2.0
"""The kill test: the daemon dies at every point where it writes to the ledger, to its key or to a worker, a worker dies at every point where
it writes to the line; people finish what they were at; a new one starts; then nothing may be lost, doubled, energised or unexplained.

    python3 test_kill.py BUILDDIR [--every N] [--lanes N] [--only daemon|worker] [--from N] [--to N] [--how HOW] [--verbose]

A first run without a death lists the points (killshim.c says what a point is). Then, for each of them, the same story is told from an empty
disk: a courier is enrolled and deposits a parcel in a shared slot (P1: lids, presence sensors, pulses timed by the board) and one in a plain
slot (01: no presence sensor, pulses timed by the worker); the first is collected and accepted, the second is rejected and taken back by
the courier; the daemon is told to stop. Scripted people of locksim put, take and shut. Wherever in this the process dies, what must be
true afterwards is in find_faults() and Cycle.work_on().

How one dies: "before" the call, "after" it, "torn" (only half of the bytes are written), "lost" (before it, and all that has not been
synchronised is undone, as a power cut does it). "after" is left out where the very same library function goes on to the next call (a page of
SQLite's log after its header), "torn" and "lost" where they are the same as "before".

--every 1 is everything; it takes some forty minutes on two cores. Without it, ./check runs a sample that changes nothing in the kinds of
points: every N-th of each kind of call and death. The last line tells how many points there are and how many were tried.

Requirement: B4, F1, F2, F6, F10
"""
import argparse
import collections
import json
import multiprocessing
import os
import queue
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

import daemonlib
from daemonlib import Cabinet, Client, DBusError, Gone
from dbusclient import Session, iterate, parcel_id
from lockersim import BOARDS, LockSim

# A person needs this long from an open door to shutting it. Real ones are slower; the sensors must be looked at twice meanwhile.
PEOPLE_MS = 250
PULSE_MS = 60
# How long a coil may be on when the daemon dies (the worker notices at once), and when its worker dies (another one must be started).
MAX_PULSE_MS = {"lockerd": 250, "lockerd-line": 500}
PATIENCE = 20

# Slot and position as locksim calls them → as the ledger does. Only the ones that the story uses.
LOCKS = {"P1": ("P1", 0), "P1/1": ("P1", 1), "P1/2": ("P1", 2), "01": ("01", 0), "02": ("02", 0)}
SHELVES = {"P1/1": ("P1", 1), "P1/2": ("P1", 2), "01": ("01", 1), "02": ("02", 1)}

CABINET_TEXT = """
[Cabinet]
Number=K-0001
Name=Kill test
Address=1 Example Square, 00000 Example Town
Latitude=0
Longitude=0
TimeZone=UTC

[Size S]
Label=Small
Order=1
Width=400
Height=120
Depth=500

[Size M]
Label=Medium
Order=2
Width=400
Height=240
Depth=500

[Supply left]
MaxActive=1
Cooldown=20ms

[Supply right]
MaxActive=1
Cooldown=20ms

[Line north]
Device=/dev/ttyUSB0
Baud=115200
Parity=none
StopBits=1
ResponseTimeout=100ms

[Line south]
Device=/dev/ttyUSB1
Baud=19200
Parity=none
StopBits=1
ResponseTimeout=120ms

[Board A]
Line=north
Address=1
Profile=cu48
Supply=left

[Board C]
Line=south
Address=3
Profile=generic-pulse-16
Supply=right

[Slot 01-02]
Size=S
Column=1
Row=1
Lock=C:1-2
Latch=C:1-2

[Slot P1]
Size=M
Column=2
Row=1
Lock=A:1
Latch=A:1

[Position P1/1-2]
Lock=A:2-3
Latch=A:2-3
Presence=C:5-6
"""

SETTINGS = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "2s"}, "Codes": {"Everybody": "yes"}}

Point = collections.namedtuple("Point", "program line number how kind file")


# --- what must be true -------------------------------------------------------------------------------------------------

OUTCOMES = {"released", "failed", "not-sent", "refused", "unknown", "withdrawn", "secured"}
NEVER_MOVED = {"not-sent", "refused", "withdrawn"}


class Facts:
    """What ledger, simulator and the person's memory say once everybody has gone.

    live, ended: parcels as {id, state, slot, position, waybill}; movements as {slot, position, action, why, actor, intended, outcome};
    openings: lock as in LOCKS → times (µs of the wall clock) at which its latch let go; items: shelves with something in; shut: slots
    that are shut; quarantined: places; objections; promises: what the terminal was told, as (what, parcel id, waybill)."""

    def __init__(self, live=(), ended=(), movements=(), openings=None, items=(), shut=("P1", "01", "02"), quarantined=(), objections=(),
                 coils=(), promises=()):
        self.live, self.ended, self.movements = list(live), list(ended), list(movements)
        self.openings, self.items, self.shut = dict(openings or {}), set(items), set(shut)
        self.quarantined, self.objections, self.coils, self.promises = set(quarantined), list(objections), list(coils), list(promises)


def parcel_faults(f):
    ids = [p["id"] for p in f.live + f.ended]
    for i, n in collections.Counter(ids).items():
        if n > 1:
            yield f"parcel {i} is there {n} times"
    for waybill, n in collections.Counter(p["waybill"] for p in f.live + f.ended).items():
        if waybill and n > 1:
            yield f"waybill {waybill} has become {n} parcels"
    for place, n in collections.Counter((p["slot"], p["position"]) for p in f.live if p["slot"]).items():
        if n > 1:
            yield f"{n} live parcels in {place}"
    for p in f.live:
        if p["state"] in ("depositing", "collecting") and p["slot"] in f.shut:
            yield f"parcel {p['id']} is still {p['state']} though its door is shut"


def promise_faults(f):
    may_be = {"deposited": None, "stored": {"stored", "unverified", "collecting", "rejected", "collected", "returned"},
              "collected": {"collected"}, "rejected": {"rejected", "returned", "unverified"}, "returned": {"returned"}}
    states = {p["id"]: p["state"] for p in f.live + f.ended}
    for what, parcel, _ in f.promises:
        if parcel not in states:
            yield f"parcel {parcel} was said to be {what} and is lost"
        elif may_be[what] and states[parcel] not in may_be[what]:
            yield f"parcel {parcel} was said to be {what} and is {states[parcel]}"


def place_faults(f):
    taken = {(p["slot"], p["position"]) for p in f.live}
    for shelf in f.items:
        place = SHELVES[shelf]
        if place not in taken and place not in f.quarantined:
            yield f"something lies in {shelf} and nobody knows"
    # Without a presence sensor an empty place may be unverified; with one it cannot be said to be full.
    for p in f.live:
        shelf = next((s for s, place in SHELVES.items() if place == (p["slot"], p["position"])), None)
        if p["state"] == "stored" and shelf not in f.items:
            yield f"parcel {p['id']} is said to be stored in {shelf}, which is empty"


def movement_faults(f):
    for m in f.movements:
        if m["outcome"] is None:
            yield f"movement {m['id']} of {m['slot']}/{m['position']} is not settled"
        elif m["outcome"] not in OUTCOMES:
            yield f"movement {m['id']} ended {m['outcome']}"
        if not m["actor"] or not m["why"]:
            yield f"movement {m['id']} of {m['slot']}/{m['position']} does not say who and why"
        if m["why"] in ("deposit", "collect", "take-back") and not (m["session"] and m["parcel"]):
            yield f"movement {m['id']} ({m['why']}) does not say in which session and for which parcel"
    for lock, place in LOCKS.items():
        rows = [m for m in f.movements if (m["slot"], m["position"]) == place and m["action"] == "unlock"]
        yield from opening_faults(lock, sorted(rows, key=lambda m: m["id"]), f.openings.get(lock, []))


def opening_faults(lock, rows, times):
    """Each opening belongs to the latest intent before it. One intent explains one opening, and another one only as long as it is not
    settled: its verified retry, when a person was faster than the sensors or the sensors were away."""
    may = [m for m in rows if m["outcome"] not in NEVER_MOVED]
    opened = collections.Counter()
    for at in times:
        row = next((m for m in reversed(may) if m["intended"] <= at), None)
        if row is None:
            yield f"{lock} opened before anybody intended it: the ledger explains nothing"
            continue
        opened[row["id"]] += 1
        if opened[row["id"]] > 1 and row["settled"] is not None and at > row["settled"]:
            yield f"{lock} opened {len(times)} times, the ledger explains {len(may)}; movement {row['id']} was over"
    for row in may:
        if row["outcome"] == "released" and not opened[row["id"]]:
            yield f"the ledger says that movement {row['id']} released {lock}; it did not move"


def find_faults(f):
    """Everything that is wrong, as sentences."""
    found = [*parcel_faults(f), *promise_faults(f), *place_faults(f), *movement_faults(f)]
    found += [f"the simulated boards object: {o['text']}" for o in f.objections]
    found += [f"coil {c} is still on" for c in f.coils]
    return found


def now_us(clock):
    return time.clock_gettime_ns(clock) // 1000


def openings_in(journal, start=0):
    """locksim's journal → lock → wall-clock µs of every time its latch let go."""
    offset = now_us(time.CLOCK_REALTIME) - now_us(time.CLOCK_BOOTTIME)
    times = collections.defaultdict(list)
    for j in journal:
        if j["event"] == "latch" and j["state"] == "released":
            times[j["lock"]].append(j["time_us"] + offset)
    return times


# --- one life and one death --------------------------------------------------------------------------------------------


class Died(Exception):
    """The daemon has ended while somebody waited for it."""


class KillCabinet(Cabinet):
    """A cabinet whose daemon and workers run under the shim when `shim` is set."""

    def __init__(self, build):
        self.boards = tempfile.mkdtemp(prefix="lockerd-boards-")
        self.shim = {}
        settings = {**SETTINGS, "Daemon": {"BoardDirectory": self.boards}}
        source = os.path.join(self.boards, "cabinet.conf")
        with open(source, "w", encoding="utf-8") as f:
            f.write(CABINET_TEXT)
        super().__init__(build, cabinet=source, settings=settings)
        self.key = os.path.join(self.directory, "lockerd.key")
        self.token = os.path.join(self.directory, "token")
        self.list = os.path.join(self.directory, "list")

    def _write_boards(self, max_pulse):
        """The boards of config/ with shorter pulses, so that a life takes a second."""
        for name in ("cu48.board", "generic-pulse-16.board"):
            with open(os.path.join(BOARDS, name), encoding="utf-8") as f:
                text = f.read()
            text = re.sub(r"\n(Min|)Pulse=\d+ms", rf"\n\1Pulse={PULSE_MS}ms", text)
            text = re.sub(r"\nMaxPulse=\d+ms", f"\nMaxPulse={PULSE_MS if name.startswith('cu48') else max_pulse}ms", text)
            with open(os.path.join(self.boards, name), "w", encoding="utf-8") as f:
                f.write(text)

    def environment(self):
        return {**super().environment(), **self.shim}

    def set_shim(self, point, **more):
        open(self.token, "w", encoding="utf-8").close()
        worker = point.program == "lockerd-line"
        shim = {
            "LD_PRELOAD": os.path.join(self.build, "tests", "daemon", "killshim.so"), "KILLSHIM_PROGRAM": "lockerd-line-unconfined" if worker else point.program,
            "KILLSHIM_LEDGER": self.ledger, "KILLSHIM_KEY": self.key, "KILLSHIM_TOKEN": self.token, "KILLSHIM_LIST": self.list,
            "KILLSHIM_CLASSES": "ledger,key,worker" if point.program == "lockerd" else "command,worker",
            "KILLSHIM_AT": str(point.number), "KILLSHIM_HOW": point.how, "KILLSHIM_ARGUMENT": point.line or "--config", **more}
        self.shim = {} if worker else shim
        self._set_line_worker(shim if worker else None)

    def _set_line_worker(self, shim):
        """The daemon gives its workers no environment, and the usual one could not do what the shim does."""
        path = os.path.join(self.directory, "workers", "lockerd-line")
        os.unlink(path)
        if not shim:
            os.symlink(os.path.join(self.build, "src", "line", "lockerd-line"), path)
            return
        words = " ".join(shlex.quote(f"{key}={value}") for key, value in shim.items())
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nexec env {words} {self.build}/tests/daemon/lockerd-line-unconfined \"$@\"\n")
        os.chmod(path, 0o755)

    def fresh(self, max_pulse):
        """An empty disk, all shut and nothing inside."""
        self._write_boards(max_pulse)
        for name in os.listdir(self.directory):
            if name.startswith(("ledger.db", "lockerd.key", "list", "token", "log")):
                os.unlink(os.path.join(self.directory, name))
        if self.sim:
            self.sim.stop()
        self.sim = LockSim(self.cabinet_path, self.build, fast=True, boards=self.boards)

    def start_bus(self):
        self.bus = daemonlib.PrivateBus(self.directory)

    def stop(self, check=True):
        super().stop(check)
        shutil.rmtree(self.boards, ignore_errors=True)

    def read(self, *queries):
        """For each query its rows as dictionaries, all of one moment, by a reader that changes nothing."""
        db = sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True, timeout=5, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.execute("BEGIN")
            return [[dict(row) for row in db.execute(query)] for query in queries]
        finally:
            db.close()

    def tool(self, option):
        done = subprocess.run([os.path.join(self.build, "src", "daemon", "lockerd"), "--config", self.config, option, self.ledger], capture_output=True, text=True,
                              env=super().environment())
        return json.loads(done.stdout or '{"ok":false,"detail":"no answer"}') | {"status": done.returncode}


class Cycle:
    """One story: told until the death, then told to its end by others."""

    def __init__(self, cabinet):
        self.c = cabinet
        self.promises = []
        self.codes = {}  # waybill → code
        self.faults = []
        self.died = False
        self.refused = None
        self.listed = []  # what the shim counted
        self.recovered = {}  # waybill → state after recovery

    # --- people

    def hands(self, action):
        """What people do at any place that opens: put, take or (only) close."""
        self.c.sim.do(*(f"auto {shelf} {action} {PEOPLE_MS}" for shelf in SHELVES), f"auto P1 close {3 * PEOPLE_MS}")
        self.action = action

    def wait(self, predicate, what, timeout=PATIENCE):
        end = time.monotonic() + timeout
        while True:
            iterate()
            if self.c.daemon.poll() is not None:
                raise Died()
            value = predicate()
            if value:
                return value
            if time.monotonic() > end:
                raise Gone(f"not within {timeout} s: {what}")
            time.sleep(0.002)

    def call(self, pending):
        self.wait(lambda: pending.done, pending.what)
        return pending.result()

    def prompt(self, session, what):
        self.wait(lambda: any(p.what == what for p in session.prompts), f"prompt {what}, not {[p.what for p in session.prompts]}")
        session.prompts.clear()

    def session(self, kind):
        path = self.call(self.client.begin("/org/lockerd/Locker1", daemonlib.CABINET, "StartSession", "s", kind))
        s = self.client.sessions[path] = Session(self.client, path)
        return s

    def courier(self):
        s = self.session("courier")
        self.call(s.begin("Authenticate", "sa{sv}", "courier-pin", daemonlib.dictionary(number="4711", pin="258036")))
        return s

    def recipient(self, code):
        s = self.session("recipient")
        self.call(s.begin("Authenticate", "sa{sv}", "code", daemonlib.dictionary(code=code)))
        return s

    def connect(self):
        self.client = Client(self.c.bus.address)

    # --- errands

    def enrol(self):
        self.call(self.client.begin("/org/lockerd/Locker1", daemonlib.CABINET, "Enrol", "a{sv}",
                                    daemonlib.dictionary(kind="courier", number="4711", pin="258036", name="Courier 4711")))

    def deposit(self, session, size, waybill):
        self.hands("put")
        session.prompts.clear()
        slot, position, path, receipt = self.call(session.begin_deposit(size=size, waybill=waybill, larger=False))
        parcel = parcel_id(path)
        self.promises.append(("deposited", parcel, waybill))
        self.codes[waybill] = receipt["code"]
        self.prompt(session, "stored")
        self.promises.append(("stored", parcel, waybill))
        return parcel

    def collect(self, code, accept, parcel=None, waybill=None):
        self.hands("take" if accept else "close")
        session = self.recipient(code)
        self.call(session.begin("Collect", "o", "/"))
        self.call(session.begin("Accept" if accept else "Reject"))
        self.prompt(session, "collected" if accept else "rejected")
        if parcel:
            self.promises.append(("collected" if accept else "rejected", parcel, waybill))
        self.call(session.begin("End"))

    def take_back(self, session, parcel=None, waybill=None):
        self.hands("take")
        session.prompts.clear()
        self.call(session.begin("TakeBack"))
        self.prompt(session, "done")
        if parcel:
            self.promises.append(("returned", parcel, waybill))

    def story(self):
        self.wait(self.client.has_owner, "the name on the bus")
        self.wait(self.all_known, "boards and doors")
        self.enrol()
        s = self.courier()
        first = self.deposit(s, "M", "W1")
        second = self.deposit(s, "S", "W2")
        self.call(s.begin("End"))
        self.collect(self.codes["W1"], True, first, "W1")
        self.collect(self.codes["W2"], False, second, "W2")
        s = self.courier()
        self.take_back(s, second, "W2")
        self.call(s.begin("End"))

    def all_known(self):
        try:
            slots = self.client.slots()
        except DBusError:
            return False
        return slots and all(s["BoardOnline"] and s["Door"] != "unknown" for s in slots.values())

    # --- life and death

    def live(self):
        """Until the daemon dies, or to the end and an orderly stop, which is written down as well."""
        self.c.spawn_daemon()
        self.connect()
        try:
            self.story()
            self.c.daemon.terminate()
        except (Died, DBusError) as e:
            # The bus tells of a death before the parent does.
            try:
                self.c.daemon.wait(1)
            except subprocess.TimeoutExpired:
                raise e from None
        status = self.c.daemon.wait(PATIENCE)
        self.c.daemon = None
        self.listed = listed(self.c)
        self.client.close()
        self.died = status == -9
        if status not in (0, -9):
            self.faults.append(f"lockerd ended with status {status}")

    def live_with_a_worker(self):
        """A worker dies; the daemon lives on. What was under way may be refused to the person, not more."""
        self.c.spawn_daemon()
        self.connect()
        try:
            self.story()
        except DBusError as e:
            self.refused = e.short
        except Gone as e:
            self.refused = str(e)[:60]
        self.listed = listed(self.c)
        self.died = not os.path.exists(self.c.token)
        if not self.died:
            os.unlink(self.c.token)  # nobody dies any more
        self.hands(self.action)
        self.wait(self.quiet, "all doors shut")
        self.wait(self.all_known, "a new worker")

    def quiet(self):
        """All doors shut and no coil on. A lid behind a door that is shut may stay open: nobody reaches it."""
        state = self.c.sim.state()
        return (all(p["door"] == "shut" for p in state["slots"].values()) and
                not any(p["coil"] for p in [*state["slots"].values(), *state["positions"].values()]))

    def until_quiet(self, timeout=5):
        end = time.monotonic() + timeout
        while not self.quiet() or not all(not l["open"] for l in self.c.sim.state()["lines"].values()):
            if time.monotonic() > end:
                self.faults.append("the doors did not become shut, or a line stayed open, after the death")
                return
            time.sleep(0.005)

    def rise(self):
        """The next one starts; people who were interrupted finish meanwhile."""
        self.c.shim = {}
        self.c.spawn_daemon()
        self.connect()
        self.wait(self.client.has_owner, "the name on the bus after the death")
        self.wait(self.all_known, "boards and doors after the death")

    def settled(self):
        return not any(self.c.read("SELECT 1 FROM movement WHERE outcome IS NULL",
                                   "SELECT 1 FROM parcel WHERE state IN ('depositing', 'collecting')"))

    def facts(self):
        state = self.c.sim.state()
        places = {**state["slots"], **state["positions"]}
        parcels = "SELECT id, state, slot, position, waybill FROM "
        live, ended, movements, closed = self.c.read(parcels + "parcel", parcels + "parcel_history", "SELECT * FROM movement",
                                                     "SELECT * FROM position WHERE service != 'in'")
        return Facts(live=live, ended=ended, movements=movements, openings=openings_in(self.c.sim.journal()),
                     items=[s for s in SHELVES if places[s].get("item")],
                     shut=[s for s in state["slots"] if state["slots"][s]["door"] == "shut"],
                     quarantined=[(r["slot"], r["number"]) for r in closed],
                     objections=state["objections"], coils=[f"{n}:{c}" for n, b in state["boards"].items() for c in b["coils"]],
                     promises=self.promises)

    def look(self):
        try:
            self.wait(lambda: self.quiet() and self.settled(), "all settled", 8)
        except Gone:
            pass  # find_faults says what is not
        facts = self.facts()
        self.faults += find_faults(facts)
        self.recovered = {p["waybill"]: p["state"] for p in facts.live + facts.ended}
        tables = [[r["sequence"] for r in rows] for rows in self.c.read(
            *(f"SELECT sequence FROM {table} ORDER BY sequence" for table in ("event", "outbox", "audit")))]
        # Nobody has acknowledged anything: the backend is still to hear of every event, once, in order.
        if any(table != list(range(1, len(tables[0]) + 1)) for table in tables):
            self.faults.append(f"events {tables[0]}, outbox {tables[1]}, audit {tables[2]}")
        complaints = [r["integrity_check"] for r in self.c.read("PRAGMA integrity_check")[0]]
        if complaints != ["ok"]:
            self.faults.append(f"integrity: {complaints}")

    # --- and life goes on

    def work_on(self):
        """Whatever is inside comes out, with its code where it was told; something new can come in."""
        if "4711" not in {p[2] for p in self.client.people()}:
            if self.promises:
                self.faults.append("the courier is forgotten")
            self.enrol()
        courier = self.courier()
        for p in self.c.read("SELECT id, state, waybill, slot, position, choice, was FROM parcel ORDER BY id")[0]:
            if p["state"] == "unverified" and (p["was"] == "rejected" or p["choice"] == "reject"):
                # Its recipient has given it back, and has no code any more: an operator looks.
                there = self.inside(p["slot"], p["position"])
                self.client.reconcile(p["slot"], p["position"], "parcel" if there else "empty")
                if there:
                    self.take_back(courier)
            elif p["state"] in ("stored", "unverified"):
                code = self.codes.get(p["waybill"]) or self.client.new_code(p["id"])
                self.collect(code, True)
            elif p["state"] == "rejected":
                self.take_back(courier)
        self.deposit(courier, "M", "W3")
        self.deposit(courier, "S", "W4")
        for waybill in ("W3", "W4"):
            self.collect(self.codes[waybill], True)
        facts = self.facts()
        facts.promises = []
        self.faults += [f"at the end: {fault}" for fault in find_faults(facts)]
        # What lies in a place that an operator has been asked to look into may stay there.
        left = {s for s in facts.items if SHELVES[s] not in facts.quarantined}
        if left or facts.live:
            self.faults.append(f"at the end {left} and {facts.live} are left over")

    def inside(self, slot, position):
        state = self.c.sim.state()
        places = {**state["slots"], **state["positions"]}
        name = f"{slot}/{position}"
        return bool(places[name if name in places else slot].get("item"))

    def files(self):
        for option in ("--check-ledger", "--verify-audit"):
            answer = self.c.tool(option)
            if not answer["ok"] or answer["status"]:
                self.faults.append(f"{option}: {answer}")

    def run(self, point, **shim):
        self.c.fresh(MAX_PULSE_MS[point.program])
        self.c.set_shim(point, **shim)
        self.hands("close")
        if point.program == "lockerd-line":
            self.live_with_a_worker()
            self.go_on()
        else:
            self.live()
            later = point.number % 2 == 1
            if later:
                # Whoever stands there is slow: the new daemon finds the doors as they are.
                self.c.sim.do("auto off")
            else:
                self.until_quiet()
            if self.died:
                self.rise()
                if later:
                    self.hands(self.action)
                self.go_on()
        return self

    def go_on(self):
        self.look()
        self.work_on()
        self.client.close()
        self.c.stop_daemon()
        self.files()


# --- all points --------------------------------------------------------------------------------------------------------

TEARABLE = {"pwrite", "write"}
STUCK = "it did not go on: "


def listed(cabinet):
    """What the shim has written down: number, class, call, file, bytes; of the first process that did."""
    rows = []
    try:
        with open(cabinet.list, encoding="utf-8") as f:
            for line in f:
                number, kind, call, file, size = line.split()
                if int(number) != len(rows) + 1:
                    break
                file = re.sub(r"socket:.*", "socket", re.sub(r"lockerd\.key\..*", "lockerd.key.new", file))
                rows.append((int(number), kind, call, "line" if kind == "command" else file, int(size)))
    except FileNotFoundError:
        pass
    return rows


def points_of(program, line, rows):
    """Every death that is to be died."""
    for number, kind, call, file, size in rows:
        what = f"{call} {file}"
        yield Point(program, line, number, "before", kind, what)
        if call in TEARABLE and size > 1:
            yield Point(program, line, number, "torn", kind, what)
        if kind != "ledger" or call != "pwrite":
            yield Point(program, line, number, "after", kind, what)
            if program == "lockerd":
                yield Point(program, line, number, "lost", kind, what)


def sample(points, every):
    """Every N-th of each kind and death, and at least one of each, beginning at different ones."""
    groups = collections.defaultdict(list)
    for p in points:
        groups[p.program, p.line, p.how, p.file].append(p)
    for n, group in enumerate(groups.values()):
        yield from group[n % min(every, len(group))::every]


def attempt(cabinet, point):
    """→ (died, faults, states after recovery, log)"""
    cycle = Cycle(cabinet)
    try:
        cycle.run(point)
    except Exception:
        cycle.faults.append(STUCK + traceback.format_exc(limit=-4))
    log = ""
    if cycle.faults:
        log = cabinet.log()[-3000:]
    if cabinet.daemon:
        cabinet.kill_daemon()
    if daemonlib.SANITIZER.search(cabinet.log()):
        cycle.faults.append("a sanitizer complained")
    return cycle.died, cycle.faults, {**cycle.recovered, **({"refused": cycle.refused} if cycle.refused else {})}, log


def lane(build, todo, done):
    cabinet = KillCabinet(build)
    try:
        cabinet.start_bus()
        while True:
            point = todo.get()
            if point is None:
                break
            done.put((point, *attempt(cabinet, point)))
    finally:
        cabinet.stop(check=False)
        done.put(None)


def run_all(build, points, lanes, verbose):
    spawn = multiprocessing.get_context("spawn")  # GLib has threads by now
    todo, done = spawn.Queue(), spawn.Queue()
    for point in [*points, *[None] * lanes]:
        todo.put(point)
    processes = [spawn.Process(target=lane, args=(build, todo, done)) for _ in range(lanes)]
    for p in processes:
        p.start()
    results, left = [], lanes
    while left:
        try:
            result = done.get(timeout=180)
        except queue.Empty:
            print("a lane hangs")
            break
        if result is None:
            left -= 1
            continue
        results.append(result)
        point, died, faults, states, log = result
        if len(results) % 200 == 0:
            print(f"{len(results)} of {len(points)}", flush=True)
        if verbose:
            print(point, "died" if died else "lived", states, flush=True)
        if faults:
            print(f"FAILED {point}: " + "\n    ".join(faults) + f"\n--- log\n{log}---", flush=True)
    for p in processes:
        if left:
            p.terminate()
        p.join()
    return results


def second_look(build, results, verbose):
    """On a busy machine a person may be faster than the sensors, and be refused. Where that is all, the same death is died once more, alone;
    a broken invariant stays broken."""
    again = [r[0] for r in results if r[2] and all(f.startswith(STUCK) for f in r[2])]
    if not again:
        return results
    print(f"{len(again)} of them once more, alone")
    return [r for r in results if r[0] not in again] + run_all(build, again, 1, verbose)


def table(results):
    """How often each kind of death was died and what was found after it."""
    rows = collections.defaultdict(collections.Counter)
    for point, died, faults, states, _ in results:
        row = rows[point.program, point.how]
        row["tried"] += 1
        row["died"] += died
        row["faults"] += bool(faults)
        for waybill in ("W1", "W2"):
            row[states.get(waybill, "-") if died else "-"] += 1
        row["refused"] += "refused" in states
    columns = ["tried", "died", "faults", "refused", "-", "cancelled", "stored", "unverified", "collected", "rejected", "returned"]
    print("\nAfter recovery, of the two parcels of each life (-: not there yet):")
    print(" " * 22 + "".join(f"{c:>11}" for c in columns))
    for (program, how), row in sorted(rows.items()):
        print(f"{program:13} {how:8}" + "".join(f"{row[c]:11}" for c in columns))
    print()


class Checkers(unittest.TestCase):
    """The test can fail: each invariant is shown facts that break it, and a life in which nothing is synchronised."""

    build = None

    @classmethod
    def setUpClass(cls):
        cls.cabinet = KillCabinet(cls.build)
        cls.cabinet.start_bus()
        cls.lists = {}
        for program, line in (("lockerd", None), ("lockerd-line", "north"), ("lockerd-line", "south")):
            cycle = Cycle(cls.cabinet)
            cycle.run(Point(program, line, 0, "before", "", ""))
            assert not cycle.died and not cycle.refused and not cycle.faults, (cycle.refused, cycle.faults)
            cls.lists[program, line] = cycle.listed
            if program == "lockerd":
                cls.facts = cycle.facts()

    @classmethod
    def tearDownClass(cls):
        cls.cabinet.stop(check=False)

    def doctored(self, **changes):
        facts = Facts()
        facts.__dict__.update({k: list(v) if isinstance(v, list) else v for k, v in self.facts.__dict__.items()})
        facts.__dict__.update(changes)
        return facts

    def assertFault(self, pattern, **changes):
        self.assertRegex("\n".join(find_faults(self.doctored(**changes))), pattern)

    def test_a_life_without_a_death_has_no_faults(self):
        self.assertEqual(find_faults(self.facts), [])
        self.assertEqual({p["state"] for p in self.facts.ended}, {"collected", "returned"})
        self.assertEqual({lock: len(times) for lock, times in self.facts.openings.items()}, {"P1": 2, "P1/1": 2, "01": 3})

    def test_an_opening_without_a_row_is_noticed(self):
        for row in self.facts.movements:
            self.assertFault("the ledger explains", movements=[m for m in self.facts.movements if m is not row])

    def test_a_bad_row_is_noticed(self):
        first, *rest = self.facts.movements
        self.assertFault("is not settled", movements=[first | {"outcome": None}, *rest])
        self.assertFault("who and why", movements=[first | {"actor": ""}, *rest])
        self.assertFault("the ledger explains", movements=[first | {"outcome": "withdrawn"}, *rest])
        self.assertFault("before anybody", movements=[first | {"intended": first["settled"] + 10**9}, *rest])
        self.assertFault("it did not move", openings=self.facts.openings | {"P1": []})
        twice = [t + d for t in self.facts.openings["01"] for d in (0, 500000)]
        self.assertFault("was over", openings=self.facts.openings | {"01": twice})

    def test_a_lost_or_doubled_parcel_is_noticed(self):
        one, two = self.facts.ended
        self.assertFault("is lost", ended=[one])
        self.assertFault("2 times", ended=[one, two, two])
        self.assertFault("2 parcels", ended=[one, two, two | {"id": 9}])
        live = [one | {"state": "stored"}, two | {"state": "stored", "slot": one["slot"], "position": one["position"]}]
        self.assertFault("2 live parcels", live=live, ended=[])
        self.assertFault("said to be collected and is stored", live=[one | {"state": "stored"}], ended=[two])
        self.assertFault("still collecting", live=[one | {"state": "collecting"}], ended=[two])

    def test_things_in_the_wrong_place_are_noticed(self):
        self.assertFault("nobody knows", items={"P1/1"})
        self.assertFault("which is empty", live=[self.facts.ended[0] | {"state": "stored"}])
        self.assertFault("still on", coils=["C:1"])
        self.assertFault("object", objections=[{"text": "too long"}])

    def test_a_ledger_that_does_not_synchronise_is_noticed(self):
        """The same death twice, near the end of the story; the second time as if every sync had been left out."""
        sends = [row[0] for row in self.lists["lockerd", None] if row[1] == "worker"]
        point = Point("lockerd", None, sends[-1], "lost", "worker", "send socket")
        cycle = Cycle(self.cabinet).run(point)
        self.assertEqual((cycle.died, cycle.faults), (True, []))
        cycle = Cycle(self.cabinet)
        try:
            cycle.run(point, KILLSHIM_NOSYNC="1")
        except Exception as e:
            cycle.faults.append(str(e))
        if self.cabinet.daemon:
            self.cabinet.kill_daemon()
        self.assertRegex("\n".join(cycle.faults), "is lost|the ledger explains|-ledger")


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", nargs="?", default=os.environ.get("BUILDDIR", "build"))
    parser.add_argument("--every", type=int, default=30, help="every N-th point of each kind; 1: all")
    parser.add_argument("--lanes", type=int, default=3, help="so many cabinets side by side")
    parser.add_argument("--only", choices=["lockerd", "lockerd-line"])
    parser.add_argument("--how", choices=["before", "after", "torn", "lost"])
    parser.add_argument("--from", type=int, default=1, dest="first", metavar="NUMBER")
    parser.add_argument("--to", type=int, default=10**9, dest="last", metavar="NUMBER")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def main():
    o = options()
    Checkers.build = os.path.abspath(o.build)
    if not os.path.exists(os.path.join(Checkers.build, "tests", "daemon", "killshim.so")):
        print("skipped: killshim.so is not built")
        sys.exit(77)
    start = time.monotonic()
    checked = unittest.main(argv=[sys.argv[0]], verbosity=1, exit=False).result
    if not checked.wasSuccessful():
        sys.exit(1)
    everything = [p for (program, line), rows in Checkers.lists.items() for p in points_of(program, line, rows)]
    points = [p for p in sample(everything, o.every) if o.only in (None, p.program) and o.how in (None, p.how) and
              o.first <= p.number <= o.last]
    counts = collections.Counter((kind, call, file) for rows in Checkers.lists.values() for _, kind, call, file, _ in rows)
    for (kind, call, file), n in sorted(counts.items()):
        print(f"{n:5} {kind:8} {call:16} {file}")
    print(f"{sum(counts.values())} calls, {len(everything)} deaths; {len(points)} of them are tried now", flush=True)
    results = second_look(Checkers.build, run_all(Checkers.build, points, o.lanes, o.verbose), o.verbose)
    table(results)
    bad = sum(bool(r[2]) for r in results)
    died = sum(r[1] for r in results)
    print(f"{len(everything)} points, {len(results)} tried, {died} died there, {len(results) - died} did not reach it, {bad} with faults, "
          f"{time.monotonic() - start:.0f} s")
    sys.exit(1 if bad or len(results) != len(points) else 0)


if __name__ == "__main__":
    main()
