/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-mqtt: the loop. */
#include "mqtt/worker.h"
#include "base/confine.h"
#include "base/worker.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#define DAEMON_PATIENCE (60 * USEC_PER_SEC) /* for a daemon that does not read */
#define ACKS_PATIENCE   (5 * USEC_PER_MSEC) /* while there is enough to send: an acknowledgement for itself */
#define ACKS_ENOUGH     64                  /* wakes the daemon in vain */
/* What waits for the broker is bounded (MQTT_UNDER_WAY_BYTES_MAX), and so is what the broker may send; a
 * broker that sends more all the same finds no room. */
#define MEMORY_MAX      (64 * 1024 * 1024)
#define DESCRIPTORS_MAX 64
#define FLUSH           (700 * USEC_PER_MSEC) /* for acknowledgements when told to stop */

/* Asked several times a turn; clock_now() would also ask the kernel about the wall clock. */
uint64_t worker_now(void) {
        struct timespec ts = {0};

        (void)clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

/* After the daemon did not take something: is it worth trying again? MqttQueue here means reading no more
 * from the broker: what the daemon does not take stays there and in TCP. */
static bool wait_for_daemon(MqttWorker *w, int r, uint64_t until) {
        struct pollfd fd = {.fd = w->socket, .events = POLLOUT};
        uint64_t now = worker_now();

        if (r == -EAGAIN && now < until && poll(&fd, 1, (int)((until - now) / USEC_PER_MSEC) + 1) >= 0 &&
            !(fd.revents & POLLHUP))
                return true;
        if (r != -EPIPE && !(fd.revents & POLLHUP))
                log_error_errno(r, "Cannot tell the daemon");
        w->leaving = true;
        return false;
}

void worker_tell(MqttWorker *w, const MqttWireHeader *header, const char *const texts[], const void *payload,
                 size_t n) {
        uint64_t until = worker_now() + DAEMON_PATIENCE;
        int r;

        worker_tell_acks(w);
        while (!w->leaving && (r = mqtt_wire_send(w->socket, *header, texts, payload, n)) < 0 &&
               wait_for_daemon(w, r, until))
                ;
}

void worker_tell_acks(MqttWorker *w) {
        uint64_t until;
        int r;

        if (!w->acks.n)
                return;
        until = worker_now() + DAEMON_PATIENCE;
        while (!w->leaving && (r = mqtt_wire_send_packet(w->socket, &w->acks)) < 0 &&
               wait_for_daemon(w, r, until))
                ;
}

void worker_add_ack(MqttWorker *w, const MqttWireHeader *header) {
        if (!w->acks.n)
                w->acks_until = worker_now() + ACKS_PATIENCE;
        if (mqtt_wire_add(&w->acks, *header, NULL, NULL, 0) == -ENOBUFS) {
                worker_tell_acks(w);
                (void)mqtt_wire_add(&w->acks, *header, NULL, NULL, 0);
        }
}

/* Where the file is: it may be replaced by another of its name. */
static const char *directory_of(const char *path, char ret[PATH_MAX]) {
        const char *slash = path ? strrchr(path, '/') : NULL;

        if (!slash || slash == path || slash - path >= PATH_MAX)
                return NULL;
        snprintf(ret, PATH_MAX, "%.*s", (int)(slash - path), path);
        return ret;
}

/* Names and certificates are looked up in files, each time anew. */
static bool give_up_rights(const MqttSetup *s) {
        static const char *const calls[] = {"eventfd2", "dup", "socketpair", NULL};
        const char *const files[] = {s->ca_file, s->cert_file, s->key_file, s->psk_file, s->password_file};
        char directories[ARRAY_SIZE(files)][PATH_MAX];
        ConfinePath paths[ARRAY_SIZE(files) + 5] = {
                {"/etc", false}, {"/usr", false}, {"/lib", false}, {"/run", false}};
        Confinement c = {
                .calls = calls,
                .paths = paths,
                .network = true,
                .threads = true,
                .memory = MEMORY_MAX,
                .descriptors = DESCRIPTORS_MAX,
        };
        size_t n = 4;

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                paths[n].path = directory_of(files[i], directories[i]);
                if (paths[n].path)
                        n++;
        }
        return confine(&c) >= 0;
}

static bool take_message(MqttWorker *w, const MqttWireMessage *m) {
        MqttWireHeader pong = {.type = MQTT_WIRE_PONG};

        switch (m->header.type) {
        case MQTT_WIRE_SETUP:
                if (w->setup || mqtt_setup_decode(m->text[0], &w->setup) < 0 || !give_up_rights(w->setup))
                        return false;
                return link_start(w);
        case MQTT_WIRE_PLACE:
                w->place = m->header;
                return !w->setup;
        case MQTT_WIRE_PING:
                worker_tell(w, &pong, NULL, NULL, 0);
                return true;
        case MQTT_WIRE_STOP:
                /* Events are in the ledger; what the daemon does not hear acknowledged any more it would send
                 * again. */
                queue_forget_events(w);
                w->stopping = true;
                w->stop_until = worker_now() + FLUSH;
                return true;
        default: /* a number from outside, not an enum of ours */
                return false;
        }
}

