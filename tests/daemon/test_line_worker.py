#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Drives the real lockerd-line over its socket pair against boards that are simulated byte by byte on a pseudo
terminal (or a TCP port), and against pymodbus as an independent slave.

Usage: test_line_worker.py BUILD_DIR [unittest arguments]

Shows for the requirements: F1 (an acknowledgement is not an opening: results speak about the wire only, facts come
from believed inputs), F4 (one dead board does not delay the others), F5 (a stale command is not sent), F6 (never
longer than a lock's limit, even if the daemon dies in mid-pulse)."""

import os
import select
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import tty
import unittest

VERSION = 6
(LINE, PROFILE, BOARD, START, COMMAND, WITHDRAW, PING, HELLO, LINE_STATE, BOARD_STATE, INPUTS, SENDING, RESULT, OVER,
 PONG, HOLD, LOOK, _, _, DEVICE, ATTEND) = range(1, 22)
PULSED, UNCERTAIN, NOT_SENT, REFUSED = range(4)
STARTING, ONLINE, OFFLINE, CONFLICT, WRONG, STUCK = range(6)
MODBUS, GPIO, KERONG, WINNSEN = range(4)
FLASH, TRIGGER, PULSE = range(3)
OFF_NONE, OFF_COIL, OFF_EACH = range(3)
SERIAL, TCP, _, RAW_TCP = range(4)
IDLE_MS = 10  # as fast as with somebody at the cabinet; how a line rests: unit/test_line_idle.c

WORKER = OPENER = None


def boot():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def crc(data):
    c = 0xFFFF
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = c >> 1 ^ 0xA001 if c & 1 else c >> 1
    return struct.pack("<H", c)


def frame(*parts):
    body = b"".join(bytes([p]) if isinstance(p, int) else p for p in parts)
    return body + crc(body)


def message(kind, form, *values):
    return struct.pack("=HHI" + form, VERSION, kind, 0, *values)


class Board:
    """A board as its bytes: `tamper` may replace the answers, a list of (seconds to wait, bytes)."""

    def __init__(self, inputs=8, outputs=8):
        self.n_inputs, self.n_outputs = inputs, outputs
        self.inputs = [0] * inputs
        self.coils = [0.0] * outputs  # on until
        self.edges = []               # (time, coil, on)
        self.silent = False
        self.tamper = None
        self.identity = 0x1234
        self.refuse_off = False
        self.weld = set()

    def is_on(self, n):
        return n in self.weld or self.coils[n] > time.monotonic()

    def bits(self, values, start, count):
        out = bytearray((count + 7) // 8)
        for i in range(count):
            out[i // 8] |= (1 if values[start + i] else 0) << (i % 8)
        return bytes(out)

    def answer(self, request):
        unit, function, address, value = struct.unpack(">BBHH", request[:6])
        now = time.monotonic()
        if function in (1, 2):
            n = self.n_outputs if function == 1 else self.n_inputs
            if address + value > n:
                return frame(unit, function | 0x80, 2)
            values = [self.is_on(i) for i in range(n)] if function == 1 else self.inputs
            data = self.bits(values, address, value)
            return frame(unit, function, len(data), data)
        if function in (3, 4):
            return frame(unit, function, 2, struct.pack(">H", self.identity))
        if address == 0xFF and value == 0:
            self.coils = [0.0] * self.n_outputs
            self.edges.append((now, 0xFF, False))
        elif 0x200 <= address < 0x200 + self.n_outputs:
            self.coils[address - 0x200] = now + value * 0.1
            self.edges.append((now, address - 0x200, True))
        elif address < self.n_outputs:
            on = value == 0xFF00
            if not on and self.refuse_off:
                return frame(unit, function | 0x80, 4)
            self.coils[address] = float("inf") if on else 0.0
            self.edges.append((now, address, on))
        else:
            return frame(unit, function | 0x80, 2)
        return frame(request[:6])

    def respond(self, request):
        if self.silent:
            return []
        answer = self.answer(request)
        replies = [(0.001, answer)]
        if self.tamper:
            changed = self.tamper(request, answer)
            replies = replies if changed is None else changed
        return replies


class Bus:
    """The master's side of a pty: takes requests of eight bytes, lets the boards speak."""

    def __init__(self, boards):
        self.boards = boards  # (address, Board): two may share an address
        self.log = []         # (monotonic, request)
        self.master, self.slave = os.openpty()
        tty.setraw(self.master, termios.TCSANOW)
        tty.setraw(self.slave, termios.TCSANOW)
        self.path = os.ttyname(self.slave)
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def write_later(self, delay, data):
        if delay <= 0.002:
            time.sleep(delay)
            os.write(self.master, data)
            return
        timer = threading.Timer(delay, lambda: None if self.ended else os.write(self.master, data))
        timer.daemon = True
        timer.start()

    def run(self):
        pending = b""
        while not self.ended:
            readable, _, _ = select.select([self.master], [], [], 0.05)
            if not readable:
                continue
            try:
                pending += os.read(self.master, 256)
            except OSError:
                return
            while len(pending) >= 8:
                request, pending = pending[:8], pending[8:]
                self.log.append((time.monotonic(), request))
                for address, board in self.boards:
                    if address == request[0] and request[6:] == crc(request[:6]):
                        for delay, data in board.respond(request):
                            self.write_later(delay, data)

    def requests(self, since=0.0, unit=None, function=None):
        return [(t, r) for t, r in list(self.log) if t >= since and (unit is None or r[0] == unit)
                and (function is None or r[1] == function)]

    def close(self):
        self.ended = True
        self.thread.join()
        os.close(self.master)
        if self.slave >= 0:
            os.close(self.slave)


def profile(index=0, unlock=FLASH, all_off=OFF_COIL, outputs=8, inputs=8, flash_unit=100, max_pulse=1000, coil_function=1,
            input_function=2, identify=(0, 0, 0, 0), limit=1, factory=-1, protocol=MODBUS):
    return message(PROFILE, "22Ii", index, protocol, unlock, all_off, outputs, inputs, 0, 0xFF00, 0, 0x200, flash_unit,
                   max_pulse, 0xFF, 0, coil_function, input_function, 0, *identify, limit, factory)


class Worker:
    def __init__(self, device, boards, profiles=None, kind=SERIAL, baud=115200, timeout=100, port=0, used=b"\xff" * 32, echo=0, front=0, back=0):
        self.sock, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen([WORKER, "test"], pass_fds=(3,), preexec_fn=lambda: os.dup2(child.fileno(), 3))
        child.close()
        self.got = []
        self.sock.send(message(LINE, "10I64s256s", kind, baud, ord("N"), 1, 0, port, timeout, echo, front, back, b"test", device.encode()))
        self.opener = None
        if kind == SERIAL:
            self.give_device(device)
        for p in profiles or [profile()]:
            self.sock.send(p)
        for index, address, number in boards:
            self.sock.send(message(BOARD, "4I32s64s512s32s32s6I", index, number, address, IDLE_MS, used, b"B%d" % index, b"", b"", b"", *[0] * 6))
        self.sock.send(message(START, "Q", 0))

    def give_device(self, device):
        ours, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.opener = subprocess.Popen([OPENER, device], pass_fds=(3,), preexec_fn=lambda: os.dup2(child.fileno(), 3))
        child.close()
        ours.send(device.encode() + b"\0")
        socket.send_fds(self.sock, [message(DEVICE, "Q", 0)], [ours.fileno()])
        ours.close()

    def command(self, ident, board, coil, pulse=300, expires=5.0, urgent=0, rest=100):
        self.sock.send(message(COMMAND, "QQ6I", ident, boot() + int(expires * 1e6), board, coil, pulse, urgent, rest, 0))

    def withdraw(self, ident):
        self.sock.send(message(WITHDRAW, "Q", ident))

    def look(self, board):
        self.sock.send(message(LOOK, "Q", board))

    def take(self, timeout):
        readable, _, _ = select.select([self.sock], [], [], timeout)
        if not readable:
            return None
        data = self.sock.recv(4096)
        if not data:
            return None
        version, kind, _ = struct.unpack("=HHI", data[:8])
        assert version == VERSION
        body = data[8:]
        if kind == INPUTS:
            at, board, _ = struct.unpack("=QII", body[:16])
            m = (kind, board, body[16:48], at)
        elif kind == BOARD_STATE:
            board, health, off, _ = struct.unpack("=4I", body[:16])
            m = (kind, board, health, off, body[16:].split(b"\0")[0].decode())
        elif kind == LINE_STATE:
            working, patience = struct.unpack("=II", body[:8])
            m = (kind, working, patience, body[8:].split(b"\0")[0].decode())
        elif kind == RESULT:
            ident, at, over, result, _ = struct.unpack("=QQQII", body)
            m = (kind, ident, result, at, over)
        elif kind == OVER:
            m = (kind,) + struct.unpack("=QQ", body)
        else:
            m = (kind,) + struct.unpack("=Q", body)
        self.got.append(m)
        return m

    def wait(self, test, timeout=5.0):
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            m = self.take(left)
            if m and test(m):
                return m
        return None

    def watch(self, seconds):
        n = len(self.got)
        self.wait(lambda m: False, seconds)
        return self.got[n:]

    def close(self):
        self.sock.close()
        try:
            return self.process.wait(5)
        finally:
            self.process.kill()
            self.process.wait()
            if self.opener:
                self.opener.wait(5)  # ends by itself when its client has gone
                self.opener = None


def is_state(board, health):
    return lambda m: m[0] == BOARD_STATE and m[1] == board and m[2] == health


def is_result(ident):
    return lambda m: m[0] == RESULT and m[1] == ident


class Case(unittest.TestCase):
    def rig(self, boards, **options):
        """boards: list of (address, Board); board index = place in the list of distinct addresses"""
        self.bus = Bus(boards)
        self.addCleanup(self.bus.close)
        addresses = list(dict.fromkeys(a for a, _ in boards))
        self.worker = Worker(self.bus.path, [(i, a, 0) for i, a in enumerate(addresses)], **options)
        self.addCleanup(self.worker.close)
        return self.worker

    def online(self, board=0, timeout=5):
        self.assertIsNotNone(self.worker.wait(is_state(board, ONLINE), timeout), self.worker.got)

    def inputs(self, board=0, timeout=5):
        m = self.worker.wait(lambda m: m[0] == INPUTS and m[1] == board, timeout)
        self.assertIsNotNone(m)
        return m[2][0]

    def edges(self, b, coil):
        return [(t, on) for t, c, on in b.edges if c == coil]


class Start(Case):
    def test_start_every_board_is_told_all_off_first(self):
        """F6: whatever a former daemon left on is switched off before anything else is asked."""
        boards = [(1, Board()), (2, Board()), (3, Board())]
        boards[1][1].coils[4] = float("inf")
        w = self.rig(boards)
        self.online(0)
        first = [r for _, r in self.bus.log[:3]]
        self.assertEqual([bytes([a]) + bytes.fromhex("0500ff0000") for a in (1, 2, 3)], [r[:6] for r in first])
        self.assertFalse(boards[1][1].is_on(4))

    def test_start_inputs_are_reported_once(self):
        b = Board()
        b.inputs = [1, 0, 1, 0, 0, 0, 0, 1]
        w = self.rig([(1, b)])
        self.online()
        self.assertEqual(0x85, self.inputs())
        self.assertEqual([], [m for m in w.watch(0.5) if m[0] == INPUTS])

    def test_start_bigger_board_is_wrong(self):
        w = self.rig([(1, Board(inputs=16))])
        self.assertIsNotNone(w.wait(is_state(0, WRONG)))
        w.command(1, 0, 0, urgent=1)
        self.assertEqual(NOT_SENT, w.wait(is_result(1))[2])
        self.assertEqual([], [r for _, r in self.bus.requests(function=5) if r[2] == 2])

    def test_start_smaller_board_is_wrong(self):
        w = self.rig([(1, Board(inputs=4))])
        self.assertIsNotNone(w.wait(is_state(0, WRONG)))

    def test_start_other_identity_is_wrong(self):
        w = self.rig([(1, Board())], profiles=[profile(identify=(3, 7, 1, 10))])
        self.assertIsNotNone(w.wait(is_state(0, WRONG)))

    def test_start_duplicate_address_is_conflict(self):
        """Two boards answer at one address: neither is ever told to unlock."""
        a, b = Board(), Board()
        b.tamper = lambda request, answer: [(0.0008, answer)]
        w = self.rig([(1, a), (1, b)])
        self.assertIsNotNone(w.wait(is_state(0, CONFLICT)))
        w.command(1, 0, 0)
        self.assertEqual(NOT_SENT, w.wait(is_result(1))[2])
        self.assertEqual([], [r for _, r in self.bus.requests(function=5) if r[2] == 2])

    def test_start_unconfigured_board_present_is_reported(self):
        w = self.rig([(5, Board())], profiles=[profile(factory=1)])
        self.bus.boards.append((1, Board()))
        m = w.wait(lambda m: m[0] == LINE_STATE and "factory" in m[3], 3)
        self.assertIsNotNone(m)
        self.assertEqual(1, m[1])


class Believe(Case):
    """Safety rule 6: a late, repeated or damaged answer is never taken for the answer to another question."""

    def spoil(self, tamper, then=None, board=0):
        """One tampered answer to the next input read."""
        done = []
        b = self.bus.boards[board][1]

        def once(request, answer):
            if done or request[1] != 2:
                return then(request, answer) if then and done else None
            done.append(time.monotonic())
            return tamper(request, answer)
        b.tamper = once
        return done

    def calm(self, b=None):
        b = b or Board()
        w = self.rig([(1, b)])
        self.online()
        self.assertEqual(0, self.inputs())
        return w

    LIE = frame(1, 2, 1, 0xFF)

    def never_ff(self, seconds=2.5):
        for m in self.worker.watch(seconds):
            self.assertFalse(m[0] == INPUTS and m[2][0] == 0xFF, m)

    def test_input_change_needs_two_answers(self):
        """F1: a single deviating answer is no fact."""
        self.calm()
        done = self.spoil(lambda request, answer: [(0.001, self.LIE)])
        self.never_ff(1)
        self.assertTrue(done)

    def test_input_change_twice_is_told_at_once(self):
        b = Board()
        w = self.calm(b)
        b.inputs[3] = 1
        t = time.monotonic()
        self.assertEqual(8, self.inputs())
        self.assertLess(time.monotonic() - t, 0.2)

    def test_look_is_answered_once_with_values_read_since(self):
        """Requirement: F1"""
        w = self.calm()
        self.assertEqual([], [m for m in w.watch(0.3) if m[0] == INPUTS], "nothing has changed, nobody has asked")
        t = boot()
        w.look(0)
        m = w.wait(lambda m: m[0] == INPUTS, 1)
        self.assertIsNotNone(m)
        self.assertEqual((m[1], m[2][0]), (0, 0))
        self.assertGreater(m[3], t)
        self.assertEqual([], [m for m in w.watch(0.3) if m[0] == INPUTS])

    def test_look_needs_two_answers(self):
        """One old answer that agrees with what was believed says nothing about now.

        Requirement: F1"""
        b = Board()
        w = self.calm(b)
        old = frame(1, 2, 1, 0)
        done = self.spoil(lambda request, answer: [(0.001, old)])
        b.inputs[3] = 1
        w.look(0)
        self.assertEqual(8, self.inputs())
        self.assertTrue(done)

    def test_look_at_a_silent_board_is_answered_when_it_is_back(self):
        """Requirement: F1"""
        b = Board()
        w = self.calm(b)
        b.tamper = lambda request, answer: []
        w.look(0)
        self.assertEqual([], [m for m in w.watch(0.5) if m[0] == INPUTS])
        b.tamper = lambda request, answer: None
        self.assertEqual(0, self.inputs(timeout=10))

    def test_damaged_answer_is_asked_again_at_once(self):
        """It has come and cannot come late any more; nor has a board that garbles now and then gone.

        Requirement: F1, F4"""
        b = Board()
        w = self.calm(b)
        wrong = bytearray(frame(1, 2, 1, 0))
        wrong[-1] ^= 1
        for spoilt in (bytes(wrong), frame(1, 2, 1, 0) + b"\x55", b"\x55\xaa" + frame(1, 2, 1, 0)):
            done = self.spoil(lambda request, answer: [(0.001, spoilt)])
            w.watch(0.3)
            asked = [t for t, r in self.bus.requests(function=2) if t > done[0] + 0.001]
            self.assertLess(asked[0] - done[0], 0.25, spoilt.hex())
        n = [0]

        def often(request, answer):
            n[0] += 1
            return [(0.001, bytes(wrong))] if request[1] == 2 and n[0] % 8 else None
        b.tamper = often
        self.assertEqual([], [m for m in w.watch(2) if m[0] == BOARD_STATE])

    def test_late_answer_is_not_believed(self):
        """No question of the same shape is even asked before the board has responded to one of another shape: what it
        says comes in its order. A board that has none waits for the late window."""
        w = self.calm()
        late = []

        def in_order(request, answer):
            """What is asked while the late one is on its way is answered behind it."""
            left = late[0] - time.monotonic()
            return [(left + 0.01, answer)] if left > 0 else None
        done = self.spoil(lambda request, answer: late.append(time.monotonic() + 0.3) or [(0.3, self.LIE)], in_order)
        self.never_ff()
        asked = [(t, r[1]) for t, r in self.bus.requests() if t > done[0] + 0.01]
        self.assertEqual(1, asked[0][1])
        self.assertGreaterEqual(asked[[f for _, f in asked].index(2)][0] - done[0], 0.3)

    def test_late_answer_of_a_plain_board_is_not_believed(self):
        """Nothing can be asked whose response looks different: nothing is, for as long as one may be late."""
        self.rig([(1, Board())], profiles=[profile(unlock=TRIGGER, all_off=OFF_NONE, coil_function=0, limit=0)])
        self.online()
        self.assertEqual(0, self.inputs())
        done = self.spoil(lambda request, answer: [(0.3, self.LIE)])
        self.never_ff()
        asked = [t for t, r in self.bus.requests() if t > done[0] + 0.01]
        self.assertGreaterEqual(asked[0] - done[0], 1.0)

    def test_answers_one_behind_are_never_believed(self):
        """A slave that always answers the question before: what it says belongs to another time."""
        w = self.calm()
        held = [None]

        def behind(request, answer):
            before, held[0] = held[0], answer
            return [(0.001, before)] if before else []
        b = self.bus.boards[0][1]
        b.tamper = behind
        b.inputs = [1] * 8
        self.never_ff(6)
        self.assertIn(OFFLINE, [m[2] for m in w.got if m[0] == BOARD_STATE])

    def test_answers_one_behind_on_a_plain_board_are_never_believed(self):
        """The same with a board that has nothing to confirm at its start: only reads that alternate their shape show
        that the line has lost its step."""
        b = Board(inputs=16)
        self.rig([(1, b)], profiles=[profile(unlock=TRIGGER, all_off=OFF_NONE, inputs=16, coil_function=0, limit=0)])
        self.online()
        self.assertEqual(0, self.inputs())
        held = [None]

        def behind(request, answer):
            before, held[0] = held[0], answer
            return [(0.001, before)] if before else []
        b.tamper = behind
        b.inputs = [1] * 16
        self.never_ff(8)

    def test_answer_repeated_after_it_is_damaged(self):
        """An answer counts only when the line then stays silent for the gap."""
        self.calm()
        b = self.bus.boards[0][1]
        b.tamper = lambda request, answer: [(0.001, self.LIE), (0.0005, self.LIE)] if request[1] == 2 else None
        self.never_ff(2)

    def test_answer_given_twice_is_damaged(self):
        self.calm()
        b = self.bus.boards[0][1]
        b.tamper = lambda request, answer: [(0.001, self.LIE + self.LIE)] if request[1] == 2 else None
        self.never_ff(2)

    def test_answer_truncated_is_damaged(self):
        self.calm()
        b = self.bus.boards[0][1]
        b.tamper = lambda request, answer: [(0.001, self.LIE[:-1])] if request[1] == 2 else None
        self.never_ff(2)

    def test_answer_with_wrong_checksum_is_damaged(self):
        self.calm()
        b = self.bus.boards[0][1]
        b.tamper = lambda request, answer: [(0.001, self.LIE[:-1] + b"\0")] if request[1] == 2 else None
        self.never_ff(2)

    def test_answer_of_other_length_is_damaged(self):
        self.calm()
        b = self.bus.boards[0][1]
        b.tamper = lambda request, answer: [(0.001, frame(1, 2, 2, b"\xff\xff"))] if request[1] == 2 else None
        self.never_ff(2)

    def test_answer_dribbled_ends_at_the_deadline(self):
        """Ten times the response timeout byte by byte: the line waits for one only."""
        w = self.calm()
        done = self.spoil(lambda request, answer: [(0.06 * i + 0.01, answer[i:i + 1]) for i in range(len(answer))])
        self.assertIsNone(w.wait(is_state(0, OFFLINE), 1))
        following = [t for t, r in self.bus.requests(since=done[0] + 0.02)]
        self.assertLess(following[0] - done[0], 0.25)

    def test_answer_of_another_board_is_not_believed(self):
        self.calm()
        b = self.bus.boards[0][1]
        b.tamper = lambda request, answer: [(0.001, frame(2, 2, 1, 0xFF))] if request[1] == 2 else None
        self.never_ff(2)

    def test_exception_while_reading_is_no_value(self):
        w = self.calm()
        b = self.bus.boards[0][1]
        b.tamper = lambda request, answer: [(0.001, frame(1, 0x82, 2))] if request[1] == 2 else None
        self.assertIsNotNone(w.wait(is_state(0, WRONG)))


class Commands(Case):
    def test_unlock_flash_is_pulsed(self):
        """F1: "pulsed" is what the board confirmed; nothing is said about the door."""
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        w.command(7, 0, 3, pulse=350)
        m = w.wait(is_result(7))
        self.assertEqual(PULSED, m[2])
        self.assertAlmostEqual(m[4] - m[3], 350000, delta=5000)
        self.assertIn(bytes.fromhex("010502030003"), [r[:6] for _, r in self.bus.log])

    def test_unlock_longer_than_allowed_is_cut(self):
        """F6: never longer than the profile's maximum."""
        w = self.rig([(1, Board())], profiles=[profile(max_pulse=400)])
        self.online()
        w.command(7, 0, 3, pulse=60000)
        self.assertEqual(PULSED, w.wait(is_result(7))[2])
        self.assertIn(bytes.fromhex("010502030004"), [r[:6] for _, r in self.bus.log])

    def test_unlock_echo_of_another_coil_is_uncertain(self):
        """F1: the echo of another coil confirms nothing."""
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        b.tamper = lambda request, answer: [(0.001, frame(answer[:3], 5, answer[4:6]))] if request[1] == 5 else None
        w.command(7, 0, 3)
        self.assertEqual(UNCERTAIN, w.wait(is_result(7))[2])
        self.assertEqual(1, len([e for e in b.edges if e[1] == 3]))

    def test_unlock_without_answer_is_uncertain_and_sent_once(self):
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        b.tamper = lambda request, answer: [] if request[1] == 5 else None
        w.command(7, 0, 3)
        self.assertEqual(UNCERTAIN, w.wait(is_result(7))[2])
        w.watch(0.5)
        self.assertEqual(1, len([e for e in b.edges if e[1] == 3]))

    def test_unlock_again_after_silence_waits_for_late_answers(self):
        """The late echo of the first pulse must not confirm the second."""
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        b.tamper = lambda request, answer: [(0.15, answer)] if request[1] == 5 else None
        w.command(7, 0, 3)
        self.assertEqual(UNCERTAIN, w.wait(is_result(7))[2])
        b.tamper = None
        w.command(8, 0, 3)
        self.assertEqual(PULSED, w.wait(is_result(8))[2])
        times = [e[0] for e in b.edges if e[1] == 3]
        self.assertGreaterEqual(times[1] - times[0], 1.0)

    def test_unlock_refused_is_refused(self):
        """An exception that will not pass (2, no such coil) is final, long before the command's life is over."""
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        b.tamper = lambda request, answer: [(0.001, frame(1, 0x85, 2))] if request[1] == 5 else None
        w.command(7, 0, 3, expires=60)
        self.assertEqual(REFUSED, w.wait(is_result(7))[2])
        self.assertEqual(1, len(self.bus.requests(function=5)[1:]), "the first is the all-off at the start")

    def test_unlock_refused_for_now_is_asked_again_within_its_life(self):
        """An exception that may pass (4, 5, 6) is asked again; one that persists ends with the command's life."""
        for exception in (4, 5, 6):
            with self.subTest(exception=exception):
                b = Board()
                w = self.rig([(1, b)])
                self.online()
                b.tamper = lambda request, answer: [(0.001, frame(1, 0x85, exception))] if request[1] == 5 else None
                w.command(7, 0, 3, pulse=100, expires=1.0)
                result = w.wait(is_result(7), 10)
                self.assertIsNotNone(result)
                self.assertEqual(REFUSED, result[2])
                self.assertGreater(len(self.bus.requests(function=5)), 2)

    def test_unlock_refused_for_now_may_have_been_done(self):
        """Withdrawn (its door was seen to open) after an answer that may come with a pulse (4, 5): not "not sent", and when
        that pulse is over is told, so that the supply can rest; after "busy" (6) nothing was sent."""
        for exception, result in ((4, UNCERTAIN), (5, UNCERTAIN), (6, NOT_SENT)):
            with self.subTest(exception=exception):
                b = Board()
                w = self.rig([(1, b)])
                self.online()
                b.tamper = lambda request, answer: [(0.001, frame(1, 0x85, exception))] if request[1] == 5 else None
                since = len(b.edges)
                w.command(7, 0, 3, pulse=400)
                while len(b.edges) == since:
                    w.watch(0.02)
                w.withdraw(7)
                m = w.wait(is_result(7))
                self.assertEqual(result, m[2])
                if result == UNCERTAIN:
                    self.assertGreaterEqual(m[4], boot() - (time.monotonic() - b.edges[since][0]) * 1e6 + 399000)

    def test_unlock_asked_again_waits_until_the_supply_has_rested(self):
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        b.tamper = lambda request, answer: [(0.001, frame(1, 0x85, 5))] if request[1] == 5 else None
        w.command(7, 0, 3, pulse=200, expires=3.0, rest=600)
        w.wait(is_result(7), 10)
        times = [e[0] for e in b.edges if e[1] == 3]
        self.assertGreater(len(times), 1)
        for earlier, later in zip(times, times[1:]):
            self.assertGreaterEqual(later - earlier, 0.8)

    def test_unlock_goes_right_after_the_running_poll(self):
        """A command that comes in during a poll is the next question, and never disturbs an answer."""
        boards = [(a, Board()) for a in range(1, 9)]
        w = self.rig(boards)
        for i in range(8):
            self.online(i)
        for _, b in boards:
            b.tamper = lambda request, answer: [(0.03, answer)]
        time.sleep(0.2)
        for n in range(5):
            at = time.monotonic()
            w.command(100 + n, 7, n)
            self.assertEqual(PULSED, w.wait(is_result(100 + n))[2])
            after = [r for t, r in self.bus.requests(since=at)]
            self.assertLessEqual([r[1] for r in after].index(5), 1)

    def test_urgent_goes_ahead_of_other_commands(self):
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        b.tamper = lambda request, answer: [(0.05, answer)]
        w.watch(0.1)
        w.command(1, 0, 1)
        w.command(2, 0, 2)
        w.command(3, 0, 3, urgent=1)
        for i in (1, 2, 3):
            w.wait(lambda m: m[0] == RESULT)
        order = [m[1] for m in w.got if m[0] == RESULT]
        self.assertLess(order.index(3), order.index(2))

    def test_expired_command_is_not_sent(self):
        """F5: a stale command never opens a door."""
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        w.command(7, 0, 3, expires=-0.001)
        self.assertEqual(NOT_SENT, w.wait(is_result(7))[2])
        self.assertEqual([], [e for e in b.edges if e[1] == 3])

    def test_command_expiring_while_held_back_is_not_sent(self):
        """F5"""
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        b.tamper = lambda request, answer: [] if request[1] == 5 else None
        w.command(7, 0, 3)
        w.wait(is_result(7))
        w.command(8, 0, 3, expires=0.4)
        self.assertEqual(NOT_SENT, w.wait(is_result(8))[2])
        self.assertEqual(1, len([e for e in b.edges if e[1] == 3]))

    def test_withdrawn_command_is_not_sent(self):
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        b.tamper = lambda request, answer: [] if request[1] == 5 else None
        w.command(7, 0, 3)
        w.wait(is_result(7))
        w.command(8, 0, 3)
        w.withdraw(8)
        self.assertEqual(NOT_SENT, w.wait(is_result(8), 0.5)[2])
        w.watch(1.5)
        self.assertEqual(1, len([e for e in b.edges if e[1] == 3]))

    def test_command_on_the_wire_is_not_taken_for_withdrawn(self):
        """F6: "not sent" frees the supply; the coil that is on all the same must not be forgotten."""
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        b.tamper = lambda request, answer: [(0.05, answer)] if request[1] == 5 else None
        w.command(7, 0, 3)
        self.assertIsNotNone(w.wait(lambda m: m == (SENDING, 7), 2))
        w.withdraw(7)
        self.assertEqual(PULSED, w.wait(is_result(7), 1)[2])
        w.watch(0.5)
        self.assertEqual(1, len([m for m in w.got if m[0] == RESULT and m[1] == 7]))

    def test_offline_board_gets_no_unlock_unless_urgent(self):
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        b.silent = True
        self.assertIsNotNone(w.wait(is_state(0, OFFLINE)))
        w.command(1, 0, 3)
        self.assertEqual(NOT_SENT, w.wait(is_result(1))[2])
        w.command(2, 0, 3, urgent=1)
        self.assertEqual(UNCERTAIN, w.wait(is_result(2))[2])

    def test_ping_is_answered(self):
        w = self.rig([(1, Board())])
        w.sock.send(message(PING, "Q", 42))
        self.assertIsNotNone(w.wait(lambda m: m == (PONG, 42), 1))


class Pulses(Case):
    """F6 with boards that do not time their pulses."""

    OPTIONS = dict(profiles=[profile(unlock=PULSE, all_off=OFF_EACH, max_pulse=500)])

    def test_pulse_is_ended_when_the_daemon_dies(self):
        b = Board()
        w = self.rig([(1, b)], **self.OPTIONS)
        self.online()
        w.command(7, 0, 3, pulse=500)
        self.assertEqual(PULSED, w.wait(is_result(7))[2])
        self.assertTrue(b.is_on(3))
        at = time.monotonic()
        self.assertEqual(0, w.close())
        self.assertFalse(b.is_on(3))
        self.assertLess(self.edges(b, 3)[-1][0] - at, 0.5)

    def test_daemon_death_switches_every_board_off(self):
        boards = [(1, Board()), (2, Board())]
        w = self.rig(boards)
        self.online(0)
        self.online(1)
        boards[1][1].coils[5] = float("inf")
        self.assertEqual(0, w.close())
        self.assertFalse(boards[1][1].is_on(5))

    def test_off_without_answer_is_repeated_at_once(self):
        b = Board()
        w = self.rig([(1, b)], **self.OPTIONS)
        self.online()
        lost = []

        def lose(request, answer):
            if request[1] == 5 and request[4] == 0 and len(lost) < 2:
                lost.append(1)
                return []
            return None
        b.tamper = lose
        w.command(7, 0, 3, pulse=100)
        self.assertIsNotNone(w.wait(lambda m: m[0] == OVER and m[1] == 7, 1))
        self.assertEqual(2, len(lost))

    def test_off_is_owed_until_the_board_is_back(self):
        b = Board()
        w = self.rig([(1, b)], **self.OPTIONS)
        self.online()
        b.tamper = lambda request, answer: [] if b.is_on(3) else None
        real = b.answer

        def dead(request):
            return real(request) if not b.is_on(3) else b""
        b.answer = dead
        w.command(7, 0, 3, pulse=100)
        m = w.wait(is_state(0, OFFLINE))
        self.assertIn("coil 4 may still be on", m[4])
        b.answer = real
        b.tamper = None
        self.assertIsNotNone(w.wait(lambda m: m[0] == OVER and m[1] == 7, 3))
        self.assertFalse(b.is_on(3))
        self.online()

    def test_stuck_coil_is_switched_off_and_reported(self):
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        b.weld.add(6)
        m = w.wait(is_state(0, STUCK), 4)
        if m is None:
            # the coils are looked at now and then; a pulse makes them due
            w.command(1, 0, 0, pulse=100)
            m = w.wait(is_state(0, STUCK), 4)
        self.assertIn("coil 7", m[4])
        at = len(b.edges)
        b.weld.clear()
        self.online(timeout=5)


class Line(Case):
    def test_board_back_is_told_all_off_and_identified(self):
        b = Board()
        b.inputs[0] = 1
        w = self.rig([(1, b)])
        self.online()
        b.silent = True
        self.assertIsNotNone(w.wait(is_state(0, OFFLINE)))
        at = time.monotonic()
        b.silent = False
        self.online(timeout=9)
        self.assertEqual(1, self.inputs())
        writes = [r[:6] for _, r in self.bus.requests(at, function=5)]
        self.assertEqual(bytes.fromhex("010500ff0000"), writes[0])

    def test_board_missing_at_start_comes_later(self):
        a, b = Board(), Board()
        b.silent = True
        w = self.rig([(1, a), (2, b)])
        self.online(0)
        self.assertIsNotNone(next((m for m in w.got if is_state(1, OFFLINE)(m)), None) or w.wait(is_state(1, OFFLINE)))
        b.silent = False
        self.online(1, 9)

    def test_device_gone_is_reported_and_reopened(self):
        w = Worker("/nonexistent/tty", [(0, 1, 0)])
        self.addCleanup(w.close)
        m = w.wait(lambda m: m[0] == LINE_STATE)
        self.assertEqual(0, m[1])
        self.assertIn("/nonexistent/tty", m[3])
        self.assertIsNotNone(w.wait(is_state(0, OFFLINE)))
        w.command(1, 0, 0)
        self.assertEqual(NOT_SENT, w.wait(is_result(1))[2])

    def test_device_unplugged_is_no_end(self):
        bus = Bus([(1, Board())])
        link = "/tmp/line-worker-test-%d" % os.getpid()
        os.symlink(bus.path, link)
        self.addCleanup(os.unlink, link)
        w = Worker(link, [(0, 1, 0)])
        self.addCleanup(w.close)
        self.assertIsNotNone(w.wait(is_state(0, ONLINE)))
        bus.close()
        self.assertIsNotNone(w.wait(lambda m: m[0] == LINE_STATE and not m[1]))
        bus = Bus([(1, Board())])
        self.addCleanup(bus.close)
        os.unlink(link)
        os.symlink(bus.path, link)
        self.assertIsNotNone(w.wait(lambda m: m[0] == LINE_STATE and m[1]))
        self.assertIsNotNone(w.wait(is_state(0, ONLINE)))

    def test_babbling_line_stops_nothing_for_long(self):
        b = Board()
        w = self.rig([(1, b)])
        self.online()
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            os.write(self.bus.master, b"\x55")
            time.sleep(0.0005)
        w.sock.send(message(PING, "Q", 1))
        self.assertIsNotNone(w.wait(lambda m: m == (PONG, 1), 1))
        self.assertIsNotNone(w.wait(is_state(0, ONLINE), 9) if OFFLINE in [m[2] for m in w.got if m[0] == BOARD_STATE]
                             else True)


class Pace(Case):
    """What is judged by the millisecond; a suite of its own, because sanitizers and a busy machine stretch it."""

    OPTIONS = Pulses.OPTIONS

    def pulse(self, b, ident, length):
        """One pulse from its command to the worker's report that it is over → seconds on the wire."""
        del b.edges[:]
        self.worker.command(ident, 0, 3, pulse=length)
        m = self.worker.wait(is_result(ident))
        self.assertEqual((PULSED, 0), (m[2], m[4]))
        self.assertIsNotNone(self.worker.wait(lambda m: m[0] == OVER and m[1] == ident))
        (on, _), (off, _) = self.edges(b, 3)[:2]
        return off - on

    def pulse_that(self, b, length, is_right):
        """Whether most of five pulses are right: a machine that is busy runs the worker or this thread late now and then."""
        lengths = [self.pulse(b, 7 + n, length) for n in range(5)]
        self.assertGreaterEqual(sum(map(is_right, lengths)), 3, lengths)

    def test_pulse_is_ended_in_time(self):
        b = Board()
        self.rig([(1, b)], **self.OPTIONS)
        self.online()
        self.pulse_that(b, 300, lambda seconds: abs(seconds - 0.298) < 0.02)

    def test_pulse_never_exceeds_the_limit(self):
        b = Board()
        self.rig([(1, b)], **self.OPTIONS)
        self.online()
        self.pulse_that(b, 9000, lambda seconds: seconds < 0.52)

    def test_dead_board_delays_others_by_its_deadline_only(self):
        """F4: one dead board takes nothing else down."""
        boards = [(a, Board()) for a in range(1, 5)]
        w = self.rig(boards)
        for i in range(4):
            self.online(i)
        boards[1][1].silent = True
        self.assertIsNotNone(w.wait(is_state(1, OFFLINE)))
        begin = time.monotonic()
        w.watch(4)
        end = time.monotonic()
        times = [t for t, r in self.bus.requests(begin, unit=1)]
        worst = max(b - a for a, b in zip(times, times[1:]))
        self.assertLess(worst, 0.2)
        probes = len(self.bus.requests(begin, unit=2))
        self.assertGreaterEqual(probes, 1)
        self.assertLessEqual(probes, 6)

    def test_silence_between_frames(self):
        """3.5 characters at 9600 baud between an answer's end and the next question."""
        b = Board()
        stamps = []

        def note(request, answer):
            stamps.append(time.monotonic() + 0.001)
            return None
        b.tamper = note
        w = self.rig([(1, b)], baud=9600)
        self.online()
        w.watch(0.5)
        gaps = []
        asked = [t for t, _ in self.bus.log]
        for s in stamps:
            after = [t for t in asked if t > s]
            if after:
                gaps.append(after[0] - s)
        self.assertGreater(min(gaps), 0.0035)


class Tcp(unittest.TestCase):
    def serve(self, board, spoil):
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        self.connections = 0

        def one(conn):
            with conn:
                while len(head := conn.recv(12)) == 12:
                    answer = board.answer(head[6:12])[:-2]
                    data = head[:4] + struct.pack(">H", len(answer)) + answer
                    data = spoil(head, data)
                    if data:
                        conn.send(data)

        def run():
            while True:
                try:
                    conn, _ = server.accept()
                except OSError:
                    return
                self.connections += 1
                threading.Thread(target=one, args=(conn,), daemon=True).start()
        threading.Thread(target=run, daemon=True).start()
        return server.getsockname()[1]

    def test_tcp_unlock_is_pulsed(self):
        b = Board()
        w = Worker("127.0.0.1", [(0, 1, 0)], kind=TCP, port=self.serve(b, lambda q, d: d))
        self.addCleanup(w.close)
        self.assertIsNotNone(w.wait(is_state(0, ONLINE)))
        w.command(1, 0, 2)
        self.assertEqual(PULSED, w.wait(is_result(1))[2])
        self.assertEqual(1, self.connections)

    def test_tcp_wrong_transaction_reconnects(self):
        b = Board()
        bad = []

        def spoil(request, data):
            if len(b.edges) > 1 and not bad:
                bad.append(1)
                return b"\x00\x07" + data[2:]
            return data
        w = Worker("127.0.0.1", [(0, 1, 0)], kind=TCP, port=self.serve(b, spoil))
        self.addCleanup(w.close)
        self.assertIsNotNone(w.wait(is_state(0, ONLINE)))
        w.command(1, 0, 2)
        self.assertEqual(UNCERTAIN, w.wait(is_result(1))[2])
        w.watch(0.5)
        self.assertEqual(2, self.connections)


class Adapters(Case):
    """What stands between computer and boards and adds something to what they say."""

    ECHO = staticmethod(lambda request, answer: [(0.0005, request + answer)])
    ECHO_APART = staticmethod(lambda request, answer: [(0, request), (0.002, answer)])
    BEHIND = staticmethod(lambda request, answer: [(0.001, answer + b"\0")])
    BEFORE = staticmethod(lambda request, answer: [(0.001, b"\0\xff" + answer)])
    LATE = staticmethod(lambda request, answer: [(0.16, answer)])

    def named(self, tamper, sentence, **options):
        b = Board()
        b.tamper = tamper
        w = self.rig([(1, b)], **options)
        self.assertIsNotNone(w.wait(lambda m: m[0] == BOARD_STATE and m[2] == OFFLINE and sentence in m[4], 20), w.got)
        self.assertNotIn(CONFLICT, [m[2] for m in w.got if m[0] == BOARD_STATE])
        self.assertEqual(0, w.command(1, 0, 2) or len(self.edges(b, 2)), "no unlock of a board that is not understood")

    def coped_with(self, tamper, **options):
        """Nothing is lost by it: on line at once, inputs believed, a lock pulsed, and no board is taken for another."""
        b = Board()
        b.tamper = tamper
        w = self.rig([(1, b)], **options)
        self.online()
        b.inputs[3] = 1
        self.assertIsNotNone(w.wait(lambda m: m[0] == INPUTS and m[2][0] == 8))
        w.command(1, 0, 2)
        self.assertEqual(PULSED, w.wait(is_result(1))[2])
        w.watch(1)
        self.assertEqual([ONLINE], [m[2] for m in w.got if m[0] == BOARD_STATE])

    def test_echo_is_named(self):
        self.named(self.ECHO, "echoes every request; set Echo=yes in [Line test]")

    def test_echo_apart_is_named(self):
        self.named(self.ECHO_APART, "echoes every request; set Echo=yes in [Line test]")

    def test_echo_is_coped_with(self):
        """Requirement: F4"""
        self.coped_with(self.ECHO, echo=1)

    def test_echo_apart_is_coped_with(self):
        self.coped_with(self.ECHO_APART, echo=1)

    def test_byte_behind_is_named(self):
        self.named(self.BEHIND, "adds 1 byte behind every response; set SurplusBack=1 in [Line test]")

    def test_byte_behind_is_coped_with(self):
        self.coped_with(self.BEHIND, back=1)

    def test_bytes_before_are_named(self):
        self.named(self.BEFORE, "adds 2 bytes before every response; set SurplusFront=2 in [Line test]")

    def test_bytes_before_are_coped_with(self):
        self.coped_with(self.BEFORE, front=2)

    def test_all_of_it_is_coped_with(self):
        self.coped_with(lambda request, answer: [(0, request), (0.001, b"\xff" + answer + b"\0\0")], echo=1, front=1, back=2)

    def test_echo_of_a_dead_board_is_no_response(self):
        b = Board()
        b.tamper = lambda request, answer: [(0, request)]
        w = self.rig([(1, b)], echo=1)
        self.assertIsNotNone(w.wait(lambda m: m[0] == BOARD_STATE and m[2] == OFFLINE and "does not answer" in m[4]))

    def test_wrong_setting_is_named(self):
        self.named(self.BEFORE, "adds 2 bytes before every response; set SurplusFront=2 in [Line test]", front=1)

    def test_board_that_responds_late_is_named(self):
        self.named(self.LATE, "responds later than ResponseTimeout=100ms in [Line test] allows")

    def test_two_boards_at_one_address_are_still_a_conflict(self):
        b = Board()
        b.tamper = lambda request, answer: [(0.001, answer), (0.001, answer)]
        w = self.rig([(1, b)])
        self.assertIsNotNone(w.wait(is_state(0, CONFLICT)))


class Converters(unittest.TestCase):
    def serve(self, respond):
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def one(conn):
            with conn:
                pending = b""
                while data := conn.recv(256):
                    pending += data
                    answer, pending = respond(pending)
                    if answer:
                        conn.send(answer)

        def run():
            while True:
                try:
                    conn, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(conn,), daemon=True).start()
        threading.Thread(target=run, daemon=True).start()
        return server.getsockname()[1]

    def named(self, kind, respond, sentence):
        w = Worker("127.0.0.1", [(0, 1, 0)], kind=kind, port=self.serve(respond))
        self.addCleanup(w.close)
        self.assertIsNotNone(w.wait(lambda m: m[0] == BOARD_STATE and m[2] == OFFLINE and sentence in m[4], 20), w.got)

    def test_transparent_converter_where_modbus_tcp_is_configured_is_named(self):
        """Bytes that are no frame to the boards behind it get no response; a frame as on a serial line does."""
        b = Board()

        def respond(pending):
            if len(pending) >= 8 and pending[6:8] == crc(pending[:6]):
                return b.answer(pending[:6]), pending[8:]
            return None, b""
        self.named(TCP, respond, "does not speak Modbus TCP, it passes on bytes; set Device=raw-tcp:… in [Line test]")

    def test_modbus_tcp_where_a_transparent_converter_is_configured_is_named(self):
        b = Board()

        def respond(pending):
            if pending[2:4] != b"\0\0" or len(pending) < 12:
                return None, pending
            answer = b.answer(pending[6:12])[:-2]
            return pending[:4] + struct.pack(">H", len(answer)) + answer, pending[12:]
        self.named(RAW_TCP, respond, "the converter speaks Modbus TCP; set Device=tcp:… in [Line test]")


class Pymodbus(unittest.TestCase):
    def serve(self, master, board):
        while True:
            try:
                board.feed(os.read(master, 256))
            except OSError:
                return

    def test_pymodbus_slave_is_identified_read_and_unlocked(self):
        """An independent slave understands what the worker says: F1, F6."""
        try:
            import pymodbus  # noqa: F401
        except ImportError:
            self.skipTest("pymodbus is not installed")
        from pymodbus_parts import Block, Slave, Store
        store = Store(di=Block(1, [1, 0, 1, 1, 0, 0, 0, 0]), co=Block(1, [0] * 8))
        master, slave = os.openpty()
        tty.setraw(master, termios.TCSANOW)
        tty.setraw(slave, termios.TCSANOW)
        coils = []

        def heard(function, address):
            if function == 5:
                coils.append((address, bool(store.getValues(1, address, 1)[0])))

        board = Slave(3, store, lambda data: os.write(master, data), heard)
        threading.Thread(target=self.serve, args=(master, board), daemon=True).start()
        self.addCleanup(os.close, slave)
        w = Worker(os.ttyname(slave), [(0, 3, 0)], baud=19200, timeout=300,
                   profiles=[profile(unlock=PULSE, all_off=OFF_EACH, max_pulse=500)])
        self.addCleanup(w.close)
        self.assertIsNotNone(w.wait(is_state(0, ONLINE), 20), w.got)
        self.assertEqual([(n, False) for n in range(8)], coils)
        m = w.wait(lambda m: m[0] == INPUTS)
        self.assertEqual(0x0D, m[2][0])
        del coils[:]
        w.command(1, 0, 5, pulse=200)
        self.assertEqual(PULSED, w.wait(is_result(1))[2])
        self.assertIsNotNone(w.wait(lambda m: m[0] == OVER))
        self.assertEqual([(5, True), (5, False)], coils)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    directory = sys.argv.pop(1)
    for candidate in ("src/line/lockerd-line", "lockerd-line"):
        if os.path.exists(os.path.join(directory, candidate)):
            WORKER = os.path.abspath(os.path.join(directory, candidate))
            OPENER = os.path.join(os.path.dirname(WORKER), "lockerd-open")
            break
    if not WORKER:
        sys.exit("no lockerd-line in %s" % directory)
    unittest.main(verbosity=2)
