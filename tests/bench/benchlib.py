# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: cabinets of any size, a client that stamps its calls, the boards' journal, and robust statistics.

Everything that is asked for is a ratio of two things measured in turns in the same run, because machines are shared and noisy. All
times are CLOCK_BOOTTIME in microseconds, as in locksim's journal.
"""
import argparse
import json
import os
import pathlib
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "daemon"))

from daemonlib import Cabinet, PrivateBus  # noqa: E402
from dbusclient import CABINET, NAME, PARCEL, PROPERTIES, ROOT, SESSION, SLOT, Gio, GLib, dictionary, slot_path  # noqa: E402
from lockersim import LockSim, SimError  # noqa: E402

__all__ = ["BenchCabinet", "Bus", "CABINET", "GLib", "History", "Journal", "PARCEL", "PROPERTIES", "ROOT", "Refused", "SESSION", "SLOT",
           "Terminal", "arguments", "cabinet_text", "dictionary", "history_ledger", "median", "now", "percentile", "report",
           "settings_for", "slot_path"]


def now():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1000


# --- statistics

def percentile(values, p):
    """By nearest rank, which invents no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * p // 100) - 1))]


def median(values):
    ordered = sorted(values)
    n = len(ordered)
    return ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) / 2


def report(what, value, goal, met, unit=""):
    """One result a line, the same shape in every benchmark; `met` is said, never asserted."""
    print(f"RESULT {what}: {value}{unit} (goal {goal}): {'met' if met else 'MISSED'}", flush=True)


def arguments(description, **options):
    """BUILDDIR [--short] and what the benchmark adds: name=(default, help)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("build", help="build directory")
    parser.add_argument("--short", action="store_true", help="few samples: does it work, and roughly how fast?")
    for name, (default, text) in options.items():
        kind = {"action": "store_true"} if default is False else {"type": type(default), "default": default}
        parser.add_argument(f"--{name.replace('_', '-')}", help=text, **kind)
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    return args


# --- cabinets

def cabinet_text(boards, channels=8, profile="waveshare-relay-d-8", baud=9600, lines=1, pulse="100ms"):
    """A cabinet of boards × channels slots of one size, the boards spread evenly over the lines; a supply for each line."""
    text = ["[Cabinet]", "Number=BENCH", "", "[Size S]", "Order=1", ""]
    for n in range(1, lines + 1):
        text += [f"[Supply s{n}]", "MaxActive=1", "", f"[Line l{n}]", f"Device=/dev/tty{n}", f"Baud={baud}", ""]
    for b in range(1, boards + 1):
        line, first = (b - 1) * lines // boards + 1, (b - 1) * channels + 1
        text += [f"[Board B{b}]", f"Line=l{line}", f"Address={b}", f"Profile={profile}", f"Supply=s{line}", "",
                 f"[Slot {first:03}-{first + channels - 1:03}]", "Size=S", f"Column={b}", "Row=1", f"Lock=B{b}:1-{channels}",
                 f"Door=B{b}:1-{channels}", f"Pulse={pulse}", ""]
    return "\n".join(text)


def settings_for(ledger=None):
    settings = {"Session": {"ReopenGrace": "0", "IdleTimeout": "10min"}, "Lockout": {"Attempts": "10", "Duration": "1min"}}
    if ledger:
        settings["Daemon"] = {"Ledger": ledger, "KeyFile": f"{ledger}.key"}
    return settings


class BenchCabinet(Cabinet):
    """A cabinet from text; options for locksim; the daemon tells when it is ready as it tells systemd."""

    def __init__(self, build, text, settings=None, fast=False, sim_options=()):
        with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False, encoding="utf-8") as f:
            f.write(text)
        try:
            super().__init__(build, f.name, settings, fast=fast)
        finally:
            os.unlink(f.name)
        self.sim_options = sim_options
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify_path = os.path.join(self.directory, "notify")
        self.notify.bind(self.notify_path)
        self.ready = queue.SimpleQueue()  # boot µs of each READY=1
        # Somebody has to read: the kernel may keep ten messages only (net.unix.max_dgram_qlen).
        threading.Thread(target=self._read_notify, daemon=True).start()

    def start(self, daemon=True):
        try:
            self.bus = PrivateBus(self.directory)
            self.sim = LockSim(self.cabinet_path, self.build, fast=self.fast, extra=self.sim_options)
            if daemon:
                self.start_daemon()
        except BaseException:
            print(self.log()[-4000:], file=sys.stderr)
            self.stop(check=False)
            raise
        return self

    def _read_notify(self):
        while True:
            try:
                message = self.notify.recv(4096)
            except OSError:
                return
            at = now()
            if b"READY=1" in message:
                self.ready.put(at)
            elif not message:
                return

    def environment(self):
        return super().environment() | {"NOTIFY_SOCKET": self.notify_path}

    def start_until_ready(self):
        """Starts the daemon → microseconds until READY=1."""
        while not self.ready.empty():
            self.ready.get()
        begin = now()
        self.spawn_daemon()
        return self.ready.get(timeout=30) - begin

    def stop(self, check=True):
        super().stop(check)
        self.notify.shutdown(socket.SHUT_RDWR)
        self.notify.close()

    def processes(self):
        """The daemon's process and its children, by id."""
        found = [self.daemon.pid]
        for pid in found:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                    found += map(int, f.read().split())
        return found


