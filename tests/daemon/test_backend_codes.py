# SPDX-License-Identifier: Apache-2.0
"""What the backend hears of codes and people: enough for the courier and the recipient, and nothing that is nobody's business."""
import calendar
import glob
import json
import os
import shutil
import signal
import tempfile
import time

from backendlib import BackendTest
from daemonlib import main
from dbusclient import wait
from jwcrypto import jwe, jwk
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from people import Scenario

PLACE = {"name": "House 7, north entrance", "address": "7 Example Lane, 00000 Example Town", "latitude": 52.52, "longitude": 13.405}


class Told(BackendTest, Scenario):
    settings = {"Session": {"ReopenGrace": "0"}}

    def deposit(self, size="S", **arguments):
        """A courier's deposit by way of the backend, up to the shut door → the answer's result."""
        if "4711" not in {p[2] for p in self.admin.people()}:
            self.admin.enrol_courier("4711", "258036")
        answer = self.backend.command("deposit", {"courier": "4711", "size": size, **arguments}, signed=True)
        self.assertEqual(answer["status"], "done", answer)
        put = answer["result"]
        self.sim.wait(put["slot"], door="open", coil=False)
        self.sim.do(f"put {put['slot']}", f"close {put['slot']}")
        self.admin.wait_parcel(put["parcel"], "stored")
        return put

    def told(self, type, parcel=None):
        return [e for e in self.backend.events() if e["type"] == f"org.lockerd.{type}" and parcel in (None, e["data"].get("parcel"))]

    def issued(self, parcel, n=1):
        """The n-th code of a parcel, as the backend hears of it."""
        return wait(lambda: (self.told("code.issued", parcel) + [None] * n)[n - 1], f"code {n} of parcel {parcel}")


class Couriers(Told):
    def test_code_comes_with_the_cabinet_and_its_place(self):
        """Requirement: D2"""
        put = self.deposit(recipient="Erika Mustermann", phone="+49 171 5559876", waybill="JD1")
        event = self.issued(put["parcel"])
        data = event["data"]
        self.assertEqual((data["cabinet"], data["place"]), (self.number, PLACE))
        self.assertEqual(data["secret"], {"code": put["code"], "courier": "4711", "phone": "+49 171 5559876"})
        self.assertEqual(data["phone"][-4:], "9876")
        self.assertIn("*", data["phone"])
        self.assertEqual((data["slot"], data["position"], data["waybill"], data["expires"]), (put["slot"], put["position"], "JD1", put["expires"]))
        self.assertGreater(data["expires"] / 1e6, time.time() + 71 * 3600)
        # At the terminal it is the same, and the code is one that opens.
        there = self.store(phone="+49 171 5559876")
        event = self.issued(there.receipt["parcel"])
        self.assertEqual((event["data"]["place"], event["data"]["secret"]["code"]), (PLACE, there.receipt["code"]))
        self.collect(put["code"])
        self.collect(event["data"]["secret"]["code"])

    def test_announced_parcel_is_known_by_its_number_until_it_is_gone(self):
        """Requirement: E1"""
        announced = self.backend.command("announce", {"size": "M", "recipient": "Erika Mustermann", "phone": "+49 171 5559876", "waybill": "JD2"})
        parcel = announced["result"]["parcel"]
        begin = time.time()
        put = self.deposit(size="M", parcel=parcel)
        self.assertEqual(put["parcel"], parcel)
        stored = wait(lambda: self.told("parcel.stored", parcel), "the deposit told")[0]
        self.assertTrue(begin - 1 <= seconds(stored["time"]) <= time.time() + 1, "the time of the deposit")
        self.assertEqual(stored["data"]["waybill"], "JD2")
        self.collect(put["code"])
        wait(lambda: self.told("parcel.collected", parcel), "the pickup told")
        states = [e["type"].removeprefix("org.lockerd.parcel.") for e in self.backend.events() if e["subject"] == f"parcel:{parcel}" and ".parcel." in e["type"]]
        self.assertEqual(states, ["announced", "depositing", "stored", "collecting", "collected"])
        self.assertEqual({e["data"]["waybill"] for e in self.backend.events() if e["subject"] == f"parcel:{parcel}" and "waybill" in e["data"]}, {"JD2"})


def seconds(rfc3339):
    whole, _, fraction = rfc3339.removesuffix("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")


