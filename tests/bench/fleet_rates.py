# SPDX-License-Identifier: Apache-2.0
"""What one cabinet says and hears, for bench_fleet.py --rates: the real daemon with the example cabinet of 60 slots, hands at the pace of
people, and between daemon and broker a tap that counts packets and bytes. Then the sum of an assumed day, and of 100 000 such cabinets."""
import collections
import shutil
import socket
import tempfile
import threading
import time

from benchlib import median

import backendlib  # noqa: E402, I100 (benchlib has made the path)
from daemonlib import Cabinet
from dbusclient import DBusError, wait
from mqtt_brokers import Certificates, free_port
from people import Scenario

TYPES = {1: "CONNECT", 2: "CONNACK", 3: "PUBLISH", 4: "PUBACK", 8: "SUBSCRIBE", 9: "SUBACK", 12: "PINGREQ", 13: "PINGRESP",
         14: "DISCONNECT"}
KEEPALIVE = 5  # seconds while it is measured; a day has one every 60 s
QUIET = 2.0    # longer than the state waits for more changes
FLEET = 100000
BUSY_HOUR = 0.15  # assumed part of the day's work in its busiest hour (an even day has 0.042)
# Assumed, for a cabinet of 60 slots that is filled and emptied once a day. (act, how often)
DAY = [("announcement", 60), ("deposit", 60), ("collection", 59), ("wrong code", 6), ("reminder and recall request", 1),
       ("thresholds", 0), ("opening by an operator", 1), ("slot disabled and enabled", 1), ("connection", 1)]


class Parser:
    """MQTT packets in a stream of bytes → (type, length, topic or None)"""

    def __init__(self):
        self.data = b""

    def feed(self, data):
        self.data += data
        while len(self.data) >= 2:
            n, shift, i = 0, 0, 1
            while i < len(self.data):
                n |= (self.data[i] & 127) << shift
                shift += 7
                i += 1
                if not self.data[i - 1] & 128:
                    break
            else:
                return
            if len(self.data) < i + n:
                return
            packet, self.data = self.data[:i + n], self.data[i + n:]
            kind, topic = packet[0] >> 4, None
            if kind == 3:
                length = int.from_bytes(packet[i:i + 2], "big")
                topic = packet[i + 2:i + 2 + length].decode()
            yield TYPES.get(kind, str(kind)), i + n, topic


class Tap:
    """Between cabinet and broker: counts what passes. In `packets`: (direction, type, topic's part, bytes); nothing is parsed with TLS."""

    def __init__(self, port, parse=True):
        self.to, self.parse = port, parse
        self.packets, self.bytes, self.writes = [], collections.Counter(), collections.Counter()
        self.last = time.monotonic()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            broker = socket.create_connection(("127.0.0.1", self.to))
            for s in (client, broker):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(client, broker, "out"), daemon=True).start()
            threading.Thread(target=self._pump, args=(broker, client, "in"), daemon=True).start()

    def _pump(self, source, sink, direction):
        parser = Parser()
        try:
            while data := source.recv(65536):
                sink.sendall(data)
                with self.lock:
                    self._count(data, direction, parser)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _count(self, data, direction, parser):
        self.bytes[direction] += len(data)
        self.writes[direction] += 1
        ping = False
        for kind, n, topic in parser.feed(data) if self.parse else ():
            part = "/".join(topic.split("/")[3:]) if topic else ""
            self.packets.append((direction, kind, part, n))
            ping = kind.startswith("PING")
        if not ping:
            self.last = time.monotonic()

    def close(self):
        self.listener.close()

    def mark(self):
        with self.lock:
            return len(self.packets), collections.Counter(self.bytes), collections.Counter(self.writes)

    def since(self, mark):
        """→ (packets without pings, bytes, writes); with TLS no packets, and pings are among the bytes."""
        with self.lock:
            packets = [p for p in self.packets[mark[0]:] if not p[1].startswith("PING")]
            return packets, self.bytes - mark[1], self.writes - mark[2]

    def wait_quiet(self, seconds=QUIET):
        while (left := self.last + seconds - time.monotonic()) > 0:
            time.sleep(left)


class People(Scenario):
    """The hands of the scenario tests, at the pace of people."""

    def __init__(self, cabinet, pause):
        super().__init__()
        self.cabinet, self.pause = cabinet, pause
        self.sim, self.client, self.admin = cabinet.sim, cabinet.client(), cabinet.client()

    def runTest(self):
        """None of them is a test."""

    def reach(self, place):
        time.sleep(self.pause)
        return super().reach(place)

    def push(self, lock):
        time.sleep(self.pause)
        super().push(lock)


