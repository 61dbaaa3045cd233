# SPDX-License-Identifier: Apache-2.0
"""lockerctl as people and scripts use it, against the real daemon and simulated boards."""
import grp
import json
import os
import pty
import re
import select
import shutil
import subprocess
import time

from daemonlib import ADMIN_GROUP, KIOSK_GROUP, TREE
from dbusclient import Place
from people import Scenario

__all__ = ["ADMIN_GROUP", "KIOSK_GROUP", "LockerctlCase", "Place", "Started", "Terminal", "documented_keys"]

PIN = "258036\n"


def documented_keys():
    """verb → the words that lockerctl(1) has for it under JSON OUTPUT."""
    text = (TREE / "docs/man/lockerctl.1").read_text(encoding="utf-8").replace("\\-", "-").replace("\\_", "_")
    section = text.split('.SH "JSON OUTPUT"')[1].split('.SH "EXIT STATUS"')[0]
    words = {}
    for item in section.split("\n.TP\n")[1:]:
        verbs, _, body = item.partition("\n")
        for verb in verbs.split(", "):
            words[verb] = set(re.findall(r"[a-z_]+", body))
    return words


class Started:
    """A lockerctl that is under way, with --json: `lines` as they come."""

    def __init__(self, process):
        self.process = process
        self.lines = []
        self.text = b""

    def line(self, **wanted):
        """The next line that has these values."""
        while True:
            while b"\n" not in self.text:
                ready, _, _ = select.select([self.process.stdout], [], [], 30)
                more = os.read(self.process.stdout.fileno(), 65536) if ready else b""
                if not more:
                    raise AssertionError(f"no line with {wanted} after {self.lines}")
                self.text += more
            line, _, self.text = self.text.partition(b"\n")
            self.lines.append(json.loads(line))
            if all(self.lines[-1].get(k) == v for k, v in wanted.items()):
                return self.lines[-1]

    def place(self, **wanted):
        line = self.line(**wanted)
        return Place(line["slot"], line["position"])

    def type(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def end(self):
        """The exit status; the rest of the lines is in `lines`."""
        self.process.stdin.close()
        self.lines += [json.loads(line) for line in (self.text + self.process.stdout.read()).splitlines()]
        return self.process.wait(30)


class Terminal:
    """A lockerctl on a terminal of its own."""

    def __init__(self, case, *arguments):
        self.text = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(case.program, [case.program, "--no-color", *arguments], case.environment(TERM="xterm"))

    def until(self, words):
        """Waits for these words; they and what came before are forgotten."""
        while words.encode() not in self.text:
            if not select.select([self.fd], [], [], 30)[0]:
                raise AssertionError(f"no {words!r} in {self.text}")
            self.text += os.read(self.fd, 4096)
        self.text = self.text.split(words.encode(), 1)[1]

    def type(self, line):
        time.sleep(0.2)  # the echo is taken away after a question
        os.write(self.fd, line.encode() + b"\n")

    def end(self):
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return status


class LockerctlCase(Scenario):
    settings = {"Session": {"ReopenGrace": "30s", "IdleTimeout": "30s"}}

    @property
    def program(self):
        return os.path.join(self.cabinet.build, "src", "ctl", "lockerctl")

    def environment(self, **more):
        e = {k: v for k, v in self.cabinet.environment().items() if k not in ("NO_COLOR", "LANG", "LC_ALL", "TERM")}
        return {**e, "LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": "80", **more}

    def ctl(self, *arguments, typed="", **env):
        return subprocess.run([self.program, *arguments], input=typed, capture_output=True, text=True, timeout=120,
                              env=self.environment(**env))

    def ok(self, *arguments, typed="", **env):
        done = self.ctl(*arguments, typed=typed, **env)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def refused(self, status, *arguments, typed="", error=None):
        """The sentence; with --json the error's name is `error` too."""
        done = self.ctl("--json", *arguments, typed=typed)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout.splitlines()[-1])["message"], done.stderr.splitlines()[0])
        if error:
            self.assertEqual(json.loads(done.stdout.splitlines()[-1])["error"], error)
        return done.stderr

    def json(self, *arguments, typed=""):
        """What --json prints, all of whose keys must be documented for this verb (or for acts, "done")."""
        value = json.loads(self.ok("--json", *arguments, typed=typed))
        self.check_keys(" ".join(arguments[:2]) if arguments[0] == "audit" else arguments[0], value)
        return value

    def check_keys(self, verb, value):
        known = documented_keys().get(verb, set()) | {"done", "slot", "position", "parcel", "id", "kind", "subject", "courier",
                                                      "found"}
        def walk(value):
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    self.assertEqual(set(item) - known, set(), f"{verb}: not documented")
                    for key, inner in item.items():
                        if key not in ("data", "free_positions"):
                            walk(inner)
        walk(value)

    def begin(self, *arguments, typed=PIN):
        process = subprocess.Popen([self.program, "--json", *arguments, "--stdin"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment())
        for cleanup in (process.stdin.close, process.stdout.close, process.wait, process.kill):
            self.addCleanup(cleanup)
        started = Started(process)
        if typed:
            process.stdin.write(typed.encode())
            process.stdin.flush()
        return started

    def as_user(self, groups, *arguments, typed=""):
        """lockerctl in another user's hands, who is in these groups only; needs root."""
        program = os.path.join(self.cabinet.directory, "lockerctl")
        if not os.path.exists(program):
            shutil.copy(self.program, program)
        ids = ",".join(str(grp.getgrnam(g).gr_gid) for g in groups)
        return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", f"--groups={ids}" if ids else "--clear-groups",
                               program, "--bus", self.cabinet.bus.address, *arguments], input=typed, capture_output=True,
                              text=True, timeout=60, cwd="/", env={"PATH": "/usr/bin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8"})

    # --- errands

    def enrol(self):
        self.ok("enrol", "courier", "--number", "4711", "--name", "Erika Mustermann", "--stdin", typed=PIN)

    def deposit(self, *more, size="S"):
        """From door to door → the receipt."""
        if not self.admin.people():
            self.enrol()
        started = self.begin("deposit", "--courier", "4711", "--size", size, *more)
        receipt = started.line(event="receipt")
        place = Place(receipt["slot"], receipt["position"])
        self.put(place)
        self.shut(place)
        self.assertEqual(started.end(), 0, started.lines)
        self.assertEqual(started.lines[-1]["what"], "stored")
        for line in started.lines:
            self.check_keys("deposit", line)
        return receipt

    def collect(self, *arguments, typed, choice="accept", code=None):
        """The recipient comes, takes (and puts back) → the lines."""
        started = self.begin("collect", *arguments, typed=typed + "\n")
        place = started.place(event="opened")
        self.take(place)
        if choice == "reject":
            self.put(place)
        self.shut(place)
        if "--accept" not in arguments and "--reject" not in arguments:
            started.line(what="choose")
            started.type(choice[0])
        self.assertEqual(started.end(), 0, started.lines)
        for line in started.lines:
            self.check_keys("collect", line)
        return started.lines

    # --- the picture

    def picture(self, **env):
        """The map without colours, and every line of the picture in 80 columns."""
        text = self.ok("map", **env)
        self.assertNotIn("\x1b", text)
        for line in text.splitlines():
            if not line.startswith("! "):
                self.assertLessEqual(len(line), int(env.get("COLUMNS", 80)), line)
        return text

    def letters(self, label):
        """(what is inside, how the door is) as drawn in the door with this label."""
        door = re.search(rf"[│|] {label} +([^│|]*?) *[│|]", self.picture())
        self.assertTrue(door, f"{label} is not drawn")
        words = door[1].split()
        return words[0], words[-1] if len(words) > 1 and len(words[-1]) == 1 else ""
