# SPDX-License-Identifier: Apache-2.0
"""The short-range link against those who should not get in: certificates that do not count, bytes that are no requests, many at once."""
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import time

from cryptography.hazmat.primitives.asymmetric import ec

from daemonlib import TREE, Cabinet, main
from linklib import Authority, Gone, Link, LinkTest, SocketStream, place_of


CLOCKSHIM = TREE / "tests" / "daemon" / "clockshim.c"


class Certificates(LinkTest):
    def prepare(self):
        self.revoked = self.authority.courier("4711", name="revoked")
        # A list that is older than it says it would be still counts.
        self.link_settings = {"RevocationFile": self.authority.revoke(self.revoked[0], end=-1)}

    def refused(self, alert, cert, key):
        """The alert of TLS; nothing was opened, nothing was begun."""
        with self.assertRaises((ssl.SSLError, Gone, ConnectionError)) as caught:
            self.handheld(cert=cert, key=key).request("deposit", size="S")
        self.assertIn(alert, str(caught.exception))

    def test_certificates_that_do_not_count(self):
        """Requirement: B1, F17"""
        mark = self.last_event()
        other = Authority(self.certificates, "Other")
        issue = self.authority.courier
        with self.only():
            self.refused("alert unknown ca", *other.courier("4711", name="other-ca")[1:])
            self.refused("alert certificate expired", *issue("4711", name="expired", begin=-48, end=-24)[1:])
            self.refused("alert bad certificate", *issue("4711", name="early", begin=24, end=48)[1:])
            self.refused("alert certificate revoked", *self.revoked[1:])
            self.refused("alert handshake failure", *issue("4711", name="elsewhere", cabinets=["C-0099"])[1:])
            self.refused("alert", *issue("4711", name="no-usage", usage=False)[1:])
            self.refused("alert", *issue("4711", name="server", client=False)[1:])
            self.refused("alert", *self.authority.cabinet("C-0099"))
            self.refused("alert", *issue("4711", name="curve", curve=ec.SECP384R1)[1:])
            self.refused("alert", *self.authority.issue("nobody", [])[1:])
            self.refused("alert", *self.authority.issue("two", ["urn:lockerd:courier:4711", "urn:lockerd:courier:4712"])[1:])
            self.refused("alert", *issue("47/11", name="number")[1:])
            # A good one of a courier whom the cabinet does not know.
            cert, key = issue("9999", name="unknown")[1:]
            self.assertSaysNo("UnknownPerson", self.handheld(cert=cert, key=key), "deposit", size="S")
        self.assertEqual(self.admin.events(mark), [], "strangers write nothing")
        # A handheld tells nothing to a cabinet that is another one, or somebody's.
        with self.assertRaisesRegex(ssl.SSLError, "not cabinet C-0013"):
            Link(SocketStream(f"unix:{self.socket}"), "C-0013", self.authority.file)
        with self.assertRaises(ssl.SSLCertVerificationError):
            Link(SocketStream(f"unix:{self.socket}"), "C-0012", other.file)
        cert, key = issue("4711", name="here", cabinets=["C-0099", "C-0012"])[1:]
        self.assertIn("slot", self.handheld(cert=cert, key=key).request("deposit", size="S"))

    def test_a_certificate_ends_in_the_middle_of_a_connection(self):
        """Requirement: B1"""
        cert, key = self.authority.courier("4711", name="short", end=3 / 3600)[1:]
        link = self.handheld(cert=cert, key=key)
        self.assertSaysNo("WrongState", link, "cancel")
        time.sleep(3)
        self.assertSaysNo("NotAuthenticated", link, "deposit", size="S")

    def test_revocations_are_read_again_on_reload(self):
        """Requirement: B1"""
        link = self.handheld("4711")
        good = self.authority.courier("4711", name="second")
        self.authority.revoke(self.revoked[0], good[0])
        self.cabinet.daemon.send_signal(signal.SIGHUP)
        with self.assertRaises((Gone, ssl.SSLError, ConnectionError)):
            link.receive_frame(10)
        self.cabinet.wait_log("is replaced")
        self.wait_listening()
        self.refused("alert certificate revoked", *good[1:])
        self.handheld("4711")


