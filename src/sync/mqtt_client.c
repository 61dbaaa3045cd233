/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/mqtt_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/message-ids.h"
#include "base/text.h"
#include "sync/mqtt_setup.h"
#include "sync/mqtt_spawn.h"
#include "sync/mqtt_wire.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define HEARTBEAT USEC_PER_SEC
#define UNANSWERED                                                                                     \
        10 /* pings; then the worker hangs. It never waits for the network, but handshakes take a slow \
              machine a while. */
#define RESTART_FIRST (250 * USEC_PER_MSEC)
#define RESTART_MAX   (8 * USEC_PER_SEC)
#define STABLE        60 /* heartbeats after which a worker counts as good */
#define ANSWER        (30 * USEC_PER_SEC)
#define LEAVE_MS      1000

struct MqttClient {
        sd_event *event;
        const MqttHandlers *handlers;
        void *userdata;
        char *program, *setup;

        pid_t pid; /* 0: none */
        int pidfd, socket;
        sd_event_source *on_socket, *on_exit, *timer;
        unsigned beats, unanswered; /* heartbeats */
        uint64_t restart_backoff;
        bool stopping;

        bool connected;
        uint32_t generation;
        unsigned under_way;
        size_t under_way_bytes;
        char sentence[512]; /* the last one */
        char buffer[MQTT_WIRE_MAX];
};

static void tell_link(MqttClient *c, MqttLinkState state, unsigned receive_maximum, const char *sentence) {
        bool connected = state != MQTT_LINK_DOWN;

        c->under_way = 0;
        c->under_way_bytes = 0;
        /* Attempt after attempt fails for the same reason: said once. */
        if (!connected && !c->connected && streq(sentence, c->sentence))
                return;
        c->connected = connected;
        snprintf(c->sentence, sizeof(c->sentence), "%s", sentence);
        c->handlers->link(c->userdata, connected, receive_maximum, c->sentence);
}

static void take_acknowledgement(MqttClient *c, const MqttWireHeader *h) {
        if (h->a != c->generation || !c->under_way)
                return;
        c->under_way--;
        c->under_way_bytes -= MIN(h->b, c->under_way_bytes);
        if (h->token)
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
        c->unanswered = 0;
        switch (m->header.type) {
        case MQTT_WIRE_READY:
        case MQTT_WIRE_PONG:
                return true;
        case MQTT_WIRE_LINK:
                c->generation = (uint32_t)m->header.token;
                tell_link(c, m->header.a, m->header.b, m->text[0]);
                return true;
        case MQTT_WIRE_ACKED:
                take_acknowledgement(c, &m->header);
                return true;
        case MQTT_WIRE_MESSAGE:
        case MQTT_WIRE_TOO_LARGE:
                take_command(c, m);
                return true;
        default: /* a number from outside, not an enum of ours */
                return false;
        }
}

/* One message a turn of the loop: a flood of commands must not keep doors waiting. False when the other end
 * is gone or talks nonsense. */
static bool read_message(MqttClient *c) {
        MqttWireMessage m;
        int r = mqtt_wire_receive(c->socket, c->buffer, &m);

        return r == 0 || (r > 0 && take_message(c, &m));
}

static int on_socket(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        MqttClient *c = userdata;

        if (read_message(c))
                return 0;
        /* A worker whose end is closed has left or is about to; one that talks nonsense must. */
        (void)sd_event_source_set_enabled(c->on_socket, SD_EVENT_OFF);
        (void)shutdown(c->socket, SHUT_RDWR);
        return 0;
}

static void forget_worker(MqttClient *c) {
        c->on_socket = sd_event_source_disable_unref(c->on_socket);
        c->on_exit = sd_event_source_disable_unref(c->on_exit);
        if (c->socket >= 0)
                close(steal_fd(&c->socket));
        if (c->pidfd >= 0)
                close(steal_fd(&c->pidfd));
        c->pid = 0;
}

