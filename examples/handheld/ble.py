# SPDX-License-Identifier: Apache-2.0
"""A stream of bytes to a cabinet over Bluetooth LE, on Linux, through BlueZ's D-Bus interface (Debian: python3-gi).

    link = Link(connect("C-0012", adapter="hci0"), "C-0012", "ca.pem")

How the stream is carried is described in docs/ble.md. What is on it is TLS: see link.py.
"""
import select
import socket
import time

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

from link import Stream  # noqa: E402

SERVICE = "8c5a1f30-6f0e-4c57-9d3c-5d1f2f0b7a10"
IN = "8c5a1f31-6f0e-4c57-9d3c-5d1f2f0b7a10"
OUT = "8c5a1f32-6f0e-4c57-9d3c-5d1f2f0b7a10"
VERSION = 1
SERVED, WAITING = 1, 2  # in the status
BEGINS, ENDED = 1, 2    # notices
COMPANY, OFFLINE = 0xFFFF, 1

BLUEZ = "org.bluez"
DEVICE, ADAPTER, CHARACTERISTIC = (f"org.bluez.{name}" for name in ("Device1", "Adapter1", "GattCharacteristic1"))
PROPERTIES = "org.freedesktop.DBus.Properties"
MANAGER = "org.freedesktop.DBus.ObjectManager"


class BleError(OSError):
    """No cabinet, no connection, or one that makes no sense."""


class _Bus:
    def __init__(self):
        self.bus = Gio.bus_get_sync(Gio.BusType.SYSTEM, None)

    def call(self, path, interface, method, arguments=None, timeout=30):
        try:
            return self.bus.call_sync(BLUEZ, path, interface, method, arguments, None, Gio.DBusCallFlags.NONE, int(timeout * 1000), None).unpack()
        except GLib.Error as error:
            raise BleError(f"{method}: {error.message}") from None

    def objects(self):
        return self.call("/", MANAGER, "GetManagedObjects")[0]


def find(cabinet=None, adapter="hci0", timeout=30):
    """→ (D-Bus path, number, offline) of the cabinet, or of the first that is heard."""
    bus, path = _Bus(), f"/org/bluez/{adapter}"
    kinds = {"UUIDs": GLib.Variant("as", [SERVICE]), "Transport": GLib.Variant("s", "le")}
    bus.call(path, ADAPTER, "SetDiscoveryFilter", GLib.Variant("(a{sv})", (kinds,)))
    bus.call(path, ADAPTER, "StartDiscovery")

    def heard():
        for device, interfaces in bus.objects().items():
            values = interfaces.get(DEVICE, {})
            name = values.get("Name", values.get("Alias"))
            if device.startswith(path + "/") and SERVICE in values.get("UUIDs", []) and cabinet in (None, name) and "RSSI" in values:
                data = bytes(values.get("ManufacturerData", {}).get(COMPANY, b""))
                return device, name, len(data) > 1 and bool(data[1] & OFFLINE)
        return None
    try:
        end = time.monotonic() + timeout
        while not (found := heard()):
            if time.monotonic() > end:
                raise BleError(f"not within {timeout} s: a cabinet {cabinet or ''} nearby")
            time.sleep(0.2)
        return found
    finally:
        bus.call(path, ADAPTER, "StopDiscovery")


def connect(cabinet=None, adapter="hci0", timeout=60):
    """Finds the cabinet, connects, and waits until it is this phone's turn."""
    return BleStream(find(cabinet, adapter, timeout)[0], timeout)


