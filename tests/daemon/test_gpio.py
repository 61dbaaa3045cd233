# SPDX-License-Identifier: Apache-2.0
"""Locks, contacts and lamps on GPIO lines, beside a Modbus board in one cabinet: the real daemon and the real lockerd-gpio, whose
chip is a file (gpio_bench.c)."""
import os
import re
import signal
import subprocess
import time

from daemonlib import SLOT, TIMEOUT, build_directory, main, slot_path, wait
from gpiobench import Bench
from people import Scenario

NAMES = ([f"LOCK-{n:02}" for n in range(1, 7)] + [f"LAMP-{n:02}" for n in range(1, 5)] + [f"DOOR-{n:02}" for n in range(1, 5)] +
         ["LATCH-05", "LATCH-06", "INSIDE", "FIRE"])
DOORS = {"LOCK-01": "DOOR-01", "LOCK-02": "DOOR-02", "LOCK-03": "DOOR-03", "LOCK-04": "DOOR-04", "LOCK-05": "LATCH-05",
         "LOCK-06": "LATCH-06"}
LOCKS = list(DOORS)
SLACK = 0.3  # of a loaded machine; what the worker owes to the microsecond: tests/unit/test_gpio_worker.c


class Gpio(Scenario):
    cabinet_file = "cabinet-gpio.conf"
    def edit(text):
        return text.replace("!gpiochip1:0-2", "!LATCH-05 !LATCH-06 !INSIDE")

    def setUp(self):
        # Where the daemon's directory will be is not known yet.
        self.bench = Bench(os.path.join(os.environ.get("TMPDIR", "/tmp"), f"gpio-bench-{os.getpid()}-{time.monotonic_ns()}"), NAMES, DOORS)
        self.addCleanup(self._clear_bench)
        self.bench.set("INSIDE", 1)
        self.bench.set("FIRE", 1)
        # The daemon gives its workers no environment.
        program = self.bench.path + ".sh"
        with open(program, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nGPIO_BENCH={self.bench.path} exec {build_directory()}/tests/daemon/lockerd-gpio-bench \"$@\"\n")
        os.chmod(program, 0o755)
        self.workers = {"lockerd-gpio": program}
        super().setUp()

    def _clear_bench(self):
        self.bench.stop()
        for path in (self.bench.path, self.bench.path + ".log", self.bench.path + ".sh"):
            if os.path.exists(path):
                os.unlink(path)

    # --- what one sees

    def health(self, component):
        """(state, sentence)"""
        return self.admin.health()[component]

    def wait_open(self, lock):
        wait(lambda: self.bench.is_open(lock), f"{lock} open")

    def wait_off(self, lock):
        wait(lambda: not self.bench.level(lock), f"{lock} off")

    def close(self, lock):
        """A person shuts a door, which springs open again while its lock is energised."""
        self.wait_open(lock)
        self.wait_off(lock)
        self.bench.shut(lock)

    def check_pulses(self, lock, n, length=0.3):
        pulses = self.bench.pulses(lock)
        self.assertEqual(len(pulses), n, pulses)
        for pulse in pulses:
            self.assertIsNotNone(pulse, f"{lock} is still on")
            self.assertLess(abs(pulse - length), SLACK, f"{lock}: {pulse:.3f} s")

    def lit(self):
        return [n for n in range(1, 5) if self.bench.level(f"LAMP-{n:02}")]


