/* SPDX-License-Identifier: Apache-2.0 */
/* Events come from GetEvents only. The signal only triggers reading, so that no event is missed or
 * shown twice, even when signals are lost while the daemon restarts. */
#include "ctl/table.h"

#include <errno.h>
#include <poll.h>

#define PAGE           1000U
#define NEWEST_DEFAULT 20

static int event_from_bus(sd_bus_message *m, json_t **ret) {
        const char *type, *subject, *data;
        uint64_t sequence;
        int64_t usec;
        int synced;

        int r = sd_bus_message_read(m, "(txsssb)", &sequence, &usec, &type, &subject, &data, &synced);
        if (r <= 0)
                return r;
        json_t *object = json_loads(data, 0, NULL);
        *ret = json_pack("{s:I, s:s, s:s, s:o, s:b}", "sequence", (json_int_t)sequence, "type", type,
                         "subject", subject, "data", object ? object : json_string(data),
                         "clock_synchronised", synced);
        return !*ret || json_set_time(*ret, "time", usec) < 0 ? -ENOMEM : 1;
}

static int read_page(Ctl *c, uint64_t after, unsigned limit, json_t **ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_t *list = json_array();
        json_t *event = NULL;

        int status = ctl_call(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "GetEvents", NULL, &reply, "tu",
                              after, limit);
        if (status)
                return status;
        int r = sd_bus_message_enter_container(reply, 'a', "(txsssb)");
        while (r >= 0 && (r = event_from_bus(reply, &event)) > 0)
                if (json_array_append_new(list, event) < 0)
                        return ctl_oom(c);
        if (r < 0)
                return ctl_bad_reply(c, r);
        *ret = steal_ptr(list);
        return 0;
}

/* "slot=02", or NULL: when the subject contains it already, or out of memory. */
static char *fact_text(const char *subject, const char *key, const json_t *value) {
        char buffer[TIME_TEXT_MAX], *text = NULL;
        size_t n = strlen(key);

        if (json_is_integer(value) && (streq(key, "expires") || streq(key, "stored"))) {
                if (asprintf(&text, "%s=\"%s\"", key, time_text((int64_t)json_integer_value(value), buffer)) <
                    0)
                        return NULL;
                return text;
        }
        const char *word = json_string_value(value);
        bool bare = word && *word && !strpbrk(word, " =\"");
        _cleanup_free_ char *dumped = bare ? strdup(word) : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        if (!dumped || (!strncmp(subject, key, n) && subject[n] == ':' && streq(subject + n + 1, dumped)))
                return NULL;
        if (asprintf(&text, "%s=%s", key, dumped) < 0)
                return NULL;
        _cleanup_free_ char *raw = text;
        return text_printable(raw);
}

#define INDENT 10U

/* Facts on one line; on a terminal wrapped and indented where the line would be too long. */
static void print_facts(const Ctl *c, const json_t *event, unsigned x) {
        const json_t *data = json_object_get(event, "data"), *value;
        const char *key;

        fputs(style_on(c, STYLE_DIM), stdout);
        if (!json_is_object(data)) {
                _cleanup_free_ char *shown =
                        text_printable(json_string_value(data) ? json_string_value(data) : "");
                printf(" %s", shown ? shown : "");
        }
        json_object_foreach((json_t *)data, key, value) {
                _cleanup_free_ char *fact = fact_text(json_text(event, "subject"), key, value);
                unsigned width = fact ? text_width(fact) : 0;
                bool wrap = c->tty && x + 1 + width > c->width && x > INDENT;
                if (!fact)
                        continue;
                if (wrap)
                        printf("\n%*s%s", (int)INDENT, "", fact);
                else
                        printf(" %s", fact);
                x = (wrap ? INDENT : x + 1) + width;
        }
        printf("%s\n", style_off(c, STYLE_DIM));
}

static void print_event(const Ctl *c, json_t *event) {
        char buffer[TIME_TEXT_MAX];

        if (c->json) {
                json_print(c, json_incref(event), true);
                return;
        }
        _cleanup_free_ char *type = text_printable(json_text(event, "type"));
        _cleanup_free_ char *subject = text_printable(json_text(event, "subject"));
        printf("%s%6llu%s  ", style_on(c, STYLE_DIM), (unsigned long long)json_number(event, "sequence"),
               style_off(c, STYLE_DIM));
        printf("%s%s ", time_text((int64_t)json_number(event, "time_usec"), buffer),
               json_flag(event, "clock_synchronised") ? " " : "~");
        int x = 6 + 2 + (int)strlen(buffer) + 2;
        int n = printf("%s%-17s%s %-9s", style_on(c, STYLE_BOLD), type ? type : "", style_off(c, STYLE_BOLD),
                       subject ? subject : "");
        n -= (int)(strlen(style_on(c, STYLE_BOLD)) + strlen(style_off(c, STYLE_BOLD)));
        print_facts(c, event, (unsigned)MAX(x + n, 0));
}

static int read_last(Ctl *c, uint64_t *ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;

        int status = ctl_call(c, LOCKERD_PATH, "org.freedesktop.DBus.Properties", "Get", NULL, &reply, "ss",
                              LOCKERD_INTERFACE_CABINET, "LastEvent");
        if (status)
                return status;
        int r = sd_bus_message_read(reply, "v", "t", ret);
        return r < 0 ? ctl_bad_reply(c, r) : 0;
}

