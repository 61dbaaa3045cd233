# SPDX-License-Identifier: Apache-2.0
"""The real daemon on a ledger of version 0.1.0 with parcels in it: it migrates the ledger, and what lies in the cabinet is given out."""
import contextlib
import sqlite3
import sys

from daemonlib import TREE, Cabinet, main, parcel_path, wait
from people import Scenario

sys.path.insert(0, str(TREE / "tests" / "ledger"))
import ledger_0_1_0 as old  # noqa: E402


class Upgrades(Scenario):
    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}

    def setUp(self):
        self.cabinet = Cabinet(settings=self.settings)
        self.addCleanup(self._stop)
        old.make(self.cabinet.ledger, f"{self.cabinet.directory}/lockerd.key")
        self.cabinet.start()
        self.sim = self.cabinet.sim
        self.client = self.cabinet.client()
        self.admin = self.cabinet.client()

    def rows(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    def test_old_code_opens_its_slot_and_the_parcel_is_collected(self):
        session = self.recipient(old.PARCELS[4][3])
        with self.only("03"):
            place = session.collect()
            self.assertEqual((place.slot, place.position), ("03", 1))
            self.reach(place)
            session.accept()
            self.shut(place)
            session.wait_prompt("collected")
        self.assertEqual(self.gone(parcel_path(4))["state"], "collected")
        self.assertRefused("WrongCode", self.recipient, old.PARCELS[4][3])

    def test_ledger_is_of_this_version_and_its_chain_holds(self):
        wait(lambda: not self.rows("SELECT 1 FROM movement WHERE outcome IS NULL"), "every movement settled")
        newest = max(int(p.name[:3]) for p in (TREE / "schema").glob("[0-9][0-9][0-9]-*.sql"))
        self.assertEqual(self.rows("PRAGMA user_version"), [(newest,)])
        self.assertEqual([e.type for e in self.admin.events(0, 3)], ["parcel.stored", "code.issued", "slot.disabled"])
        ok, rows, _, detail = self.admin.verify_audit()
        self.assertTrue(ok, detail)
        self.assertEqual(rows, self.last_event())
        self.assertEqual(self.rows("SELECT how FROM session WHERE id = 2"), [("restart",)])

    def test_every_parcel_is_where_it_was(self):
        """What was interrupted is unverified, as after any restart of a cabinet without presence sensors."""
        for parcel in (3, 5):
            self.admin.wait_parcel(parcel_path(parcel), "unverified")
        found = {number: self.admin.parcel(parcel_path(number)) for number in self.admin.parcels()}
        self.assertEqual(set(found), set(old.PARCELS))
        for number, (state, slot, size, _, recipient, _, _) in old.PARCELS.items():
            with self.subTest(parcel=number):
                want = "unverified" if state in ("depositing", "collecting") else state
                self.assertEqual((found[number]["State"], found[number]["Slot"], found[number]["Size"], found[number]["Waybill"]),
                                 (want, slot or "", size, f"WB-{number}"))
                self.assertEqual(found[number]["Recipient"][-1:], recipient[-1] if recipient and len(recipient) > 2 else "*" if recipient else "")
        self.assertTrue(found[10]["Expired"])
        self.assertEqual(self.admin.slot("10")["Service"], "disabled")
        self.assertEqual(self.admin.find_history(12)["state"], "returned")

    def test_people_sign_in_with_what_they_had(self):
        """The courier's PIN takes back what was recalled and rejected; the recipient's password collects."""
        courier = self.client.start_session("courier")
        courier.authenticate_pin("4711", old.PIN)
        taken = sorted(slot for _, slot, _ in courier.take_back())
        self.assertEqual(taken, ["05", "06", "09"], "rejected, recalled, expired")
        courier.end()
        session = self.cabinet.client().start_session("recipient")
        session.authenticate_password(old.PHONE, old.PASSWORD)
        self.assertEqual(session.parcels, [parcel_path(9)])

    def test_unverified_is_found_by_an_operator_and_collected_by_its_old_code(self):
        self.admin.reconcile("07", 1, "parcel")
        self.assertEqual(self.admin.parcel(parcel_path(8))["State"], "stored")
        place = self.recipient(old.PARCELS[8][3]).collect()
        self.assertEqual(place.slot, "07")
        self.reach(place)

    def test_new_parcel_goes_where_nothing_lies(self):
        session = self.client.start_session("courier")
        session.authenticate_pin("4711", old.PIN)
        put = self.store(session=session, size="S")
        self.assertNotIn(put.slot, {slot for _, slot, *_ in old.PARCELS.values()} | {"10", "11"})
        self.assertEqual(parcel_path(14), put.parcel)
        self.collect(put.receipt["code"])


main()
