# SPDX-License-Identifier: Apache-2.0
"""How fast an outbox drains, against a bare loop of libmosquitto with the same window and payload on the same broker, in turns; what people
at the cabinet notice of it; and the time from a signed `open` at the broker to the coil of the simulated board.

The cabinet's time is that between the first row which is cleared from the ledger and the last. In both turns the one subscriber is a session
whose client is away and wants nothing kept (QoS 0): the broker has nothing to deliver, and says that there is somebody. Where there is nobody
the cabinet keeps its events."""
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
import uuid

from benchlib import (CABINET, PROPERTIES, ROOT, SESSION, BenchCabinet, Terminal, arguments, cabinet_text, median, now, percentile, report,
                      settings_for)

import backendlib  # noqa: E402, I100 (benchlib has made the path)
from dbusclient import wait

GOAL = 0.9
WINDOW = 20  # as in lockerd.conf


class Bench:
    def __init__(self, args):
        self.args = args
        self.events = 10000 if args.short else args.events
        self.behind = 100000 if args.short else args.behind
        self.keys = tempfile.mkdtemp(prefix="keys-")
        self.broker = backendlib.Broker(extra="max_queued_messages 0\n")
        self.key = backendlib.SigningKey(self.keys)
        ring = os.path.join(self.keys, "ring")
        os.mkdir(ring)
        self.key.public(os.path.join(ring, "key-1.pem"))
        settings = settings_for() | {"Mqtt": {"Host": "127.0.0.1", "Port": str(self.broker.port), "SigningKeys": ring, "BackoffMin": "100ms",
                                              "BackoffMax": "1s"}}
        self.cabinet = BenchCabinet(args.build, cabinet_text(1, baud=115200), settings)

    def close(self):
        self.cabinet.stop(check=False)
        self.broker.stop()
        shutil.rmtree(self.keys, ignore_errors=True)

    def tool(self, name):
        return os.path.join(self.args.build, "tests", "daemon", name)

    def bare(self, size):
        done = subprocess.run([self.tool("mqtt-publish"), str(self.broker.port), str(self.events), str(size), str(WINDOW)],
                              capture_output=True, text=True, check=True)
        return self.events / float(done.stdout)

    def fill(self, events):
        self.cabinet.stop_daemon()
        subprocess.run([self.tool("outbox-fill"), self.cabinet.ledger, str(events), os.path.join(self.cabinet.directory, "lockerd.key")],
                       check=True)

    def outbox(self):
        """→ what tells the first row that is left; the last one"""
        db = sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True, timeout=5)

        def lowest():  # not together with the highest: that reads the whole table, many times a second
            return db.execute("SELECT min(sequence) FROM outbox").fetchone()[0]
        return lowest, db.execute("SELECT max(sequence) FROM outbox").fetchone()[0]

    def empty(self):
        """Fills the outbox and waits until it is empty → [(boot µs, first row that is left)]"""
        self.fill(self.events)
        lowest, last = self.outbox()
        first, rows = lowest(), []
        self.cabinet.spawn_daemon()
        while not rows or rows[-1][1] <= last:
            low = lowest()
            low = last + 1 if low is None or low > last else low
            if low > first:
                rows.append((now(), low))
            time.sleep(0.005)
        wait(lambda: self.cabinet.daemon.poll() is None, "the daemon")
        return rows

    def drain(self):
        """Events a second, from the first row that is cleared to the last."""
        rows = self.empty()
        (begin, a), (end, b) = rows[0], rows[-1]
        return (b - a) / ((end - begin) / 1e6)


def payload_size(bench):
    """Of the events that outbox-fill makes, as the broker gets them."""
    backend = backendlib.Backend(bench.broker.port, "BENCH", bench.key, name="size")
    wait(lambda: backend.subscribed, "the subscription")
    bench.cabinet.start(daemon=False)
    bench.events, events = 1000, bench.events
    bench.cabinet.spawn_daemon()
    wait(lambda: os.path.exists(os.path.join(bench.cabinet.directory, "lockerd.key")) and backend.state(), "the first state")
    bench.empty()
    wait(lambda: len(backend.topics("event/")) >= 1000, "events")
    sizes = [len(m.payload) for m in backend.topics("event/")]
    backend.close()
    bench.events = events
    # A session that goes on would be sent everything.
    gone = backendlib.paho.Client(client_id="size", protocol=backendlib.paho.MQTTv5)
    gone.connect("127.0.0.1", bench.broker.port, clean_start=True)
    gone.loop_start()
    time.sleep(0.3)
    gone.disconnect()
    gone.loop_stop()
    return round(sum(sizes) / len(sizes))


