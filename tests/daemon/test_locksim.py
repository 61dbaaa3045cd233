#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""locksim against masters that share no code with it. Usage: test_locksim.py BUILD_DIR [unittest arguments]"""
import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import types
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lockersim import BOARDS, LockSim, SimError  # noqa: E402
from rtu_master import RtuMaster, bits, crc, request  # noqa: E402

BUILD = "."
ON, OFF, FLASH = 0xFF00, 0x0000, 0x0200

RELAYS = """
[Supply main]
MaxActive=1
[Line left]
Device=/dev/nowhere
Baud=9600
[Board A]
Line=left
Address=1
Profile=waveshare-relay-d-8
Supply=main
[Board B]
Line=left
Address=2
Profile=waveshare-relay-d-8
Supply=main
[Slot 01-04]
Lock=A:1-4
Door=A:1-4
[Slot 05]
Lock=B:1
Door=B:1
Latch=B:2
Release=B:3
LatchLockedWhen=off
[Alarm fire]
Input=B:4
"""

SHARED = """
[Supply main]
MaxActive=2
Cooldown=100ms
[Line north]
Device=/dev/nowhere
Baud=115200
[Line south]
Device=/dev/nowhere
Baud=19200
[Board A]
Line=north
Address=1
Profile=cu48
Supply=main
[Board C]
Line=south
Address=3
Profile=generic-pulse-16
Supply=main
[Position P1-P2/1-3]
Lock=A:3-8
Latch=A:3-8
Presence=C:1-6
[Slot P1-P2]
Lock=A:1-2
Latch=A:1-2
[Slot P3]
Lock=A:9
Latch=A:9
[Position P3/1]
LockType=motor
Lock=C:1
Secure=C:2
Latch=C:7
[Position P3/2]
Presence=C:8
"""


class SimCase(unittest.TestCase):
    cabinet = RELAYS
    fast = True
    line, baud = "left", 9600

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="test-locksim-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def write(self, text, name="cabinet.conf"):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def start(self, *extra, cabinet=None, fast=None):
        sim = LockSim(self.write(cabinet or self.cabinet), BUILD, fast=self.fast if fast is None else fast,
                      extra=extra, link_dir=self.directory)
        self.addCleanup(sim.stop)
        return sim

    def master(self, sim, line=None, baud=None, **more):
        master = RtuMaster(sim.line_path(line or self.line), baud or self.baud, **more)
        self.addCleanup(master.close)
        return master

    def refused(self, sim, command, why):
        answer = sim.cmd(command)
        self.assertFalse(answer["ok"], command)
        self.assertIn(why, answer["error"])


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
        with LockSim(self.write(RELAYS), BUILD, True, link_dir=self.directory, boards=boards) as sim:
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
        from pymodbus.pdu import ModbusRequest

        class Flash(ModbusRequest):
            function_code = 5
            _rtu_frame_size = 8

            def encode(self):
                return struct.pack(">HH", 0x0200, 5)

            def get_response_pdu_size(self):
                return 5

        self.assertTrue(master.connect())
        self.assertEqual(master.read_discrete_inputs(0, 8, slave=1).bits, [True] * 4 + [False] * 4)
        self.assertEqual(master.read_discrete_inputs(0, 9, slave=1).exception_code, 2)
        flash = Flash()
        flash.unit_id = 1
        master.execute(flash)
        place = sim.wait("01", door="open")
        self.assertEqual(place["pulses"], 1)
        self.assertEqual(master.read_discrete_inputs(0, 8, slave=1).bits, [False] + [True] * 3 + [False] * 4)
        sim.wait("01", coil=False)
        sim.do("close 01")
        self.assertEqual(master.read_discrete_inputs(0, 8, slave=1).bits, [True] * 4 + [False] * 4)
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


