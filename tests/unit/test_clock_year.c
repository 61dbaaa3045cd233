/* SPDX-License-Identifier: Apache-2.0 */
/* A year of a cabinet whose clock wanders: days full of couriers, recipients and commands of a backend, of
 * which some are held back by a broker for minutes or months, while the calendar leaps by hours and years,
 * forth and back, the power goes, and a time server is heard now and then. After it every parcel has gone to
 * whom it belonged, and no command was carried out late or twice. Real: src/sync but for the network,
 * src/locker, src/ledger. Not real: the cabinet (fake_locks.c), the clock, the broker.
 *
 * test_clock_year [DAYS [SEED]]: without a seed, a fixed set of them shares the days */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "ledger/people.h"
#include "ledger/sql.h"
#include "config/parse.h"
#include "fake_locks.h"
#include "core/code.h"
#include "locker/errand.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/session.h"
#include "message/rfc3339.h"
#include "signer.h"
#include "sync/mqtt_client.h"
#include "sync/sync.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND       ((int64_t)USEC_PER_SEC)
#define HOUR         (3600 * SECOND)
#define DAY          (24 * HOUR)
#define YEAR         (365 * DAY)
#define REAL_AT_ZERO INT64_C(1800000000000000)
#define VALID        (72 * HOUR) /* ValidFor= */
#define NONCE_LIFE   (120 * SECOND)
#define SLOTS        6
#define PARCELS_MAX  20000
#define COMMANDS_MAX 20000
#define HELD_MAX     400

static const char board_text[] = "[Board]\nTitle=Test\nOutputs=16\nInputs=16\nBaud=19200\nFactoryAddress=1\n"
                                 "[Unlock]\nMethod=flash\nFlashBase=0x0200\nFlashUnit=100ms\nPulse=500ms\n"
                                 "MinPulse=100ms\nMaxPulse=1000ms\n"
                                 "[AllOff]\nMethod=coil\nAddress=0x00FF\nValue=0\n"
                                 "[Inputs]\nFunction=2\nBase=0\nActive=1\n"
                                 "[Identify]\nLimit=yes\n";
static const char cabinet_text[] =
        "[Cabinet]\nNumber=T-1\n[Size S]\nOrder=1\n[Supply main]\nMaxActive=2\n"
        "[Line one]\nDevice=/dev/ttyS0\n[Board A]\nLine=one\nAddress=1\nProfile=test\nSupply=main\n"
        "[Slot 01-06]\nSize=S\nColumn=1\nRow=1\nLock=A:1-6\nDoor=A:1-6\nPresence=A:7-12\n";

typedef struct Parcel {
        int64_t stored; /* true time; 0: not yet */
        char code[CODE_LENGTH + 1];
        int64_t valid_until; /* true time */
        bool recalled;
} Parcel;

typedef struct Command {
        char name[16], wire[1600];
        int64_t expires, made; /* true time */
        bool with_nonce;
        unsigned executed, answers;
} Command;

typedef struct Year {
        FakeWorld *world;
        Cabinet *cabinet;
        Settings *settings;
        Ledger *ledger;
        sd_event *event;
        Identity *identity;
        Locker *locker;
        Locks *locks;
        Sync *sync;
        Signer signer;
        char directory[64], path[96], keys[96];
        unsigned long seed;

        int64_t real_at_boot; /* true time when the boot clock was at zero */
        int64_t wander;       /* how wrong the calendar is */
        bool synced;
        uint8_t boot_id[16];

        uint64_t inside[SLOTS]; /* which parcel really lies there; 0: none */
        Parcel *parcels;
        uint64_t last_parcel;
        Command *commands;
        size_t n_commands;
        size_t held[HELD_MAX], n_held; /* by the broker */
        LockerAnswer answer;
        char code[CODE_LENGTH + 1];
        bool answered;
        uint64_t audited;

        const MqttHandlers *handlers;
        char probe[256], probe_topic[96];
        void *handlers_userdata;
        char nonce[80], reply[4096];
        struct {
                unsigned long deposits, pickups, expired, returned, early, executed, fresh, not_fresh, late,
                        leaps, cuts, corrected, forgotten;
        } n;
} Year;

static Year *current;

/* --- the clock, the broker --- */

static int64_t real(const Year *y) {
        return y->real_at_boot + (int64_t)y->world->now;
}

