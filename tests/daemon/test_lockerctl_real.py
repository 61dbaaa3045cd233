# SPDX-License-Identifier: Apache-2.0
"""Every verb of lockerctl against the real daemon: what an operator sees and does, and what a script reads."""
import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import unittest

from daemonlib import main, wait
from lockerctl_case import ADMIN_GROUP, KIOSK_GROUP, LockerctlCase, Place, Terminal

REASON = ("--reason", "hinge inspected")


class Errands(LockerctlCase):
    def test_parcel_from_the_courier_to_the_recipient(self):
        """Requirement: A2, A4, C4, D5, F8"""
        receipt = self.deposit("--recipient", "Erika Mustermann", "--phone", "491711234567", "--waybill", "WB-1")
        self.assertEqual((receipt["slot"], receipt["cabinet"], len(receipt["code"])), ("01", "C-0012", 6))
        self.assertEqual(self.letters("01")[0], "P")
        [parcel] = self.json("parcels")
        self.assertEqual((parcel["state"], parcel["slot"], parcel["waybill"]), ("stored", "01", "WB-1"))
        self.assertEqual(self.json("parcel", str(parcel["id"])), parcel)
        self.assertEqual(self.json("status")["counts"]["parcels"], 1)
        self.refused(6, "collect", "--stdin", typed="000000\n", error="WrongCode")
        lines = self.collect("--accept", typed=receipt["code"])
        self.assertEqual((lines[0]["slot"], lines[-1]["what"]), ("01", "collected"))
        self.assertEqual(self.letters("01")[0], "·")
        self.assertEqual(self.json("parcels"), [])
        gone = self.json("parcel", str(parcel["id"]))
        self.assertEqual((gone["state"], set(gone)), ("collected", set(parcel)))
        self.assertRegex(self.ok("parcel", str(parcel["id"])), r"State +collected")
        self.refused(3, "parcel", "999", error="UnknownParcel")

    def test_rejected_parcel_goes_back_with_the_next_courier(self):
        """Requirement: D5, F11"""
        receipts = [self.deposit(), self.deposit()]
        lines = self.collect(typed=receipts[0]["code"], choice="reject")
        self.assertEqual(lines[-1]["what"], "rejected")
        self.assertEqual(self.letters("01")[0], "B")
        self.ok("recall", str(receipts[1]["parcel"]), *REASON)
        self.assertEqual(self.letters("02")[0], "B")
        self.assertEqual(self.json("status")["counts"]["to_take_back"], 2)
        started = self.begin("take-back", "--courier", "4711")
        for receipt in receipts:
            place = Place(receipt["slot"], receipt["position"])
            started.line(event="prompt", what="take-next", slot=place.slot)
            self.take(place)
            self.shut(place)
        self.assertEqual(started.end(), 0, started.lines)
        self.assertEqual([l["event"] for l in started.lines[:2]], ["parcel", "parcel"])
        self.assertEqual(self.json("parcels"), [])
        self.refused(7, "take-back", "--courier", "4711", "--stdin", typed="258036\n", error="NothingToCollect")

    def test_what_a_courier_leaves_inside_exits_12_or_waits(self):
        self.ok("enrol", "courier", "--number", "4711", "--name", "E M", "--stdin", typed="258036\n")
        cancelled = self.begin("deposit", "--courier", "4711", "--size", "S")
        place = cancelled.place(event="receipt")
        cancelled.type("c")
        self.reach(place)
        self.shut(place)
        self.assertEqual((cancelled.end(), cancelled.lines[-1]["what"]), (12, "cancelled"))
        late = self.begin("deposit", "--courier", "4711", "--size", "S", "--timeout", "1")
        place = late.place(event="receipt")
        self.assertEqual((late.end(), late.lines[-1]["error"]), (12, "TimedOut"))
        self.put(place)
        self.shut(place)
        wait(lambda: [p["State"] for p in self.admin.parcels().values()] == ["stored"], "stored without anybody waiting")

    def test_interrupt_cancels_and_a_second_one_leaves(self):
        """Requirement: F3"""
        self.enrol()
        started = self.begin("deposit", "--courier", "4711", "--size", "M")
        place = started.place(event="receipt")
        started.line(what="put-in")
        started.process.send_signal(signal.SIGINT)
        started.line(what="take-out")
        self.reach(place)
        self.shut(place)
        self.assertEqual((started.end(), started.lines[-1]["what"]), (12, "cancelled"))
        started = self.begin("deposit", "--courier", "4711", "--size", "M")
        place = started.place(event="receipt")
        started.line(what="put-in")
        started.process.send_signal(signal.SIGTERM)
        self.assertEqual(started.end(), 143)
        self.put(place)
        self.shut(place)
        wait(lambda: [p["State"] for p in self.admin.parcels().values()] == ["stored"], "stored all the same")

    def test_too_small_and_does_not_open_are_typed(self):
        """Requirement: F3"""
        self.enrol()
        started = self.begin("deposit", "--courier", "4711", "--size", "S")
        first = started.place(event="receipt")
        self.reach(first)
        started.type("s")
        second = started.place(event="prompt", what="opened")
        self.assertIn(second.slot, ("07", "08", "11"))
        self.shut(first)
        self.put(second)
        self.shut(second)
        self.assertEqual((started.end(), started.lines[-1]["what"]), (0, "stored"))
        self.sim.do("jam 02")
        self.ok("disable", "01", *REASON)
        self.assertNotEqual(self.deposit()["slot"], "02")

    def test_door_is_opened_again_within_the_grace_time_on_a_terminal(self):
        """Requirement: F3"""
        self.enrol()
        terminal, place = Terminal(self, "deposit", "--courier", "4711", "--size", "S"), Place("01", 1)
        terminal.until("PIN: ")
        terminal.type("258036")
        terminal.until("→  Put the item into slot 01, position 1.")
        self.put(place)
        self.shut(place)
        terminal.until("Enter alone: done\r\n")
        terminal.type("o")
        terminal.until("Open again: slot 01, position 1.")
        self.reach(place)
        self.shut(place)
        terminal.until("The door is shut.")
        terminal.until("Enter alone: done\r\n")
        terminal.type("")
        self.assertEqual(terminal.end(), 0)
        self.assertEqual([p["state"] for p in self.json("parcels")], ["stored"])

    def test_password_instead_of_a_code(self):
        """Requirement: C3, F9"""
        self.ok("enrol", "recipient", "--name", "Erika Mustermann", "--phone", "491711234567", "--consent", "--stdin",
                typed="correct horse\n")
        self.enrol()
        receipt = self.deposit("--recipient", "Erika Mustermann", "--phone", "491711234567")
        self.assertEqual((receipt.get("code"), receipt["credentials"]), (None, ["password"]))
        self.refused(6, "collect", "--phone", "491711234567", "--stdin", typed="wrong horse\n", error="WrongCredential")
        self.collect("--phone", "491711234567", "--accept", typed="correct horse")
        shown = self.ok("events", "--all") + self.ok("people") + self.ok("--json", "people") + self.ok("parcel", "1")
        self.assertNotIn("Mustermann", shown)
        self.assertNotIn("1711234567", shown)

    def test_pattern_or_card_for_the_parcel_that_is_claimed(self):
        """Requirement: C1, C3"""
        self.ok("enrol", "recipient", "--name", "Erika Mustermann", "--phone", "491711234567", "--consent", "--password", "--pattern", "--card",
                "--stdin", typed="correct horse\n40158\n8230119945602718\n")
        self.enrol()
        for n in range(5):
            self.deposit("--phone", "491711234567", "--waybill", f"WB-{n}")
        ids = [str(p["id"]) for p in self.json("parcels")]
        self.refused(6, "collect", "--phone-tail", "4567", "--pattern", "--stdin", typed="13408\n", error="WrongCredential")
        self.refused(6, "collect", "--waybill", "WB-9", "--card", "--stdin", typed="8230119945602718\n", error="WrongCredential")
        for wrong in (["--pattern"], ["--pattern", "--card", "--phone", "1"], ["--card", "--phone-tail", "4567", "--waybill", "x"],
                      ["--pattern", "--code", "K7F2QX", "--phone", "1"], ["--pattern", "--slot", "01", "--parcel", "1"]):
            self.assertEqual(self.ctl("collect", *wrong, "--stdin", typed="40158\n").returncode, 2, wrong)
        self.collect("--phone-tail", "4567", "--pattern", "--accept", typed="40158")
        self.collect("--waybill", "WB-1", "--card", "--accept", typed="8230119945602718")
        lines = self.collect("--parcel", ids[4], "--pattern", "--accept", typed="40158")
        self.assertEqual(lines[0]["slot"], "05")
        self.collect("--waybill", "WB-2", "--accept", typed="correct horse")
        self.assertEqual([str(p["id"]) for p in self.json("parcels")], [ids[3]])

    def test_stuck_door_and_a_board_that_is_silent_exit_8(self):
        """Requirement: F1, F4"""
        self.sim.do("jam 03")
        self.refused(8, "open", "03", *REASON, error="DidNotOpen")
        self.assertEqual(self.letters("03")[1], "!")
        self.assertIn("! 03   the door did not open when it should: jammed", self.picture())
        self.sim.do("board A silent")
        wait(lambda: not self.admin.slot("05")["BoardOnline"], "the board being missed")
        self.assertEqual(self.letters("05")[1], "!")
        self.assertIn("! 05   board A does not answer", self.picture())
        self.refused(8, "open", "05", *REASON, error="BoardOffline")
        self.assertNotEqual(self.json("status")["health"], "ok")
        self.assertRegex(self.ok("status"), r"board:A +(degraded|failed)")
        self.sim.do("board A normal")
        wait(lambda: self.admin.slot("05")["BoardOnline"], "the board's return")
        self.sim.do("unjam 03")


