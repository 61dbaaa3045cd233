# SPDX-License-Identifier: Apache-2.0
"""A recipient collects, inspects, accepts or rejects, and everything that can come in between."""
import re

from daemonlib import main, wait
from people import Scenario


class Pickups(Scenario):
    settings = {"Session": {"ReopenGrace": "3s", "AnswerTimeout": "2s", "IdleTimeout": "30s"}}

    def test_pickup_from_the_code_to_the_door(self):
        """Requirement: A4, A5, C4, F1"""
        put = self.store(recipient="Erika Mustermann", phone="+49 171 1234567")
        neighbour = self.store()
        mark = self.last_event()
        session = self.client.start_session("recipient")
        self.assertRefused("NotAuthenticated", session.collect)
        session.authenticate_code(put.receipt["code"])
        self.assertEqual((session.state, session.parcels), ("authenticated", [put.parcel]))
        with self.only(put.slot):
            self.assertRefused("NotAllowed", session.collect, neighbour.parcel)
            self.assertRefused("UnknownParcel", session.collect, 4000)
            place = session.collect(put.parcel)
            self.assertEqual((place.slot, place.position), (put.slot, put.position))
            self.assertEqual(self.admin.parcel(put.parcel)["State"], "collecting")
            self.take(place)
            self.assertEqual(session.state, "open")
            session.accept()
            self.assertEqual(self.admin.parcel(put.parcel)["State"], "collecting", "accepted, but the door is open")
            self.shut(place)
            session.wait_prompt("collected")
        self.assertEqual(self.event_types(mark), ["parcel.collecting", "door.commanded", "door.released", "door.opened", "door.closed", "parcel.collected"])
        history = self.gone(put.parcel)
        self.assertEqual(history["state"], "collected")
        self.assertNotIn("Mustermann", str(history))
        # The code is used up, for this session and for the next one.
        self.assertRefused("NothingToCollect", session.collect)
        self.assertRefused("WrongCode", self.recipient, put.receipt["code"])
        self.assertEqual(self.admin.parcel(neighbour.parcel)["State"], "stored")

    def test_accept_after_the_door_was_shut(self):
        """Requirement: D5"""
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        self.shut(place)
        session.wait_prompt("choose")
        self.assertEqual((session.state, self.admin.parcel(put.parcel)["State"]), ("closing", "collecting"))
        session.accept()
        session.wait_prompt("collected")
        self.assertEqual(self.gone(put.parcel)["state"], "collected")
        self.assertRefused("WrongState", session.reject)

    def test_rejected_parcel_stays_locked_in_for_a_courier(self):
        """Requirement: D5, F11"""
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        self.sim.do(f"put {place.slot}")
        session.reject()
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "collecting")
        self.shut(place)
        session.wait_prompt("rejected")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "rejected")
        # Given back is given back: the ledger would not know who took it out.
        self.assertRefused("GraceOver", session.reopen)
        with self.only():
            self.assertRefused("NothingToCollect", session.collect)
            self.assertRefused("WrongCode", self.recipient, put.receipt["code"])
            self.assertRefused("WrongState", self.admin.new_code, put.parcel)
        self.assertEqual(self.sim.place(put.slot)["latch"], "locked")
        courier = self.courier()
        self.assertEqual(courier.take_back(), [(put.parcel, put.slot, put.position)])
        self.take(put)
        self.shut(put)
        courier.wait_prompt("returned")
        self.assertEqual(self.gone(put.parcel)["state"], "returned")

    def test_change_of_mind_before_the_door_is_shut(self):
        """The last word before the door is shut counts.

        Requirement: D5
        """
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.reach(place)
        session.accept()
        session.reject()
        self.shut(place)
        session.wait_prompt("rejected")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "rejected")

    def test_recipient_walks_away_and_the_terminal_vanishes(self):
        """Requirement: D5, F4"""
        put = self.store()
        terminal = self.cabinet.client()
        session = self.recipient(put.receipt["code"], client=terminal)
        place = session.collect()
        self.take(place)
        terminal.close()
        wait(lambda: not [p for p in self.admin.objects() if "/session/" in p], "the session's end")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "collecting")
        self.assertTrue(self.admin.slot(put.slot)["InUse"])
        self.shut(place)
        # Nobody has said that it was taken, and no sensor has: it is for somebody to look.
        self.admin.wait_parcel(put.parcel, "unverified")
        self.admin.wait_slot(put.slot, InUse=False, Door="locked")
        self.admin.reconcile(put.slot, put.position, "empty", "looked")
        self.assertEqual(self.gone(put.parcel)["state"], "returned")

    def test_door_that_does_not_open_keeps_the_code_good(self):
        """Requirement: F1, F3, C3"""
        put = self.store()
        self.sim.do(f"jam {put.slot}")
        session = self.recipient(put.receipt["code"])
        self.assertRefused("DidNotOpen", session.collect)
        session.wait_prompt("did-not-open")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
        self.assertEqual(session.state, "authenticated")
        self.wait_event("door.failed-to-open", slot=put.slot)
        self.sim.do(f"unjam {put.slot}")
        place = session.collect()
        self.take(place)
        session.accept()
        self.shut(place)
        session.wait_prompt("collected")
        self.assertEqual(self.states_of(put.parcel), ["depositing", "stored", "collecting", "stored", "collecting", "collected"])

    def test_reopen_within_the_grace_time_only(self):
        """Something was forgotten inside.

        Requirement: F3
        """
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.reach(place)
        session.accept()
        self.shut(place)
        session.wait_prompt("collected")
        with self.only(put.slot):
            self.assertEqual(session.reopen(), (put.slot, put.position))
            self.take(put)
            self.push(put.slot)
            self.admin.wait_slot(put.slot, Door="locked")
        # Meanwhile the slot was nobody else's.
        self.assertTrue(self.admin.slot(put.slot)["InUse"])
        self.admin.wait_slot(put.slot, InUse=False, timeout=10)
        with self.only():
            self.assertRefused("GraceOver", session.reopen)
        self.assertRefused("WrongState", session.does_not_open)

    def test_does_not_open_said_by_the_recipient(self):
        """The contact says open, the person says stuck; and a door that fell shut unanswered opens again on that word.

        Requirement: F3
        """
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.reach(place)
        self.push(place.slot)
        session.wait_prompt("choose")
        self.assertEqual(session.does_not_open(), (put.slot, put.position))
        self.take(place)
        session.accept()
        self.push(place.slot)
        session.wait_prompt("collected")

    def test_recalled_parcel_is_not_collected(self):
        """Requirement: C3, F11"""
        put = self.store()
        session = self.recipient(put.receipt["code"])  # signed in before the recall
        self.admin.recall(put.parcel)
        with self.only():
            self.assertRefused("NothingToCollect", session.collect)
            self.assertRefused("NotAllowed", session.collect, put.parcel)
            self.assertRefused("WrongCode", self.recipient, put.receipt["code"])
        courier = self.courier()
        self.assertEqual([p[0] for p in courier.take_back()], [put.parcel])

    def test_recipient_cannot_do_what_couriers_do_nor_the_other_way_round(self):
        """Requirement: C3"""
        put = self.store()
        session = self.recipient(put.receipt["code"])
        with self.only():
            self.assertRefused("NotAllowed", session.deposit, size="S")
            self.assertRefused("NotAllowed", session.take_back)
            self.assertRefused("NotAllowed", session.lift_lockout)
            self.assertRefused("NotAllowed", session.authenticate_pin, "4711", "258036")
            for premature in (session.accept, session.reject, session.cancel, session.reopen, session.does_not_open):
                self.assertRefused("WrongState", premature)
            courier = self.courier()
            self.assertRefused("NotAllowed", courier.collect)
            self.assertRefused("NotAllowed", courier.accept)
            self.assertRefused("NotAllowed", courier.authenticate_code, put.receipt["code"])
            self.assertRefused("NothingToCollect", courier.take_back)


