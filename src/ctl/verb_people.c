/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolled people. */
#include "ctl/enrolment.h"
#include "ctl/table.h"

#include "base/text.h"

#include <time.h>

/* "details" of the credentials: their times and consents; "credentials": their kinds. */
static int set_credentials(json_t *person, const json_t *rows) {
        static const char *const texts[] = {"consent_text", "consent_version", "consent_place",
                                            "consent_witness"};
        static const char *const times[] = {"enrolled", "used", "consented"};
        json_t *kinds = json_array(), *details = json_array(), *row;
        size_t i;
        int r = 0;

        json_array_foreach(rows, i, row) {
                json_t *one = json_object();
                json_object_set(one, "kind", json_array_get(row, 0));
                for (size_t k = 0; k < ARRAY_SIZE(times); k++)
                        (void)json_set_time(one, times[k], json_integer_value(json_array_get(row, 1 + k)));
                for (size_t k = 0; k < ARRAY_SIZE(texts); k++)
                        json_object_set(one, texts[k], json_array_get(row, 1 + ARRAY_SIZE(times) + k));
                if (json_array_append(kinds, json_array_get(row, 0)) < 0)
                        r = -1;
                if (json_array_append_new(details, one) < 0)
                        r = -1;
        }
        if (json_object_set_new(person, "credentials", kinds) < 0)
                r = -1;
        return json_object_set_new(person, "details", details) < 0 ? -1 : r;
}

static int read_people(Ctl *c, json_t **ret) {
        static const char *const names[] = {"id", "kind", "number", "name", "phone"};
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_t *rows = NULL, *people = json_array();
        json_t *row;
        size_t i, k;

        int status = ctl_call(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "ListEnrolled", NULL, &reply, "");
        if (status)
                return status;
        int r = json_from_bus(reply, &rows);
        if (r < 0)
                return ctl_bad_reply(c, r);
        json_array_foreach(rows, i, row) {
                json_t *person = json_object();
                for (k = 0; k < ARRAY_SIZE(names); k++)
                        json_object_set(person, names[k], json_array_get(row, k));
                r = set_credentials(person, json_array_get(row, ARRAY_SIZE(names)));
                if (json_array_append_new(people, person) < 0 || r < 0)
                        return ctl_oom(c);
        }
        *ret = steal_ptr(people);
        return 0;
}

/* "pattern (3 d), card (2 h)": how old each is. */
static void credentials_text(const json_t *person, char *ret, size_t room) {
        const json_t *one;
        size_t i, n = 0;

        *ret = 0;
        json_array_foreach(json_object_get(person, "details"), i, one) {
                int64_t age = (int64_t)time(NULL) - (int64_t)(json_number(one, "enrolled_usec") / 1000000);
                age = MAX(age, 0);
                const char *unit = age < 3600 ? "min" : age < 86400 ? "h" : "d";
                int64_t count = age / (age < 3600 ? 60 : age < 86400 ? 3600 : 86400);
                if (n < room)
                        n += (size_t)snprintf(ret + n, room - n, "%s%s (%lld %s)", n ? ", " : "",
                                              json_text(one, "kind"), (long long)count, unit);
        }
}

static int run_people(Ctl *c, const Args *a) {
        static const char *const headings[] = {">ID",    "KIND",         "NUMBER", "NAME",
                                               "~PHONE", "~CREDENTIALS", NULL};
        _cleanup_(table_freep) Table *table = table_new(headings);
        _cleanup_json_ json_t *people = NULL;
        json_t *person;
        size_t i;

        int status = read_people(c, &people);
        if (status)
                return status;
        if (c->json)
                return json_print(c, steal_ptr(people), false);
        json_array_foreach(people, i, person) {
                char credentials[256];
                credentials_text(person, credentials, sizeof(credentials));
                table_cell(table, STYLE_BOLD, "%llu", (unsigned long long)json_number(person, "id"));
                table_cell(table, STYLE_PLAIN, "%s", json_text(person, "kind"));
                table_cell(table, STYLE_PLAIN, "%s", json_text(person, "number"));
                table_cell(table, STYLE_PLAIN, "%s", json_text(person, "name"));
                table_cell(table, STYLE_PLAIN, "%s", json_text(person, "phone"));
                table_cell(table, STYLE_PLAIN, "%s", credentials);
        }
        status = table_print(c, table);
        if (!status && !c->no_legend && !json_array_size(people))
                puts("No person is enrolled.");
        return status;
}

