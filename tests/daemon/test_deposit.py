# SPDX-License-Identifier: Apache-2.0
"""A courier deposits, and everything that can come in between."""
import re
import time

from daemonlib import main, wait
from people import Scenario


class Deposits(Scenario):
    settings = {"Session": {"ReopenGrace": "3s", "IdleTimeout": "30s", "AnswerTimeout": "2s"}}

    def test_deposit_from_the_request_to_the_receipt(self):
        """The receipt has all that a customer needs: the code, the cabinet's number and where it stands.

        Requirement: A2, A5, C4, D2, F1, F9
        """
        session = self.client.start_session("courier")
        self.assertRefused("NotAuthenticated", session.deposit, size="S")
        self.admin.enrol_courier("4711", "258036")
        session.authenticate_pin("4711", "258036")
        self.assertRefused("UnknownSize", session.deposit, size="XXL")
        self.assertEqual(session.state, "authenticated")
        mark = self.last_event()
        with self.only("01"):
            put = session.deposit(size="S", recipient="Erika Mustermann", phone="+49 171 1234567", waybill="JD0001")
            self.sim.wait("01", door="open")
            self.assertEqual(session.state, "open")
            self.put_in(session, put)
        receipt = put.receipt
        self.assertRegex(receipt["code"], r"^[0-9A-HJKMNP-TV-Z]{6}$")
        self.assertEqual({k: receipt[k] for k in ("cabinet", "name", "address", "latitude", "longitude", "slot", "position", "credentials")},
                         {"cabinet": "C-0012", "name": "House 7, north entrance", "address": "7 Example Lane, 00000 Example Town",
                          "latitude": 52.52, "longitude": 13.405, "slot": "01", "position": 1, "credentials": []})
        self.assertGreater(receipt["expires"], self.wait_event("parcel.stored").time + 71 * 3600 * 10**6)
        parcel = self.admin.parcel(put.parcel)
        self.assertEqual((parcel["State"], parcel["Slot"], parcel["Position"], parcel["Courier"], parcel["Waybill"]),
                         ("stored", "01", 1, "4711", "JD0001"))
        self.assertNotIn("Mustermann", parcel["Recipient"])
        self.assertNotIn("1234567", parcel["Phone"])
        # Commanded, released, opened and closed are different facts, in the order in which they happened.
        self.assertEqual(self.event_types(mark), ["parcel.depositing", "code.issued", "door.commanded", "door.released", "door.opened", "door.closed",
                                                  "parcel.stored"])
        self.assertEqual(session.state, "authenticated")
        session.end()
        self.assertFalse(session.exists)

    def test_too_small_opens_a_larger_one_and_frees_the_first(self):
        """Requirement: F3, A2"""
        session = self.courier()
        small = session.deposit(size="S")
        self.sim.wait(small.slot, door="open")
        medium = session.too_small()
        self.assertEqual(self.admin.slot(medium.slot)["Size"], "M")
        # The first is not offered to others before its door is shut.
        self.assertTrue(self.admin.slot(small.slot)["InUse"])
        large = session.too_small()
        self.assertEqual(self.admin.slot(large.slot)["Size"], "L")
        # There is nothing larger than that: the courier hears it and the large one is still theirs.
        self.assertRefused("NoFreePosition", session.too_small)
        self.push(small.slot)
        self.push(medium.slot)
        self.put_in(session, large)
        self.assertEqual(self.admin.parcel(small.parcel)["Slot"], large.slot)
        for place in (small, medium):
            self.admin.wait_slot(place.slot, Door="locked", InUse=False, Service="in")
            self.assertEqual(self.admin.position(place.slot)[4], "free")
        self.assertEqual(self.collect(small.receipt["code"]).slot, large.slot, "the code has stayed the same")

    def test_too_small_twice_at_full_cabinet_is_refused_and_cancel_still_works(self):
        """Requirement: F3"""
        for label in ("07", "08", "11", "12"):
            self.admin.disable(label)
        session = self.courier()
        put = session.deposit(size="S")
        self.sim.wait(put.slot, door="open")
        self.assertRefused("NoFreePosition", session.too_small)
        session.cancel()
        self.push(put.slot)
        session.wait_prompt("cancelled")
        self.assertEqual(self.gone(put.parcel)["state"], "cancelled")
        self.assertRefused("WrongCode", self.recipient, put.receipt["code"])

    def test_not_empty_quarantines_and_offers_another(self):
        """Requirement: F2, F3"""
        self.admin.disable("02")
        session = self.courier()
        put = session.deposit(size="S")
        self.assertEqual(put.slot, "01")
        self.sim.wait("01", door="open")
        self.sim.do("put 01")  # what somebody had forgotten there
        other = session.not_empty()
        self.assertEqual(other.slot, "03")
        self.assertEqual(self.admin.position("01")[1], "quarantined")
        self.wait_event("slot.quarantined", slot="01")
        self.push("01")
        self.put_in(session, other)
        # Not offered again, before or after a restart, until an operator has looked.
        self.assertEqual(session.deposit(size="S").slot, "04")
        self.push("04")
        session.wait_prompt("stored")
        self.cabinet.restart()
        session = self.courier()
        self.assertEqual(session.deposit(size="S").slot, "05")
        self.push("05")
        self.admin.reconcile("01", 1, "empty", "taken out and handed in")
        self.assertEqual(self.admin.position("01")[1], "in")

    def test_door_that_does_not_open_is_left_for_another(self):
        """One retry, then the slot is quarantined and the next opens; the answer names the one that did open.

        Requirement: F1, F2, F3
        """
        self.sim.do("jam 01")
        session = self.courier()
        put = session.deposit(size="S")
        self.assertEqual(put.slot, "02")
        self.assertEqual(self.sim.place("01")["pulses"], 2)
        self.wait_event("door.failed-to-open", slot="01")
        self.assertEqual(self.admin.slot("01")["Door"], "jammed")
        self.assertEqual(self.admin.position("01")[1], "quarantined")
        self.put_in(session, put)
        self.assertEqual(self.admin.parcel(put.parcel)["Slot"], "02")

    def test_courier_says_it_does_not_open_although_the_sensor_says_so(self):
        """Requirement: F3"""
        session = self.courier()
        put = session.deposit(size="S")
        self.sim.wait("01", door="open", coil=False)
        pulses = self.sim.place("01")["pulses"]
        same = session.does_not_open()
        self.assertEqual(same, (put.slot, put.position))
        self.assertEqual(self.sim.place("01")["pulses"], pulses, "a door that is seen to stand open is not pulsed")
        self.push("01")
        session.wait_prompt("stored")
        # It fell shut before anything was in: that is for "reopen".
        self.assertRefused("WrongState", session.does_not_open)
        self.assertEqual(session.reopen(), (put.slot, put.position))
        self.assertEqual(session.does_not_open(), (put.slot, put.position))
        self.put(put)
        self.push("01")
        self.admin.wait_slot("01", Door="locked")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")

    def test_reopen_within_the_grace_time_only(self):
        """Requirement: F3"""
        session = self.courier()
        self.assertRefused("WrongState", session.reopen)
        put = self.store(session=session, end=False)
        with self.only(put.slot):
            self.assertEqual(session.reopen(), (put.slot, put.position))
            self.sim.wait(put.slot, door="open")
            self.assertRefused("WrongState", session.reopen)
            self.push(put.slot)
            self.admin.wait_slot(put.slot, Door="locked", InUse=True)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
        self.admin.wait_slot(put.slot, InUse=False, timeout=10)
        with self.only():
            self.assertRefused("GraceOver", session.reopen)

    def test_cancel_ends_when_the_door_is_shut(self):
        """Requirement: F3"""
        session = self.courier()
        put = session.deposit(size="S")
        self.put(put)
        session.cancel()
        self.assertIn("take-out", [p.what for p in session.prompts])
        self.assertRefused("WrongState", session.too_small)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "depositing", "the item may still be inside")
        self.take(put)
        self.push(put.slot)
        session.wait_prompt("cancelled")
        self.assertEqual(self.gone(put.parcel)["state"], "cancelled")
        self.assertEqual(session.state, "authenticated")
        self.store(session=session)

    def test_terminal_vanishes_while_the_door_is_open(self):
        """The courier has seen where to put it; that the terminal has gone does not lose the parcel.

        Requirement: F4, F1, A6
        """
        terminal = self.cabinet.client()
        session = self.courier(client=terminal)
        put = session.deposit(size="S")
        self.put(put)
        terminal.close()
        wait(lambda: not [p for p in self.admin.objects() if "/session/" in p], "the session's end")
        self.assertTrue(self.admin.slot("01")["InUse"])
        other = self.courier()
        second = other.deposit(size="S")
        self.assertEqual(second.slot, "02")
        self.put_in(other, second)
        self.push("01")
        self.admin.wait_parcel(put.parcel, "stored")
        self.admin.wait_slot("01", Door="locked", InUse=False)
        self.collect(put.receipt["code"])

    def test_terminal_vanishes_before_the_door_opens(self):
        """Requirement: F4, F1"""
        self.courier().end()
        terminal = self.cabinet.client()
        session = self.courier(client=terminal)
        self.sim.do("block 01")  # somebody leans on the door, so that it takes its time
        session.begin_deposit(size="S")
        wait(lambda: self.admin.parcels(), "the parcel")
        terminal.close()
        wait(lambda: not [p for p in self.admin.objects() if "/session/" in p], "the session's end")
        number = next(iter(self.admin.parcels()))
        # Nobody was told of another place: none is opened for a courier who has gone.
        with self.only("01"):
            wait(lambda: not self.admin.parcels() or self.admin.slot("01")["Door"] == "open", "the end of it")
            self.sim.do("unblock 01")
            if self.admin.parcels():
                self.sim.wait("01", door="open")
                self.push("01")
                self.admin.wait_slot("01", Door="locked")
        self.assertIn(self.states_of(number)[-1], ("cancelled", "stored"))
        self.assertEqual(self.energised(), {})

    def test_announced_size_temperature_and_access_are_kept_to(self):
        """Requirement: F7"""
        session = self.courier()
        self.assertRefused("NoFreePosition", session.deposit, size="S", temperature="frozen")
        put = session.deposit(size="S", accessible=True)
        self.assertEqual(put.slot, "12")
        self.assertTrue(self.admin.slot("12")["Accessible"])
        self.put_in(session, put)
        self.assertRefused("NoFreePosition", session.deposit, size="S", accessible=True)
        self.assertRefused("NoFreePosition", session.deposit, size="L", larger=False)
        sizes = self.admin.cabinet("Sizes")
        self.assertEqual([s[0:3] for s in sizes], [("S", 1, "Small"), ("M", 2, "Medium"), ("L", 3, "Large")])
        self.assertEqual(sizes[0][3:], (350, 100, 450))
        self.assertEqual(self.admin.cabinet("FreePositions"), {"S": 8, "M": 3, "L": 0})