class UnansweredIsCollected(Scenario):
    settings = {"Session": {"Unanswered": "collected", "AnswerTimeout": "1s", "ReopenGrace": "0"}}

    def test_no_answer_counts_as_taken(self):
        """Requirement: D5, F1"""
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        self.shut(place)
        session.wait_prompt("choose")
        session.wait_prompt("collected", timeout=10)
        self.assertEqual(self.gone(put.parcel)["state"], "collected")


class UnansweredIsUnverified(Scenario):
    settings = {"Session": {"AnswerTimeout": "1s", "ReopenGrace": "0"}}

    def test_no_answer_is_for_an_operator_unless_the_cabinet_is_set_otherwise(self):
        """Requirement: D5, F1, F8"""
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.reach(place)
        self.shut(place)
        session.wait_prompt("unverified", timeout=10)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "unverified")
        # Its owner may look again, with the same code.
        self.collect(put.receipt["code"])
        self.assertEqual(self.gone(put.parcel)["state"], "collected")


class ShortCodes(Scenario):
    settings = {"Codes": {"ValidFor": "3s"}, "Session": {"ReopenGrace": "0"}}

    def test_expired_code_opens_nothing_and_a_new_one_does(self):
        """Requirement: C3, F11, D4"""
        put = self.store()
        self.assertFalse(self.admin.parcel(put.parcel)["Expired"])
        wait(lambda: self.admin.parcel(put.parcel)["Expired"], "the end of the code's validity", 6)
        with self.only():
            self.assertRefused("CodeExpired", self.recipient, put.receipt["code"])
            self.assertEqual(self.admin.lockouts(), {}, "an expired code is not a wrong one")
        courier = self.courier()
        self.assertEqual(courier.parcels, [put.parcel])
        fresh = self.admin.new_code(put.parcel, "the recipient was on holiday")
        self.assertRefused("WrongCode", self.recipient, put.receipt["code"])
        self.collect(fresh)


    def test_code_of_an_unverified_parcel_expires_and_a_courier_takes_it_back(self):
        """Requirement: C3, F11"""
        put = self.store()
        wait(lambda: self.admin.parcel(put.parcel)["Expired"], "the end of the code's validity", 6)
        self.sim.do(f"force {put.slot}")
        self.admin.wait_parcel(put.parcel, "unverified")
        self.push(put.slot)
        self.admin.wait_slot(put.slot, Door="locked")
        self.assertTrue(self.admin.parcel(put.parcel)["Expired"])
        self.assertRefused("CodeExpired", self.recipient, put.receipt["code"])
        courier = self.courier()
        self.assertEqual(courier.parcels, [put.parcel])
        courier.take_back()
        self.take(put)
        self.shut(put)
        courier.wait_prompt("returned")
        self.assertEqual(self.gone(put.parcel)["state"], "returned")


