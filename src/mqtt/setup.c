/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/setup.h"

#include <errno.h>

static json_t *texts(const char *const *list, int n) {
        json_t *array = json_array();

        for (int i = 0; i < n && array; i++)
                if (json_array_append_new(array, json_string(list[i])) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}

char *mqtt_setup_encode(const MqttSetup *s) {
        json_t *root = json_pack(
                "{s:s s:s s:i s:b s:s* s:s* s:s* s:s* s:s* s:s* s:s* s:i s:i s:i s:I s:I s:I s:s s:s s:o}",
                "host", s->host, "client-id", s->client_id, "port", (int)s->port, "tls", (int)s->tls,
                "ca-file", s->ca_file, "cert-file", s->cert_file, "key-file", s->key_file, "psk-identity",
                s->psk_identity, "psk-file", s->psk_file, "username", s->username, "password-file",
                s->password_file, "keepalive-sec", (int)s->keepalive_sec, "session-expiry-sec",
                (int)s->session_expiry_sec, "window", (int)s->window, "backoff-min-usec",
                (json_int_t)s->backoff_min_usec, "backoff-max-usec", (json_int_t)s->backoff_max_usec,
                "answer-usec", (json_int_t)s->answer_usec, "will-topic", s->will_topic, "will", s->will,
                "subscriptions", texts(s->subscriptions, s->n_subscriptions));
        char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

        json_decref(root);
        return text;
}

static int take_subscriptions(MqttSetup *s, const json_t *list) {
        size_t n = json_array_size(list);

        s->subscriptions = calloc(n + 1, sizeof(*s->subscriptions));
        if (!s->subscriptions)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                s->subscriptions[i] = json_string_value(json_array_get(list, i));
                if (!s->subscriptions[i])
                        return -EPROTO;
        }
        s->n_subscriptions = (int)n;
        return 0;
}

static bool makes_sense(const MqttSetup *s) {
        return s->port >= 1 && s->port <= UINT16_MAX && s->keepalive_sec >= 5 &&
               s->keepalive_sec <= UINT16_MAX && s->window >= 1 && s->window <= UINT16_MAX &&
               s->backoff_min_usec > 0 && s->backoff_min_usec <= s->backoff_max_usec && s->answer_usec > 0;
}

int mqtt_setup_decode(const char *text, MqttSetup **ret) {
        _cleanup_(mqtt_setup_freep) MqttSetup *s = calloc(1, sizeof(*s));
        json_int_t backoff_min, backoff_max, answer;
        json_t *subscriptions;
        int tls, port, keepalive, expiry, window, r;

        if (!s)
                return -ENOMEM;
        s->root = json_loads(text, 0, NULL);
        if (!s->root)
                return -EPROTO;
        r = json_unpack(
                s->root,
                "{s:s s:s s:i s:b s?:s s?:s s?:s s?:s s?:s s?:s s?:s s:i s:i s:i s:I s:I s:I s:s s:s s:o}",
                "host", &s->host, "client-id", &s->client_id, "port", &port, "tls", &tls, "ca-file",
                &s->ca_file, "cert-file", &s->cert_file, "key-file", &s->key_file, "psk-identity",
                &s->psk_identity, "psk-file", &s->psk_file, "username", &s->username, "password-file",
                &s->password_file, "keepalive-sec", &keepalive, "session-expiry-sec", &expiry, "window",
                &window, "backoff-min-usec", &backoff_min, "backoff-max-usec", &backoff_max, "answer-usec",
                &answer, "will-topic", &s->will_topic, "will", &s->will, "subscriptions", &subscriptions);
        if (r < 0 || port < 0 || keepalive < 0 || expiry < 0 || window < 0 || backoff_min < 0 || answer < 0)
                return -EPROTO;
        s->port = (unsigned)port;
        s->tls = tls;
        s->keepalive_sec = (unsigned)keepalive;
        s->session_expiry_sec = (unsigned)expiry;
        s->window = (unsigned)window;
        s->backoff_min_usec = (uint64_t)backoff_min;
        s->backoff_max_usec = (uint64_t)backoff_max;
        s->answer_usec = (uint64_t)answer;
        if (!makes_sense(s))
                return -EPROTO;
        r = take_subscriptions(s, subscriptions);
        if (r < 0)
                return r;
        *ret = steal_ptr(s);
        return 0;
}

MqttSetup *mqtt_setup_free(MqttSetup *s) {
        if (!s)
                return NULL;
        json_decref(s->root);
        free(s->subscriptions);
        free(s);
        return NULL;
}
