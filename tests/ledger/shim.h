/* SPDX-License-Identifier: Apache-2.0 */
/* A shim below SQLite that fails at the n-th write, sync, truncation, creation or map of shared memory. */
#pragma once

#include <stdbool.h>

typedef struct Fault {
        int countdown; /* 0: none */
        bool lasting;  /* all that follow fail, too */
        bool torn;     /* a failing write writes half of it first */
        int error;
        int hits;
        int syncs;
} Fault;

extern Fault fault;             /* of the shim, which SQLite calls without any context of ours */
int install_shim(void **state); /* cmocka group fixture: becomes the default file system of SQLite */
