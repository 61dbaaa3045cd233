/* SPDX-License-Identifier: Apache-2.0 */
/* Showing parcels, and the operator's actions on them. */
#include "ctl/codes.h"
#include "ctl/table.h"

static const char *parcel_time(const json_t *parcel, const char *key, char buffer[TIME_TEXT_MAX]) {
        return time_text((int64_t)json_number(parcel, key), buffer);
}

static void parcel_place(const json_t *parcel, char *buffer, size_t size) {
        const char *slot = json_text(parcel, "slot");
        buffer[0] = 0;
        if (*slot)
                snprintf(buffer, size, "%s/%llu", slot, (unsigned long long)json_number(parcel, "position"));
}

static Style state_style(const json_t *parcel) {
        const char *state = json_text(parcel, "state");
        if (streq(state, "unverified"))
                return STYLE_RED;
        if (streq(state, "depositing") || streq(state, "collecting"))
                return STYLE_YELLOW;
        return STYLE_PLAIN;
}

static int print_parcels(const Ctl *c, const json_t *parcels) {
        static const char *const headings[] = {">PARCEL",  "STATE",       "PLACE",     "~SIZE",
                                               "~STORED",  "VALID UNTIL", "RECIPIENT", "PHONE",
                                               "~COURIER", "~WAYBILL",    NULL};
        _cleanup_(table_freep) Table *table = table_new(headings);
        const json_t *parcel;
        size_t i;

        json_array_foreach(parcels, i, parcel) {
                char place[64], buffer[TIME_TEXT_MAX];
                bool expired = json_flag(parcel, "expired");
                parcel_place(parcel, place, sizeof(place));
                table_cell(table, STYLE_BOLD, "%llu", (unsigned long long)json_number(parcel, "id"));
                table_cell(table, state_style(parcel), "%s", json_text(parcel, "state"));
                table_cell(table, STYLE_PLAIN, "%s", place);
                table_cell(table, STYLE_PLAIN, "%s", json_text(parcel, "size"));
                /* minutes are enough in a list */
                table_cell(table, STYLE_PLAIN, "%.16s", parcel_time(parcel, "stored_usec", buffer));
                table_cell(table, expired ? STYLE_YELLOW : STYLE_PLAIN, "%.16s%s",
                           parcel_time(parcel, "expires_usec", buffer), expired ? " over" : "");
                table_cell(table, STYLE_PLAIN, "%s", json_text(parcel, "recipient"));
                table_cell(table, STYLE_PLAIN, "%s", json_text(parcel, "phone"));
                table_cell(table, STYLE_PLAIN, "%s", json_text(parcel, "courier"));
                table_cell(table, STYLE_PLAIN, "%s", json_text(parcel, "waybill"));
        }
        int status = table_print(c, table);
        if (!status && !c->no_legend && !json_array_size(parcels))
                puts("No parcels.");
        return status;
}

static int run_parcels(Ctl *c, const Args *a) {
        _cleanup_snapshot_ Snapshot s = {0};

        int status = snapshot_read(c, false, &s);
        if (status)
                return status;
        return c->json ? json_print(c, json_incref(s.parcels), false) : print_parcels(c, s.parcels);
}

const Verb verb_parcels = {
        .name = "parcels",
        .summary = "List the parcels that are announced or inside",
        .run = run_parcels,
};

static void print_fact(const Ctl *c, const char *heading, const char *text) {
        _cleanup_free_ char *shown = text_printable(text);
        if (*text)
                printf("%s%11s%s  %s\n", style_on(c, STYLE_BOLD), heading, style_off(c, STYLE_BOLD),
                       shown ? shown : "");
}

static int print_parcel(const Ctl *c, json_t *parcel) {
        _cleanup_json_ json_t *owned = parcel;
        char place[64], id[32], state[96], buffer[TIME_TEXT_MAX];

        if (!parcel)
                return ctl_oom(c);
        if (c->json)
                return json_print(c, steal_ptr(owned), false);
        parcel_place(parcel, place, sizeof(place));
        snprintf(id, sizeof(id), "%llu", (unsigned long long)json_number(parcel, "id"));
        snprintf(state, sizeof(state), "%s%s", json_text(parcel, "state"),
                 json_flag(parcel, "expired") ? ", no longer to be collected: its time is over" : "");
        print_fact(c, "Parcel", id);
        print_fact(c, "State", state);
        print_fact(c, "Place", place);
        print_fact(c, "Size", json_text(parcel, "size"));
        print_fact(c, "Stored", parcel_time(parcel, "stored_usec", buffer));
        print_fact(c, "Valid until", parcel_time(parcel, "expires_usec", buffer));
        print_fact(c, "Recipient", json_text(parcel, "recipient"));
        print_fact(c, "Phone", json_text(parcel, "phone"));
        print_fact(c, "Courier", json_text(parcel, "courier"));
        print_fact(c, "Waybill", json_text(parcel, "waybill"));
        return 0;
}

