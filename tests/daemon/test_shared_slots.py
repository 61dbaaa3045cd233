# SPDX-License-Identifier: Apache-2.0
"""Shared slots with locked positions: one door, several people's parcels, and nobody reaches a neighbour's."""
import re
import sqlite3

from daemonlib import main, wait
from people import Scenario


def only_shared_in_m(text):
    """cabinet-60 with nothing but the shared slots in size M."""
    return re.sub(r"(\[Slot 4[19]-\d+\]\n)Size=M", r"\1Size=S", text)


class SharedSlots(Scenario):
    cabinet_file = "cabinet-60.conf"
    edit = staticmethod(only_shared_in_m)
    settings = {"Session": {"ReopenGrace": "0"}}

    def no_neighbour_moves(self, put):
        return self.only(put.slot, self.lock_name(put.slot, put.position))

    def test_what_is_taken_through_a_forced_door_is_not_stored_although_its_sensor_saw_it_first(self):
        """Requirement: F1, F2"""
        put = self.store(size="M")
        lock = self.lock_name(put.slot, put.position)
        since = self.now_us()
        wait(lambda: self.now_us() > since + 4000000, "the end of the release window")
        self.sim.do(f"force {put.slot}")
        self.admin.wait_slot(put.slot, Door="forced")
        self.sim.do(f"force {lock}")
        wait(lambda: self.admin.position(put.slot, put.position)[2] == "forced", "the forced lid")
        # Forced, but nothing is missing: the sensor says so.
        self.assertEqual(self.admin.position(put.slot, put.position)[3:5], ("occupied", "stored"))
        self.sim.do(f"take {lock}")
        self.admin.wait_parcel(put.parcel, "unverified")
        self.shut(put)
        self.admin.wait_slot(put.slot, Door="locked")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "unverified")

    def test_three_parcels_share_a_slot_and_each_pickup_opens_one_position(self):
        """Requirement: A1, A2, A3, A4"""
        slot = self.admin.slot("P1")
        self.assertEqual([p[0] for p in slot["Positions"]], [1, 2, 3, 4, 5, 6])
        self.assertEqual({p[2] for p in slot["Positions"]}, {"locked"}, "each position has a lock of its own")
        self.assertEqual([(p[0], p[2]) for p in self.admin.slot("01")["Positions"]], [(1, "none")], "a plain slot has one, without a lock")

        session = self.courier()
        puts = []
        for n in range(3):
            put = session.deposit(size="M")
            # The place is told as a whole, in the answer, in the receipt and to the person.
            self.assertEqual((put.slot, put.position), (put.receipt["slot"], put.receipt["position"]))
            prompt = session.wait_prompt("put-in")
            self.assertEqual((prompt.slot, prompt.position), (put.slot, put.position))
            with self.no_neighbour_moves(put):
                self.put_in(session, put)
            puts.append(put)
        session.end()
        self.assertEqual({put.slot for put in puts}, {"P1"}, "a shared slot that is in use is filled first")
        self.assertEqual(len({put.position for put in puts}), 3)
        for put in puts:
            place = self.sim.place(f"P1/{put.position}")
            self.assertEqual((place["item"], place["door"], place["latch"]), (True, "shut", "locked"))
            self.assertEqual(self.admin.position("P1", put.position)[2:6], ("locked", "occupied", "stored", put.receipt["parcel"]))

        middle = puts[1]
        with self.no_neighbour_moves(middle):
            session = self.recipient(middle.receipt["code"])
            before = self.admin.position("P1", middle.position)
            place = session.collect()
            prompt = session.wait_prompt("take-out")
            self.take(place)
            # While the door stands open the neighbours' positions stay locked: nothing there can be pulled or taken.
            for other in (puts[0], puts[2]):
                lock = f"P1/{other.position}"
                self.assertFalse(self.sim.cmd(f"open {lock}")["ok"])
                self.assertFalse(self.sim.cmd(f"take {lock}")["ok"])
            session.accept()
            self.shut(place)
            session.wait_prompt("collected")
        self.assertEqual((place.slot, place.position), (middle.slot, middle.position))
        self.assertEqual((prompt.slot, prompt.position), (middle.slot, middle.position))
        self.assertIn("Take", place.prompt)
        self.assertEqual(before[4], "stored")
        self.assertEqual(self.admin.position("P1", middle.position)[4:6], ("free", 0))
        self.assertEqual([self.item(p) for p in puts], [True, False, True])
        self.assertEqual(self.admin.parcel(puts[0].parcel)["State"], "stored")
        # The first code still opens the first position, and the door alone is opened for it besides.
        with self.no_neighbour_moves(puts[0]):
            self.collect(puts[0].receipt["code"])
        self.assertEqual(self.item(puts[2]), True)

    def test_position_is_locked_only_when_its_lid_is_shut(self):
        """The courier forgets the lid: the parcel is not stored before it is locked in.

        Requirement: A3, F1
        """
        session = self.courier()
        put = session.deposit(size="M")
        self.put(put)
        self.shut(put, lid=False)
        prompt = session.wait_prompt("close-lid")
        self.assertEqual((prompt.slot, prompt.position), (put.slot, put.position))
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "depositing")
        self.assertEqual(session.state, "closing")
        again = session.reopen()
        self.assertEqual((again.slot, again.position), (put.slot, put.position))
        self.sim.wait(put.slot, door="open")
        self.shut(put)
        session.wait_prompt("stored")
        self.assertEqual(self.sim.place(f"{put.slot}/{put.position}")["latch"], "locked")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")

    def test_nobody_joins_another_at_an_open_shared_slot(self):
        """While P1 is open for one person, no other deposit, pickup, operator or take-back opens or allocates in it.

        Requirement: A6, A4
        """
        first, second = self.store(size="M"), self.store(size="M")
        self.assertEqual((first.slot, second.slot), ("P1", "P1"))
        one = self.recipient(first.receipt["code"])
        other_terminal = self.cabinet.client()
        two = self.recipient(second.receipt["code"], client=other_terminal)
        place = one.collect()
        self.reach(place)
        self.assertTrue(self.admin.slot("P1")["InUse"])
        with self.only("P2", "P2/1"):
            self.assertRefused("SlotBusy", two.collect)
            self.assertRefused("SlotBusy", self.admin.open_slot, "P1", 2)
            self.assertRefused("SlotBusy", self.admin.reconcile, "P1", second.position, "empty")
            courier = self.courier(client=self.cabinet.client())
            put = courier.deposit(size="M")
            self.assertEqual((put.slot, put.position), ("P2", 1), "six positions of P1 are not to be had now")
            self.put_in(courier, put)
        # Also after the session has ended in mid-way, as long as the door is open.
        one.end()
        self.assertRefused("SlotBusy", two.collect)
        self.assertEqual(self.admin.parcel(second.parcel)["State"], "stored")
        self.take(place)
        self.shut(place)
        self.assertEqual(self.gone(first.parcel)["state"], "collected")
        self.admin.wait_slot("P1", Door="locked", InUse=False)
        place = two.collect()
        self.take(place)
        two.accept()
        self.shut(place)
        two.wait_prompt("collected")

    def test_two_requests_at_the_same_moment_get_one_slot_each(self):
        """Requirement: A6, F6"""
        terminals = [self.cabinet.client() for _ in range(3)]
        sessions = [self.courier(client=t) for t in terminals]
        pending = [s.begin_deposit(size="M") for s in sessions]
        answers = [p.result() for p in pending]
        self.assertEqual(len({a[0] for a in answers}), 3, answers)
        self.assertEqual(self.sim.objections("supply"), [])

    def test_motor_locks_are_shut_by_command(self):
        """P4 has motor locks: lockerd opens one lid, and locks it by command once the person has shut it.

        Requirement: A3, A4
        """
        for label in ("P1", "P2", "P3"):
            self.admin.disable(label)
        session = self.courier()
        put = session.deposit(size="M")
        self.assertEqual(put.slot, "P4")
        lock = f"P4/{put.position}"
        with self.no_neighbour_moves(put):
            self.put_in(session, put)
        place = self.sim.place(lock)
        self.assertEqual((place["latch"], place["item"], place["secure_coil"]), ("locked", True, False))
        secure = [j for j in self.sim.journal("coil") if j["lock"] == lock and j["on"]]
        self.assertEqual(len(secure), 2, "one pulse to open, one to lock")

        neighbour = session.deposit(size="M")
        with self.no_neighbour_moves(neighbour):
            self.put_in(session, neighbour)
        self.assertEqual(neighbour.slot, "P4")
        with self.no_neighbour_moves(put):
            self.collect(put.receipt["code"])
        self.assertEqual(self.sim.place(lock)["latch"], "locked", "the empty position is locked again")
        self.assertTrue(self.item(neighbour))
        self.assertEqual(self.admin.position("P4", put.position)[2], "locked")
        self.assertEqual(self.admin.position("P4", put.position)[4], "free")

    def test_motor_lid_that_does_not_lock_is_told_and_tried_again(self):
        """Requirement: A3, F1, F3"""
        for label in ("P1", "P2", "P3"):
            self.admin.disable(label)
        session = self.courier()
        put = session.deposit(size="M")
        self.put(put)
        self.shut(put, lid=False)
        session.wait_prompt("close-lid", timeout=15)
        self.wait_event("door.failed-to-lock", slot="P4", position=put.position)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "depositing")
        session.reopen()
        self.sim.wait("P4", door="open")
        self.shut(put)
        session.wait_prompt("stored")
        self.assertEqual(self.sim.place(f"P4/{put.position}")["latch"], "locked")

    def test_stuck_lid_leads_to_another_position(self):
        """The door opens, the position's lock does not: the position is quarantined, the item goes elsewhere.

        Requirement: A2, F1, F2
        """
        self.sim.do("jam P1/1")
        session = self.courier()
        put = session.deposit(size="M")
        self.assertNotEqual((put.slot, put.position), ("P1", 1))
        self.wait_event("door.failed-to-open", slot="P1", position=1)
        self.assertEqual(self.admin.position("P1", 1)[1], "quarantined")
        self.push("P1")  # its door did open
        self.put_in(session, put)
        self.admin.wait_slot("P1", Door="locked", InUse=False)

    def test_stuck_lid_in_a_pickup_keeps_the_parcel_and_its_code(self):
        """Requirement: A4, F1, F3"""
        put = self.store(size="M")
        lock = f"P1/{put.position}"
        self.sim.do(f"jam {lock}")
        session = self.recipient(put.receipt["code"])
        with self.only("P1", lock):
            self.assertRefused("PositionDidNotOpen", session.collect)
            session.wait_prompt("did-not-open")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
        self.push("P1")
        self.admin.wait_slot("P1", Door="locked", InUse=False)
        self.sim.do(f"unjam {lock}")
        session.end()
        self.collect(put.receipt["code"])

    def test_ledger_itself_refuses_two_parcels_in_one_position(self):
        """The rule does not hang on the program alone.

        Requirement: A1, F2
        """
        put = self.store(size="M")
        self.cabinet.stop_daemon()
        db = sqlite3.connect(self.cabinet.ledger)
        self.addCleanup(db.close)
        with self.assertRaises(sqlite3.IntegrityError):
            db.execute("INSERT INTO parcel (state, slot, position, size, created) VALUES ('stored', ?, ?, 'M', 0)",
                       (put.slot, put.position))
        db.rollback()
        db.execute("INSERT INTO parcel (state, slot, position, size, created) VALUES ('stored', ?, ?, 'M', 0)",
                   (put.slot, put.position + 1))
        db.rollback()
        db.close()
        self.cabinet.start_daemon()
        self.collect(put.receipt["code"])

    def test_full_shared_slots_are_said_to_be_full(self):
        """Requirement: A2, F2"""
        for label in ("P2", "P3", "P4"):
            self.admin.disable(label)
        for n in (2, 3, 4, 5):
            self.admin.disable("P1", n)
        puts = [self.store(size="M", larger=False) for _ in range(2)]
        self.assertEqual({(p.slot, p.position) for p in puts}, {("P1", 1), ("P1", 6)})
        wait(lambda: self.admin.cabinet("FreePositions")["M"] == 0, "no position left")
        session = self.courier()
        with self.only():
            self.assertRefused("NoFreePosition", session.deposit, size="M", larger=False)


main()