def listen(bench):
    """A subscription to everything by a client that is away."""
    subscribed = threading.Event()
    client = backendlib.paho.Client(client_id="away", protocol=backendlib.paho.MQTTv5)
    client.on_connect = lambda c, u, f, r, p: c.subscribe("#", qos=0)
    client.on_subscribe = lambda *_: subscribed.set()
    properties = backendlib.Properties(backendlib.PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 0xFFFFFFFF
    client.connect("127.0.0.1", bench.broker.port, clean_start=False, properties=properties)
    client.loop_start()
    if not subscribed.wait(10):
        raise AssertionError("the broker takes no subscription")
    client.disconnect()
    client.loop_stop()


def opens(bench, n):
    """Milliseconds from publishing to the coil of the simulated board."""
    backend = backendlib.Backend(bench.broker.port, "BENCH", bench.key)
    wait(lambda: backend.subscribed, "the subscription")
    client = bench.cabinet.client()
    wait(lambda: all(s["BoardOnline"] and s["Door"] == "locked" for s in client.slots().values()), "the boards")
    rows, labels = [], sorted(client.slots())
    for i in range(n):
        slot = labels[i % len(labels)]
        body = {"cabinet": "BENCH", "name": "open", **backend.body("open", {"slot": slot, "reason": "bench"}, id=uuid.uuid4().hex)}
        payload, before = bench.key.sign(body), len(bench.cabinet.sim.journal())
        correlation = uuid.uuid4().bytes
        begin = now()
        backend.publish("open", payload, correlation)
        answer = wait(lambda: backend.answers(correlation), "an answer", 20)[0]
        if answer["status"] != "done":
            raise AssertionError(answer)
        frames = [j for j in bench.cabinet.sim.journal()[before:] if j["event"] == "coil" and j["time_us"] >= begin]
        rows.append((frames[0]["time_us"] - begin) / 1000)
        bench.cabinet.sim.wait(slot, door="open", coil=False)
        bench.cabinet.sim.do(f"close {slot}")
        client.wait_slot(slot, Door="locked")
    backend.close()
    return rows


class People:
    """What somebody at the kiosk waits for, with the outbox at rest and while it drains."""

    def __init__(self, bench):
        self.bench, self.pickups, self.questions = bench, {False: [], True: []}, {False: [], True: []}
        self.bench.cabinet.stop_daemon()
        self.bench.cabinet.start_daemon()
        terminal = Terminal(self.bench.cabinet)
        terminal.enrol_courier()
        terminal.close()

    def ask(self, terminal, seconds, into):
        """Something that is answered from memory: how long the daemon's turns are."""
        end = now() + seconds * 1e6
        while now() < end:
            into.append(terminal.bus.call(ROOT, PROPERTIES, "Get", "ss", CABINET, "Number").took / 1000)
            time.sleep(0.002)

    def pick_up(self, terminal, slot, code):
        """Milliseconds from the call to the first byte of the command."""
        path = terminal.start("recipient").value
        terminal.authenticate(path, "code", code=code, slot=slot)
        _, opening, _ = terminal.opening(path, "Collect", "o", "/")
        terminal.session(path, "Accept")
        terminal.wait_until_shuttable(slot)
        terminal.sim.do(f"take {slot}", f"close {slot}")
        terminal.bus.wait_prompt(path, "collected")
        terminal.session(path, "End")
        return opening / 1000

    def turn(self, busy):
        """Eight pickups, and questions between them; with `busy` only those count that were over before the outbox was empty."""
        cabinet, parcels = self.bench.cabinet, []
        terminal = Terminal(cabinet)
        path = terminal.courier()
        for _ in range(8):
            terminal.deposit(path, parcels)
        terminal.session(path, "End")
        if busy:
            terminal.close()
            self.bench.broker.leave()
            self.bench.fill(self.bench.behind)
            lowest, last = self.bench.outbox()
            first = lowest()
            cabinet.start_daemon()
            terminal = Terminal(cabinet)
            self.bench.broker.start()
            listen(self.bench)
            wait(lambda: (lowest() or last) > first, "the first events to be cleared", 60)
        for slot, code, _ in parcels:
            answers = []
            self.ask(terminal, 0.1, answers)
            took = self.pick_up(terminal, slot, code)
            if not busy or (lowest() or last) < last:
                self.pickups[busy].append(took)
                self.questions[busy] += answers
        terminal.close()
        if busy:
            wait(lambda: (lowest() or last + 1) > last, "an empty outbox", 120)

    def show(self):
        for what, rows in (("Collect → first byte", self.pickups), ("a property → its value", self.questions)):
            for busy, when in ((False, "at rest"), (True, "while it drains")):
                r = rows[busy]
                print(f"{what}, {when}: median {median(r):.2f} ms, p99 {percentile(r, 99):.2f} ms, slowest {max(r):.2f} ms ({len(r)})")


def main():
    args = arguments(__doc__.split("\n", maxsplit=1)[0], events=(50000, "how many wait in the outbox"), turns=(7, "how often each"),
                     opens=(100, "how many doors are opened"), behind=(400000, "how many wait while people come"),
                     people=(4, "how often eight people come, at rest and while it drains"))
    bench = Bench(args)
    try:
        size = payload_size(bench)
        listen(bench)
        ratios, ours, theirs = [], [], []
        for i in range(3 if args.short else args.turns):
            pair = [bench.bare(size), bench.drain()] if i % 2 else [bench.drain(), bench.bare(size)][::-1]
            theirs.append(pair[0])
            ours.append(pair[1])
            ratios.append(pair[1] / pair[0])
        ratio = median(ratios)
        print(f"payload {size} bytes, window {WINDOW}, {bench.events} events; lockerd {median(ours):.0f}/s, bare loop {median(theirs):.0f}/s; "
              f"ratios {' '.join(f'{r:.2f}' for r in ratios)}")
        report("drain of the outbox against a bare libmosquitto loop", f"{ratio:.2f}", f"≥ {GOAL}", ratio >= GOAL)
        people = People(bench)
        for _ in range(1 if args.short else args.people):
            people.turn(False)
            people.turn(True)
        people.show()
        rows = opens(bench, 20 if args.short else args.opens)
        print(f"signed open → coil: median {median(rows):.1f} ms, p99 {percentile(rows, 99):.1f} ms, slowest {max(rows):.1f} ms ({len(rows)})")
    finally:
        bench.close()


if __name__ == "__main__":
    main()
