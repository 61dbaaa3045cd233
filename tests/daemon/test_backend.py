# SPDX-License-Identifier: Apache-2.0
"""The real daemon, a real broker and an independent client as the backend: what comes out, what goes in, and what must not."""
import json
import time

from backendlib import EXAMPLES, BackendTest, Judge, Message, SigningKey
from daemonlib import DBusError, main
from dbusclient import wait
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


class Events(BackendTest):
    def test_story_is_told_in_order_and_once(self):
        """Requirement: B4, D2"""
        put = self.store(recipient="Erika Mustermann", phone="0151 23456789")
        self.wait_drained()
        events = wait(lambda: [e for e in self.backend.events() if e["type"] == "org.lockerd.parcel.stored"] and self.backend.events(),
                      "the story at the backend")
        sequences = [int(e["sequence"]) for e in events]
        self.assertEqual(sequences, list(range(sequences[0], sequences[0] + len(sequences))))
        self.assertEqual(len({e["id"] for e in events}), len(events))
        issued = next(e for e in events if e["type"] == "org.lockerd.code.issued")
        self.assertEqual(issued["data"]["secret"]["code"], put.receipt["code"])
        self.assertEqual(issued["source"], f"/lockerd/{self.number}")
        told = json.dumps([{**e, "data": {**e["data"], "secret": None}} for e in events], ensure_ascii=False)
        self.assertNotIn("Mustermann", told)
        self.assertNotIn("23456789", told)
        # Acknowledged: the plaintext is gone from the file.
        self.admin.backup(f"{self.cabinet.directory}/copy.db")
        with open(f"{self.cabinet.directory}/copy.db", "rb") as f:
            self.assertNotIn(put.receipt["code"].encode(), f.read())

    def test_broker_away_events_wait_and_say_so(self):
        """Requirement: B4, F4"""
        self.wait_drained()
        before = len(self.backend.events())
        self.broker.leave()
        wait(lambda: self.admin.health()["backend"][0] == "degraded", "a degraded backend")
        self.store()
        self.assertGreater(self.admin.cabinet("OutboxLength"), 5)
        self.broker.start()
        self.wait_drained()
        events = wait(lambda: any(e["type"].endswith("parcel.stored") for e in self.backend.events()) and self.backend.events(), "the stored parcel")
        new = events[before:]
        self.assertTrue(all(e["offline"] for e in new if e["type"].endswith(("parcel.stored", "door.opened", "code.issued"))))
        self.check_order(events)

    def check_order(self, events):
        """Duplicates only with the same id; without them no gap and no disorder."""
        first = []
        for e in events:
            if e["id"] not in {f["id"] for f in first}:
                first.append(e)
        sequences = [int(e["sequence"]) for e in first]
        self.assertEqual(sequences, list(range(sequences[0], sequences[0] + len(sequences))))

    def test_daemon_killed_while_it_drains_nothing_lost(self):
        """Requirement: B4"""
        for i in range(4):
            session = self.client.start_session("recipient")
            for _ in range(2):
                with self.assertRaises(DBusError):
                    session.authenticate_code(f"ABC{i}23", slot=f"{i + 1:02}")
            session.end()
            self.admin.lift_lockout()
            if i % 2:
                self.cabinet.restart(kill=True)
        last = self.admin.cabinet("LastEvent")
        self.wait_drained()
        wait(lambda: any(int(e["sequence"]) >= last for e in self.backend.events()), "the last event")
        self.check_order(self.backend.events())

    def test_replay_brings_the_same_events_again(self):
        """Requirement: B4"""
        self.store()
        self.wait_drained()
        wait(lambda: any(e["type"].endswith("parcel.stored") for e in self.backend.events()), "the parcel")
        n = len(self.backend.events())
        answer = self.backend.command("replay", {"from": 2, "to": 5})
        self.assertEqual(answer["status"], "done")
        again = wait(lambda: len(self.backend.events()) >= n + 4 and self.backend.events()[n:], "four events again")
        self.assertEqual([int(e["sequence"]) for e in again][:4], [2, 3, 4, 5])
        self.assertTrue(all("secret" not in e["data"] for e in again))


