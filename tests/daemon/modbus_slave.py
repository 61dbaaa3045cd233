# SPDX-License-Identifier: Apache-2.0
"""A lock board by pymodbus, which shares no code with lockerd and locksim: sixteen coils and sixteen inputs on a serial line.

    modbus_slave.py DEVICE JOURNAL

A coil that goes on opens its door 40 ms later; a door is shut again by a person 700 ms after that. Input n is 1 while door n is shut.
Every coil and door is appended to the journal as a line: coil N on|off, door N open|shut.
"""
import asyncio
import os
import sys
import tty

from pymodbus_parts import Block, Slave, Store

CHANNELS, DOORS = 16, 12  # behind the doors: an inside release, an alarm, and two that are free


class Doors(Block):
    """Discrete inputs: door contacts, closed; the others open."""

    def __init__(self, journal):
        super().__init__(1, [n < DOORS for n in range(CHANNELS)])
        self.journal = journal

    def say(self, *words):
        print(*words, file=self.journal, flush=True)

    def move(self, channel, shut):
        self.setValues(self.address + channel, [shut])
        self.say("door", channel + 1, "shut" if shut else "open")

    def spring(self, channel):
        loop = asyncio.get_running_loop()
        loop.call_later(0.04, self.move, channel, False)
        loop.call_later(0.74, self.move, channel, True)


class Coils(Block):
    def __init__(self, doors):
        super().__init__(1, [False] * CHANNELS)
        self.doors = doors

    def setValues(self, address, values):
        for i, value in enumerate(values if isinstance(values, list) else [values]):
            channel = address - self.address + i
            if bool(value) != bool(self.values[channel]):
                self.doors.say("coil", channel + 1, "on" if value else "off")
                if value:
                    self.doors.spring(channel)
        super().setValues(address, values)


async def main(device, journal):
    doors = Doors(journal)
    line = os.open(device, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    board = Slave(1, Store(di=doors, co=Coils(doors)), lambda data: os.write(line, data))
    asyncio.get_running_loop().add_reader(line, lambda: board.feed(os.read(line, 256)))
    await asyncio.Event().wait()


if __name__ == "__main__":
    with open(sys.argv[2], "a", encoding="ascii") as f:
        asyncio.run(main(sys.argv[1], f))
