/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/view.h"
#include "sim/place.h"

#define REDRAW_EVERY (250 * NSEC_PER_MSEC)
#define CELL_WIDTH   16
#define CELLS        5

static const char *word(const Place *p) {
        if (!place_has_lid(p))
                return "-";
        if (!p->shut)
                return "OPEN";
        return p->home ? "locked" : "shut";
}

static void cell(const Place *p, bool terminal) {
        char mark[4] = "   ";
        char text[64];

        if (p->coil && p->coil->on)
                mark[0] = '*';
        if (p->item)
                mark[1] = '#';
        if (p->jammed || p->blocked || p->held)
                mark[2] = p->jammed ? 'J' : p->blocked ? 'B' : 'H';
        snprintf(text, sizeof(text), "%-6.6s%-6s%s", p->name, word(p), mark);
        const char *name = p->slot ? strrchr(p->name, '/') : NULL;
        if (name)
                snprintf(text, sizeof(text), " %-5.5s%-6s%s", name, word(p), mark);
        bool bright = terminal && place_has_lid(p) && !p->shut;
        printf("%s%-*.*s%s", bright ? "\033[7m" : "", CELL_WIDTH - 1, CELL_WIDTH - 1, text,
               bright ? "\033[0m " : " ");
}

static void row_end(bool terminal) {
        printf("%s\n", terminal ? "\033[K" : "");
}

/* A slot with positions begins a row of its own, its positions follow it. */
static void draw_places(const Sim *s, bool terminal) {
        size_t column = 0;

        for (size_t i = 0; i < s->n_places; i++) {
                const Place *p = &s->places[i];
                if (p->slot)
                        continue;
                if (column && (p->n_positions || column == CELLS)) {
                        row_end(terminal);
                        column = 0;
                }
                cell(p, terminal);
                column++;
                for (size_t k = 0; p->n_positions && k < s->n_places; k++) {
                        if (s->places[k].slot != p)
                                continue;
                        if (column == CELLS) {
                                row_end(terminal);
                                printf("%-*s", CELL_WIDTH, "");
                                column = 1;
                        }
                        cell(&s->places[k], terminal);
                        column++;
                }
                if (p->n_positions)
                        column = CELLS;
        }
        row_end(terminal);
}

static void draw_end(const Sim *s, bool terminal) {
        for (size_t i = 0; i < s->n_boards; i++) {
                const Board *b = &s->boards[i];
                printf("%s%.8s %s %ju/%ju", i % 3 ? "   " : "", b->name, b->fault.silent ? "OFF" : "on",
                       (uintmax_t)b->n_answers, (uintmax_t)b->n_requests);
                if (i % 3 == 2 && i + 1 < s->n_boards)
                        row_end(terminal);
        }
        row_end(terminal);
        printf("* coil on  # something inside  J jammed  B blocked  H held  N/M answers/requests");
        row_end(terminal);
        printf("%zu objections", s->n_objections);
        if (s->n_objections)
                printf("; the last: %.50s", s->objections[s->n_objections - 1].text);
        row_end(terminal);
}

static void draw(void *userdata, uint64_t due) {
        Sim *s = userdata;
        bool terminal = isatty(STDOUT_FILENO);

        if (terminal)
                printf("\033[H");
        draw_places(s, terminal);
        draw_end(s, terminal);
        printf("%s", terminal ? "\033[J" : "\n");
        fflush(stdout);
        loop_arm(&s->loop, &s->view_timer, due + REDRAW_EVERY);
}

void view_start(Sim *s) {
        s->view_timer = (Timer){.fire = draw, .userdata = s};
        if (isatty(STDOUT_FILENO))
                printf("\033[2J\033[?25l");
        draw(s, loop_now());
}

void view_stop(Sim *s) {
        if (isatty(STDOUT_FILENO))
                printf("\033[?25h");
        fflush(stdout);
}