/* An ended parcel has no object; its facts come from the history. */
static int run_parcel(Ctl *c, const Args *a) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_snapshot_ Snapshot s = {0};
        _cleanup_json_ json_t *facts = NULL;
        uint64_t id = 0;
        json_t *parcel;
        size_t i;

        int status = parse_number(c, "the number of a parcel", a->words[0], UINT64_MAX, &id);
        if (!status)
                status = snapshot_read(c, false, &s);
        if (status)
                return status;
        json_array_foreach(s.parcels, i, parcel) {
                if (json_number(parcel, "id") == id)
                        return print_parcel(c, json_incref(parcel));
        }
        status = ctl_call(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "FindHistory", NULL, &reply, "t", id);
        if (status)
                return status;
        int r = json_from_bus(reply, &facts);
        return r < 0 ? ctl_bad_reply(c, r) : print_parcel(c, parcel_to_json(facts));
}

const Verb verb_parcel = {
        .name = "parcel",
        .usage = "PARCEL",
        .summary = "Show one parcel, also one that has ended",
        .min_words = 1,
        .max_words = 1,
        .run = run_parcel,
};

static int parcel_call(Ctl *c, const Args *a, const char *member, uint64_t *ret_id, sd_bus_message **ret) {
        _cleanup_free_ char *reason = NULL;
        char path[64], what[64];

        int status = parse_number(c, "the number of a parcel", a->words[0], UINT64_MAX, ret_id);
        if (!status)
                status = args_reason(c, a, &reason);
        if (status)
                return status;
        snprintf(path, sizeof(path), LOCKERD_PATH_PARCEL "/%llu", (unsigned long long)*ret_id);
        snprintf(what, sizeof(what), "parcel %llu", (unsigned long long)*ret_id);
        return ctl_call(c, path, LOCKERD_INTERFACE_PARCEL, member, what, ret, "s", reason);
}

static int run_recall(Ctl *c, const Args *a) {
        uint64_t id = 0;

        int status = parcel_call(c, a, "Recall", &id, NULL);
        return status ? status
                      : ctl_done(c, json_pack("{s:s, s:I}", "done", "recall", "parcel", (json_int_t)id),
                                 "Parcel %llu is recalled: the next courier takes it out.",
                                 (unsigned long long)id);
}

static int run_release(Ctl *c, const Args *a) {
        uint64_t id = 0;

        int status = parcel_call(c, a, "Release", &id, NULL);
        return status ? status
                      : ctl_done(c, json_pack("{s:s, s:I}", "done", "release", "parcel", (json_int_t)id),
                                 "Parcel %llu has ended; its place is free.", (unsigned long long)id);
}

static int run_new_code(Ctl *c, const Args *a) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *code = NULL;
        char shown[CODE_TEXT_MAX];
        uint64_t id = 0;

        int status = parcel_call(c, a, "NewCode", &id, &reply);
        if (status)
                return status;
        int r = sd_bus_message_read(reply, "s", &code);
        if (r < 0)
                return ctl_bad_reply(c, r);
        return ctl_done(
                c, json_pack("{s:s, s:I, s:s}", "done", "new-code", "parcel", (json_int_t)id, "code", code),
                "The code of parcel %llu is now %s%s%s. The old one is void.", (unsigned long long)id,
                style_on(c, STYLE_BOLD), code_grouped(code, shown), style_off(c, STYLE_BOLD));
}

const Verb verb_recall = {
        .name = "recall",
        .usage = "PARCEL --reason TEXT",
        .summary = "Have a courier take a parcel out",
        .details = "The recipient can no longer collect it.",
        .options = reason_options,
        .min_words = 1,
        .max_words = 1,
        .run = run_recall,
};

const Verb verb_new_code = {
        .name = "new-code",
        .usage = "PARCEL --reason TEXT",
        .summary = "Make a new pickup code; the old one is void",
        .options = reason_options,
        .min_words = 1,
        .max_words = 1,
        .run = run_new_code,
};

const Verb verb_release = {
        .name = "release",
        .usage = "PARCEL --reason TEXT",
        .summary = "Cancel a parcel that is announced or reserved",
        .details = "One in a slot that the cabinet no longer has ends as returned: take it out first.",
        .options = reason_options,
        .min_words = 1,
        .max_words = 1,
        .run = run_release,
};
