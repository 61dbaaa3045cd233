/* SPDX-License-Identifier: Apache-2.0 */
/* A recipient at the terminal. */
#include "ctl/codes.h"
#include "ctl/session.h"
#include "ctl/table.h"

#include "base/text.h"

static const SessionKey collect_keys[] = {
        {'a', "accept", "Accept", false},
        {'r', "reject (put it back first)", "Reject", false},
        {'d', "does not open", "DoesNotOpen", true},
        {'o', "open again", "Reopen", true},
        {0, NULL, NULL, false},
};

static int identify(Ctl *c, const Args *a, Session *s) {
        _cleanup_secrets_ Secrets secrets = {.fd = -1};
        _cleanup_erase_ char *secret = NULL;
        const char *phone = args_get(a, "phone"), *code = args_get(a, "code");

        if (phone && (code || args_has(a, "slot") || args_has(a, "phone-tail")))
                return ctl_usage(
                        c, a,
                        "--phone goes with a password; --code, --slot and --phone-tail go with a code.");
        int status = secrets_open(c, a, &secrets);
        if (status)
                return status;
        if (code)
                secret = strdup(code);
        else
                status = secrets_ask(c, &secrets, phone ? "Password" : "Pickup code", false, &secret);
        if (!status && !secret)
                status = ctl_oom(c);
        if (!status)
                status = session_start(c, "recipient", s);
        if (status)
                return status;
        if (phone) {
                const char *const evidence[] = {"phone", phone, "password", secret, NULL};
                return session_authenticate(s, "password", evidence);
        }
        code_ungroup(secret);
        const char *slot = args_get(a, "slot"), *tail = args_get(a, "phone-tail");
        const char *const evidence[] = {"code", secret, "slot", slot, "phone_tail", tail, NULL};
        return session_authenticate(s, "code", evidence);
}

static int collect(Session *s, uint64_t parcel, bool wait) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *slot, *prompt;
        uint32_t position;
        char path[64] = "/";

        if (parcel)
                snprintf(path, sizeof(path), LOCKERD_PATH_PARCEL "/%llu", (unsigned long long)parcel);
        int status = ctl_call(s->ctl, s->path, LOCKERD_INTERFACE_SESSION, "Collect", NULL, &reply, "o", path);
        if (status)
                return status;
        int r = sd_bus_message_read(reply, "sus", &slot, &position, &prompt);
        if (r < 0)
                return ctl_bad_reply(s->ctl, r);
        snprintf(s->slot, sizeof(s->slot), "%s", slot);
        s->position = position;
        if (s->ctl->json)
                return json_print(s->ctl,
                                  json_pack("{s:s, s:s, s:I, s:s}", "event", "opened", "slot", slot,
                                            "position", (json_int_t)position, "sentence", prompt),
                                  true);
        /* the next prompt tells the user what to do */
        _cleanup_free_ char *shown = text_printable(wait ? "" : prompt);
        printf("%sSlot %s, position %u is open.%s%s%s\n", style_on(s->ctl, STYLE_BOLD), slot, position,
               style_off(s->ctl, STYLE_BOLD), shown && *shown ? " " : "", shown ? shown : "");
        fflush(stdout);
        return 0;
}

static int run_collect(Ctl *c, const Args *a) {
        static const char *const accepted[] = {"collected", NULL}, *const rejected[] = {"rejected", NULL},
                                 *const either[] = {"collected", "rejected", NULL},
                                 *const all[] = {"collected",  "rejected",     "stored",
                                                 "unverified", "did-not-open", NULL};
        _cleanup_session_ Session s = {.typed_fd = -1};
        bool accept = args_has(a, "accept"), reject = args_has(a, "reject");
        uint64_t parcel = 0, until = 0;
        int status = 0;

        if (accept && reject)
                return ctl_usage(c, a, "--accept and --reject exclude each other.");
        if (args_has(a, "parcel"))
                status =
                        parse_number(c, "the number of a parcel", args_get(a, "parcel"), UINT64_MAX, &parcel);
        if (!status)
                status = session_patience(c, a, &until);
        if (!status)
                status = identify(c, a, &s);
        if (!status)
                status = collect(&s, parcel, !args_has(a, "no-wait"));
        if (status)
                return status;
        s.keys = collect_keys;
        s.good_ends = accept ? accepted : reject ? rejected : either;
        s.bad_ends = all;
        s.offers_reopen = true;
        s.until = until;
        s.typed_fd = session_typed_fd(a);
        if (accept || reject) {
                /* Both are possible while the door is still open; they take effect when it is shut. */
                s.on_choose = accept ? "Accept" : "Reject";
                status = session_call(&s, s.on_choose, NULL);
                if (status)
                        return status;
        }
        if (!args_has(a, "no-wait"))
                status = session_follow(&s, NULL);
        session_end(&s);
        return status;
}

static const Option collect_options[] = {
        {"code", 0, "CODE", "The pickup code; others may see it here, so better let it be asked for"},
        {"slot", 0, "SLOT", "With the code: the slot, where codes are digits only"},
        {"phone-tail", 0, "DIGITS", "With the code: the last four digits of the phone number instead"},
        {"phone", 0, "PHONE", "Identify by phone number and password; the password is asked for"},
        {"parcel", 0, "PARCEL", "This one, when several are waiting"},
        {"accept", 0, NULL, "Keep the item, without asking"},
        {"reject", 0, NULL, "Give the item back, without asking"},
        PATIENCE_OPTIONS,
        SECRET_OPTIONS,
        {NULL, 0, NULL, NULL},
};

const Verb verb_collect = {
        .name = "collect",
        .usage = "[--code CODE | --phone PHONE] [OPTION...]",
        .summary = "Collect a parcel, as a recipient at the cabinet",
        .details = "Opens the slot and only the position of this parcel, then waits until the door is shut. "
                   "Meanwhile a letter and Enter: a accept, r reject (after putting the item back), d does "
                   "not open, o open again. On a terminal the door can be opened again for a while after the "
                   "end, too.\n"
                   "Exits with 12 when it is not completed. With --json: one object a line.",
        .options = collect_options,
        .run = run_collect,
};
