/* SPDX-License-Identifier: Apache-2.0 */
/* A courier at the terminal: deposits, and takes back parcels that were rejected, recalled or not
 * collected. */
#include "ctl/codes.h"
#include "ctl/session.h"
#include "ctl/table.h"

#include "base/text.h"

#include <errno.h>

static const SessionKey deposit_keys[] = {
        {'s', "too small", "TooSmall", true},
        {'n', "not empty", "NotEmpty", true},
        {'d', "does not open", "DoesNotOpen", true},
        {'o', "open again", "Reopen", true},
        {'c', "cancel", "Cancel", false},
        {0, NULL, NULL, false},
};

static const SessionKey take_back_keys[] = {
        {'d', "does not open", "DoesNotOpen", true},
        {'o', "open again", "Reopen", true},
        {'c', "no more after this one", "Cancel", false},
        {0, NULL, NULL, false},
};

static int append_request(sd_bus_message *m, const Args *a, uint64_t parcel) {
        static const char *const texts[][2] = {
                {"size", "size"},       {"recipient", "recipient"},     {"phone", "phone"},
                {"waybill", "waybill"}, {"temperature", "temperature"},
        };

        int r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(texts); i++)
                r = append_string(m, texts[i][0], args_get(a, texts[i][1]));
        if (r >= 0 && parcel)
                r = append_u64(m, "parcel", parcel);
        if (r >= 0 && args_has(a, "accessible"))
                r = append_bool(m, "accessible", true);
        if (r >= 0 && args_has(a, "exact"))
                r = append_bool(m, "larger", false);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void fact(const Ctl *c, const char *heading, const char *text) {
        _cleanup_free_ char *shown = text_printable(text);
        if (*text)
                printf("%s%11s%s  %s\n", style_on(c, STYLE_BOLD), heading, style_off(c, STYLE_BOLD),
                       shown ? shown : "");
}

static void print_receipt(const Ctl *c, const Session *s, const json_t *receipt) {
        const char *code = json_text(receipt, "code");
        char grouped[CODE_TEXT_MAX], buffer[TIME_TEXT_MAX], text[512];
        const json_t *credentials = json_object_get(receipt, "credentials"), *kind;
        size_t i;

        snprintf(text, sizeof(text), "slot %s, position %u", s->slot, s->position);
        printf("\n%s%s  Put the item into %s.%s\n\n", style_on(c, STYLE_BOLD),
               c->utf8 ? "          →" : "         ->", text, style_off(c, STYLE_BOLD));
        if (*code)
                fact(c, "Pickup code", code_grouped(code, grouped));
        text[0] = 0;
        json_array_foreach(credentials, i, kind) {
                size_t n = strlen(text);
                snprintf(text + n, sizeof(text) - n, "%s%s", n ? " or " : "", json_string_value(kind));
        }
        fact(c, *code ? "Also with" : "Pickup with", text);
        fact(c, "Valid until", time_text((int64_t)json_number(receipt, "expires_usec"), buffer));
        snprintf(text, sizeof(text), "%llu", (unsigned long long)json_number(receipt, "parcel"));
        fact(c, "Parcel", text);
        snprintf(text, sizeof(text), "%s  %s", json_text(receipt, "cabinet"), json_text(receipt, "name"));
        fact(c, "Cabinet", text);
        fact(c, "Address", json_text(receipt, "address"));
        putchar('\n');
        fflush(stdout);
}

static int read_deposit(Session *s, sd_bus_message *reply, json_t **ret) {
        const char *slot = NULL, *object = NULL;
        _cleanup_json_ json_t *receipt = NULL;
        uint32_t position = 0;

        int r = sd_bus_message_read(reply, "suo", &slot, &position, &object);
        if (r >= 0)
                r = json_from_bus(reply, &receipt);
        if (r < 0)
                return ctl_bad_reply(s->ctl, r);
        snprintf(s->slot, sizeof(s->slot), "%s", slot);
        s->position = position;
        int64_t expires = (int64_t)json_number(receipt, "expires");
        if (json_set_time(receipt, "expires", expires) < 0)
                return ctl_oom(s->ctl);
        json_t *event = json_pack("{s:s}", "event", "receipt");
        if (json_object_update(event, receipt) < 0) {
                json_decref(event);
                return ctl_oom(s->ctl);
        }
        *ret = event;
        return 0;
}

