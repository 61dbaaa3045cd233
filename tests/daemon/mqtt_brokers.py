# SPDX-License-Identifier: Apache-2.0
"""Brokers on loopback for tests: a real mosquitto with a configuration of its own, certificates for it, and a broker that
says exactly what a test tells it to."""
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/sbin:/bin")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Certificates:
    """An authority, and certificates by it, in a directory; made with openssl(1)."""

    CONFIG = """[ca]
default_ca=own
[own]
database={d}/{name}.index
new_certs_dir={d}
rand_serial=yes
default_md=sha256
policy=any
copy_extensions=copy
unique_subject=no
[any]
commonName=supplied
"""

    def __init__(self, directory, name="ca"):
        self.directory, self.name = directory, name
        self.ca = self.path(name + ".pem")
        with open(self.path(name + ".cnf"), "w", encoding="ascii") as f:
            f.write(self.CONFIG.format(d=directory, name=name))
        open(self.path(name + ".index"), "w", encoding="ascii").close()
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                     f"/CN=Test {name}", "-addext", "keyUsage=critical,keyCertSign", "-keyout", self.path(name + ".key"), "-out", self.ca)

    def path(self, name):
        return os.path.join(self.directory, name)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def make(self, name, alternative=None, expired=False):
        """→ (certificate, key)"""
        request, certificate, key = (self.path(f"{name}.{e}") for e in ("csr", "pem", "key"))
        extension = ["-addext", f"subjectAltName={alternative}"] if alternative else []
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", *extension,
                     "-keyout", key, "-out", request)
        dates = ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"] if expired else ["-days", "2"]
        self.openssl("ca", "-batch", "-notext", "-config", self.path(self.name + ".cnf"), "-cert", self.ca, "-keyfile",
                     self.path(self.name + ".key"), *dates, "-in", request, "-out", certificate)
        return certificate, key


class Broker:
    """mosquitto. lines: of the listener's configuration."""

    def __init__(self, directory, lines=("allow_anonymous true",), port=None):
        if not MOSQUITTO:
            raise RuntimeError("mosquitto is not installed; it is among the Build-Depends of debian/control")
        self.port = port or free_port()
        self.config = os.path.join(directory, f"mosquitto-{self.port}.conf")
        with open(self.config, "w", encoding="utf-8") as f:
            # Started by root it would change to a user who cannot read the test's files.
            f.write("user root\nlog_type all\nlog_dest file " + self.config + ".log\n" +
                    f"listener {self.port} 127.0.0.1\n" + "\n".join(lines) + "\n")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen([MOSQUITTO, "-c", self.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            if self.process.poll() is not None:
                raise RuntimeError("mosquitto ended: " + self.log())
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("mosquitto does not listen")

    def log(self):
        try:
            with open(self.config + ".log", encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process.poll() is None:
            self.resume()
            self.process.terminate()
        self.process.wait()


def varint(n):
    out = b""
    while True:
        n, digit = divmod(n, 128)
        out += bytes([digit | (0x80 if n else 0)])
        if not n:
            return out


class Puppet:
    """A broker for one client at a time that keeps what it gets and says what it is told.

    connack: bytes of CONNACK after the header, or None for none; acks: whether to acknowledge by itself; suback: code."""

    def __init__(self, connack=b"\0\0\0", acks=False, suback=1, pings=True, address=("127.0.0.1", 0)):
        self.connack, self.acks, self.suback, self.pings = connack, acks, suback, pings
        self.listener = socket.create_server(address)
        self.port = self.listener.getsockname()[1]
        self.published = []  # (packet id, topic, payload)
        self.connects = []   # bytes
        self.times = []      # of connections
        self.client = None
        self.changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.client = client
                self.times.append(time.monotonic())
                self.changed.notify_all()
            try:
                self._serve(client)
            except (OSError, EOFError):
                pass
            client.close()

    @staticmethod
    def _exactly(client, n):
        data = b""
        while len(data) < n:
            more = client.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _serve(self, client):
        while True:
            kind = self._exactly(client, 1)[0]
            n = shift = 0
            while True:
                digit = self._exactly(client, 1)[0]
                n |= (digit & 0x7F) << shift
                shift += 7
                if not digit & 0x80:
                    break
            self._take(kind, self._exactly(client, n))

    def _take(self, kind, body):
        if kind >> 4 == 1:
            with self.changed:
                self.connects.append(body)
                self.changed.notify_all()
            if self.connack is not None:
                self.send(0x20, self.connack)
        elif kind >> 4 == 3:
            n, = struct.unpack_from(">H", body)
            topic, at = body[2:2 + n].decode(), 2 + n
            packet_id = None
            if kind & 6:
                packet_id, = struct.unpack_from(">H", body, at)
                at += 2
            at += 1 + body[at]
            with self.changed:
                self.published.append((packet_id, topic, body[at:]))
                self.changed.notify_all()
            if self.acks and packet_id:
                self.ack(packet_id)
        elif kind >> 4 == 8:
            self.send(0x90, body[:2] + b"\0" + bytes([self.suback]))
        elif kind >> 4 == 12 and self.pings:
            self.send(0xD0, b"")

    def send(self, kind, body):
        self.client.sendall(bytes([kind]) + varint(len(body)) + body)

    def ack(self, packet_id, code=0):
        self.send(0x40, struct.pack(">H", packet_id) + (bytes([code, 0]) if code else b""))

    def publish(self, topic, payload, packet_id=1):
        self.send(0x32, struct.pack(">H", len(topic)) + topic.encode() + struct.pack(">H", packet_id) + b"\0" + payload)

    def wait(self, condition, timeout=20):
        with self.changed:
            return self.changed.wait_for(condition, timeout)

    def drop(self):
        self.client.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if self.client:
            self.client.close()
