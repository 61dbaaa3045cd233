# SPDX-License-Identifier: Apache-2.0
"""Pickup codes: what they look like, what wrong ones cost, and that nobody gets around that."""
import contextlib
import os
import pathlib
import re
import sqlite3
import subprocess
import time

from daemonlib import DBusError, dictionary, main, wait
from people import Scenario

WRONG = "ZZZZZZ"
CLOCKSHIM = pathlib.Path(__file__).with_name("clockshim.c")


class Lockouts(Scenario):
    settings = {"Session": {"ReopenGrace": "0", "IdleTimeout": "1min", "MaxSessions": "16"}, "Lockout": {"Duration": "30min"}}

    def lock_out(self, client=None, **claim):
        session = (client or self.client).start_session("recipient")
        for _ in range(3):
            self.assertRefused("WrongCode", session.authenticate_code, WRONG, **claim)
        return session

    def test_three_wrong_codes_lock_the_entry_and_the_courier_lifts_it(self):
        """Requirement: D4, C3"""
        put = self.store()
        session = self.client.start_session("recipient")
        first = self.assertRefused("WrongCode", session.authenticate_code, WRONG)
        self.assertIn("2 more tries", first.message)
        # A right one in between begins the count anew.
        session.authenticate_code(put.receipt["code"])
        session.end()
        session = self.client.start_session("recipient")
        for left in ("2 more tries", "1 more try"):
            self.assertIn(left, self.assertRefused("WrongCode", session.authenticate_code, WRONG).message)
        third = self.assertRefused("WrongCode", session.authenticate_code, WRONG)
        self.assertIn("30 minutes", third.message)
        with self.only():
            # Locked: the right code is not even looked at, in a new session neither.
            locked = self.assertRefused("LockedOut", session.authenticate_code, put.receipt["code"])
            self.assertIn("minutes", locked.message)
            session.end()
            session = self.client.start_session("recipient")
            self.assertRefused("LockedOut", session.authenticate_code, put.receipt["code"])
        [(subject, (failures, seconds))] = self.admin.lockouts().items()
        self.assertTrue(subject.startswith("terminal"), subject)
        self.assertEqual(failures, 3)
        self.assertTrue(1790 < seconds <= 1800, seconds)
        self.wait_event("lockout.locked", seconds=1800)
        # An ill-formed code is no try.
        self.assertRefused("InvalidArgument", session.authenticate_code, "12345")
        courier = self.courier()
        courier.lift_lockout()
        courier.end()
        self.wait_event("lockout.lifted")
        session.authenticate_code(put.receipt["code"])

    def test_courier_deposits_while_codes_are_locked(self):
        """Other ways in stay open.

        Requirement: D4, F4
        """
        self.lock_out()
        put = self.store()
        self.assertRefused("LockedOut", self.recipient, put.receipt["code"])
        self.admin.lift_lockout("*", "it was a child")
        self.assertEqual(self.admin.lockouts(), {})
        self.collect(put.receipt["code"])

    def test_count_and_lock_survive_kill_and_restart(self):
        """Requirement: D4"""
        put = self.store()
        session = self.client.start_session("recipient")
        self.assertRefused("WrongCode", session.authenticate_code, WRONG)
        self.assertRefused("WrongCode", session.authenticate_code, WRONG)
        self.cabinet.restart(kill=True)
        session = self.client.start_session("recipient")
        self.assertRefused("WrongCode", session.authenticate_code, WRONG)
        self.assertRefused("LockedOut", session.authenticate_code, put.receipt["code"])
        self.cabinet.restart(kill=True)
        self.assertRefused("LockedOut", self.recipient, put.receipt["code"])
        self.cabinet.restart()
        self.assertRefused("LockedOut", self.recipient, put.receipt["code"])
        [(_, seconds)] = self.admin.lockouts().values()
        self.assertTrue(1700 < seconds <= 1800, seconds)

    def test_reboot_does_not_shorten_the_wait(self):
        """Another boot id: what remained stays to be waited for.

        Requirement: D4
        """
        put = self.store()
        self.lock_out()
        self.cabinet.stop_daemon()
        with sqlite3.connect(self.cabinet.ledger) as db:
            changed = db.execute("UPDATE lockout SET boot_id = zeroblob(16), until_boot = 1").rowcount
        db.close()
        self.assertEqual(changed, 1)
        self.cabinet.start_daemon()
        self.assertRefused("LockedOut", self.recipient, put.receipt["code"])
        [(_, seconds)] = self.admin.lockouts().values()
        self.assertTrue(1700 < seconds <= 1800, seconds)

    def test_changed_clock_does_not_shorten_the_wait(self):
        """The wall clock jumps two days ahead and a year back, with and without a restart in between.

        Requirement: D4
        """
        put = self.store()
        self.lock_out()
        shim, offset = (os.path.join(self.cabinet.directory, name) for name in ("clockshim.so", "offset"))
        subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, CLOCKSHIM], check=True)
        original = self.cabinet.environment
        self.cabinet.environment = lambda: {
            **original(), "LD_PRELOAD": shim, "CLOCKSHIM": offset,
            "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"}
        self.cabinet.restart()

        def still_locked():
            self.assertRefused("LockedOut", self.recipient, put.receipt["code"])
            [(_, seconds)] = self.admin.lockouts().values()
            self.assertTrue(1600 < seconds <= 1800, seconds)

        for days in (2, -365):
            with open(offset, "w", encoding="utf-8") as f:
                f.write(str(days * 86400))
            still_locked()
            mark = self.last_event()
            self.admin.disable("09", reason=f"{days} days")
            seen = (self.wait_event("slot.disabled", after=mark).time / 1e6 - time.time()) / 86400
            if days > 0:
                self.assertGreater(seen, days - 0.1, "it is really another day for the daemon")
            else:
                self.assertLess(seen, 3)
            self.cabinet.restart()
            still_locked()
            self.cabinet.restart(kill=True)
            still_locked()
        os.unlink(offset)
        self.admin.lift_lockout("*", "enough")
        self.recipient(put.receipt["code"]).end()

    def test_pin_is_locked_by_itself(self):
        """Three wrong PINs lock this courier's PIN, and neither codes nor other couriers.

        Requirement: D4, C3
        """
        self.admin.enrol_courier("4712", "135792")
        put = self.store()
        session = self.client.start_session("courier")
        for _ in range(3):
            self.assertRefused("WrongCredential", session.authenticate_pin, "4711", "0000")
        self.assertRefused("LockedOut", session.authenticate_pin, "4711", "258036")
        session.end()
        self.assertEqual(list(self.admin.lockouts()), ["pin:4711"])
        other = self.courier("4712", "135792")
        other.lift_lockout()  # a courier lifts what is about codes, not a colleague's PIN
        self.assertEqual(list(self.admin.lockouts()), ["pin:4711"])
        other.end()
        self.collect(put.receipt["code"])
        self.admin.lift_lockout("pin:4711", "he had a cold")
        self.courier().end()
        # A number that nobody has is refused and counted the same way, so that guessing numbers teaches nothing.
        session = self.client.start_session("courier")
        for _ in range(3):
            self.assertRefused("WrongCredential", session.authenticate_pin, "9999", "0000")
        self.assertRefused("LockedOut", session.authenticate_pin, "9999", "0000")

    def test_parallel_guesses_get_no_more_tries(self):
        """Requirement: D4"""
        self.admin.enrol_courier("4711", "258036")
        sessions = [self.client.start_session("courier") for _ in range(6)]
        pending = [s.begin("Authenticate", "sa{sv}", "courier-pin", dictionary(number="4711", pin=pin))
                   for s, pin in zip(sessions, ("0000", "1111", "2222", "3333", "4444", "258036"))]
        names = []
        for p in pending:
            with self.assertRaises(DBusError) as refused:
                p.result()
            names.append(refused.exception.short)
        self.assertEqual((names.count("WrongCredential"), names.count("LockedOut")), (3, 3), names)


