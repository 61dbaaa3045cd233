/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of the locks with real workers (lockerd-line from the directory in WORKERS) on two pseudo
 * terminals, on each a board that answers byte by byte here. Shows F1 (facts apart from results), F4 (a dead
 * worker or board takes nothing else down), F5 (stale commands) and F6 (one pulse at a time on a supply, also
 * across lines). */
#include "base/clock.h"
#include "core/pace.h"
#include "line/modbus.h"
#include "lock/locks.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define LINES      2
#define LOCKS      4 /* two a line */
#define FLASH_BASE 0x0200
#define PULSE_MS   200
#define TOLD_MAX   64

/* A board of eight relays and inputs at address 1 of its line. */
typedef struct Simulated {
        int master, slave;
        char path[64];
        pthread_t thread;
        pthread_mutex_t mutex;
        bool end, silent, mute_writes;
        bool refuses_for_now; /* and does it all the same */
        uint8_t inputs;
        unsigned n_pulses, n_all_off;
        struct {
                unsigned coil;
                uint64_t from, until;
        } pulses[32];
} Simulated;

typedef struct Told {
        Fact facts[TOLD_MAX];
        bool more[TOLD_MAX];
        unsigned n_facts;
        struct {
                uint64_t command;
                LockResult result;
        } results[TOLD_MAX];
        unsigned n_results;
        unsigned n_line_down, n_seen;
} Told;

typedef struct Rig {
        Simulated boards[LINES];
        BoardProfile profile;
        Line lines[LINES];
        Board cabinet_boards[LINES];
        Supply supply;
        Slot slots[LOCKS];
        Lock locks_described[LOCKS];
        Cabinet cabinet;
        sd_event *event;
        Locks *locks;
        Told told;
        const char *workers;
} Rig;

static void serve(Simulated *b, const uint8_t *request) {
        uint8_t answer[8] = {request[0], request[1]};
        unsigned address = (unsigned)request[2] << 8 | request[3],
                 value = (unsigned)request[4] << 8 | request[5];
        size_t n = 0;

        if (request[1] == MODBUS_WRITE_COIL) {
                memcpy(answer, request, n = 6);
                if (address >= FLASH_BASE && b->n_pulses < ARRAY_SIZE(b->pulses)) {
                        uint64_t now = clock_now().boot_usec;
                        b->pulses[b->n_pulses].coil = address - FLASH_BASE;
                        b->pulses[b->n_pulses].from = now;
                        b->pulses[b->n_pulses++].until = now + value * 100 * USEC_PER_MSEC;
                } else
                        b->n_all_off++;
                if (b->mute_writes)
                        return;
                if (b->refuses_for_now) {
                        answer[1] |= 0x80;
                        answer[2] = MODBUS_ACKNOWLEDGED;
                        n = 3;
                }
        } else if (address + value > 8) {
                answer[1] |= 0x80;
                answer[2] = MODBUS_BAD_ADDRESS;
                n = 3;
        } else {
                answer[2] = 1;
                answer[3] = request[1] == MODBUS_READ_INPUTS ? b->inputs : 0;
                n = 4;
        }
        uint16_t crc = modbus_crc(answer, n);
        answer[n] = (uint8_t)crc;
        answer[n + 1] = (uint8_t)(crc >> 8);
        usleep(1000);
        (void)!write(b->master, answer, n + 2);
}

static void *run_board(void *userdata) {
        Simulated *b = userdata;
        uint8_t bytes[8];
        size_t n = 0;

        for (;;) {
                struct pollfd fd = {.fd = b->master, .events = POLLIN};
                int r = poll(&fd, 1, 20);
                pthread_mutex_lock(&b->mutex);
                bool end = b->end;
                if (r > 0 && !end) {
                        ssize_t k = read(b->master, bytes + n, sizeof(bytes) - n);
                        n += k > 0 ? (size_t)k : 0;
                        if (n == sizeof(bytes)) {
                                n = 0;
                                if (!b->silent && bytes[0] == 1)
                                        serve(b, bytes);
                        }
                }
                pthread_mutex_unlock(&b->mutex);
                if (end)
                        return NULL;
        }
}

