/* SPDX-License-Identifier: Apache-2.0 */
/* The face of the locks: lines, boards and facts. Commands: commands.c. */
#include "lock/commands.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

#define LEAVE USEC_PER_SEC

/* A board is given up after seconds of silence, and found again after as long; each time is an event. */
static const BucketRules health_pace = {.burst = 30, .each_usec = 2 * USEC_PER_SEC};

static uint64_t now(void) {
        return clock_now().boot_usec;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        Locks *l = userdata;

        facts_tick(l->facts, now());
        commands_dispatch(l);
        return 0;
}

static void tell_fact(void *userdata, const Fact *fact, bool more) {
        Locks *l = userdata;

        l->handlers.fact(l->userdata, fact, more);
}

static void tell_chatter(void *userdata, const FactChatter *chatter) {
        Locks *l = userdata;

        l->handlers.chatter(l->userdata, chatter);
}

static void tell_common(void *userdata, int board, bool fault) {
        Locks *l = userdata;
        const char *name = l->cabinet->boards[board].name;
        char sentence[WIRE_SENTENCE];

        l->boards[board].blind = fault;
        snprintf(sentence, sizeof(sentence),
                 fault ? "Board %s: all its doors read open at once; look whether they are shut, and at the "
                         "common wire of its inputs"
                       : "Board %s works; its inputs differ again",
                 name);
        l->handlers.board(l->userdata, board, fault ? BOARD_BLIND : l->boards[board].health, sentence);
}

static void set_board(Locks *l, int board, BoardHealth health, bool all_off, const char *sentence) {
        BoardState *b = &l->boards[board];
        uint64_t t = now();
        bool was_online = board_health_is_online(b->health);

        b->health = health;
        b->all_off = all_off;
        if (all_off)
                commands_board_is_off(l, board, t);
        if (!board_health_is_online(health)) {
                b->seen_at = 0;
                b->blind = false;
                facts_lost(l->facts, board, t);
        } else if (!was_online)
                lamps_board_online(l, board);
        if (!b->blind) /* else that is what is to be known of it */
                l->handlers.board(l->userdata, board, health, sentence);
}

static void take_inputs(Locks *l, const WireInputs *m) {
        l->boards[m->board].seen_at = m->at;
        facts_inputs(l->facts, (int)m->board, m->bits, m->at);
        l->handlers.seen(l->userdata, (int)m->board);
}

static bool is_on_line(const Locks *l, uint32_t board, int line) {
        return board < (uint32_t)l->cabinet->n_boards && l->cabinet->boards[board].line == line;
}

static bool take_board(Locks *l, const WireBoardState *m) {
        BoardState *b = &l->boards[m->board];

        if (b->health != (BoardHealth)m->health && !bucket_take(&b->changes, &health_pace, now())) {
                log_warning("Board %s: its worker says too often that it comes and goes",
                            l->cabinet->boards[m->board].name);
                return false;
        }
        set_board(l, (int)m->board, (BoardHealth)m->health, m->all_off, m->sentence);
        return true;
}

static bool on_message(void *userdata, int line, const WireMessage *m) {
        Locks *l = userdata;
        bool honest = true;

        switch (m->header.type) {
        case WIRE_LINE_STATE:
                l->handlers.line(l->userdata, line, m->line_state.working, m->line_state.sentence);
                break;
        case WIRE_BOARD_STATE:
                if (is_on_line(l, m->board_state.board, line) && m->board_state.health <= BOARD_STUCK)
                        honest = take_board(l, &m->board_state);
                break;
        case WIRE_INPUTS:
                if (is_on_line(l, m->inputs.board, line))
                        take_inputs(l, &m->inputs);
                break;
        case WIRE_SENDING:
                commands_sending(l, m->id.id);
                break;
        case WIRE_RESULT:
                commands_result(l, &m->result);
                break;
        case WIRE_OVER:
                commands_over(l, &m->over);
                break;
        default: /* HELLO, and a number from outside */
                break;
        }
        commands_dispatch(l);
        return honest;
}

static void on_gone(void *userdata, int line, const char *sentence) {
        Locks *l = userdata;
        uint64_t t = now();

        l->handlers.line(l->userdata, line, false, sentence);
        for (int i = 0; i < l->cabinet->n_boards; i++)
                if (l->cabinet->boards[i].line == line)
                        set_board(l, i, BOARD_OFFLINE, false, sentence);
        commands_worker_gone(l, line, t);
        commands_dispatch(l);
}

