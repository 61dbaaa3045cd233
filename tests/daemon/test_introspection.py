# SPDX-License-Identifier: Apache-2.0
"""What the running daemon says about its objects equals schema/org.lockerd.Locker1.xml, member by member."""
import xml.etree.ElementTree as ET

from daemonlib import CABINET, PARCEL, ROOT, SESSION, SLOT, XML, DaemonTest, main, slot_path


def annotations(element):
    return {a.get("name"): a.get("value") for a in element.findall("annotation")}


def arguments(element, direction):
    return [(a.get("name"), a.get("type"), a.get("direction", direction)) for a in element.findall("arg")]


def members(interface):
    """{(kind, name): everything that a client could depend on}"""
    found = {}
    for element in interface:
        kind = element.tag
        if kind == "method":
            described = (arguments(element, "in"), annotations(element))
        elif kind == "signal":
            # The direction of a signal's arguments is "out" whether it is said or not.
            described = ([(name, type_) for name, type_, _ in arguments(element, "out")], annotations(element))
        elif kind == "property":
            described = (element.get("type"), element.get("access"), annotations(element))
        else:
            continue
        assert (kind, element.get("name")) not in found
        found[kind, element.get("name")] = described
    return found


def interfaces(text):
    return {i.get("name"): members(i) for i in ET.fromstring(text).findall("interface")}


class Introspection(DaemonTest):
    def setUp(self):
        super().setUp()
        self.described = interfaces(XML.read_text(encoding="utf-8"))

    def check(self, path, interface):
        said = interfaces(self.client.introspect(path))
        ours = {name for name in said if name.startswith("org.lockerd.")}
        self.assertEqual(ours, {interface}, f"{path} has other interfaces than described")
        self.assertEqual(said[interface], self.described[interface])

    def test_objects_equal_their_description(self):
        self.assertEqual(set(self.described), {CABINET, SLOT, PARCEL, SESSION})
        session = self.courier()
        put = session.deposit(size="S")
        self.check(ROOT, CABINET)
        self.check(slot_path(put.slot), SLOT)
        self.check(put.parcel, PARCEL)
        self.check(session.path, SESSION)
        self.put_in(session, put)

    def test_properties_have_the_types_described(self):
        session = self.courier()
        put = session.deposit(size="S")
        objects = self.client.objects()
        for path, interface in ((slot_path(put.slot), SLOT), (put.parcel, PARCEL), (session.path, SESSION)):
            names = {name for kind, name in self.described[interface] if kind == "property"}
            self.assertEqual(set(objects[path][interface]), names, path)
            self.assertEqual(set(self.client.get_all(path, interface)), names, path)
        self.put_in(session, put)

    def test_every_slot_is_an_object_with_one_path(self):
        slots = {path for path in self.client.objects() if path.startswith(f"{ROOT}/slot/")}
        self.assertEqual(slots, {slot_path(f"{n:02}") for n in range(1, 13)})
        # "_301" is how "01" is written; other spellings of the same label are not objects.
        for path in (f"{ROOT}/slot/_30_31", f"{ROOT}/slot/01", f"{ROOT}/slot/_313", f"{ROOT}/parcel/01", f"{ROOT}/parcel/0x1",
                     f"{ROOT}/session/1"):
            with self.subTest(path):
                self.assertRefused("org.freedesktop.DBus.Error.UnknownObject", self.client.get_all, path, SLOT)

    def test_changes_are_told(self):
        """Requirement: A5, F1"""
        session = self.courier()
        put = session.deposit(size="S")
        self.put_in(session, put)
        session.end()
        self.client.wait_slot(put.slot, Door="locked", InUse=False)
        signals = [(s.path, s.member, s.values) for s in self.client.signals]
        added = [values[0] for _, member, values in signals if member == "InterfacesAdded"]
        removed = [values[0] for _, member, values in signals if member == "InterfacesRemoved"]
        self.assertEqual(added, [session.path, put.parcel])
        self.assertEqual(removed, [session.path])

        def values_of(path, name):
            return [values[1][name] for p, member, values in signals
                    if p == path and member == "PropertiesChanged" and name in values[1]]

        doors = values_of(slot_path(put.slot), "Door")
        self.assertIn("open", doors)
        self.assertEqual(doors[-1], "locked")
        self.assertEqual(values_of(put.parcel, "State")[-1], "stored")
        self.assertEqual(values_of(session.path, "State")[-1], "ended")
        self.assertTrue(any(f["S"] < 8 for f in values_of(ROOT, "FreePositions")))
        # The same events as signals and from the ledger.
        told = [values for _, member, values in signals if member == "Event"]
        recorded = {e[0]: tuple(e) for e in self.admin.call(ROOT, CABINET, "GetEvents", "tu", 0, 1000)}
        self.assertTrue(told)
        for values in told:
            self.assertEqual(recorded[values[0]], tuple(values))

    def test_nothing_secret_and_no_personal_data_in_properties(self):
        """Requirement: F9"""
        put = self.store(recipient="Erika Mustermann", phone="+49 170 1234567")
        self.admin.enrol_recipient("+49 170 7654321", password="tulips and cheese", name="Max Musterfrau")
        shown = repr(self.client.objects()) + repr(self.client.get_all(ROOT, CABINET)) + repr(self.admin.events()) + repr(
            self.admin.people()) + repr(self.client.signals) + self.cabinet.log()
        for secret in (put.receipt["code"], "Mustermann", "Musterfrau", "1234567", "7654321", "258036", "tulips"):
            self.assertNotIn(secret, shown.replace(" ", "") if secret.isdigit() else shown)
        self.assertEqual(self.client.parcel(put.parcel)["Phone"][-4:], "4567")


main()