static void board_open(Simulated *b) {
        struct termios t;

        b->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(b->master >= 0);
        assert_int_equal(grantpt(b->master), 0);
        assert_int_equal(unlockpt(b->master), 0);
        assert_int_equal(ptsname_r(b->master, b->path, sizeof(b->path)), 0);
        b->slave = open(b->path, O_RDWR | O_NOCTTY | O_CLOEXEC); /* keeps it alive between workers */
        assert_int_equal(tcgetattr(b->slave, &t), 0);
        cfmakeraw(&t);
        assert_int_equal(tcsetattr(b->slave, TCSANOW, &t), 0);
        pthread_mutex_init(&b->mutex, NULL);
        assert_int_equal(pthread_create(&b->thread, NULL, run_board, b), 0);
}

static void board_close(Simulated *b) {
        pthread_mutex_lock(&b->mutex);
        b->end = true;
        pthread_mutex_unlock(&b->mutex);
        pthread_join(b->thread, NULL);
        close(b->master);
        close(b->slave);
}

#define BOARD_SET(b, what, value)                  \
        do {                                       \
                pthread_mutex_lock(&(b)->mutex);   \
                (b)->what = (value);               \
                pthread_mutex_unlock(&(b)->mutex); \
        } while (0)

static void on_fact(void *userdata, const Fact *fact, bool more) {
        Told *t = &((Rig *)userdata)->told;

        assert_true(t->n_facts < TOLD_MAX);
        t->more[t->n_facts] = more;
        t->facts[t->n_facts++] = *fact;
}

static void on_seen(void *userdata, int board) {
        ((Rig *)userdata)->told.n_seen++;
}

static void on_result(void *userdata, uint64_t command, LockResult result, uint64_t at_boot) {
        Told *t = &((Rig *)userdata)->told;

        assert_true(t->n_results < TOLD_MAX);
        t->results[t->n_results].command = command;
        t->results[t->n_results++].result = result;
}

static void on_board(void *userdata, int board, BoardHealth health, const char *sentence) {
}

static void on_line(void *userdata, int line, bool working, const char *sentence) {
        ((Rig *)userdata)->told.n_line_down += !working;
}

static void describe(Rig *r) {
        r->profile = (BoardProfile){
                .name = (char *)"flash-8",
                .outputs = 8,
                .inputs = 8,
                .unlock = UNLOCK_FLASH,
                .on_value = 0xFF00,
                .flash_base = FLASH_BASE,
                .flash_unit_ms = 100,
                .max_pulse_ms = 1000,
                .all_off = ALL_OFF_COIL,
                .all_off_address = 0xFF,
                .coil_function = 1,
                .input_function = 2,
                .input_active = true,
                .identify_limit = true,
                .factory_address = -1,
        };
        r->supply = (Supply){(char *)"P", 1, 100};
        for (int i = 0; i < LINES; i++) {
                r->lines[i] = (Line){.name = (char *)"L",
                                     .device = r->boards[i].path,
                                     .baud = 115200,
                                     .parity = 'N',
                                     .stop_bits = 1,
                                     .response_timeout_ms = 100};
                r->cabinet_boards[i] =
                        (Board){.name = (char *)"B", .line = i, .address = 1, .idle_poll_ms = PACE_IDLE_MIN};
        }
        for (int i = 0; i < LOCKS; i++) {
                unsigned k = (unsigned)i % 2;
                r->slots[i] = (Slot){.label = (char *)"1", .lock = i, .release.board = -1};
                r->locks_described[i] =
                        (Lock){.slot = i,
                               .position = -1,
                               .board = i / 2,
                               .coil = k,
                               .secure_coil = -1,
                               .pulse_ms = PULSE_MS,
                               .contact = {.board = i / 2, .channel = 2 * k, .active = true},
                               .latch = {.board = i / 2, .channel = 2 * k + 1, .active = true}};
        }
        r->cabinet = (Cabinet){.slots = r->slots,
                               .locks = r->locks_described,
                               .boards = r->cabinet_boards,
                               .profiles = &r->profile,
                               .lines = r->lines,
                               .supplies = &r->supply,
                               .n_slots = LOCKS,
                               .n_locks = LOCKS,
                               .n_boards = LINES,
                               .n_profiles = 1,
                               .n_lines = LINES,
                               .n_supplies = 1};
}

