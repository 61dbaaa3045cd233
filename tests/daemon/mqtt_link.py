# SPDX-License-Identifier: Apache-2.0
"""The real lockerd-mqtt over its socket pair, as lockerd would start it: for tests of the connection to the broker."""
import collections
import json
import os
import select
import socket
import struct
import subprocess
import time

HEADER = "=HHIQIIII"
HEADER_SIZE = struct.calcsize(HEADER)
VERSION = 4
SETUP, PUBLISH, PING, STOP, READY, LINK, ACKED, MESSAGE, TOO_LARGE, PONG, REFUSED, PLACE = range(12)
DOWN, UP, TROUBLE = range(3)
NOBODY = 0x10
RETAIN, QOS0, PATIENT = 1, 2, 4
PAYLOAD_MAX = 64 * 1024
PATIENCE = 20 * float(os.environ.get("LOCKERD_TEST_PATIENCE", "1"))

Message = collections.namedtuple("Message", "type flags token a b texts payload")


def unpack(packet):
    """The messages in a packet."""
    while packet:
        version, kind, flags, token, a, b, n_payload, n_body = struct.unpack_from(HEADER, packet)
        body, packet = packet[HEADER_SIZE:HEADER_SIZE + n_body], packet[HEADER_SIZE + n_body:]
        assert version == VERSION and len(body) == n_body, body[:64]
        head = body[:n_body - n_payload]
        texts = [t.decode() for t in head.split(b"\0")[:-1]]
        yield Message(kind, flags, token, a, b, texts, body[n_body - n_payload:])


def pack(kind, texts=(), payload=b"", token=0, flags=0, a=0):
    body = b"".join(t.encode() + b"\0" for t in texts) + payload
    return struct.pack(HEADER, VERSION, kind, flags, token, a, 0, len(payload), len(body)) + body


class Worker:
    def __init__(self, program, port, **setup):
        self.setup = {"host": "localhost", "client-id": "lockerd-T1", "port": port, "tls": False, "keepalive-sec": 10,
                      "session-expiry-sec": 3600, "window": 20, "backoff-min-usec": 20000, "backoff-max-usec": 500000,
                      "answer-usec": 5000000, "will-topic": "lockerd/v1/T1/state", "will": '{"presence":"offline"}',
                      "subscriptions": ["lockerd/v1/T1/command/+"]}
        self.setup.update({k.replace("_", "-"): v for k, v in setup.items()})
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for s in (self.sock, theirs):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 256 * 1024)
        fd = theirs.fileno()
        self.process = subprocess.Popen([program], close_fds=False, preexec_fn=lambda: os.dup2(fd, 3))
        theirs.close()
        self.seen, self.packets = [], []  # messages; how many came in each packet
        self.ready = collections.deque()
        self.generation = 0
        assert self.wait(READY)
        self.send(SETUP, [json.dumps(self.setup)])

    def send(self, *args, **keys):
        self.sock.send(pack(*args, **keys))

    def publication(self, token, topic="lockerd/v1/T1/event/x", payload=b"{}", content_type="application/json", correlation="", flags=0,
                    generation=None):
        return pack(PUBLISH, [topic, content_type, correlation], payload, token, flags,
                    self.generation if generation is None else generation)

    def publish(self, *args, **keys):
        self.sock.send(self.publication(*args, **keys))

    def receive(self, timeout):
        if not self.ready:
            if not select.select([self.sock], [], [], timeout)[0]:
                return None
            self.ready.extend(unpack(self.sock.recv(256 * 1024)))
            if not self.ready:
                return None
            self.packets.append(len(self.ready))
        m = self.ready.popleft()
        self.seen.append(m)
        if m.type == LINK:
            self.generation = m.token
        return m

    def wait(self, kind, match=lambda m: True, timeout=PATIENCE):
        """The next such message, or None."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            m = self.receive(left)
            if m is None:
                if self.process.poll() is not None:
                    return None
                continue
            if m.type == kind and match(m):
                return m
        return None

    def wait_taken(self):
        """The next message that the broker has taken, whether or not anybody was there to hear it."""
        end = time.monotonic() + PATIENCE
        while (left := end - time.monotonic()) > 0:
            m = self.receive(left)
            if m and (m.type == ACKED or (m.type == REFUSED and m.flags == NOBODY)):
                return m
            if m is None and self.process.poll() is not None:
                return None
        return None

    def wait_link(self, state, timeout=PATIENCE):
        return self.wait(LINK, lambda m: m.a == state, timeout)

    def watch(self, seconds):
        """What comes in this time."""
        n, end = len(self.seen), time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.receive(left)
        return self.seen[n:]

    def answers_ping(self, timeout=3):
        self.send(PING)
        return self.wait(PONG, timeout=timeout) is not None

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def hang_up(self):
        """What the daemon's death looks like. → exit status"""
        self.sock.close()
        return self.process.wait(PATIENCE)

    def close(self):
        self.sock.close()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
