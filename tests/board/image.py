# SPDX-License-Identifier: Apache-2.0
"""Makes what the virtual board boots: a kernel with simulated GPIO lines and Bluetooth controllers, an initrd, a root file system.

Everything comes from the Debian mirror that this machine's apt uses, and is kept by the hash of what it was made from in a cache outside the
tree: $LOCKERD_BOARD_CACHE, else ~/.cache/lockerd-board. No kernel of Debian has the simulators; they are built out of tree from Debian's own kernel source.
"""
import contextlib
import fcntl
import hashlib
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
GUEST = HERE / "guest"

# What the guest has beside the dependencies of lockerd's packages.
USERLAND = ["apt", "dbus", "dbus-daemon", "gpiod", "kmod", "mosquitto", "mosquitto-clients", "procps", "systemd", "systemd-sysv", "udev"]
# Beside those, for the board with a radio: BlueZ, an emulator of controllers, and what a program on a phone is written in.
RADIO = ["bluez", "bluez-test-tools", "python3-gi"]
# Of the kernel's modules: these, and what they need. Order counts: the initrd loads the first five.
BOOT_MODULES = ["virtio_pci", "virtio_mmio", "virtio_blk", "crc32c_generic", "ext4"]
MODULES = BOOT_MODULES + ["virtio_console", "configfs", "usbserial", "cdc_acm", "ftdi_sio", "pl2303", "8250_pci", "gpio_pl061",
                          "bluetooth", "ecb", "cmac", "algif_skcipher", "algif_hash", "drbg", "hmac", "sha512_generic", "ecdh_generic"]
SIMULATORS = ["gpio_sim", "hci_vhci"]
# Units that a lock board does not have, or that would only cost time.
MASKED = ["apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer",
          "getty@tty1.service", "getty-static.service", "serial-getty@ttyS0.service", "serial-getty@ttyAMA0.service", "console-getty.service",
          "systemd-hwdb-update.service", "systemd-pstore.service", "systemd-firstboot.service", "systemd-update-utmp.service",
          "systemd-update-utmp-runlevel.service", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "dev-hugepages.mount", "dev-mqueue.mount",
          "modprobe@drm.service", "modprobe@fuse.service", "modprobe@loop.service", "modprobe@dm_mod.service", "modprobe@efi_pstore.service", "systemd-binfmt.service", "systemd-timesyncd.service"]

ARCHES = {
    "amd64": {"kernel": "amd64", "make": [], "cc": "gcc", "karch": "x86"},
    "arm64": {"kernel": "arm64", "make": ["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"], "cc": "aarch64-linux-gnu-gcc", "karch": "arm64"},
}


class Unavailable(Exception):
    """The board cannot be made here; says why. Nothing about lockerd."""


def cache_directory():
    default = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "lockerd-board")
    return pathlib.Path(os.environ.get("LOCKERD_BOARD_CACHE") or default)


def run(command, log, **keys):
    """Runs something of the recipe; what it says goes to the log."""
    with open(log, "ab") as f:
        f.write(f"$ {' '.join(map(str, command))}\n".encode())
        f.flush()
        done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=f, stderr=f, check=False, **keys)
    if done.returncode:
        with open(log, encoding="utf-8", errors="replace") as f:
            tail = "".join(f.readlines()[-15:])
        raise Unavailable(f"{command[0]} failed with {done.returncode}:\n{tail}")