static int setup(void **state) {
        Rig *r = calloc(1, sizeof(*r));

        for (int i = 0; i < LINES; i++) {
                r->boards[i].inputs = 0x0F; /* shut and locked */
                board_open(&r->boards[i]);
        }
        describe(r);
        r->workers = getenv("WORKERS");
        assert_int_equal(sd_event_new(&r->event), 0);
        *state = r;
        return 0;
}

static int teardown(void **state) {
        Rig *r = *state;

        locks_free(r->locks);
        for (int i = 0; i < LINES; i++)
                board_close(&r->boards[i]);
        sd_event_unref(r->event);
        free(r);
        return 0;
}

static void start(Rig *r) {
        const LocksHandlers handlers = {on_fact, on_seen, NULL, on_result, on_board, on_line};
        const LocksOptions options = {r->workers};

        assert_int_equal(locks_new(&r->locks, r->event, &r->cabinet, &options, &handlers, r), 0);
        assert_int_equal(locks_start(r->locks), 0);
}

static uint64_t boot(void) {
        return clock_now().boot_usec;
}

/* Runs the loop until `condition` or for `ms`. */
#define RUN_UNTIL(r, condition, ms)                                                       \
        for (uint64_t _end = boot() + (ms)*USEC_PER_MSEC; !(condition) && boot() < _end;) \
        assert_true(sd_event_run((r)->event, 5 * USEC_PER_MSEC) >= 0)

static bool everything_works(Rig *r) {
        return locks_board_health(r->locks, 0) == BOARD_ONLINE &&
               locks_board_health(r->locks, 1) == BOARD_ONLINE &&
               locks_fact(r->locks, FACT_LATCH, 0) != TRI_UNKNOWN &&
               locks_fact(r->locks, FACT_LATCH, 3) != TRI_UNKNOWN;
}

static void start_and_settle(Rig *r) {
        start(r);
        RUN_UNTIL(r, everything_works(r), 5000);
        assert_true(everything_works(r));
        assert_true(locks_ready(r->locks));
}

static void command(Rig *r, uint64_t id, int lock, uint64_t expires_ms) {
        assert_int_equal(locks_command(r->locks, id, lock, LOCK_ACTION_UNLOCK,
                                       boot() + expires_ms * USEC_PER_MSEC, false),
                         0);
}

static pid_t a_worker(void) {
        _cleanup_close_ int fd = -1;
        char path[64], pids[256] = "";

        snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0 && read(fd, pids, sizeof(pids) - 1) > 0);
        /* Not one of their openers, and not in an order: the kernel's is not promised. */
        for (char *rest = pids, *word; (word = strsep(&rest, " "));) {
                char name[32] = "";
                snprintf(path, sizeof(path), "/proc/%.16s/comm", word);
                _cleanup_close_ int comm = open(path, O_RDONLY | O_CLOEXEC);
                if (comm >= 0 && read(comm, name, sizeof(name) - 1) > 0 && streq(name, "lockerd-line\n"))
                        return (pid_t)atoi(word);
        }
        fail_msg("no lockerd-line among %s", pids);
        return 0;
}

static void test_locks_start_tells_contact_and_latch_together(void **state) {
        Rig *r = *state;

        start_and_settle(r);
        assert_int_equal(r->told.n_facts, 2 * LOCKS);
        for (unsigned i = 0; i < r->told.n_facts; i += 2) {
                assert_int_equal(r->told.facts[i].kind, FACT_CONTACT);
                assert_int_equal(r->told.facts[i + 1].kind, FACT_LATCH);
                assert_int_equal(r->told.facts[i].index, r->told.facts[i + 1].index);
                assert_int_equal(r->told.facts[i].value, TRI_YES);
                assert_true(r->told.more[i]);
        }
        assert_false(r->told.more[3]); /* one batch a board */
        assert_false(r->told.more[7]);
}

