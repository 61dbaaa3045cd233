# SPDX-License-Identifier: Apache-2.0
"""The daemon is killed in every step and started again: what sensors settle is settled, the rest is called unverified, nothing is guessed."""
import contextlib
import re
import sqlite3
import time

from daemonlib import DBusError, main, wait
from dbusclient import SLOT, slot_path
from people import Scenario


def with_shared_m(text):
    """cabinet-60 with nothing but the shared slots in size M; these have presence sensors."""
    return re.sub(r"(\[Slot 4[19]-\d+\]\n)Size=M", r"\1Size=S", text)


class Restarts(Scenario):
    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}

    def rows(self, sql, *arguments):
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return db.execute(sql, arguments).fetchall()

    @contextlib.contextmanager
    def down(self):
        """kill -9, what people do meanwhile, and a start that opens nothing by itself."""
        self.cabinet.kill_daemon()
        yield
        before = {name: slot["pulses"] for name, slot in self.sim.state()["slots"].items()}
        self.cabinet.start_daemon()
        # Done when nothing waits to be settled any more.
        wait(lambda: not self.rows("SELECT 1 FROM movement WHERE outcome IS NULL"), "every movement settled")
        self.assertEqual({name: slot["pulses"] for name, slot in self.sim.state()["slots"].items()}, before, "no door moves by a restart")