static int run_deposit(Ctl *c, const Args *a) {
        static const char *const good_ends[] = {"stored", NULL}, *const bad_ends[] = {"cancelled",
                                                                                      "unverified", NULL};
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_session_ Session s = {.typed_fd = -1};
        _cleanup_json_ json_t *receipt = NULL;
        uint64_t parcel = 0, until = 0;
        int status = 0;

        if (args_has(a, "parcel"))
                status =
                        parse_number(c, "the number of a parcel", args_get(a, "parcel"), UINT64_MAX, &parcel);
        if (!status && !args_has(a, "size") && !parcel)
                status = ctl_usage(c, a, "How large is the item? --size SIZE.");
        if (!status)
                status = session_patience(c, a, &until);
        if (!status)
                status = session_sign_in(c, a, &s);
        if (!status)
                status = ctl_message(c, s.path, LOCKERD_INTERFACE_SESSION, "Deposit", &m);
        if (status)
                return status;
        int r = append_request(m, a, parcel);
        if (r < 0)
                return r == -EINVAL ? ctl_fail(c, LOCKERCTL_USAGE, "A value is not valid UTF-8 text.")
                                    : ctl_fail_bus(c, NULL, r, NULL);
        status = ctl_send(c, m, CALL_TIMEOUT_USEC, NULL, &reply);
        if (!status)
                status = read_deposit(&s, reply, &receipt);
        if (status)
                return status;
        if (c->json)
                json_print(c, json_incref(receipt), true);
        else
                print_receipt(c, &s, receipt);
        if (!args_has(a, "no-wait")) {
                s.keys = deposit_keys;
                s.good_ends = good_ends;
                s.bad_ends = bad_ends;
                s.offers_reopen = true;
                s.until = until;
                s.typed_fd = session_typed_fd(a);
                status = session_follow(&s, "Cancel");
        }
        session_end(&s);
        return status;
}

static const Option deposit_options[] = {
        COURIER_OPTION,
        {"size", 0, "SIZE", "Size of the item; \"lockerctl status\" lists them"},
        {"recipient", 0, "NAME", "The recipient's name"},
        {"phone", 0, "PHONE", "The recipient's phone number"},
        {"waybill", 0, "NUMBER", "The waybill's number"},
        {"parcel", 0, "PARCEL", "This parcel, which was announced before"},
        {"accessible", 0, NULL, "A low slot, for a recipient who cannot reach a high one"},
        {"temperature", 0, "CLASS", "ambient, chilled or frozen"},
        {"exact", 0, NULL, "No larger position than asked for"},
        PATIENCE_OPTIONS,
        SECRET_OPTIONS,
        {NULL, 0, NULL, NULL},
};

const Verb verb_deposit = {
        .name = "deposit",
        .usage = "--courier NUMBER --size SIZE [OPTION...]",
        .summary = "Deposit a parcel, as a courier at the cabinet",
        .details = "Opens a free position, says where to put the item and what the pickup code is, and waits "
                   "until the door is shut. Meanwhile a letter and Enter: s too small, n not empty, d does "
                   "not open, o open again, c cancel; Ctrl-C cancels too. On a terminal the door can be "
                   "opened again for a while after the end.\n"
                   "Exits with 12 when the parcel is not stored in the end. With --json: one object a line, "
                   "first the receipt, then the prompts.",
        .options = deposit_options,
        .run = run_deposit,
};

static int print_take_back(const Ctl *c, sd_bus_message *reply) {
        const char *object, *slot;
        uint32_t position;

        int r = sd_bus_message_enter_container(reply, 'a', "(osu)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(osu)", &object, &slot, &position)) > 0) {
                const char *slash = strrchr(object, '/'), *id = slash ? slash + 1 : object;
                if (c->json)
                        json_print(c,
                                   json_pack("{s:s, s:I, s:s, s:I}", "event", "parcel", "parcel",
                                             (json_int_t)atoll(id), "slot", slot, "position",
                                             (json_int_t)position),
                                   true);
                else
                        printf("Parcel %s: slot %s, position %u\n", id, slot, position);
        }
        fflush(stdout);
        return r < 0 ? ctl_bad_reply(c, r) : 0;
}

static int run_take_back(Ctl *c, const Args *a) {
        static const char *const good_ends[] = {"done", NULL};
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_session_ Session s = {.typed_fd = -1};

        uint64_t until = 0;

        int status = session_patience(c, a, &until);
        if (!status)
                status = session_sign_in(c, a, &s);
        if (!status)
                status = session_call(&s, "TakeBack", &reply);
        if (!status)
                status = print_take_back(c, reply);
        if (status)
                return status;
        s.keys = take_back_keys;
        s.good_ends = good_ends;
        s.until = until;
        s.typed_fd = session_typed_fd(a);
        status = session_follow(&s, "Cancel");
        session_end(&s);
        return status;
}

static const Option take_back_options[] = {
        COURIER_OPTION,
        {"timeout", 0, "SECONDS", "Exit with status 12 after SECONDS"},
        SECRET_OPTIONS,
        {NULL, 0, NULL, NULL},
};

const Verb verb_take_back = {
        .name = "take-back",
        .usage = "--courier NUMBER",
        .summary = "Take out all rejected, recalled and expired parcels, as a courier",
        .details = "The doors open one after the other, the next when the last is shut. Meanwhile a letter "
                   "and Enter: d does not open, o open again, c no more after this one (Ctrl-C too).\n"
                   "Exits with 12 when not all was taken out. With --json: one object a line.",
        .options = take_back_options,
        .run = run_take_back,
};
