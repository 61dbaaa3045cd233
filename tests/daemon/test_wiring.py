# SPDX-License-Identifier: Apache-2.0
"""Wires that are one off: the person in front of the cabinet sees another door open than the one that was told to."""
import time

from daemonlib import main
from people import Scenario


class SwappedLocks(Scenario):
    """The cabinet is commissioned, parcels lie in it, and then somebody mends a cable: each lock's wire is one terminal further."""
    settings = {"Session": {"ReopenGrace": "0"}}

    def swap(self):
        """The daemon comes up with wires that do not fit its configuration; the doors' contacts still do."""
        self.cabinet.kill_daemon()
        with open(self.cabinet.cabinet_path, encoding="utf-8") as f:
            text = f.read()
        with open(self.cabinet.cabinet_path, "w", encoding="utf-8") as f:
            f.write(text.replace("Lock=A:1-6", "Lock=A:2-6,A:1"))
        self.cabinet.start_daemon()

    def mend(self):
        self.cabinet.kill_daemon()
        with open(self.cabinet.cabinet_path, encoding="utf-8") as f:
            text = f.read()
        with open(self.cabinet.cabinet_path, "w", encoding="utf-8") as f:
            f.write(text.replace("Lock=A:2-6,A:1", "Lock=A:1-6"))
        self.cabinet.start_daemon()

    def quarantined(self):
        return {label for label, slot in self.admin.slots().items() if any(p[1] == "quarantined" for p in slot["Positions"])}

    def test_pickup_that_opens_a_neighbours_door_is_not_tried_again(self):
        """Requirement: F1, F4, A4"""
        one, two = self.store(), self.store()
        self.assertEqual((one.slot, two.slot), ("01", "02"))
        self.swap()
        opened = self.opened(*(f"{n:02}" for n in range(1, 13)))
        session = self.recipient(one.receipt["code"])
        error = self.assertRefused("WrongDoor", session.collect)
        self.assertIn("call the operator", error.message)
        session.end()
        after = self.opened(*(f"{n:02}" for n in range(1, 13)))
        self.assertEqual([b - a for a, b in zip(opened, after)], [0, 1] + [0] * 10, "one pulse, and not a second one")
        event = self.wait_event("door.wrong-opened", slot="01")
        self.assertEqual(event.data["opened"], "02")
        self.assertEqual(self.admin.health()["slot:01"], ("degraded", "The lock of 01 opened 02: check the wiring, then open it."))
        self.cabinet.wait_log("The lock of slot 01 opened slot 02: check the wiring")
        self.assertEqual(self.quarantined(), {"01", "02"})
        # Its own parcel lies where it lay; the neighbour's could be reached by somebody who had not shown who they are.
        self.assertEqual(self.admin.parcel(one.parcel)["State"], "stored")
        self.assertEqual(self.admin.parcel(two.parcel)["State"], "unverified")
        self.push("02")
        self.mend()
        self.collect(one.receipt["code"])
        self.assertNotIn("slot:01", self.admin.health())

    def test_deposit_that_opens_a_wrong_door_goes_to_no_other(self):
        """Requirement: F1, F2, F4"""
        self.courier().end()
        self.swap()
        session = self.courier()
        self.assertRefused("WrongDoor", session.deposit, size="S")
        session.wait_prompt("cancelled")
        self.assertEqual(sum(self.opened(*(f"{n:02}" for n in range(1, 13)))), 1, "no row of wrong doors")
        self.assertEqual(self.quarantined(), {"01", "02"})
        self.assertEqual(self.admin.parcels(), {})

    def test_take_back_stops_at_a_wrong_door(self):
        """Requirement: F1, F11"""
        puts = [self.store() for _ in range(2)]
        for put in puts:
            self.admin.recall(put.parcel)
        self.swap()
        session = self.courier()
        self.assertRefused("WrongDoor", session.take_back)
        self.assertEqual(sum(self.opened("01", "02", "03")), 3, "two deposits and one wrong door")
        self.assertEqual(self.admin.parcel(puts[0].parcel)["State"], "recalled")
        self.assertEqual(self.admin.parcel(puts[1].parcel)["State"], "unverified")

    def test_operator_is_told_which_door_opened(self):
        """Requirement: F8, F1"""
        self.swap()
        error = self.assertRefused("WrongDoor", self.admin.open_slot, "03")
        self.assertEqual(self.wait_event("door.wrong-opened", slot="03").data["opened"], "04")
        self.assertIn("Another door", error.message)


class Spikes(Scenario):
    """What a relay or a motor nearby makes of the wires of the inputs that open without anybody's asking."""

    def test_spike_on_fire_contact_or_inside_release_opens_nothing(self):
        """Requirement: F12"""
        channels = ["A:14", "A:13"]  # the fire contact and the inside release of slot 12
        labels = [f"{n:02}" for n in range(1, 13)]
        with self.only():
            for ms in (15, 20, 25, 30):
                for channel in channels:
                    for _ in range(3):
                        self.sim.do(f"input {channel} spike {ms}")
                        time.sleep(0.25)
            time.sleep(1)
        self.assertEqual(sum(self.opened(*labels)), 0)
        self.assertEqual(self.admin.events(type="door.commanded"), [])
        # A real one lasts.
        with self.only(*labels):
            self.sim.do(f"input {channels[0]} spike 2000")
            for label in labels:
                self.sim.wait(label, door="open", timeout=20)
        self.wait_event("safety.released", slot="12")


main()
