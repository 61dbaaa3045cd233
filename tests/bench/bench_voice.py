#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""False acceptance and rejection of lockerd-voice, with voices of nobody (tests/daemon/voices.py: flite and espeak-ng), and what an attempt takes.

    bench_voice.py BUILDDIR [--short] [--takes N] [--noise DBFS]

Everybody enrols each phrase with three takes; the others are compared with it: the same person, other people with the same phrase, and other
phrases. Synthetic speakers say things more alike than people do, and differ from each other in other ways: the figures say what the method can
do, and that it is the phrase that is proven; not what a cabinet will see. Thresholds are those of Threshold= in cabinet.conf(5).
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchlib import arguments

import voices
from daemonlib import Cabinet

ENROLLED = 3
THRESHOLDS = (150, 160, 170, 180, 190, 200, 210, 220, 230)


def distances(build, sounds):
    """What the product makes of the sounds: what was heard, and the distance of each to each."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        paths = []
        for i, sound in enumerate(sounds):
            paths.append(os.path.join(folder, str(i)))
            with open(paths[-1], "wb") as f:
                f.write(sound.tobytes())
        done = subprocess.run([os.path.join(build, "tests", "bench", "voice-scores"), *paths], check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    return [line.split()[0] for line in lines[:len(sounds)]], [[int(v) for v in line.split()] for line in lines[len(sounds):]], done.stderr.strip()


def accuracy(o):
    people = (voices.FLITE[2:] + voices.ESPEAK[:4]) if o.short else voices.FLITE + voices.ESPEAK
    phrases = voices.PHRASES[:2] if o.short else voices.PHRASES
    what = [(who, phrase, take) for who in people for phrase in phrases for take in range(o.takes)]
    began = time.monotonic()
    heard, far, cost = distances(o.build, [voices.say(who, phrase, take, noise_dbfs=o.noise, before=0.7) for who, phrase, take in what])
    print(f"{len(people)} voices, {len(phrases)} phrases, {o.takes} takes in a room of {o.noise} dBFS: {time.monotonic() - began:.0f} s; {cost}")
    print(f"RESULT of no use: {sum(h != 'heard' for h in heard)} of {len(heard)}")
    at = {w: i for i, w in enumerate(what)}
    scores = {"same person": [], "another voice, same phrase": [], "another phrase": []}
    for who, phrase, take in what:
        if take < ENROLLED or heard[at[who, phrase, take]] != "heard":
            continue
        for other in people:
            for known in phrases:
                enrolled = [at[other, known, k] for k in range(ENROLLED)]
                if any(heard[k] != "heard" for k in enrolled):
                    continue
                score = statistics.fmean(far[at[who, phrase, take]][k] for k in enrolled)
                scores["another phrase" if known != phrase else "same person" if who == other else "another voice, same phrase"].append(score)
    for name, values in scores.items():
        print(f"{name}: {len(values)} comparisons, distance {min(values):.0f} … {statistics.median(values):.0f} … {max(values):.0f}")
    same, voice, phrase = scores.values()
    for t in THRESHOLDS:
        print(f"RESULT threshold {t}: rejected {sum(v > t for v in same)} of {len(same)} ({100 * sum(v > t for v in same) / len(same):.1f} %); accepted of "
              f"another voice {sum(v <= t for v in voice)} of {len(voice)} ({100 * sum(v <= t for v in voice) / len(voice):.1f} %), "
              f"of another phrase {sum(v <= t for v in phrase)} of {len(phrase)}")


def worker_of(daemon):
    """The process whose parent is the daemon, and whose name is the worker's."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii") as f:
                name, rest = f.read().rsplit(")", 1)
        except OSError:
            continue
        if name.endswith("(lockerd-voice") and int(rest.split()[1]) == daemon:
            return int(entry)
    raise RuntimeError("the worker is gone")


def attempt(o):
    """As fast as people speak, with the real daemon."""
    import microphone  # noqa: it needs ALSA's plugin of this build
    from daemonlib import GLib, dictionary
    from dbusclient import CABINET, ROOT, wait
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        mic = microphone.Microphone(folder)
        worker = mic.script("lockerd-voice", os.path.join(o.build, "src", "voice", "lockerd-voice"))
        sounds = [voices.say("slt", voices.PHRASES[0], take, before=0.8, after=0, noise_dbfs=-96) for take in range(4)]
        with Cabinet(o.build, edit=lambda text: text + "\n[Reader voice]\nDevice=mic\n", workers={"lockerd-voice": worker}) as cabinet:
            admin, client = cabinet.client(), cabinet.client()
            wait(lambda: admin.health().get("reader:voice", ("",))[0] == "ok", "the microphone")
            began = time.monotonic()
            pending = admin.begin(ROOT, CABINET, "Enrol", "a{sv}", dictionary(kind="courier", number="4711", name="A", consent=True,
                                                                              voice=GLib.Variant("b", True)))
            wait(mic.is_listened_to, "the microphone listens")
            for sound in sounds[:3]:
                mic.say(sound)
                time.sleep(0.7)
            pending.result(30)
            enrolled = time.monotonic() - began
            session = client.start_session("courier")
            began = time.monotonic()
            pending = session.begin("Authenticate", "sa{sv}", "voice", dictionary(number="4711"))
            session.wait_prompt("speak")
            asked = time.monotonic() - began
            mic.say(sounds[3])
            ended = time.monotonic()
            pending.result(30)
            answered = time.monotonic() - ended
            pid = worker_of(cabinet.daemon.pid)
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                pss = next(int(line.split()[1]) for line in f if line.startswith("Pss:")) / 1024
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            spent = (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")
            print(f"RESULT an enrolment {enrolled:.1f} s; asked to speak after {asked:.2f} s; the answer {answered:.2f} s after the end of the phrase; "
                  f"PSS of the worker {pss:.1f} MiB; processor of it from its start to here {spent} ms")
        mic.stop()


def main():
    o = arguments(__doc__.split("\n", maxsplit=1)[0], takes=(5, "of each phrase by each voice"), noise=(-62, "level of the room, dBFS"))
    if not voices.available() or not os.path.exists(os.path.join(o.build, "tests", "bench", "voice-scores")):
        print("skipped: flite or espeak-ng is missing, or lockerd-voice is not built")
        sys.exit(77)
    accuracy(o)
    attempt(o)


if __name__ == "__main__":
    main()
