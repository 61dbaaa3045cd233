# SPDX-License-Identifier: Apache-2.0
"""People and their fingers at a reader that libfprint knows: the real daemon, the real worker, the real library with its virtual reader, and
fingerprints of nobody (prints.py)."""
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading

import prints
import test_fingerprint
from daemonlib import build_directory, main, wait
from fingers import AtReader

WORKER = os.path.join(build_directory(), "src", "fingerprint_usb", "lockerd-fingerprint-usb")
FINGERS = {"anna": 1, "bert": 2}
ROUNDS = 8  # of growth: clear enough for libfprint, in a fifth of the time that the bench takes for its fingers


class VirtualReader:
    """libfprint's virtual reader, seen by the finger: it has a socket while it is open, and takes one picture after the other."""

    def __init__(self, path):
        self.path, self.touches = path, 0

    def connect(self, timeout=20):
        def attempt():
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(self.path)
                return s
            except OSError:
                s.close()
                return None
        return wait(attempt, "the reader is open", timeout)

    def is_open(self):
        try:
            self.connect(0.01).close()
            return True
        except Exception:  # noqa: whatever it is, nobody listens
            return False

    def picture(self, finger):
        self.touches += 1
        width, height, grey = prints.finger(FINGERS[finger], ROUNDS).touch(self.touches)
        return struct.pack("=ii", width, height) + grey

    def resting(self, finger):
        """A finger that is put down again and again, until this is left."""
        return Touching(self, finger)


class Touching:
    def __init__(self, reader, finger):
        self.reader, self.finger, self.over = reader, finger, threading.Event()

    def __enter__(self):
        self.connection = self.reader.connect()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def run(self):
        while not self.over.wait(0.15):
            try:
                self.connection.sendall(self.reader.picture(self.finger))
            except OSError:
                return

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.connection.close()


def script(folder, reader, plugged=True, kind="FP_VIRTUAL_IMAGE", more=()):
    """The worker with libfprint's virtual reader plugged in, or without; more: others beside it, kind → name of the socket."""
    path = os.path.join(folder, "lockerd-fingerprint-usb")
    shim = os.path.join(build_directory(), "tests", "daemon", "keepenv.so")
    with open(path, "w", encoding="utf-8") as f:
        others = "".join(f"export {other}={shlex.quote(os.path.join(folder, more[other]))}\n" for other in more)
        f.write("#!/bin/sh\n" + others + (f"export {kind}={shlex.quote(reader)}\n" if plugged else "") +
                f"export LD_PRELOAD={shlex.quote(shim)}\nexec {shlex.quote(WORKER)} \"$@\"\n")
    os.chmod(path, 0o755)
    return path


class UsbFingers(AtReader):
    """A reader at USB."""
    worker = WORKER
    section = ""
    plugged = True
    kind = "FP_VIRTUAL_IMAGE"
    more = {}

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lockerd-usb-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.reader = VirtualReader(os.path.join(self.folder, "reader"))
        self.workers = {"lockerd-fingerprint-usb": script(self.folder, self.reader.path, self.plugged, self.kind, self.more)}
        section = self.section
        type(self).edit = staticmethod(lambda text: text + f"\n[Reader fingerprint]\nType=usb\n{section}")
        super().setUp()

    def enrol(self, finger, **person):
        pending = self.begin_enrol(**person)
        with self.reader.resting(finger):
            return pending.result(60)

    def sign_in(self, session, finger, **claim):
        pending = self.begin_sign_in(session, **claim)
        session.wait_prompt("touch")
        with self.reader.resting(finger):
            return pending.result(60)