class Digits(LockerctlCase):
    settings = {**LockerctlCase.settings, "Codes": {"Alphabet": "digits"}}

    def test_digits_need_a_claim(self):
        """Requirement: D3"""
        receipts = [self.deposit("--phone", "491711234567") for _ in range(2)]
        self.assertRegex(receipts[0]["code"] + receipts[1]["code"], r"^\d{12}$")
        self.assertIn("slot or the last digits", self.refused(6, "collect", "--stdin", typed=receipts[0]["code"] + "\n",
                                                              error="ClaimNeeded"))
        self.collect("--slot", receipts[0]["slot"], "--accept", typed=receipts[0]["code"])
        self.collect("--phone-tail", "4567", typed=receipts[1]["code"])


class Full(LockerctlCase):
    settings = {"Daemon": {"MinimumFree": "1T"}}

    def test_full_storage_exits_9(self):
        self.enrol()
        self.refused(9, "deposit", "--courier", "4711", "--size", "S", "--stdin", typed="258036\n", error="StorageFull")


class Operator(LockerctlCase):
    def test_acts_on_slots_are_seen_and_recorded_with_their_reason(self):
        """Requirement: F8"""
        self.assertEqual(self.json("open", "01", *REASON), {"done": "open", "slot": "01", "position": None})
        self.sim.wait("01", door="open")
        self.assertEqual(self.letters("01")[1], "O")
        self.push("01")
        self.ok("disable", "04", "--reason", "hinge broken")
        self.assertEqual(self.letters("04")[0], "x")
        self.assertIn("! 04   out of service: hinge broken\n", self.picture())
        [slot] = self.json("slots", "04")
        self.assertEqual((slot["service"], slot["service_reason"]), ("disabled", "hinge broken"))
        self.ok("enable", "04", "--reason", "repaired")
        self.ok("disable", "05/1", "--reason", "shelf loose")
        self.assertIn("position 1 is out of service: shelf loose", self.picture())
        self.assertRegex(self.ok("slots", "05"), r"05/1 +disabled .*shelf loose\n")
        self.assertEqual(self.json("slots", "05")[0]["positions"][0]["reason"], "shelf loose")
        self.ok("enable", "05", "--reason", "repaired")
        self.assertEqual(self.letters("05"), ("·", ""))
        events = [json.loads(line) for line in self.ok("--json", "events", "--all").splitlines()]
        self.check_keys("events", events)
        self.assertEqual([e["type"] for e in events if re.match("operator|slot", e["type"])][:2], ["operator.opened", "slot.disabled"])
        trail = sqlite3.connect(self.cabinet.ledger).execute("SELECT actor, reason FROM audit WHERE reason IS NOT NULL").fetchall()
        self.assertLessEqual({"hinge inspected", "hinge broken", "repaired", "shelf loose"}, {reason for _, reason in trail})
        self.assertTrue(all(actor for actor, _ in trail))
        self.assertEqual(self.ok("events").splitlines(), self.ok("events", "-n", "20").splitlines())

    def test_forced_door_is_seen(self):
        """Requirement: F1, F8"""
        self.sim.do("force 06")
        self.admin.wait_slot("06", Door="forced")
        self.assertEqual(self.letters("06")[1], "!")
        self.assertIn("! 06   the door was opened without a command: forced\n", self.picture())
        self.assertEqual(self.json("status")["counts"]["doors_open"], 1)

    def test_parcel_nobody_saw_is_reconciled(self):
        """Requirement: F8"""
        self.enrol()
        started = self.begin("deposit", "--courier", "4711", "--size", "S")
        place = started.place(event="receipt")
        self.put(place)
        self.cabinet.kill_daemon()
        self.assertEqual(started.end(), 1)
        self.push(place.slot)
        self.cabinet.start_daemon()
        self.assertEqual(self.letters(place.slot)[0], "?")
        self.assertIn('"lockerctl reconcile 01/1"', self.picture())
        self.ok("reconcile", "01/1", "parcel", "--reason", "it is there")
        self.assertEqual(self.letters("01")[0], "P")
        self.refused(5, "reconcile", "01/1", "parcel", "--reason", "again", error="WrongState")
        self.ok("reconcile", "01/1", "empty", "--reason", "given out by hand")
        self.assertEqual((self.letters("01")[0], self.json("parcels")), ("·", []))

    def test_recall_new_code_and_release(self):
        """Requirement: F8"""
        receipt = self.deposit()
        parcel = str(receipt["parcel"])
        code = self.json("new-code", parcel, "--reason", "lost")["code"]
        self.refused(6, "collect", "--stdin", typed=receipt["code"] + "\n", error="WrongCode")
        self.refused(5, "release", parcel, *REASON, error="WrongState")
        self.ok("recall", parcel, "--reason", "sender asks")
        self.refused(5, "new-code", parcel, *REASON, error="WrongState")
        self.refused(6, "collect", "--stdin", "--accept", typed=code + "\n", error="WrongCode")
        self.refused(3, "recall", "4000", *REASON)

    def test_people_are_enrolled_shown_masked_and_revoked(self):
        """Requirement: F9"""
        self.enrol()
        self.refused(5, "enrol", "courier", "--number", "4711", "--name", "X", "--stdin", typed="258036\n", error="AlreadyEnrolled")
        self.refused(2, "enrol", "courier", "--number", "4712", "--name", "X", "--stdin", typed="1\n", error="WeakSecret")
        self.refused(2, "enrol", "recipient", "--name", "X", "--phone", "491711234567", "--stdin", typed="correct horse\n")
        [person] = self.json("people")
        self.assertEqual((person["kind"], person["number"], person["credentials"]), ("courier", "4711", ["pin"]))
        self.assertNotIn("Mustermann", self.ok("people"))
        self.ok("revoke", str(person["id"]), "--reason", "has left")
        self.refused(6, "deposit", "--courier", "4711", "--size", "S", "--stdin", typed="258036\n", error="WrongCredential")
        self.refused(3, "revoke", "4000", *REASON, error="UnknownPerson")

    def test_credentials_are_enrolled_shown_and_revoked_one_by_one(self):
        """Requirement: C1, C6"""
        who = ["enrol", "recipient", "--name", "Erika Mustermann", "--phone", "491711234567", "--stdin"]
        self.refused(2, *who, "--pattern", "--consent", typed="02587\n", error="InvalidArgument")
        self.ok(*who, "--password", "--pattern", "--consent", "--consent-text", "notice", "--consent-version", "7", typed="correct horse\n40158\n")
        [person] = self.json("people")
        self.assertEqual(sorted(person["credentials"]), ["password", "pattern"])
        self.assertEqual({(d["consent_text"], d["consent_version"]) for d in person["details"]}, {("notice", "7")})
        self.assertRegex(self.ok("people"), r"password \(0 min\), pattern \(0 min\)")
        more = ["enrol", str(person["id"]), "--stdin"]
        self.refused(2, *more, "--consent", typed="")
        self.refused(2, *more, "--card", typed="8230119945602718\n")  # no consent
        self.refused(2, *more, "--card", "--consent", typed="82301\n", error="InvalidArgument")
        self.ok(*more, "--card", "--consent", typed="8230119945602718\n")
        card = self.json(*more, "--new-card", "--consent")["card"]
        self.assertRegex(card, "^[0-9]{32}$")
        self.refused(3, "enrol", "4000", "--new-card", "--consent", error="UnknownPerson")
        self.ok("revoke", str(person["id"]), "--credential", "pattern", "--reason", "seen")
        self.refused(3, "revoke", str(person["id"]), "--credential", "pattern", "--reason", "seen", error="UnknownCredential")
        self.refused(2, "revoke", str(person["id"]), "--credential", "iris", "--reason", "seen", error="InvalidArgument")
        [person] = self.json("people")
        self.assertEqual(sorted(person["credentials"]), ["card", "password"])

    def test_lockout_is_listed_and_lifted_by_operator_and_courier(self):
        """Requirement: D4"""
        receipt = self.deposit()
        for lift in (["lockout", "lift", *REASON], ["lockout", "lift", "--courier", "4711", "--stdin"]):
            for _ in range(3):
                self.ctl("collect", "--stdin", typed="000000\n")
            self.assertIn("30 minutes", self.refused(6, "collect", "--stdin", typed=receipt["code"] + "\n", error="LockedOut"))
            [row] = self.json("lockout", "list")
            self.assertTrue(row["subject"].startswith("terminal:") and 1700 < row["locked_seconds"] <= 1800, row)
            self.assertRegex(self.ok("lockout"), r"terminal:\S+ +3 +for (29|30) min")
            self.json(*lift, typed="258036\n")
            self.assertEqual(self.json("lockout"), [])
        self.refused(6, "lockout", "lift", "--courier", "4711", "--stdin", typed="1111\n", error="WrongCredential")
        self.collect("--accept", typed=receipt["code"])


