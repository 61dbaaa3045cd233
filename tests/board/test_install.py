# SPDX-License-Identifier: Apache-2.0
"""The package as an operator meets it: installed without a network, configured, upgraded with parcels inside, removed, purged."""
import os
import subprocess

from board import wait
from scenario import Skipped, scenario


@scenario(start="blank")
def test_install(board):
    """apt installs the package, makes users and groups, and the service stays down until there is a cabinet."""
    said = board.install(board.setup.debs).out
    assert "Setting up lockerd" in said, said
    state = board.out("systemctl is-active lockerd", check=None)
    assert state == "inactive", state
    assert board.out("systemctl is-enabled lockerd") == "enabled"
    assert "ConditionPathExists=/etc/lockerd/cabinet.conf" in board.out("systemctl status lockerd", check=None)
    board.out("id lockerd lockerd-line lockerd-open lockerd-gpio lockerd-hash lockerd-mqtt lockerd-link && getent group lockerd-kiosk lockerd-admin")
    assert board.out("systemctl list-units --failed --no-legend") == ""


@scenario(start="next")
def test_configure(board):
    """A mistake in the cabinet is told by file and line; the right one starts, and finds every board."""
    board.configure()
    board.run("sed -i 's/^Profile=waveshare-relay-d-8/Profile=waveshare-relay-d-9/' /etc/lockerd/cabinet.conf")
    wrong = board.run("lockerctl check-config 2>&1", check=None)
    assert wrong.status and "/etc/lockerd/cabinet.conf:" in wrong.out and "waveshare-relay-d-9" in wrong.out, wrong.out
    board.run("systemctl start lockerd", check=None)
    wait(lambda: board.out("systemctl is-failed lockerd", check=None) == "failed", "the service says that it failed", 30)
    assert "cabinet.conf:" in board.journal(), "the journal names the line as well"
    board.configure()
    board.run("lockerctl check-config")
    board.start()
    users = set(board.out("ps -o user:32= -p $(pgrep -d, '^lockerd')").split())
    assert users == {"lockerd", "lockerd-line", "lockerd-open", "lockerd-gpio"}, users
    board.enrol_courier()
    board.assert_calm()


def repacked(deb, version, folder):
    """The same package under another version."""
    work = os.path.join(folder, "repack")
    target = os.path.join(folder, os.path.basename(deb).replace("_", f"_{version}_", 1))
    subprocess.run(["rm", "-rf", work], check=True)
    subprocess.run(["dpkg-deb", "-R", deb, work], check=True)
    control = os.path.join(work, "DEBIAN", "control")
    with open(control, encoding="utf-8") as f:
        text = f.read()
    with open(control, "w", encoding="utf-8") as f:
        for line in text.splitlines():
            f.write(f"Version: {version}\n" if line.startswith("Version:") else line + "\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", work, target], check=True, stdout=subprocess.DEVNULL)
    return target


@scenario()
def test_upgrade_with_parcels_inside(board):
    """The next version takes over ledger and codes; its daemon runs; nothing opens meanwhile."""
    parcels = [board.deposit("S"), board.deposit("M")]
    openings = board.hands.openings()
    old = board.out("systemctl show -P MainPID lockerd")
    version = board.out("dpkg-query -W -f '${Version}' lockerd")
    board.install([repacked(d, f"{version}+next", str(board.directory)) for d in board.setup.debs])
    assert board.out("dpkg-query -W -f '${Version}' lockerd") == f"{version}+next"
    board.wait_ready()
    assert board.out("systemctl show -P MainPID lockerd") != old, "the new version runs"
    assert {i: p["state"] for i, p in board.inside().items()} == {p.id: "stored" for p in parcels}
    assert board.hands.openings() == openings, "no door opens by an upgrade"
    for parcel in parcels:
        assert board.collect(parcel) == parcel.id
    board.assert_calm()


@scenario(start="next")
def test_remove_keeps_the_ledger_purge_says_what_it_deletes(board):
    """Removed: the service is gone, the ledger stays. Installed again: the parcel is still there. Purged: told, and gone."""
    parcel = board.deposit("S")
    board.run("apt-get -q -y remove lockerd 2>&1", timeout=300)
    assert board.out("pgrep '^lockerd'", check=None) == "", "nothing runs any more"
    board.run("test -e /var/lib/lockerd/ledger.db && test -e /var/lib/lockerd/lockerd.key")
    board.assert_calm()
    board.run("apt-get -q -y install /root/debs/*.deb 2>&1", timeout=300)
    board.run("systemctl start lockerd")
    board.wait_ready()
    assert board.state_of(parcel) == "stored"
    assert board.collect(parcel) == parcel.id
    said = board.out("apt-get -q -y purge lockerd 2>&1", timeout=300)
    assert "Deleting /var/lib/lockerd: the ledger with its audit trail" in said, said
    assert "Leaving /etc/lockerd/cabinet.conf" in said, said
    board.run("test ! -e /var/lib/lockerd && test -e /etc/lockerd/cabinet.conf")


@scenario(start="blank", long=True)
def test_upgrade_from_an_older_build(board):
    """From the package of an older commit (--previous DIR) to this one, with parcels inside."""
    if not board.setup.previous:
        raise Skipped("--previous DIR names no packages of an older commit")
    board.install(board.setup.previous)
    board.configure()
    board.start()
    board.enrol_courier()
    parcels = [board.deposit("S"), board.deposit("S")]
    board.install(board.setup.debs)
    board.wait_ready()
    assert {i: p["state"] for i, p in board.inside().items()} == {p.id: "stored" for p in parcels}
    for parcel in parcels:
        assert board.collect(parcel) == parcel.id
    board.run("systemctl stop lockerd")
    board.check_ledger()
    return f"from {', '.join(os.path.basename(d) for d in board.setup.previous)}"
