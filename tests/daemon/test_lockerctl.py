#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What lockerctl prints, asks and exits with, against a stand-in for lockerd on a private bus.

Usage: test_lockerctl.py BUILD_DIR|LOCKERCTL [--write-golden] [unittest arguments]

--write-golden replaces the pictures of the map by what is drawn now: look at them before committing.

Whether the daemon does the right thing is not asked here, so no test of this file names a requirement: see the
scenario tests."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GOLDEN = HERE / "golden"
LOCKERCTL = None
WRITE_GOLDEN = False
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>custom</type><listen>unix:path={path}</listen><policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*"/><allow send_type="signal"/><allow receive_sender="*"/></policy></busconfig>"""


class Cabinet:
    """A private bus with a stand-in on it."""

    def __init__(self, conf, *arguments):
        self.directory = tempfile.mkdtemp(prefix="lockerctl-")
        path = f"{self.directory}/bus"
        Path(self.directory, "bus.conf").write_text(BUS_CONFIG.format(path=path))
        self.bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self.directory}/bus.conf", "--nofork", "--print-address"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.bus.stdout.readline().strip()
        self.fake = None
        if conf:
            self.fake = subprocess.Popen(
                ["/usr/bin/python3", HERE / "fake_lockerd.py", self.address, ROOT / "config" / conf, *arguments],
                stdout=subprocess.PIPE, text=True)
            if self.fake.stdout.readline() != "ready\n":
                raise RuntimeError("the stand-in did not start")

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "LC_ALL", "LANG")}
        return {**env, "DBUS_SYSTEM_BUS_ADDRESS": self.address, "LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": "80", **more}

    def run(self, *arguments, stdin="", **env):
        return subprocess.run([LOCKERCTL, *arguments], input=stdin, capture_output=True, text=True, timeout=30,
                              env=self.environment(**env))

    def close(self):
        for process in (self.fake, self.bus):
            if process:
                process.kill()
                process.wait()
                process.stdout.close()
        shutil.rmtree(self.directory)


class Test(unittest.TestCase):
    conf, arguments, shared = "cabinet-12.conf", ["--busy"], None

    def setUp(self):
        self.cabinet = Cabinet(self.conf, *self.arguments) if self.conf else Cabinet(None)
        self.addCleanup(self.cabinet.close)

    def ok(self, *arguments, **more):
        result = self.cabinet.run(*arguments, **more)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        return result.stdout

    def refused(self, status, *arguments, **more):
        result = self.cabinet.run(*arguments, **more)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result.stderr

    def json(self, *arguments, **more):
        return json.loads(self.ok("--json", *arguments, **more))

    def lines(self, text):
        return [json.loads(line) for line in text.splitlines()]


class TestMap(Test):
    def setUp(self):
        pass

    def check(self, golden, conf, *arguments, options=(), **env):
        cabinet = Cabinet(conf, *arguments)
        self.addCleanup(cabinet.close)
        result = cabinet.run("map", *options, **env)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        width = int(env.get("COLUMNS", 80))
        for line in result.stdout.splitlines():
            if not line.startswith("! "):  # what is to be looked at is a sentence, not part of the picture
                self.assertLessEqual(len(line), width, line)
        path = GOLDEN / golden
        if WRITE_GOLDEN:
            path.write_text(result.stdout)
        self.assertEqual(result.stdout, path.read_text(), f"run with --write-golden, and look at {golden}")

    def test_map_idle_cabinet_of_12_is_drawn_as_it_hangs(self):
        self.check("map-12.txt", "cabinet-12.conf")

    def test_map_busy_cabinet_of_12_shows_states_by_letters(self):
        self.check("map-12-busy.txt", "cabinet-12.conf", "--busy")

    def test_map_60_slots_in_6_columns_fit_in_80_columns(self):
        self.check("map-60-busy.txt", "cabinet-60.conf", "--busy")

    def test_map_narrow_terminal_wraps_columns_into_bands(self):
        self.check("map-60-narrow.txt", "cabinet-60.conf", "--busy", COLUMNS="44")

    def test_map_without_utf8_is_drawn_in_ascii(self):
        self.check("map-60-ascii.txt", "cabinet-60.conf", "--busy", LC_ALL="C")
        self.assertTrue((GOLDEN / "map-60-ascii.txt").read_text().isascii())

    def test_map_without_legend_is_the_picture_only(self):
        self.check("map-12-bare.txt", "cabinet-12.conf", options=["--no-legend"])