class Keeping(LockerctlCase):
    def test_events_are_followed_across_a_restart(self):
        """Requirement: F8"""
        process = subprocess.Popen([self.program, "events", "-f", "-n", "1", "--json"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=self.environment())
        for cleanup in (process.stdout.close, process.stderr.close, process.wait, process.kill):
            self.addCleanup(cleanup)
        self.assertEqual(json.loads(process.stdout.readline())["type"], "board.online")
        self.ok("disable", "01", "--reason", "before")
        first = json.loads(process.stdout.readline())
        self.cabinet.stop_daemon()
        self.assertEqual(process.stderr.readline(), "lockerd has gone; waiting for it.\n")
        self.cabinet.start_daemon()
        self.assertEqual(process.stderr.readline(), "lockerd is back.\n")
        self.ok("enable", "01", "--reason", "after")
        seen = [first]
        while seen[-1]["type"] != "slot.enabled":
            seen.append(json.loads(process.stdout.readline()))
        self.assertEqual([e["sequence"] for e in seen], list(range(first["sequence"], first["sequence"] + len(seen))))
        self.assertEqual(first["type"], "slot.disabled")

    def test_audit_whole_and_tampered(self):
        """Requirement: F10"""
        for i in range(20):
            self.ok("disable", "07", "--reason", f"exercise {i}")
            self.ok("enable", "07", "--reason", "done")
        good = self.json("audit", "verify")
        self.assertEqual((good["ok"], good["head"], good["detail"]), (True, self.json("status")["cabinet"]["audit_head"], ""))
        self.cabinet.stop_daemon()
        with sqlite3.connect(self.cabinet.ledger) as ledger:
            for (trigger,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'").fetchall():
                ledger.execute(f'DROP TRIGGER "{trigger}"')
            ledger.execute("UPDATE audit SET actor = 'somebody else' WHERE rowid = (SELECT min(rowid) + 2 FROM audit)")
        ledger.close()
        self.cabinet.start_daemon()
        done = self.ctl("audit", "verify")
        self.assertEqual((done.returncode, done.stderr), (11, ""))
        self.assertIn("The audit trail is broken: ", done.stdout)
        self.assertIs(json.loads(self.ctl("--json", "audit", "verify").stdout)["ok"], False)

    def test_audit_against_heads_from_earlier(self):
        """A head of before, a forged one, one of the future; and the end cut off with everything that counts it.

        Requirement: F10
        """
        before = self.json("audit", "verify")["head"]
        for i in range(20):
            self.ok("disable", "07", "--reason", f"exercise {i}")
            self.ok("enable", "07", "--reason", "done")
        now = self.json("audit", "verify")["head"]
        for head in (before, now):
            self.assertIn("leads through the head", self.ok("audit", "verify", head))
        number, digest = before.split(":")
        forged = f"{number}:{digest[:-2]}{'00' if digest[-2:] != '00' else '01'}"
        later = f"{int(now.split(':')[0]) + 1}:{digest}"
        for head, words in ((forged, f"row {number} is not the one of the head"), (later, "trail ends at row")):
            done = self.ctl("audit", "verify", head)
            self.assertEqual(done.returncode, 11, done.stdout + done.stderr)
            self.assertIn(words, done.stdout)
        for wrong in ("", "1", "1:ab", f"x:{digest}", f"{number}:{digest}0", f"-1:{digest}"):
            done = self.ctl("audit", "verify", "--", wrong)
            self.assertNotIn(done.returncode, (0, 11), wrong)
            self.assertIn("must be a head", done.stderr)

    def test_backup_is_whole_and_private(self):
        path = os.path.join(self.cabinet.directory, "copy.db")
        answer = self.json("backup", path)
        self.assertEqual((answer["path"], answer["bytes"]), (path, os.path.getsize(path)))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode) & 0o077, 0)
        self.assertEqual(sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone(), ("ok",))
        self.refused(2, "backup", path, error="InvalidArgument")
        self.refused(2, "backup", "/nonexistent/copy.db", error="InvalidArgument")

    def test_check_config_good_and_bad(self):
        self.assertIs(self.json("check-config", self.cabinet.config)["ok"], True)
        bad = os.path.join(self.cabinet.directory, "bad.conf")
        with open(self.cabinet.config, encoding="utf-8") as f, open(bad, "w", encoding="utf-8") as g:
            g.write(f.read().replace("[Session]\n", "[Session]\nIdelTimeout=3s\n"))
        done = self.ctl("--json", "check-config", bad)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("IdelTimeout", str(json.loads(done.stdout)["messages"]))
        self.assertIn("IdelTimeout", self.ctl("check-config", bad).stderr)

    def test_without_daemon_exits_1(self):
        self.cabinet.stop_daemon()
        self.assertIn("systemctl status lockerd", self.refused(1, "status", error="NotRunning"))

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "only root can be somebody else")
    def test_groups_decide_who_may_do_what(self):
        """Requirement: F8"""
        self.enrol()
        kiosk, admin = ["collect", "--stdin"], ["open", "01", *REASON]
        for groups, may_kiosk, may_admin in (((KIOSK_GROUP,), True, False), ((ADMIN_GROUP,), False, True), ((), False, False)):
            self.assertEqual(self.as_user(groups, "status").returncode, 0, "looking is for everybody")
            self.assertEqual(self.as_user(groups, "map").returncode, 0)
            self.assertEqual(self.as_user(groups, *kiosk, typed="000000\n").returncode, 6 if may_kiosk else 4, groups)
            for verb in (["people"], ["events"], ["lockout"], ["audit", "verify"], ["parcel", "999"]):
                done = self.as_user(groups, *verb)
                self.assertEqual(done.returncode, (3 if verb[0] == "parcel" else 0) if may_admin else 4, (groups, verb, done.stderr))
            done = self.as_user(groups, *admin)
            self.assertEqual(done.returncode, 0 if may_admin else 4, done.stderr)
            if may_admin:
                self.sim.wait("01", door="open")
                self.push("01")
        self.assertIn("is for members of the group", self.as_user((), *admin).stderr)


