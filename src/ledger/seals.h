/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that were changed, moved, copied, added or removed while no daemon had the ledger. Inside the ledger,
 * but for the functions that begin with ledger_.
 *
 * Every write seals itself: triggers of this connection, made from the columns that the tables have, seal
 * what is inserted or updated and keep the sum of the table. So no statement can forget it. A row whose seal
 * is wrong stays wrong when it is updated. */
#pragma once

#include "ledger/ledger.h"

/* "": nothing was found at opening; else which rows and tables, for people. Lives as long as the ledger. */
const char *ledger_tampering(const Ledger *l);
/* Commands that were carried out may be missing from the inbox. */
bool ledger_inbox_is_doubtful(const Ledger *l);
/* Parcels whose rows somebody else has written, if that was found at opening. whole: rows are missing, or old
 * ones were put back, and nobody can say which. */
int ledger_parcels_each_changed(Ledger *l, int (*each)(void *userdata, uint64_t id), void *userdata,
                                bool *ret_whole);
/* Failed attempts may be missing, or be somebody else's invention. */
bool ledger_lockouts_are_doubtful(const Ledger *l);
/* Takes out what somebody else has written of them, and seals the rest: for the caller's transaction, in
 * which it makes everybody wait. */
int ledger_lockouts_begin_anew(Ledger *l);

int seals_prepare(Ledger *l); /* the functions of SQL; before any statement that uses them */
int seals_found(Ledger *l, const char *what);
int seals_check(Ledger *l, int version); /* reads all rows; findings are kept */
/* In the transaction of the migration to `version`: of all rows. only_new: of those tables alone that are
 * sealed from this version on. */
int seals_make(Ledger *l, int version, bool only_new);
int seals_watch(Ledger *l); /* from here on every write is sealed */
/* A row that was just inserted; its table has no trigger for it: SQLite would look through the whole history
 * for rows that refer to it. In the transaction of the insertion. Or one that was just revoked, which opens
 * nothing any more, whoever has written it. */
int seals_person(Ledger *l, uint64_t id);
void seals_disconnect(Ledger *l); /* the connection goes, what was found stays */
void seals_done(Ledger *l);
#define SEALS_SINCE 10 /* the migration that makes room for them */
