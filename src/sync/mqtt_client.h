/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's end of the network: starts lockerd-mqtt, supervises it (ping, replacement with back-off),
 * hands messages over. */
#pragma once

#include "core/settings.h"
#include <systemd/sd-event.h>

typedef struct MqttClient MqttClient;

typedef struct MqttMessage {
        const char *topic, *response_topic; /* "" when none */
        const char *correlation;            /* hex, "" when none */
        const void *payload;
        size_t n_payload;
        bool too_large; /* the payload was longer than MQTT_PAYLOAD_MAX and is not here */
} MqttMessage;

typedef struct MqttHandlers {
        /* connected: the broker takes messages now; everything published before and not acknowledged must be
         * published again. */
        void (*link)(void *userdata, bool connected, const char *sentence);
        /* The broker refuses a subscription, which is tried again; NULL: no longer. */
        void (*trouble)(void *userdata, const char *sentence);
        void (*acknowledged)(void *userdata, uint64_t token);
        /* In place of acknowledged: the reason code of the PUBACK (MQTT_REASON_…, mqtt/wire.h), which is also
         * that nobody was there to hear it. */
        void (*refused)(void *userdata, uint64_t token, unsigned reason, const char *sentence);
        void (*message)(void *userdata, const MqttMessage *m);
} MqttHandlers;

typedef struct MqttOptions {
        const MqttSettings *settings;
        const char *worker_directory;
        const char *cabinet;              /* number, for the client id */
        const char *will_topic;           /* retained, QoS 1 */
        const char *will;                 /* payload */
        const char *const *subscriptions; /* NULL-terminated topic filters, QoS 1 */
} MqttOptions;

int mqtt_client_new(MqttClient **ret, sd_event *event, const MqttOptions *options,
                    const MqttHandlers *handlers, void *userdata);
/* Sends what is under way and a DISCONNECT upon which the broker publishes the will; waits at most a second.
 * Not from a handler. */
MqttClient *mqtt_client_free(MqttClient *c);
DEFINE_CLEANUP(MqttClient *, mqtt_client_free);
bool mqtt_client_is_connected(const MqttClient *c);
/* QoS 1. 0; -ENOTCONN; -EAGAIN: too much is under way, try after the next `acknowledged` or `link`;
 * -EMSGSIZE: the payload or a name is too long; -EINVAL: the correlation data is not hexadecimal. Answered by
 * `acknowledged` with the token (token 0: nobody asks). content_type, correlation_hex: NULL when none. */
int mqtt_client_publish(MqttClient *c, uint64_t token, const char *topic, const void *payload, size_t n,
                        bool retain, const char *content_type, const char *correlation_hex);
/* For many at a time (events), which give way to what is published by the call above: they wait in the
 * client, in order, until mqtt_client_flush(). As above; -ENOBUFS: flush first. */
int mqtt_client_queue(MqttClient *c, uint64_t token, const char *topic, const void *payload, size_t n,
                      const char *content_type);
/* When it fails none of them has left, and they are forgotten. */
int mqtt_client_flush(MqttClient *c);
