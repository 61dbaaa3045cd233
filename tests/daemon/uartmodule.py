# SPDX-License-Identifier: Apache-2.0
"""A fingerprint module of the EF01 family at a pseudo terminal, byte by byte, and the fingers in front of it. Written from the
modules' data sheets, and not from the product's framing.

    module = UartModule("/tmp/x/reader")      # the path becomes a tty
    module.touch("anna", capture=1); module.lift()

Templates are made up: what is the same in two captures of a finger is a digest of its name, the rest differs each time.
"""
import hashlib
import os
import pty
import random
import select
import struct
import threading
import time
import tty

GET_IMAGE, EXTRACT, MATCH, SEARCH, REGISTER, STORE, LOAD, UPLOAD, DOWNLOAD = range(1, 10)
DELETE, EMPTY, SET_PARAMETER, READ_PARAMETERS, SET_PASSWORD, VERIFY_PASSWORD, COUNT = 0x0C, 0x0D, 0x0E, 0x0F, 0x12, 0x13, 0x1D
OK, BAD_PACKET, NO_FINGER, MESSY, FEW_POINTS, NO_MATCH, UNLIKE, BAD_UPLOAD, WRONG_PASSWORD = 0, 1, 2, 6, 7, 8, 0x0A, 0x0D, 0x13
COMMAND, DATA, ACKNOWLEDGE, LAST = 1, 2, 7, 8
MARK = b"\xef\x01"


def checksum(body):
    return sum(body) & 0xFFFF


def frame(kind, payload, address=0xFFFFFFFF):
    body = bytes([kind]) + struct.pack(">H", len(payload) + 2) + payload
    return MARK + struct.pack(">I", address) + body + struct.pack(">H", checksum(body))