# --- the bus

class Refused(Exception):
    """An error reply; the exception's text is its name, `reply` the stamped reply."""

    def __init__(self, name, text, reply):
        super().__init__(f"{name}: {text}")
        self.short = name.removeprefix(f"{NAME}.Error.")
        self.reply = reply


class Reply:
    """What came back: value (unpacked, one value bare), sent and received (boot µs), the signals until then."""

    def __init__(self, sent, received, value):
        self.sent, self.received, self.value = sent, received, value

    @property
    def took(self):
        return self.received - self.sent


class Bus:
    """A D-Bus connection over a plain socket: a stamp is taken when the kernel takes the call and when it hands out the reply, with no
    thread in between."""

    def __init__(self, address):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(address.removeprefix("unix:path="))
        self._socket.settimeout(30)
        self._socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        if not self._socket.recv(4096).startswith(b"OK"):
            raise OSError("the bus does not let us in")
        self._socket.sendall(b"BEGIN\r\n")
        self._serial, self._data = 0, b""
        self.signals = []
        self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", name="org.freedesktop.DBus")

    def close(self):
        self._socket.close()

    def prepare(self, path, interface, member, signature="", *values, name=NAME):
        """→ what post() sends"""
        message = Gio.DBusMessage.new_method_call(name, path, interface, member)
        if signature:
            message.set_body(GLib.Variant(f"({signature})", values))
        self._serial += 1
        message.set_serial(self._serial)
        return self._serial, message.to_blob(Gio.DBusCapabilityFlags.NONE)

    def post(self, prepared):
        """→ (serial, boot µs)"""
        sent = now()
        self._socket.sendall(prepared[1])
        return prepared[0], sent

    def send(self, *what, **keys):
        return self.post(self.prepare(*what, **keys))

    def _receive(self):
        while True:
            if len(self._data) >= 16:
                n = Gio.DBusMessage.bytes_needed(self._data[:16])
                if len(self._data) >= n:
                    blob, self._data = self._data[:n], self._data[n:]
                    return Gio.DBusMessage.new_from_blob(blob, Gio.DBusCapabilityFlags.NONE), now()
            more = self._socket.recv(65536)
            if not more:
                raise OSError("the bus has closed the connection")
            self._data += more

    def reply(self, serial, sent):
        while True:
            message, at = self._receive()
            kind = message.get_message_type()
            body = message.get_body()
            if kind == Gio.DBusMessageType.SIGNAL:
                self.signals.append((at, message.get_path(), message.get_member(), body.unpack() if body else ()))
            elif message.get_reply_serial() == serial:
                value = body.unpack() if body else ()
                reply = Reply(sent, at, value[0] if len(value) == 1 else value)
                if kind == Gio.DBusMessageType.ERROR:
                    raise Refused(message.get_error_name(), value[0] if value else "", reply)
                return reply

    def call(self, path, interface, member, signature="", *values, name=NAME):
        return self.reply(*self.send(path, interface, member, signature, *values, name=name))

    def wait_prompt(self, session, what):
        """→ boot µs at which it came"""
        while True:
            for i, (at, path, member, values) in enumerate(self.signals):
                if (path, member) == (session, "Prompt") and values[2] == what:
                    del self.signals[:i + 1]
                    return at
            message, at = self._receive()
            if message.get_message_type() == Gio.DBusMessageType.SIGNAL:
                body = message.get_body()
                self.signals.append((at, message.get_path(), message.get_member(), body.unpack() if body else ()))


# --- the boards' side

class Journal:
    """locksim's journal, read on as it grows."""

    def __init__(self, sim):
        self._file = open(sim.journal_path, encoding="utf-8")
        self._part = ""

    def close(self):
        self._file.close()

    def read(self):
        """What has come since the last time."""
        *lines, self._part = (self._part + self._file.read()).split("\n")
        return [json.loads(line) for line in lines]

    def skip(self):
        self.read()

    def wait(self, wanted, seconds=10):
        """Reads until wanted(entry); → what was read, with that entry last."""
        end, seen = time.monotonic() + seconds, []
        while time.monotonic() < end:
            for entry in self.read():
                seen.append(entry)
                if wanted(entry):
                    return seen
            time.sleep(0.001)
        raise SimError("nothing of the kind in the journal")

    def wait_unlock(self, after):
        """The first request to write a coil that began after `after`; the last element of what is returned."""
        return self.wait(lambda e: e["event"] == "rx" and e["hex"][2:4] == "05" and e["hex"][8:12] != "0000" and e["start_us"] >= after)


