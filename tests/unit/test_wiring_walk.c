/* SPDX-License-Identifier: Apache-2.0 */
/* Random wiring faults under a cabinet with parcels in it: swapped and broken lock wires, contacts that are
 * swapped, broken, inverted or chatter, a board whose common wire is lost. Nobody but the first person at a
 * miswired lock ever stands before somebody else's parcel. Real: src/locker, src/ledger, src/cabinet and
 * src/lock/facts.c; not real: wires, doors, people and the clock. Where contacts are as they should be, one
 * request opens one wrong door at most, and pulses it once.
 *
 * One fault is left out that no sensor shows: lock wire and contact wire of two doors swapped together while
 * parcels lie behind them. From the beginning it is harmless, and is tried.
 * test_wiring_walk [TRIALS [SEED]] */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "config/parse.h"
#include "ledger/parcels.h"
#include "ledger/people.h"
#include "lock/facts.h"
#include "locker/locker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define SLOTS        8
#define PER_BOARD    4
#define BOARDS       2
#define COMMANDS_MAX 16
#define READ_USEC    (20 * USEC_PER_MSEC)
#define IDLE_USEC    (100 * USEC_PER_MSEC) /* while nobody is there */
#define PULSE_USEC   (300 * USEC_PER_MSEC)
#define WALL_AT_BOOT INT64_C(1800000000000000)

static const char board_text[] = "[Board]\nTitle=Test\nOutputs=16\nInputs=16\nBaud=19200\n"
                                 "[Unlock]\nMethod=flash\nFlashBase=0x0200\nFlashUnit=100ms\nPulse=300ms\n"
                                 "MinPulse=100ms\nMaxPulse=1000ms\n"
                                 "[Inputs]\nFunction=2\nBase=0\nActive=1\n";
static const char cabinet_text[] =
        "[Cabinet]\nNumber=T-1\n[Size S]\nOrder=1\n[Supply main]\nMaxActive=1\n"
        "[Line one]\nDevice=/dev/ttyS0\n"
        "[Board A]\nLine=one\nAddress=1\nProfile=test\nSupply=main\n"
        "[Board B]\nLine=one\nAddress=2\nProfile=test\nSupply=main\n"
        "[Slot 1-8]\nSize=S\nColumn=1\nRow=1\nLock=A:1-4,B:1-4\nDoor=A:1-4,B:1-4\n";

typedef enum Contact {
        CONTACT_FINE,
        CONTACT_CLOSED,
        CONTACT_OPEN,
        CONTACT_INVERTED,
        CONTACT_CHATTERS
} Contact;

typedef struct Command {
        uint64_t number, at, expires;
        int lock;
        bool sent, withdrawn;
} Command;

struct Locks {
        const LocksHandlers *handlers;
        void *userdata;
        Facts *facts;
        Command commands[COMMANDS_MAX];
        int n_commands;
        uint64_t read_at, seen[BOARDS];
        bool looked_for[BOARDS];
        uint8_t read[BOARDS];
        bool blind[BOARDS];
};

/* What is wired to what, and what lies where. */
static struct {
        uint64_t now, random, busy_until;
        int coil[SLOTS]; /* the door that a lock's wire opens; -1: none */
        int wire[SLOTS]; /* the door whose contact a contact's wire shows */
        Contact contact[SLOTS];
        uint64_t period;
        bool lost[BOARDS]; /* its common wire */
        bool shut[SLOTS];
        uint64_t inside[SLOTS]; /* the parcel */
        int who;                /* the person who stands there */
        uint64_t own;           /* … and whose parcel this is */
        int opened_by[SLOTS];   /* the lock whose pulse opened this door; -1 */
        int exposed_to[SLOTS];  /* [lock]: who saw somebody else's parcel by it; -1 */
        unsigned exposures, in_request, wrong;
        char fault[200];
} world;

static Locks locks;
static Cabinet *cabinet;
static Locker *locker;
static unsigned trials = 50;
static unsigned long only_seed;

static uint64_t dice(uint64_t n) {
        world.random ^= world.random << 13;
        world.random ^= world.random >> 7;
        world.random ^= world.random << 17;
        return (world.random >> 11) % n;
}

static Now walk_now(void) {
        return (Now){.boot_usec = world.now, .wall_usec = WALL_AT_BOOT + (int64_t)world.now, .synced = true};
}

/* --- the doors --- */

