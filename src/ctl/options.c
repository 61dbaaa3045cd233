/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include "base/text.h"

const Option reason_options[] = {
        {"reason", 'r', "TEXT", "Why, for the audit trail (asked for on a terminal)"},
        {NULL, 0, NULL, NULL},
};

const Option global_options[] = {
        {"json", 0, NULL, "Print JSON with stable keys (lockerctl(1) lists them)"},
        {"no-color", 0, NULL, "Never use colours (NO_COLOR does the same)"},
        {"no-legend", 0, NULL, "Print no headings, totals and legends"},
        {"bus", 0, "ADDRESS", "Use this D-Bus address instead of the system bus"},
        {"yes", 'y', NULL, "Ask for no confirmation"},
        {"help", 'h', NULL, "Explain"},
        {NULL, 0, NULL, NULL},
};

/* Does argv[0] name this option? *ret_value: the text after "=" or the letter, or NULL. */
static bool option_matches(const Option *o, const char *word, const char **ret_value) {
        *ret_value = NULL;
        if (word[1] == '-') {
                size_t n = strlen(o->name);
                if (strncmp(word + 2, o->name, n) != 0 || (word[2 + n] && word[2 + n] != '='))
                        return false;
                if (word[2 + n])
                        *ret_value = word + 3 + n;
                return true;
        }
        if (!o->letter || word[1] != o->letter)
                return false;
        if (word[2])
                *ret_value = word + 2;
        return true;
}

/* Returns the number of words used, 0 = none of these, -1 = error reported. */
static int option_find(const Ctl *c, const Option *options, char **argv, unsigned *ret_index,
                       const char **ret_value) {
        const char *value;

        for (unsigned i = 0; options && options[i].name; i++) {
                if (!option_matches(&options[i], argv[0], &value))
                        continue;
                *ret_index = i;
                if (!options[i].argument) {
                        if (value) {
                                ctl_fail(c, LOCKERCTL_USAGE, "--%s takes no value.", options[i].name);
                                return -1;
                        }
                        *ret_value = "";
                        return 1;
                }
                *ret_value = value ? value : argv[1];
                if (*ret_value)
                        return value ? 1 : 2;
                ctl_fail(c, LOCKERCTL_USAGE, "--%s needs a value: %s.", options[i].name, options[i].argument);
                return -1;
        }
        return 0;
}

int options_global(Ctl *c, char **argv, bool *help) {
        const char *value = NULL;
        unsigned i = 0;

        int n = option_find(c, global_options, argv, &i, &value);
        if (n <= 0)
                return n;
        const char *name = global_options[i].name;
        if (streq(name, "json"))
                c->json = true;
        else if (streq(name, "no-color"))
                c->color = false;
        else if (streq(name, "no-legend"))
                c->no_legend = true;
        else if (streq(name, "bus"))
                c->address = value;
        else if (streq(name, "yes"))
                c->yes = true;
        else
                *help = true;
        return n;
}

static int add_word(const Ctl *c, Args *a, const char *word) {
        if (a->n_words >= MIN(a->verb->max_words, (unsigned)WORDS_MAX))
                return ctl_usage(c, a, "\"%s\" is one word too many.", word);
        a->words[a->n_words++] = word;
        return 0;
}

int options_parse(Ctl *c, const Verb *verb, int argc, char **argv, Args *ret) {
        bool only_words = false;
        int status = 0;

        *ret = (Args){.verb = verb};
        for (int i = 0; i < argc && !status;) {
                const char *value = NULL;
                unsigned index = 0;

                if (only_words || argv[i][0] != '-' || !argv[i][1]) {
                        status = add_word(c, ret, argv[i++]);
                        continue;
                }
                if (streq(argv[i], "--")) {
                        only_words = true;
                        i++;
                        continue;
                }
                /* The verb's own options come first: they define -n. */
                int n = option_find(c, verb->options, argv + i, &index, &value);
                if (n > 0)
                        ret->values[index] = value;
                if (n == 0)
                        n = options_global(c, argv + i, &ret->help);
                if (n == 0)
                        return ctl_usage(c, ret, "There is no option %s here.", argv[i]);
                if (n < 0)
                        return LOCKERCTL_USAGE;
                i += n;
        }
        if (!status && !ret->help && ret->n_words < verb->min_words)
                return ctl_usage(c, ret, "Something is missing: lockerctl %s %s", verb->name,
                                 verb->usage ? verb->usage : "");
        return status;
}

