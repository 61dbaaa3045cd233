# SPDX-License-Identifier: Apache-2.0
"""What stands around the virtual board and survives its power cuts: lock boards, doors, items, people's hands.

The Modbus boards are locksim's, outside, on ptys that are the guest's serial lines; the doors on GPIO lines are kept by a program in the guest whose
journal comes out as it happens, so that the doors of the next boot stand as those of the last. Both worlds count what a careful master never does.
"""
import json
import os
import pathlib
import queue
import select
import socket
import sys
import termios
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "daemon"))
from lockersim import LockSim, SimError  # noqa: E402  (found by the path above)

__all__ = ["GPIO_SLOTS", "MODBUS_SLOTS", "GpioWorld", "Hands", "LockSim", "SimError", "Wire", "cabinet_text", "wait"]

GPIO_SLOTS = [f"0{n}" for n in range(1, 7)]
MODBUS_SLOTS = [f"{n}" for n in range(11, 19)]
MAX_PULSE_US = 1000000
# The emulated processor stands still now and then, and the guest's program looks every ten milliseconds.
SLACK_US = 150000

HEAD = """\
[Cabinet]
Number=C-0777
Name=Virtual board

[Size S]
Label=Small
Order=1
Width=350
Height=100
Depth=450

[Size M]
Label=Medium
Order=2
Width=350
Height=200
Depth=450

[Supply main]
MaxActive=1
Cooldown=50ms
"""
GPIO = """
[Line panel]
Device=gpio

[Board G]
Line=panel
Profile=gpio
Supply=main
Outputs=LOCK-[01-06] LAMP-[01-06]
Inputs=DOOR-[01-06] ALARM RELEASE-06
InputBias=as-is
Debounce=10ms

[Slot 01-05]
Size=M
Column=1
Row=1
Lock=G:1-5
Door=G:1-5
Lamp=G:7-11

[Slot 06]
Size=M
Column=1
Row=6
Lock=G:6
Door=G:6
Lamp=G:12
Release=G:8

[Alarm fire]
Input=G:7
ActiveWhen=on
Slots=all
"""
MODBUS = """
[Line right]
Device={device}
Baud=9600
Parity=none
StopBits=1
ResponseTimeout={patience}

[Board R]
Line=right
Address=1
Profile=waveshare-relay-d-8
Supply=main

[Slot 11-18]
Size=S
Column=2
Row=1
Lock=R:1-8
Door=R:1-8
"""


def cabinet_text(gpio, modbus):
    # A second is much on a wire; an emulated processor needs it now and then.
    return HEAD + (GPIO if gpio else "") + MODBUS.format(device=modbus, patience="500ms")


def wait(predicate, what, timeout=30, pause=0.1):
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(pause)


class GpioWorld:
    """The doors on the GPIO lines, as the program in the guest tells."""

    def __init__(self):
        self.machine = None
        self.lock = threading.Lock()
        self.talking = threading.Lock()  # two people shut two doors: each waits for an answer of their own
        self.answers = queue.Queue()
        self.journal = []
        self.open = {n: False for n in range(1, 7)}
        self.coils = {}
        self.lamps = {n: False for n in range(1, 7)}
        self.openings = {n: 0 for n in range(1, 7)}
        self.found = []

    def line(self, text):
        """One line from the guest."""
        said = json.loads(text)
        if "ok" in said:
            self.answers.put(said)
            return
        with self.lock:
            self.journal.append(said)
            door, on = said["door"], said.get("on")
            if said["event"] == "door":
                self.open[door] = said["open"]
                self.openings[door] += said["open"]
            elif said["event"] == "lamp":
                self.lamps[door] = on
            elif on:
                self.coils[door] = said["us"]
                if len(self.coils) > 1:
                    self.found.append(f"GPIO locks {sorted(self.coils)} are energised at once, the supply allows one")
            elif door in self.coils:
                length = said["us"] - self.coils.pop(door)
                if length > MAX_PULSE_US + SLACK_US:
                    self.found.append(f"GPIO lock {door} was energised for {length} us")

    def power_lost(self):
        """With the computer its lines are gone: a transistor's gate without a driver is pulled low."""
        with self.lock:
            self.coils.clear()
            self.lamps = dict.fromkeys(self.lamps, False)

    def words(self):
        """For the kernel's command line: which doors stand open when the power comes."""
        doors = ",".join(str(n) for n, is_open in self.open.items() if is_open)
        return f"board.open={doors}" if doors else ""

    def cmd(self, text):
        with self.talking:
            while not self.answers.empty():
                self.answers.get()
            self.machine.world.sendall(text.encode() + b"\n")
            end = time.monotonic() + 20
            while time.monotonic() < end:
                try:
                    return self.answers.get(timeout=0.2)
                except queue.Empty:
                    if not self.machine.on:
                        raise ConnectionError(f"the power went before the answer to {text!r}") from None
        raise SimError(f"the doors in the guest do not answer to {text!r}")

    def do(self, text):
        answer = self.cmd(text)
        if not answer["ok"]:
            raise SimError(answer["error"])

    def shut(self, door):
        """A door can be pushed shut whether or not there is power."""
        if self.machine.on:
            try:
                self.do(f"close {door}")
                return
            except (OSError, AttributeError):
                pass
        with self.lock:
            self.open[door] = False

    def objections(self):
        return list(self.found)