const Verb verb_people = {
        .name = "people",
        .summary = "List enrolled couriers and recipients, masked, with kind and age of their credentials",
        .run = run_people,
};

/* The kinds that can be asked for, and what is asked. */
static const struct {
        const char *name, *question;
} kinds[] = {
        {"pin", "New PIN"},
        {"password", "New password"},
        {"pattern", "New pattern (nodes 0 to 8, rows from the top left)"},
        {"card", "Scan the card"},
};

/* What a reader of the cabinet takes. */
static const char *const at_reader[] = {"fingerprint", "face", "voice"};

static const char *reader_asked(const Args *a) {
        for (size_t i = 0; i < ARRAY_SIZE(at_reader); i++)
                if (args_has(a, at_reader[i]))
                        return at_reader[i];
        return NULL;
}

/* Where a reader is used there are lines of prompts before it, and with --json it is one, too. */
static int done_at_reader(const Ctl *c, json_t *object, const char *sentence) {
        if (c->json)
                return json_print(c, object, true);
        json_decref(object);
        puts(sentence);
        return 0;
}

/* Consent is never assumed: not with --yes, and not without a terminal. */
static int check_consent(Ctl *c, const Args *a) {
        _cleanup_free_ char *answer = NULL;

        if (args_has(a, "consent"))
                return 0;
        if (!c->json &&
            ask_line("Has this person agreed that name, phone and a hash of the credentials are stored? "
                     "[y/N] ",
                     &answer) >= 0 &&
            (answer[0] == 'y' || answer[0] == 'Y'))
                return 0;
        return ctl_fail(c, LOCKERCTL_USAGE,
                        "This is stored only after the person has agreed to it: --consent.");
}

static bool kind_is_asked(const Args *a, size_t k, const char *otherwise) {
        bool some = false;

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                some = some || args_has(a, kinds[i].name);
        return some ? args_has(a, kinds[k].name) : otherwise && streq(kinds[k].name, otherwise);
}

static int check_new_person(Ctl *c, const Args *a, bool courier) {
        bool only_pin = true;

        if (!courier && !streq(a->words[0], "recipient"))
                return ctl_usage(c, a,
                                 "\"%s\" is neither \"courier\" nor \"recipient\", nor the ID of a person.",
                                 a->words[0]);
        if (args_has(a, "new-card"))
                return ctl_usage(c, a, "--new-card is for somebody who is enrolled: enrol ID --new-card.");
        if (!args_has(a, "name"))
                return ctl_usage(c, a, "A name is needed: --name.");
        if (courier && !args_has(a, "number"))
                return ctl_usage(c, a, "A courier needs the number to sign in with: --number.");
        if (!courier && !args_has(a, "phone"))
                return ctl_usage(c, a, "A recipient needs a phone number: --phone.");
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
                if (kind_is_asked(a, k, NULL) && !streq(kinds[k].name, "pin"))
                        only_pin = false;
        if (reader_asked(a))
                only_pin = false;
        return courier && only_pin ? 0 : check_consent(c, a);
}

static int append_consent(sd_bus_message *m, const Args *a, bool given) {
        int r = given ? append_bool(m, "consent", true) : 0;

        if (r >= 0)
                r = append_string(m, "consent_text", args_get(a, "consent-text"));
        return r < 0 ? r : append_string(m, "consent_version", args_get(a, "consent-version"));
}

