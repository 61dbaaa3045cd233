# SPDX-License-Identifier: Apache-2.0
"""lockerd-ble by itself: a bus, a BlueZ of the test's, phones, and the daemon's end of the wire."""
import os
import select
import socket
import struct
import subprocess
import tempfile
import time
import unittest

from daemonlib import PrivateBus, build_directory, main, wait
from fake_bluez import FakeBluez, Refused

SETUP, STATE, PING, HEALTH, STREAM, PONG = range(1, 7)
FINE, NO_BUS, NO_BLUEZ, NO_ADAPTER, OFF, REFUSED = range(6)
SERVED, WAITING = 1, 2
BEGINS, ENDED = 1, 2
WORKER = os.path.join(build_directory(), "src", "ble", "lockerd-ble")


def message(kind, pattern, *values, version=1):
    return struct.pack("=HHI" + pattern, version, kind, 0, *values)


class Ble:
    def __init__(self, bus, adapter="", phones=2, cabinet="C-0012"):
        self.sock, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen([WORKER], pass_fds=(3,), preexec_fn=lambda: os.dup2(child.fileno(), 3), stderr=self.errors)
        child.close()
        self.streams = []
        self.health = []
        self.pongs = []
        self.sock.send(message(SETUP, "27s16s128s1xI", cabinet.encode(), adapter.encode(), bus.encode(), phones))

    def take(self):
        """Whether everything that was said has been taken; True for ever once the worker has left."""
        while select.select([self.sock], [], [], 0)[0]:
            packet, fds, _, _ = socket.recv_fds(self.sock, 4096, 1)
            if not packet:
                return
            kind = struct.unpack_from("=HHI", packet)[1]
            if kind == HEALTH:
                problem, detail = struct.unpack_from("=I96s", packet, 8)
                self.health.append((problem, detail.split(b"\0")[0].decode()))
            elif kind == STREAM:
                stream = socket.socket(fileno=fds.pop())
                stream.settimeout(10)
                self.streams.append((packet[8:32].split(b"\0")[0].decode(), stream))
            elif kind == PONG:
                self.pongs.append(struct.unpack_from("=Q", packet, 8)[0])

    def wait_health(self, problem):
        def found():
            self.take()
            return self.health and self.health[-1][0] == problem
        try:
            wait(found, f"health {problem}", 20)
        except AssertionError as e:
            raise AssertionError(f"{e}; it was {self.health}") from None
        return self.health[-1][1]

    def wait_stream(self):
        def found():
            self.take()
            return self.streams
        wait(found, "a stream", 10)
        return self.streams.pop(0)

    def stop(self):
        self.sock.close()
        try:
            status = self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().decode()
        self.errors.close()
        for _, stream in self.streams:
            stream.close()
        return status, said


def fragments(data, most):
    return [data[i:i + most] for i in range(0, len(data), most)]


class App:
    """The program on a phone: numbers, counts and bytes, written after docs/ble.md alone."""

    def __init__(self, phone):
        self.phone = phone
        self.count = self.expected = 0
        self.version, self.number, self.state, self.ahead, self.most = struct.unpack(">BBBBH", phone.read())

    def send(self, data):
        for part in fragments(data, min(self.phone.mtu - 3, 510) - 1):
            self.phone.write(bytes([self.count]) + part)
            self.count = (self.count + 1) % 256

    def notices(self):
        return [n[1] for n in self.phone.heard if n[0] == 0 and n[2] == self.number]

    def received(self):
        data = b""
        for n in [n for n in self.phone.heard if n[0] == self.number]:
            if n[1] != self.expected:
                raise AssertionError(f"fragment {n[1]} instead of {self.expected}")
            self.expected = (self.expected + 1) % 256
            data += n[2:]
        self.phone.heard = [n for n in self.phone.heard if n[0] != self.number]
        return data


