#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Would the walk and the breadth-first test see it? Faults are put, one at a time, into a copy of the errands' code; each must be
caught.   errand_mutants.py SOURCE-ROOT BUILD-ROOT

A mutant replaces one text, which must be there exactly once. Its sources are compiled as the build does (compile_commands.json) and
linked in front of the libraries that have them unchanged. What catches it is said with the step at which it did."""
import json
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

STEPS, SEEDS = 30000, range(1, 9)

# name, file, text, replacement
MUTANTS = [
    ("a missing edge: a shut door does not end a look", "src/core/errand.c",
     "        {LOOKING, LOOK, BECOMES(NOTHING_LEFT)},\n", ""),
    ("a dropped deadline: a ledger that failed is not tried again", "src/core/errand.c",
     "return event == ERRAND_NOT_WRITTEN ? now + RETRY_USEC : USEC_INFINITY;", "return USEC_INFINITY;"),
    ("the slot of an errand that is done stays held", "src/core/errand.c",
     "ret->effects |= ERRAND_FREE_SLOT;", "ret->effects |= 0;"),
    ("an answer twice", "src/locker/errand.c",
     "        if (reply)\n                reply(e->reply_userdata, &answer);\n",
     "        if (reply)\n                reply(e->reply_userdata, &answer);\n        if (reply && result)\n"
     "                reply(e->reply_userdata, &answer);\n"),
    ("a lid is not locked", "src/cabinet/securing.c",
     "h->cabinet->locks[lock].kind == LOCK_MOTOR && lid_is_open", "h->cabinet->locks[lock].kind == LOCK_LATCH && lid_is_open"),
    ("what was said is not written", "src/locker/errand.c",
     "        p.choice = e->choice;\n", ""),
    ("a full disk is not made up for: a lid's intent", "src/cabinet/securing.c",
     "h->lids_at = MIN(h->lids_at, h->records->now().boot_usec + RECORDS_RETRY_USEC);", "(void)h;"),
    ("a rejected item counts as collected when it lies there", "src/core/errand.c",
     "{LOOKING, COLLECT, SAID(REJECT), BECOMES(REJECTED)}", "{LOOKING, COLLECT, SAID(REJECT), BECOMES(COLLECTED)}"),
    ("a lock moves before its intent is written", "src/cabinet/movements.c",
     "        if (m->action == LOCK_ACTION_UNLOCK && !door_command(",
     "        (void)movement_settle_in(m, \"withdrawn\");\n        if (m->action == LOCK_ACTION_UNLOCK && !door_command("),
    ("a stuck door holds its slot", "src/cabinet/sight.c",
     "return h->moving[lock] ? ERRAND_DOOR_OPEN : ERRAND_DOOR_STUCK;", "return ERRAND_DOOR_OPEN;"),
    ("an interrupted errand is not taken up", "src/locker/recover.c",
     "                r = take_up_all(l);", "                r = 0;"),
    ("a start settles what this run has begun", "src/locker/recover.c",
     "if (all.rows[i].id > l->recover_until)", "if (false)"),
    ("a session that ends leaves its errand waiting", "src/locker/sessions.c",
     "                errand_event(e, ERRAND_LEAVE);\n        }\n        /* It is freed", "        }\n        /* It is freed"),
    ("a lid that comes home behind a shut door is not looked at", "src/cabinet/doors.c",
     "                        hardware_changed(h, k->slot, fact->index, 0);\n"
     "                        notify_slot", "                        notify_slot"),
    ("others of the slot are not told of a pulse that was not sent", "src/cabinet/movements.c",
     "                hardware_changed(h, slot, lock, 0); /* others", "                (void)slot; /* others"),
    ("a take-back whose lid is stuck is not answered", "src/locker/errand.c",
     "was_at_work && (!errand_is_at_work(&e->m) || e->session != s)", "was_at_work && !errand_is_at_work(&e->m)"),
    ("a door that stays open keeps its session", "src/locker/sessions.c",
     "return rests(s) || (!s->gone", "return rests(s) || (false && !s->gone"),
    ("a door that is left open and does not latch is nobody's", "src/cabinet/sight.c",
     "return lid_is_open(h, h->cabinet->slots[slot].lock) && d->reported", "return door_is_open(d) && d->reported"),
    ("a door that is found forced is taken for a wrong door", "src/cabinet/doors.c",
     "happened & DOOR_FORCED_OPEN && !(happened & DOOR_FOUND))\n                movement", "happened & DOOR_FORCED_OPEN)\n                movement"),
]


def run(arguments, **more):
    return subprocess.run(arguments, capture_output=True, text=True, errors="replace", **more)


class Build:
    def __init__(self, source, build):
        self.source, self.build = Path(source).resolve(), Path(build).resolve()
        self.commands = {}
        for entry in json.loads((self.build / "compile_commands.json").read_text()):
            name = (Path(entry["directory"]) / entry["file"]).resolve()
            if name.is_relative_to(self.source):
                self.commands.setdefault(str(name.relative_to(self.source)), entry)
        text = run(["ninja", "-C", self.build, "-t", "commands", "tests/unit/test_errand_walk", "tests/unit/test_errand"]).stdout
        self.links = {}
        for line in text.splitlines():
            found = re.search(r" -o (tests/unit/test_errand(?:_walk)?) ", line)
            if found:
                self.links[Path(found[1]).name] = shlex.split(line)

    def compile(self, name, text, directory):
        copy, out = directory / Path(name).name, directory / (Path(name).stem + ".o")
        copy.write_text(text)
        arguments = shlex.split(self.commands[name]["command"])
        arguments[arguments.index("-o") + 1] = str(out)
        arguments = [a for a in arguments if a != "-Werror"]
        for i, a in enumerate(arguments):
            if a == "-MF":
                arguments[i + 1] = str(out) + ".d"
            if a == "-c":
                arguments[i + 1] = str(copy)
        r = run(arguments, cwd=self.commands[name]["directory"])
        if r.returncode:
            sys.exit(f"a mutant of {name} does not compile:\n{r.stderr}")
        return out

    def link(self, program, objects, directory):
        arguments = list(self.links[program])
        at = arguments.index("-o")
        arguments[at + 1] = str(directory / program)
        first = next(i for i, a in enumerate(arguments) if a.endswith(".o"))
        arguments[first:first] = [str(o) for o in objects]
        r = run(arguments, cwd=self.build)
        if r.returncode:
            sys.exit(f"a mutant of {program} does not link:\n{r.stderr}")
        return directory / program


def verdict(program, arguments):
    """None when it finds nothing; else what it says."""
    try:
        r = run([program, *arguments], timeout=300)
    except subprocess.TimeoutExpired:
        return "it hangs"
    if not r.returncode:
        return None
    lines = (r.stdout + r.stderr).splitlines()
    said = [line for line in lines if (line.startswith("seed ") and ", step " in line) or "ERROR: " in line or "exception" in line]
    return said[0].removeprefix("ERROR: ") if said else f"ends with {r.returncode}"


def hunt(build, name, text):
    """By the breadth-first test, if that sees it, and by the walk."""
    caught = []
    with tempfile.TemporaryDirectory() as d:
        directory = Path(d)
        objects = [build.compile(name, text, directory)]
        if name.startswith("src/core/"):
            said = verdict(build.link("test_errand", objects, directory), [])
            if said:
                caught.append("breadth first: " + said)
        walk = build.link("test_errand_walk", objects, directory)
        for seed in SEEDS:
            said = verdict(walk, [str(STEPS), str(seed)])
            if said:
                caught.append("walk: " + said)
                break
    return caught


def main():
    build = Build(sys.argv[1], sys.argv[2])
    tasks = []
    for what, name, find, replace in MUTANTS:
        text = (build.source / name).read_text()
        if text.count(find) != 1:
            sys.exit(f"{what}: the text is {text.count(find)} times in {name}")
        tasks.append((what, name, text.replace(find, replace)))
    clean = hunt(build, MUTANTS[0][1], (build.source / MUTANTS[0][1]).read_text())
    if clean:
        sys.exit(f"the code as it is is caught: {clean}")
    missed = 0
    with ThreadPoolExecutor(2) as pool:
        for (what, name, _), caught in zip(tasks, pool.map(lambda t: hunt(build, t[1], t[2]), tasks)):
            missed += not caught
            for i, line in enumerate(caught or ["NOT CAUGHT"]):
                print(f"{what if i == 0 else '':62} {line}", flush=True)
    print(f"{len(tasks) - missed} of {len(tasks)} mutants are caught")
    return missed != 0


if __name__ == "__main__":
    sys.exit(main())
