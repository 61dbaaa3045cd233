/* SPDX-License-Identifier: Apache-2.0 */
/* What daemon and lockerd-mqtt say to each other over a SOCK_SEQPACKET socketpair (descriptor 3 of the
 * worker). Both are from the same build; MQTT_WIRE_VERSION guards against a worker left over from another. A
 * message is the header and then `n` bytes of NUL-terminated strings and payload as each type says. A packet
 * is one message; only events on their way out and acknowledgements on their way in travel several in a
 * packet, because what they cost is the waking of the other process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MQTT_WIRE_FD      3 /* the worker's end */
#define MQTT_WIRE_VERSION 4
#define MQTT_WIRE_MAX     (128 * 1024) /* a packet */
#define MQTT_PAYLOAD_MAX                                                                                   \
        (64 * 1024) /* longer ones are neither sent nor taken: a longer command is answered from its topic \
                       alone */
#define MQTT_TOPIC_MAX       1024 /* bytes of a topic, of a response topic */
#define MQTT_CORRELATION_MAX 256  /* bytes of correlation data */
/* What the daemon may have handed over without an answer. The worker reads its socket always (pings come the
 * same way), so this bounds its memory. */
#define MQTT_UNDER_WAY_MAX       1500
#define MQTT_UNDER_WAY_BYTES_MAX (8 * 1024 * 1024)

typedef enum MqttWireType {
        /* daemon → worker */
        MQTT_WIRE_SETUP,   /* body: one JSON object, see setup.c */
        MQTT_WIRE_PUBLISH, /* token, flags; a: generation; body: topic, content type, correlation data (hex),
                              payload */
        MQTT_WIRE_PING,
        MQTT_WIRE_STOP,
        /* worker → daemon */
        MQTT_WIRE_READY,
        /* a: MqttLinkState; b: the broker's receive-maximum; token: generation, a new one with each
         * connection and each loss, the same while a subscription is refused and when it no longer is; body:
         * sentence. A message of an older generation counts as never sent: the worker drops it, the daemon
         * sends it again. */
        MQTT_WIRE_LINK,
        /* token; a: generation; b: bytes of the payload: the broker has it (QoS 1 PUBACK). */
        MQTT_WIRE_ACKED,
        /* body: topic, response topic ("" when none), correlation data (hex), payload (n_payload bytes) */
        MQTT_WIRE_MESSAGE,
        MQTT_WIRE_TOO_LARGE, /* as MESSAGE, without payload */
        MQTT_WIRE_PONG,
        /* As ACKED, but the broker has not taken it, or nobody was there to hear it; flags: the reason code
         * of the PUBACK, or MQTT_REASON_TOO_LARGE when it could not even be sent; body: sentence. The others
         * under way are not touched. */
        MQTT_WIRE_REFUSED,
        /* worker → daemon: where in the list of addresses the next attempt would be if the worker ended now;
         * the daemon only keeps it. daemon → worker: the same, before the setup, to a worker that replaces
         * another one. A broker that makes worker after worker end or hang would otherwise be tried for ever.
         * token: turn, flags: target, a: item, b: rounds; see struct Addresses in worker.h. */
        MQTT_WIRE_PLACE,
        MQTT_WIRE_TYPES,
} MqttWireType;

#define MQTT_REASON_NOBODY    0x10 /* no matching subscribers: the broker has thrown it away */
#define MQTT_REASON_REFUSED   0x80 /* reason codes from here on */
#define MQTT_REASON_TOO_LARGE 0x95

typedef enum MqttLinkState {
        MQTT_LINK_DOWN,
        MQTT_LINK_UP,
        MQTT_LINK_TROUBLE, /* up, but the broker refused a subscription: it is tried again now */
} MqttLinkState;

enum {
        MQTT_FLAG_RETAIN = 1,
        MQTT_FLAG_QOS0 = 2,
        MQTT_FLAG_PATIENT = 4, /* an event: others, who are waited for, go first */
};

typedef struct MqttWireHeader {
        uint16_t version, type;
        uint32_t flags;
        uint64_t token;
        uint32_t a, b;
        uint32_t n_payload; /* the last n_payload bytes of the body are the payload */
        uint32_t n_body;
} MqttWireHeader;

#define MQTT_WIRE_TEXTS 3

typedef struct MqttWireMessage {
        MqttWireHeader header;
        const char *text[MQTT_WIRE_TEXTS]; /* into the buffer; "" where the type has none */
        const void *payload;
} MqttWireMessage;

/* Fills version and lengths, one packet. Never waits: 0, -EAGAIN, -EPIPE, -EMSGSIZE. NULL in texts: "". */
int mqtt_wire_send(int fd, MqttWireHeader header, const char *const texts[], const void *payload,
                   size_t n_payload);

/* A packet in the making. */
typedef struct MqttWirePacket {
        size_t n;
        char data[MQTT_WIRE_MAX];
} MqttWirePacket;

/* 0; -ENOBUFS: there is enough in it, send it first; -EMSGSIZE. */
int mqtt_wire_add(MqttWirePacket *p, MqttWireHeader header, const char *const texts[], const void *payload,
                  size_t n_payload);
/* As mqtt_wire_send(); empties it on success. Nothing is sent of an empty one. */
int mqtt_wire_send_packet(int fd, MqttWirePacket *p);
void mqtt_wire_empty(MqttWirePacket *p); /* leaves nothing behind: it may have held a code */

/* What is left of a packet that came. */
typedef struct MqttWireReader {
        const char *at;
        size_t left;
} MqttWireReader;

/* buffer: MQTT_WIRE_MAX bytes. 1; 0: nothing there; -EPIPE; -EPROTO. */
int mqtt_wire_receive(int fd, char *buffer, MqttWireReader *ret);
/* 1; 0: that was all; -EPROTO. */
int mqtt_wire_next(MqttWireReader *r, MqttWireMessage *ret);
