# SPDX-License-Identifier: Apache-2.0
"""The real daemon between two strangers: a lock board made of pymodbus, and terminals made of libdbus, busctl and gdbus."""
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

from daemonlib import Cabinet, PrivateBus, main, wait

try:
    import dbus
except ImportError:
    dbus = None
try:
    import pymodbus
    import serial
except ImportError:
    pymodbus = serial = None

HERE = pathlib.Path(__file__).resolve().parent
NAME, ROOT = "org.lockerd.Locker1", "/org/lockerd/Locker1"


class ForeignBoard:
    """Stands where locksim stands: a board at one end of a pair of pseudo terminals."""

    def __init__(self, cabinet):
        with open(cabinet.cabinet_path, encoding="utf-8") as f:
            self.device = re.search(r"Device=(\S+)", f.read())[1]
        far = self.device + ".board"
        self.journal_path = os.path.join(cabinet.directory, "board.journal")
        self.errors = open(os.path.join(cabinet.directory, "board.log"), "w+", encoding="utf-8")
        self.socat = subprocess.Popen(["socat", f"pty,raw,echo=0,link={self.device}", f"pty,raw,echo=0,link={far}"],
                                      stderr=self.errors)
        wait(lambda: os.path.exists(self.device) and os.path.exists(far), "the pseudo terminals")
        open(self.journal_path, "w", encoding="ascii").close()
        self.process = subprocess.Popen(["/usr/bin/python3", str(HERE / "modbus_slave.py"), far, self.journal_path], stderr=self.errors)

    def journal(self):
        with open(self.journal_path, encoding="ascii") as f:
            return f.read().splitlines()

    def stop(self):
        for process in (self.process, self.socat):
            process.kill()
            process.wait()
        self.errors.close()


