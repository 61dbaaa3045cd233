# SPDX-License-Identifier: Apache-2.0
"""Handhelds over Bluetooth LE: the whole daemon, and a BlueZ of the test's. On the air it is on the virtual board."""
import os
import pathlib
import re
import signal
import struct
import subprocess
import time

from daemonlib import main, wait
from dbusclient import iterate
from fake_bluez import FakeBluez, Refused
from linklib import Link, LinkTest, Stream, place_of

SERVED, WAITING = 1, 2


class FakeStream(Stream):
    """What examples/handheld/ble.py does on the air."""

    def __init__(self, phone):
        self.phone = phone
        self.count = self.expected = 0
        _, self.number, self.state, self.ahead, _ = struct.unpack(">BBBBH", phone.read())

    def send(self, data):
        most = min(self.phone.mtu - 3, 510) - 1
        for i in range(0, len(data), most):
            try:
                self.phone.write(bytes([self.count]) + data[i:i + most])
            except Refused as e:
                raise ConnectionError(str(e)) from None
            self.count = (self.count + 1) % 256

    def receive(self, timeout):
        end = time.monotonic() + timeout
        while True:
            iterate()
            if self.phone.heard:
                value = self.phone.heard.pop(0)
                if value[0] == self.number:
                    if value[1] != self.expected:
                        raise AssertionError(f"fragment {value[1]} instead of {self.expected}")
                    self.expected = (self.expected + 1) % 256
                    return value[2:]
                if value[0] == 0 and value[1:] == bytes([2, self.number]):
                    return b""
            elif not self.phone.connected:
                return b""
            elif time.monotonic() > end:
                raise TimeoutError
            else:
                time.sleep(0.002)

    def close(self):
        if self.phone.connected:
            self.phone.leave()


class RadioTest(LinkTest):
    settings = {"Session": {"ReopenGrace": "20s", "AnswerTimeout": "20s"}}
    link_settings = {"Bluetooth": "yes", "BluetoothPhones": "2"}

    def setUp(self):
        super().setUp()
        self.bluez = FakeBluez(self.cabinet.bus.address)
        self.addCleanup(lambda: self.bluez.bus.is_closed() or self.bluez.stop())
        self.wait_radio("ok")

    def wait_radio(self, state):
        wait(lambda: self.admin.health().get("bluetooth", ("",))[0] == state, f"the radio {state}", 30)
        return self.admin.health()["bluetooth"][1]

    def phone(self, number, courier=None, mtu=185):
        cert, key = self.couriers[courier] if courier else (None, None)
        link = Link(FakeStream(self.bluez.connect(number, mtu=mtu)), "C-0012", self.authority.file, cert, key, timeout=20)
        self.addCleanup(link.close)
        return link

    def worker(self):
        out = subprocess.run(["pgrep", "-P", str(self.cabinet.daemon.pid), "-x", "lockerd-ble"], capture_output=True, text=True, check=False).stdout
        return int(out) if out.strip() else None


