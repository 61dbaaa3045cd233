#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The story of the demo: a deposit, a pickup, a neighbour, a rejected parcel: story.py BUILD-DIRECTORY [--batch]"""
import argparse
import signal
import sys

import dbus

from stage import CABINET, NAME, DemoError, Stage, check, say, section, wait_for

COURIER = {"kind": "courier", "number": "K-7", "name": "Erika Example", "pin": "271828"}


def variants(**values):
    return dbus.Dictionary(values, signature="sv")


def refusal(error):
    name = error.get_dbus_name()
    prefix = f"{NAME}.Error."
    if not name.startswith(prefix):
        raise error
    return name[len(prefix):]


class Terminal:
    """One session, as the program at the terminal holds it."""

    def __init__(self, stage, kind):
        self.stage = stage
        self.path = stage.object(CABINET, "Cabinet").StartSession(kind)
        self.session = stage.object(self.path, "Session")

    def sign_in(self, finger=False):
        if finger:
            with self.stage.reader.finger():
                self.session.Authenticate("fingerprint", variants(number=COURIER["number"]))
            return
        self.session.Authenticate("courier-pin", variants(number=COURIER["number"], pin=COURIER["pin"]))



def lid(slot, position):
    return f"{slot}/{position}"


def hardware(stage, lock):
    """What the simulated lock says, not what the daemon believes."""
    state = stage.sim("state")
    return (state["positions"] if "/" in lock else state["slots"])[lock]


def latch_is_locked(stage, lock):
    return hardware(stage, lock)["latch"] == "locked"


def pulses(stage):
    """How often any lock of the cabinet was energised."""
    state = stage.sim("state")
    return sum(lock["pulses"] for kind in ("slots", "positions") for lock in state[kind].values())


def is_open(state):
    # Nobody is so quick as to push a lid shut during the pulse, which would only spring it open again.
    return state["door"] == "open" and not state["coil"]


def wait_open(stage, slot, position):
    """The latches spring the door, then the lid, open."""
    for lock in (slot, lid(slot, position)):
        wait_for(lambda lock=lock: is_open(hardware(stage, lock)), f"{lock} to open")


def shut(stage, slot, position):
    stage.person(f"close {lid(slot, position)}")
    stage.person(f"close {slot}")


def parcel_state(stage, parcel):
    try:
        return str(stage.property(parcel, "Parcel", "State"))
    except dbus.DBusException:
        return "gone"


def put_in(stage, slot, position):
    wait_open(stage, slot, position)
    stage.person(f"put {lid(slot, position)}")
    shut(stage, slot, position)


def deposit(stage, recipient, phone, finger=False):
    terminal = Terminal(stage, "courier")
    terminal.sign_in(finger)
    slot, position, parcel, receipt = terminal.session.Deposit(
        variants(size="M", recipient=recipient, phone=phone, accessible=True))
    say(f"“{receipt['prompt']}”")
    say(f"for the customer: cabinet {receipt['cabinet']}, {receipt['name']}, {receipt['address']}, "
        f"slot {slot}, position {position}, code {receipt['code']}")
    put_in(stage, slot, position)
    wait_for(lambda: parcel_state(stage, parcel) == "stored", "the parcel to be stored")
    terminal.session.End()
    check(latch_is_locked(stage, lid(slot, position)), f"position {position} in slot {slot} is locked")
    return str(slot), int(position), parcel, str(receipt["code"])


def sign_in_with(stage, code):
    terminal = Terminal(stage, "recipient")
    terminal.session.Authenticate("code", variants(code=code))
    return terminal


def wrong_code(right):
    return ("2" if right[0] != "2" else "3") + right[1:]


