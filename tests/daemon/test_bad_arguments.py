# SPDX-License-Identifier: Apache-2.0
"""What is not well-formed is refused with a sentence that names it, and changes nothing."""
import os

from daemonlib import CABINET, PARCEL, ROOT, SESSION, SLOT, DaemonTest, GLib, main, slot_path

LONG = "x" * 257


def v(signature, value):
    return GLib.Variant(signature, value)


def s(**keys):
    return {k: v("s", x) if isinstance(x, str) else x for k, x in keys.items()}


class BadArguments(DaemonTest):
    def check(self, rows, unchanged):
        """rows: (path, interface, member, signature, arguments, what the sentence must contain)"""
        before = unchanged()
        for path, interface, member, signature, arguments, phrase in rows:
            with self.subTest(f"{member}{arguments}"[:120]):
                error = self.assertRefused("InvalidArgument", self.client.call, path, interface, member, signature, *arguments)
                self.assertIn(phrase, error.message)
                self.assertNotIn("\n", error.message)
        self.assertEqual(unchanged(), before)

    def head(self):
        return self.admin.cabinet("AuditHead"), self.admin.lockouts(), self.admin.people()

    def test_cabinet(self):
        person = [
            (s(kind="courier", number="7", pin="258036", colour="red"), '"colour" is not known'),
            (s(kind="courier", number="7", pin=v("t", 258036)), '"pin" must be a string'),
            (s(kind="courier", number="7", pin=v("as", ["258036"])), '"pin" must be a string'),
            (s(kind="recipient", phone="1234567", password="a b c d e f", consent="yes"), '"consent" must be a boolean'),
            (s(number="7", pin="258036"), '"kind" is missing'),
            (s(kind="courier", number="7", name=LONG, pin="258036"), '"name" is too long'),
            (s(kind="courier", number="7", name="An\nna", pin="258036"), '"name" contains control characters'),
            (s(kind="courier", number="7", name="An\x7fna", pin="258036"), '"name" contains control characters'),
            (s(kind="courier", number="7", name="An\u009bna", pin="258036"), '"name" contains control characters'),
            (s(kind="robot", number="7", pin="258036"), "kind"),
            (s(kind="courier", pin="258036"), ""),
            (s(kind="courier", number="se ven", pin="258036"), ""),
            (s(kind="recipient", phone="12345", password="long enough", consent=v("b", True)), ""),
            (s(kind="recipient", phone="1234567", password="long enough"), ""),
        ]
        rows = [(ROOT, CABINET, "Enrol", "a{sv}", (p,), phrase) for p, phrase in person]
        rows += [(ROOT, CABINET, member, signature, arguments, phrase) for member, signature, arguments, phrase in (
            ("StartSession", "s", ("robot",), '"kind" must be'),
            ("StartSession", "s", ("",), '"kind" must be'),
            ("Revoke", "ts", (1, ""), "reason is needed"),
            ("Revoke", "ts", (1, "   "), "reason is needed"),
            ("Revoke", "ts", (1, LONG), '"reason" is too long'),
            ("Revoke", "ts", (1, "a\tb"), '"reason" contains control characters'),
            ("LiftLockout", "ss", ("", "why"), '"subject" is empty'),
            ("LiftLockout", "ss", (LONG, "why"), '"subject" is too long'),
            ("LiftLockout", "ss", ("terminal", ""), "reason is needed"),
            ("GetEvents", "tu", (0, 0), '"limit" must be from 1 to 1000'),
            ("GetEvents", "tu", (0, 1001), '"limit" must be from 1 to 1000'),
            ("Backup", "s", ("",), "absolute"),
            ("Backup", "s", ("relative.db",), "absolute"),
            ("Backup", "s", ("/tmp/a\nb",), "control characters"),
            ("Backup", "s", ("/tmp/" + "x" * 1024,), "too long"),
            ("Backup", "s", (self.cabinet.directory + "/",), "must name a file"),
            ("Backup", "s", (self.cabinet.directory + "/nowhere/b.db",), "does not exist"),
            ("Backup", "s", (self.cabinet.ledger,), "exists already"),
            ("Backup", "s", (self.cabinet.ledger + "/b.db",), "does not exist"),
        )]
        files = set(os.listdir(self.cabinet.directory))
        self.check(rows, self.head)
        self.assertEqual(set(os.listdir(self.cabinet.directory)), files)

    def test_slot_and_parcel(self):
        put = self.store()
        slot = slot_path("03")
        rows = [(slot, SLOT, member, signature, arguments, phrase) for member, signature, arguments, phrase in (
            ("Open", "us", (0, ""), "reason is needed"),
            ("Open", "us", (0, "\x1b[2J"), "control characters"),
            ("Disable", "us", (0, ""), "reason is needed"),
            ("Enable", "us", (0, LONG), "too long"),
            ("Reconcile", "uss", (1, "elephant", "looked"), '"found" must be'),
            ("Reconcile", "uss", (0, "empty", "looked"), '"position" must be given'),
            ("Reconcile", "uss", (1, "empty", ""), "reason is needed"),
        )]
        rows += [(put.parcel, PARCEL, member, "s", ("",), "reason is needed") for member in ("Recall", "NewCode", "Release")]
        self.check(rows, lambda: (self.head(), self.admin.slots(), self.admin.parcels()))

    def test_session(self):
        """Requirement: D4"""
        session = self.courier()
        rows = [(session.path, SESSION, member, signature, arguments, phrase) for member, signature, arguments, phrase in (
            ("Authenticate", "sa{sv}", ("smile", {}), '"kind" must be'),
            ("Authenticate", "sa{sv}", ("courier-pin", s(number="4711")), '"pin" is missing'),
            ("Authenticate", "sa{sv}", ("courier-pin", s(number="4711", pin="258036", code="X")), '"code" is not known'),
            ("Authenticate", "sa{sv}", ("courier-pin", s(number=v("t", 4711), pin="258036")), '"number" must be a string'),
            ("Authenticate", "sa{sv}", ("code", {}), '"code" is missing'),
            ("Authenticate", "sa{sv}", ("code", s(code=LONG)), '"code" is too long'),
            ("Authenticate", "sa{sv}", ("code", s(code="ABC\x00".strip("\x00") + "\x01")), "control characters"),
            ("Authenticate", "sa{sv}", ("password", s(phone="1234567")), '"password" is missing'),
            ("Deposit", "a{sv}", ({},), '"size" is missing'),
            ("Deposit", "a{sv}", (s(size=v("u", 1)),), '"size" must be a string'),
            ("Deposit", "a{sv}", (s(size="S", parcel=v("u", 1)),), '"parcel" must be a number (t)'),
            ("Deposit", "a{sv}", (s(size="S", accessible="yes"),), '"accessible" must be a boolean'),
            ("Deposit", "a{sv}", (s(size="S", temperature="tepid"),), '"temperature" must be'),
            ("Deposit", "a{sv}", (s(size="S", recipient=LONG),), '"recipient" is too long'),
            # The same limits as over MQTT.
            ("Deposit", "a{sv}", (s(size="S", waybill="x" * 129),), '"waybill" is too long: at most 128 bytes'),
            ("Deposit", "a{sv}", (s(size="S", phone="1" * 33),), '"phone" is too long: at most 32 bytes'),
            ("Deposit", "a{sv}", (s(size="S", waybill="a\rb"),), '"waybill" contains control characters'),
            ("Deposit", "a{sv}", (s(size="S", **{"x" * 300: "y"}),), "is not known"),
            ("Collect", "o", ("/org/lockerd/Locker1/slot/_301",), '"parcel" must be'),
            ("Collect", "o", ("/org/lockerd/Locker1/parcel/0x1",), '"parcel" must be'),
        )]
        self.check(rows, lambda: (self.head(), session.state, self.admin.slots(), self.admin.objects().keys()))

    def test_key_given_twice(self):
        text = "(@a{sv} {'kind': <'courier'>, 'number': <'1'>, 'number': <'2'>, 'pin': <'258036'>},)"
        if os.getuid() != 0:
            self.skipTest("calling as another user needs root")
        answers = self.cabinet.run_as([(ROOT, CABINET, "Enrol", text)], uid=0, gid=0)
        self.assertEqual(answers[0][0], "org.lockerd.Locker1.Error.InvalidArgument")
        self.assertIn('"number" is given twice', answers[0][1])
        self.assertEqual(self.admin.people(), [])

    def test_wrong_signature_and_unknown_things(self):
        refused = {
            "org.freedesktop.DBus.Error.InvalidArgs": [(ROOT, CABINET, "StartSession", "u", 1), (ROOT, CABINET, "ListPeople", "s", "x"),
                                                       (slot_path("01"), SLOT, "Open", "s", "why")],
            "org.freedesktop.DBus.Error.UnknownMethod": [(ROOT, CABINET, "OpenEverything"),
                                                         (ROOT, "org.lockerd.Locker1.Nothing", "Open")],
            "org.freedesktop.DBus.Error.UnknownObject": [(slot_path("99"), SLOT, "Open", "us", 0, "why"),
                                                         (f"{ROOT}/parcel/999", PARCEL, "Recall", "s", "why"),
                                                         (f"{ROOT}/session/999", SESSION, "End")],
            "UnknownPosition": [(slot_path("01"), SLOT, "Open", "us", 2, "why"),
                                (slot_path("01"), SLOT, "Disable", "us", 4294967295, "why"),
                                (slot_path("01"), SLOT, "Reconcile", "uss", 2, "empty", "why")],
            "UnknownPerson": [(ROOT, CABINET, "Revoke", "ts", 99, "why"), (ROOT, CABINET, "Revoke", "ts", 2**64 - 1, "why")],
            "UnknownParcel": [(ROOT, CABINET, "FindHistory", "t", 99), (ROOT, CABINET, "FindHistory", "t", 2**64 - 1)],
        }
        for name, calls in refused.items():
            for call in calls:
                with self.subTest(f"{name} {call}"):
                    self.assertRefused(name, self.admin.call, *call)
        self.assertEqual(self.admin.call(ROOT, CABINET, "GetEvents", "tu", 2**64 - 1, 5), [])


main()
