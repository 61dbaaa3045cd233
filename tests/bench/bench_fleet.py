# SPDX-License-Identifier: Apache-2.0
"""Many cabinets at one broker, and what happens when it is killed and comes back: is the return smooth, is everybody back, is anything lost?

Each simulated cabinet is a real lockerd-mqtt (fleetlib.py plays the daemon behind it), a few are whole cabinets with lockerd and simulated
boards. All are started as power comes back to them, together; work at the pace of a busy hour; lose the broker; come back. Judged are
ratios: the busiest second of the return as a part of the fleet, against a fleet without jitter and against the sum for 100 000 cabinets by
the worker's own back-off. With --tls every cabinet has a certificate, and the broker's ACL goes by its name.

    bench_fleet.py BUILDDIR --cabinets 2000 --steady 60 --away 5
    bench_fleet.py BUILDDIR --cabinets 500 --tls
    bench_fleet.py BUILDDIR --rates          messages and bytes of one cabinet's day (fleet_rates.py)
    bench_fleet.py BUILDDIR --cluster "NODE NODE NODE" --port 8883 --username U --password-file F --ca-file CA [--control PROGRAM]
                                             a cluster that is there already (fleet_cluster.py)"""
import json
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time

from benchlib import BenchCabinet, Terminal, arguments, cabinet_text, median, now, percentile, report, settings_for
from fleetlib import DEFAULTS, Ear, Fleet, cpu_seconds, histogram, judge, memory_kib, peak

import backendlib  # noqa: E402, I100 (benchlib has made the path)
from mqtt_brokers import Certificates, free_port
from mqtt_link import REFUSED

import fleet_cluster
import fleet_rates

# A second of an even spread over 1 … 16 s has 1/15 of the fleet; second attempts add to it, and, in a small fleet, chance.
GOAL_PEAK = 0.10
# The backend has a name although nothing else asks for one: mosquitto 2.0.11 applies an ACL to who has none wrongly after a restart, and drops
# what comes for a nameless session that is not connected yet.
ACL = """user backend
topic readwrite lockerd/#
# A cabinet: its certificate's name is its number.
pattern write lockerd/v1/%u/state
pattern readwrite lockerd/v1/%u/ledger
pattern write lockerd/v1/%u/event/#
pattern write lockerd/v1/%u/reply
pattern read lockerd/v1/%u/command/#
pattern read lockerd/v1/+/state
"""


