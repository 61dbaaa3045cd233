# SPDX-License-Identifier: Apache-2.0
"""A backend for tests: a real broker (mosquitto) on loopback, an independent MQTT 5 client (paho), and a signing key (openssl).

    class Commands(BackendTest):
        def test_something(self):
            answer = self.backend.command("announce", {"size": "S"})
"""
import base64
import collections
import glob
import json
import os
import queue
import shutil
import socket
import subprocess
import tempfile
import time
import uuid

from daemonlib import TREE, DaemonTest
from dbusclient import wait

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

try:
    import jsonschema
except ImportError:
    jsonschema = None

MQTT = TREE / "schema" / "mqtt"
EXAMPLES = MQTT / "examples"
UNSIGNED = ("snapshot", "replay", "recommend")
Message = collections.namedtuple("Message", "topic payload properties retain dup", defaults=[False])


class Judge:
    """Says by schema/mqtt, with a validator that is not ours, what is wrong with a message of the cabinet."""

    def __init__(self):
        schemas = {}
        for path in glob.glob(str(MQTT / "*.schema.json")):
            with open(path, encoding="utf-8") as f:
                schemas[os.path.basename(path).split(".")[0]] = json.load(f)
        store = {s["$id"]: s for s in schemas.values()}
        self.validators = {name: jsonschema.Draft202012Validator(
            schemas[name], resolver=jsonschema.RefResolver(schemas[name]["$id"], schemas[name], store=store),
            format_checker=jsonschema.FormatChecker()) for name in ("event", "state", "answer", "ledger")}

    def complaints(self, cabinet, message):
        prefix = f"lockerd/v1/{cabinet}/"
        if not message.topic.startswith(prefix):
            return [f"{message.topic} is not a topic of this cabinet"]
        where, _, rest = message.topic[len(prefix):].partition("/")
        if where == "command":
            return []  # the backend's own
        kind = {"event": "event", "state": "state", "ledger": "ledger", "reply": "answer"}.get(where)
        if not kind:
            return [f"{message.topic} is no topic of the contract"]
        try:
            value = json.loads(message.payload, object_pairs_hook=unique)
        except ValueError as e:
            return [f"{message.topic}: {e}"]
        found = [f"{message.topic}: {'/'.join(map(str, e.absolute_path))}: {e.message}" for e in self.validators[kind].iter_errors(value)]
        if kind == "event" and value.get("type") != f"org.lockerd.{rest}":
            found.append(f"{message.topic} has the type {value.get('type')}")
        wanted = "application/cloudevents+json" if kind == "event" else "application/json"
        said = getattr(message.properties, "ContentType", None)
        if (said or "").split(";")[0] != wanted:
            found.append(f"{message.topic}: content type {said}")
        return found


def unique(pairs):
    if len({k for k, _ in pairs}) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    """mosquitto with persistence, so that it can be killed and come back."""

    def __init__(self, port=None, extra=""):
        self.directory = tempfile.mkdtemp(prefix="broker-")
        self.port = port or free_port()
        self.config = os.path.join(self.directory, "mosquitto.conf")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n"
                    f"persistence_location {self.directory}/\nautosave_interval 1\nlog_dest file {self.directory}/log\n{extra}")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", self.config],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError("mosquitto did not start")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def leave(self):
        """Ends it so that it keeps its clients' sessions; what a killed broker forgets is not the cabinet's to remember."""
        self.process.terminate()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class SigningKey:
    """An Ed25519 key as an operator makes it, and JWS by hand."""

    def __init__(self, directory, name="key-1"):
        self.name = name
        self.private = os.path.join(directory, f"{name}.private")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.private], check=True, capture_output=True)

    def public(self, path):
        subprocess.run(["openssl", "pkey", "-in", self.private, "-pubout", "-out", path], check=True, capture_output=True)

    def sign(self, payload, header=None):
        def encode(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")
        head = encode(json.dumps(header or {"alg": "EdDSA", "kid": self.name}).encode())
        text = head + b"." + encode(json.dumps(payload).encode())
        with tempfile.NamedTemporaryFile() as f:
            f.write(text)
            f.flush()
            signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.private, "-in", f.name],
                                       check=True, capture_output=True).stdout
        return text + b"." + encode(signature)


