# SPDX-License-Identifier: Apache-2.0
"""Which ledger is this: restored from a backup, copied, another cabinet's. The real daemon, lockerctl restore, a real broker."""
import contextlib
import glob
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import time

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from backendlib import BackendTest
from daemonlib import main, wait
from people import Scenario

PIN = "258036"
JSON = Properties(PacketTypes.PUBLISH)
JSON.ContentType = "application/json"


def query(path, sql):
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


class Restoring:
    """lockerctl restore on the cabinet's stopped daemon."""

    def backup(self, name="backup.db"):
        path = os.path.join(self.cabinet.directory, name)
        self.admin.backup(path)
        return path

    def ctl_restore(self, path, *more, cabinet=None):
        program = os.path.join(self.cabinet.build, "src", "ctl", "lockerctl")
        return subprocess.run([program, "restore", path, "--reason", "test", "--config", self.cabinet.config,
                               "--cabinet", cabinet or self.cabinet.cabinet_path, "--json", *more],
                              capture_output=True, text=True, check=False, env=self.cabinet.environment())

    def restored(self, path, *more):
        done = self.ctl_restore(path, *more)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def refused(self, words, path, *more, **keys):
        """Nothing is changed: neither the ledger nor the backup nor what lies beside them."""
        def everything():
            return {p: pathlib.Path(p).read_bytes() for p in glob.glob(f"{self.cabinet.directory}/*.db*") if os.path.isfile(p)}
        before = everything()
        done = self.ctl_restore(path, *more, **keys)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout + done.stderr, words)
        after = everything()
        self.assertEqual({p for p in before if before[p] != after.get(p)} | set(after) - set(before), set())

    def epoch(self):
        return self.admin.cabinet("Epoch")

    def back(self):
        """The daemon again, and clients."""
        self.cabinet.start_daemon()
        self.client = self.cabinet.client()
        self.admin = self.cabinet.client()


