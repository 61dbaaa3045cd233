/* SPDX-License-Identifier: Apache-2.0 */
/* What libmosquitto tells. It holds its locks meanwhile, so nothing here may call back into it beyond reading
 * properties. */
#include "mqtt/worker.h"
#include "base/text.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <mqtt_protocol.h>
#include <stdio.h>

static void on_connect(struct mosquitto *mosq, void *userdata, int reason, int flags,
                       const mosquitto_property *properties) {
        MqttWorker *w = userdata;
        uint16_t keepalive = (uint16_t)w->setup->keepalive_sec, receive_maximum = UINT16_MAX;
        uint32_t session_expiry = w->setup->session_expiry_sec;

        if (reason != 0) {
                w->reason_code = (unsigned)reason;
                return;
        }
        (void)mosquitto_property_read_int16(properties, MQTT_PROP_SERVER_KEEP_ALIVE, &keepalive, false);
        (void)mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &receive_maximum, false);
        (void)mosquitto_property_read_int32(properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, &session_expiry,
                                            false);
        w->keepalive_sec = keepalive;
        w->session_expiry_sec = session_expiry;
        w->receive_maximum = receive_maximum;
        w->session_present = flags & 1;
        w->got_connack = true;
        /* Here already: messages may follow in the same read, and the daemon is to know that it can answer
         * them. */
        link_is_up(w);
        errno = 0;
}

static void on_disconnect(struct mosquitto *mosq, void *userdata, int reason,
                          const mosquitto_property *properties) {
        MqttWorker *w = userdata;

        /* Below that it is an error of the library, which its functions return as well. */
        if (reason >= MQTT_REASON_REFUSED)
                w->reason_code = (unsigned)reason;
}

static UnderWay *find(MqttWorker *w, int mid) {
        for (size_t i = 0; i < w->n_under_way; i++)
                if (w->under_way[i].mid == mid)
                        return &w->under_way[i];
        return NULL;
}

static void on_publish(struct mosquitto *mosq, void *userdata, int mid, int reason,
                       const mosquitto_property *properties) {
        MqttWorker *w = userdata;
        UnderWay *u = find(w, mid);

        if (!u)
                return;
        UnderWay done = *u;
        *u = w->under_way[--w->n_under_way];
        w->progress_at = worker_now();
        if (reason >= MQTT_REASON_REFUSED || reason == MQTT_REASON_NOBODY) {
                link_refuse(w, &done, (unsigned)reason, mosquitto_reason_string(reason));
                errno = 0;
                return;
        }
        MqttWireHeader h = {
                .type = MQTT_WIRE_ACKED, .token = done.token, .a = done.generation, .b = done.n_bytes};
        worker_add_ack(w, &h);
        errno = 0;
}

/* A broker may keep a cabinet from reading what it writes: nothing is missing without it. */
static void own_state_granted(MqttWorker *w, int reason) {
        if (reason >= MQTT_REASON_REFUSED && !w->own_refused)
                log_notice("The broker refuses the subscription to %s (%s): what others write there is not "
                           "noticed",
                           w->setup->will_topic, mosquitto_reason_string(reason));
        w->own_refused = reason >= MQTT_REASON_REFUSED;
}

static void on_subscribe(struct mosquitto *mosq, void *userdata, int mid, int n, const int *granted,
                         const mosquitto_property *properties) {
        MqttWorker *w = userdata;

        SubscriptionGroup group = mid == w->states_mid ? GROUP_STATES : GROUP_COMMANDS;
        const char *first = NULL;
        int refused = 0, reason = 0, i = 0;

        if (mid == w->own_mid) {
                own_state_granted(w, n ? granted[0] : 0);
                return;
        }
        if (group == GROUP_COMMANDS && mid != w->subscribe_mid)
                return;
        if (group == GROUP_COMMANDS)
                w->subscribe_until = USEC_INFINITY;
        for (int k = 0; k < w->setup->n_subscriptions && i < n; k++) {
                if (link_group(w, w->setup->subscriptions[k]) != group)
                        continue;
                if (granted[i] >= MQTT_REASON_REFUSED && refused++ == 0) {
                        first = w->setup->subscriptions[k];
                        reason = granted[i];
                }
                i++;
        }
        if (refused == 1)
                link_trouble(w, "The broker refuses the subscription to %s: %s", first,
                             mosquitto_reason_string(reason));
        else if (refused)
                link_trouble(w, "The broker refuses the subscription to %s and %d more: %s", first,
                             refused - 1, mosquitto_reason_string(reason));
}

