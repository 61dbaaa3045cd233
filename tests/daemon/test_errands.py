# SPDX-License-Identifier: Apache-2.0
"""Errands that go wrong in the middle: doors that jam, disks that fill up, doors that are forced, second thoughts. Every
request is answered, every hold ends, and the parcel is what physically happened."""
import contextlib
import re
import sqlite3

from daemonlib import main, wait
from dbusclient import SLOT, slot_path
from people import Scenario
from small_disk import SmallDisk, needs_mount


class AnotherPerson(Scenario):
    """A program at the terminal that does not end its sessions between two people."""
    settings = {"Session": {"ReopenGrace": "10min", "AnswerTimeout": "30s"}}

    def test_whoever_signs_in_next_cannot_reopen_the_place_of_the_one_before(self):
        """Requirement: A4, A6, F8"""
        first, second = self.store(), self.store()
        session = self.recipient(first.receipt["code"])
        place = session.collect()
        self.take(place)
        session.accept()
        self.shut(place)
        session.wait_prompt("collected")
        session.authenticate_code(second.receipt["code"])
        with self.only():
            self.assertRefused("WrongState", session.reopen)
        self.admin.wait_slot(first.slot, InUse=False)
        session.end()

        self.admin.enrol_courier("4712", "147036")
        session = self.courier()
        put = session.deposit(size="S")
        self.put_in(session, put)
        session.authenticate_pin("4712", "147036")
        with self.only():
            for request in (session.reopen, session.too_small, session.not_empty):
                self.assertRefused("WrongState", request)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
        self.assertEqual(self.admin.slot(put.slot)["Service"], "in")

    def test_what_is_done_with_a_code_is_not_recorded_as_done_by_the_one_before(self):
        """Requirement: F8"""
        put = self.store(phone="5559999999")
        self.admin.enrol_recipient("5551234567", "secret-pass-99")
        session = self.client.start_session("recipient")
        session.authenticate_password("5551234567", "secret-pass-99")
        session.authenticate_code(put.receipt["code"])
        session.collect()
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            self.assertEqual(db.execute("SELECT actor FROM movement WHERE why = 'collect'").fetchall(), [("recipient",)])


