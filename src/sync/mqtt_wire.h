/* SPDX-License-Identifier: Apache-2.0 */
/* What daemon and lockerd-mqtt say to each other over a SOCK_SEQPACKET socketpair (descriptor 3 of the worker). Both are from the same
 * build; MQTT_WIRE_VERSION guards against a worker left over from another. A message is the header and then `n` bytes of NUL-terminated
 * strings and payload as each type says. */
#pragma once

#include <stdint.h>

#define MQTT_WIRE_VERSION 1
#define MQTT_WIRE_MAX     (128 * 1024) /* header and body */
#define MQTT_PAYLOAD_MAX  (64 * 1024)  /* longer ones are neither sent nor taken: a longer command is answered from its topic alone */

typedef enum MqttWireType {
        /* daemon → worker */
        MQTT_WIRE_SETUP,   /* body: one JSON object, see mqtt_wire.c */
        MQTT_WIRE_PUBLISH, /* token, flags; body: topic, response topic, correlation data (hex), payload */
        MQTT_WIRE_PING,
        MQTT_WIRE_STOP,
        /* worker → daemon */
        MQTT_WIRE_READY,
        MQTT_WIRE_LINK,    /* a: 1 connected, 0 not; b: the broker's receive-maximum; body: sentence */
        MQTT_WIRE_ACKED,   /* token: the broker has it (QoS 1 PUBACK). Failures are not told: an unacknowledged token is sent again after
                            * the next MQTT_WIRE_LINK 1. */
        MQTT_WIRE_MESSAGE, /* body: topic, response topic ("" when none), correlation data (hex), payload (n_payload bytes) */
        MQTT_WIRE_TOO_LARGE, /* as MESSAGE, without payload */
        MQTT_WIRE_PONG,
} MqttWireType;

enum { MQTT_FLAG_RETAIN = 1, MQTT_FLAG_QOS0 = 2 };

typedef struct MqttWireHeader {
        uint16_t version, type;
        uint32_t flags;
        uint64_t token;
        uint32_t a, b;
        uint32_t n_payload; /* the last n_payload bytes of the body are the payload */
        uint32_t n_body;
} MqttWireHeader;
