/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-gpio, all of it but libgpiod: a real worker on chips, a clock and a daemon in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_gpio.h"

#include <stdio.h>

#define MS     USEC_PER_MSEC
#define START  (1000 * USEC_PER_SEC) /* the fake's clock begins here */
#define MAX_MS 1000                  /* of the profile */

static bool kernel_debounces;

/* One board "G" as a cabinet would describe it. */
typedef struct Plan {
        const char *outputs[70], *inputs[70]; /* NAME or CHIP:OFFSET; "!": active-low, "*": a lamp */
        uint32_t bias, drive, debounce_ms;
        unsigned safety, safety_ms; /* an alarm input, and its debounce time */
        bool unread;                /* ReadBack=no */
        unsigned idle_ms;           /* 0: as fast as ever */
} Plan;

static WireGpioLine parse_line(const char *text) {
        WireGpioLine l = {.flags = WIRE_GPIO_CONNECTED};
        const char *colon;

        for (; *text == '!' || *text == '*'; text++)
                l.flags |= *text == '!' ? WIRE_GPIO_LOW : WIRE_GPIO_LAMP;
        if (streq(text, "-"))
                l.flags = 0;
        colon = strchr(text, ':');
        if (colon) {
                l.flags |= WIRE_GPIO_BY_CHIP;
                l.offset = (uint16_t)atoi(colon + 1);
        }
        snprintf(l.name, sizeof(l.name), "%.*s", colon ? (int)(colon - text) : 31, text);
        return l;
}

static void say_lines(uint32_t board, bool output, const char *const *lines, unsigned n) {
        for (unsigned first = 0; first < n; first += WIRE_GPIO_MAX) {
                WireGpio m = {.board = board, .output = output, .first = first};
                for (unsigned i = first; i < n && m.n < WIRE_GPIO_MAX; i++)
                        m.lines[m.n++] = parse_line(lines[i]);
                fake_say(WIRE_GPIO, &m);
        }
}

static unsigned count(const char *const *lines) {
        unsigned n = 0;

        while (n < 70 && lines[n])
                n++;
        return n;
}

static void say_board(const Plan *p, uint32_t index, const char *name) {
        WireBoard board = {
                .board = index,
                .outputs = count(p->outputs),
                .inputs = count(p->inputs),
                .input_bias = p->bias,
                .output_drive = p->drive,
                .read_back = !p->unread,
                .idle_poll_ms = p->idle_ms ? p->idle_ms : PACE_IDLE_MIN,
        };

        for (unsigned i = 0; i < WIRE_CHANNELS; i++)
                board.debounce_ms[i] = (uint16_t)p->debounce_ms;
        if (p->safety_ms) {
                board.debounce_ms[p->safety] = (uint16_t)p->safety_ms;
                board.unrest_on[p->safety / 8] = (uint8_t)(1u << p->safety % 8);
        }
        snprintf(board.name, sizeof(board.name), "%s", name);
        memset(board.inputs_used, 0xFF, sizeof(board.inputs_used));
        fake_say(WIRE_BOARD, &board);
        say_lines(index, true, p->outputs, board.outputs);
        say_lines(index, false, p->inputs, board.inputs);
}

static void say_head(void) {
        WireLine line = {.kind = LINE_GPIO, .name = "panel", .device = "gpio"};
        WireProfile profile = {.unlock = UNLOCK_PULSE, .outputs = 256, .inputs = 256, .max_pulse_ms = MAX_MS};

        fake_say(WIRE_LINE, &line);
        fake_say(WIRE_PROFILE, &profile);
}

static void say_start(void) {
        WireId id = {0};

        fake_say(WIRE_START, &id);
}

static void say_plan(const Plan *p) {
        say_head();
        say_board(p, 0, "G");
        say_start();
}

/* Steps of a script. */

static void do_command(void *id, uint64_t coil, uint64_t pulse_ms) {
        WireCommand m = {.id = (uintptr_t)id,
                         .coil = (uint32_t)coil,
                         .pulse_ms = (uint32_t)pulse_ms,
                         .expires = fake.now + USEC_PER_SEC};
        fake_say(WIRE_COMMAND, &m);
}

static void do_urgent(void *id, uint64_t coil, uint64_t pulse_ms) {
        WireCommand m = {.id = (uintptr_t)id,
                         .coil = (uint32_t)coil,
                         .pulse_ms = (uint32_t)pulse_ms,
                         .expires = fake.now + USEC_PER_SEC,
                         .urgent = 1};
        fake_say(WIRE_COMMAND, &m);
}

static void do_stale(void *id, uint64_t coil, uint64_t pulse_ms) {
        WireCommand m = {.id = (uintptr_t)id,
                         .coil = (uint32_t)coil,
                         .pulse_ms = (uint32_t)pulse_ms,
                         .expires = fake.now};
        fake_say(WIRE_COMMAND, &m);
}

static void do_lamp(void *unused, uint64_t channel, uint64_t on) {
        WireOutput m = {.channel = (uint32_t)channel, .on = (uint32_t)on};
        fake_say(WIRE_OUTPUT, &m);
}

static void do_ping(void *unused, uint64_t number, uint64_t c) {
        WireId m = {.id = number};
        fake_say(WIRE_PING, &m);
}

static void do_look(void *unused, uint64_t board, uint64_t c) {
        WireId m = {.id = board};
        fake_say(WIRE_LOOK, &m);
}

static void do_attend(void *unused, uint64_t attended, uint64_t c) {
        WireId m = {.id = attended};
        fake_say(WIRE_ATTEND, &m);
}

static void do_free(void *line, uint64_t b, uint64_t c) {
        ((FakeLine *)line)->consumer[0] = 0;
}