class JammedDoors(Scenario):
    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s", "Unanswered": "collected"}}

    def test_jammed_door_after_the_session_ended_everybody_may_try_again(self):
        """Requirement: F1, F3, F4, A6"""
        put = self.store()
        self.sim.do(f"jam {put.slot}")
        session = self.recipient(put.receipt["code"])
        self.assertRefused("DidNotOpen", session.collect)
        session.end()
        self.admin.wait_slot(put.slot, InUse=False, Door="jammed")
        state, sentence = self.admin.health()[f"slot:{put.slot}"]
        self.assertEqual(state, "degraded")
        self.assertIn("did not open", sentence)
        # The operator, the recipient and (once it is recalled) a courier are told what the door does, not that it is busy.
        self.assertRefused("DidNotOpen", self.admin.open_slot, put.slot)
        session = self.recipient(put.receipt["code"])
        self.assertRefused("DidNotOpen", session.collect)
        session.end()
        other = self.store()
        self.assertNotEqual(other.slot, put.slot, "a jammed door is not offered")
        self.admin.recall(put.parcel)
        courier = self.courier()
        self.assertRefused("DidNotOpen", courier.take_back)
        self.sim.do(f"unjam {put.slot}")
        courier.take_back()
        self.take(put)
        self.shut(put)
        courier.wait_prompt("returned")
        self.assertEqual(self.gone(put.parcel)["state"], "returned")
        self.assertNotIn(f"slot:{put.slot}", self.admin.health())

    def test_jammed_door_that_is_mended_opens_for_its_recipient(self):
        """Requirement: F1, F3"""
        put = self.store()
        self.sim.do(f"jam {put.slot}")
        session = self.recipient(put.receipt["code"])
        self.assertRefused("DidNotOpen", session.collect)
        session.end()
        self.sim.do(f"unjam {put.slot}")
        self.collect(put.receipt["code"])
        self.assertEqual(self.gone(put.parcel)["state"], "collected")

    def test_does_not_open_while_collect_is_pending_is_refused_and_harms_nothing(self):
        """Requirement: F1, F3"""
        put = self.store()
        self.sim.do(f"jam {put.slot}")
        session = self.recipient(put.receipt["code"])
        pending = session.begin("Collect", "o", "/")
        for member in ("DoesNotOpen", "Reopen"):
            self.assertRefused("Busy", session.call, member)
        with self.assertRaises(Exception) as refused:
            pending.result()
        self.assertEqual(refused.exception.short, "DidNotOpen")
        session.end()
        self.admin.wait_slot(put.slot, InUse=False)
        self.sim.do(f"unjam {put.slot}")
        self.collect(put.receipt["code"])

    def test_door_forced_while_an_answer_is_awaited_settles_when_it_is_shut(self):
        """Requirement: D5, F1"""
        for ended in (False, True):
            with self.subTest(ended=ended):
                put = self.store()
                session = self.recipient(put.receipt["code"])
                place = session.collect()
                self.take(place)
                self.shut(place)
                session.wait_prompt("choose")
                self.sim.do(f"force {put.slot}")
                # Soon after its pulse an opening still counts as the command's.
                wait(lambda: self.admin.slot(put.slot)["Door"] in ("forced", "open"), "the open door")
                if ended:
                    session.end()
                # The answer time passes while the door is open.
                since = self.now_us()
                wait(lambda: self.now_us() > since + 1500000, "the answer time")
                self.assertEqual(self.admin.parcel(put.parcel)["State"], "collecting")
                self.sim.do(f"close {put.slot}")
                self.assertEqual(self.gone(put.parcel)["state"], "collected")
                self.admin.wait_slot(put.slot, InUse=False, Door="locked")


    def test_door_that_springs_open_again_after_it_was_judged_leaves_nothing_stored(self):
        """Requirement: A6, F1, F2"""
        for ended in (False, True):
            with self.subTest(ended=ended):
                session = self.courier()
                put = session.deposit(size="S")
                self.put_in(session, put)
                if ended:
                    session.end()
                    self.admin.wait_slot(put.slot, InUse=False)
                # Within the release window it is the command's opening, nobody has forced it.
                self.sim.do(f"force {put.slot}")
                self.admin.wait_slot(put.slot, Door="open")
                self.admin.wait_parcel(put.parcel, "unverified")
                self.sim.do(f"take {put.slot}")
                self.push(put.slot)
                self.admin.wait_slot(put.slot, Door="locked", InUse=False)
                self.assertEqual(self.admin.parcel(put.parcel)["State"], "unverified")

    def test_operator_opened_is_said_of_doors_that_opened(self):
        """Requirement: F1, F8"""
        self.sim.do("jam 03")
        mark = self.last_event()
        self.assertRefused("DidNotOpen", self.admin.open_slot, "03")
        self.assertIn("door.failed-to-open", self.event_types(mark))
        self.assertNotIn("operator.opened", self.event_types(mark))
        self.sim.do("unjam 03")
        self.admin.open_slot("03")
        event = self.wait_event("operator.opened", after=mark, slot="03")
        self.assertNotIn("reported", event.data)


    def test_inside_release_pressed_for_a_moment_while_the_door_is_being_moved_opens_it(self):
        """Requirement: F12"""
        self.sim.do("jam 12")
        pending = self.admin.begin(slot_path("12"), SLOT, "Open", "us", 0, "inspection")
        self.sim.wait("12", coil=True)
        self.sim.do("release 12 on")
        since = self.now_us()
        wait(lambda: self.now_us() > since + 600000, "the input's debounce")
        self.sim.do("release 12 off")
        with self.assertRaises(Exception) as refused:
            pending.result()
        self.assertEqual(refused.exception.short, "DidNotOpen")
        self.sim.do("unjam 12")
        self.sim.wait("12", door="open")
        self.wait_event("safety.released", slot="12")


