/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of lockerctl: a sentence on stderr, or JSON on stdout. */
#include "ctl/ctl.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

int ctl_fail_as(const Ctl *c, int status, const char *name, const char *sentence) {
        _cleanup_free_ char *shown = text_printable(sentence);

        if (c->json)
                json_print(c, json_pack("{s:s, s:s}", "error", name, "message", sentence), true);
        fflush(stdout);
        bool color = c->color && isatty(STDERR_FILENO);
        fprintf(stderr, "%s%s%s\n", color ? "\x1b[31m" : "", shown ? shown : sentence,
                color ? "\x1b[0m" : "");
        return status;
}

int ctl_fail(const Ctl *c, int status, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        _cleanup_free_ char *sentence = text_vprintf(format, ap);
        va_end(ap);
        return ctl_fail_as(c, status, status == LOCKERCTL_USAGE ? "Usage" : "Failed",
                           sentence ? sentence : "Out of memory.");
}

int ctl_usage(const Ctl *c, const Args *a, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        _cleanup_free_ char *sentence = text_vprintf(format, ap);
        va_end(ap);
        ctl_fail_as(c, LOCKERCTL_USAGE, "Usage", sentence ? sentence : "Out of memory.");
        fprintf(stderr, "See: lockerctl %s --help\n", a->verb->name);
        return LOCKERCTL_USAGE;
}

int ctl_oom(const Ctl *c) {
        return ctl_fail(c, LOCKERCTL_FAILED, "Out of memory.");
}

static int error_status(const char *name) {
        static const struct {
                const char *name;
                int status;
        } errors[] = {
#define X(error, status) {error, status},
                LOCKERD_ERRORS(X)
#undef X
        };

        for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
                if (streq(errors[i].name, name))
                        return errors[i].status;
        return LOCKERCTL_FAILED;
}

int ctl_fail_bus(const Ctl *c, const sd_bus_error *error, int r, const char *what) {
        static const char prefix[] = LOCKERD_ERROR_PREFIX;
        const char *name = error && error->name ? error->name : "";
        const char *message = error && error->message ? error->message : strerror(-r);

        if (!strncmp(name, prefix, strlen(prefix)))
                return ctl_fail_as(c, error_status(name + strlen(prefix)), name + strlen(prefix), message);
        if (streq(name, SD_BUS_ERROR_SERVICE_UNKNOWN) || streq(name, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                return ctl_fail_as(c, LOCKERCTL_FAILED, "NotRunning",
                                   "lockerd is not on the bus. Is it running? Try: systemctl status lockerd");
        if (streq(name, SD_BUS_ERROR_NO_REPLY) || streq(name, SD_BUS_ERROR_TIMEOUT) || r == -ETIMEDOUT)
                return ctl_fail_as(c, LOCKERCTL_FAILED, "NoReply",
                                   "lockerd did not answer. Try: journalctl -u lockerd");
        if (r == -ECONNRESET || r == -ENOTCONN || streq(name, SD_BUS_ERROR_DISCONNECTED))
                return ctl_fail_as(c, LOCKERCTL_FAILED, "Disconnected", "The bus has closed the connection.");
        if (streq(name, SD_BUS_ERROR_ACCESS_DENIED) ||
            streq(name, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED))
                return ctl_fail_as(c, LOCKERCTL_NOT_ALLOWED, "AccessDenied",
                                   "You may not do that. Operators are in the group lockerd-admin, "
                                   "terminals in lockerd-kiosk.");
        /* For an object that does not exist the bus returns its own error: map it. */
        if (what && (streq(name, SD_BUS_ERROR_UNKNOWN_OBJECT) || streq(name, SD_BUS_ERROR_UNKNOWN_METHOD) ||
                     streq(name, SD_BUS_ERROR_UNKNOWN_INTERFACE)))
                return ctl_fail(c, LOCKERCTL_UNKNOWN, "There is no %s in this cabinet. See: lockerctl %.*ss",
                                what, (int)strcspn(what, " "), what);
        if (streq(name, SD_BUS_ERROR_INVALID_ARGS))
                return ctl_fail_as(c, LOCKERCTL_USAGE, "InvalidArgument", message);
        return ctl_fail(c, LOCKERCTL_FAILED, "The request failed: %s", message);
}

int ctl_done(const Ctl *c, json_t *object, const char *format, ...) {
        va_list ap;

        if (c->json)
                return json_print(c, object, false);
        json_decref(object);
        va_start(ap, format);
        vprintf(format, ap);
        va_end(ap);
        putchar('\n');
        return 0;
}

int json_print(const Ctl *c, json_t *object, bool line) {
        if (!object)
                return LOCKERCTL_FAILED;
        int r = json_dumpf(object, stdout,
                           (line ? JSON_COMPACT : JSON_INDENT(2)) | JSON_ENCODE_ANY |
                                   JSON_REAL_PRECISION(12));
        json_decref(object);
        putchar('\n');
        if (line)
                fflush(stdout);
        return r < 0 ? LOCKERCTL_FAILED : 0;
}

char *text_printable(const char *s) {
        char *copy = strdup(s);
        mbstate_t state = {0};

        for (char *p = copy; p && *p;) {
                wchar_t wide;
                size_t n = mbrtowc(&wide, p, MB_CUR_MAX, &state);
                if (n == (size_t)-1 || n == (size_t)-2) {
                        state = (mbstate_t){0};
                        *p++ = '?';
                } else if (!iswprint((wint_t)wide)) {
                        /* not longer than before: no new memory is needed */
                        memset(p, ' ', n);
                        *p = '?';
                        p += n;
                } else
                        p += n;
        }
        return copy;
}

const char *time_text(int64_t usec, char buffer[TIME_TEXT_MAX]) {
        time_t t = (time_t)(usec / (int64_t)USEC_PER_SEC);
        struct tm tm;

        buffer[0] = 0;
        if (usec > 0 && localtime_r(&t, &tm))
                strftime(buffer, TIME_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm);
        return buffer;
}
