/* SPDX-License-Identifier: Apache-2.0 */
#include "message/arguments.h"
#include "core/credential.h"
#include "core/limits.h"
#include "core/refusal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define NAME_SPAN   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
#define DIGITS      "0123456789"
#define SECONDS_MAX (366 * 86400)

/* --- the table --- */

static const char *const temperatures[] = {"ambient", "chilled", "frozen", NULL};
static const char *const credential_kinds[] = {
#define X(id, name, ...) #name,
        CREDENTIAL_KINDS(X)
#undef X
                NULL};
static const char *const kinds[] = {"courier", "recipient", NULL};

/* Read as a table: one row an argument. */
/* clang-format off */
#define REASON      {"reason", ARGUMENT_TEXT, true, 1, LIMIT_TEXT, NULL}
#define PARCEL(req) {"parcel", ARGUMENT_NUMBER, req, 1, INT64_MAX, NULL}
#define SLOT        {"slot", ARGUMENT_NAME, true, 1, 31, NULL}
#define POSITION    {"position", ARGUMENT_NUMBER, false, 0, 255, NULL}
#define SIZE(req)   {"size", ARGUMENT_TEXT, req, 1, 31, NULL}
#define RECIPIENT   {"recipient", ARGUMENT_TEXT, false, 0, LIMIT_TEXT, NULL}
#define PHONE       {"phone", ARGUMENT_TEXT, false, 0, LIMIT_PHONE, NULL}
#define WAYBILL     {"waybill", ARGUMENT_TEXT, false, 0, LIMIT_WAYBILL, NULL}
#define ACCESSIBLE  {"accessible", ARGUMENT_BOOLEAN, false, 0, 0, NULL}
#define TEMPERATURE {"temperature", ARGUMENT_WORD, false, 0, 0, temperatures}
#define CONSENT     {"consent", ARGUMENT_BOOLEAN, false, 0, 0, NULL}, \
                    {"consent_text", ARGUMENT_TEXT, false, 1, 64, NULL}, \
                    {"consent_version", ARGUMENT_TEXT, false, 1, 64, NULL}
#define LARGER      {"larger", ARGUMENT_BOOLEAN, false, 0, 0, NULL}

