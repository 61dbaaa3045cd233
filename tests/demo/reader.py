# SPDX-License-Identifier: Apache-2.0
"""A fingerprint reader for the demo, where lockerd-fingerprint-usb was built: libfprint's virtual one, and a finger of nobody's that is put
on it again and again."""
import os
import shlex
import socket
import struct
import subprocess
import sys
import threading

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "daemon"))
ROUNDS = 8  # of growth: clear enough for libfprint


def find_reader(build, directory):
    """None where there is nothing to show it with: the worker, a compiler for the shim, or numpy for the finger."""
    worker = os.path.join(build, "src", "fingerprint_usb", "lockerd-fingerprint-usb")
    if not os.path.exists(worker):
        return None
    try:
        import prints
    except ImportError:
        return None
    # The worker gives up its environment, where libfprint looks for its virtual reader.
    shim = os.path.join(directory, "keepenv.so")
    source = os.path.join(ROOT, "tests", "daemon", "keepenv.c")
    command = [*shlex.split(os.environ.get("CC", "cc")), "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", shim, source]
    if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
        return None
    return Reader(prints, worker, directory, shim)


class Reader:
    section = "\n[Reader fingerprint]\nType=usb\n"

    def __init__(self, prints, worker, directory, shim):
        self.prints, self.worker, self.shim = prints, worker, shim
        self.path = os.path.join(directory, "reader")
        self.touches = 0
        # It takes seconds to grow; the story begins without it.
        threading.Thread(target=prints.finger, args=(1, ROUNDS), daemon=True).start()

    def write_worker(self, path):
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nexport FP_VIRTUAL_IMAGE={shlex.quote(self.path)} LD_PRELOAD={shlex.quote(self.shim)}\n"
                    f"exec {shlex.quote(self.worker)} \"$@\"\n")
        os.chmod(path, 0o755)

    def finger(self):
        """Puts the finger down again and again, until this is left."""
        return Finger(self)

    def picture(self):
        self.touches += 1
        width, height, grey = self.prints.finger(1, ROUNDS).touch(self.touches)
        return struct.pack("=ii", width, height) + grey


class Finger:
    def __init__(self, reader):
        self.reader, self.over = reader, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        connection = None
        while not self.over.wait(0.15):
            try:
                if connection is None:  # it is there while somebody is waited for
                    connection = socket.socket(socket.AF_UNIX)
                    connection.connect(self.reader.path)
                connection.sendall(self.reader.picture())
            except OSError:
                connection = None

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
