/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs: a value counts when it has been at rest for the debounce time. Where the kernel sees to that, an
 * edge is a new value; else it is the beginning of a movement. Whatever edges are lost, values that are read
 * make good. */
#include "gpio/worker.h"

#include <errno.h>
#include <limits.h>

#define EDGES_MAX  64
#define ROUNDS_MAX 16           /* of reading one descriptor: a line that never rests starves nobody */
#define STORM_MAX  USEC_PER_SEC /* a line that does not come to rest counts as what it is at this interval */

static bool value_of(const Channel *c, bool level) {
        return level != ((c->line.flags & WIRE_GPIO_LOW) != 0);
}

static unsigned number_of(const GpioBoard *b, const Channel *c) {
        return (unsigned)(c - b->inputs);
}

unsigned input_debounce_ms(const GpioBoard *b, const Bank *bank) {
        unsigned least = UINT_MAX;

        for (unsigned i = 0; i < bank->n; i++)
                least = MIN(least, (unsigned)b->setup.debounce_ms[number_of(b, bank->channels[i])]);
        return bank->n > 0 ? least : 0;
}

/* What the kernel leaves to us. */
static uint64_t debounce(const GpioBoard *b, const Channel *c) {
        unsigned kernel = gpio_bank_debounces(c->bank->gpio) ? input_debounce_ms(b, c->bank) : 0;

        return (b->setup.debounce_ms[number_of(b, c)] - kernel) * USEC_PER_MSEC;
}

/* A safety input whose contact does not come to rest is active: whoever has to get out is not kept in by
 * it. */
static bool unrest_counts_as(const GpioBoard *b, const Channel *c, bool level) {
        unsigned n = number_of(b, c);
        bool on = wire_bit(b->setup.unrest_on, n), off = wire_bit(b->setup.unrest_off, n);

        return on || off ? value_of(c, on) : level; /* the level of a value, too: the negation is its own */
}

static void believe(GpioWorker *w, GpioBoard *b, Channel *c, bool level, uint64_t at) {
        c->input.moving = false;
        if (c->input.level == level)
                return;
        c->input.level = level;
        board_tell_inputs(w, b, at);
}

/* What ends its movement is not rest. */
static bool is_stormy(const Input *in) {
        return in->rest_at >= in->since + STORM_MAX;
}

static void move(Input *in, uint64_t rest, bool level, uint64_t at) {
        if (!in->moving)
                in->since = at;
        in->moving = true;
        in->next = level;
        in->moved_at = at;
        in->rest_at = MIN(at + rest, in->since + MAX(STORM_MAX, rest));
}

/* A safety input that is active from the first may be a spike, too. */
int input_start(const GpioBoard *b, Bank *bank) {
        uint64_t levels, now = worker_now();
        int r = gpio_bank_get(bank->gpio, &levels);

        for (unsigned i = 0; r >= 0 && i < bank->n; i++) {
                Channel *c = bank->channels[i];
                unsigned n = number_of(b, c);
                bool level = levels >> i & 1, on = wire_bit(b->setup.unrest_on, n),
                     safety = on || wire_bit(b->setup.unrest_off, n);

                c->input = (Input){.level = level};
                if (safety && debounce(b, c) && value_of(c, level) == on) {
                        c->input.level = !level;
                        move(&c->input, debounce(b, c), level, now);
                }
        }
        return r;
}

static void take_edge(GpioWorker *w, GpioBoard *b, Channel *c, bool level, uint64_t at) {
        uint64_t rest = debounce(b, c);
        Input *in = &c->input;

        if (!rest) {
                believe(w, b, c, level, at);
                return;
        }
        /* It had come to rest before this edge, only nobody has looked. */
        if (in->moving && in->rest_at <= at)
                believe(w, b, c, is_stormy(in) ? unrest_counts_as(b, c, in->next) : in->next, in->moved_at);
        move(in, rest, level, at);
}

/* A line that moves needs no telling until it may have come to rest. */
bool input_wants_fd(const Bank *bank, unsigned nth) {
        return !bank->channels[nth]->input.moving || gpio_bank_debounces(bank->gpio);
}

void input_read(GpioWorker *w, GpioBoard *b, Bank *bank, unsigned nth) {
        GpioEdge edges[EDGES_MAX];

        for (unsigned round = 0; round < ROUNDS_MAX; round++) {
                int n = gpio_bank_read(bank->gpio, nth, edges, EDGES_MAX);
                if (n < 0) {
                        (void)board_bank_failed(w, b, bank, n);
                        return;
                }
                for (int i = 0; i < n; i++)
                        if (edges[i].line < bank->n)
                                take_edge(w, b, bank->channels[edges[i].line], edges[i].level, edges[i].at);
                if (n == 0)
                        return;
        }
}

int input_look(GpioWorker *w, GpioBoard *b, Bank *bank, uint64_t now) {
        uint64_t levels;
        int r = gpio_bank_get(bank->gpio, &levels);

        for (unsigned i = 0; r >= 0 && i < bank->n; i++) {
                Channel *c = bank->channels[i];
                bool level = levels >> i & 1;
                if (level != (c->input.moving ? c->input.next : c->input.level))
                        take_edge(w, b, c, level, now);
        }
        return r;
}

/* The line itself has the last word: an edge may have been lost. */
static int come_to_rest(GpioWorker *w, GpioBoard *b, Channel *c, uint64_t now) {
        Bank *bank = c->bank;
        Input *in = &c->input;
        uint64_t levels;

        if (bank->edges)
                input_read(w, b, bank, c->nth);
        if (!c->bank || !in->moving || in->rest_at > now)
                return 0;
        int r = gpio_bank_get(bank->gpio, &levels);
        if (r < 0)
                return r;
        bool level = levels >> c->nth & 1, stormy = is_stormy(in);
        if (level == in->next || stormy)
                believe(w, b, c, stormy ? unrest_counts_as(b, c, level) : level,
                        level == in->next ? in->moved_at : now);
        else
                move(in, debounce(b, c), level, now); /* it has moved unseen */
        return 0;
}

void input_step(GpioWorker *w, GpioBoard *b, uint64_t now) {
        for (unsigned i = 0; i < b->setup.inputs; i++) {
                Channel *c = &b->inputs[i];
                if (!c->bank || !c->input.moving || c->input.rest_at > now)
                        continue;
                int r = come_to_rest(w, b, c, now);
                if (r < 0 && c->bank && !board_bank_failed(w, b, c->bank, r))
                        c->input.rest_at = now + debounce(b, c); /* once more, then */
        }
}

uint64_t input_next_due(const GpioBoard *b) {
        uint64_t next = USEC_INFINITY;

        for (unsigned i = 0; i < b->setup.inputs; i++)
                if (b->inputs[i].bank && b->inputs[i].input.moving)
                        next = MIN(next, b->inputs[i].input.rest_at);
        return next;
}

bool input_is_at_rest(const GpioBoard *b) {
        return input_next_due(b) == USEC_INFINITY;
}

void board_tell_inputs(GpioWorker *w, GpioBoard *b, uint64_t at) {
        WireInputs m = {.at = MAX(at, b->told_at), .board = b->setup.board};

        if (!board_is_online(b))
                return;
        b->told_at = m.at;
        boards_stir(w, worker_now());
        for (unsigned i = 0; i < b->setup.inputs; i++) {
                const Channel *c = &b->inputs[i];
                if (c->bank && value_of(c, c->input.level))
                        m.bits[i / 8] |= (uint8_t)(1u << i % 8);
        }
        worker_send(w, WIRE_INPUTS, &m);
}
