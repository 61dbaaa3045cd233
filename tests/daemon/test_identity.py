#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""People and what they show: drawn patterns and cards beside PINs and passwords, several kinds of a person, and which of them
suffice for what."""
import os
import time

from daemonlib import main, wait
from dbusclient import CABINET, ROOT, dictionary
from ledger_copy import Copy
from people import Scenario

PHONE, PASSWORD, PATTERN, CARD = "+49 171 1234567", "correct horse battery", "40158", "8230119945602718"


QUICK = {"PatternScryptLogN": "14"}  # the least; what hashing costs is not what is tested here


class Kinds(Scenario):
    settings = {"Session": {"ReopenGrace": "0"}, "Identity": QUICK}

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
        self.admin.enrol(kind="courier", number="4712", name="Bo", pattern=PATTERN, card=CARD, consent=True)
        for kind, secret in (("pattern", PATTERN), ("card", CARD)):
            session = self.client.start_session("courier")
            self.assertRefused("WrongCredential", session.authenticate, kind, number="4713", **{kind: secret})
            session.authenticate(kind, number="4712", **{kind: secret})
            self.assertEqual(session.state, "authenticated")
            self.put_in(session, session.deposit(size="S"))
            session.end()
        # A recipient's claim is no courier's, and a courier's number no recipient's id.
        person = self.admin.enrol(kind="recipient", phone=PHONE, name="Erika", pattern=PATTERN, consent=True)
        self.admin.enrol(kind="courier", number=str(person), name="Cy", pattern="13408", consent=True)
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


class Enrolment(Scenario):
    settings = {"Session": {"ReopenGrace": "0"}, "Identity": {**QUICK, "ConsentText": "house-rules", "ConsentVersion": "3"}}

    def person(self, **more):
        return self.admin.enrol(kind="recipient", phone=PHONE, name="Erika Mustermann", **more)

    def test_credentials_come_and_go_one_by_one(self):
        """Requirement: C1, C2, C3, C4, C6"""
        person = self.person()
        first = self.store(phone=PHONE)
        self.assertIn("code", first.receipt)
        mark = self.last_event()
        self.assertEqual(self.admin.enrol_credential(person, "pattern", pattern=PATTERN, consent=True, consent_text="pattern-notice", consent_version="2026-11"), {})
        self.admin.enrol_credential(person, "password", password=PASSWORD, consent=True)
        found = self.admin.credentials(person)
        self.assertEqual(sorted(found), ["password", "pattern"])
        enrolled, used, given, text, version, place, witness = found["pattern"]
        self.assertEqual((used, text, version), (0, "pattern-notice", "2026-11"))
        self.assertEqual(given, enrolled)
        self.assertTrue(place and witness.startswith("operator:"))
        self.assertEqual(found["password"][3:5], ("house-rules", "3"))
        # Events tell it, without what was presented.
        events = [e for e in self.admin.events(mark) if e.type == "credential.enrolled"]
        self.assertEqual([(e.subject, e.data) for e in events],
                         [(f"person:{person}", {"kind": "pattern", "consent": {"text": "pattern-notice", "version": "2026-11"}}),
                          (f"person:{person}", {"kind": "password", "consent": {"text": "house-rules", "version": "3"}})])
        put = self.store(phone=PHONE)
        self.assertEqual(sorted(put.receipt["credentials"]), ["password", "pattern"])
        self.assertNotIn("code", put.receipt)
        session = self.client.start_session("recipient")
        session.authenticate("pattern", phone=PHONE, pattern=PATTERN)
        self.assertGreater(self.admin.credentials(person)["pattern"][1], 0, "used")
        # One goes: the session that began by it is over, the other still opens, and no code is made.
        mark = self.last_event()
        self.admin.revoke_credential(person, "pattern", "seen by a neighbour")
        self.assertFalse(session.exists)
        self.assertEqual(list(self.admin.credentials(person)), ["password"])
        self.assertEqual([e.data for e in self.admin.events(mark) if e.type == "credential.revoked"], [{"kind": "pattern"}])
        self.assertNotIn("code.issued", self.event_types(mark))
        session = self.client.start_session("recipient")
        self.assertRefused("WrongCredential", session.authenticate, "pattern", phone=PHONE, pattern=PATTERN)
        # The last one goes: who waits gets a code.
        self.admin.revoke_credential(person, "password", "asked for it")
        [issued] = [e for e in self.admin.events(mark) if e.type == "code.issued"]
        self.assertEqual(issued.subject, f"parcel:{put.parcel.rsplit('/', 1)[1]}")
        self.assertRefused("UnknownCredential", self.admin.revoke_credential, person, "password")
        self.assertEqual(self.admin.credentials(person), {})

    def test_what_waits_is_bound_when_its_recipient_enrols_and_unbound_when_they_go(self):
        """Requirement: C2, C4, C5"""
        put, other = self.store(phone="+49 (171) 123-4567"), self.store(phone="+49 172 1234567")
        number = int(put.parcel.rsplit("/", 1)[1])
        self.assertIn("code", put.receipt)
        mark = self.last_event()
        person = self.person(pattern=PATTERN, consent=True)

        def bound(after):
            return [(e.subject, e.data["person"], e.data["credentials"]) for e in self.admin.events(after) if e.type == "credential.bound"]

        self.assertEqual(bound(mark), [(f"parcel:{number}", person, ["pattern"])])
        session = self.client.start_session("recipient")
        session.authenticate("pattern", phone=PHONE, pattern=PATTERN)
        self.assertEqual(session.parcels, [put.parcel])
        session.end()
        # What comes now says in the ledger what opens it.
        mark = self.last_event()
        third = self.store(phone=PHONE)
        third_number = int(third.parcel.rsplit("/", 1)[1])
        self.assertEqual(bound(mark), [(f"parcel:{third_number}", person, ["pattern"])])
        mark = self.last_event()
        self.admin.enrol_credential(person, "card", card=CARD, consent=True)
        self.assertEqual(bound(mark), [(f"parcel:{n}", person, ["pattern", "card"]) for n in (number, third_number)])
        self.admin.revoke_credential(person, "card")
        mark = self.last_event()
        self.admin.revoke_credential(person, "pattern")
        self.assertEqual(bound(mark), [(f"parcel:{n}", person, []) for n in (number, third_number)])
        # The first has had its code all the time; the third gets one.
        self.assertEqual([e.subject for e in self.admin.events(mark) if e.type == "code.issued"], [f"parcel:{third_number}"])
        self.collect(put.receipt["code"])
        self.collect(other.receipt["code"])

    def test_everybody_is_listed_with_their_credentials_in_one_answer(self):
        """As ListPeople and ListCredentials tell it, masked, and without whom nobody knows any more.

        Requirement: C6, F8, F9
        """
        self.assertEqual(self.admin.enrolled(), [])
        erika, courier = self.person(pattern=PATTERN, card=CARD, consent=True), self.admin.enrol_courier("4711", "258036")
        bare = self.admin.enrol(kind="recipient", phone="+49 172 7654321", name="Karl")
        self.admin.revoke(self.admin.enrol_courier("4712", "369147"))
        rows = self.admin.enrolled()
        self.assertEqual([row[:5] for row in rows], [row[:5] for row in self.admin.people()])
        self.assertEqual([row[0] for row in rows], [erika, courier, bare])
        for person, *_, credentials in rows:
            self.assertEqual({c[0]: tuple(c[1:]) for c in credentials}, self.admin.credentials(person))
        self.assertNotIn("Mustermann", str(rows))
        self.assertNotIn("1234567", str(rows))

    def test_another_one_of_a_kind_replaces_the_former(self):
        """Requirement: C1, C3"""
        person = self.person(pattern=PATTERN, consent=True)
        self.admin.enrol_credential(person, "pattern", pattern="13408", consent=True)
        session = self.client.start_session("recipient")
        self.assertRefused("WrongCredential", session.authenticate, "pattern", phone=PHONE, pattern=PATTERN)
        session.authenticate("pattern", phone=PHONE, pattern="13408")

    def test_a_card_is_made_by_the_cabinet_and_told_once(self):
        """Requirement: C1, F9"""
        person = self.person()
        cards = [self.admin.enrol_credential(person, "card", consent=True)["card"] for _ in range(2)]
        for card in cards:
            self.assertRegex(card, r"^[0-9]{32}$")
        self.assertNotEqual(*cards)
        session = self.client.start_session("recipient")
        self.assertRefused("WrongCredential", session.authenticate, "card", phone=PHONE, card=cards[0])
        session.authenticate("card", phone=PHONE, card=cards[1])
        self.assertFalse([e for e in self.admin.events() if any(card in str(e.data) for card in cards)])

    def test_bad_enrolments_are_refused_with_their_reason(self):
        """Requirement: C1, C6"""
        person = self.person()
        courier = self.admin.enrol_courier("4711", "258036")

        def why(error, who, kind, **credential):
            return self.assertRefused(error, lambda: self.admin.enrol_credential(who, kind, **credential)).message

        why("UnknownPerson", 99, "pattern", pattern=PATTERN, consent=True)
        self.assertIn("consent", why("InvalidArgument", person, "pattern", pattern=PATTERN))
        self.assertIn("consent", why("InvalidArgument", courier, "card", card=CARD))
        self.assertIn("belong together", why("InvalidArgument", person, "pattern", pattern=PATTERN, consent=True, consent_text="x"))
        self.assertIn("pin, password, pattern, card, fingerprint", why("InvalidArgument", person, "iris", iris="x", consent=True))
        self.assertIn("pattern is missing", why("InvalidArgument", person, "pattern", consent=True))
        self.assertIn("couriers have none", why("InvalidArgument", courier, "password", password=PASSWORD, consent=True))
        self.assertIn("twice", why("InvalidArgument", person, "pattern", pattern="012345671", consent=True))
        why("WeakSecret", person, "pattern", pattern="01258", consent=True)
        self.assertRefused("UnknownPerson", self.admin.credentials, 99)
        self.assertRefused("UnknownPerson", self.admin.revoke_credential, 99, "pattern")
        self.assertRefused("InvalidArgument", self.admin.revoke_credential, person, "pattern", " ")
        self.assertEqual((self.admin.credentials(person), list(self.admin.credentials(courier))), ({}, ["pin"]))
        self.admin.enrol_credential(courier, "pin", pin="739164")
        self.courier(pin="739164").end()


class Erasure(Scenario):
    settings = {"Session": {"ReopenGrace": "0"}, "Identity": QUICK}
    SECRETS = (PASSWORD, PATTERN, CARD, "Erika Mustermann", "491711234567", "171 1234567")

    def enrol_erika(self):
        return self.admin.enrol(kind="recipient", phone=PHONE, name="Erika Mustermann", password=PASSWORD, pattern=PATTERN, card=CARD, consent=True)

    def erased(self, *gone):
        """The files once the log has been emptied of what was there before: two seconds after the last request, whatever else there is to do."""
        def look():
            copy = Copy(self.cabinet)
            return None if any(g in copy.raw for g in gone) else copy
        return wait(look, "the erased bytes gone from the files", 8)

    def test_nothing_that_was_shown_is_readable_in_ledger_log_or_journal(self):
        """Requirement: F9, C6"""
        self.enrol_erika()
        session = self.client.start_session("recipient")
        for kind, secret in (("pattern", PATTERN), ("card", CARD), ("password", PASSWORD)):
            session.authenticate(kind, phone=PHONE, **{kind: secret})
        self.assertRefused("WrongCredential", session.authenticate, "card", phone=PHONE, card="9999000011112222")
        copy = Copy(self.cabinet)
        self.cabinet.stop()
        log = (self.cabinet.log_text or self.cabinet.log()).encode()
        for secret in (*self.SECRETS, "9999000011112222"):
            for where in (copy.raw, log):
                # Five digits are in any file by chance: of the pattern only what stands alone counts.
                found = where.count(b'"' + secret.encode() + b'"') if secret == PATTERN else where.count(secret.encode())
                self.assertEqual(found, 0, secret)

    def test_revoked_person_cannot_be_read_with_all_files_and_the_key(self):
        """Requirement: C6, F9"""
        person = self.enrol_erika()
        before = Copy(self.cabinet)
        said = dict(before.open())
        # Whoever has files and key reads all of it before: so what follows is no failure of the reader.
        self.assertEqual((said["person.name"], said["person.phone"]), (b"Erika Mustermann", PHONE.encode()))
        self.assertEqual({len(said[f"credential.{k}"]) for k in ("password", "pattern", "card")}, {52})
        [row] = [r for r in before.tables["person"] if r[0] == person]
        salt = next(v for v in row if isinstance(v, bytes) and len(v) == 16)
        templates = [r[2] for r in before.tables["credential"]]
        self.admin.revoke(person, "asked to be forgotten")
        after = self.erased(salt, *templates)
        self.assertEqual([s for s in after.open() if s[0].startswith(("person.", "credential."))], [])
        self.assertEqual([s for s in after.open() if b"Erika" in s[1] or b"1234567" in s[1]], [])
        # Nor from a backup that is made later, with whatever is left to open it with.
        path = os.path.join(self.cabinet.directory, "later.db")
        self.admin.backup(path)
        backup = Copy(self.cabinet, path)
        for gone in (salt, *templates):
            self.assertNotIn(gone, backup.raw)
        self.assertEqual([s for s in backup.open([v for v in after.values() if len(v) == 16]) if s[0].startswith(("person.", "credential."))], [])
        # The proof of the consent stays, withdrawn.
        self.assertEqual({r[1] for r in after.tables["consent"]}, {"password", "pattern", "card"})
        self.assertTrue(all(r[-1] for r in after.tables["consent"]))

    def test_revoked_and_replaced_credentials_are_gone_and_the_others_stay(self):
        """Requirement: C6, F9"""
        person = self.enrol_erika()
        [replaced] = [r[2] for r in Copy(self.cabinet).tables["credential"] if r[1] == "card"]
        self.admin.enrol_credential(person, "card", card="7230119945602718", consent=True)
        self.erased(replaced)
        before = Copy(self.cabinet)
        [template] = [r[2] for r in before.tables["credential"] if r[1] == "pattern"]
        self.admin.revoke_credential(person, "pattern", "seen")
        said = [label for label, _ in self.erased(template).open()]
        self.assertNotIn("credential.pattern", said)
        self.assertIn("credential.card", said)


class Killed(Scenario):
    settings = {"Identity": {"ScryptLogN": "16", "PatternScryptLogN": "16"}}

    def test_enrolment_that_is_cut_off_leaves_nobody_and_nothing(self):
        """Requirement: C6"""
        person = {"kind": "recipient", "phone": PHONE, "name": "Erika", "password": PASSWORD, "pattern": PATTERN, "consent": True}
        for delay in (0.05, 0.1, 0.3):  # not while lockerd-hash is being forked, which has the lock of the ledger until it is a program of its own
            self.admin.begin(ROOT, CABINET, "Enrol", "a{sv}", dictionary(**person))
            time.sleep(delay)
            self.cabinet.restart(kill=True)
            people = self.admin.people()
            copy = Copy(self.cabinet)
            if people:  # it was quick enough: then all of it is there
                self.assertEqual(sorted(people[0][5]), ["password", "pattern"])
                self.assertEqual((len(copy.tables["credential"]), len(copy.tables["consent"])), (2, 2))
                break
            self.assertEqual((copy.tables["person"], copy.tables["credential"], copy.tables["consent"]), ([], [], []))
        # And of one more credential: with its consent, or neither.
        if not self.admin.people():
            self.admin.enrol(**person)
        [row] = self.admin.people()
        self.admin.begin(ROOT, CABINET, "EnrolCredential", "tsa{sv}", row[0], "pattern", dictionary(pattern="13408", consent=True))
        self.cabinet.restart(kill=True)
        tables = Copy(self.cabinet).tables
        resting = {(r[0], r[1], r[5]) for r in tables["credential"]}
        self.assertLessEqual(resting, {(r[0], r[1], r[2]) for r in tables["consent"]})
        self.assertEqual(len(resting), 2)


class Unused(Scenario):
    settings = {"Session": {"ReopenGrace": "0"}, "Daemon": {"TrustClock": "yes"}, "Identity": {"EndUnused": "1s"}}

    def test_what_nobody_uses_ends_and_who_waits_gets_a_code(self):
        """Requirement: C4, C6"""
        person = self.admin.enrol(kind="recipient", phone=PHONE, name="Erika", pattern=PATTERN, consent=True)
        put = self.store(phone=PHONE)
        self.assertNotIn("code", put.receipt)
        time.sleep(1.1)
        self.cabinet.restart()  # it looks once an hour, and at the start
        self.wait_event("credential.ended", kind="pattern")
        self.assertEqual(self.admin.credentials(person), {})
        [issued] = [e for e in self.admin.events() if e.type == "code.issued"]
        self.assertEqual(issued.subject, f"parcel:{put.parcel.rsplit('/', 1)[1]}")


class TwoKinds(Scenario):
    """A pattern does not suffice alone."""
    settings = {"Session": {"ReopenGrace": "0"},
                "Identity": {**QUICK, "AloneForCollect": "password", "AloneForDeposit": "pin", "AloneForTakeBack": "none", "AloneForLift": "pin"}}

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
        self.admin.enrol(kind="courier", number="4711", name="Bo", pin="258036", card=CARD, consent=True)
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


if __name__ == "__main__":
    main()
