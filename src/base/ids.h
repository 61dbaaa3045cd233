/* SPDX-License-Identifier: Apache-2.0 */
/* A list of ids that grows: what a walk over the ledger collects, to act on when the walk is over. */
#pragma once

#include "base/macros.h"
#include <stddef.h>
#include <stdint.h>

typedef struct Ids {
        uint64_t *ids; /* allocated; NULL when there are none */
        size_t n;
} Ids;

int ids_add(Ids *all, uint64_t id); /* -ENOMEM: unchanged */
void ids_done(Ids *all);
#define _cleanup_ids_ _cleanup_(ids_done)