Now clock_now(void) {
        return (Now){.boot_usec = current->world->now,
                     .wall_usec = real(current) + (current->synced ? 0 : current->wander),
                     .synced = current->synced};
}

struct MqttClient {
        int nothing;
};
static MqttClient the_client;

int mqtt_client_new(MqttClient **ret, sd_event *event, const MqttOptions *options,
                    const MqttHandlers *handlers, void *userdata) {
        current->handlers = handlers;
        current->handlers_userdata = userdata;
        *ret = &the_client;
        return 0;
}

MqttClient *mqtt_client_free(MqttClient *c) {
        return NULL;
}

bool mqtt_client_is_connected(const MqttClient *c) {
        return true;
}

int mqtt_client_publish(MqttClient *c, uint64_t token, const char *topic, const void *payload, size_t n,
                        bool retain, const char *content_type, const char *correlation_hex) {
        const char *last = strrchr(topic, '/');
        if (streq(last, "/ledger")) { /* what is published there comes back, as from any broker */
                if (!retain) {
                        snprintf(current->probe, sizeof(current->probe), "%.*s", (int)n,
                                 (const char *)payload);
                        snprintf(current->probe_topic, sizeof(current->probe_topic), "%s", topic);
                }
                return 0;
        }
        if (!retain) {
                snprintf(current->reply, sizeof(current->reply), "%.*s", (int)n, (const char *)payload);
                return 0;
        }
        json_t *state = json_loadb(payload, n, 0, NULL);
        const char *nonce = json_string_value(json_object_get(state, "nonce"));
        snprintf(current->nonce, sizeof(current->nonce), "%s", nonce ? nonce : "");
        json_decref(state);
        return 0;
}

int mqtt_client_queue(MqttClient *c, uint64_t token, const char *topic, const void *payload, size_t n,
                      const char *content_type) {
        return 0;
}

int mqtt_client_flush(MqttClient *c) {
        return 0;
}

/* --- what must be true --- */

#define must(y, condition, ...)                                                                        \
        do {                                                                                           \
                if (!(condition)) {                                                                    \
                        print_error("seed %lu, day %.3f, wander %.3f days%s: ", (y)->seed,             \
                                    (double)(real(y) - REAL_AT_ZERO) / (double)DAY,                    \
                                    (double)(y)->wander / (double)DAY, (y)->synced ? ", synced" : ""); \
                        print_error(__VA_ARGS__);                                                      \
                        print_error("\n");                                                             \
                        fail();                                                                        \
                }                                                                                      \
        } while (0)

static uint64_t dice(Year *y, uint64_t n) {
        return fake_dice(y->world, n);
}

/* A command was carried out: in time, and for the first time. */
static void carried_out(Year *y, Command *c) {
        int64_t now = real(y);

        must(y, ++c->executed == 1, "command %s is carried out twice", c->name);
        must(y, now <= c->expires || (c->with_nonce && now - c->made <= NONCE_LIFE),
             "command %s is carried out %lld s after it has expired, %lld s after it was signed", c->name,
             (long long)((now - c->expires) / SECOND), (long long)((now - c->made) / SECOND));
        y->n.executed++;
        y->n.fresh += now > c->expires || !records_moment(&y->locker->records).vouched;
}

/* By the audit: what the use cases really did, and for which command (its id is the reason). */
static void audit(Year *y) {
        sqlite3_stmt *s = NULL;

        assert_int_equal(
                sqlite3_prepare_v2(y->ledger->db,
                                   "SELECT e.sequence, e.type, a.reason FROM event e JOIN audit a ON "
                                   "a.sequence = e.sequence WHERE e.sequence > ?1 ORDER BY 1",
                                   -1, &s, NULL),
                SQLITE_OK);
        sqlite3_bind_int64(s, 1, (int64_t)y->audited);
        while (sqlite3_step(s) == SQLITE_ROW) {
                const char *type = (const char *)sqlite3_column_text(s, 1),
                           *reason = (const char *)sqlite3_column_text(s, 2);
                size_t i;
                y->audited = (uint64_t)sqlite3_column_int64(s, 0);
                y->n.corrected += streq(type, "clock.corrected");
                if (reason && sscanf(reason, "cmd-%zu", &i) == 1 && i < y->n_commands &&
                    (streq(type, "door.commanded") || streq(type, "code.issued") ||
                     streq(type, "parcel.recalled") || streq(type, "slot.disabled")))
                        carried_out(y, &y->commands[i]);
        }
        sqlite3_finalize(s);
}

