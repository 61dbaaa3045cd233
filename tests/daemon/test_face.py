# SPDX-License-Identifier: Apache-2.0
"""People and their faces: the real daemon, the real worker with real models, and a camera that is played (faces.py, v4l2shim.c)."""
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

import faces
import numpy
from daemonlib import CABINET, ROOT, GLib, build_directory, dictionary, main, wait
from faces import Camera
from fingers import AtReader

WORKER = os.path.join(build_directory(), "src", "face", "lockerd-face")
SCORES = os.path.join(build_directory(), "tests", "daemon", "face-scores")
SHIM = os.path.join(build_directory(), "tests", "daemon", "v4l2shim.so")
PHONE = "+49 170 5550123"
PIN = "258036"
MODELS = None  # faces.Models()


def direction(rgb):
    """Of the nearest face, as the worker's own code has it."""
    done = subprocess.run([SCORES, MODELS.detector, MODELS.landmarks, MODELS.embedding, str(rgb.shape[1]), str(rgb.shape[0])],
                          input=rgb.tobytes(), stdout=subprocess.PIPE, check=True)
    return numpy.array([float(w) for w in done.stdout.split()[4:]])


class AtCamera(AtReader):
    """A cabinet with a camera. Nobody is there."""
    kind_of_reader = "face"
    worker = WORKER
    keys = {}
    health = ("ok", "A camera of the tests")
    # A face counts only together with something else, whatever it is.
    settings = {"Identity": {"AloneForDeposit": "none", "AloneForCollect": "none"}}

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lockerd-camera-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.camera = Camera(os.path.join(self.folder, "camera"))
        self.show(())
        program = os.path.join(self.folder, "lockerd-face")
        with open(program, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nexport LOCKERD_CAMERA={shlex.quote(self.camera.path)} LD_PRELOAD={shlex.quote(SHIM)}\n"
                    f"exec {shlex.quote(WORKER)} \"$@\"\n")
        os.chmod(program, 0o755)
        self.workers = {"lockerd-face": program}
        section = MODELS.section(**self.keys)
        type(self).edit = staticmethod(lambda text: text + section)
        super().setUp()
        self.wait_reader(*self.health)

    def show(self, who, number=0, **how):
        self.camera.show(MODELS.picture(who, number, **how))

    def begin_enrol_face(self, person, **credential):
        credential = {"consent": True, "consent_text": "faces", "consent_version": "1", **credential}
        return self.admin.begin(ROOT, CABINET, "EnrolCredential", "tsa{sv}", person, "face", dictionary(**credential))

    def enrol(self, who="anna", number="4711"):
        """A courier with a PIN and a face, who then goes away → the person's number."""
        person = self.admin.enrol_courier(number, PIN)
        self.show(who)
        self.begin_enrol_face(person).result()
        self.show(())
        return person

    def sign_in(self, session, who, number=1, claim="4711", **how):
        self.show(who, number, **how)
        try:
            return self.begin_sign_in(session, number=claim).result()
        finally:
            self.show(())

    def waiting(self, **claim):
        """A session in which somebody is asked to look into the camera → (session, pending)."""
        session = self.client.start_session("courier")
        pending = self.begin_sign_in(session, number="4711", **claim)
        session.wait_prompt("look")
        return session, pending

    def pss(self):
        with open(f"/proc/{self.worker_pid()}/smaps_rollup", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Pss:")) / 1024

    def templates(self):
        with sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM credential WHERE kind = 'face'").fetchone()[0]


class SignIn(AtCamera):
    def test_a_face_opens_together_with_something_else_and_never_alone(self):
        """Face, then PIN: a deposit. Face alone: nothing. Somebody else's face, or for somebody else's number: nothing.

        Requirement: C1, C3, A2
        """
        rest = self.pss()
        self.enrol()
        self.enrol("bert", "4712")
        session = self.client.start_session("courier")
        with self.only():
            began = time.monotonic()
            self.sign_in(session, "anna")
            print(f"lockerd-face: {time.monotonic() - began:.2f} s a comparison, PSS {rest:.1f} MiB at rest, {self.pss():.1f} MiB after")
            self.assertEqual(session.state, "incomplete")
            self.assertRefused("AnotherNeeded", session.deposit, size="S")
            other = self.client.start_session("courier")
            self.assertRefused("WrongCredential", self.sign_in, other, "bert")
            self.assertRefused("WrongCredential", self.sign_in, other, "anna", claim="4712")
            self.assertRefused("WrongCredential", self.sign_in, other, "anna", claim="9999")
            self.assertEqual(other.state, "new")
            other.end()
        session.authenticate_pin("4711", PIN)
        self.assertEqual(session.state, "authenticated")
        put = self.store(session=session, end=True)
        self.assertEqual(self.opened(put.slot), [1])
        self.assertEqual(self.camera.streams, 0, "the camera is off")

    def test_a_recipient_is_known_by_face_and_pattern_after_a_restart_and_not_after_revocation(self):
        """Requirement: C1, C2, C3, C6"""
        person = self.admin.call(ROOT, CABINET, "Enrol", "a{sv}", dictionary(kind="recipient", phone=PHONE, name="Erika Mustermann",
                                                                             pattern="04125", consent=True))
        self.show("erika")
        self.begin_enrol_face(person).result()
        self.assertEqual(self.admin.credentials(person)["face"][3:5], ("faces", "1"))
        courier = self.admin.enrol_courier("4713", PIN)
        self.begin_enrol_face(courier).result()  # the same face: whoever claims to be somebody is compared with that one
        self.show(())
        self.cabinet.restart()
        self.wait_reader("ok")
        session = self.client.start_session("courier")
        session.authenticate_pin("4713", PIN)
        self.sign_in(session, "erika", claim="4713")
        put = self.store(session=session, phone=PHONE)
        self.assertEqual(sorted(put.receipt["credentials"]), ["face", "pattern"])
        session = self.client.start_session("recipient")
        self.show("erika", 2)
        self.begin_sign_in(session, phone=PHONE).result()
        self.assertEqual((session.state, session.parcels), ("incomplete", []))
        session.authenticate("pattern", phone=PHONE, pattern="04125")
        self.assertEqual(session.parcels, [put.parcel])
        with self.only(put.slot):
            place = session.collect()
            self.take(place)
            session.accept()
            self.shut(place)
            session.wait_prompt("collected")
        session.end()
        self.admin.revoke_credential(person, "face")
        session = self.client.start_session("recipient")
        self.assertRefused("WrongCredential", self.begin_sign_in(session, phone=PHONE).result)

    def test_what_is_wrong_is_told_until_it_is_right(self):
        """Nobody, somebody far away, too dark, two people: each its own prompt, none a failed attempt.

        Requirement: C3, F4
        """
        self.enrol()
        self.show("anna", 1, light=0.12, noise=2)
        session, pending = self.waiting()
        session.wait_prompt("too-dark")
        self.show("anna", 1, size=60)
        session.wait_prompt("nearer")
        self.show(("anna", "carl"), 1)
        session.wait_prompt("alone")
        self.assertFalse(pending.done)
        self.show(())
        session.wait_prompt("look")
        self.show("anna", 1)
        pending.result()
        self.assertEqual(session.state, "incomplete")
        self.assertEqual(self.admin.lockouts(), {})

    def test_lockerctl_has_the_camera_take_a_face_and_nothing_of_it_lies_about_in_the_clear(self):
        """Neither template nor picture: in the ledger, beside it, or in the log.

        Requirement: C1, F8, F9, C6
        """
        person = self.admin.enrol_courier("4711", PIN)
        command = [os.path.join(build_directory(), "src", "ctl", "lockerctl"), "enrol", str(person), "--face", "--consent"]
        self.show("anna")
        ctl = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.cabinet.environment(), check=False,
                             timeout=60)
        self.assertEqual((ctl.returncode, ctl.stdout), (0, f"Person {person} has a new face.\n"))
        self.assertIn("look into the camera", ctl.stderr)
        self.assertEqual([p[5] for p in self.admin.people()], [["pin", "face"]])
        session = self.client.start_session("courier")
        self.sign_in(session, "anna", 0)
        self.assertEqual((session.state, self.templates()), ("incomplete", 1))
        seen = MODELS.picture("anna")
        stored = numpy.round(direction(faces_as_seen(seen)) * 32767).astype(int)
        known = [b"".join(int(v).to_bytes(2, order, signed=True) for v in stored[i:i + 4]) for i in (0, 100, 300) for order in ("big", "little")]
        known.append(faces.yuyv(seen)[300000:300032])
        for folder, _, names in os.walk(self.cabinet.directory):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as f:
                        data = f.read()
                    self.assertFalse([k for k in known if k in data], path)

    def test_two_people_are_not_one_enrolment(self):
        """Somebody steps in between two shots: nothing is stored. Without consent nobody is looked at.

        Requirement: C1, C6
        """
        person = self.admin.enrol_courier("4711", PIN)
        self.assertRefused("InvalidArgument", self.begin_enrol_face(person, consent=False).result)
        self.assertEqual(self.camera.streams, 0)
        self.show("anna")
        self.camera.hold = Camera.AT_SECOND
        pending = self.begin_enrol_face(person)
        wait(lambda: self.camera.at == Camera.AT_SECOND, "the first shot has been taken")
        self.show("carl")
        self.camera.hold = 0
        error = self.assertRefused("NoSample", pending.result)
        self.assertIn("not the same", error.message)
        self.assertEqual(self.templates(), 0)