class BleStream(Stream):
    def __init__(self, device, timeout=60):
        self.bus, self.device = _Bus(), device
        self.received = bytearray()
        self.count = self.expected = 0  # of the next fragments
        self.number = None
        self.begins = self.ended = False
        self.early = []  # what came before the number was known
        self.sockets = []
        self.bus.call(device, DEVICE, "Connect", timeout=timeout)
        try:
            self._open(timeout)
        except BaseException:
            self.close()
            raise

    def _open(self, timeout):
        end = time.monotonic() + timeout
        while not self.bus.call(self.device, PROPERTIES, "Get", GLib.Variant("(ss)", (DEVICE, "ServicesResolved")))[0]:
            if time.monotonic() > end:
                raise BleError(f"not within {timeout} s: what the cabinet offers")
            time.sleep(0.05)
        paths = {values[CHARACTERISTIC]["UUID"]: path for path, values in self.bus.objects().items()
                 if path.startswith(self.device + "/") and CHARACTERISTIC in values}
        if IN not in paths or OUT not in paths:
            raise BleError("that is no cabinet")
        self.path_out = paths[OUT]
        # A socket each: signals of BlueZ's would carry only the last of several notifications.
        self.notifications, _ = self._acquire(self.path_out, "AcquireNotify")
        self.writes, mtu = self._acquire(paths[IN], "AcquireWrite")
        self.most = min(mtu - 3, 510) - 1
        while self.status() == WAITING:
            # The notice may have come before the answer that says which number is ours: ask again now and then.
            ask = time.monotonic() + 2
            while time.monotonic() < ask and not self.begins:
                if self.ended or time.monotonic() > end:
                    raise BleError("it has not become this phone's turn")
                self._hear(0.5)
            if self.begins:
                break

    def _acquire(self, path, method):
        try:
            answer, fds = self.bus.bus.call_with_unix_fd_list_sync(BLUEZ, path, CHARACTERISTIC, method, GLib.Variant("(a{sv})", ({},)), None,
                                                                   Gio.DBusCallFlags.NONE, 30000, None, None)
        except GLib.Error as error:
            raise BleError(f"{method}: {error.message}") from None
        number, mtu = answer.unpack()
        acquired = socket.socket(fileno=fds.get(number))
        acquired.setblocking(True)
        self.sockets.append(acquired)
        return acquired, mtu

    def status(self):
        """Asks for a stream, or how long it takes until there is one."""
        value = bytes(self.bus.call(self.path_out, CHARACTERISTIC, "ReadValue", GLib.Variant("(a{sv})", ({},)))[0])
        if len(value) < 6 or value[0] != VERSION:
            raise BleError("the cabinet speaks another version")
        if value[1] != self.number:
            self.number, self.count, self.expected, self.begins = value[1], 0, 0, False
        self.ahead = value[3]
        early, self.early = self.early, []
        for fragment in early:
            self._take(fragment)
        return value[2]

    def _hear(self, timeout):
        """What has come, or comes within the time."""
        if not select.select([self.notifications], [], [], timeout)[0]:
            return
        try:
            value = self.notifications.recv(512)
        except OSError:
            value = b""
        if not value:
            self.ended = True  # disconnected
        elif self.number is None:
            self.early.append(value)
        else:
            self._take(value)

    def _take(self, value):
        if value[0] == self.number:
            if value[1] != self.expected:
                raise BleError(f"fragment {value[1]} came instead of {self.expected}")
            self.expected = (self.expected + 1) % 256
            self.received += value[2:]
        elif len(value) == 3 and value[0] == 0 and value[2] == self.number:
            self.begins |= value[1] == BEGINS
            self.ended |= value[1] == ENDED

    def send(self, data):
        for i in range(0, len(data), self.most):
            fragment = bytes([self.count]) + data[i:i + self.most]
            self.count = (self.count + 1) % 256
            try:
                self.writes.send(fragment)
            except OSError as error:
                raise BleError(f"the cabinet has gone: {error.strerror}") from None

    def receive(self, timeout):
        end = time.monotonic() + timeout
        while not self.received and not self.ended:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._hear(left)
        data = bytes(self.received)
        self.received.clear()
        return data

    def close(self):
        for acquired in self.sockets:
            acquired.close()
        try:
            self.bus.call(self.device, DEVICE, "Disconnect")
        except BleError:
            pass  # it has gone by itself