static void test_locks_input_change_is_one_fact(void **state) {
        Rig *r = *state;

        start_and_settle(r);
        r->told.n_facts = 0;
        BOARD_SET(&r->boards[1], inputs, 0x0D);
        RUN_UNTIL(r, r->told.n_facts, 1000);
        assert_int_equal(r->told.n_facts, 1);
        assert_int_equal(r->told.facts[0].kind, FACT_LATCH);
        assert_int_equal(r->told.facts[0].index, 2);
        assert_int_equal(r->told.facts[0].value, TRI_NO);
        assert_int_equal(locks_fact(r->locks, FACT_LATCH, 2), TRI_NO);
}

/* How old is what a sensor said last? Requirement: F1 */
static void test_locks_look_is_answered_and_a_silent_sensor_is_not_seen(void **state) {
        Rig *r = *state;
        uint64_t since, other;

        start_and_settle(r);
        other = locks_seen(r->locks, 2);
        assert_true(other > 0);
        r->told.n_seen = r->told.n_facts = 0;
        since = boot();
        assert_true(locks_seen(r->locks, 0) <= since);
        locks_look(r->locks, 0);
        RUN_UNTIL(r, r->told.n_seen > 0, 1000);
        assert_int_equal(r->told.n_seen, 1);
        assert_int_equal(r->told.n_facts, 0);
        assert_true(locks_seen(r->locks, 0) > since);
        assert_int_equal(locks_seen(r->locks, 2), other);
        BOARD_SET(&r->boards[0], silent, true);
        RUN_UNTIL(r, locks_board_health(r->locks, 0) == BOARD_OFFLINE, 4000);
        assert_int_equal(locks_seen(r->locks, 0), 0);
        locks_look(r->locks, 0);
        BOARD_SET(&r->boards[0], silent, false);
        RUN_UNTIL(r, locks_seen(r->locks, 0) > 0, 9000);
        assert_true(locks_seen(r->locks, 0) > since);
}

static void test_locks_one_supply_never_two_pulses(void **state) {
        Rig *r = *state;
        struct {
                uint64_t from, until;
        } p[LOCKS];
        unsigned n = 0;

        start_and_settle(r);
        for (int i = 0; i < LOCKS; i++)
                command(r, 10 + (uint64_t)i, i, 10000);
        assert_int_equal(r->told.n_results, 0); /* never from inside the call */
        RUN_UNTIL(r, r->told.n_results == LOCKS, 8000);
        assert_int_equal(r->told.n_results, LOCKS);
        for (unsigned i = 0; i < LOCKS; i++)
                assert_int_equal(r->told.results[i].result, LOCK_RESULT_PULSED);
        for (int b = 0; b < LINES; b++)
                for (unsigned i = 0; i < r->boards[b].n_pulses; i++, n++) {
                        p[n].from = r->boards[b].pulses[i].from;
                        p[n].until = r->boards[b].pulses[i].until;
                }
        assert_int_equal(n, LOCKS);
        for (unsigned i = 0; i < n; i++)
                for (unsigned k = 0; k < n; k++)
                        if (i != k && p[k].from >= p[i].from)
                                assert_true(p[k].from >= p[i].until + r->supply.cooldown_ms * USEC_PER_MSEC);
}

static void test_locks_stale_command_is_not_sent(void **state) {
        Rig *r = *state;

        start_and_settle(r);
        command(r, 1, 0, 5000);
        command(r, 2, 1, 100); /* its turn on the supply comes too late */
        command(r, 3, 2, 5000);
        locks_withdraw(r->locks, 3);
        RUN_UNTIL(r, r->told.n_results == 3, 3000);
        assert_int_equal(r->told.n_results, 3);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(r->told.results[i].result,
                                 r->told.results[i].command == 1 ? LOCK_RESULT_PULSED : LOCK_RESULT_NOT_SENT);
        assert_int_equal(r->boards[0].n_pulses, 1);
        assert_int_equal(r->boards[1].n_pulses, 0);
}

