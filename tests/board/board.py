# SPDX-License-Identifier: Apache-2.0
"""A cabinet on the virtual board: the machine, the world around it, lockerd from its package, and the people who use it.

The people's terminal is lockerctl in the guest; what it was told is kept here, outside, for the comparison after a power cut.
"""
import json
import os
import pathlib
import shutil
import subprocess

from machine import ARCHES, Broken, Failed, Machine
from world import GPIO_SLOTS, MODBUS_SLOTS, GpioWorld, Hands, LockSim, Wire, cabinet_text, wait

__all__ = ["Board", "Broken", "Failed", "GPIO_SLOTS", "MODBUS_SLOTS", "Parcel", "cabinet_text", "wait"]

COURIER, PIN = "4711", "258036"
TREE = pathlib.Path(__file__).resolve().parents[2]
SETTINGS = """\
[Session]
ReopenGrace=0
AnswerTimeout=5s
"""


class Parcel:
    """What a client was told about one parcel."""

    def __init__(self, receipt):
        self.id = int(str(receipt["parcel"]).rsplit("/", 1)[-1])
        self.slot, self.code = receipt["slot"], receipt["code"]
        self.stored = self.collected = False

    def __repr__(self):
        return f"parcel {self.id} in {self.slot}{', stored' if self.stored else ''}{', collected' if self.collected else ''}"


