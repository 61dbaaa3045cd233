#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""locksim against masters that share no code with it. Usage: test_locksim.py BUILD_DIR [unittest arguments]"""
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lockersim import BOARDS, LockSim, SimError  # noqa: E402
from locksim_case import RELAYS, SHARED, SimCase  # noqa: E402
from locksim_doors import Physics, SharedSlots  # noqa: E402,F401
from locksim_faults import Faults, Objections  # noqa: E402,F401
from locksim_protocols import Adapters, Kerong, Winnsen  # noqa: E402,F401
from locksim_wire import IndependentMasters, Pace, Slave  # noqa: E402,F401


class Program(SimCase):
    def run_sim(self, *arguments, timeout=5):
        return subprocess.run([os.path.join(self.build, "src", "sim", "locksim"), *arguments], capture_output=True,
                              text=True, timeout=timeout, check=False)

    def test_bad_input_is_told_with_file_and_line(self):
        for change, words in (((("Baud=9600", "Baud=fast")), ["cabinet.conf:6", "Baud=fast"]),
                              (("Profile=waveshare-relay-d-8", "Profile=none-such"), ["none-such.board"]),
                              (("Lock=A:1-4", "Lock=A:1-3"), ["3 channels for 4 places"]),
                              (("Lock=B:1", "Lock=A:1"), ["A:1 is wired twice"]),
                              (("Lock=B:1", "Lock=Q:1"), ["no [Board Q]"]),
                              (("Lock=B:1", "Lock=B:9"), ["has 8 outputs"]),
                              (("Line=left", "Line=right"), ["no known line"]),
                              (("[Slot 05]", "[Slot 04]"), ["04 is there already"]),
                              (("[Slot 05]", "[Position Q/1]"), ["no known slot"]),
                              (("[Slot 05]", "rubbish\n[Slot 05]"), ["neither a [section] nor"])):
            with self.subTest(change):
                result = self.run_sim("--boards", BOARDS, self.write(RELAYS.replace(*change)))
                self.assertEqual(result.returncode, 2, result.stderr)
                for word in words:
                    self.assertIn(word, result.stderr)

    def test_wrong_use_is_told(self):
        for arguments in ((), ("a", "b"), ("--nonsense", "x"), ("--turnaround", "soon", "x"), ("--seed", "-1", "x"),
                          ("--ready-fd", "77", "x"), ("--send", "state"), ("/no/such/cabinet.conf",)):
            with self.subTest(arguments):
                result = self.run_sim(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertIn("locksim: ", result.stderr)

    def test_help_and_version(self):
        self.assertIn("--link-dir", self.run_sim("--help").stdout)
        self.assertRegex(self.run_sim("--version").stdout, r"^locksim \d")

    def test_links_come_and_go(self):
        link = os.path.join(self.directory, "left")
        os.symlink("/dev/pts/99999", link)
        sim = self.start()
        self.assertTrue(os.readlink(link).startswith("/dev/pts/"))
        self.assertNotEqual(os.readlink(link), "/dev/pts/99999")
        control = sim.control
        self.assertTrue(os.path.exists(control))
        sim.stop()
        self.assertFalse(os.path.lexists(link))

    def test_device_path_is_used_without_link_dir(self):
        link = os.path.join(self.directory, "tty")
        with LockSim(self.write(RELAYS.replace("/dev/nowhere", link)), self.build) as sim:
            self.assertEqual(sim.line_path("left"), link)
            self.assertTrue(os.path.islink(link))
        self.assertFalse(os.path.lexists(link))

    def test_what_is_not_a_link_to_a_pty_is_left_alone(self):
        self.write("precious", "left")
        with self.assertRaisesRegex(SimError, "File exists"):
            self.start()
        with open(os.path.join(self.directory, "left"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "precious")

    def test_sending_from_the_command_line(self):
        sim = self.start()
        good = self.run_sim("--control", sim.control, "--send", "force 01")
        self.assertEqual((good.returncode, good.stdout), (0, '{"ok":true}\n'))
        self.assertEqual(self.run_sim("--control", sim.control, "--send", "force 01").returncode, 1)
        self.assertEqual(self.run_sim("--control", "/no/such", "--send", "state").returncode, 2)

    def test_nonsense_commands_are_refused(self):
        sim = self.start()
        for command in ("", "dance", "open", "open 99", "open 01 now", "close 01 01", "release 01", "release 01 maybe",
                        "alarm none on", "auto", "auto 01", "auto 01 put", "auto 01 put soon", "auto 99 put 5",
                        "board", "board A", "board Z silent", "board A late", "board A late x", "board A drop 101",
                        "board A address 0", "board A address 248", "board A explode", "line left", "line none noise",
                        "line left babble", "seed", "seed x", "block 01 sideways"):
            with self.subTest(command):
                self.assertFalse(sim.cmd(command)["ok"])
        sim.do("seed 7")
        self.assertEqual(sim.state()["seed"], 7)

    def test_many_commands_at_once(self):
        sim = self.start()
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(sim.control)
            control.sendall(b"state\n" * 200)
            answers = control.makefile(encoding="utf-8")
            self.assertTrue(all('"ok":true' in answers.readline() for _ in range(200)))
            control.sendall(b"x" * 5000)
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(answers.read(), "")

    def test_view_fits_a_small_terminal(self):
        sim = self.start("--view", cabinet=SHARED)
        sim.do("force P1")
        time.sleep(0.6)
        with open(os.path.join(sim.directory, "output"), encoding="utf-8") as f:
            text = f.read()
        self.assertTrue(all(len(line) <= 80 for line in text.splitlines()), text)
        self.assertRegex(text, r"P1 +OPEN")
        self.assertNotIn("\033", text)

    def test_interrupt_ends_it_cleanly(self):
        sim = self.start()
        sim.process.send_signal(signal.SIGINT)
        self.assertEqual(sim.process.wait(5), 0)

    def test_control_socket_of_a_running_one_is_not_taken(self):
        sim = self.start()
        result = self.run_sim("--boards", BOARDS, "--link-dir", sim.directory, "--control", sim.control,
                              os.path.join(self.directory, "cabinet.conf"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("in use", result.stderr)
        self.assertTrue(sim.cmd("state")["ok"])


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    SimCase.build = os.path.abspath(sys.argv.pop(1))
    unittest.main()
