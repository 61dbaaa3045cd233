# SPDX-License-Identifier: Apache-2.0
"""What people do in front of the cabinet, for the scenario tests.

Hands are slower than machines: a door is pushed shut only when its coil is off again (else it springs open), and nobody reaches
in before the door has sprung open.
"""
import contextlib
import json
import os
import time

from daemonlib import DaemonTest, wait

__all__ = ["Scenario"]


class Scenario(DaemonTest):
    """A DaemonTest with couriers, recipients and their hands."""

    def lock_name(self, slot, position):
        """As the simulator knows it, also while the daemon is down."""
        name = f"{slot}/{position}"
        return name if name in self.sim.state()["positions"] else slot

    # --- hands

    def reach(self, place):
        """Waits until the place lies open in front of the person (a motor lid is pulled) → its name in locksim."""
        lock = self.lock_name(place.slot, place.position)
        self.sim.wait(place.slot, door="open")
        if lock != place.slot:
            if self.sim.place(lock)["kind"] == "motor":
                self.sim.wait(lock, latch="released")
                if self.sim.place(lock)["door"] == "shut":
                    self.sim.do(f"open {lock}")
            self.sim.wait(lock, door="open")
        return lock

    def push(self, lock):
        """Pushes one door or lid shut."""
        self.sim.wait(lock, coil=False)
        self.sim.do(f"close {lock}")

    def shut(self, place, lid=True):
        """Shuts the lid, if there is one, and the door."""
        lock = self.lock_name(place.slot, place.position)
        if lid and lock != place.slot:
            self.push(lock)
        self.push(place.slot)

    def put(self, place):
        self.sim.do(f"put {self.reach(place)}")

    def take(self, place):
        self.sim.do(f"take {self.reach(place)}")

    def item(self, place):
        """Does something lie there?"""
        return self.sim.place(self.lock_name(place.slot, place.position))["item"]

    # --- whole errands

    def put_in(self, session, put):
        self.put(put)
        self.shut(put)
        session.wait_prompt("stored")

    def store(self, size="S", end=True, session=None, **request):
        """One parcel from door to door → Deposit."""
        session = session or self.courier()
        put = session.deposit(size=size, **request)
        self.put_in(session, put)
        if end:
            session.end()
        return put

    def recipient(self, code, client=None, **claim):
        """Somebody who has typed a right code."""
        session = (client or self.client).start_session("recipient")
        session.authenticate_code(code, **claim)
        return session

    def collect(self, code, **claim):
        """A recipient comes, takes, accepts, shuts the door and leaves → Collect."""
        session = self.recipient(code, **claim)
        place = session.collect()
        self.take(place)
        session.accept()
        self.shut(place)
        session.wait_prompt("collected")
        session.end()
        return place

    # --- what the cabinet must and must not have done

    def now_us(self):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000

    @contextlib.contextmanager
    def only(self, *allowed):
        """No lock but these is energised, unlatched or opened at any moment of the block, by locksim's own journal."""
        since = os.path.getsize(self.sim.journal_path)
        yield
        with open(self.sim.journal_path, encoding="utf-8") as f:
            f.seek(since)
            moves = [json.loads(line) for line in f if '"rx"' not in line and '"tx"' not in line]
        strays = [j for j in moves
                  if (j["event"] == "coil" and j["on"] or j["event"] == "latch" and j["state"] == "released" or
                      j["event"] == "door" and j["state"] == "open") and j.get("lock") not in allowed]
        self.assertEqual(strays, [], f"only {allowed} may move")

    def opened(self, *locks):
        """How often each of these doors and lids has been opened so far."""
        return [self.sim.place(lock)["openings"] for lock in locks]

    def energised(self):
        state = self.sim.state()
        return {name: board["coils"] for name, board in state["boards"].items() if board["coils"]}

    def wait_event(self, type, after=0, **data):
        """The first event of this type behind `after` that has these data."""
        return wait(lambda: next((e for e in self.admin.events(after) if e.type == type and
                                  all(e.data.get(k) == v for k, v in data.items())), None), f"event {type} {data}")

    def last_event(self):
        """The newest sequence number."""
        last = 0
        while True:
            rows = self.admin.events(last)
            if not rows:
                return last
            last = rows[-1].sequence

    def event_types(self, after=0, subject=None):
        return [e.type for e in self.admin.events(after) if subject in (None, e.subject)]

    def states_of(self, parcel):
        """The states that a parcel has gone through, as recorded."""
        number = int(parcel.rsplit("/", 1)[1]) if isinstance(parcel, str) else parcel
        return [e.type.removeprefix("parcel.") for e in self.admin.events() if e.subject == f"parcel:{number}" and
                e.type.startswith("parcel.")]

    def gone(self, parcel):
        """Waits until the parcel is in the history → its facts."""
        number = int(parcel.rsplit("/", 1)[1])
        wait(lambda: number not in self.admin.parcels(), f"the end of parcel {number}")
        return self.admin.find_history(number)
