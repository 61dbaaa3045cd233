# SPDX-License-Identifier: Apache-2.0
"""People and their voices: the real daemon, the real worker, ALSA with a microphone that is a test (microphone.py), and voices of nobody (voices.py)."""
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import test_replaced_worker
from daemonlib import build_directory, main, wait
from fingers import AtReader
from test_identity import Copy

try:
    import microphone
    import voices
except ImportError:
    microphone = None

WORKER = os.path.join(build_directory(), "src", "voice", "lockerd-voice")
PHONE = "+49 170 5550123"
PATTERN = "40158"
ANNA, BERT = "slt", "rms"  # who speaks
PHRASE, OTHER_PHRASE = voices.PHRASES[:2] if microphone else (None, None)
PACE = 25  # so much faster than people the microphone hears, but where time is what counts


def said(phrase=PHRASE, who=ANNA, take=0, **how):
    return voices.say(who, phrase, take, **{"noise_dbfs": -96, **how})  # the room is the microphone's


class Hearing(unittest.TestCase):
    """A microphone for each test."""
    pace = PACE

    def microphone(self):
        folder = tempfile.mkdtemp(prefix="lockerd-voice-")
        os.chmod(folder, 0o755)
        self.addCleanup(shutil.rmtree, folder, True)
        mic = microphone.Microphone(folder, self.pace)
        self.addCleanup(mic.stop)
        return mic


# --- the worker alone, by its protocol

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/identity/matcher_wire.h"), encoding="utf-8") as header:
    WIRE = header.read()
VERSION = int(re.search(r"MATCHER_WIRE_VERSION\s+(\d+)", WIRE).group(1))


def words(name, prefix):
    """Of an enumeration, in its order."""
    body = re.search(rf"typedef enum {name} {{(.*?)}}", WIRE, re.S).group(1)
    return [w.lower().replace("_", "-") for w in re.findall(rf"^\s+{prefix}_(\w+),", body, re.M) if w != "MAX"]


SETUP, DEVICE, ENROL, CANDIDATE, VERIFY, WATCH, CANCEL, PING, HELLO, HEALTH, PROGRESS, RESULT, PONG = range(1, 14)
PROMPTS = ["again" if w == "say-again" else w for w in words("MatcherPrompt", "MATCHER_PROMPT")]
OUTCOMES = ["match", "no-match", "enrolled", "failed", "cancelled"]
PROBLEMS = ["" if w == "none" else w for w in words("MatcherProblem", "MATCHER_PROBLEM")]