class Guesses(Told):
    settings = {"Session": {"ReopenGrace": "0", "IdleTimeout": "1min"}, "Lockout": {"Duration": "2s"}}

    def test_new_code_after_the_wait_reaches_the_courier_also_when_the_broker_was_away(self):
        """Requirement: D4, D2, B4"""
        put, other = self.store(), self.store()
        number = put.receipt["parcel"]
        self.issued(number)
        self.wait_drained()
        self.broker.leave()
        wait(lambda: self.admin.health()["backend"][0] == "degraded", "the broker away")
        session = self.client.start_session("recipient")
        for _ in range(3):
            self.assertRefused("WrongCode", session.authenticate_code, "000000", slot=put.slot)
        session.end()
        self.wait_event("lockout.ended")
        self.assertEqual(len(self.told("code.issued", number)), 1)
        self.broker.start()
        event = self.issued(number, 2)
        self.assertTrue(event["offline"])
        self.assertEqual(event["data"]["secret"]["courier"], "4711")
        self.assertEqual(event["data"]["place"], PLACE)
        self.assertNotEqual(event["data"]["secret"]["code"], put.receipt["code"])
        locked = self.told("lockout.locked")
        self.assertTrue(locked and int(locked[0]["sequence"]) < int(event["sequence"]))
        self.assertEqual(self.told("code.issued", other.receipt["parcel"])[1:], [], "others keep theirs")
        wait(lambda: not self.admin.lockouts(), "the end of the wait")
        self.recipient(put.receipt["code"]).end()  # the first one is not void
        self.collect(event["data"]["secret"]["code"])


class Lifted(Told):
    settings = {"Session": {"ReopenGrace": "0", "IdleTimeout": "1min"}}

    def test_signed_command_lifts_what_a_vandal_has_locked_and_no_code_is_void(self):
        """Requirement: F15, D4, F9"""
        put = self.store(phone="+49 171 5559876")
        session = self.client.start_session("recipient")
        for _ in range(3):
            self.assertRefused("WrongCode", session.authenticate_code, "000000", phone_tail="9876")
        self.assertRefused("LockedOut", session.authenticate_code, put.receipt["code"])
        session.end()
        locked = wait(lambda: self.told("lockout.locked"), "the lockout told")
        subjects = {e["subject"] for e in locked}
        self.assertIn("claim:phone:***6", subjects)
        self.assertEqual(self.backend.command("lift-lockout", {"subject": "*", "reason": "asked"}, signed=False)["error"], "NotSigned")
        self.assertRefused("LockedOut", self.recipient, put.receipt["code"])
        for subject in subjects:  # as it was told
            answer = self.backend.command("lift-lockout", {"subject": subject, "reason": "the operator has called"})
            self.assertEqual(answer["status"], "done", answer)
        self.assertFalse(self.admin.lockouts())
        self.collect(put.receipt["code"])
        self.wait_drained()
        self.assertEqual(len(self.told("code.issued", put.receipt["parcel"])), 1, "no code is void, so none is new")
        for e in self.backend.events():
            self.assertNotIn("9876", e["subject"])


class Enrolled(Told):
    PHONE, PASSWORD = "+49 171 5559876", "correct horse battery"

    def enrol(self):
        answer = self.backend.command("enrol", {"kind": "recipient", "name": "Erika Mustermann", "phone": self.PHONE,
                                                "password": self.PASSWORD, "consent": True}, signed=True)
        self.assertEqual(answer["status"], "done", answer)

    def collect_by_password(self, parcel):
        session = self.client.start_session("recipient")
        session.authenticate_password(self.PHONE, self.PASSWORD)
        self.assertEqual([p.rsplit("/", 1)[1] for p in session.parcels], [str(parcel)])
        place = session.collect()
        self.take(place)
        session.accept()
        self.shut(place)
        session.wait_prompt("collected")
        session.end()


class Everybody(Enrolled):
    settings = {"Session": {"ReopenGrace": "0"}, "Codes": {"Everybody": "yes"}}

    def test_enrolled_one_gets_a_code_too_and_either_opens(self):
        """Requirement: C5, D2"""
        self.enrol()
        one, two = self.deposit(phone=self.PHONE), self.deposit(phone=self.PHONE)
        for put in (one, two):
            self.assertEqual(self.issued(put["parcel"])["data"]["secret"]["code"], put["code"])
        self.collect(one["code"])
        self.collect_by_password(two["parcel"])
        # Who is not enrolled: a code, as always.
        self.collect(self.deposit(phone="+49 30 1234567")["code"])

    def test_code_of_an_enrolled_one_is_void_after_the_password_was_used(self):
        """Requirement: C5, C3"""
        self.enrol()
        put = self.deposit(phone=self.PHONE)
        self.collect_by_password(put["parcel"])
        self.assertRefused("WrongCode", self.recipient, put["code"])