def output(command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout


def digest(*things):
    sha = hashlib.sha256()
    for thing in things:
        sha.update(thing.read_bytes() if isinstance(thing, pathlib.Path) else json.dumps(thing, sort_keys=True).encode())
        sha.update(b"\0")
    return sha.hexdigest()[:16]


def codename():
    with open("/etc/os-release", encoding="utf-8") as f:
        release = dict(line.rstrip().split("=", 1) for line in f if "=" in line)
    if release.get("ID") != "debian":
        raise Unavailable("the board is made from this machine's Debian packages, and this is not Debian")
    return release["VERSION_CODENAME"].strip('"')


class Apt:
    """apt with a root of its own, so that a foreign architecture and a user without rights can use it. Mirrors and settings are the machine's."""

    def __init__(self, arch, directory):
        self.log = directory / "apt.log"
        suite = codename()
        targets = output(["apt-get", "indextargets", "--format", "$(CREATED_BY)|$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"])
        found = [line.split("|") for line in targets.splitlines()]
        self.lines = sorted({f"deb {uri} {release} {component}" for kind, origin, uri, release, component in found
                             if kind == "Packages" and origin == "Debian" and release.startswith(suite) and component == "main"})
        if not self.lines:
            raise Unavailable(f"apt here knows no Debian mirror with {suite} (is apt-get update missing?)")
        # How this machine reaches its mirrors: proxies, time-outs, what is checked.
        self.options = [line for line in output(["apt-config", "dump", "Acquire"]).splitlines()
                        if re.match(r"Acquire::(http|https|Check|Retries|ForceIPv|Proxy)", line) and '""' not in line]
        self.root = directory / "apt"
        for folder in ("etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "state/lists/partial", "cache/archives/partial"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        signed = "/usr/share/keyrings/debian-archive-keyring.gpg"
        (self.root / "etc/sources.list").write_text("".join(line.replace("deb ", f"deb [signed-by={signed}] ", 1) + "\n" for line in self.lines))
        (self.root / "apt.conf").write_text("".join(line + "\n" for line in self.options) + f"""
APT::Architecture "{arch}"; APT::Architectures {{ "{arch}"; }}; APT::Sandbox::User "root"; Acquire::Languages "none"; Debug::NoLocking "true";
Dir "/"; Dir::State "{self.root}/state"; Dir::State::status "{self.root}/status"; Dir::Cache "{self.root}/cache"; Dir::Etc "{self.root}/etc";
Dir::Etc::Trusted "/etc/apt/trusted.gpg"; Dir::Etc::TrustedParts "/etc/apt/trusted.gpg.d";
""")
        self.environment = {**os.environ, "APT_CONFIG": str(self.root / "apt.conf")}
        run(["apt-get", "-q", "update"], self.log, env=self.environment)

    def depends(self, package, pattern):
        """The package that `package` depends on and whose name fits."""
        text = subprocess.run(["apt-cache", "depends", package], capture_output=True, text=True, env=self.environment, check=False).stdout
        names = re.findall(r"Depends: (\S+)", text)
        for name in names:
            if re.fullmatch(pattern, name):
                return name
        raise Unavailable(f"no package like {pattern} among the dependencies of {package}")

    def version(self, package):
        text = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, env=self.environment, check=False).stdout
        found = re.search(r"Candidate: (\S+)", text)
        return found[1] if found else "none"

    def download(self, packages, directory):
        directory.mkdir(exist_ok=True)
        run(["apt-get", "-q", "download", *packages], self.log, env=self.environment, cwd=directory)
        return {p: next(directory.glob(f"{p}_*.deb")) for p in packages}


@contextlib.contextmanager
def kept(name):
    """A directory of the cache that is made once: yields (path, None) when it is there, else (where it will be, where to make it)."""
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = cache / name
        if ready.exists():
            os.utime(ready)
            yield ready, None
            return
        draft = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}.", dir=cache))
        try:
            yield ready, draft
            draft.chmod(0o755)
            draft.rename(ready)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def unpack(deb, target, patterns=()):
    """The files of a Debian package, or those that fit one of the patterns."""
    reader = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", target, *(["--wildcards", *patterns] if patterns else [])], stdin=reader.stdout, stderr=subprocess.DEVNULL,
                   check=not patterns)
    if reader.wait() not in (0, -13):
        raise Unavailable(f"{deb} cannot be unpacked")


# --- the kernel


