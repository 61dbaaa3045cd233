# SPDX-License-Identifier: Apache-2.0
"""locksim's boards that do not speak Modbus, byte by byte."""
import os
import re
import select
import socket
import time

from lockersim import SimError
from locksim_case import RELAYS, SimCase
from rtu_master import request

KERONG = """
[Supply main]
MaxActive=1
[Line left]
Device=/dev/nowhere
[Board A]
Line=left
Address=0
Profile=kerong-cu16
Supply=main
[Board B]
Line=left
Address=3
Profile=kerong-cu16
Supply=main
[Slot 01-02]
Lock=A:1-2
Latch=A:1-2
Presence=A:17-18
[Slot 16]
Lock=B:16
Latch=B:16
"""
WINNSEN = """
[Supply main]
MaxActive=1
[Line left]
Device=/dev/nowhere
[Board A]
Line=left
Address=1
Profile=winnsen-16
Supply=main
[Slot 01-02]
Lock=A:1-2
Door=A:1-2
"""


class Bytes(SimCase):
    """A case that says frames in hex."""

    def say(self, port, frame, timeout=0.15):
        return port.exchange(bytes.fromhex(frame), 64, timeout).hex(" ")


class Kerong(Bytes):
    cabinet, baud = KERONG, 19200

    def setUp(self):
        super().setUp()
        self.sim = self.start()
        self.port = self.master(self.sim)

    def test_state_shows_hooks_and_infrared(self):
        self.assertEqual(self.say(self.port, "02 00 30 03 35"), "02 00 35 03 00 00 00 03 3d")
        self.sim.do("force 02", "put 02")
        self.assertEqual(self.say(self.port, "02 00 30 03 35"), "02 00 35 01 00 02 00 03 3d")
        self.assertEqual(self.say(self.port, "02 30 30 03 65"), "02 30 35 00 80 00 00 03 ea")

    def test_unlock_opens_its_door_and_no_other_and_is_not_responded_to(self):
        self.assertEqual(self.say(self.port, "02 3f 31 03 75"), "")
        self.sim.wait("16", door="open")
        self.assertEqual([self.sim.place(s)["pulses"] for s in ("01", "02", "16")], [0, 0, 1])
        self.sim.wait("16", coil=False)
        self.assertEqual(self.sim.objections(), [])

    def test_firmware_that_responds_to_an_unlock(self):
        self.sim.do("board A unlock-response")
        self.assertEqual(self.say(self.port, "02 00 31 03 36"), "02 00 35 03 00 00 00 03 3d")

    def test_unlock_of_all(self):
        self.assertEqual(self.say(self.port, "02 00 33 03 38"), "")
        self.sim.wait("01", door="open")
        self.sim.wait("02", door="open")
        self.assertEqual(self.sim.place("16")["pulses"], 0)

    def test_what_is_not_for_it_is_not_responded_to(self):
        for frame in ("02 00 30 03 36", "02 00 30 04 36", "02 10 30 03 45", "03 00 30 03 36", "02 00 77 03 7c", "02 00 30"):
            with self.subTest(frame):
                self.assertEqual(self.say(self.port, frame, 0.08), "")
                time.sleep(0.02)
        self.assertEqual(self.say(self.port, "02 00 30 03 35")[:8], "02 00 35")

    def test_faults_spoil_what_is_said(self):
        good = "02 00 35 03 00 00 00 03 3d"
        for fault, check in (("wrong-sum", lambda a: a == good[:-2] + "3e"), ("drop", lambda a: a == ""),
                             ("wrong-address", lambda a: a.startswith("02 10 35")), ("truncate", lambda a: len(a) < len(good)),
                             ("double", lambda a: a == f"{good} {good}"), ("damage", lambda a: a != good)):
            with self.subTest(fault):
                self.sim.do(f"board A {fault} 100")
                self.assertTrue(check(self.say(self.port, "02 00 30 03 35")))
                self.sim.do("board A normal")
                self.assertEqual(self.say(self.port, "02 00 30 03 35"), good)

    def test_its_rate_comes_from_the_profile(self):
        self.assertEqual(self.sim.state()["lines"]["left"]["baud"], 19200)


class Winnsen(Bytes):
    cabinet = WINNSEN

    def setUp(self):
        super().setUp()
        self.sim = self.start()
        self.port = self.master(self.sim)

    def test_a_lock_is_asked_and_unlocked(self):
        self.assertEqual(self.say(self.port, "90 06 12 01 02 03"), "90 07 92 01 02 00 03")
        self.assertEqual(self.say(self.port, "90 06 05 01 02 03"), "90 07 85 01 02 01 03")
        self.sim.wait("02", door="open")
        self.assertEqual(self.say(self.port, "90 06 12 01 02 03"), "90 07 92 01 02 01 03")
        self.assertEqual(self.say(self.port, "90 06 12 01 01 03"), "90 07 92 01 01 00 03")
        self.sim.wait("02", coil=False)
        self.assertEqual(self.sim.objections(), [])

    def test_what_is_not_for_it_is_not_responded_to(self):
        for frame in ("90 06 12 02 01 03", "90 06 12 01 00 03", "90 06 12 01 11 03", "90 06 12 01 01 04", "91 06 12 01 01 03",
                      "90 05 12 01 03", "90 06 13 01 01 03"):
            with self.subTest(frame):
                self.assertEqual(self.say(self.port, frame, 0.08), "")
                time.sleep(0.02)
        self.assertEqual(self.sim.place("01")["pulses"], 0)

    def test_response_that_names_another_lock(self):
        self.sim.do("board A wrong-echo 100")
        self.assertEqual(self.say(self.port, "90 06 05 01 01 03"), "90 07 85 01 02 01 03")
        self.sim.wait("01", door="open")


class Adapters(Bytes):
    """What adapters and converters do to a line."""

    def test_echo_and_surplus_byte(self):
        sim = self.start()
        port = self.master(sim)
        question, good = request(1, 2, 0, 8).hex(" "), "01 02 01 0f e1 8c"
        sim.do("line left echo on")
        self.assertEqual(self.say(port, question), f"{question} {good}")
        sim.do("line left echo off", "line left surplus on")
        self.assertEqual(self.say(port, question), f"{good} 00")
        sim.do("line left normal")
        self.assertEqual(self.say(port, question), good)

    def test_converter_passes_on_what_a_serial_line_carries(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        sim = self.start(cabinet=RELAYS.replace("/dev/nowhere", f"raw-tcp:127.0.0.1:{port}"))
        self.assertEqual(sim.line_path("left"), f"raw-tcp:127.0.0.1:{port}")
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(request(1, 2, 0, 8))
            self.assertTrue(select.select([s], [], [], 1)[0])
            self.assertEqual(s.recv(64).hex(" "), "01 02 01 0f e1 8c")

    def test_boards_of_two_languages_on_a_line_are_refused(self):
        cabinet = re.sub(r"Address=3\nProfile=kerong-cu16", "Address=3\nProfile=winnsen-16", KERONG)
        with self.assertRaisesRegex(SimError, "speaks winnsen, and others of its line speak kerong"):
            self.start(cabinet=cabinet)
        self.assertFalse(os.path.lexists(os.path.join(self.directory, "left")))


del Bytes