static void do_stick(void *line, uint64_t stuck, uint64_t level) {
        FakeLine *l = line;

        l->stuck = stuck;
        l->stuck_level = level;
        if (stuck)
                l->level = level;
}

static void do_nonsense(void *unused, uint64_t b, uint64_t c) {
        WireId m = {0};
        fake_say(WIRE_HELLO, &m);
}

/* Everything but the script of a test happens between START and this. */
static void run_until(uint64_t at) {
        fake_at(at, fake_hang_up, NULL, 0, 0);
        fake_run(0);
}

/* What the daemon has heard. */

static const FakeHeard *heard(WireType type, unsigned nth) {
        for (unsigned i = 0; i < fake.n_heard; i++)
                if (fake.heard[i].message.header.type == type && nth-- == 0)
                        return &fake.heard[i];
        return NULL;
}

static unsigned n_heard(WireType type) {
        unsigned n = 0;

        while (heard(type, n))
                n++;
        return n;
}

static const FakeHeard *heard_about(WireType type, uint64_t id) {
        const FakeHeard *h;

        for (unsigned i = 0; (h = heard(type, i)); i++)
                if (h->message.id.id == id)
                        return h;
        return NULL;
}

static void check_result(uint64_t id, LockResult result) {
        const FakeHeard *h = heard_about(WIRE_RESULT, id);

        if (!h)
                fail_msg("command %u has no result", (unsigned)id);
        assert_int_equal(h->message.result.result, result);
}

static const WireBoardState *last_state(void) {
        unsigned n = n_heard(WIRE_BOARD_STATE);

        assert_true(n > 0);
        return &heard(WIRE_BOARD_STATE, n - 1)->message.board_state;
}

static const FakeHeard *state_with(const char *text) {
        const FakeHeard *h;

        for (unsigned i = 0; (h = heard(WIRE_BOARD_STATE, i)); i++)
                if (strstr(h->message.board_state.sentence, text))
                        return h;
        for (unsigned i = 0; (h = heard(WIRE_BOARD_STATE, i)); i++)
                printf("%u: %s\n", h->message.board_state.health, h->message.board_state.sentence);
        fail_msg("no state says \"%s\"", text);
        return NULL;
}

static bool input_at(unsigned nth_message, unsigned input) {
        const FakeHeard *h = heard(WIRE_INPUTS, nth_message);

        assert_non_null(h);
        return wire_bit(h->message.inputs.bits, input);
}

/* When the line was high, as [from, until) pairs. */
typedef struct Span {
        uint64_t from, until;
} Span;

static unsigned spans(const FakeChip *c, unsigned line, bool level, Span *ret, unsigned max) {
        unsigned n = 0;
        bool in = false;

        for (unsigned i = 0; i < fake.n_changes; i++) {
                const FakeChange *x = &fake.changes[i];
                if (!streq(x->chip, c->name) || x->line != line || in == (x->level == level))
                        continue;
                in = !in;
                assert_true(n < max);
                if (in)
                        ret[n] = (Span){x->at, USEC_INFINITY};
                else
                        ret[n++].until = x->at;
        }
        return n + in;
}

static void check_span(const FakeChip *c, unsigned line, uint64_t from, uint64_t until) {
        Span s[4];

        assert_int_equal(spans(c, line, true, s, 4), 1);
        assert_int_equal(s[0].from, from);
        assert_int_equal(s[0].until, until);
}

/* Eight locks, two lamps and eight inputs on two chips. */
static const Plan plain = {
        .outputs = {"LOCK1", "LOCK2", "soc:12", "!LOCK4", "*LAMP1", "*!LAMP2", "-"},
        .inputs = {"!DOOR1", "!DOOR2", "gpiochip1:2", "-", "FIRE"},
        .bias = GPIO_BIAS_PULL_UP,
        .debounce_ms = 10,
};

typedef struct Chips {
        FakeChip *soc, *expander;
} Chips;

static void name_line(FakeChip *c, unsigned line, const char *name) {
        snprintf(c->lines[line].name, GPIO_NAME, "%.*s", GPIO_NAME - 1, name);
}

/* DOOR1 and DOOR2 are closed: low under a pull-up. */
static Chips make_chips(void) {
        Chips c;

        fake_reset(kernel_debounces);
        c.soc = fake_chip("gpiochip0", "soc", 32);
        c.expander = fake_chip("gpiochip1", "1-0020", 16);
        name_line(c.soc, 10, "LOCK1");
        name_line(c.soc, 11, "LOCK2");
        name_line(c.soc, 13, "LOCK4");
        name_line(c.soc, 14, "LAMP1");
        name_line(c.expander, 15, "LAMP2");
        name_line(c.soc, 1, "DOOR1");
        name_line(c.soc, 2, "DOOR2");
        name_line(c.expander, 3, "FIRE");
        return c;
}

static void test_start_takes_outputs_inactive_and_tells_inputs(void **state) {
        Chips c = make_chips();

        fake_level(c.soc, 2, 1); /* DOOR2 stands open */
        say_plan(&plain);
        run_until(START + 10 * MS);
        const WireBoardState *s = last_state();
        assert_int_equal(s->health, BOARD_ONLINE);
        assert_int_equal(s->all_off, 1);
        assert_int_equal(n_heard(WIRE_HELLO), 1);
        assert_int_equal(heard(WIRE_LINE_STATE, 0)->message.line_state.working, 1);
        assert_true(input_at(0, 0));
        assert_false(input_at(0, 1));
        assert_false(input_at(0, 2));
        assert_false(input_at(0, 4));
        /* Outputs of both chips first, then inputs; each chip in one go. */
        assert_int_equal(fake.n_requests, 4);
        for (unsigned i = 10; i < 15; i++)
                assert_true(c.soc->lines[i].output);
        assert_false(c.soc->lines[10].level);
        assert_true(c.soc->lines[13].level); /* active-low */
        assert_false(c.soc->lines[14].level);
        assert_true(c.expander->lines[15].level);
        assert_int_equal(fake.n_changes, 6);
}