class Large(LockerctlCase):
    cabinet_file = "cabinet-60.conf"
    settings = {"Session": {"ReopenGrace": "1s", "AnswerTimeout": "1s"}}
    edit = staticmethod(lambda text: re.sub(r"(\[Slot 4[19]-\d+\]\n)Size=M", r"\1Size=S", text))

    def test_shared_slots_are_drawn_and_used(self):
        """Requirement: A2, A4, F8"""
        self.assertEqual(len(re.findall(r"[│|] (?:\d\d|P\d) ", self.picture())), 60)
        self.assertEqual(len(self.json("slots")), 60)
        receipt = self.deposit(size="M")
        self.assertEqual((receipt["slot"], receipt["position"]), ("P1", 1))
        self.assertEqual(self.letters("P1")[0][0], "P")
        self.picture(COLUMNS="44")
        self.assertTrue(self.ctl("map", LC_ALL="C").stdout.isascii())
        self.assertRegex(self.ok("slots", "P1"), r"P1/1 +in +locked +occupied +stored")
        self.ok("disable", "P1/3", "--reason", "lid bent")
        self.assertIn("! P1   position 3 is out of service: lid bent\n", self.picture())
        self.assertEqual(self.json("slots", "P1")[0]["positions"][2]["reason"], "lid bent")
        self.assertEqual(self.json("map"), self.json("slots"))
        lines = self.collect("--accept", typed=receipt["code"])
        self.assertEqual((lines[0]["slot"], lines[0]["position"]), ("P1", 1))

    def test_take_back_that_leaves_something_inside_exits_12(self):
        """Requirement: F1, F11"""
        receipts = [self.deposit(size="M"), self.deposit(size="M")]
        for receipt in receipts:
            self.ok("recall", str(receipt["parcel"]), *REASON)
        started = self.begin("take-back", "--courier", "4711")
        for take in (False, True):
            place = started.place(event="prompt", what="take-next")
            self.reach(place)
            if take:
                self.take(place)
            self.shut(place)
            started.line(what="returned" if take else "left-inside")
        self.assertEqual((started.end(), started.lines[-1]["what"]), (12, "done"))
        self.assertEqual([p["id"] for p in self.json("parcels")], [receipts[0]["parcel"]])
        self.assertRegex(self.ok("slots", "P1"), r"P1/1 .* recalled ")


main()
