# SPDX-License-Identifier: Apache-2.0
"""A hundred enrolments and pickups by each way in which people show who they are: PIN (couriers, who deposit), password, pattern, card, a
fingerprint module that is played byte by byte, and libfprint's virtual reader.

    bench_identity.py BUILDDIR [--people N] [--ways pin,card,…] [--short]

Each person enrols, gets a parcel, is refused with somebody else's, opens with their own, and takes it out. Printed: what went wrong (all of
it should be 0; at USB different fingers are taken for the same now and then, identity.md says how often), the times of an enrolment and of
Authenticate, and the memory of the matcher, and of the daemon beside it and without any.
"""
import argparse
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "daemon"))
import prints  # noqa: E402
import test_fingerprint  # noqa: E402
import test_fingerprint_usb  # noqa: E402
from daemonlib import DBusError  # noqa: E402
from people import Scenario  # noqa: E402

FINGERS = 6  # different ones at USB; they take seconds to grow
QUIET = {"Session": {"ReopenGrace": "0"}, "Lockout": {"Attempts": "10"}}


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))] if values else float("nan")


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:")) / 1024


class Way:
    """The story of one way. Beside a Scenario, which says how a secret is made, enrolled and shown."""
    people = 100
    credential = None
    settings = QUIET

    def runTest(self):
        self.enrolling, self.showing, self.faults = [], [], {"not enrolled": 0, "right one refused": 0, "wrong one taken": 0, "not collected": 0}
        self.secrets = [self.secret(i) for i in range(self.people)]
        for i in range(self.people):
            try:
                self.one(i)
            except DBusError as e:
                print(f"   {self.credential} {i}: {e}", flush=True)
        self.tell()

    def one(self, i):
        began = time.monotonic()
        try:
            self.take_in(i)
        except DBusError:
            self.faults["not enrolled"] += 1
            raise
        self.enrolling.append(time.monotonic() - began)
        put = self.prepare(i)
        session = self.client.start_session(self.session_kind)
        try:
            self.show(session, i, self.secrets[i - 1] if self.people > 1 else self.secret(1))
            self.faults["wrong one taken"] += 1
        except DBusError as e:
            if e.short != "WrongCredential":
                raise
        began = time.monotonic()
        try:
            self.show(session, i, self.secrets[i])
        except DBusError:
            self.faults["right one refused"] += 1
            self.admin.lift_lockout()
            self.faults["not collected"] += 1
            session.end()
            raise
        self.showing.append(time.monotonic() - began)
        self.admin.lift_lockout()
        self.finish(session, put)

    def tell(self):
        wrong = ", ".join(f"{what} {n}" for what, n in self.faults.items())
        times = ", ".join(f"{what} {1000 * quantile(values, 0.5):.0f} ms (95 %: {1000 * quantile(values, 0.95):.0f})"
                          for what, values in (("enrolment", self.enrolling), ("Authenticate", self.showing)))
        worker = self.worker_pid() if hasattr(self, "worker_pid") else None
        memory = f"PSS of the daemon {pss(self.cabinet.daemon.pid):.1f} MiB" + (f", of the matcher {pss(worker):.1f} MiB" if worker else "")
        for line in self.cabinet.log().splitlines():
            if line.startswith(("<2>", "<3>", "<4>")):
                print(f"   {line}", flush=True)
        print(f"{self.name}: {len(self.enrolling)} enrolments, {len(self.showing)} errands; {wrong}; {times}; {memory}", flush=True)


class Recipients(Way):
    """A parcel waits for each."""
    session_kind = "recipient"

    def phone(self, i):
        return f"+49 30 {5550000 + i}"

    def claim(self, i):
        return {"phone": self.phone(i)}

    def person(self, i):
        return {"kind": "recipient", "phone": self.phone(i), "name": f"Recipient {i}", "consent": True}

    def take_in(self, i):
        self.admin.enrol(**self.person(i), **{self.credential: self.secrets[i]})

    def show(self, session, i, secret):
        session.authenticate(self.credential, **self.claim(i), **{self.credential: secret})

    def prepare(self, i):
        return self.store(session=self.pin_courier(), phone=self.phone(i))

    def pin_courier(self):
        if not hasattr(self, "has_courier"):
            self.admin.enrol_courier("0815", "258036")
            self.has_courier = True
        session = self.client.start_session("courier")
        session.authenticate_pin("0815", "258036")
        return session

    def finish(self, session, put):
        place = session.collect(put.parcel)
        self.take(place)
        session.accept()
        self.shut(place)
        session.wait_prompt("collected")
        session.end()


class Pin(Way, Scenario):
    name, credential, session_kind = "PIN", "pin", "courier"

    def secret(self, i):
        return f"{(i * 7919 + 258036) % 1000000:06d}"

    def take_in(self, i):
        self.admin.enrol(kind="courier", number=f"N{i}", name=f"Courier {i}", pin=self.secrets[i])

    def show(self, session, i, secret):
        session.authenticate_pin(f"N{i}", secret)

    def prepare(self, i):
        return None

    def finish(self, session, put):
        put = self.store(session=session, end=False)
        self.admin.recall(put.parcel)
        session.take_back()
        self.take(put)
        self.shut(put)
        session.wait_prompt("done")
        session.end()


class Password(Recipients, Scenario):
    name, credential = "password", "password"

    def secret(self, i):
        return f"horse {i * 7919 % 10007} battery"


class Pattern(Recipients, Scenario):
    name, credential = "pattern", "pattern"
    ALL = ("40158", "13408", "30147", "56347", "46731", "50461")

    def secret(self, i):
        return self.ALL[i % len(self.ALL)]


class Card(Recipients, Scenario):
    name, credential = "card", "card"

    def secret(self, i):
        return f"{8230119945602718 + 7919 * i}"


class Uart(Recipients, test_fingerprint.Fingers):
    name, credential = "fingerprint module", "fingerprint"

    def secret(self, i):
        return f"finger {i}"

    def take_in(self, i):
        self.enrol(self.secrets[i], **self.person(i))

    def show(self, session, i, secret):
        self.sign_in(session, secret, **self.claim(i))


class Usb(Recipients, test_fingerprint_usb.UsbFingers):
    name, credential = "fingerprint at USB", "fingerprint"

    def secret(self, i):
        return f"finger {i % FINGERS}"

    take_in, show = Uart.take_in, Uart.show


WAYS = {"pin": Pin, "password": Password, "pattern": Pattern, "card": Card, "uart": Uart, "usb": Usb}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build")
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--ways", default=",".join(WAYS), help=f"of {', '.join(WAYS)}")
    parser.add_argument("--short", action="store_true", help="three people")
    o = parser.parse_args()
    Way.people = 3 if o.short else o.people
    failed = False
    for name in o.ways.split(","):
        way = WAYS[name]
        if way.__dict__.get("worker", getattr(way, "worker", None)) and not os.path.exists(way.worker):
            print(f"{way.name}: skipped, its matcher is not built", flush=True)
            continue
        if name == "usb":
            for i in range(min(FINGERS, max(2, Way.people))):
                test_fingerprint_usb.FINGERS[f"finger {i}"] = i + 1
                prints.finger(i + 1, test_fingerprint_usb.ROUNDS)
        result = unittest.TestResult()
        way().run(result)
        for _, trace in result.errors + result.failures:
            failed = True
            print(trace, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
