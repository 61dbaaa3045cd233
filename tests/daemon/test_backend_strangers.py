# SPDX-License-Identifier: Apache-2.0
"""Whoever may publish at the broker, and has no key: what is refused, and what is left of it."""
import contextlib
import json
import os
import pathlib
import sqlite3
import subprocess
import time
import uuid

from backendlib import UNSIGNED, BackendTest
from daemonlib import main
from dbusclient import wait
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from small_disk import SmallDisk, needs_mount

CLOCKSHIM = pathlib.Path(__file__).with_name("clockshim.c")
LEFT_ALONE = {"snapshot": {}, "replay": {"from": 1, "to": 2}, "recommend": {"size": "S"}}
SHUTTING = {"announce": {"size": "S", "phone": "015123456789", "reserve": True}, "disable": {"slot": "09", "reason": "because"},
            "enable": {"slot": "09", "reason": "because"}, "set-thresholds": {"reminder": 3600, "recall": 7200}}
ABOUT_PARCELS = ("release", "recall", "revoke-code")
OPENING = {"open": {"slot": "03", "reason": "because"}, "deposit": {"courier": "4711", "size": "S"},
           "enrol": {"kind": "courier", "number": "9", "pin": "9173"}, "revoke": {"person": 1, "reason": "because"},
           "enrol-credential": {"person": 1, "card": "4711-0815-1234-5678", "consent": True}, "list-credentials": {"person": 1},
           "revoke-credential": {"person": 1, "kind": "card", "reason": "because"},
           "take-back": {"courier": "4711"}, "lift-lockout": {"subject": "*", "reason": "because"}}
IN_A_SESSION = ("accept", "reject", "cancel", "reopen", "too-small", "not-empty", "does-not-open", "end")


