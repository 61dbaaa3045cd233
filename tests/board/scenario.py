# SPDX-License-Identifier: Apache-2.0
"""How a scenario of the virtual board is written, and how one is run.

    @scenario(start="ready")
    def test_a_thing_happens(board):
        '''What it shows.

        Requirement: F1
        '''

start: "blank", a new disk without lockerd; "radio", likewise, on a board that has BlueZ, and with lockerd-ble among the packages; "ready", a running cabinet with an enrolled courier, from a snapshot; "next", the machine as the scenario before it in the
file left it. long=True: only in the long run.
"""
import dataclasses
import inspect
import pathlib
import re
import shutil
import threading
import time
import traceback

from board import Board, Broken

SCENARIOS = []
SNAPSHOT = "ready"


class Skipped(Exception):
    """Cannot be shown here; says why."""


@dataclasses.dataclass
class Scenario:
    function: object
    module: str
    start: str
    long: bool

    @property
    def name(self):
        return self.function.__name__

    @property
    def tags(self):
        found = re.search(r"Requirements?: *([A-Z0-9, ]+)", self.function.__doc__ or "")
        return found[1].strip() if found else ""


@dataclasses.dataclass
class Verdict:
    scenario: Scenario
    word: str = "ok"
    detail: str = ""
    seconds: float = 0.0


def scenario(start="ready", long=False):
    def register(function):
        SCENARIOS.append(Scenario(function, inspect.getmodule(function).__name__, start, long))
        return function
    return register


def stories(wanted):
    """Lists of scenarios that share a machine, in order."""
    result = []
    for s in wanted:
        if s.start == "next" and result and result[-1][-1].module == s.module:
            result[-1].append(s)
        else:
            result.append([s])
    return result


class Runner:
    """Runs stories side by side, each on a machine of its own."""

    def __init__(self, setup, out, jobs):
        self.setup, self.out, self.jobs = setup, pathlib.Path(out), jobs
        self.verdicts = []
        self.lock = threading.Lock()
        self.boots = []
        self.machines = 0

    def say(self, verdict):
        with self.lock:
            self.verdicts.append(verdict)
            first = verdict.detail.splitlines()[0] if verdict.detail else ""
            tags = f"[{verdict.scenario.tags}] " if verdict.scenario.tags else ""
            print(f"{verdict.word:7} {verdict.scenario.name:52} {verdict.seconds:5.0f} s  {tags}{first}", flush=True)
            for line in verdict.detail.splitlines()[1:] if verdict.word == "FAILED" else []:
                print(f"        {line}", flush=True)

    def run(self, all_stories):
        queue = list(all_stories)

        def work():
            while True:
                with self.lock:
                    if not queue:
                        return
                    story = queue.pop(0)
                self.story(story)
        threads = [threading.Thread(target=work) for _ in range(self.jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def story(self, story, keep_board=False):
        """One after the other on one machine; what comes after a failure has no machine to go on with. → the board when it is to be kept."""
        board = None
        for s in story:
            verdict = Verdict(s)
            start = time.monotonic()
            for attempt in (1, 2):
                try:
                    if board is None:
                        board = self.board(s)
                    verdict.detail = s.function(board) or verdict.detail
                    break
                except Skipped as reason:
                    verdict.word, verdict.detail = "skipped", str(reason)
                    break
                except Exception as problem:
                    machine = isinstance(problem, Broken)
                    what = f"the machine, not lockerd: {problem}" if machine else f"{type(problem).__name__}: {problem}"
                    self.save(board, s, what + "\n\n" + traceback.format_exc())
                    board = None
                    # A machine that does not come up, or goes away, is tried again once: with a new one, so only where a scenario begins.
                    if machine and attempt == 1 and s.start != "next":
                        verdict.detail = f"on the second machine; the first: {str(problem).splitlines()[0]}"
                        continue
                    verdict.word, verdict.detail = "FAILED", what + "\n" + "".join(traceback.format_tb(problem.__traceback__)[-3:])
                    break
            verdict.seconds = time.monotonic() - start
            self.say(verdict)
            if verdict.word == "FAILED":
                for rest in story[story.index(s) + 1:]:
                    self.say(Verdict(rest, "FAILED", f"not run: it goes on from {s.name}"))
                break
        if board and keep_board:
            return board
        if board:
            self.boots += board.boot_seconds
            self.save(board, story[-1], None)
        return None

    def board(self, s):
        # Short: sockets lie there, and their paths must be.
        with self.lock:
            self.machines += 1
            directory = self.out / "m" / str(self.machines)
        board = Board(self.setup.radio() if s.start == "radio" else self.setup, directory)
        try:
            if s.start == "ready":
                board.boot(base=self.setup.ready, snapshot=SNAPSHOT)
            else:
                board.boot()
        except BaseException:
            board.close(keep=self.out / s.name)
            raise
        return board

    def save(self, board, s, problem):
        """Journal, ledger and verdict of a scenario."""
        target = self.out / s.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        (target / "verdict").write_text(problem or "ok\n")
        if board:
            try:
                board.close(keep=target)
            except Exception as error:
                (target / "not-closed").write_text(str(error))

    def table(self):
        """Name, verdict and requirements of everything, to a file; the counted line."""
        count = {word: sum(v.word == word for v in self.verdicts) for word in ("ok", "FAILED", "skipped")}
        rows = [f"| {v.scenario.name} | {v.word} | {v.seconds:.0f} s | {v.scenario.tags} | {v.detail.splitlines()[0] if v.detail else ''} |"
                for v in self.verdicts]
        (self.out / "verdicts.md").write_text("| scenario | verdict | time | requirements | |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n")
        if self.boots:
            print(f"boots: {len(self.boots)}, {min(self.boots):.1f} to {max(self.boots):.1f} s")
        print(f"{count['ok']} passed, {count['FAILED']} failed, {count['skipped']} skipped")
        return 1 if count["FAILED"] else 0
