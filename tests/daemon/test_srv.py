#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""lockerd-mqtt finds its broker by SRV records: a real name server (dnsmasq) on loopback, one that misbehaves, and a resolv.conf that only
the worker sees.

Usage: test_srv.py BUILD_DIR [unittest arguments]"""
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from dbusclient import wait
from mqtt_brokers import MOSQUITTO, Broker, Certificates, Puppet, free_port
from mqtt_link import DOWN, UP, Worker
from small_disk import needs_mount

PROGRAM = None
DNSMASQ = shutil.which("dnsmasq", path="/usr/sbin:/usr/bin:/sbin:/bin")
SRV = "_secure-mqtt._tcp.lockers.example"
# Loopback addresses of this process: name servers must have port 53.
OWN = f"127.{64 + os.getpid() % 64}.{os.getpid() // 64 % 256}."


class NameServer:
    """dnsmasq, with these options beside its own."""

    def __init__(self, address, *options):
        self.address, self.process = address, None
        self.start(*options)

    def start(self, *options):
        self.stop()
        self.process = subprocess.Popen([DNSMASQ, "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--user=root",
                                         "--pid-file=", "--bind-interfaces", f"--listen-address={self.address}", "--local=/example/", *options],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait(self.answers, "dnsmasq answers")

    def answers(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            try:
                s.sendto(question("ready.example", 1), (self.address, 53))
                return s.recv(512)
            except OSError:
                return False

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


def name(text):
    return b"".join(bytes([len(label)]) + label for label in text.encode().split(b".")) + b"\0"


def question(text, kind):
    return struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + name(text) + struct.pack(">HH", kind, 1)


class LyingNameServer:
    """Answers each question with what `answer` makes of it, over UDP; takes TCP connections and says nothing."""

    def __init__(self, address, answer):
        self.answer, self.connections = answer, []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, 53))
        self.tcp = socket.create_server((address, 53))
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.serve, self.take_connections)]
        for thread in self.threads:
            thread.start()

    def serve(self):
        while True:
            try:
                packet, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if not packet:  # stop()
                return
            for reply in self.answer(packet):
                self.udp.sendto(reply, peer)

    def take_connections(self):
        while True:
            try:
                self.connections.append(self.tcp.accept()[0])
            except OSError:
                return

    def stop(self):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join()
        for s in (self.udp, self.tcp, *self.connections):
            s.close()


def reply(packet, records, flags=0x8180, ident=None, count=None):
    """To this question, with these records (type, data)."""
    end = packet.index(b"\0", 12) + 5
    head = struct.pack(">6H", *(struct.unpack_from(">H", packet) if ident is None else (ident,)), flags, 1,
                       len(records) if count is None else count, 0, 0)
    return head + packet[12:end] + b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data for kind, data in records)


def record(target, port, priority=0, weight=0):
    return 33, struct.pack(">HHH", priority, weight, port) + name(target)


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="lockerd-srv-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.address = OWN + "53"
        self.script = self.resolver("")

    def path(self, name_, text):
        path = os.path.join(self.directory, name_)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def resolver(self, options):
        """The worker, as one who asks this test's name server."""
        conf = self.path("resolv.conf", f"nameserver {self.address}\n{options}\n")
        script = self.path("run", f"#!/bin/sh\nexec unshare -m sh -c 'mount --bind {conf} /etc/resolv.conf && exec {PROGRAM}'\n")
        os.chmod(script, 0o755)
        return script

    def server(self, *options):
        server = NameServer(self.address, *options)
        self.addCleanup(server.stop)
        return server

    def liar(self, answer):
        server = LyingNameServer(self.address, answer)
        self.addCleanup(server.stop)
        return server

    def puppet(self, n, **keys):
        puppet = Puppet(address=(OWN + str(n), 0), **keys)
        self.addCleanup(puppet.stop)
        return puppet

    def worker(self, host=SRV, port=1, **setup):
        worker = Worker(self.script, port, host=host, **{"answer_usec": 300000, **setup})
        self.addCleanup(worker.close)
        return worker


def srv(target, port, priority=0, weight=0, service=SRV):
    return f"--srv-host={service},{target},{port},{priority},{weight}"


def node(n):
    return f"--host-record=node{n}.example,{OWN}{n}"


