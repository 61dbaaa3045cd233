# SPDX-License-Identifier: Apache-2.0
"""What the tests of locksim share: two small cabinets, and a simulator and a master for each test."""
import os
import shutil
import tempfile
import unittest

from lockersim import LockSim
from rtu_master import RtuMaster

ON, OFF, FLASH = 0xFF00, 0x0000, 0x0200

RELAYS = """
[Supply main]
MaxActive=1
[Line left]
Device=/dev/nowhere
Baud=9600
[Board A]
Line=left
Address=1
Profile=waveshare-relay-d-8
Supply=main
[Board B]
Line=left
Address=2
Profile=waveshare-relay-d-8
Supply=main
[Slot 01-04]
Lock=A:1-4
Door=A:1-4
[Slot 05]
Lock=B:1
Door=B:1
Latch=B:2
Release=B:3
LatchLockedWhen=off
[Alarm fire]
Input=B:4
"""

SHARED = """
[Supply main]
MaxActive=2
Cooldown=100ms
[Line north]
Device=/dev/nowhere
Baud=115200
[Line south]
Device=/dev/nowhere
Baud=19200
[Board A]
Line=north
Address=1
Profile=cu48
Supply=main
[Board C]
Line=south
Address=3
Profile=generic-pulse-16
Supply=main
[Position P1-P2/1-3]
Lock=A:3-8
Latch=A:3-8
Presence=C:1-6
[Slot P1-P2]
Lock=A:1-2
Latch=A:1-2
[Slot P3]
Lock=A:9
Latch=A:9
[Position P3/1]
LockType=motor
Lock=C:1
Secure=C:2
Latch=C:7
[Position P3/2]
Presence=C:8
"""


class SimCase(unittest.TestCase):
    cabinet = RELAYS
    build = "."
    fast = True
    line, baud = "left", 9600

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="test-locksim-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def write(self, text, name="cabinet.conf"):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def start(self, *extra, cabinet=None, fast=None):
        sim = LockSim(self.write(cabinet or self.cabinet), self.build, fast=self.fast if fast is None else fast,
                      extra=extra, link_dir=self.directory)
        self.addCleanup(sim.stop)
        return sim

    def master(self, sim, line=None, baud=None, **more):
        master = RtuMaster(sim.line_path(line or self.line), baud or self.baud, **more)
        self.addCleanup(master.close)
        return master

    def refused(self, sim, command, why):
        answer = sim.cmd(command)
        self.assertFalse(answer["ok"], command)
        self.assertIn(why, answer["error"])
