# SPDX-License-Identifier: Apache-2.0
"""What guessing is let through on the real daemon: docs/guessing.md, sentence by sentence."""
import os
import pwd
import sqlite3

from daemonlib import main
from people import Scenario

WRONG = "ZZZZZZ"
BURST = 12


class Guessing(Scenario):
    settings = {"Session": {"ReopenGrace": "0", "IdleTimeout": "1min"}, "Lockout": {"Duration": "30min"}}

    def guess_until_locked(self, right, guess, most=200):
        """Two wrong entries and one's own right one, again and again → the number of wrong ones until nothing is looked at any more."""
        for n in range(1, most + 1):
            name = self.refused(guess)
            if name == "LockedOut":
                return n - 1
            if n % 2 == 0 and self.refused(right) == "LockedOut":
                return n
        self.fail(f"{most} guesses, and no lock")

    def refused(self, call):
        try:
            call()
        except Exception as e:  # a DBusError; anything else has no such name
            return e.short
        return None

    def test_ones_own_right_code_buys_no_guesses(self):
        """Requirement: D4, F15"""
        put = self.store()
        session = self.client.start_session("recipient")
        n = self.guess_until_locked(lambda: session.authenticate_code(put.receipt["code"]),
                                    lambda: session.authenticate_code(WRONG))
        self.assertEqual(n, BURST)
        session.end()
        # Neither does a new session, another connection, or the daemon started again.
        self.assertRefused("LockedOut", self.recipient, put.receipt["code"])
        self.cabinet.restart(kill=True)
        self.assertRefused("LockedOut", self.recipient, put.receipt["code"])

    def test_neighbours_right_code_refills_no_claim(self):
        """Requirement: D4, F15"""
        put = self.store()
        mark = self.last_event()
        session = self.client.start_session("recipient")
        n = self.guess_until_locked(lambda: session.authenticate_code(put.receipt["code"], slot=put.slot),
                                    lambda: session.authenticate_code(WRONG, slot=put.slot))
        self.assertEqual(n, BURST)
        self.assertIn(f"claim:slot:{put.slot}", self.admin.lockouts())
        self.wait_event("lockout.locked", after=mark)

    def test_budgets_survive_restarts(self):
        """Requirement: D4, F15"""
        put = self.store()
        wrong = 0
        while wrong < 50:
            session = self.client.start_session("recipient")
            if self.refused(lambda: session.authenticate_code(WRONG)) == "LockedOut":
                break
            wrong += 1
            self.refused(lambda: session.authenticate_code(put.receipt["code"]))
            if wrong % 3 == 0:
                self.cabinet.restart(kill=True)
        self.assertEqual(wrong, BURST)

    def test_couriers_own_pin_buys_no_guesses(self):
        """Requirement: D4, C3, F15"""
        self.admin.enrol_courier("4711", "258036")
        session = self.client.start_session("courier")
        n = self.guess_until_locked(lambda: session.authenticate_pin("4711", "258036"),
                                    lambda: session.authenticate_pin("4711", "000000"))
        self.assertEqual(n, BURST)
        self.assertEqual(list(self.admin.lockouts()), ["pin:4711"])
        self.admin.lift_lockout("pin:4711", "it was the night shift")
        session.authenticate_pin("4711", "258036")

    def test_one_courier_lifts_no_more_than_five_at_once(self):
        """Requirement: D4, F15"""
        self.admin.enrol_courier("4712", "135792")
        put, courier, other = self.store(), self.courier(), self.courier("4712", "135792")
        courier.lift_lockout()  # of nothing: costs nothing
        session = self.client.start_session("recipient")

        def lock():
            for _ in range(3):
                self.assertRefused("WrongCode", session.authenticate_code, WRONG)
            self.assertRefused("LockedOut", session.authenticate_code, put.receipt["code"])

        for _ in range(5):
            lock()
            courier.lift_lockout()
        session.authenticate_code(put.receipt["code"])
        lock()
        self.assertIn("2 hours", self.assertRefused("LockedOut", courier.lift_lockout).message.replace("120 minutes", "2 hours"))
        self.assertRefused("LockedOut", session.authenticate_code, put.receipt["code"])
        # It is the courier who has lifted too many, also after a restart; another one and an operator still can.
        self.cabinet.restart(kill=True)
        session = self.client.start_session("recipient")
        self.assertRefused("LockedOut", self.courier().lift_lockout)
        other = self.courier("4712", "135792")
        other.lift_lockout()
        session.authenticate_code(put.receipt["code"])
        lock()
        self.admin.lift_lockout("*", "a school class")
        session.authenticate_code(put.receipt["code"])
        self.assertEqual(self.admin.lockouts(), {})

    def test_other_ways_in_stay_open_while_codes_are_locked(self):
        """Requirement: D4, C3, F15"""
        phone = "+49 171 1234567"
        self.admin.enrol_recipient(phone, password="correct horse battery")
        self.store(phone=phone)
        session = self.client.start_session("recipient")
        for _ in range(3):
            self.assertRefused("WrongCode", session.authenticate_code, WRONG)
        self.assertRefused("LockedOut", session.authenticate_code, WRONG)
        session.authenticate("password", phone=phone, password="correct horse battery")
        self.courier().end()

    def test_pins_have_six_digits(self):
        """Requirement: C3"""
        for pin in ("25803", "2580", "111111", "123456"):
            self.assertRefused("WeakSecret", self.admin.enrol_courier, "4713", pin)
        self.admin.enrol_courier("4713", "258036")

    def test_terminal_is_who_called(self):
        """Requirement: D4, F15"""
        session = self.client.start_session("recipient")
        for _ in range(3):
            self.assertRefused("WrongCode", session.authenticate_code, WRONG)
        self.assertEqual(list(self.admin.lockouts()), [f"terminal:{pwd.getpwuid(os.getuid()).pw_name}"])

    def test_unknown_kinds_are_named(self):
        """Requirement: C3"""
        session = self.client.start_session("recipient")
        refused = self.assertRefused("InvalidArgument", session.authenticate, "gait", gait="limps")
        for known in ("code", "courier-pin", "password"):
            self.assertIn(f'"{known}"', refused.message)
        refused = self.assertRefused("InvalidArgument", self.admin.enrol, kind="courier", number="4714", iris="la")
        self.assertIn('"iris" is not known here', refused.message)
        refused = self.assertRefused("InvalidArgument", self.admin.enrol, kind="courier", number="4714",
                                     pin="258036", password="correct horse battery")
        self.assertIn("password", refused.message)