/* --- the daemon --- */

static void commanded(void *userdata, int lock, LockAction action, bool urgent) {
}

static void turns(Year *y) {
        for (unsigned n = 0; n < 10000; n++) {
                if (locker_next_deadline(y->locker) <= y->world->now)
                        locker_tick(y->locker);
                else if (fake_locks_next(y->locks) <= y->world->now)
                        fake_locks_run(y->locks);
                else
                        break;
        }
        for (int i = 0; i < 4; i++)
                (void)sd_event_run(y->event, 0);
        audit(y);
}

static void pass(Year *y, int64_t usec) {
        uint64_t until = y->world->now + (uint64_t)usec;

        for (;;) {
                turns(y);
                uint64_t next = MIN(locker_next_deadline(y->locker), fake_locks_next(y->locks));
                if (next >= until)
                        break;
                y->world->now = MAX(y->world->now, next);
        }
        y->world->now = until;
        turns(y);
}

/* Hours, in which nothing happens but that they pass. */
static void sleep_for(Year *y, int64_t usec) {
        y->world->now += (uint64_t)usec;
        pass(y, 3 * SECOND);
}

static void start_daemon(Year *y) {
        LockerOptions options = {.cabinet = y->cabinet,
                                 .settings = y->settings,
                                 .ledger = y->ledger,
                                 .identity = y->identity,
                                 .now = clock_now};

        memcpy(options.boot_id, y->boot_id, sizeof(y->boot_id));
        assert_int_equal(locker_new(&y->locker, &options), 0);
        y->locks = fake_locks_new(y->world, locker_locks_handlers(), locker_locks_userdata(y->locker));
        locker_attach_locks(y->locker, y->locks);
        assert_int_equal(sync_new(&y->sync, y->event, y->locker, y->settings), 0);
        y->handlers->link(y->handlers_userdata, true, "Connected.");
        y->handlers->message(y->handlers_userdata, &(const MqttMessage){.topic = y->probe_topic,
                                                                        .payload = y->probe,
                                                                        .n_payload = strlen(y->probe)});
        pass(y, 20 * SECOND);
        assert_true(locker_is_settled(y->locker));
}

static void stop_daemon(Year *y) {
        y->sync = sync_free(y->sync);
        locker_attach_locks(y->locker, NULL);
        y->locker = locker_free(y->locker);
        fake_locks_free(y->locks);
}

static void power_cut(Year *y) {
        int64_t off = (int64_t)dice(y, 2) ? (int64_t)dice(y, 60) * SECOND : (int64_t)dice(y, 48) * HOUR,
                then = real(y) + off;

        stop_daemon(y);
        y->world->now = 10 * USEC_PER_SEC;
        y->real_at_boot = then - (int64_t)y->world->now;
        y->synced = false;
        for (size_t i = 0; i < sizeof(y->boot_id); i++)
                y->boot_id[i] = (uint8_t)dice(y, 256);
        y->n.cuts++;
        start_daemon(y);
}

static void clock_wanders(Year *y) {
        static const int64_t units[] = {SECOND, 60 * SECOND, HOUR, DAY, 30 * DAY, YEAR};

        switch (dice(y, 6)) {
        case 0: /* a time server is heard */
        case 1:
                y->synced = true;
                break;
        case 2:
                y->synced = false;
                y->wander = 0;
                break;
        case 3: /* an empty battery */
                y->synced = false;
                y->wander = -real(y) + (int64_t)dice(y, 100) * SECOND;
                break;
        default:
                y->synced = false;
                y->wander = ((int64_t)dice(y, 61) - 30) * units[dice(y, ARRAY_SIZE(units))];
                y->n.leaps++;
                break;
        }
        if (dice(y, 6) == 0)
                power_cut(y);
        else if (dice(y, 6) == 0) {
                stop_daemon(y);
                start_daemon(y);
        }
        pass(y, (int64_t)dice(y, 3) * SECOND);
}

/* --- people --- */

static void answered(void *userdata, const LockerAnswer *a) {
        Year *y = userdata;

        y->answer = *a;
        y->answered = true;
        y->code[0] = 0;
        if (a->receipt.code)
                snprintf(y->code, sizeof(y->code), "%s", a->receipt.code);
}

