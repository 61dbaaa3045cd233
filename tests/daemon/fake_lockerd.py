#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for lockerd on a private bus, for tests of what lockerctl prints and asks.

It is built from the interface description itself, so an argument of the wrong type fails here as it would against
the daemon. It knows no locks, no ledger and no rules beyond what the tests of lockerctl need: whether the real
daemon does the right thing is the business of the scenario tests.

    fake_lockerd.py ADDRESS CABINET.conf [--busy] [--heavy] [--calls FILE]

prints "ready" when it has the name. --heavy: what a courier should take back stays inside; the FILE gets a line for every call of Cabinet's methods.
"""
import configparser
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from gi.repository import Gio, GLib

ROOT = "/org/lockerd/Locker1"
NAME = "org.lockerd.Locker1"
XML = Path(__file__).resolve().parents[2] / "schema" / "org.lockerd.Locker1.xml"
T0 = 1_790_000_000_000_000  # 2026-09-21, 13:33:20 UTC
OBJECT_MANAGER = """<node><interface name="org.freedesktop.DBus.ObjectManager"><method name="GetManagedObjects">
<arg name="objects" type="a{oa{sa{sv}}}" direction="out"/></method></interface></node>"""


class Refusal(Exception):
    def __init__(self, name, sentence):
        super().__init__(sentence)
        self.name = f"{NAME}.Error.{name}"


def interfaces():
    """The interfaces of the XML without its documentation elements, which GDBus does not know."""
    tree = ET.parse(XML).getroot()
    for parent in list(tree.iter()):
        for child in list(parent):
            if "}" in child.tag:
                parent.remove(child)
    node = Gio.DBusNodeInfo.new_for_xml(ET.tostring(tree, encoding="unicode"))
    return {i.name.rsplit(".", 1)[1]: i for i in node.interfaces}


def expand(text):
    """"01-06" → 01 … 06, "P1-P4" → P1 … P4, "P1/1-6" → P1/1 … P1/6."""
    match = re.fullmatch(r"(.*?)(\d+)-(?:\D*)(\d+)", text)
    if not match:
        return [text]
    stem, first, last = match.groups()
    return [f"{stem}{n:0{len(first)}}" for n in range(int(first), int(last) + 1)]


def read_cabinet(path):
    conf = configparser.ConfigParser(strict=False, interpolation=None)
    conf.optionxform = str
    conf.read(path)
    slots, sizes = {}, []
    for section in conf.sections():
        kind, _, rest = section.partition(" ")
        keys = conf[section]
        if kind == "Size":
            sizes.append((rest, int(keys["Order"]), keys.get("Label", rest), int(keys.get("Width", 0)),
                          int(keys.get("Height", 0)), int(keys.get("Depth", 0))))
        elif kind == "Slot":
            column, row, height = int(keys["Column"]), int(keys["Row"]), int(keys.get("Height", 1))
            wrap = int(keys.get("Wrap", 0))
            for i, label in enumerate(expand(rest)):
                down, right = (i % wrap, i // wrap) if wrap else (i, 0)
                slots[label] = {
                    "Label": label, "Size": keys["Size"], "Accessible": keys.get("Accessible") == "yes",
                    "Temperature": keys.get("Temperature", "ambient"),
                    "Place": (column + right, row + down * height, height),
                    "Door": "locked", "Service": "in", "ServiceReason": "", "Board": keys["Lock"].split(":")[0],
                    "BoardOnline": True, "InUse": False, "Positions": [[1, "in", "none", "none", "free", 0, ""]]}
        elif kind == "Position":
            slots[rest.split("/")[0]]["Positions"] = [
                [int(p.split("/")[1]), "in", "locked", "empty", "free", 0, ""] for p in expand(rest)]
    return conf["Cabinet"], sorted(sizes, key=lambda s: s[1]), slots


class Fake:
    def __init__(self, address, path, busy, heavy=False, calls=None):
        self.heavy, self.calls = heavy, calls
        self.bus = Gio.DBusConnection.new_for_address_sync(
            address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
            None, None)
        self.info = interfaces()
        head, self.sizes, self.slots = read_cabinet(path)
        self.parcels, self.sessions, self.events, self.people = {}, {}, [], {}
        self.registered, self.lockouts = {}, {"terminal": (3, 1500), "claim:slot:12": (1, 0)}
        self.next = {"parcel": 17, "session": 1, "person": 5}
        self.cabinet = {
            "Version": "0.1.0", "Number": head["Number"], "Name": head["Name"], "Address": head.get("Address", ""),
            "Location": (float(head.get("Latitude", "nan")), float(head.get("Longitude", "nan"))),
            "Sizes": self.sizes, "CodeAlphabet": "crockford",
            "Health": [("ledger", "ok", ""), ("storage", "ok", ""), ("clock", "ok", "")], "Epoch": "5ac1f0e2b3d47986", "AuditHead": "412:9f3a5c",
            "LastEvent": 0, "OutboxLength": 0}
        if busy:
            self.make_busy()
        self.register(ROOT, "Cabinet", self.cabinet_properties)
        self.bus.register_object(ROOT, Gio.DBusNodeInfo.new_for_xml(OBJECT_MANAGER).interfaces[0], self.managed, None, None)
        for label, slot in self.slots.items():
            self.register(f"{ROOT}/slot/{self.escape(label)}", "Slot", lambda s=slot: s)
        for number in self.parcels:
            self.register_parcel(number)

    @staticmethod
    def escape(label):
        return "".join(c if c.isascii() and (c.isalpha() or (c.isdigit() and i)) else f"_{ord(c):02x}"
                       for i, c in enumerate(label))

    # --- what the cabinet is like ---
    def put(self, label, position, state, **more):
        number = self.next["parcel"]
        self.next["parcel"] += 1
        self.slots[label]["Positions"][position - 1][4:6] = [state, number]
        if self.slots[label]["Positions"][position - 1][3] == "empty" and state not in ("reserved", "depositing"):
            self.slots[label]["Positions"][position - 1][3] = "occupied"
        self.parcels[number] = {
            "Id": number, "State": state, "Slot": label, "Position": position, "Size": self.slots[label]["Size"],
            "Waybill": f"WB{number:06}", "Courier": "4711", "Recipient": "张*", "Phone": "138******21",
            "Stored": T0, "Expires": T0 + 72 * 3600 * 1_000_000, "Expired": False, **more}
        return number

    def make_busy(self):
        labels = list(self.slots)
        self.put(labels[1], 1, "stored")
        self.put(labels[4], 1, "stored", Expired=True)
        self.slots[labels[2]].update(Door="open", InUse=True)
        self.put(labels[2], 1, "depositing", Stored=0, Expires=0)
        self.slots[labels[5]]["Service"] = "disabled"
        self.slots[labels[5]]["ServiceReason"] = "hinge broken"
        self.slots[labels[6]].update(Door="left_open")
        self.put(labels[7], 1, "unverified", Recipient="Anna *")
        self.put(labels[8], 1, "rejected")
        self.slots[labels[9]]["Service"] = "quarantined"
        self.slots[labels[-1]].update(Door="forced")
        self.cabinet["Health"].append(("line:north", "degraded", "Board C has not answered for 40 s."))
        self.cabinet["OutboxLength"] = 3
        for label, slot in self.slots.items():
            if len(slot["Positions"]) > 1:
                self.put(label, 1, "stored")
                self.put(label, 4, "recalled")
                slot["Positions"][4][1] = "disabled"
                slot["Positions"][4][6] = "hinge broken"
        for slot in self.slots.values():
            if slot["Board"] == "C":
                slot["BoardOnline"] = False
        for i in range(1, 26):
            self.event("parcel.stored", f"parcel:{i}", '{"slot":"%02d"}' % i, tell=False)

    def event(self, kind, subject, data, tell=True):
        row = (len(self.events) + 1, T0 + len(self.events) * 1_000_000, kind, subject, data)
        self.events.append(row + (True,))
        if tell:
            self.bus.emit_signal(None, ROOT, f"{NAME}.Cabinet", "Event", GLib.Variant("(txsssb)", row + (True,)))

    def cabinet_properties(self):
        free = {name: 0 for name, *_ in self.sizes}
        for slot in self.slots.values():
            free[slot["Size"]] += sum(p[4] == "free" and p[1] == "in" for p in slot["Positions"])
        return {**self.cabinet, "LastEvent": len(self.events), "FreePositions": free}

    # --- the bus ---
    def register(self, path, interface, properties):
        info = self.info[interface]
        types = {p.name: p.signature for p in info.properties}

        def get(_connection, _sender, _path, _interface, name):
            return GLib.Variant(types[name], properties()[name])

        def call(_connection, sender, obj, _interface, member, parameters, invocation):
            try:
                handler = getattr(self, f"{interface}_{member}", None)
                if not handler:
                    raise Refusal("Internal", "The stand-in does not do that.")
                if interface == "Cabinet" and self.calls:
                    print(member, *parameters.unpack(), file=self.calls, flush=True)
                result = handler(obj, *parameters.unpack())
                signature = "".join(a.signature for a in info.lookup_method(member).out_args)
                invocation.return_value(GLib.Variant(f"({signature})", result) if signature else None)
            except Refusal as refusal:
                invocation.return_dbus_error(refusal.name, str(refusal))

        self.registered[path] = (interface, types, properties, self.bus.register_object(path, info, call, get, None))

    def register_parcel(self, number):
        self.register(f"{ROOT}/parcel/{number}", "Parcel", lambda: self.parcels[number])

    def managed(self, _c, _s, _p, _i, _m, _parameters, invocation):
        objects = {path: {f"{NAME}.{interface}": {n: GLib.Variant(t, properties()[n]) for n, t in types.items()}}
                   for path, (interface, types, properties, _id) in self.registered.items() if path != ROOT}
        invocation.return_value(GLib.Variant("(a{oa{sa{sv}}})", (objects,)))

    # --- Cabinet ---
    def Cabinet_StartSession(self, _path, kind):
        path = f"{ROOT}/session/{self.next['session']}"
        self.next["session"] += 1
        session = {"State": "new", "Kind": kind, "Slot": "", "Position": 0, "Parcel": "/", "Parcels": []}
        self.sessions[path] = session
        self.register(path, "Session", lambda: session)
        return (path,)

    def Cabinet_Enrol(self, _path, person):
        secret = person.get("pin") or person.get("password") or ""
        if len(secret) < 4:
            raise Refusal("WeakSecret", "The PIN or password is too short or too simple.")
        if "password" in person and not person.get("consent"):
            raise Refusal("InvalidArgument", "The person has not agreed.")
        number = self.next["person"]
        self.next["person"] += 1
        self.people[number] = person
        return (number,)

    def Cabinet_Revoke(self, _path, number, reason):
        if self.people.pop(number, None) is None:
            raise Refusal("UnknownPerson", "There is no such person.")

    def Cabinet_ListEnrolled(self, _path):
        return ([(i, p["kind"], p.get("number", ""), p.get("name", "")[:1] + "*", "", [("pin" if "pin" in p else "password", 1, 0, 0, "", "", "", "")])
                 for i, p in self.people.items()],)

    def Cabinet_ListLockouts(self, _path):
        return ([(s, *v) for s, v in self.lockouts.items()],)

    def Cabinet_LiftLockout(self, _path, subject, reason):
        if subject == "*":
            self.lockouts.clear()
        self.lockouts.pop(subject, None)

    def Cabinet_GetEvents(self, _path, after, limit):
        return ([e for e in self.events if e[0] > after][:limit],)

    def Cabinet_VerifyAudit(self, _path):
        broken = self.cabinet["Name"] == "tampered"
        return (not broken, 412, "411:77ab" if broken else "412:9f3a5c", "Row 412 does not fit." if broken else "")

    def Cabinet_VerifyAuditSince(self, _path, head):
        if ":" not in head:
            raise Refusal("InvalidArgument", "\"head\" must be a head.")
        ok = head == "400:aa"
        return (ok, 412, "412:9f3a5c", "" if ok else "row 400 is not the one of the head that was given")

    def Cabinet_Backup(self, _path, target):
        if not target.startswith("/"):
            raise Refusal("InvalidArgument", "The path is not absolute.")
        return (123456,)

    def Cabinet_FindHistory(self, _path, number):
        if number != 3:
            raise Refusal("UnknownParcel", "There is no such parcel in this cabinet.")
        return ({"id": GLib.Variant("t", 3), "state": GLib.Variant("s", "collected"), "slot": GLib.Variant("s", "02"),
                 "position": GLib.Variant("u", 1), "stored": GLib.Variant("x", T0)},)

    # --- Slot ---
    def slot_of(self, path, position=0, reason="x"):
        slot = next(s for label, s in self.slots.items() if path.endswith(f"/{self.escape(label)}"))
        if position > len(slot["Positions"]):
            raise Refusal("UnknownPosition", "The slot has no such position.")
        if not reason:
            raise Refusal("InvalidArgument", "A reason is needed.")
        return slot

    def Slot_Open(self, path, position, reason):
        slot = self.slot_of(path, position, reason)
        if not slot["BoardOnline"]:
            raise Refusal("BoardOffline", "The lock board does not respond.")
        slot["Door"] = "open"
        self.event("operator.opened", f"slot:{slot['Label']}", '{"why":"operator"}')

    def Slot_Disable(self, path, position, reason):
        slot = self.slot_of(path, position, reason)
        if position:
            slot["Positions"][position - 1][1::5] = ["disabled", reason]
        else:
            slot.update(Service="disabled", ServiceReason=reason)

    def Slot_Enable(self, path, position, reason):
        self.slot_of(path, position, reason).update(Service="in", ServiceReason="")

    def Slot_Reconcile(self, path, position, found, reason):
        slot = self.slot_of(path, position, reason)
        if slot["Positions"][position - 1][4] != "unverified":
            raise Refusal("WrongState", "That cannot be done now.")
        slot["Positions"][position - 1][4:6] = ["free", 0] if found == "empty" else ["stored", slot["Positions"][position - 1][5]]

    # --- Parcel ---
    def Parcel_Recall(self, path, reason):
        self.parcels[int(path.rsplit("/")[-1])]["State"] = "recalled"

    def Parcel_NewCode(self, path, reason):
        return ("H4T9WX",)

    def Parcel_Release(self, path, reason):
        raise Refusal("WrongState", "That cannot be done now.")

    # --- Session ---
    def prompt(self, path, delay_ms, what, sentence):
        session = self.sessions[path]

        def emit():
            self.bus.emit_signal(None, path, f"{NAME}.Session", "Prompt",
                                 GLib.Variant("(suss)", (session["Slot"], session["Position"], what, sentence)))
            return False
        GLib.timeout_add(delay_ms, emit)

    def Session_Authenticate(self, path, kind, evidence):
        good = {"courier-pin": evidence.get("pin") == "2468", "code": evidence.get("code") == "K7F2QX",
                "password": evidence.get("password") == "correct horse"}[kind]
        if not good:
            raise Refusal("WrongCode" if kind == "code" else "WrongCredential", "This code is wrong."
                          if kind == "code" else "Number, PIN or password is wrong.")
        self.sessions[path]["State"] = "authenticated"

    def place(self, path, label, position):
        self.sessions[path].update(Slot=label, Position=position, State="open")
        return label, position

    def Session_Deposit(self, path, request):
        if request.get("size") not in [s[0] for s in self.sizes]:
            raise Refusal("UnknownSize", "This cabinet has no such size.")
        label = next((l for l, s in self.slots.items() if s["Size"] == request["size"] and s["Positions"][0][4] == "free"), None)
        if not label:
            raise Refusal("NoFreePosition", "No fitting position is free.")
        number = self.put(label, 1, "depositing")
        self.register_parcel(number)
        self.place(path, label, 1)
        self.prompt(path, 50, "put-in", f"Put the item into slot {label}.")
        if request.get("waybill") != "WAIT":
            self.prompt(path, 200, "close-door", "Please close the door.")
            self.prompt(path, 400, "stored", "The parcel is stored.")
        receipt = {"cabinet": GLib.Variant("s", self.cabinet["Number"]), "name": GLib.Variant("s", self.cabinet["Name"]),
                   "address": GLib.Variant("s", self.cabinet["Address"]), "slot": GLib.Variant("s", label),
                   "position": GLib.Variant("u", 1), "parcel": GLib.Variant("t", number),
                   "code": GLib.Variant("s", "K7F2QX"), "code_alphabet": GLib.Variant("s", "crockford"),
                   "expires": GLib.Variant("x", T0 + 72 * 3600 * 1_000_000), "credentials": GLib.Variant("as", []),
                   "prompt": GLib.Variant("s", f"Put the item into slot {label} and close the door.")}
        return label, 1, f"{ROOT}/parcel/{number}", receipt

    def Session_TooSmall(self, path):
        answer = self.place(path, "11", 1)
        self.prompt(path, 50, "put-in", "Put the item into slot 11.")
        self.prompt(path, 250, "stored", "The parcel is stored.")
        return answer

    def Session_Collect(self, path, parcel):
        self.place(path, "02", 1)
        self.sessions[path]["Parcel"] = f"{ROOT}/parcel/17"
        self.prompt(path, 50, "take-out", "Please take out your parcel.")
        self.prompt(path, 150, "choose", "Do you keep it?")
        return "02", 1, "Slot 02 is open."

    def Session_Accept(self, path):
        self.prompt(path, 300, "collected", "Thank you.")

    def Session_Reject(self, path):
        self.prompt(path, 300, "rejected", "The parcel goes back.")

    def Session_TakeBack(self, path):
        self.place(path, "09", 1)
        self.prompt(path, 100, "left-inside" if self.heavy else "returned", "Thank you.")
        self.prompt(path, 200, "done", "That was all. Thank you.")
        return ([(f"{ROOT}/parcel/21", "09", 1)],)

    def Session_Reopen(self, path):
        return self.sessions[path]["Slot"], self.sessions[path]["Position"]

    def Session_LiftLockout(self, path):
        self.lockouts.pop("terminal", None)

    def Session_Cancel(self, path):
        self.prompt(path, 50, "close-door", "Please close the door.")
        self.prompt(path, 150, "cancelled", "The deposit is cancelled.")

    def Session_End(self, path):
        self.sessions[path]["State"] = "ended"


def main():
    calls = open(sys.argv[sys.argv.index("--calls") + 1], "w", encoding="utf-8") if "--calls" in sys.argv else None
    fake = Fake(sys.argv[1], sys.argv[2], "--busy" in sys.argv, "--heavy" in sys.argv, calls)
    loop = GLib.MainLoop()
    Gio.bus_own_name_on_connection(fake.bus, NAME, Gio.BusNameOwnerFlags.NONE,
                                   lambda *_: print("ready", flush=True), lambda *_: sys.exit("the name is taken"))
    loop.run()


if __name__ == "__main__":
    main()
