# SPDX-License-Identifier: Apache-2.0
"""How fast an outbox drains, against a bare loop of libmosquitto with the same window and payload on the same broker, in turns; and the time
from a signed `open` at the broker to the coil of the simulated board.

The cabinet's time is that between the first row which is cleared from the ledger and the last. Nobody listens to the events, in neither
turn."""
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
import uuid

from benchlib import BenchCabinet, arguments, cabinet_text, median, now, percentile, report, settings_for

import backendlib  # noqa: E402, I100 (benchlib has made the path)
from dbusclient import wait

GOAL = 0.8
WINDOW = 20  # as in lockerd.conf


class Bench:
    def __init__(self, args):
        self.args = args
        self.events = 5000 if args.short else args.events
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

    def empty(self):
        """Fills the outbox and waits until it is empty → [(boot µs, first row that is left)]"""
        self.cabinet.stop_daemon()
        subprocess.run([self.tool("outbox-fill"), self.cabinet.ledger, str(self.events), os.path.join(self.cabinet.directory, "lockerd.key")],
                       check=True)
        db = sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True, timeout=5)

        def lowest():  # not together with the highest: that reads the whole table, many times a second
            return db.execute("SELECT min(sequence) FROM outbox").fetchone()[0]
        first, last = lowest(), db.execute("SELECT max(sequence) FROM outbox").fetchone()[0]
        self.cabinet.spawn_daemon()
        rows = []
        while True:
            low = lowest()
            low = last + 1 if low is None or low > last else low
            if low > first:
                rows.append((now(), low))
            if low > last:
                break
            time.sleep(0.005)
        db.close()
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


def main():
    args = arguments(__doc__.split("\n", maxsplit=1)[0], events=(50000, "how many wait in the outbox"), turns=(7, "how often each"),
                     opens=(100, "how many doors are opened"))
    bench = Bench(args)
    try:
        size = payload_size(bench)
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
        rows = opens(bench, 20 if args.short else args.opens)
        print(f"signed open → coil: median {median(rows):.1f} ms, p99 {percentile(rows, 99):.1f} ms, slowest {max(rows):.1f} ms ({len(rows)})")
    finally:
        bench.close()


if __name__ == "__main__":
    main()
