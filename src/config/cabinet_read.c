/* SPDX-License-Identifier: Apache-2.0 */
/* cabinet.conf from bytes or a file: the steps in their order, and the directory of board profiles. */
#include "base/text.h"
#include "config/cabinet_draft.h"

#include <errno.h>
#include <math.h>

static void builder_clear(Builder *b) {
        for (size_t i = 0; i < b->n_slot_drafts; i++)
                for (int w = 0; w < WIRE_MAX; w++)
                        free(b->slot_drafts[i].wires[w].channels);
        for (size_t i = 0; i < b->n_position_drafts; i++)
                for (int w = 0; w < WIRE_MAX; w++)
                        free(b->position_drafts[i].wires[w].channels);
        for (int i = 0; b->board_uses && i < b->cabinet->n_boards; i++) {
                free(b->board_uses[i].outputs);
                free(b->board_uses[i].inputs);
        }
        free(b->board_uses);
        free(b->slot_drafts);
        free(b->position_drafts);
        free(b->slot_origins);
        free(b->positions);
}

static Cabinet *cabinet_new(void) {
        _cleanup_(cabinet_freep) Cabinet *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->latitude = c->longitude = NAN;
        c->timezone = strdup("UTC");
        return c->timezone ? steal_ptr(c) : NULL;
}

/* Each step relies on the allocations of the former ones, but not on them being free of errors. */
static void builder_run(Builder *b) {
        static void (*const steps[])(Builder * b) = {builder_read_parts, builder_read_slots, builder_wire,
                                                     builder_check};

        for (size_t i = 0; i < ARRAY_SIZE(steps) && !b->complaints->error; i++)
                steps[i](b);
        if (b->complaints->error)
                return;

        Cabinet *c = b->cabinet;
        if (!c->name && c->number)
                c->name = strdup(c->number);
        if (!c->address)
                c->address = strdup("");
        if ((c->number && !c->name) || !c->address)
                complaints_broken(b->complaints, -ENOMEM);
}

int cabinet_parse(const char *path, const char *data, size_t size, const ProfileSource *source, Cabinet **ret,
                  ConfigReport *report) {
        Complaints complaints = {.report = report};
        _cleanup_(ini_file_freep) IniFile *file = ini_file_parse(&complaints, path, data, size);
        _cleanup_(cabinet_freep) Cabinet *cabinet = cabinet_new();
        Builder b = {.complaints = &complaints, .file = file, .source = source, .cabinet = cabinet};

        if (file && cabinet)
                builder_run(&b);
        else
                complaints_broken(&complaints, -ENOMEM);
        builder_clear(&b);

        int r = complaints_result(&complaints);
        if (r < 0)
                return r;
        *ret = steal_ptr(cabinet);
        return 0;
}

static int load_from_directory(void *userdata, const char *profile, char **ret_path, char **ret_data,
                               size_t *ret_size) {
        _cleanup_free_ char *path = text_printf("%s/%s.board", (const char *)userdata, profile);

        if (!path)
                return -ENOMEM;
        int r = ini_file_load(path, ret_data, ret_size);
        if (r < 0)
                return r;
        *ret_path = steal_ptr(path);
        return 0;
}

int config_read_cabinet(const char *path, const char *board_directory, Cabinet **ret, ConfigReport *report) {
        ProfileSource source = {
                .load = load_from_directory,
                .userdata = (void *)board_directory,
                .place = board_directory,
        };
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = ini_file_load(path, &data, &size);
        if (r < 0) {
                Complaints c = {.report = report};
                complain_at(&c, path, 0, "cannot be read: %s", strerror(-r));
                return r;
        }
        return cabinet_parse(path, data, size, &source, ret, report);
}
