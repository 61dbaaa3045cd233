# SPDX-License-Identifier: Apache-2.0
"""The backend's ear in bench_fleet.py, a process of its own. Writes a line to FILE for each message: `e TIME CABINET SEQUENCE ID WAYBILL` for an
event (WAYBILL of an announcement, else -), `s TIME CABINET PRESENCE` for a state, `r TIME CABINET` for an answer. Lines on standard input,
`TOPIC PAYLOAD`, are published (QoS 1, with a message expiry of an hour). Of a cluster it goes on to the next node when one is lost, or takes
the connection and says nothing."""
import argparse
import json
import sys
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

CONNACK = 10  # seconds


def stamp():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def password_of(path):
    if not path:
        return None
    with open(path, encoding="utf-8") as f:
        return f.readline().strip()


class Client:
    """A client of a cluster with a session that outlives its connections; run() serves it."""

    def __init__(self, args, name, filters, on_message, on_ready=lambda: None):
        self.args, self.filters, self.leaving = args, filters, False
        self.client = paho.Client(client_id=name, protocol=paho.MQTTv5)
        self.client.username_pw_set(args.username, password_of(args.password_file))
        if args.ca_file:
            self.client.tls_set(args.ca_file)
        self.client.on_message = on_message
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: on_ready()
        self.client.max_inflight_messages_set(0)
        self.client.max_queued_messages_set(0)
        self.connected = False

    def _on_connect(self, client, _userdata, _flags, reason, _properties):
        self.connected = reason == 0
        if self.connected:
            client.subscribe([(t, 1) for t in self.filters])

    def run(self):
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        hosts, turn = self.args.hosts.split(), 0
        while not self.leaving:
            self.connected = False
            try:
                self.client.connect(hosts[turn % len(hosts)], self.args.port, keepalive=self.args.keepalive, clean_start=False, properties=properties)
                begin = time.monotonic()
                while self.client.loop(0.5) == paho.MQTT_ERR_SUCCESS and (self.connected or time.monotonic() - begin < CONNACK):
                    pass
            except OSError:
                pass
            turn += 1
            time.sleep(0.5)

    def close(self):
        self.leaving = True
        self.client.disconnect()


def arguments(parser):
    parser.add_argument("--hosts", default="127.0.0.1", help="nodes, blanks between them")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--username", default="backend")
    parser.add_argument("--password-file")
    parser.add_argument("--ca-file", help="TLS, with certificates by this authority")
    parser.add_argument("--keepalive", type=int, default=600)
    parser.add_argument("name", help="client id")
    parser.add_argument("file")
    parser.add_argument("filters", nargs="+")
    return parser


class Ear:
    def __init__(self, args):
        self.out = open(args.file, "w", encoding="utf-8", buffering=1)
        self.client = Client(args, args.name, args.filters, self.on_message, lambda: print("subscribed", flush=True))

    def on_message(self, _client, _userdata, m):
        _, _, cabinet, kind, *_ = m.topic.split("/")
        if kind == "event":
            event = json.loads(m.payload)
            waybill = event["data"].get("waybill") if event["type"].endswith("parcel.announced") else None
            self.out.write(f"e {stamp()} {cabinet} {int(event['sequence'])} {event['id']} {waybill or '-'}\n")
        elif kind == "state":
            self.out.write(f"s {stamp()} {cabinet} {json.loads(m.payload)['presence']}\n")
        elif kind == "reply":
            self.out.write(f"r {stamp()} {cabinet}\n")

    def publish_lines(self):
        properties = Properties(PacketTypes.PUBLISH)
        properties.MessageExpiryInterval = 3600
        for line in sys.stdin:
            topic, payload = line.rstrip("\n").split(" ", 1)
            self.client.client.publish(topic, payload, qos=1, properties=properties)
        self.client.close()


def main():
    ear = Ear(arguments(argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])).parse_args())
    threading.Thread(target=ear.publish_lines, daemon=True).start()
    ear.client.run()


if __name__ == "__main__":
    main()
