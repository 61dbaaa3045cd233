# SPDX-License-Identifier: Apache-2.0
"""Something breaks: the rest goes on working, and what is broken can be seen."""
import os
import re
import signal
import sys
import time

from bus_judge import crc
from daemonlib import DBusError, dictionary, main, wait
from lockersim import LockSim
from people import Scenario


def workers(pid, name="lockerd-line"):
    """Process ids of the daemon's workers."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as f:
                text = f.read()
        except OSError:
            continue
        inside, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
        if int(rest[1]) == pid and inside == name and rest[0] != "Z":
            found.append(int(entry))
    return sorted(found)


class Faults(Scenario):
    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}

    def health(self, component):
        return self.admin.health()[component][0]

    def test_killed_line_worker_is_replaced(self):
        """Requirement: F4"""
        put = self.store()
        [worker] = workers(self.cabinet.daemon.pid)
        os.kill(worker, signal.SIGKILL)
        wait(lambda: workers(self.cabinet.daemon.pid) not in ([], [worker]), "another worker")
        wait(lambda: self.health("line:left") == "ok" and self.health("board:A") == "ok", "good health")
        self.admin.wait_slot(put.slot, Door="locked", BoardOnline=True)
        self.collect(put.receipt["code"])
        self.assertIsNone(self.cabinet.daemon.poll())

    def test_worker_killed_in_mid_pulse_leaves_nothing_energised(self):
        """The worker would have switched the coil off; its successor does, and the person gets an honest answer.

        Requirement: F4, F6, F1
        """
        put = self.store()
        self.sim.do("block 01")
        session = self.recipient(put.receipt["code"])
        pending = session.begin("Collect", "o", "/")
        self.sim.wait("01", coil=True)
        [worker] = workers(self.cabinet.daemon.pid)
        os.kill(worker, signal.SIGKILL)
        self.sim.wait("01", coil=False, timeout=2)
        wait(lambda: pending.done, "an answer")
        with self.assertRaises(DBusError) as refused:
            pending.result()
        self.assertIn(refused.exception.short, ("OutcomeUnknown", "DidNotOpen", "BoardOffline"))
        self.assertIn(self.admin.parcel(put.parcel)["State"], ("stored", "unverified"))
        wait(lambda: self.health("board:A") == "ok", "good health")
        self.assertEqual(self.energised(), {})
        # What the board's own guard would have cut: no more than the time that a new worker takes.
        for o in self.sim.objections():
            self.assertEqual(o["kind"], "too-long", o)
        self.sim.do("clear", "unblock 01")
        time.sleep(0.2)
        if self.sim.place("01")["door"] == "open":
            self.push("01")
        self.admin.wait_slot("01", Door="locked")
        self.collect(put.receipt["code"])

    def test_line_is_unplugged_and_comes_back(self):
        """Requirement: F4"""
        put = self.store()
        code = put.receipt["code"]
        self.sim.stop()
        wait(lambda: self.health("board:A") == "failed", "the board's failure")
        states = self.admin.health()
        self.assertEqual((states["line:left"][0], states["ledger"][0]), ("failed", "ok"), states)
        self.assertTrue(states["line:left"][1] and states["board:A"][1], "a sentence for each")
        self.assertRefused("BoardOffline", self.recipient(code).collect)
        self.assertRefused("NoFreePosition", self.courier().deposit, size="S")
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
        self.assertEqual(self.admin.cabinet("FreePositions"), {"S": 0, "M": 0, "L": 0})
        # The adapter is plugged in again.
        self.sim = self.cabinet.sim = LockSim(self.cabinet.cabinet_path, self.cabinet.build, fast=True)
        wait(lambda: self.health("board:A") == "ok" and self.health("line:left") == "ok", "good health")
        self.admin.wait_slot(put.slot, Door="locked", BoardOnline=True)
        self.sim.do("auto 01 close 500")
        session = self.recipient(code)
        session.collect()
        session.accept()
        session.wait_prompt("collected")

    def pulses_of(self, slot):
        return sum(j["event"] == "coil" and j["on"] and j["lock"] == slot for j in self.sim.journal())

    def test_noise_after_the_pulse_is_waited_out(self):
        """Nobody can read the board while the door opens and its release window ends. It is not pulsed again on suspicion, and the
        answer is right when the noise is over.

        Requirement: F1, F4
        """
        put = self.store()
        before, mark = self.pulses_of(put.slot), self.last_event()
        session = self.recipient(put.receipt["code"])
        pending = session.begin("Collect", "o", "/")
        self.sim.wait(put.slot, coil=True)
        self.sim.do("board A damage 100")
        self.sim.wait(put.slot, door="open")
        time.sleep(2.2)
        self.assertFalse(pending.done, "nothing is known yet")
        self.sim.do("board A normal")
        self.assertEqual(pending.result()[0], put.slot)
        self.assertEqual(self.pulses_of(put.slot), before + 1)
        self.take(put)
        session.accept()
        self.shut(put)
        session.wait_prompt("collected")
        self.assertNotIn("door.failed-to-open", self.event_types(mark))
        self.assertNotIn("door.forced-open", self.event_types(mark))

    def test_door_that_nobody_can_see_is_unknown_and_never_forced(self):
        """Requirement: F1"""
        put = self.store()
        before, mark = self.pulses_of(put.slot), self.last_event()
        session = self.recipient(put.receipt["code"])
        pending = session.begin("Collect", "o", "/")
        self.sim.wait(put.slot, coil=True)
        self.sim.do("board A damage 100")
        wait(lambda: pending.done, "an answer", timeout=15)
        with self.assertRaises(DBusError) as refused:
            pending.result()
        self.assertEqual(refused.exception.short, "OutcomeUnknown")
        self.assertEqual(self.pulses_of(put.slot), before + 1, "not pulsed blindly")
        self.assertEqual(self.admin.slot(put.slot)["Door"], "unknown")
        self.sim.do("board A normal")
        self.admin.wait_slot(put.slot, Door="open")
        self.push(put.slot)
        self.admin.wait_slot(put.slot, Door="locked")
        types = self.event_types(mark, subject=f"slot:{put.slot}")
        self.assertEqual(types.count("door.unknown"), 1, types)
        self.assertNotIn("door.failed-to-open", types)
        self.assertNotIn("door.forced-open", types)

    def test_burst_of_noise_takes_no_board_away(self):
        """Requirement: F4"""
        put, mark = self.store(), self.last_event()
        for _ in range(3):
            self.sim.do("board A damage 100")
            time.sleep(0.5)
            self.sim.do("board A normal")
            time.sleep(0.3)
        self.collect(put.receipt["code"])
        self.assertNotIn("board.offline", self.event_types(mark))

    def test_bad_line_is_slow_but_right(self):
        """Lost, damaged, doubled and stale answers and noise: deposits and pickups take longer and open nothing else. Another slot
        is taken only when the lock of the one before really did not let go, or could not be seen.

        Requirement: F4, F1, A4
        """
        self.courier().end()
        self.sim.do("board A drop 4", "board A damage 4", "board A double 4", "board A stale 4", "line left noise 4")
        puts, mark = [], self.last_event()
        for _ in range(2):
            since = len(self.sim.journal())
            puts.append(self.store())
            self.judge_attempts(self.sim.journal()[since:], puts[-1].slot)
        for put in puts:
            with self.only(put.slot):
                self.collect(put.receipt["code"])
        self.assertNotIn("door.forced-open", self.event_types(mark), "a person opened nothing without a command")
        self.assertEqual(self.sim.objections(), [])
        self.sim.do("board A normal", "line left normal")

    def test_passing_exceptions_condemn_no_board(self):
        """Exceptions 04, 05 and 06 to polls and to commands: asked again within the command's life, and no board is lost.

        Requirement: F1, F4
        """
        self.courier().end()
        mark = self.last_event()
        self.sim.do("board A failing 10", "board A busy 10", "board A working 5")
        for _ in range(4):
            put = self.store()
            with self.only(put.slot):
                self.collect(put.receipt["code"])
        self.sim.do("board A normal")
        types = self.event_types(mark)
        for bad in ("board.wrong", "board.offline", "door.failed-to-open", "door.forced-open"):
            self.assertNotIn(bad, types)
        self.assertEqual(self.sim.objections(), [])

    def test_exceptions_that_persist_are_no_accident(self):
        """Requirement: F4"""
        self.sim.do("board A failing 100")
        wait(lambda: self.health("board:A") == "failed", "the board's failure", timeout=10)
        self.sim.do("board A normal")
        wait(lambda: self.health("board:A") == "ok", "good health", timeout=20)

    def test_shut_door_is_reported_soon_on_a_bad_line(self):
        """15 % of the responses are bad: what was shut is reported within three seconds, and never the wrong way round.

        Requirement: F1, F4
        """
        mark = self.last_event()
        self.sim.do("force 03")
        self.admin.wait_slot("03", Door="forced")
        self.sim.do("board A damage 5", "board A truncate 10")
        took = []
        for _ in range(8):  # more, and the contact chatters
            self.sim.do("close 03")
            began = time.monotonic()
            self.admin.wait_slot("03", Door="locked")
            took.append(time.monotonic() - began)
            self.sim.do("force 03")
            self.admin.wait_slot("03", Door="forced")
        self.sim.do("board A normal", "close 03")
        print(f"shut doors reported after at most {max(took):.2f} s", file=sys.stderr)
        self.assertLess(max(took), 3)
        forced = [e for e in self.admin.events(mark) if e.type == "door.forced-open"]
        self.assertEqual(len(forced), 9, "as often as it was forced, and no other door")
        self.assertEqual({e.subject for e in forced}, {forced[0].subject})

    def judge_attempts(self, journal, taken):
        """One slot after the other, none but by a command; only the last one was seen to open, by the simulator's own journal."""
        pulses = [(i, j["lock"]) for i, j in enumerate(journal) if j["event"] == "coil" and j["on"]]
        tried = list(dict.fromkeys(lock for _, lock in pulses))
        self.assertEqual(tried[-1], taken)
        released = [(i, j["lock"]) for i, j in enumerate(journal) if j["event"] == "latch" and j["state"] == "released"]
        self.assertIn(taken, [lock for _, lock in released])
        for i, lock in released:
            self.assertIn(lock, [pulsed for before, pulsed in pulses if before < i], "released without a pulse")
        for slot, following in zip(tried, tried[1:]):
            end = next(i for i, lock in pulses if lock == following)
            when = next((i for i, lock in released if lock == slot and i < end), None)
            if when is not None:
                self.assertFalse(self.could_be_seen(journal[when:end], int(slot)), f"{slot} opened, and {following} was taken instead")

    @staticmethod
    def could_be_seen(journal, channel):
        """Did board A say twice in a row, with nothing wrong, that this door is open?"""
        good, question, answers = 0, None, []
        for j in journal:
            if j["event"] == "tx":
                answers.append(bytes.fromhex(j["hex"]))
            elif j["event"] == "rx":
                if question and question[1] == 2:
                    answer = answers[0] if len(answers) == 1 else b""
                    right = answer[:3] == b"\1\2\2" and len(answer) == 7 and crc(answer[:5]) == int.from_bytes(answer[5:], "little")
                    good = good + 1 if right and not int.from_bytes(answer[3:5], "little") >> channel - 1 & 1 else 0
                    if good == 2:
                        return True
                question, answers = bytes.fromhex(j["hex"]), []
        return False