def simulator_source(source_deb, version, work, log):
    """gpio-sim with what it needs, and hci_vhci, from Debian's kernel source, changed so that they build out of tree."""
    unpack(source_deb, work)
    archive = next((work / "usr/src").glob("linux-source-*.tar.xz"))
    top = archive.name.removesuffix(".tar.xz")
    files = ["drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h", "kernel/irq/irq_sim.c", "drivers/bluetooth/hci_vhci.c"]
    # Files of a tar come in order of their names: reading ends with the last one.
    run(["tar", "-x", "-J", "--occurrence=1", "-C", work, "-f", archive, *[f"{top}/{f}" for f in files]], log)
    build = work / "simulators"
    build.mkdir()
    for name in files:
        shutil.copy(work / top / name, build)
    (build / "gpio-sim.c").rename(build / "gpio_sim_main.c")
    irq = (build / "irq_sim.c").read_text()
    # irq_to_desc() is not exported to modules; the way by the interrupt's data is.
    changed = irq.replace("irq_to_desc(irqnum)", "irq_data_to_desc(irq_get_irq_data(irqnum))")
    changed = changed.replace("#include <linux/irq.h>\n", "", 1).replace("#include <linux/", "#include <linux/irq.h>\n#include <linux/", 1)
    (build / "irq_sim.c").write_text(changed)
    (build / "Makefile").write_text("obj-m := gpio-sim.o hci_vhci.o\ngpio-sim-y := gpio_sim_main.o irq_sim.o\n")
    return build


def simulator(apt, arch, debs, version, work, log):
    """→ the modules' files"""
    headers = work / "headers"
    headers.mkdir()
    for name, deb in debs.items():
        if not name.startswith(("linux-source", "linux-image")):
            unpack(deb, headers)
    tree = next((headers / "usr/src").glob(f"linux-headers-*-{ARCHES[arch]['kernel']}"))
    # The headers speak of each other by where dpkg would have put them.
    for makefile in (headers / "usr/src").glob("*/Makefile"):
        if not makefile.is_symlink():
            makefile.write_text(makefile.read_text().replace("/usr/src/", f"{headers}/usr/src/"))
    for link in (headers / "usr/src").glob("*/*"):
        if link.is_symlink() and os.readlink(link).startswith("/"):
            target = f"{headers}{os.readlink(link)}"
            link.unlink()
            link.symlink_to(target)
    source = simulator_source(next(d for n, d in debs.items() if n.startswith("linux-source")), version, work, log)
    run(["make", f"-j{os.cpu_count()}", "-C", tree, f"M={source}", "CONFIG_DEBUG_INFO_BTF_MODULES=", *ARCHES[arch]["make"], "modules"], log)
    return [source / "gpio-sim.ko", source / "hci_vhci.ko"]


def wanted_modules(modules, names):
    """Files of these modules and of those they need, needed ones first."""
    depends = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, needs = line.split(":", 1)
        depends[re.sub(r"\.ko(\.xz)?$", "", os.path.basename(path)).replace("-", "_")] = (path, needs.split()[::-1])
    order = []
    for name in names:
        if name in depends:
            path, needs = depends[name]
            order += [p for p in [*needs, path] if p not in order]
    return order


def initrd(modules, arch, directory, work, log, busybox):
    """A busybox that loads what the root needs and goes there."""
    root = work / "initrd"
    for folder in ("bin", "modules", "proc", "sys", "dev", "root"):
        (root / folder).mkdir(parents=True)
    unpack(busybox, work, ["*bin/busybox"])
    shutil.copy(next(p for p in (work / "bin/busybox", work / "usr/bin/busybox") if p.exists()), root / "bin/busybox")
    shutil.copy(GUEST / "init", root / "init")
    (root / "init").chmod(0o755)
    names = []
    for number, path in enumerate(wanted_modules(modules, BOOT_MODULES)):
        names.append(f"{number:02}-{os.path.basename(path)}")
        shutil.copy(modules / path, root / "modules" / names[-1])
    with open(directory / "initrd", "wb") as f:
        find = subprocess.Popen(["find", ".", "-print0"], cwd=root, stdout=subprocess.PIPE)
        subprocess.run(["cpio", "--null", "-o", "-H", "newc", "--quiet"], cwd=root, stdin=find.stdout, stdout=f, check=True)
        find.wait()


