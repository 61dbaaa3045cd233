# SPDX-License-Identifier: Apache-2.0
"""What doors do without being asked, or do not do when asked; alarm inputs and inside releases."""
import time

from daemonlib import main, wait
from people import Scenario


# How long after a pulse an opening is taken for its doing: ReleaseTime= and a little.
RELEASE_TIME = 1.7


class Doors(Scenario):
    settings = {"Session": {"ReopenGrace": "0", "DoorOpenTimeout": "2s", "AnswerTimeout": "1s"}}

    def test_forced_open(self):
        """A crowbar is told from an opening, and what lay behind the door is not believed to be there any more.

        Requirement: F1, F2
        """
        put, safe = self.store(), self.store()
        time.sleep(RELEASE_TIME)
        mark = self.last_event()
        self.sim.do("force 01")
        self.admin.wait_slot("01", Door="forced")
        self.wait_event("door.forced-open", after=mark, slot="01")
        self.admin.wait_parcel(put.parcel, "unverified")
        self.assertEqual(self.admin.parcel(safe.parcel)["State"], "stored")
        self.assertNotIn("door.released", self.event_types(mark))
        self.assertRefused("SlotBusy", self.recipient(put.receipt["code"]).collect)
        self.cabinet.wait_log("opened without a command")
        # It also stands open too long; shut, it is locked again, and its owner may look.
        self.wait_event("door.open-too-long", after=mark, slot="01")
        self.sim.do("take 01", "close 01")
        self.admin.wait_slot("01", Door="locked")
        self.assertEqual(self.admin.position("01")[4], "unverified", "not offered to anybody else")
        self.admin.reconcile("01", 1, "empty", "stolen, police informed")
        self.assertEqual(self.gone(put.parcel)["state"], "returned")

    def test_empty_slot_forced_open_is_not_offered_while_open(self):
        """Requirement: F1, F2"""
        self.sim.do("force 01")
        self.admin.wait_slot("01", Door="forced")
        self.assertEqual(self.admin.cabinet("FreePositions")["S"], 7)
        self.assertEqual(self.store().slot, "02")

    def test_jammed_door_gets_one_retry_and_no_more(self):
        """Requirement: F1, F6"""
        put = self.store()
        self.sim.do("jam 01")
        pulses = self.sim.place("01")["pulses"]
        mark = self.last_event()
        self.assertRefused("DidNotOpen", self.recipient(put.receipt["code"]).collect)
        self.assertEqual(self.sim.place("01")["pulses"] - pulses, 2)
        self.assertEqual(self.admin.slot("01")["Door"], "jammed")
        types = self.event_types(mark)
        self.assertEqual(types.count("door.failed-to-open"), 1)
        self.assertNotIn("door.released", types)
        self.assertNotIn("door.opened", types)
        # The boards confirmed both pulses: an acknowledgement is not an opening.
        self.assertEqual(self.admin.health()["board:A"][0], "ok")

    def test_second_pulse_opens_a_sticky_door(self):
        """Requirement: F1"""
        put = self.store()
        pulses = self.sim.place("01")["pulses"]
        self.sim.do("jam 01")
        session = self.recipient(put.receipt["code"])
        pending = session.begin("Collect", "o", "/")
        wait(lambda: self.sim.place("01")["pulses"] > pulses and not self.sim.place("01")["coil"], "the end of the first pulse")
        self.sim.do("unjam 01")
        self.assertEqual(pending.result()[:2], ("01", 1))
        self.assertEqual(self.sim.place("01")["pulses"] - pulses, 2)
        self.assertNotIn("door.failed-to-open", self.event_types())

    def test_blocked_door_that_springs_open_late_is_not_a_burglary(self):
        """Somebody leans on the door: it does not open in time, and does when they step back.

        Requirement: F1, F3
        """
        self.sim.do("block 01")
        session = self.courier()
        put = session.deposit(size="S")
        self.assertEqual(put.slot, "02")
        self.wait_event("door.failed-to-open", slot="01")
        self.sim.do("unblock 01")
        self.sim.wait("01", door="open")
        self.wait_event("door.opened", slot="01")
        self.assertEqual(self.admin.slot("01")["Door"], "open")
        self.assertNotIn("door.forced-open", self.event_types())
        self.push("01")
        self.put_in(session, put)

    def test_board_dies_in_mid_release(self):
        """Nobody can say whether the door opened: that is what is answered, and the parcel is for an operator or its owner to look at.

        Requirement: F1, F4, F6
        """
        put = self.store()
        self.sim.do("block 01")
        session = self.recipient(put.receipt["code"])
        pending = session.begin("Collect", "o", "/")
        self.sim.wait("01", coil=True)
        self.sim.do("board A silent")
        self.assertRefused("OutcomeUnknown", pending.result)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "unverified")
        self.admin.wait_slot("01", Door="unknown", BoardOnline=False)
        self.assertEqual(self.admin.health()["board:A"][0], "failed")
        with self.only():
            self.assertRefused("BoardOffline", session.collect)
            self.assertRefused("BoardOffline", self.admin.open_slot, "01")
            self.assertRefused("NoFreePosition", self.courier().deposit, size="S")
        self.sim.do("board A normal", "unblock 01")
        wait(lambda: self.admin.health()["board:A"][0] == "ok", "the board's return")
        self.admin.wait_slot("01", BoardOnline=True)
        if self.sim.place("01")["door"] == "open":
            self.push("01")
        self.admin.wait_slot("01", Door="locked")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "unverified", "the board's return proves nothing about the parcel")
        self.collect(put.receipt["code"])
        self.assertEqual(self.energised(), {})

    def test_board_dies_in_mid_deposit(self):
        """Requirement: F1, F4"""
        self.sim.do("block 01")
        session = self.courier()
        pending = session.begin_deposit(size="S")
        self.sim.wait("01", coil=True)
        self.sim.do("board A silent")
        self.assertRefused("OutcomeUnknown", pending.result)
        [parcel] = self.admin.parcels().values()
        self.assertEqual((parcel["State"], parcel["Slot"]), ("unverified", "01"))
        self.sim.do("board A normal")

    def test_operator_pulses_a_door_that_is_reported_open(self):
        """The contact's wire may be broken, and then nobody else can get at what lies there.

        Requirement: F1, F8
        """
        self.admin.open_slot("01")
        self.sim.wait("01", door="open")
        self.admin.wait_slot("01", Door="open")
        before = self.sim.place("01")["pulses"]
        mark = self.last_event()
        self.admin.open_slot("01", reason="its contact is broken")
        self.assertEqual(self.sim.place("01")["pulses"], before + 1)
        event = self.wait_event("operator.opened", after=mark, slot="01")
        self.assertEqual(event.data["reported"], "open")
        self.wait_event("door.open-too-long", slot="01")
        self.assertEqual(self.admin.slot("01")["Door"], "left_open")
        self.push("01")
        self.admin.wait_slot("01", Door="locked")


