# SPDX-License-Identifier: Apache-2.0
"""lockerd does not start on what it cannot trust, and says what to do about it."""
import contextlib
import os
import re
import shutil
import sqlite3
import subprocess

from daemonlib import main, wait
from people import Scenario

BAD_CONFIG, BAD_LEDGER, IO = 78, 65, 74


class Refusals(Scenario):
    settings = {"Session": {"ReopenGrace": "0"}}

    def refused(self, status):
        """lockerd does not start → what it says."""
        before = len(self.cabinet.log())
        process = self.cabinet.spawn_daemon()
        self.assertEqual(process.wait(30), status, self.cabinet.log()[before:])
        self.cabinet.daemon = None
        self.assertFalse(self.admin.has_owner())
        return self.cabinet.log()[before:]

    def change(self, path, old, new):
        """Replaces the first `old` → the number of the line with it."""
        with open(path, encoding="utf-8") as f:
            text = f.read()
        self.assertIn(old, text)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new, 1))
        return text[:text.index(old)].count("\n") + 1

    def test_bad_configuration_names_file_line_and_key(self):
        """Requirement: F1, F4"""
        self.cabinet.stop_daemon()
        config, cabinet = self.cabinet.config, self.cabinet.cabinet_path
        pulses = {n: s["pulses"] for n, s in self.sim.state()["slots"].items()}
        for path, old, new, key in (
                (config, "ReopenGrace=0", "ReopenGraze=0", "ReopenGraze"), (config, "ReopenGrace=0", "ReopenGrace=soon", "ReopenGrace"),
                (config, "[Session]", "[Sesion]", "Sesion"), (config, "AdminGroup=", "AdminGroup=x y/", "AdminGroup"),
                (cabinet, "Lock=A:12", "Lock=A:17", "Lock"), (cabinet, "Lock=A:11", "Lock=A:10", "Lock"),
                (cabinet, "Size=L", "Size=XL", "Size"), (cabinet, "Profile=generic-pulse-16", "Profile=generic-pulse-61", "Profile")):
            shutil.copy(path, path + ".good")
            line = self.change(path, old, new)
            with self.subTest(new=new):
                text = self.refused(BAD_CONFIG)
                self.assertRegex(text, rf"{re.escape(path)}:({line}|{line + 1}|{line - 1})\b", new)
                self.assertIn(key, text)
                self.assertIn("nothing was started", text)
            shutil.move(path + ".good", path)
        self.change(config, "Cabinet=", "Cabinet=/nowhere")
        self.assertIn("/nowhere", self.refused(BAD_CONFIG))
        self.change(config, "Cabinet=/nowhere", "Cabinet=")
        self.assertEqual({n: s["pulses"] for n, s in self.sim.state()["slots"].items()}, pulses)
        self.cabinet.start_daemon()

    def test_all_mistakes_are_told_at_once_and_without_starting(self):
        """Requirement: F4"""
        self.change(self.cabinet.config, "ReopenGrace=0", "ReopenGrace=soon\nIdleTimeout=7 fortnights")
        done = subprocess.run([os.path.join(self.cabinet.build, "src", "daemon", "lockerd"), "--config", self.cabinet.config, "--check-config"],
                              capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, BAD_CONFIG)
        self.assertIn("ReopenGrace", done.stdout + done.stderr)
        self.assertIn("IdleTimeout", done.stdout + done.stderr)
        self.store()  # the running daemon is not bothered by it

    def test_damaged_ledger_is_not_touched(self):
        """Requirement: F10, F4"""
        self.store()
        self.cabinet.stop_daemon()
        ledger = self.cabinet.ledger
        good = shutil.copy(ledger, ledger + ".good")
        with open(ledger, "r+b") as f:
            f.seek(4096)
            f.write(os.urandom(os.path.getsize(ledger) - 4096))
        with open(ledger, "rb") as f:
            damaged = f.read()
        text = self.refused(BAD_LEDGER)
        self.assertIn(ledger, text)
        self.assertRegex(text.lower(), "backup|restore")
        with open(ledger, "rb") as f:
            self.assertEqual(f.read(), damaged, "left as it is for whoever looks into it")
        with open(ledger, "wb") as f:
            f.write(b"not a ledger at all" * 1000)
        self.refused(BAD_LEDGER)
        shutil.move(good, ledger)
        self.cabinet.start_daemon()

    def test_ledger_of_a_newer_version(self):
        """Requirement: F4, F10"""
        put = self.store()
        self.cabinet.stop_daemon()
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
            [(version,)] = db.execute("PRAGMA user_version").fetchall()
            db.execute("PRAGMA user_version = 999")
            db.commit()
        text = self.refused(BAD_LEDGER)
        self.assertIn("999", text)
        self.assertRegex(text.lower(), "newer|upgrade|version")
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
            db.execute(f"PRAGMA user_version = {version}")
            db.commit()
        self.cabinet.start_daemon()
        self.collect(put.receipt["code"])

    def test_wrong_key_missing_key_and_a_key_that_others_can_read(self):
        """Requirement: F9, F10"""
        put = self.store()
        self.cabinet.stop_daemon()
        key = os.path.join(self.cabinet.directory, "lockerd.key")
        good = shutil.move(key, key + ".good")
        text = self.refused(BAD_LEDGER)
        self.assertIn(key, text)
        self.assertIn("backup", text)
        self.assertFalse(os.path.exists(key), "no new key for an old ledger")
        with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o400), "wb") as f:
            f.write(os.urandom(32))
        text = self.refused(BAD_LEDGER)
        self.assertIn("key", text)
        os.unlink(key)
        with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o400), "wb") as f:
            f.write(b"short")
        self.assertIn("32 bytes", self.refused(BAD_LEDGER))
        os.unlink(key)
        shutil.copy(good, key)
        os.chmod(key, 0o644)
        text = self.refused(BAD_LEDGER)
        self.assertIn("others can read", text)
        self.assertIn("chown lockerd:", text)
        self.assertNotIn("backup", text, "nothing is lost")
        os.chmod(key, 0o400)
        self.cabinet.start_daemon()
        self.collect(put.receipt["code"])

    def test_second_daemon_leaves_the_first_alone(self):
        """Requirement: F4, F6"""
        put = self.store()
        first, self.cabinet.daemon = self.cabinet.daemon, None
        before = len(self.cabinet.log())
        second = self.cabinet.spawn_daemon()
        self.assertEqual(second.wait(30), IO)
        text = self.cabinet.log()[before:]
        self.assertIn("another process", text)
        self.assertIn(self.cabinet.ledger, text)
        self.cabinet.daemon = first
        self.assertIsNone(first.poll())
        self.collect(put.receipt["code"])

    def without_slot_12(self):
        """Takes it out of the configuration → what it was before."""
        path = self.cabinet.cabinet_path
        good = shutil.copy(path, path + ".good")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(re.sub(r"\[Slot 12\]\n(?:[^\[\n].*\n|\n)*", "", text))
        return good

    def test_parcel_whose_slot_is_gone_for_good_is_ended_by_the_operator(self):
        """Requirement: F4, F8"""
        put = self.store(size="L")
        self.assertEqual(put.slot, "12")
        self.assertRefused("WrongState", self.admin.release, put.parcel)
        self.cabinet.stop_daemon()
        self.without_slot_12()
        self.cabinet.start_daemon()
        wait(lambda: "parcels" in self.admin.health(), "the parcel is named")
        self.assertIn("release", self.admin.health()["parcels"][1])
        self.admin.release(put.parcel, reason="taken out with the compartment")
        self.assertEqual(self.gone(put.parcel)["state"], "returned")
        self.assertNotIn("parcels", self.admin.health())
        self.assertRefused("WrongCode", self.recipient, put.receipt["code"])

    def rewrite(self, pattern, text):
        with open(self.cabinet.cabinet_path, encoding="utf-8") as f:
            before = f.read()
        after, n = re.subn(pattern, text, before, flags=re.MULTILINE)
        self.assertGreater(n, 0)
        with open(self.cabinet.cabinet_path, "w", encoding="utf-8") as f:
            f.write(after)

    def test_compartment_under_a_new_label_is_not_free_while_a_parcel_has_lost_its_own(self):
        """The same lock, another label: what lies behind it belongs to somebody whose slot "is not there".

        Requirement: F2, F4
        """
        kinds = [s for s in self.admin.slots() if self.admin.slot(s)["Size"] == "L"]
        puts = [self.store(size="L", larger=False) for _ in kinds]
        put = next(p for p in puts if p.slot == "12")
        self.cabinet.stop_daemon()
        self.rewrite(r"^\[Slot 12\]$", "[Slot 13]")
        for _ in range(2):  # not for the first start alone
            self.cabinet.start_daemon()
            self.client, self.admin = self.cabinet.client(), self.cabinet.client()
            self.assertIn("13", self.admin.slots())
            wait(lambda: "parcels" in self.admin.health(), "the parcel is named")
            session = self.courier()
            with self.only():
                self.assertRefused("NoFreePosition", session.deposit, size="L")
            session.end()
            self.cabinet.stop_daemon()
        self.cabinet.start_daemon()
        self.client, self.admin = self.cabinet.client(), self.cabinet.client()
        self.assertIn("quarantined", {p[1] for p in self.admin.slot("13")["Positions"]})
        # The operator has looked: it was there, and is given to its owner by hand.
        self.admin.open_slot("13")
        self.take(put)
        self.push("12")
        self.admin.wait_slot("13", Door="locked")
        self.admin.release(put.parcel, reason="given to its owner")
        self.admin.reconcile("13", 1, "empty", reason="looked")
        session = self.courier()
        self.assertEqual(session.deposit(size="L").slot, "13")
        self.sim.wait("12", door="open")
        self.sim.do("put 12")
        self.push("12")
        session.wait_prompt("stored")
        self.cabinet.restart()
        self.client, self.admin = self.cabinet.client(), self.cabinet.client()
        self.assertEqual({p[1] for p in self.admin.slot("13")["Positions"]}, {"in"})

    def test_cabinet_that_has_shrunk(self):
        """Slots are taken out of the configuration while parcels lie in them: the rest works, and comes back with them.

        Requirement: F4, A1
        """
        large, small = self.store(size="L"), self.store(size="S")
        self.cabinet.stop_daemon()
        good = self.without_slot_12()
        self.cabinet.start_daemon()
        self.assertNotIn("12", self.admin.slots())
        self.cabinet.wait_log("lies in slot 12 position 1, which the cabinet's configuration does not have")
        self.assertEqual(self.admin.health()["parcels"][0], "degraded")
        self.assertRefused("UnknownSlot", self.recipient(large.receipt["code"]).collect)
        self.collect(small.receipt["code"])
        self.store(size="S")
        self.cabinet.stop_daemon()
        shutil.move(good, self.cabinet.cabinet_path)
        self.cabinet.start_daemon()
        wait(lambda: self.admin.parcel(large.parcel)["State"] == "stored", "the parcel")
        self.assertNotIn("parcels", self.admin.health())
        self.collect(large.receipt["code"])


main()
