# SPDX-License-Identifier: Apache-2.0
"""Events that the broker refuses, that nobody hears, or that cannot be read: the others go on, and nothing is lost."""
import collections
import contextlib
import json
import os
import signal
import sqlite3
import tempfile
import time

from backendlib import BackendTest
from daemonlib import main
from dbusclient import wait


class Case(BackendTest):
    def heard(self):
        """Sequence numbers, how often each came."""
        return collections.Counter(int(e["sequence"]) for e in self.backend.events())

    def outbox(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return db.execute("SELECT e.sequence, e.type FROM outbox o JOIN event e USING (sequence) ORDER BY 1").fetchall()

    def backend_health(self):
        return tuple(self.admin.health()["backend"][:2])

    def wait_health(self, state, words="", timeout=30):
        wait(lambda: self.backend_health()[0] == state and words in self.backend_health()[1], f"health {state} {words}", timeout)

    def wait_all_heard(self, timeout=60):
        wait(lambda: set(range(1, self.admin.cabinet("LastEvent") + 1)) <= set(self.heard()), "all events", timeout)


class Refused(Case):
    REFUSED = "code.issued"

    def setUp(self):
        acl = tempfile.NamedTemporaryFile("w", prefix="acl-", suffix=".conf", delete=False)
        self.addCleanup(os.unlink, acl.name)
        acl.close()
        os.chmod(acl.name, 0o644)
        self.acl = acl.name
        self.allow()
        self.broker_extra = f"acl_file {self.acl}\n"
        super().setUp()

    def allow(self, *denied):
        with open(self.acl, "w", encoding="utf-8") as f:
            f.write("topic readwrite #\n" + "".join(f"topic deny lockerd/v1/C-0012/{t}\n" for t in denied))

    def reload(self, *denied):
        self.allow(*denied)
        self.broker.process.send_signal(signal.SIGHUP)

    def test_one_refused_topic_holds_nothing_up_and_is_named(self):
        """Requirement: B4, F4"""
        self.wait_drained()
        self.reload(f"event/{self.REFUSED}")
        time.sleep(0.5)
        puts = [self.store(size="S"), self.store(size="M")]
        last = self.admin.cabinet("LastEvent")
        issued = wait(lambda: {s for s, t in self.outbox() if t == self.REFUSED}, "refused codes")
        wait(lambda: set(range(1, last + 1)) - issued <= set(self.heard()), "everything else")
        wait(lambda: {t for _, t in self.outbox()} == {self.REFUSED}, "nothing else in the outbox")
        self.wait_health("degraded", f"lockerd/v1/C-0012/event/{self.REFUSED}")
        self.assertIn("Not authorized", self.backend_health()[1])
        # Only what was refused is repeated, and not often.
        time.sleep(5)
        self.assertEqual({n: k for n, k in self.heard().items() if k > 1}, {})
        with open(f"{self.broker.directory}/log", encoding="utf-8", errors="replace") as f:
            self.assertLess(f.read().count("Denied PUBLISH"), 12)
        # Neither a restart nor a lost connection loses it.
        self.cabinet.restart(kill=True)
        self.wait_online()
        self.assertEqual(len([t for _, t in self.outbox() if t == self.REFUSED]), 2)
        self.reload()
        wait(lambda: issued <= set(self.heard()), "the codes", 60)
        secrets = [e["data"]["secret"]["code"] for e in self.backend.events() if int(e["sequence"]) in issued]
        self.assertEqual(secrets, [p.receipt["code"] for p in puts])
        self.wait_drained()
        self.wait_health("ok")

    def test_refused_state_is_named_and_sent_again(self):
        """Requirement: F4"""
        self.reload("state")
        time.sleep(0.5)
        self.store()
        self.wait_health("degraded", "lockerd/v1/C-0012/state")
        self.reload()
        self.wait_health("ok", timeout=60)
        wait(lambda: self.backend.state()["lastevent"] == self.admin.cabinet("LastEvent"), "the state")


class Unheard(Case):
    def test_what_nobody_hears_is_kept_until_somebody_listens(self):
        """Requirement: B4, F4"""
        self.wait_drained()
        last = self.admin.cabinet("LastEvent")
        wait(lambda: set(range(1, last + 1)) <= set(self.heard()), "the first events")
        self.backend.client.unsubscribe(f"lockerd/v1/{self.number}/#")
        time.sleep(0.5)
        self.store()
        self.wait_health("degraded", "Nobody listens to lockerd/v1/C-0012/event/")
        kept = wait(lambda: {s for s, t in self.outbox() if t == "parcel.stored"} and {s for s, _ in self.outbox()}, "events that are kept")
        self.cabinet.restart(kill=True)
        self.assertLessEqual(kept, {s for s, _ in self.outbox()})
        self.backend.client.subscribe(f"lockerd/v1/{self.number}/#", qos=1)
        self.wait_all_heard()
        self.wait_drained()
        self.wait_health("ok")

    def test_who_listens_to_some_gets_them(self):
        """Requirement: B4"""
        self.wait_drained()
        self.backend.client.unsubscribe(f"lockerd/v1/{self.number}/#")
        for topic in ("state", "reply", "event/parcel.stored"):
            self.backend.client.subscribe(f"lockerd/v1/{self.number}/{topic}", qos=1)
        time.sleep(0.5)
        before = len([e for e in self.backend.events() if e["type"] == "org.lockerd.parcel.stored"])
        self.store(size="S")
        self.store(size="M")
        wait(lambda: len([e for e in self.backend.events() if e["type"] == "org.lockerd.parcel.stored"]) == before + 2, "both parcels")
        self.wait_health("degraded", "Nobody listens")
        wait(lambda: "parcel.stored" not in {t for _, t in self.outbox()}, "what was heard out of the outbox")


class Unreadable(Case):
    def test_secret_that_cannot_be_read_holds_nothing_up(self):
        """Requirement: B4, F4"""
        self.wait_drained()
        self.broker.leave()
        self.wait_health("degraded")
        self.store()
        self.admin.disable("09", reason="later")
        self.cabinet.kill_daemon()
        with contextlib.closing(sqlite3.connect(self.cabinet.ledger)) as db:
            rows = db.execute("SELECT o.sequence, e.type FROM outbox o JOIN event e USING (sequence)").fetchall()
            issued = next(s for s, t in rows if t == "code.issued")
            db.execute("UPDATE outbox SET secret = zeroblob(80) WHERE sequence = ?", (issued,))
            db.commit()
        self.broker.start()
        self.cabinet.start_daemon()
        self.wait_all_heard()
        self.wait_drained()
        heard = {int(e["sequence"]): e for e in self.backend.events()}
        self.assertNotIn("secret", heard[issued]["data"])
        self.assertIn(f"The secret of event {issued} (code.issued) cannot be read", self.cabinet.log())


main()
