#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A cabinet that nobody has heard for long: thousands of events wait in its outbox, then the broker is there.

    python3 test_backend_long.py BUILDDIR [--events N] [unittest arguments]
"""
import collections
import itertools
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

from backendlib import BackendTest, Judge, jsonschema
from daemonlib import main
from dbusclient import wait

EVENTS = 5000
ROUTINE = {"door.commanded", "door.released", "door.opened", "door.closed", "door.unknown", "board.online", "board.offline", "code.wrong", "code.refused", "credential.wrong"}
# What the daemon and its MQTT worker together may need more while they drain than before; it must not grow with the outbox.
MEMORY_KIB = 2048

if "--events" in sys.argv:
    EVENTS = int(sys.argv[sys.argv.index("--events") + 1])
    at = sys.argv.index("--events")
    del sys.argv[at:at + 2]


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


class LongTest(BackendTest):
    # The broker's own limits are not the cabinet's.
    broker_extra = "max_queued_messages 0\n"

    def setUp(self):
        super().setUp()
        self.heard, self.first, self.twice, self.seen = [], {}, 0, 0
        self.wait_drained()
        self.cabinet.stop_daemon()
        self.broker.leave()
        done = subprocess.run([os.path.join(self.cabinet.build, "tests", "daemon", "outbox-fill"), self.cabinet.ledger, str(EVENTS),
                               os.path.join(self.cabinet.directory, "lockerd.key")], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.cabinet.start_daemon()

    def judge(self):
        """A sample of so many."""
        if jsonschema:
            judge, messages = Judge(), self.backend.receive()
            found = [c for m in random.Random(1).sample(messages, min(len(messages), 3000)) for c in judge.complaints(self.number, m)]
            self.assertEqual(found[:10], [])

    def listen(self):
        """Events in the order in which they first came, and how often the cabinet sent one again (what the broker repeats, because it has not
        read that the backend has it, is marked)."""
        messages = self.backend.receive()
        for m in messages[self.seen:]:
            if "/event/" not in m.topic:
                continue
            event = json.loads(m.payload)
            number = int(event["sequence"])
            if number in self.first:
                self.twice += not m.dup
                self.assertEqual((event["id"], event["type"]), self.first[number])
                continue
            self.first[number] = (event["id"], event["type"])
            self.heard.append(event)
        self.seen = len(messages)
        return self.heard

    def children(self):
        """The daemon's MQTT workers."""
        pid, found = self.cabinet.daemon.pid, []
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            children = f.read().split()
        for child in children:
            try:
                with open(f"/proc/{child}/comm", encoding="ascii") as f:
                    name = f.read()
            except FileNotFoundError:
                continue  # has left meanwhile
            if name.startswith("lockerd-mqtt"):
                found.append(int(child))
        return found

    def processes(self):
        """The daemon and its MQTT worker."""
        found = [self.cabinet.daemon.pid, *self.children()]
        self.assertEqual(len(found), 2)
        return found

    def drain(self, timeout=600):
        """Waits until all is drained → (seconds, most KiB seen)."""
        pids, most, begin = self.processes(), 0, time.monotonic()
        end = begin + timeout
        while True:
            most = max(most, sum(map(pss, pids)))
            self.listen()
            if self.admin.cabinet("OutboxLength") == 0 and self.broker.process.poll() is None:
                return time.monotonic() - begin, most
            self.assertLess(time.monotonic(), end, f"{len(self.first)} events came")
            time.sleep(0.1)

    def interrupt(self, marks, end):
        """As soon as so many events have been cleared the broker is ended, and started again; in a thread, because it takes moments only."""
        def run():
            db = sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True, timeout=5)
            for mark in marks:
                while (db.execute("SELECT min(sequence) FROM outbox").fetchone()[0] or mark) < mark:
                    time.sleep(0.001)
                end()
                time.sleep(0.3)
                self.broker.start()
                done.append(mark)
        done = []
        threading.Thread(target=run, daemon=True).start()
        return done

    def wait_coming(self, condition, what):
        """The cabinet is faster than this backend: waits as long as messages come."""
        seen, end = -1, 0
        while not (found := condition()):
            n = len(self.backend.receive())
            if n != seen:
                seen, end = n, time.monotonic() + 60
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.1)
        return found

    def wait_heard(self):
        # Boards that are found again record events meanwhile: what counts is what is recorded when everything has come.
        self.wait_coming(lambda: self.listen() and max(self.first) >= self.admin.cabinet("LastEvent"), "everything that is recorded")
        return max(self.first)

    def assertOrdered(self, since=0):
        numbers = [int(e["sequence"]) for e in self.heard[since:]]
        self.assertEqual(numbers, sorted(numbers))

    def assertUntouched(self):
        """The chain still holds."""
        self.assertTrue(self.admin.verify_audit())


