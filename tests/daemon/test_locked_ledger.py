# SPDX-License-Identifier: Apache-2.0
"""Another program has the ledger locked: it is waited for, and shown, and what has happened meanwhile is recorded afterwards."""
import contextlib
import os
import signal
import sqlite3
import threading
import time

from backendlib import BackendTest
from daemonlib import Cabinet, DBusError, main, wait
from people import Scenario
from service_manager import Manager


class NotifiedCabinet(Cabinet):
    def environment(self):
        if not hasattr(self, "manager"):
            self.manager = Manager(os.path.join(self.directory, "notify"))
        return {**super().environment(), "NOTIFY_SOCKET": self.manager.path, "WATCHDOG_USEC": "3000000"}


class Locked(Scenario):
    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}

    @contextlib.contextmanager
    def locked(self, how="IMMEDIATE"):
        """As a shell of sqlite3 in which somebody has typed BEGIN."""
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger, isolation_level=None, timeout=10)) as db:
            db.execute(f"BEGIN {how}")
            try:
                yield db
            finally:
                db.execute("ROLLBACK")

    def health(self):
        return self.admin.health()["ledger"]


class Start(Locked):
    def setUp(self):
        self.cabinet = NotifiedCabinet(settings=self.settings)
        self.addCleanup(self.cabinet.stop)
        self.cabinet.start()
        self.addCleanup(self.cabinet.manager.socket.close)
        self.sim = self.cabinet.sim
        self.client = self.cabinet.client()
        self.admin = self.cabinet.client()

    def told(self, start):
        return [t for t in self.cabinet.manager.read() if t.startswith(start)]

    def test_locked_ledger_is_waited_for_and_shown(self):
        """Requirement: F4, F1"""
        for how in ("IMMEDIATE", "EXCLUSIVE"):
            with self.subTest(how=how):
                self.cabinet.stop_daemon()
                self.cabinet.manager.read()
                self.cabinet.manager.lines = []
                before = self.cabinet.log().count("Another program has locked")
                with self.locked(how):
                    daemon = self.cabinet.spawn_daemon()
                    wait(lambda: len(self.told("EXTEND_TIMEOUT_USEC=")) >= 3, "three tries")
                    self.assertIsNone(daemon.poll())
                    self.assertEqual(self.told("STATUS=")[-1], "STATUS=Waiting: another program has locked the ledger")
                    self.assertEqual(self.told("READY=1"), [])
                    self.assertGreaterEqual(int(self.told("EXTEND_TIMEOUT_USEC=")[-1].split("=")[1]), 10_000_000)
                    # The reload of a daemon that is not there yet is no reason to die.
                    daemon.send_signal(signal.SIGHUP)
                    time.sleep(1.2)
                    self.assertIsNone(daemon.poll())
                wait(lambda: self.told("READY=1"), "the ledger is free, and the cabinet serves")
                self.assertRegex(self.cabinet.log(), "Another program has locked .*ledger.db; waiting for it. End it: fuser -v")
                self.assertEqual(self.cabinet.log().count("Another program has locked"), before + 1, "said once")
                self.client, self.admin = self.cabinet.client(), self.cabinet.client()
                wait(lambda: self.admin.slot("03")["BoardOnline"], "the boards")
                self.assertEqual(self.health()[0], "ok")

    def test_stop_does_not_wait_for_it(self):
        """Requirement: F4"""
        self.cabinet.stop_daemon()
        with self.locked():
            self.cabinet.manager.lines = []
            self.cabinet.spawn_daemon()
            wait(lambda: self.told("STATUS=Waiting"), "it waits")
            begun = time.monotonic()
            self.cabinet.stop_daemon()
            self.assertLess(time.monotonic() - begun, 3)
        self.cabinet.start_daemon()


class Running(Locked):
    def slowest(self, seconds):
        """The longest time that a question had to wait for its answer."""
        slowest, until = 0, time.monotonic() + seconds
        client = self.cabinet.client()
        while time.monotonic() < until:
            begun = time.monotonic()
            client.cabinet("Number")
            slowest = max(slowest, time.monotonic() - begun)
        return slowest

    def test_nothing_opens_and_everybody_is_told_why(self):
        """Requirement: F1, F4, F8"""
        put = self.store()
        recipient = self.recipient(put.receipt["code"])
        with self.locked(), self.only():
            for act in (recipient.collect, lambda: self.admin.open_slot("05"), lambda: self.admin.disable("05")):
                with self.assertRaises(DBusError) as refused:
                    act()
                self.assertEqual(refused.exception.short, "Busy")
                self.assertIn("Another program has locked the ledger", refused.exception.message)
            state, sentence = self.health()
            self.assertEqual(state, "failed")
            self.assertIn("Another program has locked the ledger", sentence)
            self.assertRegex(self.cabinet.log(), "Another program has locked .*ledger.db: nothing can be recorded.* fuser -v")
        wait(lambda: self.health()[0] == "ok", "free again, though nobody writes", 5)
        self.assertEqual(self.cabinet.log().count("Another program has locked"), 1)
        self.take(recipient.collect())
        self.assertTrue(self.admin.verify_audit()[0])

    def test_loop_does_not_freeze_while_everybody_tries(self):
        """Requirement: F4"""
        puts = [self.store() for _ in range(3)]
        stop = threading.Event()

        def hammer():
            client = self.cabinet.client()
            while not stop.is_set():
                with contextlib.suppress(DBusError):
                    client.disable("07")
        with self.locked():
            threads = [threading.Thread(target=hammer) for _ in range(4)]
            for t in threads:
                t.start()
            time.sleep(1)  # the first one has waited
            slowest = self.slowest(4)
            stop.set()
            for t in threads:
                t.join()
        self.assertLess(slowest, 0.25, "no answer waits for the lock")
        wait(lambda: self.health()[0] == "ok", "free again", 5)
        self.collect(puts[0].receipt["code"])

    def test_what_has_happened_meanwhile_is_recorded_afterwards(self):
        """A door is shut and another one is forced while nothing can be written.

        Requirement: F4, F1
        """
        put = self.store()
        recipient = self.recipient(put.receipt["code"])
        place = recipient.collect()
        self.take(place)
        recipient.accept()
        last = self.last_event()
        with self.locked():
            self.shut(place)
            self.sim.do("force 05")
            wait(lambda: self.admin.slot("05")["Door"] == "forced", "seen")
            time.sleep(1)
            self.assertEqual(self.last_event(), last)
        self.wait_event("door.forced-open", after=last)
        self.assertEqual(self.gone(put.parcel)["state"], "collected")
        wait(lambda: self.health()[0] == "ok", "in order")
        ok, _, _, detail = self.admin.verify_audit()
        self.assertTrue(ok, detail)

    def test_short_write_of_another_program_is_waited_for(self):
        """Requirement: F4"""
        def other():
            with self.locked():
                time.sleep(0.1)
        self.courier().end()
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.03)
        self.admin.disable("07")
        thread.join()
        self.assertNotIn("Another program has locked", self.cabinet.log())


class Backend(Locked, BackendTest):
    def test_backend_is_told_why_as_well(self):
        """Requirement: F1, F4"""
        with self.locked(), self.only():
            answer = self.backend.command("open", {"slot": "05", "reason": "test"})
            self.assertEqual((answer["status"], answer["error"]), ("refused", "Busy"), answer)
            self.assertIn("Another program has locked the ledger", answer["message"])
        wait(lambda: self.health()[0] == "ok", "free again", 5)
        self.assertEqual(self.backend.command("open", {"slot": "05", "reason": "test"})["status"], "done")


main()
