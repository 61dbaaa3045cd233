# SPDX-License-Identifier: Apache-2.0
"""A thin client of lockerd's D-Bus interfaces: a terminal, or an operator's tool."""
import collections
import json
import os
import re
import sys
import time
import xml.etree.ElementTree

try:
    import gi
    gi.require_version("Gio", "2.0")
    from gi.repository import Gio, GLib
except ImportError:
    # Another Python may come first in PATH; Debian's modules are Debian's Python's.
    if os.path.realpath(sys.executable) != os.path.realpath("/usr/bin/python3") and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    print("python3-gi is not installed")
    sys.exit(77)

NAME = "org.lockerd.Locker1"
ROOT = "/org/lockerd/Locker1"
CABINET, SLOT, PARCEL, SESSION = (f"{NAME}.{i}" for i in ("Cabinet", "Slot", "Parcel", "Session"))
PROPERTIES = "org.freedesktop.DBus.Properties"
TIMEOUT = 30


class DBusError(Exception):
    """An error reply. name: in full; short: what comes after "org.lockerd.Locker1.Error."."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.short = name.removeprefix(f"{NAME}.Error.")


class Gone(AssertionError):
    """The daemon has ended, or something did not happen in time."""


def iterate():
    GLib.MainContext.default().iteration(False)


def wait(predicate, what, timeout=TIMEOUT):
    """Waits until predicate() is true (its value is returned), while signals come in."""
    end = time.monotonic() + timeout
    pause = 0.002  # longer each time: asking without end would take the processor from those who are to answer
    while True:
        iterate()
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise Gone(f"not within {timeout} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.25, 0.03)


Prompt = collections.namedtuple("Prompt", "slot position what sentence")
Deposit = collections.namedtuple("Deposit", "slot position parcel receipt")
Place = collections.namedtuple("Place", "slot position")
Collect = collections.namedtuple("Collect", "slot position prompt")
Event = collections.namedtuple("Event", "sequence time type subject data")
Signal = collections.namedtuple("Signal", "path interface member values")

# How the keys of a{sv} are typed; what is not here is a string.
DICTIONARY_TYPES = {"consent": "b", "accessible": "b", "larger": "b", "parcel": "t"}


def dictionary(**keys):
    """Keys that are None are left out; GLib.Variants are taken as they are."""
    return {k: v if isinstance(v, GLib.Variant) else GLib.Variant(DICTIONARY_TYPES.get(k, "s"), v)
            for k, v in keys.items() if v is not None}


def parcel_id(path):
    return int(path.rsplit("/", 1)[1])


def parcel_path(parcel):
    return parcel if isinstance(parcel, str) else f"{ROOT}/parcel/{parcel}"


def slot_path(label):
    """As sd_bus_path_encode does: what is not a letter, and a digit at the beginning, is escaped."""
    return f"{ROOT}/slot/" + "".join(c if c.isascii() and (c.isalpha() or (i and c.isdigit())) else "".join(
        f"_{b:02x}" for b in c.encode()) for i, c in enumerate(label))


def listed_errors():
    """interface.member → the refusals that the interface's documentation lists for it, and those that every member may answer."""
    doc = "{http://www.freedesktop.org/dbus/1.0/doc.dtd}"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "schema", "org.lockerd.Locker1.xml")
    listed, everywhere = {}, {}
    for interface in xml.etree.ElementTree.parse(source).getroot():
        own = "".join(e.text or "" for e in interface.findall(f"{doc}doc/{doc}errors"))
        everywhere[interface.get("name")] = set(re.findall(r"[A-Z]\w+", own))
        for method in interface.findall("method"):
            text = " ".join(e.text or "" for e in method.iter(f"{doc}errors"))
            listed[f"{interface.get('name')}.{method.get('name')}"] = set(re.findall(r"[A-Z]\w+", re.sub(r"\([^)]*\)", "", text)))
    for member, errors in listed.items():
        for other in re.findall(r"[A-Z]\w+", " ".join(errors)):
            errors |= listed.get(member.rsplit(".", 1)[0] + "." + other, set())  # "as TooSmall"
        errors |= everywhere[member.rsplit(".", 1)[0]]
    return listed


LISTED = listed_errors()


class Pending:
    """A call whose answer has not been waited for yet. A refusal that the documentation of its member does not list is a fault."""

    def __init__(self, what):
        self.what = what
        self.done = False
        self._value = self._error = None

    def finish(self, connection, result):
        try:
            self._value = connection.call_finish(result).unpack()
        except GLib.Error as error:
            name = Gio.DBusError.get_remote_error(error)
            message = re.sub(r"^GDBus\.Error:[^:]*: ", "", error.message)
            self._error = DBusError(name or f"local.{error.code}", message)
        self.done = True

    def result(self, timeout=TIMEOUT):
        wait(lambda: self.done, f"an answer to {self.what}", timeout)
        if self._error:
            if self._error.name.startswith(NAME) and self.what in LISTED and self._error.short not in LISTED[self.what]:
                raise AssertionError(f"{self.what} answers {self._error.short}, which its documentation does not list")
            raise self._error
        return self._value[0] if len(self._value) == 1 else self._value


