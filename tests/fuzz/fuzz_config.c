/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as lockerd.conf, as a .board file and as cabinet.conf. A line "%%" parts a cabinet from the board
 * file that its boards name; without one they get a fixed, valid profile, so that wiring is reached. */
#include "config/parse.h"

#include <stdlib.h>
#include <string.h>

typedef struct BoardFile {
        const char *data;
        size_t size;
} BoardFile;

static const char fixed_board[] = "[Board]\nOutputs=48\nInputs=48\n[Unlock]\nMethod=flash\nFlashBase=0x0200\n"
                                  "FlashUnit=100ms\nPulse=500ms\nMinPulse=100ms\nMaxPulse=1s\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int load_board(void *userdata, const char *profile, char **ret_path, char **ret_data,
                      size_t *ret_size) {
        const BoardFile *board = userdata;
        char *path = strdup(profile), *data = malloc(board->size + 1);

        if (!path || !data)
                abort();
        memcpy(data, board->data, board->size);
        *ret_path = path;
        *ret_data = data;
        *ret_size = board->size;
        return 0;
}

static void as_settings(const char *data, size_t size) {
        ConfigReport report = {};
        Complaints complaints = {.report = &report};
        _cleanup_(settings_freep) Settings *s = settings_new_default();

        settings_apply(&complaints, s, "lockerd.conf", data, size);
        if (complaints_result(&complaints) < 0 && report.n_lines == 0)
                abort();
        config_report_clear(&report);
}

static void as_board(const char *data, size_t size) {
        ConfigReport report = {};
        Complaints complaints = {.report = &report};
        BoardProfile profile;

        board_profile_parse(&complaints, "fuzz", "fuzz.board", data, size, &profile);
        free(profile.name);
        free(profile.title);
        config_report_clear(&report);
}

/* The channel exists, and where channels are GPIO lines, something is connected to it. */
static void check_ref(const GpioRef *ref, bool gpio, unsigned channel, unsigned n) {
        if (channel >= n || (gpio && !ref[channel].name && !ref[channel].chip))
                abort();
}

static void check_output(const Cabinet *c, int board, unsigned channel) {
        const Board *b = &c->boards[board];

        check_ref(b->outputs, c->lines[b->line].kind == LINE_GPIO, channel, cabinet_board_outputs(c, board));
}

static void check_input(const Cabinet *c, const InputRef *ref) {
        if (ref->board < 0)
                return;
        const Board *b = &c->boards[ref->board];
        check_ref(b->inputs, c->lines[b->line].kind == LINE_GPIO, ref->channel,
                  cabinet_board_inputs(c, ref->board));
}

/* What every reader of a Cabinet relies on. */
static void check_cabinet(const Cabinet *c) {
        if (c->n_slots < 1 || c->n_positions < c->n_slots)
                abort();
        for (int i = 0; i < c->n_slots; i++) {
                const Slot *s = &c->slots[i];
                if (s->lock < 0 || s->lock >= c->n_locks || s->n_positions < 1 || s->size < 0 ||
                    s->size >= c->n_sizes || s->first_position + s->n_positions > c->n_positions)
                        abort();
                if (s->lamp.board >= 0)
                        check_output(c, s->lamp.board, s->lamp.channel);
                check_input(c, &s->release);
        }
        for (int i = 0; i < c->n_locks; i++) {
                const Lock *l = &c->locks[i];
                if (l->board < 0 || l->board >= c->n_boards || (l->contact.board < 0 && l->latch.board < 0))
                        abort();
                const BoardProfile *p = &c->profiles[c->boards[l->board].profile];
                if (l->pulse_ms < p->min_pulse_ms || l->pulse_ms > p->max_pulse_ms)
                        abort();
                check_output(c, l->board, l->coil);
                check_input(c, &l->contact);
                check_input(c, &l->latch);
        }
}

static void as_cabinet(const char *data, size_t size) {
        const char *parting = memmem(data, size, "\n%%\n", 4);
        size_t n = parting ? (size_t)(parting - data) + 1 : size;
        BoardFile board = {fixed_board, sizeof(fixed_board) - 1};
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL;

        if (parting)
                board = (BoardFile){parting + 4, size - n - 3};
        const ProfileSource source = {.load = load_board, .userdata = &board, .place = "memory"};
        int r = cabinet_parse("cabinet.conf", data, n, &source, &c, &report);
        if ((r < 0) != (report.n_lines > 0) || (r < 0) != (c == NULL))
                abort();
        if (c)
                check_cabinet(c);
        config_report_clear(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        as_settings((const char *)data, size);
        as_board((const char *)data, size);
        as_cabinet((const char *)data, size);
        return 0;
}