class Run:
    def __init__(self, args):
        self.args = args
        self.directory = tempfile.mkdtemp(prefix="fleet-")
        self.tls_port, self.certificates = None, None
        # Queues that suffice, so that what is missing at the end is missing for another reason. (With 0 for "no bound" mosquitto 2.0.11
        # breaks the connection of who publishes what the ACL forbids.)
        extra = "autosave_interval 20\nmax_queued_messages 1000000\nmax_inflight_messages 1000\nmax_connections -1\n"
        if args.tls:
            extra += self.tls_listener()
        self.broker = backendlib.Broker(extra=extra)
        self.fleet = Fleet(args.build)
        self.ears, self.whole = [], []

    def tls_listener(self):
        self.certificates = Certificates(self.directory)
        certificate, key = self.certificates.make("localhost", "DNS:localhost")
        acl = os.path.join(self.directory, "acl")
        with open(acl, "w", encoding="ascii") as f:
            f.write(ACL)
        self.tls_port = free_port()
        return (f"acl_file {acl}\nlistener {self.tls_port} 127.0.0.1\ncafile {self.certificates.ca}\ncertfile {certificate}\n"
                f"keyfile {key}\nrequire_certificate true\nuse_identity_as_username true\n")

    def credentials(self, number):
        if not self.args.tls:
            return {}
        certificate, key = self.certificates.make(number)
        return {"tls": True, "ca_file": self.certificates.ca, "cert_file": certificate, "key_file": key}

    def close(self):
        self.fleet.close()
        for cabinet, terminal in self.whole:
            terminal.close()
            cabinet.stop(check=False)
        for ear in self.ears:
            ear.close()
        if self.broker.process.poll() is None:
            self.broker.process.send_signal(signal.SIGCONT)
        self.broker.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- the parts

    def listen(self):
        """One who hears everything, and two who share the events."""
        events = "lockerd/v1/+/event/#"
        self.ears = [Ear(self.broker.port, "all", self.directory, events, "lockerd/v1/+/state", "lockerd/v1/+/reply")]
        self.ears += [Ear(self.broker.port, f"shared-{i}", self.directory, f"$share/backend/{events}") for i in (1, 2)]

    def add_whole_cabinets(self, n):
        for i in range(n):
            text = cabinet_text(1, baud=115200).replace("Number=BENCH", f"Number=W{i:05}")
            settings = settings_for() | {"Mqtt": {"Host": "127.0.0.1", "Port": str(self.broker.port), "Username": f"W{i:05}"}}
            cabinet = BenchCabinet(self.args.build, text, settings).start()
            terminal = Terminal(cabinet)
            terminal.enrol_courier()
            self.whole.append((cabinet, terminal))

    def deposits(self):
        """One at each whole cabinet."""
        for _, terminal in self.whole:
            path = terminal.courier()
            terminal.deposit(path, [])
            terminal.session(path, "End")

    def whole_cabinets_are_told(self):
        """Has everything that they have recorded been heard?"""
        heard = {(c, int(n)) for _, c, n, *_ in self.ears[0].heard("e") if c.startswith("W")}
        for i, (_, terminal) in enumerate(self.whole):
            last = terminal.bus.call("/org/lockerd/Locker1", "org.freedesktop.DBus.Properties", "Get", "ss", "org.lockerd.Locker1.Cabinet",
                                     "LastEvent").value
            if any((f"W{i:05}", n) not in heard for n in range(1, last + 1)):
                return False
        return True

    # --- the phases

    def start(self):
        args = self.args
        available, begin = memory_available(), time.monotonic()
        self.fleet.add(args.cabinets, self.tls_port or self.broker.port, args.community, self.credentials,
                       host="localhost" if args.tls else "127.0.0.1", keepalive_sec=args.keepalive,
                       backoff_min_usec=int(args.backoff_min * 1e6))
        print(f"started {args.cabinets} workers in {time.monotonic() - begin:.0f} s", flush=True)
        broker, begin = cpu_seconds(self.broker.process.pid), now()
        for cabinet in self.fleet.cabinets:
            cabinet.power()
        self.fleet.run(120, lambda: self.fleet.n_up() == args.cabinets)
        self.fleet.run(2)
        ups = [t for c in self.fleet.cabinets for t in c.ups]
        sample = [memory_kib(c.process.pid) for c in self.fleet.cabinets[::max(1, args.cabinets // 50)]]
        print(f"power-up: {self.fleet.n_up()} of {args.cabinets} connected, the last after {(max(ups) - begin) / 1e6:.1f} s, busiest second "
              f"{peak(ups) / args.cabinets:.0%} of the fleet; broker {cpu_seconds(self.broker.process.pid) - broker:.1f} s of processor, "
              f"{memory_kib(self.broker.process.pid)[1] / args.cabinets:.1f} KiB a connection")
        print(f"memory: a worker {median([p for p, _ in sample]):.0f} KiB PSS, {median([p for _, p in sample]):.0f} KiB private" +
              (f"; the machine {(available - memory_available()) / args.cabinets:.0f} KiB for each cabinet in all" if args.cabinets >= 500 else ""))

    def steady(self, seconds):
        self.fleet.run_at_pace(self.args.rate)
        events, broker, begin = self.fleet.events, cpu_seconds(self.broker.process.pid), time.monotonic()
        self.fleet.run(seconds)
        took = time.monotonic() - begin
        print(f"steady: {(self.fleet.events - events) / took:.1f} events/s of {self.args.cabinets} cabinets ({self.args.rate} each), broker "
              f"{(cpu_seconds(self.broker.process.pid) - broker) / took:.1%} of a processor, {self.fleet.n_up()} connected")

    def away(self, seconds, kill):
        """The broker ends, events go on, the broker comes back → (boot µs of the end, of the return)"""
        end = now()
        (self.broker.kill if kill else self.broker.leave)()
        offline = time.monotonic()
        self.deposits()
        self.fleet.run(seconds - (time.monotonic() - offline))
        print(f"{'killed' if kill else 'ended in good order'}; away for {(now() - end) / 1e6:.1f} s, {self.fleet.n_waiting()} events wait",
              flush=True)
        self.broker.start()
        return end, now()

    def back(self, end, begin, goal):
        """Waits until all are there and everything is told, and says how it went → the busiest second's part."""
        args, fleet = self.args, self.fleet
        broker, marks = cpu_seconds(self.broker.process.pid), {}
        for cabinet in fleet.cabinets[:args.commands]:
            self.ears[0].publish(f"lockerd/v1/{cabinet.number}/command/snapshot", "{}")
        limit = 2 * cabinet_setup(fleet, "backoff-max-usec") + 60
        fleet.run(limit, lambda: fleet.n_up() == args.cabinets and marks.setdefault("up", now()))
        storm = cpu_seconds(self.broker.process.pid) - broker
        fleet.run_at_pace(0)
        fleet.run(60, lambda: not fleet.n_waiting() and marks.setdefault("drained", now()))
        fleet.run(3)
        ups = [t for c in fleet.cabinets for t in c.ups if t >= end]
        # The first that each tells is the loss itself.
        tries = [t for c in fleet.cabinets for t, _ in [d for d in c.downs if d[0] >= end][1:] if t < begin]
        per_second, top = histogram(ups, begin), peak(ups) / args.cabinets
        print("returns a second: " + " ".join(map(str, per_second[:40])) + (" …" if len(per_second) > 40 else ""))
        print(f"attempts in vain: {len(tries) / args.cabinets:.1f} a cabinet, busiest second {peak(tries) / args.cabinets:.1%} of the fleet")
        after = sorted((t - begin) / 1e6 for t in ups)
        print(f"back: half after {percentile(after, 50):.1f} s, 99 % after {percentile(after, 99):.1f} s, all after {after[-1]:.1f} s; "
              f"everything told after {(marks.get('drained', 0) - begin) / 1e6:.1f} s; broker {storm:.1f} s of processor until then")
        report(f"busiest second of the return, part of {args.cabinets} cabinets", f"{top:.1%}", f"≤ {goal:.0%}", top <= goal)
        drawn = median([draw(args, args.cabinets, (begin - end) / 1e6, args.backoff_min, 300)["returns"] for _ in range(9)])
        report(f"the same against the sum for as many ({drawn / args.cabinets:.1%}, median of 9)", f"{peak(ups) / drawn:.2f}", "≤ 1.3",
               peak(ups) <= 1.3 * drawn)
        missing = args.cabinets - fleet.n_up()
        report("cabinets that did not come back", missing, "0", not missing)
        again = len(ups) - args.cabinets
        report("connections beyond one a cabinet", again, "0", not again)
        if args.commands:
            got = sum(len(c.commands) for c in fleet.cabinets)
            some = sum(bool(c.commands) for c in fleet.cabinets[:args.commands])
            print(f"commands given to {args.commands} cabinets that were not back yet: {some} have theirs, {got} were delivered in all")
        return top

    def check_ears(self, killed):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (self.whole_cabinets_are_told() and
                                                   self.ears[0].count("e") >= sum(c.sequence for c in self.fleet.cabinets)):
            self.fleet.run(1)
        heard = [r for r in self.ears[0].heard("e") if r[1].startswith("F")]
        all_ears = judge(heard, self.fleet.cabinets)
        shared = judge([r for ear in self.ears[1:] for r in ear.heard("e") if r[1].startswith("F")], self.fleet.cabinets)
        for which in all_ears["missing"][:10]:
            print(f"missing: {which}")
        print(f"events: {all_ears['recorded']} recorded, {all_ears['heard']} heard, {all_ears['waiting']} wait; {all_ears['twice']} came twice "
              f"with the same id, {all_ears['disorder']} out of order")
        if killed:
            print(f"lost by the broker after it had acknowledged them (it was killed): {all_ears['broker']}; the gap in the sequence shows "
                  "them, `replay` brings them back")
        lost = all_ears["lost"] - (all_ears["broker"] if killed else 0)
        report("events lost", lost, "0", not lost)
        report("other events under a known number", all_ears["wrong"], "0", not all_ears["wrong"])
        if self.whole:
            told = self.whole_cabinets_are_told()
            report(f"{len(self.whole)} whole cabinets: everything recorded was heard", "yes" if told else "no", "yes", told)
        print(f"two who share the subscription: {shared['heard']} heard, {shared['lost']} missing, {shared['disorder']} out of order")
        gone = self.fleet.gone()
        report("workers that ended", len(gone), "0", not gone)

    def half_open(self, seconds):
        """The broker stands still, its sockets open."""
        fleet, begin = self.fleet, now()
        os.kill(self.broker.process.pid, signal.SIGSTOP)
        fleet.run(seconds)
        noticed = sum(not c.up for c in fleet.cabinets)
        downs = [t for c in fleet.cabinets for t, s in c.downs if t >= begin and "Nothing was heard" in s]
        os.kill(self.broker.process.pid, signal.SIGCONT)
        again = now()
        print(f"half-open: the broker stood still for {(again - begin) / 1e6:.0f} s; {noticed} of {self.args.cabinets} have noticed, the first "
              f"after {(min(downs, default=begin) - begin) / 1e6:.0f} s, busiest second {peak(downs) / self.args.cabinets:.1%} of the fleet")
        fleet.run(400, lambda: fleet.n_up() == self.args.cabinets)
        fleet.run(3)
        ups = sorted(t for c in fleet.cabinets for t in c.ups if t >= again)
        print(f"back: {fleet.n_up()} of {self.args.cabinets}, {len(ups)} connections, half after {(percentile(ups, 50) - again) / 1e6:.1f} s, "
              f"all after {(ups[-1] - again) / 1e6:.1f} s; busiest second {peak(ups) / self.args.cabinets:.1%}" if ups else "nobody had to come back")

    def check_acl(self):
        """A cabinet speaks in another's name."""
        first, second = self.fleet.cabinets[:2]
        before = len(self.ears[0].heard("s"))
        first.publish(7, f"lockerd/v1/{second.number}/state", b'{"presence":"forged"}')
        troubles = []
        take = first.take
        first.take = lambda m: (troubles.append(m.texts[0]) if m.type == REFUSED else None, take(m))
        self.fleet.run(30, lambda: troubles)
        forged = [r for r in self.ears[0].heard("s")[before:] if r[2] == "forged"]
        report("a state in another cabinet's name", f"{'refused' if troubles else 'not refused'}, heard {len(forged)} times",
               "refused, heard 0 times", bool(troubles) and not forged)


def cabinet_setup(fleet, key):
    return fleet.cabinets[0].setup[key] / 1e6


def memory_available():
    with open("/proc/meminfo", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("MemAvailable"))


def draw(args, cabinets, outage, low, high):
    """The return of so many by the worker's own back-off, without a broker that takes its time."""
    tool = os.path.join(args.build, "tests", "bench", "backoff-storm")
    done = subprocess.run([tool, *map(str, (cabinets, outage, low, high))], capture_output=True, check=True, text=True)
    return json.loads(done.stdout)


def sums(args):
    n = 100000
    for low, high in ((1, 300), (5, 300)):
        for outage in (1, 5, 60) if args.short else (1, 5, 60, 600, 3600):
            r = draw(args, n, outage, low, high)
            print(f"sum for {n} cabinets, BackoffMin={low}s BackoffMax={high}s, broker away {outage} s: busiest second "
                  f"{r['attempts'] / n:.1%} attempts in vain, {r['returns'] / n:.1%} returns; half back after {r['half']} s, 99 % after "
                  f"{r['most']} s, all after {r['all']} s")


def without_jitter(args, n):
    """The same worker with BackoffMin= equal to BackoffMax= → the busiest second's part."""
    run = Run(args)
    try:
        fleet = run.fleet
        fleet.add(n, run.tls_port or run.broker.port, 1, run.credentials, prefix="J", host="localhost" if args.tls else "127.0.0.1",
                  backoff_min_usec=int(args.backoff_min * 1e6), backoff_max_usec=int(args.backoff_min * 1e6))
        for c in fleet.cabinets:
            c.power()
        fleet.run(60, lambda: fleet.n_up() == n)
        run.broker.leave()
        fleet.run(2.5)
        run.broker.start()
        begin = now()
        fleet.run(60, lambda: fleet.n_up() == n)
        ups = [t for c in fleet.cabinets for t in c.ups if t >= begin]
        return peak(ups) / n
    finally:
        run.close()


def storm(args):
    limit = 4 * args.cabinets + 1000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit, hard) if os.geteuid() == 0 else min(limit, hard), max(limit, hard)))
    run = Run(args)
    try:
        run.listen()
        run.add_whole_cabinets(args.daemons)
        run.start()
        run.deposits()
        run.steady(args.steady)
        if args.tls:
            run.check_acl()
        goal = (GOAL_PEAK + 3 * (GOAL_PEAK / args.cabinets) ** 0.5) / args.backoff_min
        top = run.back(*run.away(args.away, args.kill), goal)
        run.check_ears(args.kill)
        if args.half_open:
            run.half_open(args.half_open)
    finally:
        run.close()
    flat = without_jitter(args, min(args.cabinets, args.compare))
    report(f"busiest second, with jitter against without ({flat:.0%} of {min(args.cabinets, args.compare)})", f"{top / flat:.2f}", f"≤ {goal:.2f}",
           top / flat <= goal)


