# SPDX-License-Identifier: Apache-2.0
"""A cluster of brokers over TLS, each a real mosquitto: nodes that hang, lie about who they are, or end every worker that comes near."""
import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time

from backendlib import Backend, BackendTest, Broker, free_port
from daemonlib import main
from dbusclient import wait
from mqtt_brokers import Certificates


class Cluster(BackendTest):
    """self.broker at the second address, self.other at the first one; the backend listens at both. The tests' sides speak without TLS."""
    FIRST, SECOND = "127.0.0.2", "127.0.0.4"
    first_certificate = f"IP:{FIRST}"
    first_authority = "ca"
    first_expired = False

    def setUp(self):
        directory = tempfile.mkdtemp(prefix="cluster-")
        self.addCleanup(shutil.rmtree, directory, True)
        self.authorities = {name: Certificates(directory, name) for name in {"ca", self.first_authority}}
        self.port = free_port()
        self.other = Broker(extra=self.listener(self.FIRST, self.authorities[self.first_authority].make(
            "first", self.first_certificate, self.first_expired)))
        self.addCleanup(self.other.stop)
        self.broker_extra = self.listener(self.SECOND, self.authorities["ca"].make("second", f"IP:{self.SECOND}"))
        self.mqtt = {"Host": f"{self.FIRST} {self.SECOND}", "Port": str(self.port), "Tls": "yes", "CaFile": self.authorities["ca"].ca}
        self.spoil()
        super().setUp()

    def listener(self, address, files):
        return "listener {} {}\ncertfile {}\nkeyfile {}\n".format(self.port, address, *files)

    def spoil(self):
        """Before the cabinet is there."""

    def assert_second_node_serves(self):
        wait(lambda: self.admin.health()["backend"][0] == "ok", "health")
        self.cabinet.wait_log(f"Connected to {self.SECOND}:{self.port}")
        self.store()
        self.assertEqual(self.backend.command("snapshot")["status"], "done")
        self.wait_drained()

    def mqtt_workers(self):
        pid = self.cabinet.daemon.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            for child in f.read().split():
                with contextlib.suppress(FileNotFoundError), open(f"/proc/{child}/comm", encoding="ascii") as comm:
                    if comm.read().startswith("lockerd-mqtt"):
                        yield int(child)


class Frozen(Cluster):
    def spoil(self):
        self.other.process.send_signal(signal.SIGSTOP)
        self.addCleanup(lambda: self.other.process.send_signal(signal.SIGCONT))

    def wait_online(self):
        wait(lambda: (self.backend.state() or {}).get("presence") == "online", "the cabinet online", 60)

    def test_node_that_takes_connections_and_says_nothing_is_left(self):
        """Requirement: F4, F17"""
        self.cabinet.wait_log(f"{self.FIRST}:{self.port}: The broker does not answer")
        self.assert_second_node_serves()


class OfAnotherName(Cluster):
    first_certificate = "IP:127.0.0.3,DNS:second.example"
    objection = "IP address mismatch"

    def test_node_with_a_bad_certificate_gets_no_word(self):
        """Requirement: F4, F17"""
        self.cabinet.wait_log(self.objection)
        self.assert_second_node_serves()
        with open(f"{self.other.directory}/log", encoding="utf-8", errors="replace") as f:
            self.assertNotIn("lockerd-C-0012", f.read())


class OfAnotherAuthority(OfAnotherName):
    first_certificate, first_authority = Cluster.first_certificate, "foreign"
    objection = "unable to get local issuer certificate"


class Expired(OfAnotherName):
    first_certificate, first_expired = Cluster.first_certificate, True
    objection = "certificate has expired"


class Deadly(Cluster):
    """Whatever the first node does to them, no worker lives to tell of it."""

    def spoil(self):
        self.other.process.send_signal(signal.SIGSTOP)
        self.killed, self.over = [], threading.Event()
        thread = threading.Thread(target=self.kill_workers_at_the_first, daemon=True)
        self.addCleanup(lambda: self.other.process.send_signal(signal.SIGCONT))
        self.addCleanup(thread.join)
        self.addCleanup(self.over.set)
        thread.start()

    def kill_workers_at_the_first(self):
        wanted = "{:08X}:{:04X}".format(int.from_bytes(bytes(map(int, self.FIRST.split("."))), "little"), self.port)
        while not self.over.wait(0.02):
            with open("/proc/net/tcp", encoding="ascii") as f:
                there = {line.split()[9] for line in f if line.split()[2] == wanted}
            if not there or not getattr(self, "cabinet", None) or not self.cabinet.daemon:
                continue
            for pid in list(self.mqtt_workers()):
                with contextlib.suppress(OSError):
                    if any(os.readlink(f"/proc/{pid}/fd/{fd}")[8:-1] in there for fd in os.listdir(f"/proc/{pid}/fd")):
                        os.kill(pid, signal.SIGKILL)
                        self.killed.append(pid)

    def test_node_that_ends_every_worker_is_left(self):
        """The place in the list is not lost with the worker.

        Requirement: F4, F17
        """
        self.assertTrue(self.killed)
        self.assertLess(len(self.killed), 3)
        self.assert_second_node_serves()


class Failover(Cluster):
    def setUp(self):
        self.heard_there = None
        super().setUp()

    def spoil(self):
        self.heard_there = Backend(self.other.port, "C-0012", name="backend-there")
        self.addCleanup(self.heard_there.close)
        wait(lambda: self.heard_there.subscribed, "the subscription")

    def wait_online(self):
        wait(lambda: (self.heard_there.state() or {}).get("presence") == "online", "the cabinet online")

    def heard(self):
        return {int(e["sequence"]) for b in (self.backend, self.heard_there) for e in b.events()}

    def test_no_event_is_lost_when_nodes_die_by_turns(self):
        """Requirement: F4, B4"""
        for dying in (self.other, self.broker, self.other):
            self.store()
            dying.kill()
            for slot in ("05", "06", "07"):
                self.admin.open_slot(slot)
            self.wait_drained()
            dying.start()
        last = self.admin.cabinet("LastEvent")
        wait(lambda: set(range(1, last + 1)) <= self.heard(), "all events")


if __name__ == "__main__":
    main()