class AtTheReader(UsbFingers):
    def test_courier_deposits_by_fingerprint(self):
        """Enrolled with number and fingerprint, without any PIN; the finger opens the cabinet, another finger and a stranger's number do not.

        Requirement: D1, A2
        """
        self.wait_reader("ok", "Virtual image device")
        self.cabinet.wait_log("leave it out of AloneForDeposit=")
        self.enrol_courier()
        self.assertEqual([p[5] for p in self.admin.people()], [["fingerprint"]])
        session = self.client.start_session("courier")
        self.assertRefused("WrongCredential", self.sign_in, session, "bert", number="4711")
        self.assertRefused("WrongCredential", self.sign_in, session, "anna", number="4712")
        self.assertEqual(session.state, "new")
        self.sign_in(session, "anna", number="4711")
        self.assertEqual(session.state, "authenticated")
        put = self.store(session=session, end=True)
        self.assertEqual(self.opened(put.slot), [1])
        wait(lambda: not self.reader.is_open(), "the reader is closed between attempts")

    def test_recipients_are_claimed_by_the_last_digits_of_their_phone(self):
        """The finger is compared with both whom the claim fits, and signs in as whose it is.

        Requirement: C1, C3
        """
        self.wait_reader("ok")
        phones = [f"+49 17{i} 1234567" for i in range(2)]
        for finger, phone in zip(("anna", "bert"), phones):
            self.enrol(finger, kind="recipient", phone=phone, name="E", consent=True)
        puts = [self.store(phone=phone) for phone in phones]
        session = self.client.start_session("recipient")
        self.assertRefused("WrongCredential", self.sign_in, session, "anna", phone_tail="0000")
        for finger, put in zip(("bert", "anna"), reversed(puts)):
            self.sign_in(session, finger, phone_tail="4567")
            self.assertEqual(session.parcels, [put.parcel])

    def test_an_enrolled_finger_works_after_a_restart_and_not_after_revocation(self):
        """Requirement: D1, C6"""
        person = self.enrol_courier()
        self.cabinet.restart()
        self.wait_reader("ok")
        session = self.client.start_session("courier")
        self.sign_in(session, "anna", number="4711")
        self.admin.revoke(person)
        session = self.client.start_session("courier")
        self.assertRefused("WrongCredential", self.sign_in, session, "anna", number="4711")

    def test_cancel_ends_the_wait_and_frees_the_reader(self):
        """Requirement: F4"""
        self.enrol_courier()
        session = self.client.start_session("courier")
        pending = self.begin_sign_in(session, number="4711")
        session.wait_prompt("touch")
        session.call("Cancel", "")
        self.assertRefused("Cancelled", pending.result)
        self.sign_in(session, "anna", number="4711")
        self.assertEqual(session.state, "authenticated")

    def test_a_matcher_that_dies_fails_this_attempt_alone(self):
        """Requirement: F4"""
        self.enrol_courier()
        session = self.client.start_session("courier")
        pending = self.begin_sign_in(session, number="4711")
        session.wait_prompt("touch")
        os.kill(self.worker_pid(), signal.SIGKILL)
        self.assertRefused("ReaderFailed", pending.result)
        self.wait_reader("ok")
        self.sign_in(session, "anna", number="4711")
        self.assertEqual(session.state, "authenticated")

    def test_unplugged_in_mid_touch(self):
        """Told as what it is, and no failed attempt of the person's.

        Requirement: F4
        """
        self.enrol_courier()
        session = self.client.start_session("courier")
        pending = self.begin_sign_in(session, number="4711")
        session.wait_prompt("touch")
        with self.reader.connect() as connection:
            connection.sendall(struct.pack("=ii", -5, -1))
            error = self.assertRefused("ReaderFailed", pending.result)
        self.assertIn("unplugged", error.message.lower() + self.cabinet.log().lower())
        self.wait_reader("ok")
        self.sign_in(session, "anna", number="4711")

    def test_what_the_reader_reports_has_its_own_sentence(self):
        """For the caller and in Health; nothing is counted, and the reader is used again when it can be.

        Requirement: F4
        """
        person = self.enrol_courier()
        session = self.client.start_session("courier")
        for code, sentence in ((0x101, "too hot"), (4, "Another program"), (5, "damaged"), (0, "reports an error"), (0x100, "unplugged")):
            enrols = code in (4, 5)  # enrolling and comparing end in one place
            pending = self.begin_enrol(kind="courier", number="4712", name="B", consent=True) if enrols else self.begin_sign_in(session, number="4711")
            with self.reader.connect() as connection:
                connection.sendall(struct.pack("=ii", -2, code))
                error = self.assertRefused("ReaderFailed", pending.result)
            self.assertIn(sentence, error.message)
            self.wait_reader("failed", sentence)
        self.assertEqual((session.state, self.admin.lockouts(), [p[0] for p in self.admin.people()]), ("new", {}, [person]))
        self.wait_reader("ok")
        self.sign_in(session, "anna", number="4711")

    def test_a_recipient_collects_by_a_finger(self):
        """Enrolled in advance, bound when the parcel comes, compared at the pickup: theirs opens one door, another's none.

        Requirement: C1, C2, C3
        """
        phone = "+49 171 1234567"
        self.enrol("anna", kind="recipient", phone=phone, name="Anna", consent=True)
        put, other = self.store(phone=phone), self.store(phone="+49 172 7654321")
        self.assertEqual((put.receipt["credentials"], "code" in put.receipt, "code" in other.receipt), (["fingerprint"], False, True))
        session = self.client.start_session("recipient")
        with self.only():
            self.assertRefused("WrongCredential", self.sign_in, session, "bert", phone=phone)
            self.assertRefused("NotAuthenticated", session.collect)
        self.sign_in(session, "anna", phone=phone)
        self.assertEqual(session.parcels, [put.parcel])
        with self.only(put.slot):
            place = session.collect()
            self.take(place)
            session.accept()
            self.shut(place)
            session.wait_prompt("collected")
        self.assertTrue(self.item(other))

    def test_an_enrolment_counts_its_touches(self):
        """Requirement: C1"""
        pending = self.begin_enrol(kind="courier", number="4711", name="Anna", consent=True)
        with self.reader.resting("anna"):
            pending.result(60)
        prompts = [s.values[2:5] for s in self.admin.signals if s.member == "EnrolmentPrompt"]
        self.assertEqual(prompts[0], ("touch", 0, 5))
        self.assertEqual([taken for what, taken, _ in prompts if what == "again"], [1, 2, 3, 4])

    def test_memory(self):
        """What the worker takes, at rest and after an enrolment; printed."""
        self.wait_reader("ok")
        def pss():
            with open(f"/proc/{self.worker_pid()}/smaps_rollup", encoding="ascii") as f:
                return next(int(line.split()[1]) for line in f if line.startswith("Pss:")) / 1024

        rest = pss()
        self.enrol_courier()
        print(f"lockerd-fingerprint-usb: PSS {rest:.1f} MiB at rest, {pss():.1f} MiB after an enrolment")
        self.assertGreater(rest, 0)