class InTime(AtCamera):
    settings = {"Identity": {"AloneForDeposit": "none", "ReaderTimeout": "4s"}}

    def test_nobody_clearly_seen_in_time_is_no_failed_attempt(self):
        """The wait has an end, and the last reason is its sentence.

        Requirement: F4
        """
        self.enrol()
        for who, sentence in ((), "No face was clearly seen"), (("anna", "carl"), "More than one face"):
            with self.subTest(sentence=sentence):
                began = time.monotonic()
                self.show(who, 1)
                session, pending = self.waiting()
                error = self.assertRefused("NoSample", pending.result)
                self.assertIn(sentence, error.message)
                self.assertLess(time.monotonic() - began, 12)
                self.assertEqual((session.state, self.admin.lockouts()), ("new", {}))
                session.end()


def faces_as_seen(rgb):
    """What is left of colours when a camera has sent them: a colour for two pixels, 16 … 235."""
    data = numpy.frombuffer(faces.yuyv(rgb), dtype=numpy.uint8).reshape(rgb.shape[0], -1, 4).astype(int)
    out = numpy.empty(rgb.shape, dtype=numpy.uint8)
    for i in (0, 1):
        c, d, e = 298 * (data[..., 2 * i] - 16) + 128, data[..., 1] - 128, data[..., 3] - 128
        for k, v in enumerate((c + 409 * e, c - 100 * d - 208 * e, c + 516 * d)):
            # C divides towards zero.
            out[:, i::2, k] = numpy.clip(numpy.trunc(v / 256), 0, 255)
    return out


