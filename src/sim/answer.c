/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/answer.h"
#include "sim/language.h"

#define BROADCAST 0
#define NOISE_MAX 4
#define SHIFT_MAX 3

static void put_word(uint8_t *p, unsigned v) {
        p[0] = (uint8_t)(v >> 8);
        p[1] = (uint8_t)v;
}

/* Modbus TCP: transaction, protocol, length, unit. */
static void tcp_frame(Sending *s, unsigned transaction, uint8_t address, const Pdu *pdu) {
        put_word(s->bytes, transaction);
        put_word(s->bytes + 2, 0);
        put_word(s->bytes + 4, (unsigned)pdu->n + 1);
        s->bytes[6] = address;
        memcpy(s->bytes + 7, pdu->bytes, pdu->n);
        s->n = 7 + pdu->n;
}

/* Does this response name the channel that was moved? */
static bool is_echo(const Board *b, const Pdu *pdu) {
        uint8_t function = pdu->bytes[0];

        if (b->profile->language == &modbus_language)
                return function == 5 || function == 6 || function == 15;
        return b->profile->language == &winnsen_language && function == 0x85;
}

/* Applies faults to the response; true when it was changed. */
static bool spoil_pdu(Board *b, Pdu *pdu, uint8_t *address) {
        const Fault *f = &b->fault;
        Pdu honest = *pdu;
        bool spoilt = false;

        if (b->last.n && sim_chance(b->line->sim, f->stale)) {
                *pdu = b->last;
                spoilt = true;
        }
        b->last = honest;
        if (is_echo(b, pdu) && sim_chance(b->line->sim, f->wrong_echo)) {
                pdu->bytes[b->profile->language == &modbus_language ? 2 : 1]++;
                spoilt = true;
        }
        if (sim_chance(b->line->sim, f->wrong_address)) {
                *address = (uint8_t)(*address % b->profile->language->address_max + 1);
                spoilt = true;
        }
        return spoilt;
}

static void add_noise(Line *l, Sending *s) {
        size_t n = (size_t)sim_random(l->sim, 1, NOISE_MAX);

        memmove(s->bytes + n, s->bytes, s->n);
        for (size_t i = 0; i < n; i++)
                s->bytes[i] = (uint8_t)sim_random(l->sim, 0, 255);
        s->n += n;
}

/* Faults of how it arrives. */
static bool spoil_frame(Board *b, Sending *s) {
        Line *l = b->line;
        const Fault *f = &b->fault;
        bool spoilt = f->late || f->dribble;

        s->start += f->late;
        s->step = MAX(s->step, f->dribble);
        if (sim_chance(l->sim, f->damage)) {
                s->bytes[sim_random(l->sim, 0, s->n - 1)] ^= (uint8_t)(1U << sim_random(l->sim, 0, 7));
                spoilt = true;
        }
        if (!s->client && l->language->checksum && sim_chance(l->sim, f->wrong_sum)) {
                s->bytes[s->n - 1]++;
                spoilt = true;
        }
        if (sim_chance(l->sim, f->truncate)) {
                s->n = (size_t)sim_random(l->sim, 1, s->n - 1);
                spoilt = true;
        }
        if (!s->client && sim_chance(l->sim, l->noise)) {
                add_noise(l, s);
                spoilt = true;
        }
        return spoilt;
}

/* Two transmitters at once: where they differ, the stronger driver wins bit by bit; they never start at
 * the same instant. Sometimes the second is so slow that both responses arrive, one after the other. */
static bool collide(Line *l, Sending *first, const Sending *second) {
        size_t shift = (size_t)sim_random(l->sim, 0, SHIFT_MAX);

        if (shift == SHIFT_MAX)
                return false;
        for (size_t i = 0; i < second->n && i + shift < FRAME_MAX; i++) {
                if (i + shift < first->n)
                        first->bytes[i + shift] &= second->bytes[i];
                else
                        first->bytes[first->n++] = second->bytes[i];
        }
        first->clean = false;
        return true;
}

static bool make_answer(Board *b, unsigned transaction, uint8_t address, Pdu *pdu, Sending *s) {
        bool spoilt = spoil_pdu(b, pdu, &address);

        if (s->client)
                tcp_frame(s, transaction, address, pdu);
        else
                b->profile->language->frame(s, address, pdu);
        spoilt |= spoil_frame(b, s);
        if (sim_chance(b->line->sim, b->fault.drop))
                return false;
        b->n_answers++;
        b->line->n_answers++;
        s->clean = !spoilt && !b->fault.repeat;
        return true;
}

static void send(Board *b, Sending *s) {
        if (b->line->preamble && !s->client && s->n < FRAME_MAX) {
                memmove(s->bytes + 1, s->bytes, s->n++);
                s->bytes[0] = 0x00; /* the driver takes the line */
                s->clean = false;
        }
        if (b->line->surplus && !s->client && s->n < FRAME_MAX) {
                s->bytes[s->n++] = 0x00; /* the driver lets go of the line */
                s->clean = false;
        }
        line_send(b->line, s);
        if (!sim_chance(b->line->sim, b->fault.repeat))
                return;
        s->start += s->n * s->step + b->line->silence;
        line_send(b->line, s);
}

void answer_request(Line *l, uint64_t client, unsigned transaction, uint8_t address, const Pdu *request,
                    uint64_t end) {
        bool broadcast = l->language->broadcast && address == BROADCAST;
        const Sim *sim = l->sim;
        Sending first = {0}, next;
        Board *answering = NULL;

        for (size_t i = 0; i < sim->n_boards; i++) {
                Board *b = &sim->boards[i];
                Pdu answer;
                if (b->line != l || b->fault.silent || (!broadcast && b->address != address) ||
                    sim_chance(l->sim, b->fault.deaf))
                        continue;
                b->n_requests++;
                l->language->handle(b, request, end, &answer);
                if (broadcast || !answer.n)
                        continue;
                next = (Sending){.client = client,
                                 .start = end + sim->options.turnaround,
                                 .step = client ? 0 : l->char_time};
                if (!make_answer(b, transaction, address, &answer, &next))
                        continue;
                if (!answering) {
                        first = next;
                        answering = b;
                } else if (client || !collide(l, &first, &next)) {
                        send(b, &next);
                }
        }
        if (answering)
                send(answering, &first);
}
