/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolled people. */
#include "ctl/table.h"

#include "base/text.h"

static int read_people(Ctl *c, json_t **ret) {
        static const char *const names[] = {"id", "kind", "number", "name", "phone", "credentials"};
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_t *rows = NULL, *people = json_array();
        json_t *row;
        size_t i, k;

        int status = ctl_call(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "ListPeople", NULL, &reply, "");
        if (status)
                return status;
        int r = json_from_bus(reply, &rows);
        if (r < 0)
                return ctl_bad_reply(c, r);
        json_array_foreach(rows, i, row) {
                json_t *person = json_object();
                for (k = 0; k < ARRAY_SIZE(names); k++)
                        json_object_set(person, names[k], json_array_get(row, k));
                if (json_array_append_new(people, person) < 0)
                        return ctl_oom(c);
        }
        *ret = steal_ptr(people);
        return 0;
}

static int run_people(Ctl *c, const Args *a) {
        static const char *const headings[] = {">ID",    "KIND",         "NUMBER", "NAME",
                                               "~PHONE", "~CREDENTIALS", NULL};
        _cleanup_(table_freep) Table *table = table_new(headings);
        _cleanup_json_ json_t *people = NULL;
        const json_t *person, *kind;
        size_t i, k;

        int status = read_people(c, &people);
        if (status)
                return status;
        if (c->json)
                return json_print(c, steal_ptr(people), false);
        json_array_foreach(people, i, person) {
                char credentials[128] = "";
                json_array_foreach(json_object_get(person, "credentials"), k, kind) {
                        size_t n = strlen(credentials);
                        snprintf(credentials + n, sizeof(credentials) - n, "%s%s", n ? ", " : "",
                                 json_string_value(kind));
                }
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
        .summary = "List enrolled couriers and recipients, masked",
        .run = run_people,
};

static int check_enrol(Ctl *c, const Args *a, bool courier) {
        if (!courier && !streq(a->words[0], "recipient"))
                return ctl_usage(c, a, "\"%s\" is neither \"courier\" nor \"recipient\".", a->words[0]);
        if (!args_has(a, "name"))
                return ctl_usage(c, a, "A name is needed: --name.");
        if (courier && !args_has(a, "number"))
                return ctl_usage(c, a, "A courier needs the number to sign in with: --number.");
        if (!courier && !args_has(a, "phone"))
                return ctl_usage(c, a, "A recipient needs a phone number: --phone.");
        if (courier || args_has(a, "consent"))
                return 0;
        /* Consent is never assumed: not with --yes, and not without a terminal. */
        _cleanup_free_ char *answer = NULL;
        if (!c->json &&
            ask_line("Has this person agreed that the password's hash, name and phone are stored? [y/N] ",
                     &answer) >= 0 &&
            (answer[0] == 'y' || answer[0] == 'Y'))
                return 0;
        return ctl_fail(c, LOCKERCTL_USAGE,
                        "A recipient is enrolled only after having agreed to it: --consent.");
}

static int run_enrol(Ctl *c, const Args *a) {
        bool courier = streq(a->words[0], "courier");
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_secrets_ Secrets secrets = {.fd = -1};
        _cleanup_erase_ char *secret = NULL;
        uint64_t id;

        int status = check_enrol(c, a, courier);
        if (!status)
                status = secrets_open(c, a, &secrets);
        if (!status)
                status = secrets_ask(c, &secrets, courier ? "New PIN" : "New password", true, &secret);
        if (!status)
                status = ctl_message(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "Enrol", &m);
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
        if (r >= 0)
                r = append_string(m, courier ? "pin" : "password", secret);
        if (r >= 0 && !courier)
                r = append_bool(m, "consent", true);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r < 0)
                return ctl_fail_bus(c, NULL, r, NULL);
        status = ctl_send(c, m, CALL_TIMEOUT_USEC, NULL, &reply);
        if (status)
                return status;
        r = sd_bus_message_read(reply, "t", &id);
        if (r < 0)
                return ctl_bad_reply(c, r);
        return ctl_done(
                c, json_pack("{s:s, s:I, s:s}", "done", "enrol", "id", (json_int_t)id, "kind", a->words[0]),
                "Enrolled as %s %llu.", courier ? "courier" : "recipient", (unsigned long long)id);
}

static const Option enrol_options[] = {
        {"number", 0, "NUMBER", "A courier's number to sign in with"},
        {"name", 0, "NAME", "Name"},
        {"phone", 0, "PHONE", "Phone number (recipients must have one)"},
        {"consent", 0, NULL, "The recipient has agreed to what is stored (else asked)"},
        SECRET_OPTIONS,
        {NULL, 0, NULL, NULL},
};

const Verb verb_enrol = {
        .name = "enrol",
        .usage = "courier --number NUMBER --name NAME | recipient --name NAME --phone PHONE",
        .summary = "Enrol a courier or a recipient",
        .details = "The PIN or password is asked for twice on the terminal, without echo.",
        .options = enrol_options,
        .min_words = 1,
        .max_words = 1,
        .run = run_enrol,
};

static int run_revoke(Ctl *c, const Args *a) {
        _cleanup_free_ char *reason = NULL;
        uint64_t id = 0;

        int status =
                parse_number(c, "the ID of a person (see: lockerctl people)", a->words[0], UINT64_MAX, &id);
        if (!status)
                status = args_reason(c, a, &reason);
        if (status)
                return status;
        if (!ask_confirm(c, "Credentials, name and phone are erased for good. Revoke this person?"))
                return ctl_fail(c, LOCKERCTL_FAILED, "Given up.");
        status = ctl_call(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "Revoke", NULL, NULL, "ts", id, reason);
        return status ? status
                      : ctl_done(c, json_pack("{s:s, s:I}", "done", "revoke", "id", (json_int_t)id),
                                 "Person %llu is revoked and erased.", (unsigned long long)id);
}

const Verb verb_revoke = {
        .name = "revoke",
        .usage = "ID --reason TEXT",
        .summary = "Revoke a person: credentials, name and phone are erased",
        .options = reason_options,
        .min_words = 1,
        .max_words = 1,
        .run = run_revoke,
};
