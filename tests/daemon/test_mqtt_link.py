#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""lockerd-mqtt against real mosquitto brokers on loopback, with paho as the other side, and against a broker that misbehaves
on demand.

Usage: test_mqtt_link.py BUILD_DIR [unittest arguments]"""
import os
import queue
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from dbusclient import wait
from mqtt_brokers import MOSQUITTO, Broker, Certificates, Puppet, free_port
from mqtt_link import (ACKED, DOWN, LINK, MESSAGE, PAYLOAD_MAX, PATIENT, PING, PUBLISH, REFUSED, RETAIN, STOP, TOO_LARGE, TROUBLE, UP, Worker, pack)
from small_disk import needs_mount

PROGRAM = None
TOPIC = "lockerd/v1/T1/"


def text_of(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


class Backend:
    """The other side of the broker."""

    def __init__(self, port, *topics):
        self.messages = queue.Queue()
        self.ready = threading.Event()
        self.client = paho.Client(client_id="backend", protocol=paho.MQTTv5)
        self.client.on_message = lambda client, userdata, m: self.messages.put(m)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        if topics:
            self.client.subscribe([(t, 1) for t in topics])
            assert self.ready.wait(10)

    def publish(self, topic, payload, response=None, correlation=None):
        properties = Properties(PacketTypes.PUBLISH)
        if response:
            properties.ResponseTopic = response
        if correlation:
            properties.CorrelationData = correlation
        self.client.publish(topic, payload, 1, properties=properties).wait_for_publish(10)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="lockerd-mqtt-")
        self.addCleanup(shutil.rmtree, self.directory)

    def path(self, name, text=None):
        path = os.path.join(self.directory, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        return path

    def broker(self, *lines, **keys):
        broker = Broker(self.directory, lines or ("allow_anonymous true",), **keys)
        self.addCleanup(broker.stop)
        return broker

    def puppet(self, **keys):
        puppet = Puppet(**keys)
        self.addCleanup(puppet.stop)
        return puppet

    def backend(self, port, *topics):
        backend = Backend(port, *topics)
        self.addCleanup(backend.close)
        return backend

    def worker(self, port, **setup):
        worker = Worker(PROGRAM, port, **setup)
        self.addCleanup(worker.close)
        return worker

    def connected(self, port, **setup):
        worker = self.worker(port, **setup)
        self.assertIsNotNone(worker.wait_link(UP), worker.seen)
        return worker

    def subscribed(self, broker, **setup):
        """Connected, and commands come through."""
        worker = self.connected(broker.port, **setup)
        for _ in range(400):
            if "Sending SUBACK to lockerd-T1" in broker.log():
                return worker
            time.sleep(0.05)
        self.fail("no subscription was made")

    def assertRefused(self, port, words, **setup):
        worker = self.worker(port, **setup)
        m = worker.wait(LINK)
        self.assertIsNotNone(m)
        self.assertEqual(DOWN, m.a, m)
        self.assertIn(words, m.texts[0])
        # It goes on trying, and goes on answering.
        self.assertIsNotNone(worker.wait_link(DOWN))
        self.assertTrue(worker.answers_ping())
        return worker


class Secured(Case):
    def setUp(self):
        super().setUp()
        self.pki = Certificates(self.directory)
        self.client = dict(zip(("cert_file", "key_file"), self.pki.make("cabinet")))

    def tls(self, name="localhost", expired=False, client=True, alternative=True, subject="broker"):
        certificate, key = self.pki.make(subject, f"DNS:{name}" if alternative else None, expired)
        lines = ["allow_anonymous true", f"certfile {certificate}", f"keyfile {key}", f"cafile {self.pki.ca}"]
        return self.broker(*lines, f"require_certificate {'true' if client else 'false'}")

    def psk(self, key="00112233445566778899aabbccddeeff"):
        return self.broker("allow_anonymous true", "psk_hint lockerd", "psk_file " + self.path("psk", f"T1:{key}\n"),
                           "use_identity_as_username true")

    def test_certificates_of_both_sides_connect(self):
        broker = self.tls()
        worker = self.connected(broker.port, tls=True, ca_file=self.pki.ca, **self.client)
        worker.publish(7, payload=b"x" * PAYLOAD_MAX)
        self.assertEqual(7, worker.wait_taken().token)
        self.assertIn("as lockerd-T1 (p5, c0, k10", broker.log())

    def test_large_messages_over_tls_all_arrive(self):
        """What OpenSSL holds already does not show in poll()."""
        broker = self.tls(client=False)
        worker = self.subscribed(broker, tls=True, ca_file=self.pki.ca)
        sender = paho.Client(client_id="backend", protocol=paho.MQTTv5)
        sender.tls_set(self.pki.ca)
        sender.connect("localhost", broker.port)
        sender.loop_start()
        self.addCleanup(sender.loop_stop)
        sizes = [1, 20000, 3, PAYLOAD_MAX, 2, 16384, 5] * 6
        for n in sizes:
            sender.publish(TOPIC + "command/x", b"y" * n, 1)
        got = [len(worker.wait(MESSAGE).payload) for _ in sizes]
        self.assertEqual(sizes, got)

    def test_broker_of_another_authority_is_refused(self):
        other = Certificates(self.directory, "other")
        self.assertRefused(self.tls().port, "certificate verify failed", tls=True, ca_file=other.ca, **self.client)

    def test_expired_broker_is_refused(self):
        self.assertRefused(self.tls(expired=True).port, "expired", tls=True, ca_file=self.pki.ca, **self.client)

    def test_broker_of_another_name_is_refused(self):
        self.assertRefused(self.tls("elsewhere.example").port, "hostname mismatch", tls=True, ca_file=self.pki.ca, **self.client)

    def test_name_in_the_subject_alone_is_refused(self):
        """A common name is a text for people, which many authorities do not check.

        Requirement: F17
        """
        port = self.tls(alternative=False, subject="localhost").port
        self.assertRefused(port, "hostname mismatch", tls=True, ca_file=self.pki.ca, **self.client)

    def test_address_in_the_certificate_connects(self):
        certificate, key = self.pki.make("broker", "IP:127.0.0.1")
        broker = self.broker("allow_anonymous true", f"certfile {certificate}", f"keyfile {key}", f"cafile {self.pki.ca}")
        self.connected(broker.port, tls=True, ca_file=self.pki.ca, host="127.0.0.1")
        self.assertRefused(self.tls(client=False).port, "IP address mismatch", tls=True, ca_file=self.pki.ca, host="127.0.0.1")

    def test_missing_client_certificate_is_refused(self):
        broker = self.tls()
        self.assertRefused(broker.port, f"localhost:{broker.port}: TLS", tls=True, ca_file=self.pki.ca)
        self.assertIn("peer did not return a certificate", broker.log())

    def test_plain_connection_to_tls_is_refused(self):
        self.assertRefused(self.tls().port, "connection was lost", tls=False)

    def test_missing_files_are_named(self):
        gone = self.path("gone")
        for keys, words in (({"ca_file": gone}, "CaFile="), ({"cert_file": gone, "key_file": gone}, "CertFile="),
                            ({"psk_identity": "T1", "psk_file": gone}, "PskFile=")):
            with self.subTest(keys):
                self.assertRefused(1, f"{words}{gone} cannot be read: No such file", tls=True, **keys)

    def test_file_that_comes_later_is_taken_without_restart(self):
        broker = self.tls()
        ca = self.path("later.pem")
        worker = self.assertRefused(broker.port, "cannot be read", tls=True, ca_file=ca, **self.client)
        shutil.copy(self.pki.ca, ca)
        self.assertIsNotNone(worker.wait_link(UP))

    def test_shared_key_connects(self):
        key = self.path("key", "00112233445566778899aabbccddeeff\n")
        self.connected(self.psk().port, tls=True, psk_identity="T1", psk_file=key)

    def test_shared_key_without_forward_secrecy_is_refused(self):
        """Who learns the key later must not be able to read what was recorded before.

        Requirement: F17
        """
        key = self.path("key", "00112233445566778899aabbccddeeff\n")
        for cipher, good in (("PSK-AES256-GCM-SHA384", False), ("RSA-PSK-AES256-GCM-SHA384", False), ("ECDHE-PSK-AES256-CBC-SHA384", True),
                             ("DHE-PSK-AES256-GCM-SHA384", True)):
            with self.subTest(cipher):
                port = free_port()
                out = self.path("s_server-" + cipher)
                with open(out, "wb") as log:
                    server = subprocess.Popen(["openssl", "s_server", "-accept", str(port), "-nocert", "-tls1_2", "-cipher", cipher, "-psk_identity",
                                               "T1", "-psk", "00112233445566778899aabbccddeeff"], stdin=subprocess.PIPE, stdout=log, stderr=log)
                self.addCleanup(server.stdin.close)
                self.addCleanup(server.wait)
                self.addCleanup(server.kill)
                wait(lambda: "ACCEPT" in text_of(out), "openssl listens")
                worker = self.worker(port, tls=True, psk_identity="T1", psk_file=key)
                if good:
                    wait(lambda: f"CIPHER is {cipher}" in text_of(out), f"a session with {cipher}")
                else:
                    m = worker.wait(LINK)
                    self.assertIn("TLS", m.texts[0])
                    self.assertNotIn("CIPHER is", text_of(out))

    def test_wrong_shared_key_is_refused(self):
        key = self.path("key", "ff112233445566778899aabbccddeeff\n")
        self.assertRefused(self.psk().port, "TLS", tls=True, psk_identity="T1", psk_file=key)

    def test_no_shared_key_is_named(self):
        for text in ("secret\n", "0011\n", "\n"):
            with self.subTest(text):
                self.assertRefused(1, "PskFile=", tls=True, psk_identity="T1", psk_file=self.path("key", text))

    def test_certificate_instead_of_the_shared_key_is_refused(self):
        """Who does not know the key must not get away with any certificate."""
        key = self.path("key", "00112233445566778899aabbccddeeff\n")
        self.assertRefused(self.tls(client=False).port, "TLS", tls=True, psk_identity="T1", psk_file=key)

    def test_tls_broken_off_in_the_handshake_is_no_busy_loop(self):
        for how in ("end of file", "reset"):
            with self.subTest(how):
                server = socket.create_server(("127.0.0.1", 0))
                self.addCleanup(server.close)
                worker = self.worker(server.getsockname()[1], tls=True, ca_file=self.pki.ca)
                client, _ = server.accept()
                client.recv(4096)
                if how == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                self.assertIsNotNone(worker.wait_link(DOWN, 4), "not noticed before the time for CONNACK was over")
                self.assertLess(worker.processor_seconds(), 0.5)


class Passwords(Case):
    def test_password_from_file(self):
        path = self.path("passwords")
        subprocess.run(["mosquitto_passwd", "-c", "-b", path, "T1", "s3cret"], check=True, capture_output=True)
        broker = self.broker("allow_anonymous false", "password_file " + path)
        worker = self.connected(broker.port, username="T1", password_file=self.path("right", "s3cret\n"))
        with open(f"/proc/{worker.process.pid}/cmdline", "rb") as f:
            self.assertNotIn(b"s3cret", f.read())
        self.assertRefused(broker.port, "Not authorized", username="T1", password_file=self.path("wrong", "secret\n"))
        self.assertRefused(broker.port, "PasswordFile=/nonexistent", username="T1", password_file="/nonexistent")


class Traffic(Case):
    def test_event_reaches_the_backend(self):
        broker = self.broker()
        backend = self.backend(broker.port, TOPIC + "#")
        worker = self.connected(broker.port)
        worker.publish(42, TOPIC + "event/parcel-stored", b'{"a":1}')
        self.assertEqual(42, worker.wait(ACKED).token)
        m = backend.messages.get(timeout=10)
        self.assertEqual((TOPIC + "event/parcel-stored", b'{"a":1}', 1, False), (m.topic, m.payload, m.qos, bool(m.retain)))
        self.assertEqual("application/json", m.properties.ContentType)
        worker.publish(43, TOPIC + "reply", b"{}", correlation="00ff10")
        self.assertEqual(b"\x00\xff\x10", backend.messages.get(timeout=10).properties.CorrelationData)

    def test_retained_state_is_there_for_who_comes_later(self):
        broker = self.broker()
        worker = self.connected(broker.port)
        worker.publish(1, TOPIC + "state", b'{"presence":"online"}', flags=RETAIN)
        self.assertIsNotNone(worker.wait_taken())
        m = self.backend(broker.port, TOPIC + "state").messages.get(timeout=10)
        self.assertEqual((b'{"presence":"online"}', True), (m.payload, bool(m.retain)))

    def test_command_comes_with_its_answers_address(self):
        broker = self.broker()
        worker = self.subscribed(broker)
        self.backend(broker.port).publish(TOPIC + "command/open", b"{}\0\xff", "backend/answers", b"\x01\xab")
        m = worker.wait(MESSAGE)
        self.assertEqual([TOPIC + "command/open", "backend/answers", "01ab"], m.texts)
        self.assertEqual(b"{}\0\xff", m.payload)
        self.backend(broker.port).publish(TOPIC + "command/snapshot", b"")
        self.assertEqual(([TOPIC + "command/snapshot", "", ""], b""), worker.wait(MESSAGE)[5:])

    def test_command_too_large_is_told_without_payload(self):
        broker = self.broker()
        worker = self.subscribed(broker)
        backend = self.backend(broker.port)
        backend.publish(TOPIC + "command/a", b"x" * (PAYLOAD_MAX + 1), "backend/answers", b"\x01")
        m = worker.wait(TOO_LARGE)
        self.assertEqual(([TOPIC + "command/a", "backend/answers", "01"], b""), m[5:])
        backend.publish(TOPIC + "command/b", b"x" * PAYLOAD_MAX)
        self.assertEqual(PAYLOAD_MAX, len(worker.wait(MESSAGE).payload))
        backend.publish(TOPIC + "command/c", b"x", "y" * 1025, b"z" * 257)
        self.assertEqual([TOPIC + "command/c", "", ""], worker.wait(TOO_LARGE).texts)

    def test_command_behind_an_acknowledgement_is_not_held_back(self):
        """A broker that gathers small messages waits for the kernel's acknowledgement of the last one, which would take 40 ms."""
        broker = self.broker()
        worker = self.subscribed(broker)
        sender = self.backend(broker.port).client
        sender.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        delays = []
        for i in range(40):
            worker.publish(i + 1)
            self.assertEqual(i + 1, worker.wait_taken().token)
            time.sleep(0.005)
            begin = time.monotonic()
            sender.publish(TOPIC + "command/open", b"now")
            self.assertIsNotNone(worker.wait(MESSAGE))
            delays.append(time.monotonic() - begin)
        # A new connection is acknowledged at once for a while; and the machine may have other things to do.
        self.assertLess(sorted(delays[20:])[5], 0.02)

    def test_retained_command_is_not_taken(self):
        broker = self.broker()
        self.backend(broker.port).client.publish(TOPIC + "command/open", b"old", 1, retain=True).wait_for_publish(10)
        worker = self.subscribed(broker)
        self.backend(broker.port).publish(TOPIC + "command/open", b"new")
        self.assertEqual(b"new", worker.wait(MESSAGE).payload)

    def test_session_goes_on_and_brings_what_was_sent_meanwhile(self):
        broker = self.broker()
        first = self.subscribed(broker)
        self.assertIn("a new session", first.seen[-1].texts[0])
        self.assertEqual(0, first.hang_up())
        self.backend(broker.port).publish(TOPIC + "command/open", b"meanwhile")
        second = self.worker(broker.port)
        m = second.wait_link(UP)
        self.assertIn("the session goes on", m.texts[0])
        self.assertEqual(b"meanwhile", second.wait(MESSAGE).payload, "a command comes after the link, so that it can be answered")

    def test_will_appears_when_the_worker_is_killed(self):
        broker = self.broker()
        worker = self.connected(broker.port)
        backend = self.backend(broker.port, TOPIC + "state")
        worker.process.kill()
        self.assertEqual(b'{"presence":"offline"}', backend.messages.get(timeout=10).payload)
        m = self.backend(broker.port, TOPIC + "state").messages.get(timeout=10)
        self.assertTrue(m.retain)

    def test_will_appears_when_the_daemon_is_gone(self):
        broker = self.broker()
        worker = self.connected(broker.port)
        backend = self.backend(broker.port, TOPIC + "state")
        self.assertEqual(0, worker.hang_up())
        self.assertEqual(b'{"presence":"offline"}', backend.messages.get(timeout=10).payload)
        self.assertIn("Received DISCONNECT from lockerd-T1", broker.log())

    def test_stop_sends_first_what_is_under_way(self):
        broker = self.broker()
        worker = self.connected(broker.port)
        backend = self.backend(broker.port, TOPIC + "event/#", TOPIC + "state")
        for token in range(50):
            worker.publish(token + 1, TOPIC + "event/x", str(token).encode())
        worker.send(STOP)
        self.assertEqual(0, worker.process.wait(10))
        got = [backend.messages.get(timeout=10) for _ in range(51)]
        self.assertEqual([str(i).encode() for i in range(50)], [m.payload for m in got[:50]])
        self.assertEqual(TOPIC + "state", got[50].topic)

    def test_daemon_that_does_not_read_holds_up_the_broker(self):
        puppet = self.puppet()
        worker = self.connected(puppet.port)
        n, sent = 400, []

        def flood():
            for i in range(n):
                puppet.publish(TOPIC + "command/x", b"%6d" % i + b"x" * 60000, i + 1)
                sent.append(i)
        before = worker.resident_kib()
        threading.Thread(target=flood, daemon=True).start()
        time.sleep(2)
        self.assertLess(len(sent), n, "24 MB went somewhere")
        self.assertLess(worker.resident_kib() - before, 8000)
        self.assertLess(worker.processor_seconds(), 1)
        got = [int(worker.wait(MESSAGE).payload[:6]) for _ in range(n)]
        self.assertEqual(list(range(n)), got)
        self.assertTrue(worker.answers_ping())


