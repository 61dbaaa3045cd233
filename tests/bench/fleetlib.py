# SPDX-License-Identifier: Apache-2.0
"""A fleet for bench_fleet.py: many cabinets at one broker. Each is a real lockerd-mqtt at its socket pair; what lockerd would do behind it
(the outbox with its window, the retained state, sending again what was not acknowledged) is played here, from the schema's examples."""
import collections
import heapq
import json
import os
import random
import select
import signal
import subprocess
import sys
import time

from benchlib import now

from backendlib import EXAMPLES  # noqa: E402, I100 (benchlib has made the path)
from mqtt_link import ACKED, DOWN, LINK, MESSAGE, NOBODY, PATIENT, REFUSED, RETAIN, SETUP, Worker, unpack

EVENT_TYPE = "application/cloudevents+json; charset=UTF-8"
STATE_TOKEN = 1 << 63
UNHEARD = 2000000  # µs until what nobody heard is sent again
AHEAD = 100  # events handed to the worker and not acknowledged; as long as these are, they fit in a packet
# As lockerd.conf has them.
DEFAULTS = {"keepalive_sec": 60, "session_expiry_sec": 7 * 86400, "window": 20, "backoff_min_usec": 1000000, "backoff_max_usec": 300000000,
            "answer_usec": 30000000}


def example(name):
    with open(EXAMPLES / name, encoding="utf-8") as f:
        return json.load(f)


EVENT, STATE = example("event.parcel.stored.json"), example("state.online.json")


class SimCabinet(Worker):
    """One cabinet. Its first connection waits for power()."""

    def __init__(self, program, port, number, neighbours=(), **setup):
        self.number, self.held = number, None
        self.up, self.ups, self.downs = False, [], []  # when the link came up, broke or failed
        self.sequence = self.acknowledged = self.sent = 0
        self.out_of_turn, self.outbox = set(), collections.deque()
        self.commands = []
        self.told = 0  # events that waited, by the last state
        self.keep_unheard, self.refused = False, {}  # as lockerd does: what nobody heard is sent again; number → when
        topic = f"lockerd/v1/{number}/"
        will = json.dumps({"cabinet": number, "presence": "offline"}, separators=(",", ":"))
        super().__init__(program, port, client_id=f"lockerd-{number}", will_topic=topic + "state", will=will, subscriptions=[
            topic + "command/+", *(f"lockerd/v1/{n}/state" for n in neighbours)], **(DEFAULTS | setup))

    # Numbers of descriptors above 1023 are beyond select().
    def receive(self, timeout):
        if not self.ready:
            poll = select.poll()
            poll.register(self.sock, select.POLLIN)
            if not poll.poll(timeout * 1000):
                return None
            self.ready.extend(unpack(self.sock.recv(256 * 1024)))
        return self.ready.popleft() if self.ready else None

    def send(self, kind, *arguments, **keys):
        if kind == SETUP and self.held is None:
            self.held = (kind, arguments, keys)
        else:
            super().send(kind, *arguments, **keys)

    def power(self):
        kind, arguments, keys = self.held
        self.send(kind, *arguments, **keys)

    # --- what lockerd does

    def state(self):
        self.told = self.sequence - self.acknowledged
        state = STATE | {"cabinet": self.number, "lastevent": self.sequence, "outbox": self.told}
        self.publish(STATE_TOKEN, f"lockerd/v1/{self.number}/state", json.dumps(state, separators=(",", ":")).encode(), flags=RETAIN)

    def happen(self):
        """Something is recorded, and sent if it can be."""
        self.sequence += 1
        n = self.sequence
        event = EVENT | {"id": f"{self.number}/{n}", "source": f"/lockerd/{self.number}", "sequence": f"{n:020}", "offline": not self.up}
        self.outbox.append((n, json.dumps(event, separators=(",", ":")).encode()))
        self.drain()

    def drain(self):
        """As lockerd does, more than the window, which the worker keeps; many in a packet."""
        if not self.up or self.sent == self.sequence:
            return
        packet = b""
        for n, payload in self.outbox:
            if n > self.acknowledged + AHEAD:
                break
            if n > self.sent:
                packet += self.publication(n, f"lockerd/v1/{self.number}/event/parcel.stored", payload, EVENT_TYPE, flags=PATIENT)
                self.sent = n
        if packet:
            self.sock.send(packet)

    def retry(self, t):
        """What was refused, or heard by nobody, goes again."""
        for n in [n for n, when in self.refused.items() if when <= t]:
            payload = next((p for k, p in self.outbox if k == n), None)
            if payload:
                self.publish(n, f"lockerd/v1/{self.number}/event/parcel.stored", payload, EVENT_TYPE, flags=PATIENT)
            del self.refused[n]

    def take(self, m):
        if m.type == LINK:
            self.take_link(m)
        elif (m.type == ACKED or (m.type == REFUSED and m.flags == NOBODY and not self.keep_unheard)) and m.a == self.generation and m.token != STATE_TOKEN:
            self.out_of_turn.add(m.token)
            while self.acknowledged + 1 in self.out_of_turn:
                self.acknowledged += 1
                self.out_of_turn.remove(self.acknowledged)
                self.outbox.popleft()
            if self.told and not self.outbox:
                self.state()
            self.drain()
        elif m.type == REFUSED and self.keep_unheard and m.a == self.generation and m.token != STATE_TOKEN:
            self.refused[m.token] = now() + UNHEARD
        elif m.type == MESSAGE and "/command/" in m.texts[0]:
            self.commands.append(m.texts[0])

    def take_link(self, m):
        self.generation, was = m.token, self.up
        self.up = m.a != DOWN
        if self.up and not was:
            self.ups.append(now())
        if m.a == DOWN:
            self.downs.append((now(), m.texts[0]))
        self.sent = self.acknowledged
        self.out_of_turn.clear()
        self.refused.clear()
        if self.up:
            self.state()
            self.drain()