static int prepare(Locks *l) {
        static const LineClientHandlers line_handlers = {on_message, on_gone};
        static const FactsHandlers facts_handlers = {tell_fact, tell_chatter, tell_common};
        const Cabinet *c = l->cabinet;
        int r;

        l->lines = calloc((size_t)MAX(c->n_lines, 1), sizeof(*l->lines));
        l->boards = calloc((size_t)MAX(c->n_boards, 1), sizeof(*l->boards));
        l->supplies = calloc((size_t)MAX(c->n_supplies, 1), sizeof(*l->supplies));
        l->pulse_until = calloc((size_t)MAX(c->n_locks, 1), sizeof(*l->pulse_until));
        l->lamps = calloc((size_t)MAX(c->n_slots, 1), sizeof(*l->lamps));
        if (!l->lamps || !l->lines || !l->boards || !l->supplies || !l->pulse_until)
                return -ENOMEM;
        r = facts_new(&l->facts, c, &facts_handlers, l);
        for (int i = 0; i < c->n_profiles && r >= 0; i++)
                if (c->profiles[i].inputs > WIRE_CHANNELS || c->profiles[i].outputs > WIRE_CHANNELS)
                        r = -ERANGE;
        for (int i = 0; i < c->n_lines && r >= 0; i++)
                r = line_client_new(&l->lines[i], l->event, c, l->facts, i, l->worker_directory,
                                    &line_handlers, l);
        if (r >= 0)
                r = sd_event_add_time(l->event, &l->timer, CLOCK_BOOTTIME, USEC_INFINITY, 1, on_timer, l);
        return r;
}

int locks_new(Locks **ret, sd_event *event, const Cabinet *cabinet, const LocksOptions *options,
              const LocksHandlers *handlers, void *userdata) {
        _cleanup_(locks_freep) Locks *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->event = sd_event_ref(event);
        l->cabinet = cabinet;
        l->handlers = *handlers;
        l->userdata = userdata;
        l->worker_directory = strdup(options->worker_directory);
        if (!l->worker_directory)
                return -ENOMEM;
        r = prepare(l);
        if (r < 0)
                return r;
        *ret = steal_ptr(l);
        return 0;
}

int locks_start(Locks *l) {
        commands_start(l);
        for (int i = 0; i < l->cabinet->n_lines; i++)
                line_client_start(l->lines[i]);
        return 0;
}

void locks_attend(Locks *l, bool attended) {
        if (attended == l->attended)
                return;
        l->attended = attended;
        for (int i = 0; i < l->cabinet->n_lines; i++)
                line_client_attend(l->lines[i], attended);
}

BoardHealth locks_board_health(const Locks *l, int board) {
        return l->boards[board].blind ? BOARD_BLIND : l->boards[board].health;
}

Tri locks_fact(const Locks *l, FactKind kind, int index) {
        return facts_get(l->facts, kind, index);
}

uint64_t locks_seen(const Locks *l, int lock) {
        const Lock *k = &l->cabinet->locks[lock];
        uint64_t at = USEC_INFINITY;

        if (k->contact.board >= 0)
                at = MIN(at, l->boards[k->contact.board].seen_at);
        if (k->latch.board >= 0)
                at = MIN(at, l->boards[k->latch.board].seen_at);
        return at == USEC_INFINITY ? 0 : at;
}

void locks_look(Locks *l, int lock) {
        const Lock *k = &l->cabinet->locks[lock];
        const int boards[] = {k->contact.board, k->latch.board};

        for (size_t i = 0; i < ARRAY_SIZE(boards); i++) {
                if (boards[i] < 0 || (i > 0 && boards[i] == boards[0]))
                        continue;
                WireId m = {.id = (uint64_t)boards[i]};
                (void)line_client_send(l->lines[l->cabinet->boards[boards[i]].line], WIRE_LOOK, &m);
        }
}

bool locks_ready(const Locks *l) {
        for (int i = 0; i < l->cabinet->n_boards; i++)
                if (l->boards[i].health == BOARD_STARTING)
                        return false;
        return true;
}

Locks *locks_free(Locks *l) {
        if (!l)
                return NULL;
        uint64_t until = now() + LEAVE;
        for (int i = 0; l->lines && i < l->cabinet->n_lines; i++)
                if (l->lines[i])
                        line_client_stop(l->lines[i]);
        for (int i = 0; l->lines && i < l->cabinet->n_lines; i++)
                if (l->lines[i]) {
                        line_client_join(l->lines[i], until);
                        line_client_free(l->lines[i]);
                }
        free(l->lines);
        facts_free(l->facts);
        free(l->boards);
        free(l->supplies);
        free(l->pulse_until);
        free(l->lamps);
        free(l->commands);
        free(l->worker_directory);
        sd_event_source_disable_unref(l->timer);
        sd_event_unref(l->event);
        free(l);
        return NULL;
}
