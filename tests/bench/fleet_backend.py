# SPDX-License-Identifier: Apache-2.0
"""fleet_backend.py PORT CLIENT FILE FILTER…: the backend's ear in bench_fleet.py, a process of its own. Writes a line to FILE for each
message: `e TIME CABINET SEQUENCE ID` for an event, `s TIME CABINET PRESENCE` for a state, `r TIME CABINET` for an answer. Lines on standard
input, `TOPIC PAYLOAD`, are published (QoS 1, with a message expiry of an hour)."""
import json
import sys
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def stamp():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Ear:
    def __init__(self, port, name, path, filters):
        self.out = open(path, "w", encoding="utf-8", buffering=1)
        self.filters = filters
        self.client = paho.Client(client_id=name, protocol=paho.MQTTv5)
        self.client.username_pw_set("backend")
        self.client.on_message = self.on_message
        self.client.on_connect = lambda c, u, f, r, p: c.subscribe([(t, 1) for t in filters])
        self.client.on_subscribe = lambda *_: print("subscribed", flush=True)
        self.client.reconnect_delay_set(1, 1)
        self.client.max_inflight_messages_set(0)
        self.client.max_queued_messages_set(0)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        self.client.connect("127.0.0.1", port, keepalive=600, clean_start=False, properties=properties)

    def on_message(self, _client, _userdata, m):
        _, _, cabinet, kind, *_ = m.topic.split("/")
        if kind == "event":
            event = json.loads(m.payload)
            self.out.write(f"e {stamp()} {cabinet} {int(event['sequence'])} {event['id']}\n")
        elif kind == "state":
            self.out.write(f"s {stamp()} {cabinet} {json.loads(m.payload)['presence']}\n")
        elif kind == "reply":
            self.out.write(f"r {stamp()} {cabinet}\n")

    def publish_lines(self):
        properties = Properties(PacketTypes.PUBLISH)
        properties.MessageExpiryInterval = 3600
        for line in sys.stdin:
            topic, payload = line.rstrip("\n").split(" ", 1)
            self.client.publish(topic, payload, qos=1, properties=properties)
        self.client.disconnect()


def main():
    port, name, path, *filters = sys.argv[1:]
    ear = Ear(int(port), name, path, filters)
    threading.Thread(target=ear.publish_lines, daemon=True).start()
    ear.client.loop_forever(retry_first_connection=True)


if __name__ == "__main__":
    main()