static const ArgumentRow announce[] = {
        SIZE(true), RECIPIENT, PHONE, WAYBILL, ACCESSIBLE, TEMPERATURE, LARGER,
        {"reserve", ARGUMENT_BOOLEAN, false, 0, 0, NULL},
};
static const ArgumentRow about_parcel[] = {PARCEL(true), REASON};
static const ArgumentRow about_place[] = {SLOT, POSITION, REASON};
static const ArgumentRow deposit[] = {
        {"courier", ARGUMENT_NAME, true, 1, LIMIT_NUMBER, NULL},
        SIZE(false), PARCEL(false), RECIPIENT, PHONE, WAYBILL, ACCESSIBLE, TEMPERATURE, LARGER,
};
static const ArgumentRow take_back[] = {{"courier", ARGUMENT_NAME, true, 1, LIMIT_NUMBER, NULL}};
static const ArgumentRow about_session[] = {{"session", ARGUMENT_NUMBER, true, 1, INT64_MAX, NULL}};
static const ArgumentRow enrol[] = {
        {"kind", ARGUMENT_WORD, true, 0, 0, kinds},
        {"number", ARGUMENT_NAME, false, 1, LIMIT_NUMBER, NULL},
        {"name", ARGUMENT_TEXT, false, 0, LIMIT_TEXT, NULL},
        {"phone", ARGUMENT_PHONE, false, 7, 15, NULL},
        {"pin", ARGUMENT_DIGITS, false, 1, LIMIT_PIN, NULL},
        {"password", ARGUMENT_TEXT, false, 1, LIMIT_PASSWORD, NULL},
        {"pattern", ARGUMENT_DIGITS, false, 5, LIMIT_PATTERN, NULL},
        {"card", ARGUMENT_TEXT, false, 12, LIMIT_CARD, NULL},
        CONSENT,
};
static const ArgumentRow enrol_credential[] = {
        {"person", ARGUMENT_NUMBER, true, 1, INT64_MAX, NULL},
        {"pin", ARGUMENT_DIGITS, false, 1, LIMIT_PIN, NULL},
        {"password", ARGUMENT_TEXT, false, 1, LIMIT_PASSWORD, NULL},
        {"pattern", ARGUMENT_DIGITS, false, 5, LIMIT_PATTERN, NULL},
        {"card", ARGUMENT_TEXT, false, 12, LIMIT_CARD, NULL},
        CONSENT,
};
static const ArgumentRow about_credential[] = {
        {"person", ARGUMENT_NUMBER, true, 1, INT64_MAX, NULL},
        {"kind", ARGUMENT_WORD, true, 0, 0, credential_kinds},
        REASON,
};
static const ArgumentRow of_person[] = {{"person", ARGUMENT_NUMBER, true, 1, INT64_MAX, NULL}};
static const ArgumentRow about_person[] = {{"person", ARGUMENT_NUMBER, true, 1, INT64_MAX, NULL}, REASON};
static const ArgumentRow about_lockout[] = {{"subject", ARGUMENT_TEXT, true, 1, 80, NULL}, REASON};
static const ArgumentRow replay[] = {
        {"from", ARGUMENT_NUMBER, true, 1, INT64_MAX, NULL},
        {"to", ARGUMENT_NUMBER, false, 1, INT64_MAX, NULL},
};
static const ArgumentRow thresholds[] = {
        {"reminder", ARGUMENT_NUMBER, false, 0, SECONDS_MAX, NULL},
        {"recall", ARGUMENT_NUMBER, false, 0, SECONDS_MAX, NULL},
};
static const ArgumentRow recommend[] = {
        SIZE(true), ACCESSIBLE, TEMPERATURE,
        {"latitude", ARGUMENT_DEGREES, false, -90, 90, NULL},
        {"longitude", ARGUMENT_DEGREES, false, -180, 180, NULL},
};

static const char *check_deposit(const json_t *a);
static const char *check_enrol(const json_t *a);
static const char *check_enrol_credential(const json_t *a);
static const char *check_replay(const json_t *a);
static const char *check_thresholds(const json_t *a);
static const char *check_recommend(const json_t *a);

#define ROWS(rows) rows, ARRAY_SIZE(rows)
static const CommandRow commands[] = {
        {"announce",       ACT_ANNOUNCE,       false, ROWS(announce),     NULL},
        {"release",        ACT_RULE_PARCEL,    false, ROWS(about_parcel), NULL},
        {"new-code",       ACT_NEW_CODE,       true,  ROWS(about_parcel), NULL},
        {"revoke-code",    ACT_RULE_PARCEL,    false, ROWS(about_parcel), NULL},
        {"recall",         ACT_RULE_PARCEL,    true,  ROWS(about_parcel), NULL},
        {"open",           ACT_OPEN_SLOT,      true,  ROWS(about_place),  NULL},
        {"deposit",        ACT_DEPOSIT,        true,  ROWS(deposit),      check_deposit},
        {"collect",        ACT_COLLECT,        true,  ROWS(about_parcel), NULL},
        {"take-back",      ACT_TAKE_BACK,      true,  ROWS(take_back),    NULL},
        {"accept",         ACT_COLLECT,        false, ROWS(about_session), NULL},
        {"reject",         ACT_COLLECT,        false, ROWS(about_session), NULL},
        {"cancel",         ACT_REOPEN,         false, ROWS(about_session), NULL},
        {"reopen",         ACT_REOPEN,         true,  ROWS(about_session), NULL},
        {"too-small",      ACT_DEPOSIT,        true,  ROWS(about_session), NULL},
        {"not-empty",      ACT_DEPOSIT,        true,  ROWS(about_session), NULL},
        {"does-not-open",  ACT_REOPEN,         true,  ROWS(about_session), NULL},
        {"end",            ACT_END_SESSION,    false, ROWS(about_session), NULL},
        {"disable",        ACT_SERVICE_SLOT,   false, ROWS(about_place),  NULL},
        {"enable",         ACT_SERVICE_SLOT,   false, ROWS(about_place),  NULL},
        {"enrol",          ACT_RULE_PEOPLE,    true,  ROWS(enrol),        check_enrol},
        {"revoke",         ACT_RULE_PEOPLE,    false, ROWS(about_person), NULL},
        {"enrol-credential",  ACT_RULE_PEOPLE, true,  ROWS(enrol_credential), check_enrol_credential},
        {"revoke-credential", ACT_RULE_PEOPLE, false, ROWS(about_credential), NULL},
        {"list-credentials",  ACT_RULE_PEOPLE, false, ROWS(of_person),    NULL},
        {"lift-lockout",   ACT_RULE_LOCKOUTS,  true,  ROWS(about_lockout), NULL},
        {"snapshot",       ACT_ASK,            false, NULL, 0,            NULL},
        {"replay",         ACT_ASK,            false, ROWS(replay),       check_replay},
        {"set-thresholds", ACT_SET_THRESHOLDS, false, ROWS(thresholds),   check_thresholds},
        {"recommend",      ACT_ASK,            false, ROWS(recommend),    check_recommend},
};
/* clang-format on */

