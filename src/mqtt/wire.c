/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/wire.h"
#include "base/macros.h"

#include <errno.h>
#include <sys/socket.h>

/* How many NUL-terminated strings begin the body. */
static const uint8_t n_texts[MQTT_WIRE_TYPES] = {
        [MQTT_WIRE_SETUP] = 1,   [MQTT_WIRE_PUBLISH] = 3,   [MQTT_WIRE_LINK] = 1,
        [MQTT_WIRE_MESSAGE] = 3, [MQTT_WIRE_TOO_LARGE] = 3, [MQTT_WIRE_REFUSED] = 1,
};

/* A packet that has this much is full: the sooner it is there, the sooner the other process can begin. */
#define ENOUGH (32 * 1024)

typedef struct Parts {
        struct iovec part[MQTT_WIRE_TEXTS + 2]; /* the header first */
        size_t n, size;
} Parts;

static int make_parts(MqttWireHeader *header, const char *const texts[], const void *payload,
                      size_t n_payload, Parts *ret) {
        Parts p = {.n = 1, .size = sizeof(*header) + n_payload};

        for (size_t i = 0; i < n_texts[header->type]; i++) {
                const char *text = texts[i] ? texts[i] : "";
                size_t n = strlen(text) + 1;

                p.part[p.n++] = (struct iovec){.iov_base = (char *)text, .iov_len = n};
                p.size += n;
        }
        if (n_payload)
                p.part[p.n++] = (struct iovec){.iov_base = (void *)payload, .iov_len = n_payload};
        if (n_payload > MQTT_PAYLOAD_MAX || p.size > MQTT_WIRE_MAX)
                return -EMSGSIZE;
        header->version = MQTT_WIRE_VERSION;
        header->n_payload = (uint32_t)n_payload;
        header->n_body = (uint32_t)(p.size - sizeof(*header));
        p.part[0] = (struct iovec){.iov_base = header, .iov_len = sizeof(*header)};
        *ret = p;
        return 0;
}

static int send_parts(int fd, struct iovec *parts, size_t n) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = n};

        if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return errno == ECONNRESET ? -EPIPE : -errno;
        return 0;
}

int mqtt_wire_send(int fd, MqttWireHeader header, const char *const texts[], const void *payload,
                   size_t n_payload) {
        Parts p;
        int r = make_parts(&header, texts, payload, n_payload, &p);

        return r < 0 ? r : send_parts(fd, p.part, p.n);
}

int mqtt_wire_add(MqttWirePacket *packet, MqttWireHeader header, const char *const texts[],
                  const void *payload, size_t n_payload) {
        Parts p;
        int r = make_parts(&header, texts, payload, n_payload, &p);

        if (r < 0)
                return r;
        if (packet->n && packet->n + p.size > ENOUGH)
                return -ENOBUFS;
        for (size_t i = 0; i < p.n; i++) {
                memcpy(packet->data + packet->n, p.part[i].iov_base, p.part[i].iov_len);
                packet->n += p.part[i].iov_len;
        }
        return 0;
}

int mqtt_wire_send_packet(int fd, MqttWirePacket *p) {
        struct iovec all = {.iov_base = p->data, .iov_len = p->n};
        int r = p->n ? send_parts(fd, &all, 1) : 0;

        if (r >= 0)
                mqtt_wire_empty(p);
        return r;
}

void mqtt_wire_empty(MqttWirePacket *p) {
        explicit_bzero(p->data, p->n);
        p->n = 0;
}

int mqtt_wire_receive(int fd, char *buffer, MqttWireReader *ret) {
        ssize_t n;

        do
                n = recv(fd, buffer, MQTT_WIRE_MAX, MSG_DONTWAIT | MSG_TRUNC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
        if (n == 0)
                return -EPIPE;
        if (n > MQTT_WIRE_MAX)
                return -EPROTO;
        *ret = (MqttWireReader){.at = buffer, .left = (size_t)n};
        return 1;
}

static int take_apart(const char *body, MqttWireMessage *m) {
        size_t left = m->header.n_body - m->header.n_payload;

        for (size_t i = 0; i < MQTT_WIRE_TEXTS; i++)
                m->text[i] = "";
        for (size_t i = 0; i < n_texts[m->header.type]; i++) {
                size_t n = strnlen(body, left);

                if (n == left)
                        return -EPROTO;
                m->text[i] = body;
                body += n + 1;
                left -= n + 1;
        }
        m->payload = body;
        return left == 0 ? 1 : -EPROTO;
}

int mqtt_wire_next(MqttWireReader *reader, MqttWireMessage *ret) {
        MqttWireMessage m = {0};

        if (reader->left == 0)
                return 0;
        if (reader->left < sizeof(m.header))
                return -EPROTO;
        memcpy(&m.header, reader->at, sizeof(m.header));
        if (m.header.version != MQTT_WIRE_VERSION || m.header.type >= MQTT_WIRE_TYPES ||
            m.header.n_body > reader->left - sizeof(m.header) || m.header.n_payload > m.header.n_body ||
            m.header.n_payload > MQTT_PAYLOAD_MAX)
                return -EPROTO;
        int r = take_apart(reader->at + sizeof(m.header), &m);
        if (r < 0)
                return r;
        reader->at += sizeof(m.header) + m.header.n_body;
        reader->left -= sizeof(m.header) + m.header.n_body;
        *ret = m;
        return 1;
}
