/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/manager.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define KEPT      8
#define LINES_MAX 256

struct Manager {
        int fd; /* -1: nobody to tell */
        sd_event_source *writable, *timer;
        uint64_t watchdog_usec; /* between two signs of life; 0: none are wanted */
        char kept[KEPT][LINES_MAX];
        unsigned n_kept;
        bool alive; /* a sign of life is owed; one is as good as many */
};

static int connect_manager(void) {
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        size_t n = path ? strlen(path) : 0;
        int fd;

        if (n < 2 || n >= sizeof(address.sun_path) || !strchr("/@", path[0]))
                return -1;
        memcpy(address.sun_path, path, n);
        if (path[0] == '@') /* abstract: no file */
                address.sun_path[0] = 0;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -1;
        if (connect(fd, (const struct sockaddr *)&address,
                    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0) {
                log_error_errno(-errno, "Cannot reach the service manager");
                close(fd);
                return -1;
        }
        return fd;
}

/* False: it has no room. Whatever else is wrong does not get better by trying again. */
static bool send_lines(Manager *m, const char *lines) {
        return send(m->fd, lines, strlen(lines), MSG_NOSIGNAL) >= 0 ||
               (errno != EAGAIN && errno != ENOBUFS && errno != EINTR);
}

static void send_kept(Manager *m) {
        unsigned sent = 0;

        if (m->fd < 0)
                return;
        while (sent < m->n_kept && send_lines(m, m->kept[sent]))
                sent++;
        m->n_kept -= sent;
        memmove(m->kept, m->kept + sent, m->n_kept * sizeof(m->kept[0]));
        if (!m->n_kept && m->alive && send_lines(m, "WATCHDOG=1"))
                m->alive = false;
        if (m->writable)
                (void)sd_event_source_set_enabled(m->writable,
                                                  m->n_kept || m->alive ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_writable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        send_kept(userdata);
        return 0;
}

static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *m = userdata;

        m->alive = true;
        send_kept(m);
        (void)sd_event_source_set_time_relative(source, m->watchdog_usec);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void manager_tell(Manager *m, const char *format, ...) {
        va_list ap;

        if (m->fd < 0)
                return;
        if (m->n_kept == KEPT) { /* the latest word counts */
                memmove(m->kept, m->kept + 1, (KEPT - 1) * sizeof(m->kept[0]));
                m->n_kept--;
        }
        va_start(ap, format);
        vsnprintf(m->kept[m->n_kept++], LINES_MAX, format, ap);
        va_end(ap);
        send_kept(m);
}

int manager_new(Manager **ret, sd_event *event) {
        _cleanup_(manager_freep) Manager *m = calloc(1, sizeof(*m));
        uint64_t limit = 0;
        int r = 0;

        if (!m)
                return -ENOMEM;
        m->fd = connect_manager();
        if (m->fd >= 0)
                r = sd_event_add_io(event, &m->writable, m->fd, EPOLLOUT, on_writable, m);
        if (m->fd >= 0 && r >= 0)
                r = sd_event_source_set_enabled(m->writable, SD_EVENT_OFF);
        if (m->fd >= 0 && r >= 0 && sd_watchdog_enabled(false, &limit) > 0) {
                m->watchdog_usec = limit / 3;
                r = sd_event_add_time_relative(event, &m->timer, CLOCK_BOOTTIME, 0, limit / 100, on_watchdog,
                                               m);
                /* It tells that the loop turns, not that it has nothing else to do. */
                if (r >= 0)
                        r = sd_event_source_set_priority(m->timer, SD_EVENT_PRIORITY_IMPORTANT);
        }
        if (r < 0)
                return r;
        *ret = steal_ptr(m);
        return 0;
}

Manager *manager_free(Manager *m) {
        if (!m)
                return NULL;
        send_kept(m);
        sd_event_source_disable_unref(m->timer);
        sd_event_source_disable_unref(m->writable);
        if (m->fd >= 0)
                close(m->fd);
        free(m);
        return NULL;
}