static bool contacts_are_fine(void) {
        for (int i = 0; i < SLOTS; i++)
                if (world.contact[i] != CONTACT_FINE || world.wire[i] != i || world.lost[i / PER_BOARD])
                        return false;
        return true;
}

static void look_inside(int door) {
        int lock = world.opened_by[door];

        if (world.shut[door] || !world.inside[door] || world.inside[door] == world.own || lock < 0)
                return;
        world.exposures++;
        if (++world.in_request > 1 && contacts_are_fine()) {
                world.wrong++;
                print_error("%s: one request of person %d opened a second wrong door, %d\n", world.fault,
                            world.who, door + 1);
        }
        if (world.coil[lock] == lock) {
                world.wrong++;
                print_error("%s: lock %d is wired well, and person %d stands before door %d\n", world.fault,
                            lock + 1, world.who, door + 1);
        } else if (world.exposed_to[lock] >= 0 && world.exposed_to[lock] != world.who) {
                world.wrong++;
                print_error("%s: lock %d opened door %d to person %d, and it had to %d\n", world.fault,
                            lock + 1, door + 1, world.who, world.exposed_to[lock]);
        }
        world.exposed_to[lock] = world.who;
}

static void energise(int lock) {
        int door = world.coil[lock];

        if (door < 0)
                return;
        world.shut[door] = false;
        world.opened_by[door] = lock;
        look_inside(door);
}

static bool reads(int slot) {
        bool shut = world.shut[world.wire[slot]];

        if (world.lost[slot / PER_BOARD])
                return false;
        switch (world.contact[slot]) {
        case CONTACT_FINE:
                break;
        case CONTACT_CLOSED:
                return true;
        case CONTACT_OPEN:
                return false;
        case CONTACT_INVERTED:
                return !shut;
        case CONTACT_CHATTERS:
                return world.now / world.period % 2 ? shut : !shut;
        }
        return shut;
}

/* --- lock/locks.h --- */

static void on_fact(void *userdata, const Fact *fact, bool more) {
        locks.handlers->fact(locks.userdata, fact, more);
}

static void on_chatter(void *userdata, const FactChatter *chatter) {
        locks.handlers->chatter(locks.userdata, chatter);
}

static void on_common(void *userdata, int board, bool fault) {
        locks.blind[board] = fault;
        locks.handlers->board(locks.userdata, board, fault ? BOARD_BLIND : BOARD_ONLINE, "");
}

void locks_expect(Locks *l, int lock) {
}

int locks_command(Locks *l, uint64_t number, int lock, LockAction action, uint64_t expires, bool urgent) {
        assert_true(l->n_commands < COMMANDS_MAX);
        facts_commanded(l->facts, lock, world.now, expires + 12 * USEC_PER_SEC);
        l->commands[l->n_commands++] = (Command){.number = number,
                                                 .at = world.now + (10 + dice(60)) * USEC_PER_MSEC,
                                                 .expires = expires,
                                                 .lock = lock};
        return 0;
}

void locks_withdraw(Locks *l, uint64_t number) {
        for (int i = 0; i < l->n_commands; i++)
                if (l->commands[i].number == number && !l->commands[i].sent)
                        l->commands[i].withdrawn = true;
}

void locks_attend(Locks *l, bool attended) {
}

void locks_lamp(Locks *l, int slot, bool on) {
}

BoardHealth locks_board_health(const Locks *l, int board) {
        return l->blind[board] ? BOARD_BLIND : BOARD_ONLINE;
}

Tri locks_fact(const Locks *l, FactKind kind, int index) {
        return facts_get(l->facts, kind, index);
}

uint64_t locks_seen(const Locks *l, int lock) {
        return l->seen[lock / PER_BOARD];
}

void locks_look(Locks *l, int lock) {
        l->looked_for[lock / PER_BOARD] = true;
}

bool locks_ready(const Locks *l) {
        return true;
}

Locks *locks_free(Locks *l) {
        return NULL;
}

static void read_boards(bool first) {
        for (int b = 0; b < BOARDS; b++) {
                uint8_t bits[WIRE_CHANNELS / 8] = {0};
                for (int i = 0; i < PER_BOARD; i++)
                        bits[0] |= (uint8_t)(reads(b * PER_BOARD + i) << i);
                if (!first && bits[0] == locks.read[b] && !locks.looked_for[b])
                        continue;
                locks.read[b] = bits[0];
                locks.looked_for[b] = false;
                locks.seen[b] = world.now;
                facts_inputs(locks.facts, b, bits, world.now);
                locks.handlers->seen(locks.userdata, b);
        }
        locks.read_at = world.now + (world.busy_until > world.now ? READ_USEC : IDLE_USEC);
}