static void arm(MqttClient *c, uint64_t usec) {
        (void)sd_event_source_set_time_relative(c->timer, usec);
        (void)sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static void restart_later(MqttClient *c, const char *sentence) {
        if (c->beats > STABLE)
                c->restart_backoff = 0;
        c->restart_backoff = c->restart_backoff ? MIN(2 * c->restart_backoff, RESTART_MAX) : RESTART_FIRST;
        arm(c, c->restart_backoff);
        tell_link(c, MQTT_LINK_DOWN, 0, sentence);
}

static int on_exit_of_worker(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        MqttClient *c = userdata;
        siginfo_t si = {0};
        char sentence[128];

        if (waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
                return 0;
        snprintf(sentence, sizeof(sentence), "lockerd-mqtt ended (%s %d)",
                 si.si_code == CLD_EXITED ? "status" : "signal", si.si_status);
        log_message(LOG_WARNING, LOCKERD_MESSAGE_WORKER_REPLACED, NULL, "%s; it is replaced", sentence);
        forget_worker(c);
        restart_later(c, sentence);
        return 0;
}

static int start_worker(MqttClient *c) {
        const char *const texts[] = {c->setup};
        int r;

        r = mqtt_spawn(c->program, &c->pid, &c->pidfd, &c->socket);
        if (r < 0)
                return r;
        c->beats = c->unanswered = 0;
        c->generation = 0;
        r = sd_event_add_io(c->event, &c->on_exit, c->pidfd, EPOLLIN, on_exit_of_worker, c);
        if (r >= 0)
                r = sd_event_add_io(c->event, &c->on_socket, c->socket, EPOLLIN, on_socket, c);
        if (r >= 0)
                /* What it said before it went is heard first. */
                r = sd_event_source_set_priority(c->on_exit, SD_EVENT_PRIORITY_NORMAL + 1);
        if (r >= 0)
                r = mqtt_wire_send(c->socket, (MqttWireHeader){.type = MQTT_WIRE_SETUP}, texts, NULL, 0);
        return r;
}

static void beat(MqttClient *c) {
        c->beats++;
        if (c->unanswered++ >= UNANSWERED) {
                log_error("lockerd-mqtt hangs; it is replaced");
                (void)kill(c->pid, SIGKILL);
                c->unanswered = 0;
        }
        (void)mqtt_wire_send(c->socket, (MqttWireHeader){.type = MQTT_WIRE_PING}, NULL, NULL, 0);
        arm(c, HEARTBEAT);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        MqttClient *c = userdata;
        char sentence[256];
        int r;

        if (c->pid) {
                beat(c);
                return 0;
        }
        r = start_worker(c);
        if (r >= 0) {
                arm(c, HEARTBEAT);
                return 0;
        }
        snprintf(sentence, sizeof(sentence), "lockerd-mqtt cannot be started: %s", strerror(-r));
        if (c->pid) {
                (void)kill(c->pid, SIGKILL);
                (void)waitpid(c->pid, NULL, 0);
        }
        forget_worker(c);
        restart_later(c, sentence);
        return 0;
}

static char *encode_setup(const MqttOptions *o) {
        const MqttSettings *s = o->settings;
        _cleanup_free_ char *client_id = text_printf("lockerd-%s", o->cabinet);
        MqttSetup setup = {
                .host = s->host,
                .client_id = s->client_id ? s->client_id : client_id,
                .port = s->port  ? s->port
                        : s->tls ? 8883
                                 : 1883,
                .tls = s->tls,
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
        c->event = sd_event_ref(event);
        c->handlers = handlers;
        c->userdata = userdata;
        c->pidfd = c->socket = -1;
        c->program = text_printf("%s/lockerd-mqtt", options->worker_directory);
        c->setup = encode_setup(options);
        if (!c->program || !c->setup)
                return -ENOMEM;
        r = sd_event_add_time_relative(event, &c->timer, CLOCK_BOOTTIME, 0, 10 * USEC_PER_MSEC, on_timer, c);
        if (r < 0)
                return r;
        *ret = steal_ptr(c);
        return 0;
}

static void stop_worker(MqttClient *c) {
        struct pollfd fd = {.fd = c->pidfd, .events = POLLIN};

        /* A full socket pair: the end of file says the same. */
        if (mqtt_wire_send(c->socket, (MqttWireHeader){.type = MQTT_WIRE_STOP}, NULL, NULL, 0) < 0)
                (void)shutdown(c->socket, SHUT_RDWR);
        if (poll(&fd, 1, LEAVE_MS) <= 0)
                (void)kill(c->pid, SIGKILL);
        (void)waitpid(c->pid, NULL, 0);
}

MqttClient *mqtt_client_free(MqttClient *c) {
        if (!c)
                return NULL;
        sd_event_source_disable_unref(c->timer);
        if (c->pid)
                stop_worker(c);
        forget_worker(c);
        sd_event_unref(c->event);
        free(c->program);
        free(c->setup);
        free(c);
        return NULL;
}

bool mqtt_client_is_connected(const MqttClient *c) {
        return c->connected;
}

int mqtt_client_publish(MqttClient *c, uint64_t token, const char *topic, const void *payload, size_t n,
                        bool retain, const char *content_type, const char *correlation_hex) {
        const char *const texts[] = {topic, content_type, correlation_hex};
        size_t n_hex = correlation_hex ? strlen(correlation_hex) : 0;
        int r;

        if (!c->connected)
                return -ENOTCONN;
        if (n > MQTT_PAYLOAD_MAX || strlen(topic) > MQTT_TOPIC_MAX || n_hex > 2 * MQTT_CORRELATION_MAX)
                return -EMSGSIZE;
        if (correlation_hex && (n_hex % 2 || strspn(correlation_hex, "0123456789abcdef") != n_hex))
                return -EINVAL;
        if (c->under_way >= MQTT_UNDER_WAY_MAX || c->under_way_bytes + n > MQTT_UNDER_WAY_BYTES_MAX)
                return -EAGAIN;
        MqttWireHeader h = {
                .type = MQTT_WIRE_PUBLISH,
                .token = token,
                .flags = retain ? MQTT_FLAG_RETAIN : 0,
                .a = c->generation,
        };
        r = mqtt_wire_send(c->socket, h, texts, payload, n);
        if (r < 0)
                return r == -EPIPE ? -ENOTCONN : r;
        c->under_way++;
        c->under_way_bytes += n;
        return 0;
}
