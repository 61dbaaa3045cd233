/* SPDX-License-Identifier: Apache-2.0 */
#include "handheld/link_client.h"
#include "handheld/handheld.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/supervisor.h"
#include "base/text.h"
#include "build-config.h"
#include "core/bucket.h"
#include "core/code.h"
#include "link/setup.h"

#include <errno.h>
#include <math.h>

#define UNANSWERED    10 /* pings; a handshake takes a slow machine a while */
#define RESTART_FIRST (250 * USEC_PER_MSEC)
#define RESTART_MAX   (8 * USEC_PER_SEC)
#define LEAVE         USEC_PER_SEC
#define BUFFER        (256 * 1024)

/* An honest worker has at most 48 connections, each of which asks four times a second at the most, and those
 * that have shown nothing four times together. */
static const BucketRules message_pace = {.burst = 600, .each_usec = 5 * USEC_PER_MSEC};

struct LinkClient {
        const LinkHandlers *handlers;
        void *userdata;
        Supervisor *worker;
        char *setup;
        Bucket said;
        LinkWireMessage message;
};

static bool take_message(LinkClient *c, const LinkWireMessage *m) {
        const LinkHandlers *h = c->handlers;
        uint32_t connection = m->header.connection;

        switch ((LinkWireType)m->header.type) {
        case LINK_WIRE_READY:
        case LINK_WIRE_PONG:
                return true;
        case LINK_WIRE_STATUS:
                h->status(c->userdata, m->status.listening, m->status.sentence);
                return true;
        case LINK_WIRE_OPENED:
                return connection && h->opened(c->userdata, connection, &m->opened);
        case LINK_WIRE_REQUEST:
                return connection && h->request(c->userdata, connection, &m->request);
        case LINK_WIRE_CLOSED:
                return connection && h->closed(c->userdata, connection);
        case LINK_WIRE_SETUP:
        case LINK_WIRE_CLOCK:
        case LINK_WIRE_ANSWER:
        case LINK_WIRE_PROMPT:
        case LINK_WIRE_CLOSE:
        case LINK_WIRE_PING:
        case LINK_WIRE_STREAM:
        case LINK_WIRE_STOP:
        case LINK_WIRE_TYPES:
                break;
        }
        return false;
}

/* One message a turn of the loop: a flood must not keep doors waiting. */
static bool read_message(void *userdata) {
        LinkClient *c = userdata;
        int r = link_wire_receive(supervisor_socket(c->worker), &c->message, NULL);

        if (r <= 0)
                return r == 0;
        supervisor_heard(c->worker);
        if (c->message.header.type != LINK_WIRE_PONG &&
            !bucket_take(&c->said, &message_pace, clock_now().boot_usec)) {
                log_warning("lockerd-link says too much");
                return false;
        }
        bool fine = take_message(c, &c->message);
        explicit_bzero(&c->message,
                       sizeof(c->message.header) + c->message.header.n_body); /* a code, perhaps */
        return fine;
}

static int started(void *userdata) {
        LinkClient *c = userdata;
        int r = link_wire_send(supervisor_socket(c->worker), LINK_WIRE_SETUP, 0, c->setup,
                               strlen(c->setup) + 1);

        if (r >= 0)
                c->handlers->started(c->userdata);
        return r;
}

static int ping(void *userdata, uint64_t number) {
        LinkClient *c = userdata;

        return link_wire_send(supervisor_socket(c->worker), LINK_WIRE_PING, 0, NULL, 0);
}

static void gone(void *userdata, const char *sentence) {
        LinkClient *c = userdata;

        c->handlers->gone(c->userdata, sentence);
}

static const SupervisorHandlers worker_handlers = {
        .started = started, .readable = read_message, .ping = ping, .gone = gone};

char *link_client_setup(const Settings *settings, const Cabinet *cabinet) {
        const LinkSettings *l = &settings->link;
        LinkSetup s = {.cabinet = cabinet->number,
                       .name = cabinet->name && *cabinet->name ? cabinet->name : NULL,
                       .address = cabinet->address && *cabinet->address ? cabinet->address : NULL,
                       .alphabet = code_alphabet_to_string(settings->code_alphabet),
                       .version = LOCKERD_VERSION,
                       .has_location = isfinite(cabinet->latitude) && isfinite(cabinet->longitude),
                       .latitude = cabinet->latitude,
                       .longitude = cabinet->longitude,
                       .listen = l->listen,
                       .loopback_port = l->loopback_port,
                       .cert_file = l->cert_file,
                       .key_file = l->key_file,
                       .ca_file = l->ca_file,
                       .revocation_file = l->revocation_file};

        for (int i = 0; i < cabinet->n_sizes && s.n_sizes < LINK_SIZES_MAX; i++)
                s.sizes[s.n_sizes++] = cabinet->sizes[i].name;
        return link_setup_encode(&s);
}

int link_client_new(LinkClient **ret, sd_event *event, const Settings *settings, const Cabinet *cabinet,
                    const LinkHandlers *handlers, void *userdata) {
        _cleanup_(link_client_freep) LinkClient *c = calloc(1, sizeof(*c));
        _cleanup_free_ char *program = text_printf("%s/lockerd-link", settings->worker_directory);

        if (!c || !program)
                return -ENOMEM;
        c->handlers = handlers;
        c->userdata = userdata;
        c->setup = link_client_setup(settings, cabinet);
        if (!c->setup)
                return -ENOMEM;
        SupervisorOptions worker = {.program = program,
                                    .name = "lockerd-link",
                                    .unanswered = UNANSWERED,
                                    .first_pause = RESTART_FIRST,
                                    .max_pause = RESTART_MAX,
                                    .buffer = BUFFER};
        int r = supervisor_new(&c->worker, event, &worker, &worker_handlers, c);
        if (r < 0)
                return r;
        supervisor_start(c->worker);
        *ret = steal_ptr(c);
        return 0;
}

void link_client_send(LinkClient *c, LinkWireType type, uint32_t connection, const void *body, size_t n) {
        if (!c->worker || !supervisor_is_running(c->worker))
                return;
        int r = link_wire_send(supervisor_socket(c->worker), type, connection, body, n);
        if (r < 0 && r != -EPIPE) {
                log_error_errno(r, "Cannot tell lockerd-link");
                supervisor_hang_up(c->worker);
        }
}

void link_client_pass(LinkClient *c, int fd) {
        if (!supervisor_is_running(c->worker))
                return;
        int r = link_wire_pass(supervisor_socket(c->worker), fd);
        if (r < 0 && r != -EPIPE) {
                log_error_errno(r, "Cannot tell lockerd-link");
                supervisor_hang_up(c->worker);
        }
}

void link_client_replace(LinkClient *c) {
        supervisor_hang_up(c->worker);
}

LinkClient *link_client_free(LinkClient *c) {
        if (!c)
                return NULL;
        if (c->worker && supervisor_is_running(c->worker)) {
                supervisor_stop(c->worker);
                if (link_wire_send(supervisor_socket(c->worker), LINK_WIRE_STOP, 0, NULL, 0) < 0)
                        supervisor_hang_up(c->worker);
                if (!supervisor_join(c->worker, clock_now().boot_usec + LEAVE))
                        supervisor_kill(c->worker);
        }
        supervisor_free(c->worker);
        free(c->setup);
        free(c);
        return NULL;
}
