# SPDX-License-Identifier: Apache-2.0
"""The same id again: whatever has happened to the command in between, it is carried out at most once, and who asks gets an answer."""
import contextlib
import json
import sqlite3

from backendlib import BackendTest
from daemonlib import main
from dbusclient import DBusError, wait
from small_disk import SmallDisk, needs_mount


class Repeats(BackendTest):
    SLOT = "03"

    def pulses(self):
        return self.sim.place(self.SLOT)["pulses"]

    def refused(self, answer, error):
        self.assertEqual((answer["status"], answer.get("error")), ("refused", error), answer)

    def command_of(self, id, expires=300, reason="inspection"):
        """A signed open, as bytes."""
        body = self.backend.body("open", {"slot": self.SLOT, "reason": reason}, expires=expires, id=id)
        return self.key.sign({"cabinet": self.number, "name": "open", **body})

    def give(self, id, correlation):
        signed = self.command_of(id)
        self.backend.publish("open", signed, correlation)
        wait(self.pulses, "the pulse")
        return signed

    def answer(self, correlation, timeout=20):
        return wait(lambda: self.backend.answers(correlation), "an answer", timeout)[0]

    def stored_answers(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return dict(db.execute("SELECT id, answer IS NOT NULL FROM inbox"))


class Ids(Repeats):
    def test_id_under_another_name_or_with_other_arguments_is_refused(self):
        """Requirement: F5"""
        first = self.backend.ask("open", self.command_of("once"))
        self.assertEqual(first["status"], "done", first)
        self.refused(self.backend.command("snapshot", id="once"), "IdReused")
        self.refused(self.backend.ask("open", self.command_of("once", reason="another one")), "IdReused")
        self.refused(self.backend.command("open", {"slot": "04", "reason": "inspection"}, signed=True, id="once"), "IdReused")
        self.refused(self.backend.command("open", {"slot": self.SLOT, "reason": "inspection"}, signed=False, id="once"), "IdReused")
        # A later expiry and another order of the members are no other command.
        self.assertEqual(self.backend.ask("open", self.command_of("once", expires=900)), first)
        body = self.backend.body("open", {"reason": "inspection", "slot": self.SLOT}, id="once")
        self.assertEqual(self.backend.ask("open", self.key.sign({"name": "open", "cabinet": self.number, **body})), first)
        self.assertEqual((self.pulses(), self.sim.place("04")["pulses"]), (1, 0))

    def test_unsigned_repeat_does_not_get_what_was_answered_to_the_signed_one(self):
        """Requirement: F5, F9"""
        put = self.store()
        parcel = int(put.parcel.rsplit("/", 1)[1])
        arguments = {"parcel": parcel, "reason": "lost"}
        code = self.backend.command("new-code", arguments, signed=True, id="secret")["result"]["code"]
        answer = self.backend.command("new-code", arguments, signed=False, id="secret")
        self.refused(answer, "IdReused")
        self.assertNotIn(code, json.dumps(answer))

    def test_id_while_its_command_is_carried_out(self):
        """Requirement: F5"""
        self.sim.do(f"jam {self.SLOT}")
        signed = self.give("slow", b"first")
        self.refused(self.backend.command("snapshot", id="slow"), "IdReused")
        self.backend.publish("open", signed, b"second")
        answer = self.answer(b"second")
        self.assertEqual((answer["status"], answer["error"]), ("failed", "DidNotOpen"), answer)
        pulses = self.pulses()
        self.assertEqual(pulses, 2, "one try and one retry")
        self.assertEqual(self.backend.ask("open", signed), answer)
        self.assertEqual(self.pulses(), pulses)


class Early(Repeats):
    """Commands that are there before the boards are: the daemon waits up to ten seconds for their sensors, and stores them meanwhile."""

    def start_blind(self):
        """Starts the daemon with a board that does not answer yet, and the commands waiting at the broker."""
        self.cabinet.stop_daemon()
        self.sim.do("board A silent")
        announce = self.backend.body("announce", {"size": "S", "waybill": "EARLY"}, id="early-announce", expires=300)
        self.opens, self.announces = self.command_of("early-open"), self.key.sign({"cabinet": self.number, "name": "announce", **announce})
        self.backend.publish("open", self.opens, b"open")
        self.backend.publish("announce", self.announces, b"announce")
        self.cabinet.start_daemon(ready=False)
        wait(lambda: {"early-open", "early-announce"} <= set(self.stored_answers()), "both in the inbox")
        self.assertEqual(set(self.stored_answers().values()), {0})

    def begun(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return db.execute("SELECT sum(begun) FROM inbox").fetchone()[0]

    def test_they_wait_are_not_answered_twice_and_are_carried_out_once(self):
        """Requirement: F5"""
        self.start_blind()
        self.refused(self.backend.command("snapshot", id="early-open"), "IdReused")
        for _ in range(2):
            self.backend.publish("open", self.opens, b"repeat")
        self.assertEqual((self.begun(), self.backend.answers(b"repeat"), self.pulses()), (0, [], 0))
        # A kill changes nothing: they are in the ledger.
        self.cabinet.kill_daemon()
        self.cabinet.start_daemon(ready=False)
        self.sim.do("board A normal")
        # The first answers may have gone before there was a connection: the backend repeats until it has one.
        self.cabinet.wait_log("the session goes on")
        opened, announced = self.backend.ask("open", self.opens), self.backend.ask("announce", self.announces)
        self.assertEqual((opened["status"], announced["status"]), ("done", "done"), (opened, announced))
        self.assertEqual(self.backend.ask("open", self.opens), opened)
        self.assertEqual(self.backend.ask("announce", self.announces), announced)
        self.assertEqual(self.pulses(), 1)
        self.assertEqual([p["Waybill"] for p in self.admin.parcels().values()], ["EARLY"])
        told = [a for a in (json.loads(m.payload) for m in self.backend.topics("reply")) if a.get("error") != "IdReused"]
        self.assertEqual([a for a in told if a not in (opened, announced)], [], "always the same answers")

    def test_board_that_never_comes_is_said(self):
        """Requirement: F4, F5"""
        self.start_blind()
        opened, announced = self.answer(b"open", 30), self.answer(b"announce", 30)
        self.assertEqual(announced["status"], "done", "that needs no board")
        self.assertEqual((opened["status"], opened["error"]), ("failed", "BoardOffline"), opened)
        self.sim.do("board A normal")
        wait(lambda: self.admin.slot(self.SLOT)["BoardOnline"], "the board")
        self.assertEqual(self.backend.ask("open", self.opens), opened, "an answer is an answer")
        self.assertEqual(self.pulses(), 0)


class Stops(Repeats):
    def test_stopped_while_a_door_is_waited_for(self):
        """Requirement: F5"""
        self.sim.do(f"jam {self.SLOT}")
        signed = self.give("stopped", b"first")
        self.cabinet.stop_daemon()
        self.sim.do(f"unjam {self.SLOT}")
        pulses = self.pulses()
        self.cabinet.start_daemon()
        answer = self.backend.ask("open", signed)
        self.assertEqual((answer["status"], answer["error"]), ("failed", "OutcomeUnknown"), answer)
        self.assertEqual(self.pulses(), pulses)

    def test_stopped_while_a_secret_is_hashed(self):
        """Requirement: F5"""
        arguments = {"kind": "courier", "number": "8", "name": "Ada", "pin": "917360"}
        for i in range(3):
            body = self.backend.body("enrol", {**arguments, "number": f"8{i}"}, id=f"hashed-{i}", expires=300)
            signed = self.key.sign({"cabinet": self.number, "name": "enrol", **body})
            self.backend.publish("enrol", signed, b"first")
            wait(lambda i=i: f"hashed-{i}" in self.stored_answers(), "the command in the inbox")
            self.cabinet.restart()
            answer = self.backend.ask("enrol", signed)
            self.assertEqual(answer["status"], "done", answer)
            self.assertEqual([p[2] for p in self.admin.people()].count(f"8{i}"), 1)


@needs_mount
class FullDisk(SmallDisk, Repeats):
    def setUp(self):
        self.mount_disk()
        self.settings = {"Daemon": self.daemon_settings()}
        super().setUp()
        self.cabinet.ledger = self.settings["Daemon"]["Ledger"]

    def answered_on_a_full_disk(self):
        """The door was pulsed, and what became of it can be told but not stored → (command, answer)."""
        self.sim.do(f"jam {self.SLOT}")
        signed = self.give("full", b"first")
        self.use_up()
        # An answer takes fewer pages than what found no room: the rest goes for what takes the fewest.
        for _ in range(200):
            try:
                self.client.start_session("courier").end()
            except DBusError as e:
                self.assertEqual(e.short, "StorageFull")
                break
        answer = self.answer(b"first")
        self.assertEqual((answer["status"], answer["error"]), ("failed", "DidNotOpen"), answer)
        self.assertEqual(self.stored_answers()["full"], 0, "the disk is full, after all")
        return signed, answer

    def test_answer_that_cannot_be_stored_comes_from_memory_and_is_stored_later(self):
        """Requirement: F4, F5"""
        signed, answer = self.answered_on_a_full_disk()
        self.sim.do(f"unjam {self.SLOT}")
        pulses = self.pulses()
        for _ in range(3):
            self.assertEqual(self.backend.ask("open", signed), answer)
        self.assertEqual(self.pulses(), pulses)
        self.make_room()
        wait(lambda: self.stored_answers()["full"], "the answer in the ledger", 15)
        self.cabinet.restart(kill=True)
        self.wait_online()
        self.assertEqual(self.backend.ask("open", signed), answer)
        self.assertEqual(self.pulses(), pulses)

    def test_answer_that_was_lost_with_the_power_is_unknown(self):
        """Requirement: F4, F5"""
        signed, _ = self.answered_on_a_full_disk()
        self.sim.do(f"unjam {self.SLOT}")
        pulses = self.pulses()
        self.cabinet.kill_daemon()
        self.make_room()
        self.cabinet.start_daemon()
        answer = self.backend.ask("open", signed)
        self.assertEqual((answer["status"], answer["error"]), ("failed", "OutcomeUnknown"), answer)
        self.assertEqual(self.pulses(), pulses)

    def test_command_that_finds_a_full_disk_opens_nothing_also_not_later(self):
        """Requirement: F4, F5"""
        self.use_up()
        signed = self.command_of("none")
        answer = self.backend.ask("open", signed)
        self.refused(answer, "StorageFull")
        self.make_room()
        self.assertEqual(self.backend.ask("open", signed), answer, "an answer is an answer")
        self.assertEqual(self.pulses(), 0)
        self.assertEqual(self.backend.ask("open", self.command_of("new-id"))["status"], "done")
        self.assertEqual(self.pulses(), 1)


main()