class Passwords(Scenario):
    settings = {"Session": {"ReopenGrace": "0"}}

    def test_enrolled_recipient_gets_no_code_and_collects_by_password(self):
        """Requirement: C2, C3"""
        self.admin.enrol_recipient("+49 171 1234567", password="correct horse battery")
        put = self.store(phone="+49171 123-4567")
        other = self.store(phone="+49 171 7654321")
        self.assertNotIn("code", put.receipt)
        self.assertEqual(put.receipt["credentials"], ["password"])
        self.assertEqual((len(other.receipt["code"]), other.receipt["credentials"]), (6, []))
        session = self.client.start_session("recipient")
        with self.only():
            self.assertRefused("WrongCredential", session.authenticate_password, "+491711234567", "wrong horse battery")
            self.assertRefused("WrongCredential", session.authenticate_password, "+491710000000", "correct horse battery")
            self.assertRefused("NotAuthenticated", session.collect)
        session.authenticate_password("+49 (171) 1234567", "correct horse battery")
        self.assertEqual(session.parcels, [put.parcel])
        with self.only(put.slot):
            self.assertRefused("NotAllowed", session.collect, other.parcel)
            place = session.collect()
            self.take(place)
            session.accept()
            self.shut(place)
            session.wait_prompt("collected")
        self.assertEqual(self.gone(put.parcel)["state"], "collected")
        # Revoked means revoked.
        [person] = [p for p in self.admin.people() if p[1] == "recipient"]
        self.admin.revoke(person[0], "asked to be forgotten")
        again = self.client.start_session("recipient")
        self.assertRefused("WrongCredential", again.authenticate_password, "+49 171 1234567", "correct horse battery")

    def test_both_parcels_of_one_person_in_one_visit(self):
        """Requirement: C2, C3, A4"""
        self.admin.enrol_recipient("+49 171 1234567", password="correct horse battery")
        puts = [self.store(phone="+491711234567") for _ in range(2)]
        session = self.client.start_session("recipient")
        session.authenticate_password("+491711234567", "correct horse battery")
        self.assertEqual(session.parcels, [p.parcel for p in puts])
        for put in puts:
            with self.only(put.slot):
                place = session.collect()
                self.assertEqual(place.slot, put.slot)
                self.take(place)
                session.accept()
                self.shut(place)
                session.wait_prompt("collected")
        self.assertEqual(session.parcels, [])