def main():
    args = arguments(__doc__.split("\n", maxsplit=1)[0], cabinets=(500, "simulated cabinets"), daemons=(2, "whole cabinets among them"),
                     community=(4, "cabinets that read each other's state"), steady=(60, "seconds of a busy hour before the broker ends"),
                     rate=(0.06, "events a second of a cabinet"), away=(5, "seconds without a broker"), commands=(50, "commands given then"),
                     backoff_min=(1.0, "BackoffMin= in seconds"), keepalive=(DEFAULTS["keepalive_sec"], "seconds"),
                     half_open=(0, "seconds for which the broker stands still"),
                     compare=(500, "cabinets without jitter, for comparison"), kill=(False, "SIGKILL for the broker, not SIGTERM"),
                     tls=(False, "certificates and an ACL"), rates=(False, "the messages of one cabinet's day"),
                     cluster=("", "addresses of a cluster's nodes, blanks between them"), port=(1883, "of its nodes"), username=("fleet", "there"),
                     password_file=("", "there"), ca_file=("", "its authority: TLS"),
                     control=("", "program that harms and repairs its nodes"))
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ.get("PATH", "")
    if args.rates:
        fleet_rates.measure(args)
        return
    if args.cluster:
        fleet_cluster.measure(args)
        return
    if args.short:
        args.cabinets, args.daemons, args.steady, args.away, args.commands, args.compare = 50, 1, 3, 1, 10, 20
        args.rate, args.backoff_min = 0.5, 0.4
    storm(args)
    sums(args)


if __name__ == "__main__":
    main()