class Physics(SimCase):
    def flash(self, master, address=1, coil=0, value=2):
        master.coil(address, FLASH + coil, value)

    def test_a_pulse_opens_a_door_and_closing_locks_it(self):
        sim = self.start()
        master = self.master(sim)
        self.refused(sim, "open 01", "locked")
        self.refused(sim, "put 01", "shut")
        self.flash(master)
        sim.wait("01", door="open", coil=True)
        sim.do("put 01")
        self.refused(sim, "put 01/1", "lies there")
        self.assertEqual(master.inputs(1, 4), [0, 1, 1, 1])
        sim.wait("01", coil=False)
        sim.do("close 01")
        self.refused(sim, "take 01", "shut")
        place = sim.place("01")
        self.assertEqual((place["door"], place["latch"], place["item"], place["openings"]), ("shut", "locked", True, 1))
        coil = [j["time_us"] for j in sim.journal("coil")]
        door = [j["time_us"] for j in sim.journal("door") if j["state"] == "open"]
        self.assertEqual(coil[1] - coil[0], 200000)
        self.assertTrue(20000 <= door[0] - coil[0] <= 61000, door[0] - coil[0])

    def test_a_door_shut_during_the_pulse_springs_open_again(self):
        sim = self.start()
        self.flash(self.master(sim), value=5)
        sim.wait("01", door="open")
        sim.do("close 01")
        sim.wait("01", door="open", coil=True)
        self.assertEqual(sim.place("01")["openings"], 2)

    def test_a_blocked_door_opens_when_unblocked(self):
        sim = self.start()
        sim.do("block 01")
        self.flash(self.master(sim))
        sim.wait("01", latch="released")
        sim.wait("01", coil=False)
        self.assertEqual(sim.place("01")["door"], "shut")
        sim.do("unblock 01")
        sim.wait("01", door="open")

    def test_a_blocked_door_may_spring_back(self):
        sim = self.start()
        sim.do("block 01 spring-back")
        self.flash(self.master(sim))
        sim.wait("01", latch="released")
        sim.wait("01", latch="locked", coil=False)
        sim.do("unblock 01")
        time.sleep(0.1)
        self.assertEqual(sim.place("01")["door"], "shut")

    def test_a_jammed_lock_does_not_move(self):
        sim = self.start()
        sim.do("jam 01")
        master = self.master(sim)
        self.flash(master)
        sim.wait("01", coil=True)
        sim.wait("01", coil=False)
        self.assertEqual(sim.place("01")["latch"], "locked")
        sim.do("unjam 01")
        self.flash(master)
        sim.wait("01", door="open")

    def test_a_held_door_does_not_shut_and_a_broken_one_is_open(self):
        sim = self.start()
        sim.do("force 01", "hold 01")
        self.refused(sim, "force 01", "open")
        self.refused(sim, "close 01", "held")
        sim.do("unhold 01", "close 01")
        self.assertEqual(sim.place("01")["latch"], "locked")

    def test_inputs_follow_latch_release_and_alarm(self):
        sim = self.start()
        master = self.master(sim)
        self.assertEqual(master.inputs(2, 5), [1, 0, 0, 0, 0])  # the latch is wired the other way round
        sim.do("release 05 on", "alarm fire on")
        self.assertEqual(master.inputs(2, 5), [1, 0, 1, 1, 0])
        sim.do("release 05 off", "alarm fire off", "force 05")
        self.assertEqual(master.inputs(2, 5), [0, 1, 0, 0, 0])

    def test_silence_takes_the_power_from_the_coils(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, 0, ON)
        sim.wait("01", door="open")
        sim.do("board A silent")
        self.assertEqual(sim.place("01")["coil"], False)
        self.assertEqual(master.exchange(request(1, 2, 0, 8), timeout=0.08), b"")
        sim.do("board A normal")
        self.assertEqual(master.inputs(1, 1), [0])


