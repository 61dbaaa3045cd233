# SPDX-License-Identifier: Apache-2.0
"""The stage of the demo: a private bus, simulated boards, the daemon, all in a directory that goes away again."""
import contextlib
import getpass
import grp
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import dbus
import paho.mqtt.client as mqtt

from reader import find_reader

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
NAME = "org.lockerd.Locker1"
CABINET = "/org/lockerd/Locker1"

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={directory}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""

SETTINGS = """[Daemon]
Cabinet={directory}/cabinet.conf
Ledger={directory}/state/ledger.db
BoardDirectory={boards}
WorkerDirectory={directory}/workers
KeyFile={directory}/state/lockerd.key
[Bus]
KioskGroup={group}
AdminGroup={group}
[Mqtt]
Host=127.0.0.1
Port={broker_port}
BackoffMin=100ms
"""


class DemoError(Exception):
    """Something did not go as it should."""


class Colour:
    """Escape sequences, empty where the output is not a terminal."""

    def __init__(self):
        on = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.bold, self.dim, self.good, self.off = ("\033[1m", "\033[2m", "\033[32m", "\033[0m") if on else ("",) * 4


COLOUR = Colour()


def section(title):
    print(f"\n{COLOUR.bold}── {title} {'─' * max(3, 76 - len(title))}{COLOUR.off}", flush=True)


def say(text):
    print(f"   {text}", flush=True)


def check(condition, claim):
    """Shows a claim that holds; ends the demo on one that does not."""
    if not condition:
        raise DemoError(f"this should hold, and does not: {claim}")
    print(f"   {COLOUR.good}✓{COLOUR.off} {claim}", flush=True)


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise DemoError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.05)


