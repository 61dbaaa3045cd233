# SPDX-License-Identifier: Apache-2.0
"""Who the daemon and its workers are on an installed cabinet, and what each can reach."""
from board import wait
from machine import ARCHES
from scenario import scenario

LASTING = ("lockerd", "lockerd-line", "lockerd-open", "lockerd-gpio", "lockerd-mqtt")
WORKERS = ("lockerd-line", "lockerd-open", "lockerd-gpio", "lockerd-hash", "lockerd-mqtt")
BACKEND = "[Mqtt]\nHost=127.0.0.1\n"

# In a worker's place, in its unit. Words of the shell alone: the unit lets it start little. A redirection that fails is a "no".
PROBE = """\
#!/bin/sh
for f in @files@; do
	if true <"$f"; then echo "PROBE @name@ read $f"; fi
	if true >>"$f"; then echo "PROBE @name@ write $f"; fi
done 2>/dev/null
for d in /var/lib/lockerd /etc/lockerd /run/dbus /run/lockerd-workers /proc/@daemon@; do
	if [ -r $d ] && [ -x $d ]; then echo "PROBE @name@ see $d"; fi
done
while read -r interface rest; do
	case $interface in *:) echo "PROBE @name@ network $interface" ;; esac
done </proc/self/net/dev
echo "PROBE @name@ end"
while read -r word <&3; do :; done
"""


def pids(board, name):
    return board.out(f"pgrep -x {name}", check=None).split()


def users(board, name):
    return {board.out(f"ps -o user:32= -p {pid}") for pid in pids(board, name)}


def with_backend(board):
    """Nobody listens there; the worker tries again and again."""
    board.machine.write("/etc/lockerd/lockerd.conf.d/60-backend.conf", BACKEND)
    board.run("systemctl restart lockerd", timeout=120)
    board.wait_ready()
    wait(lambda: pids(board, "lockerd-mqtt"), "the worker of the network", 60, 0.5)


@scenario()
def test_every_worker_runs_as_who_it_should(board):
    """Each as the user of its name, confined, the first to be ended when memory runs short; the device of a line is nobody else's.

    Requirement: F17, F4
    """
    with_backend(board)
    parcel = board.deposit("S")
    assert pids(board, "lockerd-hash"), "PINs have just been checked"
    for name in LASTING + ("lockerd-hash",):
        assert users(board, name) == {name}, f"{name} runs as {users(board, name)}"
    for name in WORKERS:
        for pid in pids(board, name):
            status = dict(line.split(":", 1) for line in board.out(f"cat /proc/{pid}/status").splitlines() if ":" in line)
            assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1", f"{name}: {status}"
            assert int(status["CapBnd"], 16) == 0, f"{name}: {status}"
            assert int(board.out(f"cat /proc/{pid}/oom_score_adj")) >= 500, name
            group = board.out(f"cat /proc/{pid}/cgroup").split("::", 1)[1].strip()
            for limit in ("memory.max", "pids.max"):
                assert board.out(f"cat '/sys/fs/cgroup{group}/{limit}'").strip() not in ("", "max"), f"{name}: {limit}"
            assert "lockerd.service" not in group, f"{name}: {group}"
    assert int(board.out(f"cat /proc/{pids(board, 'lockerd')[0]}/oom_score_adj")) == -500
    device = ARCHES[board.setup.arch]["serial"]
    refused = board.run(f"setpriv --reuid=lockerd-open --regid=lockerd-open --init-groups --inh-caps=-all --bounding-set=-all sh -c 'true <{device}' 2>&1", check=None)
    assert "busy" in refused.out, f"a second program opens {device}: {refused.out}"
    assert board.collect(parcel) == parcel.id
    board.assert_calm()
    return "LSM: " + board.out("cat /sys/kernel/security/lsm", check=None)


def put_probe(board, name, files):
    daemon = board.out("systemctl show -P MainPID lockerd")
    text = PROBE.replace("@name@", name).replace("@files@", " ".join(files)).replace("@daemon@", daemon)
    board.machine.write(f"/usr/local/bin/probe-{name}", text)
    board.machine.write(f"/run/systemd/system/{name}@.service.d/50-probe.conf", f"[Service]\nExecStart=\nExecStart=/usr/local/bin/probe-{name}\n")
    board.run(f"chmod 755 /usr/local/bin/probe-{name}; systemctl daemon-reload")


def replace(board, name):
    """→ what another program in this worker's place could do."""
    if name == "lockerd-hash":
        board.run("pkill -x lockerd-hash", check=None)
        board.machine.start("lockerctl --json deposit --courier 4711 --size S --exact --stdin").type("258036\n")
    else:
        # The one before may just be taken out of the way: its successor has to be there first.
        victim = "lockerd-line" if name == "lockerd-open" else name
        wait(lambda: board.run(f"pkill -KILL -x {victim}", check=None).status == 0, f"{victim} runs and is killed", 60, 1)
    unit = f"'{name}@*'"
    wait(lambda: f"PROBE {name} end" in board.journal(f"-b -u {unit}"), f"the program in place of {name} has ended its attempts", 120, 1)
    lines = [line.split(" ", 2)[2] for line in board.journal(f"-b -u {unit}").splitlines() if line.startswith(f"PROBE {name} ")]
    return set(lines) - {"end"}


@scenario()
def test_program_in_a_workers_place_reaches_what_it_should(board):
    """Another program in place of each worker, which gives nothing up: its unit and its user keep it from ledger, key, bus, daemon and devices.

    Requirement: F17
    """
    serial = ARCHES[board.setup.arch]["serial"]
    with_backend(board)
    board.run("install -m 0400 -o lockerd-mqtt /dev/null /etc/lockerd/backend.key")
    files = ["/var/lib/lockerd/ledger.db", "/var/lib/lockerd/lockerd.key", "/etc/lockerd/backend.key", "/etc/shadow", serial, "/dev/gpiochip0", "/dev/vda", "/dev/mem",
             "/run/lockerd-workers/lockerd-line", "/usr/local/bin/written"]
    gpio = {"read /dev/gpiochip0", "write /dev/gpiochip0"}
    tty = {f"read {serial}", f"write {serial}"}
    may = {"lockerd-line": {"network lo:"}, "lockerd-open": {"network lo:"} | tty, "lockerd-gpio": {"network lo:"} | gpio, "lockerd-hash": {"network lo:"},
           "lockerd-mqtt": {"read /etc/lockerd/backend.key", "see /etc/lockerd"}}
    for name in WORKERS:
        put_probe(board, name, files)
        reached = replace(board, name)
        if name == "lockerd-mqtt":
            reached = {r for r in reached if not r.startswith("network ")}
        board.run(f"rm -r /run/systemd/system/{name}@.service.d; systemctl daemon-reload")
        assert reached == may[name], f"{name}: {sorted(reached)}"
    board.run("systemctl restart lockerd", timeout=120)
    board.wait_ready()
    parcel = board.deposit("S")
    assert board.collect(parcel) == parcel.id
    assert board.out("systemctl list-units --failed --no-legend") == ""
    board.assert_calm()
