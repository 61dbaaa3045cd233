# SPDX-License-Identifier: Apache-2.0
"""Workers read what comes from outside, so one of them may come to run somebody else's code. Shown here: what such code can reach.

Exploited: code in the real worker, after it has given up its rights (intruder.c, preloaded). Even as root it finds nothing.
Replaced: another program in the worker's place that gives up nothing (replaced.c). Its user is what contains it; whose user each
worker is in the package, and what the unit hides from it, is shown on the virtual board (tests/board/test_workers.py).
Units: the daemon with workers that it gets from sockets, as in the package.
"""
import ctypes
import errno
import os
import re
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import time

import daemonlib
from daemonlib import build_directory, main, wait
from linklib import Authority, link_settings
from mqtt_brokers import Broker
from people import Scenario
from units import Units

REFUSED = {errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENOSYS, errno.EAGAIN, errno.ENOMEM, errno.EAFNOSUPPORT}
STRANGER = 65533  # a user that nothing belongs to
PROGRAMS = {"lockerd-line": "line", "lockerd-open": "line", "lockerd-gpio": "gpio", "lockerd-hash": "identity", "lockerd-mqtt": "mqtt",
            "lockerd-link": "link",
            "lockerd-fingerprint": "fingerprint", "lockerd-voice": "voice"}


def program(name):
    return os.path.join(build_directory(), "src", PROGRAMS[name], name)


def sanitized():
    """Such a build cannot give up its rights: the sanitizers' run-time uses them."""
    with open(program("lockerd-line"), "rb") as f:
        return b"__asan_init" in f.read()


