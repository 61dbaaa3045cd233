/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: the authoritative record of slots, parcels, persons and actions, in SQLite (WAL,
 * synchronous=FULL). A change, its audit row, its event and its outbox row are one transaction. Only this
 * folder knows SQL; rows go in and out as structs.
 *
 * Errors: negative errno. -ENOSPC: the disk is full and nothing was changed. -EUCLEAN: the file is damaged.
 * -EIO: the disk failed. -EBUSY: another program has locked the file, and nothing was changed. -EEXIST: the
 * place, code or number is taken. -EINVAL: a value that the rules forbid. -ENOENT: no such row, or it refers
 * to one that is not there. The last three leave an open transaction as it was; after any other error it is
 * lost: every call answers with the same error until ledger_rollback(), or ledger_commit(), which then rolls
 * back.
 *
 * Functions that change several rows may be called without a transaction; they take one of their own.
 * Callbacks: not 0 ends the walk and is returned. They may ask, and change the row they are given, but no
 * others of its table. Rows and their strings are the ledger's and live as long as the call. */
#pragma once

#include "base/clock.h"
#include "ledger/vault.h"

typedef struct Ledger Ledger;

#define LABEL_MAX   32
#define SUBJECT_MAX 96 /* "parcel:17", "slot:P1/3", "claim:slot:12" */

typedef enum LedgerProblem {
        LEDGER_PROBLEM_NONE,
        LEDGER_PROBLEM_DAMAGED,   /* quick_check failed or not a database */
        LEDGER_PROBLEM_NEWER,     /* written by a newer lockerd */
        LEDGER_PROBLEM_WRONG_KEY, /* sealed with another key */
        LEDGER_PROBLEM_OTHER_CABINET,
        LEDGER_PROBLEM_FULL,
        LEDGER_PROBLEM_LOCKED, /* another lockerd has it open */
        LEDGER_PROBLEM_BUSY,   /* another program has locked it: wait, and try again */
        LEDGER_PROBLEM_IO,
} LedgerProblem;

/* Sentence with instructions for an operator. */
const char *ledger_problem_sentence(LedgerProblem p);

/* Creates, migrates and quick-checks (the tables of the present; history is checked by ledger_check_file in a
 * process of its own, because it takes as long as the history is). Takes the vault when it succeeds.
 * <path>.lock keeps a second daemon out. *ret_problem is always set, *ret_detail (fresh memory) on failure.
 */
int ledger_open(Ledger **ret, const char *path, Vault *vault, LedgerProblem *ret_problem, char **ret_detail);
/* For the cabinet with this number: the ledger of another one is refused before anything in it is changed.
 * One that says no number yet (new, or from before there were epochs) is this cabinet's from then on. */
int ledger_open_for(Ledger **ret, const char *path, Vault *vault, const char *cabinet,
                    LedgerProblem *ret_problem, char **ret_detail);
Ledger *ledger_free(Ledger *l);
DEFINE_CLEANUP(Ledger *, ledger_free);
/* Checks the whole file, read-only: 0 or -EUCLEAN with a detail. */
int ledger_check_file(const char *path, char **ret_detail);
unsigned ledger_schema_version(void); /* what this lockerd writes */
Vault *ledger_vault(Ledger *l);
const char *ledger_path(const Ledger *l);

bool ledger_is_read_only(const Ledger *l); /* its file system is: nothing can be committed */
/* Opened on a full disk, where not even SQLite's shared index fits: it can be read here, and by nobody else.
 */
bool ledger_is_cramped(const Ledger *l);
/* There is room again: opens it as usual. Not in a transaction, nor while rows are being read. 0, or why it
 * stays as it is. */
int ledger_relax(Ledger *l);
int ledger_begin(Ledger *l); /* -EINVAL: one is open already; -EROFS: see above */
/* One sync of the disk. On failure nothing of the transaction stays and no transaction is open; except when
 * the file system became read-only meanwhile (-EROFS): then it stays until the power goes. */
int ledger_commit(Ledger *l);
void ledger_rollback(Ledger *l); /* does nothing outside a transaction */
/* Moves the WAL into the file; for idle moments. After something personal was erased it also empties the WAL.
 */
int ledger_checkpoint(Ledger *l);
/* True when enough was written since the last checkpoint to be worth one. */
bool ledger_wants_checkpoint(const Ledger *l);

/* Online copy to a file that must not exist (-EEXIST). Steps of `pages` of 4 KB (-1: all at once); call until
 * *ret_done. The daemon may write between the steps. Not in the middle of a transaction: such a step does
 * nothing. */
typedef struct LedgerBackup LedgerBackup;
int ledger_backup_begin(Ledger *l, const char *path, LedgerBackup **ret);
int ledger_backup_step(LedgerBackup *b, int pages, bool *ret_done);
/* Syncs and closes; removes the file unless it is complete (-ECANCELED). */
int ledger_backup_end(LedgerBackup *b, uint64_t *ret_bytes);
