/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/worker.h"
#include "base/text.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>

#define LASTED     (60 * USEC_PER_SEC) /* a connection that did ends the back-off */
#define MISC       USEC_PER_SEC        /* how often the library looks at its keep-alive */
#define CONNECTING 19                  /* times the time for an answer, until nothing is hoped for any more */
#define SILENCE    (60 * USEC_PER_SEC) /* without any acknowledgement while something is under way */

static void tell_state(MqttWorker *w, MqttLinkState state, const char *sentence) {
        MqttWireHeader h = {
                .type = MQTT_WIRE_LINK, .token = w->generation, .a = state, .b = w->receive_maximum};

        worker_tell(w, &h, &sentence, NULL, 0);
}

/* Everything that was under way is sent again by the daemon. */
static void tell_link(MqttWorker *w, MqttLinkState state, const char *sentence) {
        w->generation++;
        queue_forget(w); /* of an older generation now */
        tell_state(w, state, sentence);
}

void link_refuse(MqttWorker *w, const UnderWay *u, unsigned reason, const char *sentence) {
        MqttWireHeader h = {.type = MQTT_WIRE_REFUSED,
                            .flags = reason,
                            .token = u->token,
                            .a = u->generation,
                            .b = u->n_bytes};

        worker_tell(w, &h, &sentence, NULL, 0);
}

static void wait_for_next(MqttWorker *w, bool lasted) {
        w->phase = PHASE_WAITING;
        w->due = worker_now() + backoff_delay(w->setup, lasted ? 0 : w->addresses.rounds);
        address_next(w, lasted);
}

static void forget_connection(MqttWorker *w) {
        if (w->mosq)
                mosquitto_destroy(w->mosq);
        w->mosq = NULL;
        explicit_bzero(w->psk, sizeof(w->psk));
        w->n_under_way = 0;
        queue_forget(w);
        w->reason_code = 0;
        w->complaint[0] = w->trouble[0] = 0;
        w->got_connack = false;
        w->receive_maximum = w->misc_at = 0;
        w->again_at = w->clear_at = w->subscribe_until = USEC_INFINITY;
}

static void drop(MqttWorker *w, const char *sentence) {
        bool lasted = w->phase == PHASE_UP && worker_now() - w->up_since > LASTED;

        forget_connection(w);
        tell_link(w, MQTT_LINK_DOWN, sentence);
        wait_for_next(w, lasted);
}

static void drop_for(MqttWorker *w, int result) {
        char sentence[SENTENCE_MAX];

        connect_explain(w, result, sentence);
        drop(w, sentence);
}

_printf_(2, 3) static void drop_saying(MqttWorker *w, const char *format, ...) {
        char text[SENTENCE_MAX / 3], sentence[SENTENCE_MAX], address[ADDRESS_TEXT_MAX];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        snprintf(sentence, sizeof(sentence), "%s: %s", address_text(w, address), text);
        drop(w, sentence);
}

static void tell_place(MqttWorker *w, bool lasted) {
        MqttWireHeader place = address_place(w, lasted);

        worker_tell(w, &place, NULL, NULL, 0);
}

static void attempt(MqttWorker *w) {
        char sentence[SENTENCE_MAX];

        w->slow_reported = false;
        address_choose(w);
        tell_place(w, false);
        if (connect_prepare(w) < 0 || connect_start(w) < 0) {
                snprintf(sentence, sizeof(sentence), "%s", w->complaint);
                drop(w, sentence);
                return;
        }
        w->phase = PHASE_CONNECTING;
        w->due = worker_now() + w->setup->answer_usec;
}

void link_thread_done(MqttWorker *w) {
        connect_finish(w);
        if (w->connect_result != MOSQ_ERR_SUCCESS) {
                drop_for(w, w->connect_result);
                return;
        }
        if (w->addresses.targets.n)
                tell_place(w, false); /* which are known only now */
        w->connect_errno = 0;
        w->phase = PHASE_HANDSHAKE;
        w->due = worker_now() + w->setup->answer_usec;
}

bool link_start(MqttWorker *w) {
        w->under_way = calloc(w->setup->window, sizeof(*w->under_way));
        if (!w->under_way)
                return false;
        w->done_fd = -1;
        forget_connection(w);
        if (w->place.type)
                address_go_on(w, &w->place);
        w->phase = PHASE_WAITING;
        /* Also the first time, as widely as after a loss: power comes back to many cabinets at once, and many
         * get a new version at once. */
        w->due = worker_now() + backoff_delay(w->setup, w->addresses.rounds) - w->setup->backoff_min_usec;
        return true;
}

