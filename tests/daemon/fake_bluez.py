# SPDX-License-Identifier: Apache-2.0
"""BlueZ as lockerd-ble sees it, on a private bus: adapters, phones that connect, read, write and hear.

Its part on the air is on the virtual board (tests/board); here its answers can be late, wrong or missing. What it does is what BlueZ
5.66 does: WriteValue and ReadValue say which device and which MTU, notifications go to all who have subscribed, and
what is longer than the MTU less 5 is cut off (phones that take several in one packet).
"""
from dbusclient import Gio, GLib, wait

XML = """
<node>
  <interface name="org.freedesktop.DBus.ObjectManager">
    <method name="GetManagedObjects"><arg type="a{oa{sa{sv}}}" direction="out"/></method>
    <signal name="InterfacesAdded"><arg type="o"/><arg type="a{sa{sv}}"/></signal>
    <signal name="InterfacesRemoved"><arg type="o"/><arg type="as"/></signal>
  </interface>
  <interface name="org.bluez.GattManager1">
    <method name="RegisterApplication"><arg type="o" direction="in"/><arg type="a{sv}" direction="in"/></method>
  </interface>
  <interface name="org.bluez.LEAdvertisingManager1">
    <method name="RegisterAdvertisement"><arg type="o" direction="in"/><arg type="a{sv}" direction="in"/></method>
  </interface>
  <interface name="org.bluez.Device1">
    <method name="Disconnect"/>
  </interface>
  <interface name="org.freedesktop.DBus.Properties">
    <method name="Get"><arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="v" direction="out"/></method>
    <method name="Set"><arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="v" direction="in"/></method>
    <signal name="PropertiesChanged"><arg type="s"/><arg type="a{sv}"/><arg type="as"/></signal>
  </interface>
</node>
"""
PROPERTIES = "org.freedesktop.DBus.Properties"
MANAGER = "org.freedesktop.DBus.ObjectManager"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"


class Refused(Exception):
    """An error reply; the argument is its name."""


class FakePhone:
    """One that has connected. mtu: as negotiated."""

    def __init__(self, bluez, number, mtu=185, paired=False):
        self.bluez = bluez
        self.path = f"{bluez.adapter}/dev_AA_BB_CC_DD_EE_{number:02X}"
        self.mtu = mtu
        self.paired = paired
        self.connected = True
        self.subscribed = True
        self.heard = []  # notifications

    def options(self, **more):
        options = {"device": GLib.Variant("o", self.path), "mtu": GLib.Variant("q", self.mtu), "link": GLib.Variant("s", "LE")}
        return {**options, **{k: GLib.Variant("q", v) for k, v in more.items()}}

    def read(self, **more):
        return bytes(self.bluez.call(self.bluez.paths["out"], CHARACTERISTIC, "ReadValue", GLib.Variant("(a{sv})", (self.options(**more),)))[0])

    def write(self, data, **more):
        if len(data) > min(self.mtu - 3, 510):
            raise ValueError("longer than one write")
        self.bluez.call(self.bluez.paths["in"], CHARACTERISTIC, "WriteValue", GLib.Variant("(aya{sv})", (data, self.options(**more))))

    def leave(self):
        self.connected = False
        if self.bluez.bus.is_closed():
            return
        self.bluez.changed(self.path, "org.bluez.Device1", {"Connected": GLib.Variant("b", False)})
        self.bluez.phones.pop(self.path, None)