/* Requirement: F6 */
static void test_pulse_is_as_long_as_commanded(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        fake_at(at, do_command, (void *)7, 0, 300);
        fake_at(at + 1000 * MS, do_command, (void *)8, 3, 200);
        run_until(START + 3000 * MS);
        check_span(c.soc, 10, at, at + 300 * MS);
        check_result(7, LOCK_RESULT_PULSED);
        assert_non_null(heard_about(WIRE_SENDING, 7));
        assert_int_equal(heard_about(WIRE_RESULT, 7)->at, at);
        assert_int_equal(heard_about(WIRE_RESULT, 7)->message.result.over_at, 0);
        assert_int_equal(heard_about(WIRE_OVER, 7)->message.over.at, at + 300 * MS);
        Span low[2]; /* active-low */
        assert_int_equal(spans(c.soc, 13, false, low, 2), 1);
        assert_int_equal(low[0].from, at + 1000 * MS);
        assert_int_equal(low[0].until, at + 1200 * MS);
        /* Nothing else has moved. */
        assert_int_equal(fake.n_changes, 6 + 4);
        assert_int_equal(fake.guard, 0);
}

/* Requirement: F6 */
static void test_pulse_too_long_is_cut_at_the_profiles_maximum(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        fake_at(at, do_command, (void *)7, 0, 60000);
        run_until(START + 5000 * MS);
        check_span(c.soc, 10, at, at + MAX_MS * MS);
}

/* Requirement: F6 */
static void test_pulses_two_at_once_end_each_on_its_own_time(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        fake_at(at, do_command, (void *)7, 0, 300);
        fake_at(at + 100 * MS, do_command, (void *)8, 1, 100);
        fake_at(at + 150 * MS, do_command, (void *)9, 2, 400);
        run_until(START + 3000 * MS);
        check_span(c.soc, 10, at, at + 300 * MS);
        check_span(c.soc, 11, at + 100 * MS, at + 200 * MS);
        check_span(c.soc, 12, at + 150 * MS, at + 550 * MS);
        for (unsigned i = 7; i <= 9; i++)
                assert_non_null(heard_about(WIRE_OVER, i));
}

static void test_pulse_of_an_energised_lock_is_not_prolonged(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        fake_at(at, do_command, (void *)7, 0, 300);
        fake_at(at + 200 * MS, do_command, (void *)8, 0, 300);
        run_until(START + 3000 * MS);
        check_span(c.soc, 10, at, at + 300 * MS);
        check_result(8, LOCK_RESULT_NOT_SENT);
        assert_null(heard_about(WIRE_SENDING, 8));
}

static void test_command_that_makes_no_sense_moves_nothing(void **state) {
        make_chips();
        say_plan(&plain);
        fake_at(START + 50 * MS, do_stale, (void *)1, 0, 300);
        fake_at(START + 51 * MS, do_command, (void *)2, 4, 300); /* a lamp */
        fake_at(START + 52 * MS, do_command, (void *)3, 6, 300); /* not connected */
        fake_at(START + 53 * MS, do_command, (void *)4, 7, 300); /* no such channel */
        fake_at(START + 54 * MS, do_command, (void *)5, 0, 0);   /* no pulse */
        fake_at(START + 55 * MS, do_lamp, NULL, 0, 1);           /* a lock */
        fake_at(START + 56 * MS, do_lamp, NULL, 6, 1);
        fake_at(START + 57 * MS, do_lamp, NULL, 99, 1);
        run_until(START + 3000 * MS);
        for (unsigned i = 1; i <= 5; i++)
                check_result(i, LOCK_RESULT_NOT_SENT);
        assert_int_equal(n_heard(WIRE_SENDING), 0);
        assert_int_equal(fake.n_changes, 6);
        assert_int_equal(n_heard(WIRE_OVER), 0);
}

/* Requirement: F6 */
static void test_daemon_dies_in_mid_pulse_everything_goes_off_at_once(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        fake_at(at, do_lamp, NULL, 5, 1);
        fake_at(at, do_command, (void *)7, 0, 900);
        fake_at(at, do_command, (void *)8, 3, 900);
        run_until(at + 100 * MS);
        check_span(c.soc, 10, at, at + 100 * MS);
        assert_true(c.soc->lines[13].level);
        assert_true(c.expander->lines[15].level); /* the lamp, active-low */
        assert_int_equal(fake.now, at + 100 * MS);
}

/* Requirement: F6 */
static void test_worker_killed_in_mid_pulse_its_successor_switches_off_first(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        fake_at(at, do_command, (void *)7, 0, 900);
        fake_run(at + 100 * MS);
        assert_true(c.soc->lines[10].level);
        assert_int_equal(fake.guard, at + 900 * MS + USEC_PER_SEC);
        fake_connect();
        fake.n_heard = 0;
        say_plan(&plain);
        run_until(at + 200 * MS);
        check_span(c.soc, 10, at, at + 100 * MS);
        assert_int_equal(last_state()->all_off, 1);
}

