#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Enrolling at a reader, from prompt to prompt: the real daemon and worker, and a module that is played byte by byte."""
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import uartmodule
from daemonlib import CABINET, ROOT, build_directory, dictionary, main, wait
from ledger_copy import Copy
from test_fingerprint import WORKER, Fingers

LOCKERCTL = os.path.join(build_directory(), "src", "ctl", "lockerctl")


class Enrolments(Fingers):
    def setUp(self):
        super().setUp()
        self.person = self.admin.enrol_courier("4711", "258036")

    def begin(self, client=None, person=None, **credential):
        return (client or self.admin).begin(ROOT, CABINET, "EnrolCredential", "tsa{sv}", person or self.person, "fingerprint",
                                            dictionary(consent=True, **credential))

    def prompts(self, client=None):
        """Those of enrolments that this client has got so far: (person, kind, what, taken, of)."""
        return [s.values[:5] for s in (client or self.admin).signals if s.member == "EnrolmentPrompt"]

    def wait_prompt(self, what, client=None, times=1):
        wait(lambda: [p[2] for p in self.prompts(client)].count(what) >= times, f"prompt {what}, are {self.prompts(client)}")

    def cancel(self, client=None):
        return (client or self.admin).call(ROOT, CABINET, "CancelEnrolment")

    def nothing_stored(self):
        self.assertEqual(list(self.admin.credentials(self.person)), ["pin"])
        self.assertEqual([e.data["kind"] for e in self.admin.events(type="credential.enrolled")], ["pin"])
        self.assert_empty_module()

    def works_now(self):
        """Somebody enrols, and their finger opens."""
        pending = self.begin()
        self.wait_looks()
        self.touch_twice("anna")
        self.assertEqual(pending.result(), {})
        self.courier_by_finger().end()


class Live(Enrolments):
    def test_the_caller_is_told_what_the_person_is_to_do_and_nobody_else_is(self):
        """Requirement: C1, C6"""
        other = self.cabinet.client()
        pending = self.begin()
        self.wait_prompt("touch")
        self.assertEqual(self.prompts(), [(self.person, "fingerprint", "touch", 0, 2)])
        self.module.touch("anna")
        self.wait_prompt("lift")
        self.module.lift()
        self.wait_prompt("again")
        self.assertFalse(pending.done)
        self.module.touch("anna")
        pending.result()
        self.module.lift()
        self.assertEqual([p[2:] for p in self.prompts()], [("touch", 0, 2), ("lift", 1, 2), ("again", 1, 2)])
        self.assertTrue(all(s.values[5] for s in self.admin.signals if s.member == "EnrolmentPrompt"), "each has its sentence")
        other.cabinet("Name")
        self.assertEqual(self.prompts(other), [])

    def test_a_new_persons_prompts_name_nobody(self):
        """Requirement: C1"""
        pending = self.begin_enrol(kind="courier", number="4712", name="Bert", consent=True)
        self.wait_prompt("touch")
        self.assertEqual(self.prompts(), [(0, "fingerprint", "touch", 0, 2)])
        self.cancel()
        self.assertRefused("Cancelled", pending.result)
        self.assertEqual([p[2] for p in self.admin.people()], ["4711"])

    def test_cancel_ends_ones_own_and_stores_nothing(self):
        """Requirement: C6, F3"""
        other = self.cabinet.client()
        self.assertRefused("WrongState", self.cancel)
        pending = self.begin()
        self.wait_prompt("touch")
        self.assertRefused("WrongState", self.cancel, other)
        self.touch_and_lift()
        self.wait_prompt("again")
        self.cancel()
        self.assertRefused("Cancelled", pending.result)
        self.assertRefused("WrongState", self.cancel)
        self.module.touch("anna")  # too late
        time.sleep(0.3)
        self.module.lift()
        self.nothing_stored()
        self.works_now()

    def touch_and_lift(self):
        self.module.touch("anna")
        self.wait_prompt("lift")
        self.module.lift()

    def test_an_enrolment_ends_with_its_caller(self):
        """Requirement: C6, F4"""
        gone = self.cabinet.client()
        self.begin(gone)
        self.wait_prompt("touch", gone)
        gone.close()
        self.module.touch("anna")
        time.sleep(0.3)
        self.module.lift()
        self.nothing_stored()
        self.works_now()

    def test_two_at_one_reader_are_told_that_it_is_in_use(self):
        """Requirement: A6, F17"""
        pending, session = self.begin(), self.client.start_session("courier")
        self.wait_prompt("touch")
        for refused in (self.begin(self.client), self.begin_enrol(kind="courier", number="4712", name="Bert", consent=True),
                        self.begin_sign_in(session, number="4711")):
            self.assertIn("in use", self.assertRefused("Busy", refused.result).message)
        self.touch_twice("anna")
        pending.result()


class Patience(Enrolments):
    settings = {"Identity": {"ReaderTimeout": "2s"}}

    def test_nobody_comes(self):
        """Each wait has an end, is no failed attempt and stores nothing; somebody who is slow has time for each touch.

        Requirement: C6, F4
        """
        began = time.monotonic()
        session = self.client.start_session("courier")
        self.assertIn("in time", self.assertRefused("NoSample", self.begin_sign_in(session, number="4711").result).message)
        self.assertLess(time.monotonic() - began, 9)
        self.assertGreater(time.monotonic() - began, 2)
        pending = self.begin()
        self.wait_prompt("touch")
        began = time.monotonic()
        time.sleep(2.5)  # longer than a verification would have taken
        self.module.touch("anna")
        self.wait_prompt("lift")
        self.module.lift()
        self.wait_prompt("again")
        self.assertIn("in time", self.assertRefused("NoSample", pending.result).message)
        self.assertGreater(time.monotonic() - began, 9)
        self.nothing_stored()
        self.assertEqual(self.admin.lockouts(), {})
        self.works_now()


