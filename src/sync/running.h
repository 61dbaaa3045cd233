/* SPDX-License-Identifier: Apache-2.0 */
/* A command while its answer is awaited, or could not be stored yet. */
#pragma once

#include "ledger/inbox.h"
#include "message/remote_command.h"
#include "sync/command_pace.h"
#include "sync/sync.h"

typedef struct Running Running;

struct Running {
        Running *next;
        Sync *sync; /* NULL: it is gone, the answer interests nobody */
        RemoteCommand command;
        InboxRow row; /* as it is stored, or will be; whom to answer */
        char actor[80];
        bool kept;     /* the ledger remembers its id: it changes something */
        bool stored;   /* as received; row.begun: as begun */
        bool waiting;  /* for the boards to be known, */
        bool deferred; /* or for its turn in `class` */
        CommandClass class;
        char *answer; /* which the ledger has not taken yet */
        bool complained;
};

Running *running_find(const Sync *s, const char *id); /* NULL: there is none */
void running_free(Running *r);