const CommandRow *command_row(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                if (streq(commands[i].name, name))
                        return &commands[i];
        return NULL;
}

const CommandRow *command_rows(size_t *ret_n) {
        *ret_n = ARRAY_SIZE(commands);
        return commands;
}

bool command_must_be_signed(const CommandRow *row) {
        return !(access_callers(row->act) & CALLER_BACKEND);
}

/* --- what several arguments must be together --- */

static bool has(const json_t *a, const char *key) {
        return json_object_get(a, key) != NULL;
}

static const char *check_deposit(const json_t *a) {
        return has(a, "size") || has(a, "parcel")
                       ? NULL
                       : "\"size\" is missing: it is needed unless \"parcel\" is given.";
}

static const char *check_consent(const json_t *a) {
        bool needed = has(a, "password") || has(a, "pattern") || has(a, "card");

        if (needed && !argument_boolean(a, "consent", false))
                return "\"consent\" must be true to store a credential.";
        return has(a, "consent_text") != has(a, "consent_version")
                       ? "\"consent_text\" and \"consent_version\" belong together."
                       : NULL;
}

static const char *check_enrol(const json_t *a) {
        if (streq(argument_text(a, "kind"), "courier")) {
                if (!has(a, "number") || !(has(a, "pin") || has(a, "pattern") || has(a, "card")))
                        return "A courier needs \"number\" and a credential: \"pin\", \"pattern\" or "
                               "\"card\".";
                if (has(a, "password"))
                        return "A courier has a \"pin\", not a \"password\".";
                return check_consent(a);
        }
        if (!has(a, "phone"))
                return "A recipient needs \"phone\".";
        if (has(a, "number") || has(a, "pin"))
                return "A recipient has a \"phone\" and a \"password\", not a \"number\" and a \"pin\".";
        return check_consent(a);
}

static const char *check_enrol_credential(const json_t *a) {
        if (has(a, "pin") + has(a, "password") + has(a, "pattern") + has(a, "card") != 1)
                return "One credential is needed: \"pin\", \"password\", \"pattern\" or \"card\".";
        return check_consent(a);
}

static const char *check_replay(const json_t *a) {
        return argument_number(a, "to", INT64_MAX) < argument_number(a, "from", 0)
                       ? "\"to\" must not be smaller than \"from\"."
                       : NULL;
}

static const char *check_thresholds(const json_t *a) {
        uint64_t reminder = argument_number(a, "reminder", 0), recall = argument_number(a, "recall", 0);

        if (!has(a, "reminder") && !has(a, "recall"))
                return "\"reminder\" or \"recall\" is needed.";
        return reminder && recall && recall <= reminder ? "\"recall\" must be longer than \"reminder\"."
                                                        : NULL;
}

static const char *check_recommend(const json_t *a) {
        return has(a, "latitude") != has(a, "longitude") ? "\"latitude\" and \"longitude\" belong together."
                                                         : NULL;
}

