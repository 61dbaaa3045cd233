/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks must also read. What a client is owed lies at the bus and counts there against this daemon: a
 * client that calls and never reads makes the bus stop reading from the daemon, for everybody. So what each
 * connection has been sent, and has not shown to have read, is bounded. Whether it reads is asked by a Ping
 * behind the replies: libraries answer it by themselves. Nothing else tells: the bus does not say what it
 * still holds. */
#include "bus/readers.h"
#include "bus/bus_struct.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>

#define PING_AFTER (256 * UINT64_C(1024))
#define UNREAD_MAX (16 * UINT64_C(1024 * 1024)) /* of a connection; */
#define UNREAD_ALL                                                                                     \
        (64 * UINT64_C(1024 * 1024))       /* of all: half of what dbus-daemon allows us, beyond which \
                                            */
#define UNREAD_FEW (1024 * UINT64_C(1024)) /* each has only this */
#define FORGIVEN_AFTER \
        (3600 * USEC_PER_SEC) /* a little, for programs that only ever wait for their replies */
#define FORGIVEN      (1024 * UINT64_C(1024))
#define REFUSALS_TOLD 16  /* that are told; a refusal is owed, too */
#define LISTS_AT_ONCE 100 /* of all objects, by one connection; then one each so often, for each object: */
#define LIST_OBJECT   UINT64_C(200) /* µs: some ten times of what it takes */
#define QUEUE_MAX     2048          /* messages that the bus does not take from us */
#define STUCK_USEC    (60 * USEC_PER_SEC)

struct Reader {
        Bus *bus;
        char *name;
        uint64_t unread, asked; /* bytes; asked: of which the Ping under way is about */
        uint64_t forgiven_at;   /* boot µs */
        uint64_t lists_until;   /* boot µs: when what it has listed is paid for */
        unsigned refused;
        bool told;
        sd_bus_slot *ping;
        Reader *next;
};

/* About what the reply to it takes, rather more. */
static uint64_t reply_size(const Bus *b, const char *interface, const char *member) {
        static const struct {
                const char *member;
                uint64_t bytes;
        } sizes[] = {{"GetAll", 2048},      {"Introspect", 24576},    {"GetEvents", 65536},
                     {"ListPeople", 65536}, {"ListEnrolled", 131072}, {"ListLockouts", 65536},
                     {"FindHistory", 4096}};

        if (streq(member, "GetManagedObjects"))
                return 4096 + 1024 * ((uint64_t)b->cabinet->n_slots + b->parcels.n);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
                if (streq(member, sizes[i].member))
                        return sizes[i].bytes;
        return 512;
}

static void reader_free(Reader *r) {
        for (Reader **at = &r->bus->readers; *at; at = &(*at)->next)
                if (*at == r) {
                        *at = r->next;
                        break;
                }
        r->bus->unread -= r->unread;
        sd_bus_slot_unref(r->ping);
        free(r->name);
        free(r);
}

void readers_free(Bus *b) {
        while (b->readers)
                reader_free(b->readers);
}

void reader_gone(Bus *b, const char *name) {
        for (Reader *r = b->readers; r; r = r->next)
                if (streq(r->name, name)) {
                        reader_free(r);
                        return;
                }
}

static Reader *reader_of(Bus *b, const char *name) {
        for (Reader *r = b->readers; r; r = r->next)
                if (streq(r->name, name))
                        return r;
        Reader *r = calloc(1, sizeof(*r));
        if (!r || !(r->name = strdup(name))) {
                free(r);
                return NULL;
        }
        r->bus = b;
        r->forgiven_at = clock_now().boot_usec + FORGIVEN_AFTER;
        r->next = b->readers;
        b->readers = r;
        return r;
}

static void has_read(Reader *r, uint64_t bytes) {
        bytes = MIN(bytes, r->unread);
        r->unread -= bytes;
        r->bus->unread -= bytes;
}

