# SPDX-License-Identifier: Apache-2.0
"""bench_fleet.py --cluster: many cabinets at a broker cluster that is there already, given by addresses and credentials, while its nodes are
killed, frozen and drained one after the other under load. Judged: is an event lost, is a command carried out twice or never?

Simulated cabinets (fleetlib.py) carry the load; whole ones, lockerd with simulated boards, get commands: a backend announces a parcel, releases
it, and so on, and repeats each command under its id every few seconds until it has the answer. An announcement that was carried out twice
would be heard twice, with the waybill of one command and two parcels.

What a node does to itself is asked of --control: a program with the arguments `kill N`, `start N`, `freeze N`, `thaw N`, `drain N`, `revive N`
(rabbit-cluster is one). Without it only the load runs."""
import argparse
import collections
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import uuid

from benchlib import BenchCabinet, cabinet_text, now, percentile, report, settings_for
from fleet_backend import Client
from fleetlib import Ear, Fleet, judge

from backendlib import SigningKey, timestamp  # noqa: I100 (benchlib has made the path)
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

REPEAT = 5      # seconds until a command without an answer is sent again
FAULTS = (("kill", "start"), ("freeze", "thaw"), ("drain", "revive"))


class Order:
    """The commands to one cabinet, one after the other."""

    def __init__(self, number):
        self.number, self.parcel = number, None
        self.id = self.body = self.name = None
        self.due = 0.0


class Commander:
    """A backend that commands, in a thread of its own."""

    def __init__(self, args, key, numbers, name):
        self.key, self.orders = key, {n: Order(n) for n in numbers}
        self.given, self.repeats, self.answers = {}, 0, collections.defaultdict(list)
        self.refused = collections.Counter()
        self.giving, self.stopping = True, False
        self.lock = threading.Lock()
        self.client = Client(args, name, [f"lockerd/v1/{n}/reply" for n in numbers], self.on_message)
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.client.run, self.run)]
        for t in self.threads:
            t.start()

    def on_message(self, _client, _userdata, m):
        answer = json.loads(m.payload)
        with self.lock:
            self.answers[answer["id"]].append(answer)

    def next(self, order):
        order.name = "release" if order.parcel else "announce"
        order.id = uuid.uuid4().hex
        arguments = {"parcel": order.parcel, "reason": "the benchmark goes on"} if order.parcel else {"size": "S", "waybill": order.id}
        order.body = self.key.sign({"cabinet": order.number, "name": order.name, "id": order.id, "expires": timestamp(3600), "arguments": arguments})
        self.given[order.id] = (order.name, order.number)
        order.due = 0

    def take(self, order):
        with self.lock:
            answer = self.answers[order.id][0]
        if answer["status"] != "done":
            self.refused[f"{order.name} {answer['status']} {answer.get('error')}"] += 1
        order.parcel = answer.get("result", {}).get("parcel") if order.name == "announce" and answer["status"] == "done" else None
        order.id = None

    def send(self, order):
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = f"lockerd/v1/{order.number}/reply"
        properties.CorrelationData = order.id.encode()
        properties.MessageExpiryInterval = 3600
        self.client.client.publish(f"lockerd/v1/{order.number}/command/{order.name}", order.body, qos=1, properties=properties)
        self.repeats += bool(order.due)
        order.due = time.monotonic() + REPEAT

    def run(self):
        while not self.stopping:
            for order in self.orders.values():
                if order.id and self.answers.get(order.id):
                    self.take(order)
                if not order.id and self.giving:
                    self.next(order)
                if order.id and time.monotonic() >= order.due:
                    self.send(order)
            time.sleep(0.2)

    def unanswered(self):
        return [i for i in self.given if not self.answers.get(i)]

    def close(self):
        self.stopping = True
        self.client.close()
        for t in self.threads:
            t.join(5)