class DoorsThatStayOpen(Scenario):
    """A door off its hinges, a contact with a broken wire: nobody is there any more, and it will not be shut."""
    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s", "DoorOpenTimeout": "1s"}}

    def left_open(self):
        put = self.store()
        session = self.recipient(put.receipt["code"])
        self.take(session.collect())
        self.assertRefused("SlotBusy", self.admin.reconcile, put.slot, put.position, "empty")
        session.end()
        self.wait_event("door.open-too-long", slot=put.slot)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "collecting")
        return put

    def test_operator_who_has_looked_reconciles(self):
        """Requirement: F1, F8"""
        put = self.left_open()
        self.admin.reconcile(put.slot, put.position, "empty", "its door hangs on one hinge")
        self.assertEqual(self.gone(put.parcel)["state"], "returned")
        self.assertEqual(self.states_of(put.parcel)[-2:], ["unverified", "returned"])
        self.push(put.slot)
        self.admin.wait_slot(put.slot, Door="locked", InUse=False)

    def test_operator_opens(self):
        """Requirement: F1, F8"""
        put = self.left_open()
        self.admin.open_slot(put.slot)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "unverified")
        self.push(put.slot)
        self.admin.wait_slot(put.slot, Door="locked", InUse=False)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "unverified")


class Rights(Scenario):
    """What somebody has proved counts as long as it is true."""
    settings = {"Session": {"ReopenGrace": "0"}}

    def test_replaced_code_ends_the_session_that_it_opened(self):
        """Requirement: C3"""
        put = self.store()
        session = self.recipient(put.receipt["code"])
        code = self.admin.new_code(put.parcel)
        wait(lambda: not session.exists, "the end of the session")
        self.collect(code)

    def test_revoked_recipient_gets_a_code_for_what_waits(self):
        """Requirement: C4, C6"""
        person = self.admin.enrol_recipient("+49 170 5550001", password="correct horse")
        put = self.store(phone="+49 170 5550001")
        self.assertNotIn("code", put.receipt)
        mark = self.last_event()
        self.admin.revoke(person)
        event = self.wait_event("code.issued", after=mark, parcel=put.receipt["parcel"])
        self.assertNotIn("code", event.data)
        self.collect(self.admin.new_code(put.parcel))


class SecondThoughts(Scenario):
    """Within the grace time of a deposit, on a plain slot with and without a presence sensor."""
    settings = {"Session": {"ReopenGrace": "30s", "AnswerTimeout": "1s", "Unanswered": "collected"}}

    def deposit_nothing(self, **request):
        session = self.courier()
        put = session.deposit(size="S", **request)
        self.reach(put)
        return session, put

    def test_reopened_deposit_may_be_cancelled(self):
        """Requirement: F2, F3"""
        session, put = self.deposit_nothing()
        self.sim.do(f"put {put.slot}")
        self.shut(put)
        session.wait_prompt("stored")
        session.reopen()
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "depositing")
        session.cancel()
        self.take(put)
        self.shut(put)
        session.wait_prompt("cancelled")
        self.assertEqual(self.gone(put.parcel)["state"], "cancelled")
        self.assertEqual(self.states_of(put.parcel), ["depositing", "stored", "depositing", "cancelled"])
        refused = self.client.start_session("recipient")
        self.assertRefused("WrongCode", refused.authenticate_code, put.receipt["code"])

    def test_reopened_deposit_that_is_shut_again_is_stored_with_the_same_code(self):
        """Requirement: F3"""
        session, put = self.deposit_nothing()
        self.sim.do(f"put {put.slot}")
        self.shut(put)
        session.wait_prompt("stored")
        stored = self.admin.parcel(put.parcel)["Stored"]
        session.reopen()
        self.reach(put)
        self.shut(put)
        wait(lambda: self.admin.parcel(put.parcel)["State"] == "stored", "stored again")
        self.assertEqual(self.admin.parcel(put.parcel)["Stored"], stored)
        session.end()
        self.collect(put.receipt["code"])

    def test_reopened_deposit_moves_to_another_place(self):
        """Requirement: F2, F3"""
        session, put = self.deposit_nothing()
        self.sim.do(f"put {put.slot}")
        self.shut(put)
        session.wait_prompt("stored")
        session.reopen()
        self.take(put)
        moved = session.too_small()
        self.assertNotEqual(moved.slot, put.slot)
        self.shut(put)
        self.put(moved)
        self.shut(moved)
        wait(lambda: self.admin.parcel(put.parcel)["State"] == "stored", "stored in the other place")
        session.end()
        place = self.collect(put.receipt["code"])
        self.assertEqual(place.slot, moved.slot)

    def test_other_place_that_is_not_to_be_had_leaves_the_grace_time_as_it_was(self):
        """A refusal has no side effect.

        Requirement: F2, F3
        """
        session = self.courier()
        put = session.deposit(size="L")
        self.put_in(session, put)
        for _ in range(2):
            self.assertRefused("NoFreePosition", session.too_small)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
        self.admin.wait_slot(put.slot, InUse=True)
        session.reopen()
        self.take(put)
        session.cancel()
        self.shut(put)
        session.wait_prompt("cancelled")
        self.assertEqual(self.gone(put.parcel)["state"], "cancelled")

    def test_stored_parcel_cannot_be_deposited_by_somebody_else(self):
        """Requirement: F2"""
        put = self.store()
        session = self.courier()
        self.assertRefused("WrongState", session.deposit, parcel=put.receipt["parcel"], size="S")