def tell(stage):
    section("An operator enrols a courier and keeps two plain slots free of deposits")
    courier = stage.object(CABINET, "Cabinet").Enrol(variants(**COURIER))
    for slot in ("49", "50"):
        path = next(p for p in slot_paths(stage) if stage.property(p, "Slot", "Label") == slot)
        stage.object(path, "Slot").Disable(dbus.UInt32(0), "demo: use the shared slots")
    say(f"courier {COURIER['number']} is enrolled; slots 49 and 50 are disabled")

    section("The courier deposits a parcel in a shared slot")
    slot, position, parcel, code = deposit(stage, "Max Sample", "+49 30 555 0142")

    if stage.reader:
        section("The courier's finger is enrolled, and is enough from now on")
        with stage.reader.finger():
            stage.lockerctl("enrol", str(courier), "--fingerprint", "--consent")
        stage.lockerctl("people")

    section("… and one for somebody else, who gets the position beside it")
    slot2, position2, parcel2, code2 = deposit(stage, "Kim Other", "+49 30 555 0199", finger=bool(stage.reader))
    if stage.reader:
        check(True, "unlocked by the courier's number and finger, without a PIN")
    check(slot2 == slot and position2 != position, f"both lie in slot {slot}, in positions {position} and {position2}")
    stage.lockerctl("map")

    section("A wrong code opens nothing")
    before = pulses(stage)
    terminal = Terminal(stage, "recipient")
    try:
        terminal.session.Authenticate("code", variants(code=wrong_code(code)))
        raise DemoError("a wrong code was taken")
    except dbus.DBusException as error:
        check(refusal(error) == "WrongCode", f"refused: {error.get_dbus_message()}")
    terminal.session.End()
    check(pulses(stage) == before, "no lock was energised")

    section("The right code opens the slot, and only this person's position")
    terminal = sign_in_with(stage, code)
    slot_open, position_open, prompt = terminal.session.Collect(dbus.ObjectPath("/"))
    say(f"“{prompt}”")
    check((slot_open, position_open) == (slot, position), f"slot {slot}, position {position}")
    check(not latch_is_locked(stage, lid(slot, position)), f"position {position} is unlocked")
    check(latch_is_locked(stage, lid(slot, position2)), f"the neighbour's position {position2} stays locked")
    check(not stage.sim(f"open {lid(slot, position2)}").get("ok", True), "pulling at the neighbour's lid does not help")

    section("The customer inspects the item and keeps it")
    wait_open(stage, slot, position)
    stage.person(f"take {lid(slot, position)}")
    terminal.session.Accept()
    shut(stage, slot, position)
    wait_for(lambda: parcel_state(stage, parcel) == "gone", "the pickup to be written down")
    terminal.session.End()
    check(True, "collected")

    section("The other customer inspects, and does not want it")
    terminal = sign_in_with(stage, code2)
    terminal.session.Collect(dbus.ObjectPath("/"))
    wait_open(stage, slot, position2)
    stage.person(f"take {lid(slot, position2)}")
    stage.person(f"put {lid(slot, position2)}")
    terminal.session.Reject()
    shut(stage, slot, position2)
    wait_for(lambda: parcel_state(stage, parcel2) == "rejected", "the parcel to be rejected")
    terminal.session.End()
    check(latch_is_locked(stage, lid(slot, position2)), "rejected, and locked in")

    section("The courier takes it back")
    terminal = Terminal(stage, "courier")
    terminal.sign_in()
    for path, back_slot, back_position in terminal.session.TakeBack():
        say(f"slot {back_slot}, position {back_position}: parcel {path.rsplit('/', 1)[1]}")
        wait_open(stage, back_slot, back_position)
        stage.person(f"take {lid(back_slot, back_position)}")
        shut(stage, back_slot, back_position)
    wait_for(lambda: parcel_state(stage, parcel2) == "gone", "the return to be written down")
    terminal.session.End()
    check(True, "returned")

    section("What the backend was told, over MQTT")
    wait_for(lambda: stage.property(CABINET, "Cabinet", "OutboxLength") == 0, "the outbox to be empty")
    told = [data for topic, data in stage.heard if "/event/parcel." in topic]
    for event in told[-4:]:
        say(f"{event['sequence'].lstrip('0'):>4}  {event['type']:<32} {event['subject']}")
    numbers = [int(data["sequence"]) for topic, data in stage.heard if "/event/" in topic]
    check(numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"{len(numbers)} events, in order, each once")

    section("What the operator sees")
    stage.lockerctl("map")
    stage.lockerctl("audit", "verify")
    check(not stage.sim("objections").get("objections"), "the boards never saw anything that would harm a lock")


def slot_paths(stage):
    objects = dbus.Interface(stage.bus.get_object(NAME, CABINET, introspect=False),
                             "org.freedesktop.DBus.ObjectManager").GetManagedObjects()
    return [path for path, interfaces in objects.items() if f"{NAME}.Slot" in interfaces]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", action="store_true", help="leave when the story is told")
    parser.add_argument("build", help="the build directory")
    args = parser.parse_args()
    # Being ended from outside must clean up as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Stage(args.build) as stage:
            tell(stage)
            if not args.batch:
                stage.invite()
    except DemoError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        print()
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
