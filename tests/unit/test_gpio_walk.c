/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-gpio on random days: commands, lamps, chattering contacts, chips that go and come, settings that
 * fail, lines that others hold, workers that are killed. Whatever happens: no lock is on for longer than its
 * limit while its worker lives and its chip obeys, none is on that nobody commanded, every command has one
 * result, and in the end the daemon believes what the contacts say. A seed is a day; a failing one is
 * printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_gpio.h"

#include <stdio.h>

#define MS     USEC_PER_MSEC
#define START  (1000 * USEC_PER_SEC)
#define DAY    (20 * USEC_PER_SEC)
#define CALM   (8 * USEC_PER_SEC) /* at the end: everything is there and obeys */
#define MAX_MS 500
#define SEEDS  300
#define LOCKS  6
#define LAMPS  2
#define DOORS  5

static uint64_t state;

static uint64_t draw(uint64_t n) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        return (state >> 33) % n;
}

static FakeChip *chips[2];
static uint64_t n_commands;

/* Locks 0 … 3 and the lamps are on the first chip, locks 4, 5 on the second; doors likewise. Lock 1 and door
 * 1 are active-low. */
static bool is_low(unsigned i) {
        return i == 1;
}

static void say_setup(void) {
        WireLine line = {.kind = LINE_GPIO, .name = "panel"};
        WireProfile profile = {.outputs = 256, .inputs = 256, .max_pulse_ms = MAX_MS};
        WireBoard board = {.name = "G",
                           .outputs = LOCKS + LAMPS,
                           .inputs = DOORS,
                           .read_back = 1,
                           .idle_poll_ms = PACE_IDLE_MIN};
        WireGpio outputs = {.output = 1, .n = LOCKS + LAMPS}, inputs = {.n = DOORS};
        WireId id = {0};

        memset(board.inputs_used, 0xFF, sizeof(board.inputs_used));
        for (unsigned i = 0; i < DOORS; i++)
                board.debounce_ms[i] = 10;
        for (unsigned i = 0; i < LOCKS + LAMPS; i++) {
                WireGpioLine *l = &outputs.lines[i];
                l->flags = WIRE_GPIO_CONNECTED | WIRE_GPIO_BY_CHIP;
                l->flags |= (uint16_t)(is_low(i) ? WIRE_GPIO_LOW : 0);
                l->flags |= (uint16_t)(i >= LOCKS ? WIRE_GPIO_LAMP : 0);
                l->offset = (uint16_t)(i >= LOCKS ? i : i % 4);
                snprintf(l->name, sizeof(l->name), "gpiochip%u", i < LOCKS ? i / 4 : 0);
        }
        for (unsigned i = 0; i < DOORS; i++) {
                WireGpioLine *l = &inputs.lines[i];
                l->flags = WIRE_GPIO_CONNECTED | WIRE_GPIO_BY_CHIP;
                l->flags |= (uint16_t)(is_low(i) ? WIRE_GPIO_LOW : 0);
                l->offset = (uint16_t)(10 + i);
                snprintf(l->name, sizeof(l->name), "gpiochip%u", i / 4);
        }
        fake_say(WIRE_LINE, &line);
        fake_say(WIRE_PROFILE, &profile);
        fake_say(WIRE_BOARD, &board);
        fake_say(WIRE_GPIO, &outputs);
        fake_say(WIRE_GPIO, &inputs);
        fake_say(WIRE_START, &id);
}

static void do_command(void *unused, uint64_t coil, uint64_t what) {
        WireCommand m = {
                .id = ++n_commands,
                .coil = (uint32_t)coil,
                .pulse_ms = (uint32_t)(what / 4),
                .expires = what % 8 == 3 ? fake.now : fake.now + USEC_PER_SEC,
                .urgent = what % 4 == 1,
        };
        fake_say(WIRE_COMMAND, &m);
}

static void do_lamp(void *unused, uint64_t channel, uint64_t on) {
        WireOutput m = {.channel = (uint32_t)channel, .on = (uint32_t)on};
        fake_say(WIRE_OUTPUT, &m);
}

static void do_look(void *unused, uint64_t b, uint64_t c) {
        WireId m = {0};
        fake_say(WIRE_LOOK, &m);
}

static void do_errors(void *chip, uint64_t n, uint64_t c) {
        ((FakeChip *)chip)->set_errors = (int)n;
}

static void do_hold(void *line, uint64_t held, uint64_t c) {
        FakeLine *l = line;

        if (!held)
                l->consumer[0] = 0;
        else if (!l->taken)
                snprintf(l->consumer, sizeof(l->consumer), "somebody");
}

/* Obedient: chips do as they are told and stay. */
static void one_event(uint64_t at, bool obedient) {
        FakeChip *chip = chips[draw(2)];
        uint64_t kind = draw(obedient ? 80 : 100);

        if (kind < 40)
                fake_at(at, do_command, NULL, draw(LOCKS + LAMPS + 1), draw(3000));
        else if (kind < 50)
                fake_at(at, do_lamp, NULL, draw(LOCKS + LAMPS + 1), draw(2));
        else if (kind < 70)
                fake_at(at, draw(10) ? fake_level : fake_silently, chip, 10 + draw(DOORS), draw(2));
        else if (kind < 75)
                for (unsigned i = 0, line = 10 + (unsigned)draw(DOORS); i < 60; i++)
                        fake_at(at + i * draw(20) * MS / 2, fake_level, chip, line, draw(2));
        else if (kind < 80)
                fake_at(at, do_look, NULL, 0, 0);
        else if (kind < 85)
                fake_at(at, do_errors, chip, draw(5), 0);
        else if (kind < 88) {
                fake_at(at, fake_vanish, chip, 0, 0);
                fake_at(at + draw(4000) * MS, fake_appear, chip, 0, 0);
        } else if (kind < 92) {
                FakeLine *l = &chip->lines[draw(16)];
                fake_at(at, do_hold, l, 1, 0);
                fake_at(at + draw(3000) * MS, do_hold, l, 0, 0);
        }
}

