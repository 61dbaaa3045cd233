/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tcp.h"
#include "base/text.h"
#include "sim/answer.h"
#include "sim/line.h"
#include "sim/report.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define HEAD       7 /* transaction, protocol, length, unit */
#define ADU_MAX    260
#define CLIENT_MAX 16

struct Client {
        Client *next;
        Line *line;
        uint64_t number;
        int fd;
        Source source;
        size_t n;
        uint8_t bytes[ADU_MAX];
};

static void client_free(Client *c) {
        Line *l = c->line;
        Client **at = &l->clients;

        while (*at != c)
                at = &(*at)->next;
        *at = c->next;
        loop_unwatch(&l->sim->loop, c->fd);
        close(c->fd);
        free(c);
}

/* Removes complete requests from the front; false when the data is not Modbus. */
static bool take_requests(Client *c) {
        while (c->n >= HEAD) {
                size_t length = (size_t)c->bytes[4] << 8 | c->bytes[5];
                if (c->bytes[2] || c->bytes[3] || length < 2 || length > ADU_MAX - 6)
                        return false;
                if (c->n < 6 + length)
                        return true;
                uint64_t now = loop_now();
                c->line->n_requests++;
                journal_frame(c->line, "rx", now, now, c->bytes, 6 + length);
                Pdu request = {.n = length - 1};
                memcpy(request.bytes, c->bytes + HEAD, request.n);
                answer_request(c->line, c->number, (unsigned)c->bytes[0] << 8 | c->bytes[1], c->bytes[6],
                               &request, now);
                c->n -= 6 + length;
                memmove(c->bytes, c->bytes + 6 + length, c->n);
        }
        return true;
}

static void client_ready(void *userdata, uint32_t events) {
        Client *c = userdata;
        Line *l = c->line;
        ssize_t n = read(c->fd, c->bytes + c->n, sizeof(c->bytes) - c->n);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n > 0 && l->raw) {
                line_received(l, c->bytes, (size_t)n, loop_now());
                return;
        }
        if (n > 0) {
                c->n += (size_t)n;
                if (take_requests(c))
                        return;
        }
        client_free(c);
        if (!l->clients)
                line_left(l, loop_now());
}

static void accept_ready(void *userdata, uint32_t events) {
        Line *l = userdata;
        size_t n = 0;
        int one = 1;
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
                return;
        for (Client *c = l->clients; c; c = c->next)
                n++;
        Client *c = n < CLIENT_MAX ? calloc(1, sizeof(*c)) : NULL;
        if (!c) {
                close(fd);
                return;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        *c = (Client){.line = l, .fd = fd, .number = ++l->n_clients, .next = l->clients};
        c->source = (Source){.ready = client_ready, .userdata = c};
        l->clients = c;
        if (loop_watch(&l->sim->loop, fd, EPOLLIN, &c->source) < 0) {
                client_free(c);
                return;
        }
        line_opened(l, loop_now());
}

void tcp_write(Line *l, uint64_t client, const uint8_t *bytes, size_t n) {
        for (Client *c = l->clients; c; c = c->next)
                if ((l->raw || c->number == client) && send(c->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                        l->n_garbage++;
}

int tcp_start(Line *l) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
        _cleanup_free_ char *port = text_printf("%u", l->tcp_port);
        int one = 1, r = port ? getaddrinfo(l->device, port, &hints, &list) : EAI_MEMORY;

        if (r) {
                fprintf(stderr, "locksim: line %s: %s: %s\n", l->name, l->device, gai_strerror(r));
                return -EADDRNOTAVAIL;
        }
        l->fd = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (l->fd >= 0)
                (void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        r = l->fd < 0 || bind(l->fd, list->ai_addr, list->ai_addrlen) < 0 || listen(l->fd, 8) < 0 ? -errno
                                                                                                  : 0;
        freeaddrinfo(list);
        if (r < 0) {
                fprintf(stderr, "locksim: line %s: cannot listen at %s:%u: %s\n", l->name, l->device,
                        l->tcp_port, strerror(-r));
                return r;
        }
        l->source = (Source){.ready = accept_ready, .userdata = l};
        return loop_watch(&l->sim->loop, l->fd, EPOLLIN, &l->source);
}

void tcp_stop(Line *l) {
        while (l->clients)
                client_free(l->clients);
}
