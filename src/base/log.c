/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

/* The native journal protocol is written here instead of through libsystemd so that the small worker
 * processes, which link nothing but libc and libmodbus, log the same way as the daemon. */

static int max_priority = LOG_INFO;
static int journal_fd = -1;

void log_set_max_priority(int priority) {
        max_priority = priority;
}

void log_open(void) {
        static const struct sockaddr_un journal = {.sun_family = AF_UNIX,
                                                   .sun_path = "/run/systemd/journal/socket"};
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        /* Only when stderr is connected to the journal: JOURNAL_STREAM is inherited by every child. */
        if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2 || fstat(STDERR_FILENO, &st) < 0 ||
            st.st_dev != device || st.st_ino != inode)
                return;
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return;
        if (connect(fd, (const struct sockaddr *)&journal, sizeof(journal)) < 0) {
                close(fd);
                return;
        }
        journal_fd = fd;
}

/* A newline in a value would end the field and could inject others: replace it. */
static void flatten(char *s) {
        for (; *s; s++)
                if (*s == '\n')
                        *s = ' ';
}

static bool send_to_journal(int priority, const char *id, const char *const *fields, const char *message) {
        char datagram[4096];
        size_t n = 0;
        int k;

        k = snprintf(datagram, sizeof(datagram), "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n", priority,
                     program_invocation_short_name, message);
        if (k < 0 || (size_t)k >= sizeof(datagram))
                return false;
        n = (size_t)k;
        if (id) {
                k = snprintf(datagram + n, sizeof(datagram) - n, "MESSAGE_ID=%s\n", id);
                if (k < 0 || (size_t)k >= sizeof(datagram) - n)
                        return false;
                n += (size_t)k;
        }
        for (const char *const *f = fields; f && f[0]; f += 2) {
                _cleanup_free_ char *value = strdup(f[1] ? f[1] : "");
                if (!value)
                        return false;
                flatten(value);
                k = snprintf(datagram + n, sizeof(datagram) - n, "%s=%s\n", f[0], value);
                if (k < 0 || (size_t)k >= sizeof(datagram) - n)
                        break; /* a truncated field list is better than no message */
                n += (size_t)k;
        }
        return send(journal_fd, datagram, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void log_line(int priority, const char *id, const char *const *fields, char *message) {
        flatten(message);
        if (journal_fd >= 0 && send_to_journal(priority, id, fields, message))
                return;
        if (isatty(STDERR_FILENO))
                fprintf(stderr, "%s\n", message);
        else
                fprintf(stderr, "<%d>%s\n", priority, message);
}

void log_message(int priority, const char *id, const char *const *fields, const char *format, ...) {
        char message[2048];
        va_list ap;

        if (priority > max_priority)
                return;
        va_start(ap, format);
        vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        log_line(priority, id, fields, message);
}

int log_error_errno(int r, const char *format, ...) {
        char message[2048];
        va_list ap;

        va_start(ap, format);
        int k = vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        if (k >= 0 && (size_t)k < sizeof(message))
                snprintf(message + k, sizeof(message) - (size_t)k, ": %s", strerror(-r));
        log_line(LOG_ERR, NULL, NULL, message);
        return r;
}
