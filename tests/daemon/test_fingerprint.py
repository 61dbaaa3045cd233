# SPDX-License-Identifier: Apache-2.0
"""People and their fingers: the real daemon, the real worker, and a module that is played byte by byte (uartmodule.py)."""
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time

import test_replaced_worker
import uartmodule
from daemonlib import CABINET, ROOT, DBusError, GLib, build_directory, dictionary, main, wait
from fingers import AtReader
from people import Scenario
from uartmodule import UartModule

WORKER = os.path.join(build_directory(), "src", "fingerprint", "lockerd-fingerprint")
PHONE = "+49 170 5550123"


class Fingers(AtReader):
    """A fingerprint module."""
    worker = WORKER
    module_options = {}

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lockerd-reader-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder, True)
        device = os.path.join(self.folder, "reader")
        self.module = UartModule(device, **self.module_options)
        self.addCleanup(self.module.stop)
        type(self).edit = staticmethod(lambda text: text + f"\n[Reader fingerprint]\nDevice={device}\n")
        super().setUp()
        self.wait_reader("ok")

    def wait_looks(self, n=1):
        """Until the module has looked so often more for a finger that is not there."""
        seen = self.module.seen
        wait(lambda: self.module.seen >= seen + n, "the module looks for a finger")

    def enrol(self, finger, second=None, **person):
        """Somebody enrols at the reader: touch, lift, touch → the person's number."""
        pending = self.begin_enrol(**person)
        self.wait_looks()
        self.touch_twice(finger, second)
        return pending.result()

    def touch_twice(self, finger, second=None):
        before = self.module.count(uartmodule.EXTRACT)
        self.module.touch(finger)
        wait(lambda: self.module.count(uartmodule.EXTRACT) > before, "the first capture")
        self.module.lift()
        self.wait_looks(2)
        self.module.touch(second or finger)
        wait(lambda: self.module.count(uartmodule.EXTRACT) > before + 1, "the second capture")
        self.module.lift()

    def sign_in(self, session, finger, **claim):
        pending = self.begin_sign_in(session, **claim)
        session.wait_prompt("touch")
        self.module.touch(finger)
        try:
            return pending.result()
        finally:
            self.module.lift()

    def courier_by_finger(self, finger="anna", number="4711", client=None):
        session = (client or self.client).start_session("courier")
        self.sign_in(session, finger, number=number)
        return session

    def assert_empty_module(self):
        wait(self.module.holds_nothing, "nothing left in the module")
        self.assertEqual(self.module.count(uartmodule.STORE), 0, "nothing was ever stored in it")