class Lids(Scenario):
    """P4 is shared, its positions have motor locks and presence sensors; P1's are latches."""
    cabinet_file = "cabinet-60.conf"
    settings = {"Session": {"ReopenGrace": "30s", "AnswerTimeout": "1s", "Unanswered": "collected"}}

    edit = staticmethod(lambda text: re.sub(r"(\[Slot 4[19]-\d+\]\n)Size=M", r"\1Size=S", text))

    def stored_in(self, slot):
        for label in {"P1", "P2", "P3", "P4"} - {slot}:
            self.admin.disable(label)
        session = self.courier()
        put = session.deposit(size="M")
        self.assertEqual(put.slot, slot)
        self.put_in(session, put)
        return session, put

    def latch(self, put):
        return self.sim.place(f"{put.slot}/{put.position}")["latch"]

    def locked_in(self, put):
        self.sim.wait(f"{put.slot}/{put.position}", latch="locked")
        self.admin.wait_slot(put.slot, InUse=False, Door="locked")

    def test_item_taken_out_again_is_not_stored(self):
        """Requirement: F1, F2"""
        session, put = self.stored_in("P1")
        session.reopen()
        self.take(put)
        self.shut(put)
        session.wait_prompt("put-in")
        self.assertEqual(self.gone(put.parcel)["state"], "cancelled")

    def test_what_a_sensor_says_is_gone_is_not_recalled(self):
        """A courier who is sent for it would find nothing and seem to have taken it.

        Requirement: F1, F2
        """
        session, put = self.stored_in("P4")
        session.end()
        self.admin.wait_slot("P4", InUse=False, Door="locked")
        self.sim.do("force P4")
        wait(lambda: self.admin.slot("P4")["Door"] != "locked", "the door is told first: a lid behind a shut one is locked again")
        self.sim.do(f"force P4/{put.position}", f"take P4/{put.position}")
        self.admin.wait_parcel(put.parcel, "unverified")
        wait(lambda: self.admin.position("P4", put.position)[4] == "unverified", "not offered to anybody else")
        self.assertRefused("WrongState", self.admin.recall, put.parcel)
        self.admin.reconcile("P4", put.position, "empty", "stolen, police informed")
        self.assertEqual(self.gone(put.parcel)["state"], "returned")

    def test_motor_lid_is_locked_after_reopening_and_after_the_operator(self):
        """Requirement: A3, A4"""
        session, put = self.stored_in("P4")
        place = session.reopen()
        self.reach(place)
        self.shut(place)
        self.sim.wait(f"{put.slot}/{put.position}", latch="locked")
        wait(lambda: self.admin.parcel(put.parcel)["State"] == "stored", "stored again")
        session.end()
        self.locked_in(put)
        self.admin.open_slot("P4", put.position)
        self.reach(put)
        self.shut(put)
        self.locked_in(put)

    def test_motor_lid_is_locked_after_a_take_back(self):
        """Requirement: A3, F11"""
        session, put = self.stored_in("P4")
        session.end()
        self.admin.recall(put.parcel)
        session = self.courier()
        session.take_back()
        self.take(put)
        self.shut(put)
        session.wait_prompt("returned")
        session.end()
        self.locked_in(put)
        self.assertEqual(self.admin.position("P4", put.position)[4], "free")

    def test_motor_lid_is_locked_after_not_empty(self):
        """Requirement: A3, F2"""
        for label in ("P1", "P2", "P3"):
            self.admin.disable(label)
        session = self.courier()
        put = session.deposit(size="M")
        self.reach(put)
        moved = session.not_empty()
        self.assertNotEqual(moved.slot, put.slot)
        self.shut(put)
        self.put_in(session, moved)
        self.sim.wait(f"{put.slot}/{put.position}", latch="locked")

    def test_motor_lid_is_locked_after_a_kill_in_a_deposit(self):
        """Requirement: A3, F1"""
        for label in ("P1", "P2", "P3"):
            self.admin.disable(label)
        session = self.courier()
        put = session.deposit(size="M")
        self.put(put)
        self.cabinet.kill_daemon()
        self.shut(put)
        self.cabinet.start_daemon()
        self.client, self.admin = self.cabinet.client(), self.cabinet.client()
        self.sim.wait(f"{put.slot}/{put.position}", latch="locked")
        self.admin.wait_parcel(put.parcel, "stored")

    def test_session_that_ends_while_a_lid_is_open_leaves_a_daemon_that_lives(self):
        """Requirement: A3, F1, F4"""
        session, put = self.stored_in("P4")
        session.end()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        session.accept()
        self.shut(place, lid=False)
        session.end()
        self.assertEqual(self.gone(put.parcel)["state"], "collected", "a sensor says that it is empty")
        self.assertEqual(self.admin.position("P4", put.position)[1], "quarantined", "its lid is open")
        self.assertIsNone(self.cabinet.daemon.poll())
        self.admin.wait_slot("P4", InUse=False)

    def test_lid_left_open_in_a_take_back_is_noticed(self):
        """Requirement: A4, F11"""
        session, put = self.stored_in("P1")
        session.end()
        neighbour = self.store(size="M")
        self.assertEqual(neighbour.slot, "P1")
        self.admin.recall(put.parcel)
        session = self.courier()
        session.take_back()
        self.reach(put)
        self.shut(put, lid=False)
        prompt = session.wait_prompt("close-lid")
        self.assertEqual((prompt.slot, prompt.position), ("P1", put.position))
        # Nobody comes back to it: the neighbour must not be able to reach it.
        session.end()
        self.admin.wait_parcel(put.parcel, "unverified")
        self.cabinet.wait_log(f"Slot P1 position {put.position} is quarantined: its lid is not locked")
        other = self.recipient(neighbour.receipt["code"])
        error = self.assertRefused("SlotBusy", other.collect)
        self.assertIn(f"position {put.position}", error.message)
        # The operator looks, shuts the lid, and says what was there.
        self.admin.open_slot("P1", put.position)
        self.reach(put)
        self.shut(put)
        self.admin.wait_slot("P1", Door="locked", InUse=False)
        other.collect()


    def test_stuck_lid_in_a_take_back_is_answered_and_does_not_keep_the_others(self):
        """The door opened, the lid behind it does not: formerly nobody was answered, and the session never ended.

        Requirement: F1, F11
        """
        session, put = self.stored_in("P1")
        session.end()
        self.admin.recall(put.parcel)
        self.sim.do(f"jam P1/{put.position}")
        session = self.courier()
        self.assertRefused("PositionDidNotOpen", session.take_back)
        self.assertEqual(session.wait_prompt("did-not-open").slot, "P1")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "recalled")
        self.push("P1")
        self.admin.wait_slot("P1", Door="locked", InUse=False)
        # Another place answers for it.
        other = self.store(size="S", session=session, end=False)
        session.end()
        self.admin.recall(other.parcel)
        session = self.courier()
        session.take_back()
        self.take(other)
        self.push("P1")
        self.push(other.slot)
        session.wait_prompt("returned")
        session.wait_prompt("done")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "recalled")
        self.sim.do(f"unjam P1/{put.position}")
        self.admin.wait_slot("P1", Door="locked", InUse=False)
        session.take_back()
        self.take(put)
        self.shut(put)
        session.wait_prompt("returned")


