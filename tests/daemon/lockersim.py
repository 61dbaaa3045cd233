# SPDX-License-Identifier: Apache-2.0
"""Starts locksim for a test and speaks to its control socket."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BOARDS = os.path.join(ROOT, "config", "boards")


def cabinet_with_lines(source, directory, name="cabinet.conf"):
    """Copies a cabinet.conf (a path) into `directory` with all serial lines' Device= there too, named like the lines."""
    with open(source, encoding="utf-8") as f:
        text = f.read()
    text = re.sub(r"(\[Line ([^\]]+)\][^[]*?\nDevice=)(?!tcp:|raw-tcp:|gpio\b)\S+", lambda m: m[1] + os.path.join(directory, m[2]), text)
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


class SimError(Exception):
    """locksim did not do what was asked."""


class LockSim:
    """A running locksim. Links to the lines are made where the cabinet's Device= says, or in `link_dir`.

    Use as a context manager, or call stop(). `extra` are more options.
    """

    def __init__(self, cabinet_path, build_dir, fast=False, extra=(), link_dir=None, boards=BOARDS):
        self.directory = tempfile.mkdtemp(prefix="locksim-")
        self.control = os.path.join(self.directory, "control")
        self.journal_path = os.path.join(self.directory, "journal")
        self.lines = {}
        self._socket = None
        ready, write = os.pipe()
        command = [os.path.join(build_dir, "src", "sim", "locksim"), "--control", self.control, "--boards", boards,
                   "--journal", self.journal_path, "--ready-fd", str(write)]
        if fast:
            command.append("--fast")
        if link_dir:
            command += ["--link-dir", link_dir]
        command += [*extra, cabinet_path]
        self._output = open(os.path.join(self.directory, "output"), "w+", encoding="utf-8")
        self._errors = open(os.path.join(self.directory, "errors"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(command, pass_fds=[write], stdin=subprocess.DEVNULL, stdout=self._output,
                                        stderr=self._errors)
        os.close(write)
        with os.fdopen(ready) as f:
            up = f.read()
        if up != "ready\n":
            self.process.wait(5)
            errors = self.errors()
            self._remove()
            raise SimError(f"locksim did not start: {errors}")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(self.control)
        self._answers = self._socket.makefile(encoding="utf-8")
        with open(self._output.name, encoding="utf-8") as f:
            self.lines = {line.split()[1]: line.split(None, 2)[2].strip() for line in f if line.startswith("line ")}

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop(check=kind is None)

    def cmd(self, command):
        """One command → its answer; answer["ok"] says whether it was possible."""
        self._socket.sendall(command.encode() + b"\n")
        return json.loads(self._answers.readline())

    def do(self, *commands):
        """Commands that must be possible."""
        for command in commands:
            answer = self.cmd(command)
            if not answer["ok"]:
                raise SimError(f"{command}: {answer['error']}")

    def state(self):
        return self.cmd("state")

    def place(self, lock):
        """The state of one slot ("12") or position ("P1/3")."""
        state = self.state()
        return state["slots"].get(lock) or state["positions"][lock]

    def objections(self, kind=None):
        return [o for o in self.cmd("objections")["objections"] if kind in (None, o["kind"])]

    def wait(self, lock, timeout=3, **wanted):
        """Waits until the place is as wanted, e.g. wait("12", door="open", coil=False); returns its state."""
        end = time.monotonic() + timeout
        while True:
            place = self.place(lock)
            if all(place[key] == value for key, value in wanted.items()):
                return place
            if time.monotonic() > end:
                raise SimError(f"{lock} should have become {wanted}, is {place}")
            time.sleep(0.01)

    def line_path(self, name):
        return self.lines[name]

    def journal(self, event=None):
        with open(self.journal_path, encoding="utf-8") as f:
            return [j for j in map(json.loads, f) if event in (None, j["event"])]

    def errors(self):
        with open(self._errors.name, encoding="utf-8") as f:
            return f.read()

    def _remove(self):
        self._output.close()
        self._errors.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def stop(self, check=True):
        """Ends it; a bad end (also one that a sanitizer reports) is an error."""
        if self._socket is None:
            return
        self._answers.close()
        self._socket.close()
        self._socket = None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        errors = self.errors()
        self._remove()
        if check and status != 0:
            raise SimError(f"locksim ended with {status}: {errors}")
