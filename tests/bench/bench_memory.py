# SPDX-License-Identifier: Apache-2.0
"""The memory of daemon and workers that serve 512 slots, after some activity.

PSS counts a page that n processes share as 1/n, so that what other programs share makes it smaller and the sum over our processes
right. The private part, which nobody else's presence changes, is printed with it. --alone: with libraries that no other program of this
machine has mapped (copies), as on a computer that runs little else; all of their pages are in memory then, so that the kernel maps sixteen
where one is read: an upper bound. The whole-ledger check and lockerd-hash run only now
and then; the most that was ever seen is printed, too.
"""
import os
import shutil
import subprocess
import threading
import time

from benchlib import CABINET, PROPERTIES, ROOT, BenchCabinet, Refused, Terminal, arguments, cabinet_text, dictionary, report, settings_for

GOAL_KIB = 10 * 1024
GOAL_ALONE_KIB = 5 * 1024
REST = 14  # seconds after which nobody counts as being there


class Alone(BenchCabinet):
    """With libraries of its own."""

    def __init__(self, build, *args, **keys):
        super().__init__(build, *args, **keys)
        self.libraries = os.path.join(self.directory, "libraries")
        os.mkdir(self.libraries)
        for program in ("src/daemon/lockerd", "src/line/lockerd-line", "src/line/lockerd-open"):
            done = subprocess.run(["ldd", os.path.join(build, program)], capture_output=True, text=True, check=True)
            for line in done.stdout.splitlines():
                if "=> /" in line:
                    shutil.copy(line.split("=> ")[1].split()[0], self.libraries)

    def environment(self):
        return super().environment() | {"LD_LIBRARY_PATH": self.libraries}


def sizes(pid):
    """{"Pss": KiB, …}"""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return {key: int(rest.split()[0]) for key, rest in (line.split(":", 1) for line in f.readlines()[1:])}


def look(cabinet):
    """[(name, KiB PSS, KiB private, KiB resident)]"""
    rows = []
    for pid in cabinet.processes():
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                name = f.read().strip()
            size = sizes(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        rows.append((name, size["Pss"], size["Private_Clean"] + size["Private_Dirty"], size["Rss"]))
    return rows


class Watch(threading.Thread):
    """Notes the most that all processes together ever take."""

    def __init__(self, cabinet):
        super().__init__(daemon=True)
        self.cabinet, self.most, self.over = cabinet, [], threading.Event()

    def run(self):
        while not self.over.wait(0.02):
            rows = look(self.cabinet)
            if sum(r[1] for r in rows) > sum(r[1] for r in self.most):
                self.most = rows


def activity(cabinet, deposits):
    terminal = Terminal(cabinet)
    terminal.enrol_courier()
    for i in range(100):
        terminal.bus.call(ROOT, CABINET, "Enrol", "a{sv}",
                          dictionary(kind="recipient", phone=f"+49 151 {i:07}", name=f"Recipient {i}"))
    parcels = []
    path = terminal.courier()
    for _ in range(deposits):
        terminal.deposit(path, parcels, recipient="Erika Mustermann", phone="+49 170 1234567")
    terminal.session(path, "End")
    for slot, code, _ in parcels[::2]:
        path = terminal.start("recipient").value
        try:
            terminal.authenticate(path, "code", code="ZZZZZZ", slot=slot)
        except Refused:
            pass
        terminal.authenticate(path, "code", code=code, slot=slot)
        terminal.opening(path, "Collect", "o", "/")
        terminal.session(path, "Accept")
        terminal.sim.do(f"take {slot}")
        terminal.shut(slot, path, "collected")
        terminal.session(path, "End")
    for _ in range(5):
        terminal.bus.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        terminal.bus.call(ROOT, CABINET, "GetEvents", "tu", 0, 1000)
        terminal.bus.call(ROOT, PROPERTIES, "GetAll", "s", CABINET)
    terminal.close()


def show(title, rows):
    print(f"{title}: " + ", ".join(f"{n} {pss / 1024:.2f} (private {private / 1024:.2f}, resident {rss / 1024:.2f})"
                                   for n, pss, private, rss in rows) + " MiB")


def main():
    args = arguments(__doc__, deposits=(30, "parcels that come; half of them go"),
                     alone=(False, "nobody else has its libraries mapped"))
    text = cabinet_text(16, channels=32, profile="generic-pulse-32", baud=19200, lines=2)
    goal = GOAL_ALONE_KIB if args.alone else GOAL_KIB
    with (Alone if args.alone else BenchCabinet)(args.build, text, settings_for(), fast=True) as cabinet:
        show("just started", look(cabinet))
        watch = Watch(cabinet)
        watch.start()
        activity(cabinet, 4 if args.short else args.deposits)
        time.sleep(REST)
        watch.over.set()
        watch.join()
        rows = look(cabinet)
        show("afterwards", rows)
        show("the most", watch.most)
        total = sum(r[1] for r in rows)
        lasting = sum(r[1] for r in rows if r[0] in ("lockerd", "lockerd-line", "lockerd-open"))
        report("memory of 512 slots, daemon and line workers", f"{lasting / 1024:.2f}", f"≤ {goal // 1024} MiB PSS", lasting <= goal, " MiB PSS")
        report("memory of 512 slots, everything", f"{total / 1024:.2f}", f"≤ {goal // 1024} MiB PSS", total <= goal, " MiB PSS")


if __name__ == "__main__":
    main()
