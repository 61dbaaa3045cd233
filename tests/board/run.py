#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lockerd's package on a virtual board: installs it, boots it, uses it, unplugs it.

The short run is part of ./check; the long one: tests/board/run.py --long. docs/board.md says more.
The last line is "N passed, N failed, N skipped"; status 77: the board cannot be made here, and why.
"""
import argparse
import functools
import glob
import importlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import types

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]
sys.path.insert(0, str(HERE))
os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ.get("PATH", "")

import image  # noqa: E402
import scenario  # noqa: E402

# The longest first, so that no machine is left alone with it at the end.
MODULES = ["test_install", "test_power", "test_workers", "test_trouble", "test_people", "test_radio"]
# In the guest; locksim stays outside.
INSTALLED = ("lockerd_", "lockerctl_")


def host_packages(arch):
    """Installs what is missing of the list beside this script."""
    with open(HERE / "packages", encoding="utf-8") as f:
        lines = [line.split() for line in f if line.strip() and not line.startswith("#")]
    wanted = [words[0] for words in lines if len(words) == 1 or words[1] == arch]
    have = image.output(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted])
    missing = [p for p in wanted if f"{p} installed" not in have.splitlines()]
    if not missing:
        return
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120"]
    for command in (["update"], ["install", "--no-install-recommends", *missing]):
        done = subprocess.run([*apt, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise image.Unavailable(f"the virtual board needs packages that could not be installed ({' '.join(missing)}): {reason}")


def build_packages(folder):
    """The packages of this tree, as ./check builds them."""
    copy = folder / "tree"
    copy.mkdir()
    names = subprocess.run(["git", "-c", f"safe.directory={TREE}", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=TREE,
                           capture_output=True, check=True).stdout
    names = b"\0".join(n for n in names.split(b"\0") if n and os.path.exists(os.path.join(os.fsencode(TREE), n)))
    tar = subprocess.run(["tar", "--null", "-T", "-", "-c"], cwd=TREE, input=names, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", copy], input=tar, check=True)
    done = subprocess.run(["dpkg-buildpackage", "-Pnocheck", "-us", "-uc", "-b"], cwd=copy, capture_output=True, text=True, check=False,
                          env={**os.environ, "DEB_BUILD_OPTIONS": f"nocheck parallel={os.cpu_count()}"})
    if done.returncode:
        sys.exit(f"the packages cannot be built:\n{(done.stdout + done.stderr)[-3000:]}")
    return folder


def packages_in(folder, arch, names=INSTALLED):
    found = [p for p in sorted(glob.glob(f"{folder}/*_{arch}.deb")) if os.path.basename(p).startswith(names)]
    if len(found) != len(names):
        sys.exit(f"{folder} does not have one each of {', '.join(names)} for {arch}")
    return found


def locksim(folder, scratch):
    """A directory in which the tests find the locksim of the packages, as in a build directory."""
    deb = glob.glob(f"{folder}/locksim_*_{image.own_architecture()}.deb")
    if not deb:
        sys.exit(f"{folder} has no locksim package for this machine")
    subprocess.run(["dpkg-deb", "-x", deb[0], scratch / "locksim"], check=True)
    (scratch / "locksim/src/sim").mkdir(parents=True)
    (scratch / "locksim/src/sim/locksim").symlink_to(scratch / "locksim/usr/bin/locksim")
    return str(scratch / "locksim")


def make_image(args, debs, radio=False):
    """Owners of files need root; everything after that does not."""
    if os.geteuid() == 0:
        return image.image(args.arch, debs, radio=radio)
    cache = image.cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["sudo", "-n", f"LOCKERD_BOARD_CACHE={cache}", sys.executable, str(HERE / "image.py"), *(["--radio"] if radio else []), args.arch, *debs], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise image.Unavailable((done.stdout + done.stderr).strip() or "making the image needs root")
    return pathlib.Path(done.stdout.split()[0])


def with_radio(args, setup, folder):
    """The same on a board with BlueZ, which is made when a scenario wants it."""
    debs = packages_in(folder, args.arch, (*INSTALLED, "lockerd-ble_"))
    return types.SimpleNamespace(**{**vars(setup), "debs": debs, "image": make_image(args, debs, radio=True)})


def prune(days=14):
    """Images that nobody has used for two weeks leave the cache."""
    for path in image.cache_directory().glob("*-*-*"):
        if path.is_dir() and path.name.startswith(("kernel-", "image-")) and time.time() - path.stat().st_mtime > days * 86400:
            shutil.rmtree(path, ignore_errors=True)


def prepare_ready(runner, setup, story):
    """Runs the installation and keeps its machine as the snapshot that the other scenarios start from."""
    board = runner.story(story, keep_board=True)
    if not board:
        return False
    board.machine.save(scenario.SNAPSHOT)
    board.machine.cut()
    setup.ready = str(runner.out / "ready.qcow2")
    shutil.copyfile(board.machine.disk, setup.ready)
    shutil.copyfile(board.machine.data, runner.out / "data.qcow2")
    runner.boots += board.boot_seconds
    runner.save(board, story[-1], None)
    return True


def chosen(args):
    for module in MODULES:
        importlib.import_module(module)
    wanted = [s for s in scenario.SCENARIOS if args.long or not s.long]
    if args.names:
        wanted = [s for s in scenario.SCENARIOS if any(n in s.name for n in args.names)]
        first = next((i for i, s in enumerate(scenario.SCENARIOS) if s in wanted and s.start == "next"), None)
        if first is not None:
            # What goes on from another needs it.
            begin = max(i for i in range(first) if scenario.SCENARIOS[i].start != "next")
            wanted = [s for s in scenario.SCENARIOS if s in wanted or s in scenario.SCENARIOS[begin:first]]
    return wanted


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="all scenarios, and fifty power cuts instead of three")
    parser.add_argument("--arch", choices=sorted(image.ARCHES), default="amd64", help="the board's architecture (amd64)")
    parser.add_argument("--debs", help="directory with the packages; else they are built from the tree")
    parser.add_argument("--outside", help="directory with the locksim package for this machine, when --debs has none")
    parser.add_argument("--previous", help="directory with packages of an older commit, to upgrade from")
    parser.add_argument("--out", help="where journals, ledgers and verdicts go; else a directory in the cache")
    parser.add_argument("--again", action="store_true", help="start from the installed cabinet of the run before; for working on scenarios")
    parser.add_argument("--jobs", type=int, default=2, help="machines at once (2)")
    parser.add_argument("--cycles", type=int, help="power cuts")
    parser.add_argument("--seed", type=int, help="of the moments of the cuts; else chosen and told")
    parser.add_argument("names", nargs="*", help="only scenarios with this in their names")
    return parser.parse_args()


def main():
    args = arguments()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lockerd-board-") as scratch:
        scratch = pathlib.Path(scratch)
        try:
            host_packages(args.arch)
            folder = pathlib.Path(args.debs) if args.debs else build_packages(scratch)
            debs = packages_in(folder, args.arch)
            made = make_image(args, debs)
            prune()
        except image.Unavailable as problem:
            first, *rest = str(problem).splitlines()
            print("\n".join([*rest, f"the virtual board is not here: {first}"]))
            return 77
        print(f"image: {made.name} ({time.monotonic() - start:.0f} s)", flush=True)
        out = pathlib.Path(args.out or image.cache_directory() / f"run-{args.arch}")
        again = [p for p in (out / "ready.qcow2", out / "data.qcow2") if args.again and p.exists()]
        for path in out.glob("*") if out.exists() else []:
            if path not in again:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        out.mkdir(parents=True, exist_ok=True)
        seed = args.seed if args.seed is not None else int(time.time())
        setup = types.SimpleNamespace(image=made, arch=args.arch, debs=debs, locksim=locksim(args.outside or folder, scratch), seed=seed,
                                      ready=again and str(again[0]),
                                      cycles=args.cycles or (50 if args.long else 3), long=args.long,
                                      previous=packages_in(args.previous, args.arch) if args.previous else None)
        setup.radio = functools.cache(lambda: with_radio(args, setup, folder))
        runner = scenario.Runner(setup, out, args.jobs)
        wanted = chosen(args)
        stories = scenario.stories(wanted)
        install = [s for s in scenario.SCENARIOS if s.name in ("test_install", "test_configure")]
        if again or prepare_ready(runner, setup, install):
            runner.run([s for s in stories if s[0] not in install])
        else:
            for s in wanted:
                if s not in install:
                    runner.say(scenario.Verdict(s, "FAILED", "not run: there is no installed cabinet"))
        print(f"journals, ledgers and verdicts: {out}; {time.monotonic() - start:.0f} s")
        return runner.table()


if __name__ == "__main__":
    sys.exit(main())