/* --- one argument --- */

static _printf_(2, 3) int refuse(char ret_detail[MESSAGE_DETAIL_MAX], const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(ret_detail, MESSAGE_DETAIL_MAX, format, ap);
        va_end(ap);
        return LOCKER_E_INVALID_ARGUMENT;
}

/* Characters, as JSON Schema counts them: not the bytes that continue one. */
static int64_t characters(const char *s) {
        int64_t n = 0;

        for (; *s; s++)
                n += ((unsigned char)*s & 0xc0) != 0x80;
        return n;
}

static bool has_control(const char *s) {
        for (const unsigned char *c = (const unsigned char *)s; *c; c++)
                /* C0, DEL, and C1 in UTF-8 */
                if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f))
                        return true;
        return false;
}

static int check_text(const ArgumentRow *row, const char *s, char ret_detail[MESSAGE_DETAIL_MAX]) {
        int64_t n = characters(s);

        if (n < row->min || n > row->max)
                return refuse(ret_detail, "\"%s\" must have %" PRId64 " to %" PRId64 " characters.", row->key,
                              row->min, row->max);
        if (has_control(s))
                return refuse(ret_detail,
                              "\"%s\" contains control characters; only printable text is allowed.",
                              row->key);
        if (row->min > 0 && s[strspn(s, " ")] == '\0')
                return refuse(ret_detail, "\"%s\" is blank.", row->key);
        return 0;
}

static int check_span(const ArgumentRow *row, const char *s, const char *span, const char *of,
                      char ret_detail[MESSAGE_DETAIL_MAX]) {
        size_t n = strspn(s, span);

        if (s[n] || (int64_t)n < row->min || (int64_t)n > row->max)
                return refuse(ret_detail, "\"%s\" must be %" PRId64 " to %" PRId64 " %s.", row->key, row->min,
                              row->max, of);
        return 0;
}

static int check_phone(const ArgumentRow *row, const char *s, char ret_detail[MESSAGE_DETAIL_MAX]) {
        int64_t n_digits = 0;

        for (const char *c = s; *c; c++)
                n_digits += *c >= '0' && *c <= '9';
        if (s[strspn(s, DIGITS "+-()./ ")] || n_digits < row->min || n_digits > row->max ||
            strlen(s) > LIMIT_PHONE)
                return refuse(ret_detail,
                              "\"%s\" must have %" PRId64 " to %" PRId64
                              " digits, with nothing but + - ( ) . / and blanks between them.",
                              row->key, row->min, row->max);
        return 0;
}

static int check_word(const ArgumentRow *row, const char *s, char ret_detail[MESSAGE_DETAIL_MAX]) {
        char words[128] = "";
        size_t n = 0;

        for (size_t i = 0; row->words[i]; i++)
                if (streq(row->words[i], s))
                        return 0;
        for (size_t i = 0; row->words[i] && n < sizeof(words); i++)
                n += (size_t)snprintf(words + n, sizeof(words) - n, "%s\"%s\"", i ? ", " : "", row->words[i]);
        return refuse(ret_detail, "\"%s\" must be one of %s.", row->key, words);
}

static int check_number(const ArgumentRow *row, const json_t *value, char ret_detail[MESSAGE_DETAIL_MAX]) {
        bool degrees = row->type == ARGUMENT_DEGREES;

        if (!(degrees ? json_is_number(value) : json_is_integer(value)))
                return refuse(ret_detail, "\"%s\" must be %s.", row->key,
                              degrees ? "a number" : "a whole number");
        double real = json_number_value(value);
        json_int_t whole = json_integer_value(value);
        if (degrees ? !(real >= (double)row->min && real <= (double)row->max)
                    : whole < row->min || whole > row->max)
                return refuse(ret_detail, "\"%s\" must be from %" PRId64 " to %" PRId64 ".", row->key,
                              row->min, row->max);
        return 0;
}