class Measured:
    """What one act cost: medians over its repetitions."""

    def __init__(self):
        self.rows = []

    def add(self, packets, size):
        row = collections.Counter()
        for direction, kind, part, n in packets:
            what = {"state": "state", "event": "event", "command": "command", "reply": "reply"}.get(part.split("/")[0]) if part else None
            row[f"{what or kind} {direction}"] += 1
            row[f"{what or kind} {direction} bytes"] += n
        row["out"], row["in"] = size["out"], size["in"]
        self.rows.append(row)

    def __getitem__(self, key):
        return median([r[key] for r in self.rows])


class Day:
    def __init__(self, args, tls=False):
        self.args = args
        self.directory = tempfile.mkdtemp(prefix="rates-")
        extra, settings = "max_queued_messages 0\n", {"Host": "localhost", "KeepAlive": f"{KEEPALIVE}s", "BackoffMin": "100ms"}
        port = None
        if tls:
            certificates, port = Certificates(self.directory), free_port()
            (certificate, key), (own, own_key) = certificates.make("localhost", "DNS:localhost"), certificates.make("C-0060")
            extra += (f"listener {port} 127.0.0.1\ncafile {certificates.ca}\ncertfile {certificate}\nkeyfile {key}\n"
                      "require_certificate true\nuse_identity_as_username true\n")
            settings |= {"Tls": "yes", "CaFile": certificates.ca, "CertFile": own, "KeyFile": own_key}
        self.broker = backendlib.Broker(extra=extra)
        self.tap = Tap(port or self.broker.port, parse=not tls)
        self.backend = backendlib.Backend(self.broker.port, "C-0060")
        wait(lambda: self.backend.subscribed, "the subscription")
        self.cabinet = Cabinet(args.build, "cabinet-60.conf", {"Mqtt": settings | {"Port": str(self.tap.port)},
                                                               "Session": {"ReopenGrace": "0"},
                                                               "Reminders": {"QuietFrom": "00:00", "QuietUntil": "00:00"}})
        self.stored = 0.0
        self.measured = collections.defaultdict(Measured)
        self.events = collections.defaultdict(collections.Counter)

    def close(self):
        self.cabinet.stop(check=False)
        self.backend.close()
        self.tap.close()
        self.broker.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self):
        self.cabinet.start()
        wait(lambda: (self.backend.state() or {}).get("presence") == "online", "the cabinet online")
        self.people = People(self.cabinet, self.args.pause)
        self.people.admin.enrol_courier("4711", "258036")
        self.tap.wait_quiet()

    def act(self, name, function, *arguments):
        self.tap.wait_quiet()
        mark = self.tap.mark()
        result = function(*arguments)
        time.sleep(0.5)
        self.tap.wait_quiet()
        packets, size, _ = self.tap.since(mark)
        self.measured[name].add(packets, size)
        for _, _, part, _ in packets:
            if part.startswith("event/"):
                self.events[name][part[6:]] += 1
        return result

    # --- the acts

    def wrong_code(self):
        session = self.people.client.start_session("recipient")
        try:
            session.authenticate_code("ABC234", slot="01")
        except DBusError:
            pass
        session.end()

    def reminder(self):
        """Of a parcel that lies there: the thresholds are shorter for a moment, which is two commands and two events more."""
        waited = int(time.monotonic() - self.stored)
        self.backend.command("set-thresholds", {"reminder": waited + 3, "recall": waited + 6})
        wanted = {"org.lockerd.parcel.reminder", "org.lockerd.parcel.recall-requested"}
        wait(lambda: wanted <= {e["type"] for e in self.backend.events()}, "reminder and recall request")
        self.backend.command("set-thresholds", {"reminder": 86400, "recall": 259200})

    def thresholds(self):
        for _ in range(2):
            self.backend.command("set-thresholds", {"reminder": 86400, "recall": 259200})

    def operator_opens(self):
        self.people.admin.open_slot("05")
        self.people.sim.wait("05", door="open")
        self.people.push("05")
        self.people.admin.wait_slot("05", Door="locked")

    def disable_and_enable(self):
        self.people.admin.disable("06")
        time.sleep(2 * self.args.pause)
        self.people.admin.enable("06")

    def reconnect(self):
        """The connection breaks, nothing else."""
        self.broker.leave()
        self.broker.start()
        time.sleep(3)
        wait(lambda: self.people.admin.health()["backend"][0] == "ok", "the connection")

    def announce(self, i):
        return self.backend.command("announce", {"size": "S", "recipient": "Erika Mustermann", "phone": "015123456789", "waybill": f"JD{i:06}"})

    def run(self, times):
        people = self.people
        self.act("connection", self.reconnect)
        for i in range(times):
            parcel = self.act("announcement", self.announce, i)["result"]["parcel"]
            put = self.act("deposit", lambda p=parcel: self.deposit(p))
            self.act("wrong code", self.wrong_code)
            self.act("collection", people.collect, put.receipt["code"])
            self.act("opening by an operator", self.operator_opens)
            self.act("slot disabled and enabled", self.disable_and_enable)
        self.deposit(None)
        self.stored = time.monotonic()
        self.act("thresholds", self.thresholds)
        self.act("reminder and recall request", self.reminder)

    def deposit(self, parcel):
        """One that was announced, or any."""
        more = {"parcel": parcel} if parcel else {"phone": "015123456789"}
        return self.people.store(session=self.people.courier(), **more)

    def pings(self, seconds):
        """→ bytes of a sign of life, out and in"""
        self.tap.wait_quiet()
        _, before, writes = self.tap.mark()
        begin = time.monotonic()
        time.sleep(seconds)
        size, n = self.tap.bytes - before, (self.tap.writes - writes)["out"]
        return size["out"] / n, size["in"] / n, n / (time.monotonic() - begin)