/* Waits for the answer → its result. */
static int result_of(Year *y) {
        for (int i = 0; i < 20 && !y->answered; i++)
                pass(y, SECOND);
        must(y, y->answered, "a request is not answered");
        y->answered = false;
        return y->answer.result;
}

/* Opens the door that has been released, changes what lies there, shuts it. */
static void reach_in(Year *y, int slot, uint64_t parcel) {
        FakeWorld *f = y->world;
        int lock = y->cabinet->slots[slot].lock;

        pass(y, 2 * SECOND);
        if (f->locks[lock].shut)
                fake_pull(f, lock);
        must(y, fake_reachable(f, y->cabinet->slots[slot].first_position), "slot %d is not open", slot);
        y->inside[slot] = parcel;
        f->occupied[y->cabinet->slots[slot].first_position] = parcel != 0;
        fake_changed(f);
        pass(y, 2 * SECOND);
        fake_push(f, lock);
        pass(y, 5 * SECOND);
}

static void leave(Year *y, uint64_t session) {
        Session *s = locker_session(y->locker, session);

        if (s)
                locker_end_session(y->locker, s, "ended");
        pass(y, SECOND);
}

static Session *come(Year *y, SessionKind kind) {
        Session *s = NULL;

        assert_int_equal(locker_start_session(y->locker, kind, "kiosk", &s), 0);
        if (kind == SESSION_COURIER)
                assert_int_equal(locker_vouch_courier(y->locker, s, "4711", "courier:4711"), 0);
        return s;
}

static void deposit(Year *y) {
        Session *s = come(y, SESSION_COURIER);
        uint64_t id = session_id(s);
        const DepositRequest q = {.size = "S", .phone = "+49 171 5550000", .allow_larger = true};

        locker_deposit(y->locker, s, &q, answered, y);
        if (result_of(y) == 0) {
                uint64_t parcel = y->answer.place.parcel;
                int slot = y->answer.place.slot;
                assert_true(parcel < PARCELS_MAX);
                must(y, !y->inside[slot], "parcel %llu is put where another lies",
                     (unsigned long long)parcel);
                Parcel *p = &y->parcels[parcel];
                snprintf(p->code, sizeof(p->code), "%s", y->code);
                reach_in(y, slot, parcel);
                p->stored = real(y);
                p->valid_until = p->stored + VALID;
                y->last_parcel = MAX(y->last_parcel, parcel);
                y->n.deposits++;
        }
        leave(y, id);
}

static void collect(Year *y, uint64_t id) {
        Parcel *p = &y->parcels[id];

        if (p->recalled)
                return; /* its code is a wrong one, and wrong ones lock the terminal */
        Session *s = come(y, SESSION_RECIPIENT);
        uint64_t session = session_id(s);
        const Evidence e = {.kind = CREDENTIAL_NONE, .code.code = p->code};

        locker_authenticate(y->locker, s, &e, answered, y);
        int r = result_of(y);
        if (r == LOCKER_E_CODE_EXPIRED) {
                /* Not before its time, whatever the calendar showed. */
                must(y, real(y) > p->valid_until - 60 * SECOND,
                     "the code of parcel %llu expires %lld s too soon", (unsigned long long)id,
                     (long long)((p->valid_until - real(y)) / SECOND));
                y->n.expired++;
        } else {
                must(y, r == 0, "a good code is refused: %s", refusal_name((Refusal)r));
                locker_collect(y->locker, s, 0, answered, y);
                must(y, result_of(y) == 0, "a good code opens nothing");
                must(y, y->answer.place.parcel == id && y->inside[y->answer.place.slot] == id,
                     "the code of parcel %llu opens before parcel %llu", (unsigned long long)id,
                     (unsigned long long)y->inside[y->answer.place.slot]);
                must(y, locker_accept(y->locker, s) == 0, "cannot accept");
                reach_in(y, y->answer.place.slot, 0);
                *p = (Parcel){0};
                y->n.pickups++;
        }
        leave(y, session);
}