class State(BackendTest):
    def test_state_tells_capacity_and_health_and_goes_offline(self):
        """Requirement: F4, F10"""
        def free():
            return {s["name"]: s["free"] for s in self.backend.state()["sizes"]}
        wait(lambda: free() == self.admin.cabinet("FreePositions"), "the free positions, once the boards are found")
        before = free()["S"]
        self.store(size="S")
        wait(lambda: free()["S"] == before - 1, "one place less")
        self.cabinet.kill_daemon()
        wait(lambda: self.backend.state()["presence"] == "offline", "the will")
        self.cabinet.start_daemon()
        self.wait_online()
        self.cabinet.stop_daemon()
        wait(lambda: self.backend.state()["presence"] == "offline", "a farewell")


    def test_state_that_somebody_else_has_written_is_repaired(self):
        """Requirement: F4"""
        self.wait_drained()
        for forged in ({"cabinet": self.number, "presence": "offline"}, {"cabinet": self.number, "presence": "offline", "time": "2026-01-01T00:00:00Z"}):
            properties = Properties(PacketTypes.PUBLISH)
            properties.ContentType = "application/json"
            self.backend.client.publish(f"lockerd/v1/{self.number}/state", json.dumps(forged), qos=1, retain=True,
                                        properties=properties).wait_for_publish()
            wait(lambda: self.backend.state() == forged, "the forged one")
            wait(lambda: self.backend.state()["presence"] == "online", "the right one")
        # Nothing goes round in circles.
        time.sleep(2)
        n = len(self.backend.topics("state"))
        time.sleep(3)
        self.assertEqual(len(self.backend.topics("state")), n)