class HashWorker(Scenario):
    def test_hash_worker_killed_while_it_works(self):
        """The courier hears that something is broken, not that the PIN was wrong; the next try finds a new worker.

        Requirement: F4, C3
        """
        self.courier().end()
        session = self.client.start_session("courier")
        # The worker that enrolled the courier is held, so that it cannot answer before it is killed.
        [pid] = workers(self.cabinet.daemon.pid, "lockerd-hash")
        os.kill(pid, signal.SIGSTOP)
        pending = session.begin("Authenticate", "sa{sv}", "courier-pin", dictionary(number="4711", pin="258036"))
        # The daemon takes the calls of a connection in their order: with this answer, the worker has the request.
        self.assertEqual(session.state, "new")
        self.assertEqual(workers(self.cabinet.daemon.pid, "lockerd-hash"), [pid])
        os.kill(pid, signal.SIGKILL)
        with self.assertRaises(DBusError) as refused:
            pending.result()
        self.assertEqual(refused.exception.short, "Internal")
        self.assertEqual(self.admin.lockouts(), {}, "that was no wrong PIN")
        session.authenticate_pin("4711", "258036")
        self.assertEqual(session.state, "authenticated")


def with_shared_m(text):
    """cabinet-60 with nothing but the shared slots in size M."""
    return re.sub(r"(\[Slot 4[19]-\d+\]\n)Size=M", r"\1Size=S", text)