class ClockUnknown(LinkTest):
    """A calendar that is the test's: clockshim.c."""

    settings = {"Daemon": {"TrustClock": "no"}}

    def prepare(self):
        self.shim, self.shown = (os.path.join(self.certificates, name) for name in ("clockshim.so", "calendar"))
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.shim, CLOCKSHIM], check=True)
        self.show(0, False)
        original = Cabinet.environment
        Cabinet.environment = lambda cabinet: {**original(cabinet), "LD_PRELOAD": self.shim, "CLOCKSHIM": self.shown,
                                               "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"}
        self.addCleanup(setattr, Cabinet, "environment", original)

    def show(self, ahead, synced):
        """Seconds ahead of the true time, synchronised, the boot."""
        with open(self.shown + ".new", "w", encoding="utf-8") as f:
            f.write(f"{ahead} {'yes' if synced else 'no'} {'b' * 32}")
        os.rename(self.shown + ".new", self.shown)

    def test_what_is_allowed_when_nobody_vouches_for_the_clock(self):
        """Putting in is; taking out by a certificate that may have expired is not; codes are what they were.

        Requirement: B1, B3, F16"""
        link = self.handheld("4711")
        self.assertEqual(link.hello["clock"], "unknown")
        _, code = self.bring(link)
        with self.only():
            self.assertIn("does not know what time it is", self.assertSaysNo("NotAllowed", link, "take-back"))
        self.fetch(code)
        # Nor does it keep out who comes from the future: the calendar may be behind.
        early = self.authority.courier("4711", name="early", begin=24, end=48)[1:]
        self.handheld(cert=early[0], key=early[1]).request("deposit", size="S")
        # Now somebody vouches, and it has ended long ago.
        self.show(72 * 3600, True)
        self.assertSaysNo("NotAuthenticated", link, "deposit", size="S")
        self.assertSaysNo("NotAuthenticated", link, "take-back")
        # The worker is told in the next ten seconds; until then the daemon alone refuses.
        cert, key = self.authority.courier("4711", name="then", begin=60, end=90)[1:]
        self.assertSaysNo("NothingToCollect", self.handheld(cert=cert, key=key), "take-back")


