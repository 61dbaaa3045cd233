# SPDX-License-Identifier: Apache-2.0
"""What operators do, with who and why; what they may see; and that the ledger tells when somebody has been at it."""
import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import threading

from daemonlib import main, wait
from people import Scenario


def with_shared_m(text):
    """cabinet-60 with nothing but the shared slots in size M."""
    return re.sub(r"(\[Slot 4[19]-\d+\]\n)Size=M", r"\1Size=S", text)


class Ledgers(Scenario):
    def rows(self, sql, *arguments):
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return db.execute(sql, arguments).fetchall()

    def tool(self, *arguments):
        """lockerd as a tool → (exit status, its answer)."""
        done = subprocess.run([os.path.join(self.cabinet.build, "src", "daemon", "lockerd"), "--config", self.cabinet.config, *arguments], capture_output=True, text=True,
                              timeout=60, check=False)
        return done.returncode, json.loads(done.stdout)

    def audit(self, type):
        """(actor, reason) of the newest event of this type."""
        return self.rows("SELECT actor, reason FROM audit JOIN event USING (sequence) WHERE type = ? ORDER BY sequence DESC", type)[0]


class Operators(Ledgers):
    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}

    def test_every_act_is_in_the_ledger_with_who_and_why(self):
        """Requirement: F8, F10"""
        put, second = self.store(), self.store()
        for act in (lambda: self.admin.open_slot("05", reason=""), lambda: self.admin.disable("05", reason=""),
                    lambda: self.admin.enable("05", reason=""), lambda: self.admin.reconcile("05", 1, "empty", ""),
                    lambda: self.admin.recall(put.parcel, ""), lambda: self.admin.new_code(put.parcel, ""),
                    lambda: self.admin.release(put.parcel, ""), lambda: self.admin.lift_lockout("*", "")):
            self.assertRefused("InvalidArgument", act)
        with self.only("05"):
            self.admin.open_slot("05", reason="cleaning")
            self.sim.wait("05", door="open")
        self.push("05")
        self.admin.disable("06", reason="hinge")
        self.admin.enable("06", reason="hinge mended")
        self.admin.recall(put.parcel, "sender asks")
        self.admin.new_code(second.parcel, "lost the message")
        self.admin.reconcile(put.slot, 1, "empty", "looked")
        actors = set()
        for type, reason in (("operator.opened", "cleaning"), ("slot.disabled", "hinge"), ("slot.enabled", "hinge mended"),
                             ("parcel.recalled", "sender asks"), ("code.issued", "lost the message"), ("slot.reconciled", "looked")):
            actor, why = self.audit(type)
            self.assertEqual(why, reason, type)
            actors.add(actor)
            if type.startswith(("operator.", "slot.")):
                # … and whoever reads events hears it, without the audit.
                [event] = self.admin.events(type=type)
                self.assertEqual((event.data["actor"], event.data["reason"]), (actor, reason))
        [actor] = actors
        self.assertTrue(actor.startswith("operator:"), actor)
        self.assertNotEqual(actor, "lockerd")
        # What people do has their name on it as well: this courier's deposit, and the lock's own movements with their session.
        self.assertEqual(self.audit("parcel.stored")[0], "courier:4711")
        self.assertEqual(self.rows("SELECT DISTINCT actor FROM movement WHERE why = 'deposit'"), [("courier:4711",)])
        self.assertEqual(self.rows("SELECT actor, reason, outcome FROM movement WHERE why = 'operator'"), [(actor, "cleaning", "released")])
        self.assertEqual(self.rows("SELECT count(*) FROM event WHERE sequence NOT IN (SELECT sequence FROM audit)"), [(0,)])

    def test_disabled_slot_takes_nothing_in_and_gives_out(self):
        """Requirement: F8, F2"""
        put = self.store()
        self.assertEqual(put.slot, "01")
        self.admin.disable("01", reason="hinge")
        self.admin.disable("02", 1, reason="smells")
        slot = self.admin.slot("01")
        self.assertEqual((slot["Service"], slot["ServiceReason"]), ("disabled", "hinge"))
        self.assertEqual(self.store().slot, "03")
        self.collect(put.receipt["code"])
        self.assertEqual(self.store().slot, "04")
        self.admin.enable("01")
        self.admin.enable("02")
        self.assertEqual(self.admin.position("02")[1], "in")
        self.assertIn(self.store().slot, ("01", "02"))

    def test_map_of_the_cabinet(self):
        """Every slot with its place, its door, what lies in it and whether it serves.

        Requirement: F8, F7
        """
        put = self.store()
        slots = self.admin.slots()
        self.assertEqual(len(slots), 12)
        self.assertEqual(len({s["Place"][:2] for s in slots.values()}), 12, "no two at one place")
        self.assertEqual((slots["12"]["Place"], slots["12"]["Size"], slots["12"]["Accessible"]), ((3, 3, 4), "L", True))
        self.assertEqual([p[:6] for p in slots[put.slot]["Positions"]], [(1, "in", "none", "none", "stored", put.receipt["parcel"])])

    def test_reconcile_settles_what_the_cabinet_could_not(self):
        """Requirement: F8, F2"""
        put, other = self.store(), self.store()
        self.assertRefused("WrongState", self.admin.reconcile, put.slot, 1, "parcel")
        self.assertRefused("WrongState", self.admin.reconcile, "09", 1, "parcel")
        self.assertRefused("InvalidArgument", self.admin.reconcile, put.slot, 1, "something")
        self.assertRefused("UnknownPosition", self.admin.reconcile, put.slot, 2, "empty")
        self.assertRefused("InvalidArgument", self.admin.reconcile, put.slot, 0, "empty")
        self.admin.reconcile(put.slot, 1, "empty", "not there, courier took it along")
        self.assertEqual(self.gone(put.parcel)["state"], "returned")
        self.assertRefused("WrongCode", self.recipient, put.receipt["code"])
        self.assertEqual(self.admin.parcel(other.parcel)["State"], "stored")

    def test_new_code_voids_the_old_one(self):
        """Requirement: F8, D2"""
        put = self.store()
        code = self.admin.new_code(put.parcel)
        self.assertNotEqual(code, put.receipt["code"])
        self.assertRefused("WrongCode", self.recipient, put.receipt["code"])
        self.collect(code)
        self.assertRefused("WrongState", self.admin.release, self.store().parcel)