class Safety(Scenario):
    settings = {"Session": {"ReopenGrace": "0"}}

    def most_coils(self, since=0):
        """How many coils were on at once, at most, by the journal."""
        on, most = set(), 0
        for j in self.sim.journal("coil")[since:]:
            (on.add if j["on"] else on.discard)((j["board"], j["channel"]))
            most = max(most, len(on))
        return most

    def shut_for_good(self, label):
        """As long as it has not been noticed that the input is quiet again, what is shut opens again."""
        def shut():
            if self.sim.place(label)["door"] == "open":
                self.push(label)
            return self.admin.slot(label)["Door"] == "locked"
        wait(shut, f"slot {label} shut")

    def test_inside_release_opens_and_says_so(self):
        """A child has climbed in and presses the button; nobody had asked for that door.

        Requirement: F12, F8
        """
        put = self.store(size="L")
        self.assertEqual(put.slot, "12")
        with self.only("12"):
            self.sim.do("release 12 on")
            self.sim.wait("12", door="open")
            event = self.wait_event("safety.released", slot="12")
            self.sim.do("release 12 off")
        self.assertEqual(event.subject, "slot:12")
        self.cabinet.wait_log("Slot 12 is to open: the inside release was pressed")
        self.assertNotIn("door.forced-open", self.event_types())
        # Whoever was in there could reach it without having shown who they are.
        self.admin.wait_parcel(put.parcel, "unverified")
        self.shut_for_good("12")
        self.collect(put.receipt["code"])

    def test_inside_release_works_while_the_slot_is_in_somebodys_hands(self):
        """The courier has shut the door on a child and waits for an answer; a disabled slot opens too.

        Requirement: F12
        """
        session = self.courier()
        put = session.deposit(size="L")
        self.put_in(session, put)
        self.admin.disable("12")
        self.sim.do("release 12 on")
        self.sim.wait("12", door="open")
        self.sim.do("release 12 off")
        self.wait_event("safety.released", slot="12")

    def test_release_pressed_while_the_daemon_was_down(self):
        """Whoever is inside still presses when it comes up again.

        Requirement: F12
        """
        self.cabinet.kill_daemon()
        self.sim.do("release 12 on")
        with self.only("12"):
            self.cabinet.start_daemon()
            self.sim.wait("12", door="open", timeout=10)
        self.wait_event("safety.released", slot="12")
        self.sim.do("release 12 off")

    def test_alarm_opens_every_slot_one_after_the_other(self):
        """All twelve, stuck ones left behind, never more coils at once than the supply allows; also what somebody shuts meanwhile.

        Requirement: F12, F6
        """
        self.store()
        self.sim.do("jam 03")
        labels = [f"{n:02}" for n in range(1, 13)]
        since = len(self.sim.journal("coil"))
        # In the middle of a deposit, which does not keep the alarm from anything.
        session = self.courier()
        put = session.deposit(size="S")
        self.sim.do("alarm fire on")
        for label in labels:
            if label != "03":
                self.sim.wait(label, door="open", timeout=20)
        self.assertEqual(self.most_coils(since), 1)
        self.assertEqual(self.sim.objections(), [])
        # Told to open and opened are two things.
        released = {label for label in labels if label != "03"}
        wait(lambda: {e.data["slot"] for e in self.admin.events(type="safety.released")} | {put.slot} == released, "each that opened")
        self.assertLessEqual({"03", "12"}, {e.data["slot"] for e in self.admin.events(type="door.commanded")})
        self.sim.wait("07", coil=False)
        self.sim.do("close 07")
        self.sim.wait("07", door="open", timeout=10)
        # A door that does not open has its pulses, and then only as long as the alarm lasts.
        before = self.sim.place("03")["pulses"]
        wait(lambda: self.sim.place("03")["pulses"] >= 6, f"the pulses of a stuck door, {before} so far")
        self.sim.do("alarm fire off")
        time.sleep(0.5)  # before that is noticed, what is shut opens again
        for label in labels:
            if self.sim.place(label)["door"] == "open":
                self.push(label)
        for label in labels:
            self.admin.wait_slot(label, Door="jammed" if label == "03" else "locked")
        self.sim.do("unjam 03")
        opened = self.opened(*labels)
        with self.only():
            self.assertEqual(self.opened(*labels), opened, "the alarm is over")
            self.assertRefused("WrongCode", self.recipient, "ZZZZZZ")
        self.assertEqual(self.energised(), {})


main()
