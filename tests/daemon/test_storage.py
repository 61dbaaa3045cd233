# SPDX-License-Identifier: Apache-2.0
"""The disk fills up: first deposits stop, then the reserve is used up for collections, then nothing opens; and back again."""
import os
import shutil

from daemonlib import DBusError, main, wait
from people import Scenario
from small_disk import SmallDisk, needs_mount


@needs_mount
class FullDisk(SmallDisk, Scenario):
    def setUp(self):
        self.mount_disk()
        self.settings = {"Daemon": self.daemon_settings(), "Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}
        super().setUp()

    def storage(self):
        return self.admin.health()["storage"][0]

    def test_nearly_full_takes_no_deposits_but_gives_out(self):
        """Requirement: F4, F1"""
        put, other = self.store(), self.store()
        self.assertEqual(self.storage(), "ok")
        self.assertTrue(os.path.exists(self.reserve))
        self.assertGreaterEqual(os.stat(self.reserve).st_blocks * 512, 4 << 20, "really taken, not sparse")
        self.fill(6 << 20)
        courier = self.courier()
        with self.only():
            error = self.assertRefused("StorageFull", courier.deposit, size="S")
            self.assertIn("collecting still works", error.message)
        courier.end()
        self.assertEqual(self.storage(), "degraded")
        self.cabinet.wait_log("no deposits until space is freed")
        self.collect(put.receipt["code"])
        # Really full to the last byte, apart from the reserve: that is what it is for.
        self.fill(0)
        self.collect(other.receipt["code"])
        self.assertEqual(self.admin.find_history(other.receipt["parcel"])["state"], "collected")
        self.assertFalse(os.path.exists(self.reserve))
        self.cabinet.wait_log("the reserve has been given up")
        self.make_room()
        third = self.store()
        self.assertEqual(self.storage(), "ok")
        self.assertTrue(os.path.exists(self.reserve), "a new reserve for the next time")
        self.cabinet.restart(kill=True)
        self.collect(third.receipt["code"])
        self.assertTrue(self.admin.verify_audit()[0])

    def test_truly_full_opens_nothing_and_says_so(self):
        """Requirement: F1, F4, F8"""
        put = self.store()
        courier, recipient = self.courier(), self.recipient(put.receipt["code"])
        error = self.use_up()
        self.assertIn("nothing is opened", error.message)
        with self.only():
            for act in (recipient.collect, lambda: self.admin.open_slot("05"), lambda: courier.deposit(size="S")):
                with self.assertRaises(DBusError) as refused:
                    act()
                self.assertEqual(refused.exception.short, "StorageFull")
                self.assertIn("full", refused.exception.message)
        self.assertIn("failed", [state for state, _ in self.admin.health().values()])
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
        self.assertIsNone(self.cabinet.daemon.poll())
        self.make_room()
        place = recipient.collect()
        self.take(place)
        recipient.accept()
        self.shut(place)
        recipient.wait_prompt("collected")
        self.assertEqual(self.gone(put.parcel)["state"], "collected")
        self.assertEqual(self.admin.health()["ledger"][0], "ok")
        self.assertTrue(self.admin.verify_audit()[0])

    def test_safety_release_needs_no_disk(self):
        """The one act that opens first and writes second.

        Requirement: F12, F4
        """
        self.use_up()
        with self.only("12"):
            self.sim.do("release 12 on")
            self.sim.wait("12", door="open")
            self.sim.do("release 12 off")
            self.admin.wait_slot("12", Door="open")
        self.make_room()
        self.push("12")
        self.admin.wait_slot("12", Door="locked")

    def test_full_in_the_middle_of_a_pickup(self):
        """The door is open when the disk is full: the outcome is recorded as soon as there is space.

        Requirement: F1, F4
        """
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        self.use_up()
        session.accept()
        self.shut(place)
        self.admin.wait_slot(put.slot, Door="locked")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "collecting")
        self.make_room()
        session.wait_prompt("collected", timeout=10)
        self.assertEqual(self.gone(put.parcel)["state"], "collected")

    def test_full_at_the_start(self):
        """Requirement: F4"""
        put = self.store()
        self.cabinet.stop_daemon()
        self.fill(0)
        self.cabinet.start_daemon()
        self.assertEqual(self.storage(), "degraded")
        self.collect(put.receipt["code"])
        self.make_room()
        wait(lambda: self.storage() == "ok" or self.store(), "room", 15)

    def test_full_to_the_last_byte_starts_read_only_and_says_so(self):
        """No reserve is left, and not even SQLite's index of its log fits: what was stored is shown, nothing opens.

        Requirement: F4, B4
        """
        put = self.store()
        for kill in (True, False):
            self.use_up()
            with self.subTest(kill=kill), self.only():
                self.cabinet.kill_daemon() if kill else self.cabinet.stop_daemon()
                index = self.settings["Daemon"]["Ledger"] + "-shm"
                if not kill and os.path.exists(index):
                    os.unlink(index)  # as after the file system's own restart: there is no room for it again
                self.fill(0)
                self.cabinet.start_daemon()
                self.cabinet.wait_log("starts without being able to record anything")
                if not kill:
                    self.assertLess(os.path.getsize(index), 32768, "the index is in memory")
                self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
                self.assertEqual((self.storage(), self.admin.health()["ledger"][0]), ("degraded", "failed"))
                for act in (lambda: self.admin.open_slot("05"), self.courier, lambda: self.recipient(put.receipt["code"])):
                    with self.assertRaises(DBusError) as refused:
                        act()
                    self.assertEqual(refused.exception.short, "StorageFull")
            # As soon as there is room it goes on, without a restart.
            self.make_room()
            wait(lambda: self.admin.health()["ledger"][0] == "ok", "a ledger that can be written", 30)
        self.admin.backup(os.path.join(self.cabinet.directory, "backup.db"))
        self.collect(put.receipt["code"])
        self.assertTrue(self.admin.verify_audit()[0])
        self.cabinet.wait_log("can be recorded again")

    def test_older_ledger_on_a_full_disk_gives_out_nothing_when_there_is_room_again(self):
        """That it is older could not be recorded at the start, and is not forgotten.

        Requirement: F4, F14
        """
        self.courier().end()
        put = self.store()
        backup = os.path.join(self.cabinet.directory, "older.db")
        self.admin.backup(backup)
        self.collect(put.receipt["code"])
        self.cabinet.stop_daemon()
        shutil.copy(backup, self.settings["Daemon"]["Ledger"])
        for name in ("-shm", "-wal", ".reserve"):
            if os.path.exists(self.settings["Daemon"]["Ledger"] + name):
                os.unlink(self.settings["Daemon"]["Ledger"] + name)
        self.fill(0)
        with self.only():
            self.cabinet.start_daemon()
            self.cabinet.wait_log("starts without being able to record anything")
            self.client, self.admin = self.cabinet.client(), self.cabinet.client()
            self.make_room()
            self.assertRefused("WrongState", self.recipient, put.receipt["code"])
            wait(lambda: self.admin.parcel(put.parcel)["State"] == "unverified", "doubted")
        self.admin.reconcile(put.slot, put.position, "empty", reason="looked")
        self.store()


main()
