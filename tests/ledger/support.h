/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the ledger share: a directory of their own with a ledger in it, and doors to the raw
 * file. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"
#include "ledger/sql.h"

#include <errno.h>
#include <stdio.h>

typedef struct Place {
        char directory[64];
        char path[96]; /* of the ledger in it */
        Ledger *ledger;
} Place;

/* cmocka fixtures; *state is a Place. With and without an open ledger. */
int setup_directory(void **state);
int setup_ledger(void **state);
int teardown(void **state);

Vault *test_vault(uint8_t first_byte); /* the key of `Place` ledgers is that of 1 */
void place_open(Place *p);
void place_close(Place *p);
/* Opens and must be refused for this reason, with a detail. */
void assert_refused(Place *p, uint8_t key, LedgerProblem problem);

/* All hashes of the chain anew: keyed, or NULL: as before it was keyed. Its trigger must be gone. */
void audit_rewrite(const char *path, const Vault *v);
/* Closes it, and makes it what an older version left: a chain without a key, its proof, and this SQL. */
void place_undo(Place *p, const char *sql);
/* SQL that takes back what migration 011 did, and so on. */
#define UNDO_KEYED                                                                                        \
        "DELETE FROM meta WHERE key = 'audit-keyed'; DELETE FROM sealed WHERE name IN ('audit', 'door', " \
        "'movement'); "                                                                                   \
        "ALTER TABLE door DROP COLUMN seal; ALTER TABLE movement DROP COLUMN seal; "
#define UNDO_SEAL(table) "ALTER TABLE " #table " DROP COLUMN seal; "
#define UNDO_SPENT       "DROP TABLE spent_code; "
#define UNDO_IDENTITY                                                                                    \
        UNDO_SPENT                                                                                       \
        "DROP TABLE credential; DROP TABLE consent; CREATE TABLE credential (person INTEGER NOT NULL "   \
        "REFERENCES person (id), kind TEXT NOT NULL CHECK (kind <> ''), data BLOB NOT NULL, seal BLOB, " \
        "PRIMARY "                                                                                       \
        "KEY (person, kind)) STRICT, WITHOUT ROWID; "
#define UNDO_SEALS                                                                                         \
        UNDO_IDENTITY UNDO_KEYED "DROP TABLE sealed; " UNDO_SEAL(meta) UNDO_SEAL(slot) UNDO_SEAL(position) \
                UNDO_SEAL(person) UNDO_SEAL(credential) UNDO_SEAL(parcel) UNDO_SEAL(pickup_code)           \
                        UNDO_SEAL(renewed_code) UNDO_SEAL(lockout) UNDO_SEAL(lockout_parcel)               \
                                UNDO_SEAL(inbox) UNDO_SEAL(setting) UNDO_SEAL(epoch)
#define UNDO_LINEAGE UNDO_SEALS "DROP TABLE epoch; ALTER TABLE parcel DROP COLUMN doubted; "
#define UNDO_CLOCK   "ALTER TABLE parcel DROP COLUMN loose; ALTER TABLE inbox DROP COLUMN signed; "
#define UNDO_PEOPLE                                                                              \
        UNDO_LINEAGE UNDO_CLOCK                                                                  \
                "ALTER TABLE lockout DROP COLUMN pace; ALTER TABLE lockout DROP COLUMN risk; "   \
                "ALTER TABLE lockout DROP COLUMN leaked; DROP TABLE lockout_parcel; DROP TABLE " \
                "renewed_code; "                                                                 \
                "DROP INDEX parcel_history_phone; DROP INDEX parcel_history_unmarked; "          \
                "ALTER TABLE parcel_history DROP COLUMN phone_mac; ALTER TABLE parcel DROP COLUMN forget; "
#define UNDO_ERRANDS                                                                          \
        UNDO_PEOPLE                                                                           \
        "DROP TABLE door; "                                                                   \
        "ALTER TABLE parcel DROP COLUMN choice; ALTER TABLE parcel DROP COLUMN taking_back; " \
        "ALTER TABLE parcel DROP COLUMN was; ALTER TABLE parcel DROP COLUMN temperature; "    \
        "ALTER TABLE parcel DROP COLUMN accessible; ALTER TABLE parcel DROP COLUMN larger; "

Now at(int64_t seconds); /* a moment, synced */
void begin(Ledger *l);
void commit(Ledger *l);
/* Runs SQL on the file with another connection; triggers are dropped first when `force`. */
int raw_sql(const char *path, const char *sql, bool force);
int64_t raw_number(const char *path, const char *sql);
int64_t number(Ledger *l, const char *sql); /* through the ledger's own connection */
/* Is this byte string anywhere in the file or its WAL? */
bool file_contains(const char *path, const void *bytes, size_t n);
void copy_file(const char *from, const char *to);
void write_file(const char *path, const void *bytes, size_t n);

/* A deposit in slot/position, in `state` (depositing or stored), with everything that belongs to one:
 * movement, event with secret, code. In one transaction; → the parcel's id or the error after a rollback. */
int64_t deposit(Ledger *l, const char *slot, unsigned position, const char *code);
/* Collects it: two transactions' worth of changes in one, the parcel goes to the history. */
int collect(Ledger *l, uint64_t parcel);
/* What must be true after whatever happened: the file is whole, the chain holds, and each event has its audit
 * and outbox row. */
void assert_consistent(const char *path);
