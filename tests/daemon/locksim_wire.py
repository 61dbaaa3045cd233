# SPDX-License-Identifier: Apache-2.0
"""locksim on the wire: frames, functions, exceptions, pace, and masters of other makers."""
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import types

from lockersim import BOARDS, LockSim
from locksim_case import FLASH, OFF, ON, RELAYS, SHARED, SimCase
from rtu_master import crc, request

class Slave(SimCase):
    def test_known_frames_are_answered_as_documented(self):
        master = self.master(self.start())
        for frame, answer in (("01 05 02 00 00 05 0c 71", "01 05 02 00 00 05 0c 71"),
                              ("01 01 00 00 00 08 3d cc", "01 01 01 01 90 48"),
                              ("01 05 00 ff 00 00 fd fa", "01 05 00 ff 00 00 fd fa"),
                              ("01 01 00 00 00 08 3d cc", "01 01 01 00 51 88"),
                              ("02 02 00 00 00 04 79 fa", None)):
            got = master.exchange(bytes.fromhex(frame), 6 if answer is None else len(bytes.fromhex(answer)))
            if answer is not None:
                self.assertEqual(got.hex(" "), answer)
            self.assertEqual(crc(got[:-2]), got[-2:])

    def test_wrong_requests_get_the_right_exception(self):
        master = self.master(self.start())
        for function, first, second, code in ((2, 0, 9, 2), (2, 8, 1, 2), (2, 0, 0, 3), (2, 0, 2001, 3), (1, 0, 9, 2),
                                              (4, 0, 1, 1), (3, 0, 1, 2), (3, 0x4000, 0, 3), (5, 8, ON, 2),
                                              (5, 0, 0x1234, 3), (5, FLASH, 0, 3), (5, FLASH, 0x8000, 3),
                                              (5, FLASH + 8, 1, 2), (6, 0, 1, 2), (6, 0x4000, 0, 3), (7, 0, 0, 1),
                                              (0x2B, 0, 0, 1)):
            with self.subTest(function=function, first=first, second=second):
                answer = master.ask(1, function, first, second, 5)
                self.assertEqual(answer[:3], bytes([1, function | 0x80, code]))

    def test_what_is_not_for_it_is_not_answered(self):
        master = self.master(self.start())
        good = request(1, 2, 0, 8)
        for name, frame in (("address", request(9, 2, 0, 8)), ("crc", good[:-1] + bytes([good[-1] ^ 1])),
                            ("short", good[:5]), ("noise", b"\x55" * 40), ("broadcast", request(0, 5, 0, OFF))):
            with self.subTest(name):
                self.assertEqual(master.exchange(frame, timeout=0.08), b"")
        self.assertEqual(master.inputs(1, 4), [1] * 4)

    def test_broadcast_and_many_coils_are_executed(self):
        sim = self.start()
        master = self.master(sim)
        master.send(request(0, 5, 0, ON))
        time.sleep(0.05)
        self.assertEqual([sim.state()["boards"][b]["coils"] for b in "AB"], [[1], [1]])
        body = bytes.fromhex("01 0f 00 00 00 08 01 00")
        self.assertEqual(master.exchange(body + crc(body), 8)[:6], body[:6])
        self.assertEqual(sim.state()["boards"]["A"]["coils"], [])

    def test_address_can_be_set_and_read(self):
        sim = self.start()
        master = self.master(sim)
        sim.do("board B silent")
        self.assertEqual(master.exchange(bytes.fromhex("00 06 40 00 00 07 dc 19"), timeout=0.08), b"")
        self.assertEqual(master.ask(7, 3, 0x4000, 1, 7)[3:5], b"\0\7")

    def test_flash_off_and_toggle(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, 1, 0x5500)
        self.assertTrue(sim.place("02")["coil"])
        master.coil(1, 0x0401, 2)
        self.assertFalse(sim.place("02")["coil"])
        sim.wait("02", coil=True, timeout=0.5)
        master.coil(1, 0x00FF, OFF)
        self.assertFalse(sim.place("02")["coil"])

    def test_identification_register_comes_from_the_profile(self):
        boards = os.path.join(self.directory, "boards")
        shutil.copytree(BOARDS, boards)
        with open(os.path.join(boards, "waveshare-relay-d-8.board"), "a", encoding="utf-8") as f:
            f.write("\n[Identify]\nFunction=4\nAddress=0x0010\nMinimum=300\nMaximum=399\n")
        with open(os.path.join(boards, "waveshare-relay-d-8.board"), encoding="utf-8") as f:
            text = f.read().replace("[Identify]\n# One", "# One", 1).replace("Limit=yes\n", "", 1)
        with open(os.path.join(boards, "waveshare-relay-d-8.board"), "w", encoding="utf-8") as f:
            f.write(text)
        with LockSim(self.write(RELAYS), self.build, True, link_dir=self.directory, boards=boards) as sim:
            master = self.master(sim)
            self.assertEqual(master.ask(1, 4, 0x10, 1, 7)[3:5], struct.pack(">H", 300))
            master.close()