class ShortLockouts(Scenario):
    settings = {"Session": {"ReopenGrace": "0", "IdleTimeout": "1min"}, "Lockout": {"Duration": "2s"}}

    def codes(self):
        """→ {parcel: how many codes open it}, of those inside."""
        with sqlite3.connect(self.cabinet.ledger) as db:
            rows = db.execute("SELECT parcel, count(*) FROM (SELECT parcel FROM pickup_code UNION ALL "
                              "SELECT parcel FROM renewed_code) GROUP BY parcel").fetchall()
        db.close()
        return dict(rows)

    def guess(self, **claim):
        session = self.client.start_session("recipient")
        for _ in range(3):
            self.assertRefused("WrongCode", session.authenticate_code, WRONG, **claim)
        session.end()

    def test_new_code_after_the_wait_for_the_parcel_concerned(self):
        """The guessed slot's parcel gets a new code beside the old one; others get none.

        Requirement: D4, D2
        """
        put, other = self.store(), self.store()
        mark = self.last_event()
        self.guess(slot=put.slot)
        self.assertRefused("LockedOut", self.recipient, put.receipt["code"])
        self.assertIn(f"claim:slot:{put.slot}", self.admin.lockouts())
        issued = self.wait_event("code.issued", after=mark, parcel=put.receipt["parcel"])
        self.assertEqual(issued.data["courier"], "4711", "the courier gets it")
        self.assertNotIn("code", issued.data)
        self.wait_event("lockout.ended", after=mark)
        wait(lambda: not self.admin.lockouts(), "the end of the wait")
        self.assertEqual([e.data["parcel"] for e in self.admin.events(mark, type="code.issued")], [put.receipt["parcel"]])
        self.assertEqual(self.codes(), {put.receipt["parcel"]: 2, other.receipt["parcel"]: 1})
        self.recipient(put.receipt["code"]).end()
        # Again and again: there is no third, and the first one is never void.
        mark = self.last_event()
        self.guess(slot=put.slot)
        wait(lambda: not self.admin.lockouts(), "the end of the wait")
        self.wait_event("lockout.ended", after=mark)
        self.assertEqual(self.admin.events(mark, type="code.issued"), [])
        self.assertEqual(self.codes()[put.receipt["parcel"]], 2)
        self.recipient(put.receipt["code"]).end()
        self.collect(other.receipt["code"])
        # An operator's new code replaces both.
        code = self.admin.new_code(put.parcel)
        self.assertEqual(self.codes(), {put.receipt["parcel"]: 1})
        self.assertRefused("WrongCode", self.recipient, put.receipt["code"])
        self.collect(code)
        self.assertEqual(self.codes(), {})

    def test_new_code_after_the_wait_where_nothing_is_claimed(self):
        """The default alphabet needs no claim: the parcel concerned is the one whose code was nearly typed.

        Requirement: D4, D2
        """
        put, other = self.store(), self.store()
        code = put.receipt["code"]
        near = code[:5] + ("2" if code[5] != "2" else "3")
        swapped = next(code[:i] + code[i + 1] + code[i] + code[i + 2:] for i in range(5) if code[i] != code[i + 1])
        mark = self.last_event()
        session = self.client.start_session("recipient")
        for typed in (near, swapped, WRONG):
            self.assertRefused("WrongCode", session.authenticate_code, typed)
        self.assertRefused("LockedOut", session.authenticate_code, code)
        self.wait_event("code.issued", after=mark, parcel=put.receipt["parcel"])
        wait(lambda: not self.admin.lockouts(), "the end of the wait")
        self.assertEqual(self.codes(), {put.receipt["parcel"]: 2, other.receipt["parcel"]: 1})
        session.authenticate_code(code)

    def test_whoever_takes_wrong_entries_out_of_the_ledger_gains_no_tries(self):
        """In each way that a file can be changed: all wait, and then it is in order again.

        Requirement: D4, F10, F15
        """
        put = self.store()
        for sql in ("DELETE FROM lockout", "UPDATE lockout SET failures = 0, locked = 0, risk = 0",
                    "UPDATE lockout SET subject = subject || 'x'", "UPDATE lockout SET until_boot = 9223372036854775807, remaining = 9223372036854775807",
                    "UPDATE lockout SET subject = hex(zeroblob(500))", "DELETE FROM sealed WHERE name = 'lockout'"):
            with self.subTest(sql=sql):
                session = self.client.start_session("recipient")
                for _ in range(2):
                    self.assertRefused("WrongCode", session.authenticate_code, WRONG)
                self.cabinet.stop_daemon()
                with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
                    db.execute(sql)
                    db.commit()
                mark = len(self.cabinet.log())
                self.cabinet.start_daemon()
                self.client, self.admin = self.cabinet.client(), self.cabinet.client()
                self.assertIn("lockout", self.cabinet.log()[mark:])
                self.assertRefused("LockedOut", self.recipient, put.receipt["code"])
                self.assertIn("cabinet", self.admin.lockouts())
                wait(lambda: "cabinet" not in self.admin.lockouts(), "the end of the wait")
                self.recipient(put.receipt["code"]).end()
                mark = len(self.cabinet.log())
                self.cabinet.restart()
                self.client, self.admin = self.cabinet.client(), self.cabinet.client()
                self.assertNotIn("was changed while", self.cabinet.log()[mark:])
                self.assertEqual(self.admin.health()["ledger"][0], "ok")
                self.recipient(put.receipt["code"]).end()

    def test_terminal_wide_guessing_voids_nobodys_code(self):
        """Requirement: D4"""
        put = self.store()
        self.guess()
        self.assertRefused("LockedOut", self.recipient, put.receipt["code"])
        wait(lambda: not self.admin.lockouts(), "the end of the wait")
        self.collect(put.receipt["code"])

    def test_enrolled_recipient_with_a_code_gets_a_new_one_too(self):
        """Enrolled without a credential: this person's only way in is the code.

        Requirement: D4, C4
        """
        self.admin.enrol_recipient("+49 171 1234567")
        put = self.store(phone="+49 171 1234567")
        self.assertIn("code", put.receipt)
        mark = self.last_event()
        self.guess(phone_tail="4567")
        self.wait_event("code.issued", after=mark, parcel=put.receipt["parcel"])
        wait(lambda: not self.admin.lockouts(), "the end of the wait")
        self.assertEqual(self.codes(), {put.receipt["parcel"]: 2})
        self.collect(put.receipt["code"])

    def test_enrolled_recipient_without_a_code_gets_none_by_somebodys_guesses(self):
        """Requirement: D4, C3"""
        self.admin.enrol_recipient("+49 171 1234567", password="correct horse battery")
        put = self.store(phone="+49 171 1234567")
        mark = self.last_event()
        self.guess(slot=put.slot)
        self.wait_event("lockout.ended", after=mark)
        wait(lambda: not self.admin.lockouts(), "the end of the wait")
        self.assertEqual(self.admin.events(mark, type="code.issued"), [])

    def test_wait_ends_also_when_the_daemon_was_down(self):
        """Requirement: D4"""
        put = self.store()
        self.guess()
        self.cabinet.kill_daemon()
        time.sleep(2)
        self.cabinet.start_daemon()
        wait(lambda: not self.admin.lockouts(), "the end of the wait", 4)
        self.collect(put.receipt["code"])