def kernel(arch):
    """→ a directory with vmlinuz, initrd and lib/modules"""
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kernel.", dir=cache) as temporary:
        work = pathlib.Path(temporary)
        apt = Apt(arch, work)
        flavour = ARCHES[arch]["kernel"]
        image = apt.depends(f"linux-image-{flavour}", rf"linux-image-\d.*-{flavour}")
        version = image.removeprefix("linux-image-")
        headers = apt.depends(f"linux-headers-{flavour}", rf"linux-headers-\d.*-{flavour}")
        common = apt.depends(headers, r"linux-headers-\d.*-common")
        source = apt.depends("linux-source", r"linux-source-\d.*")
        recipe = digest(GUEST / "init", pathlib.Path(__file__).resolve(), arch, version, apt.version(image))
        with kept(f"kernel-{arch}-{recipe}") as (ready, draft):
            if draft is None:
                return ready
            log = draft / "log"
            debs = apt.download([image, source, common, "busybox-static"], work / "debs")
            # The scripts of the headers run here, whatever the guest is.
            here = apt if arch == own_architecture() else Apt(own_architecture(), work / "here")
            kbuild = apt.depends(headers, r"linux-kbuild-\d.*")
            debs |= apt.download([headers], work / "debs") | here.download([kbuild], work / "debs")
            built = simulator(apt, arch, debs, version, work, log)
            unpack(debs[image], draft, ["./boot/vmlinuz-*", "./lib/modules/*", "./usr/lib/modules/*"])
            (draft / f"boot/vmlinuz-{version}").rename(draft / "vmlinuz")
            slim(draft, version, built, log)
            initrd(draft / "lib/modules" / version, arch, draft, work, log, debs["busybox-static"])
        return ready


def slim(draft, version, built, log):
    """Leaves of /lib/modules what the guest uses, and adds the simulators."""
    if not (draft / "lib/modules").exists():
        (draft / "usr/lib").rename(draft / "lib")
    full = draft / "lib/modules" / version
    for module in built:
        shutil.copy(module, full / "kernel")
    run(["depmod", "-b", draft, version], log)
    keep = set(wanted_modules(full, [*MODULES, *SIMULATORS]))
    for path in list(full.rglob("*.ko*")):
        if str(path.relative_to(full)) not in keep:
            path.unlink()
        elif path.suffix == ".xz":
            path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
            path.unlink()
    run(["depmod", "-b", draft, version], log)


def own_architecture():
    return output(["dpkg", "--print-architecture"]).strip()


# --- the userland


def dependencies(debs):
    """What the packages need and do not bring, by name."""
    own = {output(["dpkg-deb", "-f", d, "Package"]).strip() for d in debs}
    needs = set()
    for deb in debs:
        for field in ("Pre-Depends", "Depends"):
            for need in output(["dpkg-deb", "-f", deb, field]).replace("\n", " ").split(","):
                names = [n.split("(")[0].strip().split(":")[0] for n in need.split("|")]
                # dbus is named in the list above, by its real name.
                if names[0] and "dbus-system-bus" not in names[0] and not own & set(names) and not set(USERLAND) & set(names):
                    needs.add(names[0])
    return sorted(needs)


