# SPDX-License-Identifier: Apache-2.0
"""Programs in the place of workers that say as much as they can: nothing grows, and nobody waits for it."""
import contextlib
import os
import shutil
import signal
import tempfile
import time

import backendlib
from daemonlib import main
from dbusclient import DBusError, wait
from mqtt_link import DOWN, HEADER, LINK, PING, PONG, READY, SETUP, TROUBLE, UP, VERSION
from people import Scenario

HEAD = """#!/usr/bin/python3
import select, socket, struct, sys, time
s = socket.socket(fileno=3)
"""

MATCHER = HEAD + """
def packet(type, attempt, body):
    return struct.pack("=HHIQ", 1, type, 0, attempt) + body
MODE = "{mode}"
s.send(packet(9, 0, struct.pack("=16sII", b"fingerprint", 3, 0)))
s.send(packet(10, 0, struct.pack("=II96s", 0, 0, b"works")))
running, n = 0, 0
while True:
    flooding = MODE == "health" or running
    if not flooding or select.select([s], [], [], 0)[0]:
        message = s.recv(1 << 17)
        if not message:
            break
        type, attempt = struct.unpack("=HHIQ", message[:16])[1:4:2]
        if type == 8:
            s.send(packet(13, 0, message[16:24]))
        if type == 5 and MODE == "prompts":
            running = attempt
        continue
    n += 1
    if MODE == "health":
        s.send(packet(10, 0, struct.pack("=II96s", n % 2, 0, b"works")))
    else:
        s.send(packet(11, running, struct.pack("=II", n % 2, 0)))
"""

NETWORK = HEAD + f"""
def packet(kind, texts=(), token=0, a=0):
    body = b"".join(t.encode() + b"\\0" for t in texts)
    return struct.pack("{HEADER}", {VERSION}, kind, 0, token, a, 0, 0, len(body)) + body
MODE = "{{mode}}"
s.send(packet({READY}))
n, begun = 0, False
while True:
    if not begun or select.select([s], [], [], 0)[0]:
        message = s.recv(1 << 18)
        if not message:
            break
        kind = struct.unpack_from("{HEADER}", message)[1]
        begun |= kind == {SETUP}
        if kind == {PING}:
            s.send(packet({PONG}))
        continue
    n += 1
    state = {UP} if n == 1 or MODE == "trouble" else [{DOWN}, {UP}][n % 2]
    if MODE == "trouble" and n > 1:
        state = {TROUBLE}
    s.send(packet({LINK}, [f"sentence {{n}}"], token=1 if MODE == "trouble" else n, a=state))
"""


class Floods(Scenario):
    mode = None
    seconds, events, lines = 5, 20, 150  # the latter two: how many may come of it

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lockerd-flood-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.prepare()
        super().setUp()

    def program(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o755)
        self.workers = {name: path}

    def memory(self):
        with open(f"/proc/{self.cabinet.daemon.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def under_flood(self):
        events, lines, kib, worst = self.admin.cabinet("LastEvent"), self.cabinet.log().count("\n"), self.memory(), 0
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            begin = time.monotonic()
            self.admin.slot("05")
            worst = max(worst, time.monotonic() - begin)
            time.sleep(0.02)
        self.assertLess(worst, 2)
        self.assertLess(self.admin.cabinet("LastEvent") - events, self.events)
        self.assertLess(self.cabinet.log().count("\n") - lines, self.lines)
        self.assertLess(self.memory() - kib, 4096)


class Matcher(Floods):
    def prepare(self):
        self.program("lockerd-fingerprint", MATCHER.replace("{mode}", self.mode))
        type(self).edit = staticmethod(lambda text: text + "\n[Reader fingerprint]\nDevice=/dev/null\n")


class Health(Matcher):
    mode = "health"

    def test_reader_that_comes_and_goes_all_the_time(self):
        """Requirement: F4, F17"""
        wait(lambda: "reader:fingerprint" in self.admin.health(), "the reader")
        self.under_flood()


class Prompts(Matcher):
    mode = "prompts"

    def test_reader_that_prompts_all_the_time(self):
        """Requirement: F4, F17"""
        session = self.client.start_session("courier")
        try:
            session.authenticate("fingerprint", number="4711")
            self.fail("nobody was there")
        except DBusError as e:
            self.assertEqual(e.short, "ReaderFailed")
        self.assertLess(len(session.prompts), 200)
        self.under_flood()


LINE = HEAD + """
def packet(type, body, size=0):
    return struct.pack("=HHI", 6, type, 0) + body
MODE = "{mode}"
s.send(packet(8, struct.pack("=Q", 0)))
n, begun, boards = 0, False, []
while True:
    if not begun or select.select([s], [], [], 0)[0]:
        message = s.recv(1 << 17)
        if not message:
            break
        type = struct.unpack("=HHI", message[:8])[1]
        if type == 3:
            boards.append(struct.unpack_from("=I", message, 8)[0])
        begun |= type == 4
        if type == 7:
            s.send(packet(15, message[8:16]))
        continue
    n += 1
    board = boards[n % len(boards)]
    round = n // len(boards)
    if MODE == "boards":
        s.send(packet(10, struct.pack("=IIII192s", board, 1 + round % 2, 0, 0, b"so it is")))
    elif MODE == "lines":
        s.send(packet(9, struct.pack("=II192s", n % 2, 0, b"so it is")))
    else:
        if round == 0:
            s.send(packet(10, struct.pack("=IIII192s", board, 1, 1, 0, b"works")))
        s.send(packet(11, struct.pack("=QII32s", time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000, board, 0, bytes([85, 170][round % 2:][:1] * 32))))
"""


class Line(Floods):
    def prepare(self):
        """It takes over when everything works."""
        self.program("lockerd-line", LINE.replace("{mode}", self.mode))
        self.liar = self.workers.pop("lockerd-line")

    def take_over(self):
        link = os.path.join(self.cabinet.directory, "workers", "lockerd-line")
        os.symlink(self.liar, link + ".new")
        os.rename(link + ".new", link)
        pid = self.cabinet.daemon.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            for child in map(int, f.read().split()):
                with contextlib.suppress(FileNotFoundError), open(f"/proc/{child}/comm", encoding="ascii") as comm:
                    if comm.read().strip() == "lockerd-line":
                        os.kill(child, signal.SIGKILL)
        self.cabinet.wait_log("signal 9")


class Boards(Line):
    mode, events = "boards", 100

    def test_boards_that_come_and_go_all_the_time(self):
        """Requirement: F4, F17"""
        self.take_over()
        self.under_flood()


class Lines(Line):
    mode = "lines"

    def test_line_that_comes_and_goes_all_the_time(self):
        """Requirement: F4, F17"""
        self.take_over()
        self.under_flood()


class Inputs(Line):
    mode, events, lines = "inputs", 2000, 500  # doors that are opened because of the alarm input

    def test_inputs_that_change_all_the_time(self):
        """Requirement: F4, F17"""
        self.take_over()
        self.under_flood()


class Network(Floods):
    def prepare(self):
        self.program("lockerd-mqtt", NETWORK.replace("{mode}", self.mode))
        self.settings = {"Mqtt": {"Host": "127.0.0.1", "Port": str(backendlib.free_port())}}


class Links(Network):
    mode = "links"

    def test_connection_that_comes_and_goes_all_the_time(self):
        """Requirement: F4, F17"""
        self.under_flood()


class Troubles(Network):
    mode = "trouble"

    def test_trouble_that_is_another_all_the_time(self):
        """Requirement: F4, F17"""
        self.under_flood()


if __name__ == "__main__":
    main()