/* What a chip that does not obey, or is not there, does is not the worker's. */
static void check_lock(unsigned i, bool obedient) {
        uint64_t since = 0;

        for (unsigned k = 0; k < fake.n_changes; k++) {
                const FakeChange *c = &fake.changes[k];
                if (!streq(c->chip, chips[i / 4]->name) || c->line != i % 4)
                        continue;
                bool on = c->level != is_low(i);
                if (on && !since)
                        since = c->at;
                if (on || !since)
                        continue;
                if (c->at - since > MAX_MS * MS && obedient)
                        fail_msg("lock %u was on for %llu us", i, (unsigned long long)(c->at - since));
                since = 0;
        }
        if (since)
                fail_msg("lock %u is on at the end", i);
}

static void check_results(uint64_t lost) {
        static unsigned results[2048], sendings[2048], overs[2048];

        memset(results, 0, sizeof(results));
        memset(sendings, 0, sizeof(sendings));
        memset(overs, 0, sizeof(overs));
        assert_true(n_commands < ARRAY_SIZE(results));
        for (unsigned i = 0; i < fake.n_heard; i++) {
                const WireMessage *m = &fake.heard[i].message;
                if (m->header.type == WIRE_SENDING)
                        sendings[m->id.id]++;
                if (m->header.type == WIRE_OVER)
                        overs[m->over.id]++;
                if (m->header.type != WIRE_RESULT)
                        continue;
                results[m->result.id]++;
                /* What was not sent was never said to be. */
                assert_int_equal(sendings[m->result.id], m->result.result == LOCK_RESULT_NOT_SENT ? 0 : 1);
        }
        uint64_t without = 0;
        for (uint64_t id = 1; id <= n_commands; id++) {
                assert_in_range(results[id], 0, 1);
                assert_in_range(overs[id], 0, 1);
                without += !results[id];
        }
        assert_true(without <= lost);
}

static void check_doors(void) {
        const WireInputs *last = NULL;

        for (unsigned i = 0; i < fake.n_heard; i++)
                if (fake.heard[i].message.header.type == WIRE_INPUTS)
                        last = &fake.heard[i].message.inputs;
        assert_non_null(last);
        for (unsigned i = 0; i < DOORS; i++)
                if (wire_bit(last->bits, i) != (chips[i / 4]->lines[10 + i].outside != is_low(i)))
                        fail_msg("door %u is not what it was last said to be", i);
}

static void one_day(uint64_t seed, bool obedient) {
        uint64_t lives = 1;

        state = seed * 2654435761 + 17;
        fake_reset(seed % 2);
        n_commands = 0;
        chips[0] = fake_chip("gpiochip0", "soc", 16);
        chips[1] = fake_chip("gpiochip1", "expander", 16);
        chips[1]->no_edges = seed % 30 == 0;
        for (unsigned i = 0; i < 150; i++)
                one_event(START + draw(DAY), obedient);
        for (unsigned i = 0; i < 2; i++) {
                fake_at(START + DAY, fake_appear, chips[i], 0, 0);
                fake_at(START + DAY, do_errors, chips[i], 0, 0);
        }
        fake_at(START + DAY + CALM, fake_hang_up, NULL, 0, 0);
        say_setup();
        /* Killed again and again; the next one is there at once. */
        for (uint64_t at = START + draw(DAY); seed % 4 == 0 && at < START + DAY; at += draw(DAY)) {
                fake_run(at);
                fake_connect();
                say_setup();
                lives++;
        }
        fake_run(0);
        for (unsigned i = 0; i < LOCKS; i++)
                check_lock(i, obedient);
        /* A killed worker takes an answer or two with it. */
        check_results(lives > 1 ? 2 * lives : 0);
        check_doors();
}

static uint64_t today;

static void walk(bool obedient) {
        unsigned pulses = 0;

        for (today = 0; today < SEEDS; today++) {
                one_day(today, obedient);
                for (unsigned i = 0; i < fake.n_heard; i++)
                        pulses += fake.heard[i].message.header.type == WIRE_OVER;
        }
        printf("%u days, the last with %u edges and settings; %u pulses\n", SEEDS, fake.n_changes, pulses);
        assert_true(pulses > 10 * SEEDS);
}

/* Requirement: F6 */
static void test_random_days_of_obedient_chips(void **unused) {
        walk(true);
}

/* Requirement: F4, F6 */
static void test_random_days_of_failing_chips(void **unused) {
        walk(false);
}

static int tell_day(void **unused) {
        if (today < SEEDS)
                printf("the day of seed %llu\n", (unsigned long long)today);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_random_days_of_obedient_chips, tell_day),
                cmocka_unit_test_teardown(test_random_days_of_failing_chips, tell_day),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
