# SPDX-License-Identifier: Apache-2.0
"""Parcels that wait for too long: one reminder at the right hour, one recall request, whatever happens to the daemon and its clock."""
import datetime
import os
import pathlib
import subprocess
import time
import zoneinfo

from daemonlib import main, wait
from people import Scenario

CLOCKSHIM = pathlib.Path(__file__).with_name("clockshim.c")
ZONE = zoneinfo.ZoneInfo("Europe/Berlin")  # cabinet-12.conf
DAY = 86400
REMINDER, RECALL = "parcel.reminder", "parcel.recall-requested"
NEVER_QUIET = {"QuietFrom": "00:00", "QuietUntil": "00:00"}


class Reminding(Scenario):
    def shift_clock(self):
        """Restarts the daemon with a calendar that set_clock() moves."""
        shim, self.offset = (os.path.join(self.cabinet.directory, name) for name in ("clockshim.so", "offset"))
        subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, CLOCKSHIM], check=True)
        original = self.cabinet.environment
        self.cabinet.environment = lambda: {
            **original(), "LD_PRELOAD": shim, "CLOCKSHIM": self.offset,
            "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"}

    def set_clock(self, seconds):
        with open(self.offset + ".new", "w", encoding="utf-8") as f:
            f.write(str(int(seconds)))
        os.rename(self.offset + ".new", self.offset)

    def set_local_time(self, hour, minute, second, days=0):
        """The cabinet's clock shows this time of the day, when it comes next or so many days later."""
        now = datetime.datetime.now(ZONE)
        wanted = now.replace(hour=hour, minute=minute, second=second)
        if wanted < now:
            wanted += datetime.timedelta(days=1)
        self.set_clock(wanted.timestamp() - now.timestamp() + days * DAY)

    def sent(self, parcel):
        return [e for e in self.admin.events() if e.type in (REMINDER, RECALL) and e.subject == f"parcel:{parcel}"]

    def local_hour(self, event):
        return datetime.datetime.fromtimestamp(event.time / 1e6, ZONE).hour


class Waiting(Reminding):
    # The usual hour never comes before the recall: a reminder is sent as soon as it is due.
    settings = {"Reminders": {"ReminderAfter": "4s", "RecallAfter": "9s", **NEVER_QUIET}, "Session": {"ReopenGrace": "0"}}

    def test_one_reminder_and_one_recall_request_over_restarts(self):
        """Requirement: E3, E4"""
        put = self.store(recipient="Erika Mustermann", phone="+49 171 555 9876")
        number = int(put.parcel.rsplit("/", 1)[1])
        stored = self.wait_event("parcel.stored").time
        self.cabinet.restart(kill=True)
        reminder = self.wait_event(REMINDER, parcel=number)
        self.assertGreaterEqual(reminder.time - stored, 4e6)
        self.assertEqual(reminder.data["slot"], put.slot)
        self.assertAlmostEqual(reminder.data["due"] - reminder.data["stored"], 4e6, delta=1e6)
        self.assertIn("usual_hour", reminder.data)
        self.assertNotIn("9876", str(reminder.data["phone"])[:-4])
        self.assertNotIn("Mustermann", str(reminder.data))
        self.cabinet.restart(kill=True)
        recall = self.wait_event(RECALL, parcel=number)
        self.assertGreaterEqual(recall.time - stored, 9e6)
        self.cabinet.restart()
        time.sleep(3)
        self.assertEqual([e.type for e in self.sent(number)], [REMINDER, RECALL])
        # A request changes nothing: the recipient may still come.
        self.assertEqual(self.admin.parcels()[number]["State"], "stored")
        self.collect(put.receipt["code"])

    def test_collected_in_time_is_neither_reminded_of_nor_recalled(self):
        """Requirement: E3, E4"""
        put = self.store()
        self.collect(put.receipt["code"])
        time.sleep(10)
        self.assertEqual([e for e in self.event_types() if e in (REMINDER, RECALL)], [])

    def test_due_while_the_daemon_was_down_is_not_forgotten(self):
        """Requirement: E4"""
        put = self.store()
        number = int(put.parcel.rsplit("/", 1)[1])
        self.cabinet.kill_daemon()
        time.sleep(10)
        self.cabinet.start_daemon()
        self.wait_event(RECALL, parcel=number)
        time.sleep(2)
        self.assertEqual([e.type for e in self.sent(number)], [RECALL], "a reminder after the recall is of no use")

    def test_recalled_by_the_operator_is_not_requested_again(self):
        """Requirement: E4"""
        put = self.store()
        number = int(put.parcel.rsplit("/", 1)[1])
        self.admin.recall(number, "the sender wants it back")
        time.sleep(11)
        self.assertEqual(self.sent(number), [])