class Drains(LongTest):
    def test_all_come_once_in_order_and_memory_does_not_grow(self):
        """Requirement: B4"""
        before = sum(map(pss, self.processes()))
        self.assertGreaterEqual(self.admin.cabinet("OutboxLength"), EVENTS)
        self.broker.start()
        wait(lambda: self.admin.health()["backend"][0] == "ok", "the connection", 30)
        seconds, most = self.drain()
        last = self.wait_heard()
        after = sum(map(pss, self.processes()))
        print(f"{EVENTS} events in {seconds:.1f} s, {EVENTS / seconds:.0f}/s; PSS {before} KiB before, at most {most}, {after} after",
              file=sys.stderr, flush=True)
        self.assertEqual([int(e["sequence"]) for e in self.heard], list(range(1, last + 1)))
        self.assertEqual(len({e["id"] for e in self.heard}), last)
        self.assertEqual(self.twice, 0)
        waited = [e for e in self.heard if e["data"].get("waybill", "").startswith("JD")]
        self.assertTrue(waited and all(e["offline"] for e in waited))
        secrets = [e["data"]["secret"]["code"] for e in self.heard if "secret" in e["data"]]
        self.assertEqual(len(secrets), EVENTS // 10)
        self.assertLess(most, before + MEMORY_KIB)
        self.assertLess(after, before + MEMORY_KIB)
        self.assertUntouched()

    def test_broker_away_again_and_again_nothing_lost_or_out_of_order(self):
        """Requirement: B4"""
        marks = [EVENTS // 5, 2 * EVENTS // 5, 3 * EVENTS // 5]
        done = self.interrupt(marks, self.broker.leave)
        self.broker.start()
        self.drain()
        wait(lambda: done == marks, "the last coming of the broker")
        last = self.wait_heard()
        self.assertEqual([int(e["sequence"]) for e in self.heard], list(range(1, last + 1)))
        print(f"{self.twice} of {EVENTS} came twice", file=sys.stderr, flush=True)

    def test_broker_killed_what_it_forgot_is_replayed(self):
        """Requirement: B4"""
        killed = self.interrupt([EVENTS // 3], self.broker.kill)
        self.broker.start()
        self.drain()
        wait(lambda: killed, "the broker again")
        # Also the backend's session was forgotten: it must subscribe again, and look at what the state says of the last event.
        last = self.wait_coming(lambda: (self.backend.state() or {}).get("outbox") == 0 and self.backend.state()["lastevent"], "the state")
        self.listen()
        self.assertOrdered()
        missing = sorted(set(range(1, last + 1)) - set(self.first))
        print(f"the killed broker forgot {len(missing)} events", file=sys.stderr, flush=True)
        if not missing:
            missing = [2, 50]  # to be asked for all the same
        answer = self.backend.command("replay", {"from": missing[0], "to": missing[-1]})
        self.assertEqual(answer["status"], "done", answer)
        self.wait_coming(lambda: self.listen() and len(self.first) == last, "what was forgotten")


class Relay:
    """Between a cabinet and its broker: passes on what the cabinet says only as far as the test has let it, so that a drain does not run ahead
    of a test that is slow, however busy the machine is."""

    AHEAD = 64 << 10  # bytes that may be let through in advance

    def __init__(self, port):
        self.port_of_broker = port
        self.limited, self.budget = False, 0
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def limit(self):
        with self.changed:
            self.limited, self.budget = True, 0

    def let(self, n):
        with self.changed:
            self.budget = min(self.budget + n, self.AHEAD)
            self.changed.notify_all()

    def open(self):
        with self.changed:
            self.limited = False
            self.changed.notify_all()

    def close(self):
        self.open()
        self.listener.close()

    def _take(self, most):
        with self.changed:
            self.changed.wait_for(lambda: not self.limited or self.budget > 0)
            n = min(most, self.budget) if self.limited else most
            self.budget -= n if self.limited else 0
            return n

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self.port_of_broker()), 5)
            except OSError:
                client.close()
                continue
            broker.settimeout(None)
            threading.Thread(target=self._pass, args=(client, broker, self._take), daemon=True).start()
            threading.Thread(target=self._pass, args=(broker, client, lambda most: most), daemon=True).start()

    @staticmethod
    def _pass(source, sink, take):
        try:
            while data := source.recv(16 << 10):
                while data:
                    n = take(len(data))
                    sink.sendall(data[:n])
                    data = data[n:]
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Interrupted(LongTest):
    """In the middle of a drain the worker, the daemon and the broker fall by turns. The drain goes as fast as the test looks."""
    STEP = 8 << 10  # bytes; an event has some 450

    def setUp(self):
        self.relay = Relay(lambda: self.broker.port)
        self.addCleanup(self.relay.close)
        self.mqtt = {"Window": "2", "Port": str(self.relay.port)}
        super().setUp()

    def worker_falls(self):
        pid = wait(lambda: len(found := self.children()) == 1 and found[0], "the worker", 20)
        os.kill(pid, signal.SIGKILL)

    def daemon_falls(self):
        self.cabinet.kill_daemon()
        self.cabinet.spawn_daemon()

    def broker_falls(self):
        self.broker.leave()
        self.broker.start()

    def test_worker_daemon_and_broker_fall_by_turns_nothing_lost(self):
        """Requirement: B4"""
        chance, falls = random.Random(7), collections.Counter()
        db = sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True, timeout=5)
        step, mark, end = max(1000, EVENTS // 30), 1, time.monotonic() + 900
        kinds = itertools.cycle((self.worker_falls, self.daemon_falls, self.broker_falls))
        self.relay.limit()
        self.broker.start()
        while (low := db.execute("SELECT min(sequence) FROM outbox").fetchone()[0]) is not None:
            self.assertLess(time.monotonic(), end, f"{low} is the next")
            if low > mark and low < EVENTS:
                time.sleep(chance.random() * 0.02)
                fall = next(kinds)
                fall()
                falls[fall.__name__] += 1
                mark = low + step
            self.relay.let(self.STEP)
            time.sleep(0.002)
        db.close()
        self.relay.open()
        wait(lambda: self.admin.has_owner(), "the daemon")
        last = self.wait_heard()
        print(f"{dict(falls)}; {self.twice} of {EVENTS} came twice", file=sys.stderr, flush=True)
        self.assertEqual(len(falls), 3)
        self.assertEqual([int(e["sequence"]) for e in self.heard], list(range(1, last + 1)))
        codes = [e for e in self.heard if e["type"] == "org.lockerd.code.issued"]
        self.assertEqual(len(codes), EVENTS // 10)
        self.assertTrue(all("code" in e["data"]["secret"] for e in codes))
        self.assertUntouched()


class Replays(LongTest):
    def test_replay_goes_on_after_the_broker_was_away_and_is_not_replaced(self):
        """Requirement: B4"""
        self.broker.start()
        self.drain()
        self.wait_heard()
        end = min(EVENTS, 4000)
        self.assertEqual(self.backend.command("replay", {"from": 1, "to": end})["status"], "done")
        other = self.backend.command("replay", {"from": 10, "to": 12})
        self.broker.leave()
        self.broker.start()
        again = lambda: {int(json.loads(m.payload)["sequence"]) for m in self.backend.receive()[self.seen:] if "/event/" in m.topic}
        wait(lambda: set(range(1, end + 1)) <= again(), f"{end} events again", 60)
        # The first was under way, or was over already.
        self.assertIn(other.get("error"), ("Busy", None))
        wait(lambda: self.backend.command("replay", {"from": 10, "to": 12})["status"] == "done", "room for the next", 20)


class Unheard(LongTest):
    """The broker takes everything, and nobody has subscribed."""

    def rows(self):
        db = sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True, timeout=5)
        try:
            return db.execute("SELECT count(*) FROM outbox").fetchone()[0]
        finally:
            db.close()

    def start_unheard(self, *topics):
        """The backend comes back with the broker, and wants only these."""
        gone = []

        def on_connect(client, *_):
            client.unsubscribe(f"lockerd/v1/{self.number}/#")
            for topic in topics:
                client.subscribe(f"lockerd/v1/{self.number}/{topic}", qos=1)
        self.backend.client.on_connect = on_connect
        self.backend.client.on_unsubscribe = lambda *_: gone.append(1)
        self.broker.start()
        wait(lambda: gone, "no subscription")

    def test_nobody_hears_anything_and_nothing_is_lost(self):
        """Requirement: B4"""
        # The cabinet comes when nobody listens any more.
        self.cabinet.stop_daemon()
        self.start_unheard()
        time.sleep(0.5)
        self.cabinet.start_daemon()
        wait(lambda: self.admin.health()["backend"][1].startswith("Nobody listens"), "a degraded backend")
        time.sleep(3)
        self.assertGreaterEqual(self.rows(), EVENTS)
        self.listen()
        self.assertLess(len(self.heard), EVENTS // 10)
        self.backend.client.subscribe(f"lockerd/v1/{self.number}/#", qos=1)
        wait(lambda: self.rows() == 0, "an empty outbox", 120)
        last = self.wait_heard()
        self.assertEqual(set(self.first), set(range(1, last + 1)))
        wait(lambda: self.admin.health()["backend"][0] == "ok", "a good backend")

    def test_what_nobody_wants_is_given_up_when_others_are_heard(self):
        """Requirement: B4"""
        self.cabinet.stop_daemon()
        self.start_unheard("state", "reply", "event/parcel.stored")
        time.sleep(0.5)
        self.cabinet.start_daemon()
        wait(lambda: self.rows() <= 1024 and sum(e["type"] == "org.lockerd.parcel.stored" for e in self.listen()) >= EVENTS // 10,
             "all that are wanted", 120)
        self.cabinet.wait_log("is given up; `replay` brings it")
        self.assertGreater(self.rows(), 500)
        missing = next(n for n in range(2, 1000) if n not in self.first)
        self.backend.client.subscribe(f"lockerd/v1/{self.number}/#", qos=1)
        wait(lambda: self.backend.command("replay", {"from": missing, "to": missing})["status"] == "done", "the replay")
        wait(lambda: self.listen() and missing in self.first, "what was given up")


class Bounded(LongTest):
    mqtt = {"OutboxMaximum": "1000"}

    def test_routine_is_summarised_and_nothing_else(self):
        """Requirement: B4"""
        last = self.admin.cabinet("LastEvent")
        self.broker.start()
        seconds, _ = self.drain()
        self.wait_heard()
        self.assertOrdered()
        told = [e for e in self.heard if e["type"] == "org.lockerd.outbox.summarised"]
        self.assertEqual(len(told), 1)
        after, to, events = (told[0]["data"][k] for k in ("after", "to", "events"))
        missing = sorted(set(range(1, last + 1)) - set(self.first))
        self.assertEqual(len(missing), events)
        self.assertTrue(all(after < n <= to for n in missing))
        self.assertLessEqual(to, last - 1000 + 1)
        self.assertGreater(events, (to - after) // 2)
        # By their numbers: what is missing were doors; the parcels' and codes' events are all there.
        kinds = collections.Counter(e["type"] for e in self.heard)
        self.assertEqual(kinds["org.lockerd.code.issued"], EVENTS // 10)
        self.assertEqual(sum(n for t, n in kinds.items() if t.startswith("org.lockerd.parcel.")), 3 * EVENTS // 10)
        left = [e for e in self.heard if after < int(e["sequence"]) <= to]
        self.assertEqual([e for e in left if e["type"].removeprefix("org.lockerd.") in ROUTINE], [])
        print(f"{len(self.heard)} events, {events} left out, in {seconds:.1f} s", file=sys.stderr, flush=True)
        # They are still in the ledger.
        self.assertEqual(self.backend.command("replay", {"from": missing[0], "to": missing[-1]})["status"], "done")
        wait(lambda: self.listen() and set(missing) <= set(self.first), "what was left out", 60)
        self.assertUntouched()


main()