static void test_lamps_are_lit_until_told_otherwise(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        fake_at(at, do_lamp, NULL, 4, 1);
        fake_at(at + 1 * MS, do_lamp, NULL, 4, 1);
        fake_at(at + 10 * MS, do_command, (void *)7, 0, 300); /* on the same chip */
        fake_at(at + 5000 * MS, do_lamp, NULL, 4, 0);
        run_until(at + 6000 * MS);
        check_span(c.soc, 14, at, at + 5000 * MS);
        check_span(c.soc, 10, at + 10 * MS, at + 310 * MS);
        assert_int_equal(n_heard(WIRE_OVER), 1);
        assert_int_equal(last_state()->health, BOARD_ONLINE);
}

/* Inputs. DOOR1 is low when closed. */

static void bounce(FakeChip *c, unsigned line, uint64_t from, unsigned times, uint64_t every, bool last) {
        for (unsigned i = 0; i < times; i++)
                fake_at(from + i * every, fake_level, c, line, (times - i) % 2 ? last : !last);
}

static void test_input_change_is_told_once_it_has_come_to_rest(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        bounce(c.soc, 1, at, 7, 2 * MS, true);
        run_until(at + 500 * MS);
        assert_int_equal(n_heard(WIRE_INPUTS), 2);
        assert_false(input_at(1, 0));
        assert_true(input_at(1, 1));
        const FakeHeard *h = heard(WIRE_INPUTS, 1);
        assert_int_equal(h->at, at + 12 * MS + 10 * MS);
        /* Our own debouncing knows the last edge, the kernel tells when it was sure. */
        assert_int_equal(h->message.inputs.at, at + 12 * MS + (kernel_debounces ? 10 * MS : 0));
}

static void test_input_glitch_is_told_to_nobody(void **state) {
        Chips c = make_chips();

        say_plan(&plain);
        for (unsigned i = 0; i < 20; i++) {
                fake_at(START + (50 + 20 * i) * MS, fake_level, c.soc, 1, 1);
                fake_at(START + (50 + 20 * i) * MS + 3 * MS, fake_level, c.soc, 1, 0);
        }
        run_until(START + 900 * MS);
        assert_int_equal(n_heard(WIRE_INPUTS), 1);
}

static void test_input_short_opening_is_not_lost(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        fake_at(at, fake_level, c.soc, 1, 1);
        fake_at(at + 15 * MS, fake_level, c.soc, 1, 0);
        run_until(at + 500 * MS);
        assert_int_equal(n_heard(WIRE_INPUTS), 3);
        assert_false(input_at(1, 0));
        assert_true(input_at(2, 0));
}

/* Requirement: F12 */
static void test_input_spike_on_an_alarm_is_told_to_nobody(void **state) {
        Chips c = make_chips();
        Plan p = plain;
        const uint64_t at = START + 50 * MS;

        p.safety = 4;
        p.safety_ms = 100;
        fake_level(c.expander, 3, 1); /* the first spike is under way when the worker starts */
        fake_at(START + 25 * MS, fake_level, c.expander, 3, 0);
        say_plan(&p);
        for (unsigned i = 0; i < 20; i++) {
                fake_at(at + 150 * i * MS, fake_level, c.expander, 3, 1);
                fake_at(at + (150 * i + 30) * MS, fake_level, c.expander, 3, 0);
        }
        fake_at(at + 4000 * MS, fake_level, c.expander, 3, 1);
        run_until(at + 6000 * MS);
        for (unsigned i = 0; heard(WIRE_INPUTS, i); i++)
                if (input_at(i, 4)) {
                        /* The one that lasts. */
                        assert_in_range(heard(WIRE_INPUTS, i)->at, at + 4100 * MS, at + 4101 * MS);
                        return;
                }
        fail_msg("the alarm was never told");
}

/* A contact that never rests counts as an alarm, whatever it happens to be when it is looked at.
 * Requirement: F12 */
static void test_input_alarm_that_never_rests_is_told(void **state) {
        static const unsigned every[] = {11, 20, 25, 50, 90, 250, 400};

        for (size_t k = 0; k < ARRAY_SIZE(every); k++) {
                Chips c = make_chips();
                Plan p = plain;
                const uint64_t at = START + 50 * MS;
                bool told = false;

                p.safety = 4;
                p.safety_ms = 500;
                say_plan(&p);
                for (unsigned i = 0; i * every[k] < 3000; i++)
                        fake_at(at + i * every[k] * MS, fake_level, c.expander, 3, i % 2 == 0);
                run_until(at + 3000 * MS);
                for (unsigned i = 0; heard(WIRE_INPUTS, i); i++)
                        told = told || (input_at(i, 4) && heard(WIRE_INPUTS, i)->at <= at + 1600 * MS);
                if (!told)
                        fail_msg("an alarm that moves every %u ms is not told", every[k]);
        }
}

static void test_input_without_debounce_is_told_at_once(void **state) {
        Chips c = make_chips();
        Plan p = plain;
        const uint64_t at = START + 50 * MS;

        p.debounce_ms = 0;
        say_plan(&p);
        fake_at(at, fake_level, c.expander, 3, 1);
        run_until(at + 100 * MS);
        assert_int_equal(heard(WIRE_INPUTS, 1)->at, at);
        assert_true(input_at(1, 4));
}