class TakingBack(Ledgers):
    cabinet_file = "cabinet-60.conf"
    edit = staticmethod(with_shared_m)
    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}

    def test_several_in_one_go_two_of_them_in_one_shared_slot(self):
        """Rejected and recalled ones, door after door; neighbours in the shared slot stay locked; what is not taken stays.

        Requirement: F11, A4, A3, D5
        """
        rejected, recalled, stays, single = (self.store(size=s) for s in ("M", "M", "M", "S"))
        self.assertEqual({p.slot for p in (rejected, recalled, stays)}, {"P1"})
        session = self.recipient(rejected.receipt["code"])
        place = session.collect()
        self.reach(place)
        session.reject()
        self.shut(place)
        session.wait_prompt("rejected")
        session.end()
        self.admin.recall(recalled.parcel)
        self.admin.recall(single.parcel)
        courier = self.courier()
        self.assertEqual(set(courier.parcels), {rejected.parcel, recalled.parcel, single.parcel})
        wanted = {p.parcel: p for p in (rejected, recalled, single)}
        queue = None
        with self.only("P1", single.slot, *(f"P1/{p.position}" for p in (rejected, recalled))):
            queue = courier.take_back()
            self.assertEqual({q[0] for q in queue}, set(wanted))
            for parcel, slot, position in queue:
                prompt = courier.wait_prompt("take-next")
                self.assertEqual((prompt.slot, prompt.position), (slot, position))
                put = wanted[parcel]
                # Only this one is open: of two in one slot the second is still locked.
                for other in wanted.values():
                    if other is not put and other.slot == put.slot:
                        self.assertEqual(self.sim.place(f"P1/{other.position}")["latch"], "locked")
                self.take(put)
                self.shut(put)
                self.gone(parcel)
            courier.wait_prompt("done")
        for parcel in wanted:
            self.assertEqual(self.admin.find_history(int(parcel.rsplit("/", 1)[1]))["state"], "returned")
        self.assertEqual(self.admin.parcel(stays.parcel)["State"], "stored")
        self.assertTrue(self.item(stays))
        self.assertRefused("NothingToCollect", courier.take_back)

    def test_courier_stops_in_the_middle(self):
        """Requirement: F11, F3"""
        one, two = self.store(size="M"), self.store(size="M")
        for put in (one, two):
            self.admin.recall(put.parcel)
        courier = self.courier()
        [first, second] = courier.take_back()
        by_path = {p.parcel: p for p in (one, two)}
        self.take(by_path[first[0]])
        courier.cancel()
        self.shut(by_path[first[0]])
        courier.wait_prompt("done")
        self.assertEqual(self.gone(first[0])["state"], "returned")
        self.assertEqual(self.admin.parcel(second[0])["State"], "recalled")
        self.assertEqual(courier.take_back(), [second])
        # Left inside: the sensor knows, and it is not said to be returned.
        self.reach(by_path[second[0]])
        self.shut(by_path[second[0]])
        courier.wait_prompt("still-inside")
        self.assertEqual(self.admin.parcel(second[0])["State"], "recalled")