class Fleet:
    """Cabinets and the loop that plays their daemons."""

    def __init__(self, build):
        self.program = os.path.join(build, "src", "mqtt", "lockerd-mqtt")
        self.cabinets, self.by_fd = [], {}
        self.epoll = select.epoll()
        self.schedule = []  # (when, cabinet's index)
        self.pace = 0       # mean µs between two events of a cabinet
        self.events = 0

    def add(self, count, port, community=1, setup_of=lambda number: {}, prefix="F", **setup):
        """Starts workers. Communities of so many cabinets read each other's states."""
        first = len(self.cabinets)
        for i in range(first, first + count):
            group = range(i - i % community, i - i % community + community) if community > 1 else ()
            cabinet = SimCabinet(self.program, port, f"{prefix}{i:05}", [f"{prefix}{n:05}" for n in group if n != i],
                                 **(setup | setup_of(f"{prefix}{i:05}")))
            self.cabinets.append(cabinet)
            self.by_fd[cabinet.sock.fileno()] = cabinet
            self.epoll.register(cabinet.sock.fileno(), select.EPOLLIN)
        return self.cabinets[first:]

    def run_at_pace(self, events_per_second):
        """From now on each cabinet has events at this mean rate, at random; 0: none."""
        self.pace, self.schedule = 0, []
        if events_per_second:
            self.pace = 1e6 / events_per_second
            self.schedule = [(now() + random.expovariate(1) * self.pace, i) for i in range(len(self.cabinets))]
            heapq.heapify(self.schedule)

    def _happen(self, t):
        while self.schedule and self.schedule[0][0] <= t:
            when, i = self.schedule[0]
            self.cabinets[i].happen()
            self.events += 1
            heapq.heapreplace(self.schedule, (when + random.expovariate(1) * self.pace, i))

    def turn(self, seconds):
        """One look at all that has come."""
        if self.schedule:
            seconds = min(seconds, max(0, (self.schedule[0][0] - now()) / 1e6))
        for fd, _ in self.epoll.poll(seconds, 4096):
            cabinet = self.by_fd[fd]
            for _ in range(64):
                if not (m := cabinet.receive(0)):
                    break
                cabinet.take(m)
        for cabinet in self.cabinets:
            if cabinet.refused:
                cabinet.retry(now())
        self._happen(now())

    def run(self, seconds, until=lambda: False, every=0.2):
        """→ whether `until` came true"""
        end, look = time.monotonic() + seconds, 0.0
        while (left := end - time.monotonic()) > 0:
            self.turn(min(left, every))
            if time.monotonic() >= look:
                look = time.monotonic() + every
                if until():
                    return True
        return until()

    def gone(self):
        """Workers that ended though nobody told them to."""
        return [c.number for c in self.cabinets if c.process.poll() is not None]

    def n_up(self):
        return sum(c.up for c in self.cabinets)

    def n_waiting(self):
        return sum(len(c.outbox) for c in self.cabinets)

    def close(self):
        for c in self.cabinets:
            c.sock.close()
        for c in self.cabinets:
            try:
                c.process.wait(5)
            except subprocess.TimeoutExpired:
                c.process.kill()
                c.process.wait()


