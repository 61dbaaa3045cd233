#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""People who change their own credentials in a session of theirs (SelfEnrol=)."""
import os
import sys

from daemonlib import dictionary, main
from people import Scenario
from test_fingerprint import WORKER, Fingers

PHONE, PASSWORD, PATTERN, CARD = "+49 171 1234567", "correct horse battery", "40158", "8230119945602718"


class OwnCredentials(Scenario):
    """What needs no reader."""

    def recipient_by(self, kind, secret):
        session = self.client.start_session("recipient")
        session.authenticate(kind, phone=PHONE, **{kind: secret})
        return session

    def begin_enrol_own(self, session, kind, **credential):
        return session.begin("EnrolCredential", "sa{sv}", kind, dictionary(**credential))

    def enrol_own(self, session, kind, **credential):
        return self.begin_enrol_own(session, kind, **credential).result()

    def revoke_own(self, session, kind):
        return session.call("RevokeCredential", "s", kind)

    def list_own(self, session):
        return {row[0]: tuple(row[1:]) for row in session.call("ListCredentials")}


class Own(OwnCredentials):
    settings = {"Session": {"ReopenGrace": "0"}, "Identity": {"SelfEnrol": "pin pattern card", "ConsentText": "house-rules", "ConsentVersion": "3"}}

    def test_a_recipient_enrols_and_revokes_their_own(self):
        """Witnessed by themselves, at this terminal; what waits follows, and the last one that goes leaves a code.

        Requirement: C1, C2, C4, C6
        """
        person = self.admin.enrol(kind="recipient", phone=PHONE, name="Erika", password=PASSWORD, consent=True)
        put = self.store(phone=PHONE)
        session = self.recipient_by("password", PASSWORD)
        self.assertEqual(list(self.list_own(session)), ["password"])
        mark = self.last_event()
        self.assertEqual(self.enrol_own(session, "pattern", pattern=PATTERN, consent=True, consent_text="patterns", consent_version="2"), {})
        card = self.enrol_own(session, "card", consent=True)["card"]
        found = self.list_own(session)
        self.assertEqual(found, self.admin.credentials(person))
        terminal = found["password"][5]
        self.assertEqual(found["pattern"][3:], ("patterns", "2", terminal, "self"))
        self.assertEqual(found["card"][3:], ("house-rules", "3", terminal, "self"))
        self.assertEqual([(e.data["kind"], e.data.get("terminal")) for e in self.admin.events(mark, type="credential.enrolled")],
                         [("pattern", terminal), ("card", terminal)])
        self.assertEqual(self.admin.events(mark, type="credential.bound")[-1].data["credentials"], ["password", "pattern", "card"])
        self.recipient_by("card", card).end()
        mark = self.last_event()
        self.revoke_own(session, "password")
        self.assertFalse(session.exists)
        session = self.client.start_session("recipient")
        self.assertRefused("WrongCredential", session.authenticate, "password", phone=PHONE, password=PASSWORD)
        for kind, secret in (("pattern", PATTERN), ("card", card)):
            self.revoke_own(self.recipient_by(kind, secret), kind)
        self.assertEqual([e.data for e in self.admin.events(mark, type="credential.revoked")],
                         [{"kind": kind, "terminal": terminal} for kind in ("password", "pattern", "card")])
        self.assertEqual(self.admin.credentials(person), {})
        self.assertEqual([e.subject for e in self.admin.events(mark, type="code.issued")], [f"parcel:{put.parcel.rsplit('/', 1)[1]}"])

    def test_a_courier_keeps_a_way_in(self):
        """Requirement: C6, D1"""
        person = self.admin.enrol_courier("4711", "258036")
        session = self.courier()
        message = self.assertRefused("NotAllowed", self.revoke_own, session, "pin").message
        self.assertIn("could not sign in any more", message)
        self.assertRefused("UnknownCredential", self.revoke_own, session, "card")
        self.enrol_own(session, "pin", pin="739164")
        self.enrol_own(session, "card", card=CARD, consent=True)
        self.revoke_own(session, "pin")
        self.assertEqual(list(self.admin.credentials(person)), ["card"])
        session = self.client.start_session("courier")
        session.authenticate("card", number="4711", card=CARD)
        self.put_in(session, session.deposit(size="S"))

    def test_what_is_not_theirs_to_do_is_refused_with_its_reason(self):
        """Nothing of it is stored.

        Requirement: C6, F17
        """
        person = self.admin.enrol(kind="recipient", phone=PHONE, name="Erika", pattern=PATTERN, password=PASSWORD, consent=True)
        session = self.client.start_session("recipient")
        before = self.admin.credentials(person)
        acts = (lambda s: self.enrol_own(s, "card", card=CARD, consent=True), lambda s: self.revoke_own(s, "pattern"), self.list_own)

        def refused(error, who, text=""):
            for act in acts:
                self.assertIn(text, self.assertRefused(error, act, who).message)

        refused("NotAuthenticated", session)
        self.assertRefused("WrongCredential", session.authenticate, "pattern", phone=PHONE, pattern="13408")
        refused("NotAuthenticated", session)
        # A pickup code opens a parcel; it tells nothing of who has it.
        other = self.store(phone="+49 172 7654321")
        refused("NotAllowed", self.recipient(other.receipt["code"]))
        session.authenticate("pattern", phone=PHONE, pattern=PATTERN)
        self.assertIn("pin, pattern and card", self.assertRefused("NotAllowed", self.enrol_own, session, "password", password="another horse", consent=True).message)
        self.assertIn("consent", self.assertRefused("InvalidArgument", self.enrol_own, session, "card", card=CARD).message)
        self.assertIn("recipients have none", self.assertRefused("InvalidArgument", self.enrol_own, session, "pin", pin="739164").message)
        self.assertRefused("WeakSecret", self.enrol_own, session, "pattern", pattern="01258", consent=True)
        self.assertRefused("InvalidArgument", self.enrol_own, session, "iris", consent=True)
        self.assertRefused("InvalidArgument", self.enrol_own, session, "card", card=CARD, consent=True, person="2")
        stranger = self.cabinet.client()
        self.assertRefused("AccessDenied", stranger.call, session.path, "org.lockerd.Locker1.Session", "ListCredentials")
        put = self.store(phone=PHONE)
        place = session.collect(put.parcel)
        refused("WrongState", session)
        self.take(place)
        session.accept()
        self.shut(place)
        session.wait_prompt("collected")
        used = {kind: (row[0], *row[2:]) for kind, row in self.admin.credentials(person).items()}
        self.assertEqual(used, {kind: (row[0], *row[2:]) for kind, row in before.items()})

    def test_a_person_who_is_revoked_meanwhile_enrols_nothing(self):
        """Requirement: C6"""
        person = self.admin.enrol(kind="recipient", phone=PHONE, name="Erika", password=PASSWORD, consent=True)
        session = self.recipient_by("password", PASSWORD)
        pending = self.begin_enrol_own(session, "pattern", pattern=PATTERN, consent=True)
        self.admin.revoke(person)
        self.assertRefused("SessionEnded", pending.result)
        self.assertRefused("UnknownPerson", self.admin.credentials, person)