class SharedSlots(SimCase):
    cabinet = SHARED

    def setUp(self):
        super().setUp()
        self.sim = self.start()
        self.north = self.master(self.sim, "north", 115200)
        self.south = self.master(self.sim, "south", 19200)

    def pulse(self, coil, seconds=0.1):
        self.south.coil(3, coil, ON)
        time.sleep(seconds)
        self.south.coil(3, coil, OFF)

    def test_a_hook_lock_shows_locked_only_when_shut_and_home(self):
        self.assertEqual(self.north.inputs(1, 10, function=1), [1] * 9 + [0])
        self.north.coil(1, 0, ON)
        self.sim.wait("P1", door="open", coil=True)
        self.assertEqual(self.north.inputs(1, 2, function=1), [0, 1])
        self.sim.wait("P1", coil=False)
        edges = [j["time_us"] for j in self.sim.journal("coil")]
        self.assertEqual(edges[1] - edges[0], 500000)
        self.sim.do("close P1")
        self.assertEqual(self.north.inputs(1, 2, function=1), [1, 1])
        self.assertEqual(self.north.ask(1, 5, 0, 0, 5)[1:3], b"\x85\x03")

    def test_lids_are_reached_only_through_the_open_door(self):
        self.refused(self.sim, "force P1/2", "slot's door")
        self.north.coil(1, 3, ON)
        self.sim.wait("P1/2", door="open")
        self.refused(self.sim, "put P1/2", "slot's door")
        self.sim.do("force P1")
        self.refused(self.sim, "put P1", "say which")
        self.refused(self.sim, "put P1/1", "shut")
        self.sim.do("put P1/2")
        self.assertEqual(self.south.inputs(3, 8), [0, 1, 0, 0, 0, 0, 1, 0])
        self.sim.wait("P1/2", coil=False)
        self.sim.do("close P1/2", "close P1")
        self.assertEqual(self.north.inputs(1, 9, function=1), [1] * 9)

    def test_a_position_without_lid_needs_only_the_door(self):
        self.refused(self.sim, "put P3/2", "slot's door")
        self.sim.do("force P3", "put P3/2")
        self.assertEqual(self.south.inputs(3, 8)[7], 1)
        self.refused(self.sim, "close P3/2", "no lid")

    def test_a_motor_lock_turns_both_ways_and_locks_only_when_shut(self):
        self.sim.do("force P3")
        self.pulse(0)
        self.sim.wait("P3/1", latch="released")
        self.assertEqual(self.sim.place("P3/1")["door"], "shut")
        self.sim.do("open P3/1")
        time.sleep(0.15)
        self.pulse(1)
        time.sleep(0.2)
        self.assertEqual(self.sim.place("P3/1")["latch"], "released")
        self.sim.do("close P3/1")
        self.assertEqual(self.south.inputs(3, 8)[6], 0)
        self.pulse(1)
        self.sim.wait("P3/1", latch="locked")
        self.assertEqual(self.south.inputs(3, 8)[6], 1)

    def test_scripted_people_put_take_and_shut(self):
        self.sim.do("auto P1/1 put 100", "auto P3/1 put 100")
        self.sim.do("force P1")
        self.north.coil(1, 2, ON)
        self.sim.wait("P1/1", door="open")
        self.sim.wait("P1", door="shut", timeout=2)
        self.assertTrue(self.sim.place("P1/1")["item"])
        self.sim.do("auto P1/1 take 100", "force P1", "force P1/1")
        self.sim.wait("P1", door="shut", timeout=2)
        self.assertFalse(self.sim.place("P1/1")["item"])
        self.sim.do("force P3")
        self.pulse(0)
        self.sim.wait("P3", door="shut")
        place = self.sim.place("P3/1")
        self.assertEqual((place["item"], place["door"], place["latch"]), (True, "shut", "released"))
        self.sim.do("auto all close 50", "force P2")
        self.sim.wait("P2", door="shut")
        self.sim.do("auto off", "force P2")
        time.sleep(0.15)
        self.assertEqual(self.sim.place("P2")["door"], "open")


