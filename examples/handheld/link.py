# SPDX-License-Identifier: Apache-2.0
"""A cabinet's short-range link from the handheld's side (docs/link.md), with Python's standard library alone.

    stream = SocketStream("unix:/run/lockerd-link/link")       # or any other ordered stream of bytes, see Stream
    with Link(stream, "C-0012", ca="ca.pem", cert="courier.pem", key="courier.key") as link:
        put = link.request("deposit", size="S")
        print(put["slot"], pickup_code(bytes.fromhex(put["key"]), put["slot"], put["deposited"]))
        print(link.prompt())
"""
import collections
import json
import select
import socket
import ssl
import struct

VERSION = 1
FRAME_MAX = 8192
URI_CABINET = "urn:lockerd:cabinet:"


class Refused(Exception):
    """The cabinet's answer: what it would not do. error: the word for programs; str(): the sentence for people."""

    def __init__(self, error, message):
        super().__init__(message)
        self.error = error


class Gone(Exception):
    """The stream has ended, or nothing came in time."""


class Stream:
    """What carries the bytes: derive from it for a radio. receive() returns b"" when the other side has gone."""

    def send(self, data):
        raise NotImplementedError

    def receive(self, timeout):
        """→ some bytes; TimeoutError when none come within so many seconds."""
        raise NotImplementedError

    def close(self):
        pass


class SocketStream(Stream):
    """address: "unix:PATH" or "tcp:PORT" (of this machine)."""

    def __init__(self, address):
        kind, _, rest = address.partition(":")
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(rest)
        elif kind == "tcp":
            self.socket = socket.create_connection(("127.0.0.1", int(rest)))
        else:
            raise ValueError(f"{address}: unix:PATH or tcp:PORT")

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, timeout):
        if not select.select([self.socket], [], [], timeout)[0]:
            raise TimeoutError
        return self.socket.recv(4096)

    def close(self):
        self.socket.close()


class Link:
    """TLS 1.3 over a stream, and frames inside. Whoever has a certificate is a courier, whoever has none a recipient."""

    def __init__(self, stream, cabinet, ca, cert=None, key=None, timeout=30, agent="lockerd example handheld"):
        self.stream = stream
        self.timeout = timeout
        self.last_id = 0
        self.prompts = collections.deque()
        self.received = b""
        self.deaf = False
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # a cabinet has a number, no host name: _check_cabinet()
        context.load_verify_locations(ca)
        if cert:
            context.load_cert_chain(cert, key)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        try:
            self._step(self.tls.do_handshake)
            self._check_cabinet(cabinet)
            self.hello = self.request("hello", versions=[VERSION], agent=agent)
        except BaseException:
            self.stream.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.tls.unwrap()
        except (ssl.SSLError, OSError):
            pass
        try:
            self._flush()
        except OSError:
            pass
        self.stream.close()

    # --- bytes

    def _flush(self):
        data = self.outgoing.read()
        if data and not self.deaf:
            try:
                self.stream.send(data)
            except (BrokenPipeError, ConnectionResetError):
                self.deaf = True  # why it has left is in what can still be received

    def _step(self, action, *arguments, timeout=None):
        """Does something of TLS, bringing and taking bytes until it is done."""
        while True:
            try:
                result = action(*arguments)
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                data = self.stream.receive(self.timeout if timeout is None else timeout)
                if not data:
                    raise Gone("the cabinet has ended the connection") from None
                self.incoming.write(data)
            except ssl.SSLError:
                self._flush()  # the alert
                raise
            except ConnectionResetError:
                raise Gone("the cabinet has ended the connection") from None

    def _check_cabinet(self, cabinet):
        """The chain is verified by now; whoever has it must be this cabinet. Before anything is said."""
        names = self.tls.getpeercert().get("subjectAltName", ())
        if ("URI", URI_CABINET + cabinet) not in names:
            raise ssl.SSLCertVerificationError(f"this is not cabinet {cabinet}: {names}")

    # --- frames

    def send_frame(self, message):
        text = json.dumps(message, ensure_ascii=False).encode()
        if len(text) > FRAME_MAX:
            raise ValueError("too long for a frame")
        self._step(self.tls.write, struct.pack(">I", len(text)) + text)

    def receive_frame(self, timeout=None):
        while True:
            if len(self.received) >= 4:
                length, = struct.unpack(">I", self.received[:4])
                if not 2 <= length <= FRAME_MAX:
                    raise Gone(f"a frame of {length} bytes")
                if len(self.received) >= 4 + length:
                    text, self.received = self.received[4:4 + length], self.received[4 + length:]
                    return json.loads(text)
            data = self._step(self.tls.read, 4096, timeout=timeout)
            if not data:
                raise Gone("the cabinet has ended the connection")
            self.received += data

    # --- requests

    def request(self, name, **arguments):
        """→ the result; Refused."""
        self.last_id += 1
        self.send_frame({"id": self.last_id, "request": name, **arguments})
        while True:
            message = self.receive_frame()
            if "prompt" in message:
                self.prompts.append(message)
            elif message["id"] == self.last_id:
                if message["status"] != "done":
                    raise Refused(message["error"], message["message"])
                return message["result"]

    def prompt(self, timeout=None):
        """The next thing that the person is to do; TimeoutError."""
        while not self.prompts:
            message = self.receive_frame(timeout)
            if "prompt" in message:
                self.prompts.append(message)
        return self.prompts.popleft()

    def wait_prompt(self, what, timeout=30):
        while True:
            message = self.prompt(timeout)
            if message["prompt"] == what:
                return message
