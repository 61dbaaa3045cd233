# SPDX-License-Identifier: Apache-2.0
"""A person's errand by way of the backend: begun, decided, corrected and ended over MQTT, as a program at the terminal does it on the bus."""
import contextlib
import os
import re
import shutil
import signal
import sqlite3
import tempfile
import types

from backendlib import BackendTest, SigningKey
from daemonlib import main, wait
from linklib import Authority, Link, SocketStream, link_settings, pickup_code
from people import Scenario
from small_disk import SmallDisk, needs_mount

PIN = "258036"
VERBS = ("accept", "reject", "cancel", "reopen", "too-small", "not-empty", "does-not-open", "end")


def place_of(result):
    return types.SimpleNamespace(**result)


class Errands(BackendTest, Scenario):
    settings = {"Session": {"ReopenGrace": "30s", "AnswerTimeout": "30s"}}

    def setUp(self):
        super().setUp()
        self.heard = {}  # session → how many of its prompts have been waited for
        self.admin.enrol_courier("4711", PIN)

    def answer(self, name, signed=True, **arguments):
        return self.backend.command(name, arguments, signed=signed)

    def give(self, name, **arguments):
        answer = self.answer(name, **arguments)
        self.assertEqual(answer["status"], "done", answer)
        return answer.get("result")

    def refused(self, error, name, status="refused", **arguments):
        answer = self.answer(name, **arguments)
        self.assertEqual((answer["status"], answer.get("error")), (status, error), answer)
        return answer

    def begin_deposit(self, size="S", **more):
        return place_of(self.give("deposit", courier="4711", size=size, **more))

    def stored(self, size="S"):
        """A parcel that was brought by way of the backend."""
        put = self.begin_deposit(size)
        self.put(put)
        self.shut(put)
        self.wait_told(put.session, "stored")
        self.give("end", session=put.session)
        return put

    def begin_collect(self, parcel):
        return place_of(self.give("collect", parcel=parcel, reason="identified in the app"))

    # --- what the backend hears

    def told(self, session):
        """The prompts of a session, in the order in which they came."""
        return [e for e in self.backend.events() if e["type"] == "org.lockerd.session.prompt" and e["data"]["session"] == session]

    def wait_told(self, session, what):
        """The first prompt of this kind that has not been waited for; it and those before it are forgotten."""
        def found():
            events = self.told(session)
            return next((n for n in range(self.heard.get(session, 0), len(events)) if events[n]["data"]["what"] == what), -1) + 1
        n = wait(found, f"prompt {what!r} at the backend; there are {[e['data']['what'] for e in self.told(session)]}")
        self.heard[session] = n
        return self.told(session)[n - 1]

    def sequence(self, type, parcel):
        """Of the first event of this type about this parcel, at the backend."""
        return wait(lambda: next((int(e["sequence"]) for e in self.backend.events()
                                  if e["type"] == f"org.lockerd.{type}" and e["data"].get("parcel") == parcel), None), f"{type} at the backend")

    def state_of(self, parcel):
        return self.admin.parcel(parcel)["State"]

    def ended(self, parcel):
        return self.gone(f"/{parcel}")["state"]

    def session_rows(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return dict(db.execute("SELECT id, how FROM session WHERE terminal = 'backend'"))

    def wait_over(self, session, how="ended"):
        wait(lambda: self.session_rows()[session] == how, f"the end of session {session}: {how}")


class Reserved(Errands):
    def test_a_reserved_place_that_was_taken_out_of_service_gets_no_deposit(self):
        """Requirement: E1, F2, F8"""
        parcel = self.give("announce", size="S", phone="015123456789", reserve=True)["parcel"]
        reserved = self.admin.parcel(f"/org/lockerd/Locker1/parcel/{parcel}")["Slot"]
        self.admin.disable(reserved)
        session = self.courier()
        put = session.deposit(parcel=parcel)
        self.assertNotEqual(put.slot, reserved)
        self.put_in(session, put)
        session.end()
        # One that is in service is still used, and no other.
        parcel = self.give("announce", size="S", phone="015123456789", reserve=True)["parcel"]
        reserved = self.admin.parcel(f"/org/lockerd/Locker1/parcel/{parcel}")["Slot"]
        session = self.courier()
        self.assertEqual(session.deposit(parcel=parcel).slot, reserved)

    def test_reserved_places_that_are_not_configured_any_more_are_named_until_they_are_not_needed(self):
        """Requirement: E1, F4, F8"""
        parcels = [self.give("announce", size="M", reserve=True)["parcel"] for _ in range(2)]
        slots = [self.admin.parcel(f"/org/lockerd/Locker1/parcel/{p}")["Slot"] for p in parcels]
        self.assertEqual(slots, ["07", "08"])
        self.cabinet.stop_daemon()
        with open(self.cabinet.cabinet_path, encoding="utf-8") as f:
            text = f.read()
        with open(self.cabinet.cabinet_path, "w", encoding="utf-8") as f:
            f.write(re.sub(r"\[Slot 07-08\]\n(?:[^\[\n].*\n|\n)*", "", text))
        self.cabinet.start_daemon()
        wait(lambda: "2 in slots" in self.admin.health().get("parcels", ("", ""))[1], "both are named")
        self.admin.release(f"/org/lockerd/Locker1/parcel/{parcels[0]}", reason="no such slot")
        self.assertIn("1 in slots", self.admin.health()["parcels"][1])
        self.courier().deposit(parcel=parcels[1])
        self.assertNotIn("parcels", self.admin.health())


class Pickups(Errands):
    def test_pickup_is_rejected_at_the_open_door(self):
        """Requirement: A5, D5"""
        put = self.stored()
        got = self.begin_collect(put.parcel)
        self.assertEqual((got.slot, got.position), (put.slot, put.position))
        self.assertIn("reject", got.prompt)
        self.take(got)
        self.assertIsNone(self.give("reject", session=got.session))
        self.put(got)
        self.shut(got)
        told = self.wait_told(got.session, "rejected")
        self.assertEqual(self.state_of(put.parcel), "rejected")
        self.assertEqual(told["data"], {"session": got.session, "parcel": put.parcel, "slot": put.slot, "position": put.position,
                                        "what": "rejected", "sentence": told["data"]["sentence"]})
        self.assertEqual(told["subject"], f"session:{got.session}")
        # Each prompt comes behind what it is about.
        first = self.told(got.session)[0]
        self.assertEqual(first["data"]["what"], "take-out")
        self.assertLess(self.sequence("parcel.collecting", put.parcel), int(first["sequence"]))
        self.assertLess(int(first["sequence"]), self.sequence("parcel.rejected", put.parcel))
        self.assertLess(self.sequence("parcel.rejected", put.parcel), int(told["sequence"]))
        # What was given back is not opened again: the session is over by itself.
        self.wait_over(got.session)
        self.refused("SessionEnded", "reopen", session=got.session)

    def test_pickup_is_rejected_after_the_door_was_shut(self):
        """It is not collected a second later: the customer is asked.

        Requirement: A5, D5"""
        put = self.stored()
        got = self.begin_collect(put.parcel)
        self.reach(got)
        self.shut(got)
        self.assertEqual(self.wait_told(got.session, "choose")["data"]["sentence"], "Do you keep the item (accept) or not (reject)?")
        self.assertEqual(self.state_of(put.parcel), "collecting")
        self.give("reject", session=got.session)
        self.wait_told(got.session, "rejected")
        self.assertEqual(self.state_of(put.parcel), "rejected")

    def test_pickup_is_accepted_and_reopened_in_the_grace_time(self):
        """Requirement: A5, F3"""
        put = self.stored()
        got = self.begin_collect(put.parcel)
        self.take(got)
        self.give("accept", session=got.session)
        self.shut(got)
        self.wait_told(got.session, "collected")
        self.assertEqual(self.ended(put.parcel), "collected")
        self.assertEqual(self.give("reopen", session=got.session), {"parcel": put.parcel, "slot": got.slot, "position": got.position})
        self.reach(got)
        self.refused("WrongState", "accept", session=got.session)
        self.shut(got)
        self.admin.wait_slot(got.slot, Door="locked")
        self.give("end", session=got.session)
        self.admin.wait_slot(got.slot, InUse=False)

    def test_door_does_not_open_is_pulsed_again(self):
        """Requirement: A5, F1, F3"""
        put = self.stored()
        got = self.begin_collect(put.parcel)
        self.reach(got)
        self.shut(got)
        self.wait_told(got.session, "choose")
        self.sim.do(f"jam {got.slot}")
        answer = self.refused("DidNotOpen", "does-not-open", status="failed", session=got.session)
        self.assertIn("operator", answer["message"])
        self.sim.do(f"unjam {got.slot}")
        self.assertEqual(self.give("does-not-open", session=got.session)["slot"], got.slot)
        self.take(got)
        self.give("accept", session=got.session)
        self.shut(got)
        self.wait_told(got.session, "collected")

    def test_door_that_never_opened_leaves_no_session(self):
        """Requirement: A5, F1"""
        put = self.stored()
        self.sim.do(f"jam {put.slot}")
        self.refused("DidNotOpen", "collect", status="failed", parcel=put.parcel, reason="identified")
        self.assertEqual(set(self.session_rows().values()), {"ended", "refused"})
        self.assertEqual(self.state_of(put.parcel), "stored")
        self.sim.do(f"unjam {put.slot}")
        got = self.begin_collect(put.parcel)
        self.take(got)
        self.give("accept", session=got.session)
        self.shut(got)
        self.assertEqual(self.ended(put.parcel), "collected")


class Deposits(Errands):
    def test_deposit_is_cancelled(self):
        """Requirement: A5, F3"""
        put = self.begin_deposit()
        self.assertTrue(put.code)
        self.assertEqual(put.prompt, "Put the item in and close the door.")
        self.reach(put)
        self.give("cancel", session=put.session)
        self.wait_told(put.session, "take-out")
        self.shut(put)
        self.wait_told(put.session, "cancelled")
        self.assertEqual(self.ended(put.parcel), "cancelled")

    def test_item_is_too_large_and_goes_to_a_larger_place(self):
        """Requirement: A5, F3"""
        put = self.begin_deposit()
        self.reach(put)
        moved = place_of(self.give("too-small", session=put.session))
        self.assertEqual(moved.parcel, put.parcel)
        self.assertNotEqual(moved.slot, put.slot)
        self.shut(put)
        self.put(moved)
        self.shut(moved)
        self.assertEqual(self.wait_told(put.session, "stored")["data"]["slot"], moved.slot)
        self.give("end", session=put.session)
        self.assertEqual(self.collect(put.code).slot, moved.slot, "the code is the same")

    def test_place_is_not_empty_and_is_quarantined(self):
        """Requirement: A5, F2"""
        put = self.begin_deposit()
        self.reach(put)
        moved = place_of(self.give("not-empty", session=put.session))
        self.assertNotEqual(moved.slot, put.slot)
        self.assertEqual(self.admin.position(put.slot)[1], "quarantined")
        self.shut(put)
        self.put(moved)
        self.shut(moved)
        self.wait_told(put.session, "stored")

    def test_reopened_deposit_is_cancelled(self):
        """Requirement: A5, F3"""
        put = self.begin_deposit()
        self.put(put)
        self.shut(put)
        self.wait_told(put.session, "stored")
        self.give("reopen", session=put.session)
        self.assertEqual(self.state_of(put.parcel), "depositing")
        self.give("cancel", session=put.session)
        self.take(put)
        self.shut(put)
        self.wait_told(put.session, "cancelled")
        self.assertEqual(self.states_of(put.parcel), ["depositing", "stored", "depositing", "cancelled"])


class TakeBacks(Errands):
    def test_two_doors_one_after_the_other(self):
        """Requirement: A5, F11"""
        self.refused("NothingToCollect", "take-back", courier="4711")
        puts = [self.stored(), self.stored("M")]
        for put in puts:
            self.admin.recall(put.parcel)
        began = self.give("take-back", courier="4711")
        self.assertEqual(began["parcels"], [{"parcel": p.parcel, "slot": p.slot, "position": p.position} for p in puts])
        session = began["session"]
        for put in puts:
            told = self.wait_told(session, "take-next")["data"]
            self.assertEqual((told["parcel"], told["slot"]), (put.parcel, put.slot))
            self.take(put)
            self.shut(put)
            self.wait_told(session, "returned")
            self.assertEqual(self.ended(put.parcel), "returned")
        self.wait_told(session, "done")
        self.assertEqual([e["data"]["what"] for e in self.told(session)], ["take-next", "returned", "take-next", "returned", "done"])
        self.give("end", session=session)

    def test_cancelled_the_open_door_is_the_last(self):
        """Requirement: A5, F11"""
        puts = [self.stored(), self.stored("M")]
        for put in puts:
            self.admin.recall(put.parcel)
        session = self.give("take-back", courier="4711")["session"]
        self.give("cancel", session=session)
        self.take(puts[0])
        self.shut(puts[0])
        self.wait_told(session, "done")
        self.assertEqual(self.ended(puts[0].parcel), "returned")
        self.assertEqual(self.state_of(puts[1].parcel), "recalled")
        self.assertEqual(self.opened(puts[1].slot), [1])

    def test_unknown_courier_takes_nothing_back(self):
        """Requirement: A5, F8"""
        put = self.stored()
        self.admin.recall(put.parcel)
        self.refused("UnknownPerson", "take-back", courier="4712")
        self.refused("InvalidArgument", "take-back", courier="")
        self.assertEqual(self.opened(put.slot), [1])


class Ends(Errands):
    """The session of a backend is over when nothing is left to do in it."""

    settings = {"Session": {"ReopenGrace": "1s", "AnswerTimeout": "30s"}}

    def test_session_is_over_with_the_grace_time(self):
        """Requirement: A5, F3"""
        put = self.begin_deposit()
        self.put(put)
        self.shut(put)
        self.wait_told(put.session, "stored")
        self.wait_over(put.session)
        self.assertFalse(self.admin.slot(put.slot)["InUse"])
        self.refused("SessionEnded", "reopen", session=put.session)
        self.assertEqual(self.state_of(put.parcel), "stored")


class Idle(Errands):
    settings = {"Session": {"ReopenGrace": "10min", "AnswerTimeout": "30s", "IdleTimeout": "2s"}}

    def test_session_in_which_nothing_happens_is_over_and_says_so(self):
        """Requirement: A5"""
        put = self.begin_deposit()
        self.put(put)
        self.shut(put)
        self.wait_told(put.session, "stored")
        self.assertEqual(self.wait_told(put.session, "timed-out")["data"]["slot"], put.slot)
        self.wait_over(put.session, "timed out")
        self.refused("SessionEnded", "reopen", session=put.session)
        self.admin.wait_slot(put.slot, InUse=False)


class Crowd(Errands):
    settings = {"Session": {"ReopenGrace": "10min", "AnswerTimeout": "30s", "MaxSessions": "2"}}

    def test_settled_errands_make_room_open_doors_do_not(self):
        """Requirement: A5, A6"""
        puts = []
        for _ in range(4):
            put = self.begin_deposit()
            self.put(put)
            self.shut(put)
            self.wait_told(put.session, "stored")
            puts.append(put)
        # The oldest went first; a program at the terminal finds room as well.
        self.assertEqual([self.session_rows()[p.session] for p in puts], ["ended", "ended", None, None])
        session = self.recipient(puts[0].code)
        self.assertEqual([self.session_rows()[p.session] for p in puts], ["ended", "ended", "ended", None])
        session.end()
        doors = [self.begin_deposit(), self.begin_deposit()]
        self.refused("TooManySessions", "deposit", courier="4711", size="S")
        self.assertEqual([self.session_rows()[d.session] for d in doors], [None, None])


class Strangers(Errands):
    mqtt = {"UnsignedOpen": "yes"}

    def test_number_of_somebody_else_an_ended_one_and_one_that_never_was_look_the_same(self):
        """Requirement: A5, F8"""
        put = self.store(end=False)
        kiosk = self.recipient(put.receipt["code"])
        self.reach(kiosk.collect())
        number = int(kiosk.path.rsplit("/", 1)[1])
        over = self.stored().session
        answers = []
        for session in (number, over, 999999, 2**63 - 1):
            for verb in VERBS:
                answer = self.refused("SessionEnded", verb, session=session)
                answers.append((answer["error"], answer["message"], answer.get("result")))
        self.assertEqual(len(set(answers)), 1, answers)
        self.assertEqual(kiosk.state, "open")
        kiosk.accept()

    def test_what_a_key_began_no_unsigned_command_goes_on_with_but_another_key_does(self):
        """With UnsignedOpen=yes, for workshops, unsigned commands count as signed ones; not here.

        Requirement: A5, F5"""
        other = SigningKey(self.keys, "key-2")
        other.public(os.path.join(self.keys, "ring", "key-2.pem"))
        self.cabinet.daemon.send_signal(signal.SIGHUP)
        wait(lambda: "key-2" in self.admin.health()["signing-keys"][1], "the second key")
        put = self.stored()
        got = self.begin_collect(put.parcel)
        self.take(got)
        for verb in VERBS:
            answer = self.answer(verb, signed=False, session=got.session)
            self.assertEqual((answer["status"], answer["error"]), ("refused", "SessionEnded"), answer)
        self.assertEqual(self.state_of(put.parcel), "collecting")
        body = {"cabinet": self.number, "name": "accept", **self.backend.body("accept", {"session": got.session})}
        self.assertEqual(self.backend.ask("accept", other.sign(body))["status"], "done")
        self.shut(got)
        self.wait_told(got.session, "collected")
        # What was begun without a key may be gone on with either way.
        put = self.answer("deposit", signed=False, courier="4711", size="S")["result"]
        self.assertEqual(self.answer("cancel", signed=False, session=put["session"])["status"], "done")
        self.shut(place_of(put))
        self.wait_told(put["session"], "cancelled")
        self.give("end", session=put["session"])


class Unsigned(Errands):
    def test_unsigned_commands_do_nothing(self):
        """Requirement: A5, F5, F8"""
        put = self.stored()
        got = self.begin_collect(put.parcel)
        self.reach(got)
        for verb in VERBS:
            answer = self.answer(verb, signed=False, session=got.session)
            self.assertEqual((answer["status"], answer["error"]), ("refused", "NotSigned"), answer)
        answer = self.answer("take-back", signed=False, courier="4711")
        self.assertEqual((answer["status"], answer["error"]), ("refused", "NotSigned"), answer)
        self.assertIsNone(self.session_rows()[got.session])
        self.shut(got)
        self.wait_told(got.session, "choose")
        self.assertEqual(self.opened(got.slot), [2])

    def test_arguments_are_read_strictly(self):
        """Requirement: F5"""
        for verb in VERBS:
            for wrong in ({}, {"session": "1"}, {"session": 0}, {"session": 1, "reason": "x"}):
                self.refused("InvalidArgument", verb, **wrong)

    def test_what_is_not_this_persons_is_refused(self):
        """Requirement: A4, A5"""
        put = self.begin_deposit()
        self.reach(put)
        for verb in ("accept", "reject"):
            self.refused("NotAllowed", verb, session=put.session)
        self.put(put)
        self.shut(put)
        self.wait_told(put.session, "stored")
        self.give("end", session=put.session)
        got = self.begin_collect(put.parcel)
        self.reach(got)
        for verb in ("too-small", "not-empty"):
            self.refused("NotAllowed", verb, session=got.session)
        self.refused("WrongState", "cancel", session=got.session)
        self.assertEqual(self.state_of(put.parcel), "collecting")


class Repeated(Errands):
    def signed(self, name, id, **arguments):
        body = self.backend.body(name, arguments, id=id, expires=300)
        return self.key.sign({"cabinet": self.number, "name": name, **body})

    def test_repeat_gets_the_stored_answer_also_after_a_restart(self):
        """Requirement: A5, F5"""
        put = self.stored()
        collect = self.signed("collect", "collect-1", parcel=put.parcel, reason="identified")
        first = self.backend.ask("collect", collect)
        got = place_of(first["result"])
        self.take(got)
        self.assertEqual(self.backend.ask("collect", collect), first)
        self.shut(got)
        self.wait_told(got.session, "choose")
        again = self.signed("does-not-open", "again-1", session=got.session)
        opened = self.backend.ask("does-not-open", again)
        self.assertEqual(opened["status"], "done", opened)
        self.put(got)
        reject = self.signed("reject", "reject-1", session=got.session)
        said = self.backend.ask("reject", reject)
        self.shut(got)
        self.wait_told(got.session, "rejected")
        self.assertEqual(self.backend.ask("does-not-open", again), opened)
        self.assertEqual(self.opened(got.slot), [3])
        self.cabinet.restart(kill=True)
        self.wait_online()
        for name, payload, before in (("collect", collect, first), ("does-not-open", again, opened), ("reject", reject, said)):
            self.assertEqual(self.backend.ask(name, payload), before)
        self.assertEqual(self.opened(got.slot), [3])
        answer = self.backend.command("accept", {"session": got.session}, signed=True, id="reject-1")
        self.assertEqual(answer["error"], "IdReused", answer)

    def test_session_is_gone_after_a_restart(self):
        """Requirement: A5, D5, F1"""
        put = self.stored()
        got = self.begin_collect(put.parcel)
        self.take(got)
        self.give("reject", session=got.session)
        self.cabinet.restart(kill=True)
        self.wait_online()
        for verb in VERBS:
            self.refused("SessionEnded", verb, session=got.session)
        # What was said is remembered: it is in the ledger since it was said.
        self.sim.do(f"put {got.slot}")
        self.shut(got)
        wait(lambda: self.state_of(put.parcel) in ("rejected", "unverified"), "the end of it")

    def test_restart_while_a_door_is_waited_for_is_an_unknown_outcome(self):
        """Requirement: A5, F5"""
        put = self.stored()
        got = self.begin_collect(put.parcel)
        self.reach(got)
        self.shut(got)
        self.wait_told(got.session, "choose")
        self.sim.do(f"jam {got.slot}")
        pulses = self.sim.place(got.slot)["pulses"]
        again = self.signed("does-not-open", "again-2", session=got.session)
        self.backend.publish("does-not-open", again, b"first")
        wait(lambda: self.sim.place(got.slot)["pulses"] > pulses, "the pulse")
        self.cabinet.kill_daemon()
        pulses = self.sim.place(got.slot)["pulses"]
        self.sim.do(f"unjam {got.slot}")
        self.cabinet.start_daemon()
        self.wait_online()
        answer = self.backend.ask("does-not-open", again)
        self.assertEqual((answer["status"], answer["error"]), ("failed", "OutcomeUnknown"), answer)
        self.assertEqual(self.sim.place(got.slot)["pulses"], pulses)
        self.refused("SessionEnded", "reopen", session=got.session)


@needs_mount
class FullDisk(SmallDisk, Errands):
    def setUp(self):
        self.mount_disk()
        self.settings = {"Daemon": self.daemon_settings(), "Session": {"ReopenGrace": "30s", "AnswerTimeout": "10min"}}
        super().setUp()

    def test_prompt_is_lost_the_errand_is_not(self):
        """Requirement: A5, F4"""
        put = self.stored()
        got = self.begin_collect(put.parcel)
        self.take(got)
        self.wait_told(got.session, "take-out")
        self.wait_drained()
        self.use_up()
        self.shut(got)
        self.cabinet.wait_log('Cannot record the prompt "choose"')
        # A full disk does not forbid to decide; what came of it is written when there is room.
        self.give("accept", session=got.session)
        self.assertEqual(self.state_of(put.parcel), "collecting")
        self.make_room()
        self.wait_told(got.session, "collected")
        self.assertEqual(self.ended(put.parcel), "collected")
        self.assertNotIn("choose", [e["data"]["what"] for e in self.told(got.session)])


    def test_low_storage_stops_deposits_not_what_is_said_at_an_open_door(self):
        """Requirement: A5, F4"""
        stored = self.stored()
        put = self.begin_deposit()
        self.reach(put)
        self.fill(4 << 20)  # below MinimumFree=
        self.refused("StorageFull", "deposit", courier="4711", size="S")
        moved = place_of(self.give("too-small", session=put.session))
        self.shut(put)
        self.give("cancel", session=put.session)
        self.reach(moved)
        self.shut(moved)
        self.wait_told(put.session, "cancelled")
        self.give("end", session=put.session)
        got = self.begin_collect(stored.parcel)
        self.reach(got)
        self.give("reject", session=got.session)
        self.shut(got)
        self.wait_told(got.session, "rejected")
        began = self.give("take-back", courier="4711")
        self.take(got)
        self.shut(got)
        self.wait_told(began["session"], "done")
        self.give("end", session=began["session"])


# --- the same errands on the bus and over MQTT

class OnTheBus:
    """Errands as a program at the terminal has them."""

    def __init__(self, test):
        self.test = test
        self.session = None
        self.prompts = []
        self.codes = {}

    def _place(self, answer, parcel):
        return types.SimpleNamespace(slot=answer[0], position=answer[1], parcel=parcel)

    def _start(self, kind):
        self.session = self.test.client.start_session(kind)
        return self.session

    def deposit(self, size):
        self._start("courier").authenticate_pin("4711", PIN)
        put = self.session.deposit(size=size)
        parcel = put.receipt["parcel"]
        self.codes[parcel] = put.receipt["code"]
        self.parcel = parcel
        return types.SimpleNamespace(slot=put.slot, position=put.position, parcel=parcel)

    def collect(self, parcel):
        self._start("recipient").authenticate_code(self.codes[parcel])
        self.parcel = parcel
        got = self.session.collect()
        return types.SimpleNamespace(slot=got.slot, position=got.position, parcel=parcel)

    def take_back(self):
        self._start("courier").authenticate_pin("4711", PIN)
        return [types.SimpleNamespace(slot=s, position=n, parcel=int(p.rsplit("/", 1)[1])) for p, s, n in self.session.take_back()]

    def say(self, verb):
        getattr(self.session, verb.replace("-", "_"))()

    def open_again(self, verb):
        place = getattr(self.session, verb.replace("-", "_"))()
        return types.SimpleNamespace(slot=place[0], position=place[1], parcel=self.parcel)

    def wait_prompt(self, what):
        prompts = self.session.prompts
        wait(lambda: any(p.what == what for p in prompts), f"prompt {what}")
        while True:
            p = prompts.pop(0)
            self.prompts.append((p.slot, p.position, p.what, p.sentence))
            if p.what == what:
                return

    def end(self):
        self.session.end()


class OverMqtt:
    """The same, as a backend has them."""

    def __init__(self, test):
        self.test = test
        self.session = None
        self.prompts = []

    def _begin(self, result):
        self.session = result["session"]
        return result

    def deposit(self, size):
        return place_of(self._begin(self.test.give("deposit", courier="4711", size=size)))

    def collect(self, parcel):
        return place_of(self._begin(self.test.give("collect", parcel=parcel, reason="identified")))

    def take_back(self):
        return [place_of(p) for p in self._begin(self.test.give("take-back", courier="4711"))["parcels"]]

    def say(self, verb):
        self.test.give(verb, session=self.session)

    def open_again(self, verb):
        return place_of(self.test.give(verb, session=self.session))

    def wait_prompt(self, what):
        before = self.test.heard.get(self.session, 0)
        self.test.wait_told(self.session, what)
        told = self.test.told(self.session)[before:self.test.heard[self.session]]
        self.prompts += [tuple(e["data"][k] for k in ("slot", "position", "what", "sentence")) for e in told]

    def end(self):
        # One that has ended by itself (after a rejection) is over all the same.
        answer = self.test.answer("end", session=self.session)
        self.test.assertIn((answer["status"], answer.get("error")), [("done", None), ("refused", "SessionEnded")])


class OverLink:
    """The same, with handhelds: the courier's with a certificate, the recipient's with the code that the courier's has computed."""

    def __init__(self, test):
        self.test = test
        self.link = None
        self.codes = {}
        self.prompts = []

    def _begin(self, courier=False):
        cert = self.test.courier_files if courier else (None, None)
        self.link = Link(SocketStream(f"unix:{self.test.settings['Link']['Listen']}"), self.test.number, self.test.authority.file, *cert)
        return self.link

    def _keep(self, put):
        self.codes[put["parcel"]] = pickup_code(bytes.fromhex(put["key"]), put["slot"], put["deposited"])
        return place_of(put)

    def deposit(self, size):
        return self._keep(self._begin(courier=True).request("deposit", size=size))

    def collect(self, parcel):
        return place_of(self._begin().request("collect", code=self.codes[parcel]))

    def take_back(self):
        return [place_of(p) for p in self._begin(courier=True).request("take-back")["parcels"]]

    def say(self, verb):
        self.link.request(verb)

    def open_again(self, verb):
        place = self.link.request(verb)
        return self._keep(place) if verb in ("too-small", "not-empty") else place_of(place)

    def wait_prompt(self, what):
        while True:
            p = self.link.prompt(20)
            self.prompts.append((p.get("slot", ""), p.get("position", 0), p["prompt"], p["sentence"]))
            if p["prompt"] == what:
                return

    def end(self):
        self.link.request("end")
        self.link.close()


def only_shared_in_m(text):
    """cabinet-60 with nothing but the shared slots in size M."""
    return re.sub(r"(\[Slot 4[19]-\d+\]\n)Size=M", r"\1Size=S", text)


class AllWays(Errands):
    cabinet_file = "cabinet-60.conf"
    edit = staticmethod(only_shared_in_m)

    def setUp(self):
        directory = tempfile.mkdtemp(prefix="link-")
        self.addCleanup(shutil.rmtree, directory, True)
        self.authority = Authority(directory)
        self.courier_files = self.authority.courier("4711")[1:]
        self.settings = {**self.settings, "Link": link_settings(self.authority, "C-0060")}
        super().setUp()

    # Each movement of the hands is seen before the next: else two facts may come in either order.

    def step(self, place, item):
        """Something is put in ("put"), taken out ("take") or left as it is ("leave")."""
        lock = self.reach(place)
        self.admin.wait_slot(place.slot, Door="open")
        if lock != place.slot:
            wait(lambda: self.admin.position(place.slot, place.position)[2] in ("open", "released"), "the open lid seen")
        if item != "leave":
            self.sim.do(f"{item} {lock}")
            self.seen(place, lock)

    def seen(self, place, lock):
        if lock != place.slot:
            there = "occupied" if self.sim.place(lock)["item"] else "empty"
            wait(lambda: self.admin.position(place.slot, place.position)[3] == there, f"{there} seen")

    def shut_slowly(self, place, seen=True):
        lock = self.lock_name(place.slot, place.position)
        if lock != place.slot:
            self.push(lock)
            wait(lambda: self.admin.position(place.slot, place.position)[2] == "locked", "the locked lid seen")
        self.push(place.slot)
        if seen:
            self.admin.wait_slot(place.slot, Door="locked")

    def deposited(self, way, size):
        put = way.deposit(size)
        way.wait_prompt("put-in")
        self.step(put, "put")
        self.shut_slowly(put)
        way.wait_prompt("stored")
        way.end()
        return put.parcel

    def rejected(self, way, size):
        """→ the parcel, in the cabinet still."""
        parcel = self.deposited(way, size)
        got = way.collect(parcel)
        way.wait_prompt("take-out")
        self.step(got, "take")
        way.say("reject")
        if size == "M":  # a sensor sees that it is not there yet
            self.shut_slowly(got)
            way.wait_prompt("put-back")
            way.open_again("reopen")
        self.step(got, "put")
        self.shut_slowly(got)
        way.wait_prompt("rejected")
        way.end()
        return parcel

    def too_small_and_cancelled(self, way):
        put = way.deposit("S")
        way.wait_prompt("put-in")
        self.step(put, "leave")
        moved = way.open_again("too-small")
        way.wait_prompt("put-in")
        self.shut_slowly(put)
        self.step(moved, "put")
        self.shut_slowly(moved)
        way.wait_prompt("stored")
        way.open_again("reopen")
        way.say("cancel")
        way.wait_prompt("take-out")
        self.step(moved, "take")
        self.shut_slowly(moved)
        way.wait_prompt("cancelled")
        way.end()

    def not_empty_and_collected(self, way):
        put = way.deposit("S")
        way.wait_prompt("put-in")
        self.step(put, "leave")
        moved = way.open_again("not-empty")
        way.wait_prompt("put-in")
        self.shut_slowly(put)
        self.step(moved, "put")
        self.shut_slowly(moved)
        way.wait_prompt("stored")
        way.end()
        got = way.collect(moved.parcel)
        way.wait_prompt("take-out")
        self.step(got, "leave")
        self.shut_slowly(got)
        way.wait_prompt("choose")
        way.open_again("does-not-open")
        way.say("accept")
        self.step(got, "take")
        self.shut_slowly(got)
        way.wait_prompt("collected")
        way.open_again("reopen")
        self.step(got, "leave")
        self.shut_slowly(got)
        way.end()

    def all_taken_back(self, way, parcels):
        for parcel in parcels:
            if self.state_of(parcel) == "stored":
                self.admin.recall(parcel)
        places = way.take_back()
        self.assertEqual([p.parcel for p in places], parcels)
        for place in places:
            way.wait_prompt("take-next")
            self.step(place, "take")
            self.shut_slowly(place, seen=False)  # the next door may be the same one, and opens at once
            way.wait_prompt("returned")
        way.wait_prompt("done")
        way.end()

    def walk(self, way):
        """Every kind of errand once → what the ledger knows of it, but for ids, times and names."""
        mark = self.last_event()
        parcels = [self.rejected(way, "S"), self.rejected(way, "M")]
        self.too_small_and_cancelled(way)
        self.not_empty_and_collected(way)
        parcels.append(self.deposited(way, "M"))
        kept = self.deposited(way, "S")
        self.all_taken_back(way, parcels)
        self.wait_drained()
        rows = self.rows(mark)
        # Nothing of the first walk is left in the cabinet for the second one.
        self.collect_left(kept)
        return rows

    def collect_left(self, parcel):
        got = self.begin_collect(parcel)
        self.step(got, "take")
        self.give("accept", session=got.session)
        self.shut_slowly(got)
        self.wait_told(got.session, "collected")

    @staticmethod
    def codes_issued(rows):
        return sum(type == "code.issued" for type, _ in rows["event"])

    @staticmethod
    def but_for_codes(rows):
        return {**rows, "event": [row for row in rows["event"] if row[0] != "code.issued"]}

    def rows(self, mark):
        parcel = "id, state, slot, position, size, waybill, person, courier_number, stored > 0, expires > 0"
        queries = {
            "parcel": f"SELECT {parcel}, choice, taking_back, was, temperature, accessible, larger FROM parcel ORDER BY id",
            "history": f"SELECT {parcel} FROM parcel_history ORDER BY id",
            "movement": "SELECT parcel, slot, position, action, why, reason, outcome, session IS NOT NULL FROM movement ORDER BY id",
            "event": f"SELECT type, CASE WHEN type LIKE 'slot.%' OR type LIKE 'door.%' THEN subject END FROM event WHERE sequence > {mark} "
                     "AND type <> 'session.prompt' ORDER BY sequence",
        }
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return {name: list(db.execute(query)) for name, query in queries.items()}

    def start_anew(self):
        """The same cabinet, empty, with a new ledger."""
        self.cabinet.stop_daemon()
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.cabinet.ledger + end)
        # Nobody remembers the one before.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.cabinet.ledger + ".mark")
        for topic in ("state", "ledger"):
            self.backend.client.publish(f"lockerd/v1/{self.number}/{topic}", b"", qos=1, retain=True).wait_for_publish()
        self.cabinet.start_daemon()
        self.wait_online()
        self.admin.enrol_courier("4711", PIN)
        self.heard = {}
        self.backend.receive().clear()

    def test_same_errands_on_the_bus_over_mqtt_and_over_the_link_leave_the_same_ledger(self):
        """Requirement: A5, B1, B3"""
        ways = [OnTheBus(self), OverMqtt(self), OverLink(self)]
        first = self.walk(ways[0])
        self.start_anew()
        second = self.walk(ways[1])
        self.start_anew()
        third = self.walk(ways[2])
        # A code that is made of the place is another one at another place: too-small and not-empty.
        self.assertEqual(self.codes_issued(third), self.codes_issued(first) + 2)
        for table, rows in first.items():
            self.assertGreater(len(rows), 0, table)
            self.assertEqual(rows, second[table], table)
            self.assertEqual(self.but_for_codes(first)[table], self.but_for_codes(third)[table], table)
        self.assertEqual(ways[0].prompts, ways[1].prompts, "the person is told the same")
        self.assertEqual(ways[0].prompts, ways[2].prompts, "the person is told the same")
        self.assertGreaterEqual({r[4] for r in first["movement"]},
                                {"deposit", "collect", "reopen", "take-back", "too-small", "not-empty", "does-not-open"})
        self.assertEqual({r[1] for r in first["history"]}, {"collected", "cancelled", "returned"})


main()