/* Requirement: F4 */
static void test_input_that_never_rests_starves_nobody(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        bounce(c.soc, 1, at, 5000, 700, false);
        fake_at(at + 1000 * MS, do_command, (void *)7, 0, 300);
        fake_at(at + 2000 * MS, fake_level, c.soc, 2, 1);
        run_until(at + 7000 * MS);
        check_span(c.soc, 10, at + 1000 * MS, at + 1300 * MS);
        /* DOOR2 was told on time. */
        bool told = false;
        for (unsigned i = 1; heard(WIRE_INPUTS, i); i++)
                if (!told && !input_at(i, 1)) {
                        told = true;
                        assert_in_range(heard(WIRE_INPUTS, i)->at, at + 2010 * MS, at + 2011 * MS);
                }
        assert_true(told);
        /* The chattering line itself now and then at most, and as it is in the end: closed. */
        if (!kernel_debounces)
                assert_in_range(n_heard(WIRE_INPUTS), 4, 12);
        assert_true(input_at(n_heard(WIRE_INPUTS) - 1, 0));
        if (!kernel_debounces)
                assert_in_range(fake.n_polls, 1, 4000);
}

static void test_input_edges_lost_are_made_good(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 350 * MS;

        say_plan(&plain);
        /* No edge at all. */
        fake_at(at, fake_silently, c.soc, 1, 1);
        /* One of two. */
        fake_at(at + 3000 * MS, fake_level, c.expander, 3, 1);
        fake_at(at + 3002 * MS, fake_silently, c.expander, 3, 0);
        run_until(at + 8000 * MS);
        assert_false(input_at(1, 0));
        assert_in_range(heard(WIRE_INPUTS, 1)->at, at, at + 1011 * MS);
        for (unsigned i = 0; heard(WIRE_INPUTS, i); i++)
                assert_false(input_at(i, 4));
}

static void test_input_read_late_is_judged_by_the_time_of_its_edges(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        fake.late = 30 * MS;
        say_plan(&plain);
        fake_at(at, fake_level, c.soc, 1, 1);
        fake_at(at + 20 * MS, fake_level, c.soc, 1, 0);
        run_until(at + 900 * MS);
        assert_int_equal(n_heard(WIRE_INPUTS), 3);
        assert_false(input_at(1, 0));
        assert_true(input_at(2, 0));
        assert_int_equal(heard(WIRE_INPUTS, 1)->message.inputs.at, at + (kernel_debounces ? 10 * MS : 0));
}

static void test_input_more_edges_than_the_kernel_keeps(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        bounce(c.soc, 1, at, 61, 100, true);
        run_until(at + 2000 * MS);
        assert_int_equal(n_heard(WIRE_INPUTS), 2);
        assert_false(input_at(1, 0));
}

static void test_input_without_interrupts_is_read_in_the_round(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 55 * MS;

        c.expander->no_edges = true;
        say_plan(&plain);
        fake_at(at, fake_level, c.expander, 3, 1);
        run_until(at + 1000 * MS);
        assert_int_equal(n_heard(WIRE_INPUTS), 2);
        assert_true(input_at(1, 4));
        assert_in_range(heard(WIRE_INPUTS, 1)->at, at + 10 * MS, at + 25 * MS);
}

/* Of a chip without interrupts, after hours of silence: a door, and an alarm with its debounce time.
 * Requirement: P7, F1, F12 */
static void test_input_without_interrupts_at_rest_is_reported_in_time(void **state) {
        for (unsigned after = 0; after < 260; after += 13)
                for (unsigned line = 2; line <= 3; line++) {
                        Chips c = make_chips();
                        Plan p = plain;
                        /* Once after hours. */
                        uint64_t silence = (after == 0 ? 7200 : 10) * USEC_PER_SEC, at = START + silence,
                                 moved_at = at + after * MS;

                        c.expander->no_edges = true;
                        p.idle_ms = PACE_IDLE_DEFAULT;
                        p.safety = 4;
                        p.safety_ms = 100;
                        say_plan(&p);
                        fake_at(moved_at, fake_level, c.expander, line, 1);
                        run_until(at + 3000 * MS);
                        assert_int_equal(n_heard(WIRE_INPUTS), 2);
                        assert_true(input_at(1, line == 3 ? 4 : 2));
                        uint64_t took = heard(WIRE_INPUTS, 1)->at - moved_at;
                        assert_true(took + (line == 3 ? 0 : 150 * MS) <= PACE_REPORT_USEC);
                        /* Four times a second, a look at everything and the daemon: not a hundred times. */
                        assert_true(fake.n_polls <= 6 * silence / USEC_PER_SEC + 1000);
                }
}

static void test_input_without_interrupts_is_read_fast_when_somebody_is_there(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 100 * USEC_PER_SEC;
        Plan p = plain;

        c.expander->no_edges = true;
        p.idle_ms = PACE_IDLE_MAX;
        say_plan(&p);
        fake_at(at, do_attend, NULL, 1, 0);
        fake_at(at + 33 * MS, fake_level, c.expander, 3, 1);
        fake_at(at + 5000 * MS, fake_level, c.expander, 3, 0);
        run_until(at + 9000 * MS);
        assert_int_equal(n_heard(WIRE_INPUTS), 3);
        assert_in_range(heard(WIRE_INPUTS, 1)->at, at + 43 * MS, at + 58 * MS);
        assert_in_range(heard(WIRE_INPUTS, 2)->at, at + 5010 * MS, at + 5025 * MS);
}

static void test_look_tells_values_that_have_not_changed(void **state) {
        make_chips();
        say_plan(&plain);
        fake_at(START + 77 * MS, do_look, NULL, 0, 0);
        fake_at(START + 78 * MS, do_ping, NULL, 42, 0);
        run_until(START + 100 * MS);
        assert_int_equal(n_heard(WIRE_INPUTS), 2);
        assert_int_equal(heard(WIRE_INPUTS, 1)->at, START + 77 * MS);
        assert_int_equal(heard(WIRE_INPUTS, 1)->message.inputs.at, START + 77 * MS);
        assert_int_equal(heard(WIRE_PONG, 0)->message.id.id, 42);
}

/* Lines that cannot be had. */