class SignIn(Fingers):
    def test_courier_deposits_by_fingerprint(self):
        """Enrolled with number and fingerprint, without any PIN; the finger opens the cabinet for a deposit.

        Requirement: D1, A2
        """
        self.enrol_courier()
        self.assertEqual([p[5] for p in self.admin.people()], [["fingerprint"]])
        self.assert_empty_module()
        session = self.courier_by_finger()
        self.assertEqual(session.state, "authenticated")
        self.assert_empty_module()
        put = self.store(session=session, end=True)
        self.assertEqual(self.opened(put.slot), [1])
        self.assertIn("courier:4711", {p["Courier"] and f"courier:{p['Courier']}" for p in self.admin.parcels().values()})

    def test_a_finger_comes_and_goes_beside_a_pin(self):
        """One more credential of somebody who is enrolled, on a consent of its own; revoked, it is gone alone.

        Requirement: D1, C6
        """
        person = self.admin.enrol_courier("4711", "258036")
        self.assertRefused("InvalidArgument", self.begin_enrol_credential(person).result)
        self.assertRefused("InvalidArgument", self.begin_enrol_credential(person, fingerprint="anna", consent=True).result)
        pending = self.begin_enrol_credential(person, consent=True, consent_text="fingers", consent_version="3")
        self.wait_looks()
        self.touch_twice("anna")
        self.assertEqual(pending.result(), {})
        self.assertEqual([p[5] for p in self.admin.people()], [["pin", "fingerprint"]])
        self.assertEqual(self.admin.credentials(person)["fingerprint"][3:5], ("fingers", "3"))
        self.courier_by_finger().end()
        self.admin.revoke_credential(person, "fingerprint")
        session = self.client.start_session("courier")
        self.assertRefused("WrongCredential", self.sign_in, session, "anna", number="4711")
        session.authenticate_pin("4711", "258036")

    def begin_enrol_credential(self, person, **credential):
        return self.admin.begin(ROOT, CABINET, "EnrolCredential", "tsa{sv}", person, "fingerprint", dictionary(**credential))

    def test_recipient_collects_by_fingerprint(self):
        """A recipient gives their phone, then their finger, and gets what is theirs; the code opens as well.

        Requirement: C1, C3
        """
        self.enrol("erika", kind="recipient", phone=PHONE, name="Erika Mustermann", consent=True)
        put = self.store(phone=PHONE)
        other = self.store(phone="+49 170 5550999")
        session = self.client.start_session("recipient")
        self.sign_in(session, "erika", phone=PHONE)
        self.assertEqual(session.parcels, [put.parcel])
        with self.only(put.slot):
            place = session.collect()
            self.assertEqual(place.slot, put.slot)
            self.take(place)
            session.accept()
            self.shut(place)
            session.wait_prompt("collected")
        self.assertTrue(self.item(other))

    def test_recipients_are_claimed_by_what_they_come_for(self):
        """Phone tail, parcel number or waybill, then one touch: whoever of those whose parcel it could be has this finger. Two who have it are
        nobody, and an unknown claim costs the module the same work.

        Requirement: C1, C3, F15
        """
        phones = [f"+49 17{i} 1234567" for i in range(3)]
        for finger, phone in zip(("erika", "karl", "karl"), phones):
            self.enrol(finger, kind="recipient", phone=phone, name="E", consent=True)
        erika, karl = self.store(phone=phones[0], waybill="WB-1"), self.store(phone=phones[1])
        session = self.client.start_session("recipient")
        number = int(karl.parcel.rsplit("/", 1)[1])
        for finger, claim, wanted in (("erika", {"phone_tail": "4567"}, erika), ("karl", {"phone_tail": "34567"}, karl),
                                      ("erika", {"waybill": "WB-1"}, erika), ("karl", {"parcel": number}, karl)):
            self.sign_in(session, finger, **claim)
            self.assertEqual(session.parcels, [wanted.parcel])
            self.assert_empty_module()
        other = self.store(phone=phones[2])
        with self.only():
            for finger, claim in (("karl", {"phone_tail": "4567"}), ("anna", {"phone_tail": "4567"}), ("karl", {"waybill": "WB-1"}),
                                  ("karl", {"phone_tail": "0000"}), ("erika", {"parcel": 99})):
                matches = self.module.count(uartmodule.MATCH)
                self.assertRefused("WrongCredential", self.sign_in, session, finger, **claim)
                self.assertEqual(self.module.count(uartmodule.MATCH), matches + 4, claim)
                self.assert_empty_module()
        self.sign_in(session, "karl", phone_tail="21234567")
        self.assertEqual(session.parcels, [other.parcel])

    def test_a_finger_of_another_type_of_reader_keeps_no_neighbour_out(self):
        """Requirement: C3, F15"""
        phones = [f"+49 17{i} 1234567" for i in range(2)]
        self.enrol("erika", kind="recipient", phone=phones[0], name="E", consent=True)
        self.module.unplug()
        self.wait_reader("failed")
        self.module.system_id = 10
        self.module.plug()
        self.wait_reader("ok")
        self.enrol("karl", kind="recipient", phone=phones[1], name="K", consent=True)
        puts = [self.store(phone=phone) for phone in phones]
        session = self.client.start_session("recipient")
        self.sign_in(session, "karl", phone_tail="4567")
        self.assertEqual(session.parcels, [puts[1].parcel])
        self.assertRefused("WrongCredential", self.sign_in, session, "erika", phone_tail="4567")
        self.assertRefused("ReaderFailed", self.begin_sign_in(session, phone=phones[0]).result)

    def test_no_template_of_a_recipient_without_consent(self):
        """Requirement: C6"""
        self.assertRefused("InvalidArgument", self.begin_enrol(kind="recipient", phone=PHONE, name="Erika").result)
        self.assertEqual(self.module.count(uartmodule.EXTRACT), 0)
        self.assertEqual(self.admin.people(), [])

    def test_wrong_finger_opens_nothing_and_locks_after_three(self):
        """Wrong fingers count for the claim as wrong PINs do, whoever is claimed; the right one does not help then.

        Requirement: C3, D1, F15
        """
        self.enrol_courier()
        self.enrol_courier("bert", "4712")
        session = self.client.start_session("courier")
        with self.only():
            for wrong in ("bert", "carl"):
                self.assertRefused("WrongCredential", self.sign_in, session, wrong, number="4711")
                self.assert_empty_module()
            self.assertRefused("WrongCredential", self.sign_in, session, "bert", number="4711")
            self.assertEqual(session.state, "new")
            self.assertRefused("NotAuthenticated", session.deposit, size="S")
            looks = self.module.count(uartmodule.GET_IMAGE)
            self.assertRefused("LockedOut", self.begin_sign_in(session, number="4711").result)
            self.assertEqual(self.module.count(uartmodule.GET_IMAGE), looks, "nobody is asked for a finger")
        self.assertIn("fingerprint:courier-4711", self.admin.lockouts())
        self.assertEqual(len([e for e in self.admin.events() if e.type == "credential.wrong"]), 3)
        self.sign_in(session, "bert", number="4712")  # somebody else's finger for their own number is right

    def test_somebody_whom_nobody_enrolled_is_told_no_more(self):
        """An unknown number is asked for a finger, compared and refused like a wrong one.

        Requirement: F15
        """
        self.enrol_courier()
        session = self.client.start_session("courier")
        matches = self.module.count(uartmodule.MATCH)
        self.assertRefused("WrongCredential", self.sign_in, session, "anna", number="9999")
        self.assertEqual(self.module.count(uartmodule.MATCH), matches + 1, "the same work")
        self.assertRefused("WrongCredential", self.sign_in, session, "anna", number="9999")
        self.assert_empty_module()

    def test_courier_lifts_the_code_lock_by_fingerprint(self):
        """Three wrong codes lock the entry; a courier's finger lifts it.

        Requirement: D4
        """
        self.enrol_courier()
        put = self.store(session=self.courier_by_finger())
        code = put.receipt["code"]
        wrong = "".join("7" if c != "7" else "8" for c in code)
        session = self.client.start_session("recipient")
        for _ in range(3):
            self.assertRefused("WrongCode", session.authenticate_code, wrong)
        self.assertRefused("LockedOut", session.authenticate_code, code)
        courier = self.courier_by_finger()
        courier.lift_lockout()
        courier.end()
        session.authenticate_code(code)
        self.assertEqual(session.parcels, [put.parcel])

    def test_a_finger_that_still_rests_on_the_reader_is_nobodys(self):
        """A program that begins another session at once gets nothing out of the touch before: each attempt has its own.

        Requirement: F17, C3
        """
        self.enrol_courier()
        first, second = self.client.start_session("courier"), self.client.start_session("courier")
        pending = self.begin_sign_in(first, number="4711")
        first.wait_prompt("touch")
        self.module.touch("anna")
        pending.result()
        pending = self.begin_sign_in(second, number="4711")
        second.wait_prompt("lift")
        time.sleep(0.5)
        self.assertFalse(pending.done)
        self.assertEqual(second.state, "new")
        self.module.lift()
        second.wait_prompt("touch")
        self.module.touch("bert")
        self.assertRefused("WrongCredential", pending.result)

    def test_a_kiosk_that_claims_a_match_gets_nothing(self):
        """The sample comes from the cabinet's own reader: whatever a program says about a finger counts for nothing.

        Requirement: F17, C3
        """
        self.enrol_courier()
        session = self.client.start_session("courier")
        claims = [{"fingerprint": "anna"}, {"match": GLib.Variant("b", True)}, {"template": GLib.Variant("ay", b"FP")}, {"score": GLib.Variant("u", 999)},
                  {"fingerprint": GLib.Variant("b", True)}]
        with self.only():
            for extra in claims:
                self.assertRefused("InvalidArgument", session.authenticate, "fingerprint", number="4711", **extra)
            self.assertRefused("InvalidArgument", session.authenticate, "fingerprint")
            self.assertEqual(session.state, "new")
            self.assertRefused("NotAuthenticated", session.deposit, size="S")

    def test_an_enrolled_finger_works_after_a_restart_and_not_after_revocation(self):
        """Requirement: D1, C6"""
        person = self.enrol_courier()
        self.cabinet.restart()
        self.wait_reader("ok")
        self.courier_by_finger().end()
        self.admin.revoke(person)
        session = self.client.start_session("courier")
        self.assertRefused("WrongCredential", self.sign_in, session, "anna", number="4711")

    def test_no_template_lies_about_in_the_clear(self):
        """Neither in the ledger nor beside it, nor in the log.

        Requirement: F9, C6
        """
        self.enrol_courier()
        self.courier_by_finger().end()
        known = uartmodule.hashlib.sha256(b"9:anna").digest()
        with sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM credential WHERE kind = 'fingerprint'").fetchone(), (1,))
        for folder, _, names in os.walk(self.cabinet.directory):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as f:
                        self.assertNotIn(known, f.read(), path)

    def test_two_touches_of_different_fingers_enrol_nobody(self):
        """Requirement: C1"""
        error = self.assertRefused("NoSample", lambda: self.enrol("anna", "bert", kind="courier", number="4711", name="Anna", consent=True))
        self.assertIn("not the same", error.message)
        self.assertEqual(self.admin.people(), [])
        self.assert_empty_module()
        self.enrol_courier()  # and then they do it right

    def test_a_smudged_finger_is_asked_for_again(self):
        """Useless captures are told and are no failed attempts; when nothing comes of it, that is said.

        Requirement: D1
        """
        self.enrol_courier()
        session = self.client.start_session("courier")
        self.module.poor = 1
        pending = self.begin_sign_in(session, number="4711")
        session.wait_prompt("touch")
        self.module.touch("anna")
        session.wait_prompt("lift")
        self.module.lift()
        session.wait_prompt("again")
        self.module.touch("anna")
        pending.result()
        self.module.lift()
        self.module.poor = 3
        pending = self.begin_sign_in(session, number="4711")
        for prompt in ("touch", "lift", "again", "lift", "again"):
            session.wait_prompt(prompt)
            self.module.touch("anna") if prompt != "lift" else self.module.lift()
        self.assertRefused("NoSample", pending.result)
        self.assertEqual(self.admin.lockouts(), {})