class Window(Case):
    """Many in a packet, and no more of them under way than allowed."""

    def events(self, worker, tokens, flags=PATIENT):
        worker.sock.send(b"".join(worker.publication(t, payload=b"%d" % t, flags=flags) for t in tokens))

    def numbers(self, puppet):
        return [int(payload) for _, _, payload in puppet.published]

    def test_window_is_kept_whatever_the_broker_allows(self):
        puppet = self.puppet(connack=b"\0\0\3\x21\1\0")  # Receive Maximum 256
        worker = self.connected(puppet.port, window=5)
        self.events(worker, range(1, 21))
        for done in range(20):
            self.assertTrue(puppet.wait(lambda: len(puppet.published) >= min(done + 5, 20)))
            time.sleep(0.02)
            self.assertLessEqual(len(puppet.published), done + 5)
            puppet.ack(puppet.published[done][0])
            self.assertEqual(done + 1, worker.wait(ACKED).token)
        self.assertEqual(list(range(1, 21)), self.numbers(puppet))

    def test_answer_goes_before_events_that_wait(self):
        puppet = self.puppet()
        worker = self.connected(puppet.port, window=2)
        self.events(worker, range(1, 6))
        self.assertTrue(puppet.wait(lambda: len(puppet.published) == 2))
        self.events(worker, range(6, 9))
        worker.publish(100, payload=b"100")
        worker.publish(101, payload=b"101")
        self.assertTrue(worker.answers_ping())
        for i in range(10):
            self.assertTrue(puppet.wait(lambda: len(puppet.published) > i))
            puppet.ack(puppet.published[i][0])
            self.assertIsNotNone(worker.wait(ACKED))
        self.assertEqual([1, 2, 100, 101, 3, 4, 5, 6, 7, 8], self.numbers(puppet))

    def test_acknowledgements_come_together_in_order_and_the_last_at_once(self):
        puppet = self.puppet(acks=True)
        worker = self.connected(puppet.port)
        for first in range(1, 1001, 50):
            self.events(worker, range(first, first + 50))
        begin = time.monotonic()
        for token in range(1, 1001):
            self.assertEqual(token, worker.wait(ACKED).token)
        packets = sum(1 for n in worker.packets if n > 1)
        self.assertGreater(packets, 0)
        self.assertLess(len(worker.packets), 500, "a packet for two, or more")
        self.assertEqual(list(range(1, 1001)), self.numbers(puppet))
        self.assertLess(time.monotonic() - begin, 10)

    def test_acknowledgement_is_told_soon_while_others_are_awaited(self):
        """Kept back only for moments: the broker may take its time with the rest."""
        puppet = self.puppet()
        worker = self.connected(puppet.port, window=2)
        self.events(worker, range(1, 11))
        self.assertTrue(puppet.wait(lambda: len(puppet.published) == 2))
        puppet.ack(puppet.published[0][0])
        self.assertEqual(1, worker.wait(ACKED, timeout=3).token)
        self.assertLess(worker.processor_seconds(), 0.5)

    def test_what_waits_is_forgotten_with_the_connection(self):
        puppet = self.puppet()
        worker = self.connected(puppet.port, window=2)
        self.events(worker, range(1, 101))
        self.assertTrue(puppet.wait(lambda: len(puppet.published) == 2))
        puppet.drop()
        self.assertIsNotNone(worker.wait_link(UP))
        self.events(worker, [7])
        self.assertTrue(puppet.wait(lambda: len(puppet.published) == 3))
        puppet.ack(puppet.published[2][0])
        self.assertEqual(7, worker.wait(ACKED).token)
        self.assertEqual([1, 2, 7], self.numbers(puppet))

    def test_only_what_was_refused_is_told_and_the_others_go_on(self):
        puppet = self.puppet()
        worker = self.connected(puppet.port, window=2)
        self.events(worker, range(1, 6))
        self.assertTrue(puppet.wait(lambda: len(puppet.published) == 2))
        puppet.ack(puppet.published[0][0], 0x97)
        refused = worker.wait(REFUSED)
        self.assertEqual((1, 0x97), (refused.token, refused.flags))
        self.assertIn("Quota exceeded", refused.texts[0])
        for i in range(1, 5):
            self.assertTrue(puppet.wait(lambda: len(puppet.published) > i))
            puppet.ack(puppet.published[i][0])
        self.assertTrue(all(worker.wait(ACKED, lambda m: m.token == t and m.a == worker.generation) for t in range(2, 6)))
        self.assertEqual([1, 2, 3, 4, 5], self.numbers(puppet), "whether it is tried again is the daemon's to say")
        self.assertEqual(1, len([m for m in worker.seen if m.type == LINK]))

    def test_stop_sends_answers_and_leaves_events_that_wait_to_the_next(self):
        puppet = self.puppet()
        worker = self.connected(puppet.port, window=2)
        self.events(worker, range(1, 201))
        self.assertTrue(puppet.wait(lambda: len(puppet.published) == 2))
        worker.publish(1000, payload=b"1000")
        worker.send(STOP)
        self.assertTrue(worker.answers_ping())
        puppet.ack(puppet.published[0][0])
        self.assertTrue(puppet.wait(lambda: len(puppet.published) == 3))
        for packet_id, _, _ in puppet.published[1:]:
            puppet.ack(packet_id)
        self.assertEqual(0, worker.process.wait(10))
        self.assertEqual([1, 2, 1000], self.numbers(puppet))

    def test_packet_of_other_things_too_is_nonsense(self):
        for mixture in (lambda w: w.publication(1, flags=PATIENT) + pack(PING), lambda w: pack(PING) + pack(PING),
                        lambda w: w.publication(1, flags=PATIENT) + b"\0" * 7):
            worker = self.connected(self.puppet().port)
            worker.sock.send(mixture(worker))
            self.assertEqual(0, worker.process.wait(10))