static void take_back(Year *y) {
        Session *s = come(y, SESSION_COURIER);
        uint64_t id = session_id(s);

        locker_take_back(y->locker, s, answered, y);
        if (result_of(y) == 0)
                while ((s = locker_session(y->locker, id)) && s->errand && errand_is_at_work(&s->errand->m)) {
                        uint64_t parcel = s->errand->parcel;
                        Parcel *p = &y->parcels[parcel];
                        must(y, y->inside[s->errand->slot] == parcel, "another parcel lies there");
                        must(y, p->recalled || real(y) > p->valid_until - 60 * SECOND,
                             "a courier gets parcel %llu %lld h too soon", (unsigned long long)parcel,
                             (long long)((p->valid_until - real(y)) / HOUR));
                        reach_in(y, s->errand->slot, 0);
                        *p = (Parcel){0};
                        y->n.returned++;
                }
        leave(y, id);
}

static uint64_t some_parcel(Year *y) {
        uint64_t found = 0;
        unsigned n = 0;

        for (uint64_t id = 1; id <= y->last_parcel; id++)
                if (y->parcels[id].stored && dice(y, ++n) == 0)
                        found = id;
        return found;
}

/* --- the backend --- */

static size_t sign(Year *y, const char *name) {
        size_t i = y->n_commands++;
        Command *c = &y->commands[i];
        uint64_t parcel = some_parcel(y);
        char payload[700], arguments[200], nonce[120] = "", expires[RFC3339_MAX];
        _cleanup_free_ char *wire = NULL;

        assert_true(i < COMMANDS_MAX);
        *c = (Command){.made = real(y)};
        c->expires = c->made + (int64_t)(10 + dice(y, dice(y, 3) ? 300 : 20 * 86400)) * SECOND;
        c->with_nonce = dice(y, 2) && *y->nonce;
        if (!name) {
                static const char *const names[] = {"open", "open", "disable", "new-code", "recall"};
                name = names[dice(y, parcel ? ARRAY_SIZE(names) : 3)];
        }
        snprintf(c->name, sizeof(c->name), "%s", name);
        if (streq(name, "new-code") || streq(name, "recall"))
                snprintf(arguments, sizeof(arguments), "\"parcel\":%llu", (unsigned long long)parcel);
        else
                snprintf(arguments, sizeof(arguments), "\"slot\":\"0%d\"", 1 + (int)dice(y, SLOTS));
        if (c->with_nonce)
                snprintf(nonce, sizeof(nonce), "\"nonce\":\"%s\",", y->nonce);
        rfc3339_format(c->expires, expires);
        snprintf(payload, sizeof(payload),
                 "{\"cabinet\":\"T-1\",\"name\":\"%s\",\"id\":\"cmd-%zu\",\"expires\":\"%s\",%s\"arguments\":"
                 "{%s,"
                 "\"reason\":\"cmd-%zu\"}}",
                 c->name, i, expires, nonce, arguments, i);
        wire = signer_jws(&y->signer, "{\"alg\":\"EdDSA\",\"kid\":\"key\"}", payload);
        assert_true(strlen(wire) < sizeof(c->wire));
        snprintf(c->wire, sizeof(c->wire), "%s", wire);
        return i;
}

static const char *reply(Year *y, const char *key) {
        static char text[64];
        json_t *o = json_loads(y->reply, 0, NULL);
        const char *value = json_string_value(json_object_get(o, key));

        snprintf(text, sizeof(text), "%s", value ? value : "");
        json_decref(o);
        return text;
}

/* The code is the backend's to pass on, and the recall is the backend's will. */
static void hear(Year *y, Command *c) {
        json_t *o = json_loads(y->reply, 0, NULL), *result = json_object_get(o, "result");
        uint64_t parcel = (uint64_t)json_integer_value(json_object_get(result, "parcel"));
        const char *code = json_string_value(json_object_get(result, "code"));

        if (code && parcel && c->executed && !c->answers++ && y->parcels[parcel].stored) {
                snprintf(y->parcels[parcel].code, sizeof(y->parcels[parcel].code), "%s", code);
                y->parcels[parcel].valid_until = real(y) + VALID;
        }
        json_decref(o);
}

static void note_recall(Year *y) {
        sqlite3_stmt *s = NULL;

        assert_int_equal(sqlite3_prepare_v2(y->ledger->db, "SELECT id FROM parcel WHERE state = 'recalled'",
                                            -1, &s, NULL),
                         SQLITE_OK);
        while (sqlite3_step(s) == SQLITE_ROW)
                y->parcels[sqlite3_column_int64(s, 0)].recalled = true;
        sqlite3_finalize(s);
}