static int enrol_person(Ctl *c, const Args *a, bool courier, Secrets *secrets) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        bool consent = !courier || args_has(a, "consent") || reader_asked(a);
        const char *usual = reader_asked(a) ? NULL : courier ? "pin" : "password";
        char sentence[64];
        uint64_t id;

        int status = ctl_message(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "Enrol", &m);
        if (status)
                return status;
        int r = sd_bus_message_sensitive(m);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_string(m, "kind", a->words[0]);
        if (r >= 0)
                r = append_string(m, "number", args_get(a, "number"));
        if (r >= 0)
                r = append_string(m, "name", args_get(a, "name"));
        if (r >= 0)
                r = append_string(m, "phone", args_get(a, "phone"));
        for (size_t k = 0; r >= 0 && k < ARRAY_SIZE(kinds); k++) {
                _cleanup_erase_ char *secret = NULL;
                if (!kind_is_asked(a, k, usual))
                        continue;
                status = secrets_ask(c, secrets, kinds[k].question, !streq(kinds[k].name, "card"), &secret);
                if (status)
                        return status;
                r = append_string(m, kinds[k].name, secret);
                consent = consent || !streq(kinds[k].name, "pin");
        }
        for (size_t k = 0; r >= 0 && k < ARRAY_SIZE(at_reader); k++)
                if (args_has(a, at_reader[k]))
                        r = append_bool(m, at_reader[k], true);
        if (r >= 0)
                r = append_consent(m, a, consent);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r < 0)
                return ctl_fail_bus(c, NULL, r, NULL);
        status = reader_asked(a) ? enrolment_follow(c, m, &reply)
                                 : ctl_send(c, m, CALL_TIMEOUT_USEC, NULL, &reply);
        if (status)
                return status;
        r = sd_bus_message_read(reply, "t", &id);
        if (r < 0)
                return ctl_bad_reply(c, r);
        snprintf(sentence, sizeof(sentence), "Enrolled as %s %llu.", a->words[0], (unsigned long long)id);
        json_t *done =
                json_pack("{s:s, s:I, s:s}", "done", "enrol", "id", (json_int_t)id, "kind", a->words[0]);
        return reader_asked(a) ? done_at_reader(c, done, sentence) : ctl_done(c, done, "%s", sentence);
}

/* One credential of somebody who is enrolled. secret NULL: a card that the cabinet makes up, or what its
 * reader takes. */
static int enrol_credential(Ctl *c, const Args *a, uint64_t id, const char *kind, const char *secret,
                            bool reader) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_json_ json_t *result = NULL;

        int status = ctl_message(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "EnrolCredential", &m);
        if (status)
                return status;
        int r = sd_bus_message_sensitive(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ts", id, kind);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_string(m, kind, secret);
        if (r >= 0)
                r = append_consent(m, a, !streq(kind, "pin") || args_has(a, "consent"));
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r < 0)
                return ctl_fail_bus(c, NULL, r, NULL);
        status = reader ? enrolment_follow(c, m, &reply) : ctl_send(c, m, CALL_TIMEOUT_USEC, NULL, &reply);
        if (status)
                return status;
        r = json_from_bus(reply, &result);
        if (r < 0)
                return ctl_bad_reply(c, r);
        const char *card = json_text(result, "card");
        json_t *done =
                json_pack("{s:s, s:I, s:s}", "done", "enrol", "id", (json_int_t)id, "credential", kind);
        char sentence[64];
        snprintf(sentence, sizeof(sentence), "Person %llu has a new %s.", (unsigned long long)id, kind);
        if (reader)
                return done_at_reader(c, done, sentence);
        if (!*card)
                return ctl_done(c, done, "%s", sentence);
        json_object_set_new(done, "card", json_string(card));
        return ctl_done(c, done, "Person %llu has a new card; print it, it is not stored: %s",
                        (unsigned long long)id, card);
}

static int enrol_more(Ctl *c, const Args *a, Secrets *secrets) {
        bool some = reader_asked(a) || args_has(a, "new-card"), only_pin = !some;
        uint64_t id = 0;

        int status =
                parse_number(c, "the ID of a person (see: lockerctl people)", a->words[0], UINT64_MAX, &id);
        if (status)
                return status;
        if (args_has(a, "name") || args_has(a, "number") || args_has(a, "phone"))
                return ctl_usage(c, a,
                                 "Name, number and phone of somebody who is enrolled stay as they are.");
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
                bool asked = kind_is_asked(a, k, NULL);
                some = some || asked;
                only_pin = only_pin && (!asked || streq(kinds[k].name, "pin"));
        }
        if (!some)
                return ctl_usage(c, a,
                                 "Say what is to be enrolled: --pin, --password, --pattern, --card, "
                                 "--new-card, --fingerprint, --face or --voice.");
        if (args_has(a, "card") && args_has(a, "new-card"))
                return ctl_usage(c, a, "--card and --new-card exclude each other.");
        if (!only_pin)
                status = check_consent(c, a);
        for (size_t k = 0; !status && k < ARRAY_SIZE(kinds); k++) {
                _cleanup_erase_ char *secret = NULL;
                if (!kind_is_asked(a, k, NULL))
                        continue;
                status = secrets_ask(c, secrets, kinds[k].question, !streq(kinds[k].name, "card"), &secret);
                if (!status)
                        status = enrol_credential(c, a, id, kinds[k].name, secret, false);
        }
        if (!status && args_has(a, "new-card"))
                status = enrol_credential(c, a, id, "card", NULL, false);
        for (size_t k = 0; !status && k < ARRAY_SIZE(at_reader); k++)
                if (args_has(a, at_reader[k]))
                        status = enrol_credential(c, a, id, at_reader[k], NULL, true);
        return status;
}