class Erased(Enrolments):
    """With a copy of all files and the key."""
    KNOWN = hashlib.sha256(b"9:anna").digest()  # what the module makes of this finger, whatever the touch

    def fingers(self, copy, salts=()):
        return [said for label, said in copy.open(salts) if label == "credential.fingerprint"]

    def erased(self, *gone):
        def look():
            copy = Copy(self.cabinet)
            return None if any(g in copy.raw for g in gone) else copy
        return wait(look, "the erased bytes gone from the files", 8)

    def sealed(self, copy):
        [sealed] = [row[2] for row in copy.tables["credential"] if row[1] == "fingerprint"]
        return sealed

    def test_no_finger_is_read_from_the_files_after_it_was_revoked(self):
        """Before, the whole template is: so what follows is no failure of the reader. Then one finger is replaced, then revoked, then its
        person; of each nothing is left, also in a backup that is made then.

        Requirement: C6, F9
        """
        self.works_now()
        copy = Copy(self.cabinet)
        [read] = self.fingers(copy)
        self.assertIn(self.KNOWN, read)
        self.assertNotIn(self.KNOWN, copy.raw)
        first = self.sealed(copy)
        self.works_now()
        second = self.sealed(self.erased(first))
        self.admin.revoke_credential(self.person, "fingerprint", "does not want it any more")
        copy = self.erased(second)
        self.assertEqual(self.fingers(copy), [])
        self.works_now()
        copy = Copy(self.cabinet)
        third = self.sealed(copy)
        [salt] = [v for row in copy.tables["person"] if row[0] == self.person for v in row if isinstance(v, bytes) and len(v) == 16]
        self.admin.revoke(self.person)
        copy = self.erased(third, salt)
        self.assertEqual([label for label, _ in copy.open() if label.startswith(("person.", "credential."))], [])
        backup = os.path.join(self.cabinet.directory, "later.db")
        self.admin.backup(backup)
        copy = Copy(self.cabinet, backup)
        for gone in (first, second, third, salt, self.KNOWN):
            self.assertNotIn(gone, copy.raw)
        self.assertEqual(self.fingers(copy), [])


class Ctl(Enrolments):
    def run_enrol(self, *options):
        return subprocess.Popen([LOCKERCTL, *options[:-1], "enrol", *options[-1], "--consent"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=self.cabinet.environment())

    def test_lockerctl_shows_prompts_while_a_finger_is_taken(self):
        """What is to be done at the cabinet, then what came of it; each fault in its own sentence.

        Requirement: C1, F8
        """
        ctl = self.run_enrol([str(self.person), "--fingerprint"])
        self.assertEqual(ctl.stderr.readline(), "[1 of 2] Please put your finger on the reader.\n")
        self.module.touch("anna")
        self.assertEqual(ctl.stderr.readline(), "Please lift your finger.\n")
        self.module.lift()
        self.assertEqual(ctl.stderr.readline(), "[2 of 2] Please put the same finger on the reader again.\n")
        self.module.touch("anna")
        out, err = ctl.communicate(timeout=30)
        self.module.lift()
        self.assertEqual((ctl.returncode, out, err), (0, f"Person {self.person} has a new fingerprint.\n", ""))
        self.courier_by_finger().end()
        self.module.unplug()
        self.wait_reader("failed")
        ctl = self.run_enrol([str(self.person), "--fingerprint"])
        out, err = ctl.communicate(timeout=30)
        self.assertEqual((ctl.returncode, out), (8, ""))
        self.assertIn("The reader is not connected.", err)

    def test_lockerctl_enrols_a_courier_by_finger_alone(self):
        """For scripts: a line of JSON a prompt, and the outcome last.

        Requirement: D1
        """
        ctl = self.run_enrol("--json", ["courier", "--number", "4712", "--name", "Bert", "--fingerprint"])
        self.wait_looks()
        self.touch_twice("bert")
        out, err = ctl.communicate(timeout=30)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([(line["event"], line["credential"], line["what"], line["taken"], line["of"]) for line in lines[:-1]],
                         [("prompt", "fingerprint", "touch", 0, 2), ("prompt", "fingerprint", "lift", 1, 2), ("prompt", "fingerprint", "again", 1, 2)])
        [person] = [p[0] for p in self.admin.people() if p[2] == "4712"]
        self.assertEqual((ctl.returncode, lines[-1], err), (0, {"done": "enrol", "id": person, "kind": "courier"}, ""))
        self.courier_by_finger("bert", "4712").end()

    def test_an_interrupt_ends_it_and_stores_nothing(self):
        """Requirement: C6"""
        for options, sentence in (((), "Cancelled. Nothing was stored.\n"), (("--json",), '"error": "Cancelled"')):
            ctl = self.run_enrol(*options, [str(self.person), "--fingerprint"])
            self.wait_looks()
            ctl.send_signal(signal.SIGINT)
            out, err = ctl.communicate(timeout=30)
            self.assertEqual(ctl.returncode, 130)
            self.assertIn(sentence.replace(" ", "") if options else sentence, out.replace(" ", "") if options else err)
            self.nothing_stored()
        self.works_now()


if __name__ == "__main__":
    if not os.path.exists(WORKER):
        print("skipped: lockerd-fingerprint is not built")
        sys.exit(77)
    main()
