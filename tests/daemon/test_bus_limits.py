# SPDX-License-Identifier: Apache-2.0
"""Clients of the bus that want too much: one never reads what it is answered, one takes every session."""
import contextlib
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import daemonlib
from daemonlib import NAME, ROOT, DaemonTest, DBusError, main
from dbusclient import dictionary, wait
from gi.repository import Gio
from people import Scenario

# What the bus keeps of one sender for its readers: so that a test need not send 127 MiB.
daemonlib.BUS_CONFIG = daemonlib.BUS_CONFIG.replace("</busconfig>", '<limit name="max_incoming_bytes">20000000</limit></busconfig>')

MANAGER = "org.freedesktop.DBus.ObjectManager"


class Deaf:
    """A connection that calls some hundred times a second, and never reads."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(address.split("unix:path=", 1)[1].split(",", 1)[0])
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        self.socket.recv(200)
        self.socket.sendall(b"BEGIN\r\n" + self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", 1))
        self.socket.recv(4096)
        self.sent = 0
        self.done = False
        self.thread = threading.Thread(target=self.flood, daemon=True)

    @staticmethod
    def call(name, path, interface, member, serial):
        m = Gio.DBusMessage.new_method_call(name, path, interface, member)
        m.set_serial(serial)
        return m.to_blob(Gio.DBusCapabilityFlags.NONE)

    def flood(self):
        calls = b"".join(self.call(NAME, ROOT, MANAGER, "GetManagedObjects", i) for i in range(2, 52))
        at = 0
        self.socket.settimeout(0.2)
        while not self.done:
            with contextlib.suppress(TimeoutError):
                n = self.socket.send(calls[at:])
                at = (at + n) % len(calls)
                self.sent += n
            time.sleep(0.1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()
        self.socket.close()


class Deafness(DaemonTest):
    cabinet_file = "cabinet-60.conf"

    def test_client_that_never_reads_holds_up_nobody_else(self):
        """What it is owed counts at the bus against the daemon, which then was heard by nobody: for 270 s, until that client left.

        Requirement: F4, F17
        """
        worst = 0
        with Deaf(self.cabinet.bus.address) as deaf:
            end = time.time() + 15
            while time.time() < end:
                begin = time.time()
                self.assertEqual(self.admin.slot("05")["Door"], "locked")
                worst = max(worst, time.time() - begin)
                time.sleep(0.05)
            self.cabinet.wait_log("does not read what it is answered")
            self.assertGreater(deaf.sent, 500000)
            self.admin.open_slot("05")
        self.assertLess(worst, 20, "some moments on a busy machine, not minutes")

    def test_client_that_reads_is_served_however_much_it_asks(self):
        """Requirement: F4"""
        for _ in range(1400):  # more than is owed to one that does not
            self.client.call(ROOT, "org.freedesktop.DBus.Introspectable", "Introspect")
        self.assertEqual(self.client.slot("05")["Door"], "locked")
        self.assertNotIn("does not read", self.cabinet.log())


class Sessions(Scenario):
    def rows(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM session").fetchone()[0]

    def test_one_client_does_not_take_every_session(self):
        """Requirement: F4, F17"""
        mine = [self.client.start_session("recipient") for _ in range(20)]
        self.assertEqual([s.exists for s in mine], [False] * 16 + [True] * 4, "the oldest in which nothing goes on gave way")
        other = self.cabinet.client()
        other.start_session("courier").end()
        self.assertTrue(mine[-1].exists)

    def test_session_at_which_somebody_is_gives_way_to_nobody(self):
        """Doors that are open, and one that may be opened again; a session that does nothing gives way before.

        Requirement: A6, F4, F17
        """
        busy = [self.courier(), self.courier(), self.courier()]
        puts = [session.deposit(size="S") for session in busy]
        self.put(puts[0])
        self.push(puts[0].slot)
        busy[0].wait_prompt("stored")
        idle = self.client.start_session("recipient")
        last = self.courier()
        self.assertFalse(idle.exists)
        self.reach(last.deposit(size="S"))
        with self.assertRaises(DBusError) as refused:
            self.client.start_session("recipient")
        self.assertEqual(refused.exception.short, "TooManySessions")
        self.assertIn("This program", refused.exception.message)
        self.assertEqual([s.exists for s in busy + [last]], [True] * 4)
        busy[0].reopen()
        busy[0].end()
        self.client.start_session("recipient").end()

    def test_sessions_in_which_nobody_signed_in_leave_nothing(self):
        """Requirement: F4"""
        put = self.store()
        before = self.rows()
        for _ in range(200):
            self.client.start_session("recipient").end()
        self.assertEqual(self.rows(), before)
        last = self.client.start_session("recipient")
        self.assertGreater(int(last.path.rsplit("/", 1)[1]), 200, "a number is never used again")
        last.end()
        session = self.admin.start_session("recipient")
        session.authenticate_code(put.receipt["code"])
        session.end()
        self.cabinet.restart()
        self.assertEqual(self.rows(), before + 1, "who was it is kept")


class GivenUp(Scenario):
    def test_client_that_gives_up_at_once_leaves_the_others_their_turn(self):
        """What it has asked for and does not wait for any more takes nobody's place in the queue for hashes.

        Requirement: F4, F17
        """
        self.admin.enrol_courier("4711", "258036")
        session = self.client.start_session("courier")
        session.authenticate_pin("4711", "258036")  # there is a worker now
        session.end()
        with stopped(self.cabinet.daemon.pid, "lockerd-hash"):
            for _ in range(80):
                session = self.client.start_session("courier")
                session.begin("Authenticate", "sa{sv}", "courier-pin", dictionary(number="4712", pin="111111"))
                session.end()
            session = self.cabinet.client().start_session("courier")
            pending = session.begin("Authenticate", "sa{sv}", "courier-pin", dictionary(number="4711", pin="258036"))
            self.admin.slots()  # it has been taken
        pending.result()
        self.assertEqual(session.state, "authenticated")


@contextlib.contextmanager
def stopped(daemon, name):
    """The daemon's worker of this name does nothing meanwhile."""
    with open(f"/proc/{daemon}/task/{daemon}/children", encoding="ascii") as f:
        pids = [int(p) for p in f.read().split()]
    [pid] = [p for p in pids if pathlib.Path(f"/proc/{p}/comm").read_text("ascii").strip() == name]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Names(DaemonTest):
    settings = {"Daemon": {"KeepNames": "1s"}, "Session": {"ReopenGrace": "0"}}

    def history(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            return db.execute("SELECT recipient IS NULL AND phone IS NULL AND phone_mac IS NULL FROM parcel_history").fetchall()

    def test_names_of_history_end_after_the_configured_time_once_the_clock_is_right(self):
        """Requirement: F9"""
        shim = os.path.join(self.cabinet.directory, "clockshim.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, pathlib.Path(__file__).with_name("clockshim.c")], check=True)
        put = self.store(recipient="Erika Mustermann", phone="+49 171 5559876")
        session = self.client.start_session("recipient")
        session.authenticate_code(put.receipt["code"])
        place = session.collect()
        self.sim.do(f"take {place.slot}", f"close {place.slot}")
        session.accept()
        session.wait_prompt("collected")
        time.sleep(1.2)
        self.cabinet.restart()
        self.assertEqual(self.history(), [(0,)], "nobody vouches for the clock")
        original = self.cabinet.environment
        self.cabinet.environment = lambda: {**original(), "LD_PRELOAD": shim, "CLOCKSHIM_SYNCED": "1",
                                            "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"}
        self.cabinet.restart()
        wait(lambda: self.history() == [(1,)], "name and phone gone")
        self.assertEqual(self.admin.find_history(put.parcel)["state"], "collected")


class Invented(DaemonTest):
    def test_invented_numbers_share_their_rows(self):
        """Requirement: F4, F15"""
        session = self.client.start_session("courier")
        for number in ("7001", "7002"):
            with self.assertRaises(DBusError):
                session.authenticate_pin(number, "258036")
        with contextlib.closing(sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)) as db:
            subjects = [s for s, in db.execute("SELECT subject FROM lockout")]
        unknown = [s for s in subjects if s.startswith("pin:")]
        self.assertTrue(unknown)
        for subject in unknown:
            self.assertRegex(subject, "^pin:unknown:[0-9a-f]{3}$")  # 4096 of them, whatever is invented


main()