class BleWorker(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.bus = PrivateBus(directory.name)
        self.addCleanup(self.bus.stop)
        self.workers = []
        self.bluez = None

    def tearDown(self):
        if self.bluez:
            self.bluez.stop()
        for worker in self.workers:
            status, said = worker.stop()
            self.assertEqual(status, 0, said)
            self.assertNotIn("Sanitizer", said)

    def start(self, powered=True, **how):
        self.bluez = FakeBluez(self.bus.address, powered=powered)
        return self.worker(**how)

    def worker(self, up=True, **how):
        worker = Ble(self.bus.address, **how)
        self.workers.append(worker)
        if up:
            worker.wait_health(FINE)
        return worker

    def stream(self, worker, number=1, **how):
        phone = self.bluez.connect(number, **how)
        app = App(phone)
        self.assertEqual(app.state, SERVED)
        address, stream = worker.wait_stream()
        self.addCleanup(stream.close)
        self.assertEqual(address, f"AA:BB:CC:DD:EE:{number:02X}")
        return app, stream

    def get(self, app, n):
        got = bytearray()

        def more():
            got.extend(app.received())
            return len(got) >= n
        wait(more, f"{n} bytes", 20)
        return bytes(got)

    def read(self, stream, n):
        got = b""
        while len(got) < n:
            part = stream.recv(n - len(got))
            self.assertTrue(part, "the stream has ended")
            got += part
        return got

    def test_adapter_is_switched_on_and_the_service_advertised(self):
        worker = self.start(powered=False)
        self.assertTrue(self.bluez.powered)
        self.assertEqual(worker.health[-1], (FINE, "hci0"))
        a = self.bluez.advertisement
        self.assertEqual((a["Type"], a["ServiceUUIDs"], a["LocalName"]), ("peripheral", ["8c5a1f30-6f0e-4c57-9d3c-5d1f2f0b7a10"], "C-0012"))
        self.assertEqual(bytes(a["ManufacturerData"][0xFFFF]), b"\1\0")
        worker.sock.send(message(STATE, "II", 1, 0))
        wait(lambda: bytes(self.bluez.advertisement["ManufacturerData"][0xFFFF]) == b"\1\1", "offline is advertised", 5)
        objects = self.bluez.objects
        self.assertEqual(objects[self.bluez.paths["in"]]["org.bluez.GattCharacteristic1"]["Flags"], ["write", "write-without-response"])
        self.assertEqual(objects[self.bluez.paths["out"]]["org.bluez.GattCharacteristic1"]["Flags"], ["read", "notify"])

    def test_bytes_go_both_ways_at_every_mtu(self):
        worker = self.start()
        said = os.urandom(3000)
        for i, mtu in enumerate((23, 24, 185, 517)):
            with self.subTest(mtu=mtu):
                app, stream = self.stream(worker, i + 1, mtu=mtu)
                self.assertEqual((app.version, app.most), (1, min(mtu - 5, 510) - 2))
                app.send(said)
                self.assertEqual(self.read(stream, len(said)), said)
                stream.sendall(said[::-1])
                self.assertEqual(self.get(app, len(said)), said[::-1])
                app.phone.leave()
                self.assertEqual(stream.recv(10), b"")

    def test_fragment_lost_twice_or_empty_ends_the_stream(self):
        worker = self.start()
        for i, wrong in enumerate((b"\2x", b"\0x", b"\1", b"")):
            with self.subTest(wrong=wrong):
                app, stream = self.stream(worker, i + 1)
                app.send(b"begin")
                with self.assertRaises(Refused):
                    app.phone.write(wrong)
                self.assertEqual(self.read(stream, 5), b"begin")
                self.assertEqual(stream.recv(10), b"", "nothing of what came after the gap")
                wait(lambda: app.notices() == [ENDED], "the notice", 5)
                # The same phone may begin anew, under another number.
                again = App(app.phone)
                self.assertEqual((again.state, again.number != app.number), (SERVED, True))
                worker.wait_stream()[1].close()
                app.phone.leave()

    def test_link_ends_a_stream_and_the_phone_hears(self):
        worker = self.start()
        app, stream = self.stream(worker)
        stream.sendall(b"bye")
        stream.close()
        self.assertEqual(self.get(app, 3), b"bye")
        wait(lambda: app.notices() == [ENDED], "the notice", 5)
        with self.assertRaises(Refused):
            app.send(b"more")

    def test_phones_that_find_no_place_wait_in_order(self):
        worker = self.start(phones=2)
        one, first = self.stream(worker, 1)
        two, _ = self.stream(worker, 2)
        three, four, five = (App(self.bluez.connect(i)) for i in (3, 4, 5))
        self.assertEqual([(a.state, a.ahead) for a in (three, four, five)], [(WAITING, 0), (WAITING, 1), (WAITING, 2)])
        with self.assertRaises(Refused):
            three.send(b"too early")
        three.phone.leave()
        one.phone.leave()
        self.assertEqual(first.recv(10), b"")
        wait(lambda: four.notices() == [BEGINS], "four's turn", 5)
        address, stream = worker.wait_stream()
        self.assertEqual(address, "AA:BB:CC:DD:EE:04")
        four.send(b"four")
        self.assertEqual(self.read(stream, 4), b"four")
        # Whoever has missed the notice asks again.
        self.assertEqual(struct.unpack(">BBBBH", five.phone.read())[1:4], (five.number, WAITING, 0))
        stream.close()
        wait(lambda: five.notices() == [BEGINS], "five's turn", 5)
        self.assertEqual(struct.unpack(">BBBBH", five.phone.read())[1:3], (five.number, SERVED))
        self.assertEqual(two.notices(), [])

    def test_streams_side_by_side_do_not_mix(self):
        worker = self.start(phones=4)
        pairs = [self.stream(worker, i, mtu=23 + 40 * i) for i in range(1, 5)]
        for app, stream in pairs:
            stream.sendall(bytes([app.number]) * 2000)
        for app, stream in pairs:
            app.send(bytes([app.number]) * 500)
        for app, stream in pairs:
            self.assertEqual(self.read(stream, 500), bytes([app.number]) * 500)
            self.assertEqual(self.get(app, 2000), bytes([app.number]) * 2000)

    def test_phone_that_sends_more_than_is_taken_loses_its_stream_alone(self):
        worker = self.start(phones=2)
        flood, stream = self.stream(worker, 1, mtu=517)
        other, quiet = self.stream(worker, 2)
        with self.assertRaises(Refused):
            for _ in range(4000):
                flood.send(b"x" * 509)
        other.send(b"still here")
        self.assertEqual(self.read(quiet, 10), b"still here")
        wait(lambda: flood.notices() == [ENDED], "the notice", 5)

    def test_what_a_phone_does_not_take_is_bounded(self):
        """The link may say megabytes; BlueZ gets them no faster than a connection carries them."""
        worker = self.start()
        app, stream = self.stream(worker, mtu=517)
        app.phone.subscribed = False
        stream.setblocking(False)
        sent, end = 0, time.monotonic() + 2
        while time.monotonic() < end:
            try:
                sent += stream.send(b"y" * 4096)
            except BlockingIOError:
                time.sleep(0.01)
        room = stream.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        self.assertLess(sent, 16384 + 4 * 32768 + 2 * room)
        # The others, and the daemon, do not notice.
        worker.sock.send(message(PING, "Q", 7))
        wait(lambda: worker.take() or worker.pongs == [7], "pong", 5)

    def test_nobody_but_bluez_is_heard(self):
        self.start()
        from dbusclient import Gio, GLib
        flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
        stranger = Gio.DBusConnection.new_for_address_sync(self.bus.address, flags, None, None)
        device = {"device": GLib.Variant("o", "/org/bluez/hci0/dev_AA_BB_CC_DD_EE_01")}
        for path, member, arguments in (("out", "ReadValue", GLib.Variant("(a{sv})", (device,))),
                                        ("in", "WriteValue", GLib.Variant("(aya{sv})", (b"\0x", device)))):
            with self.assertRaises(GLib.Error) as e:
                stranger.call_sync(self.bluez.application, self.bluez.paths[path], "org.bluez.GattCharacteristic1", member, arguments, None,
                                   Gio.DBusCallFlags.NONE, 5000, None)
            self.assertEqual(Gio.DBusError.get_remote_error(e.exception), "org.freedesktop.DBus.Error.AccessDenied")
        # Nor is what it says of phones believed.
        worker = self.workers[0]
        app, stream = self.stream(worker)
        stranger.emit_signal(None, app.phone.path, "org.freedesktop.DBus.Properties", "PropertiesChanged",
                             GLib.Variant("(sa{sv}as)", ("org.bluez.Device1", {"Connected": GLib.Variant("b", False)}, [])))
        stranger.flush_sync(None)
        app.send(b"here")
        self.assertEqual(self.read(stream, 4), b"here")
        stranger.close_sync(None)

    def test_requests_that_make_no_sense_are_refused(self):
        self.start()
        phone = self.bluez.connect(1)
        for what in (lambda: phone.read(offset=1), lambda: phone.write(b"\0x", offset=1), lambda: phone.write(b"\0x")):
            with self.assertRaises(Refused):
                what()

    def test_phone_that_asks_for_nothing_is_disconnected_and_one_that_is_paired_is_not(self):
        worker = self.start()
        silent, paired = self.bluez.connect(1), self.bluez.connect(2, paired=True)
        ended, stream = self.stream(worker, 3)
        stream.close()
        busy, kept = self.stream(worker, 4)
        wait(lambda: len(self.bluez.disconnected) == 2, "two are disconnected", 60)
        self.assertEqual(sorted(self.bluez.disconnected), [silent.path, ended.phone.path])
        self.assertTrue(paired.connected)
        busy.send(b"here")
        self.assertEqual(self.read(kept, 4), b"here")

    def test_bluez_comes_late_goes_and_comes_back(self):
        worker = self.worker(up=False)
        worker.wait_health(NO_BLUEZ)
        self.bluez = FakeBluez(self.bus.address)
        worker.wait_health(FINE)
        app, stream = self.stream(worker)
        self.bluez.stop()
        self.assertEqual(stream.recv(10), b"")
        worker.wait_health(NO_BLUEZ)
        self.bluez = FakeBluez(self.bus.address)
        worker.wait_health(FINE)
        self.stream(worker)

    def test_adapter_is_unplugged_and_plugged_in(self):
        worker = self.start()
        app, stream = self.stream(worker)
        self.bluez.unplug()
        worker.wait_health(NO_ADAPTER)
        self.assertEqual(stream.recv(10), b"")
        self.bluez.plug()
        worker.wait_health(FINE)
        self.assertTrue(self.bluez.advertisement)

    def test_wanted_adapter_is_waited_for(self):
        self.bluez = FakeBluez(self.bus.address)
        worker = self.worker(up=False, adapter="hci1")
        self.assertEqual(worker.wait_health(NO_ADAPTER), "hci1")

    def test_refusals_of_bluez_are_told_and_tried_again(self):
        self.bluez = FakeBluez(self.bus.address, powered=False)
        self.bluez.errors["Set"] = "org.bluez.Error.Blocked"
        worker = self.worker(up=False)
        self.assertIn("as the test says", worker.wait_health(OFF))
        self.bluez.errors = {"RegisterAdvertisement": "org.bluez.Error.NotPermitted"}
        worker.wait_health(REFUSED)
        self.bluez.errors = {"RegisterApplication": "org.bluez.Error.AlreadyExists"}
        worker.wait_health(FINE)

    def test_adapter_that_is_switched_off_by_others_is_switched_on(self):
        from dbusclient import GLib
        worker = self.start()
        _, stream = self.stream(worker)
        self.bluez.powered = False
        self.bluez.changed(self.bluez.adapter, "org.bluez.Adapter1", {"Powered": GLib.Variant("b", False)})
        worker.wait_health(OFF)
        self.assertEqual(stream.recv(10), b"")
        worker.wait_health(FINE)
        self.assertTrue(self.bluez.powered)

    def test_daemon_that_makes_no_sense_or_leaves_ends_the_worker(self):
        for packet in (b"x", message(99, ""), message(HEALTH, "I96s", 0, b""), message(SETUP, "27s16s128s1xI", b"", b"", b"unix:path=/x", 2),
                       message(SETUP, "27s16s128s1xI", b"C", b"", b"unix:path=/x", 9), message(STATE, "II", 2, 0), message(PING, "Q", 1, version=2)):
            with self.subTest(packet=packet):
                self.bluez = self.bluez or FakeBluez(self.bus.address)
                worker = self.worker()
                worker.sock.send(packet)
                self.assertEqual(worker.process.wait(10), 0)
                self.assertIn("not understood", worker.stop()[1])
                self.workers.remove(worker)

    def test_bus_that_cannot_be_reached_is_told(self):
        worker = Ble("unix:path=/nowhere/at/all")
        worker.wait_health(NO_BUS)
        self.assertEqual(worker.process.wait(10), 0)
        worker.stop()


if __name__ == "__main__":
    main()