static void test_line_held_by_another_is_named_and_taken_when_free(void **state) {
        Chips c = make_chips();

        snprintf(c.soc->lines[11].consumer, GPIO_NAME, "spi0 CS1");
        say_plan(&plain);
        fake_at(START + 9000 * MS, do_free, &c.soc->lines[11], 0, 0);
        fake_at(START + 5000 * MS, do_command, (void *)7, 0, 300);
        run_until(START + 14000 * MS);
        const FakeHeard *h = state_with("output 2 (LOCK2) is line 11 of gpiochip0 and held by \"spi0 CS1\"");
        assert_int_equal(h->message.board_state.health, BOARD_OFFLINE);
        assert_int_equal(h->at, START);
        check_result(7, LOCK_RESULT_NOT_SENT);
        h = state_with("works");
        assert_in_range(h->at, START + 9000 * MS, START + 13100 * MS);
        assert_int_equal(n_heard(WIRE_BOARD_STATE), 2); /* it is not said again and again */
}

static void test_line_unknown_is_named(void **state) {
        Chips c = make_chips();

        c.soc->lines[2].name[0] = 0;
        say_plan(&plain);
        run_until(START + 100 * MS);
        assert_int_equal(last_state()->health, BOARD_OFFLINE);
        state_with("Board G: input 2 (DOOR2): no GPIO chip has a line of this name");
        /* What could be had is held, so that nothing is energised. */
        assert_true(c.soc->lines[10].output);
        assert_int_equal(fake.n_requests, 4);
        assert_int_equal(n_heard(WIRE_INPUTS), 0);
}

static void test_chip_that_may_not_be_opened_is_named(void **state) {
        Chips c = make_chips();

        c.expander->forbidden = true;
        say_plan(&plain);
        run_until(START + 100 * MS);
        state_with("/dev/gpiochip1 cannot be opened: Permission denied");
}

static void test_chip_loaded_late_is_found(void **state) {
        Chips c = make_chips();

        c.expander->present = false;
        say_plan(&plain);
        fake_at(START + 20000 * MS, fake_appear, c.expander, 0, 0);
        run_until(START + 30000 * MS);
        state_with("lamp output 6 (LAMP2): no GPIO chip has a line of this name");
        assert_in_range(state_with("works")->at, START + 20000 * MS, START + 24000 * MS);
        assert_int_equal(n_heard(WIRE_INPUTS), 1);
}