class TwoLines(Scenario):
    cabinet_file = "cabinet-60.conf"
    edit = staticmethod(with_shared_m)
    settings = {"Session": {"ReopenGrace": "0", "AnswerTimeout": "1s"}}

    def test_dead_board_leaves_the_rest_working(self):
        """Boards A and B are on one line: A dies, B, C and D go on; only what hangs on A is refused.

        Requirement: F4, F2
        """
        on_a = self.store(size="S")
        on_b = self.store(size="L")
        self.assertEqual((self.admin.slot(on_a.slot)["Board"], self.admin.slot(on_b.slot)["Board"]), ("A", "B"))
        mark = self.last_event()
        self.sim.do("board A silent")
        wait(lambda: self.admin.health()["board:A"][0] == "failed", "board A's failure")
        self.assertEqual({k: v[0] for k, v in self.admin.health().items() if k.startswith(("board", "line"))},
                         {"board:A": "failed", "board:B": "ok", "board:C": "ok", "board:D": "ok", "line:north": "ok", "line:south": "ok"})
        self.wait_event("board.offline", after=mark, board="A")
        self.assertFalse(self.admin.slot("01")["BoardOnline"])
        self.assertTrue(self.admin.slot("51")["BoardOnline"])
        with self.only():
            self.assertRefused("BoardOffline", self.recipient(on_a.receipt["code"]).collect)
        self.collect(on_b.receipt["code"])
        put = self.store(size="S")
        self.assertEqual(self.admin.slot(put.slot)["Board"], "B", "a small parcel goes where a lock answers")
        self.assertEqual(self.admin.parcel(on_a.parcel)["State"], "stored")
        self.sim.do("board A normal")
        wait(lambda: self.admin.health()["board:A"][0] == "ok", "board A's return")
        self.wait_event("board.online", after=mark, board="A")
        self.admin.wait_slot(on_a.slot, Door="locked")
        self.collect(on_a.receipt["code"])

    def test_position_whose_own_board_is_dead(self):
        """The slot's door could be opened, the position inside could not: nothing is opened for it, and nothing offered there.

        Requirement: F4, F2, A4
        """
        for label in ("P1", "P2", "P3"):
            self.admin.disable(label)
        put = self.store(size="M")
        self.assertEqual(put.slot, "P4")
        self.sim.do("board D silent")
        wait(lambda: self.admin.health()["board:D"][0] == "failed", "board D's failure")
        with self.only():
            self.assertRefused("BoardOffline", self.recipient(put.receipt["code"]).collect)
            self.assertRefused("BoardOffline", self.admin.open_slot, "P4", put.position)
            self.assertRefused("NoFreePosition", self.courier().deposit, size="M", larger=False)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")
        self.sim.do("board D normal")
        wait(lambda: self.admin.health()["board:D"][0] == "ok", "board D's return")
        wait(lambda: self.admin.position("P4", put.position)[2:4] == ("locked", "occupied"), "the sensors")
        self.collect(put.receipt["code"])

    def test_presence_sensor_that_is_silent_offers_nothing(self):
        """P1 and P2 have their sensors on board C: without it nobody knows whether a position is empty. Pickups still work.

        Requirement: F2, F4
        """
        put = self.store(size="M")
        self.assertEqual(put.slot, "P1")
        self.sim.do("board C silent")
        wait(lambda: self.admin.position("P1", 2)[3] == "unknown", "the sensors' silence")
        other = self.store(size="M")
        self.assertEqual(other.slot, "P3")
        session = self.recipient(put.receipt["code"])
        place = session.collect()
        self.take(place)
        session.accept()
        self.shut(place)
        session.wait_prompt("collected")


main()
