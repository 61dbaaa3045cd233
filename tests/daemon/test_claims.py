#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Claim first, then compare: a recipient says which parcel they come for, by the last digits of a phone number, by its number or by its
waybill, and then shows what is enrolled. Nobody is searched for."""
import os

from daemonlib import main
from people import Scenario

TAIL = "4567"
PATTERN, OTHER_PATTERN, CARD, PASSWORD = "40158", "13408", "8230119945602718", "correct horse battery"


class Claims(Scenario):
    settings = {"Session": {"ReopenGrace": "0"}}

    def enrol(self, prefix, name="Erika Mustermann", tail=TAIL, **credentials):
        """Somebody whose number ends in the same digits → (person, phone)."""
        phone = f"+49 {prefix} {tail}"
        return self.admin.enrol(kind="recipient", phone=phone, name=name, consent=True, **credentials), phone

    def session(self):
        return self.client.start_session("recipient")

    def by(self, kind, secret, **claim):
        session = self.session()
        session.authenticate(kind, **{kind: secret}, **claim)
        return session

    def refused(self, kind, secret, error="WrongCredential", session=None, **claim):
        return self.assertRefused(error, (session or self.session()).authenticate, kind, **{kind: secret}, **claim)

    def number(self, put):
        return int(put.parcel.rsplit("/", 1)[1])

    def test_phone_tail_parcel_and_waybill_lead_to_their_recipient(self):
        """Requirement: C1, C2, C3"""
        person, phone = self.enrol("171 123", password=PASSWORD, pattern=PATTERN, card=CARD)
        put, second, other = self.store(phone=phone, waybill="WB-17"), self.store(phone=phone), self.store(phone="+49 172 9990000", waybill="WB-18")
        for kind, secret in (("password", PASSWORD), ("pattern", PATTERN), ("card", CARD)):
            for claim in ({"phone_tail": TAIL}, {"phone_tail": "123" + TAIL}, {"parcel": self.number(put)}, {"waybill": "WB-17"}):
                session = self.by(kind, secret, **claim)
                self.assertEqual((session.state, session.parcels), ("authenticated", [put.parcel, second.parcel]), (kind, claim))
                session.end()
        # What is right for another parcel, or another tail, is not right for this one.
        with self.only():
            self.refused("pattern", PATTERN, parcel=self.number(other))
            self.refused("card", CARD, waybill="WB-18")
            self.refused("password", PASSWORD, phone_tail="9" + TAIL)
            self.refused("pattern", OTHER_PATTERN, waybill="WB-17")
        session = self.by("pattern", PATTERN, waybill="WB-17")
        with self.only(put.slot):
            place = session.collect(put.parcel)
            self.take(place)
            session.accept()
            self.shut(place)
            session.wait_prompt("collected")
        # What has been collected is no claim any more; what still waits is.
        self.refused("pattern", PATTERN, waybill="WB-17")
        self.assertEqual(self.by("pattern", PATTERN, phone_tail=TAIL).parcels, [second.parcel])
        self.assertEqual(self.by("pattern", PATTERN, parcel=self.number(second)).parcels, [second.parcel])

    def test_of_several_candidates_a_single_one_must_match(self):
        """Requirement: C3"""
        people = [self.enrol(f"17{i} 123", pattern=p, card=CARD) for i, p in enumerate((PATTERN, OTHER_PATTERN, "30147"))]
        puts = [self.store(phone=phone) for _, phone in people]
        for put, pattern in zip(puts, (PATTERN, OTHER_PATTERN, "30147")):
            session = self.by("pattern", pattern, phone_tail=TAIL)
            self.assertEqual(session.parcels, [put.parcel])
            session.end()
        with self.only():
            # All three have the same card: nobody is the clear one, until the claim says who.
            session = self.session()
            self.refused("card", CARD, session=session, phone_tail=TAIL)
            self.assertRefused("NotAuthenticated", session.collect)
            self.refused("pattern", "50461", session=session, phone_tail=TAIL)
        self.assertEqual(self.by("card", CARD, phone_tail="2123" + TAIL).parcels, [puts[2].parcel])
        self.assertEqual(self.by("card", CARD, parcel=self.number(puts[0])).parcels, [puts[0].parcel])

    def test_more_than_four_candidates_are_not_compared(self):
        """Requirement: C3"""
        people = [self.enrol(f"17{i} 123", pattern=p) for i, p in enumerate((PATTERN, OTHER_PATTERN, "30147", "56347", "46731"))]
        puts = [self.store(phone=phone) for _, phone in people[:4]]
        self.by("pattern", PATTERN, phone_tail=TAIL).end()  # the fifth has nothing here
        puts.append(self.store(phone=people[4][1]))
        with self.only():
            for pattern in (PATTERN, "46731", "50461"):
                message = self.refused("pattern", pattern, "ClaimNeeded", phone_tail=TAIL).message
                self.assertIn("more digits", message)
        # One who has not that kind is no candidate.
        self.refused("card", CARD, phone_tail=TAIL)
        self.assertEqual(self.by("pattern", "46731", phone_tail="4123" + TAIL).parcels, [puts[4].parcel])
        self.admin.revoke_credential(people[0][0], "pattern")
        self.assertEqual(self.by("pattern", "46731", phone_tail=TAIL).parcels, [puts[4].parcel])

    def test_a_claim_is_one_and_well_formed(self):
        """Requirement: C3"""
        _, phone = self.enrol("171 123", pattern=PATTERN)
        self.store(phone=phone, waybill="WB-17")
        for claim in ({}, {"phone": phone, "phone_tail": TAIL}, {"waybill": "WB-17", "parcel": 1}, {"waybill": ""}, {"phone_tail": "567"},
                      {"phone_tail": "45 67"}, {"phone_tail": "4" * 16}, {"phone_tail": ""}, {"parcel": 0}, {"number": "4711"}):
            self.refused("pattern", PATTERN, "InvalidArgument", **claim)
        courier = self.client.start_session("courier")
        self.assertRefused("InvalidArgument", courier.authenticate, "pattern", phone_tail=TAIL, pattern=PATTERN)
        for claim in ({"phone_tail": "4" * 15}, {"parcel": 2 ** 64 - 1}, {"waybill": "x" * 128}):
            self.refused("pattern", PATTERN, **claim)
        self.assertFalse([s for s in self.admin.lockouts() if TAIL in s or "WB-17" in s])

    def test_wrong_entries_lock_the_claim_and_no_other_way(self):
        """Requirement: C3, F15"""
        _, phone = self.enrol("171 123", pattern=PATTERN, card=CARD)
        put = self.store(phone=phone, waybill="WB-17")
        told = []
        for claim in ({"phone_tail": TAIL}, {"waybill": "WB-17"}, {"phone_tail": "0000"}, {"waybill": "nothing"}, {"parcel": 999}):
            answers = [self.refused("pattern", "50461", **claim).message for _ in range(2)]
            answers.append(self.refused("pattern", "50461", **claim).message)
            self.assertIn("wait", answers[2])
            locked = self.refused("pattern", PATTERN, "LockedOut", **claim).message
            # Known and unknown are told the same, word for word.
            told.append((answers, locked))
        self.assertEqual(told, told[:1] * len(told))
        self.assertTrue(all(s.startswith("pattern:claim:") for s in self.admin.lockouts()), self.admin.lockouts())
        self.assertEqual(len(self.admin.lockouts()), 5)
        self.cabinet.restart(kill=True)
        self.refused("pattern", PATTERN, "LockedOut", phone_tail=TAIL)
        # The whole phone, another claim and another kind stay open.
        self.by("pattern", PATTERN, phone=phone).end()
        self.by("pattern", PATTERN, parcel=self.number(put)).end()
        self.by("card", CARD, phone_tail=TAIL).end()
        self.admin.lift_lockout(next(iter(self.admin.lockouts())))
        self.assertEqual(len(self.admin.lockouts()), 4)

    def test_a_lockout_of_a_person_is_not_told_to_who_claims_their_parcel(self):
        """Somebody who is locked out is not compared, and the answer is that of an unknown claim.

        Requirement: F15
        """
        person, phone = self.enrol("171 123", pattern=PATTERN)
        _, neighbour = self.enrol("172 123", pattern=OTHER_PATTERN)
        self.store(phone=phone)
        put = self.store(phone=neighbour)
        for _ in range(3):
            self.refused("pattern", "50461", phone=phone)
        self.assertEqual(list(self.admin.lockouts()), [f"pattern:{person}"])
        told = self.refused("pattern", PATTERN, phone_tail=TAIL).message
        self.assertEqual(told, self.refused("pattern", PATTERN, phone_tail="0000").message)
        self.assertEqual(self.by("pattern", OTHER_PATTERN, phone_tail=TAIL).parcels, [put.parcel])
        # A wrong try at the tail takes nothing from the count of who is locked out, or is not.
        self.refused("pattern", "50461", phone_tail=TAIL)
        self.assertEqual(self.admin.lockouts()[f"pattern:{person}"][0], 3)


class Work(Scenario):
    """Hashing at a cost that is seen."""
    settings = {"Lockout": {"Attempts": "10"}, "Identity": {"PatternScryptLogN": "15"}}

    def worked(self):
        """Seconds of processor time that the daemon's lockerd-hash has used."""
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8") as f:
                    name, fields = f.read().split("(", 1)[1].rsplit(")", 1)
            except OSError:
                continue
            fields = fields.split()
            if name == "lockerd-hash" and int(fields[1]) == self.cabinet.daemon.pid:
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return self.fail("lockerd-hash does not run")

    def test_an_unknown_claim_costs_the_same_work(self):
        """Requirement: F15"""
        for prefix in ("171", "172", "173"):
            phone = f"+49 {prefix} 123{TAIL}"
            self.admin.enrol(kind="recipient", phone=phone, name="E", pattern=PATTERN, consent=True)
            self.store(phone=phone)
        session = self.client.start_session("recipient")

        def cost(**claim):
            before = self.worked()
            for _ in range(3):
                self.assertRefused("WrongCredential", session.authenticate, "pattern", pattern="50461", **claim)
            return self.worked() - before

        costs = {name: cost(**claim) for name, claim in {"three": {"phone_tail": TAIL}, "one": {"parcel": 1}, "nobody": {"phone_tail": "0000"},
                                                         "no parcel": {"parcel": 99}, "no waybill": {"waybill": "x"}}.items()}
        self.assertLess(max(costs.values()), 2 * min(costs.values()), costs)
        named = cost(phone=f"+49 171 123{TAIL}")
        self.assertLess(named, min(costs.values()) / 2, "a whole number is compared once")


main()