class Wire:
    """The cable between the guest's UART and a line of locksim.

    An emulated UART lets go of its bytes one by one, with a busy machine's pauses in between, where a real one has sent them from its FIFO without a gap. A gap ends a
    Modbus frame. So the cable gathers a request, whose length its function tells, and sends it as one; what is no request goes through after a while as it is.
    """

    LENGTH = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8}
    PATIENCE = 0.3

    def __init__(self, path, line):
        self.path, self.line = str(path), line
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                guest, _ = self.server.accept()
            except OSError:
                return
            # Open while the computer is on: locksim watches what is left on when its master is gone.
            tty = os.open(self.line, os.O_RDWR | os.O_NOCTTY)
            try:
                settings = termios.tcgetattr(tty)
                settings[:4] = [0, 0, termios.CS8 | termios.CREAD | termios.CLOCAL, 0]
                settings[4:6] = [termios.B9600, termios.B9600]
                termios.tcsetattr(tty, termios.TCSANOW, settings)
                self._carry(guest, tty)
            except OSError:
                pass
            finally:
                guest.close()
                os.close(tty)

    def _carry(self, guest, tty):
        request = b""
        while True:
            ready, _, _ = select.select([guest, tty], [], [], self.PATIENCE)
            if tty in ready:
                guest.sendall(os.read(tty, 512))
            if guest in ready:
                data = guest.recv(512)
                if not data:
                    return
                request += data
            if request and (guest not in ready or len(request) >= (self.LENGTH.get(request[1], 1) if len(request) > 1 else 2)):
                if guest in ready or tty not in ready:
                    os.write(tty, request)
                    request = b""

    def close(self):
        self.server.close()


class Hands:
    """People in front of the doors of both kinds. What lies where is known here, whatever the cabinet believes."""

    def __init__(self, sim, gpio):
        self.sim, self.gpio = sim, gpio
        self.items = {}

    def is_open(self, slot):
        if slot in GPIO_SLOTS:
            return self.gpio.open[int(slot)]
        return self.sim.place(slot)["door"] == "open"

    def is_energised(self, slot):
        if slot in GPIO_SLOTS:
            return int(slot) in self.gpio.coils
        return self.sim.place(slot)["coil"]

    def openings(self):
        counts = {slot: self.gpio.openings[int(slot)] for slot in GPIO_SLOTS}
        if self.sim:
            counts |= {slot: place["openings"] for slot, place in self.sim.state()["slots"].items()}
        return counts

    def reach(self, slot, timeout=30):
        wait(lambda: self.is_open(slot), f"door {slot} springs open", timeout, 0.02)

    def put(self, slot, thing):
        self.reach(slot)
        if slot in self.items:
            raise AssertionError(f"slot {slot} is given for {thing}, but {self.items[slot]} lies there")
        self.items[slot] = thing
        if slot not in GPIO_SLOTS:
            self.sim.do(f"put {slot}")

    def take(self, slot):
        self.reach(slot)
        if slot not in GPIO_SLOTS:
            self.sim.do(f"take {slot}")
        return self.items.pop(slot)

    def shut(self, slot):
        """Hands are slower than coils."""
        wait(lambda: not self.is_energised(slot), f"the lock of {slot} is off", 10, 0.02)
        if slot in GPIO_SLOTS:
            self.gpio.shut(int(slot))
        else:
            self.sim.do(f"close {slot}")

    def energised(self):
        slots = [slot for slot in GPIO_SLOTS if self.is_energised(slot)]
        if self.sim:
            slots += [f"{name}:{board['coils']}" for name, board in self.sim.state()["boards"].items() if board["coils"]]
        return slots

    def objections(self):
        return [o["text"] for o in self.sim.objections()] + self.gpio.objections() if self.sim else self.gpio.objections()