@unittest.skipUnless(dbus, "python3-dbus is not installed")
@unittest.skipUnless(pymodbus and serial, "python3-pymodbus and python3-serial are not installed")
class Strangers(unittest.TestCase):
    def setUp(self):
        # pymodbus sees a request as late as its own reader wakes up: the board is a slow one.
        self.cabinet = Cabinet(settings={"Session": {"ReopenGrace": "0"}},
                               edit=lambda text: text.replace("ResponseTimeout=150ms", "ResponseTimeout=400ms"))
        self.addCleanup(self.stop)
        self.cabinet.bus = PrivateBus(self.cabinet.directory)
        self.board = ForeignBoard(self.cabinet)
        self.addCleanup(self.board.stop)
        self.cabinet.start_daemon()
        self.environment = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=self.cabinet.bus.address)

    def stop(self):
        try:
            self.cabinet.stop()
        finally:
            if sys.exc_info()[0]:
                print(self.cabinet.log_text, file=sys.stderr)

    def busctl(self, *arguments):
        done = subprocess.run(["busctl", "--system", "--json=short", *arguments], env=self.environment, capture_output=True, text=True,
                              timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def gdbus(self, *arguments):
        return subprocess.run(["gdbus", arguments[0], "--address", self.cabinet.bus.address, "--dest", NAME, *arguments[1:]],
                              env=self.environment, capture_output=True, text=True, timeout=30, check=False)

    def property(self, path, interface, name):
        return self.busctl("get-property", NAME, path, f"{NAME}.{interface}", name)["data"]

    def test_deposit_and_pickup_with_foreign_tools(self):
        """Enrolment by busctl, a deposit and a pickup by libdbus, doors by pymodbus, an operator with gdbus.

        Requirement: A2, A4, A5, F1
        """
        [number] = self.busctl("call", NAME, ROOT, f"{NAME}.Cabinet", "Enrol", "a{sv}", "4", "kind", "s", "courier", "number", "s", "4711",
                               "name", "s", "Erika Mustermann", "pin", "s", "258036")["data"]
        self.assertEqual(number, 1)

        bus = dbus.bus.BusConnection(self.cabinet.bus.address)
        self.addCleanup(bus.close)
        cabinet = dbus.Interface(bus.get_object(NAME, ROOT), f"{NAME}.Cabinet")

        def session(kind):
            return dbus.Interface(bus.get_object(NAME, cabinet.StartSession(kind)), f"{NAME}.Session")

        courier = session("courier")
        courier.Authenticate("courier-pin", dbus.Dictionary({"number": "4711", "pin": "258036"}, signature="sv"))
        slot, position, parcel, receipt = courier.Deposit(dbus.Dictionary({"size": "S", "recipient": "Max Muster"}, signature="sv"))
        self.assertEqual((slot, position), ("01", 1))
        wait(lambda: self.property(parcel, "Parcel", "State") == "stored", "the parcel stored")
        courier.End()
        self.assertEqual(self.property(f"{ROOT}/slot/_301", "Slot", "Door"), "locked")

        recipient = session("recipient")
        with self.assertRaises(dbus.DBusException) as refused:
            recipient.Authenticate("code", dbus.Dictionary({"code": "ZZZZZZ"}, signature="sv"))
        self.assertEqual(refused.exception.get_dbus_name(), f"{NAME}.Error.WrongCode")
        recipient.Authenticate("code", dbus.Dictionary({"code": str(receipt["code"])}, signature="sv"))
        slot, position, prompt = recipient.Collect(dbus.ObjectPath("/"))
        self.assertEqual((slot, position), ("01", 1))
        self.assertIn("Take", prompt)
        recipient.Accept()
        wait(lambda: parcel not in self.busctl("call", NAME, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")["data"][0],
             "the parcel collected")
        recipient.End()

        done = self.gdbus("call", "--object-path", f"{ROOT}/slot/_305", "--method", f"{NAME}.Slot.Open", "0", "cleaning")
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "()"), done.stderr)
        done = self.gdbus("call", "--object-path", f"{ROOT}/slot/_305", "--method", f"{NAME}.Slot.Open", "7", "cleaning")
        self.assertIn(f"{NAME}.Error.UnknownPosition", done.stderr)
        introspected = self.gdbus("introspect", "--object-path", ROOT)
        self.assertIn(f"interface {NAME}.Cabinet", introspected.stdout)

        # What the foreign board saw: two openings of 01, one of 05, each coil off again, and nothing else at all.
        wait(lambda: "door 5 shut" in self.board.journal(), "the door's end")
        self.assertEqual([line for line in self.board.journal() if not line.endswith(("shut",))],
                         ["coil 1 on", "door 1 open", "coil 1 off"] * 2 + ["coil 5 on", "door 5 open", "coil 5 off"])
        types = [row[2] for row in self.busctl("call", NAME, ROOT, f"{NAME}.Cabinet", "GetEvents", "tu", "0", "1000")["data"][0]]
        self.assertEqual([t for t in types if t.startswith("parcel.")],
                         ["parcel.depositing", "parcel.stored", "parcel.collecting", "parcel.collected"])
        for type in ("door.released", "door.opened", "door.closed"):
            self.assertGreaterEqual(types.count(type), 2)

    def test_foreign_board_dies_and_comes_back(self):
        """Requirement: F4, F1"""
        self.board.process.kill()
        self.board.process.wait()
        wait(lambda: ["board:A", "failed"] in [h[:2] for h in self.property(ROOT, "Cabinet", "Health")], "the board's failure")
        done = self.gdbus("call", "--object-path", f"{ROOT}/slot/_305", "--method", f"{NAME}.Slot.Open", "0", "cleaning")
        self.assertIn(f"{NAME}.Error.BoardOffline", done.stderr)
        self.board.process = subprocess.Popen(["/usr/bin/python3", str(HERE / "modbus_slave.py"), self.board.device + ".board",
                                               self.board.journal_path], stderr=self.board.errors)
        wait(lambda: ["board:A", "ok"] in [h[:2] for h in self.property(ROOT, "Cabinet", "Health")], "the board's return")
        time.sleep(0.5)
        done = self.gdbus("call", "--object-path", f"{ROOT}/slot/_305", "--method", f"{NAME}.Slot.Open", "0", "cleaning")
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "()"), done.stderr)
        self.assertEqual([line for line in self.board.journal() if line.startswith("coil") and line.endswith("on")], ["coil 5 on"])


main()