static void say_connected(const MqttWorker *w, char ret[SENTENCE_MAX]) {
        char shorter[80] = "", address[ADDRESS_TEXT_MAX];

        /* Commands that come while the cabinet is away are lost sooner than was asked for. */
        if (w->session_expiry_sec < w->setup->session_expiry_sec)
                snprintf(shorter, sizeof(shorter), "; the broker keeps it for %u s only, not %u",
                         w->session_expiry_sec, w->setup->session_expiry_sec);
        snprintf(ret, SENTENCE_MAX, "Connected to %s, %s%s", address_text(w, address),
                 w->session_present ? "the session goes on" : "a new session", shorter);
}

void link_is_up(MqttWorker *w) {
        uint64_t now = worker_now();
        char sentence[SENTENCE_MAX];

        w->phase = PHASE_UP;
        w->complaint[0] = 0;
        w->up_since = w->heard_at = w->progress_at = now;
        w->lasted_at = now + LASTED;
        say_connected(w, sentence);
        if (w->session_expiry_sec < w->setup->session_expiry_sec)
                log_warning("%s", sentence);
        tell_link(w, MQTT_LINK_UP, sentence);
}

void link_trouble(MqttWorker *w, const char *format, ...) {
        char sentence[SENTENCE_MAX];
        va_list ap;

        va_start(ap, format);
        vsnprintf(sentence, sizeof(sentence), format, ap);
        va_end(ap);
        /* Refused again for the same reason: said once. */
        if (!streq(sentence, w->trouble))
                log_warning("%s", sentence);
        snprintf(w->trouble, sizeof(w->trouble), "%s", sentence);
        w->clear_at = USEC_INFINITY;
        if (w->again_at != USEC_INFINITY)
                return;
        w->again_at = worker_now() + backoff_delay(w->setup, w->troubles);
        if (w->troubles < 64)
                w->troubles++;
}

/* After what the library has returned, and whatever its callbacks have set. */
static bool still_there(MqttWorker *w, int result) {
        if (result == MOSQ_ERR_SUCCESS && mosquitto_socket(w->mosq) >= 0)
                return true;
        drop_for(w, result == MOSQ_ERR_SUCCESS ? MOSQ_ERR_CONN_LOST : result);
        return false;
}

SubscriptionGroup link_group(const MqttWorker *w, const char *filter) {
        const char *last = strrchr(filter, '/');

        return streq(filter, w->setup->will_topic)                                     ? GROUP_OWN
               : last && (strcmp(last, "/state") == 0 || strcmp(last, "/ledger") == 0) ? GROUP_STATES
                                                                                       : GROUP_COMMANDS;
}

static int subscribe_to(MqttWorker *w, SubscriptionGroup group, int options, int *ret_mid) {
        _cleanup_free_ char **filters = calloc((size_t)w->setup->n_subscriptions, sizeof(*filters));
        int n = 0;

        if (!filters)
                return MOSQ_ERR_NOMEM;
        for (int i = 0; i < w->setup->n_subscriptions; i++)
                if (link_group(w, w->setup->subscriptions[i]) == group)
                        filters[n++] = (char *)(uintptr_t)w->setup->subscriptions[i];
        return n ? mosquitto_subscribe_multiple(w->mosq, ret_mid, n, filters, 1, options, NULL)
                 : MOSQ_ERR_SUCCESS;
}

static void subscribe(MqttWorker *w) {
        int r;

        if (!w->setup->n_subscriptions)
                return;
        /* What other cabinets are is retained. A retained command would be one that somebody gave at some
         * time: not sent at all. The broker answers in this order, and the last answer is waited for. */
        r = subscribe_to(w, GROUP_STATES, MQTT_SUB_OPT_SEND_RETAIN_ALWAYS, &w->states_mid);
        if (r == MOSQ_ERR_SUCCESS)
                r = subscribe_to(w, GROUP_OWN, MQTT_SUB_OPT_SEND_RETAIN_NEVER | MQTT_SUB_OPT_NO_LOCAL,
                                 &w->own_mid);
        if (r == MOSQ_ERR_SUCCESS)
                r = subscribe_to(w, GROUP_COMMANDS, MQTT_SUB_OPT_SEND_RETAIN_NEVER, &w->subscribe_mid);
        if (r == MOSQ_ERR_SUCCESS)
                w->subscribe_until = worker_now() + w->setup->answer_usec;
        else
                (void)still_there(w, r);
}

