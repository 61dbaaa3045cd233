# SPDX-License-Identifier: Apache-2.0
"""The real daemon on a private bus with simulated boards, for the scenario tests.

    from daemonlib import DaemonTest, main

    class Deposits(DaemonTest):
        settings = {"Session": {"ReopenGrace": "2s"}}

        def test_deposit_opens_the_door(self):
            self.admin.enrol_courier("4711", pin="258036")
            session = self.client.start_session("courier")
            session.authenticate_pin("4711", "258036")
            put = session.deposit(size="S")
            self.sim.do(f"put {put.slot}", f"close {put.slot}")
            session.wait_prompt("stored")

    main()

Each test is run as `python3 FILE BUILDDIR [unittest arguments]`; status 77 means that everything was skipped.
"""
import grp
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from dbusclient import (CABINET, NAME, PARCEL, PROPERTIES, ROOT, SESSION, SLOT, TIMEOUT, Client, DBusError, Deposit, GLib, Gone,
                        dictionary, parcel_id, parcel_path, slot_path, wait)
from lockersim import BOARDS, LockSim, cabinet_with_lines

__all__ = ["ADMIN_GROUP", "CABINET", "KIOSK_GROUP", "NAME", "PARCEL", "PROPERTIES", "ROOT", "SESSION", "SLOT", "TIMEOUT", "TREE",
           "XML", "Cabinet", "Client", "DBusError", "DaemonTest", "Deposit", "GLib", "Gone", "PrivateBus", "build_directory",
           "dictionary", "main", "own_name", "parcel_id", "parcel_path", "slot_path", "wait"]

TREE = pathlib.Path(__file__).resolve().parents[2]
XML = TREE / "schema" / "org.lockerd.Locker1.xml"
# Groups that every Debian has; which ones does not matter.
KIOSK_GROUP, ADMIN_GROUP = "games", "users"
SANITIZER = re.compile(r"(ERROR: (Address|Leak|Thread|Memory)Sanitizer|runtime error:|SUMMARY: \w+Sanitizer)")

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


def build_directory():
    return os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BUILDDIR", "build"))