class Radio(RadioTest):
    def test_a_phone_deposits_and_another_collects_at_every_mtu(self):
        """Requirement: A5, B1, B2, B3"""
        for i, mtu in enumerate((23, 185, 517)):
            with self.subTest(mtu=mtu):
                with self.phone(10 * i, "4711", mtu=mtu) as link:
                    put, code = self.bring(link)
                with self.phone(10 * i + 1, mtu=mtu) as link, self.only(put.slot):
                    got = place_of(link.request("collect", code=code))
                    self.assertEqual((got.parcel, got.slot, got.position), (put.parcel, put.slot, put.position))
                    self.take(got)
                    link.request("accept")
                    self.shut(got)
                    link.wait_prompt("collected")
        # The code that a phone has computed opens at the kiosk, too.
        with self.phone(40, "4711") as link:
            put, code = self.bring(link)
        self.assertEqual(self.collect(code).slot, put.slot)

    def test_a_phone_that_leaves_in_mid_deposit_is_like_a_kiosk_that_leaves(self):
        """Requirement: B1, F4"""
        link = self.phone(1, "4711")
        put = place_of(link.request("deposit", size="S"))
        self.sim.wait(put.slot, door="open")
        link.stream.close()
        self.put(put)
        self.shut(put)
        self.admin.wait_parcel(put.parcel, "stored")
        self.admin.wait_slot(put.slot, InUse=False)
        # The place on the radio is free again.
        with self.phone(2, "4711") as link:
            self.bring(link)

    def test_phones_wait_their_turn_and_block_nobody(self):
        """Requirement: B1"""
        one, two = self.phone(1, "4711"), self.phone(2)
        waiting = FakeStream(self.bluez.connect(3))
        self.assertEqual((waiting.state, waiting.ahead), (WAITING, 0))
        put, _ = self.bring(one)
        self.assertTrue(put.slot)
        two.close()
        wait(lambda: bytes([0, 1, waiting.number]) in waiting.phone.heard, "its turn", 10)
        link = Link(waiting, "C-0012", self.authority.file, None, None, timeout=20)
        self.addCleanup(link.close)
        self.assertSaysNo("WrongCode", link, "collect", code="000000")

    def test_radio_that_dies_or_is_missing_takes_nothing_else_down(self):
        """Requirement: F4"""
        link = self.phone(1, "4711")
        put = place_of(link.request("deposit", size="S"))
        self.sim.wait(put.slot, door="open")
        os.kill(self.worker(), signal.SIGKILL)
        # The door that it had opened is still whose it was, and the parcel is kept.
        self.put(put)
        self.shut(put)
        self.admin.wait_parcel(put.parcel, "stored")
        self.wait_radio("ok")
        with self.phone(2, "4711") as link:
            self.bring(link)
        self.bluez.stop()
        self.assertIn("systemctl status bluetooth", self.wait_radio("failed"))
        self.assertEqual(self.admin.health()["link"][0], "ok")
        with self.handheld("4711") as link:
            self.bring(link)

    def test_worker_of_the_link_that_dies_ends_streams_and_serves_the_next(self):
        """Requirement: F4"""
        link = self.phone(1, "4711")
        victim = subprocess.run(["pgrep", "-P", str(self.cabinet.daemon.pid), "-x", "lockerd-link"], capture_output=True, text=True, check=True).stdout
        os.kill(int(victim), signal.SIGKILL)
        wait(lambda: not link.stream.phone.connected or bytes([0, 2, link.stream.number]) in link.stream.phone.heard, "the end of the stream", 10)
        self.wait_listening()
        with self.phone(2, "4711") as link:
            self.bring(link)

    def test_garbage_from_a_phone_opens_nothing_and_keeps_the_kiosk_quick(self):
        """Requirement: F15, F17"""
        with self.only():
            for i in range(6):
                stream = FakeStream(self.bluez.connect(i))
                for _ in range(20):
                    try:
                        stream.send(os.urandom(400))
                    except ConnectionError:
                        break  # the stream is at its end
                stream.close()
        self.assertEqual(self.admin.health()["bluetooth"][0], "ok")
        with self.phone(9, "4711") as link:
            self.bring(link)


class RadioAlone(RadioTest):
    """Phones over the air, and no other way to the link."""

    def setUp(self):
        super().setUp()
        text = pathlib.Path(self.cabinet.config).read_text(encoding="utf-8")
        self.cabinet.stop_daemon()
        pathlib.Path(self.cabinet.config).write_text(re.sub(r"(?m)^Listen\s*=.*\n", "", text), encoding="utf-8")
        self.cabinet.start_daemon()
        self.wait_listening()
        self.wait_radio("ok")

    def test_link_without_a_socket(self):
        """Requirement: B1"""
        self.assertNotIn("Listen", pathlib.Path(self.cabinet.config).read_text(encoding="utf-8"))
        with self.phone(1, "4711") as link:
            self.bring(link)


if __name__ == "__main__":
    main()
