# SPDX-License-Identifier: Apache-2.0
"""Phones over Bluetooth LE: two emulated controllers, BlueZ, lockerd-ble from its package, and the handheld of examples/."""
import pathlib
import re
import subprocess
import tempfile

from board import SETTINGS, TREE, wait
from scenario import scenario

NUMBER = "C-0777"
HANDHELD = "/root/handheld"
LINK = """\
[Link]
Bluetooth=yes
BluetoothAdapter=hci0
CertFile=/etc/lockerd/link/cabinet.pem
KeyFile=/etc/lockerd/link/cabinet.key
CaFile=/etc/lockerd/link/ca.pem
"""
# One BlueZ is at both ends here: what it would ask the other side in turn is switched off.
BLUEZ = """\
[General]
ReverseServiceDiscovery=false
DeviceID=false
[GATT]
Cache=no
Channels=1
ExchangeMTU={mtu}
"""


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def certificates(folder):
    """An authority, the cabinet's certificate, and a courier's."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650", "-subj", "/CN=Operator")
    for name, uri, use in (("cabinet", f"urn:lockerd:cabinet:{NUMBER}", "serverAuth"), ("courier", "urn:lockerd:courier:4711", "clientAuth")):
        openssl(folder, "req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "300", "-subj", f"/CN={name}", "-CA", "ca.pem",
                "-CAkey", "ca.key", "-addext", f"subjectAltName=URI:{uri}", "-addext", f"extendedKeyUsage={use}", "-addext", "basicConstraints=CA:FALSE")


def controllers(board):
    """Two, in one emulator, that hear each other. The first of them does not always come up beside modules that are being loaded."""
    board.run("modprobe -a hci_vhci ecb cmac algif_skcipher algif_hash drbg hmac ecdh_generic")

    def both():
        board.run("pkill -x btvirt; sleep 1", check=None)
        board.machine.start("btvirt -L -l2 >/dev/null 2>&1")
        board.run("sleep 4; systemctl restart bluetooth; sleep 3")
        return "/org/bluez/hci0" in board.out("busctl --list tree org.bluez") and "/org/bluez/hci1" in board.out("busctl --list tree org.bluez")
    wait(both, "two controllers", 120, 0)


def handheld(board, words, courier=True):
    who = "--cert courier.pem --key courier.key" if courier else ""
    return board.machine.start(f"cd {HANDHELD} && exec python3 handheld.py --at ble:hci1 --cabinet {NUMBER} --ca ca.pem {who} {words} 2>&1")


def said(command, pattern, timeout=90):
    return command.wait_for(lambda c: next((m for line in c.lines() if (m := re.search(pattern, line))), None), pattern, timeout)


def deposit(board):
    """→ (slot, code, the handheld that is still there)"""
    phone = handheld(board, "deposit --size S")
    slot = said(phone, r"\[slot (\w+),").group(1)
    return slot, said(phone, r"Pickup code: (\w+)").group(1), phone


def radio_is_up(board):
    wait(lambda: board.health().get("bluetooth", {}).get("state") == "ok", "the radio", 90, 1)


@scenario(start="radio", long=True)
def test_phones_deposit_and_collect_over_the_air(board):
    """BlueZ at both ends, MTU 23 and 517: deposit, pickup by phone and at the kiosk; a phone that leaves at the open door.

    Requirement: A5, B1, B2, B3
    """
    board.install(board.setup.debs)
    board.configure(SETTINGS + LINK)
    with tempfile.TemporaryDirectory() as folder:
        certificates(folder)
        board.run(f"mkdir -p {HANDHELD} /etc/lockerd/link")
        for name in ("ca.pem", "cabinet.pem", "cabinet.key"):
            board.machine.put(f"{folder}/{name}", f"/etc/lockerd/link/{name}")
        for name in ("ca.pem", "courier.pem", "courier.key"):
            board.machine.put(f"{folder}/{name}", f"{HANDHELD}/{name}")
    for source in pathlib.Path(TREE, "examples", "handheld").glob("*.py"):
        board.machine.put(source, f"{HANDHELD}/{source.name}")
    board.run("chown lockerd-link /etc/lockerd/link/cabinet.key; chmod 400 /etc/lockerd/link/cabinet.key")
    controllers(board)
    board.start()
    board.enrol_courier()
    for mtu in (23, 517):
        board.machine.write("/etc/bluetooth/main.conf", BLUEZ.format(mtu=mtu))
        board.run("systemctl restart bluetooth; sleep 2")
        radio_is_up(board)
        slot, code, phone = deposit(board)
        board.hands.put(slot, code)
        board.hands.shut(slot)
        assert phone.wait(60).status == 0, phone.text()
        phone = handheld(board, f"collect {code}", courier=False)
        assert said(phone, r"\[slot (\w+),").group(1) == slot
        assert board.hands.take(slot) == code
        phone.type("accept\n")
        board.hands.shut(slot)
        assert phone.wait(90).status == 0, phone.text()
    # A phone that leaves is like a kiosk that leaves; the code is of use at the kiosk.
    slot, code, phone = deposit(board)
    phone.kill(9)
    board.run("pkill -9 -f handheld.py", check=None)
    board.hands.put(slot, code)
    board.hands.shut(slot)
    wait(lambda: [p["state"] for p in board.inside().values()] == ["stored"], "it is stored", 60, 1)
    opened = board.machine.start(f"lockerctl --json collect --code {code} --accept </dev/null")
    assert board.opened(opened)["slot"] == slot
    assert board.hands.take(slot) == code
    board.hands.shut(slot)
    assert opened.wait(60).status == 0, opened.text()
    users = set(board.out("ps -o user:32= -p $(pgrep -d, '^lockerd-(ble|link)')").split())
    assert users == {"lockerd-ble", "lockerd-link"}, users
    refused = board.run("setpriv --reuid=lockerd-ble --regid=lockerd-ble --clear-groups busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 "
                        "org.freedesktop.systemd1.Manager ListUnits 2>&1", check=None)
    assert refused.status and "denied" in refused.out.lower(), f"lockerd-ble speaks with others than BlueZ: {refused.out[:200]}"
    board.assert_calm()
