/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/mqtt_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/supervisor.h"
#include "base/text.h"
#include "core/bucket.h"
#include "mqtt/setup.h"
#include "mqtt/wire.h"

#include <errno.h>
#include <stdio.h>

#define UNANSWERED                                                                                     \
        10 /* pings; then the worker hangs. It never waits for the network, but handshakes take a slow \
              machine a while. */
#define RESTART_FIRST (250 * USEC_PER_MSEC)
#define RESTART_MAX   (8 * USEC_PER_SEC)
#define ANSWER        (30 * USEC_PER_SEC)
#define LEAVE         USEC_PER_SEC
#define BUFFER        (256 * 1024) /* more than the longest message */

/* Of words about the connection: each is passed on to whoever looks at the cabinet's health, and may be a
 * line in the journal. An honest worker waits between two attempts, BackoffMin= at the least. */
static const BucketRules link_pace = {.burst = 100, .each_usec = 50 * USEC_PER_MSEC};

struct MqttClient {
        const MqttHandlers *handlers;
        void *userdata;
        Supervisor *worker;
        char *setup;
        MqttWireHeader place; /* where the next worker goes on; type 0: at the beginning */

        bool connected;
        uint32_t generation;
        Bucket links;
        unsigned under_way;
        size_t under_way_bytes;
        unsigned queued; /* in `packet` */
        size_t queued_bytes;
        char sentence[512]; /* the last one */
        char buffer[MQTT_WIRE_MAX];
        MqttWirePacket packet;
};

static void tell_link(MqttClient *c, bool connected, const char *sentence) {
        c->under_way = 0;
        c->under_way_bytes = 0;
        /* Attempt after attempt fails for the same reason: said once. */
        if (!connected && !c->connected && streq(sentence, c->sentence))
                return;
        c->connected = connected;
        snprintf(c->sentence, sizeof(c->sentence), "%s", sentence);
        c->handlers->link(c->userdata, connected, c->sentence);
}

static void take_link(MqttClient *c, const MqttWireMessage *m) {
        bool fresh = c->generation != (uint32_t)m->header.token;

        c->generation = (uint32_t)m->header.token;
        if (fresh)
                tell_link(c, m->header.a != MQTT_LINK_DOWN, m->text[0]);
        if (m->header.a == MQTT_LINK_TROUBLE)
                c->handlers->trouble(c->userdata, m->text[0]);
        else if (!fresh)
                c->handlers->trouble(c->userdata, NULL);
}

static void take_acknowledgement(MqttClient *c, const MqttWireMessage *m) {
        const MqttWireHeader *h = &m->header;

        if (h->a != c->generation || !c->under_way)
                return;
        c->under_way--;
        c->under_way_bytes -= MIN(h->b, c->under_way_bytes);
        if (h->type == MQTT_WIRE_REFUSED)
                c->handlers->refused(c->userdata, h->token, h->flags, m->text[0]);
        else if (h->token)
                c->handlers->acknowledged(c->userdata, h->token);
}

static void take_command(MqttClient *c, const MqttWireMessage *m) {
        MqttMessage message = {
                .topic = m->text[0],
                .response_topic = m->text[1],
                .correlation = m->text[2],
                .payload = m->payload,
                .n_payload = m->header.n_payload,
                .too_large = m->header.type == MQTT_WIRE_TOO_LARGE,
        };

        c->handlers->message(c->userdata, &message);
}

static bool take_message(MqttClient *c, const MqttWireMessage *m) {
        switch (m->header.type) {
        case MQTT_WIRE_READY:
        case MQTT_WIRE_PONG:
                return true;
        case MQTT_WIRE_LINK:
                if (!bucket_take(&c->links, &link_pace, clock_now().boot_usec)) {
                        log_warning("lockerd-mqtt says too often how its connection is");
                        return false;
                }
                take_link(c, m);
                return true;
        case MQTT_WIRE_PLACE:
                c->place = m->header;
                return true;
        case MQTT_WIRE_ACKED:
        case MQTT_WIRE_REFUSED:
                take_acknowledgement(c, m);
                return true;
        case MQTT_WIRE_MESSAGE:
        case MQTT_WIRE_TOO_LARGE:
                take_command(c, m);
                return true;
        default: /* a number from outside, not an enum of ours */
                return false;
        }
}

