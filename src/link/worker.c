/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-link: the worker that reads what handhelds send. It has no ledger, no locks and no bus: what it has
 * understood it hands to the daemon, one request of a connection at a time. */
#include "base/worker.h"
#include "base/clock.h"
#include "base/confine.h"
#include "base/json_memory.h"
#include "base/log.h"
#include "link/check.h"
#include "link/connection.h"
#include "link/socket.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#define MEMORY_MAX      (48 * 1024 * 1024)
#define DESCRIPTORS_MAX (LOCKERD_LINK_CONNECTIONS_MAX + 16)
#define DAEMON_PATIENCE (20 * USEC_PER_SEC) /* for a daemon that does not read */
#define PASSED_MAX      8 /* streams that may come in one turn; more than a radio has phones */
#define FD_DAEMON       0
#define FD_LISTEN       1
#define N_LISTEN        2
#define FD_CONNECTIONS  (FD_LISTEN + N_LISTEN)

/* New connections: each is a handshake's work, a few milliseconds on a small board. And what is said of them.
 */
static const BucketRules accept_pace = {.burst = 24, .each_usec = 50 * USEC_PER_MSEC};
static const BucketRules log_pace = {.burst = 10, .each_usec = 30 * USEC_PER_SEC};

typedef struct LinkWorker {
        int socket; /* the daemon */
        bool leaving, has_clock;
        LinkSetup *setup;
        LinkTlsContext *tls;
        LinkHost host;
        LinkWireClock told, clock; /* as the daemon said it; as it is now */
        uint64_t told_at;          /* boot µs */
        int listen[N_LISTEN];      /* -1: not */
        int passed[PASSED_MAX];    /* streams that become connections at the end of the turn */
        size_t n_passed;
        LinkConnection *connections; /* the newest first */
        size_t n_connections;
        uint32_t last_number;
        Bucket accepted, logged;
        LinkWireMessage message;
} LinkWorker;

static uint64_t boot_now(void) {
        return clock_now().boot_usec;
}

/* --- the daemon --- */

static void tell(LinkWorker *w, LinkWireType type, uint32_t connection, const void *body, size_t n) {
        uint64_t until = boot_now() + DAEMON_PATIENCE;
        int r;

        while (!w->leaving && (r = link_wire_send(w->socket, type, connection, body, n)) < 0) {
                struct pollfd fd = {.fd = w->socket, .events = POLLOUT};
                if (r != -EAGAIN || boot_now() >= until || poll(&fd, 1, 1000) < 0 || fd.revents & POLLHUP) {
                        if (r != -EPIPE)
                                log_error_errno(r, "Cannot tell the daemon");
                        w->leaving = true;
                }
        }
}

static void tell_status(LinkWorker *w, bool listening, const char *sentence) {
        LinkWireStatus s = {.listening = listening};

        snprintf(s.sentence, sizeof(s.sentence), "%s", sentence);
        tell(w, LINK_WIRE_STATUS, 0, &s, sizeof(s));
}

/* A connection is the daemon's business from its first request on: who only connects costs it nothing. */
static void ask(void *userdata, LinkConnection *c, const LinkWireRequest *r) {
        LinkWorker *w = userdata;

        if (!c->told)
                tell(w, LINK_WIRE_OPENED, c->number, &c->who, sizeof(c->who));
        c->told = true;
        tell(w, LINK_WIRE_REQUEST, c->number, r, sizeof(*r));
}

static void log_ended(void *userdata, const LinkConnection *c, const char *why) {
        LinkWorker *w = userdata;

        if (bucket_take(&w->logged, &log_pace, boot_now()))
                log_info("Connection %u%s%s ends: %s", c->number, c->who.courier[0] ? " of courier " : "",
                         c->who.courier, why);
}

static int listen_everywhere(LinkWorker *w, char sentence[LINK_SENTENCE_MAX]) {
        const LinkSetup *s = w->setup;

        if (s->listen) {
                w->listen[0] = link_socket_listen(s->listen);
                if (w->listen[0] < 0) {
                        snprintf(sentence, LINK_SENTENCE_MAX, "Cannot listen at %s: %s", s->listen,
                                 strerror(-w->listen[0]));
                        return w->listen[0];
                }
        }
        if (s->loopback_port) {
                w->listen[1] = link_socket_listen_loopback(s->loopback_port);
                if (w->listen[1] < 0) {
                        snprintf(sentence, LINK_SENTENCE_MAX, "Cannot listen at port %u of the loopback: %s",
                                 s->loopback_port, strerror(-w->listen[1]));
                        return w->listen[1];
                }
        }
        snprintf(sentence, LINK_SENTENCE_MAX, "Handhelds can connect.");
        return 0;
}

