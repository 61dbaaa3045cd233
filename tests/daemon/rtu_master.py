# SPDX-License-Identifier: Apache-2.0
"""A bare Modbus RTU master on a tty: sends what it is told, byte by byte, and does not forgive anything."""
import os
import select
import struct
import termios
import time
import tty


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


def request(address, function, first, second):
    body = struct.pack(">BBHH", address, function, first, second)
    return body + crc(body)


def bits(answer, n):
    """The first n bits of an answer to FC01 or FC02."""
    return [answer[3 + i // 8] >> i % 8 & 1 for i in range(n)]


class RtuMaster:
    def __init__(self, path, baud=9600, gap=0.01):
        self.gap = gap  # kept before every request
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        attributes = termios.tcgetattr(self.fd)
        attributes[4] = attributes[5] = getattr(termios, f"B{baud}")
        termios.tcsetattr(self.fd, termios.TCSANOW, attributes)
        self.sent = self.last = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def send(self, frame):
        """A whole frame, with its CRC."""
        time.sleep(self.gap)
        self.sent = time.monotonic()
        os.write(self.fd, frame)

    def receive(self, n=256, timeout=0.3):
        """Up to n bytes; less when nothing comes for `timeout` seconds. self.last: when the last one came."""
        data = b""
        while len(data) < n and select.select([self.fd], [], [], timeout)[0]:
            data += os.read(self.fd, n - len(data))
            self.last = time.monotonic()
        return data

    def exchange(self, frame, n=256, timeout=0.3):
        self.send(frame)
        return self.receive(n, timeout)

    def ask(self, address, function, first, second, n, timeout=0.3):
        """A request and its answer of n bytes, which must be whole; its address and function are left in it."""
        answer = self.exchange(request(address, function, first, second), n, timeout)
        if len(answer) != n or crc(answer[:-2]) != answer[-2:]:
            raise AssertionError(f"a bad answer to {function}: {answer.hex(' ')}")
        return answer

    def coil(self, address, coil, value):
        """FC05, whose answer is its echo."""
        frame = request(address, 5, coil, value)
        answer = self.exchange(frame, len(frame))
        if answer != frame:
            raise AssertionError(f"{frame.hex(' ')} was answered by {answer.hex(' ')}")

    def inputs(self, address, n, function=2):
        return bits(self.ask(address, function, 0, n, 5 + (n + 7) // 8), n)