class OnlyStrangers(Enrolled):
    def test_enrolled_one_gets_none_and_nobody_hears_of_one(self):
        """Requirement: C5, C4"""
        self.enrol()
        put, stranger = self.deposit(phone=self.PHONE), self.deposit(phone="+49 30 1234567")
        self.assertNotIn("code", put)
        self.issued(stranger["parcel"])
        wait(lambda: self.told("parcel.stored", put["parcel"]), "the deposit told")
        self.wait_drained()
        self.assertEqual(self.told("code.issued", put["parcel"]), [])
        self.collect_by_password(put["parcel"])


class Discreet(Told):
    def test_nothing_of_what_commands_carry_is_told_logged_or_left_in_the_file(self):
        """Requirement: F9"""
        who = {"recipient": "Erika Mustermann", "phone": "+49 171 5559876"}
        announced = self.backend.command("announce", {"size": "S", **who})["result"]["parcel"]
        put = self.deposit(parcel=announced)
        code = self.backend.command("new-code", {"parcel": announced, "reason": "lost"}, signed=True)["result"]["code"]
        self.backend.command("enrol", {"kind": "courier", "number": "8", "name": "Zacharias Zaplatil", "pin": "739164825013"}, signed=True)
        self.backend.command("enrol", {"kind": "recipient", "name": "Quirin Quast", "phone": "+49 160 4443322", "password": "open sesame, please",
                                       "consent": True}, signed=True)
        self.backend.command("enrol", {"kind": "courier", "number": "9", "name": "Zacharias Zaplatil", "pin": "1"}, signed=True)
        self.collect(code)
        self.wait_drained()
        self.cabinet.stop_daemon()
        secrets = ["Mustermann", "Erika", "5559876", "Zaplatil", "739164825013", "Quast", "4443322", "sesame"]
        said = [m for m in self.backend.receive() if "/command/" not in m.topic]
        for message in said:
            text = message.payload.decode()
            if message.topic.endswith("/event/code.issued"):  # whom the code is for: there, and nowhere else
                self.assertEqual(json.loads(text)["data"]["secret"]["phone"], who["phone"])
                text = text.replace(who["phone"], "")
            for secret in secrets:
                self.assertNotIn(secret, text, message.topic)
            allowed = message.topic.endswith(("/reply", "/event/code.issued"))
            for secret in (code, put["code"]):
                self.assertFalse(secret in text and not allowed, message.topic)
        self.assertGreater(len(said), 15)
        for secret in [*secrets, code, put["code"]]:
            self.assertNotIn(secret, self.cabinet.log())
        files = glob.glob(self.cabinet.ledger + "*")
        self.assertTrue(files)
        for path in files:
            with open(path, "rb") as f:
                content = f.read()
            for secret in [*secrets, code, put["code"]]:
                self.assertNotIn(secret.encode(), content, path)
        self.assertIn("parcel", json.dumps([m.payload.decode() for m in said]), "the look itself works")
        self.cabinet.start_daemon()
        self.wait_online()


