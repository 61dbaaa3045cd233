/* SPDX-License-Identifier: Apache-2.0 */
#include "line/input.h"

static void put(uint8_t *bits, unsigned n, bool value) {
        uint8_t bit = (uint8_t)(1u << n % 8);

        bits[n / 8] = (uint8_t)(value ? bits[n / 8] | bit : bits[n / 8] & ~bit);
}

void inputs_init(Inputs *in, const WireBoard *b, unsigned n) {
        *in = (Inputs){0};
        for (unsigned i = 0; i < n && i < WIRE_CHANNELS; i++)
                put(in->used, i, wire_bit(b->inputs_used, i));
        memcpy(in->unrest_on, b->unrest_on, sizeof(in->unrest_on));
        memcpy(in->unrest_off, b->unrest_off, sizeof(in->unrest_off));
        for (unsigned i = 0; i < WIRE_CHANNELS; i++)
                in->channels[i].debounce_ms = b->debounce_ms[i];
}

static bool differs(const Inputs *in, unsigned n) {
        return !wire_bit(in->known, n) || wire_bit(in->believed, n) != in->channels[n].value;
}

static void believe(Inputs *in, unsigned n, bool value) {
        put(in->believed, n, value);
        put(in->known, n, true);
}

static uint64_t rest_at(const InputChannel *c) {
        return c->since + c->debounce_ms * USEC_PER_MSEC;
}

static unsigned take(Inputs *in, unsigned n, bool value, unsigned agreeing, uint64_t at) {
        InputChannel *c = &in->channels[n];
        bool changed = false;

        if (c->since == 0 || c->value != value) {
                c->value = value;
                c->agreeing = 0;
                c->since = at;
                if (c->restless == 0)
                        c->restless = at;
        }
        c->agreeing++;
        if (c->agreeing >= agreeing && at >= rest_at(c)) {
                c->restless = 0;
                changed = differs(in, n);
                believe(in, n, value);
        } else if (c->restless > 0 && at >= c->restless + INPUT_UNREST_USEC &&
                   (wire_bit(in->unrest_on, n) || wire_bit(in->unrest_off, n))) {
                bool active = wire_bit(in->unrest_on, n);
                changed = !wire_bit(in->known, n) || wire_bit(in->believed, n) != active;
                believe(in, n, active);
        }
        return (changed ? INPUTS_CHANGED : 0) |
               (c->agreeing < agreeing && differs(in, n) ? INPUTS_UNSETTLED : 0);
}

unsigned inputs_take(Inputs *in, const uint8_t bits[WIRE_CHANNELS / 8], const uint8_t mask[WIRE_CHANNELS / 8],
                     unsigned agreeing, uint64_t at) {
        unsigned taken = 0;

        for (unsigned i = 0; i < WIRE_CHANNELS; i++)
                if (wire_bit(in->used, i) && wire_bit(mask, i))
                        taken |= take(in, i, wire_bit(bits, i), agreeing, at);
        return taken;
}

void inputs_break(Inputs *in) {
        for (unsigned i = 0; i < WIRE_CHANNELS; i++)
                in->channels[i].agreeing = 0;
}

void inputs_forget(Inputs *in) {
        memset(in->known, 0, sizeof(in->known));
        memset(in->believed, 0, sizeof(in->believed));
        for (unsigned i = 0; i < WIRE_CHANNELS; i++) {
                InputChannel *c = &in->channels[i];
                *c = (InputChannel){.debounce_ms = c->debounce_ms};
        }
}

bool inputs_are_known(const Inputs *in) {
        for (size_t i = 0; i < sizeof(in->used); i++)
                if (in->used[i] & ~in->known[i])
                        return false;
        return true;
}

bool inputs_are_settled(const Inputs *in) {
        for (unsigned i = 0; i < WIRE_CHANNELS; i++)
                if (wire_bit(in->used, i) && (in->channels[i].restless > 0 || differs(in, i)))
                        return false;
        return true;
}

uint64_t inputs_rest_at(const Inputs *in) {
        uint64_t next = USEC_INFINITY;

        for (unsigned i = 0; i < WIRE_CHANNELS; i++)
                if (wire_bit(in->used, i) && in->channels[i].since > 0 && differs(in, i))
                        next = next < rest_at(&in->channels[i]) ? next : rest_at(&in->channels[i]);
        return next;
}