class Losses(Case):
    def test_killed_broker_is_connected_again(self):
        broker = self.broker()
        worker = self.connected(broker.port)
        worker.publish(1)
        self.assertEqual(1, worker.wait_taken().token)
        broker.kill()
        self.assertIsNotNone(worker.wait_link(DOWN))
        worker.publish(2)
        broker.start()
        self.assertIsNotNone(worker.wait_link(UP))
        self.assertEqual([1], [m.token for m in worker.seen if m.type in (ACKED, REFUSED)], "2 was sent to nobody")
        worker.publish(2)
        self.assertEqual(2, worker.wait_taken().token)

    def test_packet_of_250_megabytes_finds_no_room(self):
        """What a broker sends beyond what was agreed costs the connection, not the memory of the cabinet.

        Requirement: F4, F17
        """
        puppet = self.puppet()
        worker = self.connected(puppet.port)
        n, length = 250_000_000, b""
        while n or not length:
            length += bytes([n % 128 | (0x80 if n >= 128 else 0)])
            n //= 128
        client, end = puppet.client, time.monotonic() + 30
        try:
            client.sendall(b"\x32" + length)
            while time.monotonic() < end:
                client.sendall(bytes(1 << 20))
        except OSError:
            pass
        self.assertIsNotNone(worker.wait_link(DOWN))
        self.assertIsNotNone(worker.wait_link(UP))
        self.assertTrue(worker.answers_ping())
        with open(f"/proc/{worker.process.pid}/exe", "rb") as f:
            if b"__asan_init" in f.read():
                return  # the sanitizers' run-time takes what it likes: no limit of memory there, the rest has been shown
        with open(f"/proc/{worker.process.pid}/status", encoding="ascii") as f:
            peak = int(next(line for line in f if line.startswith("VmHWM")).split()[1])
        self.assertLess(peak, 80 << 10, "kB")

    def test_unacknowledged_is_forgotten_with_the_connection(self):
        puppet = self.puppet()
        worker = self.connected(puppet.port)
        for token in (11, 12):
            worker.publish(token)
        self.assertTrue(puppet.wait(lambda: len(puppet.published) == 2))
        puppet.ack(puppet.published[0][0])
        self.assertEqual(11, worker.wait(ACKED).token)
        old = worker.generation
        puppet.drop()
        self.assertIsNotNone(worker.wait_link(UP))
        worker.publish(13, generation=old)  # was on its way when the link broke
        worker.publish(14)
        self.assertTrue(puppet.wait(lambda: len(puppet.published) == 3))
        puppet.ack(puppet.published[2][0])
        self.assertEqual(14, worker.wait(ACKED).token)
        self.assertEqual(3, len(puppet.published), "neither 12 nor 13 was sent again by the worker itself")

    def test_receive_maximum_is_kept(self):
        puppet = self.puppet(connack=b"\0\0\3\x21\0\3")  # Receive Maximum 3
        worker = self.worker(puppet.port)
        self.assertEqual(3, worker.wait_link(UP).b)
        for token in range(1, 21):
            worker.publish(token)
        for done in range(20):
            self.assertTrue(puppet.wait(lambda: len(puppet.published) >= min(done + 3, 20)))
            time.sleep(0.02)
            self.assertLessEqual(len(puppet.published), done + 3)
            puppet.ack(puppet.published[done][0])
            self.assertEqual(done + 1, worker.wait(ACKED).token)

    def test_refused_message_is_not_acknowledged_and_tried_again(self):
        puppet = self.puppet()
        worker = self.connected(puppet.port)
        worker.publish(5)
        self.assertTrue(puppet.wait(lambda: len(puppet.published) == 1))
        puppet.ack(puppet.published[0][0], 0x97)
        refused = worker.wait(REFUSED)
        self.assertEqual((5, 0x97), (refused.token, refused.flags))
        self.assertIn("Quota exceeded", refused.texts[0])
        self.assertFalse([m for m in worker.seen if m.type == ACKED])
        worker.publish(5)
        self.assertTrue(puppet.wait(lambda: len(puppet.published) == 2))
        puppet.ack(puppet.published[1][0])
        self.assertEqual(5, worker.wait(ACKED).token)
        self.assertEqual(1, len(puppet.times), "on the same connection")

    def test_message_that_nobody_hears_is_told_as_such(self):
        worker = self.connected(self.broker().port)
        worker.publish(5)
        refused = worker.wait(REFUSED)
        self.assertEqual((5, 0x10), (refused.token, refused.flags))

    def test_session_that_is_shorter_than_asked_is_said(self):
        puppet = self.puppet(connack=b"\0\0\5\x11\0\0\0\x3c", acks=True)  # Session Expiry Interval 60
        self.assertIn("keeps it for 60 s only, not 3600", self.worker(puppet.port).wait_link(UP).texts[0])

    def test_refused_subscription_is_told_and_tried_again(self):
        puppet = self.puppet(suback=0x87, acks=True)
        worker = self.connected(puppet.port, answer_usec=1000000)
        self.assertIn("Not authorized", worker.wait_link(TROUBLE).texts[0])
        worker.publish(1)
        self.assertIsNotNone(worker.wait(ACKED))
        puppet.suback = 1
        self.assertIsNotNone(worker.wait_link(UP))

    def test_packet_larger_than_the_broker_takes_is_told(self):
        puppet = self.puppet(connack=b"\0\0\5\x27\0\0\1\0", acks=True)  # Maximum Packet Size 256
        worker = self.connected(puppet.port)
        worker.publish(1, payload=b"x" * 1000)
        worker.publish(2)
        self.assertEqual(2, worker.wait(ACKED).token)
        refused = next(m for m in worker.seen if m.type == REFUSED)
        self.assertEqual((1, 0x95), (refused.token, refused.flags))
        self.assertIn("cannot be sent", refused.texts[0])

    def test_brokers_reasons_are_told(self):
        puppet = self.puppet(connack=b"\0\x88\0")
        self.assertRefused(puppet.port, "Server unavailable")
        puppet = self.puppet()
        worker = self.connected(puppet.port)
        puppet.send(0xE0, b"\x8e\0")
        self.assertIn("Session taken over", worker.wait_link(DOWN).texts[0])

    def test_each_failed_attempt_goes_on_to_the_next_address(self):
        """One takes connections and says nothing, one is not there, one refuses; the last one works."""
        frozen = self.puppet(connack=None)
        refusing = self.puppet(connack=b"\0\x88\0", address=("127.0.0.3", frozen.port))
        good = self.puppet(acks=True, address=("127.0.0.4", frozen.port))
        worker = self.worker(frozen.port, host="127.0.0.1  127.0.0.2 127.0.0.3 127.0.0.4", answer_usec=300000)
        for words in (f"127.0.0.1:{frozen.port}: The broker does not answer", f"127.0.0.2:{frozen.port}: Connection refused",
                      f"127.0.0.3:{frozen.port}: Server unavailable"):
            self.assertIn(words, worker.wait_link(DOWN).texts[0])
        self.assertIn(f"Connected to 127.0.0.4:{frozen.port}", worker.wait_link(UP).texts[0])
        self.assertEqual([1, 1, 1], [len(p.times) for p in (frozen, refusing, good)])
        # And round again when that one is lost.
        good.drop()
        self.assertTrue(frozen.wait(lambda: len(frozen.times) == 2))

    @needs_mount
    def test_next_address_of_a_name_is_tried_too(self):
        """A name with two addresses, one of which takes connections and says nothing; once the first of both, once the second."""
        hosts, script = self.path("hosts", "127.0.0.5 cluster.example\n127.0.0.6 cluster.example\n"), self.path("run", "")
        with open(script, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nexec unshare -m sh -c 'mount --bind {hosts} /etc/hosts && exec {PROGRAM}'\n")
        os.chmod(script, 0o755)
        rounds = []
        for first, second in (("127.0.0.5", "127.0.0.6"), ("127.0.0.6", "127.0.0.5")):
            frozen = self.puppet(connack=None, address=(first, 0))
            self.puppet(address=(second, frozen.port))
            worker = Worker(script, frozen.port, host="cluster.example", answer_usec=300000)
            self.addCleanup(worker.close)
            self.assertIsNotNone(worker.wait_link(UP))
            rounds.append(len(frozen.times))
        self.assertEqual(sorted(rounds), [0, 1], "one of them was the first")

    def test_silent_broker_is_left(self):
        puppet = self.puppet(connack=b"\0\0\3\x13\0\2", pings=False)  # Server Keep Alive 2
        worker = self.connected(puppet.port, keepalive_sec=60)
        self.assertIsNotNone(worker.wait_link(DOWN), "the broker's keep-alive counts")

    def test_connack_that_never_comes(self):
        puppet = self.puppet(connack=None)
        worker = self.worker(puppet.port, answer_usec=500000)
        self.assertTrue(puppet.wait(lambda: puppet.connects))
        self.assertTrue(worker.answers_ping())
        self.assertIn("does not answer", worker.wait_link(DOWN).texts[0])
        self.assertTrue(puppet.wait(lambda: len(puppet.times) >= 3))
        self.assertLess(worker.processor_seconds(), 0.5)
        puppet.connack = b"\0\0\0"
        self.assertIsNotNone(worker.wait_link(UP))

    def test_connection_that_does_not_come_about_leaves_pings_answered(self):
        """A listener whose queue is full: connect() blocks."""
        server = socket.socket()
        self.addCleanup(server.close)
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fillers = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(server.getsockname())
            fillers.append(s)
            self.addCleanup(s.close)
        worker = self.worker(server.getsockname()[1], host="127.0.0.1", answer_usec=300000)
        self.assertIn("no answer yet", worker.wait_link(DOWN).texts[0])
        for _ in range(3):
            self.assertTrue(worker.answers_ping(1))
        self.assertEqual(0, worker.hang_up(), "and it leaves at once")

    def test_unresolvable_name_is_told(self):
        worker = self.worker(1883, host="no-such-host.invalid")
        self.assertTrue(worker.answers_ping())
        self.assertIn("no-such-host.invalid:1883: ", worker.wait_link(DOWN, 60).texts[0])

    def test_waits_are_spread_and_bounded(self):
        low, high = 0.05, 0.4
        worker = self.worker(free_port(), backoff_min_usec=int(low * 1e6), backoff_max_usec=int(high * 1e6))
        times = []
        for _ in range(16):
            self.assertIn("Connection refused", worker.wait_link(DOWN).texts[0])
            times.append(time.monotonic())
        waits = [b - a for a, b in zip(times, times[1:])]
        self.assertGreaterEqual(min(waits), low * 0.8)
        self.assertGreater(max(waits) - min(waits), (high - low) / 8)
        self.assertLess(worker.processor_seconds(), 0.5)

    def test_workers_that_lose_a_broker_together_come_back_one_by_one(self):
        puppets = [self.puppet() for _ in range(6)]
        for i, puppet in enumerate(puppets):
            self.connected(puppet.port, client_id=f"T{i}", backoff_min_usec=100000, backoff_max_usec=60000000)
        lost = time.monotonic()
        for puppet in puppets:
            puppet.drop()
        for puppet in puppets:
            self.assertTrue(puppet.wait(lambda: len(puppet.times) == 2))
        back = sorted(puppet.times[1] for puppet in puppets)
        self.assertGreaterEqual(back[0] - lost, 0.08)
        self.assertGreater(back[-1] - back[0], 0.2, "0.1 s to 1.6 s, by chance")

    def test_workers_that_are_started_together_connect_one_by_one(self):
        waits = []
        for i in range(8):
            puppet = self.puppet()
            self.worker(puppet.port, client_id=f"T{i}", backoff_min_usec=100000, backoff_max_usec=60000000)
            waits.append((puppet, time.monotonic()))
        for puppet, _ in waits:
            self.assertTrue(puppet.wait(lambda: puppet.times))
        waits = [puppet.times[0] - begin for puppet, begin in waits]
        self.assertGreater(max(waits), 0.3, "0 to 1.5 s, by chance; two in a million are all below")
        self.assertGreater(max(waits) - min(waits), 0.1)

    def test_nonsense_of_the_daemon_ends_it(self):
        worker = self.connected(self.puppet().port)
        worker.send(PUBLISH, ["only one text"])
        self.assertEqual(0, worker.process.wait(10))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = os.path.join(os.path.abspath(sys.argv.pop(1)), "src", "mqtt", "lockerd-mqtt")
    if not MOSQUITTO:
        sys.exit("mosquitto is not installed; it is among the Build-Depends of debian/control")
    unittest.main(verbosity=2)
