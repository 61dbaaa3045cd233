/* SPDX-License-Identifier: Apache-2.0 */
/* Between the daemon, which hands over more than the window takes so that nobody waits for it, and the
 * library, which is given only what may leave: its own queue knows no precedence. */
#include "mqtt/worker.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

static void pop(MqttWorker *w, MqttQueue *q) {
        Packet *p = q->first;

        q->first = p->next;
        if (!q->first)
                q->last = NULL;
        w->n_waiting_bytes -= p->n;
        explicit_bzero(p->data, p->n);
        free(p);
}

void queue_forget_events(MqttWorker *w) {
        while (w->patient.first)
                pop(w, &w->patient);
}

void queue_forget(MqttWorker *w) {
        while (w->prompt.first)
                pop(w, &w->prompt);
        queue_forget_events(w);
}

bool queue_any(const MqttWorker *w) {
        return w->prompt.first || w->patient.first;
}

void queue_add(MqttWorker *w, const MqttWireReader *packet, bool patient) {
        MqttQueue *q = patient ? &w->patient : &w->prompt;
        Packet *p = malloc(sizeof(*p) + packet->left);

        if (!p) {
                log_error_errno(-ENOMEM, "Cannot keep what the daemon has handed over");
                w->leaving = true; /* the daemon hands it to the next one */
                return;
        }
        *p = (Packet){.n = packet->left, .left = {.at = p->data, .left = packet->left}};
        memcpy(p->data, packet->at, packet->left);
        if (q->last)
                q->last->next = p;
        else
                q->first = p;
        q->last = p;
        w->n_waiting_bytes += p->n;
}

/* Many small messages in one segment: what a segment costs both ends is more than what is in it. */
static void cork(MqttWorker *w, int on) {
        int fd = w->mosq ? mosquitto_socket(w->mosq) : -1;

        if (fd >= 0)
                (void)setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

/* Publishing may end the connection, and with it everything that waits: nothing is kept across it. */
static bool publish_next(MqttWorker *w) {
        MqttQueue *q = w->prompt.first ? &w->prompt : &w->patient;
        MqttWireMessage m;
        int r;

        if (!q->first)
                return false;
        r = mqtt_wire_next(&q->first->left, &m);
        if (r > 0 && m.header.type == MQTT_WIRE_PUBLISH) {
                link_publish(w, &m);
        } else if (r != 0) {
                log_error_errno(-EPROTO, "Message of the daemon not understood");
                w->leaving = true;
                return false;
        }
        if (q->first && q->first->left.left == 0)
                pop(w, q);
        return true;
}

void queue_publish(MqttWorker *w) {
        if (w->phase != PHASE_UP || !queue_any(w) || !link_room(w))
                return;
        cork(w, 1);
        while (!w->leaving && w->phase == PHASE_UP && link_room(w) && publish_next(w))
                ;
        cork(w, 0);
}