class Faults(SimCase):
    GOOD = bytes.fromhex("01 02 01 0f e1 8c")

    def setUp(self):
        super().setUp()
        self.sim = self.start()
        self.port = self.master(self.sim)

    def ask(self, timeout=0.1):
        return self.port.exchange(request(1, 2, 0, 8), timeout=timeout)

    def test_normal_is_good(self):
        self.assertEqual(self.ask(), self.GOOD)
        self.sim.do("board A damage", "board A normal")
        self.assertEqual(self.ask(), self.GOOD)

    def test_answers_spoilt_in_every_way(self):
        for fault, check in (("drop", lambda a: a == b""), ("deaf", lambda a: a == b""),
                             ("double", lambda a: a == self.GOOD * 2),
                             ("damage", lambda a: len(a) == 6 and a != self.GOOD),
                             ("truncate", lambda a: 0 < len(a) < 6 and self.GOOD.startswith(a)),
                             ("wrong-address", lambda a: a[:5] == b"\2" + self.GOOD[1:4] + crc(b"\2" + self.GOOD[1:4])[:1])):
            with self.subTest(fault):
                self.sim.do(f"board A {fault} 100")
                answer = self.ask()
                self.assertTrue(check(answer), answer.hex(" "))
                self.sim.do(f"board A {fault} 0")
                self.assertEqual(self.ask(), self.GOOD)

    def test_late_and_dribbled(self):
        self.sim.do("board A late 250")
        self.assertEqual(self.ask(timeout=0.5), self.GOOD)
        self.assertGreater(self.port.last - self.port.sent, 0.25)
        self.sim.do("board A late 0", "board A dribble 30")
        self.assertEqual(self.ask(timeout=0.2), self.GOOD)
        self.assertGreater(self.port.last - self.port.sent, 0.18)

    def test_the_late_answer_meets_the_next_request(self):
        self.sim.do("board A late 120")
        self.assertEqual(self.ask(timeout=0.05), b"")
        self.sim.do("board A late 0")
        time.sleep(0.02)
        self.assertEqual(self.port.exchange(request(1, 1, 0, 8), 6), bytes.fromhex("01 01 01 00 51 88"))
        self.assertEqual(self.port.receive(6, 0.3), self.GOOD)

    def test_wrong_echo_and_stale(self):
        self.sim.do("board A wrong-echo 100")
        self.assertEqual(self.port.exchange(request(1, 5, 0, ON), 8), request(1, 5, 1, ON))
        self.assertTrue(self.sim.place("01")["coil"])
        self.sim.do("board A wrong-echo 0", "board A stale 100")
        self.assertEqual(self.port.exchange(request(1, 2, 0, 8), 8), request(1, 5, 0, ON))
        self.assertEqual(self.port.exchange(request(1, 1, 0, 8), 6)[1], 2)

    def test_two_boards_at_one_address_spoil_each_other(self):
        self.sim.do("board B address 1")
        answers = [self.ask(timeout=0.05) for _ in range(8)]
        self.assertTrue(any(a != self.GOOD for a in answers))
        self.port.send(request(1, 5, FLASH, 2))
        self.sim.wait("01", door="open")
        self.sim.wait("05", door="open")

    def test_noise_and_babble(self):
        self.sim.do("line left noise 100")
        answer = self.ask()
        self.assertTrue(answer.endswith(self.GOOD) and len(answer) > 6)
        self.sim.do("line left normal", "line left babble 20")
        self.assertGreater(len(self.port.receive(10, 1)), 5)
        self.sim.do("line left normal")

    def test_the_same_seed_spoils_the_same_way(self):
        self.sim.do("board A damage 50")
        runs = []
        for _ in range(2):
            self.sim.do("seed 42")
            runs.append([self.ask(timeout=0.05) for _ in range(6)])
        self.assertEqual(runs[0], runs[1])