class Crockford(Scenario):
    settings = {"Session": {"ReopenGrace": "0", "MaxSessions": "16"}}

    def test_six_symbols_and_a_forgiving_eye(self):
        """Letters and digits; lower case, spaces, hyphens and look-alikes are forgiven.

        Requirement: D3
        """
        self.assertEqual(self.admin.cabinet("CodeAlphabet"), "crockford")
        put = self.store()
        codes = {put.receipt["code"]} | {self.admin.new_code(put.parcel) for _ in range(40)}
        self.assertEqual(len(codes), 41, "no code comes twice")
        for code in codes:
            self.assertRegex(code, r"^[0-9A-HJKMNP-TV-Z]{6}$")
        self.assertTrue(any(c.isalpha() for c in "".join(codes)) and any(c.isdigit() for c in "".join(codes)))
        code = self.admin.new_code(put.parcel)
        while not ("0" in code or "1" in code):
            code = self.admin.new_code(put.parcel)
        sloppy = code.lower().replace("0", "o").replace("1", "l")
        self.recipient(f" {sloppy[:3]}-{sloppy[3:]} ").end()
        self.recipient(code.replace("0", "O").replace("1", "I")).end()
        for ill in ("", code[:5], code + "0", code[:5] + "?", "ÄÄÄÄÄÄ"):
            self.assertRefused("InvalidArgument", self.recipient, ill)
        self.assertEqual(self.admin.lockouts(), {})

    def test_claim_is_held_against_the_parcel_also_where_it_is_not_needed(self):
        """Requirement: D3, C3"""
        put, other = self.store(phone="+49 171 1234567"), self.store(phone="+49 171 7654321")
        code = put.receipt["code"]
        with self.only():
            self.assertRefused("WrongCode", self.recipient, code, slot=other.slot)
            self.assertRefused("WrongCode", self.recipient, code, phone_tail="4321")
            self.assertRefused("UnknownSlot", self.recipient, code, slot="99")
            self.assertRefused("InvalidArgument", self.recipient, code, phone_tail="321")
        self.recipient(code, slot=put.slot, phone_tail="4567").end()