static void run_command(int i) {
        Command *c = &locks.commands[i];

        if (!c->sent && !c->withdrawn && world.now < c->expires) {
                c->sent = true;
                c->at = world.now + PULSE_USEC;
                energise(c->lock);
                return;
        }
        Command done = *c;
        *c = locks.commands[--locks.n_commands];
        locks.handlers->result(locks.userdata, done.number,
                               done.sent ? LOCK_RESULT_PULSED : LOCK_RESULT_NOT_SENT, world.now);
}

static uint64_t next_thing(void) {
        uint64_t next =
                MIN(MIN(locks.read_at, facts_next_deadline(locks.facts)), locker_next_deadline(locker));

        for (int i = 0; i < locks.n_commands; i++)
                next = MIN(next, locks.commands[i].at);
        return next;
}

static void pass(uint64_t usec) {
        uint64_t until = world.now + usec;

        for (uint64_t next; (next = next_thing()) <= until;) {
                world.now = MAX(world.now, next);
                facts_tick(locks.facts, world.now);
                if (locks.read_at <= world.now)
                        read_boards(false);
                for (int i = 0; i < locks.n_commands; i++)
                        if (locks.commands[i].at <= world.now)
                                run_command(i);
                if (locker_next_deadline(locker) <= world.now)
                        locker_tick(locker);
        }
        world.now = until;
}

/* --- people --- */

typedef struct Reply {
        bool come;
        int result;
        uint64_t parcel;
} Reply;

static void answered(void *userdata, const LockerAnswer *a) {
        Reply *r = userdata;

        *r = (Reply){true, a->result, a->place.parcel};
}

static void shut_everything(void) {
        for (int i = 0; i < SLOTS; i++) {
                world.shut[i] = true;
                world.opened_by[i] = -1;
        }
}

static void wait_for(const Reply *r) {
        for (int i = 0; i < 600 && !r->come; i++)
                pass(100 * USEC_PER_MSEC);
        assert_true(r->come);
}

static void go(Session *s) {
        uint64_t id = session_id(s);

        shut_everything();
        pass(3 * USEC_PER_SEC);
        s = locker_session(locker, id);
        if (s)
                locker_end_session(locker, s, "ended");
        pass((5 + dice(100)) * USEC_PER_SEC);
}

static Session *come(SessionKind kind, int who, uint64_t own) {
        Session *s = NULL;

        assert_int_equal(locker_start_session(locker, kind, "kiosk", &s), 0);
        world.busy_until = world.now + 30 * USEC_PER_SEC;
        locks.read_at = world.now;
        world.who = who;
        world.own = own;
        return s;
}

/* Puts it behind the door that is open and empty, if the cabinet says that one is. */
static void deposit(int who) {
        Session *s = come(SESSION_COURIER, who, 0);
        DepositRequest q = {.size = "S", .phone = "+49 171 5550000", .recipient = "Wilhelmine Zauberberg"};
        Reply r = {0};
        int open = -1;

        assert_int_equal(locker_vouch_courier(locker, s, "4711", "courier:4711"), 0);
        world.in_request = 0;
        locker_deposit(locker, s, &q, answered, &r);
        wait_for(&r);
        for (int i = 0; i < SLOTS; i++)
                if (!world.shut[i])
                        open = i;
        if (r.result == 0 && open >= 0 && !world.inside[open])
                world.inside[open] = r.parcel;
        else if (r.result == 0 && (s = locker_session(locker, session_id(s))))
                (void)locker_cancel(locker, s);
        go(s);
}

static void collect(int who, uint64_t parcel) {
        Session *s = come(SESSION_RECIPIENT, who, parcel);

        if (locker_vouch_parcel(locker, s, parcel, "recipient") != 0) {
                go(s);
                return;
        }
        for (int tries = 0; tries < 2; tries++) {
                Reply r = {0};
                world.in_request = 0;
                locker_collect(locker, s, 0, answered, &r);
                wait_for(&r);
                for (int i = 0; i < SLOTS; i++)
                        if (!world.shut[i] && world.inside[i] == parcel) {
                                world.inside[i] = 0;
                                (void)locker_accept(locker, s);
                        }
                shut_everything();
                pass(3 * USEC_PER_SEC);
                if (r.result == 0)
                        break;
        }
        go(s);
}