def guest_programs(arch, root, log):
    cc = ARCHES[arch]["cc"] if arch != own_architecture() else "gcc"
    folder = root / "usr/lib/board"
    folder.mkdir(parents=True)
    for name in ("agent", "world", "clock"):
        run([cc, "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", folder / name, GUEST / f"{name}.c"], log)
    run([cc, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", folder / "nosync.so", GUEST / "nosync.c"], log)
    shutil.copy(GUEST / "gpio-lines", folder)
    (folder / "gpio-lines").chmod(0o755)
    for unit in GUEST.glob("*.service"):
        shutil.copy(unit, root / "etc/systemd/system")
        wants = root / "etc/systemd/system/sysinit.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / unit.name).symlink_to(f"/etc/systemd/system/{unit.name}")


def furnish(root):
    """What makes a Debian tree this board."""
    (root / "etc/fstab").write_text("")
    (root / "etc/hostname").write_text("board\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost board\n::1 localhost\n")
    (root / "etc/machine-id").write_text("b0a4d000000000000000000000000001\n")
    (root / "etc/default/locale").write_text("LANG=C.UTF-8\n")
    (root / "etc/apt/sources.list").write_text("")
    for unit in MASKED:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    (root / "etc/systemd/system/multi-user.target.wants/mosquitto.service").unlink(missing_ok=True)
    # A technician reads the journal of the start before the power cut.
    (root / "var/log/journal").mkdir(exist_ok=True)
    conf = root / "etc/systemd/journald.conf.d"
    conf.mkdir(exist_ok=True)
    (conf / "board.conf").write_text("[Journal]\nStorage=persistent\nSystemMaxUse=16M\nRateLimitIntervalSec=0\n")


def image(arch, debs, size="900M", radio=False):
    """→ a directory with vmlinuz, initrd and root.ext4; needs root for the owners of the files."""
    boot = kernel(arch)
    needs = dependencies(debs)
    cache = cache_directory()
    with tempfile.TemporaryDirectory(prefix="apt.", dir=cache) as temporary:
        apt = Apt(arch, pathlib.Path(temporary))
        packages = sorted(set(USERLAND + needs + (RADIO if radio else [])))
        parts = [p for p in sorted(GUEST.iterdir()) if p.is_file()]
        recipe = digest(pathlib.Path(__file__).resolve(), arch, boot.name, packages, [apt.version(p) for p in packages], *parts)
        with kept(f"image-{arch}-{recipe}") as (ready, draft):
            if draft is None:
                return ready
            root, log = draft / "root", draft / "log"
            (draft / "sources").write_text("".join(line + "\n" for line in apt.lines))
            settings = [f"--aptopt={line.rstrip(';')}" for line in apt.options]
            trash = ["man", "locale", "info", "doc-base", "lintian", "bash-completion", "zoneinfo/right", "zoneinfo/posix"]
            # What it mounts there is its own: if it dies, nothing of this machine can be removed together with the draft.
            run(["unshare", "--mount-proc", "--pid", "--fork", "--kill-child", "mmdebstrap", "--mode=root", "--variant=minbase", f"--arch={arch}", f"--include={','.join(packages)}", *settings,
                 *[f"--dpkgopt=path-exclude=/usr/share/{t}/*" for t in trash], "--aptopt=Apt::Install-Recommends false",
                 "--skip=cleanup/reproducible,cleanup/apt/lists", codename(), root, draft / "sources"], log)
            shutil.copytree(boot / "lib/modules", root / "lib/modules", dirs_exist_ok=True)
            guest_programs(arch, root, log)
            furnish(root)
            for trash in ("var/cache/apt", "var/lib/apt/lists"):
                shutil.rmtree(root / trash)
                (root / trash / "partial").mkdir(parents=True)
            run(["mke2fs", "-q", "-t", "ext4", "-d", root, "-L", "board", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", draft / "root.ext4", size], log)
            shutil.rmtree(root)
            for name in ("vmlinuz", "initrd"):
                os.link(boot / name, draft / name)
        return ready


def main():
    start = time.monotonic()
    radio = "--radio" in sys.argv
    arch, *debs = [a for a in sys.argv[1:] if a != "--radio"]
    try:
        print(image(arch, debs, radio=radio), f"({time.monotonic() - start:.0f} s)")
    except Unavailable as problem:
        print(problem)
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
