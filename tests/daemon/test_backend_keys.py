# SPDX-License-Identifier: Apache-2.0
"""Keys that may sign come and go while the cabinet works."""
import os
import signal
import socket
import tempfile

from backendlib import BackendTest, Broker, SigningKey
from daemonlib import Cabinet, DaemonTest, main
from dbusclient import wait


class Rotation(BackendTest):
    def setUp(self):
        super().setUp()
        self.ring = self.settings["Mqtt"]["SigningKeys"]
        self.new = SigningKey(self.keys, "key-2")

    def path(self, name):
        return os.path.join(self.ring, name)

    def hang_up(self, text):
        """Tells the daemon to load again, and waits for its word."""
        before = self.cabinet.log().count(text)
        self.cabinet.daemon.send_signal(signal.SIGHUP)
        wait(lambda: self.cabinet.log().count(text) > before, f"{text!r} in the log once more")

    def opens(self, key, slot):
        """Whether a command that this key has signed opens the slot."""
        body = {"cabinet": self.number, "name": "open", **self.backend.body("open", {"slot": slot, "reason": "rotation"})}
        before = self.sim.place(slot)["pulses"]
        answer = self.backend.ask("open", key.sign(body))
        pulsed = self.sim.place(slot)["pulses"] - before
        if answer["status"] == "done":
            self.assertEqual(pulsed, 1)
            return True
        self.assertEqual((answer["error"], pulsed), ("BadSignature", 0), answer)
        return False

    def shown(self):
        return self.admin.health()["signing-keys"]

    def test_new_key_comes_and_old_one_goes_without_a_restart(self):
        """Requirement: F5"""
        pid = self.cabinet.daemon.pid
        self.assertEqual(self.shown(), ("ok", "key-1"))
        self.assertFalse(self.opens(self.new, "01"))
        self.new.public(self.path("key-2.pem"))
        self.assertFalse(self.opens(self.new, "01"), "not before it is told to")
        self.hang_up("Signing keys in use: key-1, key-2")
        self.assertEqual(self.shown(), ("ok", "key-1, key-2"))
        self.assertTrue(self.opens(self.new, "01"))
        self.assertTrue(self.opens(self.key, "02"))
        os.unlink(self.path("key-1.pem"))
        self.hang_up("Signing keys in use: key-2")
        self.assertFalse(self.opens(self.key, "03"))
        self.assertTrue(self.opens(self.new, "03"))
        self.assertEqual(self.shown(), ("ok", "key-2"))
        wait(lambda: {"component": "signing-keys", "state": "ok", "sentence": "key-2"} in self.backend.state()["health"], "the backend's copy")
        self.assertEqual(self.cabinet.daemon.pid, pid)

    def test_broken_file_leaves_everything_as_it_was(self):
        """Requirement: F4, F5"""
        broken = {"text": b"nothing of the kind\n", "private": None, "two": None, "empty": b""}
        for kind, content in broken.items():
            with self.subTest(kind):
                if kind == "private":
                    with open(self.new.private, "rb") as f:
                        content = f.read()
                if kind == "two":
                    self.new.public(self.path("draft"))
                    with open(self.path("draft"), "rb") as f:
                        content = 2 * f.read()
                    os.unlink(self.path("draft"))
                with open(self.path("key-2.pem"), "wb") as f:
                    f.write(content)
                os.rename(self.path("key-1.pem"), self.path("key-1.away"))
                self.hang_up("The signing keys are left as they were")
                self.assertTrue(self.opens(self.key, f"{list(broken).index(kind) + 1:02}"))
                state, sentence = self.shown()
                self.assertEqual(state, "degraded")
                self.assertIn("key-2.pem", sentence)
                os.rename(self.path("key-1.away"), self.path("key-1.pem"))
        self.assertIn("private key that lay here should no longer be used", self.cabinet.log())
        os.rename(self.ring, self.ring + ".away")
        self.hang_up("The signing keys are left as they were")
        self.assertTrue(self.opens(self.key, "06"))
        os.rename(self.ring + ".away", self.ring)
        self.new.public(self.path("key-2.pem"))
        self.hang_up("Signing keys in use: key-1, key-2")
        self.assertEqual(self.shown(), ("ok", "key-1, key-2"))

    def test_loading_again_goes_on_with_what_is_under_way(self):
        """Requirement: F4"""
        self.sim.do("jam 05")
        body = {"cabinet": self.number, "name": "open", **self.backend.body("open", {"slot": "05", "reason": "rotation"})}
        self.backend.publish("open", self.key.sign(body), b"under way")
        wait(lambda: self.sim.place("05")["pulses"], "the pulse")
        for _ in range(5):
            self.hang_up("Signing keys in use: key-1")
        answer = wait(lambda: self.backend.answers(b"under way"), "an answer")[0]
        self.assertEqual(answer["error"], "DidNotOpen")


class NotifiedCabinet(Cabinet):
    """Tells what systemd would hear."""

    def environment(self):
        return {**super().environment(), "NOTIFY_SOCKET": self.notify}


class Systemd(DaemonTest):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="notify-")
        self.addCleanup(self.place.cleanup)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(os.path.join(self.place.name, "notify"))
        self.socket.settimeout(10)

    def start(self, **settings):
        self.cabinet = NotifiedCabinet(settings=settings)
        self.cabinet.notify = os.path.join(self.place.name, "notify")
        self.addCleanup(self._stop)
        self.cabinet.start()

    def until(self, word):
        said = []
        while not said or word not in said[-1]:
            said.append(self.socket.recv(4096).decode())
        return said

    def test_reload_is_told_to_systemd_with_a_backend_and_without(self):
        missing = os.path.join(self.place.name, "missing")
        self.start()
        self.until("READY=1")
        self.cabinet.daemon.send_signal(signal.SIGHUP)
        said = self.until("READY=1")
        self.assertTrue(any("RELOADING=1" in s for s in said), said)
        self.cabinet.wait_log("nothing to reload")
        self.assertNotIn("igning", self.cabinet.log(), "where there is no backend, keys are no concern")
        self.assertNotIn("signing-keys", self.cabinet.client().health())
        self.cabinet.stop()
        broker = Broker()
        self.addCleanup(broker.stop)
        self.start(Mqtt={"Host": "127.0.0.1", "Port": str(broker.port), "SigningKeys": missing})
        self.cabinet.wait_log(f"Signing keys: {missing}: No such file or directory; no signed command can be verified.")
        self.assertEqual(self.cabinet.client().health()["signing-keys"][0], "degraded")


main()
