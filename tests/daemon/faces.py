# SPDX-License-Identifier: Apache-2.0
"""Faces for the tests of cameras: photographs and models out of npm packages (npm_files.py; neither is shipped), put before a camera that is played
(v4l2shim.c). A face is somebody in a photograph; each picture of it is turned, moved, lit and noisy in another way.

    models = Models()                  # OSError: they cannot be had
    picture = models.picture("anna", 3)    # the third picture of Anna, 640 × 480 RGB
"""
import functools
import mmap
import os
import random
import struct

import npm_files
import numpy
from PIL import Image

MODELS = ("faceplugin-face-recognition-js", "0.0.1", "7ea06031d9a3f83753254fcff60506a07b81b46fc84d4ee024cd041f260ec1ba")
PHOTOGRAPHS = ("@vladmandic/face-api", "1.7.15", "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031")
# Everybody in them: (photograph, left, top, side of the face) in its pixels. The third of the first and the second of the third look like
# the same person.
EVERYBODY = [(1, 390, 358, 236), (1, 823, 431, 219), (1, 1465, 216, 213), (2, 304, 125, 288), (2, 862, 228, 224), (2, 1426, 163, 228),
             (3, 551, 329, 278), (3, 1034, 193, 310), (3, 1462, 301, 264), (4, 951, 177, 253), (4, 218, 195, 252), (4, 632, 66, 248),
             (4, 1226, 147, 241), (5, 1088, 209, 216), (5, 1364, 381, 277), (5, 770, 118, 208), (5, 561, 418, 253), (5, 322, 887, 278),
             (6, 221, 484, 276), (6, 1447, 264, 289), (6, 1131, 310, 271), (6, 607, 325, 310)]
ALIKE = (2, 7)
NAMES = {"anna": 21, "bert": 7, "carl": 16, "erika": 6}
WIDTH, HEIGHT = 640, 480
GREY = 110  # the wall behind them


class Models:
    """The files, and the people."""

    def __init__(self):
        folder = npm_files.fetch(*MODELS, [f"package/model/fr_{m}.onnx" for m in ("detect", "landmark", "feature")])
        self.detector, self.landmarks, self.embedding = (os.path.join(folder, "package", "model", f"fr_{m}.onnx")
                                                         for m in ("detect", "landmark", "feature"))
        photographs = npm_files.fetch(*PHOTOGRAPHS, [f"package/demo/sample{n}.jpg" for n in range(1, 7)])
        self.photographs = os.path.join(photographs, "package", "demo")

    @functools.lru_cache(maxsize=None)
    def photograph(self, number):
        with Image.open(os.path.join(self.photographs, f"sample{number}.jpg")) as image:
            return image.convert("RGB")

    def section(self, **keys):
        """Of cabinet.conf: what differs comes by keys; an empty one is left out."""
        keys = {"Device": "/dev/video0", "Detector": describe(self.detector), "Landmarks": describe(self.landmarks),
                "Embedding": describe(self.embedding), **keys}
        return "\n[Reader face]\n" + "".join(f"{k}={v}\n" for k, v in keys.items() if v)

    def face(self, who, size, turn=0.0):
        """Somebody's face alone, as an array of twice its size, and where it is seen: an ellipse."""
        number, x, y, side = EVERYBODY[NAMES.get(who, who)]
        middle = (x + side / 2, y + side / 2)
        photograph = self.photograph(number)
        box = [int(middle[0] - 1.5 * side), int(middle[1] - 1.5 * side), int(middle[0] + 1.5 * side), int(middle[1] + 1.5 * side)]
        part = photograph.crop(box).rotate(turn, resample=Image.BICUBIC)  # beyond the photograph it is black, as the ellipse hides
        whole = part.resize((round(3 * size), round(3 * size)), resample=Image.LANCZOS if size < side else Image.BICUBIC)
        half = round(1.5 * size)
        rgb = numpy.asarray(whole, dtype=float)[half - size:half + size, half - size:half + size]
        yy, xx = numpy.mgrid[0:rgb.shape[0], 0:rgb.shape[1]]
        seen = ((xx - size) / (0.75 * size)) ** 2 + ((yy - size) / (0.85 * size)) ** 2 <= 1
        return rgb, seen

    def picture(self, who, number=0, size=200, light=1.0, noise=6.0, moved=True):
        """Of one person, or several ("anna", "bert") side by side; () for nobody. The same number, the same picture."""
        draw = random.Random(repr((who, number)))
        people = (who,) if isinstance(who, (str, int)) else tuple(who)
        rgb = numpy.full((HEIGHT, WIDTH, 3), float(GREY))
        for i, person in enumerate(people):
            turn, shift, scale = (draw.uniform(-10, 10), draw.uniform(-25, 25), draw.uniform(0.9, 1.1)) if moved else (0, 0, 1)
            face, seen = self.face(person, round(size * scale), turn)
            left = round(WIDTH * (i + 1) / (len(people) + 1) + shift - face.shape[1] / 2)
            top = round(HEIGHT / 2 + shift / 2 - face.shape[0] / 2)
            y0, y1, x0, x1 = max(top, 0), min(top + face.shape[0], HEIGHT), max(left, 0), min(left + face.shape[1], WIDTH)
            where = seen[y0 - top:y1 - top, x0 - left:x1 - left]
            rgb[y0:y1, x0:x1][where] = face[y0 - top:y1 - top, x0 - left:x1 - left][where]
        rgb = rgb * light * (draw.uniform(0.85, 1.1) if moved else 1)
        rgb += numpy.random.default_rng(draw.randrange(1 << 30)).normal(0, noise, rgb.shape)
        return numpy.clip(rgb, 0, 255).astype(numpy.uint8)


