# SPDX-License-Identifier: Apache-2.0
"""A bench with GPIO lines, doors and lamps for a lockerd-gpio that is linked with gpio_bench.c.

The lines are bytes of a file that both map. Doors are here: a lock that is energised lets its door spring open a moment
later, and a person shuts it. What the outputs did is in a log that a dead worker leaves behind.
"""
import mmap
import os
import struct
import threading
import time

__all__ = ["Bench", "LINES"]

LINES = 64
HEADER = 16
LINE = struct.Struct("<32s32sBBBBi")
OUTSIDE, LEVEL, OUTPUT, STUCK = 64, 65, 66, 67
SPRING = 0.02  # until a released door has moved


class Bench:
    """names: what the lines are called, in the order of their offsets. doors: {lock line: contact line}; a contact is low when its
    door is shut (closed to ground under a pull-up)."""

    def __init__(self, path, names, doors):
        self.path = path
        self.names = {name: i for i, name in enumerate(names)}
        self.doors = dict(doors)
        self.blocked = set()  # locks whose door does not open
        with open(path, "wb") as f:
            f.write(struct.pack("<4I", 1, 0, 0, 0))
            for i in range(LINES):
                name = names[i] if i < len(names) else ""
                f.write(LINE.pack(name.encode(), b"", 0, 0, 0, 0, 0))
        self._file = open(path, "r+b")
        self._map = mmap.mmap(self._file.fileno(), 0)
        self._stopping = False
        self._thread = threading.Thread(target=self._springs, daemon=True)
        self._thread.start()

    def _at(self, name, field):
        return HEADER + LINE.size * self.names[name] + field

    def set(self, name, level):
        """A person or a door puts a level on an input."""
        self._map[self._at(name, OUTSIDE)] = level

    def level(self, name):
        """What an output drives."""
        return self._map[self._at(name, LEVEL)]

    def stick(self, name, level=None):
        self._map[self._at(name, STUCK)] = 0 if level is None else 1 + level
        if level is not None:
            self._map[self._at(name, LEVEL)] = level

    def hold(self, name, consumer):
        """Another program takes the line, or (empty) gives it back."""
        at = self._at(name, 32)
        self._map[at:at + 32] = consumer.encode().ljust(32, b"\0")

    def unplug(self, present=False):
        self._map[0] = int(present)

    def shut(self, lock):
        self.set(self.doors[lock], 0)

    def is_open(self, lock):
        return bool(self._map[self._at(self.doors[lock], OUTSIDE)])

    def _springs(self):
        since = {}
        while not self._stopping:
            now = time.monotonic()
            for lock, contact in self.doors.items():
                if not self.level(lock):
                    since.pop(lock, None)
                elif now - since.setdefault(lock, now) >= SPRING and lock not in self.blocked:
                    self.set(contact, 1)
            time.sleep(0.001)

    def changes(self, name):
        """[(boot seconds, level, process)] of an output since the beginning."""
        line = self.names[name]
        found = []
        if os.path.exists(self.path + ".log"):
            with open(self.path + ".log", encoding="ascii") as f:
                for text in f:
                    at, number, level, pid = map(int, text.split())
                    if number == line:
                        found.append((at / 1e6, level, pid))
        return found

    def pulses(self, name):
        """How long it was high, each time, in seconds; the last may not have ended (None)."""
        on, pulses = None, []
        for at, level, _ in self.changes(name):
            if level and on is None:
                on = at
            elif not level and on is not None:
                pulses.append(at - on)
                on = None
        return pulses + ([None] if on is not None else [])

    def stop(self):
        self._stopping = True
        self._thread.join()
        self._map.close()
        self._file.close()
