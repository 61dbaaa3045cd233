/* SPDX-License-Identifier: Apache-2.0 */
/* schema/NNN-*.sql inside the program. user_version of a ledger is the number of the last one applied. */
#pragma once

typedef struct Migration {
        int version;
        const char *name, *sql;
} Migration;

extern const Migration ledger_migrations[]; /* ascending, without gaps */
extern const int ledger_n_migrations;
