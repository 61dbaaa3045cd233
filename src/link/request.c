/* SPDX-License-Identifier: Apache-2.0 */
#include "link/request.h"
#include "core/limits.h"
#include "core/refusal.h"
#include "lockerd/link.h"

#include <errno.h>
#include <stdio.h>

static const char *const temperatures[] = {"ambient", "chilled", "frozen", NULL};

static const char *check_deposit(const json_t *a) {
        return json_object_get(a, "size") || json_object_get(a, "parcel")
                       ? NULL
                       : "\"size\" is missing: it is needed unless \"parcel\" is given.";
}

/* Read as a table: one row an argument. `id` and `request` are taken out before. */
/* clang-format off */
static const ArgumentRow hello[] = {
        {"agent", ARGUMENT_TEXT, false, 1, 64, NULL},
};
static const ArgumentRow deposit[] = {
        {"size", ARGUMENT_TEXT, false, 1, 31, NULL},
        {"parcel", ARGUMENT_NUMBER, false, 1, INT64_MAX, NULL},
        {"recipient", ARGUMENT_TEXT, false, 0, LIMIT_TEXT, NULL},
        {"phone", ARGUMENT_TEXT, false, 0, LIMIT_PHONE, NULL},
        {"waybill", ARGUMENT_TEXT, false, 0, LIMIT_WAYBILL, NULL},
        {"accessible", ARGUMENT_BOOLEAN, false, 0, 0, NULL},
        {"temperature", ARGUMENT_WORD, false, 0, 0, temperatures},
        {"larger", ARGUMENT_BOOLEAN, false, 0, 0, NULL},
};
static const ArgumentRow collect[] = {
        {"code", ARGUMENT_TEXT, false, 1, 32, NULL},
        {"slot", ARGUMENT_NAME, false, 1, 31, NULL},
        {"phone_tail", ARGUMENT_DIGITS, false, 4, 4, NULL},
        {"cabinet", ARGUMENT_TEXT, false, 1, 64, NULL},
};

#define ROWS(rows) rows, ARRAY_SIZE(rows)
/* In the order of LinkVerb; then hello. */
static const CommandRow rows[LINK_VERBS + 1] = {
        [LINK_DEPOSIT] =       {"deposit",       ACT_DEPOSIT,       true,  ROWS(deposit), check_deposit},
        [LINK_TOO_SMALL] =     {"too-small",     ACT_DEPOSIT,       true,  NULL, 0, NULL},
        [LINK_NOT_EMPTY] =     {"not-empty",     ACT_DEPOSIT,       true,  NULL, 0, NULL},
        [LINK_DOES_NOT_OPEN] = {"does-not-open", ACT_REOPEN,        true,  NULL, 0, NULL},
        [LINK_REOPEN] =        {"reopen",        ACT_REOPEN,        true,  NULL, 0, NULL},
        [LINK_CANCEL] =        {"cancel",        ACT_REOPEN,        false, NULL, 0, NULL},
        [LINK_COLLECT] =       {"collect",       ACT_COLLECT,       true,  ROWS(collect), NULL},
        [LINK_ACCEPT] =        {"accept",        ACT_COLLECT,       false, NULL, 0, NULL},
        [LINK_REJECT] =        {"reject",        ACT_COLLECT,       false, NULL, 0, NULL},
        [LINK_TAKE_BACK] =     {"take-back",     ACT_TAKE_BACK,     true,  NULL, 0, NULL},
        [LINK_END] =           {"end",           ACT_END_SESSION,   false, NULL, 0, NULL},
        [LINK_VERBS] =         {"hello",         ACT_START_SESSION, false, ROWS(hello), NULL},
};
/* clang-format on */

const CommandRow *link_request_rows(size_t *ret_n) {
        *ret_n = ARRAY_SIZE(rows);
        return rows;
}

static int refuse(char ret_detail[MESSAGE_DETAIL_MAX], const char *sentence) {
        snprintf(ret_detail, MESSAGE_DETAIL_MAX, "%s", sentence);
        return LOCKER_E_INVALID_ARGUMENT;
}

