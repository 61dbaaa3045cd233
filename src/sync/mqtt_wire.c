/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/mqtt_wire.h"
#include "base/macros.h"

#include <errno.h>
#include <sys/socket.h>

/* How many NUL-terminated strings begin the body. */
static const uint8_t n_texts[MQTT_WIRE_TYPES] = {
        [MQTT_WIRE_SETUP] = 1,   [MQTT_WIRE_PUBLISH] = 3,   [MQTT_WIRE_LINK] = 1,
        [MQTT_WIRE_MESSAGE] = 3, [MQTT_WIRE_TOO_LARGE] = 3,
};

int mqtt_wire_send(int fd, MqttWireHeader header, const char *const texts[], const void *payload,
                   size_t n_payload) {
        struct iovec parts[MQTT_WIRE_TEXTS + 2];
        size_t n = 1, size = sizeof(header) + n_payload;

        for (size_t i = 0; i < n_texts[header.type]; i++) {
                const char *text = texts[i] ? texts[i] : "";

                parts[n++] = (struct iovec){.iov_base = (char *)text, .iov_len = strlen(text) + 1};
                size += strlen(text) + 1;
        }
        if (n_payload)
                parts[n++] = (struct iovec){.iov_base = (void *)payload, .iov_len = n_payload};
        if (n_payload > MQTT_PAYLOAD_MAX || size > MQTT_WIRE_MAX)
                return -EMSGSIZE;
        header.version = MQTT_WIRE_VERSION;
        header.n_payload = (uint32_t)n_payload;
        header.n_body = (uint32_t)(size - sizeof(header));
        parts[0] = (struct iovec){.iov_base = &header, .iov_len = sizeof(header)};

        struct msghdr message = {.msg_iov = parts, .msg_iovlen = n};
        if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return errno == ECONNRESET ? -EPIPE : -errno;
        return 0;
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

int mqtt_wire_receive(int fd, char *buffer, MqttWireMessage *ret) {
        MqttWireMessage m = {0};
        ssize_t n;

        do
                n = recv(fd, buffer, MQTT_WIRE_MAX, MSG_DONTWAIT | MSG_TRUNC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
        if (n == 0)
                return -EPIPE;
        if ((size_t)n < sizeof(m.header) || n > MQTT_WIRE_MAX)
                return -EPROTO;
        memcpy(&m.header, buffer, sizeof(m.header));
        if (m.header.version != MQTT_WIRE_VERSION || m.header.type >= MQTT_WIRE_TYPES ||
            m.header.n_body != (size_t)n - sizeof(m.header) || m.header.n_payload > m.header.n_body ||
            m.header.n_payload > MQTT_PAYLOAD_MAX)
                return -EPROTO;
        int r = take_apart(buffer + sizeof(m.header), &m);
        if (r > 0)
                *ret = m;
        return r;
}