class Commands(BackendTest):
    settings = {"Session": {"Unanswered": "collected"}}

    def refused(self, answer, error):
        self.assertNotEqual(answer["status"], "done", answer)
        self.assertEqual(answer["error"], error, answer)

    def pulses(self):
        return sum(s["pulses"] for s in self.sim.state()["slots"].values())

    def test_what_an_announcement_wishes_is_kept(self):
        """Accessible, no larger one, refrigerated: the courier who brings it knows nothing of that.

        Requirement: F7, E1
        """
        def announce(**wishes):
            return self.backend.command("announce", {"size": "S", **wishes}, signed=True)["result"]["parcel"]
        accessible, frozen, small = announce(accessible=True), announce(temperature="frozen"), announce(larger=False)
        self.cabinet.kill_daemon()
        self.cabinet.start_daemon()
        self.wait_online()
        for slot, size in ((s, v["Size"]) for s, v in self.admin.slots().items()):
            if size == "S":
                self.admin.disable(slot)
        session = self.courier()
        self.assertRefused("NoFreePosition", session.deposit, parcel=small)
        self.assertRefused("NoFreePosition", session.deposit, parcel=frozen)
        put = session.deposit(parcel=accessible)
        self.assertTrue(self.admin.slot(put.slot)["Accessible"], put)

    def test_announce_deposit_collect_without_a_terminal(self):
        """Requirement: A5, E1"""
        self.admin.enrol_courier("4711", "258036")
        announced = self.backend.command("announce", {"size": "S", "recipient": "Erika Mustermann", "phone": "015123456789",
                                                      "waybill": "WB1"})
        self.assertEqual(announced["status"], "done", announced)
        parcel = announced["result"]["parcel"]
        self.assertEqual(self.admin.parcel(parcel)["State"], "announced")
        put = self.backend.command("deposit", {"courier": "4711", "parcel": parcel}, signed=True)
        self.assertEqual(put["status"], "done", put)
        slot = put["result"]["slot"]
        self.sim.wait(slot, door="open", coil=False)
        self.sim.do(f"put {slot}", f"close {slot}")
        self.admin.wait_parcel(parcel, "stored")
        got = self.backend.command("collect", {"parcel": parcel, "reason": "identified by video call"}, signed=True)
        self.assertEqual((got["status"], got["result"]["slot"]), ("done", slot), got)
        self.sim.wait(slot, door="open", coil=False)
        self.sim.do(f"take {slot}", f"close {slot}")
        accepted = self.backend.command("accept", {"session": got["result"]["session"]}, signed=True)
        self.assertEqual(accepted["status"], "done", accepted)
        wait(lambda: parcel not in self.admin.parcels(), "the parcel gone")
        self.assertEqual(self.admin.find_history(parcel)["state"], "collected")

    def test_open_needs_a_right_signature(self):
        """Requirement: F5, F8"""
        before = self.pulses()
        arguments = {"slot": "03", "reason": "inspection"}
        self.refused(self.backend.command("open", arguments, signed=False), "NotSigned")
        body = {"cabinet": self.number, "name": "open", **self.backend.body("open", arguments)}
        other = SigningKey(self.keys, "key-2")
        self.refused(self.backend.ask("open", other.sign(body)), "BadSignature")
        self.refused(self.backend.ask("open", other.sign(body, {"alg": "EdDSA", "kid": "key-1"})), "BadSignature")
        signed = self.key.sign(body)
        self.refused(self.backend.ask("open", signed[:-2] + (b"AA" if signed[-2:] != b"AA" else b"BB")), "BadSignature")
        elsewhere = self.key.sign({**body, "cabinet": "C-9999", "id": "elsewhere"})
        self.assertNotEqual(self.backend.ask("open", elsewhere)["status"], "done")
        other_name = self.key.sign({**body, "name": "enable", "id": "othername"})
        self.assertNotEqual(self.backend.ask("open", other_name)["status"], "done")
        self.assertEqual(self.pulses(), before)
        answer = self.backend.ask("open", signed)
        self.assertEqual(answer["status"], "done", answer)
        self.assertEqual(self.sim.place("03")["pulses"], 1)
        self.assertIn("backend:key-1", [e["actor"] for e in self.audit() if e["type"] == "operator.opened"])

    def audit(self):
        import sqlite3
        with sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True) as db:
            return [dict(zip(("type", "actor"), row)) for row in
                    db.execute("SELECT e.type, a.actor FROM event e JOIN audit a USING (sequence)")]

    def test_repeat_gets_the_stored_answer_and_opens_once(self):
        """Requirement: F5"""
        body = {"cabinet": self.number, "name": "open", **self.backend.body("open", {"slot": "04", "reason": "inspection"}, id="once-1")}
        signed = self.key.sign(body)
        first = self.backend.ask("open", signed)
        self.assertEqual(first["status"], "done", first)
        self.sim.wait("04", door="open", coil=False)
        self.sim.do("close 04")
        self.admin.wait_slot("04", Door="locked")
        self.assertEqual(self.backend.ask("open", signed), first)
        self.cabinet.restart(kill=True)
        self.wait_online()
        self.assertEqual(self.backend.ask("open", signed), first)
        self.assertEqual(self.sim.place("04")["pulses"], 1)
        self.refused(self.backend.command("snapshot", id="once-1"), "IdReused")

    def test_expired_is_refused_also_later(self):
        """Requirement: F5"""
        before = self.pulses()
        answer = self.backend.command("open", {"slot": "05", "reason": "inspection"}, signed=True, expires=-1)
        self.refused(answer, "Expired")
        self.assertEqual(self.pulses(), before)

    def test_command_sent_while_the_cabinet_is_away_expires(self):
        """Requirement: F5"""
        self.cabinet.stop_daemon()
        correlation = b"late"
        body = {"cabinet": self.number, "name": "open", **self.backend.body("open", {"slot": "06", "reason": "inspection"}, expires=1)}
        self.backend.publish("open", self.key.sign(body), correlation)
        fresh = b"fresh"
        self.backend.publish("announce", self.key.sign({"cabinet": self.number, "name": "announce",
                                                        **self.backend.body("announce", {"size": "S"}, expires=600)}), fresh)
        time.sleep(1.5)
        self.cabinet.start_daemon()
        self.refused(wait(lambda: self.backend.answers(correlation), "an answer")[0], "Expired")
        self.assertEqual(wait(lambda: self.backend.answers(fresh), "an answer")[0]["status"], "done")
        self.assertEqual(self.sim.place("06")["pulses"], 0)

    def test_malformed_each_its_own_answer_and_nothing_opens(self):
        """Requirement: F5"""
        before = self.pulses()
        good = self.backend.body("announce", {"size": "S"})
        rows = [
            (b"", "InvalidArgument"), (b"{", "InvalidArgument"), (b"[]", "InvalidArgument"), (b"\xff\xfe", "InvalidArgument"),
            (json.dumps({**good, "id": "no spaces allowed"}).encode(), "InvalidArgument"),
            (json.dumps({**good, "expires": "tomorrow"}).encode(), "InvalidArgument"),
            (json.dumps({**good, "surprise": 1}).encode(), "InvalidArgument"),
            (json.dumps({**good, "id": "a2", "arguments": {"size": "XXL"}}).encode(), "NotSigned"),
            (b'{"id":"a4","id":"a5","expires":"2099-01-01T00:00:00Z","arguments":{}}', "InvalidArgument"),
            (b'{"a":' * 2000 + b"1" + b"}" * 2000, "InvalidArgument"),
            (json.dumps({**good, "id": "a6", "arguments": {"size": "S", "waybill": "x" * 70000}}).encode(), "InvalidArgument"),
            (b"a.b.c", "BadSignature"),
        ]
        for payload, error in rows:
            with self.subTest(payload[:60]):
                self.refused(self.backend.ask("announce", payload), error)
        for arguments, error in (({"size": "XXL"}, "UnknownSize"), ({"size": 5}, "InvalidArgument"), ({}, "InvalidArgument")):
            self.refused(self.backend.command("announce", arguments), error)
        self.refused(self.backend.command("make-coffee"), "UnknownCommand")
        self.refused(self.backend.command("make-coffee", signed=False), "UnknownCommand")
        self.assertEqual(self.pulses(), before)
        self.assertEqual(self.admin.parcels(), {})

    def test_rule_parcels_slots_and_people(self):
        """Requirement: D4, F8, F9"""
        put = self.store(phone="015123456789")
        parcel = int(put.parcel.rsplit("/", 1)[1])
        self.refused(self.backend.command("new-code", {"parcel": parcel, "reason": "lost"}, signed=False), "NotSigned")
        code = self.backend.command("new-code", {"parcel": parcel, "reason": "lost"}, signed=True)["result"]["code"]
        session = self.client.start_session("recipient")
        with self.assertRaises(DBusError):
            session.authenticate_code(put.receipt["code"])
        session.authenticate_code(code)
        session.end()
        self.assertEqual(self.backend.command("disable", {"slot": "09", "reason": "hinge"})["status"], "done")
        self.assertEqual(self.admin.slot("09")["Service"], "disabled")
        self.assertEqual(self.backend.command("enable", {"slot": "09", "reason": "mended"})["status"], "done")
        self.refused(self.backend.command("disable", {"slot": "99", "reason": "hinge"}), "UnknownSlot")
        enrolled = self.backend.command("enrol", {"kind": "courier", "number": "8", "name": "Ada", "pin": "917360"}, signed=True)
        self.assertEqual(enrolled["status"], "done", enrolled)
        self.client.start_session("courier").authenticate_pin("8", "917360")
        self.assertEqual(self.backend.command("revoke", {"person": enrolled["result"]["person"], "reason": "left"}, signed=True)["status"], "done")
        self.assertEqual(self.backend.command("recall", {"parcel": parcel, "reason": "sender"})["status"], "done")
        self.assertEqual(self.admin.parcel(parcel)["State"], "recalled")
        self.refused(self.backend.command("recall", {"parcel": 999, "reason": "sender"}), "UnknownParcel")