class FourDigits(Scenario):
    settings = {"Identity": {"MinimumPinLength": "4"}}

    def test_short_pins_have_few_guesses(self):
        """Three are all that four digits have: the bound holds whatever the length.

        Requirement: D4, C3, F15
        """
        self.admin.enrol_courier("4711", "2580")
        session = self.client.start_session("courier")
        for pin in ("0000", "1111", "2222"):
            self.assertRefused("WrongCredential", session.authenticate_pin, "4711", pin)
        self.assertIn("hours", self.assertRefused("LockedOut", session.authenticate_pin, "4711", "2580").message)
        [seconds] = [seconds for subject, (_, seconds) in self.admin.lockouts().items() if subject == "pin:4711"]
        self.assertGreater(seconds, 7 * 86400)


class Erasure(Scenario):
    settings = {"Session": {"ReopenGrace": "0"}}

    def test_revoked_recipient_is_forgotten_also_in_what_came_before(self):
        """Parcels of before the enrolment had the same phone and belonged to nobody.

        Requirement: C6, F9
        """
        put = self.store(phone="+49 171 1234567", recipient="Quentin Zabrinski")
        self.collect(put.receipt["code"])
        other = self.store(phone="+49 171 1234568", recipient="Somebody Else")
        self.collect(other.receipt["code"])
        waiting = self.store(phone="+49 171 1234567", recipient="Quentin Zabrinski")
        person = self.admin.enrol_recipient("0049 171 1234567")
        self.admin.revoke(person, "asked for it")
        self.collect(waiting.receipt["code"])
        rows = self.history()
        self.assertEqual([rows[p.receipt["parcel"]] for p in (put, waiting)], [(None, None, None)] * 2)
        self.assertNotIn(None, rows[other.receipt["parcel"]])

    def history(self):
        with sqlite3.connect(self.cabinet.ledger) as db:
            rows = db.execute("SELECT id, recipient, phone, phone_mac FROM parcel_history").fetchall()
        db.close()
        return {row[0]: row[1:] for row in rows}


main()
