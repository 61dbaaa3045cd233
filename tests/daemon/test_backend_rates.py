#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How fast commands are taken: a fleet backend's burst passes, what exceeds waits its turn, and nobody's flood keeps others waiting.

Usage: test_backend_rates.py BUILD_DIR [unittest arguments]"""
import base64
import collections
import json
import time

from backendlib import BackendTest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from daemonlib import main
from dbusclient import wait

BURST, A_SECOND, WAITING = 300, 5, 128  # schema/mqtt/README.md, Commands
ANSWERS = 200


class Rates(BackendTest):
    def signed(self, name, arguments):
        """→ (id, what to publish)"""
        body = self.backend.body(name, arguments, expires=600)
        with open(self.key.private, "rb") as f:  # in this process: hundreds of openssl would be the slowest part
            key = load_pem_private_key(f.read(), None)
        parts = {"alg": "EdDSA", "kid": self.key.name}, {"cabinet": self.number, "name": name, **body}
        text = b".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts)
        return body["id"], text + b"." + base64.urlsafe_b64encode(key.sign(text)).rstrip(b"=")

    def replies(self):
        """By id, all of them."""
        found = collections.defaultdict(list)
        for m in self.backend.topics("reply"):
            answer = json.loads(m.payload)
            found[answer["id"]].append(answer)
        return found

    def test_burst_passes_what_exceeds_waits_and_nothing_is_lost(self):
        """More than may be waiting is refused, which leaves no trace: the same id is carried out later."""
        n = BURST + WAITING + 60
        commands = dict(self.signed("set-thresholds", {"reminder": 3600 + i, "recall": 360000}) for i in range(n))
        begin = time.monotonic()
        for payload in commands.values():
            self.backend.publish("set-thresholds", payload)
        sent = time.monotonic() - begin
        # While they wait, somebody stands at a door.
        asked = time.monotonic()
        answer = self.backend.command("open", {"slot": "03", "reason": "because"})
        self.assertEqual("done", answer["status"], answer)
        self.assertLess(time.monotonic() - asked, 8)
        wait(lambda: sum(a[0]["status"] == "done" for a in self.replies().values()) > BURST, "the burst", 20)
        early = self.replies()
        busy = {i for i in commands if i in early and early[i][0].get("error") == "Busy"}
        self.assertGreater(len(busy), 60 - A_SECOND * (sent + 5))
        self.assertIn("more than", early[next(iter(busy))][0]["message"])
        wait(lambda: set(commands) <= set(self.replies()), "an answer to each", 60)
        self.assertGreater(time.monotonic() - begin, (WAITING - 20) / A_SECOND, "at the promised pace and no faster")
        for i in busy:
            self.backend.publish("set-thresholds", commands[i])
        wait(lambda: all(any(a["status"] == "done" for a in self.replies()[i]) for i in commands), "all of them done", 60)
        done = {i: sum(a["status"] == "done" for a in answers) for i, answers in self.replies().items() if i in commands}
        self.assertEqual({1}, set(done.values()), "each once")
        self.wait_drained()
        changes = [e for e in self.backend.events() if e["type"] == "org.lockerd.thresholds.set"]
        self.assertEqual(n, len({e["data"]["reminder"] for e in changes}))
        self.assertEqual(n, len(changes))

    def test_a_hundred_people_are_enrolled_at_once_and_nobody_at_the_cabinet_waits_for_them(self):
        """Each costs a hash, as does who signs in.

        Requirement: C1, F4, F17
        """
        self.admin.enrol_courier("4711", "258036")
        commands = dict(self.signed("enrol", {"kind": "courier", "number": f"{1000 + i}", "pin": f"{739182 + 131 * i}"}) for i in range(120))
        for payload in commands.values():
            self.backend.publish("enrol", payload)
        signed_in = 0
        while not set(commands) <= set(self.replies()):
            session = self.client.start_session("courier")
            begin = time.monotonic()
            session.authenticate_pin("4711", "258036")
            self.assertLess(time.monotonic() - begin, 3)
            session.end()
            signed_in += 1
        self.assertGreater(signed_in, 1)
        self.assertEqual({"done"}, {a["status"] for i in commands for a in self.replies()[i]})
        self.assertEqual(121, len(self.admin.people()))

    def test_what_waited_at_a_power_cut_is_carried_out_once_when_it_is_repeated(self):
        commands = dict(self.signed("set-thresholds", {"reminder": 3600 + i, "recall": 360000}) for i in range(BURST + 60))
        for payload in commands.values():
            self.backend.publish("set-thresholds", payload)
        wait(lambda: len(self.replies()) >= BURST, "the burst", 20)
        self.cabinet.restart(kill=True)
        lost = set(commands) - set(self.replies())
        self.assertTrue(lost, "some were waiting")
        self.wait_online()
        for i in lost:
            self.backend.publish("set-thresholds", commands[i])
        wait(lambda: set(commands) <= set(self.replies()), "an answer to each", 60)
        others = [a["error"] for i in commands for a in self.replies()[i] if a["status"] != "done"]
        self.assertIn(others, ([], ["OutcomeUnknown"]), "at most the one that was being carried out")
        self.wait_drained()
        changes = collections.Counter(e["data"]["reminder"] for e in {e["id"]: e for e in self.backend.events()}.values()
                                      if e["type"] == "org.lockerd.thresholds.set")
        self.assertEqual((len(commands), {1}), (len(changes), set(changes.values())))

    def test_flood_without_a_key_gets_few_answers_and_holds_up_nobody(self):
        """Answers cost the cabinet's line, and the log its disk."""
        head = self.admin.cabinet("LastEvent")
        for _ in range(3 * ANSWERS):
            self.backend.publish("open", json.dumps(self.backend.body("open", {"slot": "03", "reason": "because"})).encode())
        asked = time.monotonic()
        self.assertEqual("done", self.backend.command("disable", {"slot": "03", "reason": "because"})["status"])
        self.assertLess(time.monotonic() - asked, 8)
        refused = sum(a[0].get("error") == "NotSigned" for a in self.replies().values())
        self.assertGreaterEqual(refused, ANSWERS)
        self.assertLess(refused, 2 * ANSWERS)
        self.assertIn("are left without an answer", self.cabinet.log())
        self.assertLess(self.cabinet.log().count("is refused"), 2 * ANSWERS)
        self.assertLess(self.admin.cabinet("LastEvent") - head, 20)

    def test_recorded_command_that_is_sent_again_and_again_is_answered_at_the_same_pace(self):
        body = self.backend.body("disable", {"slot": "03", "reason": "because"})
        payload = self.key.sign({"cabinet": self.number, "name": "disable", **body})
        self.assertEqual("done", self.backend.ask("disable", payload)["status"])
        for _ in range(3 * ANSWERS):
            self.backend.publish("disable", payload)
        self.assertEqual("done", self.backend.command("enable", {"slot": "03", "reason": "because"})["status"])
        again = len(self.replies()[body["id"]])
        self.assertGreaterEqual(again, ANSWERS)
        self.assertLess(again, 2 * ANSWERS)
        time.sleep(2)
        self.assertEqual("done", self.backend.ask("disable", payload)["status"], "who goes on asking is answered")

    def test_errands_wait_their_turn_and_others_do_not_wait_for_them(self):
        """Sessions that begin at the backend: on D-Bus each connection has its bounds, here there is one for all."""
        n = ANSWERS + 25
        commands = dict(self.signed("collect", {"parcel": 999, "reason": "because"}) for _ in range(n))
        begin = time.monotonic()
        for payload in commands.values():
            self.backend.publish("collect", payload)
        self.assertEqual("done", self.backend.command("disable", {"slot": "03", "reason": "because"})["status"])
        took = time.monotonic() - begin
        if took < 3:  # else the machine was too slow to be held up
            self.assertLess(len(self.replies()), n)
        wait(lambda: set(commands) <= set(self.replies()), "an answer to each", 60)
        self.assertEqual({"UnknownParcel"}, {a["error"] for i in commands for a in self.replies()[i]})
        self.assertGreater(time.monotonic() - begin, 25 / A_SECOND - 0.5)

    def test_questions_wait_their_turn(self):
        n = 90
        for i in range(n):
            self.backend.publish("snapshot", json.dumps(self.backend.body("snapshot", id=f"q{i}")).encode())
        begin = time.monotonic()
        wait(lambda: len(self.replies()) >= 60, "the first")
        self.assertLess(len(self.replies()), n)
        wait(lambda: len(self.replies()) == n, "all", 60)
        self.assertGreater(time.monotonic() - begin, (n - 60) / 2 - 3)


if __name__ == "__main__":
    main()
