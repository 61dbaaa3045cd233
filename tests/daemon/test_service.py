# SPDX-License-Identifier: Apache-2.0
"""The service manager: what it is told, and what happens when it does not listen."""
import os
import time
import unittest

from daemonlib import Cabinet, main
from dbusclient import wait
from service_manager import Manager


class NotifiedCabinet(Cabinet):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.manager = Manager(os.path.join(self.directory, "notify"))
        self.more = {}

    def environment(self):
        return {**super().environment(), "NOTIFY_SOCKET": self.manager.path, **self.more}


class Service(unittest.TestCase):
    def setUp(self):
        self.cabinet = NotifiedCabinet()
        self.manager = self.cabinet.manager
        self.addCleanup(self.manager.socket.close)
        self.addCleanup(self.cabinet.stop)
        self.cabinet.more = {"WATCHDOG_USEC": "1000000"}

    def told(self, line, timeout=10):
        return wait(lambda: [t for t in self.manager.read() if t.startswith(line)], f"{line} from the daemon", timeout)

    def test_ready_reload_watchdog_and_stop_are_told(self):
        self.cabinet.start()
        self.told("READY=1")
        self.assertIn("Serving cabinet C-0012", self.told("STATUS=Serving")[-1])
        n = len(self.told("WATCHDOG=1"))
        time.sleep(3)
        self.assertGreaterEqual(len(self.told("WATCHDOG=1")) - n, 3)
        ready = len(self.told("READY=1"))
        self.cabinet.daemon.send_signal(1)
        self.told("RELOADING=1")
        wait(lambda: len(self.told("READY=1")) > ready, "ready again")
        order = [t for t in self.manager.read() if t in ("READY=1", "RELOADING=1")]
        self.assertEqual(order, ["READY=1", "RELOADING=1", "READY=1"])
        self.cabinet.stop_daemon()
        self.told("STOPPING=1")

    def test_manager_that_does_not_listen_keeps_no_door_shut(self):
        self.manager.fill()
        self.cabinet.start()
        client = self.cabinet.client()
        begin = time.monotonic()
        while time.monotonic() < begin + 3:  # over several pings of the watchdog
            asked = time.monotonic()
            client.open_slot("03")
            self.assertLess(time.monotonic() - asked, 2)
            self.cabinet.sim.wait("03", door="open", coil=False)
            self.cabinet.sim.do("close 03")
            client.wait_slot("03", Door="locked")
        # Nothing of it has arrived; it is told as soon as somebody listens.
        self.told("READY=1")
        self.told("WATCHDOG=1")
        order = [t for t in self.manager.read() if t.startswith(("STATUS", "READY"))]
        self.assertEqual(order[0], "STATUS=Opening the ledger")
        # And no end waits for it.
        self.manager.fill()
        self.cabinet.stop_daemon(timeout=10)


main()