class Missing(UsbFingers):
    plugged = False

    def test_no_reader_is_told_and_nobody_waits_for_it(self):
        """Requirement: F4"""
        self.wait_reader("failed", "not connected")
        session = self.client.start_session("courier")
        self.assertRefused("ReaderFailed", self.begin_sign_in(session, number="4711").result)


class Two(UsbFingers):
    """Two readers, and nobody says which."""
    more = {"FP_VIRTUAL_DEVICE": "another"}

    def test_two_readers_are_not_guessed_between(self):
        """Nobody is asked for a finger, and the log names both.

        Requirement: F4
        """
        self.wait_reader("failed", "several readers")
        self.cabinet.wait_log("fits 2 of these")
        session = self.client.start_session("courier")
        for begin in (lambda: self.begin_sign_in(session, number="4711"), lambda: self.begin_enrol(kind="courier", number="4711", name="B", consent=True)):
            self.assertIn("several readers", self.assertRefused("ReaderFailed", begin().result).message)
        self.assertEqual((session.prompts, self.admin.people()), ([], []))


class OneOfTwo(Two):
    """Two readers, and Id= says which."""
    section = "Id=virtual_image\n"
    test_two_readers_are_not_guessed_between = None

    def test_the_reader_that_is_named_is_used(self):
        """Requirement: F4, D1"""
        self.wait_reader("ok", "Virtual image device")
        self.enrol_courier()
        session = self.client.start_session("courier")
        self.sign_in(session, "anna", number="4711")


class Another(UsbFingers):
    section = "Id=elan\n"

    def test_a_reader_that_is_not_the_one_named(self):
        """Requirement: F4"""
        self.wait_reader("failed", "not connected")
        self.cabinet.wait_log("Id=elan fits 0 of these: virtual_image")


class Keeping(UsbFingers):
    """A reader that keeps prints in itself."""
    kind, why = "FP_VIRTUAL_DEVICE_STORAGE", "keeps fingerprints in itself"

    def test_a_reader_that_is_not_suitable_is_not_used(self):
        """What it keeps could not be erased; what it cannot compare would tell who is enrolled.

        Requirement: C6, F4
        """
        self.wait_reader("failed", "cannot be used here")
        self.cabinet.wait_log(self.why)
        session = self.client.start_session("courier")
        self.assertRefused("ReaderFailed", self.begin_sign_in(session, number="4711").result)


class OneToOne(Keeping):
    """A reader that compares with one print alone."""
    kind, why = "FP_VIRTUAL_DEVICE", "cannot compare with several"


class FromAModule(test_fingerprint.Fingers):
    """The module has been replaced by a reader at USB."""

    def setUp(self):
        folder = tempfile.mkdtemp(prefix="lockerd-usb-")
        os.chmod(folder, 0o755)
        self.addCleanup(shutil.rmtree, folder, True)
        self.workers = {"lockerd-fingerprint-usb": script(folder, os.path.join(folder, "reader"))}
        super().setUp()

    def test_a_fingerprint_that_a_module_has_taken(self):
        """It means nothing to another type of reader: said before anybody touches it.

        Requirement: F4, C3
        """
        self.enrol_courier()
        self.cabinet.stop_daemon()
        with open(self.cabinet.cabinet_path, encoding="utf-8") as f:
            text = re.sub(r"(\[Reader fingerprint\]\n)Device=.*", r"\1Type=usb", f.read())
        with open(self.cabinet.cabinet_path, "w", encoding="utf-8") as f:
            f.write(text)
        self.cabinet.start_daemon()
        self.wait_reader("ok", "Virtual image device")
        session = self.client.start_session("courier")
        error = self.assertRefused("ReaderFailed", self.begin_sign_in(session, number="4711").result)
        self.assertIn("another type of reader", error.message)
        self.assertEqual(session.prompts, [])


if __name__ == "__main__":
    if not os.path.exists(WORKER):
        print("skipped: lockerd-fingerprint-usb is not built")
        sys.exit(77)
    for number in FINGERS.values():  # they take their time to grow, which is no part of an attempt
        prints.finger(number, ROUNDS)
    main()