static void test_locks_silent_board_is_unknown_and_harms_nobody(void **state) {
        Rig *r = *state;

        start_and_settle(r);
        r->told.n_facts = 0;
        BOARD_SET(&r->boards[0], silent, true);
        RUN_UNTIL(r, locks_board_health(r->locks, 0) == BOARD_OFFLINE, 4000);
        assert_int_equal(locks_board_health(r->locks, 0), BOARD_OFFLINE);
        assert_int_equal(r->told.n_facts, 4);
        assert_int_equal(locks_fact(r->locks, FACT_CONTACT, 0), TRI_UNKNOWN);
        assert_int_equal(locks_fact(r->locks, FACT_CONTACT, 2), TRI_YES);
        command(r, 1, 0, 2000);
        command(r, 2, 2, 2000);
        RUN_UNTIL(r, r->told.n_results == 2, 3000);
        assert_int_equal(r->told.results[0].command, 1);
        assert_int_equal(r->told.results[0].result, LOCK_RESULT_NOT_SENT);
        assert_int_equal(r->told.results[1].result, LOCK_RESULT_PULSED);
        BOARD_SET(&r->boards[0], silent, false);
        RUN_UNTIL(r, everything_works(r), 9000);
        assert_true(everything_works(r));
}

static void test_locks_unanswered_pulse_holds_its_supply(void **state) {
        Rig *r = *state;

        start_and_settle(r);
        BOARD_SET(&r->boards[0], mute_writes, true);
        command(r, 1, 0, 3000);
        RUN_UNTIL(r, r->told.n_results == 1, 2000);
        assert_int_equal(r->told.results[0].result, LOCK_RESULT_UNCERTAIN);
        command(r, 2, 2, 3000);
        RUN_UNTIL(r, r->told.n_results == 2, 4000);
        assert_int_equal(r->told.results[1].result, LOCK_RESULT_PULSED);
        assert_true(r->boards[1].pulses[0].from >= r->boards[0].pulses[0].until + 100 * USEC_PER_MSEC);
}

static bool has_pulsed(Simulated *b) {
        pthread_mutex_lock(&b->mutex);
        bool has = b->n_pulses > 0;
        pthread_mutex_unlock(&b->mutex);
        return has;
}

/* The door has opened, and its movement is over: whoever shuts it at once must not leave it to a second
 * pulse. */
static void test_locks_refused_for_now_and_withdrawn_is_not_sent_again(void **state) {
        Rig *r = *state;

        start_and_settle(r);
        BOARD_SET(&r->boards[0], refuses_for_now, true);
        command(r, 1, 0, 5000);
        RUN_UNTIL(r, has_pulsed(&r->boards[0]), 2000);
        RUN_UNTIL(r, false, 100); /* the worker has its response */
        assert_int_equal(r->told.n_results, 0);
        locks_withdraw(r->locks, 1);
        BOARD_SET(&r->boards[0], refuses_for_now, false);
        RUN_UNTIL(r, r->told.n_results == 1, 2000);
        assert_int_equal(r->told.results[0].result, LOCK_RESULT_UNCERTAIN);
        RUN_UNTIL(r, false, 2000);
        assert_int_equal(r->boards[0].n_pulses, 1);
        assert_int_equal(r->told.n_results, 1);
}