class Ear:
    """fleet_backend.py as a process."""

    def __init__(self, port, name, directory, *filters, options=()):
        self.path = os.path.join(directory, f"heard-{name}")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fleet_backend.py")
        self.process = subprocess.Popen([sys.executable, script, "--port", str(port), *options, name, self.path, *filters], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "subscribed\n"

    def publish(self, topic, payload):
        self.process.stdin.write(f"{topic} {payload}\n")
        self.process.stdin.flush()

    def heard(self, kind):
        """Lines of this kind, as lists of words with the time first."""
        with open(self.path, encoding="utf-8") as f:
            rows = [line.split() for line in f if line.startswith(kind + " ") and line.endswith("\n")]
        return [[int(r[1]), *r[2:]] for r in rows]

    def count(self, kind):
        return len(self.heard(kind))

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


# --- measures

def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kib(pid):
    """→ (PSS, private)"""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        rows = {r[0]: int(r[1]) for r in (line.split() for line in f.readlines()[1:])}
    return rows["Pss:"], rows["Private_Clean:"] + rows["Private_Dirty:"]


def histogram(times, begin, width=1.0):
    """Counts per `width` seconds from `begin` (µs) on."""
    counts = collections.Counter(int((t - begin) / 1e6 / width) for t in times if t >= begin)
    return [counts[i] for i in range(max(counts, default=-1) + 1)]


def peak(times):
    """The most within any one second, wherever it begins."""
    times, best, j = sorted(times), 0, 0
    for i, t in enumerate(times):
        while t - times[j] >= 1e6:
            j += 1
        best = max(best, i - j + 1)
    return best


def judge(rows, cabinets):
    """Holds what was heard (time, cabinet, sequence, id) against what was recorded → counts. lost: recorded, never heard, and still not in
    the outbox. broker: of those, what the broker had acknowledged. twice: heard again, with the same id. wrong: the same number with
    another id. disorder: first hearings that came after a later number."""
    heard = collections.defaultdict(dict)
    result = collections.Counter(heard=len(rows), lost=0, broker=0, twice=0, wrong=0, disorder=0, missing=[])
    last = collections.Counter()
    for _, cabinet, sequence, ident, *_ in sorted(rows):
        n = int(sequence)
        if n in heard[cabinet]:
            result["twice" if heard[cabinet][n] == ident else "wrong"] += 1
            continue
        heard[cabinet][n] = ident
        result["disorder"] += n < last[cabinet]
        last[cabinet] = max(last[cabinet], n)
    for c in cabinets:
        waiting = {n for n, _ in c.outbox}
        missing = [n for n in range(1, c.sequence + 1) if n not in heard[c.number] and n not in waiting]
        result["lost"] += len(missing)
        result["missing"] += [f"{c.number}, event {n}, {'acknowledged' if n <= c.acknowledged else 'under way'}" for n in missing]
        result["broker"] += sum(n <= c.acknowledged for n in missing)
        result["recorded"] += c.sequence
        result["waiting"] += len(waiting)
    return result