class PrivateBus:
    """A dbus-daemon that lets everybody in, so that what is refused is refused by lockerd."""

    def __init__(self, directory):
        socket = os.path.join(directory, "bus")
        config = os.path.join(directory, "bus.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(BUS_CONFIG.format(socket=socket))
        self.address = f"unix:path={socket}"
        self.process = subprocess.Popen(["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address=1"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if not self.process.stdout.readline():
            raise Gone("dbus-daemon did not start")

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Cabinet:
    """A whole cabinet: private bus, simulated boards, lockerd. Use as a context manager, or start() and stop().

    cabinet: a file of config/ or a path; edit: text → text, to change it. settings: {"Session": {"IdleTimeout": "2s"}}.
    workers: programs of the build directory in place of the usual ones, by name.
    """

    def __init__(self, build=None, cabinet="cabinet-12.conf", settings=None, edit=None, fast=True, arguments=(), workers=None):
        self.build = build or build_directory()
        self.directory = tempfile.mkdtemp(prefix="lockerd-test-")
        os.chmod(self.directory, 0o755)  # clients of other users reach the bus's socket
        self.arguments = list(arguments)
        self.workers = workers or {}
        self.wrapper = []  # a program to run lockerd in, with its options
        self.fast = fast
        self.daemon = self.bus = self.sim = None
        self.clients = []
        self.stopped = False
        self.log_text = ""
        self.log_path = os.path.join(self.directory, "log")
        self.ledger = os.path.join(self.directory, "ledger.db")
        self.config = os.path.join(self.directory, "lockerd.conf")
        self._write_cabinet(cabinet, edit)
        self._write_settings(settings or {})

    def _write_cabinet(self, cabinet, edit):
        source = cabinet if os.path.isabs(cabinet) else str(TREE / "config" / cabinet)
        with open(source, encoding="utf-8") as f:
            text = f.read()
        draft = os.path.join(self.directory, "draft.conf")
        with open(draft, "w", encoding="utf-8") as f:
            f.write(edit(text) if edit else text)
        self.cabinet_path = cabinet_with_lines(draft, self.directory)

    def _write_settings(self, settings):
        workers = os.path.join(self.directory, "workers")
        os.mkdir(workers)
        programs = {os.path.basename(p): p for p in ("src/gpio/lockerd-gpio", "src/line/lockerd-line", "src/line/lockerd-open", "src/identity/lockerd-hash",
                                                     "src/mqtt/lockerd-mqtt", "src/link/lockerd-link", "src/ble/lockerd-ble", "src/fingerprint/lockerd-fingerprint")}
        for name, program in {**programs, **self.workers}.items():
            os.symlink(os.path.join(self.build, program), os.path.join(workers, name))
        sections = {
            "Daemon": {"Cabinet": self.cabinet_path, "Ledger": self.ledger, "BoardDirectory": BOARDS,
                       "WorkerDirectory": workers, "KeyFile": os.path.join(self.directory, "lockerd.key"),
                       # Whatever the machine of the tests knows of the time: it is right. test_clock.py is about others.
                       "TrustClock": "yes"},
            "Bus": {"KioskGroup": KIOSK_GROUP, "AdminGroup": ADMIN_GROUP},
        }
        for section, keys in settings.items():
            sections.setdefault(section, {}).update(keys)
        with open(self.config, "w", encoding="utf-8") as f:
            for section, keys in sections.items():
                f.write(f"[{section}]\n" + "".join(f"{k}={v}\n" for k, v in keys.items()) + "\n")

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        self.stop(check=kind is None)

    def start(self):
        try:
            self.bus = PrivateBus(self.directory)
            self.sim = LockSim(self.cabinet_path, self.build, fast=self.fast)
            self.start_daemon()
        except BaseException:
            self.stop(check=False)
            raise
        return self

    def environment(self):
        e = {k: v for k, v in os.environ.items() if k not in ("JOURNAL_STREAM", "NOTIFY_SOCKET", "DBUS_SESSION_BUS_ADDRESS")}
        e["DBUS_SYSTEM_BUS_ADDRESS"] = self.bus.address
        e.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        return e

    def client(self):
        """A new connection."""
        client = Client(self.bus.address)
        self.clients.append(client)
        return client

    def spawn_daemon(self):
        """Starts lockerd without waiting for anything, as for tests in which it is not to come up."""
        with open(self.log_path, "ab") as log:
            self.daemon = subprocess.Popen(
                [*self.wrapper, os.path.join(self.build, "src", "daemon", "lockerd"), "--config", self.config, *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment())
        return self.daemon

    def start_daemon(self, ready=True):
        """Starts lockerd and waits for its name and, with ready, until every board has been found and every sensor has spoken."""
        self.spawn_daemon()
        watch = Client(self.bus.address)
        try:
            wait(lambda: self._alive() and watch.has_owner(), "the name on the bus")
            if ready:
                wait(lambda: self._alive() and all(s["BoardOnline"] and s["Door"] != "unknown" and
                                                   all("unknown" not in p[2:4] for p in s["Positions"]) for s in watch.slots().values()),
                     "boards online, doors, lids and presence known")
        finally:
            watch.close()

    def _alive(self):
        if self.daemon.poll() is not None:
            raise Gone(f"lockerd ended with status {self.daemon.returncode}")
        return True

    def stop_daemon(self, expect=0, timeout=TIMEOUT):
        """Ends it as systemd does; its status must be `expect`."""
        if self.daemon is None:
            return
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
        try:
            status = self.daemon.wait(timeout)
        except subprocess.TimeoutExpired:
            self.daemon.send_signal(signal.SIGABRT)
            self.daemon.wait()
            raise Gone("lockerd did not end when told to") from None
        finally:
            self.daemon = None
        if expect is not None and status != expect:
            raise Gone(f"lockerd ended with status {status}, not {expect}")

    def kill_daemon(self):
        """Ends it as a power cut does (to the process; the kernel's caches stay)."""
        self.daemon.kill()
        self.daemon.wait()
        self.daemon = None

    def restart(self, kill=False, ready=True):
        """Clients stay connected to the bus; their sessions are gone."""
        if kill:
            self.kill_daemon()
        else:
            self.stop_daemon()
        self.start_daemon(ready)

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return self.log_text

    def wait_log(self, text, timeout=TIMEOUT):
        wait(lambda: text in self.log(), f"{text!r} in the log", timeout)

    def stop(self, check=True):
        """Takes everything down. With check: a bad exit, a sanitizer's report or an objection of the simulated boards fails."""
        if self.stopped:
            return
        self.stopped = True
        problems = []
        for client in self.clients:
            client.close()
        try:
            self.stop_daemon()
        except Gone as e:
            problems.append(str(e))
        if self.sim:
            try:
                problems += [f"the simulated boards object: {o}" for o in self.sim.objections()]
                self.sim.stop(check)
            except Exception as e:
                problems.append(f"locksim: {e}")
        if self.bus:
            self.bus.stop()
        self.log_text = self.log()
        shutil.rmtree(self.directory, ignore_errors=True)
        if SANITIZER.search(self.log_text):
            problems.append("a sanitizer complained (see the log)")
        if check and problems:
            raise AssertionError("; ".join(problems))

    def run_as(self, calls, groups=(), uid=65534, gid=65534):
        """Makes calls, one after the other on one connection, as another user; only root can. calls: (path, interface,
        member, GVariant text of the arguments or None). "{session}" in a path is what the first StartSession gave. Returns for each ("ok", text of
        the answer) or (error name, message)."""
        ids = ",".join(str(grp.getgrnam(g).gr_gid) for g in groups)
        command = ["setpriv", f"--reuid={uid}", f"--regid={gid}", f"--groups={ids}" if ids else "--clear-groups",
                   "/usr/bin/python3", "-c", AS_CLIENT, self.bus.address]
        done = subprocess.run(command, input=json.dumps(calls), capture_output=True, text=True, timeout=2 * TIMEOUT,
                              env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/"}, cwd="/")
        if done.returncode:
            raise Gone(f"the client of another user failed: {done.stderr}")
        return [tuple(answer) for answer in json.loads(done.stdout)]


# Runs as another user, who may not be able to read this file.
AS_CLIENT = """
import json, re, sys
from gi.repository import Gio, GLib
F = Gio.DBusConnectionFlags
bus = Gio.DBusConnection.new_for_address_sync(sys.argv[1], F.AUTHENTICATION_CLIENT | F.MESSAGE_BUS_CONNECTION, None, None)
answers, session = [], "/none"
for path, interface, member, text in json.load(sys.stdin):
    body = GLib.Variant.parse(None, text, None, None) if text else None
    try:
        r = bus.call_sync("org.lockerd.Locker1", path.replace("{session}", session), interface, member, body, None, 0, 30000, None)
        if member == "StartSession" and session == "/none":
            session = r.unpack()[0]
        answers.append(["ok", r.print_(True)])
    except GLib.Error as e:
        answers.append([Gio.DBusError.get_remote_error(e) or "local", re.sub("^GDBus.Error:[^:]*: ", "", e.message)])
json.dump(answers, sys.stdout)
"""


class DaemonTest(unittest.TestCase):
    """A cabinet of its own for every test: self.cabinet, self.sim, self.client (a terminal), self.admin (an operator's tool)."""

    cabinet_file = "cabinet-12.conf"
    settings = {}
    edit = None
    fast = True
    workers = {}
    arguments = ()
    maxDiff = None

    def make_cabinet(self, **options):
        return Cabinet(**options)

    def setUp(self):
        edit = type(self).__dict__.get("edit")
        self.cabinet = self.make_cabinet(cabinet=self.cabinet_file, settings=self.settings, edit=getattr(edit, "__func__", edit),
                                         fast=self.fast, workers=self.workers, arguments=self.arguments)
        self.addCleanup(self._stop)
        self.cabinet.start()
        self.sim = self.cabinet.sim
        self.client = self.cabinet.client()
        self.admin = self.cabinet.client()

    def _stop(self):
        self.cabinet.stop()

    def run(self, result=None):
        result = result or self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        super().run(result)
        cabinet = self.__dict__.get("cabinet")
        if cabinet and len(result.failures) + len(result.errors) > before:
            log = cabinet.log_text or cabinet.log()
            print(f"--- lockerd's log of {self.id()}:\n{log[-20000:]}--- end of log", file=sys.stderr, flush=True)

    # --- steps that most scenarios begin with

    def courier(self, number="4711", pin="258036", client=None):
        """An enrolled courier who has signed in at the terminal."""
        if number not in {p[2] for p in self.admin.people()}:
            self.admin.enrol_courier(number, pin)
        session = (client or self.client).start_session("courier")
        session.authenticate_pin(number, pin)
        return session

    def lock_name(self, slot, position):
        """How locksim calls the place where the item goes."""
        return f"{slot}/{position}" if len(self.admin.slot(slot)["Positions"]) > 1 else slot

    def put_in(self, session, put):
        """The courier puts the item in and closes lid and door; waits until it is stored."""
        place = self.lock_name(put.slot, put.position)
        self.sim.do(f"put {place}")
        if place != put.slot:
            self.sim.do(f"close {place}")
        self.sim.do(f"close {put.slot}")
        session.wait_prompt("stored")

    def store(self, size="S", end=True, **request):
        """One parcel from door to door → Deposit."""
        session = self.courier()
        put = session.deposit(size=size, **request)
        self.put_in(session, put)
        if end:
            session.end()
        return put

    def assertRefused(self, name, function, *arguments, **keys):
        """The call is refused with this error; returns the DBusError."""
        with self.assertRaises(DBusError) as context:
            function(*arguments, **keys)
        self.assertEqual(context.exception.short, name, context.exception.message)
        return context.exception


def own_name():
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def main():
    """Runs the tests of the calling file; status 77 when all were skipped."""
    program = unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2, exit=False)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun == len(result.skipped):
        print(f"skipped: {result.skipped[0][1] if result.skipped else 'no tests'}")
        sys.exit(77)
    sys.exit(0)
