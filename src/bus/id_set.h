/* SPDX-License-Identifier: Apache-2.0 */
/* A small sorted set of numbers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct IdSet {
        uint64_t *ids; /* rising */
        size_t n, room;
} IdSet;

bool idset_has(const IdSet *s, uint64_t id);
int idset_add(IdSet *s, uint64_t id);
void idset_remove(IdSet *s, uint64_t id);
void idset_done(IdSet *s);
