#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Claim first, then compare: a recipient says which parcel they come for, by the last digits of a phone number, by its number or by its
waybill, and then shows what is enrolled. Nobody is searched for."""
import os

from daemonlib import main
from people import Scenario

TAIL = "4567"
PATTERN, PASSWORD = "40158", "correct horse battery"
# What is tested of claims is the same for every kind; cards cost the least to compare (a pattern takes 30 times as long, four times an entry).
CARDS = [f"82301199456027{i}8" for i in range(10, 16)]
CARD, OTHER_CARD, NOBODYS = CARDS[0], CARDS[1], CARDS[5]


class Claims(Scenario):
    settings = {"Session": {"ReopenGrace": "0"}, "Identity": {"PatternScryptLogN": "14"}}

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
        claims = [{"phone_tail": TAIL}, {"phone_tail": "123" + TAIL}, {"parcel": self.number(put)}, {"waybill": "WB-17"}]
        for kind, secret, claim in [("card", CARD, claim) for claim in claims] + [("password", PASSWORD, claims[0]), ("pattern", PATTERN, claims[2])]:
            session = self.by(kind, secret, **claim)
            self.assertEqual((session.state, session.parcels), ("authenticated", [put.parcel, second.parcel]), (kind, claim))
            session.end()
        # What is right for another parcel, or another tail, is not right for this one.
        with self.only():
            self.refused("card", CARD, parcel=self.number(other))
            self.refused("card", CARD, waybill="WB-18")
            self.refused("password", PASSWORD, phone_tail="9" + TAIL)
            self.refused("card", NOBODYS, waybill="WB-17")
        session = self.by("card", CARD, waybill="WB-17")
        with self.only(put.slot):
            place = session.collect(put.parcel)
            self.take(place)
            session.accept()
            self.shut(place)
            session.wait_prompt("collected")
        # What has been collected is no claim any more; what still waits is.
        self.refused("card", CARD, waybill="WB-17")
        self.assertEqual(self.by("card", CARD, phone_tail=TAIL).parcels, [second.parcel])
        self.assertEqual(self.by("card", CARD, parcel=self.number(second)).parcels, [second.parcel])

    def test_of_several_candidates_a_single_one_must_match(self):
        """Requirement: C3"""
        people = [self.enrol(f"17{i} 123", card=c, pattern=PATTERN) for i, c in enumerate(CARDS[:3])]
        puts = [self.store(phone=phone) for _, phone in people]
        for put, card in zip(puts, CARDS):
            session = self.by("card", card, phone_tail=TAIL)
            self.assertEqual(session.parcels, [put.parcel])
            session.end()
        with self.only():
            # All three have the same pattern: nobody is the clear one, until the claim says who.
            session = self.session()
            self.refused("pattern", PATTERN, session=session, phone_tail=TAIL)
            self.assertRefused("NotAuthenticated", session.collect)
            self.refused("card", NOBODYS, session=session, phone_tail=TAIL)
        self.assertEqual(self.by("pattern", PATTERN, phone_tail="2123" + TAIL).parcels, [puts[2].parcel])
        self.assertEqual(self.by("pattern", PATTERN, parcel=self.number(puts[0])).parcels, [puts[0].parcel])

    def test_more_than_four_candidates_are_not_compared(self):
        """Requirement: C3"""
        people = [self.enrol(f"17{i} 123", card=c) for i, c in enumerate(CARDS[:5])]
        puts = [self.store(phone=phone) for _, phone in people[:4]]
        self.by("card", CARD, phone_tail=TAIL).end()  # the fifth has nothing here
        puts.append(self.store(phone=people[4][1]))
        with self.only():
            for card in (CARD, CARDS[4], NOBODYS):
                message = self.refused("card", card, "ClaimNeeded", phone_tail=TAIL).message
                self.assertIn("more digits", message)
        # One who has not that kind is no candidate.
        self.refused("pattern", PATTERN, phone_tail=TAIL)
        self.assertEqual(self.by("card", CARDS[4], phone_tail="4123" + TAIL).parcels, [puts[4].parcel])
        self.admin.revoke_credential(people[0][0], "card")
        self.assertEqual(self.by("card", CARDS[4], phone_tail=TAIL).parcels, [puts[4].parcel])

    def test_a_claim_is_one_and_well_formed(self):
        """Requirement: C3"""
        _, phone = self.enrol("171 123", card=CARD)
        self.store(phone=phone, waybill="WB-17")
        for claim in ({}, {"phone": phone, "phone_tail": TAIL}, {"waybill": "WB-17", "parcel": 1}, {"waybill": ""}, {"phone_tail": "567"},
                      {"phone_tail": "45 67"}, {"phone_tail": "4" * 16}, {"phone_tail": ""}, {"parcel": 0}, {"number": "4711"}):
            self.refused("card", CARD, "InvalidArgument", **claim)
        courier = self.client.start_session("courier")
        self.assertRefused("InvalidArgument", courier.authenticate, "card", phone_tail=TAIL, card=CARD)
        for claim in ({"phone_tail": "4" * 15}, {"parcel": 2 ** 64 - 1}, {"waybill": "x" * 128}):
            self.refused("card", CARD, **claim)
        self.assertFalse([s for s in self.admin.lockouts() if TAIL in s or "WB-17" in s])

    def test_wrong_entries_lock_the_claim_and_no_other_way(self):
        """Requirement: C3, F15"""
        _, phone = self.enrol("171 123", card=CARD, pattern=PATTERN)
        put = self.store(phone=phone, waybill="WB-17")
        told = []
        for claim in ({"phone_tail": TAIL}, {"waybill": "WB-17"}, {"phone_tail": "0000"}, {"waybill": "nothing"}, {"parcel": 999}):
            answers = [self.refused("card", NOBODYS, **claim).message for _ in range(2)]
            answers.append(self.refused("card", NOBODYS, **claim).message)
            self.assertIn("wait", answers[2])
            locked = self.refused("card", CARD, "LockedOut", **claim).message
            # Known and unknown are told the same, word for word.
            told.append((answers, locked))
        self.assertEqual(told, told[:1] * len(told))
        self.assertTrue(all(s.startswith("card:claim:") for s in self.admin.lockouts()), self.admin.lockouts())
        self.assertEqual(len(self.admin.lockouts()), 5)
        self.cabinet.restart(kill=True)
        self.refused("card", CARD, "LockedOut", phone_tail=TAIL)
        # The whole phone, another claim and another kind stay open.
        self.by("card", CARD, phone=phone).end()
        self.by("card", CARD, parcel=self.number(put)).end()
        self.by("pattern", PATTERN, phone_tail=TAIL).end()
        self.admin.lift_lockout(next(iter(self.admin.lockouts())))
        self.assertEqual(len(self.admin.lockouts()), 4)

    def test_a_lockout_of_a_person_is_not_told_to_who_claims_their_parcel(self):
        """Somebody who is locked out is not compared, and the answer is that of an unknown claim.

        Requirement: F15
        """
        person, phone = self.enrol("171 123", card=CARD)
        _, neighbour = self.enrol("172 123", card=OTHER_CARD)
        self.store(phone=phone)
        put = self.store(phone=neighbour)
        for _ in range(3):
            self.refused("card", NOBODYS, phone=phone)
        self.assertEqual(list(self.admin.lockouts()), [f"card:{person}"])
        told = self.refused("card", CARD, phone_tail=TAIL).message
        self.assertEqual(told, self.refused("card", CARD, phone_tail="0000").message)
        self.assertEqual(self.by("card", OTHER_CARD, phone_tail=TAIL).parcels, [put.parcel])
        # A wrong try at the tail takes nothing from the count of who is locked out, or is not.
        self.refused("card", NOBODYS, phone_tail=TAIL)
        self.assertEqual(self.admin.lockouts()[f"card:{person}"][0], 3)


class Work(Scenario):
    """Hashing at a cost that is seen."""
    settings = {"Identity": {"PatternScryptLogN": "14"}}

    def worked(self):
        """Seconds of processor time that the daemon's lockerd-hash has used."""
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8") as f:
                    name, fields = f.read().split("(", 1)[1].rsplit(")", 1)
                if name == "lockerd-hash" and int(fields.split()[1]) == self.cabinet.daemon.pid:
                    with open(f"/proc/{entry}/schedstat", encoding="ascii") as f:
                        return int(f.read().split()[0]) / 1e9
            except OSError:
                continue
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
            self.assertRefused("WrongCredential", session.authenticate, "pattern", pattern="50461", **claim)
            return self.worked() - before

        costs = {name: cost(**claim) for name, claim in {"three": {"phone_tail": TAIL}, "one": {"parcel": 1}, "nobody": {"phone_tail": "0000"},
                                                         "no parcel": {"parcel": 99}, "no waybill": {"waybill": "x"}}.items()}
        self.assertLess(max(costs.values()), 2 * min(costs.values()), costs)
        named = cost(phone=f"+49 171 123{TAIL}")
        self.assertLess(named, min(costs.values()) / 2, "a whole number is compared once")


main()
