/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: who was at which terminal. Errors as in ledger.h. */
#pragma once

#include "ledger/ledger.h"

/* On a session that has ended: -ENOENT. */
int ledger_session_begin(Ledger *l, const char *kind, const char *terminal, const Now *now, uint64_t *ret_id);
int ledger_session_person(Ledger *l, uint64_t id, uint64_t person, const char *evidence);
int ledger_session_end(Ledger *l, uint64_t id, const char *how, const Now *now);
int ledger_session_end_all_open(Ledger *l, const char *how, const Now *now); /* after a restart */