class Restores(Restoring, Scenario):
    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}

    def test_what_was_taken_since_the_backup_opens_nobody_elses_parcel(self):
        """The first parcel is collected and another stored in its place; after the restore the first code would open the second parcel.

        Requirement: F14
        """
        self.courier().end()
        first = self.store()
        self.collect(first.receipt["code"])
        first = self.store()
        backup = self.backup()
        self.collect(first.receipt["code"])
        second = self.store()
        epoch = self.epoch()
        self.cabinet.stop_daemon()
        answer = self.restored(backup)
        self.assertTrue(os.path.exists(answer["aside"]))
        self.assertEqual(answer["doubted"], 1)
        self.assertGreater(answer["lost"], 0)
        self.back()
        self.assertNotEqual(self.epoch(), epoch)
        self.assertEqual(self.epoch(), answer["epoch"])
        with self.only():
            self.assertRefused("WrongState", self.recipient, first.receipt["code"])
            self.assertRefused("WrongCode", self.recipient, second.receipt["code"])
        parcel = self.admin.parcel(first.parcel)
        self.assertEqual(parcel["State"], "unverified")
        session = self.client.start_session("courier")
        session.authenticate_pin("4711", PIN)
        self.assertRefused("NoFreePosition", session.deposit, size="S")
        self.assertRefused("NothingToCollect", session.take_back)
        session.end()
        event = next(e for e in self.admin.events(answer["last_event"], 1))
        self.assertEqual(event.type, "ledger.epoch-began")
        self.assertEqual(event.data["why"], "restored")
        ok, _, _, detail = self.admin.verify_audit()
        self.assertTrue(ok, detail)

    def test_what_an_operator_has_found_is_given_out_again(self):
        """Requirement: F14"""
        self.courier().end()
        put = self.store()
        backup = self.backup()
        self.cabinet.stop_daemon()
        self.restored(backup)
        self.back()
        self.assertRefused("WrongState", self.recipient, put.receipt["code"])
        self.admin.reconcile(put.slot, put.position, "parcel")
        self.admin.enable(put.slot, 0, "seen")
        self.collect(put.receipt["code"])
        for slot in ("05", "06"):
            self.admin.reconcile(slot, 1, "empty")
        again = self.store()
        self.assertIn(again.slot, ("05", "06", put.slot))
        self.assertGreater(int(again.parcel.rsplit("/", 1)[1]), 1000000)

    def test_nothing_has_happened_since_and_everything_goes_on(self):
        """Requirement: F14"""
        self.courier().end()
        put = self.store()
        backup = self.backup()
        self.store()
        self.cabinet.stop_daemon()
        self.refused("has happened since", backup, "--nothing-since")
        shutil.copy(backup, self.cabinet.ledger)
        answer = self.restored(backup, "--nothing-since")
        self.assertEqual((answer["lost"], answer["doubted"]), (0, 0))
        self.back()
        self.collect(put.receipt["code"])

    def test_what_is_wrong_is_refused_before_anything_is_changed(self):
        """Requirement: F14, F10"""
        self.courier().end()
        self.store()
        backup = self.backup()
        self.refused("Stop it first", backup)
        self.cabinet.stop_daemon()
        self.refused("No such file", backup + ".not-there")
        self.refused("is not a file", self.cabinet.directory)
        bad = os.path.join(self.cabinet.directory, "bad.db")
        with open(bad, "wb") as f:
            f.write(b"x" * 10000)
        self.refused("cannot be used|not a ledger", bad)
        with contextlib.closing(sqlite3.connect(bad + "2")) as db:
            db.execute("CREATE TABLE t (a)")
        self.refused("not a ledger", bad + "2")
        for sql, words in (("PRAGMA user_version = 99", "newer"),
                           ("DROP TRIGGER event_no_update; UPDATE event SET data = '{\"a\":1}' WHERE sequence = 1", "row 1 is not|trigger")):
            shutil.copy(backup, bad)
            with contextlib.closing(sqlite3.connect(bad)) as db:
                db.executescript(sql)
                db.execute("PRAGMA journal_mode = DELETE")
            self.refused(words, bad)
        with open(backup, "rb") as f:
            text = f.read()
        with open(bad, "wb") as f:
            f.write(text[:len(text) // 2])
        self.refused("cannot be used", bad)
        # Another key.
        key = f"{self.cabinet.directory}/lockerd.key"
        os.rename(key, key + ".kept")
        self.refused("key", backup)
        with open(key, "wb") as f:
            f.write(os.urandom(32))
        os.chmod(key, 0o400)
        self.refused("another key", backup)
        os.unlink(key)
        os.rename(key + ".kept", key)
        self.back()

    def test_another_cabinets_ledger_is_refused_and_says_what_to_do(self):
        """Requirement: F14"""
        self.courier().end()
        put = self.store()
        backup = self.backup()
        self.cabinet.stop_daemon()
        with open(self.cabinet.cabinet_path, encoding="utf-8") as f:
            text = f.read()
        self.assertIn("C-0012", text)
        with open(self.cabinet.cabinet_path, "w", encoding="utf-8") as f:
            f.write(text.replace("C-0012", "C-0099"))
        before = query(self.cabinet.ledger, "SELECT count(*) FROM event")
        self.cabinet.spawn_daemon()
        self.cabinet.daemon.wait(20)
        self.cabinet.stop_daemon(expect=65)
        log = self.cabinet.log()
        self.assertRegex(log, "is the ledger of cabinet C-0012, and cabinet.conf says that this is C-0099")
        self.assertRegex(log, "lockerctl restore|Number=")
        self.assertEqual(query(self.cabinet.ledger, "SELECT count(*) FROM event"), before)
        self.refused("C-0012", backup)
        self.restored(self.cabinet.ledger, "--renumber", "--nothing-since")
        self.back()
        self.assertEqual(self.admin.cabinet("Number"), "C-0099")
        self.collect(put.receipt["code"])


class Ends(Restoring, Scenario):
    """What is noticed at the start, without a network."""

    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}

    def health(self):
        return {h[0]: h[1:] for h in self.admin.cabinet("Health")}["ledger"]

    def start_over(self):
        self.back()
        return self.epoch()

    def test_log_that_is_missing_after_an_unclean_stop_is_noticed(self):
        """Requirement: F14, F10"""
        self.courier().end()
        put = self.store()
        self.cabinet.restart()
        epoch = self.epoch()
        self.cabinet.kill_daemon()
        os.unlink(self.cabinet.ledger + "-wal")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.cabinet.ledger + "-shm")
        self.assertNotEqual(self.start_over(), epoch)
        self.assertEqual(self.health()[0], "degraded")
        self.assertIn("ledger", self.health()[1])
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "unverified")
        self.assertRefused("WrongState", self.recipient, put.receipt["code"])
        last = self.admin.cabinet("LastEvent")
        self.assertIn("ledger.epoch-began", {e.type for e in self.admin.events(max(last - 20, 0), 100)})
        epoch = self.epoch()
        self.cabinet.stop_daemon()
        self.assertEqual((self.start_over(), self.health()[0]), (epoch, "ok"))

    def test_also_when_the_side_file_is_gone_as_well(self):
        """Requirement: F14"""
        epoch = self.epoch()
        self.cabinet.kill_daemon()
        for suffix in ("-wal", ".mark"):
            os.unlink(self.cabinet.ledger + suffix)
        self.assertNotEqual(self.start_over(), epoch)
        self.assertEqual(self.health()[0], "degraded")

    def test_backup_that_was_copied_by_hand_is_noticed(self):
        """Requirement: F14"""
        self.courier().end()
        backup = self.backup()
        self.store()
        epoch = self.epoch()
        self.cabinet.stop_daemon()
        shutil.copy(backup, self.cabinet.ledger)
        self.assertNotEqual(self.start_over(), epoch)
        self.assertIn("older than what this cabinet has told", self.health()[1])

    def test_place_that_the_older_ledger_takes_for_empty_is_offered_to_nobody(self):
        """What was put in since lies in a place of which this ledger knows nothing.

        Requirement: F14, F2
        """
        self.courier().end()
        kept = self.store()
        backup = self.backup()
        since = self.store()
        self.cabinet.stop_daemon()
        shutil.copy(backup, self.cabinet.ledger)
        self.start_over()
        last = self.admin.cabinet("LastEvent")
        types = [e.type for e in self.admin.events(max(last - 40, 0), 100)]
        for said in ("parcel.unverified", "slot.quarantined", "ledger.epoch-began"):
            self.assertIn(said, types)
        session = self.courier()
        with self.only():
            self.assertRefused("NoFreePosition", session.deposit, size="S")
        session.end()
        # Whoever looks puts one after the other right, and it stays so over a restart.
        self.admin.reconcile(kept.slot, kept.position, "parcel")
        empty = "05" if since.slot != "05" and kept.slot != "05" else "06"
        self.admin.reconcile(empty, 1, "empty")
        self.cabinet.restart()
        self.client, self.admin = self.cabinet.client(), self.cabinet.client()
        self.assertEqual(self.store().slot, empty)
        self.collect(kept.receipt["code"])

    def test_new_ledger_in_a_cabinet_in_use_offers_no_place(self):
        """Nothing is in the ledger, and nobody knows what is in the cabinet.

        Requirement: F14, F2
        """
        self.courier().end()
        self.store()
        self.cabinet.stop_daemon()
        for path in glob.glob(f"{self.cabinet.ledger}*"):
            if not path.endswith(".mark"):
                os.unlink(path)
        self.start_over()
        self.assertIn("Another ledger has spoken", self.health()[1])
        session = self.courier()
        with self.only():
            self.assertRefused("NoFreePosition", session.deposit, size="S")

    def test_rows_that_were_changed_meanwhile_open_nothing_and_are_named(self):
        """Requirement: F10, F17"""
        self.courier().end()
        first, second, third = (self.store() for _ in range(3))
        self.cabinet.stop_daemon()
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
            a, b = (int(p.parcel.rsplit("/", 1)[1]) for p in (first, second))
            db.execute("UPDATE pickup_code SET parcel = -1 WHERE parcel = ?", (a,))
            db.execute("UPDATE pickup_code SET parcel = ? WHERE parcel = ?", (a, b))
            db.execute("UPDATE pickup_code SET parcel = ? WHERE parcel = -1", (b,))
            db.commit()
        self.back()
        self.assertEqual(self.health()[0], "degraded")
        self.assertIn("nobody opens by them", self.health()[1])
        self.assertRegex(self.cabinet.log(), f"pickup_code {a}, pickup_code {b}")
        with self.only():
            for put in (first, second):
                self.assertRefused("WrongCode", self.recipient, put.receipt["code"])
        self.collect(third.receipt["code"])

    def test_operator_puts_changed_rows_right_one_by_one(self):
        """What is decided anew is right again; what somebody else has written is never made right as it is.

        Requirement: F10, F17, F8
        """
        self.courier().end()
        first, second, third = (self.store() for _ in range(3))
        self.admin.disable("10")
        self.cabinet.stop_daemon()
        a, b = (int(p.parcel.rsplit("/", 1)[1]) for p in (first, second))
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
            db.execute("UPDATE parcel SET size = 'M' WHERE id = ?", (a,))
            db.execute("UPDATE pickup_code SET mac = zeroblob(32) WHERE parcel = ?", (b,))
            db.execute("UPDATE person SET number = '9999' WHERE number = '4711'")
            db.execute("UPDATE slot SET service = 'in' WHERE label = '10'")
            db.execute("UPDATE setting SET value = value + 1")
            db.commit()
        self.back()
        self.assertEqual(self.health()[0], "degraded")
        log = self.cabinet.log()
        for name in (f"parcel {a}", f"pickup_code {b}", "person 1", "slot 10"):
            self.assertIn(name, log)
        with self.only():
            self.assertRefused("WrongState", self.recipient, first.receipt["code"])
            self.assertRefused("WrongCode", self.recipient, second.receipt["code"])
            session = self.client.start_session("courier")
            self.assertRefused("WrongCredential", session.authenticate_pin, "9999", PIN)
            session.end()
        # Reconciling does not make somebody else's row right: whose parcel it is nobody knows.
        self.admin.reconcile(first.slot, first.position, "parcel")
        self.assertRefused("WrongState", self.recipient, first.receipt["code"])
        self.admin.reconcile(first.slot, first.position, "empty", reason="taken out by hand")
        # A new code, a new enrolment, a new decision about the slot.
        code = self.admin.new_code(second.parcel)
        self.collect(code if isinstance(code, str) else code[0])
        for person in [p[0] for p in self.admin.people()]:
            self.admin.revoke(person)
        self.courier().end()
        self.admin.enable("10")
        self.collect(third.receipt["code"])
        self.cabinet.stop_daemon()
        before = len(self.cabinet.log())
        self.back()
        self.assertNotIn("was changed while", self.cabinet.log()[before:])
        self.assertEqual(self.health()[0], "ok")
        self.courier().end()

    def test_rows_that_cannot_be_read_keep_nobody_from_their_parcel(self):
        """Somebody has written rubbish; it is named, and everybody else is served.

        Requirement: F4, F10
        """
        self.courier().end()
        self.admin.enrol_recipient("+49 171 1234567", "correct horse battery")
        puts = [self.store() for _ in range(4)]
        a, b, c = (int(p.parcel.rsplit("/", 1)[1]) for p in puts[:3])
        self.admin.disable("10")
        self.cabinet.stop_daemon()
        long = "hex(zeroblob(500))"
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
            for sql in (f"UPDATE parcel SET slot = {long} WHERE id = {a}", f"UPDATE parcel SET size = {long} WHERE id = {b}",
                        f"UPDATE parcel SET recipient = x'00', phone = zeroblob(99) WHERE id = {c}",
                        f"UPDATE door SET slot = {long} WHERE slot = '{puts[0].slot}'", f"UPDATE slot SET label = {long}",
                        "UPDATE person SET name = x'00' WHERE number IS NULL", "UPDATE person SET phone = zeroblob(99) WHERE number = '4711'"):
                self.assertEqual(db.execute(sql).rowcount, 1, sql)
            db.commit()
        self.back()
        self.assertEqual(self.health()[0], "degraded")
        self.collect(puts[3].receipt["code"])
        with self.only():
            for put in puts[:3]:
                self.assertRefused("WrongState", self.recipient, put.receipt["code"])
        self.assertEqual(len(self.admin.parcels()), 3)
        for person in [p[0] for p in self.admin.people()]:
            self.admin.revoke(person)
        self.admin.open_slot(puts[1].slot)
        self.take(puts[1])
        self.push(puts[1].slot)
        self.admin.wait_slot(puts[1].slot, Door="locked")
        self.admin.reconcile(puts[1].slot, puts[1].position, "empty", reason="looked")
        self.assertEqual(self.store().slot, puts[1].slot)

    def test_place_of_a_parcel_whose_row_was_moved_or_removed_is_not_free(self):
        """Where it lies nobody can say, so no place is free on the ledger's word.

        Requirement: F2, F10
        """
        self.courier().end()
        moved, other = self.store(), self.store()
        number = int(moved.parcel.rsplit("/", 1)[1])
        self.cabinet.stop_daemon()
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
            db.execute("UPDATE parcel SET slot = '11' WHERE id = ?", (number,))
            db.commit()
        self.back()
        session = self.courier()
        with self.only():
            self.assertRefused("NoFreePosition", session.deposit, size="S")
        session.end()
        self.collect(other.receipt["code"])
        # Whoever has looked has looked: the next start takes that for granted.
        self.assertEqual(self.admin.slot(moved.slot)["Positions"][0][1], "quarantined")
        self.admin.reconcile("09", 1, "empty", reason="looked")
        self.cabinet.restart()
        self.client, self.admin = self.cabinet.client(), self.cabinet.client()
        self.assertEqual(self.admin.slot("09")["Positions"][0][1], "in")
        self.assertEqual(self.admin.slot(moved.slot)["Positions"][0][1], "quarantined")
        # Where rows are missing nothing is put in at all: nobody could open it again.
        self.cabinet.stop_daemon()
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
            db.execute("DELETE FROM parcel")
            db.commit()
        self.back()
        session = self.courier()
        with self.only():
            self.assertRefused("NoFreePosition", session.deposit, size="S")

    def test_consent_that_was_changed_meanwhile_lets_nobody_open(self):
        """Requirement: C6, F10, F17"""
        phone, password = "+49 171 1234567", "correct horse battery"
        self.admin.enrol_recipient(phone, password)
        person = self.admin.people()[0][0]
        put = self.store(phone=phone)
        self.cabinet.stop_daemon()
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
            db.execute("UPDATE consent SET text = 'everything, for ever'")
            db.commit()
        self.back()
        self.assertEqual(self.health()[0], "degraded")
        self.assertRegex(self.cabinet.log(), f"consent {person}/password/")
        session = self.client.start_session("recipient")
        with self.only():
            self.assertRefused("WrongCredential", session.authenticate, "password", phone=phone, password=password)
        self.assertNotIn("everything", str(self.admin.credentials(person)))
        self.admin.revoke_credential(person, "password")
        self.admin.enrol_credential(person, "password", password=password, consent=True)
        self.cabinet.stop_daemon()
        before = len(self.cabinet.log())
        self.back()
        self.assertNotIn("was changed while", self.cabinet.log()[before:])
        self.assertEqual(self.health()[0], "ok")
        session = self.client.start_session("recipient")
        session.authenticate("password", phone=phone, password=password)
        with self.only(put.slot):
            self.assertEqual(session.collect().slot, put.slot)

    def test_kill_restart_and_a_reader_that_folds_the_log_in_are_no_reason(self):
        """Requirement: F14"""
        self.courier().end()
        epoch = self.epoch()
        for folded in (False, True, False):
            self.store()
            self.cabinet.kill_daemon()
            if folded:
                with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
                    db.execute("SELECT count(*) FROM event").fetchall()
                self.assertFalse(os.path.exists(self.cabinet.ledger + "-wal"))
            self.assertEqual((self.start_over(), self.health()), (epoch, ("ok", "")))