class Everyday(Gpio):
    edit = Gpio.edit

    def test_deposit_and_pickup_on_gpio_lines(self):
        """Requirement: A2, F1"""
        session = self.courier()
        put = session.deposit(size="S")
        self.assertEqual(put.slot, "01")
        self.assertTrue(self.bench.is_open("LOCK-01"))
        self.assertEqual(self.lit(), [1])
        self.close("LOCK-01")
        session.wait_prompt("stored")
        wait(lambda: self.lit() == [], "the lamp off")
        session.end()
        self.check_pulses("LOCK-01", 1)

        session = self.client.start_session("recipient")
        session.authenticate_code(put.receipt["code"])
        taken = session.collect()
        self.assertEqual(taken.slot, "01")
        self.assertTrue(self.bench.is_open("LOCK-01"))
        self.assertEqual(self.lit(), [1])
        session.accept()
        self.close("LOCK-01")
        session.wait_prompt("collected")
        wait(lambda: self.lit() == [], "the lamp off")
        self.check_pulses("LOCK-01", 2)
        for lock in LOCKS[1:]:
            self.assertEqual(self.bench.pulses(lock), [])

    def test_pickup_from_a_shared_slot_unlocks_one_lid(self):
        """Requirement: A4"""
        session = self.courier()
        put = session.deposit(size="M")
        self.assertEqual((put.slot, put.position), ("04", 1))
        self.assertTrue(self.bench.is_open("LOCK-05"))
        self.close("LOCK-05")
        self.close("LOCK-04")
        session.wait_prompt("stored")
        self.assertEqual(self.bench.pulses("LOCK-06"), [])
        self.check_pulses("LOCK-04", 1)
        self.check_pulses("LOCK-05", 1)

    def test_gpio_and_modbus_slots_in_one_cabinet(self):
        self.admin.open_slot("02")
        self.assertTrue(self.bench.is_open("LOCK-02"))
        self.admin.open_slot("06")
        self.sim.wait("06", door="open")
        self.close("LOCK-02")
        self.push("06")
        self.admin.wait_slot("02", Door="locked")
        self.admin.wait_slot("06", Door="locked")

    def test_check_config_tells_what_hangs_on_each_line(self):
        done = subprocess.run([os.path.join(build_directory(), "src/daemon/lockerd"), "--config", self.cabinet.config, "--check-config"],
                              capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [re.split(r"  +", line.strip()) for line in done.stdout.splitlines()[1:]]
        self.assertEqual(len(lines), 18)
        for wanted in (["G:1", "output", "LOCK-01", "active-high", "Lock of slot 01, 300 ms"],
                       ["G:6", "output", "LOCK-06", "active-high", "Lock of position 04/2, 300 ms"],
                       ["G:10", "output", "LAMP-04", "active-high", "Lamp of slot 04"],
                       ["G:4", "input", "DOOR-04", "active-low", "Door of slot 04, on: closed"],
                       ["G:6", "input", "LATCH-06", "active-low", "Latch of position 04/2, on: locked"],
                       ["G:7", "input", "INSIDE", "active-low", "Release in slot 04, on: pressed"],
                       ["G:8", "input", "FIRE", "active-low", "Alarm fire, on: alarm"]):
            self.assertIn(wanted, lines)

    def test_door_that_does_not_open_is_pulsed_twice_and_said(self):
        """Requirement: F1"""
        self.bench.blocked.add("LOCK-03")
        self.assertRefused("DidNotOpen", self.admin.open_slot, "03")
        self.check_pulses("LOCK-03", 2)
        wait(lambda: self.lit() == [], "the lamp off")

    def test_door_forced_open_is_told_at_once(self):
        """Requirement: F1"""
        mark = self.last_event()
        before = time.monotonic()
        self.bench.set("DOOR-02", 1)
        self.admin.wait_slot("02", Door="forced")
        took = time.monotonic() - before
        self.assertLess(took, 0.1 + SLACK)
        self.assertIn("door.forced-open", self.event_types(mark))
        print(f"an edge reaches a client of the bus after {took * 1000:.0f} ms (10 ms of them debounce)")
        wait(lambda: self.lit() == [2], "the lamp on")
        self.bench.set("DOOR-02", 0)
        wait(lambda: self.lit() == [], "the lamp off")

    def test_alarm_opens_everything_one_after_the_other(self):
        """Requirement: F6, F12"""
        self.bench.set("FIRE", 0)
        for lock in LOCKS[:4]:
            self.wait_open(lock)
        self.sim.wait("05", door="open")
        self.sim.wait("06", door="open")
        self.bench.set("FIRE", 1)
        for lock in LOCKS[:4]:
            self.wait_off(lock)
        spans = []
        for lock in LOCKS[:4]:
            on = [at for at, level, _ in self.bench.changes(lock) if level]
            off = [at for at, level, _ in self.bench.changes(lock) if not level][1:]
            spans += list(zip(on, off))
        spans.sort()
        for (_, end), (begin, _) in zip(spans, spans[1:]):
            self.assertLessEqual(end, begin, "two locks at once on a supply for one")

    def test_inside_release_opens_its_slot(self):
        """Requirement: F12"""
        self.bench.set("INSIDE", 0)
        self.wait_open("LOCK-04")
        self.bench.set("INSIDE", 1)
        self.assertEqual([lock for lock in LOCKS if self.bench.pulses(lock)], ["LOCK-04"])


class Trouble(Gpio):
    def edit(text):
        return Gpio.edit(text).replace("Lock=G:1-3\n", "Lock=G:1-3\nPulse=1s\n")

    def worker(self):
        """The process that holds the lines."""
        return self.bench.changes("LOCK-01")[-1][2]

    def start_pulse(self):
        """The operator opens slot 01, whose lock then is on for a second."""
        self.admin.begin(slot_path("01"), SLOT, "Open", "us", 0, "inspection")
        wait(lambda: self.bench.level("LOCK-01"), "the lock on")

    def test_worker_killed_in_mid_pulse(self):
        """Requirement: F6"""
        self.start_pulse()
        victim = self.worker()
        killed = time.clock_gettime(time.CLOCK_BOOTTIME)
        os.kill(victim, signal.SIGKILL)
        self.wait_off("LOCK-01")
        at, level, heir = self.bench.changes("LOCK-01")[-1]
        self.assertNotEqual(heir, victim)
        self.assertLess(at - killed, 0.6, "long before the end that the pulse would have had")
        print(f"a killed worker's lock was off after {(at - killed) * 1000:.0f} ms")
        wait(lambda: self.health("board:G")[0] == "ok", "the board back")
        self.close("LOCK-01")
        self.admin.open_slot("02")
        self.assertTrue(self.bench.is_open("LOCK-02"))
        # Lamps are lit again as they were.
        wait(lambda: self.lit() == [2], "the lamp of the open slot")

    def test_lamp_is_lit_again_by_the_next_worker(self):
        self.admin.open_slot("03")
        self.assertEqual(self.lit(), [3])
        self.wait_off("LOCK-03")
        os.kill(self.worker(), signal.SIGKILL)
        wait(lambda: len(self.bench.changes("LAMP-03")) >= 4, "the lamp off and on again")
        wait(lambda: self.lit() == [3], "the lamp on")

    def test_daemon_killed_in_mid_pulse(self):
        """Requirement: F6"""
        self.start_pulse()
        wait(lambda: self.lit() == [1], "the lamp on")
        killed = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.cabinet.kill_daemon()
        self.wait_off("LOCK-01")
        at = self.bench.changes("LOCK-01")[-1][0]
        self.assertLess(at - killed, SLACK)
        print(f"a killed daemon's lock was off after {(at - killed) * 1000:.0f} ms")
        wait(lambda: self.lit() == [], "the lamp off")
        self.cabinet.start_daemon(ready=False)
        wait(lambda: self.health("board:G")[0] == "ok", "the board back")
        self.assertEqual(len(self.bench.pulses("LOCK-01")), 1)

    def test_daemon_that_hangs_in_mid_pulse(self):
        """Requirement: F6"""
        self.start_pulse()
        self.cabinet.daemon.send_signal(signal.SIGSTOP)
        try:
            self.wait_off("LOCK-01")
        finally:
            self.cabinet.daemon.send_signal(signal.SIGCONT)
        self.check_pulses("LOCK-01", 1, 1.0)

    def test_chip_unplugged_takes_nothing_else_down(self):
        """Requirement: F4"""
        self.bench.unplug()
        wait(lambda: self.health("board:G")[0] == "failed", "the board missing")
        self.assertIn("gpiochip0 (bench) is gone", self.health("board:G")[1])
        self.assertRefused("BoardOffline", self.admin.open_slot, "01")
        self.admin.open_slot("05")
        self.sim.wait("05", door="open")
        self.sim.do("close 05")
        self.bench.unplug(present=True)
        wait(lambda: self.health("board:G")[0] == "ok", "the board back")
        self.admin.open_slot("01")

    def test_output_that_stays_on_is_said(self):
        """Requirement: F1"""
        self.bench.stick("LOCK-02", 1)
        wait(lambda: self.health("board:G")[0] == "degraded", "the board degraded")
        self.assertIn("output 2 (LOCK-02) is switched off but reads on", self.health("board:G")[1])
        self.bench.stick("LOCK-02")
        wait(lambda: self.health("board:G")[0] == "ok", "the board well")


    def test_line_held_by_another_program_is_named(self):
        """Requirement: F4"""
        self.cabinet.stop_daemon()
        self.bench.hold("LOCK-03", "blinkenlights")
        self.cabinet.start_daemon(ready=False)
        wait(lambda: self.health("board:G")[0] == "failed", "the board missing")
        self.assertEqual(self.health("board:G")[1],
                         'Board G: output 3 (LOCK-03) is line 2 of gpiochip0 and held by "blinkenlights"; end that, or choose another '
                         'line')
        self.bench.hold("LOCK-03", "")
        wait(lambda: self.health("board:G")[0] == "ok", "the board there")
        self.admin.open_slot("03")


main()
