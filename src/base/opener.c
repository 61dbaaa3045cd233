/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opener.h"
#include "base/child.h"
#include "base/macros.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int on_exit_of_opener(sd_event_source *source, int pidfd, uint32_t revents, void *userdata) {
        (void)waitid(P_PIDFD, (id_t)pidfd, &(siginfo_t){0}, WEXITED | WNOHANG);
        /* The loop's reference was the last one: with it go the source and its descriptor. */
        (void)sd_event_source_set_floating(source, false);
        return 0;
}

/* Nobody waits for it: it may be opening something that hangs. */
static int reap_later(sd_event *event, Child *c) {
        sd_event_source *source = NULL;
        int r = c->pidfd < 0 ? 0
                             : sd_event_add_io(event, &source, c->pidfd, EPOLLIN, on_exit_of_opener, NULL);

        if (r < 0 || !source)
                return r;
        (void)sd_event_source_set_io_fd_own(source, true);
        c->pidfd = -1;
        r = sd_event_source_set_floating(source, true);
        sd_event_source_unref(source);
        return r;
}

int opener_start(sd_event *event, const char *program, const char *device, int *ret) {
        Child c = CHILD_NONE;
        int r = child_start(program, device, 0, &c);

        if (r < 0)
                return r;
        if (send(c.socket, device, strlen(device) + 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                r = -errno;
        if (r >= 0)
                r = reap_later(event, &c);
        if (r < 0) {
                child_kill(&c);
                return r;
        }
        *ret = c.socket;
        return 0;
}
