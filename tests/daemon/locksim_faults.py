# SPDX-License-Identifier: Apache-2.0
"""What boards do wrong when locksim is told to, and what it objects to when masters do wrong."""
import time

from locksim_case import FLASH, OFF, ON, RELAYS, SHARED, SimCase
from rtu_master import crc, request

class Faults(SimCase):
    GOOD = bytes.fromhex("01 02 01 0f e1 8c")

    def setUp(self):
        super().setUp()
        self.sim = self.start()
        self.port = self.master(self.sim)

    def ask(self, timeout=0.2):
        return self.port.exchange(request(1, 2, 0, 8), timeout=timeout)

    def test_normal_is_good(self):
        self.assertEqual(self.ask(), self.GOOD)
        self.sim.do("board A damage", "board A normal")
        self.assertEqual(self.ask(), self.GOOD)

    def test_answers_spoilt_in_every_way(self):
        for fault, check in (("drop", lambda a: a == b""), ("deaf", lambda a: a == b""),
                             ("double", lambda a: a == self.GOOD * 2),
                             ("damage", lambda a: len(a) == 6 and a != self.GOOD),
                             ("truncate", lambda a: 0 < len(a) < 6 and self.GOOD.startswith(a)),
                             ("wrong-address", lambda a: a[:5] == b"\2" + self.GOOD[1:4] + crc(b"\2" + self.GOOD[1:4])[:1])):
            with self.subTest(fault):
                self.sim.do(f"board A {fault} 100")
                answer = self.ask()
                self.assertTrue(check(answer), answer.hex(" "))
                self.sim.do(f"board A {fault} 0")
                self.assertEqual(self.ask(), self.GOOD)

    def test_late_and_dribbled(self):
        self.sim.do("board A late 250")
        self.assertEqual(self.ask(timeout=0.5), self.GOOD)
        self.assertGreater(self.port.last - self.port.sent, 0.25)
        self.sim.do("board A late 0", "board A dribble 30")
        self.assertEqual(self.ask(timeout=0.2), self.GOOD)
        self.assertGreater(self.port.last - self.port.sent, 0.18)

    def test_the_late_answer_meets_the_next_request(self):
        self.sim.do("board A late 400")
        self.assertEqual(self.ask(timeout=0.05), b"")
        self.sim.do("board A late 0")
        time.sleep(0.02)
        self.assertEqual(self.port.exchange(request(1, 1, 0, 8), 6), bytes.fromhex("01 01 01 00 51 88"))
        self.assertEqual(self.port.receive(6, 1), self.GOOD)

    def test_wrong_echo_and_stale(self):
        self.sim.do("board A wrong-echo 100")
        self.assertEqual(self.port.exchange(request(1, 5, 0, ON), 8), request(1, 5, 1, ON))
        self.assertTrue(self.sim.place("01")["coil"])
        self.sim.do("board A wrong-echo 0", "board A stale 100")
        self.assertEqual(self.port.exchange(request(1, 2, 0, 8), 8), request(1, 5, 0, ON))
        self.assertEqual(self.port.exchange(request(1, 1, 0, 8), 6)[1], 2)

    def test_two_boards_at_one_address_spoil_each_other(self):
        self.sim.do("board B address 1")
        answers = [self.ask(timeout=0.1) for _ in range(8)]
        self.assertTrue(any(a != self.GOOD for a in answers))
        self.port.send(request(1, 5, FLASH, 2))
        self.sim.wait("01", door="open")
        self.sim.wait("05", door="open")

    def test_noise_and_babble(self):
        self.sim.do("line left noise 100")
        answer = self.ask()
        self.assertTrue(answer.endswith(self.GOOD) and len(answer) > 6)
        self.sim.do("line left normal", "line left babble 20")
        self.assertGreater(len(self.port.receive(10, 1)), 5)
        self.sim.do("line left normal")

    def test_the_same_seed_spoils_the_same_way(self):
        self.sim.do("board A damage 50")
        runs = []
        for _ in range(2):
            self.sim.do("seed 42")
            runs.append([self.ask(timeout=0.1) for _ in range(6)])
        self.assertEqual(runs[0], runs[1])


