/* SPDX-License-Identifier: Apache-2.0 */
/* Lockouts after wrong codes, PINs and passwords. */
#include "ctl/session.h"
#include "ctl/table.h"

static int list_lockouts(Ctl *c) {
        static const char *const headings[] = {"SUBJECT", ">WRONG IN A ROW", "LOCKED", NULL};
        _cleanup_(table_freep) Table *table = table_new(headings);
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_t *list = json_array();
        const char *subject;
        uint64_t seconds;
        uint32_t failures;

        int status = ctl_call(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "ListLockouts", NULL, &reply, "");
        if (status)
                return status;
        int r = sd_bus_message_enter_container(reply, 'a', "(sut)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(sut)", &subject, &failures, &seconds)) > 0) {
                json_array_append_new(list,
                                      json_pack("{s:s, s:I, s:I}", "subject", subject, "failures",
                                                (json_int_t)failures, "locked_seconds", (json_int_t)seconds));
                table_cell(table, STYLE_PLAIN, "%s", subject);
                table_cell(table, STYLE_PLAIN, "%u", failures);
                if (seconds)
                        table_cell(table, STYLE_RED, "for %llu min %02llu s",
                                   (unsigned long long)seconds / 60, (unsigned long long)seconds % 60);
                else
                        table_cell(table, STYLE_DIM, "no");
        }
        if (r < 0)
                return ctl_bad_reply(c, r);
        if (c->json)
                return json_print(c, steal_ptr(list), false);
        if (!json_array_size(list)) {
                if (!c->no_legend)
                        puts("There are no lockouts and no failed attempts.");
                return 0;
        }
        return table_print(c, table);
}

/* A courier at the terminal lifts the lockout of codes of this terminal only, without an operator. */
static int lift_as_courier(Ctl *c, const Args *a) {
        _cleanup_session_ Session s = {.typed_fd = -1};

        if (args_has(a, "reason"))
                return ctl_usage(c, a, "With --courier no reason is needed: the courier is the reason.");
        if (a->n_words > 1)
                return ctl_usage(c, a,
                                 "A courier lifts the lockout of this terminal; \"%s\" is for operators.",
                                 a->words[1]);
        int status = session_sign_in(c, a, &s);
        if (status)
                return status;
        status = session_call(&s, "LiftLockout", NULL);
        session_end(&s);
        return status ? status
                      : ctl_done(c,
                                 json_pack("{s:s, s:s}", "done", "lockout lift", "courier",
                                           args_get(a, "courier")),
                                 "The lockout of codes at this terminal is lifted.");
}

static int run_lockout(Ctl *c, const Args *a) {
        _cleanup_free_ char *reason = NULL;
        const char *subject = a->n_words > 1 ? a->words[1] : "*";

        if (!a->n_words || streq(a->words[0], "list")) {
                if (args_has(a, "reason") || args_has(a, "courier"))
                        return ctl_usage(c, a, "A reason or a courier is for \"lockout lift\".");
                return a->n_words > 1 ? ctl_usage(c, a, "\"%s\" is one word too many.", a->words[1])
                                      : list_lockouts(c);
        }
        if (!streq(a->words[0], "lift"))
                return ctl_usage(c, a, "\"%s\" is neither \"list\" nor \"lift\".", a->words[0]);
        if (args_has(a, "courier"))
                return lift_as_courier(c, a);
        int status = args_reason(c, a, &reason);
        if (!status)
                status = ctl_call(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "LiftLockout", NULL, NULL, "ss",
                                  subject, reason);
        return status ? status
                      : ctl_done(c, json_pack("{s:s, s:s}", "done", "lockout lift", "subject", subject), "%s",
                                 streq(subject, "*") ? "All locks are lifted." : "The lock is lifted.");
}

static const Option lockout_options[] = {
        {"reason", 'r', "TEXT", "Why, for the audit trail (asked for on a terminal)"},
        COURIER_OPTION,
        SECRET_OPTIONS,
        {NULL, 0, NULL, NULL},
};

const Verb verb_lockout = {
        .name = "lockout",
        .usage = "[list] | lift [SUBJECT] --reason TEXT | lift --courier NUMBER",
        .summary = "List and lift lockouts after wrong codes and PINs",
        .details = "SUBJECT is one from the list; without one, all lockouts are lifted. A courier at the "
                   "terminal "
                   "lifts the lock on codes there; for that no operator is needed.",
        .options = lockout_options,
        .max_words = 2,
        .run = run_lockout,
};