class ClusterRun:
    def __init__(self, args):
        self.args, self.hosts = args, args.cluster.split()
        self.directory = tempfile.mkdtemp(prefix="fleet-cluster-")
        self.fleet, self.ears, self.whole, self.commander = Fleet(args.build), [], [], None
        self.key = SigningKey(self.directory)
        self.ring = os.path.join(self.directory, "ring")
        os.mkdir(self.ring)
        self.key.public(os.path.join(self.ring, "key-1.pem"))
        self.turns = itertools.count()
        # The cluster remembers sessions and retained messages of earlier runs.
        self.run_id = uuid.uuid4().hex[:4]

    def close(self):
        if self.commander:
            self.commander.close()
        self.fleet.close()
        for cabinet in self.whole:
            cabinet.stop(check=False)
        for ear in self.ears:
            ear.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def nodes(self):
        """The list as a cabinet has it: each begins with another one, so that they spread."""
        n = next(self.turns) % len(self.hosts)
        return " ".join(self.hosts[n:] + self.hosts[:n])

    def client_arguments(self):
        a = self.args
        return argparse.Namespace(hosts=a.cluster, port=a.port, username=a.username, password_file=a.password_file, ca_file=a.ca_file,
                                  keepalive=a.keepalive)

    def listen(self):
        a = self.args
        options = ["--hosts", a.cluster, "--username", a.username, "--keepalive", str(a.keepalive)]
        options += ["--password-file", a.password_file] if a.password_file else []
        options += ["--ca-file", a.ca_file] if a.ca_file else []
        self.ears = [Ear(a.port, f"ear-{self.run_id}", self.directory, "lockerd/v1/+/event/#", options=options)]

    def credentials(self, _number):
        a = self.args
        setup = {"host": self.nodes(), "username": a.username, "tls": bool(a.ca_file)}
        return setup | ({"password_file": a.password_file} if a.password_file else {}) | ({"ca_file": a.ca_file} if a.ca_file else {})

    def add_whole_cabinet(self, number):
        a = self.args
        mqtt = {"Host": self.nodes(), "Port": str(a.port), "Username": a.username, "SigningKeys": self.ring, "KeepAlive": f"{a.keepalive}s",
                "Tls": "yes" if a.ca_file else "no"}
        mqtt |= {"PasswordFile": a.password_file} if a.password_file else {}
        mqtt |= {"CaFile": a.ca_file} if a.ca_file else {}
        text = cabinet_text(1, baud=115200).replace("Number=BENCH", f"Number={number}")
        self.whole.append(BenchCabinet(a.build, text, settings_for() | {"Mqtt": mqtt}).start())

    def start(self):
        a, begin = self.args, now()
        self.fleet.add(a.cabinets, a.port, 1, self.credentials, prefix=f"F{self.run_id}-", keepalive_sec=a.keepalive, backoff_min_usec=int(a.backoff_min * 1e6),
                       backoff_max_usec=30000000)
        for cabinet in self.fleet.cabinets:
            cabinet.keep_unheard = True
            cabinet.power()
        self.numbers = [f"W{self.run_id}-{i:05}" for i in range(a.daemons)]
        for number in self.numbers:
            self.add_whole_cabinet(number)
        self.fleet.run(180, lambda: self.fleet.n_up() == a.cabinets)
        print(f"{self.fleet.n_up()} of {a.cabinets} simulated cabinets connected to {len(self.hosts)} nodes after {(now() - begin) / 1e6:.0f} s, "
              f"{a.daemons} whole ones started", flush=True)
        self.commander = Commander(self.client_arguments(), self.key, self.numbers, f"commander-{self.run_id}")
        self.fleet.run_at_pace(a.rate)

    def control(self, *words):
        """The fleet goes on meanwhile."""
        process = subprocess.Popen([self.args.control, *words])
        self.fleet.run(180, lambda: process.poll() is not None)
        if process.poll() is None:
            process.kill()
        report(f"control {' '.join(words)}", process.wait(), "0", process.returncode == 0)

    def fault(self, node, harm, repair):
        """One node is harmed under load, and repaired."""
        fleet, begin = self.fleet, now()
        before, answered = fleet.events, sum(map(bool, self.commander.answers.values()))
        self.control(harm, str(node))
        fleet.run(self.args.away)
        lost = {c.number for c in fleet.cabinets if any(t >= begin for t, _ in c.downs)}
        middle = sum(not c.up for c in fleet.cabinets)
        self.control(repair, str(node))
        fleet.run(240, lambda: fleet.n_up() == self.args.cabinets)
        fleet.run(self.args.steady)
        ups = sorted((max(t for t in c.ups) - begin) / 1e6 for c in fleet.cabinets if c.number in lost and c.ups and c.ups[-1] >= begin)
        times = f"half after {percentile(ups, 50):.0f} s, 99 % after {percentile(ups, 99):.0f} s, the last after {ups[-1]:.0f} s" if ups else "-"
        print(f"{harm} {node}: {len(lost)} of {self.args.cabinets} lost their connection; back: {times}; {middle} away when it was repaired after "
              f"{self.args.away} s; meanwhile {fleet.events - before} events recorded, "
              f"{sum(map(bool, self.commander.answers.values())) - answered} commands answered, {fleet.n_waiting()} events wait now", flush=True)
        reasons = collections.Counter(text for c in fleet.cabinets for t, text in c.downs if t >= begin)
        print("  " + "; ".join(f"{n} × {text}" for text, n in sorted(reasons.items(), key=lambda r: -r[1])[:6]), flush=True)
        report(f"{harm} {node}: cabinets that did not come back", self.args.cabinets - fleet.n_up(), "0", fleet.n_up() == self.args.cabinets)

    def last_event(self, cabinet):
        return cabinet.client().cabinet("LastEvent")

    def settle(self):
        """Nothing new; what is under way comes to its end."""
        fleet, begin = self.fleet, time.monotonic()
        fleet.run_at_pace(0)
        self.commander.giving = False
        fleet.run(240, lambda: not fleet.n_waiting() and not self.commander.unanswered(), every=1)
        recorded = sum(c.sequence for c in fleet.cabinets)
        self.lasts = dict(zip(self.numbers, map(self.last_event, self.whole)))
        wanted = recorded + sum(self.lasts.values())
        fleet.run(240, lambda: len({tuple(r[1:3]) for r in self.ears[0].heard("e")}) >= wanted, every=2)
        print(f"settled after {time.monotonic() - begin:.0f} s", flush=True)

    def judge(self):
        rows = self.ears[0].heard("e")
        result = judge([r for r in rows if r[1].startswith("F")], self.fleet.cabinets)
        heard = {(r[1], int(r[2])) for r in rows}
        missing = [(c, n) for c, last in self.lasts.items() for n in range(1, last + 1) if (c, n) not in heard]
        print(f"events: {result['recorded']} of simulated cabinets and {sum(self.lasts.values())} of {len(self.whole)} whole ones recorded; "
              f"{result['twice']} came twice with the same id, {result['disorder']} out of order, {result['waiting']} wait")
        for which in result["missing"][:10] + missing[:10]:
            print(f"missing: {which}")
        report("events lost", result["lost"] + len(missing), "0", not result["lost"] and not missing)
        report("events still waiting", result["waiting"], "0", not result["waiting"])
        report("other events under a known number", result["wrong"], "0", not result["wrong"])
        done = collections.defaultdict(set)
        for r in rows:
            if r[4] != "-":
                done[r[4]].add((r[1], r[2]))
        c = self.commander
        announced = [i for i, (name, _) in c.given.items() if name == "announce"]
        twice = [i for i in announced if len(done[i]) > 1]
        never = [i for i in announced if not done[i] and any(a["status"] == "done" for a in c.answers[i])]
        refused = [i for i in announced if done[i] and not any(a["status"] == "done" for a in c.answers[i])]
        print(f"commands: {len(c.given)} given ({len(announced)} announcements), {c.repeats} repeats sent, {sum(map(len, c.answers.values()))} answers; "
              f"refused: {dict(c.refused) or 'none'}")
        report("commands carried out twice", len(twice), "0", not twice)
        report("commands answered with done, and never carried out", len(never), "0", not never)
        report("commands refused, and carried out", len(refused), "0", not refused)
        report("commands without an answer", len(c.unanswered()), "0", not c.unanswered())
        gone = self.fleet.gone()
        report("workers that ended", len(gone), "0", not gone)


def measure(args):
    run = ClusterRun(args)
    try:
        run.listen()
        run.start()
        run.fleet.run(args.steady)
        for i, (harm, repair) in enumerate(FAULTS if args.control else ()):
            run.fault(i % len(run.hosts) + 1, harm, repair)
        run.settle()
        run.judge()
    finally:
        run.close()
