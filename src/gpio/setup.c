/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon says before START: the boards of the line and the GPIO line behind each channel. */
#include "gpio/worker.h"

#define BOARDS_MAX   247
#define PROFILES_MAX 247

static bool is_text(const char *s, size_t size) {
        return memchr(s, 0, size) != NULL;
}

bool setup_line(GpioWorker *w, const WireLine *m) {
        if (m->kind != LINE_GPIO || !is_text(m->name, sizeof(m->name)))
                return false;
        w->line = *m;
        return true;
}

bool setup_profile(GpioWorker *w, const WireProfile *m) {
        if (m->index != w->n_profiles || w->n_profiles >= PROFILES_MAX || w->n_boards > 0)
                return false;
        WireProfile *more = reallocarray(w->profiles, w->n_profiles + 1, sizeof(*more));
        if (!more)
                return false;
        w->profiles = more;
        w->profiles[w->n_profiles++] = *m;
        return true;
}

bool setup_board(GpioWorker *w, const WireBoard *m) {
        if (m->profile >= w->n_profiles || w->n_boards >= BOARDS_MAX || m->outputs > WIRE_CHANNELS ||
            m->inputs > WIRE_CHANNELS || m->input_bias > GPIO_BIAS_PULL_DOWN ||
            m->output_drive > GPIO_DRIVE_OPEN_SOURCE || m->idle_poll_ms < PACE_IDLE_MIN ||
            m->idle_poll_ms > PACE_IDLE_MAX || !is_text(m->name, sizeof(m->name)) ||
            worker_board(w, m->board))
                return false;
        GpioBoard *more = reallocarray(w->boards, w->n_boards + 1, sizeof(*more));
        if (!more)
                return false;
        w->boards = more;
        GpioBoard *b = &w->boards[w->n_boards];
        *b = (GpioBoard){.setup = *m, .profile = &w->profiles[m->profile], .poll_due = USEC_INFINITY};
        b->outputs = calloc(MAX(m->outputs, 1u), sizeof(*b->outputs));
        b->inputs = calloc(MAX(m->inputs, 1u), sizeof(*b->inputs));
        w->n_boards++;
        return b->outputs && b->inputs;
}

bool setup_gpio(GpioWorker *w, const WireGpio *m) {
        GpioBoard *b = worker_board(w, m->board);

        if (!b || m->n > WIRE_GPIO_MAX || m->first > WIRE_CHANNELS ||
            m->first + m->n > (m->output ? b->setup.outputs : b->setup.inputs))
                return false;
        for (unsigned i = 0; i < m->n; i++) {
                unsigned channel = m->first + i;
                Channel *c = m->output ? &b->outputs[channel] : &b->inputs[channel];
                if (!is_text(m->lines[i].name, sizeof(m->lines[i].name)))
                        return false;
                c->line = m->lines[i];
                c->wanted = c->line.flags & WIRE_GPIO_CONNECTED &&
                            (m->output || wire_bit(b->setup.inputs_used, channel));
        }
        return true;
}

bool setup_is_complete(const GpioWorker *w) {
        return w->line.name[0] != 0;
}

GpioBoard *worker_board(GpioWorker *w, uint32_t board) {
        for (unsigned i = 0; i < w->n_boards; i++)
                if (w->boards[i].setup.board == board)
                        return &w->boards[i];
        return NULL;
}