/* --- faults --- */

static void swap(int *a, int *b) {
        int x = *a;

        *a = *b;
        *b = x;
}

static void note(const char *what, int slot) {
        size_t n = strlen(world.fault);

        snprintf(world.fault + n, sizeof(world.fault) - n, "%s%s %d", n ? ", " : "", what, slot + 1);
}

static void break_something(void) {
        int a = (int)dice(SLOTS), b = (a + 1 + (int)dice(SLOTS - 1)) % SLOTS;

        switch (dice(10)) {
        case 0:
        case 1:
                swap(&world.coil[a], &world.coil[b]);
                note("lock wires swapped", a);
                break;
        case 2:
                for (int i = 0; i + 1 < SLOTS; i++)
                        swap(&world.coil[i], &world.coil[i + 1]);
                note("lock wires one off", 0);
                break;
        case 3:
                world.coil[a] = -1;
                note("lock wire broken", a);
                break;
        case 4:
                swap(&world.wire[a], &world.wire[b]);
                note("contacts swapped", a);
                break;
        case 5:
                world.contact[a] = CONTACT_CLOSED;
                note("contact closed", a);
                break;
        case 6:
                world.contact[a] = CONTACT_OPEN;
                note("contact open", a);
                break;
        case 7:
                world.contact[a] = CONTACT_INVERTED;
                note("contact inverted", a);
                break;
        case 8:
                world.contact[a] = CONTACT_CHATTERS;
                note("contact chatters", a);
                break;
        default:
                world.lost[a / PER_BOARD] = true;
                note("common wire lost", a);
        }
}

/* A pair of doors whose wires are swapped together shows nothing; only while nothing lies behind them. */
static bool can_be_seen(void) {
        for (int i = 0; i < SLOTS; i++)
                if (world.coil[i] >= 0 && world.coil[i] != i && world.wire[i] == world.coil[i])
                        return false;
        return true;
}

/* --- one cabinet --- */

static int load(void *userdata, const char *profile, char **ret_path, char **ret_data, size_t *ret_size) {
        *ret_path = strdup("test.board");
        *ret_data = strdup(board_text);
        *ret_size = sizeof(board_text) - 1;
        return *ret_path && *ret_data ? 0 : -ENOMEM;
}

static void reset_world(unsigned long seed) {
        memset(&world, 0, sizeof(world));
        world.now = 1000 * USEC_PER_SEC;
        world.random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
        world.period = (40 + dice(400)) * USEC_PER_MSEC;
        for (int i = 0; i < SLOTS; i++) {
                world.coil[i] = world.wire[i] = i;
                world.shut[i] = true;
                world.opened_by[i] = world.exposed_to[i] = -1;
        }
}

static void live(bool pairs) {
        uint64_t parcels[SLOTS];
        unsigned n = 0;
        int who = 100;

        for (int i = 0; pairs && i < SLOTS; i += 2) { /* from the beginning, and nobody ever notices */
                swap(&world.coil[i], &world.coil[i + 1]);
                swap(&world.wire[i], &world.wire[i + 1]);
        }
        for (unsigned i = 0; i < 5; i++)
                deposit(who++);
        if (pairs)
                snprintf(world.fault, sizeof(world.fault),
                         "cables of pairs of doors swapped from the beginning");
        for (unsigned k = pairs ? 0 : 1 + (unsigned)dice(3); k > 0; k--)
                break_something();
        if (!pairs && !can_be_seen())
                return;
        pass((1 + dice(60)) * USEC_PER_SEC);
        for (int i = 0; i < SLOTS; i++)
                if (world.inside[i])
                        parcels[n++] = world.inside[i];
        assert_true(pairs || n == 5);
        for (unsigned visits = 0; visits < 24; visits++) {
                if (n == 0 || dice(3) == 0)
                        deposit(who++);
                else {
                        unsigned i = (unsigned)dice(n);
                        collect((int)parcels[i], parcels[i]);
                }
                if (dice(8) == 0)
                        pass(dice(600) * USEC_PER_SEC);
        }
        if (pairs)
                world.wrong += world.exposures;
}

