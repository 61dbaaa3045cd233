# SPDX-License-Identifier: Apache-2.0
"""The daemon in valgrind, from its start through a deposit and a pickup to its end: no use of what is not there, nothing lost."""
import shutil
import sys

import daemonlib
from daemonlib import build_directory, main
from people import Scenario


def sanitized():
    """A build with sanitizers cannot run in valgrind, and has been through worse."""
    with open(f"{build_directory()}/src/daemon/lockerd", "rb") as f:
        return b"__asan_init" in f.read()


class Valgrind(Scenario):
    def setUp(self):
        start = daemonlib.Cabinet.start

        def start_in_valgrind(cabinet):
            cabinet.wrapper = ["/usr/bin/env", f"LD_PRELOAD={build_directory()}/tests/daemon/pidfdshim.so",
                               shutil.which("valgrind"), "--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite",
                               "--error-exitcode=99", "--trace-children=no"]
            return start(cabinet)

        daemonlib.Cabinet.start = start_in_valgrind
        self.addCleanup(setattr, daemonlib.Cabinet, "start", start)
        super().setUp()

    def test_start_deposit_collect_stop_without_an_error(self):
        """Requirement: A2, A4"""
        put = self.store(size="S", recipient="Erika Mustermann", phone="0151 23456789")
        session = self.client.start_session("recipient")
        session.authenticate_code(put.receipt["code"])
        place = session.collect()
        self.sim.wait(place.slot, door="open", coil=False)
        self.sim.do(f"take {place.slot}")
        session.accept()
        self.sim.do(f"close {place.slot}")
        session.wait_prompt("collected")
        session.end()
        self.cabinet.stop_daemon()  # status 99 when valgrind found something
        self.assertNotIn("definitely lost", self.cabinet.log())


if not shutil.which("valgrind"):
    print("valgrind is not installed")
    sys.exit(77)
if sanitized():
    print("this build has sanitizers, which do not run in valgrind")
    sys.exit(77)
main()