class Strangers(BackendTest):
    def rows(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return db.execute("SELECT id, length(command), coalesce(length(answer), 0) FROM inbox ORDER BY arrival").fetchall()

    def refused(self, answer, error):
        self.assertEqual((answer["status"], answer.get("error")), ("refused", error), answer)

    def opening(self, parcel):
        return {**OPENING, **{n: {"parcel": parcel, "reason": "because"} for n in ("new-code", "collect")}, **{n: {"session": 1} for n in IN_A_SESSION}}


class WithoutAKey(Strangers):
    def test_everything_that_changes_anything_must_be_signed(self):
        """Requirement: F5, F8"""
        put = self.store()
        parcel = int(put.parcel.rsplit("/", 1)[1])
        commands = {**SHUTTING, **{n: {"parcel": parcel, "reason": "because"} for n in ABOUT_PARCELS}, **self.opening(parcel)}
        for name, arguments in commands.items():
            with self.subTest(name):
                self.refused(self.backend.command(name, arguments, signed=False), "NotSigned")
        self.assertEqual(set(commands) | set(UNSIGNED), {os.path.basename(p).split("-", 1)[1].split(".")[0] for p in schemas()})
        self.assertEqual((self.admin.parcel(parcel)["State"], self.admin.slot("09")["Service"]), ("stored", "in"))
        self.assertEqual(len(self.admin.parcels()), 1)
        for name, arguments in LEFT_ALONE.items():
            self.assertNotEqual(self.backend.command(name, arguments, signed=False).get("error"), "NotSigned")
        session = self.client.start_session("recipient")
        session.authenticate_code(put.receipt["code"])  # still good
        session.end()
        # And nothing of all that is in the ledger.
        self.assertEqual(self.rows(), [])

    def test_refused_commands_leave_nothing_in_the_ledger_and_burn_no_id(self):
        """Requirement: F4, F5"""
        big = {"reason": "x" * 60000}
        for i in range(20):
            body = self.backend.body("open", big, expires="9999-12-31T23:59:59Z", id=f"burnt-{i}")
            self.backend.ask("open" if i % 2 else "make-coffee", json.dumps(body).encode())
        for i in range(20):
            self.backend.command("snapshot", id=f"asked-{i}")
        # A key, but no sense.
        self.refused(self.backend.command("open", big), "InvalidArgument")
        self.refused(self.backend.command("open", {"slot": "03", "reason": "r"}, expires=-200000), "Expired")
        self.assertEqual(self.rows(), [])
        # The real backend's id was not taken from it.
        self.assertEqual(self.backend.command("announce", {"size": "S"}, id="burnt-1", expires=30 * 86400)["status"], "done")
        self.assertEqual([r[0] for r in self.rows()], ["burnt-1"])

    def test_of_an_answered_command_its_arguments_are_not_kept(self):
        """Requirement: B4, F5"""
        long = {"size": "S", "recipient": "\u00e4" * 256, "waybill": "y" * 128, "phone": "0151 23456789"}
        body = {"cabinet": self.number, "name": "announce", **self.backend.body("announce", long, id="long", expires=3600)}
        answer = self.backend.ask("announce", self.key.sign(body))
        self.assertEqual(answer["status"], "done", answer)
        self.assertLess(self.rows()[0][1], 200)
        self.assertEqual(self.backend.ask("announce", self.key.sign(body)), answer)
        self.cabinet.restart(kill=True)
        self.wait_online()
        self.assertEqual(self.backend.ask("announce", self.key.sign({**body, "arguments": dict(reversed(long.items()))})), answer)
        self.refused(self.backend.ask("announce", self.key.sign({**body, "arguments": {**long, "waybill": "z"}})), "IdReused")
        self.assertEqual(len(self.admin.parcels()), 1)

    def test_no_more_commands_are_remembered_than_there_is_room_for(self):
        """Requirement: F4, F5"""
        self.cabinet.stop_daemon()
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
            db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 19999) "
                       "INSERT INTO inbox (id, arrival, name, received, expires, command, answer) "
                       "SELECT 'old-' || i, 100 + i, 'announce', 1, 99999999999999999, x'00', x'00' FROM n")
            db.commit()
        self.cabinet.start_daemon()
        self.wait_online()
        # Rows that the daemon has not written: from then on commands have to name the epoch.
        epoch = self.cabinet.client().cabinet("Epoch")
        self.assertEqual(self.backend.command("announce", {"size": "S"}, id="last", epoch=epoch)["status"], "done")
        self.refused(self.backend.command("announce", {"size": "S"}, id="beyond", epoch=epoch), "Busy")
        self.assertEqual(self.backend.command("snapshot")["status"], "done", "questions need no room")
        self.assertEqual(len(self.rows()), 20000)

    def test_no_more_parcels_are_announced_than_the_cabinet_can_list_quickly(self):
        """3,000 of them made every list of the objects take six seconds. Measured as the daemon's own processor time, and as a ratio.

        Requirement: F4, F5
        """
        def ticks():
            with open(f"/proc/{self.cabinet.daemon.pid}/stat", encoding="ascii") as f:
                return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))

        def cost():
            before = ticks()
            for _ in range(60):
                objects = self.admin.call("/org/lockerd/Locker1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
            return ticks() - before, len(objects)

        empty, few = cost()
        answers = []
        while len(answers) < 80 and (not answers or answers[-1]["status"] == "done"):
            answers.append(self.backend.command("announce", {"size": "S", "phone": "+49 171 5559876", "recipient": "Erika Mustermann"}))
        self.refused(answers[-1], "NoFreePosition")
        self.assertEqual(len(answers) - 1, 64)
        full, many = cost()
        self.assertEqual(many - few, 64)
        self.assertLess(full, 2 * (empty + 1) * many / few, "a parcel costs about what a slot costs")
        parcel = answers[0]["result"]["parcel"]
        self.assertEqual(self.backend.command("release", {"parcel": parcel, "reason": "not coming"})["status"], "done")
        self.assertEqual(self.backend.command("announce", {"size": "S"})["status"], "done")

    def test_answer_goes_to_no_topic_of_a_cabinet_but_its_own_reply(self):
        """Requirement: F8"""
        body = self.backend.body("snapshot", id="elsewhere")
        for topic in (f"lockerd/v1/{self.number}/command/open", f"lockerd/v1/{self.number}/state", f"lockerd/v1/{self.number}/event/door.opened",
                      "lockerd/v1/C-9999/command/open", "lockerd/v1/C-9999/state", "$SYS/broker"):
            with self.subTest(topic):
                properties = Properties(PacketTypes.PUBLISH)
                properties.ResponseTopic = topic
                properties.CorrelationData = uuid.uuid4().bytes
                before = len(self.backend.receive())
                self.backend.client.publish(f"lockerd/v1/{self.number}/command/snapshot", json.dumps(body).encode(), qos=1,
                                            properties=properties).wait_for_publish()
                self.refused(wait(lambda: self.backend.answers(properties.CorrelationData), "an answer on reply")[0], "InvalidArgument")
                self.assertEqual([m for m in self.backend.receive()[before:] if m.topic == topic and "/command/" in topic
                                  and m.topic.startswith(f"lockerd/v1/{self.number}/")], [])
        heard = []
        self.backend.client.message_callback_add("backend/answers", lambda c, u, m: heard.append(json.loads(m.payload)))
        self.backend.client.subscribe("backend/answers", qos=1)
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = "backend/answers"
        wait(lambda: self.backend.client.publish(f"lockerd/v1/{self.number}/command/snapshot", json.dumps(body).encode(), qos=1,
                                                 properties=properties) and time.sleep(0.2) or heard, "an answer there")
        self.assertEqual(heard[0]["status"], "done")


def schemas():
    from backendlib import MQTT
    return MQTT.glob("command-*.schema.json")


class Synchronised(Strangers):
    def test_expiry_is_not_further_away_than_ids_are_remembered(self):
        """Requirement: F5"""
        shim = os.path.join(self.cabinet.directory, "clockshim.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, CLOCKSHIM], check=True)
        original = self.cabinet.environment
        self.cabinet.environment = lambda: {**original(), "LD_PRELOAD": shim, "CLOCKSHIM_SYNCED": "1",
                                            "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"}
        self.cabinet.restart()
        self.wait_online()
        for expires in ("9999-12-31T23:59:59Z", 32 * 86400):
            self.refused(self.backend.command("announce", {"size": "S"}, expires=expires), "InvalidArgument")
        self.assertEqual(self.rows(), [])
        self.assertEqual(self.backend.command("announce", {"size": "S"}, expires=30 * 86400)["status"], "done")


class Migrating(Strangers):
    mqtt = {"UnsignedCommands": "yes"}

    def test_what_opens_nothing_needs_no_signature_and_what_opens_does(self):
        """Requirement: F5, F8"""
        parcel = self.backend.command("announce", {"size": "S"}, signed=False)["result"]["parcel"]
        for name, arguments in {**SHUTTING, "release": {"parcel": parcel, "reason": "because"}}.items():
            answer = self.backend.command(name, arguments, signed=False)
            self.assertEqual(answer["status"], "done", answer)
        for name, arguments in self.opening(parcel).items():
            self.refused(self.backend.command(name, arguments, signed=False), "NotSigned")


@needs_mount
class NearlyFullDisk(SmallDisk, Strangers):
    def setUp(self):
        self.mount_disk()
        self.settings = {"Daemon": self.daemon_settings()}
        super().setUp()
        self.cabinet.ledger = self.settings["Daemon"]["Ledger"]

    def test_what_is_left_is_for_people(self):
        """Requirement: F4, F5"""
        put = self.store()
        parcel = int(put.parcel.rsplit("/", 1)[1])
        self.fill(4 << 20)
        before = len(self.rows())
        for i in range(5):
            self.refused(self.backend.command("announce", {"size": "S"}, id=f"full-{i}"), "StorageFull")
            self.refused(self.backend.command("disable", {"slot": "09", "reason": "because"}), "StorageFull")
        self.assertEqual(len(self.rows()), before)
        self.assertEqual(self.backend.command("collect", {"parcel": parcel, "reason": "identified"})["status"], "done")
        self.make_room()
        self.assertEqual(self.backend.command("announce", {"size": "S"}, id="full-0")["status"], "done")


main()