class Leaving(Fingers):
    def test_cancel_ends_the_wait_and_frees_the_reader(self):
        """Requirement: F3"""
        self.enrol_courier()
        session = self.client.start_session("courier")
        pending = self.begin_sign_in(session, number="4711")
        session.wait_prompt("touch")
        session.cancel()
        self.assertRefused("Cancelled", pending.result)
        self.assertEqual(session.state, "new")
        self.module.touch("anna")  # too late: nobody asked for it
        time.sleep(0.3)
        self.assertEqual(session.state, "new")
        self.module.lift()
        self.sign_in(session, "anna", number="4711")
        self.assertEqual(session.state, "authenticated")
        self.assertRefused("WrongState", session.cancel)

    def test_the_attempt_ends_with_its_caller(self):
        """A kiosk program that dies leaves nobody's finger waited for, and the next one has the reader.

        Requirement: F4
        """
        self.enrol_courier()
        kiosk = self.cabinet.client()
        session = kiosk.start_session("courier")
        self.begin_sign_in(session, number="4711")
        session.wait_prompt("touch")
        kiosk.close()
        other = self.client.start_session("courier")
        self.sign_in(other, "anna", number="4711")
        self.assertEqual(other.state, "authenticated")

    def test_ending_the_session_ends_the_attempt(self):
        """Requirement: F4"""
        self.enrol_courier()
        session = self.client.start_session("courier")
        pending = self.begin_sign_in(session, number="4711")
        session.wait_prompt("touch")
        session.end()
        self.assertRefused("SessionEnded", pending.result)
        self.courier_by_finger().end()

    def test_two_people_are_not_at_one_reader(self):
        """Whose finger it is must be clear: the second one waits.

        Requirement: A6, F17
        """
        self.enrol_courier()
        self.enrol_courier("bert", "4712")
        first, second = self.client.start_session("courier"), self.cabinet.client().start_session("courier")
        pending = self.begin_sign_in(first, number="4711")
        first.wait_prompt("touch")
        self.assertRefused("Busy", self.begin_sign_in(second, number="4712").result)
        self.assertRefused("Busy", self.begin_enrol(kind="courier", number="4713", name="Carl", consent=True).result)
        self.module.touch("anna")
        pending.result()
        self.module.lift()
        self.assertEqual((first.state, second.state), ("authenticated", "new"))
        self.sign_in(second, "bert", number="4712")


