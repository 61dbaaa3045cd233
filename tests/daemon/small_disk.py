# SPDX-License-Identifier: Apache-2.0
"""A small file system for the ledger, which a test can fill to the last byte. Only root can mount one, and not in every container."""
import os
import subprocess
import tempfile
import unittest

from daemonlib import DBusError

SIZE = 24 << 20


def can_mount():
    with tempfile.TemporaryDirectory() as place:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "lockerd-test", place], capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", place], check=True)
        return True


needs_mount = unittest.skipUnless(can_mount(), "cannot mount a small file system (not root?)")


class SmallDisk:
    """For a DaemonTest: call mount_disk() before the cabinet starts, and give it daemon_settings() as [Daemon]."""

    def mount_disk(self):
        self.disk = tempfile.mkdtemp(prefix="lockerd-disk-")
        self.addCleanup(os.rmdir, self.disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "lockerd-test", self.disk], check=True)
        self.addCleanup(subprocess.run, ["umount", self.disk], check=True)
        self.ballast = os.path.join(self.disk, "ballast")
        self.reserve = os.path.join(self.disk, "ledger.db.reserve")

    def daemon_settings(self):
        return {"Ledger": os.path.join(self.disk, "ledger.db"), "MinimumFree": "8M"}

    def free(self):
        v = os.statvfs(self.disk)
        return v.f_bavail * v.f_frsize

    def fill(self, leave):
        """Fills the disk until `leave` bytes are free."""
        with open(self.ballast, "ab") as f:
            for chunk in (1 << 20, 4096):
                while self.free() - chunk >= leave:
                    try:
                        f.write(b"\1" * chunk)
                        f.flush()
                    except OSError:
                        break
        self.assertLess(self.free(), leave + 4096 + (64 << 10))

    def use_up(self):
        """Fills the disk, the reserve and what the write-ahead log still had, until nothing can be written."""
        self.fill(0)
        for _ in range(2000):
            try:
                self.admin.disable("09", reason="x" * 200)
            except DBusError as e:
                self.assertEqual(e.short, "StorageFull")
                return e
            self.fill(0)
        self.fail("it never got full")

    def make_room(self):
        os.unlink(self.ballast)