class TestReading(Test):
    def test_status_names_what_is_degraded(self):
        text = self.ok("status")
        self.assertRegex(text, r"Health +degraded")
        self.assertRegex(text, r"line:north +degraded +Board C has not answered for 40 s\.")
        self.assertRegex(text, r"Alarms +5 slots")
        status = self.json("status")
        self.assertEqual(sorted(status), ["cabinet", "counts", "health"])
        self.assertEqual(status["health"], "degraded")
        self.assertEqual(status["counts"]["slots"], 12)
        self.assertEqual(status["cabinet"]["sizes"][0], {"name": "S", "order": 1, "label": "Small", "width_mm": 350,
                                                         "height_mm": 100, "depth_mm": 450})

    def test_slots_json_has_documented_keys(self):
        slots = self.json("slots")
        self.assertEqual([s["label"] for s in slots], [f"{i:02}" for i in range(1, 13)])
        self.assertEqual(sorted(slots[0]), ["accessible", "board", "board_online", "column", "door", "height", "in_use",
                                            "label", "positions", "row", "service", "service_reason", "size",
                                            "temperature"])
        self.assertEqual(slots[1]["positions"], [{"number": 1, "service": "in", "lock": "none", "presence": "none",
                                                  "state": "stored", "parcel": 17, "reason": "", "expired": False}])
        self.assertEqual(self.json("map"), slots)
        self.assertEqual(self.json("slots", "02"), [slots[1]])

    def test_documentation_every_key_of_json_is_in_the_manual(self):
        manual = (ROOT / "docs/man/lockerctl.1").read_text().replace("\\-", "-").replace("\\_", "_")
        keys = set()

        def walk(value):
            if isinstance(value, dict):
                keys.update(value)
                value = value.values()
            if not isinstance(value, (str, int, float, bool, type(None))):
                for v in value:
                    walk(v)
        for verb in ("slots", "parcels", "lockout"):
            walk(self.json(verb))
        walk(self.lines(self.ok("--json", "events"))[0].keys())
        self.assertEqual([k for k in sorted(keys) if not re.search(rf"\b{k}\b", manual)], [])

    def test_slots_unknown_label_exits_3(self):
        self.assertIn("no slot 77", self.refused(3, "slots", "77"))

    def test_parcels_are_listed_with_place_and_overdue_ones_marked(self):
        text = self.ok("parcels")
        self.assertRegex(text, r"18 +stored +05/1 +S +2026-09-21 14:13 +2026-09-24 14:13 over")
        parcel = self.json("parcels")[0]
        self.assertEqual((parcel["stored"], parcel["stored_usec"]), ("2026-09-21T14:13:20Z", 1790000000000000))

    def test_parcel_that_left_is_found_in_the_history(self):
        self.assertRegex(self.ok("parcel", "3"), r"State +collected")
        self.assertIn("no such parcel", self.refused(3, "parcel", "999"))
        self.assertIn("not the number", self.refused(2, "parcel", "x"))

    def test_events_newest_are_read_from_the_end(self):
        calls = tempfile.NamedTemporaryFile("r")
        self.addCleanup(calls.close)
        cabinet = Cabinet(self.conf, "--busy", "--calls", calls.name)
        self.addCleanup(cabinet.close)
        self.assertEqual(len(cabinet.run("events").stdout.splitlines()), 20)
        self.assertEqual(len(cabinet.run("events", "-n", "3").stdout.splitlines()), 3)
        self.assertEqual(len(cabinet.run("events", "-n", "3", "--after", "23").stdout.splitlines()), 2)
        self.assertEqual(calls.read().splitlines(), ["GetEvents 5 1000", "GetEvents 22 1000", "GetEvents 23 1000"])

    def test_reason_of_a_position_is_shown(self):
        self.ok("disable", "01/1", "-r", "lid broken")
        self.assertRegex(self.ok("slots", "01"), r"01/1 +disabled .*lid broken\n")
        self.assertIn("! 01   position 1 is out of service: lid broken\n", self.ok("map"))
        self.assertEqual(self.json("slots", "01")[0]["positions"][0]["reason"], "lid broken")

    def test_events_newest_and_after_choose(self):
        self.assertEqual([e["sequence"] for e in self.lines(self.ok("events", "--json", "-n2"))], [24, 25])
        self.assertEqual([e["sequence"] for e in self.lines(self.ok("--json", "events", "--after", "23"))], [24, 25])
        self.assertEqual(len(self.ok("events").splitlines()), 20)
        self.assertEqual(len(self.ok("events", "--all").splitlines()), 25)

    def test_events_follow_shows_what_happens_from_now_on(self):
        process = subprocess.Popen([LOCKERCTL, "events", "-f", "-n", "1", "--json"], stdout=subprocess.PIPE, text=True,
                                   env=self.cabinet.environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(json.loads(process.stdout.readline())["sequence"], 25)
        self.ok("open", "01", "--reason", "test")
        event = json.loads(process.stdout.readline())
        self.assertEqual((event["sequence"], event["type"], event["data"]), (26, "operator.opened", {"why": "operator"}))

    def test_audit_whole_trail_exits_0(self):
        self.assertIn("412:9f3a5c", self.ok("audit", "verify"))
        self.assertEqual(self.json("audit", "verify")["ok"], True)

    def test_audit_against_a_head_from_earlier(self):
        self.assertIn("leads through the head that was given", self.ok("audit", "verify", "400:aa"))
        done = self.cabinet.run("audit", "verify", "400:bb")
        self.assertEqual(done.returncode, 11)
        self.assertIn("row 400 is not the one", done.stdout)
        done = self.cabinet.run("audit", "verify", "nonsense")
        self.assertNotIn(done.returncode, (0, 11))
        self.assertIn("must be a head", done.stderr)

    def test_lockout_list_and_lift(self):
        self.assertRegex(self.ok("lockout"), r"terminal +3 +for 25 min 00 s")
        self.ok("lockout", "lift", "terminal", "--reason", "asked")
        self.assertEqual([l["subject"] for l in self.json("lockout", "list")], ["claim:slot:12"])


class TestActing(Test):
    def test_open_says_what_is_open(self):
        self.assertEqual(self.ok("open", "01", "--reason", "look"), "Slot 01 is open.\n")
        self.assertEqual(self.json("open", "01/1", "-r", "look"), {"done": "open", "slot": "01", "position": 1})
        self.assertEqual(self.json("slots", "01")[0]["door"], "open")

    def test_open_without_reason_or_sense_exits_2(self):
        self.assertIn("reason is needed", self.refused(2, "open", "01"))
        self.assertIn("must not be empty", self.refused(2, "open", "01", "--reason", " "))
        self.assertIn("count from 1", self.refused(2, "open", "01/0", "--reason", "x"))
        self.refused(2, "open", "01/x", "--reason", "x")
        self.refused(2, "open", "--reason", "x")
        self.refused(2, "open", "01", "02", "--reason", "x")
        self.refused(2, "open", "01", "--raeson", "x")

    def test_refusals_exit_as_documented(self):
        self.assertIn("no slot 99", self.refused(3, "open", "99", "-r", "x"))
        self.refused(3, "open", "01/4", "-r", "x")
        self.refused(5, "release", "17", "-r", "x")
        self.assertEqual(json.loads(self.cabinet.run("--json", "release", "17", "-r", "x").stdout),
                         {"error": "WrongState", "message": "That cannot be done now."})

    def test_disable_and_enable_are_seen_in_slots(self):
        self.ok("disable", "01", "-r", "hinge")
        self.assertEqual(self.json("slots", "01")[0]["service_reason"], "hinge")
        self.ok("enable", "01", "-r", "repaired")
        self.assertEqual(self.json("slots", "01")[0]["service"], "in")

    def test_reconcile_needs_position_and_finding(self):
        self.refused(2, "reconcile", "08", "empty", "-r", "x")
        self.refused(2, "reconcile", "08/1", "nothing", "-r", "x")
        self.ok("reconcile", "08/1", "parcel", "-r", "seen")
        self.refused(5, "reconcile", "08/1", "parcel", "-r", "seen")

    def test_new_code_is_grouped_for_people_and_whole_for_programs(self):
        self.assertIn("H4T 9WX", self.ok("new-code", "17", "-r", "lost"))
        self.assertEqual(self.json("new-code", "17", "-r", "lost")["code"], "H4T9WX")

    def test_enrol_reads_the_secret_from_stdin_and_revoke_erases(self):
        self.ok("enrol", "courier", "--number", "9", "--name", "Bo", "--stdin", stdin="135792\n")
        self.assertEqual([(p["number"], p["credentials"]) for p in self.json("people")], [("9", ["pin"])])
        self.ok("revoke", "5", "-r", "left")
        self.assertEqual(self.json("people"), [])
        self.refused(3, "revoke", "5", "-r", "left")
        self.refused(2, "enrol", "courier", "--number", "9", "--name", "Bo", "--stdin", stdin="1\n")

    def test_enrol_recipient_needs_consent_and_yes_is_none(self):
        who = ["enrol", "recipient", "--name", "Li", "--phone", "13800138000", "--stdin"]
        self.assertIn("--consent", self.refused(2, "--yes", *who, stdin="long enough\n"))
        self.ok(*who, "--consent", stdin="long enough\n")

    def test_backup_relative_path_is_meant_from_here(self):
        self.assertEqual(self.json("backup", "copy.db")["path"], os.getcwd() + "/copy.db")

    def test_check_config_runs_lockerd_and_exits_with_its_status(self):
        with tempfile.TemporaryDirectory() as directory:
            lockerd = Path(directory, "lockerd")
            lockerd.write_text('#!/bin/sh\necho "$@"\necho "<3>no good" >&2\nexit 3\n')
            lockerd.chmod(0o755)
            shutil.copy(LOCKERCTL, f"{directory}/lockerctl")
            run = [f"{directory}/lockerctl", "check-config", "/tmp/a.conf", "--cabinet", "/tmp/b.conf"]
            result = subprocess.run(run, capture_output=True, text=True, env=self.cabinet.environment())
            self.assertEqual((result.returncode, result.stdout),
                             (3, "--check-config --config /tmp/a.conf --cabinet /tmp/b.conf\n"))
            result = subprocess.run([*run, "--json"], capture_output=True, text=True, env=self.cabinet.environment())
            self.assertEqual((result.returncode, json.loads(result.stdout)["messages"][1]), (3, "no good"))


class TestSessions(Test):
    def deposit(self, *more, pin="2468", **kw):
        return self.cabinet.run("deposit", "--courier", "4711", "--stdin", *more, stdin=pin + "\n", **kw)

    def test_deposit_shows_place_and_code_and_waits_for_the_door(self):
        result = self.deposit("--size", "S")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("Put the item into slot 01, position 1.", result.stdout)
        self.assertRegex(result.stdout, r"Pickup code +K7F 2QX\n")
        self.assertTrue(result.stdout.endswith("The parcel is stored.\n"))

    def test_deposit_json_is_a_receipt_and_prompts_a_line_each(self):
        lines = self.lines(self.deposit("--size", "S", "--json").stdout)
        self.assertEqual([l["event"] for l in lines], ["receipt", "prompt", "prompt", "prompt"])
        self.assertEqual((lines[0]["slot"], lines[0]["position"], lines[0]["code"]), ("01", 1, "K7F2QX"))
        self.assertEqual(lines[-1]["what"], "stored")

    def test_deposit_refusals_exit_as_documented(self):
        self.assertEqual(self.deposit("--size", "S", pin="1111").returncode, 6)
        self.assertEqual(self.deposit("--size", "XXL").returncode, 3)
        self.assertEqual(self.deposit().returncode, 2)
        self.assertEqual(self.cabinet.run("deposit", "--size", "S", "--stdin", stdin="1\n").returncode, 2)

    def test_deposit_too_small_typed_opens_another(self):
        result = self.typed("deposit", "--courier", "1", "--size", "M", "--waybill", "WAIT", "--stdin", typed=["2468", "s"])
        self.assertEqual(result[0], 0, result)
        self.assertIn("Now please use slot 11, position 1.", result[1])

    def test_deposit_cancel_typed_exits_12(self):
        result = self.typed("deposit", "--courier", "1", "--size", "M", "--waybill", "WAIT", "--stdin", typed=["2468", "c"])
        self.assertEqual(result[0], 12, result)

    def test_deposit_interrupt_cancels_and_exits_12(self):
        process = self.start("deposit", "--courier", "1", "--size", "M", "--waybill", "WAIT", "--stdin")
        process.stdin.write("2468\n")
        process.stdin.flush()
        while "Put the item into slot" not in process.stdout.readline():
            pass
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 12, out)
        self.assertIn("cancelled", out)

    def start(self, *arguments):
        process = subprocess.Popen([LOCKERCTL, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, env=self.cabinet.environment())
        self.addCleanup(process.kill)
        return process

    def typed(self, *arguments, typed):
        process = self.start(*arguments)
        for word in typed:
            process.stdin.write(word + "\n")
            process.stdin.flush()
            time.sleep(0.4)
        out, _ = process.communicate(timeout=10)
        return process.returncode, out

    def test_collect_code_may_be_typed_in_groups(self):
        result = self.cabinet.run("collect", "--stdin", "--accept", stdin="K7F 2QX\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("Slot 02, position 1 is open.", result.stdout)
        self.assertEqual(self.cabinet.run("collect", "--stdin", "--accept", stdin="AAAAAA\n").returncode, 6)

    def test_collect_reject_beforehand_and_typed(self):
        result = self.cabinet.run("collect", "--stdin", "--reject", "--json", stdin="K7F2QX\n")
        self.assertEqual((result.returncode, self.lines(result.stdout)[-1]["what"]), (0, "rejected"))
        self.assertEqual(self.typed("collect", "--stdin", typed=["K7F2QX", "r"])[0], 0)

    def test_collect_by_phone_and_password(self):
        arguments = ["collect", "--phone", "13800138000", "--stdin", "--accept"]
        self.assertEqual(self.cabinet.run(*arguments, stdin="correct horse\n").returncode, 0)
        self.assertEqual(self.cabinet.run(*arguments, stdin="wrong horse\n").returncode, 6)
        self.assertEqual(self.cabinet.run(*arguments, "--slot", "01", stdin="x\n").returncode, 2)

    def test_timeout_ends_the_waiting_with_12(self):
        result = self.deposit("--size", "S", "--waybill", "WAIT", "--timeout", "1", "--json")
        self.assertEqual((result.returncode, self.lines(result.stdout)[-1]["error"]), (12, "TimedOut"))
        self.assertEqual(self.deposit("--size", "S", "--timeout", "9").returncode, 0)
        for wrong in (["--timeout", "0"], ["--timeout", "soon"], ["--timeout", "99999"], ["--timeout", "3", "--no-wait"]):
            self.assertEqual(self.deposit("--size", "S", *wrong).returncode, 2, wrong)

    def test_lockout_is_lifted_by_a_courier_without_reason(self):
        lift = ["lockout", "lift", "--courier", "4711", "--stdin"]
        self.assertEqual(self.cabinet.run(*lift, stdin="1111\n").returncode, 6)
        self.assertIn("terminal", [l["subject"] for l in self.json("lockout")])
        self.assertEqual(self.json(*lift, stdin="2468\n"), {"done": "lockout lift", "courier": "4711"})
        self.assertEqual([l["subject"] for l in self.json("lockout")], ["claim:slot:12"])
        self.assertEqual(self.cabinet.run(*lift, "--reason", "x", stdin="2468\n").returncode, 2)
        self.assertEqual(self.cabinet.run("lockout", "lift", "terminal", *lift[2:], stdin="2468\n").returncode, 2)
        self.assertEqual(self.cabinet.run("lockout", "--courier", "4711").returncode, 2)

    def test_take_back_follows_to_the_last(self):
        result = self.cabinet.run("take-back", "--courier", "1", "--stdin", stdin="2468\n")
        self.assertEqual((result.returncode, result.stdout.splitlines()[-1]), (0, "That was all. Thank you."))

    def test_take_back_of_what_was_left_inside_exits_12(self):
        cabinet = Cabinet(self.conf, "--busy", "--heavy")
        self.addCleanup(cabinet.close)
        result = cabinet.run("take-back", "--courier", "1", "--stdin", stdin="2468\n")
        self.assertEqual((result.returncode, result.stdout.splitlines()[-1]), (12, "That was all. Thank you."))

    def test_secret_typed_on_a_terminal_is_not_echoed(self):
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(LOCKERCTL, [LOCKERCTL, "deposit", "--courier", "1", "--size", "S"], self.cabinet.environment())
        text = b""
        sent = [b"2468\n", b"o\n", b"\n"]
        while True:
            ready, _, _ = select.select([fd], [], [], 10)
            self.assertTrue(ready, text)
            try:
                data = os.read(fd, 4096)
            except OSError:  # how a pseudo terminal says that nobody is left
                break
            if not data:
                break
            text += data
            steps = [b"PIN: " in text, b"Enter alone: done" in text, b"Open again: slot 01" in text]
            if sum(steps) > 3 - len(sent):
                time.sleep(0.2)  # the echo is taken away after the question
                os.write(fd, sent.pop(0))
        os.close(fd)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, text)
        self.assertNotIn(b"2468", text)
        self.assertIn("K7F 2QX".encode(), text)
        self.assertIn(b"s too small", text)

    def test_secret_without_terminal_or_stdin_exits_2(self):
        result = subprocess.run([LOCKERCTL, "deposit", "--courier", "1", "--size", "S"], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, env=self.cabinet.environment(), start_new_session=True)
        self.assertEqual(result.returncode, 2)
        self.assertIn("--stdin", result.stderr)


class TestWithoutDaemon(Test):
    conf = None

    def test_status_without_daemon_says_what_to_do(self):
        self.assertIn("systemctl status lockerd", self.refused(1, "status"))
        self.assertEqual(json.loads(self.cabinet.run("--json", "status").stdout)["error"], "NotRunning")

    def test_bus_out_of_reach_says_what_to_do(self):
        self.assertIn("systemctl status lockerd", self.refused(1, "--bus", "unix:path=/nonexistent", "status"))

    def test_help_of_every_verb_explains_it(self):
        verbs = re.findall(r"^  ([a-z-]+) +[A-Z]", self.ok("--help"), re.M)
        manual = (ROOT / "docs/man/lockerctl.1").read_text().replace("\\-", "-")
        self.assertGreaterEqual(len(verbs), 23)
        for verb in verbs:
            text = self.ok(verb, "--help")
            self.assertTrue(text.startswith(f"lockerctl {verb}"), text)
            self.assertLessEqual(max(map(len, text.splitlines())), 110)
            self.assertTrue(re.search(rf'\n\.TP\n\.BI? "?{verb}\b|\n\.BR "?{verb}\b', manual), verb)

    def test_verb_missing_or_unknown_exits_2(self):
        self.refused(2)
        self.refused(2, "explode")
        self.refused(2, "--explode")

    def test_exit_statuses_are_those_of_the_refusal_table(self):
        core = dict(re.findall(r'X\(\w+, "(\w+)", (\d+),', (ROOT / "src/core/refusal.h").read_text()))
        header = (ROOT / "include/lockerd/bus_names.h").read_text()
        numbers = dict(re.findall(r"#define (LOCKERCTL_\w+)\s+(\d+)", header))
        names = {n: numbers[s] for n, s in re.findall(r'X\("(\w+)", (\w+)\)', header)}
        self.assertTrue(core)
        self.assertEqual(names, core)

    def test_completion_offers_every_verb_and_survives_without_daemon(self):
        script = f"""source {ROOT}/src/ctl/lockerctl.bash
            lockerctl() {{ {LOCKERCTL} "$@"; }}
            COMP_WORDS=(lockerctl '') COMP_CWORD=1; _lockerctl; echo "${{COMPREPLY[*]}}"
            COMP_WORDS=(lockerctl open '') COMP_CWORD=2; _lockerctl; echo "[${{COMPREPLY[*]}}]" """
        out = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=self.cabinet.environment())
        verbs = re.findall(r"^  ([a-z-]+) +[A-Z]", self.ok("--help"), re.M)
        first, second = out.stdout.splitlines()
        self.assertEqual(set(verbs) - set(first.split()), set())
        self.assertEqual(second, "[]")


