/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/control.h"
#include "sim/order.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define LINE_MAX_LENGTH 1024

typedef struct Peer Peer;

struct Peer {
        Peer *next;
        Control *control;
        int fd;
        Source source;
        size_t n_in;
        char in[LINE_MAX_LENGTH];
        char *out;
        size_t n_out;
};

struct Control {
        Sim *sim;
        char *path;
        int fd;
        Source source;
        Peer *peers;
};

static void peer_free(Peer *p) {
        Peer **at = &p->control->peers;

        while (*at != p)
                at = &(*at)->next;
        *at = p->next;
        loop_unwatch(&p->control->sim->loop, p->fd);
        close(p->fd);
        free(p->out);
        free(p);
}

static bool flush_out(Peer *p) {
        while (p->n_out) {
                ssize_t n = send(p->fd, p->out, p->n_out, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno != EAGAIN)
                        return false;
                if (n < 0)
                        break;
                p->n_out -= (size_t)n;
                memmove(p->out, p->out + n, p->n_out);
        }
        /* No more commands are read from a peer that does not read its answers. */
        return loop_change(&p->control->sim->loop, p->fd, p->n_out ? EPOLLOUT : EPOLLIN, &p->source) >= 0;
}

static bool answer(Peer *p, char *line) {
        json_t *reply = order_run(p->control->sim, line);
        _cleanup_free_ char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;

        json_decref(reply);
        if (!text)
                return false;
        size_t n = strlen(text);
        char *out = realloc(p->out, p->n_out + n + 1);
        if (!out)
                return false;
        p->out = out;
        memcpy(out + p->n_out, text, n);
        out[p->n_out + n] = '\n';
        p->n_out += n + 1;
        return true;
}

static bool peer_read(Peer *p) {
        ssize_t n = read(p->fd, p->in + p->n_in, sizeof(p->in) - p->n_in);
        char *end;

        if (n < 0)
                return errno == EAGAIN || errno == EINTR;
        if (n == 0)
                return false;
        p->n_in += (size_t)n;
        while ((end = memchr(p->in, '\n', p->n_in))) {
                size_t used = (size_t)(end - p->in) + 1;
                *end = 0;
                if (!answer(p, p->in))
                        return false;
                p->n_in -= used;
                memmove(p->in, p->in + used, p->n_in);
        }
        return p->n_in < sizeof(p->in); /* a line without end is no command */
}

static void peer_ready(void *userdata, uint32_t events) {
        Peer *p = userdata;

        if (events & EPOLLIN && !peer_read(p)) {
                peer_free(p);
                return;
        }
        if ((events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN)) || !flush_out(p))
                peer_free(p);
}

static void accept_ready(void *userdata, uint32_t events) {
        Control *c = userdata;
        int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        Peer *p = fd >= 0 ? calloc(1, sizeof(*p)) : NULL;

        if (!p) {
                closep(&fd);
                return;
        }
        p->control = c;
        p->fd = fd;
        p->source = (Source){.ready = peer_ready, .userdata = p};
        p->next = c->peers;
        c->peers = p;
        if (loop_watch(&c->sim->loop, fd, EPOLLIN, &p->source) < 0)
                peer_free(p);
}

static int make_address(const char *path, struct sockaddr_un *ret) {
        *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof(ret->sun_path))
                return -ENAMETOOLONG;
        memcpy(ret->sun_path, path, strlen(path) + 1);
        return 0;
}

/* Takes over the path of a terminated simulator, not that of a running one. */
static int bind_path(int fd, const char *path) {
        _cleanup_close_ int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address;
        struct stat st;
        int r = make_address(path, &address);

        if (r < 0 || probe < 0)
                return r < 0 ? r : -errno;
        if (lstat(path, &st) == 0) {
                if (!S_ISSOCK(st.st_mode))
                        return -EEXIST;
                if (connect(probe, (struct sockaddr *)&address, sizeof(address)) == 0)
                        return -EADDRINUSE;
                unlink(path);
        }
        return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0 ? -errno : 0;
}

int control_start(Sim *s, const char *path) {
        Control *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (Control){.sim = s, .path = strdup(path)};
        s->control = c;
        c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int r = c->fd < 0 ? -errno : !c->path ? -ENOMEM : bind_path(c->fd, path);
        if (r < 0) {
                free(c->path);
                c->path = NULL; /* not ours to remove */
                fprintf(stderr, "locksim: cannot listen at %s: %s\n", path, strerror(-r));
                return r;
        }
        c->source = (Source){.ready = accept_ready, .userdata = c};
        return loop_watch(&s->loop, c->fd, EPOLLIN, &c->source);
}

void control_stop(Sim *s) {
        Control *c = s->control;

        if (!c)
                return;
        while (c->peers)
                peer_free(c->peers);
        if (c->path)
                unlink(c->path);
        closep(&c->fd);
        free(c->path);
        free(c);
        s->control = NULL;
}

int control_send(const char *path, const char *command) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        _cleanup_free_ char *line = NULL;
        struct sockaddr_un address;
        size_t room = 0;

        if (fd < 0 || make_address(path, &address) < 0 ||
            connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            dprintf(fd, "%s\n", command) < 0) {
                fprintf(stderr, "locksim: no answer at %s: %s\n", path, strerror(errno));
                return 2;
        }
        FILE *f = fdopen(fd, "r");
        if (!f)
                return 2;
        fd = -1;
        ssize_t n = getline(&line, &room, f);
        fclose(f);
        if (n <= 0)
                return 2;
        fputs(line, stdout);
        json_t *reply = json_loads(line, 0, NULL);
        bool ok = json_is_true(json_object_get(reply, "ok"));
        json_decref(reply);
        return ok ? 0 : 1;
}