/* One packet a turn of the loop: a flood of commands, which come one in a packet, must not keep doors
 * waiting.
 */
static bool read_packet(void *userdata) {
        MqttClient *c = userdata;
        MqttWireReader reader;
        MqttWireMessage m;
        int r = mqtt_wire_receive(supervisor_socket(c->worker), c->buffer, &reader);

        if (r <= 0)
                return r == 0;
        supervisor_heard(c->worker);
        while ((r = mqtt_wire_next(&reader, &m)) > 0)
                if (!take_message(c, &m))
                        return false;
        return r == 0;
}

static int say(MqttClient *c, MqttWireType type, const char *text) {
        const char *const texts[] = {text};

        return mqtt_wire_send(supervisor_socket(c->worker), (MqttWireHeader){.type = type}, texts, NULL, 0);
}

static int send_setup(void *userdata) {
        MqttClient *c = userdata;

        c->generation = 0;
        if (c->place.type) {
                int r = mqtt_wire_send(supervisor_socket(c->worker), c->place, NULL, NULL, 0);
                if (r < 0)
                        return r;
        }
        return say(c, MQTT_WIRE_SETUP, c->setup);
}

static int ping(void *userdata, uint64_t number) {
        return say(userdata, MQTT_WIRE_PING, NULL);
}

static void gone(void *userdata, const char *sentence) {
        tell_link(userdata, false, sentence);
}

static const SupervisorHandlers worker_handlers = {
        .started = send_setup,
        .readable = read_packet,
        .ping = ping,
        .gone = gone,
};

static char *encode_setup(const MqttOptions *o) {
        const MqttSettings *s = o->settings;
        bool tls = mqtt_settings_use_tls(s);
        _cleanup_free_ char *client_id = text_printf("lockerd-%s", o->cabinet);
        MqttSetup setup = {
                .host = s->host,
                .client_id = s->client_id ? s->client_id : client_id,
                .port = s->port ? s->port
                        : tls   ? 8883
                                : 1883,
                .tls = tls,
                .ca_file = s->ca_file,
                .cert_file = s->cert_file,
                .key_file = s->key_file,
                .psk_identity = s->psk_identity,
                .psk_file = s->psk_file,
                .username = s->username,
                .password_file = s->password_file,
                .keepalive_sec = (unsigned)(s->keepalive_usec / USEC_PER_SEC),
                .session_expiry_sec = (unsigned)(s->session_expiry_usec / USEC_PER_SEC),
                .window = s->window,
                .backoff_min_usec = s->backoff_min_usec,
                .backoff_max_usec = s->backoff_max_usec,
                .answer_usec = ANSWER,
                .will_topic = o->will_topic ? o->will_topic : "",
                .will = o->will ? o->will : "",
                .subscriptions = (const char **)o->subscriptions,
        };

        while (o->subscriptions && o->subscriptions[setup.n_subscriptions])
                setup.n_subscriptions++;
        return client_id ? mqtt_setup_encode(&setup) : NULL;
}

int mqtt_client_new(MqttClient **ret, sd_event *event, const MqttOptions *options,
                    const MqttHandlers *handlers, void *userdata) {
        _cleanup_(mqtt_client_freep) MqttClient *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->handlers = handlers;
        c->userdata = userdata;
        c->setup = encode_setup(options);
        _cleanup_free_ char *program = text_printf("%s/lockerd-mqtt", options->worker_directory);
        if (!program || !c->setup)
                return -ENOMEM;
        SupervisorOptions worker = {
                .program = program,
                .name = "lockerd-mqtt",
                .unanswered = UNANSWERED,
                .first_pause = RESTART_FIRST,
                .max_pause = RESTART_MAX,
                .buffer = BUFFER,
        };
        r = supervisor_new(&c->worker, event, &worker, &worker_handlers, c);
        if (r < 0)
                return r;
        supervisor_start(c->worker);
        *ret = steal_ptr(c);
        return 0;
}