class WithoutSensors(Restarts):
    """A cabinet whose doors have contacts and whose positions have no sensors."""

    def test_killed_in_a_deposit(self):
        """Whether the courier has put something in cannot be known: unverified, and its code still opens for its owner.

        Requirement: F1, F2, F8
        """
        session = self.courier()
        put = session.deposit(size="S")
        self.put(put)
        with self.down():
            self.push(put.slot)
        self.admin.wait_parcel(put.parcel, "unverified")
        self.assertFalse(session.exists)
        self.assertEqual(self.rows("SELECT how FROM session WHERE ended IS NOT NULL ORDER BY id DESC LIMIT 1"), [("restart",)])
        self.cabinet.wait_log("unverified (interrupted): look and reconcile")
        self.assertEqual(self.store().slot, "02", "not offered to anybody else")
        self.collect(put.receipt["code"])
        self.assertEqual(self.states_of(put.parcel), ["depositing", "unverified", "collecting", "collected"])

    def test_killed_in_a_pickup(self):
        """Requirement: F1, F2"""
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        with self.down():
            self.shut(place)
        self.admin.wait_parcel(put.parcel, "unverified")
        # The owner finds nothing; an operator has looked.
        self.admin.reconcile(put.slot, put.position, "empty", "looked")
        self.assertEqual(self.gone(put.parcel)["state"], "returned")
        self.assertEqual(self.store().slot, put.slot if self.admin.position("01")[4] != "free" else "02")

    def test_door_left_open_over_the_restart_is_settled_when_shut(self):
        """Requirement: F1, A6"""
        session = self.courier()
        put = session.deposit(size="S")
        self.put(put)
        with self.down():
            pass
        self.admin.wait_slot("01", Door="open")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "depositing", "the door is open: not over yet")
        with self.only("02"):
            self.assertRefused("WrongState", self.recipient, put.receipt["code"])
            self.store()
        self.push("01")
        self.admin.wait_parcel(put.parcel, "unverified")
        self.admin.wait_slot("01", Door="locked", InUse=False)
        self.admin.reconcile("01", 1, "parcel", "it is there")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
        self.collect(put.receipt["code"])

    def test_door_forced_while_the_daemon_is_down_is_told_at_the_start(self):
        """Requirement: F1, A6"""
        put, other = self.store(), self.store()
        mark = self.last_event()
        with self.down():
            self.sim.do(f"force {put.slot}")
        forced = self.wait_event("door.forced-open", after=mark, slot=put.slot)
        self.assertIs(forced.data["found"], True)
        self.cabinet.wait_log("was opened without a command, while nobody could see it")
        self.admin.wait_parcel(put.parcel, "unverified")
        self.assertEqual(self.admin.slot(put.slot)["Door"], "forced")
        # Once, however often it is started.
        with self.down():
            pass
        self.admin.wait_slot(put.slot, Door="forced")
        self.push(put.slot)
        self.admin.wait_slot(put.slot, Door="locked")
        with self.down():
            pass
        self.admin.wait_slot(put.slot, Door="locked")
        self.assertEqual([e.data["slot"] for e in self.admin.events(mark) if e.type == "door.forced-open"], [put.slot])
        self.assertEqual(self.admin.parcel(other.parcel)["State"], "stored")

    def test_latch_that_lets_go_while_the_daemon_is_down_is_no_burglary(self):
        """Somebody leans on the door, and steps back during the restart. Who takes the item, nobody knows.

        Requirement: F1, F3
        """
        put = self.store()
        self.sim.do(f"block {put.slot}")
        mark = self.last_event()
        session = self.recipient(put.receipt["code"])
        self.assertRefused("DidNotOpen", session.collect)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
        with self.down():
            self.sim.do(f"unblock {put.slot}")
            self.sim.wait(put.slot, door="open")
        self.admin.wait_slot(put.slot, Door="left_open")
        self.admin.wait_parcel(put.parcel, "unverified")
        self.assertNotIn("door.forced-open", self.event_types(mark))
        self.push(put.slot)
        self.admin.wait_slot(put.slot, Door="locked")
        # Which is not an alibi for the next one: it was seen shut.
        with self.down():
            self.sim.do(f"force {put.slot}")
        self.wait_event("door.forced-open", after=mark, slot=put.slot)

    def test_jammed_door_that_is_forced_later_while_the_daemon_is_down_is_told(self):
        """Requirement: F1, A6"""
        put = self.store()
        self.sim.do(f"jam {put.slot}")
        mark = self.last_event()
        session = self.recipient(put.receipt["code"])
        self.assertRefused("DidNotOpen", session.collect)
        session.end()
        time.sleep(11)
        with self.down():
            self.sim.do(f"force {put.slot}")
        self.wait_event("door.forced-open", after=mark, slot=put.slot)
        self.admin.wait_parcel(put.parcel, "unverified")

    def test_door_that_an_operator_has_left_open_is_not_forced_by_a_restart(self):
        """Requirement: F1"""
        put = self.store()
        mark = self.last_event()
        self.admin.open_slot(put.slot)
        self.sim.wait(put.slot, door="open")
        self.admin.wait_slot(put.slot, Door="open")
        with self.down():
            pass
        self.admin.wait_slot(put.slot, Door="open")
        with self.down():
            self.push(put.slot)
        self.admin.wait_slot(put.slot, Door="locked")
        self.assertNotIn("door.forced-open", self.event_types(mark))
        # Seen shut by that start, though nobody saw it being shut: from then on it would be forced.
        with self.down():
            self.sim.do(f"force {put.slot}")
        self.wait_event("door.forced-open", after=mark, slot=put.slot)

    def test_door_that_nobody_could_see_for_a_while_is_remembered_again(self):
        """A pulse whose end nobody saw, the board is back, and the door shut: from then on it would be forced.

        Requirement: F1
        """
        put = self.store()
        mark = self.last_event()
        self.sim.do(f"jam {put.slot}")
        pending = self.admin.begin(slot_path(put.slot), SLOT, "Open", "us", 0, "inspection")
        self.sim.wait(put.slot, coil=True)
        self.sim.do("board A silent")
        with self.assertRaises(Exception):
            pending.result()
        self.wait_event("door.unknown", after=mark, slot=put.slot)
        self.sim.do("board A normal")
        self.sim.do(f"unjam {put.slot}")
        self.admin.wait_slot(put.slot, Door="locked")
        with self.down():
            self.sim.do(f"force {put.slot}")
        self.wait_event("door.forced-open", after=mark, slot=put.slot)
        self.admin.wait_parcel(put.parcel, "unverified")

    def test_power_cut_in_a_safety_release(self):
        """The pulse is out, the door opens when nobody sees it, and whoever is there has shown nothing.

        Requirement: F1, F12
        """
        other = self.store(size="S")
        put = self.store(size="L")
        self.sim.do("block 12")
        self.sim.do("release 12 on")
        self.sim.wait("12", coil=True, latch="released")
        self.sim.do("release 12 off")
        with self.down():
            self.sim.wait("12", coil=False, timeout=1)
            self.sim.do("unblock 12")
            self.sim.wait("12", door="open", timeout=1)
        self.admin.wait_parcel(put.parcel, "unverified")
        self.assertEqual(self.admin.parcel(other.parcel)["State"], "stored")

    def test_killed_in_mid_pulse(self):
        """The coil goes off in time although nobody is there to say so, and the movement's outcome is called unknown.

        Requirement: F6, F1
        """
        put = self.store()
        self.sim.do("block 01")
        session = self.recipient(put.receipt["code"])
        session.begin("Collect", "o", "/")
        self.sim.wait("01", coil=True, latch="released")
        with self.down():
            self.sim.wait("01", coil=False, timeout=1)
            self.sim.do("unblock 01")
            self.sim.wait("01", door="open", timeout=1)
            self.sim.do("close 01")
        [(outcome,)] = self.rows("SELECT outcome FROM movement WHERE why = 'collect'")
        self.assertEqual(outcome, "unknown")
        self.wait_event("door.unknown", slot="01")
        self.admin.wait_parcel(put.parcel, "unverified")
        self.assertEqual(self.sim.objections(), [])
        self.collect(put.receipt["code"])

    def test_killed_between_two_tries_at_a_jammed_door(self):
        """Requirement: F1, F6"""
        put = self.store()
        self.sim.do("jam 01")
        pulses = self.sim.place("01")["pulses"]
        session = self.recipient(put.receipt["code"])
        session.begin("Collect", "o", "/")
        wait(lambda: self.sim.place("01")["pulses"] > pulses and not self.sim.place("01")["coil"], "the first pulse")
        with self.down():
            self.sim.do("unjam 01")
        self.assertEqual(self.sim.place("01")["pulses"], pulses + 1, "the old command is stale")
        self.admin.wait_parcel(put.parcel, "unverified")

    def test_what_was_complete_stays_so(self):
        """Requirement: F1, D5, B4"""
        stored, rejected, recalled = (self.store() for _ in range(3))
        session = self.recipient(rejected.receipt["code"])
        place = session.collect()
        self.reach(place)
        session.reject()
        self.shut(place)
        session.wait_prompt("rejected")
        self.admin.recall(recalled.parcel)
        self.admin.disable("09")
        before = self.admin.events()
        with self.down():
            pass
        self.assertEqual([self.admin.parcel(p.parcel)["State"] for p in (stored, rejected, recalled)], ["stored", "rejected", "recalled"])
        self.assertEqual(self.admin.slot("09")["Service"], "disabled")
        self.assertEqual(self.admin.events()[:len(before)], before)
        self.assertTrue(self.admin.verify_audit()[0])
        self.collect(stored.receipt["code"])

    def test_killed_while_a_courier_takes_back(self):
        """Requirement: F11, F1"""
        puts = [self.store() for _ in range(2)]
        for put in puts:
            self.admin.recall(put.parcel)
        courier = self.courier()
        courier.take_back()
        self.take(puts[0])
        with self.down():
            self.push("01")
        # Nobody knows whether the first one was taken: somebody has to look, and no courier books an empty slot as returned.
        self.admin.wait_parcel(puts[0].parcel, "unverified")
        self.assertEqual(self.admin.parcel(puts[1].parcel)["State"], "recalled")
        courier = self.courier()
        self.assertEqual(courier.take_back(), [(puts[1].parcel, puts[1].slot, puts[1].position)])
        self.take(puts[1])
        self.shut(puts[1])
        courier.wait_prompt("done")
        courier.end()
        # It lies there after all: still recalled, for the next courier.
        self.admin.reconcile(puts[0].slot, puts[0].position, "parcel", "it is there")
        self.assertEqual(self.admin.parcel(puts[0].parcel)["State"], "recalled")
        self.assertEqual(self.states_of(puts[0].parcel), ["depositing", "stored", "recalled", "unverified", "recalled"])

    def test_killed_while_the_door_is_open_in_a_take_back(self):
        """The door is shut only after the start: judged then, and as unseen as before.

        Requirement: F11, F1
        """
        put = self.store()
        self.admin.recall(put.parcel)
        self.courier().take_back()
        self.take(put)
        with self.down():
            pass
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "recalled", "the door is open: not over yet")
        self.push(put.slot)
        self.admin.wait_parcel(put.parcel, "unverified")
        self.admin.wait_slot(put.slot, Door="locked", InUse=False)
        self.admin.reconcile(put.slot, put.position, "empty", "looked")
        self.assertEqual(self.gone(put.parcel)["state"], "returned")

    def test_lock_board_falls_silent_in_a_take_back(self):
        """The door has sprung open, then nobody answers any more, and the courier walks away.

        Requirement: F11, F1, F4
        """
        put = self.store()
        self.admin.recall(put.parcel)
        courier = self.courier()
        courier.take_back()
        self.take(put)
        self.sim.do("board A silent")
        self.admin.wait_slot(put.slot, Door="unknown")
        courier.end()
        self.admin.wait_parcel(put.parcel, "unverified")
        self.push(put.slot)
        self.sim.do("board A normal")
        self.admin.wait_slot(put.slot, Door="locked", InUse=False)
        self.assertRefused("NothingToCollect", self.courier().take_back)

    def test_what_was_decided_at_the_open_door_survives(self):
        """Rejected, killed, put back, shut, found by the operator: it goes back with the courier, and its code is void.

        Requirement: D5, F1
        """
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.reach(place)
        session.reject()
        self.assertEqual(self.rows("SELECT choice FROM parcel"), [("reject",)])
        with self.down():
            self.shut(place)
        self.admin.wait_parcel(put.parcel, "unverified")
        self.assertRefused("WrongState", self.recipient, put.receipt["code"])
        self.admin.reconcile(put.slot, put.position, "parcel", "it is there")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "rejected")
        self.assertRefused("WrongCode", self.recipient, put.receipt["code"])
        self.assertEqual(len(self.courier().take_back()), 1)

    def test_told_to_stop_while_a_door_is_open(self):
        """Requirement: F1, F6"""
        session = self.courier()
        put = session.deposit(size="S")
        self.put(put)
        self.cabinet.stop_daemon()
        self.assertEqual(self.energised(), {})
        self.push("01")
        self.cabinet.start_daemon()
        self.admin.wait_parcel(put.parcel, "unverified")

    def test_told_to_stop_while_a_request_is_carried_out(self):
        """Requirement: F1, F6"""
        self.sim.do("block 01")
        session = self.courier()
        pending = session.begin_deposit(size="S")
        self.sim.wait("01", coil=True)
        self.cabinet.stop_daemon()
        self.sim.wait("01", coil=False, timeout=1)
        with self.assertRaises(DBusError):
            pending.result()
        self.assertEqual(self.energised(), {})
        self.cabinet.start_daemon()
        wait(lambda: not self.rows("SELECT 1 FROM movement WHERE outcome IS NULL"), "every movement settled")
        self.sim.do("unblock 01")


