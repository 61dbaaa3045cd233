/* SPDX-License-Identifier: Apache-2.0 */
/* Out: events of the outbox. */
#pragma once

#include "sync/aside.h"
#include "sync/sync.h"

/* The outbox on its way: events [acknowledged + 1 … sent] are with the worker, of which it has at most
 * Window= under way; those marked have been acknowledged out of turn. */
typedef struct Drain {
        uint64_t acknowledged, sent;
        uint64_t stored;                 /* acknowledged in the ledger, too: written in batches */
        unsigned room;                   /* how many the worker may have */
        uint8_t *marks;                  /* [room], ring by sequence */
        uint64_t replay_next, replay_to; /* 0: nothing is replayed, or all of it is acknowledged */
        uint64_t replay_acknowledged;
        uint64_t replay_from, replay_asked; /* as they were asked for: a repeat is the same replay */
        uint64_t bounded;                   /* up to here routine has been taken out of an overfull outbox */
        uint64_t offline_until; /* events up to here were recorded before the connection came up */
        uint64_t flush_at;      /* boot µs: write what was acknowledged */
        uint64_t again_at;      /* boot µs: send again what could be neither sent nor set aside */
        uint64_t heard;         /* the last event that the broker has taken and somebody was there to hear */
        /* An event after which the connection breaks, again and again. */
        uint64_t suspect; /* the first that was under way when it last broke */
        unsigned breaks;  /* how often in a row; from some on it is sent alone */
        unsigned mute;    /* how often in a row it broke without a word: then events wait for the state's */
        bool taken;       /* something was acknowledged on this connection: it works */
        bool event_taken; /* and an event */
        Asides asides;
        bool full; /* of these: the next event waits until one of them is taken */
} Drain;

int drain_init(Sync *s);
void drain_done(Sync *s);
void drain_link(Sync *s, bool connected);
void drain_works(Sync *s); /* the broker has acknowledged something else */
void drain_acknowledged(Sync *s, uint64_t token);
void drain_refused(Sync *s, uint64_t token, unsigned reason, const char *sentence);
void drain_pump(Sync *s, uint64_t now_boot);
uint64_t drain_next_deadline(const Sync *s);
void drain_bound(Sync *s);
void drain_replay(Sync *s, uint64_t from, uint64_t to);
bool drain_replays(const Sync *s); /* until the last one is acknowledged */
