# SPDX-License-Identifier: Apache-2.0
"""Events that the broker refuses, that nobody hears, or that cannot be read: the others go on, and nothing is lost."""
import collections
import contextlib
import json
import os
import signal
import socket
import sqlite3
import tempfile
import threading
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


class Proxy:
    """Between cabinet and broker: hangs up on what has these bytes in it, or replaces some on their way in."""

    def __init__(self, broker):
        self.broker, self.kill, self.replace, self.killed = broker, None, None, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                cabinet = self.listener.accept()[0]
                broker = socket.create_connection(("127.0.0.1", self.broker()))
                for ends in ((cabinet, broker, True), (broker, cabinet, False)):
                    threading.Thread(target=self.carry, args=ends, daemon=True).start()

    def carry(self, from_, to, outward):
        with contextlib.suppress(OSError):
            while data := from_.recv(65536):
                if outward and self.kill and self.kill in data:
                    self.killed += 1
                    break
                if not outward and self.replace:
                    data = data.replace(*self.replace)
                to.sendall(data)
        for end in (from_, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if outward:
            time.sleep(0.2)
            from_.close()
            to.close()

    def close(self):
        self.listener.close()


class Behind(Case):
    def setUp(self):
        self.proxy = Proxy(lambda: self.broker.port)
        self.addCleanup(self.proxy.close)
        self.mqtt = {"Port": str(self.proxy.port)}
        super().setUp()

    def test_event_after_which_the_connection_breaks_is_named_and_set_aside(self):
        """Some brokers hang up where they refuse; what is sent first then was sent for ever.

        Requirement: B4, F4
        """
        self.wait_drained()
        self.proxy.kill = b"org.lockerd.slot.disabled"  # not the topic: the state names it
        self.admin.disable("09", reason="broken")
        self.admin.open_slot("05")
        self.wait_health("degraded", "slot.disabled: the connection breaks", 60)
        self.cabinet.wait_log("(the connection breaks after it): such events are kept")
        bad = [n for n, type in self.outbox() if type == "slot.disabled"]
        last = self.admin.cabinet("LastEvent")
        wait(lambda: set(range(1, last + 1)) - set(bad) <= set(self.heard()), "all others", 60)
        self.assertEqual(len(bad), 1)
        before = self.proxy.killed
        time.sleep(5)
        self.assertLess(self.proxy.killed - before, 4, "not with each new connection")
        self.proxy.kill = None
        self.wait_all_heard()
        self.wait_health("ok", "", 60)
        self.wait_drained()

    def test_command_on_a_topic_that_is_nearly_ours_is_logged(self):
        """Requirement: F4, F5"""
        topic = f"lockerd/v1/{self.number}/command/".encode()
        self.proxy.replace = (topic, topic.replace(b"C-", b"C/"))
        self.backend.publish("snapshot", json.dumps(self.backend.body("snapshot")).encode())
        self.cabinet.wait_log("lockerd/v1/C/0012/command/snapshot is not taken")
        self.assertIn("write dots as slashes", self.cabinet.log())
        self.proxy.replace = None
        self.assertEqual(self.backend.command("snapshot")["status"], "done")


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