class TestCompletion(Test):
    def complete(self, *words):
        quoted = " ".join(f"'{w}'" for w in words)
        script = f"""source {ROOT}/src/ctl/lockerctl.bash
            lockerctl() {{ {LOCKERCTL} "$@"; }}
            COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}; _lockerctl; echo "${{COMPREPLY[*]}}" """
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True,
                              env=self.cabinet.environment()).stdout.split()

    def test_completion_asks_the_daemon_for_slots_parcels_and_sizes(self):
        self.assertEqual(self.complete("lockerctl", "open", "0"), [f"{i:02}" for i in range(1, 10)])
        self.assertEqual(self.complete("lockerctl", "open", "01/"), ["01/1"])
        self.assertEqual(self.complete("lockerctl", "recall", "--reason", "x", ""), [str(i) for i in range(17, 22)])
        self.assertEqual(self.complete("lockerctl", "deposit", "--size", ""), ["S", "M", "L"])
        self.assertEqual(self.complete("lockerctl", "reconcile", "01/1", "e"), ["empty"])
        self.assertEqual(self.complete("lockerctl", "collect", "--ac"), ["--accept"])


def main():
    global LOCKERCTL, WRITE_GOLDEN
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    target = Path(sys.argv.pop(1)).resolve()
    if not shutil.which("dbus-daemon") or subprocess.run(["/usr/bin/python3", "-c", "import gi"], stderr=subprocess.DEVNULL).returncode:
        print("dbus-daemon or python3-gi is not installed")
        sys.exit(77)
    LOCKERCTL = str(target / "src/ctl/lockerctl" if target.is_dir() else target)
    if "--write-golden" in sys.argv:
        WRITE_GOLDEN = True
        sys.argv.remove("--write-golden")
    unittest.main()


if __name__ == "__main__":
    main()