class Watched(Restarts):
    """Slot 12 has an inside release and a presence sensor: what it sees lying behind an open door stays stored as long as it sees it."""
    edit = staticmethod(lambda text: text.replace("Release=A:13\n", "Release=A:13\nPresence=A:15\n"))

    def opened_by_nobody(self, how):
        put = self.store(size="L")
        self.assertEqual(put.slot, "12")
        self.sim.do(how)
        wait(lambda: self.admin.slot("12")["Door"] in ("open", "forced"), "the open door")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored", "its sensor sees it")
        return put

    def test_what_is_taken_through_a_forced_door_while_the_daemon_is_down_is_noticed(self):
        """Requirement: F1, A6"""
        put = self.opened_by_nobody("force 12")
        with self.down():
            pass
        wait(lambda: self.admin.slot("12")["Door"] in ("open", "forced"), "the open door")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored", "its sensor still sees it")
        with self.down():
            self.sim.do("take 12")
            self.push("12")
        self.admin.wait_parcel(put.parcel, "unverified")

    def test_what_is_taken_after_a_safety_release_while_the_daemon_is_down_is_noticed(self):
        """Requirement: F1, F12"""
        put = self.opened_by_nobody("release 12 on")
        self.sim.do("release 12 off")
        with self.down():
            self.sim.do("take 12")
        self.admin.wait_parcel(put.parcel, "unverified")