static void deliver(Year *y, size_t i) {
        Command *c = &y->commands[i];
        char topic[64];
        unsigned before = c->executed;

        snprintf(topic, sizeof(topic), "lockerd/v1/T-1/command/%s", c->name);
        const MqttMessage m = {.topic = topic,
                               .response_topic = "",
                               .correlation = "",
                               .payload = c->wire,
                               .n_payload = strlen(c->wire)};
        y->reply[0] = 0;
        y->handlers->message(y->handlers_userdata, &m);
        pass(y, 10 * SECOND);
        hear(y, c);
        note_recall(y);
        const char *error = reply(y, "error");
        y->n.not_fresh += streq(error, "NotFresh");
        y->n.late += streq(error, "Expired");
        if (streq(c->name, "disable") && c->executed > before)
                for (int k = 0; k < SLOTS; k++)
                        (void)locker_set_service(y->locker, k, 0, true, "operator:anna", "needed");
        /* Nobody stands there: the wind shuts what was opened, and nothing is taken out. */
        for (int k = 0; k < SLOTS; k++)
                if (!y->world->locks[y->cabinet->slots[k].lock].shut)
                        fake_push(y->world, y->cabinet->slots[k].lock);
        pass(y, 5 * SECOND);
}

static void backend_acts(Year *y) {
        /* What the broker has held back comes at last, perhaps again, in any order. */
        if (y->n_held && dice(y, 2)) {
                size_t k = (size_t)dice(y, y->n_held), i = y->held[k];
                if (dice(y, 2))
                        y->held[k] = y->held[--y->n_held];
                deliver(y, i);
                return;
        }
        size_t i = sign(y, NULL);
        if (dice(y, 3))
                deliver(y, i);
        if (y->n_held < HELD_MAX)
                y->held[y->n_held++] = i;
        else
                y->held[dice(y, HELD_MAX)] = i;
}

/* A clock that is heard, a command that is fresh: it must be done. */
static void check_alive(Year *y) {
        y->synced = true;
        pass(y, 2 * SECOND);
        size_t i = sign(y, "disable");
        deliver(y, i);
        must(y, y->commands[i].executed == 1 || streq(reply(y, "error"), "NotFresh"),
             "a good command is refused: %s", y->reply);
}

/* --- the year --- */

static int parse_profile(void *userdata, const char *profile, char **ret_path, char **ret_data,
                         size_t *ret_size) {
        *ret_path = strdup("test.board");
        *ret_data = strdup(board_text);
        *ret_size = sizeof(board_text) - 1;
        return *ret_path && *ret_data ? 0 : -ENOMEM;
}

static void open_everything(Year *y) {
        const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        const ProfileSource source = {.load = parse_profile, .place = "memory"};
        const uint8_t key[VAULT_KEY_SIZE] = {1, 2, 3};
        ConfigReport report = {0};
        LedgerProblem problem;
        _cleanup_free_ char *detail = NULL;
        char file[120];
        Vault *v = NULL;

        assert_int_equal(cabinet_parse("cabinet.conf", cabinet_text, sizeof(cabinet_text) - 1, &source,
                                       &y->cabinet, &report),
                         0);
        y->settings = settings_new_default();
        assert_non_null(y->settings);
        y->settings->code_valid_usec = (uint64_t)VALID;
        y->settings->reopen_grace_usec = 0;
        snprintf(y->directory, sizeof(y->directory), "%s/clock-year-XXXXXX", tmp);
        assert_non_null(mkdtemp(y->directory));
        snprintf(y->path, sizeof(y->path), "%s/ledger.db", y->directory);
        snprintf(y->keys, sizeof(y->keys), "%s/keys", y->directory);
        assert_int_equal(mkdir(y->keys, 0700), 0);
        snprintf(file, sizeof(file), "%s/key.pem", y->keys);
        FILE *f = fopen(file, "w");
        assert_non_null(f);
        fputs(y->signer.pem, f);
        fclose(f);
        free(y->settings->mqtt.signing_keys);
        y->settings->mqtt.signing_keys = strdup(y->keys);
        y->settings->mqtt.host = strdup("broker");
        assert_int_equal(vault_new(&v, key), 0);
        int r = ledger_open(&y->ledger, y->path, v, &problem, &detail);
        if (r < 0)
                fail_msg("%s: %s", strerror(-r), detail);
        PersonRow p = {.kind = PERSON_COURIER,
                       .number = "4711",
                       .name = (char *)"Bert",
                       .phone = (char *)"+49 170 1",
                       .enrolled = 1};
        assert_int_equal(ledger_person_insert(y->ledger, &p), 0);
        assert_int_equal(sd_event_new(&y->event), 0);
        assert_true(identity_new(&y->identity, y->event, "/nonexistent", 14,
                                 vault_key(ledger_vault(y->ledger), VAULT_PEPPER)) >= 0);
}

