# SPDX-License-Identifier: Apache-2.0
"""Cabinets whose boards do not speak Modbus, or speak it through a converter: the real daemon, and the boards of locksim."""
import os
import re
import socket
import tempfile
import time

from daemonlib import main, wait
from people import Scenario

HEAD = """
[Cabinet]
Number=P-1
[Size S]
Order=1
[Supply main]
MaxActive=1
[Line left]
Device=/dev/nowhere
"""
KERONG = HEAD + """
[Board A]
Line=left
Address=0
Profile=kerong-cu16
Supply=main
[Board B]
Line=left
Address=3
Profile=kerong-cu12
Supply=main
[Slot 01-04]
Size=S
Column=1
Row=1
Lock=A:1-4
Latch=A:1-4
Presence=A:17-20
[Slot 05-06]
Size=S
Column=2
Row=1
Lock=B:11-12
Door=B:11-12
"""
WINNSEN = HEAD + """
[Board A]
Line=left
Address=1
Profile=winnsen-16
Supply=main
[Board B]
Line=left
Address=2
Profile=winnsen-16
Supply=main
[Slot 01-04]
Size=S
Column=1
Row=1
Lock=A:1-4
Door=A:1-4
[Slot 05-06]
Size=S
Column=2
Row=1
Lock=B:15-16
Door=B:15-16
"""


class Errands:
    """What must go over boards of any kind. Times are those of the slowest of them."""

    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}
    other = "05"  # a slot of board B

    @classmethod
    def setUpClass(cls):
        with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False, encoding="utf-8") as f:
            f.write(cls.cabinet_text)
        cls.cabinet_file = f.name
        cls.addClassCleanup(os.unlink, f.name)

    def health(self, component):
        return self.admin.health()[component][0]

    def pulses(self):
        return sum(j["event"] == "coil" and j["on"] for j in self.sim.journal())

    def test_deposit_and_collect(self):
        """Requirement: F1, F2, F3"""
        puts = [self.store() for _ in range(2)]
        for put in puts:
            with self.only(put.slot):
                self.collect(put.receipt["code"])
        self.assertEqual(self.sim.objections(), [])
        self.assertEqual(self.energised(), {})

    def test_every_door_is_the_one_that_is_meant(self):
        """Requirement: F1"""
        for slot in ("01", "02", "03", "04", "05", "06"):
            with self.only(slot):
                self.admin.open_slot(slot)
                self.sim.wait(slot, door="open")
                self.admin.wait_slot(slot, Door="open")
                self.push(slot)
                self.admin.wait_slot(slot, Door="locked")
        self.assertEqual(self.sim.objections(), [])

    def test_jammed_door_is_tried_twice_and_said(self):
        """Requirement: F1"""
        put = self.store()
        before = self.pulses()
        self.sim.do(f"jam {put.slot}")
        session = self.recipient(put.receipt["code"])
        self.assertRefused("DidNotOpen", session.collect)
        self.assertEqual(self.pulses(), before + 2)
        self.assertEqual(self.admin.slot(put.slot)["Door"], "jammed")
        session.end()
        self.sim.do(f"unjam {put.slot}")
        self.collect(put.receipt["code"])

    def test_board_that_falls_silent_comes_back(self):
        """Requirement: F4"""
        put = self.store()
        self.sim.do("board A silent")
        wait(lambda: self.health("board:A") == "failed", "the board's failure")
        self.assertEqual(self.health("board:B"), "ok")
        self.assertRefused("BoardOffline", self.recipient(put.receipt["code"]).collect)
        self.admin.open_slot(self.other)
        self.sim.wait(self.other, door="open")
        self.push(self.other)
        self.sim.do("board A normal")
        wait(lambda: self.health("board:A") == "ok", "good health", timeout=15)
        self.admin.wait_slot(put.slot, Door="locked", BoardOnline=True)
        self.collect(put.receipt["code"])

    def test_forced_door_is_said(self):
        """Requirement: F1"""
        mark = self.last_event()
        self.sim.do("force 02")
        self.wait_event("door.forced-open", mark)
        self.assertEqual(self.admin.slot("02")["Door"], "forced")
        self.sim.do("close 02")
        self.admin.wait_slot("02", Door="locked")

    def test_damaged_responses_say_nothing_wrong(self):
        """Some of the responses are damaged: doors that nobody touches stay locked, and what opens is reported.

        Requirement: F1, F4
        """
        put, mark = self.store(), self.last_event()
        self.sim.do("board A damage 10")
        end = time.monotonic() + 4
        while time.monotonic() < end:
            self.assertIn(self.admin.slot("03")["Door"], ("locked", "unknown"))
            time.sleep(0.1)
        self.collect(put.receipt["code"])
        self.sim.do("board A normal")
        self.assertNotIn("door.forced-open", self.event_types(mark))

    def test_slow_board_works(self):
        """Requirement: F4"""
        self.sim.do("board A late 120")
        put = self.store()
        self.collect(put.receipt["code"])
        self.assertEqual(self.health("board:A"), "ok")


class Kerong(Errands, Scenario):
    cabinet_text = KERONG

    def test_wrong_sums_take_a_board_away_and_open_nothing(self):
        """Requirement: F4, F1"""
        put = self.store()
        self.sim.do("board A wrong-sum 100")
        wait(lambda: self.health("board:A") == "failed", "the board's failure")
        with self.only():
            self.assertRefused("BoardOffline", self.recipient(put.receipt["code"]).collect)
            time.sleep(0.5)
        self.sim.do("board A normal")
        wait(lambda: self.health("board:A") == "ok", "good health", timeout=20)
        self.collect(put.receipt["code"])

    def test_unlock_with_a_response_works_as_well(self):
        self.sim.do("board A unlock-response 100")
        put = self.store()
        self.collect(put.receipt["code"])

    def test_infrared_sensor_is_a_presence_sensor(self):
        """A parcel that is taken out is collected without a word of the recipient."""
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        self.shut(place)
        session.wait_prompt("collected")


class Winnsen(Errands, Scenario):
    cabinet_text = WINNSEN

    def test_response_for_another_lock_is_no_confirmation(self):
        """Requirement: F1"""
        self.sim.do("board A wrong-echo 100")
        with self.only("01"):
            self.admin.open_slot("01")
            self.sim.wait("01", door="open")
            self.admin.wait_slot("01", Door="open")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RtuOverTcp(Scenario):
    """Modbus RTU through an Ethernet converter that passes on bytes."""

    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}

    def edit(text):
        text = re.sub(r"\n(Baud|Parity|StopBits|RS485)=.*", "", text)
        return re.sub(r"Device=/\S+", f"Device=raw-tcp:127.0.0.1:{free_port()}", text)

    def test_deposit_and_collect(self):
        """Requirement: F1, F2, F3"""
        put = self.store()
        with self.only(put.slot):
            self.collect(put.receipt["code"])

    def test_damaged_and_late_responses_are_survived(self):
        """Requirement: F1, F4"""
        put, mark = self.store(), self.last_event()
        self.sim.do("board A damage 10", "board A late 60")
        self.collect(put.receipt["code"])
        self.sim.do("board A normal")
        self.assertNotIn("door.forced-open", self.event_types(mark))


del Errands
main()