class Matcher:
    """lockerd-voice without a daemon."""

    def __init__(self, test, mic, device=b"mic", threshold=200):
        self.mic, self.attempts, self.health = mic, 0, []
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(10)

        def third():
            os.dup2(other.fileno(), 3)

        self.process = subprocess.Popen([mic.script("worker", WORKER)], preexec_fn=third, close_fds=False, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        other.close()
        test.addCleanup(self.stop)
        self.send(SETUP, 0, struct.pack("=II16s64s256s", 0, 0, b"voice", b"voice", device), struct.pack("=III", threshold, 40, 45))
        self.expect(HELLO)
        self.expect(HEALTH)

    def send(self, kind, attempt, body, data=b""):
        self.socket.sendall(struct.pack("=HHIQ", VERSION, kind, len(data), attempt) + body + data)

    def receive(self):
        packet = self.socket.recv(1 << 17)
        if not packet:
            raise EOFError("the worker has left")
        version, kind, n, attempt = struct.unpack("=HHIQ", packet[:16])
        return kind, attempt, packet[16:len(packet) - n], packet[len(packet) - n:]

    def expect(self, *kinds):
        """The next message that is not about health, unless that is what is expected."""
        while True:
            kind, attempt, body, data = self.receive()
            if kind == HEALTH:
                self.health.append(PROBLEMS[struct.unpack("=I", body[:4])[0]])
            if kind in kinds:
                return kind, attempt, body, data
            if kind != HEALTH:
                raise AssertionError(f"message {kind} instead of {kinds}")

    def begin(self, kind, candidates=(), comparisons=None, timeout_ms=17000):
        self.attempts += 1
        for number, candidate in enumerate(candidates, 1):
            self.send(CANDIDATE, self.attempts, struct.pack("=II", number, 0), candidate)
        n = 0 if kind == ENROL else max(len(candidates), comparisons or 1)
        self.send(kind, self.attempts, struct.pack("=IIII", len(candidates), timeout_ms, n, 0))

    def next(self):
        """→ ("prompt", which) or (outcome, problem, candidate, score, template)"""
        kind, attempt, body, data = self.expect(PROGRESS, RESULT)
        assert attempt == self.attempts
        if kind == PROGRESS:
            return ("prompt", PROMPTS[struct.unpack("=I", body[:4])[0]])
        outcome, problem, candidate, score, _quality, _ = struct.unpack("=IIIIII", body)
        return OUTCOMES[outcome], PROBLEMS[problem], candidate, score, data

    def speak(self, *sounds):
        """Says one after the other, each when it is asked to → prompts, result."""
        prompts, sounds = [], list(sounds)
        while True:
            said = self.next()
            if said[0] != "prompt":
                return prompts, said
            prompts.append(said[1])
            if sounds:
                self.mic.say(sounds.pop(0), False)

    def enrol(self, *sounds):
        self.begin(ENROL)
        return self.speak(*sounds)

    def verify(self, candidates, *sounds, **more):
        self.begin(VERIFY, candidates, **more)
        return self.speak(*sounds)

    def stop(self):
        self.socket.close()
        self.process.wait(10)
        self.process.stderr.close()

    def memory(self):
        """All that the process may write to."""
        with open(f"/proc/{self.process.pid}/maps", encoding="ascii") as maps, open(f"/proc/{self.process.pid}/mem", "rb") as mem:
            for line in maps:
                span, rights, *_ = line.split()
                if rights.startswith("rw") and "[v" not in line:
                    first, last = (int(x, 16) for x in span.split("-"))
                    mem.seek(first)
                    yield mem.read(last - first)

    def remembers(self, known):
        return any(known in part for part in self.memory())


class Alone(Hearing):
    def setUp(self):
        self.mic = self.microphone()
        self.matcher = Matcher(self, self.mic)

    def enrolled(self, who=ANNA, phrase=PHRASE, takes=(0, 1, 2)):
        prompts, result = self.matcher.enrol(*(said(phrase, who, take) for take in takes))
        self.assertEqual((prompts, result[:2]), (["speak", "again", "again"], ("enrolled", "")))
        return result[4]

    def test_a_phrase_is_told_from_another_one_and_a_template_from_damage(self):
        """Requirement: C3"""
        anna = self.enrolled()
        self.assertEqual(anna[:5], b"VO\1\1\3")
        self.assertLess(len(anna), 18100)
        bert = self.enrolled(BERT, OTHER_PHRASE)
        m = self.matcher
        prompts, result = m.verify([anna], said(take=3))
        self.assertEqual((prompts, result[:3]), (["speak"], ("match", "", 1)))
        self.assertGreater(result[3], 800)
        for sound in (said(OTHER_PHRASE, take=3), said(OTHER_PHRASE, BERT, 3)):
            self.assertEqual(m.verify([anna], sound)[1][:3], ("no-match", "", 0))
        # Of several candidates a single one: nobody, the second one, two of them. A useless one is none of them.
        self.assertEqual(m.verify([], said(take=3), comparisons=4)[1][:3], ("no-match", "", 0))
        self.assertEqual(m.verify([bert, anna], said(take=3), comparisons=4)[1][:3], ("match", "", 2))
        self.assertEqual(m.verify([anna, bert, anna], said(take=3))[1][:3], ("no-match", "", 0))
        self.assertEqual(m.verify([b"VO\1\1", anna], said(take=3))[1][:3], ("match", "", 2))
        # Before anybody is asked to speak.
        other = anna[:3] + b"\7" + anna[4:]
        for data, problem in ((anna[:-1], "bad-template"), (anna + b"\0", "bad-template"), (b"FP\1\1" + anna[4:], "bad-template"),
                              (anna[:500] + bytes([anna[500] ^ 1]) + anna[501:], "bad-template"), (other, "other-reader")):
            self.assertEqual(m.verify([data]), ([], ("failed", problem, 0, 0, b"")))
        self.assertEqual(m.health, [""])
        self.assertFalse(self.mic.is_listened_to())

    def test_what_is_no_use_is_told_and_asked_for_again(self):
        """Requirement: C1, F4"""
        m, loud = self.matcher, said(take=3)
        loud = voices.clip(loud.astype(float) * 12)
        short, quiet = voices.clip(said()[:9000]), said(take=3, peak_dbfs=-42)
        self.mic.noise_dbfs = -80
        anna = self.enrolled()
        sounds = {"too-short": short, "too-loud": loud, "too-quiet": quiet, "too-long": voices.numpy.concatenate((*[said()[3200:-14400]] * 3, voices.clip(voices.room(0.6, -96)))),
                  "noise": voices.clip(voices.room(1.5, -25))}
        for prompt, sound in sounds.items():
            with self.subTest(prompt):
                prompts, result = m.verify([anna], sound, said(take=3))
                self.assertEqual((prompts, result[0]), (["speak", prompt], "match"))
        # Three times is enough, and the last reason is the one.
        self.assertEqual(m.verify([anna], short, loud, quiet), (["speak", "too-short", "too-loud"], ("failed", "too-quiet", 0, 0, b"")))
        self.assertEqual(m.enrol(said(take=0), short, short, short)[1][:2], ("failed", "too-short"))
        # Useless sounds of an enrolment count for nothing but time.
        prompts, result = m.enrol(short, said(take=0), said(take=1), quiet, said(take=2))
        self.assertEqual((prompts, result[0]), (["speak", "too-short", "again", "again", "too-quiet"], "enrolled"))
        self.assertEqual(m.enrol(said(take=0), said(OTHER_PHRASE, take=1))[1][:2], ("failed", "unlike"))
        # A room in which nobody could be heard: told, and when it gets quiet the attempt goes on.
        self.mic.noise_dbfs = -30
        m.begin(VERIFY, [anna])
        self.assertEqual(m.next(), ("prompt", "noise"))
        self.mic.noise_dbfs = -60
        self.assertEqual(m.speak(said(take=3))[1][0], "match")
        self.mic.noise_dbfs = -30
        self.assertEqual(m.verify([anna]), (["noise"], ("failed", "noise", 0, 0, b"")))

    def test_nobody_speaks(self):
        """The time of the attempt is over; what was heard of no use before is the reason.

        Requirement: F4
        """
        m = self.matcher
        self.assertEqual(m.verify([], timeout_ms=400), (["speak"], ("failed", "no-sample", 0, 0, b"")))
        self.assertEqual(m.verify([], voices.clip(said()[:9000]), timeout_ms=1000), (["speak", "too-short"], ("failed", "too-short", 0, 0, b"")))
        self.mic.wait_closed()

    def test_cancelled_at_any_step(self):
        """Requirement: F4"""
        m = self.matcher
        for wait_for, sound in ((0, None), (1, None), (1, said())):
            m.begin(ENROL)
            for _ in range(wait_for):
                m.next()
            if sound is not None:
                self.mic.say(sound[:len(sound) // 2])
            began = time.monotonic()
            m.send(CANCEL, m.attempts, struct.pack("=Q", 0))
            result = m.next()
            while result[0] == "prompt":
                result = m.next()
            self.assertEqual(result, ("cancelled", "", 0, 0, b""))
            self.assertLess(time.monotonic() - began, 0.5)
            self.mic.silence()
        m.send(CANCEL, m.attempts, struct.pack("=Q", 0))  # too late: nothing comes of it
        m.send(PING, 0, struct.pack("=Q", 7))
        self.assertEqual(m.expect(PONG)[2], struct.pack("=Q", 7))
        self.mic.wait_closed()

    def test_faults_of_the_microphone(self):
        """Missing, in use, unplugged while somebody speaks, deaf, and one that lost samples.

        Requirement: F4
        """
        m, mic = self.matcher, self.mic
        for fault, problem in ((mic.unplug, "missing"), (mic.take, "busy")):
            fault()
            prompts, result = m.verify([])
            self.assertEqual((prompts, result[:2]), (["reader-missing"] if problem == "missing" else [], ("failed", problem)))
            mic.plug()
            mic.release()
        m.begin(VERIFY)
        self.assertEqual(m.next(), ("prompt", "speak"))
        mic.say(said()[:12000])
        mic.unplug()
        self.assertEqual(m.speak(), (["reader-missing"], ("failed", "unplugged", 0, 0, b"")))
        mic.plug()
        mic.silence()
        m.begin(VERIFY)
        self.assertEqual(m.next(), ("prompt", "speak"))
        mic.card.deaf = 1
        self.assertEqual(m.speak()[1][:2], ("failed", "silent"))
        mic.card.deaf = 0
        anna = self.enrolled()
        m.begin(VERIFY, [anna])
        self.assertEqual(m.next(), ("prompt", "speak"))
        mic.say(said()[:12000])
        mic.card.overrun = 1
        self.assertEqual(m.next(), ("prompt", "again"))
        mic.silence()
        mic.say(said(take=3))
        self.assertEqual(m.next()[:3], ("match", "", 1))
        self.assertEqual([h for h in m.health if h], ["missing", "busy", "unplugged", "silent"])

    def test_nothing_of_a_voice_stays_in_memory(self):
        """While it is compared the samples are there; afterwards neither they nor the template are.

        Requirement: F9, F17
        """
        if test_replaced_worker.sanitized():
            self.skipTest("the memory of a build with sanitizers is too large to look through")
        m, sound = self.matcher, said(take=3)
        self.mic.noise_dbfs = -200  # what is heard is exactly what is said
        known = sound[16000:16016].tobytes()
        self.assertGreater(len(set(known)), 16)
        anna = self.enrolled()
        m.begin(VERIFY, [anna])
        self.assertEqual(m.next(), ("prompt", "speak"))
        self.mic.say(sound[:24000])
        self.assertTrue(wait(lambda: m.remembers(known), "what is heard is in memory"))
        self.assertTrue(m.remembers(anna[100:140]))
        self.mic.say(sound[24000:], False)
        self.assertEqual(m.next()[:3], ("match", "", 1))
        m.send(PING, 0, struct.pack("=Q", 0))
        m.expect(PONG)
        self.assertFalse(m.remembers(known))
        self.assertFalse(m.remembers(anna[100:140]))

    def test_the_worker_leaves_with_the_daemon(self):
        """Requirement: F4"""
        m = self.matcher
        m.begin(ENROL)
        self.assertEqual(m.next(), ("prompt", "speak"))
        self.mic.say(said()[:12000])
        m.socket.close()
        self.assertEqual(m.process.wait(5), 0)


class Conversion(Hearing):
    """A microphone that has another rate alone."""

    def test_a_rate_that_it_has_not(self):
        """Said as what it is; with ALSA's conversion it hears.

        Requirement: F4
        """
        mic = self.microphone()
        mic.card.rate = 48000
        m = Matcher(self, mic)
        self.assertEqual(m.health, ["unsuitable"])
        self.assertEqual(m.verify([])[1][:2], ("failed", "unsuitable"))
        m.stop()
        m = Matcher(self, mic, b"plugmic")
        self.assertEqual(m.health, [""])
        prompts, result = m.enrol(*(said(take=take) for take in range(3)))
        self.assertEqual((prompts, result[:2]), (["speak", "again", "again"], ("enrolled", "")))
        self.assertEqual(m.verify([result[4]], said(take=3))[1][0], "match")
        self.assertEqual(m.verify([result[4]], said(OTHER_PHRASE, take=3))[1][0], "no-match")

    def test_a_name_that_alsa_does_not_know(self):
        """Requirement: F4"""
        self.assertEqual(Matcher(self, self.microphone(), b"hw:CARD=Nothing").health, ["missing"])


# --- with the daemon

class AtMicrophone(Hearing, AtReader):
    worker, kind_of_reader = WORKER, "voice"
    device = "mic"

    def setUp(self):
        self.mic = self.microphone()
        self.workers = {"lockerd-voice": self.mic.script("lockerd-voice", WORKER)}
        type(self).edit = staticmethod(lambda text: text + f"\n[Reader voice]\nDevice={self.device}\n")
        super().setUp()

    def enrol(self, who=ANNA, phrase=PHRASE, takes=(0, 1, 2), **person):
        before = len(self.prompts())
        pending = self.begin_enrol(**person)
        for n, take in enumerate(takes, 1):
            wait(lambda n=n: len(self.prompts()) >= before + n, "a prompt")
            self.mic.say(said(phrase, who, take), False)
        result = pending.result(30)
        self.assertEqual([p[1:] for p in self.prompts()[before:]],
                         [("voice", "again" if n else "speak", n, len(takes)) for n in range(len(takes))])
        return result

    def prompts(self):
        """Of enrolments: (person, kind, what, taken, of)."""
        return [s.values[:5] for s in self.admin.signals if s.member == "EnrolmentPrompt"]

    def sign_in(self, session, sound, **claim):
        pending = self.begin_sign_in(session, **claim)
        session.wait_prompt("speak")
        self.mic.say(sound, False)
        return pending.result()


class SignIn(AtMicrophone):
    def test_a_voice_and_something_else_open_and_a_voice_alone_does_not(self):
        """Enrolled by three utterances; the phrase leads to "incomplete", and a pattern completes it. Another phrase, and another person's
        for them, are refused and counted; nothing of it is readable anywhere.

        Requirement: C1, C3, C6, F9
        """
        self.wait_reader("ok", "mic: mic")
        person = self.enrol(kind="recipient", phone=PHONE, name="Erika Mustermann", pattern=PATTERN, consent=True, consent_text="voices",
                            consent_version="2")
        self.assertEqual([p[5] for p in self.admin.people()], [["pattern", "voice"]])
        self.assertEqual(self.admin.credentials(person)["voice"][3:5], ("voices", "2"))
        put = self.store(phone=PHONE)
        session = self.client.start_session("recipient")
        with self.only():
            self.assertRefused("WrongCredential", self.sign_in, session, said(OTHER_PHRASE, take=3), phone=PHONE)
            self.assertRefused("WrongCredential", self.sign_in, session, said(take=3), phone="+49 170 5550999")
            self.assertEqual(session.state, "new")
            self.sign_in(session, said(take=3), phone=PHONE)
            self.assertEqual((session.state, session.parcels), ("incomplete", []))
            self.assertIn("pattern", session.wait_prompt("another").sentence)
            self.assertRefused("AnotherNeeded", session.collect)
            self.sign_in(session, said(take=4), phone=PHONE)  # the same again is no second kind
            self.assertRefused("AnotherNeeded", session.collect, put.parcel)
        session.authenticate("pattern", phone=PHONE, pattern=PATTERN)
        self.assertEqual((session.state, session.parcels), ("authenticated", [put.parcel]))
        with self.only(put.slot):
            place = session.collect()
            self.take(place)
            session.accept()
            self.shut(place)
            session.wait_prompt("collected")
        self.assertEqual([e.type for e in self.admin.events()].count("credential.wrong"), 2)
        self.no_trace(person)

    def no_trace(self, person):
        """Neither of what was said, nor of what was made of it, in any file or in the log."""
        copy = Copy(self.cabinet)
        [template] = [data for label, data in copy.open() if label == "credential.voice"]
        self.assertEqual(template[:5], b"VO\1\1\3")
        known = [template[100:132], template[-40:], *(said(take=take)[16000:16012].tobytes() for take in range(5))]
        files = 0
        for folder, _, names in os.walk(self.cabinet.directory):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    files += 1
                    with open(path, "rb") as f:
                        data = f.read()
                    for one in known:
                        self.assertNotIn(one, data, path)
        self.assertGreater(files, 5)
        self.admin.revoke_credential(person, "voice")
        wait(lambda: not [1 for label, _ in Copy(self.cabinet).open() if label == "credential.voice"], "the template is erased")
        self.assertEqual(list(self.admin.credentials(person)), ["pattern"])
        session = self.client.start_session("recipient")
        self.assertRefused("WrongCredential", self.sign_in, session, said(take=3), phone=PHONE)

    def test_a_courier_with_a_voice_alone_deposits_nothing(self):
        """Beside a PIN it counts. Who has nothing else gets a code.

        Requirement: C3, C4, D1
        """
        person = self.enrol(kind="courier", number="4711", name="Anna Bote", consent=True)
        session = self.client.start_session("courier")
        with self.only():
            self.sign_in(session, said(take=3), number="4711")
            self.assertEqual(session.state, "incomplete")
            self.assertRefused("AnotherNeeded", session.deposit, size="S")
        self.admin.enrol_credential(person, "pin", pin="258036")
        session.authenticate_pin("4711", "258036")
        self.assertEqual(session.state, "authenticated")
        self.enrol(BERT, OTHER_PHRASE, kind="recipient", phone=PHONE, name="Bert", consent=True)
        put = self.store(session=session, phone=PHONE)
        self.assertRegex(put.receipt["code"], "^[0-9A-Z]{6}$")
        self.recipient(put.receipt["code"]).end()

    def test_lockerctl_has_the_microphone_hear_somebody(self):
        """It says what is to be done at the cabinet, and what came of it.

        Requirement: C1, F8
        """
        person = self.admin.enrol_courier("4711", "258036")
        command = [os.path.join(build_directory(), "src", "ctl", "lockerctl"), "enrol", str(person), "--voice", "--consent"]

        def run():
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                    env=self.cabinet.environment())
        ctl = run()
        for sentence, sound in (("[1 of 3] Please speak now.", said()), ("[2 of 3] Please say the same again.", said(take=1)[:9000]),
                                ("[2 of 3] That was too short. Please say all of it again.", said(take=1)),
                                ("[3 of 3] Please say the same again.", said(take=2))):
            self.assertEqual(ctl.stderr.readline(), sentence + "\n")
            self.mic.say(sound, False)
        out, err = ctl.communicate(timeout=30)
        self.assertEqual((ctl.returncode, out, err), (0, f"Person {person} has a new voice.\n", ""))
        self.mic.take()
        ctl = run()
        out, err = ctl.communicate(timeout=30)
        self.assertEqual((ctl.returncode, out), (8, ""))
        self.assertIn("Another program is using the reader.", err)

    def test_a_kiosk_that_claims_a_match_gets_nothing(self):
        """What a program says about a voice counts for nothing.

        Requirement: F17, C3
        """
        session = self.client.start_session("recipient")
        for extra in ({"voice": "anna"}, {"match": "yes"}, {"score": "999"}):
            self.assertRefused("InvalidArgument", session.authenticate, "voice", phone=PHONE, **extra)
        self.assertRefused("InvalidArgument", self.begin_enrol(kind="recipient", phone=PHONE, name="Erika").result)
        self.assertEqual((self.mic.card.started, self.admin.people()), (0, []))


class Trouble(AtMicrophone):
    """Nobody is enrolled: what goes wrong is told to whoever is claimed."""

    def attempt(self, session=None):
        session = session or self.client.start_session("courier")
        return session, self.begin_sign_in(session, number="4711")

    def test_what_is_no_use_is_told_and_counts_for_nobody(self):
        """Requirement: C1, F4"""
        session, pending = self.attempt()
        session.wait_prompt("speak")
        self.mic.say(said()[:9000])
        self.assertIn("too short", session.wait_prompt("too-short").sentence)
        self.mic.say(voices.clip(said().astype(float) * 12))
        self.assertIn("too loud", session.wait_prompt("too-loud").sentence)
        self.mic.say(voices.clip(voices.room(2, -25)))
        self.assertIn("noisy", self.assertRefused("NoSample", pending.result).message)
        self.mic.noise_dbfs = -30
        session, pending = self.attempt(session)
        session.wait_prompt("noise")
        self.assertIn("noisy", self.assertRefused("NoSample", pending.result).message)
        self.assertEqual((session.state, self.admin.lockouts()), ("new", {}))

    def test_a_microphone_that_comes_and_goes(self):
        """Requirement: F4"""
        self.wait_reader("ok")
        session, pending = self.attempt()
        session.wait_prompt("speak")
        self.mic.say(said()[:12000])
        self.mic.unplug()
        self.assertIn("unplugged", self.assertRefused("ReaderFailed", pending.result).message)
        session.wait_prompt("reader-missing")
        self.wait_reader("failed", "unplugged")
        self.assertIn("not connected", self.assertRefused("ReaderFailed", self.attempt(session)[1].result).message)
        self.wait_reader("failed", "not connected")
        self.mic.plug()
        self.mic.take()
        self.assertIn("Another program", self.assertRefused("ReaderFailed", self.attempt(session)[1].result).message)
        self.mic.release()
        self.mic.silence()
        self.assertRefused("WrongCredential", self.sign_in, session, said(take=3), number="4711")
        self.wait_reader("ok")

    def test_whoever_goes_away_is_not_listened_to(self):
        """Cancelled, the session over, the program gone: the microphone is closed, and the next one has it.

        Requirement: F3, F4
        """
        kiosk = self.cabinet.client()
        for how, error in (("cancel", "Cancelled"), ("end", "SessionEnded"), ("close", None)):
            session = kiosk.start_session("courier")
            _, pending = self.attempt(session)
            session.wait_prompt("speak")
            self.assertRefused("Busy", self.attempt()[1].result)
            self.mic.say(said()[:12000])
            kiosk.close() if how == "close" else getattr(session, how)()
            if error:
                self.assertRefused(error, pending.result)
            self.mic.wait_closed()
            self.mic.silence()
        self.assertRefused("WrongCredential", self.sign_in, self.client.start_session("courier"), said(take=3), number="4711")

    def test_a_matcher_that_dies_at_any_step(self):
        """That attempt fails; nobody is half enrolled; the next one works.

        Requirement: F4, C6
        """
        self.wait_reader("ok")
        for step in ("room", "speaking", "again"):
            with self.subTest(step), self.only():
                pid, before = self.worker_pid(), self.mic.card.started
                pending = self.begin_enrol(kind="courier", number="4711", name="Anna", consent=True)
                wait(lambda: self.mic.card.started > before, "the microphone listens")
                if step != "room":
                    self.mic.say(said(before=1.0)[:None if step == "again" else 30000])
                os.kill(pid, signal.SIGKILL)
                self.assertRefused("ReaderFailed", pending.result)
                self.assertEqual(self.admin.people(), [])
                wait(lambda: self.worker_pid() not in (None, pid), "another worker")
                self.wait_reader("ok")
        session, pending = self.attempt()
        session.wait_prompt("speak")
        self.mic.say(said()[:12000])
        os.kill(self.worker_pid(), signal.SIGKILL)
        self.assertRefused("ReaderFailed", pending.result)
        self.mic.silence()
        self.wait_reader("ok")
        self.assertRefused("WrongCredential", self.sign_in, session, said(take=3), number="4711")

    def test_the_daemon_dies_while_somebody_speaks(self):
        """The worker leaves with it; the next daemon has the microphone.

        Requirement: F4
        """
        session, _ = self.attempt()
        session.wait_prompt("speak")
        pid = self.worker_pid()
        self.mic.say(said()[:12000])
        self.cabinet.kill_daemon()
        wait(lambda: not os.path.exists(f"/proc/{pid}"), "the worker leaves")
        self.cabinet.start_daemon()
        self.wait_reader("ok")

    def test_an_answer_that_comes_late_counts_for_nobody(self):
        """The worker is stopped while it hears the phrase, and the attempt is cancelled: the next one is asked for the phrase anew.

        Requirement: F17, C3
        """
        self.enrol(kind="recipient", phone=PHONE, name="Erika", consent=True)
        session, other = self.client.start_session("recipient"), self.client.start_session("recipient")
        pending = self.begin_sign_in(session, phone=PHONE)
        session.wait_prompt("speak")
        sound = said(take=3)
        self.mic.say(sound[:20000])
        os.kill(self.worker_pid(), signal.SIGSTOP)
        self.mic.say(sound[20000:], False)
        session.cancel()
        self.assertRefused("Cancelled", pending.result)
        pending = self.begin_sign_in(other, phone=PHONE)
        os.kill(self.worker_pid(), signal.SIGCONT)
        other.wait_prompt("speak")
        self.mic.silence()
        self.assertEqual((pending.done, session.state, other.state), (False, "new", "new"))
        self.mic.say(said(OTHER_PHRASE, take=3), False)
        self.assertRefused("WrongCredential", pending.result)


class RealTime(AtMicrophone):
    """As fast as people speak."""
    pace = 1

    def test_time_and_memory(self):
        """What an attempt takes; printed. (An enrolment: tests/bench/bench_voice.py.)

        Requirement: C1
        """
        self.wait_reader("ok")
        rest, sound = self.pss(), said(take=3, after=0)
        session = self.client.start_session("courier")
        began = time.monotonic()
        pending = self.begin_sign_in(session, number="4711")
        session.wait_prompt("speak")
        asked = time.monotonic()
        self.mic.say(sound)
        ended = time.monotonic()
        self.assertRefused("WrongCredential", pending.result)
        print(f"lockerd-voice: PSS {rest:.1f} MiB at rest, {self.pss():.1f} MiB after an attempt; asked to speak after {asked - began:.2f} s, "
              f"answer {time.monotonic() - ended:.2f} s after the end of the phrase")
        self.assertLess(time.monotonic() - ended, 2)

    def pss(self):
        with open(f"/proc/{self.worker_pid()}/smaps_rollup", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Pss:")) / 1024


class Exploited(AtMicrophone, test_replaced_worker.Exploited):
    """Somebody else's code in the worker, after it has given up its rights."""
    test_code_in_the_worker_of_a_line_reaches_nothing = None
    test_code_in_the_worker_of_the_network_reaches_the_network_alone = None
    test_code_in_the_worker_of_hashes_reaches_nothing = None
    test_every_worker_is_the_first_to_go_and_cannot_be_looked_into = None

    def setUp(self):
        if test_replaced_worker.sanitized():
            self.skipTest("a build with sanitizers gives up no rights")
        super().setUp()

    def prepare(self):
        preload = os.path.join(build_directory(), "tests", "daemon", "intruder.so")
        self.workers = {"lockerd-voice": self.script("lockerd-voice", WORKER, preload)}

    def test_code_in_the_matcher_reaches_sound_devices_alone(self):
        """Neither ledger nor key, nor another device, nor the daemon, the bus, a network or a program.

        Requirement: F17, F4
        """
        r = self.replace("lockerd-voice")
        self.assert_nothing_reached(r)
        self.assertLessEqual(r["descriptors"], 2, "the daemon's socket, the microphone")
        self.assertEqual(r["variables"], 0)


class WithoutMicrophone(AtReader):
    kind_of_reader = "voice"

    def test_a_cabinet_without_a_microphone_says_so(self):
        """Requirement: F4"""
        session = self.client.start_session("courier")
        error = self.assertRefused("ReaderFailed", session.authenticate, "voice", number="4711")
        self.assertIn("no such reader", error.message)
        self.assertNotIn("reader:voice", self.admin.health())


if __name__ == "__main__":
    if not os.path.exists(WORKER) or not microphone or not voices.available():
        print("skipped: lockerd-voice is not built, or flite, espeak-ng or numpy is not there")
        sys.exit(77)
    main()