class Objections(SimCase):
    def kinds(self, sim):
        return sorted({o["kind"] for o in sim.objections()})

    def test_two_coils_of_one_supply(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, FLASH, 2)
        master.coil(2, FLASH, 2)
        self.assertEqual(self.kinds(sim), ["supply"])
        self.assertEqual(sim.objections()[0]["board"], "B")
        sim.do("clear")
        sim.wait("05", coil=False)
        master.coil(1, FLASH, 2)
        self.assertEqual(self.kinds(sim), [])

    def test_two_may_be_on_where_the_supply_carries_two(self):
        sim = self.start(cabinet=SHARED)
        master = self.master(sim, "north", 115200)
        master.coil(1, 0, ON)
        master.coil(1, 1, ON)
        self.assertEqual(self.kinds(sim), [])
        master.coil(1, 2, ON)
        self.assertEqual(self.kinds(sim), ["supply"])

    def test_a_pulse_that_is_too_long(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, FLASH, 10)
        time.sleep(1.1)
        self.assertEqual(self.kinds(sim), [])
        master.coil(1, FLASH, 11)
        time.sleep(1.1)
        self.assertEqual(self.kinds(sim), ["too-long"])

    def test_a_coil_left_on_when_the_master_goes(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, 0, ON)
        master.close()
        time.sleep(1.3)
        self.assertIn("left-on", self.kinds(sim))
        self.assertFalse(sim.state()["lines"]["left"]["open"])

    def test_a_master_that_comes_back_in_time(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, 0, ON)
        master.close()
        master = self.master(sim)
        master.coil(1, 0, OFF)
        time.sleep(1.2)
        self.assertNotIn("left-on", self.kinds(sim))
        self.assertTrue(sim.state()["lines"]["left"]["open"])

    def test_a_coil_without_lock(self):
        sim = self.start()
        master = self.master(sim)
        master.coil(1, 7, OFF)
        self.assertEqual(self.kinds(sim), [])
        master.coil(1, 7, ON)
        self.assertEqual(self.kinds(sim), ["no-lock"])

    def test_a_pulse_too_soon_after_the_last(self):
        sim = self.start(cabinet=RELAYS.replace("MaxActive=1", "MaxActive=1\nCooldown=300ms"))
        master = self.master(sim)
        master.coil(1, FLASH, 1)
        sim.wait("01", coil=True)
        sim.wait("01", coil=False)
        master.coil(1, FLASH + 1, 1)
        self.assertEqual(self.kinds(sim), ["cooldown"])

    def test_a_wrong_speed(self):
        sim = self.start()
        master = self.master(sim, baud=19200)
        self.assertEqual(master.exchange(request(1, 2, 0, 8), timeout=0.1), b"")
        self.assertEqual(self.kinds(sim), ["speed"])
        sim.stop()
        sim = self.start("--any-speed")
        self.assertEqual(self.master(sim, baud=19200).inputs(1, 1), [1])
        self.assertEqual(self.kinds(sim), [])

    def test_a_request_without_silence_before_it(self):
        sim = self.start(fast=False)
        master = self.master(sim, gap=0)
        master.ask(1, 2, 0, 8, 6)
        master.ask(1, 2, 0, 8, 6)
        self.assertEqual(self.kinds(sim), ["gap"])

    def test_a_request_into_an_answer_is_lost(self):
        sim = self.start(fast=False)
        master = self.master(sim, gap=0)
        master.send(request(1, 2, 0, 8))
        master.receive(2)
        master.send(request(1, 5, FLASH, 2))
        master.receive(4)
        time.sleep(0.05)
        self.assertEqual(sim.place("01")["pulses"], 0)
        self.assertEqual(sim.state()["lines"]["left"]["collisions"], 1)


