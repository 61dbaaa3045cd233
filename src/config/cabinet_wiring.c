/* SPDX-License-Identifier: Apache-2.0 */
/* BOARD:CHANNEL lists: which board, whether it has such a channel, and whether it is still free. */
#include "config/array.h"
#include "config/cabinet_draft.h"

#include <errno.h>

typedef struct Resolving {
        Builder *b;
        const IniSection *section;
        const IniEntry *entry;
        bool output;
        Channel *channels;
        unsigned n;
} Resolving;

const BoardProfile *builder_profile(const Builder *b, int board) {
        int profile = board >= 0 ? b->cabinet->boards[board].profile : -1;

        return profile >= 0 ? &b->cabinet->profiles[profile] : NULL;
}

static int find_board(const Resolving *r, const char *name) {
        const Cabinet *c = r->b->cabinet;
        Suggestion suggestion = {.typed = name};

        for (int i = 0; i < c->n_boards; i++) {
                if (streq(c->boards[i].name, name))
                        return i;
                suggestion_offer(&suggestion, c->boards[i].name);
        }
        complain(r->b->complaints, r->section, r->entry, "there is no [Board %s]" SUGGESTION_FORMAT, name,
                 SUGGESTION_ARGS(suggestion));
        return -1;
}

/* Records the user of the channel; false and a complaint when it is in use, also by the same list. */
static bool claim_channel(const Resolving *r, unsigned channels, int board, unsigned channel) {
        BoardUse *uses = &r->b->board_uses[board];
        Use **array = r->output ? &uses->outputs : &uses->inputs;

        if (!*array)
                *array = calloc(channels, sizeof(**array));
        if (!*array) {
                complaints_broken(r->b->complaints, -ENOMEM);
                return false;
        }
        Use *use = &(*array)[channel];
        if (use->entry) {
                complain(r->b->complaints, r->section, r->entry,
                         "%s %s:%u is already used by [%s] %s= in line %u; each is allowed once",
                         r->output ? "output" : "input", r->b->cabinet->boards[board].name, channel + 1,
                         use->section->title, use->entry->key, use->entry->line);
                return false;
        }
        *use = (Use){.section = r->section, .entry = r->entry};
        return true;
}

/* A channel of a GPIO board that names no line. */
static bool is_gap(const Resolving *r, const BoardProfile *profile, int board, unsigned channel) {
        const Board *b = &r->b->cabinet->boards[board];
        const GpioRef *refs = r->output ? b->outputs : b->inputs;

        return profile->protocol == BOARD_GPIO && !refs[channel].name && !refs[channel].chip;
}

static bool add_range(Resolving *r, const ChannelRange *range, int board) {
        const BoardProfile *profile = builder_profile(r->b, board);
        bool fine = true;

        if (!profile)
                return false; /* the profile is invalid: the number of channels is unknown */
        const Cabinet *c = r->b->cabinet;
        unsigned channels = r->output ? cabinet_board_outputs(c, board) : cabinet_board_inputs(c, board);
        if (range->last > channels) {
                complain(r->b->complaints, r->section, r->entry,
                         "board %s (%s) has no %s %u; it has %u, counted from 1", range->board, profile->name,
                         r->output ? "output" : "input", range->last, channels);
                return false;
        }
        for (unsigned n = range->first; n <= range->last; n++) {
                if (is_gap(r, profile, board, n - 1)) {
                        complain(r->b->complaints, r->section, r->entry,
                                 "%s %s:%u is \"-\" in [Board %s]: no line is connected to it",
                                 r->output ? "output" : "input", range->board, n, range->board);
                        return false;
                }
                Channel *channel = ARRAY_PUSH(r->channels, r->n);
                if (!channel) {
                        complaints_broken(r->b->complaints, -ENOMEM);
                        return false;
                }
                *channel = (Channel){.board = board, .channel = n - 1};
                fine = fine && claim_channel(r, channels, board, n - 1);
        }
        return fine;
}

Channel *builder_resolve_channels(Builder *b, const IniSection *s, const IniEntry *e, bool output,
                                  unsigned count) {
        Resolving r = {.b = b, .section = s, .entry = e, .output = output};
        const char *cursor = e->value;
        bool fine = true;
        unsigned n = 0;

        while (cursor) {
                ChannelRange range;
                const char *wrong = channel_range_next(&cursor, &range);
                if (wrong) {
                        complain(b->complaints, s, e, "%s; channels count from 1 to %d", wrong, CHANNEL_MAX);
                        free(r.channels);
                        return NULL;
                }
                n += range.last - range.first + 1;
                int board = find_board(&r, range.board);
                fine = board >= 0 && add_range(&r, &range, board) && fine;
        }
        if (count > 0 && n != count) {
                complain(b->complaints, s, e, "%u channel%s for %u %s%s; one for each, in the same order", n,
                         n == 1 ? "" : "s", count,
                         streq(s->kind, "Slot")    ? "slot"
                         : streq(s->kind, "Alarm") ? "alarm"
                                                   : "position",
                         count == 1 ? "" : "s");
                fine = false;
        }
        if (fine && count > 0)
                return r.channels;
        free(r.channels);
        return NULL;
}

InputRef builder_input(const Builder *b, const Channel *channel, int active) {
        if (!channel)
                return (InputRef){.board = -1};

        const BoardProfile *profile = builder_profile(b, channel->board);
        return (InputRef){
                .board = channel->board,
                .channel = channel->channel,
                .active = active >= 0 ? active > 0 : profile && profile->input_active,
                .debounce_ms = b->cabinet->boards[channel->board].debounce_ms,
        };
}
