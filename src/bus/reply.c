/* SPDX-License-Identifier: Apache-2.0 */
/* Answering: results of use cases become replies or errors here, so that one refusal has one name wherever it
 * comes from. */
#include "bus/reply.h"
#include "bus/bus_struct.h"
#include "bus/cleanup.h"
#include "bus/names.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

int bus_failure(sd_bus_error *e, sd_bus_message *m, int result, const char *detail) {
        char name[128];
        Refusal refusal = result == 0 || result >= REFUSAL_MAX ? LOCKER_E_INTERNAL : refusal_of(result);

        if (result < 0)
                detail = refusal_why(result);
        /* The only place where the fault of a call is logged; callers get no details. */
        if (result < 0 && !detail)
                log_error_errno(result, "%s.%s failed", sd_bus_message_get_interface(m),
                                sd_bus_message_get_member(m));
        (void)snprintf(name, sizeof(name), BUS_ERROR_PREFIX "%s", refusal_name(refusal));
        return sd_bus_error_set(e, name, detail && *detail ? detail : refusal_sentence(refusal));
}

void bus_reply_failure(sd_bus_message *m, int result, const char *detail) {
        _cleanup_error_ sd_bus_error e = SD_BUS_ERROR_NULL;

        (void)bus_failure(&e, m, result, detail);
        (void)sd_bus_reply_method_error(m, &e);
}

int bus_reply_result(sd_bus_message *m, int result, sd_bus_error *e) {
        if (result != 0)
                return bus_failure(e, m, result, NULL);
        return sd_bus_reply_method_return(m, NULL);
}

int call_new(Bus *b, sd_bus_message *m, CallAppend append, bool secret, Call **ret) {
        Call *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (Call){.bus = b,
                    .message = sd_bus_message_ref(m),
                    .append = append,
                    .secret = secret,
                    .next = b->calls};
        if (c->next)
                c->next->previous = c;
        b->calls = c;
        *ret = c;
        return 0;
}

static void call_unlink(Call *c) {
        if (c->previous)
                c->previous->next = c->next;
        else
                c->bus->calls = c->next;
        if (c->next)
                c->next->previous = c->previous;
}

static int call_send(Call *c, const LockerAnswer *a) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(c->message, &reply);
        if (r >= 0 && c->secret)
                r = sd_bus_message_sensitive(reply);
        if (r >= 0 && c->append)
                r = c->append(c->bus, a, reply);
        if (r >= 0)
                r = sd_bus_message_send(reply);
        return r < 0 ? r : 0;
}

void call_answer(void *userdata, const LockerAnswer *a) {
        Call *c = userdata;

        if (c->bus) {
                int r = a->result;

                call_unlink(c);
                if (r == 0)
                        r = call_send(c, a);
                /* The caller may have disconnected: the bus then drops the reply. */
                if (r != 0 && r != -ENOTCONN)
                        bus_reply_failure(c->message, r, a->detail);
                sd_bus_message_unref(c->message);
        }
        free(c);
}

unsigned calls_cancel_enrolments(Bus *b, const char *name) {
        unsigned n = 0;

        for (Call *c = b->calls, *next; c; c = next) {
                next = c->next; /* the answer comes from inside, and frees this one alone */
                const char *sender = sd_bus_message_get_sender(c->message);
                if (c->enrols && sender && streq(sender, name) && locker_cancel_enrolment(b->locker, c))
                        n++;
        }
        return n;
}

/* The locker will still give these answers; they are dropped. */
void calls_abandon(Bus *b) {
        while (b->calls) {
                Call *c = b->calls;

                b->calls = c->next;
                c->message = sd_bus_message_unref(c->message);
                c->bus = NULL;
                c->previous = c->next = NULL;
        }
}