static void test_line_that_cannot_be_meant_is_wrong(void **state) {
        static const struct {
                const char *input, *expected;
        } cases[] = {
                {"LOCK1", "input 1 (LOCK1) is the same line as output 1 (LOCK1) of board G"},
                {"gpiochip0:10", "input 1 (gpiochip0:10) is the same line as output 1 (LOCK1) of board G"},
                {"soc:32", "input 1 (soc:32): gpiochip0 (soc) has 32 lines, counted from 0"},
                {"TWICE", "input 1 (TWICE) may mean gpiochip0 or gpiochip1; write CHIP:OFFSET"},
                {"twins:1",
                 "input 1 (twins:1) may mean gpiochip2 or gpiochip3; write CHIP:OFFSET with gpiochipN"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Chips c = make_chips();
                Plan p = plain;
                fake_chip("gpiochip2", "twins", 4);
                fake_chip("gpiochip3", "twins", 4);
                name_line(c.soc, 30, "TWICE");
                name_line(c.expander, 0, "TWICE");
                p.inputs[0] = cases[i].input;
                say_plan(&p);
                run_until(START + 100 * MS);
                assert_int_equal(state_with(cases[i].expected)->message.board_state.health, BOARD_WRONG);
                assert_int_equal(n_heard(WIRE_BOARD_STATE), 1);
        }
}

static void test_bias_that_a_chip_cannot_do_is_wrong(void **state) {
        Chips c = make_chips();

        c.expander->no_bias = true;
        say_plan(&plain);
        run_until(START + 100 * MS);
        const FakeHeard *h = state_with("gpiochip1 (1-0020) cannot do what InputBias= asks for");
        assert_int_equal(h->message.board_state.health, BOARD_WRONG);
}

static void test_board_of_many_lines_is_taken_in_banks(void **state) {
        static char names[70][GPIO_NAME];
        Plan p = {.debounce_ms = 5};
        FakeChip *c;

        fake_reset(kernel_debounces);
        c = fake_chip("gpiochip0", "wide", 70);
        for (unsigned i = 0; i < 70; i++) {
                snprintf(names[i], GPIO_NAME, "LOCK%u", i);
                name_line(c, i, names[i]);
                p.outputs[i] = names[i];
        }
        say_plan(&p);
        fake_at(START + 50 * MS, do_command, (void *)7, 69, 100);
        fake_at(START + 60 * MS, do_command, (void *)8, 3, 100);
        run_until(START + 500 * MS);
        assert_int_equal(fake.n_requests, 2);
        check_span(c, 69, START + 50 * MS, START + 150 * MS);
        check_span(c, 3, START + 60 * MS, START + 160 * MS);
}

/* Requirement: F4 */
static void test_board_without_its_chip_leaves_the_other_alone(void **state) {
        Chips c = make_chips();
        static const Plan a = {.outputs = {"LOCK1"}, .inputs = {"DOOR1"}},
                          b = {.outputs = {"LAMP2"}, .inputs = {"FIRE"}};
        WireCommand m = {.id = 9, .board = 1, .pulse_ms = 100, .expires = USEC_INFINITY};

        c.soc->present = false;
        say_head();
        say_board(&a, 0, "A");
        say_board(&b, 1, "B");
        say_start();
        fake_say(WIRE_COMMAND, &m);
        fake_at(START + 1 * MS, do_command, (void *)7, 0, 100);
        run_until(START + 1000 * MS);
        state_with("Board A: output 1 (LOCK1): no GPIO chip");
        state_with("Board B works");
        check_result(7, LOCK_RESULT_NOT_SENT);
}

/* Chips that go. */

/* Requirement: F6 */
static void test_chip_vanishes_in_mid_pulse_and_comes_back_off(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        fake_at(at, do_lamp, NULL, 4, 1);
        fake_at(at, do_command, (void *)7, 0, 900);
        fake_at(at + 100 * MS, fake_vanish, c.soc, 0, 0);
        fake_at(at + 200 * MS, do_command, (void *)8, 0, 900);
        fake_at(at + 5000 * MS, fake_appear, c.soc, 0, 0);
        fake_at(at + 9900 * MS, do_command, (void *)9, 0, 100);
        run_until(at + 12000 * MS);
        assert_int_equal(heard_about(WIRE_OVER, 7)->at, at + 100 * MS);
        const FakeHeard *h = state_with("Board G: the GPIO chip gpiochip0 (soc) is gone");
        assert_int_equal(h->message.board_state.health, BOARD_OFFLINE);
        assert_int_equal(h->at, at + 100 * MS);
        check_result(8, LOCK_RESULT_NOT_SENT);
        assert_int_equal(last_state()->health, BOARD_ONLINE);
        assert_int_equal(last_state()->all_off, 1);
        check_result(9, LOCK_RESULT_PULSED);
        assert_false(c.soc->lines[14].level); /* the lamp */
        Span s[3];
        assert_int_equal(spans(c.soc, 10, true, s, 3), 2);
        assert_in_range(s[0].until, at + 5000 * MS, at + 9100 * MS);
}

/* Requirement: F12 */
static void test_urgent_command_does_not_wait_for_the_next_probe(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 20000 * MS;

        c.soc->present = false;
        say_plan(&plain);
        fake_at(at, fake_appear, c.soc, 0, 0);
        fake_at(at + 1, do_urgent, (void *)7, 0, 300);
        run_until(at + 1000 * MS);
        check_result(7, LOCK_RESULT_PULSED);
        check_span(c.soc, 10, at + 1, at + 1 + 300 * MS);
}

/* Outputs that do not obey. */

static void test_output_that_stays_on_is_stuck_until_it_is_off(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;
        FakeLine *l = &c.soc->lines[10];

        say_plan(&plain);
        fake_at(at, do_command, (void *)7, 0, 300);
        fake_at(at + 100 * MS, do_stick, l, true, 1);
        fake_at(at + 2000 * MS, do_stick, l, false, 0);
        run_until(at + 5000 * MS);
        const FakeHeard *h = state_with("output 1 (LOCK1) is switched off but reads on");
        assert_int_equal(h->message.board_state.health, BOARD_STUCK);
        assert_int_equal(h->at, at + 300 * MS);
        assert_in_range(heard_about(WIRE_OVER, 7)->at, at + 2000 * MS, at + 2050 * MS);
        assert_int_equal(last_state()->health, BOARD_ONLINE);
}

static void test_output_on_without_a_command_is_stuck(void **state) {
        Chips c = make_chips();

        say_plan(&plain);
        fake_at(START + 5000 * MS, do_stick, &c.soc->lines[11], true, 1);
        run_until(START + 7000 * MS);
        const FakeHeard *h = state_with("output 2 (LOCK2) is switched off but reads on");
        assert_in_range(h->at, START + 5000 * MS, START + 6000 * MS);
        assert_int_equal(last_state()->health, BOARD_STUCK);
}

static void test_output_that_does_not_come_on_is_uncertain(void **state) {
        Chips c = make_chips();

        do_stick(&c.soc->lines[10], true, 0);
        say_plan(&plain);
        fake_at(START + 50 * MS, do_command, (void *)7, 0, 300);
        run_until(START + 5000 * MS);
        check_result(7, LOCK_RESULT_UNCERTAIN);
        state_with("output 1 (LOCK1) is switched on but reads off");
        assert_non_null(heard_about(WIRE_OVER, 7));
        assert_int_equal(last_state()->health, BOARD_ONLINE);
}

static void test_output_that_cannot_be_read_back_is_believed(void **state) {
        for (unsigned i = 0; i < 3; i++) {
                Chips c = make_chips();
                Plan p = plain;
                c.soc->no_reading = i == 0;
                p.unread = i == 1;
                p.drive = i == 2 ? GPIO_DRIVE_OPEN_DRAIN : GPIO_DRIVE_PUSH_PULL;
                if (i > 0)
                        do_stick(&c.soc->lines[11], true, 1); /* reads on, whatever it is */
                say_plan(&p);
                fake_at(START + 50 * MS, do_command, (void *)7, 0, 300);
                run_until(START + 5000 * MS);
                check_result(7, LOCK_RESULT_PULSED);
                check_span(c.soc, 10, START + 50 * MS, START + 350 * MS);
                assert_int_equal(last_state()->health, BOARD_ONLINE);
        }
}

static void do_set_errors(void *chip, uint64_t n, uint64_t c) {
        ((FakeChip *)chip)->set_errors = (int)n;
}

/* Requirement: F6 */
static void test_output_whose_setting_fails_is_tried_again(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        fake_at(at, do_command, (void *)7, 0, 300);
        fake_at(at + 200 * MS, do_set_errors, c.soc, 2, 0);
        fake_at(at + 2000 * MS, do_set_errors, c.soc, 2, 0);
        fake_at(at + 2000 * MS, do_command, (void *)8, 1, 300); /* the on fails: off, soon */
        run_until(at + 4000 * MS);
        check_span(c.soc, 10, at, at + 400 * MS);
        check_result(8, LOCK_RESULT_UNCERTAIN);
        assert_in_range(heard_about(WIRE_OVER, 8)->at, at + 2000 * MS, at + 2100 * MS);
        assert_false(c.soc->lines[11].level);
        assert_int_equal(last_state()->health, BOARD_ONLINE);
}

/* Requirement: F6 */
static void test_output_whose_chip_keeps_failing_is_taken_anew(void **state) {
        Chips c = make_chips();
        const uint64_t at = START + 50 * MS;

        say_plan(&plain);
        fake_at(at, do_command, (void *)7, 0, 300);
        fake_at(at + 200 * MS, do_set_errors, c.soc, 1000, 0);
        run_until(at + 4000 * MS);
        state_with("the GPIO chip gpiochip0 (soc) fails");
        /* Not over: nobody knows; all-off says so. */
        assert_null(heard_about(WIRE_OVER, 7));
        assert_int_equal(last_state()->all_off, 1);
        check_span(c.soc, 10, at, at + 500 * MS);
}

/* What the daemon must not say. */

static void test_nonsense_from_the_daemon_ends_the_worker(void **state) {
        Chips c = make_chips();

        say_plan(&plain);
        fake_at(START + 50 * MS, do_command, (void *)7, 0, 900);
        fake_at(START + 60 * MS, do_nonsense, NULL, 0, 0);
        fake_run(0);
        assert_int_equal(fake.now, START + 60 * MS);
        check_span(c.soc, 10, START + 50 * MS, START + 60 * MS);

        make_chips();
        WireGpio m = {.board = 0, .output = 1, .first = 250, .n = 32};
        say_head();
        say_board(&plain, 0, "G");
        fake_say(WIRE_GPIO, &m);
        say_start();
        fake_run(0);
        assert_int_equal(fake.n_requests, 0);

        make_chips();
        WireBoard b = {.board = 0, .outputs = 257, .name = "G", .idle_poll_ms = PACE_IDLE_MIN};
        say_head();
        fake_say(WIRE_BOARD, &b);
        fake_run(0);
        assert_int_equal(fake.n_requests, 0);
}

static int own(void **state) {
        kernel_debounces = false;
        return 0;
}

static int kernel(void **state) {
        kernel_debounces = true;
        return 0;
}

/* Every test for both libraries: the one that leaves debouncing to us, and the one that does not. */
#define BOTH(f)                                                 \
        {#f, f, own, NULL, NULL}, {                             \
#f " (kernel debounces)", f, kernel, NULL, NULL \
        }

int main(void) {
        const struct CMUnitTest tests[] = {
                BOTH(test_start_takes_outputs_inactive_and_tells_inputs),
                BOTH(test_pulse_is_as_long_as_commanded),
                BOTH(test_pulse_too_long_is_cut_at_the_profiles_maximum),
                BOTH(test_pulses_two_at_once_end_each_on_its_own_time),
                BOTH(test_pulse_of_an_energised_lock_is_not_prolonged),
                BOTH(test_command_that_makes_no_sense_moves_nothing),
                BOTH(test_daemon_dies_in_mid_pulse_everything_goes_off_at_once),
                BOTH(test_worker_killed_in_mid_pulse_its_successor_switches_off_first),
                BOTH(test_lamps_are_lit_until_told_otherwise),
                BOTH(test_input_change_is_told_once_it_has_come_to_rest),
                BOTH(test_input_glitch_is_told_to_nobody),
                BOTH(test_input_short_opening_is_not_lost),
                BOTH(test_input_spike_on_an_alarm_is_told_to_nobody),
                BOTH(test_input_alarm_that_never_rests_is_told),
                BOTH(test_input_without_debounce_is_told_at_once),
                BOTH(test_input_that_never_rests_starves_nobody),
                BOTH(test_input_edges_lost_are_made_good),
                BOTH(test_input_more_edges_than_the_kernel_keeps),
                BOTH(test_input_read_late_is_judged_by_the_time_of_its_edges),
                BOTH(test_input_without_interrupts_is_read_in_the_round),
                BOTH(test_input_without_interrupts_at_rest_is_reported_in_time),
                BOTH(test_input_without_interrupts_is_read_fast_when_somebody_is_there),
                BOTH(test_look_tells_values_that_have_not_changed),
                BOTH(test_line_held_by_another_is_named_and_taken_when_free),
                BOTH(test_line_unknown_is_named),
                BOTH(test_chip_that_may_not_be_opened_is_named),
                BOTH(test_chip_loaded_late_is_found),
                BOTH(test_line_that_cannot_be_meant_is_wrong),
                BOTH(test_bias_that_a_chip_cannot_do_is_wrong),
                BOTH(test_board_of_many_lines_is_taken_in_banks),
                BOTH(test_board_without_its_chip_leaves_the_other_alone),
                BOTH(test_chip_vanishes_in_mid_pulse_and_comes_back_off),
                BOTH(test_urgent_command_does_not_wait_for_the_next_probe),
                BOTH(test_output_that_stays_on_is_stuck_until_it_is_off),
                BOTH(test_output_on_without_a_command_is_stuck),
                BOTH(test_output_that_does_not_come_on_is_uncertain),
                BOTH(test_output_that_cannot_be_read_back_is_believed),
                BOTH(test_output_whose_setting_fails_is_tried_again),
                BOTH(test_output_whose_chip_keeps_failing_is_taken_anew),
                BOTH(test_nonsense_from_the_daemon_ends_the_worker),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
