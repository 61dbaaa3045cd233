/* SPDX-License-Identifier: Apache-2.0 */
/* Events come from GetEvents only. The signal is a doorbell: what it announces is read like everything else,
 * so that nothing is missed or shown twice, whatever happens to signals while the daemon restarts. */
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

static void print_event(const Ctl *c, json_t *event) {
        char buffer[TIME_TEXT_MAX];

        if (c->json) {
                json_print(c, json_incref(event), true);
                return;
        }
        _cleanup_free_ char *data =
                json_dumps(json_object_get(event, "data"), JSON_COMPACT | JSON_ENCODE_ANY);
        _cleanup_free_ char *shown = data ? text_printable(data) : NULL;
        _cleanup_free_ char *type = text_printable(json_text(event, "type"));
        _cleanup_free_ char *subject = text_printable(json_text(event, "subject"));
        printf("%s%6llu%s  %s%s %s%-24s%s %-14s %s%s%s\n", style_on(c, STYLE_DIM),
               (unsigned long long)json_number(event, "sequence"), style_off(c, STYLE_DIM),
               time_text((int64_t)json_number(event, "time_usec"), buffer),
               json_flag(event, "clock_synchronised") ? " " : "~", style_on(c, STYLE_BOLD), type ? type : "",
               style_off(c, STYLE_BOLD), subject ? subject : "", style_on(c, STYLE_DIM), shown ? shown : "",
               style_off(c, STYLE_DIM));
}

/* Everything after *after; the newest `keep` of it only. Moves *after to the last one read. */
static int print_events(Ctl *c, uint64_t *after, uint64_t keep) {
        _cleanup_json_ json_t *newest = json_array();
        bool more = true;

        while (more) {
                _cleanup_json_ json_t *page = NULL;
                int status = read_page(c, *after, PAGE, &page);
                if (status)
                        return status;
                size_t n = json_array_size(page);
                more = n == PAGE;
                if (n)
                        *after = json_number(json_array_get(page, n - 1), "sequence");
                if (json_array_extend(newest, page) < 0)
                        return ctl_oom(c);
                size_t have = json_array_size(newest), surplus = have > keep ? have - keep : 0;
                if (keep == UINT64_MAX) { /* nothing to wait for: let a long list flow */
                        json_t *event;
                        size_t i;
                        json_array_foreach(newest, i, event) print_event(c, event);
                        json_array_clear(newest);
                } else if (surplus) {
                        json_t *rest = json_array();
                        for (size_t i = surplus; i < have; i++)
                                json_array_append(rest, json_array_get(newest, i));
                        json_decref(newest);
                        newest = rest;
                }
        }
        json_t *event;
        size_t i;
        json_array_foreach(newest, i, event) print_event(c, event);
        fflush(stdout);
        return 0;
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
        /* listen before reading, so that nothing falls between */
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
        {"follow", 'f', NULL, "Go on with what happens from now on"},
        {"after", 0, "NUMBER", "Only events after this sequence number"},
        {"newest", 'n', "COUNT", "Only the newest COUNT (20 unless --after or --all is given)"},
        {"all", 0, NULL, "All of them"},
        {NULL, 0, NULL, NULL},
};

const Verb verb_events = {
        .name = "events",
        .usage = "[-f] [--after NUMBER] [-n COUNT]",
        .summary = "Show what has happened, from the ledger",
        .details = "A \"~\" after the time says that the clock was not synchronised. With --json: one object "
                   "a line.",
        .options = events_options,
        .run = run_events,
};