/* Everything in a packet goes the same way, and only publications come several in one. */
static bool take_packet(MqttWorker *w, const MqttWireReader *packet) {
        MqttWireReader reader = *packet;
        MqttWireMessage m;

        if (mqtt_wire_next(&reader, &m) <= 0)
                return false;
        if (m.header.type != MQTT_WIRE_PUBLISH)
                return reader.left == 0 && take_message(w, &m);
        if (w->setup)
                link_take(w, packet, m.header.flags & MQTT_FLAG_PATIENT);
        return w->setup;
}

static void receive_packets(MqttWorker *w) {
        MqttWireReader packet;
        int r;

        while (!w->leaving && (r = mqtt_wire_receive(w->socket, w->buffer, &packet)) != 0) {
                if (r > 0 && take_packet(w, &packet))
                        continue;
                if (r != -EPIPE)
                        log_error_errno(r < 0 ? r : -EPROTO, "Message of the daemon not understood");
                w->leaving = true;
        }
}

static uint64_t next_due(const MqttWorker *w) {
        uint64_t due = w->setup ? link_next_due(w) : USEC_INFINITY;

        if (w->acks.n)
                due = MIN(due, w->acks_until);
        return w->stopping ? MIN(due, w->stop_until) : due;
}

static void turn(MqttWorker *w) {
        bool on_wire = w->phase == PHASE_HANDSHAKE || w->phase == PHASE_UP;
        struct pollfd fds[] = {
                {.fd = w->socket, .events = POLLIN},
                {.fd = w->phase == PHASE_CONNECTING ? w->done_fd : -1, .events = POLLIN},
                {.fd = on_wire ? mosquitto_socket(w->mosq) : -1, .events = POLLIN},
        };
        uint64_t now = worker_now(), due = MIN(next_due(w), now + WORKER_ALIVE_MS * USEC_PER_MSEC),
                 left = due > now ? due - now : 0;
        struct timespec ts = {(time_t)(left / USEC_PER_SEC), (long)(left % USEC_PER_SEC * 1000)};

        if (on_wire && mosquitto_want_write(w->mosq))
                fds[2].events |= POLLOUT;
        worker_is_alive();
        if (ppoll(fds, ARRAY_SIZE(fds), &ts, NULL) < 0) {
                if (errno != EINTR)
                        w->leaving = true;
                return;
        }
        if (fds[1].revents)
                link_thread_done(w);
        if (fds[2].revents & (POLLIN | POLLHUP | POLLERR))
                link_readable(w);
        if (fds[2].revents & POLLOUT && w->mosq && mosquitto_socket(w->mosq) == fds[2].fd)
                link_writable(w);
        /* The broker first: it should not wait for us. */
        queue_publish(w);
        if (!w->patient.first || w->acks.n >= ACKS_ENOUGH * sizeof(MqttWireHeader) ||
            worker_now() >= w->acks_until)
                worker_tell_acks(w);
        if (fds[0].revents) {
                receive_packets(w);
                queue_publish(w);
        }
        if (w->setup && !w->leaving)
                link_turn(w);
        if (w->stopping && ((!w->n_under_way && !queue_any(w)) || w->stop_until <= worker_now()))
                w->leaving = true;
}

static void run(MqttWorker *w) {
        MqttWireHeader ready = {.type = MQTT_WIRE_READY};

        worker_tell(w, &ready, NULL, NULL, 0);
        while (!w->leaving)
                turn(w);
        if (w->setup)
                link_leave(w);
}

int main(int argc, char *argv[]) {
        MqttWorker w = {.socket = MQTT_WIRE_FD, .done_fd = -1, .buffer = malloc(MQTT_WIRE_MAX)};

        worker_begin(argc, argv);
        if (!w.buffer || mosquitto_lib_init() != MOSQ_ERR_SUCCESS)
                return EXIT_FAILURE;
        /* The end comes as end of file, after which there is still a DISCONNECT to send: a stopping service
         * manager's signal to the whole group must not prevent that. */
        (void)signal(SIGTERM, SIG_IGN);
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGHUP, SIG_IGN);
        (void)signal(SIGPIPE, SIG_IGN);

        run(&w);
        if (w.phase == PHASE_CONNECTING)
                _exit(EXIT_SUCCESS); /* the thread still uses everything, for minutes perhaps */
        if (w.mosq)
                mosquitto_destroy(w.mosq);
        mosquitto_lib_cleanup();
        mqtt_setup_free(w.setup);
        queue_forget(&w);
        free(w.under_way);
        free(w.buffer);
        return EXIT_SUCCESS;
}