class Records(Ledgers):
    settings = {"Session": {"ReopenGrace": "0"}}

    def test_audit_tells_when_a_copy_was_tampered_with(self):
        """Changed, deleted and cut-off rows are found, the last by the head that is kept elsewhere.

        Requirement: F10
        """
        self.collect(self.store().receipt["code"])
        ok, rows, head, detail = self.admin.verify_audit()
        self.assertEqual((ok, detail), (True, ""))
        self.assertEqual(head, self.admin.cabinet("AuditHead"))
        copy = os.path.join(self.cabinet.directory, "copy.db")
        size = self.admin.backup(copy)
        self.assertEqual(size, os.path.getsize(copy))
        self.assertEqual(os.stat(copy).st_mode & 0o777, 0o600)
        self.assertEqual(self.tool("--check-ledger", copy), (0, {"ok": True, "detail": ""}))
        status, answer = self.tool("--verify-audit", copy)
        self.assertEqual((status, answer), (0, {"ok": True, "rows": rows, "head": head, "detail": ""}))
        for change in ("UPDATE event SET data = replace(data, '4711', '4712') WHERE type = 'parcel.stored'",
                       "UPDATE event SET wall = wall - 1 WHERE sequence = 3",
                       "UPDATE audit SET actor = 'courier:0815' WHERE sequence = 4",
                       "DELETE FROM audit WHERE sequence = 5",
                       "DELETE FROM outbox; DELETE FROM audit WHERE sequence = 6; DELETE FROM event WHERE sequence = 6"):
            forged = shutil.copy(copy, os.path.join(self.cabinet.directory, "forged.db"))
            with contextlib.closing(sqlite3.connect(forged)) as db:
                for (trigger,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
                    db.execute(f"DROP TRIGGER {trigger}")
                db.executescript(change)
            status, answer = self.tool("--verify-audit", forged)
            self.assertEqual((status, answer["ok"]), (65, False), change)
            self.assertTrue(answer["detail"], change)
        # Somebody cuts off the end, and the counter with it: the end was sealed.
        forged = shutil.copy(copy, os.path.join(self.cabinet.directory, "forged.db"))
        with contextlib.closing(sqlite3.connect(forged)) as db:
            for (trigger,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
                db.execute(f"DROP TRIGGER {trigger}")
            last = rows
            for table in ("outbox", "audit", "event"):
                db.execute(f"DELETE FROM {table} WHERE sequence = ?", (last,))
            db.execute("UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'event'")
            db.commit()
        status, answer = self.tool("--verify-audit", forged)
        self.assertEqual(status, 65)
        self.assertRegex(answer["detail"], f"ends at row {rows - 1}, .*row {rows}")
        # Without the key, or with another one, nobody can say anything.
        key = os.path.join(self.cabinet.directory, "other.key")
        status, answer = self.tool("--verify-audit", copy, "--key", key)
        self.assertEqual((status, answer["ok"]), (1, False))
        self.assertRegex(answer["detail"], "key .* there is none")
        with open(key, "wb") as f:
            f.write(bytes(32))
        os.chmod(key, 0o400)
        status, answer = self.tool("--verify-audit", copy, "--key", key)
        self.assertEqual((status, answer["ok"]), (1, False))
        self.assertRegex(answer["detail"], "another key")
        self.cabinet.stop_daemon()
        self.assertIn(f"Audit chain head at stop: {head}", self.cabinet.log())
        self.cabinet.start_daemon()

    def test_damaged_copy_is_told(self):
        """Requirement: F10, F8"""
        self.store()
        copy = os.path.join(self.cabinet.directory, "copy.db")
        self.admin.backup(copy)
        with open(copy, "r+b") as f:
            f.seek(3 * 4096)
            f.write(os.urandom(3 * 4096))
        status, answer = self.tool("--check-ledger", copy)
        self.assertEqual((status, answer["ok"]), (65, False))
        self.assertTrue(answer["detail"])

    def test_backup_overwrites_nothing(self):
        """Requirement: F8"""
        path = os.path.join(self.cabinet.directory, "there")
        with open(path, "w", encoding="ascii") as f:
            f.write("precious")
        for bad in (path, "relative.db", os.path.join(self.cabinet.directory, "no", "such")):
            error = self.assertRefused("InvalidArgument", self.admin.backup, bad)
            self.assertGreater(len(error.message), 20)
        with open(path, encoding="ascii") as f:
            self.assertEqual(f.read(), "precious")

    def test_backup_is_a_whole_cabinet(self):
        """A new ledger from the backup: the same parcels, the same codes, the same lockouts.

        Requirement: F8
        """
        put = self.store()
        copy = os.path.join(self.cabinet.directory, "copy.db")
        self.admin.backup(copy)
        self.cabinet.stop_daemon()
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.cabinet.ledger + suffix)
        shutil.move(copy, self.cabinet.ledger)
        self.cabinet.start_daemon()
        self.collect(put.receipt["code"])

    def test_state_event_and_outbox_change_together_and_in_order(self):
        """A second reader looks at the ledger all the time: at no moment is there a state without its event, an event without its audit row,
        or an event that the backend would not get; and the outbox has every one of them once, in order, without a gap.

        Requirement: B4
        """
        problems, looks, over = [], [], threading.Event()

        def look():
            with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
                while not over.is_set():
                    db.execute("BEGIN")
                    parcels = dict(db.execute("SELECT id, state FROM parcel").fetchall() +
                                   db.execute("SELECT id, state FROM parcel_history").fetchall())
                    told = {int(s.removeprefix("parcel:")): t.removeprefix("parcel.") for s, t in db.execute(
                        "SELECT subject, type FROM event WHERE type GLOB 'parcel.*' ORDER BY sequence")}
                    counts = db.execute("SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM audit), (SELECT count(*) FROM outbox), "
                                        "(SELECT coalesce(max(sequence), 0) FROM event)").fetchone()
                    db.execute("COMMIT")
                    looks.append(counts[0])
                    if parcels != told:
                        problems.append((parcels, told))
                    if len(set(counts)) != 1:
                        problems.append(counts)

        reader = threading.Thread(target=look)
        reader.start()
        try:
            puts = [self.store() for _ in range(2)]
            self.collect(puts[0].receipt["code"])
            self.admin.recall(puts[1].parcel)
        finally:
            over.set()
            reader.join()
        self.assertEqual(problems, [])
        self.assertGreater(len(set(looks)), 10, "it really looked in between")
        sequences = [s for (s,) in self.rows("SELECT sequence FROM outbox ORDER BY rowid")]
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))
        self.assertEqual(self.admin.cabinet("OutboxLength"), len(sequences))
        self.assertEqual([e.sequence for e in self.admin.events()], sequences)
        # The signals came in the same order, to everybody on the bus who listens.
        wait(lambda: [s.values[0] for s in self.admin.signals if s.member == "Event"][-1:] == sequences[-1:], "the last signal")
        signalled = [s.values[0] for s in self.admin.signals if s.member == "Event"]
        self.assertEqual(signalled, sequences[-len(signalled):])
        # With each code goes, sealed, what the backend is to send; nothing else has a secret.
        self.assertEqual(self.rows("SELECT DISTINCT type FROM outbox JOIN event USING (sequence) WHERE secret IS NOT NULL"), [("code.issued",)])

    def test_personal_data_is_masked_and_sealed_everywhere(self):
        """A whole day at the cabinet, and then the log, the bus and the bytes on the disk are searched.

        Requirement: F9
        """
        secrets = {"Mustermann", "Quentin", "Zabrinski", "1234567", "7654321", "5550199", "864297", "correct horse battery", "wrong horse battery",
                   "9753"}
        self.admin.enrol(kind="courier", number="4711", name="Quentin Zabrinski", pin="864297")
        self.admin.enrol_recipient("+49 171 7654321", password="correct horse battery", name="Erika Mustermann")
        courier = self.client.start_session("courier")
        self.assertRefused("WrongCredential", courier.authenticate_pin, "4711", "9753")
        courier.authenticate_pin("4711", "864297")
        put = courier.deposit(size="S", recipient="Erika Mustermann", phone="+49 171 1234567", waybill="JD0001")
        self.put_in(courier, put)
        own = courier.deposit(size="S", recipient="Mustermann", phone="+49 171 7654321")
        self.put_in(courier, own)
        courier.end()
        secrets.add(put.receipt["code"])
        secrets.add(self.admin.new_code(put.parcel))
        session = self.client.start_session("recipient")
        self.assertRefused("WrongCode", session.authenticate_code, "ZZ99ZZ", phone_tail="4567")
        self.assertRefused("WrongCredential", session.authenticate_password, "+49 171 7654321", "wrong horse battery")
        self.assertRefused("WrongCredential", session.authenticate_password, "+49 171 5550199", "wrong horse battery")
        secrets.add("ZZ99ZZ")
        session.end()
        self.collect(self.admin.new_code(put.parcel))
        copy = os.path.join(self.cabinet.directory, "copy.db")
        self.admin.backup(copy)

        shown = {
            "objects": str(self.admin.objects()), "people": str(self.admin.people()), "lockouts": str(self.admin.lockouts()),
            "events": str(self.admin.events()), "history": str(self.admin.find_history(put.parcel)), "health": str(self.admin.health()),
            "signals": str([s for s in self.admin.signals]), "log": self.cabinet.log(),
            "properties": str(self.admin.get_all("/org/lockerd/Locker1", "org.lockerd.Locker1.Cabinet")),
        }
        self.assertIn("parcel.stored", shown["signals"])
        for where, text in shown.items():
            text = re.sub(r"[0-9a-f]{64}", "(a hash)", text)  # any four digits are in one of a thousand of these
            for secret in secrets:
                self.assertNotIn(secret, text, where)
        # Masked, not left out: people recognise their own.
        self.assertRegex(shown["people"], r"E\*+")
        files = [self.cabinet.ledger + s for s in ("", "-wal", "-shm", ".reserve")] + [copy]
        searched = 0
        for path in filter(os.path.exists, files):
            with open(path, "rb") as f:
                raw = f.read()
            searched += len(raw)
            for secret in secrets - {"864297", "9753"}:
                self.assertNotIn(secret.encode(), raw, path)
        self.assertGreater(searched, 50000)
        # Four digits stand in any random file; where a PIN could be, it is not.
        for table in ("person", "credential", "event", "audit", "session", "lockout"):
            for row in self.rows(f"SELECT * FROM {table}"):
                for value in row:
                    self.assertNotIn("864297", value if isinstance(value, str) else "", table)
                    self.assertNotIn("9753", value if isinstance(value, str) else "", table)

    def test_revoked_person_leaves_nothing_behind(self):
        """Requirement: F9, C3"""
        courier = self.admin.enrol(kind="courier", number="4711", name="Quentin Zabrinski", pin="864297")
        session = self.client.start_session("courier")
        session.authenticate_pin("4711", "864297")
        session.end()
        self.admin.revoke(courier, "has left")
        self.assertRefused("WrongCredential", self.client.start_session("courier").authenticate_pin, "4711", "864297")
        self.assertEqual(self.rows("SELECT salt, name, phone, phone_mac FROM person WHERE id = ?", courier), [(None, None, None, None)])
        self.assertEqual(self.rows("SELECT count(*) FROM credential"), [(0,)])
        self.assertEqual(self.admin.people(), [])


main()
