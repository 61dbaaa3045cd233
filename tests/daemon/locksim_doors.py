# SPDX-License-Identifier: Apache-2.0
"""locksim's physics: locks, doors, lids, inputs and the people in front of them."""
import time

from locksim_case import FLASH, OFF, ON, SHARED, SimCase
from rtu_master import request

class Physics(SimCase):
    def flash(self, master, address=1, coil=0, value=2):
        master.coil(address, FLASH + coil, value)

    def test_a_pulse_opens_a_door_and_closing_locks_it(self):
        sim = self.start()
        master = self.master(sim)
        self.refused(sim, "open 01", "locked")
        self.refused(sim, "put 01", "shut")
        self.flash(master, value=5)
        sim.wait("01", door="open", coil=True)
        sim.do("put 01")
        self.refused(sim, "put 01/1", "lies there")
        self.assertEqual(master.inputs(1, 4), [0, 1, 1, 1])
        sim.wait("01", coil=False)
        sim.do("close 01")
        self.refused(sim, "take 01", "shut")
        place = sim.place("01")
        self.assertEqual((place["door"], place["latch"], place["item"], place["openings"]), ("shut", "locked", True, 1))
        coil = [j["time_us"] for j in sim.journal("coil")]
        door = [j["time_us"] for j in sim.journal("door") if j["state"] == "open"]
        self.assertEqual(coil[1] - coil[0], 500000)
        self.assertTrue(20000 <= door[0] - coil[0] <= 61000, door[0] - coil[0])

    def test_a_door_shut_during_the_pulse_springs_open_again(self):
        sim = self.start()
        self.flash(self.master(sim), value=5)
        sim.wait("01", door="open")
        sim.do("close 01")
        sim.wait("01", door="open", coil=True)
        self.assertEqual(sim.place("01")["openings"], 2)

    def test_a_blocked_door_opens_when_unblocked(self):
        sim = self.start()
        sim.do("block 01")
        self.flash(self.master(sim))
        sim.wait("01", latch="released")
        sim.wait("01", coil=False)
        self.assertEqual(sim.place("01")["door"], "shut")
        sim.do("unblock 01")
        sim.wait("01", door="open")

    def test_a_blocked_door_may_spring_back(self):
        sim = self.start()
        sim.do("block 01 spring-back")
        self.flash(self.master(sim), value=5)
        sim.wait("01", latch="released")
        sim.wait("01", latch="locked", coil=False)
        sim.do("unblock 01")
        time.sleep(0.1)
        self.assertEqual(sim.place("01")["door"], "shut")

    def test_a_jammed_lock_does_not_move(self):
        sim = self.start()
        sim.do("jam 01")
        master = self.master(sim)
        self.flash(master)
        sim.wait("01", pulses=1, coil=False)
        self.assertEqual(sim.place("01")["latch"], "locked")
        sim.do("unjam 01")
        self.flash(master)
        sim.wait("01", door="open")

    def test_a_held_door_does_not_shut_and_a_broken_one_is_open(self):
        sim = self.start()
        sim.do("force 01", "hold 01")
        self.refused(sim, "force 01", "open")
        self.refused(sim, "close 01", "held")
        sim.do("unhold 01", "close 01")
        self.assertEqual(sim.place("01")["latch"], "locked")

    def test_inputs_follow_latch_release_and_alarm(self):
        sim = self.start()
        master = self.master(sim)
        self.assertEqual(master.inputs(2, 5), [1, 0, 0, 0, 0])  # the latch is wired the other way round
        sim.do("release 05 on", "alarm fire on")
        self.assertEqual(master.inputs(2, 5), [1, 0, 1, 1, 0])
        sim.do("release 05 off", "alarm fire off", "force 05")
        self.assertEqual(master.inputs(2, 5), [0, 1, 0, 0, 0])

    def test_silence_takes_the_power_from_the_coils(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, 0, ON)
        sim.wait("01", door="open")
        sim.do("board A silent")
        self.assertEqual(sim.place("01")["coil"], False)
        self.assertEqual(master.exchange(request(1, 2, 0, 8), timeout=0.08), b"")
        sim.do("board A normal")
        self.assertEqual(master.inputs(1, 1), [0])


