/* SPDX-License-Identifier: Apache-2.0 */
/* Lets test_contract.py ask the code what the schemas describe:
 *   contract table                          the table of commands, the refusals, the states of parcels, the
 * words of prompts contract command CABINET NAME KEYS      reads a command from standard input, with the keys
 * of a directory contract commands CABINET               the same for lines of name, blank, command; a line
 * for each contract event CABINET SEQUENCE TYPE SUBJECT DATA [SECRET] contract answer ID NAME REFUSAL
 * [RESULT] contract state | contract will */
#include "core/errand.h"
#include "core/parcel_life.h"
#include "message/arguments.h"
#include "message/compose.h"
#include "message/remote_command.h"

#include <math.h>
#include <stdio.h>

static int print(json_t *j) {
        int r = j ? json_dumpf(j, stdout, JSON_COMPACT) : -1;

        json_decref(j);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int print_text(int r, char *text) {
        if (r < 0)
                return EXIT_FAILURE;
        fputs(text, stdout);
        free(text);
        return EXIT_SUCCESS;
}

static const char *type_name(ArgumentType type) {
        switch (type) {
        case ARGUMENT_TEXT:
        case ARGUMENT_NAME:
        case ARGUMENT_DIGITS:
        case ARGUMENT_PHONE:
                return "string";
        case ARGUMENT_WORD:
                return "word";
        case ARGUMENT_NUMBER:
                return "integer";
        case ARGUMENT_DEGREES:
                return "number";
        case ARGUMENT_BOOLEAN:
                return "boolean";
        }
        return "";
}

static json_t *argument(const ArgumentRow *a) {
        json_t *words = json_array();

        for (size_t i = 0; a->words && a->words[i]; i++)
                json_array_append_new(words, json_string(a->words[i]));
        return json_pack("{s:s, s:s, s:b, s:I, s:I, s:b, s:o}", "key", a->key, "type", type_name(a->type),
                         "required", (int)a->required, "min", (json_int_t)a->min, "max", (json_int_t)a->max,
                         "length", (int)(a->type == ARGUMENT_TEXT), "words", words);
}

static int table(void) {
        json_t *commands = json_array(), *refusals = json_array(), *states = json_array(),
               *prompts = json_array();
        size_t n;
        const CommandRow *rows = command_rows(&n);

        for (size_t i = 0; i < n; i++) {
                json_t *arguments = json_array();
                for (size_t k = 0; k < rows[i].n_arguments; k++)
                        json_array_append_new(arguments, argument(&rows[i].arguments[k]));
                json_array_append_new(commands, json_pack("{s:s, s:b, s:o}", "name", rows[i].name, "signed",
                                                          (int)command_must_be_signed(&rows[i]), "arguments",
                                                          arguments));
        }
        for (int r = REFUSAL_NONE + 1; r < REFUSAL_MAX; r++)
                json_array_append_new(refusals, json_string(refusal_name((Refusal)r)));
        for (int s = 0; s < PARCEL_STATE_MAX; s++)
                json_array_append_new(states, json_string(parcel_state_to_string((ParcelState)s)));
        for (int p = ERRAND_SAY_NOTHING + 1; p < ERRAND_PROMPT_MAX; p++)
                json_array_append_new(prompts, json_string(errand_prompt_word((ErrandPrompt)p)));
        return print(json_pack("{s:o, s:o, s:o, s:o}", "commands", commands, "refusals", refusals, "states",
                               states, "prompts", prompts));
}

static void complain(void *userdata, const char *line) {
        fprintf(stderr, "%s\n", line);
}

static int read_command(const char *cabinet, const char *name, const void *payload, size_t n,
                        const KeyRing *ring) {
        _cleanup_(remote_command_done) RemoteCommand c = {0};
        char detail[MESSAGE_DETAIL_MAX] = "";

        int r = remote_command_parse(cabinet, name, payload, n, ring, &c, detail);
        if (r == 0)
                r = arguments_check(c.name, c.arguments, detail);
        if (r < 0)
                return EXIT_FAILURE;
        return print(json_pack("{s:s, s:s, s:s, s:b, s:s}", "refusal", refusal_name((Refusal)r), "detail",
                               detail, "id", c.id, "signed", (int)c.is_signed, "key", c.key));
}

static int command(char **argv) {
        static char payload[COMMAND_PAYLOAD_MAX + 2];
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        size_t n = fread(payload, 1, sizeof(payload), stdin);

        if (key_ring_load(&ring, argv[2], complain, NULL) < 0)
                return EXIT_FAILURE;
        return read_command(argv[0], argv[1], payload, n, ring);
}

static int commands(const char *cabinet) {
        _cleanup_free_ char *line = NULL;
        size_t room = 0;
        ssize_t n;
        int r = EXIT_SUCCESS;

        while (r == EXIT_SUCCESS && (n = getline(&line, &room, stdin)) > 0) {
                char *payload = strchr(line, ' ');
                if (!payload || line[n - 1] != '\n')
                        return EXIT_FAILURE;
                *payload++ = '\0';
                r = read_command(cabinet, line, payload, (size_t)(line + n - 1 - payload), NULL);
                putchar('\n');
        }
        return r;
}

static int event(int n, char **argv) {
        EventMessage e = {.epoch = "5ac1f0e2b3d47986",
                          .sequence = strtoull(argv[1], NULL, 10),
                          .wall_usec = INT64_C(1795248930123456),
                          .type = argv[2],
                          .subject = argv[3],
                          .data = argv[4],
                          .secret = n > 5 ? argv[5] : NULL,
                          .synced = true};
        char *text = NULL;
        int r = compose_event(argv[0], &e, &text);

        return print_text(r, text);
}

static int answer(int n, char **argv) {
        char *text = NULL;
        int refusal = REFUSAL_NONE;

        while (refusal < REFUSAL_MAX && !streq(refusal_name((Refusal)refusal), argv[2]))
                refusal++;
        json_t *result = n > 3 ? json_loads(argv[3], 0, NULL) : NULL;
        int r = compose_answer("5ac1f0e2b3d47986", argv[0], argv[1], (Refusal)refusal, NULL, result, &text);
        return print_text(r, text);
}

static int state(bool bare) {
        const StateSize sizes[] = {{"S", "Small", 1, 8, 3}, {"L", "", 2, 4, 0}};
        const StateHealth health[] = {{"ledger", "ok", ""}, {"board:A", "failed", "No answer."}};
        const StateMessage s = {.cabinet = "C-0004",
                                .name = "Station",
                                .address = bare ? NULL : "1 Station Road",
                                .timezone = bare ? NULL : "Europe/Berlin",
                                .latitude = bare ? (double)NAN : 52.5,
                                .longitude = bare ? (double)NAN : 13.25,
                                .online = true,
                                .sizes = sizes,
                                .n_sizes = ARRAY_SIZE(sizes),
                                .health = health,
                                .n_health = ARRAY_SIZE(health),
                                .version = "0.1.0",
                                .ledger_schema = 1,
                                .epoch = "5ac1f0e2b3d47986",
                                .audit_head = bare ? "0:" : "17:00ff",
                                .last_event = 17,
                                .started_usec = 1,
                                .now_usec = 2};
        char *text = NULL;
        int r = compose_state(&s, &text);

        return print_text(r, text);
}

static int will(void) {
        char *text = NULL;
        int r = compose_will("C-0004", &text);

        return print_text(r, text);
}

int main(int argc, char **argv) {
        const char *verb = argc > 1 ? argv[1] : "";

        if (streq(verb, "table"))
                return table();
        if (streq(verb, "command") && argc == 5)
                return command(argv + 2);
        if (streq(verb, "commands") && argc == 3)
                return commands(argv[2]);
        if (streq(verb, "event") && argc >= 7)
                return event(argc - 2, argv + 2);
        if (streq(verb, "answer") && argc >= 5)
                return answer(argc - 2, argv + 2);
        if (streq(verb, "state"))
                return state(argc > 2);
        if (streq(verb, "will"))
                return will();
        fprintf(stderr, "see the head of contract.c\n");
        return 2;
}