class LongGrace(Scenario):
    settings = {"Session": {"ReopenGrace": "2min", "IdleTimeout": "5min"}}

    def test_slot_kept_for_reopening_gives_way_to_its_recipient(self):
        """The courier still has the grace time, the recipient is there already.

        Requirement: A6, F3
        """
        put = self.store(end=False)
        self.assertTrue(self.admin.slot(put.slot)["InUse"])
        session = self.recipient(put.receipt["code"], client=self.cabinet.client())
        place = session.collect()
        self.assertEqual(place.slot, put.slot)
        self.take(place)

    def test_terminal_vanishes_right_after_signing_in_and_after_the_end(self):
        """Requirement: F4"""
        terminal = self.cabinet.client()
        self.courier(client=terminal)
        terminal.close()
        terminal = self.cabinet.client()
        put = self.store(session=self.courier(client=terminal), end=False)
        self.assertTrue(self.admin.slot(put.slot)["InUse"])
        terminal.close()
        # Nobody can reopen any more, so that the slot is not kept.
        self.admin.wait_slot(put.slot, InUse=False, timeout=10)
        self.collect(put.receipt["code"])


class ImpatientDoors(Scenario):
    settings = {"Session": {"DoorOpenTimeout": "1s", "IdleTimeout": "4s", "ReopenGrace": "0"}}

    def test_open_door_is_called_left_open_and_the_session_waits_for_it(self):
        """Requirement: F1, F3"""
        session = self.courier()
        put = session.deposit(size="S")
        self.put(put)
        prompt = session.wait_prompt("door-open", timeout=10)
        self.assertEqual(prompt.slot, put.slot)
        self.wait_event("door.open-too-long", slot=put.slot)
        self.assertEqual(self.admin.slot(put.slot)["Door"], "left_open")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "depositing")
        self.push(put.slot)
        session.wait_prompt("stored")

    def test_door_that_stays_open_does_not_keep_its_session_for_ever(self):
        """Off its hinges, say; or the person has gone. The errand goes on, and is judged when it is shut.

        Requirement: A6, F1, F3
        """
        session = self.courier()
        put = session.deposit(size="S")
        self.put(put)
        session.wait_prompt("door-open", timeout=10)
        begin = time.monotonic()
        prompt = session.wait_prompt("timed-out", timeout=20)
        self.assertGreater(time.monotonic() - begin, 3, "it had its time since the door was called left open")
        self.assertEqual(prompt.slot, put.slot)
        wait(lambda: not session.exists, "the end of the session")
        self.assertTrue(self.admin.slot(put.slot)["InUse"])
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "depositing")
        self.push(put.slot)
        self.admin.wait_slot(put.slot, Door="locked", InUse=False)
        self.assertEqual(self.states_of(put.parcel), ["depositing", "stored"])

    def test_idle_session_ends_by_itself(self):
        """Requirement: A6, F3"""
        session = self.courier()
        session.wait_prompt("timed-out", timeout=10)
        wait(lambda: not session.exists, "the end of the session")