class NotHere(OwnCredentials):
    """By default nobody does."""

    def test_people_change_nothing_where_the_operator_has_not_allowed_it(self):
        """Requirement: C6"""
        self.admin.enrol(kind="recipient", phone=PHONE, name="Erika", password=PASSWORD, consent=True)
        session = self.recipient_by("password", PASSWORD)
        for act in (lambda: self.enrol_own(session, "card", card=CARD, consent=True), lambda: self.revoke_own(session, "password"),
                    lambda: self.list_own(session)):
            self.assertIn("ask the operator", self.assertRefused("NotAllowed", act).message)


class TwoKinds(OwnCredentials):
    settings = {"Identity": {"SelfEnrol": "card", "AloneForCollect": "password"}}

    def test_what_does_not_suffice_to_collect_does_not_suffice_to_enrol(self):
        """Requirement: C6"""
        self.admin.enrol(kind="recipient", phone=PHONE, name="Erika", password=PASSWORD, pattern=PATTERN, consent=True)
        session = self.recipient_by("pattern", PATTERN)
        self.assertRefused("AnotherNeeded", self.enrol_own, session, "card", card=CARD, consent=True)
        self.assertRefused("AnotherNeeded", self.revoke_own, session, "pattern")
        session.authenticate("password", phone=PHONE, password=PASSWORD)
        self.enrol_own(session, "card", card=CARD, consent=True)


class AtTheReader(Fingers):
    """Their own finger."""
    settings = {"Session": {"ReopenGrace": "0"}, "Identity": {"SelfEnrol": "fingerprint"}}
    begin_enrol_own, revoke_own = OwnCredentials.begin_enrol_own, OwnCredentials.revoke_own

    def test_a_courier_enrols_a_finger_and_keeps_the_pin(self):
        """Prompts go to the session; Cancel and the session's end store nothing, and while it waits nothing else is asked.

        Requirement: C6, D1
        """
        person = self.admin.enrol_courier("4711", "258036")
        session = self.courier()
        pending = self.begin_enrol_own(session, "fingerprint", consent=True)
        self.assertTrue(session.wait_prompt("touch").sentence.endswith("(1 of 2)"))
        self.assertRefused("Busy", session.deposit, size="S")
        self.assertRefused("Busy", self.begin_enrol_own(session, "fingerprint", consent=True).result)
        session.cancel()
        self.assertRefused("Cancelled", pending.result)
        self.assertEqual(session.state, "authenticated")
        pending = self.begin_enrol_own(session, "fingerprint", consent=True)
        session.wait_prompt("touch")
        session.end()
        self.assertRefused("SessionEnded", pending.result)
        kiosk = self.cabinet.client()
        session = self.courier(client=kiosk)
        self.begin_enrol_own(session, "fingerprint", consent=True)
        session.wait_prompt("touch")
        kiosk.close()
        self.assertEqual(list(self.admin.credentials(person)), ["pin"])
        session = self.courier()
        self.assertRefused("InvalidArgument", self.begin_enrol_own(session, "fingerprint").result)
        pending = self.begin_enrol_own(session, "fingerprint", consent=True)
        session.wait_prompt("touch")
        self.module.touch("anna")
        session.wait_prompt("lift")
        self.module.lift()
        self.assertTrue(session.wait_prompt("again").sentence.endswith("(2 of 2)"))
        self.module.touch("anna")
        self.assertEqual(pending.result(), {})
        self.module.lift()
        self.assert_empty_module()
        self.assertEqual(self.admin.credentials(person)["fingerprint"][-1], "self")
        session.end()
        # The finger opens, and is no reason to give up the only way without a reader.
        session = self.courier_by_finger()
        self.assertIn("needs no reader", self.assertRefused("NotAllowed", self.revoke_own, session, "pin").message)
        self.revoke_own(session, "fingerprint")
        self.assertEqual(list(self.admin.credentials(person)), ["pin"])


if __name__ == "__main__":
    if not os.path.exists(WORKER):
        print("skipped: lockerd-fingerprint is not built")
        sys.exit(77)
    main()