static void remove_directory(const char *path) {
        DIR *d = opendir(path);

        for (struct dirent *e; d && (e = readdir(d));)
                (void)unlinkat(dirfd(d), e->d_name, 0);
        if (d)
                closedir(d);
        (void)rmdir(path);
}

static void one_cabinet(unsigned long seed, bool pairs) {
        static const FactsHandlers handlers = {on_fact, on_chatter, on_common};
        const uint8_t key[VAULT_KEY_SIZE] = {1, 2, 3};
        char directory[64], path[96];
        LedgerProblem problem;
        _cleanup_free_ char *detail = NULL;
        sd_event *event = NULL;
        Identity *identity = NULL;
        Ledger *ledger = NULL;
        Vault *vault = NULL;
        Settings *settings = settings_new_default();

        reset_world(seed);
        snprintf(directory, sizeof(directory), "%s/wiring-walk-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/ledger.db", directory);
        assert_int_equal(vault_new(&vault, key), 0);
        assert_int_equal(ledger_open(&ledger, path, vault, &problem, &detail), 0);
        PersonRow courier = {.kind = PERSON_COURIER,
                             .number = "4711",
                             .name = (char *)"Bert",
                             .phone = (char *)"+49 170 1",
                             .enrolled = 1};
        assert_int_equal(ledger_person_insert(ledger, &courier), 0);
        assert_int_equal(sd_event_new(&event), 0);
        assert_true(identity_new(&identity, event, "/nonexistent", 14,
                                 vault_key(ledger_vault(ledger), VAULT_PEPPER)) >= 0);
        LockerOptions options = {.cabinet = cabinet,
                                 .settings = settings,
                                 .ledger = ledger,
                                 .identity = identity,
                                 .now = walk_now};
        assert_int_equal(locker_new(&locker, &options), 0);
        locks = (Locks){.handlers = locker_locks_handlers(), .userdata = locker_locks_userdata(locker)};
        assert_int_equal(facts_new(&locks.facts, cabinet, &handlers, NULL), 0);
        locker_attach_locks(locker, &locks);
        for (int i = 0; i < BOARDS; i++)
                locks.handlers->board(locks.userdata, i, BOARD_ONLINE, "");
        read_boards(true);
        pass(10 * USEC_PER_SEC);

        live(pairs);

        locker_attach_locks(locker, NULL);
        locker = locker_free(locker);
        locks.facts = facts_free(locks.facts);
        identity_free(identity);
        sd_event_unref(event);
        ledger_free(ledger);
        settings_free(settings);
        remove_directory(directory);
}

/* Requirement: F1, F2, F4, F13, A4 */
static void test_wiring_faults_show_nobodys_parcel_to_a_second_person(void **state) {
        unsigned exposures = 0;

        for (unsigned long seed = only_seed ? only_seed : 1; seed <= (only_seed ? only_seed : trials);
             seed++) {
                one_cabinet(seed, false);
                exposures += world.exposures;
                if (world.wrong)
                        fail_msg("seed %lu: %s", seed, world.fault);
        }
        print_message("%u cabinets: %u times the first person at a miswired lock stood before somebody "
                      "else's parcel\n",
                      only_seed ? 1 : trials, exposures);
}

static void test_cables_swapped_from_the_beginning_are_harmless(void **state) {
        for (unsigned long seed = 1; seed <= 5; seed++) {
                one_cabinet(seed, true);
                assert_int_equal(world.wrong, 0);
        }
}

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_wiring_faults_show_nobodys_parcel_to_a_second_person),
                cmocka_unit_test(test_cables_swapped_from_the_beginning_are_harmless),
        };
        const ProfileSource source = {.load = load, .place = "memory"};
        ConfigReport report = {0};

        if (argc > 1)
                trials = (unsigned)strtoul(argv[1], NULL, 10);
        if (argc > 2)
                only_seed = strtoul(argv[2], NULL, 10);
        log_set_max_priority(LOG_EMERG);
        if (cabinet_parse("cabinet.conf", cabinet_text, sizeof(cabinet_text) - 1, &source, &cabinet,
                          &report) < 0) {
                for (size_t i = 0; i < report.n_lines; i++)
                        fprintf(stderr, "%s\n", report.lines[i]);
                return 1;
        }
        int r = cmocka_run_group_tests_name("wiring_walk", tests, NULL, NULL);
        cabinet_free(cabinet);
        return r;
}