class IndependentMasters(SimCase):
    fast = False

    def test_mbpoll_reads_and_switches(self):
        if not shutil.which("mbpoll"):
            self.skipTest("mbpoll is not installed")
        sim = self.start()
        base = ["mbpoll", "-m", "rtu", "-b", "9600", "-P", "none", "-1", "-o", "1"]
        read = subprocess.run([*base, "-a", "1", "-t", "1", "-r", "1", "-c", "4", sim.line_path("left")],
                              capture_output=True, text=True, check=True, timeout=20)
        self.assertEqual(read.stdout.count("\t1\n"), 4, read.stdout)
        subprocess.run([*base, "-a", "2", "-t", "0", "-r", "1", sim.line_path("left"), "1"], check=True, timeout=20,
                       stdout=subprocess.DEVNULL)
        sim.wait("05", door="open")
        subprocess.run([*base, "-a", "2", "-t", "0", "-r", "1", sim.line_path("left"), "0"], check=True, timeout=20,
                       stdout=subprocess.DEVNULL)
        self.assertFalse(sim.place("05")["coil"])

    def pymodbus(self):
        try:
            import serial_asyncio  # noqa: F401
        except ImportError:
            # pymodbus 3.0 imports it also for the client that does not use it.
            sys.modules["serial_asyncio"] = types.SimpleNamespace(create_serial_connection=None)
        try:
            from pymodbus import client
        except ImportError:
            self.skipTest("pymodbus is not installed")
        return client

    def check_pymodbus(self, sim, master):
        from pymodbus_parts import Flash, send

        self.assertTrue(master.connect())
        self.assertEqual(master.read_discrete_inputs(0, count=8, slave=1).bits, [True] * 4 + [False] * 4)
        self.assertEqual(master.read_discrete_inputs(0, count=9, slave=1).exception_code, 2)
        send(master, 1, Flash())
        place = sim.wait("01", door="open")
        self.assertEqual(place["pulses"], 1)
        self.assertEqual(master.read_discrete_inputs(0, count=8, slave=1).bits, [False] + [True] * 3 + [False] * 4)
        sim.wait("01", coil=False)
        sim.do("close 01")
        self.assertEqual(master.read_discrete_inputs(0, count=8, slave=1).bits, [True] * 4 + [False] * 4)
        master.close()
        self.assertEqual(sim.objections(), [])

    def test_pymodbus_flashes_a_coil(self):
        client = self.pymodbus()
        sim = self.start()
        self.check_pymodbus(sim, client.ModbusSerialClient(port=sim.line_path("left"), baudrate=9600, timeout=1))

    def test_pymodbus_over_tcp(self):
        client = self.pymodbus()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        sim = self.start(cabinet=RELAYS.replace("/dev/nowhere", f"tcp:127.0.0.1:{port}"))
        self.assertEqual(sim.line_path("left"), f"tcp:127.0.0.1:{port}")
        self.check_pymodbus(sim, client.ModbusTcpClient("127.0.0.1", port=port, timeout=1))


class Pace(SimCase):
    fast = False

    def times(self, line, baud, address, n, function=2, rounds=12, extra=(), cabinet=None):
        """Every round's time from the request to the answer's last byte, and what the wire takes for both."""
        sim = self.start(*extra, cabinet=cabinet)
        master = self.master(sim, line, baud)
        size = 5 + (n + 7) // 8
        times = []
        for _ in range(rounds):
            master.ask(address, function, 0, n, size)
            times.append(master.last - master.sent)
        self.assertEqual(sim.objections(), [])
        sim.stop()
        return times, (8 + size) * 10 / baud

    def check_pace(self, times, wire, turnaround):
        self.assertGreaterEqual(min(times), wire + turnaround)
        self.assertLess(min(times), wire + turnaround + 0.002)

    def test_9600_baud(self):
        self.check_pace(*self.times("left", 9600, 1, 8), 0.001)

    def test_19200_baud(self):
        self.check_pace(*self.times("south", 19200, 3, 16, cabinet=SHARED), 0.001)

    def test_115200_baud(self):
        self.check_pace(*self.times("north", 115200, 1, 48, function=1, cabinet=SHARED), 0.001)

    def test_turnaround_is_an_option(self):
        self.check_pace(*self.times("left", 9600, 1, 8, extra=["--turnaround", "12ms"]), 0.012)

    def test_bytes_come_one_after_the_other(self):
        master = self.master(self.start())
        master.send(request(1, 2, 0, 8))
        arrivals = []
        for _ in range(6):
            self.assertEqual(len(master.receive(1)), 1)
            arrivals.append(master.last - master.sent)
        for i, at in enumerate(arrivals):
            self.assertGreaterEqual(at, (8 + i + 1) * 10 / 9600 + 0.001)

    def test_fast_does_not_wait(self):
        times, wire = self.times("left", 9600, 1, 8, extra=["--fast"])
        self.assertLess(min(times), wire / 2)

    def test_parity_and_stop_bits_cost_time(self):
        cabinet = RELAYS.replace("Baud=9600", "Baud=9600\nParity=even\nStopBits=2")
        times, wire = self.times("left", 9600, 1, 8, cabinet=cabinet)
        self.check_pace(times, wire * 1.2, 0.001)