/* A broker that gathers small messages (Nagle; mosquitto does by default) sends the next one only when the
 * last is acknowledged, which the kernel puts off by 40 ms when there is nothing to send: a command would
 * wait for that behind the acknowledgement of an event. */
static void acknowledge_at_once(MqttWorker *w) {
        int on = 1;

        (void)setsockopt(mosquitto_socket(w->mosq), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

void link_readable(MqttWorker *w) {
        SSL *ssl;
        int r;

        w->heard_at = worker_now();
        do {
                errno = 0; /* the library looks at it also after success */
                r = mosquitto_loop_read(w->mosq, 1);
                ssl = mosquitto_ssl_get(w->mosq);
        } while (r == MOSQ_ERR_SUCCESS && !w->leaving && mosquitto_socket(w->mosq) >= 0 && ssl &&
                 SSL_pending(ssl) > 0);
        if (r == MOSQ_ERR_ERRNO)
                w->connect_errno = errno;
        if (!still_there(w, r))
                return;
        acknowledge_at_once(w);
        if (w->got_connack) {
                w->got_connack = false;
                subscribe(w);
        }
}

void link_writable(MqttWorker *w) {
        int r;

        errno = 0;
        r = mosquitto_loop_write(w->mosq, 1);
        if (r == MOSQ_ERR_ERRNO)
                w->connect_errno = errno;
        (void)still_there(w, r);
}

/* A subscription that was refused is tried again. */
static void try_again(MqttWorker *w) {
        char sentence[SENTENCE_MAX];

        w->again_at = USEC_INFINITY;
        w->clear_at = worker_now() + w->setup->answer_usec;
        snprintf(sentence, sizeof(sentence), "%s", w->trouble);
        tell_state(w, MQTT_LINK_TROUBLE, sentence);
        subscribe(w);
}

static void watch_connection(MqttWorker *w, uint64_t now) {
        char sentence[SENTENCE_MAX];

        if (w->subscribe_until <= now)
                drop_saying(w, "The broker does not answer a subscription");
        else if (w->keepalive_sec && now - w->heard_at > w->keepalive_sec * USEC_PER_SEC * 3 / 2)
                drop_saying(w, "Nothing was heard of the broker for %u seconds", w->keepalive_sec * 3 / 2);
        else if (w->n_under_way && now - w->progress_at > SILENCE)
                drop_saying(w, "The broker acknowledges nothing");
        else if (w->again_at <= now)
                try_again(w);
        else if (w->clear_at <= now) {
                w->clear_at = USEC_INFINITY;
                w->troubles = 0;
                w->trouble[0] = 0;
                say_connected(w, sentence);
                tell_state(w, MQTT_LINK_UP, sentence);
        } else if (w->lasted_at < now) {
                w->lasted_at = USEC_INFINITY;
                tell_place(w, true);
        } else if (w->misc_at <= now) {
                w->misc_at = now + MISC;
                (void)still_there(w, mosquitto_loop_misc(w->mosq));
        }
}

/* The thread cannot be stopped; the kernel and the resolver end it in a few minutes, or else it ends with the
 * whole worker, which the daemon replaces. */
static void connecting_is_slow(MqttWorker *w, uint64_t now) {
        char sentence[SENTENCE_MAX];

        if (w->slow_reported) {
                log_error("%s: looking the name up, or connecting, does not end; beginning anew", w->item);
                w->leaving = true;
                return;
        }
        snprintf(sentence, sizeof(sentence), "%.200s: no answer yet", w->item);
        tell_link(w, MQTT_LINK_DOWN, sentence);
        w->slow_reported = true;
        w->due = now + CONNECTING * w->setup->answer_usec;
}

void link_turn(MqttWorker *w) {
        uint64_t now = worker_now();

        switch (w->phase) {
        case PHASE_WAITING:
                if (w->due <= now && !w->stopping)
                        attempt(w);
                return;
        case PHASE_CONNECTING:
                if (w->due <= now)
                        connecting_is_slow(w, now);
                return;
        case PHASE_HANDSHAKE:
                if (w->due <= now)
                        drop_saying(w, "The broker does not answer");
                return;
        case PHASE_UP:
                watch_connection(w, now);
                return;
        }
}

uint64_t link_next_due(const MqttWorker *w) {
        switch (w->phase) {
        case PHASE_WAITING:
        case PHASE_CONNECTING:
        case PHASE_HANDSHAKE:
                return w->due;
        case PHASE_UP:
                return MIN(w->misc_at, MIN(w->again_at, w->clear_at));
        }
        return USEC_INFINITY;
}

static int add_properties(const MqttWireMessage *m, mosquitto_property **ret) {
        uint8_t correlation[MQTT_CORRELATION_MAX];
        size_t n = strlen(m->text[2]) / 2;
        int r = MOSQ_ERR_SUCCESS;

        if (*m->text[1])
                r = mosquitto_property_add_string(ret, MQTT_PROP_CONTENT_TYPE, m->text[1]);
        if (r == MOSQ_ERR_SUCCESS && *m->text[2]) {
                if (n > sizeof(correlation) || text_from_hex(m->text[2], correlation, n) < 0)
                        return MOSQ_ERR_INVAL;
                r = mosquitto_property_add_binary(ret, MQTT_PROP_CORRELATION_DATA, correlation, (uint16_t)n);
        }
        return r;
}

static void remember(MqttWorker *w, int mid, const MqttWireMessage *m) {
        if (!w->n_under_way)
                w->progress_at = worker_now();
        w->under_way[w->n_under_way++] = (UnderWay){
                .mid = mid,
                .token = m->header.token,
                .generation = m->header.a,
                .n_bytes = m->header.n_payload,
        };
}

unsigned link_room(const MqttWorker *w) {
        unsigned window = w->setup->window;

        if (w->receive_maximum)
                window = MIN(window, w->receive_maximum);
        return w->n_under_way < window ? window - (unsigned)w->n_under_way : 0;
}

void link_take(MqttWorker *w, const MqttWireReader *packet, bool patient) {
        if (w->phase != PHASE_UP)
                return; /* it counts as not sent */
        /* The daemon keeps to the limits; what is left of earlier generations counts here, too. */
        if (w->n_waiting_bytes + packet->left > 2 * MQTT_UNDER_WAY_BYTES_MAX)
                drop_saying(w, "The broker leaves too much unacknowledged");
        else
                queue_add(w, packet, patient);
}

void link_publish(MqttWorker *w, const MqttWireMessage *m) {
        int qos = m->header.flags & MQTT_FLAG_QOS0 ? 0 : 1, mid = 0, r;
        mosquitto_property *properties = NULL;
        char sentence[SENTENCE_MAX];

        if (m->header.a != w->generation)
                return; /* it counts as not sent */
        r = add_properties(m, &properties);
        if (r == MOSQ_ERR_SUCCESS)
                r = mosquitto_publish_v5(w->mosq, &mid, m->text[0], (int)m->header.n_payload, m->payload, qos,
                                         m->header.flags & MQTT_FLAG_RETAIN, properties);
        mosquitto_property_free_all(&properties);
        if (r == MOSQ_ERR_SUCCESS && qos)
                remember(w, mid, m);
        switch (r) {
        case MOSQ_ERR_INVAL:
        case MOSQ_ERR_MALFORMED_UTF8:
        case MOSQ_ERR_PAYLOAD_SIZE:
        case MOSQ_ERR_OVERSIZE_PACKET:
        case MOSQ_ERR_QOS_NOT_SUPPORTED:
                snprintf(sentence, sizeof(sentence), "it cannot be sent (%s)", mosquitto_strerror(r));
                link_refuse(w,
                            &(UnderWay){.token = m->header.token,
                                        .generation = m->header.a,
                                        .n_bytes = m->header.n_payload},
                            MQTT_REASON_TOO_LARGE, sentence);
                return;
        default:
                (void)still_there(w, r);
        }
}

void link_leave(MqttWorker *w) {
        uint64_t until = worker_now() + 300 * USEC_PER_MSEC;

        if (w->phase != PHASE_UP)
                return;
        /* With the will: the broker says that we are gone, whoever forgot to. */
        (void)mosquitto_disconnect_v5(w->mosq, MQTT_RC_DISCONNECT_WITH_WILL_MSG, NULL);
        while (mosquitto_socket(w->mosq) >= 0 && worker_now() < until &&
               mosquitto_loop_write(w->mosq, 1) == MOSQ_ERR_SUCCESS)
                usleep(5000);
}