# --- people

class Terminal:
    """People at a cabinet, as quick as they can be: what they do, and when each call was sent and answered."""

    def __init__(self, cabinet):
        self.cabinet, self.sim = cabinet, cabinet.sim
        self.bus = Bus(cabinet.bus.address)
        self.journal = Journal(self.sim)

    def close(self):
        self.journal.close()
        self.bus.close()

    def start(self, kind):
        return self.bus.call(ROOT, CABINET, "StartSession", "s", kind)

    def session(self, path, member, signature="", *values):
        return self.bus.call(path, SESSION, member, signature, *values)

    def authenticate(self, path, kind, **evidence):
        return self.session(path, "Authenticate", "sa{sv}", kind, dictionary(**evidence))

    def enrol_courier(self, number="4711", pin="258036"):
        return self.bus.call(ROOT, CABINET, "Enrol", "a{sv}", dictionary(kind="courier", number=number, pin=pin, name="Courier"))

    def courier(self, number="4711", pin="258036"):
        path = self.start("courier").value
        self.authenticate(path, "courier-pin", number=number, pin=pin)
        return path

    def opening(self, path, member, signature="", *values, interface=SESSION):
        """A call that opens a door → (reply, microseconds from the call to the first byte of the command, journal until there)."""
        self.journal.skip()
        serial, sent = self.bus.send(path, interface, member, signature, *values)
        seen = self.journal.wait_unlock(sent)
        return self.bus.reply(serial, sent), seen[-1]["start_us"] - sent, seen

    def wait_until_shuttable(self, slot):
        """A door pushed against an energised coil springs open again."""
        self.sim.wait(slot, door="open", coil=False)

    def shut(self, slot, path, what):
        """Closes the door and waits for the prompt → microseconds from the answer that confirms the closed door to the prompt."""
        self.wait_until_shuttable(slot)
        time.sleep(0.03)  # so that the answers in the journal say "open" before they say "shut"
        before = [e for e in self.journal.read() if e["event"] == "tx" and e["hex"][2:4] == "02"]
        self.sim.do(f"close {slot}")
        prompted = self.bus.wait_prompt(path, what)
        time.sleep(0.005)
        answers = [e for e in self.journal.read() if e["event"] == "tx" and e["hex"][2:4] == "02"]
        last = {e["hex"][:2]: e["hex"] for e in before}
        changed = [e for e in answers if e["hex"] != last.get(e["hex"][:2], e["hex"])]
        return prompted - changed[1]["time_us"] if len(changed) > 1 else None

    def deposit(self, path, slots_done, **request):
        """One deposit from call to "stored" → (slot, code, parcel path, opening µs, settling µs, reply)"""
        reply, opening, _ = self.opening(path, "Deposit", "a{sv}", dictionary(size="S", **request))
        slot, _position, parcel, receipt = reply.value
        self.sim.do(f"put {slot}")
        settling = self.shut(slot, path, "stored")
        slots_done.append((slot, receipt["code"], parcel))
        return slot, receipt["code"], parcel, opening, settling, reply


# --- history

class History:
    """A ledger to run on: a copy of the cached one, with its key."""

    def __init__(self, source, directory):
        self.path = os.path.join(directory, os.path.basename(source))
        subprocess.run(["cp", "--reflink=auto", source, f"{source}.key", directory], check=True)
        os.rename(os.path.join(directory, os.path.basename(f"{source}.key")), f"{self.path}.key")
        fd = os.open(self.path, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def history_ledger(build, parcels):
    """The path of a ledger with so many ended parcels, made once in the build directory; the people are in it even with none."""
    directory = os.path.join(build, "tests", "bench")
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, f"history-{parcels}.db")
    if not os.path.exists(path):
        tool = next((p for p in (os.path.join(build, d, "ledger-fill") for d in ("tests/ledger", "tests/bench")) if os.path.exists(p)),
                    None)
        if not tool:
            print("ledger-fill is not built (configure with -Dtests=true)")
            sys.exit(77)
        draft = f"{path}.draft"
        for stale in (draft, f"{draft}.key", f"{draft}-wal", f"{draft}-shm"):
            pathlib.Path(stale).unlink(missing_ok=True)
        print(f"filling a ledger with {parcels} parcels, once …", flush=True)
        subprocess.run([tool, draft, str(parcels)], check=True)
        os.rename(f"{draft}.key", f"{path}.key")
        os.rename(draft, path)
        pathlib.Path(f"{draft}.lock").unlink(missing_ok=True)
    return path