class UartModule:
    def __init__(self, path, system_id=9, template_size=512, packet_code=2, password=0):
        self.path = path
        self.system_id, self.template_size, self.packet_code, self.password = system_id, template_size, packet_code, password
        self.finger = None        # whose, or nobody's
        self.image = None
        self.buffers = {1: b"", 2: b""}
        self.flash = {}           # what a Store has left
        self.commands = []        # all that it was told to do
        self.seen = 0             # looks without a finger
        self.poor = 0             # so many extractions are useless
        self.corrupt = 0          # so many answers have a wrong checksum
        self.delay = 0            # seconds before an answer
        self.silent = False
        self.chatter = False      # it babbles
        self.locked = False       # commands want the password first
        self.on_command = {}      # command → called when it comes, before it is answered
        self.random = random.Random(7)
        self.master = self.thread = None
        self.plug()

    # --- plug and cable

    def plug(self):
        # Buffers are memory: gone with the power.
        self.buffers = {1: b"", 2: b""}
        self.image = None
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        name = os.ttyname(slave)
        os.chmod(name, 0o666)
        if os.path.islink(self.path):
            os.unlink(self.path)
        os.symlink(name, self.path)
        self.slave = slave  # open, so that the line survives nobody being there
        self.running = True
        self.thread = threading.Thread(target=self._run, args=(self.master,), daemon=True)
        self.thread.start()

    def unplug(self):
        self.running = False
        if os.path.islink(self.path):
            os.unlink(self.path)
        if self.thread and self.thread is not threading.current_thread():
            self.thread.join()
        os.close(self.slave)
        os.close(self.master)

    def stop(self):
        if self.running:
            self.unplug()

    # --- people

    def touch(self, finger):
        self.finger = finger

    def lift(self):
        self.finger = None

    def count(self, command):
        return self.commands.count(command)

    def holds_nothing(self):
        """No buffer has anything of a finger in it, and flash never had."""
        return all(not any(b) for b in self.buffers.values()) and not self.flash

    # --- the module

    def _characteristics(self, finger):
        digest = hashlib.sha256(f"{self.system_id}:{finger}".encode()).digest()
        noise = bytes(self.random.randrange(256) for _ in range(self.template_size - 34))
        return b"\x03\x03" + digest + noise

    @staticmethod
    def _same(a, b):
        return len(a) == len(b) and a[:2] == b"\x03\x03" and a[:34] == b[:34]

    def _send(self, data):
        view = memoryview(data)
        while view and self.running:
            view = view[os.write(self.master, view):]

    def _answer(self, code, extra=b""):
        if self.silent:
            return
        if self.delay:
            time.sleep(self.delay)
        data = bytearray(frame(ACKNOWLEDGE, bytes([code]) + extra))
        if self.corrupt > 0:
            self.corrupt -= 1
            data[-1] ^= 0x55
        self._send(bytes(data))

    def _run(self, master):
        pending = b""
        while self.running:
            ready, _, _ = select.select([master], [], [], 0.02)
            if self.chatter:
                self._send(bytes(self.random.randrange(1, 200) for _ in range(64)))
            if not ready:
                continue
            try:
                pending += os.read(master, 4096)
            except OSError:
                time.sleep(0.02)
                continue
            pending = self._take(pending)

    def _take(self, pending):
        while True:
            start = pending.find(MARK)
            if start < 0:
                return pending[-1:]
            pending = pending[start:]
            if len(pending) < 9:
                return pending
            length = struct.unpack(">H", pending[7:9])[0]
            if len(pending) < 9 + length:
                return pending
            body, rest = pending[6:9 + length], pending[9 + length:]
            good = checksum(body[:-2]) == struct.unpack(">H", body[-2:])[0]
            self._frame(body[0], body[3:-2], good)
            pending = rest

    def _frame(self, kind, payload, good):
        if not good:
            self._answer(BAD_PACKET)
        elif kind == COMMAND:
            self._command(payload[0], payload[1:])
        elif kind in (DATA, LAST):
            self._data(kind, payload)

    def _data(self, kind, payload):
        self.coming += payload
        if kind == LAST:
            self.buffers[self.coming_for] = self.coming[:self.template_size]

    def _command(self, command, arguments):
        self.commands.append(command)
        if command in self.on_command:
            self.on_command[command]()
            if not self.running:
                return
        if self.locked and command != VERIFY_PASSWORD:
            self._answer(0x21)
        elif command == VERIFY_PASSWORD:
            right = struct.unpack(">I", arguments)[0] == self.password
            self.locked = not right
            self._answer(OK if right else WRONG_PASSWORD)
        elif command == READ_PARAMETERS:
            self._answer(OK, struct.pack(">HHHHIHH", 0, self.system_id, 300, 3, 0xFFFFFFFF, self.packet_code, 6))
        elif command == GET_IMAGE:
            self.image = self.finger
            self.seen += self.finger is None
            self._answer(OK if self.finger else NO_FINGER)
        elif command == EXTRACT:
            self._extract(arguments[0])
        elif command == REGISTER:
            fits = self._same(self.buffers[1], self.buffers[2])
            if fits:
                self.buffers[2] = self.buffers[1]
            self._answer(OK if fits else UNLIKE)
        elif command == UPLOAD:
            self._upload(arguments[0])
        elif command == DOWNLOAD:
            self.coming, self.coming_for = b"", arguments[0]
            self._answer(OK)
        elif command == MATCH:
            same = self._same(self.buffers[1], self.buffers[2])
            self._answer(OK if same else NO_MATCH, struct.pack(">H", 137 if same else 0))
        elif command == STORE:
            self.flash[arguments[1:3]] = self.buffers[arguments[0]]
            self._answer(OK)
        else:
            self._answer(BAD_PACKET)

    def _extract(self, buffer):
        if self.image is None:
            self._answer(0x15)
        elif self.poor > 0:
            self.poor -= 1
            self._answer(MESSY if self.poor % 2 else FEW_POINTS)
        else:
            self.buffers[buffer] = self._characteristics(self.image)
            self._answer(OK)

    def _upload(self, buffer):
        data = self.buffers[buffer]
        if not data:
            self._answer(BAD_UPLOAD)
            return
        self._answer(OK)
        size = 32 << self.packet_code
        for at in range(0, len(data), size):
            self._send(frame(DATA if at + size < len(data) else LAST, data[at:at + size]))