@needs_mount
class FullDisk(SmallDisk, Scenario):
    def setUp(self):
        self.mount_disk()
        self.settings = {"Daemon": self.daemon_settings(), "Session": {"ReopenGrace": "0", "AnswerTimeout": "1s", "Unanswered": "collected"}}
        super().setUp()

    def test_full_at_the_answer_time_is_settled_when_there_is_room(self):
        """Requirement: F1, F4"""
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        self.use_up()
        self.shut(place)
        session.wait_prompt("choose")
        self.cabinet.wait_log("trying again")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "collecting")
        self.make_room()
        self.assertEqual(self.gone(put.parcel)["state"], "collected")

    def test_full_while_a_door_does_not_open_the_code_is_good_again_when_there_is_room(self):
        """Requirement: F1, F3, F4"""
        put = self.store()
        self.sim.do(f"jam {put.slot}")
        session = self.recipient(put.receipt["code"])
        pending = session.begin("Collect", "o", "/")
        self.admin.wait_slot(put.slot, Door="releasing")
        self.use_up()
        with self.assertRaises(Exception) as refused:
            pending.result()
        self.assertEqual(refused.exception.short, "DidNotOpen")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "collecting", "the ledger has not been told yet")
        session.end()
        self.make_room()
        self.admin.wait_parcel(put.parcel, "stored", timeout=15)
        self.sim.do(f"unjam {put.slot}")
        self.collect(put.receipt["code"])

    def test_full_in_a_take_back_answers_and_opens_no_further_door_by_itself(self):
        """Requirement: F1, F4, F11"""
        jammed, other = self.store(), self.store()
        self.admin.recall(jammed.parcel)
        self.admin.recall(other.parcel)
        self.sim.do(f"jam {jammed.slot}")
        session = self.courier()
        pending = session.begin("TakeBack")
        self.admin.wait_slot(jammed.slot, Door="releasing")
        self.use_up()
        with self.only(jammed.slot):
            with self.assertRaises(Exception) as refused:
                pending.result()
            self.assertEqual(refused.exception.short, "DidNotOpen")
            self.cabinet.wait_log("trying again")
            self.make_room()
            self.admin.wait_slot(jammed.slot, InUse=False, timeout=15)
        self.assertEqual([self.admin.parcel(p.parcel)["State"] for p in (jammed, other)], ["recalled", "recalled"])
        self.sim.do(f"unjam {jammed.slot}")
        session.take_back()
        for put in (jammed, other):
            self.take(put)
            self.admin.wait_slot(put.slot, Door="open")
            self.shut(put)
            self.assertEqual(self.gone(put.parcel)["state"], "returned")

    def test_what_doors_do_while_it_is_full_is_recorded_when_there_is_room(self):
        """Requirement: F1, F4"""
        put = self.store()
        self.admin.open_slot(put.slot)
        self.sim.wait(put.slot, door="open")
        self.admin.wait_slot(put.slot, Door="open")
        mark = self.last_event()
        self.use_up()
        self.push(put.slot)
        self.admin.wait_slot(put.slot, Door="locked")
        self.make_room()
        self.wait_event("door.closed", after=mark, slot=put.slot)
        mark = self.last_event()
        self.use_up()
        self.sim.do(f"force {put.slot}")
        self.admin.wait_slot(put.slot, Door="forced")
        self.make_room()
        self.wait_event("door.forced-open", after=mark, slot=put.slot)
        self.admin.wait_parcel(put.parcel, "unverified")
        types = [e.type for e in self.admin.events(mark) if e.type.startswith("door.")]
        self.assertEqual(types, ["door.forced-open"])

    def outcomes(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.disk}/ledger.db?mode=ro", uri=True)) as db:
            return [outcome for outcome, in db.execute("SELECT outcome FROM movement WHERE why = 'operator' ORDER BY id")]

    def test_outcome_of_a_movement_while_it_is_full_is_recorded_when_there_is_room(self):
        """Requirement: F1, F4"""
        self.sim.do("jam 01")
        self.sim.do("block 02")
        mark = self.last_event()
        for slot, error in (("01", "DidNotOpen"), ("02", None)):
            pending = self.admin.begin(slot_path(slot), SLOT, "Open", "us", 0, "inspection")
            self.admin.wait_slot(slot, Door="releasing")
            self.use_up()
            if error:
                with self.assertRaises(Exception) as refused:
                    pending.result()
                self.assertEqual(refused.exception.short, error)
            else:
                self.sim.do("unblock 02")
                pending.result()
            self.make_room()
            wait(lambda: None not in self.outcomes(), "the outcome", 15)
        self.assertEqual(self.outcomes(), ["failed", "released"])
        self.wait_event("door.failed-to-open", after=mark, slot="01")
        self.wait_event("door.released", after=mark, slot="02")


main()