static void stop_worker(MqttClient *c) {
        supervisor_stop(c->worker);
        /* A full socket pair: the end of file says the same. */
        if (say(c, MQTT_WIRE_STOP, NULL) < 0)
                supervisor_hang_up(c->worker);
        if (!supervisor_join(c->worker, clock_now().boot_usec + LEAVE))
                supervisor_kill(c->worker);
}

MqttClient *mqtt_client_free(MqttClient *c) {
        if (!c)
                return NULL;
        if (c->worker && supervisor_is_running(c->worker))
                stop_worker(c);
        supervisor_free(c->worker);
        free(c->setup);
        free(c);
        return NULL;
}

bool mqtt_client_is_connected(const MqttClient *c) {
        return c->connected;
}

static int check(const MqttClient *c, const char *topic, size_t n, const char *correlation_hex) {
        size_t n_hex = correlation_hex ? strlen(correlation_hex) : 0;

        if (!c->connected)
                return -ENOTCONN;
        if (n > MQTT_PAYLOAD_MAX || strlen(topic) > MQTT_TOPIC_MAX || n_hex > 2 * MQTT_CORRELATION_MAX)
                return -EMSGSIZE;
        if (correlation_hex && (n_hex % 2 || strspn(correlation_hex, "0123456789abcdef") != n_hex))
                return -EINVAL;
        if (c->under_way + c->queued >= MQTT_UNDER_WAY_MAX ||
            c->under_way_bytes + c->queued_bytes + n > MQTT_UNDER_WAY_BYTES_MAX)
                return -EAGAIN;
        return 0;
}

int mqtt_client_publish(MqttClient *c, uint64_t token, const char *topic, const void *payload, size_t n,
                        bool retain, const char *content_type, const char *correlation_hex) {
        const char *const texts[] = {topic, content_type, correlation_hex};
        int r = check(c, topic, n, correlation_hex);

        if (r < 0)
                return r;
        MqttWireHeader h = {
                .type = MQTT_WIRE_PUBLISH,
                .token = token,
                .flags = retain ? MQTT_FLAG_RETAIN : 0,
                .a = c->generation,
        };
        r = mqtt_wire_send(supervisor_socket(c->worker), h, texts, payload, n);
        if (r < 0)
                return r == -EPIPE ? -ENOTCONN : r;
        c->under_way++;
        c->under_way_bytes += n;
        return 0;
}

int mqtt_client_queue(MqttClient *c, uint64_t token, const char *topic, const void *payload, size_t n,
                      const char *content_type) {
        const char *const texts[] = {topic, content_type, NULL};
        MqttWireHeader h = {
                .type = MQTT_WIRE_PUBLISH,
                .token = token,
                .flags = MQTT_FLAG_PATIENT,
                .a = c->generation,
        };
        int r = check(c, topic, n, NULL);

        if (r >= 0)
                r = mqtt_wire_add(&c->packet, h, texts, payload, n);
        if (r < 0)
                return r;
        c->queued++;
        c->queued_bytes += n;
        return 0;
}

int mqtt_client_flush(MqttClient *c) {
        int r = c->connected ? mqtt_wire_send_packet(supervisor_socket(c->worker), &c->packet) : -ENOTCONN;

        if (r >= 0) {
                c->under_way += c->queued;
                c->under_way_bytes += c->queued_bytes;
        }
        mqtt_wire_empty(&c->packet);
        c->queued = 0;
        c->queued_bytes = 0;
        return r == -EPIPE ? -ENOTCONN : r;
}
