/* SPDX-License-Identifier: Apache-2.0 */
/* The cabinet while it is being read: the contents of the sections, before ranges are expanded to slots
 * and names are resolved. Lives only inside cabinet_parse(); every step reports errors and continues,
 * so that all errors are reported at once. */
#pragma once

#include "config/parse.h"
#include "config/ranges.h"

#define SLOTS_MAX          1000
#define SLOT_POSITIONS_MAX 99
#define POSITIONS_MAX      10000

typedef enum Wire {
        WIRE_LOCK,
        WIRE_SECURE,
        WIRE_DOOR,
        WIRE_LATCH,
        WIRE_RELEASE,
        WIRE_PRESENCE,
        WIRE_LAMP,
        WIRE_MAX
} Wire;

typedef struct Channel {
        int board;
        unsigned channel; /* 0-based */
} Channel;

typedef struct WireDraft {
        const IniEntry *entry; /* NULL: not wired */
        Channel *channels; /* one a slot or position of the section; NULL: not wired, or complained about */
        int active;        /* 0, 1, or -1: as the board's profile says */
} WireDraft;

/* One [Slot …] or [Position …] section. */
typedef struct Draft {
        const IniSection *section;
        unsigned n; /* slots or positions it stands for; 0 when its name is wrong */
        const IniEntry *size;
        bool accessible;
        Temperature temperature;
        unsigned column, row, height, wrap;
        LockKind kind;
        unsigned pulse_ms; /* 0: the profile's */
        unsigned release_ms;
        unsigned release_debounce_ms; /* of the inside release */
        WireDraft wires[WIRE_MAX];
} Draft;

/* The section of a slot or position, and its index in it. */
typedef struct Origin {
        size_t draft;
        unsigned nth;
} Origin;

typedef struct PositionDraft {
        int slot;
        unsigned number;
        Origin origin;
} PositionDraft;

/* Who uses an output or input. */
typedef struct Use {
        const IniSection *section;
        const IniEntry *entry;
} Use;

typedef struct BoardUse {
        Use *outputs, *inputs; /* as many as the profile has; NULL until the first use */
} BoardUse;

typedef struct Builder {
        Complaints *complaints;
        const IniFile *file;
        const ProfileSource *source;
        Cabinet *cabinet;
        Draft *slot_drafts, *position_drafts;
        size_t n_slot_drafts, n_position_drafts;
        Origin *slot_origins; /* parallel to cabinet->slots */
        size_t n_slot_origins;
        PositionDraft *positions;
        size_t n_positions;
        BoardUse *board_uses; /* parallel to cabinet->boards */
} Builder;

/* cabinet_parts.c: [Cabinet] [Size] [Supply] [Line] [Board], and the profiles that the boards name. */
void builder_read_parts(Builder *b);
/* cabinet_face.c: [Reader face]. */
void builder_read_face(Builder *b, const IniSection *s, IdentityReader *ret);
/* cabinet_voice.c: [Reader voice]. */
void builder_read_voice(Builder *b, const IniSection *s, IdentityReader *ret);
/* cabinet_gpio.c: lists of GPIO lines, and the match of board and line types. */
typedef struct GpioRefs {
        GpioRef *refs;
        unsigned n;
} GpioRefs;
void builder_read_gpio(Builder *b, const IniSection *s, const IniEntry *e, GpioRefs *ret);
void builder_check_gpio(Builder *b);
/* cabinet_slots.c: [Slot] and [Position] sections into drafts, slots and positions. */
void builder_read_slots(Builder *b);
/* cabinet_wiring.c: BOARD:CHANNEL lists into channels. `count` channels are expected. NULL after a complaint.
 */
Channel *builder_resolve_channels(Builder *b, const IniSection *s, const IniEntry *e, bool output,
                                  unsigned count);
InputRef builder_input(const Builder *b, const Channel *channel, int active); /* channel NULL: not wired */
const BoardProfile *builder_profile(const Builder *b, int board); /* NULL: none, or not readable */
/* cabinet_locks.c: locks, sensors and alarms from drafts. */
void builder_wire(Builder *b);
/* cabinet_checks.c: checks across sections. */
void builder_check(Builder *b);
