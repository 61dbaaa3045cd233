# SPDX-License-Identifier: Apache-2.0
"""One believed clock: what a cabinet does, and does not do, while nobody vouches for its calendar."""
import contextlib
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import time
import uuid

from backendlib import BackendTest, timestamp
from daemonlib import TREE, main, wait
from people import Scenario

CLOCKSHIM = pathlib.Path(__file__).with_name("clockshim.c")
HOUR, DAY = 3600, 86400
YEAR = 365 * DAY
NEVER_QUIET = {"QuietFrom": "00:00", "QuietUntil": "00:00"}


class ClockTest(Scenario, BackendTest):
    """A cabinet whose calendar, its synchronisation and its boots are the test's."""

    settings = {"Daemon": {"TrustClock": "no"}, "Session": {"ReopenGrace": "0"}}
    calendar = (0, False)  # at the first start: seconds ahead, synchronised

    def setUp(self):
        # The shim has to be there before the first start.
        self.boot = uuid.uuid4().hex
        self.offset = self.shim = None
        from daemonlib import Cabinet
        original = Cabinet.environment
        test = self

        def environment(cabinet):
            if not test.shim:
                test.shim, test.offset = (os.path.join(cabinet.directory, name) for name in ("clockshim.so", "offset"))
                subprocess.run(["cc", "-shared", "-fPIC", "-o", test.shim, CLOCKSHIM], check=True)
                test.show()
            return {**original(cabinet), "LD_PRELOAD": test.shim, "CLOCKSHIM": test.offset,
                    "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"}

        Cabinet.environment = environment
        self.addCleanup(setattr, Cabinet, "environment", original)
        super().setUp()

    def show(self, seconds=None, synced=None):
        """What the machine's calendar shows from now on."""
        self.calendar = (self.calendar[0] if seconds is None else seconds, self.calendar[1] if synced is None else synced)
        with open(self.offset + ".new", "w", encoding="utf-8") as f:
            f.write(f"{int(self.calendar[0])} {'yes' if self.calendar[1] else 'no'} {self.boot}")
        os.rename(self.offset + ".new", self.offset)

    def power_cut(self, seconds=None, synced=False):
        """Another boot, and this is what its calendar shows."""
        self.cabinet.kill_daemon()
        self.boot = uuid.uuid4().hex
        self.show(seconds, synced)
        self.start()

    def start(self):
        before = len(self.backend.topics("state"))
        self.cabinet.start_daemon()
        wait(lambda: any(json.loads(m.payload)["presence"] == "online" for m in self.backend.topics("state")[before:]), "the cabinet online")
        # What waited for the boards has been looked at.
        self.nonce()

    def vouched(self, wanted=True):
        wait(lambda: self.admin.health()["clock"][0] == ("ok" if wanted else "degraded"), "the clock's health")

    def nonce(self):
        return self.done(self.backend.command("snapshot", expires=max(0, self.calendar[0]) + 60))["result"]["nonce"]

    def signed(self, name, arguments, **more):
        return self.key.sign({"cabinet": self.number, "name": name, **self.backend.body(name, arguments, **more)})

    def open(self, slot="03", ask=True, **more):
        return self.backend.command("open", {"slot": slot, "reason": "because"}, **more)

    def refused(self, error, answer):
        self.assertEqual((answer["status"], answer.get("error")), ("refused", error), answer)

    def done(self, answer):
        self.assertEqual(answer["status"], "done", answer)
        return answer

    def close(self, slot="03"):
        self.sim.wait(slot, coil=False)
        self.sim.do(f"close {slot}")
        self.admin.wait_slot(slot, Door="locked")
        wait(lambda: not self.admin.slot(slot)["InUse"], "the slot free")

    def rows(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return {i for (i,) in db.execute("SELECT id FROM inbox")}

    def number_of(self, put):
        return int(put.parcel.rsplit("/", 1)[1])


class Commands(ClockTest):
    def test_expired_command_is_not_executed_by_a_calendar_that_is_behind(self):
        """Requirement: F16, F5"""
        for seconds in (-time.time() + 1000, -31 * DAY, -3 * HOUR, 0):
            self.power_cut(seconds)
            self.vouched(False)
            for expires in (-HOUR, -30 * DAY, 60):
                with self.subTest(seconds=seconds, expires=expires):
                    before = self.opened("03")
                    self.refused("NotFresh", self.open(expires=expires))
                    self.assertEqual(self.opened("03"), before)
        self.show(0, True)
        self.vouched()
        self.refused("Expired", self.open(expires=-HOUR))
        self.done(self.open(expires=60))
        self.close()

    def test_nonce_of_the_state_proves_that_a_command_is_fresh(self):
        """Requirement: F16, F5"""
        self.vouched(False)
        state = wait(lambda: self.backend.state(), "a state")
        self.assertFalse(state["clockvouched"])
        self.refused("NotFresh", self.open(id="same"))
        self.refused("NotFresh", self.open(id="same", nonce="0" * 32))
        self.assertEqual(self.rows(), set())
        nonce = state["nonce"]
        self.done(self.open(id="same", nonce=nonce))
        self.close()
        before = self.opened("03")
        # Twice is not fresh, however good the nonce.
        self.assertEqual(self.open(id="same", nonce=nonce)["status"], "done")
        self.assertEqual(self.opened("03"), before)
        # Several commands with one nonce.
        self.done(self.open("04", nonce=nonce))
        self.close("04")
        # None of a former run.
        self.cabinet.kill_daemon()
        self.start()
        self.refused("NotFresh", self.open("05", nonce=nonce))
        self.done(self.open("05", nonce=self.nonce()))
        self.close("05")
        # The nonce is a part of what is signed.
        good = {"cabinet": self.number, "name": "open", **self.backend.body("open", {"slot": "06", "reason": "because"})}
        head, payload, signature = self.key.sign(good).split(b".")
        _, other, _ = self.key.sign({**good, "nonce": self.nonce()}).split(b".")
        self.assertNotEqual(payload, other)
        self.refused("BadSignature", self.backend.ask("open", b".".join((head, other, signature))))

    def test_everything_that_opens_or_lets_open_needs_it_and_nothing_else(self):
        """Requirement: F16, F5"""
        self.vouched(False)
        put = self.store()
        parcel = self.number_of(put)
        about = {"parcel": parcel, "reason": "because"}
        opening = {"open": {"slot": "03", "reason": "because"}, "deposit": {"courier": "4711", "size": "S"}, "take-back": {"courier": "4711"},
                   "enrol": {"kind": "courier", "number": "9", "pin": "917364"},
                   **{n: about for n in ("collect", "new-code", "recall")},
                   **{n: {"session": 1} for n in ("reopen", "too-small", "not-empty", "does-not-open")}}
        people = self.admin.people()
        for name, arguments in opening.items():
            with self.subTest(name):
                self.refused("NotFresh", self.backend.command(name, arguments))
        self.assertEqual((self.admin.people(), self.admin.parcel(parcel)["State"], self.rows()), (people, "stored", set()))
        for name in ("reopen", "too-small", "not-empty", "does-not-open"):
            self.refused("SessionEnded", self.backend.command(name, {"session": 1}, nonce=self.nonce()))
        # What takes a right away, or opens nothing, is done.
        self.done(self.backend.command("disable", {"slot": "09", "reason": "because"}))
        self.done(self.backend.command("enable", {"slot": "09", "reason": "because"}))
        self.done(self.backend.command("set-thresholds", {"reminder": 3600, "recall": 7200}))
        announced = self.done(self.backend.command("announce", {"size": "S"}))["result"]["parcel"]
        self.done(self.backend.command("release", {"parcel": announced, "reason": "because"}))
        self.done(self.backend.command("revoke-code", about))
        # An errand from its beginning to its end.
        begun = self.done(self.backend.command("collect", about, nonce=self.nonce()))["result"]
        self.sim.wait(begun["slot"], door="open")
        self.sim.do(f"take {begun['slot']}")
        self.done(self.backend.command("accept", {"session": begun["session"]}))
        self.push(begun["slot"])
        self.wait_event("parcel.collected", parcel=parcel)

    def test_command_that_waited_over_a_power_cut_is_not_fresh_any_more(self):
        """Requirement: F16, F5"""
        self.show(0, True)
        self.vouched()
        # Stored while the boards are still looked for.
        self.cabinet.stop_daemon()
        self.sim.do("board A silent")
        before = self.opened("03")
        body = {"cabinet": self.number, "name": "open",
                **self.backend.body("open", {"slot": "03", "reason": "because"}, id="waits", expires=300)}
        self.backend.publish("open", self.key.sign(body))
        self.cabinet.start_daemon(ready=False)
        wait(lambda: "waits" in self.rows(), "the stored command")
        self.cabinet.kill_daemon()
        self.boot = uuid.uuid4().hex
        self.show(-3 * HOUR, False)
        self.sim.do("board A normal")
        self.start()
        wait(lambda: "waits" not in self.rows(), "the command refused")
        self.assertEqual(self.opened("03"), before)
        self.refused("NotFresh", self.backend.ask("open", self.key.sign(body)))
        self.done(self.backend.ask("open", self.key.sign({**body, "nonce": self.nonce()})))
        self.close()

    def test_executed_id_is_forgotten_by_no_leap(self):
        """Requirement: F16, F5"""
        self.show(0, True)
        self.vouched()
        wire = self.signed("open", {"slot": "03", "reason": "because"}, id="once", expires=60)
        self.done(self.backend.ask("open", wire))
        self.close()
        before = self.opened("03")
        # Years ahead, and nobody vouches for it: a start forgets nothing.
        self.power_cut(2 * YEAR)
        self.assertIn("once", self.rows())
        self.power_cut(0)
        self.assertEqual(self.backend.ask("open", wire)["status"], "done", "the stored answer")
        self.assertEqual(self.opened("03"), before)
        # A time server that is wrong is believed, and what it has made the cabinet forget is not executed again.
        self.power_cut(40 * DAY, True)
        wait(lambda: "once" not in self.rows(), "the id forgotten")
        self.power_cut(0, True)
        self.vouched()
        self.refused("NotFresh", self.backend.ask("open", wire))
        self.assertEqual(self.opened("03"), before)
        # Others are, when they expire later, or prove that they are new.
        self.done(self.open("04", expires=5 * 60))
        self.close("04")
        self.refused("NotFresh", self.open("05", expires=20))
        self.done(self.open("05", expires=20, nonce=self.nonce()))
        self.close("05")

    def test_synchronised_clock_vouches_for_itself_until_the_next_boot(self):
        """Requirement: F16, F5"""
        self.show(0, True)
        self.vouched()
        self.show(0, False)
        wait(lambda: "believed for" in self.admin.health()["clock"][1], "the clock's health", 5)
        self.done(self.open())
        self.close()
        self.show(-HOUR)  # set by hand, to repeat an old command
        self.refused("Expired", self.open(expires=-60))
        self.cabinet.kill_daemon()
        self.start()
        self.refused("Expired", self.open(expires=-60))
        self.done(self.open())
        self.close()
        self.power_cut(-HOUR)
        self.vouched(False)
        self.assertIn("nonce", self.admin.health()["clock"][1])
        self.assertIn("The clock is not synchronised", self.cabinet.log())
        # It is not known how late it is, but that it is later than then.
        self.refused("Expired", self.open(expires=-2 * HOUR - 2 * DAY, nonce=self.nonce()))
        self.refused("NotFresh", self.open())


class Trusted(ClockTest):
    settings = {"Daemon": {"TrustClock": "yes"}}

    def test_operator_may_vouch_for_the_calendar(self):
        """Requirement: F16, F5"""
        self.assertEqual(self.admin.health()["clock"], ("ok", ""))
        self.refused("Expired", self.open(expires=-5))
        self.done(self.open())
        self.close()


class Parcels(ClockTest):
    def due(self):
        """What a courier could take back."""
        session = self.courier()
        parcels = session.parcels
        session.end()
        return parcels

    def test_leap_forward_makes_no_parcel_due_for_take_back(self):
        """Requirement: F16, D4"""
        self.show(0, True)
        self.vouched()
        put = self.store()
        for seconds, cut in ((5 * DAY, False), (3 * YEAR, False), (29 * DAY, True), (3 * YEAR, True), (-40 * YEAR, True)):
            with self.subTest(seconds=seconds, cut=cut):
                if cut:
                    self.power_cut(seconds)
                else:
                    self.show(seconds, False)
                    mark = self.last_event()
                    self.admin.disable("09", reason="what day is it?")
                    self.wait_event("slot.disabled", after=mark)
                    time.sleep(1.5)
                self.assertFalse(self.admin.parcel(put.parcel)["Expired"])
                session = self.courier()
                self.assertRefused("NothingToCollect", session.take_back)
                session.end()
        self.power_cut(4 * DAY, True)
        wait(lambda: self.admin.parcel(put.parcel)["Expired"], "an expired code")
        self.assertEqual(len(self.due()), 1)
        # It was not true, and the recipient comes.
        self.power_cut(0, True)
        self.vouched()
        self.collect(put.receipt["code"])

    def test_code_made_without_a_clock_is_shifted_with_it(self):
        """Requirement: F16, D4"""
        for behind in (-4 * DAY, -4 * HOUR, -56 * YEAR + DAY, 10 * YEAR):
            with self.subTest(behind=behind):
                self.power_cut(behind)
                put, new = self.store(), self.store()
                fresh = self.admin.new_code(self.number_of(new))
                mark = self.last_event()
                self.show(0, True)
                self.vouched()
                event = self.wait_event("clock.corrected", after=mark)
                self.assertEqual(event.data["parcels"], 2)
                for parcel in (put, new):
                    self.assertAlmostEqual(self.admin.parcel(parcel.parcel)["Expires"] / 1e6, time.time() + 72 * HOUR, delta=120)
                    self.assertAlmostEqual(self.admin.parcel(parcel.parcel)["Stored"] / 1e6, time.time(), delta=120)
                self.collect(put.receipt["code"])
                self.collect(fresh)
                # It is believed from now on, and shifts nothing twice.
                self.power_cut(0, True)
                self.assertEqual([e for e in self.event_types(self.last_event() - 5) if e == "clock.corrected"], [])
                # The next round begins with a ledger that has never heard of the time.
                self.cabinet.stop_daemon()
                with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
                    db.execute("DELETE FROM setting WHERE name LIKE 'believed-%'")
                    db.commit()
                self.show(behind, False)
                self.start()

    def test_bogus_year_corrected_by_hand_leaves_every_code_good(self):
        """Requirement: F16"""
        self.show(0, True)
        self.vouched()
        before = self.store()
        self.power_cut(10 * YEAR)
        during = self.store()
        self.collect(self.store().receipt["code"])
        # Somebody sets the clock; nobody vouches for it.
        self.show(0)
        time.sleep(1.5)
        after = self.store()
        self.power_cut(0)
        for put in (before, during, after):
            self.assertFalse(self.admin.parcel(put.parcel)["Expired"])
        self.collect(before.receipt["code"])
        self.show(0, True)
        self.vouched()
        for put in (during, after):
            self.assertAlmostEqual(self.admin.parcel(put.parcel)["Expires"] / 1e6, time.time() + 72 * HOUR, delta=300)
            self.collect(put.receipt["code"])
        # And what was bogus is no floor: a code that is too old has expired.
        late = self.store()
        self.power_cut(73 * HOUR, True)
        self.vouched()
        self.assertRefused("CodeExpired", self.recipient, late.receipt["code"])


class Unvouched(ClockTest):
    settings = {"Daemon": {"TrustClock": "no"}, "Session": {"ReopenGrace": "0"}, "Codes": {"ValidFor": "3s"}}

    def test_no_code_expires_in_favour_of_a_courier(self):
        """Requirement: F16, D4"""
        self.vouched(False)
        put, other = self.store(), self.store()
        time.sleep(4)
        self.assertFalse(self.admin.parcel(put.parcel)["Expired"])
        session = self.courier()
        self.assertRefused("NothingToCollect", session.take_back)
        session.end()
        self.collect(put.receipt["code"])
        # What was recalled is taken back all the same.
        self.admin.recall(self.number_of(other))
        session = self.courier()
        taken = session.take_back()
        self.assertTrue(taken)
        self.take(other)
        self.push(other.slot)
        self.assertEqual(self.gone(other.parcel)["state"], "returned")


class Zone(Scenario):
    def edit(text):
        return text.replace("TimeZone=Europe/Berlin", "TimeZone=Europe/Atlantis")

    def test_zone_that_is_not_installed_warns_and_is_utc(self):
        """Requirement: F16"""
        self.cabinet.wait_log("The time zone Europe/Atlantis is not installed")
        self.assertEqual(self.admin.health()["clock"][0], "ok")
        done = subprocess.run([os.path.join(self.cabinet.build, "src", "daemon", "lockerd"), "--config", self.cabinet.config, "--check-config"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("TimeZone=Europe/Atlantis is not installed; UTC", done.stderr)
        self.collect(self.store().receipt["code"])

    def test_package_brings_the_zones(self):
        """Requirement: F16"""
        stanza = next(s for s in (TREE / "debian" / "control").read_text().split("\n\n") if s.startswith("Package: lockerd\n"))
        depends = re.search(r"^Depends:\n((?: .*\n)+)", stanza, re.M).group(1)
        self.assertIn("tzdata", [line.strip(" ,") for line in depends.splitlines()])


class Recalls(ClockTest):
    settings = {"Daemon": {"TrustClock": "no"}, "Session": {"ReopenGrace": "0"},
                "Reminders": {"ReminderAfter": "1s", "RecallAfter": "3s", **NEVER_QUIET}}

    def test_recall_is_requested_when_somebody_vouches_for_the_time(self):
        """Requirement: F16, E4"""
        self.vouched(False)
        parcel = self.number_of(self.store())
        self.wait_event("parcel.reminder", parcel=parcel)
        time.sleep(4)
        self.assertNotIn("parcel.recall-requested", self.event_types())
        self.show(0, True)
        self.wait_event("parcel.recall-requested", parcel=parcel)


if __name__ == "__main__":
    main()
