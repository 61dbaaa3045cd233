/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from a worker that somebody has taken over, as the daemon reads them: packets of lockerd-mqtt, its
 * set-up message, packets of the workers of locks. What is read points into the packet, and what is written
 * is read back as itself. */
#include "base/text.h"
#include "lockwire/wire.h"
#include "mqtt/setup.h"
#include "mqtt/wire.h"

#include <errno.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good) {
        if (!good)
                abort();
}

static bool inside(const char *at, const char *from, size_t n) {
        return at >= from && at <= from + n;
}

static void as_mqtt_packet(const uint8_t *data, size_t size) {
        _cleanup_free_ char *buffer = malloc(size + 1);
        MqttWireReader reader = {.at = buffer, .left = size};
        MqttWireMessage m;
        int r;

        expect(buffer);
        memcpy(buffer, data, size);
        while ((r = mqtt_wire_next(&reader, &m)) > 0) {
                const char *payload = m.payload;

                expect(m.header.type < MQTT_WIRE_TYPES && m.header.n_payload <= MQTT_PAYLOAD_MAX);
                for (size_t i = 0; i < MQTT_WIRE_TEXTS; i++)
                        expect(m.text[i] && strlen(m.text[i]) <= size);
                expect(!m.header.n_payload ||
                       (inside(payload, buffer, size) && inside(payload + m.header.n_payload, buffer, size)));
        }
        expect(r == 0 || r == -EPROTO);
}

static void as_setup(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = strndup((const char *)data, size), *again = NULL;
        _cleanup_(mqtt_setup_freep) MqttSetup *s = NULL;
        MqttSetup *second = NULL;

        expect(text);
        int r = mqtt_setup_decode(text, &s);
        expect(r == 0 || (r == -EPROTO && !s));
        if (r < 0)
                return;
        expect(s->host && s->client_id && s->will_topic && s->will && s->n_subscriptions >= 0);
        again = mqtt_setup_encode(s);
        if (!again)
                return; /* text that is not UTF-8 */
        expect(mqtt_setup_decode(again, &second) == 0 && streq(second->host, s->host) &&
               second->window == s->window && second->n_subscriptions == s->n_subscriptions);
        mqtt_setup_free(second);
}

static void as_lock_packet(const uint8_t *data, size_t size) {
        int pair[2];
        WireMessage m;

        if (size > 8192 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
                return;
        if (size && send(pair[0], data, size, 0) == (ssize_t)size) {
                int r = wire_receive(pair[1], &m);
                expect(r == 1 || r == -EPROTO);
                expect(r < 0 || (m.header.type > 0 && m.header.type < WIRE_TYPE_MAX));
        }
        close(pair[0]);
        close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        as_mqtt_packet(data, size);
        as_setup(data, size);
        as_lock_packet(data, size);
        return 0;
}
