# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of nobody: ridges grown from random seeds along the directions of a loop or a whorl. For readers whose pictures are looked at by
libfprint; nothing here comes from a person.

    finger = Finger(7)                  # the same number, the same finger
    width, height, grey = finger.touch(3)   # one touch of it: shifted a little, with noise
"""
import functools

import numpy

WIDTH, HEIGHT = 256, 320  # what a reader of 500 dots an inch sees of a finger
MARGIN = 24
PERIOD = 9.0  # dots from ridge to ridge
DIRECTIONS = 24
ROUNDS = 40


def bank(shape):
    """For each direction a filter that keeps ridges along it, in the frequency domain."""
    fy = numpy.fft.fftfreq(shape[0])[:, None]
    fx = numpy.fft.rfftfreq(shape[1])[None, :]
    filters = []
    for k in range(DIRECTIONS):
        across = numpy.pi * k / DIRECTIONS + numpy.pi / 2
        u, v = numpy.cos(across) / PERIOD, numpy.sin(across) / PERIOD
        width = 2 * 0.038 ** 2
        filters.append(sum(numpy.exp(-((fx - s * u) ** 2 + (fy - s * v) ** 2) / width) for s in (1, -1)))
    return filters


def directions(shape, random):
    """Of the ridges, by the cores and deltas of a loop or a whorl."""
    y, x = numpy.mgrid[0:shape[0], 0:shape[1]].astype(float)
    middle = shape[1] / 2 + random.uniform(-15, 15)
    top = shape[0] * random.uniform(0.38, 0.48)
    cores, deltas = [(middle, top)], [(middle + random.choice([-1, 1]) * random.uniform(70, 95), shape[0] * random.uniform(0.75, 0.85))]
    if random.random() < 0.5:
        cores.append((middle + random.uniform(-6, 6), top + random.uniform(25, 45)))
        deltas.append((2 * middle - deltas[0][0] + random.uniform(-10, 10), shape[0] * random.uniform(0.75, 0.85)))
    theta = numpy.full(shape, 0.0)
    for px, py in cores:
        theta += 0.5 * numpy.arctan2(y - py, x - px)
    for px, py in deltas:
        theta -= 0.5 * numpy.arctan2(y - py, x - px)
    if len(cores) == 1:
        theta += numpy.pi / 2
    return numpy.mod(theta, numpy.pi)


class Finger:
    def __init__(self, number, rounds=ROUNDS):
        random = numpy.random.default_rng(number)
        shape = (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN)
        theta = directions(shape, random)
        index = numpy.round(theta / numpy.pi * DIRECTIONS).astype(int) % DIRECTIONS
        filters = bank(shape)
        ridges = random.normal(0, 1, shape)
        for _ in range(rounds):
            spectrum = numpy.fft.rfft2(ridges)
            grown = numpy.zeros(shape)
            for k, f in enumerate(filters):
                here = index == k
                grown[here] = numpy.fft.irfft2(spectrum * f, shape)[here]
            ridges = numpy.tanh(3 * grown / grown.std())
        self.ridges = ridges

    def touch(self, number, shift=8, noise=18):
        """(width, height, grey values) of one touch; the same number, the same touch."""
        random = numpy.random.default_rng(number)
        dy, dx = (int(v) for v in random.integers(-shift, shift + 1, 2))
        part = self.ridges[MARGIN + dy:MARGIN + dy + HEIGHT, MARGIN + dx:MARGIN + dx + WIDTH]
        grey = 128 - 100 * part + random.normal(0, noise, part.shape)
        y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
        # Where it touches is different each time: an edge that is always the same would be a feature that all fingers share.
        cx, cy, rx, ry = random.uniform(-14, 14), random.uniform(-18, 18), random.uniform(104, 132), random.uniform(126, 164)
        outside = ((x - WIDTH / 2 - cx) / rx) ** 2 + ((y - HEIGHT / 2 - cy) / ry) ** 2 > 1
        grey[outside] = 250
        return WIDTH, HEIGHT, numpy.clip(grey, 0, 255).astype(numpy.uint8).tobytes()


@functools.lru_cache(maxsize=None)
def finger(number, rounds=ROUNDS):
    return Finger(number, rounds)