class Faults(Fingers):
    """What is wrong with the reader: each has its sentence, counts for nobody and opens nothing."""

    def setUp(self):
        super().setUp()
        self.enrol_courier()
        self.session = self.client.start_session("courier")

    def fails(self, sentence, fault):
        """The fault comes when the person is asked for a finger."""
        pending = self.begin_sign_in(self.session, number="4711")
        self.session.wait_prompt("touch")
        with self.only():
            fault()
            self.module.touch("anna")
            error = self.assertRefused("ReaderFailed", pending.result)
        self.assertIn(sentence, error.message)
        self.assertEqual(self.session.state, "new")
        self.assertEqual(self.admin.lockouts(), {})
        self.module.lift()

    def works_again(self):
        self.wait_reader("ok")
        self.sign_in(self.session, "anna", number="4711")
        self.assertEqual(self.session.state, "authenticated")
        self.assert_empty_module()

    def test_unplugged_in_mid_touch(self):
        """Requirement: F4"""
        self.fails("unplugged", self.module.unplug)
        self.assertEqual(self.session.wait_prompt("reader-missing").what, "reader-missing")
        self.wait_reader("failed")
        self.store(session=self.pin_courier())  # everything else goes on
        error = self.assertRefused("ReaderFailed", self.begin_sign_in(self.session, number="4711").result)
        self.assertIn("not connected", error.message)
        self.module.plug()
        self.works_again()

    def pin_courier(self):
        self.admin.enrol_courier("0815", "258036")
        session = self.client.start_session("courier")
        session.authenticate_pin("0815", "258036")
        return session

    def test_wrong_checksums(self):
        """One is asked for again, more are a fault.

        Requirement: F4
        """
        self.module.corrupt = 1
        self.sign_in(self.session, "anna", number="4711")
        self.session.end()
        self.session = self.client.start_session("courier")
        self.fails("damaged", lambda: setattr(self.module, "corrupt", 1000))
        self.wait_reader("failed", "damaged")
        self.module.corrupt = 0
        self.works_again()

    def test_a_slow_module(self):
        """An answer that comes too late is none, also not the next one's.

        Requirement: F4
        """
        self.fails("too late", lambda: setattr(self.module, "delay", 2.5))
        self.module.delay = 0
        self.works_again()

    def test_a_silent_module(self):
        """Requirement: F4"""
        self.fails("does not answer", lambda: setattr(self.module, "silent", True))
        self.wait_reader("failed", "does not answer")
        self.module.silent = False
        self.works_again()

    def test_a_chattering_module(self):
        """Requirement: F4"""
        self.fails("nobody has asked", lambda: setattr(self.module, "chatter", True))
        self.module.chatter = False
        self.works_again()

    def test_a_module_with_a_password(self):
        """Requirement: F4"""
        def protect():
            self.module.password, self.module.locked = 0xCAFE, True
        self.fails("password", protect)
        self.wait_reader("failed", "password")
        self.module.password = 0
        self.works_again()

    def test_a_module_of_another_type(self):
        """Templates of one type mean nothing to another: said before anybody touches it.

        Requirement: F4, C3
        """
        self.module.unplug()
        self.wait_reader("failed")
        self.module.system_id, self.module.template_size = 11, 768
        self.module.plug()
        self.wait_reader("ok", "000b")
        with self.only():
            error = self.assertRefused("ReaderFailed", self.begin_sign_in(self.session, number="4711").result)
        self.assertIn("another type of reader", error.message)
        self.assertEqual(self.session.prompts, [])
        self.enrol_courier("bert", "4712")
        self.sign_in(self.session, "bert", number="4712")
        self.assert_empty_module()