static int check_string(const ArgumentRow *row, const char *s, char ret_detail[MESSAGE_DETAIL_MAX]) {
        switch (row->type) {
        case ARGUMENT_TEXT:
                return check_text(row, s, ret_detail);
        case ARGUMENT_NAME:
                return check_span(row, s, NAME_SPAN, "letters, digits or '-'", ret_detail);
        case ARGUMENT_DIGITS:
                return check_span(row, s, DIGITS, "digits", ret_detail);
        case ARGUMENT_PHONE:
                return check_phone(row, s, ret_detail);
        case ARGUMENT_WORD:
                return check_word(row, s, ret_detail);
        case ARGUMENT_NUMBER:
        case ARGUMENT_DEGREES:
        case ARGUMENT_BOOLEAN:
                break;
        }
        return 0;
}

static int check_value(const ArgumentRow *row, const json_t *value, char ret_detail[MESSAGE_DETAIL_MAX]) {
        if (row->type == ARGUMENT_NUMBER || row->type == ARGUMENT_DEGREES)
                return check_number(row, value, ret_detail);
        if (row->type == ARGUMENT_BOOLEAN)
                return json_is_boolean(value) ? 0
                                              : refuse(ret_detail, "\"%s\" must be true or false.", row->key);
        if (!json_is_string(value))
                return refuse(ret_detail, "\"%s\" must be a string.", row->key);
        return check_string(row, json_string_value(value), ret_detail);
}

/* --- all of them --- */

static int unknown_argument(const CommandRow *command, const char *key, char ret_detail[MESSAGE_DETAIL_MAX]) {
        char shown[41], allowed[160] = "";
        size_t n = 0;

        strict_json_printable(key, shown, sizeof(shown));
        for (size_t i = 0; i < command->n_arguments && n < sizeof(allowed); i++)
                n += (size_t)snprintf(allowed + n, sizeof(allowed) - n, "%s%s", i ? ", " : "",
                                      command->arguments[i].key);
        return refuse(ret_detail, "\"%s\" is not known in \"%s\"; allowed are: %s.", shown, command->name,
                      n ? allowed : "none");
}

int arguments_check_row(const CommandRow *command, const json_t *arguments,
                        char ret_detail[MESSAGE_DETAIL_MAX]) {
        const char *key, *wrong;
        json_t *value;

        json_object_foreach((json_t *)arguments, key, value) {
                size_t i = 0;
                while (i < command->n_arguments && !streq(command->arguments[i].key, key))
                        i++;
                int r = i == command->n_arguments ? unknown_argument(command, key, ret_detail)
                                                  : check_value(&command->arguments[i], value, ret_detail);
                if (r)
                        return r;
        }
        for (size_t i = 0; i < command->n_arguments; i++)
                if (command->arguments[i].required && !has(arguments, command->arguments[i].key))
                        return refuse(ret_detail, "\"%s\" is missing.", command->arguments[i].key);
        wrong = command->together ? command->together(arguments) : NULL;
        return wrong ? refuse(ret_detail, "%s", wrong) : 0;
}

int arguments_check(const char *name, const json_t *arguments, char ret_detail[MESSAGE_DETAIL_MAX]) {
        const CommandRow *command = command_row(name);

        if (!command) {
                snprintf(ret_detail, MESSAGE_DETAIL_MAX, "%s", refusal_sentence(LOCKER_E_UNKNOWN_COMMAND));
                return LOCKER_E_UNKNOWN_COMMAND;
        }
        return arguments_check_row(command, arguments, ret_detail);
}

const char *argument_text(const json_t *arguments, const char *key) {
        return json_string_value(json_object_get(arguments, key));
}

uint64_t argument_number(const json_t *arguments, const char *key, uint64_t otherwise) {
        const json_t *value = json_object_get(arguments, key);

        return json_is_integer(value) ? (uint64_t)json_integer_value(value) : otherwise;
}

bool argument_boolean(const json_t *arguments, const char *key, bool otherwise) {
        const json_t *value = json_object_get(arguments, key);

        return value ? json_is_true(value) : otherwise;
}

double argument_degrees(const json_t *arguments, const char *key) {
        const json_t *value = json_object_get(arguments, key);

        return value ? json_number_value(value) : (double)NAN;
}