static void test_locks_killed_worker_is_replaced(void **state) {
        Rig *r = *state;

        start_and_settle(r);
        for (int i = 0; i < LINES; i++)
                BOARD_SET(&r->boards[i], mute_writes, true);
        command(r, 1, 0, 5000);
        command(r, 2, 1, 5000);
        RUN_UNTIL(r, r->boards[0].n_pulses > 0, 1000);
        RUN_UNTIL(r, false, 20);
        for (int i = 0; i < LINES; i++)
                BOARD_SET(&r->boards[i], mute_writes, false);
        unsigned all_off = r->boards[0].n_all_off + r->boards[1].n_all_off;
        kill(a_worker(), SIGKILL); /* the workers start in the order of the lines */
        RUN_UNTIL(r, r->told.n_line_down > 0 && r->told.n_results == 2, 2000);
        assert_true(r->told.n_line_down > 0);
        assert_int_equal(r->told.n_results, 2); /* exactly one each */
        assert_int_equal(r->told.results[0].result, LOCK_RESULT_UNCERTAIN);
        assert_int_equal(r->told.results[1].result, LOCK_RESULT_NOT_SENT);
        RUN_UNTIL(r, everything_works(r), 5000);
        assert_true(everything_works(r));
        assert_true(r->boards[0].n_all_off + r->boards[1].n_all_off > all_off);
        command(r, 3, 0, 3000);
        RUN_UNTIL(r, r->told.n_results == 3, 3000);
        assert_int_equal(r->told.results[2].result, LOCK_RESULT_PULSED);
}

static void test_locks_hanging_worker_is_replaced(void **state) {
        Rig *r = *state;

        start_and_settle(r);
        kill(a_worker(), SIGSTOP);
        RUN_UNTIL(r, r->told.n_line_down > 0, 8000);
        assert_true(r->told.n_line_down > 0);
        RUN_UNTIL(r, everything_works(r), 5000);
        assert_true(everything_works(r));
}

static void test_locks_missing_worker_is_reported(void **state) {
        Rig *r = *state;

        r->workers = "/nonexistent";
        start(r);
        command(r, 1, 0, 5000);
        /* The answer comes with the first line that is given up; each line is told of by itself. */
        RUN_UNTIL(r, r->told.n_results > 0 && r->told.n_line_down >= LINES, 2000);
        assert_true(r->told.n_line_down >= LINES);
        assert_int_equal(r->told.n_results, 1);
        assert_true(locks_ready(r->locks));
        assert_int_equal(r->told.results[0].result, LOCK_RESULT_NOT_SENT);
}

static void test_locks_free_switches_everything_off(void **state) {
        Rig *r = *state;

        start_and_settle(r);
        unsigned before = r->boards[0].n_all_off;
        uint64_t t = boot();
        r->locks = locks_free(r->locks);
        assert_true(boot() - t < 1200 * USEC_PER_MSEC);
        assert_int_equal(r->boards[0].n_all_off, before + 1);
}

static void test_locks_nonsense_is_refused_at_once(void **state) {
        Rig *r = *state;

        start_and_settle(r);
        assert_true(locks_command(r->locks, 1, LOCKS, LOCK_ACTION_UNLOCK, USEC_INFINITY, false) < 0);
        assert_true(locks_command(r->locks, 1, 0, LOCK_ACTION_SECURE, USEC_INFINITY, false) < 0);
        command(r, 1, 0, 1000);
        assert_true(locks_command(r->locks, 1, 0, LOCK_ACTION_UNLOCK, USEC_INFINITY, false) < 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_locks_start_tells_contact_and_latch_together),
                T(test_locks_input_change_is_one_fact),
                T(test_locks_look_is_answered_and_a_silent_sensor_is_not_seen),
                T(test_locks_one_supply_never_two_pulses),
                T(test_locks_stale_command_is_not_sent),
                T(test_locks_silent_board_is_unknown_and_harms_nobody),
                T(test_locks_unanswered_pulse_holds_its_supply),
                T(test_locks_refused_for_now_and_withdrawn_is_not_sent_again),
                T(test_locks_killed_worker_is_replaced),
                T(test_locks_hanging_worker_is_replaced),
                T(test_locks_missing_worker_is_reported),
                T(test_locks_free_switches_everything_off),
                T(test_locks_nonsense_is_refused_at_once),
        };

        if (!getenv("WORKERS"))
                return 77; /* meson: skipped */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
