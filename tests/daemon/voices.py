# SPDX-License-Identifier: Apache-2.0
"""Voices of nobody: phrases spoken by Debian's flite and espeak-ng, each time a little differently. Nothing here comes from a person.

    voices.say("slt", "open the seventh door", take=2)   # 16-bit samples at 16 kHz, numpy; the same numbers, the same samples

A take differs from another one in speed, pitch, loudness, the room's noise, and in how the speed changes within the phrase.
"""
import functools
import io
import os
import shutil
import subprocess
import tempfile
import wave

import numpy

RATE = 16000
FLITE = ["awb", "kal16", "rms", "slt"]
ESPEAK = [f"en-{accent}+{voice}" for accent, voice in (
    ("us", "m1"), ("us", "m5"), ("us", "f3"), ("gb", "m2"), ("gb", "m3"), ("gb", "m7"), ("gb", "f1"), ("gb", "f2"), ("gb-scotland", "m4"),
    ("gb-scotland", "f4"), ("gb-x-rp", "m6"), ("gb-x-rp", "f5"), ("029", "m1"), ("029", "f2"), ("us", "croak"), ("gb", "klatt"), ("us", "klatt2"),
    ("gb-x-gbclan", "m5"), ("gb-x-gbclan", "f3"), ("gb-x-gbcwmd", "m3"), ("gb-x-gbcwmd", "f1"), ("us", "m8"), ("gb", "anika"), ("us", "steph"))]
PHRASES = ["my parcel waits behind a green door", "seven small boats sailed away in the morning", "nobody knows where the old lighthouse keeper went",
           "please open the locker and let me in"]


def available():
    return bool(shutil.which("flite") and shutil.which("espeak-ng"))


def synthesize(voice, phrase, stretch, pitch):
    """→ samples and their rate."""
    if voice in FLITE:
        mean = {"awb": 120, "kal16": 100, "rms": 100, "slt": 170}[voice] * pitch
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "said.wav")
            subprocess.run(["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}", "--setf", f"int_f0_target_mean={mean:.1f}",
                            "-t", phrase, "-o", path], check=True, stdout=subprocess.DEVNULL)
            with open(path, "rb") as f:
                data = f.read()
    else:
        data = subprocess.run(["espeak-ng", "-v", voice, "-s", str(round(165 / stretch)), "-p", str(round(50 * pitch)), "--stdout", phrase], check=True,
                              stdout=subprocess.PIPE).stdout
        # What goes to a pipe has no length in its header.
        return numpy.frombuffer(data[44:len(data) // 2 * 2], "<i2").astype(float), int.from_bytes(data[24:28], "little")
    with wave.open(io.BytesIO(data)) as w:
        return numpy.frombuffer(w.readframes(w.getnframes()), "<i2").astype(float), w.getframerate()


def at_our_rate(samples, rate, random):
    """Resampled, with a speed that wanders by some percent: nobody says anything in the same time twice."""
    spectrum = numpy.fft.rfft(samples)
    spectrum[int(len(spectrum) * min(1.0, 0.95 * RATE / rate)):] = 0
    samples = numpy.fft.irfft(spectrum, len(samples))
    knots = 1 + random.normal(0, 0.07, 8)
    pace = numpy.interp(numpy.linspace(0, 7, int(len(samples) * RATE / rate)), numpy.arange(8), knots)
    at = numpy.cumsum(pace)
    return numpy.interp(at / at[-1] * (len(samples) - 1), numpy.arange(len(samples)), samples)


@functools.lru_cache(maxsize=None)
def speech(voice, phrase, take):
    """The phrase alone, its loudest sample at 1."""
    random = numpy.random.default_rng([take, *voice.encode(), *phrase.encode()])
    samples, rate = synthesize(voice, phrase, random.uniform(0.93, 1.07), random.uniform(0.94, 1.06))
    samples = at_our_rate(samples, rate, random)
    # Another distance and direction to the microphone: the spectrum is tilted.
    tilt = random.uniform(-0.25, 0.25)
    samples = samples + tilt * numpy.concatenate(([0], samples[:-1]))
    return samples / numpy.abs(samples).max()


def room(seconds, dbfs=-62, number=0):
    """What a microphone hears when nobody speaks."""
    random = numpy.random.default_rng(number)
    return random.normal(0, 32768 * 10 ** (dbfs / 20), int(seconds * RATE))


def clip(samples):
    return numpy.clip(numpy.round(samples), -32768, 32767).astype("<i2")


def say(voice, phrase, take=0, peak_dbfs=-8.0, noise_dbfs=-62, before=0.2, after=0.9):
    """With the room around it."""
    random = numpy.random.default_rng([take, 1])
    said = speech(voice, phrase, take) * 32768 * 10 ** ((peak_dbfs + random.uniform(-3, 3)) / 20)
    said = numpy.concatenate((numpy.zeros(int(before * RATE)), said, numpy.zeros(int(after * RATE))))
    return clip(said + room(len(said) / RATE + 1, noise_dbfs, take)[:len(said)])