class Program(SimCase):
    def run_sim(self, *arguments, timeout=5):
        return subprocess.run([os.path.join(BUILD, "src", "sim", "locksim"), *arguments], capture_output=True,
                              text=True, timeout=timeout, check=False)

    def test_bad_input_is_told_with_file_and_line(self):
        for change, words in (((("Baud=9600", "Baud=fast")), ["cabinet.conf:6", "Baud=fast"]),
                              (("Profile=waveshare-relay-d-8", "Profile=none-such"), ["none-such.board"]),
                              (("Lock=A:1-4", "Lock=A:1-3"), ["3 channels for 4 places"]),
                              (("Lock=B:1", "Lock=A:1"), ["A:1 is wired twice"]),
                              (("Lock=B:1", "Lock=Q:1"), ["no [Board Q]"]),
                              (("Lock=B:1", "Lock=B:9"), ["has 8 outputs"]),
                              (("Line=left", "Line=right"), ["no known line"]),
                              (("[Slot 05]", "[Slot 04]"), ["04 is there already"]),
                              (("[Slot 05]", "[Position Q/1]"), ["no known slot"]),
                              (("[Slot 05]", "rubbish\n[Slot 05]"), ["neither a [section] nor"])):
            with self.subTest(change):
                result = self.run_sim("--boards", BOARDS, self.write(RELAYS.replace(*change)))
                self.assertEqual(result.returncode, 2, result.stderr)
                for word in words:
                    self.assertIn(word, result.stderr)

    def test_wrong_use_is_told(self):
        for arguments in ((), ("a", "b"), ("--nonsense", "x"), ("--turnaround", "soon", "x"), ("--seed", "-1", "x"),
                          ("--ready-fd", "77", "x"), ("--send", "state"), ("/no/such/cabinet.conf",)):
            with self.subTest(arguments):
                result = self.run_sim(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertIn("locksim: ", result.stderr)

    def test_help_and_version(self):
        self.assertIn("--link-dir", self.run_sim("--help").stdout)
        self.assertRegex(self.run_sim("--version").stdout, r"^locksim \d")

    def test_links_come_and_go(self):
        link = os.path.join(self.directory, "left")
        os.symlink("/dev/pts/99999", link)
        sim = self.start()
        self.assertTrue(os.readlink(link).startswith("/dev/pts/"))
        self.assertNotEqual(os.readlink(link), "/dev/pts/99999")
        control = sim.control
        self.assertTrue(os.path.exists(control))
        sim.stop()
        self.assertFalse(os.path.lexists(link))

    def test_device_path_is_used_without_link_dir(self):
        link = os.path.join(self.directory, "tty")
        with LockSim(self.write(RELAYS.replace("/dev/nowhere", link)), BUILD) as sim:
            self.assertEqual(sim.line_path("left"), link)
            self.assertTrue(os.path.islink(link))
        self.assertFalse(os.path.lexists(link))

    def test_what_is_not_a_link_to_a_pty_is_left_alone(self):
        self.write("precious", "left")
        with self.assertRaisesRegex(SimError, "File exists"):
            self.start()
        with open(os.path.join(self.directory, "left"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "precious")

    def test_sending_from_the_command_line(self):
        sim = self.start()
        good = self.run_sim("--control", sim.control, "--send", "force 01")
        self.assertEqual((good.returncode, good.stdout), (0, '{"ok":true}\n'))
        self.assertEqual(self.run_sim("--control", sim.control, "--send", "force 01").returncode, 1)
        self.assertEqual(self.run_sim("--control", "/no/such", "--send", "state").returncode, 2)

    def test_nonsense_commands_are_refused(self):
        sim = self.start()
        for command in ("", "dance", "open", "open 99", "open 01 now", "close 01 01", "release 01", "release 01 maybe",
                        "alarm none on", "auto", "auto 01", "auto 01 put", "auto 01 put soon", "auto 99 put 5",
                        "board", "board A", "board Z silent", "board A late", "board A late x", "board A drop 101",
                        "board A address 0", "board A address 248", "board A explode", "line left", "line none noise",
                        "line left babble", "seed", "seed x", "block 01 sideways"):
            with self.subTest(command):
                self.assertFalse(sim.cmd(command)["ok"])
        sim.do("seed 7")
        self.assertEqual(sim.state()["seed"], 7)

    def test_many_commands_at_once(self):
        sim = self.start()
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(sim.control)
            control.sendall(b"state\n" * 200)
            answers = control.makefile(encoding="utf-8")
            self.assertTrue(all('"ok":true' in answers.readline() for _ in range(200)))
            control.sendall(b"x" * 5000)
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(answers.read(), "")

    def test_view_fits_a_small_terminal(self):
        sim = self.start("--view", cabinet=SHARED)
        sim.do("force P1")
        time.sleep(0.6)
        with open(os.path.join(sim.directory, "output"), encoding="utf-8") as f:
            text = f.read()
        self.assertTrue(all(len(line) <= 80 for line in text.splitlines()), text)
        self.assertRegex(text, r"P1 +OPEN")
        self.assertNotIn("\033", text)

    def test_interrupt_ends_it_cleanly(self):
        sim = self.start()
        sim.process.send_signal(signal.SIGINT)
        self.assertEqual(sim.process.wait(5), 0)

    def test_control_socket_of_a_running_one_is_not_taken(self):
        sim = self.start()
        result = self.run_sim("--boards", BOARDS, "--link-dir", sim.directory, "--control", sim.control,
                              os.path.join(self.directory, "cabinet.conf"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("in use", result.stderr)
        self.assertTrue(sim.cmd("state")["ok"])


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    BUILD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
