/* SPDX-License-Identifier: Apache-2.0 */
/* Inbox: commands of the backend, by id. Errors as in ledger.h. */
#pragma once

#include "ledger/ledger.h"

typedef struct InboxRow {
        char id[65], name[33];
        int64_t received, expires;          /* wall µs */
        char *command;                      /* as read: JSON of the arguments */
        char *answer;                       /* NULL: not executed yet, or interrupted */
        bool is_signed;                     /* its sender could not have been anybody else */
        bool begun;                         /* execution began; without answer: a restart interrupted it */
        char *response_topic, *correlation; /* may be NULL; correlation in hex */
} InboxRow;
void inbox_row_done(InboxRow *r);
int ledger_inbox_get(Ledger *l, const char *id, InboxRow *ret); /* -ENOENT */
int ledger_inbox_store(Ledger *l, const InboxRow *r);           /* -EEXIST: this id is there already */
/* In the transaction that executes it: one durable commit for both, when it was not stored before. -EEXIST:
 * it has its answer, and must not be executed. */
int ledger_inbox_begin(Ledger *l, const InboxRow *r);
/* Also of one that was never stored; what is kept of the command is from then on what r says. -EEXIST: it has
 * an answer, which stays. */
int ledger_inbox_answer(Ledger *l, const InboxRow *r, const char *answer);
int ledger_inbox_each_open(Ledger *l, int (*each)(void *userdata, const InboxRow *r),
                           void *userdata);           /* without answer, oldest first */
int ledger_inbox_count(Ledger *l, uint64_t *ret);     /* walks all of them */
int ledger_inbox_withdraw(Ledger *l, const char *id); /* one that has not begun: it was never here */
/* Answered ones whose expiry is older than `before`; as long as they are kept, a repeat gets the stored
 * answer. Returns how many. */
int ledger_inbox_forget(Ledger *l, int64_t before);
/* The largest expiry of signed ones that are forgotten, wall µs; 0: none ever was. A command that does not
 * expire later may have been here before. */
int ledger_inbox_forgotten(Ledger *l, int64_t *ret);