class Board:
    def __init__(self, setup, directory):
        """setup: what all boards of a run share: image, arch, debs, locksim's build directory."""
        self.setup = setup
        self.directory = pathlib.Path(directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        draft = self.directory / "outside.conf"
        draft.write_text(cabinet_text(gpio=False, modbus=str(self.directory / "right")))
        self.sim = LockSim(str(draft), setup.locksim)
        self.gpio = GpioWorld()
        self.hands = Hands(self.sim, self.gpio)
        self.wire = Wire(self.directory / "wire", self.sim.line_path("right"))
        self.machine = Machine(setup.image, self.directory, setup.arch, serial=[self.wire.path], world=self.gpio.line)
        self.gpio.machine = self.machine
        self.boot_seconds = []
        self.parcels = []

    # --- the machine

    def boot(self, base=None, **keys):
        """A machine with a new disk, or with a copy of another's; keys as of power_on()."""
        self.machine.new_disk(base)
        return self.power_on(**keys)

    def power_on(self, words="", **keys):
        seconds = self.machine.power_on(words=f"{words} {self.gpio.words()}", **keys)
        self.boot_seconds.append(seconds)
        return seconds

    def cut(self, boards=True):
        """The power goes, of the computer and (with boards) of the lock boards: their coils fall off."""
        self.machine.cut()
        self.gpio.power_lost()
        if boards:
            self.sim.do("board R silent")
            self.sim.do("board R normal")

    def run(self, line, **keys):
        return self.machine.run(line, **keys)

    def out(self, line, **keys):
        return self.machine.out(line, **keys)

    def close(self, keep=None):
        """Takes everything down. keep: a directory for what explains a failure."""
        if keep:
            self.bring_back(keep)
        self.machine.cut()
        self.wire.close()
        self.sim.stop(check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def bring_back(self, target):
        """Journal, ledger, console and the journals of the world, for people."""
        target = pathlib.Path(target)
        target.mkdir(parents=True, exist_ok=True)
        if self.machine.on:
            try:
                self.run("journalctl --no-pager -o short-precise >/run/journal.txt; rm -rf /run/l; mkdir /run/l; cp /var/lib/lockerd/ledger.db* /run/l/; "
                         "tar -C /run -cf /run/back.tar journal.txt l", check=None, timeout=60)
                self.machine.get("/run/back.tar", target / "back.tar")
                subprocess.run(["tar", "-x", "--warning=no-timestamp", "-C", target, "-f", target / "back.tar"], check=False)
                (target / "back.tar").unlink(missing_ok=True)
            except (Broken, Failed) as problem:
                (target / "not-brought-back").write_text(str(problem))
        for source in (self.machine.console, self.directory / "qemu.log", pathlib.Path(self.sim.journal_path)):
            if source.exists():
                shutil.copy(source, target)
        (target / "gpio.json").write_text("".join(json.dumps(line) + "\n" for line in self.gpio.journal))

    # --- the package

    def bring_packages(self, debs, folder="/root/debs"):
        self.run(f"rm -rf {folder} && mkdir -p {folder}")
        for deb in debs:
            self.machine.put(deb, f"{folder}/{os.path.basename(deb)}")

    def install(self, debs, check=0):
        """As an operator would, without a network."""
        self.bring_packages(debs)
        return self.run("apt-get -q -y -o Dpkg::Options::=--force-confold install /root/debs/*.deb 2>&1", timeout=300, check=check)

    def configure(self, settings=SETTINGS):
        """The cabinet with both kinds of locks; an older package may not know GPIO lines."""
        gpio = self.run("test -e /usr/libexec/lockerd/lockerd-gpio", check=None).status == 0
        self.machine.write("/etc/lockerd/cabinet.conf", cabinet_text(gpio, ARCHES[self.setup.arch]["serial"]))
        self.machine.write("/etc/lockerd/lockerd.conf.d/50-board.conf", settings)

    def start(self):
        self.run("systemctl start lockerd", timeout=120)
        self.wait_ready()

    # --- lockerctl

    def ctl(self, words, check=0, stdin=None, timeout=90):
        """lockerctl --json → its answer."""
        return self.run(f"lockerctl --json {words}", check=check, stdin=stdin, timeout=timeout).json()

    def slots(self):
        return {s["label"]: s for s in self.ctl("slots")}

    def slot(self, label):
        return self.slots()[label]

    def inside(self):
        """The parcels that the cabinet has, by number."""
        return {p["id"]: p for p in self.ctl("parcels")}

    def state_of(self, parcel):
        return self.ctl(f"parcel {parcel.id}")["state"]

    def events(self, kind=None):
        lines = self.out("lockerctl --json events --all", timeout=60).splitlines()
        found = [json.loads(line) for line in lines]
        return [e for e in found if kind in (None, e["type"])]

    def health(self):
        """component → state and sentence; nothing while the daemon is not there."""
        result = self.run("lockerctl --json status", check=None)
        return {h["component"]: h for h in result.json()["cabinet"]["health"]} if result.status == 0 else {}

    def wait_ready(self, slots=None, timeout=90):
        """Until every board answers and every sensor has spoken."""
        def ready():
            result = self.run("lockerctl --json slots", check=None)
            if result.status:
                return False
            return all(s["board_online"] and s["door"] != "unknown" for s in result.json() if slots is None or s["label"] in slots)
        wait(ready, "all boards online and all doors known", timeout, 0.3)

    def journal(self, words="-u lockerd -b"):
        return self.out(f"journalctl --no-pager -o cat {words}", timeout=60)

    # --- people

    def enrol_courier(self, number=COURIER, pin=PIN):
        self.ctl(f"enrol courier --number {number} --name 'Courier {number}' --stdin", stdin=f"{pin}\n{pin}\n")

    def begin_deposit(self, size="S", words=""):
        """A courier who has typed number and PIN → the running lockerctl."""
        command = self.machine.start(f"lockerctl --json deposit --courier {COURIER} --size {size} --exact --stdin {words}")
        command.type(f"{PIN}\n")
        return command

    def receipt(self, command, timeout=60):
        """Waits until the door is free and the code told → Parcel; None when the power went first."""
        receipt = command.wait_for(lambda c: next((o for o in c.objects() if o.get("event") == "receipt"), None), "the receipt", timeout)
        if not receipt:
            return None
        parcel = Parcel(receipt)
        self.parcels.append(parcel)
        return parcel

    def deposit(self, size="S", thing=None):
        """From door to door → Parcel."""
        command = self.begin_deposit(size)
        parcel = self.receipt(command)
        self.hands.put(parcel.slot, thing or parcel.id)
        self.hands.shut(parcel.slot)
        result = command.wait(60)
        assert result.status == 0, f"deposit ended with {result.status}: {result.out}{result.err}"
        parcel.stored = True
        return parcel

    def begin_collect(self, parcel, words="--accept"):
        return self.machine.start(f"lockerctl --json collect --code {parcel.code} {words} </dev/null")

    def opened(self, command, timeout=60, event="opened"):
        """Waits until lockerctl says that a door is open; None when the power went first."""
        return command.wait_for(lambda c: next((o for o in c.objects() if o.get("event") == event), None), "the opening", timeout)

    def collect(self, parcel, words="--accept"):
        command = self.begin_collect(parcel, words)
        place = self.opened(command)
        assert place["slot"] == parcel.slot, f"{parcel} opened {place}"
        thing = self.hands.take(parcel.slot)
        self.hands.shut(parcel.slot)
        result = command.wait(60)
        assert result.status == 0, f"collect ended with {result.status}: {result.out}{result.err}"
        parcel.collected = True
        return thing

    # --- what must hold at any time

    def check_ledger(self, path="/var/lib/lockerd/ledger.db"):
        """The ledger's own checks, of a copy made while the daemon runs or of the file when it does not."""
        self.run(f"lockerd --check-ledger {path}")
        self.run(f"lockerd --verify-audit {path}")

    def assert_calm(self):
        """No lock has power, and nobody has objected so far."""
        wait(lambda: not self.hands.energised(), f"no lock energised (now {self.hands.energised()})", 5)
        assert not self.hands.objections(), f"the world objects: {self.hands.objections()}"