class Expired(Restarts):
    settings = {"Codes": {"ValidFor": "2s"}, "Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}

    def test_recalled_in_the_middle_of_a_take_back_and_killed(self):
        """Nobody knows whether the courier has it: the operator's word in between does not change that.

        Requirement: F11, F1
        """
        put = self.store()
        wait(lambda: self.admin.parcel(put.parcel)["Expired"], "the end of the code's validity", 6)
        self.courier().take_back()
        self.take(put)
        self.admin.recall(put.parcel)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "recalled")
        with self.down():
            self.push(put.slot)
        self.admin.wait_parcel(put.parcel, "unverified")
        self.admin.reconcile(put.slot, put.position, "parcel", "it is there")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "recalled")


class WithSensors(Restarts):
    """Shared slots with presence sensors: these judge."""
    cabinet_file = "cabinet-60.conf"
    edit = staticmethod(with_shared_m)

    def test_killed_in_a_deposit(self):
        """Put in and shut: stored. Nothing put in: cancelled. Lid left open: unverified. Still open: waits.

        Requirement: F1, F2, A3
        """
        session = self.courier()
        put = session.deposit(size="M")
        self.put(put)
        with self.down():
            self.shut(put)
        self.admin.wait_parcel(put.parcel, "stored")
        self.assertGreater(self.admin.parcel(put.parcel)["Stored"], 0)

        session = self.courier()
        empty = session.deposit(size="M")
        self.reach(empty)
        with self.down():
            self.shut(empty)
        self.assertEqual(self.gone(empty.parcel)["state"], "cancelled")
        self.assertRefused("WrongCode", self.recipient, empty.receipt["code"])

        session = self.courier()
        lid = session.deposit(size="M")
        self.put(lid)
        with self.down():
            self.shut(lid, lid=False)
        self.admin.wait_parcel(lid.parcel, "unverified")

        session = self.courier()
        waits = session.deposit(size="M")
        self.assertNotEqual(waits.slot, lid.slot, "nobody is let in beside an open lid")
        self.put(waits)
        with self.down():
            pass
        self.assertEqual(self.admin.parcel(waits.parcel)["State"], "depositing")
        self.shut(waits)
        self.admin.wait_parcel(waits.parcel, "stored")
        # Beside the open lid the neighbour is held back until somebody has looked.
        self.assertEqual(put.slot, lid.slot)
        self.assertRefused("SlotBusy", self.recipient(put.receipt["code"]).collect)
        self.admin.open_slot(lid.slot, lid.position)
        self.reach(lid)
        self.shut(lid)
        self.admin.wait_slot(lid.slot, Door="locked", InUse=False)
        self.admin.reconcile(lid.slot, lid.position, "parcel")
        found = self.admin.parcel(lid.parcel)
        self.assertEqual(found["State"], "stored")
        self.assertGreater(found["Stored"], 0, "it counts from when it was found")
        self.assertGreater(found["Expires"], found["Stored"])
        self.collect(put.receipt["code"])

    def test_killed_in_a_pickup(self):
        """Taken: collected. Still there: stored, and the code is still good.

        Requirement: F1, F2, A4
        """
        one, two = self.store(size="M"), self.store(size="M")
        session = self.recipient(one.receipt["code"])
        place = session.collect()
        self.take(place)
        with self.down():
            self.shut(place)
        self.assertEqual(self.gone(one.parcel)["state"], "collected")

        session = self.recipient(two.receipt["code"])
        place = session.collect()
        self.reach(place)
        with self.down():
            self.shut(place)
        self.admin.wait_parcel(two.parcel, "stored")
        self.collect(two.receipt["code"])

    def test_what_was_decided_at_the_open_door_survives(self):
        """Rejected and put back: rejected. Accepted, but still there: for an operator. Cancelled and taken out: cancelled.

        Requirement: D5, F1, F3
        """
        put = self.store(size="M")
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        session.reject()
        with self.down():
            self.put(place)
            self.shut(place)
        self.admin.wait_parcel(put.parcel, "rejected")
        self.assertRefused("WrongCode", self.recipient, put.receipt["code"])

        kept = self.store(size="M")
        session = self.recipient(kept.receipt["code"])
        place = session.collect()
        self.reach(place)
        session.accept()
        with self.down():
            self.shut(place)
        self.admin.wait_parcel(kept.parcel, "unverified")

        session = self.courier()
        back = session.deposit(size="M")
        self.put(back)
        session.cancel()
        with self.down():
            self.take(back)
            self.shut(back)
        self.assertEqual(self.gone(back.parcel)["state"], "cancelled")

    def test_killed_while_a_courier_takes_back(self):
        """Taken: returned. Left inside: as it was.

        Requirement: F11, F1
        """
        taken = self.store(size="M")
        self.admin.recall(taken.parcel)
        self.courier().take_back()
        self.take(taken)
        with self.down():
            self.shut(taken)
        self.assertEqual(self.gone(taken.parcel)["state"], "returned")

        left = self.store(size="M")
        self.admin.recall(left.parcel)
        self.courier().take_back()
        self.reach(left)
        with self.down():
            self.shut(left)
        self.admin.wait_slot(left.slot, Door="locked", InUse=False)
        self.assertEqual(self.rows("SELECT state, taking_back FROM parcel WHERE state = 'recalled'"), [("recalled", 0)])
        courier = self.courier()
        self.assertEqual(courier.take_back(), [(left.parcel, left.slot, left.position)])


main()