class Examples(BackendTest):
    """The commands of schema/mqtt/examples, given to a real cabinet once each."""
    settings = {"Session": {"Unanswered": "collected"}}

    def give(self, example, status="done", error=None, **arguments):
        with open(EXAMPLES / f"command-{example}.json", encoding="utf-8") as f:
            command = json.load(f)
        self.left.remove(example)
        name = example.split(".", maxsplit=1)[0]
        given = {**command.get("arguments", {}), **arguments}
        answer = self.backend.command(name, {k: v for k, v in given.items() if v is not None}, id=command["id"])
        self.assertEqual((answer["id"], answer["name"]), (command["id"], name))
        if status:
            self.assertEqual((answer["status"], answer.get("error")), (status, error), answer)
        return answer.get("result")

    def shut(self, slot, *actions):
        self.sim.wait(slot, door="open", coil=False)
        self.sim.do(*[f"{action} {slot}" for action in actions], f"close {slot}")

    def test_every_example_is_carried_out(self):
        """Numbers of parcels, people and places are this cabinet's.

        Requirement: E1, F5"""
        self.left = {p.name[len("command-"):-len(".json")] for p in EXAMPLES.glob("command-*.json")}
        self.give("enrol.courier")
        person = self.give("enrol")["person"]
        self.give("enrol-credential", person=person)
        listed = self.give("list-credentials", person=person)["credentials"]
        pattern = next(c for c in listed if c["kind"] == "pattern")
        self.assertEqual((pattern["consent"]["text"], pattern["consent"]["place"]), ("pattern-notice", "backend"))
        self.give("revoke-credential", person=person)
        self.assertNotIn("pattern", [c["kind"] for c in self.backend.command("list-credentials", {"person": person}, signed=True)["result"]["credentials"]])
        announced = self.give("announce")["parcel"]
        put = self.give("deposit.announced", parcel=announced)
        self.shut(put["slot"], "put")
        self.admin.wait_parcel(announced, "stored")
        self.give("revoke-code", parcel=announced)
        self.assertTrue(self.give("new-code", parcel=announced)["code"])
        taken = self.give("collect", parcel=announced)
        self.shut(taken["slot"], "take")
        self.give("does-not-open", session=taken["session"])
        self.give("reject", session=taken["session"])
        self.give("accept", session=taken["session"])
        self.shut(taken["slot"])
        self.give("end", session=taken["session"])
        wait(lambda: announced not in self.admin.parcels(), "the parcel gone")
        put = self.give("deposit")
        second = self.give("not-empty", session=put["session"])
        third = self.give("too-small", session=put["session"])
        self.assertEqual(len({put["slot"], second["slot"], third["slot"]}), 3)
        for slot in (put["slot"], second["slot"]):
            self.shut(slot)
        self.shut(third["slot"], "put")
        self.admin.wait_parcel(put["parcel"], "stored")
        self.assertEqual(self.give("reopen", session=put["session"])["slot"], third["slot"])
        self.give("cancel", session=put["session"])
        self.shut(third["slot"], "take")
        wait(lambda: put["parcel"] not in self.admin.parcels(), "the deposit cancelled")
        session = self.courier(pin="830174")
        put = session.deposit(size="M")
        self.put_in(session, put)
        parcel = put.receipt["parcel"]
        self.give("recall", parcel=parcel)
        self.give("release", "refused", parcel=parcel, error="WrongState")
        taken = self.give("take-back")
        self.assertEqual([p["parcel"] for p in taken["parcels"]], [parcel])
        self.shut(put.slot, "take")
        wait(lambda: parcel not in self.admin.parcels(), "the parcel taken back")
        self.give("disable")
        self.assertEqual(self.admin.slot("12")["Service"], "disabled")
        self.give("enable")
        self.give("open", slot="12", position=0)
        self.give("lift-lockout")
        self.give("set-thresholds")
        self.give("revoke", person=person)
        self.give("snapshot")
        self.give("replay", **{"from": 2, "to": 5})
        self.give("recommend", status=None)
        self.assertEqual(self.left, set())

    def test_the_judge_notices_a_wrong_message(self):
        judge = Judge()
        heard = {m.topic.split("/")[3]: m for m in self.backend.receive()}
        self.assertEqual(judge.complaints(self.number, heard["state"]), [])
        for name, change in (("state", {"presence": "away"}), ("state", {"outbox": -1}), ("event", {"sequence": 1}), ("event", {"data": {}}),
                             ("event", {"type": "org.lockerd.slot.enabled"})):
            m = heard[name]
            self.assertTrue(judge.complaints(self.number, m._replace(payload=json.dumps({**json.loads(m.payload), **change}))))
        self.assertTrue(judge.complaints(self.number, Message("lockerd/v1/C-0012/other", b"{}", None, False)))
        self.assertTrue(judge.complaints(self.number, heard["state"]._replace(payload=b'{"cabinet":"C-0012","cabinet":"C-0012"}')))


main()
