/* SPDX-License-Identifier: Apache-2.0 */
/* The physics of doors and lids, and the actions of persons on them. Every action returns NULL, or the
 * reason why it is impossible. */
#pragma once

#include "sim/model.h"

void place_init(Place *p);
/* One of the lock's coils was switched. */
void place_energised(Place *p, const Coil *c, uint64_t at);
bool input_read(const Input *in);

static inline bool place_has_lid(const Place *p) {
        return p->coil || !p->slot;
}

const char *place_open(Place *p, uint64_t at);
const char *place_close(Place *p, uint64_t at);
const char *place_force(Place *p, uint64_t at);
const char *place_put(Place *p, uint64_t at);
const char *place_take(Place *p, uint64_t at);
const char *place_block(Place *p, bool on, bool spring_back, uint64_t at);
const char *place_jam(Place *p, bool on, uint64_t at);
const char *place_hold(Place *p, bool on, uint64_t at);
const char *place_release(Place *p, bool on, uint64_t at);
/* A simulated person waits for this place to open; AUTO_OFF removes the person. */
const char *place_auto(Place *p, AutoKind kind, uint64_t delay, uint64_t at);
/* A change of a door or lock: the simulated persons of the slot check whether they can act. */
void auto_look(Place *p, uint64_t at);
void auto_init(Place *p);
