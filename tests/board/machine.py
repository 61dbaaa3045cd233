# SPDX-License-Identifier: Apache-2.0
"""The virtual board itself: QEMU, its disk, its power, and a way to run commands in it.

    machine = Machine(image, directory, serial=["/run/wire"])
    machine.power_on()
    machine.run("systemctl start lockerd")
    machine.cut()           # SIGKILL to QEMU: what was not flushed is gone
    machine.power_on()      # boots from the same disk

The disk is a qcow2 overlay with QEMU's ordinary writeback cache: the guest is told that its disk has a volatile cache, what it flushes is flushed, and what it
does not flush may be lost. There is no KVM (a guest under it dies on some hosts), no network and no clock but the emulated one.
"""
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

FRAME = struct.Struct("<III")
BOOT_TIMEOUT = 180  # on a busy machine; an idle one needs ten seconds

# serial: what the guest calls the first line.
ARCHES = {
    "amd64": {"program": "qemu-system-x86_64", "machine": ["-M", "pc", "-cpu", "max", "-smp", "1"], "console": "ttyS0", "serial": "/dev/ttyS1"},
    "arm64": {"program": "qemu-system-aarch64", "machine": ["-M", "virt", "-cpu", "cortex-a72", "-smp", "2"], "console": "ttyAMA0", "serial": "/dev/ttyS0"},
}
COMMAND_LINE = ("root=/dev/vda cryptomgr.notests random.trust_cpu=on quiet loglevel=4 systemd.show_status=no panic=0 "
                "mitigations=off audit=0 net.ifnames=0 tsc=reliable")


class Broken(Exception):
    """The machine, not lockerd: QEMU died, the guest did not boot, the channel is silent."""


class Failed(AssertionError):
    """A command in the guest ended otherwise than it should."""


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def json(self):
        """The whole output as one JSON value, or None."""
        return json.loads(self.out) if self.out.strip() else None


class Command:
    """One that runs in the guest. What it writes comes in lines while it runs."""

    def __init__(self, machine, number, line):
        self.machine, self.number, self.line = machine, number, line
        self.out, self.err = b"", b""
        self.status = None
        self.ended = threading.Event()
        self.changed = threading.Condition()

    def _frame(self, kind, data):
        with self.changed:
            if kind == "O":
                self.out += data
            elif kind == "X":
                self.err += data
            elif kind == "S":
                status = int(data)
                self.status = os.waitstatus_to_exitcode(status)
                self.ended.set()
            self.changed.notify_all()

    def _lost(self):
        with self.changed:
            self.ended.set()
            self.changed.notify_all()

    def lines(self):
        """The whole lines it has written so far."""
        return self.out.decode(errors="replace").split("\n")[:-1]

    def objects(self):
        """Those that are JSON objects; half a line, as a power cut leaves it, is none."""
        return [json.loads(line) for line in self.lines() if line.startswith("{") and line.endswith("}")]

    def wait_for(self, predicate, what, timeout):
        """Waits until predicate(self) is true, while output comes in → its value; None when the machine's power went."""
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                value = predicate(self)
                if value:
                    return value
                if self.ended.is_set():
                    if self.status is None:
                        return None
                    raise Failed(f"{self.line!r} ended with {self.status} before {what}: {self.text()}")
                left = end - time.monotonic()
                if left <= 0:
                    raise Failed(f"not within {timeout} s: {what} of {self.line!r}: {self.text()}")
                self.changed.wait(left)

    def text(self):
        return (self.out + self.err).decode(errors="replace")[-3000:]

    def type(self, text):
        self.machine.send(self.number, "I", text.encode())

    def end_input(self):
        self.machine.send(self.number, "E", b"")

    def kill(self, number=signal.SIGTERM):
        self.machine.send(self.number, "K", str(int(number)).encode())

    def wait(self, timeout=120):
        """→ Result; its status is None when the power went before it ended."""
        if not self.ended.wait(timeout):
            raise Failed(f"{self.line!r} has not ended within {timeout} s: {self.text()}")
        return Result(self.status, self.out.decode(errors="replace"), self.err.decode(errors="replace"))