/* Prints a page, or adds it to `newest` and drops all but the last `keep`. */
static int take_page(const Ctl *c, json_t **newest, json_t *page, uint64_t keep) {
        json_t *event;
        size_t i;

        if (keep == UINT64_MAX) { /* nothing to wait for: let a long list flow */
                json_array_foreach(page, i, event) print_event(c, event);
                return 0;
        }
        if (json_array_extend(*newest, page) < 0)
                return ctl_oom(c);
        size_t have = json_array_size(*newest);
        if (have <= keep)
                return 0;
        json_t *rest = json_array();
        for (i = have - keep; i < have; i++)
                if (json_array_append(rest, json_array_get(*newest, i)) < 0) {
                        json_decref(rest);
                        return ctl_oom(c);
                }
        json_decref(*newest);
        *newest = rest;
        return 0;
}

static int read_events(Ctl *c, uint64_t *after, uint64_t keep, json_t **newest) {
        for (;;) {
                _cleanup_json_ json_t *page = NULL;
                int status = read_page(c, *after, PAGE, &page);
                if (status)
                        return status;
                size_t n = json_array_size(page);
                if (n)
                        *after = json_number(json_array_get(page, n - 1), "sequence");
                status = take_page(c, newest, page, keep);
                if (status || n < PAGE)
                        return status;
        }
}

/* Everything after *after; the newest `keep` of it only. Moves *after to the last one read. The newest
 * are read from the end of the ledger, so that a long history costs nothing. Numbers may be missing,
 * then it reads further back. */
static int print_events(Ctl *c, uint64_t *after, uint64_t keep) {
        _cleanup_json_ json_t *newest = json_array();
        uint64_t last = 0, back = keep;
        int status = 0;

        if (keep != UINT64_MAX)
                status = read_last(c, &last);
        while (!status) {
                uint64_t from = MAX(*after, last - MIN(back, last)), to = from;
                json_array_clear(newest);
                status = read_events(c, &to, keep, &newest);
                if (status || from == *after || json_array_size(newest) >= keep) {
                        *after = to;
                        break;
                }
                back *= 8;
        }
        json_t *event;
        size_t i;
        json_array_foreach(newest, i, event) print_event(c, event);
        fflush(stdout);
        return status;
}

typedef struct Follow {
        Ctl *ctl;
        bool rung, gone;
} Follow;

static int on_event(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ((Follow *)userdata)->rung = true;
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *before, *now;
        Follow *f = userdata;

        if (sd_bus_message_read(m, "sss", &name, &before, &now) < 0)
                return 0;
        f->gone = !*now;
        f->rung |= !f->gone;
        fprintf(stderr, f->gone ? "lockerd has gone; waiting for it.\n" : "lockerd is back.\n");
        return 0;
}

static int follow(Ctl *c, uint64_t after, uint64_t keep) {
        Follow f = {.ctl = c};

        int status = ctl_connect(c);
        if (status)
                return status;
        /* subscribe before reading, so that no event is missed */
        int r = sd_bus_match_signal(c->bus, NULL, NULL, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "Event",
                                    on_event, &f);
        if (r >= 0)
                r = sd_bus_add_match(c->bus, NULL,
                                     "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                                     "interface='org.freedesktop.DBus',arg0='" LOCKERD_BUS_NAME "'",
                                     on_owner, &f);
        if (r < 0)
                return ctl_fail_bus(c, NULL, r, NULL);
        status = print_events(c, &after, keep);
        while (!status) {
                r = sd_bus_process(c->bus, NULL);
                if (r < 0)
                        return ctl_fail_bus(c, NULL, r, NULL);
                if (r > 0)
                        continue;
                if (f.rung && !f.gone) {
                        f.rung = false;
                        status = print_events(c, &after, UINT64_MAX);
                        continue;
                }
                r = sd_bus_wait(c->bus, UINT64_MAX);
                if (r < 0 && r != -EINTR)
                        return ctl_fail_bus(c, NULL, r, NULL);
        }
        return status;
}

static int run_events(Ctl *c, const Args *a) {
        const char *after_text = args_get(a, "after"), *keep_text = args_get(a, "newest");
        uint64_t after = 0, keep = after_text || args_has(a, "all") ? UINT64_MAX : NEWEST_DEFAULT;
        int status = 0;

        if (after_text)
                status = parse_number(c, "a sequence number", after_text, UINT64_MAX, &after);
        if (!status && keep_text)
                status = parse_number(c, "a number of events", keep_text, 100000, &keep);
        if (status)
                return status;
        return args_has(a, "follow") ? follow(c, after, keep) : print_events(c, &after, keep);
}

static const Option events_options[] = {
        {"follow", 'f', NULL, "Continue with new events"},
        {"after", 0, "NUMBER", "Only events after this sequence number"},
        {"newest", 'n', "COUNT", "Only the newest COUNT (20 unless --after or --all is given)"},
        {"all", 0, NULL, "All of them"},
        {NULL, 0, NULL, NULL},
};

const Verb verb_events = {
        .name = "events",
        .usage = "[-f] [--after NUMBER] [-n COUNT]",
        .summary = "Show events from the ledger",
        .details = "A \"~\" after the time says that the clock was not synchronised. With --json: one object "
                   "a line.",
        .options = events_options,
        .run = run_events,
};
