/* SPDX-License-Identifier: Apache-2.0 */
/* Which ledger this is: its epochs. An event's identity is its epoch and its sequence number; a new epoch
 * begins with each new ledger, and whenever numbers may have been used that this file does not know of (a
 * restored backup, a copied card). Errors as in ledger.h. */
#pragma once

#include "ledger/ledger.h"

#define EPOCH_LENGTH 16 /* hexadecimal digits */

typedef enum EpochWhy {
        EPOCH_NEW,      /* the ledger was made */
        EPOCH_UPGRADE,  /* the first one of a ledger from before there were epochs */
        EPOCH_RESTORED, /* from a backup */
        EPOCH_BEHIND,   /* the cabinet has told more than this ledger knows */
        EPOCH_FOREIGN,  /* another ledger has spoken for this cabinet */
        EPOCH_UNCLEAN,  /* the end of the ledger is missing, or it was copied while it was in use */
} EpochWhy;
const char *epoch_why_to_string(EpochWhy w);

/* What was noticed at opening: the file is not, or not all of, what was here last. */
typedef enum LedgerFinding {
        LEDGER_IN_ORDER,
        LEDGER_END_MISSING, /* it was not closed, and its write-ahead log is not there */
        LEDGER_BEHIND,      /* the side file knows of later events */
        LEDGER_FOREIGN,     /* the side file is another ledger's */
} LedgerFinding;
/* Found again at each opening, until an epoch has begun. told: the newest event that the side file knows; 0:
 * nobody knows. */
LedgerFinding ledger_finding(const Ledger *l, uint64_t *ret_told);

/* The present one. Lives until the next one begins. */
const char *ledger_epoch(const Ledger *l);
EpochWhy ledger_epoch_why(const Ledger *l);
/* True from the first time on that something may have happened in this cabinet of which the ledger knows
 * nothing: a command of the backend counts only if it names the present epoch, because one that does not may
 * have been carried out already. */
bool ledger_epoch_is_guarded(const Ledger *l);
/* The epoch of an event; "": it is from before there were epochs. */
const char *ledger_epoch_of(const Ledger *l, uint64_t sequence);
/* Was or is `name` an epoch of this ledger? */
bool ledger_epoch_is_known(const Ledger *l, const char *name);
/* In a transaction. The new epoch takes in the events from `since` on. Numbers of parcels, people and
 * sessions go on far behind all that may have been given out. A rollback takes it back. */
int ledger_epoch_begin(Ledger *l, EpochWhy why, uint64_t since, const Now *now);
/* The first event that the backend has not acknowledged, else the next one to be written: where an epoch
 * begins whose predecessor may have told other events under the same numbers. */
int ledger_epoch_untold(Ledger *l, uint64_t *ret_since);
