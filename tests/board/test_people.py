# SPDX-License-Identifier: Apache-2.0
"""People at the doors of a cabinet with both kinds of locks."""
import json

from board import GPIO_SLOTS, MODBUS_SLOTS, wait
from scenario import scenario


@scenario()
def test_deposit_and_collect_over_modbus(board):
    """A parcel through a slot on the serial line, from the package's daemon to the relay board outside.

    Requirement: A2, A4, F1
    """
    parcel = board.deposit("S")
    assert parcel.slot in MODBUS_SLOTS
    assert board.inside()[parcel.id]["state"] == "stored"
    wrong = board.run("lockerctl --json collect --code 222222 --accept </dev/null", check=None)
    assert wrong.status == 6, wrong.out
    assert board.collect(parcel) == parcel.id
    assert board.state_of(parcel) == "collected"
    board.assert_calm()
    kinds = [e["type"] for e in board.events()]
    assert kinds[-4:] == ["door.released", "door.opened", "door.closed", "parcel.collected"], kinds


@scenario(start="next")
def test_deposit_and_collect_over_gpio(board):
    """The same over lines of the kernel: the lock's line goes up and down again, the lamp is lit meanwhile, no other line moves.

    Requirement: A2, A4, F1, F6
    """
    command = board.begin_deposit("M")
    parcel = board.receipt(command)
    assert parcel.slot in GPIO_SLOTS
    board.hands.put(parcel.slot, parcel.id)
    wait(lambda: board.gpio.lamps[int(parcel.slot)], "the lamp is lit", 10)
    board.hands.shut(parcel.slot)
    assert command.wait(60).status == 0
    parcel.stored = True
    assert board.collect(parcel) == parcel.id
    wait(lambda: not any(board.gpio.lamps.values()), "the lamps are off", 10)
    moved = {j["door"] for j in board.gpio.journal}
    assert moved == {int(parcel.slot)}, f"lines of slots {moved} moved, not only those of {parcel.slot}"
    coils = [j["on"] for j in board.gpio.journal if j["event"] == "coil"]
    assert coils == [True, False, True, False], coils
    held = board.out("gpioinfo | grep -c '\"LOCK-.*output'")
    assert held == "6", f"{held} lock lines are held by the daemon's worker"
    board.assert_calm()


@scenario(start="next")
def test_rejected_parcel_goes_back_to_a_courier(board):
    """Put back, rejected, taken back by a courier: the slot is free again.

    Requirement: D5, F11
    """
    parcel = board.deposit("S")
    command = board.begin_collect(parcel, "--reject")
    board.opened(command)
    board.hands.reach(parcel.slot)
    board.hands.shut(parcel.slot)
    command.wait(60)
    wait(lambda: board.state_of(parcel) == "rejected", "rejected", 30)
    back = board.machine.start("lockerctl --json take-back --courier 4711 --stdin")
    back.type("258036\n")
    board.opened(back, event="parcel")
    assert board.hands.take(parcel.slot) == parcel.id
    board.hands.shut(parcel.slot)
    assert back.wait(60).status == 0, back.text()
    assert board.state_of(parcel) == "returned"


@scenario(start="next")
def test_alarm_opens_every_slot(board):
    """The building's alarm contact closes: every door of both kinds opens, one lock at a time, and it is said.

    Requirement: F12, F6
    """
    board.gpio.do("alarm on")
    slots = [*GPIO_SLOTS, *MODBUS_SLOTS]
    wait(lambda: all(board.hands.is_open(s) for s in slots), "every door opens", 60)
    board.gpio.do("alarm off")
    kinds = {e["type"] for e in board.events()}
    assert "safety.released" in kinds, kinds
    for slot in slots:
        board.hands.shut(slot)
    wait(lambda: all(s["door"] == "locked" for s in board.slots().values()), "all doors are locked again", 60, 0.3)
    board.assert_calm()


@scenario(start="next")
def test_the_backend_hears_of_it_in_order(board):
    """A broker on the board itself: what happened arrives there once and in order.

    Requirement: B4
    """
    board.run("systemctl start mosquitto")
    listener = board.machine.start("mosquitto_sub -V 5 -q 1 -t 'lockerd/v1/+/event/#'")
    board.machine.write("/etc/lockerd/lockerd.conf.d/60-backend.conf", "[Mqtt]\nHost=localhost\nPort=1883\n")
    board.run("systemctl restart lockerd")
    board.wait_ready()
    parcel = board.deposit("S")
    board.collect(parcel)
    numbers = [e["sequence"] for e in board.events()]

    def arrived():
        heard = [json.loads(line) for line in listener.lines()]
        return len(heard) >= len(numbers) and heard
    heard = wait(arrived, f"{len(numbers)} events at the broker", 60)
    listener.kill()
    told = [int(h["sequence"]) for h in heard]
    assert told == sorted(set(told)) and set(numbers) <= set(told), (numbers, told)