/* Whatever it answers, it has read what lay before the question. */
static int ponged(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        Reader *r = userdata;
        const char *sender = sd_bus_message_get_sender(m);

        r->ping = sd_bus_slot_unref(r->ping);
        if (!sender || !streq(sender, r->name))
                return 0; /* the time is over, or the bus does not let the question through */
        has_read(r, r->asked);
        r->refused = 0;
        r->told = false;
        return 0;
}

static void ask(Reader *r) {
        if (r->ping || r->unread < PING_AFTER)
                return;
        r->asked = r->unread;
        int e = sd_bus_call_method_async(r->bus->bus, &r->ping, r->name, "/", "org.freedesktop.DBus.Peer",
                                         "Ping", ponged, r, NULL);
        if (e < 0)
                log_warning("Cannot ask %s whether it reads: %s", r->name, strerror(-e));
}

static bool may_be_owed(Reader *r, uint64_t bytes, uint64_t now) {
        uint64_t most = r->bus->unread > UNREAD_ALL ? UNREAD_FEW : UNREAD_MAX;

        if (now >= r->forgiven_at) {
                has_read(r, FORGIVEN);
                r->forgiven_at = now + FORGIVEN_AFTER;
        }
        return r->unread + bytes <= most;
}

/* A list of everything is much work; whoever asks for one after the other keeps the others waiting. */
static bool may_list(Reader *r, uint64_t now) {
        uint64_t until = MAX(r->lists_until, now),
                 every = LIST_OBJECT * ((uint64_t)r->bus->cabinet->n_slots + r->bus->parcels.n);

        if (until - now > LISTS_AT_ONCE * every)
                return false;
        r->lists_until = until + every;
        return true;
}

/* While the bus takes nothing from us nobody can be answered, and nothing but a new connection helps. */
static bool queue_is_full(Bus *b, uint64_t now) {
        uint64_t n = 0;

        if (sd_bus_get_n_queued_write(b->bus, &n) < 0 || !n) {
                b->stuck_since = 0;
                return false;
        }
        if (!b->stuck_since || n < b->stuck_at)
                b->stuck_since = now;
        b->stuck_at = n;
        if (now - b->stuck_since > STUCK_USEC) {
                log_error("The D-Bus system bus has taken nothing for a minute; exiting, to be restarted.");
                (void)sd_event_exit(b->event, EXIT_FAILURE);
        }
        return n > QUEUE_MAX;
}

bool readers_may_signal(Bus *b) {
        return !queue_is_full(b, clock_now().boot_usec);
}

static int refuse(Reader *r, sd_bus_message *m, const char *why) {
        if (r->refused++ < REFUSALS_TOLD)
                (void)sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED, "%s", why);
        return 1;
}

/* Before everything else, also what sd-bus answers by itself. */
static int filter(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        Bus *b = userdata;
        const char *sender = sd_bus_message_get_sender(m), *member = sd_bus_message_get_member(m);
        uint64_t now = clock_now().boot_usec;

        if (!sd_bus_message_is_method_call(m, NULL, NULL) || !sender || !member)
                return 0;
        if (queue_is_full(b, now))
                return 1; /* an answer would only lie here */
        Reader *r = reader_of(b, sender);
        if (!r)
                return -ENOMEM;
        uint64_t bytes = reply_size(b, sd_bus_message_get_interface(m), member);
        if (!may_be_owed(r, bytes, now)) {
                ask(r);
                if (!r->told)
                        log_warning(
                                "%s calls and does not read what it is answered; it is answered nothing more "
                                "until it does",
                                r->name);
                r->told = true;
                return refuse(r, m, "Please read what you have been answered, and answer Ping.");
        }
        if (streq(member, "GetManagedObjects") && !may_list(r, now))
                return refuse(r, m, "Too many lists of all objects in a short time.");
        r->unread += bytes;
        b->unread += bytes;
        ask(r);
        return 0;
}

int readers_watch(Bus *b) {
        return sd_bus_add_filter(b->bus, NULL, filter, b);
}