class Killed(Fingers):
    STEPS = ("GET_IMAGE", "EXTRACT", "DOWNLOAD", "MATCH")

    def test_a_matcher_that_dies_at_any_step_of_a_verification(self):
        """That attempt fails and opens nothing; the next one works, and nothing stays in the module.

        Requirement: F4, F17
        """
        self.enrol_courier()
        for step in self.STEPS:
            with self.subTest(step=step), self.only():
                session = self.client.start_session("courier")
                pid = self.worker_pid()
                pending = self.begin_sign_in(session, number="4711")
                session.wait_prompt("touch")
                self.module.on_command[getattr(uartmodule, step)] = lambda: (self.module.on_command.clear(), os.kill(pid, signal.SIGKILL))
                self.module.touch("anna")
                self.assertRefused("ReaderFailed", pending.result)
                self.module.lift()
                self.assertEqual(session.state, "new")
                wait(lambda: self.worker_pid() not in (None, pid), "another worker")
                self.wait_reader("ok")
                self.assert_empty_module()
                self.sign_in(session, "anna", number="4711")
                session.end()
        self.assertEqual(self.admin.lockouts(), {})

    def test_a_matcher_that_dies_at_any_step_of_an_enrolment(self):
        """Nobody is half enrolled.

        Requirement: F4, C6
        """
        for step in ("GET_IMAGE", "EXTRACT", "REGISTER", "UPLOAD"):
            with self.subTest(step=step):
                pid = self.worker_pid()
                pending = self.begin_enrol(kind="courier", number="4711", name="Anna", consent=True)
                self.wait_looks()
                self.module.on_command[getattr(uartmodule, step)] = lambda: (self.module.on_command.clear(), os.kill(pid, signal.SIGKILL))
                if step in ("REGISTER", "UPLOAD"):
                    self.touch_twice("anna")
                else:
                    self.module.touch("anna")
                self.assertRefused("ReaderFailed", pending.result)
                self.module.lift()
                self.assertEqual(self.admin.people(), [])
                wait(lambda: self.worker_pid() not in (None, pid), "another worker")
                self.wait_reader("ok")
                self.assert_empty_module()
        self.enrol_courier()

    def test_the_daemon_dies_while_a_finger_is_waited_for(self):
        """The worker leaves with it and wipes the module; the next daemon has the reader.

        Requirement: F4
        """
        self.enrol_courier()
        pid = self.worker_pid()
        session = self.client.start_session("courier")
        self.begin_sign_in(session, number="4711")
        session.wait_prompt("touch")
        self.module.on_command[uartmodule.MATCH] = lambda: (self.module.on_command.clear(), self.cabinet.daemon.kill())
        self.module.touch("anna")
        self.cabinet.daemon.wait()
        wait(lambda: not os.path.exists(f"/proc/{pid}"), "the worker leaves")
        self.module.lift()
        self.assert_empty_module()
        self.cabinet.daemon = None
        self.cabinet.start_daemon()
        self.wait_reader("ok")
        self.courier_by_finger().end()

    def test_a_matcher_that_hangs(self):
        """Requirement: F4"""
        self.enrol_courier()
        session = self.client.start_session("courier")
        pending = self.begin_sign_in(session, number="4711")
        session.wait_prompt("touch")
        os.kill(self.worker_pid(), signal.SIGSTOP)
        with self.only():
            self.module.touch("anna")
            self.assertRefused("ReaderFailed", pending.result)
        self.module.lift()
        self.wait_reader("ok")
        self.sign_in(session, "anna", number="4711")