def text(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def landlock():
    return ctypes.CDLL(None).syscall(444, None, 0, 1) > 0


def found(text, worker):
    """{attempt: errno} of the first intruder in this worker."""
    lines = re.findall(rf"^INTRUDER {worker} (\S+) (\d+)$", text, re.M)
    result = {}
    for attempt, number in lines:
        result.setdefault(attempt, int(number))
    return result


class Intruded(Scenario):
    """A cabinet whose workers are scripts that say what is to be tried, and then are the worker."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lockerd-intruder-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.broker = Broker(self.folder)
        self.addCleanup(self.broker.stop)
        self.settings = {"Mqtt": {"Host": "127.0.0.1", "Port": self.broker.port, "BackoffMin": "100ms", "UnsignedCommands": "yes"}}
        self.prepare()
        super().setUp()

    def prepare(self):
        pass

    def targets(self):
        c = self.cabinet
        with open(c.cabinet_path, encoding="utf-8") as f:
            lines = re.findall(r"^Device=(\S+)", f.read(), re.M)
        return {"key": f"{c.directory}/lockerd.key", "ledger": c.ledger, "settings": c.config, "device": os.path.realpath(lines[-1]),
                "terminal": "/dev/ptmx", "passwords": "/etc/shadow", "daemon": c.daemon.pid, "bus": f"{c.directory}/bus",
                "kernel": "/dev/mem", "processes": "/proc/self/maps"}

    def script(self, name, command, preload=None):
        """A program `name` in the folder that finds its targets when it is started."""
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\nINTRUDER_TARGETS=$(cat " + shlex.quote(os.path.join(self.folder, "targets")) + " 2>/dev/null)\n"
                    "export INTRUDER_TARGETS\n" + (f"export LD_PRELOAD={shlex.quote(preload)}\n" if preload else "") +
                    f"exec {shlex.quote(command)} \"$@\"\n")
        os.chmod(path, 0o755)
        return path

    def tell_targets(self):
        path = os.path.join(self.folder, "targets")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(" ".join(f"{k}={v}" for k, v in self.targets().items()))
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def assert_nothing_reached(self, results, allowed=()):
        self.assertIn("end", results, "the intruder came to its end")
        for attempt, number in results.items():
            if attempt in ("descriptors", "variables", "end") or attempt in allowed:
                continue
            self.assertIn(number, REFUSED, f"{attempt}: {errno.errorcode.get(number, number)}")


class Exploited(Intruded):
    def prepare(self):
        preload = os.path.join(build_directory(), "tests", "daemon", "intruder.so")
        self.workers = {name: self.script(name, program(name), preload) for name in ("lockerd-line", "lockerd-hash", "lockerd-mqtt", "lockerd-gpio")}

    def replace(self, name):
        """The next one of these workers knows where its targets are → what it found."""
        self.tell_targets()
        if name == "lockerd-hash":
            self.courier().end()  # started when there is something to do
        else:
            for pid in wait(lambda: self.pids(name), f"{name} runs"):
                os.kill(pid, signal.SIGKILL)
        wait(lambda: "end" in found(self.cabinet.log(), name), f"the intruder in {name}", 20)
        return found(self.cabinet.log(), name)

    def pids(self, name):
        path = program(name)
        result = []
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and os.readlink(f"/proc/{entry}/exe") == os.path.realpath(path) and \
                        int(text(f"/proc/{entry}/stat").rsplit(")", 1)[1].split()[1]) == self.cabinet.daemon.pid:
                    result.append(int(entry))
            except OSError:
                pass
        return result

    def test_code_in_the_worker_of_a_line_reaches_nothing(self):
        """Neither ledger nor key, nor another device, nor the daemon, the bus, a network or a program.

        Requirement: F17, F4
        """
        r = self.replace("lockerd-line")
        self.assert_nothing_reached(r)
        self.assertLessEqual(r["descriptors"], 3, "the daemon's socket, the opener's, the device")
        self.assertEqual(r["variables"], 0)

    def test_code_in_the_worker_of_the_network_reaches_the_network_alone(self):
        """What comes from a broker gets no further than to a broker.

        Requirement: F17, F4
        """
        r = self.replace("lockerd-mqtt")
        # Certificates are looked for below /etc; whose they are keeps this worker's user from others' files there.
        self.assert_nothing_reached(r, allowed=("inet", "code", "passwords") + (() if landlock() else ("key", "ledger", "settings", "device", "terminal")))
        self.assertLessEqual(r["descriptors"], 4)
        self.assertEqual(r["variables"], 0)

    def test_code_in_the_worker_of_hashes_reaches_nothing(self):
        """It sees the PIN that it is asked about, and nothing else.

        Requirement: F17
        """
        r = self.replace("lockerd-hash")
        self.assert_nothing_reached(r)
        self.assertEqual(r["descriptors"], 1)
        self.assertEqual(r["variables"], 0)

    def test_every_worker_is_the_first_to_go_and_cannot_be_looked_into(self):
        """Memory runs short, and the daemon is not what is ended for it.

        Requirement: F4
        """
        self.courier().end()
        for name in ("lockerd-line", "lockerd-hash", "lockerd-mqtt"):
            for pid in self.pids(name):
                status = dict(line.split(":", 1) for line in text(f"/proc/{pid}/status").splitlines() if ":" in line)
                self.assertEqual((status["Seccomp"].strip(), status["NoNewPrivs"].strip()), ("2", "1"), name)
                self.assertGreaterEqual(int(text(f"/proc/{pid}/oom_score_adj")), 500, name)
                limits = text(f"/proc/{pid}/limits")
                self.assertRegex(limits, r"Max core file size +0 ")
                self.assertLess(int(re.search(r"Max data size +(\d+)", limits)[1]), 1200 << 20)
                self.assertLess(int(re.search(r"Max open files +(\d+)", limits)[1]), 5000)
                self.assertNotIn("DBUS_SYSTEM_BUS_ADDRESS", text(f"/proc/{pid}/environ"), "what the daemon was told is not for workers")


class ExploitedGpio(Exploited):
    """The same for GPIO lines; here without a chip."""
    cabinet_file = "cabinet-gpio.conf"
    test_code_in_the_worker_of_a_line_reaches_nothing = None
    test_code_in_the_worker_of_the_network_reaches_the_network_alone = None
    test_code_in_the_worker_of_hashes_reaches_nothing = None
    test_every_worker_is_the_first_to_go_and_cannot_be_looked_into = None

    def setUp(self):
        start = daemonlib.Cabinet.start_daemon
        daemonlib.Cabinet.start_daemon = lambda cabinet, ready=True: start(cabinet, False)
        self.addCleanup(setattr, daemonlib.Cabinet, "start_daemon", start)
        super().setUp()

    def targets(self):
        return super().targets() | {"device": "/etc/passwd"}

    def test_code_in_the_worker_of_gpio_lines_reaches_devices_alone(self):
        """Which device is the unit's to say.

        Requirement: F17
        """
        r = self.replace("lockerd-gpio")
        # Which device is the unit's to say (DeviceAllow=char-gpiochip).
        self.assert_nothing_reached(r, allowed=("terminal", "terminal-write", "kernel", "kernel-write") +
                                    (() if landlock() else ("key", "ledger", "settings", "device", "passwords", "processes", "memory", "environment")))
        self.assertEqual(r["descriptors"], 1)


class ExploitedLink(Exploited):
    """The same for what strangers send over the short-range link."""
    test_code_in_the_worker_of_a_line_reaches_nothing = None
    test_code_in_the_worker_of_the_network_reaches_the_network_alone = None
    test_code_in_the_worker_of_hashes_reaches_nothing = None
    test_every_worker_is_the_first_to_go_and_cannot_be_looked_into = None

    def prepare(self):
        super().prepare()
        preload = os.path.join(build_directory(), "tests", "daemon", "intruder.so")
        self.workers["lockerd-link"] = self.script("lockerd-link", program("lockerd-link"), preload)
        self.settings["Link"] = link_settings(Authority(self.folder), "C-0012")

    def targets(self):
        return super().targets() | {"device": self.settings["Link"]["KeyFile"]}

    def test_code_in_the_worker_of_the_link_reaches_nothing(self):
        """What is behind TLS gets to no file, not even that of the cabinet's key, to no network and to no other process.

        Requirement: F17, B1
        """
        r = self.replace("lockerd-link")
        self.assert_nothing_reached(r)
        self.assertLessEqual(r["descriptors"], 2, "the daemon's socket, the one that it listens at")
        self.assertEqual(r["variables"], 0)


class WithUnits(Intruded):
    """Workers from sockets, as other users."""
    uid = STRANGER if os.geteuid() == 0 else None
    replaced = ()

    def prepare(self):
        programs = {name: (program(name), None if name == "lockerd-open" else self.uid) for name in PROGRAMS}
        for name in self.replaced:
            programs[name] = (self.script(name, os.path.join(build_directory(), "tests", "daemon", "replaced-worker")), self.uid)
        self.units = Units(os.path.join(self.folder, "sockets"), programs)
        self.arguments = ["--workers", self.units.directory]

    def _stop(self):
        super()._stop()
        self.assertEqual(self.units.stop(), [], "every worker ended with the daemon")


class WorksWithUnits(WithUnits):
    def test_a_parcel_comes_and_goes(self):
        """Workers that belong to another user do the same work.

        Requirement: F17
        """
        put = self.store()
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        session.accept()
        self.shut(place)
        session.wait_prompt("collected")
        for name in ("lockerd-line", "lockerd-hash", "lockerd-mqtt"):
            for pid in self.units.processes(name):
                if self.uid is not None:
                    self.assertRegex(text(f"/proc/{pid}/status"), rf"Uid:\s+{self.uid}\s", name)
        self.cabinet.wait_log("Connected to 127.0.0.1")

    def test_dead_worker_is_replaced(self):
        """A worker that the service manager has started is missed by its socket.

        Requirement: F4
        """
        old = self.units.processes("lockerd-line")
        self.assertEqual(len(old), 1)
        os.kill(old[0], signal.SIGKILL)
        wait(lambda: set(self.units.processes("lockerd-line")) - set(old), "another worker")
        self.cabinet.wait_log("ended; it is replaced")
        self.wait_online()
        self.store()

    def test_hung_worker_is_ended_by_its_watchdog_and_replaced(self):
        """The daemon cannot kill what is another user's; the watchdog of the unit does.

        Requirement: F4
        """
        old = self.units.processes("lockerd-line")
        os.kill(old[0], signal.SIGSTOP)
        self.cabinet.wait_log("hangs; it is replaced", 20)
        wait(lambda: set(self.units.processes("lockerd-line")) - set(old), "another worker", 20)
        self.assertNotIn(old[0], self.units.processes("lockerd-line"))
        self.wait_online()
        self.store()

    def test_dead_daemon_leaves_no_lock_energised_and_no_worker(self):
        """The worker switches off when the daemon's side of its socket is closed.

        Requirement: F6
        """
        self.client.open_slot("03")
        self.cabinet.kill_daemon()
        wait(lambda: not any(self.units.processes(name) for name in PROGRAMS), "all workers have ended", 10)
        self.sim.wait("03", coil=False)
        self.cabinet.start_daemon()

    def test_missing_socket_is_not_made_up_for(self):
        """What the unit forbids is not done in another way.

        Requirement: F17
        """
        os.unlink(os.path.join(self.units.directory, "lockerd-line"))
        for pid in self.units.processes("lockerd-line"):
            os.kill(pid, signal.SIGKILL)
        self.cabinet.wait_log("cannot be started: No such file or directory")
        self.assertEqual(self.units.processes("lockerd-line"), [])

    def test_stranger_is_not_obeyed(self):
        """A worker looks at who is at the other end.

        Requirement: F17
        """
        if os.geteuid() != 0:
            self.skipTest("only root can be somebody else")
        os.chmod(os.path.join(self.units.directory, "lockerd-line"), 0o777)
        pid = os.fork()
        if pid == 0:
            try:
                os.setresuid(12345, 12345, 12345)
                s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                s.connect(os.path.join(self.units.directory, "lockerd-line"))
                s.settimeout(10)
                os._exit(0 if s.recv(4096) == b"" else 1)
            except OSError:
                os._exit(2)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        wait(lambda: "User 12345 is at the other end" in self.units.log(), "the worker says who came")

    def wait_online(self):
        wait(lambda: all(s["BoardOnline"] and s["Door"] != "unknown" for s in self.admin.slots().values()), "all boards online", 30)


class Replaced(WithUnits):
    """Another program in the place of a worker of the network."""
    replaced = ("lockerd-mqtt",)

    def test_program_in_a_workers_place_reaches_nothing(self):
        """It gives nothing up by itself; its user keeps it from all that is the daemon's.

        Requirement: F17
        """
        if os.geteuid() != 0:
            self.skipTest("only root can give a worker another user")
        self.tell_targets()
        for pid in self.units.processes("lockerd-mqtt"):
            os.kill(pid, signal.SIGKILL)
        wait(lambda: self.units.log().count("replaced-worker end ") > 1, "the replaced worker came to its end", 20)
        r = found(self.units.log(), "replaced-worker")
        self.assertEqual(r["descriptors"], 1)
        for attempt in ("key", "key-write", "ledger", "ledger-write", "settings-write", "device", "device-write", "memory", "environment", "readv", "ptrace",
                        "signal", "passwords", "kernel"):
            self.assertIn(r[attempt], REFUSED, f"{attempt}: {errno.errorcode.get(r[attempt], r[attempt])}")


if __name__ == "__main__":
    if sanitized():
        print("a build with sanitizers gives up no rights")
        sys.exit(77)
    main()