def timestamp(seconds):
    """RFC 3339, `seconds` from now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


class Backend:
    """What listens at the broker and gives commands."""

    def __init__(self, port, cabinet, key=None, name="backend"):
        self.cabinet = cabinet
        self.key = key
        self.messages = []
        self._in = queue.Queue()
        self.subscribed = False
        self.client = paho.Client(client_id=name, protocol=paho.MQTTv5)
        self.client.on_message = lambda c, u, m: self._in.put(Message(m.topic, m.payload, m.properties, m.retain, m.dup))
        self.client.on_connect = lambda c, u, f, r, p: c.subscribe(f"lockerd/v1/{cabinet}/#", qos=1)
        self.client.on_subscribe = self._on_subscribe
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port, keepalive=30, clean_start=False, properties=properties)
        self.client.loop_start()

    def _on_subscribe(self, *_):
        self.subscribed = True

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def receive(self):
        while True:
            try:
                message = self._in.get_nowait()
                if message.payload:  # else a test has cleared what was retained
                    self.messages.append(message)
            except queue.Empty:
                return self.messages

    def topics(self, last):
        return [m for m in self.receive() if m.topic.startswith(f"lockerd/v1/{self.cabinet}/{last}")]

    def events(self):
        """CloudEvents in the order in which they came."""
        return [json.loads(m.payload) for m in self.topics("event/")]

    def state(self):
        states = self.topics("state")
        return json.loads(states[-1].payload) if states else None

    def body(self, name, arguments=None, expires=60, id=None, **more):
        return {"id": id or uuid.uuid4().hex, "expires": expires if isinstance(expires, str) else timestamp(expires),
                "arguments": arguments or {}, **more}

    def publish(self, name, payload, correlation=None):
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = f"lockerd/v1/{self.cabinet}/reply"
        if correlation:
            properties.CorrelationData = correlation
        self.client.publish(f"lockerd/v1/{self.cabinet}/command/{name}", payload, qos=1, properties=properties).wait_for_publish()

    def answers(self, correlation):
        return [json.loads(m.payload) for m in self.topics("reply")
                if getattr(m.properties, "CorrelationData", None) == correlation]

    def ask(self, name, payload, timeout=20):
        """Sends bytes as a command and waits for the answer to exactly this message."""
        correlation = uuid.uuid4().bytes
        self.publish(name, payload, correlation)
        return wait(lambda: self.answers(correlation), f"an answer to {name}", timeout)[0]

    def command(self, name, arguments=None, signed=None, **more):
        """signed None: what must be."""
        if signed is None:
            signed = name not in UNSIGNED
        body = self.body(name, arguments, **more)
        if signed:
            body = {"cabinet": self.cabinet, "name": name, **body}
            return self.ask(name, self.key.sign(body))
        return self.ask(name, json.dumps(body).encode())


class BackendTest(DaemonTest):
    """A cabinet with a broker and a backend: self.broker, self.backend, self.key. Whatever the cabinet has said in a test is held against
    the contract when the test is over."""

    mqtt = {}
    broker_extra = ""

    def setUp(self):
        self.broker = Broker(extra=self.broker_extra)
        self.addCleanup(self.broker.stop)
        self.keys = tempfile.mkdtemp(prefix="keys-")
        self.addCleanup(shutil.rmtree, self.keys, True)
        self.key = SigningKey(self.keys)
        ring = os.path.join(self.keys, "ring")
        os.mkdir(ring)
        self.key.public(os.path.join(ring, "key-1.pem"))
        self.settings = {**self.settings,
                         "Mqtt": {"Host": "127.0.0.1", "Port": str(self.broker.port), "SigningKeys": ring,
                                  "BackoffMin": "100ms", "BackoffMax": "1s", **self.mqtt}}
        # Before the daemon, so that nothing is said to nobody.
        self.number = "C-0060" if "60" in self.cabinet_file else "C-0012"
        self.backend = Backend(self.broker.port, self.number, self.key)
        self.addCleanup(self.backend.close)
        wait(lambda: self.backend.subscribed, "the subscription")
        super().setUp()
        self.wait_online()

    def _stop(self):
        super()._stop()
        if self.broker.process.poll() is None:
            wait(lambda: (self.backend.state() or {}).get("presence") == "offline", "the farewell")
        self.judge()

    def judge(self):
        """Everything that came from the cabinet, by an independent validator."""
        if not jsonschema:
            print("not validated: python3-jsonschema is missing", end=" ", flush=True)
            return
        judge = Judge()
        found = [c for m in self.backend.receive() for c in judge.complaints(self.number, m)]
        if found:
            raise AssertionError(f"{len(found)} complaints of the validator; " + "\n".join(found[:10]))
        if not self.backend.topics("state"):
            raise AssertionError("nothing was validated")

    def wait_online(self):
        wait(lambda: (self.backend.state() or {}).get("presence") == "online", "the cabinet online")

    def wait_drained(self, timeout=60):
        wait(lambda: self.admin.cabinet("OutboxLength") == 0, "an empty outbox", timeout)