LIAR = """#!/usr/bin/python3
# A program in the matcher's place: it speaks the protocol, and lies.
import os, socket, struct, sys
def packet(type, attempt, body, data=b"", version=2, n=None):
    return struct.pack("=HHIQ", version, type, len(data) if n is None else n, attempt) + body + data
def result(attempt, outcome, problem=0, candidate=0, data=b"", **header):
    return packet(12, attempt, struct.pack("=IIIIII", outcome, problem, candidate, 99, 0, 0), data, **header)
MATCH, NO_MATCH, ENROLLED, FAILED = range(4)
s = socket.socket(fileno=3)
def now():
    with open({lie!r}) as f:
        return f.read()
lie = now()
touch = lambda attempt: s.send(packet(11, attempt, struct.pack("=II", 0, 0)))
s.send(packet(9, 0, struct.pack("=16sII", b"voice" if lie == "kind" else b"fingerprint", 3, 0)))
s.send(packet(10, 0, struct.pack("=II96s", 0, 0, b"a liar")))
last = None
while True:
    message = s.recv(1 << 17)
    if not message:
        break
    version, type, n, attempt = struct.unpack("=HHIQ", message[:16])
    lie = now()
    if type == 8:
        s.send(packet(13, 0, message[16:24]))
        if lie == "unasked":
            s.send(result(last or 1, MATCH, candidate=1))
    if type == 3:
        touch(attempt)
        s.send(result(attempt, ENROLLED, data=b"x" * 100))
    if type != 5:
        continue
    if lie in ("honest", "unasked", "kind"):
        touch(attempt)
        s.send(result(attempt, NO_MATCH))
    elif lie == "before-prompt":
        s.send(result(attempt, MATCH, candidate=1))
    elif lie == "nobody":
        touch(attempt)
        s.send(result(attempt, MATCH, candidate=1))
    elif lie == "candidate":
        touch(attempt)
        s.send(result(attempt, MATCH, candidate=2))
    elif lie == "long":
        touch(attempt)
        s.send(result(attempt, MATCH, candidate=1) + b"x")
    elif lie == "short":
        touch(attempt)
        s.send(result(attempt, MATCH, candidate=1)[:-1])
    elif lie == "count":
        touch(attempt)
        s.send(result(attempt, MATCH, candidate=1, n=0xFFFFFFFF))
    elif lie == "version":
        touch(attempt)
        s.send(result(attempt, MATCH, candidate=1, version=1))
    elif lie == "template":
        touch(attempt)
        s.send(result(attempt, ENROLLED, data=b"y" * 100))
    elif lie == "future":
        touch(attempt)
        s.send(result(attempt + 1, MATCH, candidate=1))
    elif lie == "late":
        touch(attempt)
        if last is None:
            s.send(result(attempt, FAILED, problem=10))
        else:
            s.send(result(last, MATCH, candidate=1))
    elif lie == "twice":
        touch(attempt)
        s.send(result(attempt, NO_MATCH))
        s.send(result(attempt, MATCH, candidate=1))
    elif lie == "daemon":
        s.send(packet(5, attempt, struct.pack("=II", 0, 1)))
    last = attempt
"""