class Client:
    """One connection to the private bus: a terminal or an operator's tool. All its signals are in `signals`."""

    def __init__(self, address):
        flags = Gio.DBusConnectionFlags
        self.connection = Gio.DBusConnection.new_for_address_sync(
            address, flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION, None, None)
        self.connection.set_exit_on_close(False)
        self.signals = []
        self.connection.signal_subscribe(NAME, None, None, None, None, Gio.DBusSignalFlags.NONE, self._signal)
        self.sessions = {}

    @property
    def unique_name(self):
        return self.connection.get_unique_name()

    def _signal(self, _connection, _sender, path, interface, member, values):
        values = values.unpack()
        self.signals.append(Signal(path, interface, member, values))
        if (interface, member) == (SESSION, "Prompt") and path in self.sessions:
            self.sessions[path].prompts.append(Prompt(*values))

    def close(self):
        if not self.connection.is_closed():
            self.connection.close_sync(None)

    # --- the plain protocol

    def begin(self, path, interface, member, signature="", *arguments, name=NAME):
        """Sends a call and returns a Pending; for several at once, or to do something at the doors meanwhile."""
        pending = Pending(f"{interface}.{member}")
        body = GLib.Variant(f"({signature})", arguments) if signature else None
        self.connection.call(name, path, interface, member, body, None, Gio.DBusCallFlags.NO_AUTO_START, TIMEOUT * 1000,
                             None, lambda connection, result: pending.finish(connection, result))
        return pending

    def call(self, path, interface, member, signature="", *arguments, name=NAME):
        return self.begin(path, interface, member, signature, *arguments, name=name).result()

    def get(self, path, interface, name):
        return self.call(path, PROPERTIES, "Get", "ss", interface, name)

    def get_all(self, path, interface):
        return self.call(path, PROPERTIES, "GetAll", "s", interface)

    def introspect(self, path):
        return self.call(path, "org.freedesktop.DBus.Introspectable", "Introspect")

    def objects(self):
        return self.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")

    def has_owner(self):
        return self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s", NAME,
                         name="org.freedesktop.DBus")

    # --- the cabinet

    def start_session(self, kind):
        path = self.call(ROOT, CABINET, "StartSession", "s", kind)
        self.sessions[path] = Session(self, path)
        return self.sessions[path]

    def cabinet(self, name):
        return self.get(ROOT, CABINET, name)

    def health(self):
        """component → (state, sentence)"""
        return {component: (state, sentence) for component, state, sentence in self.cabinet("Health")}

    def slot(self, label):
        return self.get_all(slot_path(label), SLOT)

    def slots(self):
        return {o[SLOT]["Label"]: o[SLOT] for o in self.objects().values() if SLOT in o}

    def position(self, label, number=1):
        """(number, service, lock, presence, parcel state or "free", parcel)"""
        return self.slot(label)["Positions"][number - 1]

    def parcel(self, parcel):
        return self.get_all(parcel_path(parcel), PARCEL)

    def parcels(self):
        return {o[PARCEL]["Id"]: o[PARCEL] for o in self.objects().values() if PARCEL in o}

    def wait_parcel(self, parcel, state, timeout=TIMEOUT):
        return wait(lambda: self.parcel(parcel)["State"] == state, f"parcel {parcel} {state}", timeout)

    def wait_slot(self, label, timeout=TIMEOUT, **wanted):
        """wait_slot("03", Door="locked", InUse=False)"""
        return wait(lambda: all(self.slot(label)[k] == v for k, v in wanted.items()), f"slot {label} {wanted}", timeout)

    # --- operators

    def enrol(self, **person):
        return self.call(ROOT, CABINET, "Enrol", "a{sv}", dictionary(**person))

    def enrol_courier(self, number, pin, name=None, phone=None):
        return self.enrol(kind="courier", number=number, pin=pin, name=name or f"Courier {number}", phone=phone)

    def enrol_recipient(self, phone, password=None, name="Erika Mustermann"):
        return self.enrol(kind="recipient", phone=phone, name=name, password=password,
                          consent=True if password else None)

    def revoke(self, person, reason="has left"):
        return self.call(ROOT, CABINET, "Revoke", "ts", person, reason)

    def enrol_credential(self, person, kind, **credential):
        return self.call(ROOT, CABINET, "EnrolCredential", "tsa{sv}", person, kind, dictionary(**credential))

    def revoke_credential(self, person, kind, reason="lost"):
        return self.call(ROOT, CABINET, "RevokeCredential", "tss", person, kind, reason)

    def credentials(self, person):
        """kind → (enrolled, used, given, text, version, place, witness)"""
        return {row[0]: tuple(row[1:]) for row in self.call(ROOT, CABINET, "ListCredentials", "t", person)}

    def people(self):
        return self.call(ROOT, CABINET, "ListPeople")

    def enrolled(self):
        """people() with, in place of the kinds, the rows of credentials()"""
        return self.call(ROOT, CABINET, "ListEnrolled")

    def lockouts(self):
        """subject → (failures, seconds)"""
        return {subject: (n, seconds) for subject, n, seconds in self.call(ROOT, CABINET, "ListLockouts")}

    def lift_lockout(self, subject="*", reason="asked at the desk"):
        return self.call(ROOT, CABINET, "LiftLockout", "ss", subject, reason)

    def events(self, after=0, limit=1000, type=None):
        rows = [Event(*row[:4], json.loads(row[4])) for row in self.call(ROOT, CABINET, "GetEvents", "tu", after, limit)]
        return [e for e in rows if type in (None, e.type)]

    def verify_audit(self):
        """(ok, rows, head, detail)"""
        return self.call(ROOT, CABINET, "VerifyAudit")

    def verify_audit_since(self, head):
        return self.call(ROOT, CABINET, "VerifyAuditSince", "s", head)

    def backup(self, path):
        return self.call(ROOT, CABINET, "Backup", "s", str(path))

    def find_history(self, parcel):
        return self.call(ROOT, CABINET, "FindHistory", "t", parcel_id(parcel) if isinstance(parcel, str) else parcel)

    def open_slot(self, label, position=0, reason="inspection"):
        return self.call(slot_path(label), SLOT, "Open", "us", position, reason)

    def disable(self, label, position=0, reason="hinge broken"):
        return self.call(slot_path(label), SLOT, "Disable", "us", position, reason)

    def enable(self, label, position=0, reason="repaired"):
        return self.call(slot_path(label), SLOT, "Enable", "us", position, reason)

    def reconcile(self, label, position, found, reason="looked"):
        return self.call(slot_path(label), SLOT, "Reconcile", "uss", position, found, reason)

    def recall(self, parcel, reason="sender asks"):
        return self.call(parcel_path(parcel), PARCEL, "Recall", "s", reason)

    def new_code(self, parcel, reason="code lost"):
        return self.call(parcel_path(parcel), PARCEL, "NewCode", "s", reason)

    def release(self, parcel, reason="not coming"):
        return self.call(parcel_path(parcel), PARCEL, "Release", "s", reason)


