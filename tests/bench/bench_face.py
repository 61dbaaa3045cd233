#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""False acceptance and rejection of faces with the worker's own code, and what a picture costs.

    bench_face.py BUILD-DIRECTORY [--pictures N] [--threshold T] [--people FOLDER [--models DETECTOR LANDMARKS EMBEDDING]]

Everybody is enrolled with the mean of three pictures and compared, by the mean of two, with their own enrolment and with everybody else's, as
the worker does it. Without --people the faces are those of some photographs in an npm package, each turned, moved, lit and noisy in another
way (tests/daemon/faces.py): people are different people, but pictures of one person come from one photograph, which says nothing about how much
somebody changes from day to day. With --people: a folder with a folder a person, of five pictures or more each, taken by the camera in question.
"""
import argparse
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "daemon"))
import faces  # noqa: E402
import numpy  # noqa: E402
from PIL import Image  # noqa: E402

CASES = {  # what is before the camera: arguments of Models.picture()
    "200 pixels high": {},
    "80 pixels high": {"size": 80},
    "60 pixels high": {"size": 60},
    "40 pixels high": {"size": 40},
    "light 0.6": {"light": 0.6},
    "light 0.4": {"light": 0.4},
    "light 0.3": {"light": 0.3},
    "light 0.4, noisy": {"light": 0.4, "noise": 14},
}


class Scores:
    """face-scores: pictures in, (number of faces, height, ms, direction or None) out. What is darker than the worker lets pass is no face."""

    def __init__(self, build, models, light):
        self.light = light
        self.command = [os.path.join(build, "tests", "daemon", "face-scores"), *models, str(faces.WIDTH), str(faces.HEIGHT)]

    def of(self, pictures):
        done = subprocess.run(self.command, input=b"".join(p.tobytes() for p in pictures), stdout=subprocess.PIPE, check=True)
        for line in done.stdout.decode().splitlines():
            words = line.split()
            n = int(words[0]) if float(words[2]) >= self.light else 0
            yield n, float(words[1]), float(words[3]), numpy.array(words[4:], dtype=float) if len(words) > 4 else None


def mean(directions):
    total = sum(directions)
    return total / numpy.linalg.norm(total)


def letterbox(path):
    with Image.open(path) as image:
        image = image.convert("RGB")
        image.thumbnail((faces.WIDTH, faces.HEIGHT))
        picture = numpy.full((faces.HEIGHT, faces.WIDTH, 3), faces.GREY, dtype=numpy.uint8)
        top, left = (faces.HEIGHT - image.height) // 2, (faces.WIDTH - image.width) // 2
        picture[top:top + image.height, left:left + image.width] = numpy.asarray(image)
        return picture


def usable(scored):
    return [d for n, _, _, d in scored if n == 1 and d is not None]


def judge(name, enrolled, probes, same, threshold):
    """probes: {person: [directions, or None: no one face was found]}"""
    own, others, missing = [], [], 0
    for person, shots in probes.items():
        for a, b in zip(shots[0::2], shots[1::2]):
            if a is None or b is None:
                missing += 1
                continue
            probe = mean([a, b])
            for other, template in enrolled.items():
                if other == person:
                    own.append(float(probe @ template))
                elif (min(person, other), max(person, other)) not in same:
                    others.append(float(probe @ template))
    rejected, accepted = sum(s < threshold for s in own), sum(s >= threshold for s in others)
    print(f"RESULT {name}: false rejections {rejected} of {len(own)} (lowest {min(own, default=0):.2f}), not found {missing}; "
          f"false acceptances {accepted} of {len(others)} (highest {max(others, default=0):.2f})", flush=True)


def from_photographs(o, scores, models):
    people = range(len(faces.EVERYBODY))
    enrolled = {}
    for p in people:
        shots = usable(scores.of([models.picture(p, n) for n in range(1000, 1003)]))
        if len(shots) == 3:
            enrolled[p] = mean(shots)
    print(f"{len(enrolled)} of {len(people)} people enrolled")
    spent = []
    for name, how in CASES.items():
        probes = {}
        for p in enrolled:
            scored = list(scores.of([models.picture(p, n, **how) for n in range(o.pictures)]))
            spent += [ms for n, _, ms, _ in scored if n == 1]
            probes[p] = [d if n == 1 else None for n, _, _, d in scored]
        judge(name, enrolled, probes, {faces.ALIKE}, o.threshold)
    a, b = (enrolled[p] for p in faces.ALIKE)
    print(f"RESULT two photographs that look like the same person (left out above): {float(a @ b):.2f}")
    return spent


def from_folder(o, scores):
    enrolled, probes, spent = {}, {}, []
    for person in sorted(os.listdir(o.people)):
        folder = os.path.join(o.people, person)
        scored = list(scores.of([letterbox(os.path.join(folder, n)) for n in sorted(os.listdir(folder))]))
        spent += [ms for n, _, ms, _ in scored if n == 1]
        shots = usable(scored)
        if len(shots) < 5:
            print(f"{person}: {len(shots)} pictures with one face are too few")
            continue
        enrolled[person], probes[person] = mean(shots[:3]), shots[3:]
    judge(f"{len(enrolled)} people", enrolled, probes, set(), o.threshold)
    return spent


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build")
    parser.add_argument("--pictures", type=int, default=6, help="of each person in each case")
    parser.add_argument("--threshold", type=float, default=0.45)
    parser.add_argument("--light", type=float, default=25, help="MinimumLight=")
    parser.add_argument("--people", metavar="FOLDER")
    parser.add_argument("--models", nargs=3, metavar=("DETECTOR", "LANDMARKS", "EMBEDDING"))
    o = parser.parse_args()
    try:
        models = None if o.people and o.models else faces.Models()
    except OSError as missing:
        print(f"skipped: {missing}")
        sys.exit(77)
    scores = Scores(o.build, o.models or [models.detector, models.landmarks, models.embedding], o.light)
    spent = from_folder(o, scores) if o.people else from_photographs(o, scores, models)
    if spent:
        print(f"RESULT a picture with one face: {numpy.median(spent):.0f} ms of processor")


if __name__ == "__main__":
    main()
