/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/session.h"

#include "base/clock.h"
#include "base/text.h"

int session_start(Ctl *c, const char *kind, Session *ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *path = NULL;

        int status =
                ctl_call(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "StartSession", NULL, &reply, "s", kind);
        if (status)
                return status;
        int r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return ctl_bad_reply(c, r);
        *ret = (Session){.ctl = c, .path = strdup(path), .typed_fd = -1, .status = LOCKERCTL_NOT_FINISHED};
        if (!ret->path)
                return ctl_oom(c);
        r = session_listen(ret, sd_bus_message_get_sender(reply));
        return r < 0 ? ctl_fail_bus(c, NULL, r, NULL) : 0;
}

int session_sign_in(Ctl *c, const Args *a, Session *ret) {
        _cleanup_secrets_ Secrets secrets = {.fd = -1};
        _cleanup_erase_ char *pin = NULL;
        const char *number = args_get(a, "courier");

        if (!number)
                return ctl_usage(c, a, "Which courier? --courier NUMBER.");
        int status = secrets_open(c, a, &secrets);
        if (!status)
                status = secrets_ask(c, &secrets, "PIN", false, &pin);
        if (!status)
                status = session_start(c, "courier", ret);
        if (status)
                return status;
        const char *const evidence[] = {"number", number, "pin", pin, NULL};
        return session_authenticate(ret, "courier-pin", evidence);
}

int session_patience(Ctl *c, const Args *a, uint64_t *ret_until) {
        const char *text = args_get(a, "timeout");
        uint64_t seconds = 0;

        if (!text)
                return 0;
        if (args_has(a, "no-wait"))
                return ctl_usage(c, a, "--timeout and --no-wait exclude each other.");
        int status = parse_number(c, "a number of seconds from 1 to 86400", text, 86400, &seconds);
        if (!status && !seconds)
                return ctl_usage(c, a, "--timeout begins at 1; --no-wait does not wait at all.");
        *ret_until = clock_now().boot_usec + seconds * USEC_PER_SEC;
        return status;
}

void session_done(Session *s) {
        sd_bus_slot_unref(s->prompts);
        sd_bus_slot_unref(s->changes);
        sd_bus_slot_unref(s->owner);
        sd_bus_slot_unref(s->place);
        free(s->path);
        *s = (Session){.typed_fd = -1};
}

int session_authenticate_of(Session *s, const char *kind, const char *const *evidence, uint64_t parcel) {
        _cleanup_message_ sd_bus_message *m = NULL;
        Ctl *c = s->ctl;

        int status = ctl_message(c, s->path, LOCKERD_INTERFACE_SESSION, "Authenticate", &m);
        if (status)
                return status;
        int r = sd_bus_message_sensitive(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", kind);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (; r >= 0 && evidence[0]; evidence += 2)
                r = append_string(m, evidence[0], evidence[1]);
        if (r >= 0 && parcel)
                r = append_u64(m, "parcel", parcel);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r < 0)
                return ctl_fail_bus(c, NULL, r, NULL);
        return ctl_send(c, m, CALL_TIMEOUT_USEC, NULL, NULL);
}

int session_authenticate(Session *s, const char *kind, const char *const *evidence) {
        return session_authenticate_of(s, kind, evidence, 0);
}

int session_call(Session *s, const char *member, sd_bus_message **ret) {
        return ctl_call(s->ctl, s->path, LOCKERD_INTERFACE_SESSION, member, NULL, ret, "");
}

void session_end(Session *s) {
        _cleanup_message_ sd_bus_message *reply = NULL;

        (void)sd_bus_call_method(s->ctl->bus, LOCKERD_BUS_NAME, s->path, LOCKERD_INTERFACE_SESSION, "End",
                                 NULL, &reply, "");
}

int session_typed_fd(const Args *a) {
        return args_has(a, "stdin") || isatty(STDIN_FILENO) ? STDIN_FILENO : -1;
}