def measure(args):
    args.pause = 0.5 if args.short else 4.0
    day = Day(args)
    try:
        day.start()
        day.run(1 if args.short else 2)
        plain = day.pings(4.2 * KEEPALIVE)
    finally:
        day.close()
    table(day)
    secure = Day(args, tls=True)
    try:
        secure.start()
        secure.act("connection", secure.reconnect)
        secure.act("wrong code", secure.wrong_code)
        tls = secure.pings(4.2 * KEEPALIVE)
    finally:
        secure.close()
    print(f"sign of life: {plain[0]:.0f} + {plain[1]:.0f} bytes plain, {tls[0]:.0f} + {tls[1]:.0f} with TLS")
    for what in ("connection", "wrong code"):
        a, b = day.measured[what], secure.measured[what]
        print(f"{what}: {a['out']:.0f} + {a['in']:.0f} bytes plain, {b['out']:.0f} + {b['in']:.0f} with TLS (both certificates)")
    total(day, plain, secure.measured["connection"])


def table(day):
    print("act: events, states, answers out; commands, states in; bytes out + in, MQTT with headers and acknowledgements, without TLS and TCP")
    for name, m in day.measured.items():
        kinds = " ".join(f"{t}×{n / len(m.rows):g}" for t, n in sorted(day.events[name].items()))
        print(f"{name}: {m['event out']:g} events ({m['event out bytes']:.0f} bytes), {m['state out']:g} states ({m['state out bytes']:.0f}), "
              f"{m['reply out']:g} answers; {m['command in']:g} commands, {m['PUBACK in']:g} acknowledgements; {m['out']:.0f} + {m['in']:.0f} bytes "
              f"({len(m.rows)} times){'; ' + kinds if kinds else ''}")


def total(day, ping, secure):
    sums = collections.Counter()
    for name, n in DAY:
        m = day.measured[name]
        for key in ("event out", "state out", "reply out", "command in"):
            sums[key] += n * m[key]
        sums["out"] += n * (secure["out"] if name == "connection" else m["out"])
        sums["in"] += n * (secure["in"] if name == "connection" else m["in"])
    pings = 24 * 60
    out, into = sums["event out"] + sums["state out"] + sums["reply out"], sums["command in"]
    print(f"a day of one cabinet ({', '.join(f'{n} × {name}' for name, n in DAY if n)}): {sums['event out']:.0f} events, "
          f"{sums['state out']:.0f} states, {sums['reply out']:.0f} answers, {into:.0f} commands, {pings} signs of life; "
          f"{sums['out'] / 1000:.0f} + {sums['in'] / 1000:.0f} kB, signs of life {pings * (ping[0] + ping[1]) / 1000:.0f} kB")
    for what, n in (("events", sums["event out"]), ("states", sums["state out"]), ("published by cabinets", out), ("commands", into)):
        print(f"× {FLEET}: {what} {n * FLEET / 86400:.0f}/s on average, {n * FLEET * BUSY_HOUR / 3600:.0f}/s in the busy hour "
              f"({BUSY_HOUR:.0%} of the day, assumed)")
    mbit = {key: sums[key] * FLEET * BUSY_HOUR / 3600 * 8 / 1e6 for key in ("out", "in")}
    print(f"× {FLEET}: signs of life {FLEET / 60:.0f}/s at most; to the broker {mbit['out']:.0f} Mbit/s in the busy hour, to the cabinets "
          f"{mbit['in']:.0f} Mbit/s, without TCP, IP and TLS's records")
    print(f"events a second of a cabinet in the busy hour: {sums['event out'] * BUSY_HOUR / 3600:.3f}")
