# SPDX-License-Identifier: Apache-2.0
"""lockerd-link killed at each step of an errand, and programs in its place that lie."""
import json
import os
import pathlib
import re
import signal
import textwrap

from daemonlib import TREE, main, wait
from linklib import Gone, LinkTest, place_of


def wire_numbers():
    """The version, the messages' and the verbs' numbers, as src/link/wire.h has them now."""
    with open(TREE / "src" / "link" / "wire.h", encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    lines = [f"VERSION = {int(re.search(r'#define LINK_WIRE_VERSION +([0-9]+)', text)[1])}"]
    for enum, prefix in (("LinkWireType", "LINK_WIRE_"), ("LinkVerb", "LINK_")):
        names = re.findall(r"\w+", re.search(rf"typedef enum {enum} \{{(.*?)\}}", text, re.S)[1])
        lines += [f"{name.removeprefix(prefix)} = {number}" for number, name in enumerate(names)]
    return "\n".join(lines)


# Somebody else's program in the place of lockerd-link. Sizes are those of src/link/wire.h; an honest word of it is understood, or
# test_a_certificate_is_judged_again fails.
LIAR = """#!/usr/bin/python3
import ctypes, select, socket, struct, time
from ctypes import c_char, c_int64, c_uint8, c_uint32, c_uint64

{numbers}

class Opened(ctypes.Structure):
    _fields_ = [("courier", c_char * 33), ("not_before", c_int64), ("not_after", c_int64)]

class Request(ctypes.Structure):
    _fields_ = [("verb", c_uint32), ("number", c_uint32), ("parcel", c_uint64), ("accessible", c_uint8), ("exact", c_uint8),
                ("temperature", c_char * 32), ("size", c_char * 32), ("recipient", c_char * 257), ("phone", c_char * 33),
                ("waybill", c_char * 129), ("code", c_char * 33), ("slot", c_char * 32), ("phone_tail", c_char * 5), ("cabinet", c_char * 65)]

class Status(ctypes.Structure):
    _fields_ = [("listening", c_uint32), ("sentence", c_char * 320)]

s = socket.socket(fileno=3)

def say(type, connection=0, body=b""):
    body = bytes(body)
    s.send(struct.pack("=HHIII", VERSION, type, connection, len(body), 0) + body)

def opened(courier=b"", until=2 ** 62):
    return Opened(courier, 0, until)

def request(verb=COLLECT, number=1, **more):
    return Request(verb=verb, number=number, **more)

def hear():
    while True:
        message = s.recv(1 << 17)
        if not message:
            raise SystemExit
        type = struct.unpack_from("=HHIII", message)[1]
        if type == PING:
            say(PONG)
        elif type not in (SETUP, CLOCK):
            return type, message[16:]

say(READY)
say(STATUS, 0, Status(1, b"Handhelds can connect."))
{body}
while True:
    hear()
"""


class Killed(LinkTest):
    settings = {"Session": {"ReopenGrace": "2s"}}

    def kill_worker(self):
        replaced = self.cabinet.log().count("is replaced")
        children = pathlib.Path(f"/proc/{self.cabinet.daemon.pid}/task/{self.cabinet.daemon.pid}/children").read_text(encoding="ascii").split()
        [pid] = [int(p) for p in children if pathlib.Path(f"/proc/{p}/comm").read_text(encoding="ascii").strip() == "lockerd-link"]
        os.kill(pid, signal.SIGKILL)
        wait(lambda: self.cabinet.log().count("is replaced") > replaced, "the end of the worker noticed")
        self.wait_listening()

    def connect(self, courier="4711"):
        """As a phone does: until there is a cabinet again."""
        return wait(lambda: self.try_to_connect(courier), "a connection")

    def try_to_connect(self, courier):
        try:
            return self.handheld(courier)
        except (OSError, Gone):
            return None

    def test_the_worker_is_killed_at_each_step_of_a_deposit(self):
        """What was begun is judged by door and item, nothing is opened again, and the next phone is served.

        Requirement: B1, B4, F4"""
        expected = []
        for step in ("asked", "open", "put"):
            link = self.connect()
            if step == "asked":
                link.last_id += 1
                link.send_frame({"id": link.last_id, "request": "deposit", "size": "S"})
                wait(lambda: self.admin.parcels(), "the commit")
                number = max(self.admin.parcels())
                put = place_of({"slot": self.admin.parcel(number)["Slot"], "position": 1, "parcel": number})
            else:
                put = place_of(link.request("deposit", size="S"))
            if step == "asked":
                self.kill_worker()
            self.reach(put)
            if step == "open":
                self.kill_worker()
            self.put(put)
            if step == "put":
                self.kill_worker()
            self.shut(put)
            wait(lambda: self.admin.parcels()[put.parcel]["State"] in ("stored", "unverified"), f"what came of {step}")
            wait(lambda: not self.admin.slot(put.slot)["InUse"], "the slot is nobody's")
            self.assertEqual(self.opened(put.slot), [1], step)
            expected.append(put.parcel)
        self.assertEqual(len(set(expected)), 3)
        with self.connect() as link:
            _, code = self.bring(link)
        self.fetch(code)

    def test_the_worker_is_killed_in_a_pickup(self):
        """Requirement: B3, F4"""
        with self.connect() as link:
            put, code = self.bring(link)
        link = self.connect(None)
        link.request("collect", code=code)
        self.reach(put)
        self.kill_worker()
        self.shut(put)  # looked, and took nothing
        wait(lambda: self.admin.parcels()[put.parcel]["State"] in ("stored", "unverified"), "what came of it")
        wait(lambda: not self.admin.slot(put.slot)["InUse"], "the slot is nobody's")
        with self.connect(None) as again:
            got = place_of(again.request("collect", code=code))
            self.assertEqual(got.slot, put.slot)
            self.take(got)
            again.request("accept")
            self.shut(got)
            again.wait_prompt("collected")


class Liars(LinkTest):
    """Each is replaced, or refused, and nothing moves."""

    def lie(self, body):
        path = os.path.join(self.cabinet.directory, "workers", "lockerd-link")
        os.unlink(path)
        with open(path, "w", encoding="utf-8") as f:
            f.write(LIAR.replace("{numbers}", wire_numbers()).replace("{body}", textwrap.dedent(body)))
        os.chmod(path, 0o755)
        before = self.cabinet.log().count("is replaced")
        self.cabinet.daemon.send_signal(signal.SIGHUP)  # another worker
        wait(lambda: self.cabinet.log().count("is replaced") > before, "the worker before has gone")
        return before + 1

    def replaced(self, body, *moves):
        count = self.lie(body)
        with self.only(*moves):
            wait(lambda: self.cabinet.log().count("is replaced") > count, f"the end of a liar: {body}")

    # What is no message at all is refused by the wire: tests/unit/test_link_text.c.

    def test_what_no_worker_of_ours_says(self):
        """Requirement: F17"""
        self.replaced("say(REQUEST, 1, request())")  # of no connection
        self.courier().end()

    def test_one_request_at_a_time(self):
        """Requirement: F17"""
        self.replaced("say(OPENED, 1, opened(b'4711')); say(REQUEST, 1, request(DEPOSIT, size=b'S')); say(REQUEST, 1, request(number=2))", "01")

    def test_no_more_connections_than_there_are_and_no_more_words(self):
        """Requirement: F17, F4"""
        self.replaced("for n in range(1, 100): say(OPENED, n, opened())")
        self.replaced("while True: say(STATUS, 0, Status(1, b'x'))")
        self.courier().end()

    def test_a_certificate_is_judged_again(self):
        """Requirement: F17, B1"""
        self.admin.enrol_courier("5000", "258036")
        path = os.path.join(self.certificates, "heard")
        with self.only():
            self.lie(f"""
            heard = []
            def ask(connection, who, what):
                say(OPENED, connection, who)
                say(REQUEST, connection, what)
                heard.append(struct.unpack_from("=II", hear()[1])[1])
            ask(1, opened(b'5000', until=1), request(DEPOSIT, size=b'S'))
            ask(2, opened(b'nobody'), request(DEPOSIT, size=b'S'))
            ask(3, opened(), request(DEPOSIT, size=b'S'))
            ask(4, opened(b'5000'), request(COLLECT, code=b'ZZZZZZ'))
            open({path!r}, "w").write(str(heard))
            """)
            wait(lambda: os.path.exists(path) and os.path.getsize(path), "the answers")
        with open(path, encoding="utf-8") as f:
            refusals = json.load(f)
        self.assertEqual(len(refusals), 4)
        self.assertNotIn(0, refusals)


main()