static void remove_files(const char *path) {
        DIR *d = opendir(path);

        for (struct dirent *e; d && (e = readdir(d));)
                (void)unlinkat(dirfd(d), e->d_name, 0);
        if (d)
                closedir(d);
        (void)rmdir(path);
}

static void day(Year *y) {
        int64_t until = real(y) + DAY;

        for (int i = 0; i < 12; i++) {
                switch (dice(y, 8)) {
                case 0:
                        clock_wanders(y);
                        break;
                case 1:
                case 2:
                        deposit(y);
                        break;
                case 3: {
                        uint64_t id = some_parcel(y);
                        if (id)
                                collect(y, id);
                        break;
                }
                case 4:
                        take_back(y);
                        break;
                default:
                        backend_acts(y);
                        break;
                }
                if (real(y) < until)
                        sleep_for(y, (int64_t)dice(y, 4 * 3600) * SECOND);
        }
        if (dice(y, 20) == 0)
                check_alive(y);
}

static void year(unsigned long seed, unsigned long days) {
        _cleanup_free_ Year *y = calloc(1, sizeof(*y));

        assert_non_null(y);
        current = y;
        y->seed = seed;
        y->parcels = calloc(PARCELS_MAX, sizeof(*y->parcels));
        y->commands = calloc(COMMANDS_MAX, sizeof(*y->commands));
        assert_true(y->parcels && y->commands);
        y->signer = signer_new(RFC8037_SECRET);
        open_everything(y);
        y->world = fake_world_new(y->cabinet);
        y->world->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
        y->world->prompt = true;
        y->world->commanded = commanded;
        y->world->now = 10 * USEC_PER_SEC;
        y->real_at_boot = REAL_AT_ZERO;
        y->synced = seed % 2;
        start_daemon(y);
        for (unsigned long i = 0; i < days; i++)
                day(y);
        int64_t forgotten = 0;
        assert_int_equal(ledger_inbox_forgotten(y->ledger, &forgotten), 0);
        print_message(
                "seed %lu: %lu days, %lu deposits, %lu pickups, %lu too late, %lu returned; %zu commands, "
                "%lu carried "
                "out, %lu by nonce, %lu not fresh, %lu expired; %lu leaps, %lu power cuts, %lu corrections\n",
                seed, days, y->n.deposits, y->n.pickups, y->n.expired, y->n.returned, y->n_commands,
                y->n.executed, y->n.fresh, y->n.not_fresh, y->n.late, y->n.leaps, y->n.cuts, y->n.corrected);
        /* A year in which none of it happens shows nothing. */
        assert_true(y->n.deposits > days / 4 && y->n.pickups > days / 20 && y->n.returned && y->n.expired);
        assert_true(y->n.executed > days / 10 && y->n.fresh && y->n.not_fresh && y->n.late &&
                    y->n.corrected && y->n.leaps);
        assert_true(y->n.cuts && forgotten > 0);
        stop_daemon(y);
        identity_free(y->identity);
        sd_event_unref(y->event);
        ledger_free(y->ledger);
        remove_files(y->keys);
        remove_files(y->directory);
        fake_world_free(y->world);
        settings_free(y->settings);
        cabinet_free(y->cabinet);
        signer_done(&y->signer);
        free(y->parcels);
        free(y->commands);
}

static unsigned long days_wanted = 365, only_seed;

/* Requirement: F16, F5, D4 */
static void test_year_of_a_wandering_clock_gives_every_parcel_to_whom_it_belongs(void **state) {
        if (only_seed)
                year(only_seed, days_wanted);
        else
                for (unsigned long seed = 1; seed <= 3; seed++)
                        year(seed, days_wanted / 3);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_year_of_a_wandering_clock_gives_every_parcel_to_whom_it_belongs)};

        if (argc > 1)
                days_wanted = strtoul(argv[1], NULL, 10);
        if (argc > 2)
                only_seed = strtoul(argv[2], NULL, 10);
        log_set_max_priority(getenv("VERBOSE") ? LOG_INFO : LOG_EMERG);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