class Faults(AtCamera):
    """What is wrong with the camera: each has its sentence, counts for nobody and opens nothing."""

    def setUp(self):
        super().setUp()
        self.enrol()

    def works_again(self):
        self.camera.state = Camera.PRESENT
        session = self.client.start_session("courier")
        self.sign_in(session, "anna")
        self.assertEqual(session.state, "incomplete")
        session.end()

    def test_a_camera_that_fails_at_any_moment_is_told_as_what_it_is(self):
        """Requirement: F4"""
        before = {"not connected": Camera.MISSING, "Another program": Camera.BUSY, "cannot be used": Camera.NO_CAMERA,
                  "reports an error": Camera.REFUSING}
        amidst = {"unplugged": Camera.MISSING, "damaged": Camera.DAMAGED, "does not answer": Camera.SILENT}
        for sentence, state in before.items():
            with self.subTest(before=sentence), self.only():
                self.camera.state = state
                session = self.client.start_session("courier")
                error = self.assertRefused("ReaderFailed", self.begin_sign_in(session, number="4711").result)
                self.assertIn(sentence, error.message)
                self.wait_reader("failed", sentence)
                session.end()
        with self.subTest("compressed"):
            self.camera.state, self.camera.fourcc = Camera.PRESENT, int.from_bytes(b"MJPG", "little")
            session = self.client.start_session("courier")
            error = self.assertRefused("ReaderFailed", self.begin_sign_in(session, number="4711").result)
            self.assertIn("cannot be used", error.message)
            self.cabinet.wait_log("no format without compression")
            session.end()
            self.camera.fourcc = int.from_bytes(b"YUYV", "little")
        self.works_again()
        for sentence, state in amidst.items():
            with self.subTest(amidst=sentence), self.only():
                session, pending = self.waiting()
                self.camera.state = state
                error = self.assertRefused("ReaderFailed", pending.result)
                self.assertIn(sentence, error.message)
                if state == Camera.MISSING:
                    session.wait_prompt("reader-missing")
                self.camera.state = Camera.PRESENT
                session.end()
        self.works_again()
        self.assertEqual(self.admin.lockouts(), {})
        self.wait_reader("ok")

    def test_cancelled_abandoned_and_too_late(self):
        """The camera is off then, and the next one has it; whoever appears afterwards is not looked at.

        Requirement: F3, F4
        """
        session, pending = self.waiting()
        self.assertRefused("Busy", self.begin_sign_in(self.cabinet.client().start_session("courier"), number="4711").result)
        session.cancel()
        self.assertRefused("Cancelled", pending.result)
        self.show("anna")
        wait(lambda: not self.camera.streams, "the camera is off")
        time.sleep(0.3)
        self.assertEqual(session.state, "new")
        session.end()
        self.show(())
        kiosk = self.cabinet.client()
        abandoned = kiosk.start_session("courier")
        self.begin_sign_in(abandoned, number="4711")
        abandoned.wait_prompt("look")
        kiosk.close()
        wait(lambda: not self.camera.streams, "the camera is off")
        self.works_again()

    def dies(self, step, begin):
        """The worker is killed at this step of an attempt; nothing opens, and another one comes."""
        pid = self.worker_pid()
        self.show("anna")
        self.camera.hold, self.camera.at = step, 0
        with self.only():
            pending = begin()
            wait(lambda: self.camera.at == step, f"step {step}")
            os.kill(pid, signal.SIGKILL)
            self.camera.hold = self.camera.streams = 0
            self.assertRefused("ReaderFailed", pending.result)
        self.assertEqual((self.templates(), self.admin.lockouts()), (1, {}))
        self.show(())
        wait(lambda: self.worker_pid() not in (None, pid), "another worker")
        self.wait_reader("ok")

    def test_a_matcher_that_dies_at_any_step(self):
        """Of a verification, nobody is let in; of an enrolment, nobody is half enrolled.

        Requirement: F4, F17, C6
        """
        other = self.admin.enrol_courier("4712", PIN)
        session = self.client.start_session("courier")
        for step in (Camera.AT_STREAM, Camera.AT_SECOND, Camera.AT_OFF):
            with self.subTest("verify", step=step):
                self.dies(step, lambda: self.begin_sign_in(session, number="4711"))
                self.assertEqual(session.state, "new")
        for step in (Camera.AT_FIRST, Camera.AT_OFF):
            with self.subTest("enrol", step=step):
                self.dies(step, lambda: self.begin_enrol_face(other))
                self.assertNotIn("face", self.admin.credentials(other))
        self.works_again()

    def test_a_matcher_that_hangs_answers_too_late(self):
        """Its verdict of the attempt before counts for nobody: it is replaced.

        Requirement: F4, F17
        """
        self.show("anna", 1)
        self.camera.hold = Camera.AT_OFF
        session = self.client.start_session("courier")
        with self.only():
            pending = self.begin_sign_in(session, number="4711")
            wait(lambda: self.camera.at == Camera.AT_OFF, "it has seen the face")
            self.assertRefused("ReaderFailed", pending.result)
            self.camera.hold = 0
            self.assertEqual(session.state, "new")
        self.wait_reader("ok")
        self.works_again()

    def test_a_template_that_is_damaged_or_of_other_models(self):
        """Of other models: that is said, and nobody is asked to look. Damaged in the ledger: nobody's, whoever looks.

        Requirement: C3, F4
        """
        self.cabinet.stop_daemon()
        weights = os.path.join(self.folder, "other.onnx")
        shutil.copyfile(MODELS.embedding, weights)
        with open(weights, "r+b") as f:  # the same network with another weight somewhere
            f.seek(os.path.getsize(weights) // 2)
            byte = f.read(1)[0]
            f.seek(-1, 1)
            f.write(bytes([byte ^ 1]))
        with open(self.cabinet.cabinet_path, "r+", encoding="utf-8") as f:
            text = f.read().replace(faces.describe(MODELS.embedding), faces.describe(weights))
            f.seek(0)
            f.truncate()
            f.write(text)
        self.cabinet.start_daemon()
        self.wait_reader("ok")
        session = self.client.start_session("courier")
        error = self.assertRefused("ReaderFailed", self.begin_sign_in(session, number="4711").result)
        self.assertIn("other models", error.message)
        self.assertEqual((session.prompts, self.camera.streams), ([], 0))
        self.cabinet.stop_daemon()
        with sqlite3.connect(self.cabinet.ledger) as db:
            sealed = bytearray(db.execute("SELECT data FROM credential WHERE kind = 'face'").fetchone()[0])
            sealed[len(sealed) // 2] ^= 1
            db.execute("UPDATE credential SET data = ? WHERE kind = 'face'", (bytes(sealed),))
        self.cabinet.start_daemon()
        self.wait_reader("ok")
        session = self.client.start_session("courier")
        with self.only():
            self.assertRefused("WrongCredential", self.sign_in, session, "anna")


class WrongModel(AtCamera):
    """A model file is not what the configuration names. The sentence says which, and no attempt is made."""
    health = ("failed", "is not the one that the configuration names. (Landmarks=: it has another SHA-256)")

    def setUp(self):
        self.keys = {"Landmarks": faces.describe(MODELS.landmarks)[:-4] + "0000"}
        super().setUp()

    def test_each_wrong_model_is_told(self):
        """Another hash; after that another size, no file, no model, a model of another kind.

        Requirement: F4
        """
        none = os.path.join(self.folder, "none.onnx")
        with open(none, "wb") as f:
            f.write(b"no model")
        size = os.path.getsize(MODELS.embedding)
        session = self.client.start_session("courier")
        error = self.assertRefused("ReaderFailed", self.begin_sign_in(session, number="4711").result)
        self.assertIn("is not the one", error.message)
        self.assertEqual(self.camera.opens, 0)
        cases = [({"Embedding": faces.describe(MODELS.embedding).replace(f" {size} ", f" {size + 1} ")}, f"Embedding=: it has {size} bytes"),
                 ({"Detector": f"{none}.not 8 {'0' * 64}"}, "cannot be read. (Detector=: No such file"),
                 ({"Detector": faces.describe(none)}, "cannot be used. (Detector=: it cannot be loaded"),
                 ({"Detector": faces.describe(MODELS.landmarks)}, "cannot be used. (Detector=: it is no such model")]
        with open(self.cabinet.cabinet_path, encoding="utf-8") as f:
            others = f.read().split("\n[Reader face]\n")[0]
        for keys, sentence in cases:
            with self.subTest(sentence=sentence):
                self.cabinet.stop_daemon()
                with open(self.cabinet.cabinet_path, "w", encoding="utf-8") as f:
                    f.write(others + MODELS.section(**keys))
                self.cabinet.start_daemon()
                self.wait_reader("failed", sentence)


if __name__ == "__main__":
    if not os.path.exists(WORKER):
        print("skipped: lockerd-face is not built")
        sys.exit(77)
    try:
        MODELS = faces.Models()
    except OSError as missing:
        print(f"skipped: {missing}")
        sys.exit(77)
    main()
