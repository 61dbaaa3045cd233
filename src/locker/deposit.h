/* SPDX-License-Identifier: Apache-2.0 */
/* A deposit until its place is final. */
#pragma once

#include "core/code.h"
#include "core/fit.h"
#include "locker/locker.h"

typedef struct Errand Errand;

/* What is remembered of a deposit until its place is final. */
typedef struct Deposit {
        FitRequest fit;
        uint8_t *tried;             /* [n_positions] */
        char code[CODE_LENGTH + 1]; /* between commit and reply only; erased */
        bool offline;               /* the code is made of place and time: another place, another code */
        OfflineReceipt receipt;     /* with it; erased with the code */
        int64_t expires_usec;
        unsigned bound; /* kinds of credentials that open it */
        /* the search for another place, while one is asked for */
        const char *why, *quarantine;
        bool larger;
} Deposit;

/* 0: it has moved on; else a refusal, or a negative errno. */
int deposit_seek(Errand *e);
void deposit_forget_code(Deposit *d); /* it was told */
Deposit *deposit_free(Deposit *d);
DEFINE_CLEANUP(Deposit *, deposit_free);