class CodesForEverybody(Scenario):
    settings = {"Codes": {"Everybody": "yes"}, "Session": {"ReopenGrace": "0"}}

    def test_either_code_or_password_opens(self):
        """Requirement: C5, C3"""
        self.admin.enrol_recipient("+49 171 1234567", password="correct horse battery")
        one, two = (self.store(phone="+49 171 1234567") for _ in range(2))
        self.assertEqual((len(one.receipt["code"]), one.receipt["credentials"]), (6, ["password"]))
        self.collect(one.receipt["code"])
        session = self.client.start_session("recipient")
        session.authenticate_password("+49 171 1234567", "correct horse battery")
        self.assertEqual(session.parcels, [two.parcel])
        self.take(session.collect())


def sensors_in_m(text):
    """cabinet-60 with nothing but the shared slots in size M; these have presence sensors."""
    return re.sub(r"(\[Slot 4[19]-\d+\]\n)Size=M", r"\1Size=S", text)


class SensedPickups(Scenario):
    cabinet_file = "cabinet-60.conf"
    edit = staticmethod(sensors_in_m)
    settings = {"Session": {"AnswerTimeout": "2s", "ReopenGrace": "1s"}}

    def test_accepted_but_still_inside(self):
        """The sensor contradicts the person: they are asked, may open again, and in the end nobody guesses.

        Requirement: D5, F1, F2
        """
        put = self.store(size="M")
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.reach(place)
        session.accept()
        self.shut(place)
        session.wait_prompt("still-inside")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "collecting")
        session.reopen()
        self.take(place)
        self.shut(place)
        session.wait_prompt("collected")
        session.end()

        put = self.store(size="M")
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.reach(place)
        session.accept()
        self.shut(place)
        session.wait_prompt("unverified", timeout=10)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "unverified")

    def test_rejected_but_nothing_put_back(self):
        """Requirement: D5, F1, F2"""
        put = self.store(size="M")
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        session.reject()
        self.shut(place)
        session.wait_prompt("put-back")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "collecting")
        session.reopen()
        self.put(place)
        self.shut(place)
        session.wait_prompt("rejected")
        self.assertEqual(self.admin.position(put.slot, put.position)[2:5], ("locked", "occupied", "rejected"))

        put = self.store(size="M")
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        session.reject()
        self.shut(place)
        session.wait_prompt("unverified", timeout=10)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "unverified")

    def test_unanswered_is_judged_by_the_sensor(self):
        """Without an answer: still inside means stored with the code still good, gone means collected.

        Requirement: D5, F2
        """
        put = self.store(size="M")
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.reach(place)
        self.shut(place)
        session.wait_prompt("choose")
        session.wait_prompt("stored", timeout=10)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
        session.end()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        self.shut(place)
        session.wait_prompt("collected", timeout=10)


main()