class Clocks(Reminding):
    settings = {"Daemon": {"TrustClock": "no"}, "Reminders": {"ReminderAfter": "12h", "RecallAfter": "72h", **NEVER_QUIET},
                "Session": {"ReopenGrace": "0"}}

    def test_calendar_that_leaps_sends_nothing_unless_it_is_synchronised(self):
        """Requirement: E3, E4"""
        self.shift_clock()
        self.cabinet.restart()
        if self.admin.health()["clock"][0] == "ok":
            self.skipTest("this machine's clock is synchronised: it is to be believed")
        number = int(self.store().parcel.rsplit("/", 1)[1])
        for leap in (3 * 365 * DAY, 200 * DAY, -365 * DAY, 0):
            self.set_clock(leap)
            mark = self.last_event()
            self.admin.disable("09", reason="what day is it?")
            seen = self.wait_event("slot.disabled", after=mark).time / 1e6 - time.time()
            self.assertTrue(leap <= 0 or seen > leap - 3600, "it is really another year for the daemon")
            time.sleep(1)
            self.cabinet.restart(kill=leap > 0)
            time.sleep(1)
            self.assertEqual(self.sent(number), [])


class Hours(Reminding):
    settings = {"Reminders": {"ReminderAfter": "1s", "RecallAfter": "72h", "QuietFrom": "23:00", "QuietUntil": "06:00",
                              "DefaultHour": "17"},
                "Session": {"ReopenGrace": "0"}}

    def test_reminder_waits_for_the_usual_hour_and_the_usual_hour_is_learned(self):
        """Requirement: E3, E5"""
        self.shift_clock()
        self.cabinet.stop_daemon()
        self.set_local_time(16, 59, 50)
        self.cabinet.start_daemon()
        put = self.store(phone="+49 171 555 9876")
        number = int(put.parcel.rsplit("/", 1)[1])
        self.assertEqual(self.sent(number), [])
        reminder = self.wait_event(REMINDER, parcel=number)
        self.assertEqual((self.local_hour(reminder), reminder.data["usual_hour"]), (17, 17))
        self.assertLess(reminder.time / 1e6 % 3600, 5)
        self.collect(put.receipt["code"])
        # Another time this person comes at ten in the evening, twice.
        self.cabinet.stop_daemon()
        self.set_local_time(22, 10, 0, days=1)
        self.cabinet.start_daemon()
        for _ in range(2):
            self.collect(self.store(phone="+49 171 5559876").receipt["code"])
        self.cabinet.stop_daemon()
        self.set_local_time(21, 59, 50, days=3)
        self.cabinet.start_daemon()
        put = self.store(phone="+491715559876")
        other = int(put.parcel.rsplit("/", 1)[1])
        stranger = int(self.store(phone="+49 30 1234567").parcel.rsplit("/", 1)[1])
        reminder = self.wait_event(REMINDER, parcel=other)
        self.assertEqual((self.local_hour(reminder), reminder.data["usual_hour"]), (22, 22))
        self.assertEqual(self.sent(stranger), [], "for others it is not the hour")


class Quiet(Reminding):
    settings = {"Reminders": {"ReminderAfter": "1s", "RecallAfter": "10min", "QuietFrom": "21:00", "QuietUntil": "08:00"},
                "Session": {"ReopenGrace": "0"}}

    def test_nobody_is_woken(self):
        """Requirement: E3"""
        self.shift_clock()
        self.cabinet.stop_daemon()
        self.set_local_time(7, 59, 48)
        self.cabinet.start_daemon()
        number = int(self.store().parcel.rsplit("/", 1)[1])
        time.sleep(2)
        self.assertEqual(self.sent(number), [])
        reminder = wait(lambda: self.sent(number), "the reminder", 20)[0]
        self.assertEqual(self.local_hour(reminder), 8)


if __name__ == "__main__":
    main()