class Sealed(Told):
    """With a key of the backend no broker reads a code or a phone number. Opened by a library that is not ours."""

    def setUp(self):
        place = tempfile.mkdtemp(prefix="sealing-")
        self.addCleanup(shutil.rmtree, place)
        self.path = os.path.join(place, "secrets-2026.pem")
        self.private = self.new_key()
        self.mqtt = {"SealingKey": self.path}
        super().setUp()

    def new_key(self):
        key = jwk.JWK.generate(kty="EC", crv="P-256")
        with open(self.path, "wb") as f:
            f.write(key.export_to_pem())
        return key

    def open(self, sealed, key=None):
        self.assertEqual(set(sealed), {"jwe"})
        token = jwe.JWE()
        token.deserialize(sealed["jwe"], key=key or self.private)
        header = json.loads(token.objects["protected"])
        self.assertEqual((header["alg"], header["enc"], header["kid"]), ("ECDH-ES", "A256GCM", "secrets-2026"))
        return json.loads(token.payload)

    def test_only_the_backend_reads_codes_and_phone_numbers(self):
        """Requirement: F9, F17, D2"""
        put = self.deposit(phone="+49 171 5559876")
        self.assertNotIn("code", put)
        answer = self.open(put["sealed"])
        event = self.issued(put["parcel"])
        secret = self.open(event["data"]["secret"])
        self.assertEqual(secret, {"code": answer["code"], "courier": "4711", "phone": "+49 171 5559876", "cabinet": self.number, "event": event["id"]})
        renewed = self.backend.command("new-code", {"parcel": put["parcel"], "reason": "lost"}, id="renewal")["result"]
        self.assertEqual(self.open(renewed["sealed"])["command"], "renewal")
        code = self.open(self.issued(put["parcel"], 2)["data"]["secret"])["code"]
        self.assertEqual(code, self.open(renewed["sealed"])["code"])
        self.assertNotEqual(renewed["sealed"]["jwe"].split(".")[0], put["sealed"]["jwe"].split(".")[0], "a fresh key for each")
        self.collect(code)
        said = b"".join(m.payload for m in self.backend.receive() if "/command/" not in m.topic)
        for text in (code, answer["code"], "5559876"):
            self.assertNotIn(text.encode(), said)
        with self.assertRaises(jwe.InvalidJWEData):
            self.open(event["data"]["secret"], jwk.JWK.generate(kty="EC", crv="P-256"))

    def test_nothing_is_sent_unsealed_and_a_key_that_comes_is_taken_without_a_restart(self):
        """Requirement: F9, F4, B4"""
        with open(self.path, "w", encoding="utf-8") as f:
            f.write("no key")
        self.cabinet.restart()
        self.wait_online()
        wait(lambda: "SealingKey" in self.admin.health()["backend"][1], "said in health")
        there = self.store(phone="+49 171 5559876")
        code, parcel = there.receipt["code"], there.receipt["parcel"]
        self.cabinet.wait_log("wait until it is in order")
        time.sleep(1)
        self.assertEqual(self.told("code.issued", parcel), [])
        private = self.new_key()
        self.cabinet.daemon.send_signal(signal.SIGHUP)
        self.assertEqual(self.open(self.issued(parcel)["data"]["secret"], private)["code"], code)
        wait(lambda: self.admin.health()["backend"][0] == "ok", "in order again")
        # One that does not work is no reason to give up one that does.
        with open(self.path, "w", encoding="utf-8") as f:
            f.write("no key")
        self.cabinet.daemon.send_signal(signal.SIGHUP)
        self.cabinet.wait_log("the key from before stays in use")
        self.collect(code)
        again = self.store()
        self.open(self.issued(again.receipt["parcel"])["data"]["secret"], private)


class Reminded(Told):
    settings = {"Session": {"ReopenGrace": "0"}, "Reminders": {"QuietFrom": "00:00", "QuietUntil": "00:00"}}

    def test_reminder_says_whom_to_remind_and_only_once(self):
        """Requirement: F9, E3"""
        put = self.store(phone="+49 171 5559876")
        parcel = put.receipt["parcel"]
        answer = self.backend.command("set-thresholds", {"reminder": 1, "recall": 3})
        self.assertEqual(answer["status"], "done", answer)
        event = wait(lambda: self.told("parcel.recall-requested", parcel), "the request", 30)[0]
        self.assertEqual(event["data"]["secret"], {"phone": "+49 171 5559876"})
        self.assertNotIn("5559876", json.dumps({**event["data"], "secret": None}))
        self.wait_drained()
        before = len(self.backend.events())
        number = int(event["sequence"])
        self.assertEqual(self.backend.command("replay", {"from": number, "to": number})["status"], "done")
        again = wait(lambda: self.backend.events()[before:], "the replay")[-1]
        self.assertEqual((again["id"], "secret" in again["data"]), (event["id"], False))


class Diverted(Told):
    def test_answers_with_a_code_go_to_the_cabinets_reply_only(self):
        """Who has recorded a signed command sends it again, with a response topic of their own.

        Requirement: F17, F9
        """
        put = self.store()
        body = self.key.sign({"cabinet": self.number, "name": "new-code", **self.backend.body("new-code", {"parcel": put.receipt["parcel"], "reason": "lost"})})
        first = self.backend.ask("new-code", body)
        heard = []
        self.backend.client.message_callback_add("thief/#", lambda c, u, m: heard.append(m.payload))
        self.backend.client.subscribe("thief/#", qos=1)
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic, properties.CorrelationData = "thief/ear", b"stolen"
        self.backend.client.publish(f"lockerd/v1/{self.number}/command/new-code", body, qos=1, properties=properties)
        self.assertEqual(wait(lambda: self.backend.answers(b"stolen"), "the stored answer on reply")[0], first)
        # What is nobody's secret still goes where it is asked to.
        self.backend.client.publish(f"lockerd/v1/{self.number}/command/snapshot", json.dumps(self.backend.body("snapshot")).encode(), qos=1,
                                    properties=properties)
        wait(lambda: heard, "an answer without a code")
        self.assertNotIn(first["result"]["code"].encode(), b"".join(heard))


main()