/* Correlation data in hexadecimal digits; false when it is longer than we carry. */
static bool read_correlation(const mosquitto_property *properties, char ret[2 * MQTT_CORRELATION_MAX + 1]) {
        void *data = NULL;
        uint16_t n = 0;
        bool fits;

        ret[0] = 0;
        if (!mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &data, &n, false))
                return true;
        fits = n <= MQTT_CORRELATION_MAX;
        if (fits)
                text_to_hex(data, n, ret);
        free(data);
        return fits;
}

static void on_message(struct mosquitto *mosq, void *userdata, const struct mosquitto_message *m,
                       const mosquitto_property *properties) {
        MqttWorker *w = userdata;
        _cleanup_free_ char *response_topic = NULL;
        char correlation[2 * MQTT_CORRELATION_MAX + 1];
        bool fits = m->payloadlen <= MQTT_PAYLOAD_MAX;

        if (strlen(m->topic) > MQTT_TOPIC_MAX) {
                log_warning("A message was dropped: its topic has more than %d bytes", MQTT_TOPIC_MAX);
                return;
        }
        (void)mosquitto_property_read_string(properties, MQTT_PROP_RESPONSE_TOPIC, &response_topic, false);
        if (response_topic && strlen(response_topic) > MQTT_TOPIC_MAX) {
                response_topic[0] = 0;
                fits = false;
        }
        fits = read_correlation(properties, correlation) && fits;

        MqttWireHeader h = {.type = fits ? MQTT_WIRE_MESSAGE : MQTT_WIRE_TOO_LARGE};
        const char *texts[] = {m->topic, response_topic, correlation};
        worker_tell(w, &h, texts, m->payload, fits ? (size_t)m->payloadlen : 0);
        errno = 0;
}

/* Keeps the best sentence: OpenSSL's lines come last and often say less than the library's own. */
static void on_log(struct mosquitto *mosq, void *userdata, int level, const char *text) {
        static const char openssl[] = "OpenSSL Error", prefix[] = "Error: ";
        MqttWorker *w = userdata;

        if (!(level & MOSQ_LOG_ERR))
                return;
        if (strncmp(text, openssl, strlen(openssl)) == 0) {
                const char *last = strrchr(text, ':');
                SSL *ssl = mosquitto_ssl_get(mosq);
                /* Now: after a failure in the loop the library has given the session up before anybody can
                 * ask. */
                long verdict = ssl && !w->setup->psk_file ? SSL_get_verify_result(ssl) : X509_V_OK;

                if (!*w->complaint)
                        snprintf(w->complaint, SENTENCE_MAX, "TLS: %.100s%s%.80s%s", last ? last + 1 : text,
                                 verdict != X509_V_OK ? " (" : "",
                                 verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : "",
                                 verdict != X509_V_OK ? ")" : "");
                return;
        }
        if (strncmp(text, prefix, strlen(prefix)) == 0)
                text += strlen(prefix);
        snprintf(w->complaint, SENTENCE_MAX, "%s", text);
}

void callbacks_set(struct mosquitto *mosq) {
        mosquitto_connect_v5_callback_set(mosq, on_connect);
        mosquitto_disconnect_v5_callback_set(mosq, on_disconnect);
        mosquitto_publish_v5_callback_set(mosq, on_publish);
        mosquitto_subscribe_v5_callback_set(mosq, on_subscribe);
        mosquitto_message_v5_callback_set(mosq, on_message);
        mosquitto_log_callback_set(mosq, on_log);
}
