# SPDX-License-Identifier: Apache-2.0
"""What the tests of readers of people share: a cabinet with one of them, and who stands in front of it."""
import os

from daemonlib import CABINET, ROOT, GLib, dictionary, wait
from people import Scenario


class AtReader(Scenario):
    """A subclass has a reader of a kind: `worker`, the program that drives it, and enrol(finger, **person)."""
    fast = True
    kind_of_reader = "fingerprint"
    worker = None

    def wait_reader(self, state, text="", timeout=30):
        row = f"reader:{self.kind_of_reader}"
        return wait(lambda: next((s for n, s in self.admin.health().items() if n == row and s[0] == state and text in s[1]), None),
                    f"{row} {state} {text!r}, is {self.admin.health().get(row)}", timeout)

    def begin_enrol(self, **person):
        return self.admin.begin(ROOT, CABINET, "Enrol", "a{sv}", dictionary(**{self.kind_of_reader: GLib.Variant("b", True)}, **person))

    def enrol_courier(self, finger="anna", number="4711"):
        return self.enrol(finger, kind="courier", number=number, name="Anna Bote", consent=True)

    def begin_sign_in(self, session, **claim):
        return session.begin("Authenticate", "sa{sv}", self.kind_of_reader, dictionary(**claim))

    def worker_pid(self):
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and os.readlink(f"/proc/{entry}/exe") == os.path.realpath(self.worker):
                    with open(f"/proc/{entry}/stat", encoding="utf-8") as f:
                        if int(f.read().rsplit(")", 1)[1].split()[1]) == self.cabinet.daemon.pid:
                            return int(entry)
            except OSError:
                pass
        return None
