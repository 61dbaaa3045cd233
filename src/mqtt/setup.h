/* SPDX-License-Identifier: Apache-2.0 */
/* What lockerd-mqtt is told at its start: the body of MQTT_WIRE_SETUP. Secrets are not in it, only the files
 * that hold them. */
#pragma once

#include "base/macros.h"
#include <jansson.h>
#include <stdbool.h>

typedef struct MqttSetup {
        json_t *root;                 /* owns the strings */
        const char *host, *client_id; /* host: one or more, blanks between them */
        unsigned port;
        bool tls;
        const char *ca_file, *cert_file, *key_file, *psk_identity, *psk_file, *username,
                *password_file; /* or NULL */
        unsigned keepalive_sec, session_expiry_sec;
        unsigned window; /* messages under way at most, if the broker does not say less */
        uint64_t backoff_min_usec, backoff_max_usec;
        uint64_t answer_usec; /* how long the broker has for an answer to CONNECT and SUBSCRIBE */
        const char *will_topic, *will;
        const char **subscriptions;
        int n_subscriptions;
} MqttSetup;

/* The root stays empty. NULL: no memory, or text that is not UTF-8. */
char *mqtt_setup_encode(const MqttSetup *s);
/* 0, -EPROTO, -ENOMEM */
int mqtt_setup_decode(const char *text, MqttSetup **ret);
MqttSetup *mqtt_setup_free(MqttSetup *s);
DEFINE_CLEANUP(MqttSetup *, mqtt_setup_free);
