#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon, or its worker for the network, dies at every write between a command of the backend and its answer, and on until the events that
it caused are acknowledged and cleared; the backend repeats the command, with the same id, until it has an answer.

    python3 test_backend_kill.py BUILDDIR [--every N] [--lanes N] [--only COMMAND] [--who PROGRAM] [--verbose]

A first run without a death lists, for each command, the calls between its arrival and the clearing of its events: of the daemon, writes and
syncs of the ledger and sends to workers; of the worker, what it hands to the daemon and writes to the broker (acknowledgement of the command,
answer, events). killshim.c says what a call is and how one dies at it; inboxshim.c, from when on they are counted. Then each of them is died
at, with a real broker, simulated boards and the real workers. Afterwards must hold:

 - an answer always comes, and every answer to an id says the same;
 - what is answered "done" has happened once; "failed, OutcomeUnknown", once or not at all; nothing else is answered; and nothing but "done"
   when it was the worker that died;
 - a door's latch got at most one pulse for an id, a parcel was made at most once, a code issued at most once;
 - the backend has every event, first comings in order and without a gap; what comes twice says the same.

Requirement: B4, F5
"""
import argparse
import collections
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
import uuid

import daemonlib
from backendlib import UNSIGNED, Backend, Broker, Judge, SigningKey, jsonschema
from daemonlib import Cabinet
from dbusclient import parcel_id, wait

COMMANDS = ["announce", "new-code", "open", "replay"]
HOWS = ["before", "after", "torn", "lost"]
SLOT = "03"
# After its answer: the events are published, acknowledged, and cleared together, FLUSH_USEC later.
AFTERMATH = 0.5

DAEMON, WORKER = "lockerd", "lockerd-mqtt"
CLASSES = {DAEMON: "ledger,worker", WORKER: "worker,network"}

Point = collections.namedtuple("Point", "who command number how what")


class Ear:
    """What the backend has heard, each message looked at once."""

    def __init__(self, backend):
        self.backend = backend
        self.seen = 0
        self.answers = collections.defaultdict(list)  # id → answers
        self.events = {}  # sequence → event, as it came first
        self.twice = 0
        self.faults = []
        self.judge = Judge() if jsonschema else None

    def listen(self):
        messages = self.backend.receive()
        for m in messages[self.seen:]:
            if self.judge:
                self.faults += self.judge.complaints(self.backend.cabinet, m)
            kind = m.topic.split("/")[3]
            if kind == "reply":
                answer = json.loads(m.payload)
                self.answers[answer["id"]].append(answer)
            elif kind == "event":
                self._event(json.loads(m.payload))
        self.seen = len(messages)
        return self

    def _event(self, e):
        number = int(e["sequence"])
        first = self.events.get(number)
        if first is None:
            if number != len(self.events) + 1:
                self.faults.append(f"event {number} comes after {len(self.events)} others")
            self.events[number] = e
            return
        self.twice += 1
        if any(first[k] != e[k] for k in ("id", "type", "subject", "time")) or without_secret(first) != without_secret(e):
            self.faults.append(f"event {number} came twice and says something else: {first} {e}")

    def count(self, type_, **data):
        return sum(e["type"] == f"org.lockerd.{type_}" and all(e["data"].get(k) == v for k, v in data.items()) for e in self.events.values())

    def about(self, type_, subject):
        return sum(e["type"] == f"org.lockerd.{type_}" and e["subject"] == subject for e in self.events.values())


def without_secret(event):
    return {k: v for k, v in event["data"].items() if k != "secret"}


class ShimCabinet(Cabinet):
    shim = {}

    def environment(self):
        return {**super().environment(), **self.shim}


class Lane:
    """A cabinet with its broker and backend, in which one death follows the other."""

    def __init__(self, build):
        self.keys = tempfile.mkdtemp(prefix="keys-")
        self.broker = Broker()
        key = SigningKey(self.keys)
        ring = os.path.join(self.keys, "ring")
        os.mkdir(ring)
        key.public(os.path.join(ring, "key-1.pem"))
        self.backend = Backend(self.broker.port, "C-0012", key)
        wait(lambda: self.backend.subscribed, "the subscription")
        self.ear = Ear(self.backend)
        self.c = ShimCabinet(build, settings={
            "Session": {"ReopenGrace": "0"},
            "Mqtt": {"Host": "127.0.0.1", "Port": str(self.broker.port), "SigningKeys": ring, "BackoffMin": "100ms", "BackoffMax": "1s"}})
        self.token = os.path.join(self.c.directory, "token")
        self.list = os.path.join(self.c.directory, "list")
        self.c.start()
        self.admin = self.c.client()
        self.parcel = self.store()
        self.prepared = None

    def close(self):
        self.c.stop(check=False)
        self.backend.close()
        self.broker.stop()
        shutil.rmtree(self.keys, ignore_errors=True)

    def store(self):
        self.admin.enrol_courier("4711", "258036")
        session = self.admin.start_session("courier")
        session.authenticate_pin("4711", "258036")
        put = session.deposit(size="S")
        self.c.sim.do(f"put {put.slot}", f"close {put.slot}")
        session.wait_prompt("stored")
        session.end()
        return parcel_id(put.parcel)

    # --- a command

    def prepare(self, point):
        """The daemon starts with the death that the next command will bring."""
        open(self.token, "w", encoding="utf-8").close()
        if os.path.exists(self.list):
            os.unlink(self.list)
        self.id = f"{point.command}-{uuid.uuid4().hex[:12]}"
        self.correlation = uuid.uuid4().hex.encode()
        shim = os.path.join(self.c.build, "tests", "daemon", "inboxshim.so")
        self.c.shim = {"LD_PRELOAD": shim, "KILLSHIM_PROGRAM": point.who, "KILLSHIM_LEDGER": self.c.ledger,
                       "KILLSHIM_CLASSES": CLASSES[point.who], "KILLSHIM_AT": str(point.number), "KILLSHIM_HOW": point.how,
                       "KILLSHIM_TOKEN": self.token, "KILLSHIM_LIST": self.list}
        if point.who == DAEMON:  # the daemon's other processes have other arguments; it gets the correlation data in hexadecimal digits
            self.c.shim |= {"KILLSHIM_ARGUMENT": "--config", "INBOXSHIM_TEXT": self.correlation.hex()}
        else:
            self.c.shim |= {"INBOXSHIM_TEXT": self.correlation.decode()}
        if self.c.daemon:
            self.c.kill_daemon()
        self.c.start_daemon()
        self.prepared = point

    def payload(self, command):
        arguments = {"announce": {"size": "M", "waybill": self.id, "recipient": "Ada Lovelace"},
                     "new-code": {"parcel": self.parcel, "reason": "lost"},
                     "open": {"slot": SLOT, "reason": self.id},
                     "replay": {"from": 2, "to": 6}}[command]
        body = self.backend.body(command, arguments, id=self.id)
        if command not in UNSIGNED:
            return self.backend.key.sign({"cabinet": "C-0012", "name": command, **body})
        return json.dumps(body).encode()

    def quiet(self):
        self.ear.listen()
        return len(self.ear.events) == self.admin.cabinet("LastEvent") and self.admin.cabinet("OutboxLength") == 0

    def facts(self):
        self.ear.listen()
        return {"pulses": self.c.sim.place(SLOT)["pulses"], "codes": self.ear.about("code.issued", f"parcel:{self.parcel}"),
                "parcels": self.ear.count("parcel.announced")}

    def give(self, point, then):
        """→ (died, faults, answer, seconds until it): the command of the death that is prepared; `then`: the next one, which the successor will
        die of."""
        wait(self.quiet, "an empty outbox", 10)
        before, payload = self.facts(), self.payload(point.command)
        given = self.id
        self.backend.publish(point.command, payload, self.correlation)
        end, answered = time.monotonic() + 10, None
        while not self.died(point) and time.monotonic() < end and (not answered or time.monotonic() < answered + AFTERMATH):
            if not answered and self.ear.listen().answers.get(given):
                answered = time.monotonic()
            time.sleep(0.005)
        died = self.died(point)
        if self.c.daemon.poll() not in (None, -9) or (point.who == WORKER and self.c.daemon.poll() is not None):
            return died, [f"lockerd ended with status {self.c.daemon.returncode}"], None, 0, []
        rows = listed(self.list)
        if point.who == DAEMON:
            if died:
                self.c.daemon = None
            self.prepare(then)
        back = time.monotonic()
        for _ in range(6):
            n = len(self.ear.listen().answers[given])
            self.backend.publish(point.command, payload, uuid.uuid4().bytes)
            end = time.monotonic() + 2
            while len(self.ear.listen().answers[given]) == n and time.monotonic() < end:
                time.sleep(0.01)
            if self.ear.answers[given]:
                break
        took = time.monotonic() - back
        faults = self.judge(point, given, before)
        if point.who == WORKER:
            self.prepare(then)
        return died, faults, (self.ear.answers[given] or [None])[-1], took, rows

    def died(self, point):
        return not os.path.exists(self.token) if point.who == WORKER else self.c.daemon.poll() is not None

    def judge(self, point, given, before):
        answers = self.ear.answers[given]
        if not answers:
            return ["no answer came"]
        faults = []
        if any(a != answers[0] for a in answers):
            faults.append(f"the answers differ: {answers}")
        status = answers[0]["status"], answers[0].get("error")
        if status not in (("done", None), ("failed", "OutcomeUnknown")):
            faults.append(f"answered {answers[0]}")
        if point.who == WORKER and status[0] != "done":
            faults.append("the daemon lives, and does not know what it did")
        if point.command == "open":
            self.shut()
        wait(self.quiet, "an empty outbox after the death", 10)
        after = self.facts()
        more = {k: after[k] - before[k] for k in after}
        wanted = {"announce": "parcels", "new-code": "codes", "open": "pulses", "replay": None}[point.command]
        for k, n in more.items():
            if k != wanted and n:
                faults.append(f"{n} {k} more")
        if wanted and not (more[wanted] == 1 or (more[wanted] == 0 and status[0] != "done")):
            faults.append(f"{more[wanted]} {wanted} more, answered {status}")
        live = [p for p in self.admin.parcels().values() if p["Waybill"] == given]
        if point.command == "announce" and len(live) != 1:
            faults.append(f"{len(live)} parcels have the waybill")
        faults += self.ear.faults
        self.ear.faults = []
        return faults

    def shut(self):
        place = self.c.sim.place(SLOT)
        if place["door"] != "shut":
            self.c.sim.do(f"close {SLOT}")
        self.admin.wait_slot(SLOT, Door="locked")


def listed(path):
    rows = []
    try:
        with open(path, encoding="utf-8") as f:
            for line in f:
                _, kind, call, file, size = line.split()
                rows.append((kind, call, {"worker": "socket", "network": "broker"}.get(kind) or file.replace("ledger.db", ""), int(size)))
    except FileNotFoundError:
        pass
    return rows


def points_of(who, command, rows):
    for number, (kind, call, file, size) in enumerate(rows, 1):
        what = f"{call} {file}"
        for how in HOWS:
            if how == "torn" and not (call in ("write", "pwrite") and size > 1) or how == "lost" and kind != "ledger":
                continue
            # The next page of the log follows in the same function.
            if how == "after" and call == "pwrite":
                continue
            yield Point(who, command, number, how, what)


def nothing(who=DAEMON, command="announce"):
    return Point(who, command, 0, "before", "")


def survey(build, whose, commands):
    """The calls of each program for each command, in a run without a death."""
    lane = Lane(build)
    try:
        lists = {}
        points = [nothing(who, command) for who in whose for command in commands]
        lane.prepare(points[0])
        for point, then in zip(points, points[1:] + [nothing()]):
            died, faults, answer, _, rows = lane.give(point, then)
            assert not died and not faults and answer["status"] == "done", (point, faults, answer)
            lists[point.who, point.command] = rows
        return lists
    except BaseException:
        print(lane.c.log()[-3000:], file=sys.stderr)
        raise
    finally:
        lane.close()


def live(build, points, out):
    """One lane: every death of `points`."""
    lane = None
    left = list(points)
    while left:
        point = left.pop(0)
        try:
            if lane is None:
                lane = Lane(build)
            if lane.prepared != point:
                lane.prepare(point)
            died, faults, answer, took, _ = lane.give(point, left[0] if left else nothing())
            log = lane.c.log()[-3000:] if faults else ""
        except Exception:
            died, answer, took, faults = True, None, 0, ["it did not go on: " + traceback.format_exc(limit=-4)]
            log = lane.c.log()[-3000:] if lane else ""
        if lane and daemonlib.SANITIZER.search(lane.c.log()):
            faults.append("a sanitizer complained")
        out.put((point, died, faults, (answer or {}).get("status"), took, log, lane.ear.twice if lane else 0))
        if faults and lane:
            lane.close()
            lane = None
    if lane:
        objections = lane.c.sim.objections()
        if objections:
            out.put((nothing(), True, [f"the simulated boards object: {objections}"], None, 0, "", 0))
        lane.close()
    out.put(None)


def sample(points, every):
    """Every N-th of each kind of death, at least one of each."""
    groups = collections.defaultdict(list)
    for p in points:
        groups[p.who, p.command, p.how, p.what].append(p)
    for n, group in enumerate(groups.values()):
        yield from group[n % min(every, len(group))::every]


def die(build, points, lanes, verbose):
    spawn = multiprocessing.get_context("spawn")  # GLib has threads by now
    out = spawn.Queue()
    processes = [spawn.Process(target=live, args=(build, points[i::lanes], out)) for i in range(lanes)]
    for p in processes:
        p.start()
    left = lanes
    while left:
        result = out.get(timeout=300)
        if result is None:
            left -= 1
            continue
        point, died, faults, status, took, log, _ = result
        if verbose:
            print(point, "died" if died else "lived", status, f"{took:.2f} s", flush=True)
        if faults:
            print(f"FAILED {point}: " + "\n    ".join(faults) + f"\n--- log\n{log}---", flush=True)
        yield result
    for p in processes:
        p.join()


def table(results):
    rows = collections.defaultdict(collections.Counter)
    for point, died, faults, status, *_ in results:
        row = rows[point.who, point.command, point.how]
        row.update({"tried": 1, "died": died, "faults": bool(faults), status or "unanswered": 1})
    columns = ["tried", "died", "done", "failed", "unanswered", "faults"]
    print(" " * 33 + "".join(f"{c:>11}" for c in columns))
    for (who, command, how), row in sorted(rows.items()):
        print(f"{who:12} {command:10} {how:8} " + "".join(f"{row[c]:11}" for c in columns))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", nargs="?", default=os.environ.get("BUILDDIR", "build"))
    parser.add_argument("--every", type=int, default=6, help="every N-th death of each kind; 1: all")
    parser.add_argument("--lanes", type=int, default=4, help="so many cabinets side by side")
    parser.add_argument("--only", choices=COMMANDS)
    parser.add_argument("--who", choices=[DAEMON, WORKER], help="only this one dies")
    parser.add_argument("--verbose", action="store_true")
    o = parser.parse_args()
    o.build = os.path.abspath(o.build)
    if not os.path.exists(os.path.join(o.build, "tests", "daemon", "inboxshim.so")):
        print("skipped: inboxshim.so is not built")
        sys.exit(77)
    start = time.monotonic()
    lists = survey(o.build, [o.who] if o.who else [DAEMON, WORKER], [o.only] if o.only else COMMANDS)
    everything = [p for (who, command), rows in lists.items() for p in points_of(who, command, rows)]
    # The worker has less that a death could spoil.
    points = [p for who, every in ((DAEMON, o.every), (WORKER, 2 * o.every if o.every > 1 else 1))
              for p in sample([p for p in everything if p.who == who], every)]
    for (who, command), rows in lists.items():
        print(f"{who}, {command}: " + ", ".join(f"{n} {k}" for k, n in collections.Counter(f"{call} {file}" for _, call, file, _ in rows).items()))
    print(f"{len(everything)} deaths, {len(points)} of them are tried now", flush=True)
    results = list(die(o.build, points, o.lanes, o.verbose))
    table(results)
    bad = sum(bool(r[2]) for r in results)
    died = sum(r[1] for r in results)
    slowest = max(r[4] for r in results)
    print(f"{len(results)} tried, {died} died there, {bad} with faults; slowest answer after the restart {slowest:.1f} s; "
          f"{time.monotonic() - start:.0f} s")
    # Pings to the workers move the last points; most must be reached, or this shows nothing.
    sys.exit(1 if bad or len(results) != len(points) or died < 0.8 * len(points) else 0)


if __name__ == "__main__":
    main()