@needs_mount
class Records(Case):
    def test_targets_are_tried_by_priority_with_their_ports(self):
        """One takes connections and says nothing, one is not there, the third works; the answer has them in another order."""
        frozen, good = self.puppet(1, connack=None), self.puppet(3, acks=True)
        nobody = free_port()
        self.server(srv("node3.example", good.port, 30), srv("node1.example", frozen.port, 10), srv("node2.example", nobody, 20), node(1), node(2),
                    node(3))
        worker = self.worker()
        self.assertIn(f"node1.example:{frozen.port} for lockers.example: The broker does not answer", worker.wait_link(DOWN).texts[0])
        self.assertIn(f"node2.example:{nobody} for lockers.example: Connection refused", worker.wait_link(DOWN).texts[0])
        self.assertIn(f"Connected to node3.example:{good.port} for lockers.example", worker.wait_link(UP).texts[0])
        self.assertTrue(worker.answers_ping())

    def test_records_are_asked_for_anew_in_each_round(self):
        good = self.puppet(1)
        server = self.server(srv("node1.example", free_port()), node(1))
        worker = self.worker()
        for _ in range(2):
            self.assertIn("Connection refused", worker.wait_link(DOWN).texts[0])
        server.start(srv("node1.example", good.port), node(1))
        self.assertIsNotNone(worker.wait_link(UP))

    def test_weight_decides_within_a_priority(self):
        """A weight of 65535 against none, whatever the answer's order: the chance that a worker begins with the other is 1 in 65536."""
        light, heavy = self.puppet(1), self.puppet(2)
        self.server(srv("node1.example", light.port, 5, 0), srv("node2.example", heavy.port, 5, 65535), node(1), node(2))
        for i in range(6):
            worker = self.worker(client_id=f"T{i}")
            self.assertIn("node2.example", worker.wait_link(UP).texts[0])
            worker.close()
        self.assertFalse(light.times)

    def test_without_records_the_domain_is_tried_itself(self):
        puppet = self.puppet(1)
        self.server(f"--host-record=lockers.example,{OWN}1")
        worker = self.worker(port=puppet.port)
        self.assertIn(f"Connected to lockers.example:{puppet.port}", worker.wait_link(UP).texts[0])

    def test_service_that_the_domain_does_not_offer_is_said_and_the_next_of_the_list_is_tried(self):
        puppet = self.puppet(1)
        self.server(f"--srv-host={SRV}", node(1), f"--host-record=lockers.example,{OWN}1")
        worker = self.worker(host=SRV + " node1.example", port=puppet.port)
        self.assertIn("The domain says that it has no such service", worker.wait_link(DOWN).texts[0])
        self.assertIn(f"Connected to node1.example:{puppet.port}", worker.wait_link(UP).texts[0])

    def test_name_servers_that_say_nothing_do_not_hold_up_the_list(self):
        puppet = self.puppet(1)
        self.liar(lambda q: [])
        worker = self.worker(host=f"{SRV} {OWN}1", port=puppet.port, answer_usec=3000000)
        begin = time.monotonic()
        self.assertIn("no answer yet", worker.wait_link(DOWN).texts[0])
        self.assertTrue(worker.answers_ping())
        self.assertIn("The name servers do not say which SRV records there are", worker.wait_link(DOWN, 40).texts[0])
        self.assertIsNotNone(worker.wait_link(UP))
        self.assertLess(time.monotonic() - begin, 30)


@needs_mount
class Secured(Case):
    def setUp(self):
        super().setUp()
        self.pki = Certificates(self.directory)

    def test_certificate_is_for_the_domain_and_not_for_what_the_name_server_names(self):
        """Whoever answers for the name server can name a target of their own, and have a good certificate for it.

        Requirement: F17
        """
        for alternative, good in (("DNS:node1.example", False), ("DNS:lockers.example", True), ("DNS:node1.example,DNS:*.lockers.example", False),
                                  ("DNS:node1.example,DNS:lockers.example", True)):
            with self.subTest(alternative):
                certificate, key = self.pki.make("broker", alternative)
                broker = Broker(self.directory, ("allow_anonymous true", f"certfile {certificate}", f"keyfile {key}"))
                self.addCleanup(broker.stop)
                server = NameServer(self.address, srv("node1.example", broker.port), "--host-record=node1.example,127.0.0.1")
                worker = self.worker(tls=True, ca_file=self.pki.ca, answer_usec=5000000)
                if good:
                    self.assertIsNotNone(worker.wait_link(UP))
                else:
                    self.assertIn("hostname mismatch", worker.wait_link(DOWN).texts[0])
                server.stop()

    def test_broker_is_asked_for_the_domain(self):
        """The name by which it chooses its certificate (SNI)."""
        certificate, key = self.pki.make("broker", "DNS:lockers.example")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        names = []
        context.sni_callback = lambda _socket, wanted, _context: names.append(wanted)
        listener = socket.create_server((OWN + "1", 0))
        self.addCleanup(listener.close)
        self.server(srv("node1.example", listener.getsockname()[1]), node(1))
        self.worker(tls=True, ca_file=self.pki.ca, answer_usec=5000000)
        with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
            self.assertEqual(0x10, connection.recv(1)[0], "CONNECT")
        self.assertEqual(["lockers.example"], names)

    def test_next_address_of_a_name_is_tried_with_tls_too(self):
        """A name with two addresses, one of which takes connections and says nothing; judged by the name."""
        certificate, key = self.pki.make("broker", "DNS:cluster.example")
        broker = Broker(self.directory, ("allow_anonymous true", f"certfile {certificate}", f"keyfile {key}"))
        self.addCleanup(broker.stop)
        frozen = Puppet(connack=None, address=(OWN + "1", broker.port))
        self.addCleanup(frozen.stop)
        self.server("--host-record=cluster.example," + OWN + "1", "--host-record=cluster.example,127.0.0.1")
        for i in range(3):
            worker = self.worker(host="cluster.example", port=broker.port, tls=True, ca_file=self.pki.ca, client_id=f"T{i}")
            self.assertIsNotNone(worker.wait_link(UP))


