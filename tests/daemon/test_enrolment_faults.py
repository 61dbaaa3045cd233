#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong while somebody enrols or is compared at a reader: each fault has its own error and sentence, nobody is half enrolled, no
template is stored without its consent, and nothing of a finger lies about."""
import contextlib
import hashlib
import os
import sqlite3
import sys

import uartmodule
from daemonlib import Cabinet, Gone, build_directory, dictionary, main, wait
from dbusclient import CABINET, ROOT
from small_disk import SmallDisk, needs_mount
from test_fingerprint import WORKER, Fingers

KILLSHIM = os.path.join(build_directory(), "tests", "daemon", "killshim.so")
KNOWN = hashlib.sha256(b"9:anna").digest()  # what the module makes of this finger, whatever the touch


class FaultyEnrolments(Fingers):
    def setUp(self):
        super().setUp()
        self.person = self.admin.enrol_courier("4711", "258036")

    def begin(self):
        return self.admin.begin(ROOT, CABINET, "EnrolCredential", "tsa{sv}", self.person, "fingerprint", dictionary(consent=True))

    def enrol_finger(self):
        pending = self.begin()
        self.wait_looks()
        self.touch_twice("anna")
        return pending.result()

    def is_enrolled(self):
        """All of it is there, or nothing: credential, consent and event."""
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            found = [db.execute(query).fetchone()[0] for query in
                     ("SELECT count(*) FROM credential WHERE kind = 'fingerprint'", "SELECT count(*) FROM consent WHERE kind = 'fingerprint' AND withdrawn IS NULL")]
        found.append(sum(1 if e.type == "credential.enrolled" else -1 for e in self.admin.events()
                         if e.type in ("credential.enrolled", "credential.revoked") and e.data["kind"] == "fingerprint"))
        self.assertIn(found, ([0, 0, 0], [1, 1, 1]), "credential, consent, event")
        return found[0] == 1

    def assert_no_traces(self):
        """Of the finger, in the clear: in no file of the cabinet and not in the module."""
        self.assert_empty_module()
        for path in {os.path.join(folder, name) for top in (self.cabinet.directory, os.path.dirname(self.cabinet.ledger))
                     for folder, _, names in os.walk(top) for name in names}:
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as f:
                    self.assertNotIn(KNOWN, f.read(), path)

    def refused_and_nothing_stored(self, error, sentence):
        message = self.assertRefused(error, self.enrol_finger).message
        self.assertIn(sentence, message)
        self.assertFalse(self.is_enrolled())
        self.assert_no_traces()


@needs_mount
class FullDisk(SmallDisk, FaultyEnrolments):
    def setUp(self):
        self.mount_disk()
        self.settings = {"Daemon": self.daemon_settings()}
        super().setUp()
        self.cabinet.ledger = os.path.join(self.disk, "ledger.db")

    @contextlib.contextmanager
    def full(self):
        """To the last byte, also when nothing is asked for a while: somebody reads, so that the log is not emptied and gives nothing back."""
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True, isolation_level=None)) as db:
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM person").fetchone()
            self.use_up()
            yield
        self.make_room()

    def test_a_full_disk_stores_nothing_of_an_enrolment(self):
        """Found after the person has touched the reader; with room again it works, and the finger opens.

        Requirement: C6, F4
        """
        with self.full():
            self.refused_and_nothing_stored("StorageFull", "nothing can be recorded")
            error = self.assertRefused("StorageFull", lambda: self.enrol("bert", kind="courier", number="4712", name="Bert", consent=True))
            self.assertIn("nothing can be recorded", error.message)
        self.assertEqual([p[0] for p in self.admin.people()], [self.person])
        self.enrol_finger()
        self.assertTrue(self.is_enrolled())
        self.courier_by_finger().end()


class LockedLedger(FaultyEnrolments):
    def test_a_ledger_that_another_program_has_locked(self):
        """Told as such, nothing is stored, and the next try does it.

        Requirement: C6, F4
        """
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger, isolation_level=None, timeout=10)) as db:
            pending = self.begin()
            self.wait_looks()
            db.execute("BEGIN IMMEDIATE")
            self.touch_twice("anna")
            error = self.assertRefused("Busy", pending.result)
            db.execute("ROLLBACK")
        self.assertIn("locked", error.message)
        self.assertFalse(self.is_enrolled())
        self.assert_no_traces()
        wait(lambda: self.admin.health()["ledger"][0] == "ok", "the ledger is free")
        self.enrol_finger()
        self.courier_by_finger().end()


class Unplugged(FaultyEnrolments):
    def test_a_reader_that_is_unplugged_in_mid_touch(self):
        """Requirement: C6, F4"""
        pending = self.begin()
        self.wait_looks()
        self.module.touch("anna")
        wait(lambda: self.module.count(uartmodule.EXTRACT), "the first capture")
        self.module.unplug()
        self.assertIn("unplugged", self.assertRefused("ReaderFailed", pending.result).message)
        self.assertEqual([s.values[2] for s in self.admin.signals if s.member == "EnrolmentPrompt"][-1], "reader-missing")
        self.wait_reader("failed")
        self.module.lift()
        self.assertFalse(self.is_enrolled())
        self.module.plug()
        self.wait_reader("ok")
        self.enrol_finger()
        self.courier_by_finger().end()


class DaemonKilled(FaultyEnrolments):
    def dies_at(self, step, begin, touch):
        worker = self.worker_pid()
        begin()
        self.module.on_command[getattr(uartmodule, step)] = lambda: (self.module.on_command.clear(), self.cabinet.daemon.kill())
        touch()
        self.cabinet.daemon.wait(30)
        wait(lambda: not os.path.exists(f"/proc/{worker}"), "the worker leaves")
        self.module.lift()
        self.assert_empty_module()
        self.cabinet.start_daemon()
        self.wait_reader("ok")
        self.assert_no_traces()

    def begin_and_wait(self):
        self.begin()
        self.wait_looks()

    def touch_once(self):
        self.module.touch("anna")

    def touch_until_dead(self):
        with contextlib.suppress(Gone):
            self.touch_twice("anna")

    def touch_twice(self, finger, second=None):
        """As ever, but the daemon may be gone meanwhile."""
        captures = self.module.count(uartmodule.EXTRACT)

        def alive():
            return self.cabinet.daemon.poll() is None

        self.module.touch(finger)
        wait(lambda: self.module.count(uartmodule.EXTRACT) > captures or not alive(), "the first capture")
        self.module.lift()
        seen = self.module.seen
        wait(lambda: self.module.seen >= seen + 2 or not alive(), "the module looks for a finger")
        self.module.touch(second or finger)
        wait(lambda: self.module.count(uartmodule.EXTRACT) > captures + 1 or not alive(), "the second capture")
        self.module.lift()

    def test_the_daemon_dies_at_any_step_of_an_enrolment(self):
        """Requirement: C6, F4"""
        for step in ("GET_IMAGE", "EXTRACT", "REGISTER", "UPLOAD"):
            with self.subTest(step=step):
                self.dies_at(step, self.begin_and_wait, self.touch_once if step in ("GET_IMAGE", "EXTRACT") else self.touch_until_dead)
                self.assertFalse(self.is_enrolled())
        self.enrol_finger()
        self.courier_by_finger().end()

    def test_the_daemon_dies_at_any_step_of_a_verification(self):
        """Nobody is signed in by it, and nobody is locked out.

        Requirement: F4, F17
        """
        self.enrol_finger()
        for step in ("EXTRACT", "DOWNLOAD", "MATCH"):
            with self.subTest(step=step), self.only():
                session = self.client.start_session("courier")
                self.dies_at(step, lambda: (self.begin_sign_in(session, number="4711"), session.wait_prompt("touch")), self.touch_once)
                self.assertFalse(session.exists)
                self.assertTrue(self.is_enrolled())
        self.assertEqual(self.admin.lockouts(), {})
        self.courier_by_finger().end()


class ShimmedCabinet(Cabinet):
    """The daemon dies at its n-th write to the ledger (killshim.c); 0: never."""
    at, how = 0, "before"

    def environment(self):
        self.token, self.list = (os.path.join(self.directory, name) for name in ("token", "list"))
        for path in (self.token, self.list):
            open(path, "w", encoding="utf-8").close()
        return {**super().environment(), "LD_PRELOAD": KILLSHIM, "KILLSHIM_PROGRAM": "lockerd", "KILLSHIM_ARGUMENT": "--config",
                "KILLSHIM_LEDGER": self.ledger, "KILLSHIM_KEY": "/nonexistent", "KILLSHIM_CLASSES": "ledger", "KILLSHIM_TOKEN": self.token,
                "KILLSHIM_LIST": self.list, "KILLSHIM_AT": str(self.at), "KILLSHIM_HOW": self.how}

    def writes(self):
        with open(self.list, encoding="utf-8") as f:
            return len(f.readlines())


class DaemonKilledAtWrites(DaemonKilled):
    """The same, at writes to the ledger. All of them, with every way to die: LOCKERD_EVERY=1."""
    test_the_daemon_dies_at_any_step_of_an_enrolment = test_the_daemon_dies_at_any_step_of_a_verification = None
    every = int(os.environ.get("LOCKERD_EVERY", "7"))

    def setUp(self):
        if not os.path.exists(KILLSHIM):
            self.skipTest("killshim is not built")
        super().setUp()

    def make_cabinet(self, **options):
        return ShimmedCabinet(**options)

    def restart_at(self, at, how="before"):
        self.cabinet.at, self.cabinet.how = at, how
        self.cabinet.restart()
        self.wait_reader("ok")

    def try_to_enrol(self):
        """→ the number of writes before it"""
        before = self.cabinet.writes()
        pending = self.begin()
        looks = self.module.seen
        wait(lambda: self.module.seen > looks or self.cabinet.daemon.poll() is not None, "the module looks for a finger")
        self.touch_twice("anna")
        wait(lambda: pending.done or self.cabinet.daemon.poll() is not None, "an answer, or death")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.cabinet.token)  # whoever has survived it goes on living
        return before

    def test_the_daemon_dies_at_a_write_of_an_enrolment(self):
        """Requirement: C6, F4"""
        self.restart_at(0)
        before = self.try_to_enrol()
        n = self.cabinet.writes() - before
        self.assertGreater(n, 5)
        self.admin.revoke_credential(self.person, "fingerprint")
        died = 0
        points = [(at, how) for at in range(1, n + 1) for how in ("before", "torn", "lost")][::self.every]
        for at, how in points:
            with self.subTest(at=at, how=how):
                self.restart_at(before + at, how)
                self.try_to_enrol()
                if self.cabinet.daemon.poll() is not None:
                    died += 1
                    self.module.lift()
                    self.cabinet.at = 0
                    self.cabinet.start_daemon()
                    self.wait_reader("ok")
                self.assert_no_traces()
                if self.is_enrolled():
                    self.courier_by_finger().end()
                    self.admin.revoke_credential(self.person, "fingerprint")
        print(f"{len(points)} of {3 * n} points, {died} deaths", file=sys.stderr)
        self.assertGreater(died, len(points) // 2)


if __name__ == "__main__":
    if not os.path.exists(WORKER):
        print("skipped: lockerd-fingerprint is not built")
        sys.exit(77)
    main()