class Session:
    """A session as the terminal sees it. Prompts are collected in `prompts`."""

    def __init__(self, client, path):
        self.client = client
        self.path = path
        self.prompts = []

    def begin(self, member, signature="", *arguments):
        return self.client.begin(self.path, SESSION, member, signature, *arguments)

    def call(self, member, signature="", *arguments):
        return self.begin(member, signature, *arguments).result()

    def get(self, name):
        return self.client.get(self.path, SESSION, name)

    @property
    def state(self):
        return self.get("State")

    @property
    def parcels(self):
        return self.get("Parcels")

    @property
    def exists(self):
        try:
            return bool(self.state)
        except DBusError as e:
            if e.name == "org.freedesktop.DBus.Error.UnknownObject":
                return False
            raise

    def wait_state(self, state, timeout=TIMEOUT):
        return wait(lambda: self.state == state, f"session {state}, is {self.state}", timeout)

    def wait_prompt(self, what, timeout=TIMEOUT):
        """The first prompt of this kind that has not been waited for; it and those before it are forgotten."""
        def found():
            return next((i for i, p in enumerate(self.prompts) if p.what == what), -1) + 1
        try:
            n = wait(found, f"prompt {what!r}", timeout)
        except Gone as e:
            raise Gone(f"{e}; prompts were {self.prompts}") from None
        prompt = self.prompts[n - 1]
        del self.prompts[:n]
        return prompt

    def authenticate(self, kind, **evidence):
        return self.call("Authenticate", "sa{sv}", kind, dictionary(**evidence))

    def authenticate_pin(self, number, pin):
        return self.authenticate("courier-pin", number=number, pin=pin)

    def authenticate_code(self, code, slot=None, phone_tail=None):
        return self.authenticate("code", code=code, slot=slot, phone_tail=phone_tail)

    def authenticate_password(self, phone, password):
        return self.authenticate("password", phone=phone, password=password)

    def begin_deposit(self, **request):
        return self.begin("Deposit", "a{sv}", dictionary(**request))

    def deposit(self, **request):
        return Deposit(*self.begin_deposit(**request).result())

    def too_small(self):
        return Place(*self.call("TooSmall"))

    def not_empty(self):
        return Place(*self.call("NotEmpty"))

    def does_not_open(self):
        return Place(*self.call("DoesNotOpen"))

    def reopen(self):
        return Place(*self.call("Reopen"))

    def collect(self, parcel="/"):
        return Collect(*self.call("Collect", "o", parcel if parcel == "/" else parcel_path(parcel)))

    def accept(self):
        return self.call("Accept")

    def reject(self):
        return self.call("Reject")

    def take_back(self):
        return self.call("TakeBack")

    def lift_lockout(self):
        return self.call("LiftLockout")

    def cancel(self):
        return self.call("Cancel")

    def end(self):
        return self.call("End")