class Objections(SimCase):
    def kinds(self, sim):
        return sorted({o["kind"] for o in sim.objections()})

    def test_two_coils_of_one_supply(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, FLASH, 10)
        master.coil(2, FLASH, 10)
        self.assertEqual(self.kinds(sim), ["supply"])
        self.assertEqual(sim.objections()[0]["board"], "B")
        sim.do("clear")
        sim.wait("01", coil=False)
        sim.wait("05", coil=False)
        master.coil(1, FLASH, 2)
        self.assertEqual(self.kinds(sim), [])

    def test_two_may_be_on_where_the_supply_carries_two(self):
        sim = self.start(cabinet=SHARED)
        master = self.master(sim, "north", 115200)
        master.coil(1, 0, ON)
        master.coil(1, 1, ON)
        self.assertEqual(self.kinds(sim), [])
        master.coil(1, 2, ON)
        self.assertEqual(self.kinds(sim), ["supply"])

    def test_a_pulse_that_is_too_long(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, FLASH, 10)
        time.sleep(1.1)
        self.assertEqual(self.kinds(sim), [])
        master.coil(1, FLASH, 11)
        time.sleep(1.1)
        self.assertEqual(self.kinds(sim), ["too-long"])

    def test_a_coil_left_on_when_the_master_goes(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, 0, ON)
        master.close()
        time.sleep(1.3)
        self.assertIn("left-on", self.kinds(sim))
        self.assertFalse(sim.state()["lines"]["left"]["open"])

    def test_a_master_that_comes_back_in_time(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, 0, ON)
        master.close()
        master = self.master(sim)
        master.coil(1, 0, OFF)
        time.sleep(1.2)
        self.assertNotIn("left-on", self.kinds(sim))
        self.assertTrue(sim.state()["lines"]["left"]["open"])

    def test_a_coil_without_lock(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, 7, OFF)
        self.assertEqual(self.kinds(sim), [])
        master.coil(1, 7, ON)
        self.assertEqual(self.kinds(sim), ["no-lock"])

    def test_a_pulse_too_soon_after_the_last(self):
        sim = self.start(cabinet=RELAYS.replace("MaxActive=1", "MaxActive=1\nCooldown=2s"))
        master = self.master(sim)
        master.coil(1, FLASH, 1)
        sim.wait("01", pulses=1, coil=False)
        master.coil(1, FLASH + 1, 1)
        self.assertEqual(self.kinds(sim), ["cooldown"])

    def test_a_wrong_speed(self):
        sim = self.start()
        master = self.master(sim, baud=19200)
        self.assertEqual(master.exchange(request(1, 2, 0, 8), timeout=0.1), b"")
        self.assertEqual(self.kinds(sim), ["speed"])
        sim.stop()
        sim = self.start("--any-speed")
        self.assertEqual(self.master(sim, baud=19200).inputs(1, 1), [1])
        self.assertEqual(self.kinds(sim), [])

    def test_without_a_speed_it_is_the_profiles(self):
        """As cabinet.conf(5) says of Baud=: here 19200, of generic-pulse-16."""
        sim = self.start(cabinet=SHARED.replace("Baud=19200\n", ""))
        self.assertEqual(len(self.master(sim, "south", baud=19200).inputs(3, 8)), 8)
        self.assertEqual(self.kinds(sim), [])
        self.assertEqual(self.master(sim, "south", baud=9600).exchange(request(3, 2, 0, 8), timeout=0.1), b"")
        [objection] = sim.objections()
        self.assertIn("runs at 19200 baud, its master at 9600", objection["text"])

    def test_a_request_without_silence_before_it(self):
        sim = self.start(fast=False)
        master = self.master(sim, gap=0)
        for _ in range(20):  # a busy machine may keep the silence for us
            master.ask(1, 2, 0, 8, 6)
        self.assertEqual(self.kinds(sim), ["gap"])

    def test_a_request_into_an_answer_is_lost(self):
        sim = self.start(fast=False)
        master = self.master(sim, gap=0)
        master.send(request(1, 2, 0, 8))
        master.receive(2)
        master.send(request(1, 5, FLASH, 2))
        master.receive(4)
        time.sleep(0.05)
        self.assertEqual(sim.place("01")["pulses"], 0)
        self.assertEqual(sim.state()["lines"]["left"]["collisions"], 1)