@functools.lru_cache(maxsize=None)
def describe(path):
    return f"{path} {os.path.getsize(path)} {npm_files.sha256(path)}"


def yuyv(rgb):
    """As a camera sends it: BT.601, 16 … 235, a colour for each two pixels."""
    r, g, b = (rgb[..., i].astype(float) for i in range(3))
    y = 16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256
    u = 128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256
    v = 128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256
    out = numpy.empty((rgb.shape[0], rgb.shape[1], 2))
    out[..., 0] = y
    out[:, 0::2, 1] = (u[:, 0::2] + u[:, 1::2]) / 2
    out[:, 1::2, 1] = (v[:, 0::2] + v[:, 1::2]) / 2
    return numpy.clip(numpy.round(out), 0, 255).astype(numpy.uint8).tobytes()


class Camera:
    """What v4l2shim.c plays: its state, and what is before it."""
    PRESENT, MISSING, BUSY, SILENT, DAMAGED, NO_CAMERA, REFUSING = range(7)
    AT_OPEN, AT_FORMAT, AT_STREAM, AT_FIRST, AT_SECOND, AT_LATER, AT_OFF = range(1, 8)
    FIELDS = ("state", "fourcc", "width", "height", "size", "opens", "pictures", "at", "hold", "streams")

    def __init__(self, path):
        self.path = path
        with open(path, "w+b") as f:
            f.truncate(4096 + 3 * WIDTH * HEIGHT)
            self.__dict__["shared"] = mmap.mmap(f.fileno(), 0)
        self.fourcc, self.width, self.height, self.size = int.from_bytes(b"YUYV", "little"), WIDTH, HEIGHT, 2 * WIDTH * HEIGHT

    def __setattr__(self, name, value):
        if name in self.FIELDS:
            struct.pack_into("=I", self.shared, 4 * self.FIELDS.index(name), value)
        else:
            super().__setattr__(name, value)

    def __getattr__(self, name):
        if name in self.FIELDS:
            return struct.unpack_from("=I", self.shared, 4 * self.FIELDS.index(name))[0]
        raise AttributeError(name)

    def show(self, rgb):
        data = yuyv(rgb)
        self.shared[4096:4096 + len(data)] = data