class Lies(Fingers):
    """Another program in the matcher's place."""

    def setUp(self):
        folder = tempfile.mkdtemp(prefix="lockerd-liar-")
        os.chmod(folder, 0o755)
        self.addCleanup(shutil.rmtree, folder, True)
        self.lie_path = os.path.join(folder, "lie")
        program = os.path.join(folder, "lockerd-fingerprint")
        with open(program, "w", encoding="utf-8") as f:
            f.write(LIAR.replace("{lie!r}", repr(self.lie_path)))
        os.chmod(program, 0o755)
        self.lie("honest")
        self.workers = {"lockerd-fingerprint": program}
        super().setUp()
        self.begin_enrol(kind="courier", number="4711", name="Anna", consent=True).result()

    def lie(self, lie):
        with open(self.lie_path + ".new", "w", encoding="utf-8") as f:
            f.write(lie)
        os.rename(self.lie_path + ".new", self.lie_path)

    def replaced(self):
        return self.cabinet.log().count("it is replaced")

    def believe_nothing(self, lie, number="4711"):
        self.lie(lie)
        before = self.replaced()
        session = self.client.start_session("courier")
        with self.only():
            try:
                self.begin_sign_in(session, number=number).result()
                self.fail(f"{lie}: believed")
            except DBusError as e:
                self.assertIn(e.short, ("ReaderFailed", "WrongCredential", "NoSample"))
            self.assertEqual(session.state, "new")
            self.assertRefused("NotAuthenticated", session.deposit, size="S")
        wait(lambda: self.replaced() > before, f"{lie}: the worker is replaced")
        # The next one is believed again, for what it may say.
        self.lie("honest")
        self.wait_reader("ok")
        self.assertRefused("WrongCredential", self.begin_sign_in(session, number="4711").result)

    def test_a_match_before_anybody_was_asked_for_a_finger(self):
        """Requirement: F17, C3"""
        self.believe_nothing("before-prompt")

    def test_a_match_with_a_candidate_that_there_is_not(self):
        """Requirement: F17, C3"""
        self.believe_nothing("candidate")

    def test_a_match_that_is_too_long(self):
        """Requirement: F17, F4"""
        self.believe_nothing("long")

    def test_a_match_that_is_too_short(self):
        """Requirement: F17, F4"""
        self.believe_nothing("short")

    def test_a_match_with_a_length_that_it_has_not(self):
        """Requirement: F17, F4"""
        self.believe_nothing("count")

    def test_a_match_of_another_version(self):
        """Requirement: F17, F4"""
        self.believe_nothing("version")

    def test_a_template_instead_of_a_verdict(self):
        """Requirement: F17, F4"""
        self.believe_nothing("template")

    def test_a_match_for_an_attempt_to_come(self):
        """Requirement: F17, F4"""
        self.believe_nothing("future")

    def test_a_second_result_that_is_a_match(self):
        """Requirement: F17, C3"""
        self.believe_nothing("twice")

    def test_a_matcher_that_talks_like_the_daemon(self):
        """Requirement: F17, F4"""
        self.believe_nothing("daemon")

    def test_a_match_with_nobody_is_a_lie(self):
        """Requirement: F17"""
        self.believe_nothing("nobody", number="9999")

    def test_results_that_nobody_asked_for(self):
        """Requirement: F17"""
        session = self.client.start_session("courier")
        before = self.replaced()
        with self.only():
            self.lie("unasked")  # with its next answer to a ping
            wait(lambda: self.replaced() > before, "the worker is replaced")
            self.assertEqual(session.state, "new")

    def test_another_kind_of_matcher(self):
        """Requirement: F17"""
        self.lie("before-prompt")
        session = self.client.start_session("courier")
        self.assertRefused("ReaderFailed", self.begin_sign_in(session, number="4711").result)
        before = self.replaced()
        self.lie("kind")
        wait(lambda: self.replaced() > before, "the next worker is replaced, too")
        self.assertRefused("ReaderFailed", self.begin_sign_in(session, number="4711").result)

    def test_a_late_result_of_the_attempt_before(self):
        """It never counts for this one, although it is a match.

        Requirement: F17, C3
        """
        self.lie("late")
        before = self.replaced()
        session = self.client.start_session("courier")
        with self.only():
            self.assertRefused("NoSample", self.begin_sign_in(session, number="4711").result)
            self.assertRefused("ReaderFailed", self.begin_sign_in(session, number="4711").result)
            self.assertEqual(session.state, "new")
        wait(lambda: self.replaced() > before, "the worker is replaced")