class Stage:
    """Use as a context manager. Everything that is started here is ended here."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.directory = tempfile.mkdtemp(prefix="lockerd-demo-")
        self.processes = []  # (name, Popen), in the order of starting
        self.bus = self.backend = None
        self.reader = find_reader(self.build, self.directory)  # None: this build has none
        self.environment = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={self.directory}/bus")

    def __enter__(self):
        try:
            self._start_bus()
            self._start_broker()
            self._write_files()
            self._start_boards()
            self._start_daemon()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, error, _trace):
        if kind not in (None, KeyboardInterrupt, SystemExit):
            self.show_logs()
        if self.backend:
            self.backend.loop_stop()
        if self.bus:
            with contextlib.suppress(dbus.DBusException):
                self.bus.close()
        for _, process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def program(self, folder, name):
        return os.path.join(self.build, "src", folder, name)

    def show_logs(self):
        for name, process in self.processes:
            with open(self.path(f"{name}.log"), encoding="utf-8", errors="replace") as f:
                tail = f.read().rstrip().splitlines()[-15:]
            state = "running" if process.poll() is None else f"ended with status {process.returncode}"
            print(f"\n{name}: {state}", *tail, sep="\n   ", file=sys.stderr)

    def _spawn(self, name, *command):
        with open(self.path(f"{name}.log"), "wb") as log:
            # A group of its own: Ctrl-C goes to the demo only, which ends them in order.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                                       start_new_session=True)
        self.processes.append((name, process))
        return process

    def _wait_started(self, process, condition, what):
        def started():
            if process.poll() is not None:
                raise DemoError(f"{what} ended with status {process.returncode}")
            return condition()
        wait_for(started, what)

    def _start_bus(self):
        with open(self.path("bus.conf"), "w", encoding="utf-8") as f:
            f.write(BUS_CONFIG.format(directory=self.directory))
        process = self._spawn("bus", "dbus-daemon", "--nofork", "--nopidfile", f"--config-file={self.path('bus.conf')}")
        self._wait_started(process, lambda: os.path.exists(self.path("bus")), "the bus")
        self.bus = dbus.bus.BusConnection(self.environment["DBUS_SYSTEM_BUS_ADDRESS"])

    def _start_broker(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.broker_port = probe.getsockname()[1]
        with open(self.path("broker.conf"), "w", encoding="utf-8") as f:
            f.write(f"listener {self.broker_port} 127.0.0.1\nallow_anonymous true\nuser {getpass.getuser()}\n")
        process = self._spawn("broker", "mosquitto", "-c", self.path("broker.conf"))
        self._wait_started(process, lambda: self._listens(self.broker_port), "the broker")
        self.heard = []
        self.backend = backend = mqtt.Client(client_id="backend", protocol=mqtt.MQTTv5)
        backend.on_message = lambda client, userdata, message: self.heard.append((message.topic, json.loads(message.payload)))
        backend.connect("127.0.0.1", self.broker_port)
        backend.subscribe("lockerd/v1/#", qos=1)
        backend.loop_start()

    @staticmethod
    def _listens(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def _write_files(self):
        for name in ("state", "workers", "lines"):
            os.mkdir(self.path(name), 0o700)
        for folder, worker in (("line", "lockerd-line"), ("line", "lockerd-open"), ("identity", "lockerd-hash"), ("mqtt", "lockerd-mqtt"), ("link", "lockerd-link")):
            os.symlink(self.program(folder, worker), self.path("workers", worker))
        # The example of the large cabinet; only its adapters are elsewhere.
        with open(os.path.join(ROOT, "config", "cabinet-60.conf"), encoding="utf-8") as f:
            cabinet = f.read()
        cabinet = re.sub(r"(\[Line (\w+)\]\nDevice=)\S+", lambda m: m[1] + self.path("lines", m[2]), cabinet)
        if self.reader:
            cabinet += self.reader.section
            self.reader.write_worker(self.path("workers", "lockerd-fingerprint-usb"))
        with open(self.path("cabinet.conf"), "w", encoding="utf-8") as f:
            f.write(cabinet)
        with open(self.path("lockerd.conf"), "w", encoding="utf-8") as f:
            f.write(SETTINGS.format(directory=self.directory, boards=os.path.join(ROOT, "config", "boards"),
                                    group=grp.getgrgid(os.getgid()).gr_name, broker_port=self.broker_port))

    def _start_boards(self):
        process = self._spawn("locksim", self.program("sim", "locksim"), "--control", self.path("locksim"),
                              "--boards", os.path.join(ROOT, "config", "boards"), self.path("cabinet.conf"))
        self._wait_started(process, lambda: os.path.exists(self.path("locksim")), "the simulated boards")

    def _start_daemon(self):
        process = self._spawn("lockerd", self.program("daemon", "lockerd"), "--config", self.path("lockerd.conf"))
        self._wait_started(process, lambda: self.bus.name_has_owner(NAME), "lockerd")
        self._wait_started(process, self._all_boards_known, "the lock boards")

    def _all_boards_known(self):
        health = self.property(CABINET, "Cabinet", "Health")
        return all(state == "ok" for component, state, _ in health if component.startswith(("board:", "line:", "reader:")))

    # --- speaking to the daemon and to the boards

    def object(self, path, interface):
        return dbus.Interface(self.bus.get_object(NAME, path, introspect=False), f"{NAME}.{interface}")

    def property(self, path, interface, name):
        return self.bus.get_object(NAME, path, introspect=False).Get(
            f"{NAME}.{interface}", name, dbus_interface=dbus.PROPERTIES_IFACE)

    def sim(self, command):
        """One command to locksim → its answer as a dictionary."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            control.connect(self.path("locksim"))
            control.sendall(command.encode() + b"\n")
            answer = control.makefile(encoding="utf-8").readline()
        return json.loads(answer)

    def person(self, command):
        """Somebody does something at the cabinet; it must be possible."""
        answer = self.sim(command)
        if not answer.get("ok", True):
            raise DemoError(f"at the cabinet, '{command}' was not possible: {answer}")
        return answer

    def lockerctl(self, *arguments):
        print(f"   {COLOUR.dim}$ lockerctl {shlex.join(arguments)}{COLOUR.off}", flush=True)
        command = [self.program("ctl", "lockerctl"), *arguments]
        if subprocess.run(command, env=self.environment, check=False).returncode:
            raise DemoError(f"lockerctl {shlex.join(arguments)} failed")

    def invite(self):
        """Stays up and says what there is to play with."""
        section("Now you")
        control = shlex.quote(self.path("locksim"))
        print(f"""   The cabinet stays up until you press Ctrl-C. In another terminal:

   export DBUS_SYSTEM_BUS_ADDRESS={self.environment['DBUS_SYSTEM_BUS_ADDRESS']}
   PATH={shlex.quote(self.build)}/src/ctl:{shlex.quote(self.build)}/src/sim:$PATH

   lockerctl status
   lockerctl map
   lockerctl open 12 --reason "just looking"
   lockerctl events -f
   busctl introspect {NAME} {CABINET}

   # The person at the cabinet (locksim(1)):
   locksim --control {control} --send "close 12"
   locksim --control {control} --send "board A silent"

   Logs: {self.directory}/*.log""", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while all(process.poll() is None for _, process in self.processes):
                time.sleep(0.5)
            raise DemoError("a program ended by itself")