/* Everything has been read and opened: no file, no network of its own. */
static bool give_up_rights(void) {
        static const char *const calls[] = {"accept4", "fcntl", "fcntl64", NULL};
        const Confinement c = {.calls = calls, .memory = MEMORY_MAX, .descriptors = DESCRIPTORS_MAX};

        return confine(&c) >= 0;
}

static bool take_setup(LinkWorker *w, const char *text) {
        char sentence[LINK_SENTENCE_MAX] = "";

        if (w->setup || link_setup_decode(text, &w->setup) < 0)
                return false;
        int r = link_tls_context_new(&w->tls, w->setup, &w->clock, sentence);
        if (r >= 0)
                r = listen_everywhere(w, sentence);
        w->host.setup = w->setup;
        w->host.tls = w->tls;
        if (!give_up_rights())
                return false;
        tell_status(w, r >= 0, sentence);
        if (r >= 0)
                return true;
        /* It stays and says so: another worker would find the same. */
        for (int i = 0; i < N_LISTEN; i++)
                if (w->listen[i] >= 0)
                        close(steal_fd(&w->listen[i]));
        return true;
}

static void count_clock(LinkWorker *w, uint64_t now) {
        int64_t passed = (int64_t)(now - w->told_at);

        w->clock = w->told;
        w->clock.wall_usec += passed;
        if (w->clock.not_before)
                w->clock.not_before += passed;
}

static LinkConnection *find(LinkWorker *w, uint32_t number) {
        for (LinkConnection *c = w->connections; c; c = c->next)
                if (c->number == number)
                        return c;
        return NULL;
}

/* passed: of a STREAM, taken over. */
static bool take_message(LinkWorker *w, const LinkWireMessage *m, int *passed, uint64_t now) {
        LinkConnection *c = m->header.connection ? find(w, m->header.connection) : NULL;

        switch ((LinkWireType)m->header.type) {
        case LINK_WIRE_SETUP:
                return take_setup(w, m->text);
        case LINK_WIRE_CLOCK:
                w->told = m->clock;
                w->told_at = now;
                w->has_clock = true;
                count_clock(w, now);
                return true;
        case LINK_WIRE_ANSWER:
                if (c)
                        link_connection_answer(c, &m->answer, now);
                return true;
        case LINK_WIRE_PROMPT:
                if (c)
                        link_connection_prompt(c, &m->prompt, now);
                return true;
        case LINK_WIRE_CLOSE:
                if (c)
                        link_connection_close(c, now);
                return true;
        case LINK_WIRE_PING:
                tell(w, LINK_WIRE_PONG, 0, NULL, 0);
                return true;
        case LINK_WIRE_STREAM:
                if (w->tls && w->has_clock && w->n_passed < PASSED_MAX)
                        w->passed[w->n_passed++] = steal_fd(passed);
                return w->setup != NULL;
        case LINK_WIRE_STOP:
                w->leaving = true;
                return true;
        case LINK_WIRE_READY:
        case LINK_WIRE_STATUS:
        case LINK_WIRE_OPENED:
        case LINK_WIRE_REQUEST:
        case LINK_WIRE_CLOSED:
        case LINK_WIRE_PONG:
        case LINK_WIRE_TYPES:
                break;
        }
        return false;
}

static void read_daemon(LinkWorker *w, uint64_t now) {
        int r;

        for (;;) {
                _cleanup_close_ int passed = -1;
                if (w->leaving || !(r = link_wire_receive(w->socket, &w->message, &passed)))
                        return;
                bool fine = r > 0 && take_message(w, &w->message, &passed, now);
                explicit_bzero(&w->message, r > 0 ? sizeof(w->message.header) + w->message.header.n_body : 0);
                if (fine)
                        continue;
                if (r != -EPIPE)
                        log_error_errno(r < 0 ? r : -EPROTO, "Message of the daemon not understood");
                w->leaving = true;
        }
}

/* --- connections --- */

static void drop(LinkWorker *w, LinkConnection *c) {
        for (LinkConnection **at = &w->connections; *at; at = &(*at)->next)
                if (*at == c) {
                        *at = c->next;
                        break;
                }
        w->n_connections--;
        if (c->told)
                tell(w, LINK_WIRE_CLOSED, c->number, NULL, 0);
        close(c->fd);
        link_connection_free(c);
}

/* The oldest that nobody has shown anything over gives way, so that who only connects keeps nobody out. */
static bool make_room(LinkWorker *w) {
        LinkConnection *oldest = NULL;

        if (w->n_connections < LOCKERD_LINK_CONNECTIONS_MAX)
                return true;
        for (LinkConnection *c = w->connections; c; c = c->next)
                if (link_connection_is_strangers(c))
                        oldest = c;
        if (oldest)
                drop(w, oldest);
        return oldest;
}

