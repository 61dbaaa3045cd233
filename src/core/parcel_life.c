/* SPDX-License-Identifier: Apache-2.0 */
#include "core/parcel_life.h"

#include <errno.h>

#define TO(state) (1U << (state))

typedef struct ParcelRow {
        const char *name;
        unsigned next; /* TO() bits; none: final */
        bool begins, holds_position, collectable, may_be_inside;
} ParcelRow;

static const ParcelRow rows[PARCEL_STATE_MAX] = {
        [PARCEL_ANNOUNCED] =
                {
                        .name = "announced",
                        .next = TO(PARCEL_RESERVED) | TO(PARCEL_DEPOSITING) | TO(PARCEL_CANCELLED),
                        .begins = true,
                },
        [PARCEL_RESERVED] =
                {
                        .name = "reserved",
                        .next = TO(PARCEL_ANNOUNCED) | TO(PARCEL_DEPOSITING) | TO(PARCEL_CANCELLED),
                        .begins = true,
                        .holds_position = true,
                },
        [PARCEL_DEPOSITING] =
                {
                        .name = "depositing",
                        .next = TO(PARCEL_STORED) | TO(PARCEL_CANCELLED) | TO(PARCEL_UNVERIFIED),
                        .begins = true,
                        .holds_position = true,
                        .may_be_inside = true,
                },
        [PARCEL_STORED] =
                {
                        .name = "stored",
                        /* Depositing again: its courier reopens within the grace time. */
                        .next = TO(PARCEL_COLLECTING) | TO(PARCEL_RECALLED) | TO(PARCEL_RETURNED) |
                                TO(PARCEL_UNVERIFIED) | TO(PARCEL_DEPOSITING),
                        .holds_position = true,
                        .collectable = true,
                        .may_be_inside = true,
                },
        /* Back to stored: the door never opened, or the item was put back without an answer. */
        [PARCEL_COLLECTING] =
                {
                        .name = "collecting",
                        .next = TO(PARCEL_COLLECTED) | TO(PARCEL_REJECTED) | TO(PARCEL_STORED) |
                                TO(PARCEL_UNVERIFIED),
                        .holds_position = true,
                        .may_be_inside = true,
                },
        [PARCEL_REJECTED] =
                {
                        .name = "rejected",
                        .next = TO(PARCEL_RETURNED) | TO(PARCEL_UNVERIFIED),
                        .holds_position = true,
                        .may_be_inside = true,
                },
        [PARCEL_RECALLED] =
                {
                        .name = "recalled",
                        .next = TO(PARCEL_RETURNED) | TO(PARCEL_UNVERIFIED),
                        .holds_position = true,
                        .may_be_inside = true,
                },
        /* Its recipient may open the position: it endangers no other parcel, and the item may be there. */
        [PARCEL_UNVERIFIED] =
                {
                        .name = "unverified",
                        .next = TO(PARCEL_STORED) | TO(PARCEL_COLLECTING) | TO(PARCEL_RETURNED) |
                                TO(PARCEL_CANCELLED) | TO(PARCEL_RECALLED) | TO(PARCEL_REJECTED),
                        .holds_position = true,
                        .collectable = true,
                        .may_be_inside = true,
                },
        [PARCEL_COLLECTED] = {.name = "collected"},
        [PARCEL_RETURNED] = {.name = "returned"},
        [PARCEL_CANCELLED] = {.name = "cancelled"},
};

/* Outside the table every transition is refused, and the name is one that the ledger's CHECK refuses. */
static const ParcelRow *parcel_row(ParcelState s) {
        static const ParcelRow none = {.name = "invalid"};

        return (unsigned)s < PARCEL_STATE_MAX ? &rows[s] : &none;
}

const char *parcel_state_to_string(ParcelState s) {
        return parcel_row(s)->name;
}

int parcel_state_from_string(const char *s, ParcelState *ret) {
        for (unsigned i = 0; s && i < PARCEL_STATE_MAX; i++)
                if (streq(rows[i].name, s)) {
                        *ret = (ParcelState)i;
                        return 0;
                }
        return -EINVAL;
}

static const char *const choices[CHOICE_MAX] = {
        [CHOICE_ACCEPT] = "accept", [CHOICE_REJECT] = "reject", [CHOICE_CANCEL] = "cancel"};

const char *parcel_choice_to_string(ParcelChoice c) {
        return (unsigned)c < CHOICE_MAX ? choices[c] : NULL;
}

int parcel_choice_from_string(const char *s, ParcelChoice *ret) {
        *ret = CHOICE_NONE;
        for (unsigned i = CHOICE_ACCEPT; s && i < CHOICE_MAX; i++)
                if (streq(choices[i], s)) {
                        *ret = (ParcelChoice)i;
                        return 0;
                }
        return s ? -EINVAL : 0;
}

bool parcel_may_become(ParcelState from, ParcelState to) {
        return (unsigned)to < PARCEL_STATE_MAX && (parcel_row(from)->next & TO(to));
}

bool parcel_may_begin(ParcelState s) {
        return parcel_row(s)->begins;
}

bool parcel_is_final(ParcelState s) {
        return (unsigned)s < PARCEL_STATE_MAX && !rows[s].next;
}

bool parcel_holds_position(ParcelState s) {
        return parcel_row(s)->holds_position;
}

bool parcel_is_collectable(ParcelState s) {
        return parcel_row(s)->collectable;
}

bool parcel_may_be_inside(ParcelState s) {
        return parcel_row(s)->may_be_inside;
}