class Digits(Scenario):
    settings = {"Codes": {"Alphabet": "digits"}, "Session": {"ReopenGrace": "0", "MaxSessions": "16"}}

    def test_six_digits_with_a_claim(self):
        """Requirement: D3, D4"""
        self.assertEqual(self.admin.cabinet("CodeAlphabet"), "digits")
        put = self.store(phone="+49 171 1234567")
        code = put.receipt["code"]
        self.assertRegex(code, r"^\d{6}$")
        self.assertEqual(put.receipt["code_alphabet"], "digits")
        with self.only():
            self.assertRefused("ClaimNeeded", self.recipient, code)
            self.assertEqual(self.admin.lockouts(), {}, "a forgotten claim is no try")
            self.assertRefused("InvalidArgument", self.recipient, code[:5] + "A", slot=put.slot)
            self.assertRefused("WrongCode", self.recipient, code, slot="02")
            self.assertRefused("WrongCode", self.recipient, code, phone_tail="0000")
        self.recipient(code, phone_tail="4567").end()
        self.recipient(f"{code[:3]} {code[3:]}", slot=put.slot).end()
        self.collect(code, slot=put.slot)


class WhyRefused(Scenario):
    settings = {"Lockout": {"Attempts": "10"}, "Codes": {"ValidFor": "12s"}}

    def refused(self, error, code):
        """The sentence outside, and what the ledger says."""
        mark = self.last_event()
        session = self.client.start_session("recipient")
        said = self.assertRefused(error, session.authenticate_code, code)
        session.end()
        [row] = [e for e in self.admin.events(mark) if e.type in ("code.wrong", "code.refused")]
        return re.sub(r"\d+ more tr(y|ies)", "some", said.message), row.data.get("why")

    def test_why_a_code_does_not_open_is_for_the_ledger_alone(self):
        """Requirement: B3, F9"""
        used, left = self.store(), self.store()
        self.collect(used.receipt["code"])
        session = self.courier()
        cancelled = session.deposit(size="S")
        session.cancel()
        self.shut(cancelled)
        session.end()
        replaced = left.receipt["code"]
        code = self.admin.new_code(left.parcel)
        said = {}
        for name, tried in {"never": WRONG, "used": used.receipt["code"], "cancelled": cancelled.receipt["code"], "replaced": replaced}.items():
            said[name], why = self.refused("WrongCode", tried)
            self.assertEqual(why, None if name == "never" else name)
        self.assertEqual(len(set(said.values())), 1, "nobody outside learns which it was")
        wait(lambda: self.admin.parcels()[left.receipt["parcel"]]["Expires"] < time.time() * 1e6, "the end of its window")
        self.assertEqual(self.refused("CodeExpired", code)[1], "expired")


main()