class Machine:
    def __init__(self, image, directory, arch="amd64", serial=(), memory=512, world=None):
        """serial: sockets that the guest's serial lines lead to. world: called with each line of the port board.world."""
        self.image, self.directory, self.arch = pathlib.Path(image), pathlib.Path(directory), arch
        self.serial, self.memory, self.world_line = list(serial), memory, world
        self.process = self.boot_id = None
        self.directory.mkdir(parents=True, exist_ok=True)
        self.disk, self.data = self.directory / "root.qcow2", self.directory / "data.qcow2"
        self.console = self.directory / "console.log"
        self.boots = 0
        self.numbers = itertools.count(1)
        self.commands = {}
        self.sending = threading.Lock()
        self.agent = self.world = self.monitor = None
        self.threads = []

    # --- power

    def new_disk(self, base=None):
        """An empty overlay over the image, or a copy of another machine's disk, snapshots included; beside it an unused data disk."""
        self.disk.unlink(missing_ok=True)
        if base:
            shutil.copyfile(pathlib.Path(base).with_name("data.qcow2"), self.data)
        else:
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(self.data), "64M"], check=True)
        if base:
            shutil.copyfile(base, self.disk)
        else:
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(self.image / "root.ext4"), str(self.disk)], check=True)

    def _command(self, words, rtc, snapshot):
        a = ARCHES[self.arch]
        append = f"console={a['console']} {COMMAND_LINE} {words}"
        command = [a["program"], *a["machine"], "-accel", "tcg", "-m", str(self.memory), "-nodefaults", "-no-user-config", "-display", "none",
                   "-no-reboot", "-kernel", str(self.image / "vmlinuz"), "-initrd", str(self.image / "initrd"), "-append", append,
                   "-drive", f"file={self.disk},format=qcow2,if=none,id=root,cache=writeback,discard=ignore", "-device", "virtio-blk-pci,drive=root",
                   "-drive", f"file={self.data},format=qcow2,if=none,id=data,cache=writeback", "-device", "virtio-blk-pci,drive=data",
                   "-device", "virtio-serial-pci", "-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console",
                   "-qmp", f"unix:{self.directory}/qmp,server=on,wait=off"]
        for name in ("agent", "world"):
            command += ["-chardev", f"socket,id={name},path={self.directory}/{name},server=on,wait=off",
                        "-device", f"virtserialport,chardev={name},name=board.{name}"]
        for number, path in enumerate(self.serial):
            command += ["-chardev", f"socket,id=line{number},path={path}"]
            command += ["-device", f"isa-serial,chardev=line{number}"] if self.arch == "amd64" and number < 3 else \
                       ["-device", f"pci-serial,chardev=line{number}"]
        if rtc:
            command += ["-rtc", f"base={rtc},clock=vm"]
        if snapshot:
            command += ["-loadvm", snapshot]
        return command

    def power_on(self, words="", rtc=None, snapshot=None):
        """Boots, or goes on from a snapshot, and waits for the agent. words: more of the kernel's command line."""
        for name in ("qmp", "agent", "world"):
            (self.directory / name).unlink(missing_ok=True)
        self.boots += 1
        self.boot_id = None
        self.errors = open(self.directory / "qemu.log", "ab")
        self.process = subprocess.Popen(self._command(words, rtc, snapshot), stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)
        start = time.monotonic()
        self.monitor = self._connect("qmp").makefile("rw", encoding="utf-8")
        self.monitor.readline()
        self.qmp("qmp_capabilities")
        self.agent, self.world = self._connect("agent"), self._connect("world")
        self.threads = [threading.Thread(target=f, args=(s,), daemon=True) for f, s in ((self._read_agent, self.agent), (self._read_world, self.world))]
        for thread in self.threads:
            thread.start()
        if snapshot:
            self.run("true", timeout=30)
            return time.monotonic() - start
        while self.boot_id is None:
            if self.process.poll() is not None:
                raise Broken(f"QEMU ended with {self.process.returncode} during the boot: {self._tail()}")
            if time.monotonic() - start > BOOT_TIMEOUT:
                raise Broken(f"no boot within {BOOT_TIMEOUT} s: {self._tail()}")
            time.sleep(0.05)
        return time.monotonic() - start

    def _tail(self):
        return self.console.read_text(errors="replace")[-1500:] + (self.directory / "qemu.log").read_text(errors="replace")[-500:]

    def _connect(self, name):
        end = time.monotonic() + 20
        while True:
            try:
                s = socket.socket(socket.AF_UNIX)
                s.connect(str(self.directory / name))
                return s
            except OSError:
                s.close()
                if self.process.poll() is not None:
                    raise Broken(f"QEMU ended with {self.process.returncode}: {self._tail()}") from None
                if time.monotonic() > end:
                    raise Broken(f"QEMU does not listen: {self._tail()}") from None
                time.sleep(0.02)

    @property
    def on(self):
        return self.process is not None and self.process.poll() is None

    def cut(self):
        """The power goes."""
        if self.process:
            self.process.kill()
            self.process.wait()
        self._gone()

    def power_off(self, timeout=60):
        """An orderly shutdown."""
        if not self.on:
            return
        self.send(next(self.numbers), "R", b"systemctl poweroff")
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.cut()
            raise Failed(f"the system does not power off: {self._tail()}") from None
        self._gone()

    def reboot(self, **keys):
        self.power_off()
        return self.power_on(**keys)

    def _gone(self):
        for command in list(self.commands.values()):
            command._lost()
        self.commands.clear()
        for thing in (self.agent, self.world, self.monitor):
            if thing:
                thing.close()
        self.agent = self.world = self.monitor = None
        self.process = None
        self.errors.close()

    def qmp(self, execute, **arguments):
        self.monitor.write(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
        self.monitor.flush()
        while True:
            line = self.monitor.readline()
            if not line:
                raise Broken("QEMU's monitor is gone")
            answer = json.loads(line)
            if "error" in answer:
                raise Broken(f"{execute}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def save(self, name):
        """Memory, devices and disk, as they are, into the disk's file."""
        complaint = self.qmp("human-monitor-command", **{"command-line": f"savevm {name}"})
        if complaint.strip():
            raise Broken(f"savevm: {complaint}")

    def freeze(self):
        self.qmp("stop")

    # --- commands

    def send(self, number, kind, data):
        with self.sending:
            try:
                self.agent.sendall(FRAME.pack(number, ord(kind), len(data)) + data)
            except (OSError, AttributeError) as error:
                if self.on:
                    raise Broken(f"the agent's channel: {error}") from None

    def start(self, line):
        """Starts a command line of the shell in the guest → Command"""
        command = Command(self, next(self.numbers), line)
        self.commands[command.number] = command
        self.send(command.number, "R", line.encode())
        return command

    def run(self, line, check=0, timeout=120, stdin=None):
        """Runs it to its end → Result. check: the status it must have; None: any."""
        command = self.start(line)
        if stdin is not None:
            command.type(stdin)
        command.end_input()
        result = command.wait(timeout)
        self.commands.pop(command.number, None)
        if result.status is None:
            raise Broken(f"the machine went away during {line!r}: {self._tail()}")
        if check is not None and result.status != check:
            raise Failed(f"{line!r} ended with {result.status}: {command.text()}")
        return result

    def out(self, line, **keys):
        return self.run(line, **keys).out.strip()

    def write(self, path, text):
        self.run(f"mkdir -p $(dirname {path}) && cat >{path}", stdin=text)

    def put(self, source, path):
        """Copies a file into the guest."""
        command = self.start(f"cat >{path}")
        with open(source, "rb") as f:
            while chunk := f.read(32768):
                self.send(command.number, "I", chunk)
        command.end_input()
        if command.wait(120).status != 0:
            raise Failed(f"{path} could not be written: {command.text()}")

    def get(self, path, target):
        """Copies a file out of the guest; False when it is not there."""
        command = self.start(f"cat {path}")
        command.end_input()
        if command.wait(120).status != 0:
            return False
        pathlib.Path(target).write_bytes(command.out)
        return True

    def _read_agent(self, channel):
        buffer = b""
        while True:
            try:
                data = channel.recv(65536)
            except OSError:
                return
            if not data:
                return
            buffer += data
            while len(buffer) >= FRAME.size:
                number, kind, length = FRAME.unpack_from(buffer)
                if len(buffer) < FRAME.size + length:
                    break
                payload, buffer = buffer[FRAME.size:FRAME.size + length], buffer[FRAME.size + length:]
                if chr(kind) == "H":
                    self.boot_id = payload.decode()
                elif number in self.commands:
                    self.commands[number]._frame(chr(kind), payload)

    def _read_world(self, channel):
        try:
            with channel.makefile(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    if self.world_line and line.endswith("\n"):
                        self.world_line(line)
        except (OSError, ValueError):
            pass