/* fd is taken over. */
static void add_connection(LinkWorker *w, int fd, uint64_t now) {
        LinkConnection *c = make_room(w) ? link_connection_new(&w->host, ++w->last_number, fd, now) : NULL;

        if (!c) {
                close(fd);
                return;
        }
        c->next = w->connections;
        w->connections = c;
        w->n_connections++;
}

static void accept_one(LinkWorker *w, int listener, uint64_t now) {
        int fd = link_socket_accept(listener);

        if (fd >= 0)
                add_connection(w, fd, now);
}

static void serve(LinkConnection *c, short revents, uint64_t now) {
        if (revents & POLLIN)
                link_socket_read(c, now);
        else if (revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL))
                link_connection_end(c);
        link_connection_turn(c, now);
        if (c->phase != LINK_PHASE_OVER)
                link_socket_write(c, now);
        if (c->phase == LINK_PHASE_LEAVING) /* which may have been the last word */
                link_socket_write(c, now);
}

static short interest(const LinkConnection *c, uint64_t now) {
        const void *bytes;

        return (short)(POLLRDHUP | (link_connection_wants(c, now) ? POLLIN : 0) |
                       (link_connection_pending(c, &bytes) ? POLLOUT : 0));
}

static int milliseconds(const LinkWorker *w, uint64_t now) {
        uint64_t due = now + WORKER_ALIVE_MS * USEC_PER_MSEC;

        for (const LinkConnection *c = w->connections; c; c = c->next)
                due = MIN(due, link_connection_deadline(c));
        return due > now ? (int)((due - now) / USEC_PER_MSEC) + 1 : 0;
}

static void turn(LinkWorker *w) {
        struct pollfd fds[FD_CONNECTIONS + LOCKERD_LINK_CONNECTIONS_MAX] = {
                {.fd = w->socket, .events = POLLIN}};
        LinkConnection *served[LOCKERD_LINK_CONNECTIONS_MAX];
        uint64_t now = boot_now();
        size_t n = 0;

        bool accepts = w->has_clock && bucket_next(&w->accepted, &accept_pace, now) <= now;
        for (int i = 0; i < N_LISTEN; i++)
                fds[FD_LISTEN + i] = (struct pollfd){.fd = accepts ? w->listen[i] : -1, .events = POLLIN};
        for (LinkConnection *c = w->connections; c; c = c->next, n++) {
                served[n] = c;
                fds[FD_CONNECTIONS + n] = (struct pollfd){.fd = c->fd, .events = interest(c, now)};
        }
        worker_is_alive();
        int wait = milliseconds(w, now);
        if (!accepts && w->has_clock)
                wait = MIN(wait, (int)(accept_pace.each_usec / USEC_PER_MSEC));
        if (poll(fds, FD_CONNECTIONS + n, wait) < 0) {
                w->leaving = errno != EINTR;
                return;
        }
        now = boot_now();
        count_clock(w, now);
        if (fds[FD_DAEMON].revents)
                read_daemon(w, now);
        for (size_t i = 0; i < n && !w->leaving; i++)
                serve(served[i], fds[FD_CONNECTIONS + i].revents, now);
        for (size_t i = 0; i < n && !w->leaving; i++)
                if (served[i]->phase == LINK_PHASE_OVER)
                        drop(w, served[i]);
        for (int i = 0; i < N_LISTEN && !w->leaving; i++)
                if (fds[FD_LISTEN + i].revents & POLLIN && bucket_take(&w->accepted, &accept_pace, now))
                        accept_one(w, w->listen[i], now);
        for (; w->n_passed; w->n_passed--)
                add_connection(w, w->passed[w->n_passed - 1], now);
}

int main(int argc, char *argv[]) {
        static LinkWorker w = {.socket = LINK_WIRE_FD, .listen = {-1, -1}};

        json_memory_erase();
        if (argc == 3 && streq(argv[1], "--check"))
                return link_check(argv[2]);
        worker_begin(argc, argv);
        /* The end comes as end of file. */
        (void)signal(SIGTERM, SIG_IGN);
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGHUP, SIG_IGN);
        (void)signal(SIGPIPE, SIG_IGN);

        w.host = (LinkHost){.clock = &w.clock, .ask = ask, .log = log_ended, .userdata = &w};
        tell(&w, LINK_WIRE_READY, 0, NULL, 0);
        while (!w.leaving)
                turn(&w);
        while (w.connections) {
                LinkConnection *c = w.connections;
                w.connections = c->next;
                link_connection_close(c, boot_now());
                link_socket_write(c, boot_now());
                close(c->fd);
                link_connection_free(c);
        }
        link_tls_context_free(w.tls);
        link_setup_free(w.setup);
        return EXIT_SUCCESS;
}
