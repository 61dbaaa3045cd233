#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""False acceptance and rejection of libfprint's comparison, with fingerprints of nobody (tests/daemon/prints.py).

    bench_fingerprint.py [--fingers N] [--touches N]

Every finger is enrolled with five touches, then touched again, and compared with its own enrolment and with everybody else's. Prints of a
generator are more alike in style, and cleaner, than people's: the figures say what the method can do, not what a cabinet will see.
"""
import argparse
import os
import socket
import struct
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "daemon"))
import prints  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--fingers", type=int, default=12)
    parser.add_argument("--touches", type=int, default=5)
    o = parser.parse_args()
    folder = tempfile.TemporaryDirectory()
    os.environ["FP_VIRTUAL_IMAGE"] = os.path.join(folder.name, "reader")
    try:
        import gi
        gi.require_version("FPrint", "2.0")
        from gi.repository import FPrint, GLib
    except (ImportError, ValueError):
        print("skipped: gir1.2-fprint-2.0 is not installed")
        sys.exit(77)
    context = FPrint.Context()
    context.enumerate()
    [reader] = context.get_devices()
    reader.open_sync()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ["FP_VIRTUAL_IMAGE"])
    number = iter(range(10 ** 6))

    def feed(finger, over):
        while not over.is_set():
            if reader.get_finger_status() & FPrint.FingerStatusFlags.NEEDED:
                width, height, grey = prints.finger(finger).touch(next(number))
                connection.sendall(struct.pack("=ii", width, height) + grey)
                time.sleep(0.05)
            time.sleep(0.01)

    def with_finger(finger, what):
        result, over = [], threading.Event()
        what(lambda *a: result.append(a))
        # The loop is libfprint's; the finger is in a thread of its own.
        thread = threading.Thread(target=feed, args=(finger, over), daemon=True)
        thread.start()
        while not result:
            GLib.MainContext.default().iteration(True)
        over.set()
        thread.join()
        return result[0]

    for finger in range(o.fingers):
        prints.finger(finger)
    enrolled = []
    for finger in range(o.fingers):
        source, task = with_finger(finger, lambda done: reader.enroll(FPrint.Print.new(reader), None, None, None, done))[:2]
        enrolled.append(reader.enroll_finish(task))
    rejected = accepted = genuine = impostors = useless = 0
    spent = time.process_time()
    for finger in range(o.fingers):
        for _ in range(o.touches):
            for other in range(o.fingers):
                source, task = with_finger(finger, lambda done, p=enrolled[other]: reader.verify(p, None, None, None, done))[:2]
                try:
                    match = reader.verify_finish(task)[0]
                except GLib.Error:
                    useless += 1
                    continue
                if other == finger:
                    genuine += 1
                    rejected += not match
                else:
                    impostors += 1
                    accepted += match
    spent = (time.process_time() - spent) / max(genuine + impostors, 1)
    reader.close_sync()
    print(f"RESULT false rejections: {rejected} of {genuine} ({100 * rejected / max(genuine, 1):.1f} %)")
    print(f"RESULT false acceptances: {accepted} of {impostors} ({100 * accepted / max(impostors, 1):.2f} %); useless touches {useless}; "
          f"{1000 * spent:.0f} ms of processor a comparison")


if __name__ == "__main__":
    main()
