#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""People and what they show: drawn patterns and cards beside PINs and passwords, several kinds of a person, and which of them
suffice for what."""
from daemonlib import main
from people import Scenario

PHONE, PASSWORD, PATTERN, CARD = "+49 171 1234567", "correct horse battery", "40158", "8230119945602718"


class Kinds(Scenario):
    settings = {"Session": {"ReopenGrace": "0"}}

    def recipient_by(self, kind, claim=PHONE, **evidence):
        session = self.client.start_session("recipient")
        session.authenticate(kind, phone=claim, **evidence)
        return session

    def fetch(self, session, put):
        with self.only(put.slot):
            place = session.collect()
            self.assertEqual(place.slot, put.slot)
            self.take(place)
            session.accept()
            self.shut(place)
            session.wait_prompt("collected")
        session.end()

    def test_each_of_several_credentials_opens_and_nothing_else(self):
        """Requirement: C1, C2, C3"""
        self.admin.enrol(kind="recipient", phone=PHONE, name="Erika Mustermann", password=PASSWORD, pattern=PATTERN, card=CARD, consent=True)
        self.admin.enrol(kind="recipient", phone="+49 171 7654321", name="Karl Käfer", pattern="13408", consent=True)
        [erika, karl] = [p for p in self.admin.people() if p[1] == "recipient"]
        self.assertEqual((sorted(erika[5]), karl[5]), (["card", "password", "pattern"], ["pattern"]))
        puts = [self.store(phone=PHONE) for _ in range(3)]
        for put in puts:
            self.assertNotIn("code", put.receipt)
            self.assertEqual(sorted(put.receipt["credentials"]), ["card", "password", "pattern"])
        session = self.client.start_session("recipient")
        with self.only():
            for kind, claim, secret in [("pattern", PHONE, "13408"), ("pattern", "+49 171 7654321", PATTERN), ("card", PHONE, CARD[:-1]),
                                        ("card", PHONE, PATTERN), ("pattern", PHONE, CARD[:9]), ("card", "+49 171 7654321", CARD)]:
                self.assertRefused("WrongCredential", session.authenticate, kind, phone=claim, **{kind: secret})
            self.assertRefused("NotAuthenticated", session.collect)
        self.admin.lift_lockout()
        self.fetch(self.recipient_by("pattern", pattern=PATTERN), puts[0])
        self.fetch(self.recipient_by("card", card=CARD), puts[1])
        self.fetch(self.recipient_by("password", password=PASSWORD), puts[2])

    def test_courier_signs_in_by_pattern_and_by_card(self):
        """Requirement: C3"""
        self.admin.enrol(kind="courier", number="4712", name="Bo", pattern=PATTERN, card=CARD)
        for kind, secret in (("pattern", PATTERN), ("card", CARD)):
            session = self.client.start_session("courier")
            self.assertRefused("WrongCredential", session.authenticate, kind, number="4713", **{kind: secret})
            session.authenticate(kind, number="4712", **{kind: secret})
            self.assertEqual(session.state, "authenticated")
            self.put_in(session, session.deposit(size="S"))
            session.end()
        # A recipient's claim is no courier's, and a courier's number no recipient's id.
        person = self.admin.enrol(kind="recipient", phone=PHONE, name="Erika", pattern=PATTERN, consent=True)
        self.admin.enrol(kind="courier", number=str(person), name="Cy", pattern="13408")
        session = self.client.start_session("courier")
        for _ in range(3):
            self.assertRefused("WrongCredential", session.authenticate, "pattern", number=str(person), pattern="50461")
        self.assertRefused("LockedOut", session.authenticate, "pattern", number=str(person), pattern="13408")
        self.assertIn(f"pattern:courier-{person}", self.admin.lockouts())
        self.assertNotIn(f"pattern:{person}", self.admin.lockouts())
        self.recipient_by("pattern", pattern=PATTERN)

    def test_wrong_patterns_lock_and_other_kinds_stay_open(self):
        """Requirement: C3, F15"""
        person = self.admin.enrol(kind="recipient", phone=PHONE, name="Erika", pattern=PATTERN, card=CARD, consent=True)
        session = self.client.start_session("recipient")
        for _ in range(3):
            self.assertRefused("WrongCredential", session.authenticate, "pattern", phone=PHONE, pattern="50461")
        self.assertRefused("LockedOut", session.authenticate, "pattern", phone=PHONE, pattern=PATTERN)
        self.assertEqual(list(self.admin.lockouts()), [f"pattern:{person}"])
        session.authenticate("card", phone=PHONE, card=CARD)
        self.cabinet.restart(kill=True)
        session = self.client.start_session("recipient")
        self.assertRefused("LockedOut", session.authenticate, "pattern", phone=PHONE, pattern=PATTERN)
        self.admin.lift_lockout(f"pattern:{person}")
        session.authenticate("pattern", phone=PHONE, pattern=PATTERN)

    def test_bad_evidence_is_refused_with_its_reason(self):
        """Requirement: C1"""
        def why(error, **person):
            return self.assertRefused(error, lambda: self.admin.enrol(kind="recipient", phone=PHONE, consent=True, **person)).message

        self.assertIn("twice", why("InvalidArgument", pattern="045870"))
        self.assertIn("crosses", why("InvalidArgument", pattern="02587"))
        self.assertIn("too few nodes", why("InvalidArgument", pattern="0458"))
        self.assertIn("0 to 8", why("InvalidArgument", pattern="04589"))
        why("WeakSecret", pattern="01258")
        self.assertIn("MinimumCardLength", why("InvalidArgument", card="4006381333931"))
        self.assertIn("recipients have none", why("InvalidArgument", pin="258036"))
        # One bad one, and none is stored.
        self.assertIn("crosses", why("InvalidArgument", password=PASSWORD, pattern="02587"))
        message = self.assertRefused("InvalidArgument", self.admin.enrol, kind="recipient", phone=PHONE, pattern=PATTERN).message
        self.assertIn("consent", message)
        message = self.assertRefused("InvalidArgument", self.admin.enrol, kind="courier", number="9").message
        self.assertIn("courier needs a credential", message)
        self.assertEqual(self.admin.people(), [])
        session = self.client.start_session("recipient")
        self.assertIn("phone", self.assertRefused("InvalidArgument", session.authenticate, "pattern", number="9", pattern=PATTERN).message)
        message = self.assertRefused("InvalidArgument", session.authenticate, "iris", phone=PHONE, iris="x").message
        self.assertIn('"pattern"', message)


class TwoKinds(Scenario):
    """A pattern does not suffice alone."""
    settings = {"Session": {"ReopenGrace": "0"},
                "Identity": {"AloneForCollect": "password", "AloneForDeposit": "pin", "AloneForTakeBack": "none", "AloneForLift": "pin"}}

    def test_a_second_kind_completes_what_one_does_not_suffice_for(self):
        """Requirement: C3"""
        self.admin.enrol(kind="recipient", phone=PHONE, name="Erika", password=PASSWORD, pattern=PATTERN, card=CARD, consent=True)
        self.admin.enrol(kind="recipient", phone="+49 171 7654321", name="Karl", password=PASSWORD, pattern="13408", consent=True)
        put = self.store(phone=PHONE)
        session = self.client.start_session("recipient")
        session.authenticate("pattern", phone=PHONE, pattern=PATTERN)
        self.assertIn("password or card", session.wait_prompt("another").sentence)
        # Nothing is told and nothing opens before.
        self.assertEqual((session.state, session.parcels), ("incomplete", []))
        with self.only():
            self.assertIn("another", self.assertRefused("AnotherNeeded", session.collect).message)
            self.assertRefused("AnotherNeeded", session.collect, put.parcel)
            # The same again is no second kind; somebody else's is somebody else.
            session.authenticate("pattern", phone=PHONE, pattern=PATTERN)
            self.assertRefused("AnotherNeeded", session.collect)
            session.authenticate("pattern", phone="+49 171 7654321", pattern="13408")
            session.authenticate("card", phone=PHONE, card=CARD)
            self.assertRefused("AnotherNeeded", session.collect)
            # A wrong one takes nothing away.
            self.assertRefused("WrongCredential", session.authenticate, "pattern", phone=PHONE, pattern="13408")
        session.authenticate("pattern", phone=PHONE, pattern=PATTERN)
        self.assertEqual((session.state, session.parcels), ("authenticated", [put.parcel]))
        with self.only(put.slot):
            place = session.collect()
            self.take(place)
            session.accept()
            self.shut(place)
            session.wait_prompt("collected")

    def test_what_cannot_open_is_not_bound_and_gets_a_code(self):
        """Requirement: C2, C4"""
        self.admin.enrol(kind="recipient", phone=PHONE, name="Erika", pattern=PATTERN, consent=True)
        put = self.store(phone=PHONE)
        self.assertEqual((len(put.receipt["code"]), put.receipt["credentials"]), (6, []))
        session = self.client.start_session("recipient")
        session.authenticate("pattern", phone=PHONE, pattern=PATTERN)
        self.assertIn("use a pickup code", session.wait_prompt("another").sentence)
        self.assertRefused("AnotherNeeded", session.collect)
        session.authenticate_code(put.receipt["code"])
        self.assertEqual(session.state, "authenticated")
        self.take(session.collect())

    def test_each_act_has_its_own_rule(self):
        """Requirement: C3, D4"""
        self.admin.enrol(kind="courier", number="4711", name="Bo", pin="258036", card=CARD)
        put = self.store(session=self.courier(), end=False)
        self.admin.recall(int(put.parcel.rsplit("/", 1)[1]))
        courier = self.courier()
        self.assertEqual((courier.state, courier.parcels), ("authenticated", []))
        with self.only():
            self.assertRefused("AnotherNeeded", courier.take_back)
        courier.lift_lockout()
        courier.authenticate("card", number="4711", card=CARD)
        self.assertEqual(courier.parcels, [put.parcel])
        with self.only(put.slot):
            courier.take_back()
            self.take(put)
            self.shut(put)
            courier.wait_prompt("returned")
        other = self.client.start_session("courier")
        other.authenticate("card", number="4711", card=CARD)
        self.assertEqual(other.state, "incomplete")
        with self.only():
            self.assertRefused("AnotherNeeded", other.deposit, size="S")
            self.assertRefused("AnotherNeeded", other.lift_lockout)


main()