def sensors_in_m(text):
    """cabinet-60 with nothing but the shared slots in size M; these have presence sensors."""
    return re.sub(r"(\[Slot 4[19]-\d+\]\n)Size=M", r"\1Size=S", text)


class SensedDeposits(Scenario):
    cabinet_file = "cabinet-60.conf"
    edit = staticmethod(sensors_in_m)
    settings = {"Session": {"AnswerTimeout": "2s", "ReopenGrace": "1s"}}

    def test_sensor_that_sees_something_keeps_the_position_from_being_offered(self):
        """The ledger says free, the sensor does not.

        Requirement: F2
        """
        put = self.store(size="M")
        self.assertEqual((put.slot, put.position), ("P1", 1))
        # Somebody leaves something in position 2 while the door is open for another parcel.
        self.admin.open_slot("P1", 2, "a visitor's umbrella")
        self.sim.wait("P1/2", door="open")
        self.sim.do("put P1/2")
        self.push("P1/2")
        self.push("P1")
        self.admin.wait_slot("P1", Door="locked")
        wait(lambda: self.admin.position("P1", 2)[2:5] == ("locked", "occupied", "free"), "what the sensor says")
        self.assertEqual((self.store(size="M").position, self.admin.cabinet("FreePositions")["M"]), (3, 21))

    def test_nothing_put_in_is_asked_about_and_then_cancelled(self):
        """The courier says nothing and shuts the door, but the position is empty.

        Requirement: F1, F2, F3
        """
        session = self.courier()
        put = session.deposit(size="M")
        self.reach(put)
        self.shut(put)
        prompt = session.wait_prompt("put-in")
        prompt = session.wait_prompt("put-in") if "still empty" not in prompt.sentence else prompt
        self.assertIn("still empty", prompt.sentence)
        self.assertEqual(session.state, "closing")
        # It is put in after all …
        session.reopen()
        self.put_in(session, put)
        self.assertEqual(self.states_of(put.parcel), ["depositing", "stored"])
        # … and another time it is not: nothing is stored that is not there.
        put = session.deposit(size="M")
        self.reach(put)
        self.shut(put)
        session.wait_prompt("cancelled", timeout=10)
        self.assertEqual(self.gone(put.parcel)["state"], "cancelled")
        self.assertRefused("WrongCode", self.recipient, put.receipt["code"])

    def test_cancelled_but_still_inside_is_asked_about_and_then_unverified(self):
        """Requirement: F1, F2, F3"""
        session = self.courier()
        put = session.deposit(size="M")
        self.put(put)
        session.cancel()
        self.shut(put)
        session.wait_prompt("still-inside")
        session.reopen()
        self.take(put)
        self.shut(put)
        session.wait_prompt("cancelled")
        put = session.deposit(size="M")
        self.put(put)
        session.cancel()
        self.shut(put)
        session.wait_prompt("unverified", timeout=10)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "unverified")
        self.assertNotEqual(self.admin.position(put.slot, put.position)[4], "free")


main()