static int take_id(json_t *j, int64_t *ret) {
        const json_t *id = json_object_get(j, "id");

        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > LOCKERD_LINK_ID_MAX)
                return -EPROTO;
        *ret = json_integer_value(id);
        return json_object_del(j, "id") < 0 ? -EPROTO : 0;
}

/* "versions": what the handheld speaks. */
static int take_versions(json_t *j, bool *ret, char ret_detail[MESSAGE_DETAIL_MAX]) {
        const json_t *versions = json_object_get(j, "versions"), *v;
        size_t i;

        if (!json_is_array(versions) || !json_array_size(versions) || json_array_size(versions) > 16)
                return refuse(ret_detail, "\"versions\" must be a list of 1 to 16 whole numbers.");
        *ret = false;
        json_array_foreach(versions, i, v) {
                if (!json_is_integer(v))
                        return refuse(ret_detail, "\"versions\" must be a list of 1 to 16 whole numbers.");
                *ret |= json_integer_value(v) == LOCKERD_LINK_VERSION;
        }
        (void)json_object_del(j, "versions");
        return 0;
}

static int copy(const json_t *j, const char *key, char *ret, size_t room,
                char ret_detail[MESSAGE_DETAIL_MAX]) {
        const char *text = argument_text(j, key);
        size_t n = text ? strlen(text) : 0;

        if (n >= room) {
                snprintf(ret_detail, MESSAGE_DETAIL_MAX, "\"%s\" must not have more than %zu bytes.", key,
                         room - 1);
                return LOCKER_E_INVALID_ARGUMENT;
        }
        if (n)
                memcpy(ret, text, n);
        return 0;
}

#define COPY(key, field) copy(j, key, w->field, sizeof(w->field), ret_detail)

static int fill(const json_t *j, LinkWireRequest *w, char ret_detail[MESSAGE_DETAIL_MAX]) {
        w->parcel = argument_number(j, "parcel", 0);
        w->accessible = argument_boolean(j, "accessible", false);
        w->exact = !argument_boolean(j, "larger", true);
        int r = COPY("temperature", temperature);
        if (!r)
                r = COPY("size", size);
        if (!r)
                r = COPY("recipient", recipient);
        if (!r)
                r = COPY("phone", phone);
        if (!r)
                r = COPY("waybill", waybill);
        if (!r)
                r = COPY("code", code);
        if (!r)
                r = COPY("slot", slot);
        if (!r)
                r = COPY("phone_tail", phone_tail);
        return r ? r : COPY("cabinet", cabinet);
}

static int read_request(json_t *j, LinkRequest *ret, char ret_detail[MESSAGE_DETAIL_MAX]) {
        const char *name = json_string_value(json_object_get(j, "request"));
        size_t i = 0;

        if (!name)
                return refuse(ret_detail, "\"request\" is missing, or no string.");
        while (i < ARRAY_SIZE(rows) && !streq(rows[i].name, name))
                i++;
        if (i == ARRAY_SIZE(rows)) {
                snprintf(ret_detail, MESSAGE_DETAIL_MAX, "%s", "The cabinet knows no such request.");
                return LOCKER_E_UNKNOWN_COMMAND;
        }
        (void)json_object_del(j, "request");
        ret->hello = i == LINK_VERBS;
        int r = ret->hello ? take_versions(j, &ret->version, ret_detail) : 0;
        if (!r)
                r = arguments_check_row(&rows[i], j, ret_detail);
        if (r || ret->hello)
                return r;
        ret->wire.verb = (uint32_t)i;
        return fill(j, &ret->wire, ret_detail);
}

int link_request_read(const char *text, size_t n, LinkRequest *ret, char ret_detail[MESSAGE_DETAIL_MAX]) {
        _cleanup_json_ json_t *j = NULL;

        *ret = (LinkRequest){.id = -1};
        int r = strict_json_object("The request", text, n, &j, ret_detail);
        if (r)
                return r < 0 ? r : -EPROTO;
        r = take_id(j, &ret->id);
        return r < 0 ? r : read_request(j, ret, ret_detail);
}