@needs_mount
class Liars(Case):
    def test_answers_that_are_none_are_said_and_end_nothing(self):
        """Requirement: F17"""
        loop = (33, struct.pack(">HHHH", 0, 0, 1883, 0xC000 + 12 + len(name(SRV)) + 4 + 12 + 6))
        liar = None
        for what, answer in {
                "a target that is an address": lambda q: [reply(q, [record("127.0.0.1", 1883), record("10", 1883)])],
                "a name that points to itself": lambda q: [reply(q, [loop])],
                "more records than there are": lambda q: [reply(q, [record("a.example", 1883)], count=9)[:-3]],
                "control characters": lambda q: [reply(q, [record("x\n<0>forged", 1883)])],
                "no port": lambda q: [reply(q, [record("a.example", 0)])],
                "nonsense": lambda q: [q[:2] + os.urandom(300)],
                "an answer cut off": lambda q: [reply(q, [], 0x8380)],
        }.items():
            with self.subTest(what):
                if liar:
                    liar.stop()
                liar = self.liar(answer)
                worker = self.worker(answer_usec=40000000)
                text = worker.wait_link(DOWN, 60).texts[0]
                self.assertRegex(text, "The SRV records cannot be used|The name servers do not say")
                self.assertNotIn("\n", text)
                self.assertTrue(worker.answers_ping())
                self.assertFalse(liar.connections)

    def test_hundreds_of_targets_are_not_all_kept(self):
        good = self.puppet(1)

        def answer(q):
            if q[q.index(b"\0", 12) + 1:][:2] == b"\0\x21":
                return [reply(q, [record("node1.example", good.port)] * 60)]
            return [reply(q, [(1, socket.inet_aton(OWN + "1"))] if q[q.index(b"\0", 12) + 1:][:2] == b"\0\1" else [])]
        self.liar(answer)
        worker = self.worker()
        self.assertIsNotNone(worker.wait_link(UP))
        self.assertLess(worker.resident_kib(), 32768)

    def test_answer_to_another_question_is_not_taken(self):
        bad = self.puppet(1)
        good = self.puppet(2)

        def answer(q):
            kind = q[q.index(b"\0", 12) + 1:][:2]
            if kind == b"\0\x21":
                ident, = struct.unpack_from(">H", q)
                return [reply(q, [record("node1.example", bad.port)], ident=ident ^ 1), reply(q, [record("node2.example", good.port)])]
            return [reply(q, [(1, socket.inet_aton(OWN + ("1" if b"node1" in q else "2")))] if kind == b"\0\1" else [])]
        self.liar(answer)
        self.assertIn("node2.example", self.worker().wait_link(UP).texts[0])
        self.assertFalse(bad.times)

    def test_name_server_that_wants_tcp_and_says_nothing_there_is_left(self):
        """libc would wait for it for ever; also where addresses are looked up."""
        liar = self.liar(lambda q: [reply(q, [], 0x8380)])
        for host in (SRV, "cluster.example"):
            with self.subTest(host):
                worker = self.worker(host=host, answer_usec=40000000)
                self.assertIsNotNone(worker.wait_link(DOWN, 35))
                self.assertIsNotNone(worker.wait_link(DOWN, 35), "and it goes on")
        self.assertFalse(liar.connections)

    def test_connecting_that_never_ends_is_ended_with_the_worker(self):
        """A resolv.conf that asks for TCP, and a name server that says nothing there."""
        self.script = self.resolver("options use-vc")
        liar = self.liar(lambda q: [])
        worker = self.worker(host="cluster.example", answer_usec=200000)
        self.assertIn("no answer yet", worker.wait_link(DOWN).texts[0])
        self.assertTrue(liar.connections)
        self.assertTrue(worker.answers_ping())
        self.assertEqual(0, worker.process.wait(20), "the daemon starts the next")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = os.path.join(os.path.abspath(sys.argv.pop(1)), "src", "mqtt", "lockerd-mqtt")
    for program, package in ((MOSQUITTO, "mosquitto"), (DNSMASQ, "dnsmasq-base")):
        if not program:
            sys.exit(f"{package} is not installed; it is among the Build-Depends of debian/control")
    unittest.main(verbosity=2)