class SharedSlots(SimCase):
    cabinet = SHARED

    def setUp(self):
        super().setUp()
        self.sim = self.start()
        self.north = self.master(self.sim, "north", 115200)
        self.south = self.master(self.sim, "south", 19200)

    def pulse(self, coil, seconds=0.1):
        self.south.coil(3, coil, ON)
        time.sleep(seconds)
        self.south.coil(3, coil, OFF)

    def test_a_hook_lock_shows_locked_only_when_shut_and_home(self):
        self.assertEqual(self.north.inputs(1, 10, function=1), [1] * 9 + [0])
        self.north.coil(1, 0, ON)
        self.sim.wait("P1", door="open", coil=True)
        self.assertEqual(self.north.inputs(1, 2, function=1), [0, 1])
        self.sim.wait("P1", coil=False)
        edges = [j["time_us"] for j in self.sim.journal("coil")]
        self.assertEqual(edges[1] - edges[0], 500000)
        self.sim.do("close P1")
        self.assertEqual(self.north.inputs(1, 2, function=1), [1, 1])
        self.assertEqual(self.north.ask(1, 5, 0, 0, 5)[1:3], b"\x85\x03")

    def test_lids_are_reached_only_through_the_open_door(self):
        self.refused(self.sim, "force P1/2", "slot's door")
        self.north.coil(1, 3, ON)
        self.sim.wait("P1/2", door="open")
        self.refused(self.sim, "put P1/2", "slot's door")
        self.sim.do("force P1")
        self.refused(self.sim, "put P1", "say which")
        self.refused(self.sim, "put P1/1", "shut")
        self.sim.do("put P1/2")
        self.assertEqual(self.south.inputs(3, 8), [0, 1, 0, 0, 0, 0, 1, 0])
        self.sim.wait("P1/2", coil=False)
        self.sim.do("close P1/2", "close P1")
        self.assertEqual(self.north.inputs(1, 9, function=1), [1] * 9)

    def test_a_position_without_lid_needs_only_the_door(self):
        self.refused(self.sim, "put P3/2", "slot's door")
        self.sim.do("force P3", "put P3/2")
        self.assertEqual(self.south.inputs(3, 8)[7], 1)
        self.refused(self.sim, "close P3/2", "no lid")

    def test_a_motor_lock_turns_both_ways_and_locks_only_when_shut(self):
        self.sim.do("force P3")
        self.pulse(0)
        self.sim.wait("P3/1", latch="released")
        self.assertEqual(self.sim.place("P3/1")["door"], "shut")
        self.sim.do("open P3/1")
        time.sleep(0.15)
        self.pulse(1)
        time.sleep(0.2)
        self.assertEqual(self.sim.place("P3/1")["latch"], "released")
        self.sim.do("close P3/1")
        self.assertEqual(self.south.inputs(3, 8)[6], 0)
        self.pulse(1)
        self.sim.wait("P3/1", latch="locked")
        self.assertEqual(self.south.inputs(3, 8)[6], 1)

    def test_scripted_people_put_take_and_shut(self):
        self.sim.do("auto P1/1 put 100", "auto P3/1 put 100")
        self.sim.do("force P1")
        self.north.coil(1, 2, ON)
        self.sim.wait("P1/1", door="open")
        self.sim.wait("P1", door="shut", timeout=2)
        self.assertTrue(self.sim.place("P1/1")["item"])
        self.sim.do("auto P1/1 take 100", "force P1", "force P1/1")
        self.sim.wait("P1", door="shut", timeout=2)
        self.assertFalse(self.sim.place("P1/1")["item"])
        self.sim.do("force P3")
        self.pulse(0)
        self.sim.wait("P3", door="shut")
        place = self.sim.place("P3/1")
        self.assertEqual((place["item"], place["door"], place["latch"]), (True, "shut", "released"))
        self.sim.do("auto all close 50", "force P2")
        self.sim.wait("P2", door="shut")
        self.sim.do("auto off", "force P2")
        time.sleep(0.15)
        self.assertEqual(self.sim.place("P2")["door"], "open")
