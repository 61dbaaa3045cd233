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

/* What is shown with a claim; also the name of its evidence. */
static const struct {
        const char *name, *question; /* NULL: the cabinet's reader takes it */
} kinds[] = {
        {"password", "Password"},
        {"pattern", "Pattern (nodes 0 to 8, rows from the top left)"},
        {"card", "Scan the card"},
        {"fingerprint", NULL},
};

/* The kind of credential that is shown; -1: a code; -2: reported. */
static int kind_of(Ctl *c, const Args *a) {
        bool claim = args_has(a, "phone") || args_has(a, "waybill");
        int kind = -1;

        for (int k = 0; k < (int)ARRAY_SIZE(kinds); k++) {
                if (!args_has(a, kinds[k].name))
                        continue;
                if (kind >= 0) {
                        (void)ctl_usage(c, a, "--%s and --%s exclude each other.", kinds[kind].name,
                                        kinds[k].name);
                        return -2;
                }
                kind = k;
        }
        if (kind < 0 && claim)
                kind = 0;
        if (kind >= 0 && (args_has(a, "code") || args_has(a, "slot"))) {
                (void)ctl_usage(c, a, "--code and --slot go with a code, not with a %s.", kinds[kind].name);
                return -2;
        }
        return kind;
}

/* Exactly one; --parcel is one where no other is given. */
static int check_claim(Ctl *c, const Args *a, int kind) {
        int n = args_has(a, "phone") + args_has(a, "phone-tail") + args_has(a, "waybill");

        if (n > 1)
                return ctl_usage(c, a, "--phone, --phone-tail and --waybill exclude each other.");
        return n || args_has(a, "parcel")
                       ? 0
                       : ctl_usage(c, a, "Whose %s? --phone, --phone-tail, --waybill or --parcel.",
                                   kinds[kind].name);
}

static int show_credential(Session *s, const Args *a, int kind, uint64_t parcel, const char *secret) {
        const char *phone = args_get(a, "phone"), *tail = args_get(a, "phone-tail"),
                   *waybill = args_get(a, "waybill");
        const char *const evidence[] = {kinds[kind].name, secret,  "phone", phone, "phone_tail", tail,
                                        "waybill",        waybill, NULL};

        if (!kinds[kind].question && !s->ctl->json)
                fputs("At the cabinet: put the finger on the reader.\n", stderr);
        return session_authenticate_of(s, kinds[kind].name, evidence, phone || tail || waybill ? 0 : parcel);
}

static int identify(Ctl *c, const Args *a, uint64_t parcel, Session *s) {
        _cleanup_secrets_ Secrets secrets = {.fd = -1};
        _cleanup_erase_ char *secret = NULL;
        const char *code = args_get(a, "code");
        int kind = kind_of(c, a), status = kind < -1 ? LOCKERCTL_USAGE : 0;

        if (!status && kind >= 0)
                status = check_claim(c, a, kind);
        if (!status)
                status = secrets_open(c, a, &secrets);
        if (status)
                return status;
        if (code)
                secret = strdup(code);
        else if (kind < 0 || kinds[kind].question)
                status = secrets_ask(c, &secrets, kind < 0 ? "Pickup code" : kinds[kind].question, false,
                                     &secret);
        if (!status && code && !secret)
                status = ctl_oom(c);
        if (!status)
                status = session_start(c, "recipient", s);
        if (status)
                return status;
        if (kind >= 0)
                return show_credential(s, a, kind, parcel, secret);
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
                status = identify(c, a, parcel, &s);
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
        {"phone-tail", 0, "DIGITS",
         "The last digits of the phone number: four with a code, four or more with the below"},
        {"phone", 0, "PHONE", "Identify by phone number and, unless another is named, a password"},
        {"waybill", 0, "WAYBILL", "Identify by the waybill, likewise"},
        {"password", 0, NULL, "Ask for the password of whoever is claimed by phone, waybill or parcel"},
        {"pattern", 0, NULL, "Ask for the drawn pattern, likewise"},
        {"card", 0, NULL, "Ask for the card: scan it, or type what it says"},
        {"fingerprint", 0, NULL, "Have the cabinet's reader take a finger"},
        {"parcel", 0, "PARCEL",
         "This one, when several are waiting; and whose it is, if nothing else says so"},
        {"accept", 0, NULL, "Keep the item, without asking"},
        {"reject", 0, NULL, "Give the item back, without asking"},
        PATIENCE_OPTIONS,
        SECRET_OPTIONS,
        {NULL, 0, NULL, NULL},
};

const Verb verb_collect = {
        .name = "collect",
        .usage = "[--code CODE | --phone PHONE | --phone-tail DIGITS --pattern | ...] [OPTION...]",
        .summary = "Collect a parcel, as a recipient at the cabinet",
        .details = "Opens the slot and only the position of this parcel, then waits until the door is shut. "
                   "Meanwhile a letter and Enter: a accept, r reject (after putting the item back), d does "
                   "not open, o open again. On a terminal the door can be opened again for a while after the "
                   "end, too.\n"
                   "Exits with 12 when it is not completed. With --json: one object a line.",
        .options = collect_options,
        .run = run_collect,
};
