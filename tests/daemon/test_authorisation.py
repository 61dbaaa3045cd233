# SPDX-License-Identifier: Apache-2.0
"""Who may call what: every method of the interfaces as a member of the kiosk's group, of the operators' group, and of neither."""
import os
import re
import unittest
import xml.etree.ElementTree as ET

from daemonlib import (ADMIN_GROUP, CABINET, KIOSK_GROUP, NAME, PARCEL, PROPERTIES, ROOT, SESSION, SLOT, XML, DaemonTest, main,
                       own_name, slot_path, wait)

DOC = "{http://www.freedesktop.org/dbus/1.0/doc.dtd}"
DENIED = f"{NAME}.Error.AccessDenied"
# Arguments that are refused once the caller is let in, so that nothing happens.
HARMLESS = {"s": "''", "t": "uint64 0", "u": "uint32 0", "o": "objectpath '/nowhere'", "a{sv}": "@a{sv} {}"}


def described():
    """[(interface, member, group, arguments)] as the description of the interfaces says."""
    rows = []
    for interface in ET.parse(XML).getroot().findall("interface"):
        for method in interface.findall("method"):
            said = re.search(r"Group: (\w+)\.", method.findtext(f"{DOC}doc/{DOC}summary"))
            # Sessions are the terminal's.
            group = said[1] if said else {SESSION: "kiosk"}[interface.get("name")]
            types = [a.get("type") for a in method.findall("arg") if a.get("direction") == "in"]
            text = "(" + ", ".join(HARMLESS[t] for t in types) + ("," if len(types) == 1 else "") + ")" if types else None
            rows.append((interface.get("name"), method.get("name"), group, text))
    # End comes last: it takes away what the others are tried on.
    return sorted(rows, key=lambda row: row[1] == "End")


@unittest.skipIf(os.getuid() != 0, "calling as other users needs root")
class Authorisation(DaemonTest):
    settings = {"Session": {"IdleTimeout": "10min"}}

    def calls(self, session, parcel):
        objects = {CABINET: ROOT, SLOT: slot_path("01"), PARCEL: parcel, SESSION: session}
        return [(objects[interface], interface, member, text) for interface, member, _, text in described()]

    def test_every_method_for_every_group(self):
        put = self.store()
        session = self.client.start_session("courier")
        head = None
        for groups, is_kiosk, is_admin in (((), False, False), ((ADMIN_GROUP,), False, True), ((KIOSK_GROUP,), True, False),
                                           ((KIOSK_GROUP, ADMIN_GROUP), True, True)):
            # A terminal tries its own session, the others somebody's.
            path = "{session}" if is_kiosk else session.path
            begin = [(ROOT, CABINET, "StartSession", "('courier',)")] if is_kiosk else []
            answers = self.cabinet.run_as(begin + self.calls(path, put.parcel), groups)[len(begin):]
            for (interface, member, group, _), (error, message) in zip(described(), answers):
                with self.subTest(f"{interface}.{member} as {groups}"):
                    if is_admin if group == "admin" else is_kiosk:
                        self.assertNotEqual(error, DENIED, message)
                    else:
                        self.assertEqual(error, DENIED, message)
                        self.assertIn(f'"{ADMIN_GROUP if group == "admin" else KIOSK_GROUP}"', message)
            if not groups:
                head = self.admin.cabinet("AuditHead")
                self.assertEqual(session.state, "new")
        self.assertIsNotNone(head)
        self.assertEqual(self.admin.parcel(put.parcel)["State"], "stored")

    def test_refused_calls_leave_no_trace_in_the_ledger(self):
        put = self.store()
        session = self.client.start_session("courier")
        head = self.admin.cabinet("AuditHead")
        answers = self.cabinet.run_as(self.calls(session.path, put.parcel))
        self.assertEqual({error for error, _ in answers}, {DENIED})
        self.assertEqual(self.admin.cabinet("AuditHead"), head)
        self.assertEqual(session.state, "new")

    def test_properties_are_open_to_everybody(self):
        put = self.store()
        calls = [(path, PROPERTIES, "GetAll", f"('{interface}',)") for path, interface in
                 ((ROOT, CABINET), (slot_path("01"), SLOT), (put.parcel, PARCEL))]
        calls.append((ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None))
        for error, message in self.cabinet.run_as(calls):
            self.assertEqual(error, "ok", message)

    def test_session_of_another_terminal_is_refused(self):
        """Requirement: A6"""
        session = self.courier()
        put = session.deposit(size="S")
        for (error, message), (_, member, _, _) in zip(
                self.cabinet.run_as([c for c in self.calls(session.path, put.parcel) if c[1] == SESSION], (KIOSK_GROUP,)),
                [d for d in described() if d[0] == SESSION]):
            self.assertEqual(error, DENIED, member)
            self.assertIn("another program", message)
        # Nor by the same user on another connection.
        self.assertRefused("AccessDenied", self.admin.call, session.path, SESSION, "Cancel")
        self.put_in(session, put)

    def test_prompts_go_to_the_terminal_only(self):
        session = self.courier()
        put = session.deposit(size="S")
        self.put_in(session, put)
        wait(lambda: any(s.path == put.parcel for s in self.admin.signals), "the operator hears of the parcel")
        self.assertTrue([s for s in self.client.signals if s.member == "Prompt"])
        self.assertFalse([s for s in self.admin.signals if s.member == "Prompt"])

    def test_calls_before_the_caller_is_known_are_answered_in_order(self):
        order = []
        client = self.cabinet.client()
        pending = [client.begin(slot_path("03"), SLOT, "Disable" if i % 2 == 0 else "Enable", "us", 0, f"number {i}")
                   for i in range(40)]
        for i, p in enumerate(pending):
            wait(lambda p=p: p.done, "an answer")
            p.result()
            order.append(i)
        rows = [e for e in self.admin.events() if e.subject == "slot:03"]
        self.assertEqual(len(rows), 40)
        self.assertEqual(self.admin.slot("03")["Service"], "in")

    def test_operator_is_named_in_the_ledger_with_the_reason(self):
        """Requirement: F8"""
        import sqlite3
        self.admin.disable("05", reason="hinge squeaks")
        self.cabinet.stop_daemon()
        ledger = sqlite3.connect(f"file:{self.cabinet.ledger}?mode=ro", uri=True)
        text = "\n".join(repr(row) for row in ledger.execute("SELECT * FROM audit"))
        ledger.close()
        self.assertIn(f"operator:{own_name()}", text)
        self.assertIn("hinge squeaks", text)

    def test_terminal_that_leaves_takes_its_sessions_along(self):
        gone = self.cabinet.client()
        first, second = gone.start_session("courier"), gone.start_session("recipient")
        stays = self.client.start_session("courier")
        gone.close()
        wait(lambda: {first.path, second.path}.isdisjoint(self.admin.objects()), "sessions ended")
        self.assertEqual(stays.state, "new")


@unittest.skipIf(os.getuid() != 0, "calling as other users needs root")
class MissingGroup(DaemonTest):
    settings = {"Bus": {"AdminGroup": "no-such-group-here", "KioskGroup": KIOSK_GROUP}}

    def test_only_root_has_the_rights_of_a_missing_group(self):
        self.cabinet.wait_log("no-such-group-here")
        self.assertEqual(self.admin.people(), [])
        answers = self.cabinet.run_as([(ROOT, CABINET, "ListPeople", None), (ROOT, CABINET, "StartSession", "('courier',)")],
                                      (KIOSK_GROUP, ADMIN_GROUP))
        self.assertEqual(answers[0][0], DENIED)
        self.assertEqual(answers[1][0], "ok")


main()