class Strangers(LinkTest):
    settings = {"Session": {"MaxSessions": "4"}}
    link_settings = {}

    def prepare(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.link_settings = {"LoopbackPort": str(self.port)}

    def raw(self, data=b""):
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.connect(self.socket)
        if data:
            s.sendall(data)
        return s

    def ended(self, link):
        with self.assertRaises((Gone, ssl.SSLError, ConnectionError)):
            while True:
                link.receive_frame(10)

    def frame(self, text, length=None):
        """A handheld that sends this after hello."""
        link = self.handheld()
        link._step(link.tls.write, struct.pack(">I", len(text) if length is None else length) + text)
        return link

    def test_frames_and_requests_that_are_none(self):
        """Requirement: B1, F4"""
        with self.only():
            for text, length in ((b"", 0), (b"", 8193), (b"not json", None), (b'{"id":1,"id":1,"request":"end"}', None), (b"[" * 4000, None)):
                self.ended(self.frame(text, length))
            link = self.handheld()
            for text, error in ((b'{"id":7}', "InvalidArgument"), (b'{"id":7,"request":"shutdown"}', "UnknownCommand"),
                                (b'{"id":7,"request":"collect","code":["A"]}', "InvalidArgument"),
                                (b'{"id":7,"request":"collect","code":"' + b"A" * 33 + b'"}', "InvalidArgument"),
                                (b'{"id":7,"request":"collect","code":"AAAAAA","slot":"99"}', "UnknownSlot"),
                                (b'{"id":7,"request":"hello","versions":[1]}', "WrongState")):
                link._step(link.tls.write, struct.pack(">I", len(text)) + text)
                answer = link.receive_frame()
                self.assertEqual((answer["id"], answer["status"], answer["error"]), (7, "refused", error))
            # Before hello nothing is understood.
            class Hasty(Link):
                def request(self, name, **arguments):
                    return super().request("end") if name == "hello" else super().request(name, **arguments)
            with self.assertRaises((Gone, ssl.SSLError, ConnectionError)):
                Hasty(SocketStream(f"unix:{self.socket}"), "C-0012", self.authority.file)
            for garbage in (b"\0" * 4096, b"GET / HTTP/1.0\r\n\r\n", os.urandom(4096), b"\x16\x03\x01\xff\xff" + b"A" * 4096):
                s = self.raw(garbage)
                s.settimeout(10)
                try:
                    while s.recv(4096):
                        pass
                except ConnectionError:
                    pass  # closed or reset, and within the time
            # TLS 1.2 is refused.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2
            with self.assertRaises(ssl.SSLError), socket.create_connection(("127.0.0.1", self.port)) as s:
                context.wrap_socket(s)
        self.assertEqual(self.cabinet.log().count("is replaced"), 0, "the worker has lived through all of it")

    def test_many_that_only_connect_keep_nobody_out(self):
        """Half of them dribble a handshake, byte after byte; the others have shown nothing after it.

        Requirement: B1, F4, F15"""
        silent = [self.raw(b"\x16\x03") for _ in range(40)]
        strangers = [self.handheld() for _ in range(10)]
        for s in silent:
            try:
                s.sendall(b"\x01")
            except OSError:
                pass  # has given way already
        begin = time.monotonic()
        self.courier().end()
        kiosk = time.monotonic() - begin
        begin = time.monotonic()
        link = self.handheld("4711")
        put = place_of(link.request("deposit", size="S"))
        self.assertLess(time.monotonic() - begin, 5)
        self.assertLess(kiosk, 3, "the kiosk stays quick")
        more = [self.raw() for _ in range(60)]
        self.put(put)
        self.shut(put)
        link.wait_prompt("stored")  # who has an errand keeps the connection
        del silent, strangers, more
        tcp = Link(SocketStream(f"tcp:{self.port}"), "C-0012", self.authority.file)
        self.assertEqual(tcp.hello["cabinet"], "C-0012")
        tcp.close()

    def test_codes_tried_over_the_link_lock_the_link_and_not_the_kiosk(self):
        """Requirement: B3, D4, F15"""
        with self.handheld("4711") as link:
            put, code = self.bring(link)
        mark = self.last_event()
        with self.handheld() as stranger, self.only():
            self.assertSaysNo("WrongCode", stranger, "collect", code=code, cabinet="C-0099")
        self.assertEqual(self.wait_event("code.wrong", after=mark).data, {"why": "another-cabinet"})
        for _ in range(2):
            with self.handheld() as stranger:
                self.assertSaysNo("WrongCode", stranger, "collect", code="ZZZZZZ", slot=put.slot)
        with self.handheld() as stranger, self.only():
            self.assertSaysNo("LockedOut", stranger, "collect", code=code)
            self.assertSaysNo("LockedOut", stranger, "collect", code=code, slot=put.slot)
        self.assertEqual(set(self.admin.lockouts()), {"terminal:link", f"apart-claim:slot:{put.slot}"})
        with self.handheld("4711") as link:
            self.bring(link)  # who has a certificate is not concerned
        self.collect(code, slot=put.slot)

    def test_who_holds_sessions_leaves_half_of_them_to_the_kiosk(self):
        """Requirement: F15, F4"""
        couriers = []
        for number in ("5001", "5002", "5003"):
            self.admin.enrol_courier(number, "258036")
            self.couriers[number] = self.authority.courier(number)[1:]
            couriers.append(self.handheld(number))
        for link in couriers[:2]:
            link.request("deposit", size="S")
        self.assertSaysNo("TooManySessions", couriers[2], "deposit", size="S")
        self.courier().deposit(size="S")

    def test_a_handheld_that_reads_nothing_is_left(self):
        """Requirement: F4"""
        link = self.handheld()
        sent = 0
        link.stream.socket.setblocking(False)
        text = json.dumps({"id": 1, "request": "end"}).encode()
        while sent < 2_000_000:
            link.tls.write(struct.pack(">I", len(text)) + text)
            try:
                sent += link.stream.socket.send(link.outgoing.read())
            except BlockingIOError:
                break  # the cabinet does not read on: it is bounded, not this loop
        self.assertLess(sent, 2_000_000)
        self.courier().end()


main()