class Backend(Restoring, BackendTest, Scenario):
    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}

    def test_epoch_is_in_ids_state_and_answers(self):
        """Requirement: F14"""
        answer = self.backend.command("announce", {"size": "S"})
        epoch = self.epoch()
        self.assertEqual(answer["epoch"], epoch)
        self.assertEqual(self.backend.state()["epoch"], epoch)
        self.wait_drained()
        for e in self.backend.events():
            self.assertEqual((e["epoch"], e["id"]), (epoch, f"{self.number}/{epoch}/{int(e['sequence'])}"))

    def test_command_for_another_ledger_is_refused(self):
        """Requirement: F14, F5"""
        with self.only("03"):
            for epoch, status, error in (("0123456789abcdef", "refused", "WrongEpoch"), ("xyz", "refused", "InvalidArgument"),
                                         (self.epoch(), "done", None)):
                answer = self.backend.command("open", {"slot": "03", "reason": "test"}, epoch=epoch)
                self.assertEqual((answer["status"], answer.get("error")), (status, error), answer)

    def test_what_was_carried_out_since_the_backup_is_not_carried_out_again(self):
        """Requirement: F14, F5"""
        backup = self.backup()
        body = {"cabinet": self.number, "name": "open", **self.backend.body("open", {"slot": "03", "reason": "once"}, expires=3600)}
        command = self.key.sign(body)
        self.assertEqual(self.backend.ask("open", command)["status"], "done")
        before = self.backend.command("announce", {"size": "S"})["result"]["parcel"]
        self.wait_drained()
        ids = {e["id"] for e in self.backend.events()}
        self.sim.do("close 03")
        self.cabinet.stop_daemon()
        self.restored(backup)
        self.back()
        self.wait_online()
        with self.only():
            answer = self.backend.ask("open", command)
            self.assertEqual(answer["error"], "WrongEpoch", answer)
            self.assertIn(self.epoch(), answer["message"])
            self.assertEqual(self.backend.command("announce", {"size": "S"})["error"], "WrongEpoch")
            self.assertEqual(self.backend.command("snapshot")["status"], "done")
        after = self.backend.command("announce", {"size": "S"}, epoch=self.epoch())
        self.assertEqual(after["status"], "done", after)
        self.assertGreater(after["result"]["parcel"], before)
        self.wait_drained()
        new = [e for e in self.backend.events() if e["id"] not in ids]
        self.assertEqual({e["epoch"] for e in new}, {self.epoch()})
        everything = [(e["id"], json.dumps(e["data"], sort_keys=True)) for e in self.backend.events()]
        self.assertEqual(len({i for i, _ in everything}), len(set(everything)), "an id for two events")
        self.assertIn("org.lockerd.ledger.epoch-began", {e["type"] for e in new})

    def card(self, name):
        """A copy of the card, as it is between two starts."""
        copy = os.path.join(self.cabinet.directory, name)
        os.makedirs(copy)
        for path in glob.glob(f"{self.cabinet.ledger}*"):
            shutil.copy(path, copy)
        return copy

    def put_card(self, copy):
        for path in glob.glob(f"{self.cabinet.ledger}*"):
            os.unlink(path)
        for path in glob.glob(f"{copy}/*"):
            shutil.copy(path, self.cabinet.directory)

    def keep_card(self, name):
        """A copy of the card of now; it goes on."""
        self.wait_drained()
        self.cabinet.stop_daemon()
        copy = self.card(name)
        self.back()
        self.wait_online()
        return copy

    def go_back_to(self, copy):
        """That is noticed."""
        self.wait_drained()
        self.cabinet.stop_daemon()
        self.put_card(copy)
        self.back()
        self.wait_online()
        wait(self.began, "the event")

    def health(self):
        return {h[0]: h[1:] for h in self.admin.cabinet("Health")}["ledger"]

    def began(self):
        return [e["data"] for e in self.backend.events() if e["type"] == "org.lockerd.ledger.epoch-began"]

    def test_copied_card_says_that_it_is_behind_before_it_acts(self):
        """The card of yesterday, with everything that belongs to it: nothing on it shows that it is old.

        Requirement: F14, F5
        """
        copy = self.keep_card("yesterday")
        body = {"cabinet": self.number, "name": "open", **self.backend.body("open", {"slot": "03", "reason": "once"}, expires=3600)}
        command = self.key.sign(body)
        self.assertEqual(self.backend.ask("open", command)["status"], "done")
        parcel = self.backend.command("announce", {"size": "S"})["result"]["parcel"]
        self.wait_drained()
        epoch, last = self.epoch(), self.admin.cabinet("LastEvent")
        self.sim.do("close 03")
        self.cabinet.stop_daemon()
        self.put_card(copy)
        # It waits at the broker, and is there at the same moment as the connection.
        self.backend.publish("open", command, b"waited")
        with self.only():
            self.back()
            self.wait_online()
            answer = wait(lambda: self.backend.answers(b"waited"), "an answer to what has waited")[0]
        self.assertEqual(answer["error"], "WrongEpoch", answer)
        self.assertNotEqual(self.epoch(), epoch)
        wait(self.began, "the event")
        said = self.began()[-1]
        self.assertEqual((said["why"], said["before"], said["epoch"]), ("behind", epoch, self.epoch()))
        self.assertGreaterEqual(said["told"], last)
        self.assertEqual(self.health()[0], "degraded")
        self.assertIn("older than what this cabinet has told", self.cabinet.log())
        again = self.backend.command("announce", {"size": "S"}, epoch=self.epoch())["result"]["parcel"]
        self.assertGreater(again, parcel)
        self.wait_drained()
        self.assert_no_id_twice()
        # And the next start is in order.
        self.cabinet.restart()
        self.wait_online()
        self.assertEqual(self.health()[0], "ok")
        self.assertEqual(len(self.began()), 1)

    def test_ledger_that_is_behind_gives_out_nothing_until_somebody_has_looked(self):
        """On the old card the first parcel is still there; another one lies in its place.

        Requirement: F14, F10
        """
        self.courier().end()
        first = self.store()
        copy = self.keep_card("before")
        self.collect(first.receipt["code"])
        for _ in range(12):  # each place is used once more
            second = self.store()
            if second.slot == first.slot:
                break
        self.go_back_to(copy)
        self.assertEqual(self.began()[-1]["why"], "behind")
        parcel = self.admin.parcel(first.parcel)
        self.assertEqual(parcel["State"], "unverified")
        with self.only():
            self.assertRefused("WrongState", self.recipient, first.receipt["code"])
        self.wait_drained()
        self.assertIn("org.lockerd.parcel.unverified", {e["type"] for e in self.backend.events()})
        # An operator has looked, and it goes on.
        self.admin.reconcile(first.slot, first.position, "parcel")
        self.collect(first.receipt["code"])

    def test_place_that_is_empty_in_a_ledger_that_is_behind_is_offered_to_nobody(self):
        """Requirement: F14, F2"""
        self.courier().end()
        copy = self.keep_card("before")
        self.store()
        self.go_back_to(copy)
        session = self.courier()
        with self.only():
            self.assertRefused("NoFreePosition", session.deposit, size="S")
        self.admin.reconcile("07", 1, "empty", reason="looked")
        self.put_in(session, session.deposit(size="S"))
        session.end()

    def test_card_of_before_a_new_epoch_gives_out_nothing_either(self):
        """Two cards in turn: the second time the broker names an epoch that this one has never had.

        Requirement: F14, F10
        """
        self.courier().end()
        put = self.store()
        copy = self.keep_card("before")
        self.admin.disable("07")
        self.wait_drained()
        self.cabinet.stop_daemon()
        other = self.card("other")
        self.put_card(copy)
        self.back()  # behind: a new epoch
        self.wait_online()
        wait(self.began, "the event")
        self.admin.reconcile(put.slot, put.position, "parcel")
        self.collect(put.receipt["code"])
        self.wait_drained()
        self.cabinet.stop_daemon()
        self.put_card(other)
        n = len(self.began())
        self.back()
        self.wait_online()
        wait(lambda: len(self.began()) > n, "another event")
        self.assertEqual(self.began()[-1]["why"], "foreign")
        with self.only():
            self.assertRefused("WrongState", self.recipient, put.receipt["code"])
            session = self.courier()
            self.assertRefused("NoFreePosition", session.deposit, size="S")
        # What the cabinet has said once is no reason again, whoever sends it.
        told = [json.loads(m.payload) for m in self.backend.topics("ledger") if b"seal" in m.payload]
        old = next(t for t in reversed(told) if t["epoch"] == self.began()[-2]["epoch"])
        self.admin.reconcile(put.slot, put.position, "parcel")
        self.wait_drained()
        self.cabinet.stop_daemon()
        topic = f"lockerd/v1/{self.number}/ledger"
        self.backend.client.publish(topic, json.dumps(old), qos=1, retain=True, properties=JSON).wait_for_publish()
        self.back()
        self.wait_online()
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")

    def test_ledger_that_is_locked_when_it_is_found_behind_acts_on_nothing_until_it_says_so(self):
        """Requirement: F14, F4"""
        copy = self.keep_card("yesterday")
        body = {"cabinet": self.number, "name": "open", **self.backend.body("open", {"slot": "03", "reason": "once"}, expires=3600)}
        command = self.key.sign(body)
        self.assertEqual(self.backend.ask("open", command)["status"], "done")
        self.wait_drained()
        self.sim.do("close 03")
        epoch = self.epoch()
        self.cabinet.stop_daemon()
        self.put_card(copy)
        self.backend.publish("open", command, b"waited")
        self.broker.leave()
        self.back()
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger, isolation_level=None, timeout=10)) as db:
            db.execute("BEGIN IMMEDIATE")
            with self.only():
                self.broker.start()
                self.cabinet.wait_log("Cannot begin a new epoch")
                time.sleep(2)
                db.execute("ROLLBACK")
                wait(self.began, "the event")
                # What had come before could not be stored.
                self.assertIn(self.backend.answers(b"waited")[0]["error"], ("Busy", "WrongEpoch"))
                again = {**body, "id": body["id"] + "-2"}
                self.assertEqual(self.backend.ask("open", self.key.sign(again))["error"], "WrongEpoch")
        self.assertNotEqual(self.epoch(), epoch)
        self.wait_drained()
        self.assert_no_id_twice()

    def test_what_a_broker_invents_doubts_nobodys_parcel(self):
        """Only the cabinet can say how far it has come.

        Requirement: F14, F5
        """
        self.courier().end()
        put = self.store()
        self.wait_drained()
        topic = f"lockerd/v1/{self.number}/ledger"
        said = wait(lambda: [json.loads(m.payload) for m in self.backend.topics("ledger") if b"seal" in m.payload], "what is retained")[-1]
        self.assertEqual(len(said["seal"]), 64)
        for forged in ({**said, "lastevent": 10 ** 9}, {k: v for k, v in said.items() if k != "seal"} | {"lastevent": 10 ** 9}):
            epoch, n = self.epoch(), len(self.began())
            self.backend.client.publish(topic, json.dumps({**forged, "epoch": epoch}), qos=1, retain=True,
                                        properties=JSON).wait_for_publish()
            wait(lambda n=n: len(self.began()) > n, "a new epoch")
            self.assertEqual(self.began()[-1]["why"], "behind")
            self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
        self.collect(put.receipt["code"])

    def assert_no_id_twice(self):
        events = {(e["id"], e["type"], e["time"], json.dumps(e["data"], sort_keys=True)) for e in self.backend.events()}
        self.assertEqual(len({i for i, *_ in events}), len(events), "an id for two events")

    def test_both_cards_in_turn_never_use_an_id_twice(self):
        """Requirement: F14"""
        self.wait_drained()
        self.cabinet.stop_daemon()
        a = b = self.card("first")
        parcels = []
        for turn in range(4):
            self.put_card(a)
            self.back()
            self.wait_online()
            parcels.append(self.backend.command("announce", {"size": "S"}, epoch=self.epoch())["result"]["parcel"])
            self.wait_drained()
            self.cabinet.stop_daemon()
            a, b = b, self.card(f"turn{turn}")
        self.back()
        self.wait_online()
        self.assertEqual(len(set(parcels)), 4, parcels)
        self.assert_no_id_twice()

    def test_new_ledger_in_an_old_cabinet_is_noticed(self):
        """Requirement: F14, F5"""
        self.backend.command("announce", {"size": "S"})
        self.cabinet.stop_daemon()
        for path in glob.glob(f"{self.cabinet.ledger}*"):
            os.unlink(path)
        self.back()
        self.wait_online()
        wait(self.began, "the event")
        self.assertEqual(self.began()[-1]["why"], "foreign")
        self.assertEqual(self.backend.command("announce", {"size": "S"})["error"], "WrongEpoch")

    def test_restart_and_lost_connection_are_no_reason(self):
        """Requirement: F14"""
        self.backend.command("announce", {"size": "S"})
        epoch = self.epoch()
        self.cabinet.restart(kill=True)
        self.wait_online()
        before = len(self.backend.topics("state"))
        self.broker.leave()
        self.broker.start()
        wait(lambda: len(self.backend.topics("state")) > before and self.backend.state()["presence"] == "online", "both back")
        self.assertEqual(self.backend.command("announce", {"size": "S"})["status"], "done")
        self.assertEqual((self.epoch(), self.began(), self.health()[0]), (epoch, [], "ok"))


main()
