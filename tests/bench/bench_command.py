# SPDX-License-Identifier: Apache-2.0
"""A signed open of the backend: from an independent client's publish to the first byte of the unlock frame on the line, against what
cannot be avoided.

That is a message's way through the broker, one durable SQLite commit on the ledger's file system, and the wait for an idle line. All three are
measured before each command, in the same way as for Collect: a message of the same size to a subscriber that does nothing, a stand-in
ledger that takes one row, the boards' journal. The client runs without threads: what is published is on the socket before the call returns.
"""
import json
import os
import random
import shutil
import socket
import tempfile
import time
import uuid

from bench_collect import LINES, Line, Reference
from benchlib import BenchCabinet, Journal, arguments, cabinet_text, median, now, percentile, settings_for

import backendlib  # noqa: I100 (benchlib has made the path)
from backendlib import PacketTypes, Properties, paho

REPLY, STATE, ECHO = "lockerd/v1/BENCH/reply", "lockerd/v1/BENCH/state", "bench/echo"


class Client:
    """An MQTT 5 client without a thread."""

    def __init__(self, port, name, topics):
        self.messages, self.subscribed = [], False
        self.client = paho.Client(client_id=name, protocol=paho.MQTTv5)
        self.client.on_message = lambda c, u, m: self.messages.append((now(), m))
        self.client.on_connect = lambda c, u, f, r, p: c.subscribe([(t, 1) for t in topics])
        self.client.on_subscribe = self._on_subscribe
        self.client.connect("127.0.0.1", port, keepalive=600)
        self.until(lambda: self.subscribed)

    def _on_subscribe(self, *_):
        self.subscribed = True

    def until(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError("nothing came from the broker")
            # Neither the client's nor the broker's waiting for an acknowledgement of the kernel is what is to be measured.
            for option in (socket.TCP_NODELAY, socket.TCP_QUICKACK):
                self.client.socket().setsockopt(socket.IPPROTO_TCP, option, 1)
            self.client.loop(0.2)

    def publish(self, topic, payload, **properties):
        """→ boot µs before the client began"""
        p = Properties(PacketTypes.PUBLISH)
        for key, value in properties.items():
            setattr(p, key, value)
        begin = now()
        self.client.publish(topic, payload, qos=1, properties=p)
        return begin

    def answer(self, id):
        def find():
            return next((a for _, m in self.messages if m.topic == REPLY for a in [json.loads(m.payload)] if a["id"] == id), None)
        self.until(find)
        answer = find()
        self.messages.clear()
        return answer

    def wait_online(self):
        def find():
            return [m for _, m in self.messages if m.topic == STATE and json.loads(m.payload)["presence"] == "online"]
        self.until(find)

    def close(self):
        self.client.disconnect()
        self.client.loop(0.1)


class Echo:
    """A message through the broker and back to another connection."""

    def __init__(self, port, backend):
        self.backend, self.listener = backend, Client(port, "listener", [ECHO])

    def trip(self, size):
        self.listener.messages.clear()
        begin = self.backend.publish(ECHO, os.urandom(size))
        self.listener.until(lambda: self.listener.messages)
        return self.listener.messages[0][0] - begin


class Bench:
    def __init__(self, args, boards, baud):
        self.broker = backendlib.Broker()
        self.keys = tempfile.mkdtemp(prefix="keys-")
        self.key = backendlib.SigningKey(self.keys)
        ring = os.path.join(self.keys, "ring")
        os.mkdir(ring)
        self.key.public(os.path.join(ring, "key-1.pem"))
        settings = settings_for() | {"Mqtt": {"Host": "127.0.0.1", "Port": str(self.broker.port), "SigningKeys": ring}}
        self.cabinet = BenchCabinet(args.build, cabinet_text(boards, baud=baud), settings)
        self.line = Line(baud)

    def close(self):
        self.cabinet.stop(check=False)
        self.broker.stop()
        shutil.rmtree(self.keys, ignore_errors=True)

    def commands(self, n):
        """n signed opens, of different slots one after the other: (id, slot, JWS)."""
        slots = sorted(self.cabinet.client().slots())
        for i in range(n):
            slot, id = slots[i % len(slots)], uuid.uuid4().hex
            body = {"cabinet": "BENCH", "name": "open", "id": id, "expires": backendlib.timestamp(7200),
                    "arguments": {"slot": slot, "reason": "bench"}}
            yield id, slot, self.key.sign(body)

    def run(self, n):
        """→ (publish to first byte, trip through the broker, commit, wait for the line), µs, for each command"""
        self.cabinet.start()
        rows, commands = [], list(self.commands(n))
        backend, reference = Client(self.broker.port, "backend", [REPLY, STATE]), Reference(self.cabinet.directory)
        backend.wait_online()
        echo, journal = Echo(self.broker.port, backend), Journal(self.cabinet.sim)
        for id, slot, signed in commands:
            trip = echo.trip(len(signed))
            backend.until(lambda: not backend.client.want_write(), 1)
            commit = reference.commit()
            self.line.add(journal.read())
            time.sleep(0.02 + random.random() * 0.1)  # any phase of the polls, and of what the cabinet says on its own
            begin = backend.publish("lockerd/v1/BENCH/command/open", signed, ResponseTopic=REPLY)
            seen = journal.wait_unlock(begin)
            answer = backend.answer(id)
            if answer["status"] != "done":
                raise AssertionError(answer)
            self.line.add(seen)
            self.cabinet.sim.wait(slot, door="open", coil=False)
            self.cabinet.sim.do(f"close {slot}")
            wait = self.line.wait(begin)
            if wait is not None:
                rows.append((seen[-1]["start_us"] - begin, trip, commit, wait))
        for client in (backend, echo.listener):
            client.close()
        return rows


def show(name, rows):
    took, trips, commits, waits = zip(*rows)
    floor = [sum(row[1:]) for row in rows]
    print(f"{name}: {len(rows)} opens, ms              median    mean     p99")
    for what, values in (("publish to first byte", took), ("  through the broker alone", trips), ("  one durable commit", commits),
                         ("  wait for an idle line", waits), ("  all three: what must be", floor)):
        print(f"  {what:28} {median(values) / 1000:9.2f} {sum(values) / len(values) / 1000:7.2f} {percentile(values, 99) / 1000:7.2f}")
    print(f"RESULT signed open, {name}: median {median(took) / 1000:.2f} ms, p99 {percentile(took, 99) / 1000:.2f} ms; "
          f"{median(took) / median(commits):.1f} commits; ratio to what must be: medians {median(took) / median(floor):.2f}, "
          f"means {sum(took) / sum(floor):.2f}, p99 {percentile(took, 99) / percentile(floor, 99):.2f}", flush=True)


def main():
    args = arguments(__doc__, samples=(200, "commands a line"), line=("", "only the line whose name contains this"))
    for name, wiring in LINES.items():
        if args.line in name:
            bench = Bench(args, **wiring)
            try:
                show(name, bench.run(8 if args.short else args.samples))
            finally:
                bench.close()


if __name__ == "__main__":
    main()
