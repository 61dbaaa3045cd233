# SPDX-License-Identifier: Apache-2.0
"""The short-range link: couriers and recipients with handhelds, by the reference handheld of examples/handheld."""
import contextlib
import json
import os
import sqlite3
import subprocess
import time

from daemonlib import TREE, main, wait
from linklib import Link, LinkTest, SocketStream, check, place_of


class Errands(LinkTest):
    settings = {"Session": {"ReopenGrace": "20s", "AnswerTimeout": "20s"}}

    def test_a_courier_deposits_and_a_recipient_collects_with_the_computed_code(self):
        """Requirement: B1, B2, B3"""
        self.assertGreaterEqual(check(TREE / "docs" / "link.md"), 5)
        with self.handheld("4711") as link:
            hello = link.hello
            self.assertEqual((hello["cabinet"], hello["who"], hello["courier"], hello["clock"]), ("C-0012", "courier", "4711", "known"))
            self.assertIn("S", hello["sizes"])
            before = time.time_ns() // 1000
            put, code = self.bring(link, phone="015112345678")
            self.assertLess(abs(put.deposited - before), 60_000_000)
            other, other_code = self.bring(link)
            self.assertNotEqual(put.key, other.key)
            link.request("end")
        with self.handheld() as link:
            self.assertEqual((link.hello["who"], "courier" in link.hello), ("recipient", False))
            with self.only(put.slot):
                got = place_of(link.request("collect", code=code.lower(), cabinet="C-0012"))
                self.assertEqual((got.parcel, got.slot, got.position), (put.parcel, put.slot, put.position))
                self.take(got)
                link.request("accept")
                self.shut(got)
                link.wait_prompt("collected")
        # Once, here as at the kiosk; the neighbour's is untouched and opens at the kiosk like any other.
        with self.handheld() as link:
            self.assertSaysNo("WrongCode", link, "collect", code=code)
        self.assertEqual(self.admin.parcel(other.parcel)["State"], "stored")
        self.assertEqual(self.collect(other_code).slot, other.slot)

    def test_lockerctl_shows_and_tries_the_link(self):
        """Requirement: F4, F8"""
        def run(*arguments):
            return subprocess.run([os.path.join(self.cabinet.build, "src", "ctl", "lockerctl"), *arguments, "link", "--config", self.cabinet.config],
                                  capture_output=True, text=True, check=False, env=self.cabinet.environment())
        done = run()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for text in ("Cabinet C-0012", "Its certificate: ", "Warning: that is soon", "Revoked: no list", f"{self.socket}: connected",
                     "signed by an authority of CaFile=", "cabinet C-0012, clock known", "The link is fine."):
            self.assertIn(text, done.stdout)
        self.assertTrue(json.loads(run("--json").stdout)["ok"])
        self.cabinet.stop_daemon()
        gone = run()
        self.assertEqual(gone.returncode, 1)
        self.assertIn("Does lockerd run?", gone.stderr)
        other = self.authority.cabinet("C-0099")[0]
        with open(self.cabinet.config, encoding="utf-8") as f:
            text = f.read()
        with open(self.cabinet.config, "w", encoding="utf-8") as f:
            f.write(text.replace(self.settings["Link"]["CertFile"], other))
        wrong = run()
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("KeyFile=", wrong.stderr)
        self.cabinet.start_daemon()  # it serves the kiosk all the same, and says what is wrong
        wait(lambda: self.admin.health().get("link", ("",))[0] == "failed", "the failure at a glance")
        self.assertIn("KeyFile=", self.admin.health()["link"][1])

    def test_too_small_brings_another_place_and_another_code(self):
        """Requirement: B2, F3"""
        link = self.handheld("4711")
        first = place_of(link.request("deposit", size="S"))
        old = self.code_of(link, vars(first))
        self.reach(first)
        second = place_of(link.request("too-small"))
        self.assertNotEqual((first.slot, first.key), (second.slot, second.key))
        self.assertEqual(first.parcel, second.parcel)
        self.shut(first)
        self.put(second)
        self.shut(second)
        link.wait_prompt("stored")
        mark = self.last_event()
        recipient = self.handheld()
        self.assertSaysNo("WrongCode", recipient, "collect", code=old)
        self.assertEqual(self.wait_event("code.wrong", after=mark).data, {"why": "replaced"})
        got = place_of(recipient.request("collect", code=self.code_of(link, vars(second))))
        self.assertEqual(got.slot, second.slot)
        self.take(got)
        recipient.request("reject")
        self.put(got)
        self.shut(got)
        recipient.wait_prompt("rejected")
        # Rejected: the courier takes it back, and no code opens it.
        mark = self.last_event()
        self.assertSaysNo("WrongCode", recipient, "collect", code=self.code_of(link, vars(second)))
        self.assertEqual(self.wait_event("code.wrong", after=mark).data, {"why": "rejected"})
        back = link.request("take-back")
        self.assertEqual([p["parcel"] for p in back["parcels"]], [second.parcel])
        self.take(got)
        self.shut(got)
        link.wait_prompt("done")

    def test_cancel_reopen_does_not_open_and_not_empty(self):
        """Requirement: B1, F2, F3"""
        link = self.handheld("4711")
        put = place_of(link.request("deposit", size="S"))
        code = self.code_of(link, vars(put))
        self.reach(put)
        link.request("cancel")
        self.shut(put)
        link.wait_prompt("cancelled")
        mark = self.last_event()
        self.assertSaysNo("WrongCode", self.handheld(), "collect", code=code)
        self.assertEqual(self.wait_event("code.wrong", after=mark).data, {"why": "cancelled"})
        put, _ = self.bring(link)
        self.assertEqual(link.request("reopen")["slot"], put.slot)
        self.reach(put)
        other = place_of(link.request("not-empty"))
        self.assertNotEqual(other.slot, put.slot)
        self.assertEqual(link.request("does-not-open")["slot"], other.slot)
        self.shut(put)
        self.put(other)
        self.shut(other)
        link.wait_prompt("stored")
        self.assertEqual(self.fetch(self.code_of(link, vars(other))).slot, other.slot)

    def test_a_phone_that_leaves_is_like_a_kiosk_that_leaves(self):
        """Requirement: B1, A6"""
        link = self.handheld("4711")
        put = place_of(link.request("deposit", size="S"))
        self.put(put)
        link.stream.close()
        wait(lambda: "terminal gone" in self.endings(), "the end of its session")
        self.shut(put)
        wait(lambda: self.admin.parcels()[put.parcel]["State"] in ("stored", "unverified"), "what came of it")
        self.assertEqual(self.admin.slot(put.slot)["InUse"], False)

    def endings(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return [how for how, in db.execute("SELECT how FROM session WHERE terminal = 'link'")]

    def test_what_it_costs_in_bytes_and_round_trips(self):
        """The figures of docs/link.md, for radios that are slow: what a change adds is seen here.

        Requirement: B1"""
        class Counting(SocketStream):
            up = down = turns = 0
            waiting = False

            def send(self, data):
                self.up += len(data)
                self.turns += not self.waiting
                self.waiting = True
                super().send(data)

            def receive(self, timeout):
                data = super().receive(timeout)
                self.down += len(data)
                self.waiting = False
                return data

            def cost(self):
                result = (self.up, self.down, self.turns)
                self.up = self.down = self.turns = 0
                self.waiting = False
                return result
        costs = {}
        for who, files in (("courier", self.couriers["4711"]), ("recipient", (None, None))):
            stream = Counting(f"unix:{self.socket}")
            link = Link(stream, "C-0012", self.authority.file, *files)
            costs[f"{who}: handshake and hello"] = stream.cost()
            if who == "courier":
                put = place_of(link.request("deposit", size="S", phone="+49 171 1234567"))
                costs["deposit"] = stream.cost()
                code = self.code_of(link, vars(put))
                self.put(put)
                self.shut(put)
                link.wait_prompt("stored")
            else:
                got = place_of(link.request("collect", code=code))
                costs["collect"] = stream.cost()
                self.take(got)
                link.request("accept")
                self.shut(got)
                link.wait_prompt("collected")
            link.close()
        bounds = {"courier: handshake and hello": (1400, 1750, 2), "recipient: handshake and hello": (520, 1750, 2),
                  "deposit": (130, 500, 1), "collect": (100, 420, 1)}
        for what, most in bounds.items():
            for n, limit in zip(costs[what], most):
                self.assertLessEqual(n, limit, f"{what}: {costs[what]}")

    def test_each_may_do_what_is_theirs(self):
        """Requirement: B1, A5, F17"""
        courier, recipient = self.handheld("4711"), self.handheld()
        with self.only():
            self.say_no(courier, recipient)

    def say_no(self, courier, recipient):
        self.assertSaysNo("NotAllowed", courier, "collect", code="ZZZZZZ")
        for request in ("deposit", "take-back", "too-small", "not-empty"):
            self.assertSaysNo("NotAuthenticated", recipient, request, **({"size": "S"} if request == "deposit" else {}))
        for request in ("accept", "reject", "cancel", "reopen", "does-not-open", "end"):
            self.assertSaysNo("WrongState", recipient, request)
        for request in ("too-small", "cancel", "reopen"):
            self.assertSaysNo("WrongState", courier, request)
        self.assertSaysNo("UnknownSize", courier, "deposit", size="XXL")
        self.assertSaysNo("InvalidArgument", courier, "deposit")
        self.assertSaysNo("InvalidArgument", courier, "deposit", size="S", code="A")
        self.assertSaysNo("UnknownCommand", courier, "open", slot="01")
        self.assertSaysNo("NotAuthenticated", recipient, "collect")
        # An enrolled courier who is revoked is one no longer, whatever the certificate says.
        person = next(p[0] for p in self.admin.people() if p[2] == "4711")
        self.admin.revoke(person)
        self.assertSaysNo("UnknownPerson", courier, "deposit", size="S")


main()
