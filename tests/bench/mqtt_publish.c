/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt-publish PORT N BYTES WINDOW: N messages of BYTES to a broker on loopback, QoS 1, MQTT 5, at most
 * WINDOW of them unacknowledged; prints the seconds from the first one to the last acknowledgement. What the
 * library and the broker can do, for comparison. */
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct Run {
        long left, under_way, window, acknowledged, n;
        int n_payload;
        char *payload;
        bool connected;
} Run;

static double now(void) {
        struct timespec ts;

        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void fill(struct mosquitto *m, Run *r) {
        while (r->left > 0 && r->under_way < r->window) {
                mosquitto_property *p = NULL;

                mosquitto_property_add_string(&p, MQTT_PROP_CONTENT_TYPE,
                                              "application/cloudevents+json; charset=UTF-8");
                if (mosquitto_publish_v5(m, NULL, "lockerd/v1/BENCH/event/parcel.stored", r->n_payload,
                                         r->payload, 1, false, p) != MOSQ_ERR_SUCCESS)
                        exit(EXIT_FAILURE);
                mosquitto_property_free_all(&p);
                r->left--;
                r->under_way++;
        }
}

static void on_connect(struct mosquitto *m, void *userdata, int reason, int flags,
                       const mosquitto_property *p) {
        ((Run *)userdata)->connected = reason == 0;
}

static void on_publish(struct mosquitto *m, void *userdata, int mid, int reason,
                       const mosquitto_property *p) {
        Run *r = userdata;

        r->under_way--;
        r->acknowledged++;
        fill(m, r);
}

int main(int argc, char **argv) {
        if (argc != 5)
                return 2;
        Run r = {.left = atol(argv[2]), .n_payload = atoi(argv[3]), .window = atol(argv[4])};
        r.n = r.left;
        r.payload = calloc((size_t)r.n_payload, 1);
        mosquitto_lib_init();
        struct mosquitto *m = mosquitto_new("bare", true, &r);
        if (!m || !r.payload)
                return 1;
        memset(r.payload, 'x', (size_t)r.n_payload);
        mosquitto_int_option(m, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
        mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
        mosquitto_connect_v5_callback_set(m, on_connect);
        mosquitto_publish_v5_callback_set(m, on_publish);
        if (mosquitto_connect_bind_v5(m, "127.0.0.1", atoi(argv[1]), 60, NULL, NULL) != MOSQ_ERR_SUCCESS)
                return 1;
        while (!r.connected)
                if (mosquitto_loop(m, 100, 1) != MOSQ_ERR_SUCCESS)
                        return 1;
        double begin = now();
        fill(m, &r);
        while (r.acknowledged < r.n)
                if (mosquitto_loop(m, 100, 1) != MOSQ_ERR_SUCCESS)
                        return 1;
        printf("%.6f\n", now() - begin);
        mosquitto_disconnect(m);
        mosquitto_destroy(m);
        mosquitto_lib_cleanup();
        free(r.payload);
        return 0;
}