static int run_enrol(Ctl *c, const Args *a) {
        bool courier = streq(a->words[0], "courier"), more = a->words[0][0] >= '0' && a->words[0][0] <= '9';
        _cleanup_secrets_ Secrets secrets = {.fd = -1};

        int status = more ? 0 : check_new_person(c, a, courier);
        if (!status)
                status = secrets_open(c, a, &secrets);
        if (status)
                return status;
        return more ? enrol_more(c, a, &secrets) : enrol_person(c, a, courier, &secrets);
}

static const Option enrol_options[] = {
        {"number", 0, "NUMBER", "A courier's number to sign in with"},
        {"name", 0, "NAME", "Name"},
        {"phone", 0, "PHONE", "Phone number (recipients must have one)"},
        {"pin", 0, NULL, "Ask for a PIN (couriers; what is asked for without any of these)"},
        {"password", 0, NULL, "Ask for a password (recipients; likewise)"},
        {"pattern", 0, NULL, "Ask for a drawn pattern"},
        {"card", 0, NULL, "Ask for a card: scan it, or type what it says"},
        {"new-card", 0, NULL, "Have the cabinet make up a card, and print what it says"},
        {"fingerprint", 0, NULL, "Have the cabinet's reader take a finger"},
        {"face", 0, NULL, "Have the cabinet's camera take a face"},
        {"voice", 0, NULL, "Have the cabinet's microphone hear a spoken phrase"},
        {"consent", 0, NULL, "The person has agreed to what is stored (else asked)"},
        {"consent-text", 0, "NAME", "To which text"},
        {"consent-version", 0, "VERSION", "To which version of it"},
        SECRET_OPTIONS,
        {NULL, 0, NULL, NULL},
};

const Verb verb_enrol = {
        .name = "enrol",
        .usage = "courier --number NUMBER --name NAME | recipient --name NAME --phone PHONE | ID",
        .summary = "Enrol a courier or a recipient, or one more credential of a person",
        .details = "PIN, password and pattern are asked for twice on the terminal, without echo. --stdin and "
                   "--secret-file "
                   "have a line for each that is asked for, in the order of the options below.",
        .options = enrol_options,
        .min_words = 1,
        .max_words = 1,
        .run = run_enrol,
};

static int run_revoke(Ctl *c, const Args *a) {
        const char *kind = args_get(a, "credential");
        _cleanup_free_ char *reason = NULL;
        uint64_t id = 0;

        int status =
                parse_number(c, "the ID of a person (see: lockerctl people)", a->words[0], UINT64_MAX, &id);
        if (!status)
                status = args_reason(c, a, &reason);
        if (status)
                return status;
        if (!ask_confirm(c, kind ? "It is erased for good. Revoke this credential?"
                                 : "Credentials, name and phone are erased for good. Revoke this person?"))
                return ctl_fail(c, LOCKERCTL_FAILED, "Given up.");
        if (kind) {
                status = ctl_call(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "RevokeCredential", NULL, NULL,
                                  "tss", id, kind, reason);
                return status ? status
                              : ctl_done(c,
                                         json_pack("{s:s, s:I, s:s}", "done", "revoke", "id", (json_int_t)id,
                                                   "credential", kind),
                                         "The %s of person %llu is revoked and erased.", kind,
                                         (unsigned long long)id);
        }
        status = ctl_call(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "Revoke", NULL, NULL, "ts", id, reason);
        return status ? status
                      : ctl_done(c, json_pack("{s:s, s:I}", "done", "revoke", "id", (json_int_t)id),
                                 "Person %llu is revoked and erased.", (unsigned long long)id);
}

static const Option revoke_options[] = {
        {"credential", 0, "KIND", "Only this one: pin, password, pattern, card, fingerprint, face or voice"},
        {"reason", 'r', "TEXT", "Why, for the audit trail (asked for on a terminal)"},
        {NULL, 0, NULL, NULL},
};

const Verb verb_revoke = {
        .name = "revoke",
        .usage = "ID [--credential KIND] --reason TEXT",
        .summary = "Revoke a person: credentials, name and phone are erased; or one credential",
        .options = revoke_options,
        .min_words = 1,
        .max_words = 1,
        .run = run_revoke,
};