class Exploited(Fingers, test_replaced_worker.Exploited):
    """Somebody else's code in the worker, after it has given up its rights."""
    test_code_in_the_worker_of_a_line_reaches_nothing = None
    test_code_in_the_worker_of_the_network_reaches_the_network_alone = None
    test_code_in_the_worker_of_hashes_reaches_nothing = None
    test_every_worker_is_the_first_to_go_and_cannot_be_looked_into = None

    def setUp(self):
        if test_replaced_worker.sanitized():
            self.skipTest("a build with sanitizers gives up no rights")
        super().setUp()

    def prepare(self):
        preload = os.path.join(build_directory(), "tests", "daemon", "intruder.so")
        self.workers = {"lockerd-fingerprint": self.script("lockerd-fingerprint", WORKER, preload)}

    def test_code_in_the_matcher_reaches_its_module_alone(self):
        """Neither ledger nor key, nor another device (its own is open), nor the daemon, the bus, a network or a program.

        Requirement: F17, F4
        """
        r = self.replace("lockerd-fingerprint")
        self.assert_nothing_reached(r)
        self.assertLessEqual(r["descriptors"], 3, "the daemon's socket, the opener's, the device")
        self.assertEqual(r["variables"], 0)


class AsInThePackage(Fingers, test_replaced_worker.WithUnits):
    """The worker comes from a socket, as another user."""

    def test_fingers_and_a_worker_of_another_user(self):
        """It enrols and compares, is missed when it dies, and the next one does the same.

        Requirement: F17, F4, D1
        """
        self.enrol_courier()
        self.courier_by_finger().end()
        self.assert_empty_module()
        [pid] = self.units.processes("lockerd-fingerprint")
        if self.uid is not None:
            with open(f"/proc/{pid}/status", encoding="utf-8") as f:
                self.assertIn(f"Uid:\t{self.uid}\t", f.read())
        session = self.client.start_session("courier")
        pending = self.begin_sign_in(session, number="4711")
        session.wait_prompt("touch")
        os.kill(pid, signal.SIGKILL)
        self.assertRefused("ReaderFailed", pending.result)
        wait(lambda: set(self.units.processes("lockerd-fingerprint")) - {pid}, "another worker")
        self.wait_reader("ok")
        self.sign_in(session, "anna", number="4711")
        self.assert_empty_module()


class WithoutReader(Scenario):
    def test_a_cabinet_without_a_reader_says_so(self):
        """No section, no worker, no row in Health; the kind is known and cannot be had.

        Requirement: F4
        """
        session = self.client.start_session("courier")
        error = self.assertRefused("ReaderFailed", session.authenticate, "fingerprint", number="4711")
        self.assertIn("no such reader", error.message)
        self.assertNotIn("reader:fingerprint", self.admin.health())


class WithoutPackage(Fingers):
    """The section is there, the program is not."""

    def setUp(self):
        self.workers = {"lockerd-fingerprint": "/nonexistent/lockerd-fingerprint"}
        self.wait_reader = lambda *a, **k: None
        super().setUp()
        del self.wait_reader

    def test_a_reader_without_its_program(self):
        """Requirement: F4"""
        self.wait_reader("failed", "cannot be started")
        session = self.client.start_session("courier")
        self.assertRefused("ReaderFailed", self.begin_sign_in(session, number="4711").result)
        self.store()


if __name__ == "__main__":
    if not os.path.exists(WORKER):
        print("skipped: lockerd-fingerprint is not built")
        sys.exit(77)
    main()
