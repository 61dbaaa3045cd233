# SPDX-License-Identifier: Apache-2.0
"""The daemon and its bus: the name, a lost connection, and the long works that run beside the doors."""
import os
import sqlite3
import stat
import subprocess

from daemonlib import CABINET, ROOT, SLOT, DaemonTest, DBusError, dictionary, main, slot_path, wait


class Bus(DaemonTest):
    def test_second_daemon_finds_the_name_taken(self):
        first = self.cabinet.daemon
        conf = self.cabinet.config + ".second"
        with open(self.cabinet.config, encoding="utf-8") as f:
            text = f.read()
        # A ledger of its own and no line in common, so that only the name stands in its way.
        with open(self.cabinet.cabinet_path, encoding="utf-8") as f:
            cabinet = f.read()
        other = self.cabinet.cabinet_path + ".second"
        with open(other, "w", encoding="utf-8") as f:
            f.write(cabinet.replace("Device=", "Device=/nonexistent"))
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text.replace(self.cabinet.ledger, self.cabinet.ledger + ".second").replace(self.cabinet.cabinet_path, other))
        second = subprocess.run([first.args[0], "--config", conf], capture_output=True, text=True, timeout=30,
                                env=self.cabinet.environment(), check=False)
        self.assertNotEqual(second.returncode, 0)
        self.assertIn("is taken", second.stderr)
        self.assertIsNone(first.poll())
        self.assertTrue(self.client.has_owner())

    def test_lost_bus_ends_the_daemon_so_that_it_is_started_again(self):
        self.cabinet.bus.process.kill()
        self.assertEqual(self.cabinet.daemon.wait(10), 1)
        self.cabinet.daemon = None
        self.assertIn("connection to the D-Bus system bus is lost", self.cabinet.log())
        self.cabinet.clients.clear()

    def test_bus_that_does_not_permit_the_name_is_named_as_the_reason(self):
        self.cabinet.stop_daemon()
        path = os.path.join(self.cabinet.directory, "bus.conf")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace('<allow own="*"/>', ""))
        self.client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "ReloadConfig", name="org.freedesktop.DBus")
        self.assertNotEqual(self.cabinet.spawn_daemon().wait(30), 0)
        self.cabinet.daemon = None
        self.assertIn("org.lockerd.Locker1.conf", self.cabinet.log())

    def test_terminal_that_dies_in_a_deposit_leaves_the_parcel_in_order(self):
        """Requirement: F3"""
        terminal = self.cabinet.client()
        session = self.courier(client=terminal)
        session.begin_deposit(size="S")
        terminal.connection.flush_sync(None)
        wait(lambda: self.admin.parcels(), "the deposit began")
        terminal.close()
        (parcel, facts), = self.admin.parcels().items()
        self.sim.wait(facts["Slot"], door="open", coil=False)
        self.admin.wait_slot(facts["Slot"], Door="open")
        self.sim.do(f"put {facts['Slot']}", f"close {facts['Slot']}")
        self.admin.wait_parcel(parcel, "stored")
        self.admin.wait_slot(facts["Slot"], Door="locked", InUse=False)

    def test_stop_while_answers_are_owed_leaks_nothing(self):
        session = self.courier()
        pending = [session.begin_deposit(size="S"), self.admin.begin(slot_path("07"), SLOT, "Open", "us", 0, "inspection"),
                   self.admin.begin(ROOT, CABINET, "Enrol", "a{sv}", dictionary(kind="courier", number="9", pin="258036")),
                   self.admin.begin(ROOT, CABINET, "VerifyAudit"),
                   self.admin.begin(ROOT, CABINET, "Backup", "s", os.path.join(self.cabinet.directory, "copy.db"))]
        wait(self.admin.parcels, "the deposit began")
        self.cabinet.stop_daemon()
        for p in pending:
            wait(lambda p=p: p.done, f"an end of {p.what}")
        self.assertFalse([f for f in os.listdir(self.cabinet.directory) if f.endswith(".part")])


class LongWorks(DaemonTest):
    def test_backup_is_a_whole_ledger_for_the_daemon_only(self):
        put = self.store()
        path = os.path.join(self.cabinet.directory, "copy.db")
        size = self.admin.backup(path)
        self.assertEqual(size, os.path.getsize(path))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        copy = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.assertEqual(copy.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        copy.close()
        self.assertRefused("InvalidArgument", self.admin.backup, path)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")

    def test_only_one_backup_and_one_verification_at_a_time(self):
        directory = self.cabinet.directory
        pending = [self.admin.begin(ROOT, CABINET, "Backup", "s", f"{directory}/{i}.db") for i in range(3)]
        pending += [self.admin.begin(ROOT, CABINET, "VerifyAudit") for _ in range(3)]
        refused = 0
        for p in pending:
            try:
                p.result()
            except DBusError as e:
                self.assertEqual(e.short, "Busy")
                refused += 1
        self.assertLessEqual(refused, 4)
        self.admin.backup(f"{directory}/after.db")
        self.assertTrue(self.admin.verify_audit()[0])
        self.assertFalse([f for f in os.listdir(directory) if f.endswith(".part")])

    def test_verification_finds_a_changed_row(self):
        """Requirement: F10"""
        self.store()
        # The newest rows are checked at every start; what lies further back is what this is for.
        for i in range(20):
            self.admin.disable("07", reason=f"exercise {i}")
            self.admin.enable("07")
        ok, rows, head, detail = self.admin.verify_audit()
        self.assertEqual((ok, head, detail), (True, self.admin.cabinet("AuditHead"), ""))
        self.assertEqual(head.split(":")[0], str(rows))
        self.cabinet.stop_daemon()
        ledger = sqlite3.connect(self.cabinet.ledger)
        # What protects the rows from the daemon itself does not stop who has the file; the chain is for that.
        for (trigger,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'").fetchall():
            ledger.execute(f'DROP TRIGGER "{trigger}"')
        first = ledger.execute("SELECT rowid FROM audit ORDER BY rowid LIMIT 1 OFFSET 2").fetchone()[0]
        ledger.execute("UPDATE audit SET actor = 'somebody else' WHERE rowid = ?", (first,))
        ledger.commit()
        ledger.close()
        self.cabinet.start_daemon()
        ok, rows, head, detail = self.admin.verify_audit()
        self.assertFalse(ok)
        self.assertIn(str(first), detail)
        self.assertNotEqual(head, self.admin.cabinet("AuditHead"))

    def test_doors_open_while_the_audit_trail_is_verified(self):
        """Requirement: F4"""
        pending = self.admin.begin(ROOT, CABINET, "VerifyAudit")
        self.admin.open_slot("02")
        self.sim.wait("02", door="open", coil=False)
        self.sim.do("close 02")
        self.admin.wait_slot("02", Door="locked")
        self.assertTrue(pending.result()[0])


main()