class FakeBluez:
    def __init__(self, address, adapter="hci0", powered=True):
        self.adapter = f"/org/bluez/{adapter}"
        self.powered = powered
        self.adapters = [self.adapter]
        self.phones = {}
        self.paths = {}
        self.application = self.advertisement = None
        self.errors = {}  # method → name of the error that it answers
        self.disconnected = []
        self.bus = Gio.DBusConnection.new_for_address_sync(
            address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        node = Gio.DBusNodeInfo.new_for_xml(XML)
        self.interfaces = {i.name: i for i in node.interfaces}
        self.registered = {}
        self.export("/", MANAGER)
        self.export(self.adapter, "org.bluez.GattManager1", "org.bluez.LEAdvertisingManager1", PROPERTIES)
        self.bus.signal_subscribe(None, PROPERTIES, "PropertiesChanged", None, None, Gio.DBusSignalFlags.NONE, self.notified)
        self.own()

    def own(self):
        self.bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                           GLib.Variant("(su)", ("org.bluez", 4)), None, Gio.DBusCallFlags.NONE, 5000, None)

    def export(self, path, *names):
        for name in names:
            self.registered[path, name] = self.bus.register_object(path, self.interfaces[name], self.called, None, None)

    def stop(self):
        self.bus.close_sync(None)

    # --- what lockerd-ble calls

    def called(self, _bus, sender, path, interface, method, parameters, invocation):
        arguments = parameters.unpack()
        if method in self.errors:
            invocation.return_dbus_error(self.errors[method], "as the test says")
            return
        if method == "GetManagedObjects":
            invocation.return_value(GLib.Variant("(a{oa{sa{sv}}})", ({a: self.adapter_object() for a in self.adapters},)))
        elif method == "RegisterApplication":
            self.bus.call(sender, arguments[0], MANAGER, "GetManagedObjects", None, None, Gio.DBusCallFlags.NONE, 5000, None,
                          self.has_objects, (sender, invocation))
        elif method == "RegisterAdvertisement":
            self.bus.call(sender, arguments[0], PROPERTIES, "GetAll", GLib.Variant("(s)", ("org.bluez.LEAdvertisement1",)), None,
                          Gio.DBusCallFlags.NONE, 5000, None, self.has_advertisement, (arguments[0], invocation))
        elif method == "Get":
            invocation.return_value(GLib.Variant("(v)", (GLib.Variant("b", self.phones[path].paired),)))
        elif method == "Set":
            self.powered = arguments[2]
            invocation.return_value(None)
        elif method == "Disconnect":
            self.disconnected.append(path)
            invocation.return_value(None)
            if path in self.phones:
                self.phones[path].leave()

    def adapter_object(self):
        return {"org.bluez.Adapter1": {"Powered": GLib.Variant("b", self.powered), "Address": GLib.Variant("s", "00:AA:01:00:00:00")},
                "org.bluez.GattManager1": {}, "org.bluez.LEAdvertisingManager1": {}}

    def has_objects(self, bus, result, given):
        sender, invocation = given
        objects = bus.call_finish(result).unpack()[0]
        uuids = {i["UUID"]: path for path, interfaces in objects.items() for name, i in interfaces.items() if "UUID" in i}
        self.objects = objects
        self.application = sender
        self.paths = {"service": uuids["8c5a1f30-6f0e-4c57-9d3c-5d1f2f0b7a10"], "in": uuids["8c5a1f31-6f0e-4c57-9d3c-5d1f2f0b7a10"],
                      "out": uuids["8c5a1f32-6f0e-4c57-9d3c-5d1f2f0b7a10"]}
        invocation.return_value(None)

    def has_advertisement(self, bus, result, given):
        path, invocation = given
        self.advertisement = {"path": path, **bus.call_finish(result).unpack()[0]}
        invocation.return_value(None)

    # --- what comes from the air

    def call(self, path, interface, method, parameters):
        answer = []

        def came(bus, result):
            try:
                answer.append(bus.call_finish(result).unpack())
            except GLib.Error as e:
                answer.append(Refused(Gio.DBusError.get_remote_error(e)))
        self.bus.call(self.application, path, interface, method, parameters, None, Gio.DBusCallFlags.NONE, 10000, None, came)
        wait(lambda: answer, f"answer to {method}")
        if isinstance(answer[0], Refused):
            raise answer[0]
        return answer[0]

    def notified(self, _bus, sender, path, _interface, _signal, parameters):
        interface, values, _ = parameters.unpack()
        if interface == "org.bluez.LEAdvertisement1" and self.advertisement and path == self.advertisement["path"]:
            self.advertisement.update(values)
        if interface != CHARACTERISTIC or path != self.paths.get("out") or "Value" not in values:
            return
        for phone in self.phones.values():
            if phone.subscribed:
                phone.heard.append(bytes(values["Value"])[:min(phone.mtu - 5, 510)])

    def changed(self, path, interface, values):
        self.bus.emit_signal(None, path, PROPERTIES, "PropertiesChanged", GLib.Variant("(sa{sv}as)", (interface, values, [])))

    def connect(self, number, **how):
        phone = FakePhone(self, number, **how)
        self.phones[phone.path] = phone
        if (phone.path, PROPERTIES) not in self.registered:
            self.export(phone.path, "org.bluez.Device1", PROPERTIES)
        self.changed(phone.path, "org.bluez.Device1", {"Connected": GLib.Variant("b", True)})
        return phone

    def unplug(self):
        self.adapters = []
        self.phones.clear()
        self.advertisement = None
        self.bus.emit_signal(None, "/", MANAGER, "InterfacesRemoved", GLib.Variant("(oas)", (self.adapter, ["org.bluez.Adapter1"])))

    def plug(self):
        self.adapters = [self.adapter]
        self.bus.emit_signal(None, "/", MANAGER, "InterfacesAdded", GLib.Variant("(oa{sa{sv}})", (self.adapter, self.adapter_object())))