static unsigned help_width(const Ctl *c) {
        return MIN(c->width, 100U); /* longer lines are hard to read */
}

#define LEFT_WIDTH 29U

void options_item(const Ctl *c, const char *left, unsigned left_width, const char *help) {
        unsigned n = 2 + (unsigned)strlen(left);
        unsigned indent = left_width + 1 + 30 > c->width ? 8 : left_width + 1;

        printf("  %s", left);
        if (n > left_width || indent == 8)
                printf("\n%*s", (int)indent, ""); /* on a separate line, to keep the column aligned */
        else
                printf("%*s", (int)(indent - n), "");
        text_wrap(help, indent, indent, help_width(c));
}

void options_print(const Ctl *c, const Option *options) {
        for (const Option *o = options; o && o->name; o++) {
                char left[64];
                char letter[6] = "    ";
                if (o->letter)
                        snprintf(letter, sizeof(letter), "-%c, ", o->letter);
                snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->argument ? " " : "",
                         o->argument ? o->argument : "");
                options_item(c, left, LEFT_WIDTH, o->help);
        }
}

void options_help(const Ctl *c, const Verb *verb) {
        const char *bold = c->color ? "\x1b[1m" : "", *off = c->color ? "\x1b[0m" : "";

        printf("%slockerctl %s%s%s%s%s\n\n%s.\n", bold, verb->name, verb->usage ? " " : "",
               verb->usage ? verb->usage : "", verb->options && !verb->usage ? " [OPTION...]" : "", off,
               verb->summary);
        if (verb->details) {
                putchar('\n');
                text_wrap(verb->details, 0, 0, help_width(c));
        }
        if (verb->options) {
                printf("\n%sOptions%s\n", bold, off);
                options_print(c, verb->options);
        }
        printf("\n%sEverywhere%s\n", bold, off);
        options_print(c, global_options);
}

const char *args_get(const Args *a, const char *name) {
        for (unsigned i = 0; a->verb->options && a->verb->options[i].name; i++)
                if (streq(a->verb->options[i].name, name))
                        return a->values[i];
        return NULL;
}

int args_reason(Ctl *c, const Args *a, char **ret) {
        const char *given = args_get(a, "reason");
        _cleanup_free_ char *reason = NULL;

        if (given) {
                reason = strdup(given);
                if (!reason)
                        return ctl_oom(c);
        } else if (c->json || ask_line("Reason, for the audit trail: ", &reason) < 0)
                return ctl_usage(c, a, "A reason is needed, for the audit trail: --reason TEXT.");
        if (!reason[strspn(reason, " \t")])
                return ctl_fail(c, LOCKERCTL_USAGE,
                                "The reason must not be empty: it is what the audit trail says.");
        *ret = steal_ptr(reason);
        return 0;
}

int parse_number(Ctl *c, const char *what, const char *text, uint64_t max, uint64_t *ret) {
        if (!text_is_digits(text) || text_to_u64(text, max, ret) < 0) {
                _cleanup_free_ char *shown = text_printable(text);
                return ctl_fail(c, LOCKERCTL_USAGE, "\"%s\" is not %s.", shown ? shown : "", what);
        }
        return 0;
}

int parse_place(Ctl *c, const char *text, char **ret_label, uint32_t *ret_position) {
        const char *slash = strchr(text, '/');
        uint64_t position = 0;

        if (slash) {
                int status = parse_number(c, "the number of a position", slash + 1, UINT32_MAX, &position);
                if (status)
                        return status;
                if (!position)
                        return ctl_fail(c, LOCKERCTL_USAGE, "Positions count from 1.");
        }
        size_t n = slash ? (size_t)(slash - text) : strlen(text);
        if (!n)
                return ctl_fail(c, LOCKERCTL_USAGE, "A slot is needed, as painted on its door.");
        *ret_label = strndup(text, n);
        if (!*ret_label)
                return ctl_oom(c);
        *ret_position = (uint32_t)position;
        return 0;
}
