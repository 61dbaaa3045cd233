# SPDX-License-Identifier: Apache-2.0
"""A microphone for lockerd-voice: an ALSA PCM (microphone.c) that hears in real time what a test says, and otherwise a quiet room.

    mic = Microphone(folder, pace)      # its worker: script(name, program). pace: so many seconds it hears in one
    mic.say(samples)                    # 16 bits, 16 kHz; returns when all of it was heard
    mic.noise_dbfs = -30                # the room gets loud
    mic.unplug(); mic.plug(); mic.take(); mic.release()
"""
import ctypes
import errno
import mmap
import os
import shlex
import threading
import time

import numpy

import voices
from daemonlib import build_directory, wait

CHUNK = 0.01


class Card(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in ("open_error", "gone", "deaf", "rate", "overrun", "opened", "started", "capturing")]


class Microphone:
    def __init__(self, folder, pace=1):
        self.folder, self.pace, self.noise_dbfs = folder, pace, -62
        path = os.path.join(folder, "card")
        with open(path, "wb") as f:
            f.write(bytes(mmap.PAGESIZE))
        os.chmod(path, 0o666)
        with open(path, "r+b") as f:
            self.memory = mmap.mmap(f.fileno(), mmap.PAGESIZE)
        self.card = Card.from_buffer(self.memory)
        self.fifo = os.path.join(folder, "sound")
        os.mkfifo(self.fifo)
        os.chmod(self.fifo, 0o666)
        self.pipe = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)
        self.plugin = os.path.join(build_directory(), "tests", "daemon", "microphone.so")
        self.config = os.path.join(folder, "asound.conf")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f'pcm_type.lockermic {{\n lib "{self.plugin}"\n}}\npcm.mic {{\n type lockermic\n}}\n'
                    "pcm.plugmic {\n type plug\n slave.pcm mic\n}\n")
        self.to_say, self.said = [], threading.Event()
        self.lock, self.over = threading.Lock(), threading.Event()
        self.random = numpy.random.default_rng(1)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def script(self, name, program):
        """The worker with this sound card."""
        path = os.path.join(self.folder, name)
        keepenv = os.path.join(build_directory(), "tests", "daemon", "keepenv.so")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nexport ALSA_CONFIG_PATH={shlex.quote(self.config)} LOCKERMIC={shlex.quote(os.path.join(self.folder, 'card'))}\n"
                    f"export LD_PRELOAD={shlex.quote(keepenv + ' ' + self.plugin)}\nexec {shlex.quote(program)} \"$@\" 0<>{shlex.quote(self.fifo)}\n")
        os.chmod(path, 0o755)
        return path

    def chunk(self, n):
        """The next n samples."""
        sound = self.random.normal(0, 32768 * 10 ** (self.noise_dbfs / 20), n)
        with self.lock:
            at = 0
            while self.to_say and at < n:
                part = self.to_say[0][:n - at]
                sound[at:at + len(part)] += part
                at += len(part)
                self.to_say[0] = self.to_say[0][len(part):]
                if not len(self.to_say[0]):
                    self.to_say.pop(0)
            if not self.to_say:
                self.said.set()
        return voices.clip(numpy.repeat(sound, (self.card.rate or voices.RATE) // voices.RATE)).tobytes()

    def run(self):
        heard = time.monotonic()
        while not self.over.is_set():
            heard += CHUNK
            time.sleep(max(0, heard - time.monotonic()))
            sound = self.chunk(int(CHUNK * voices.RATE * self.pace))
            while sound and not self.card.deaf:
                try:
                    sound = sound[os.write(self.pipe, sound):]
                except BlockingIOError:
                    if not self.is_listened_to() or self.over.is_set():
                        break  # nobody hears it
                    time.sleep(0.002)  # the worker is late: a machine with much to do is no fault of a microphone's

    def say(self, samples, wait_for_end=True):
        with self.lock:
            self.said.clear()
            self.to_say.append(samples.astype(float))
        if wait_for_end:
            self.said.wait()

    def silence(self):
        with self.lock:
            self.to_say = []
            self.said.set()

    def is_listened_to(self):
        return bool(self.card.capturing)

    def unplug(self):
        self.card.open_error, self.card.gone = errno.ENODEV, 1

    def plug(self):
        self.card.open_error = self.card.gone = 0

    def take(self):
        """Another program has it."""
        self.card.open_error = errno.EBUSY

    def release(self):
        self.card.open_error = 0

    def wait_closed(self):
        wait(lambda: not self.is_listened_to(), "the microphone is closed")

    def stop(self):
        self.over.set()
        self.thread.join()
        os.close(self.pipe)
