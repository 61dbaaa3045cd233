/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of locks.h: commands on their way to the workers, a place on the supply before each, and what comes
 * back. */
#pragma once

#include "core/bucket.h"
#include "core/supply.h"
#include "lock/facts.h"
#include "lock/line_client.h"
#include "lock/locks.h"

typedef enum CommandState {
        COMMAND_QUEUED,  /* here */
        COMMAND_SENT,    /* with the worker */
        COMMAND_SENDING, /* perhaps on the wire */
        COMMAND_ENDING,  /* result told; the end of the pulse has not been confirmed yet */
} CommandState;

typedef struct Command {
        uint64_t token; /* unique in this process: what worker and supply call it */
        uint64_t id;
        int lock, board;
        uint32_t coil, pulse_ms;
        uint64_t expires, worst_end;
        bool urgent, withdrawn;
        CommandState state;
} Command;

typedef struct BoardState {
        BoardHealth health; /* as the worker says */
        bool blind;         /* its inputs are not believed, see facts.h */
        bool all_off;
        Bucket changes;   /* of health, as workers tell them */
        uint64_t seen_at; /* boot µs of the last word about its inputs; 0: none that counts */
} BoardState;

typedef struct LockSupply {
        SupplyState state;
        bool cleared; /* no pulse of a former daemon can be running any more */
} LockSupply;

struct Locks {
        sd_event *event;
        const Cabinet *cabinet;
        LocksHandlers handlers;
        void *userdata;
        char *worker_directory;
        Facts *facts;
        LineClient **lines;
        BoardState *boards;
        LockSupply *supplies;
        uint64_t *pulse_until; /* [n_locks], boot µs: a second pulse before that would prolong the first */
        Command *commands;     /* in order of arrival */
        size_t n_commands;
        uint64_t next_token;
        sd_event_source *timer;
        bool attended;
        bool *lamps; /* [n_slots]: lit, or to be when their board is there */
};

/* Sets the supplies up: a pulse of a former daemon may still be running. */
void commands_start(Locks *l);
/* Sends what can be sent now, finishes what never will, and arms the timer for the rest. */
void commands_dispatch(Locks *l);
void commands_sending(Locks *l, uint64_t token);
void commands_result(Locks *l, const WireResult *m);
void commands_over(Locks *l, const WireOver *m);
/* The board has confirmed all-off: whatever a former worker left on is off now. */
void commands_board_is_off(Locks *l, int board, uint64_t t);
/* Lights again what is to be lit (lamps.c). */
void lamps_board_online(Locks *l, int board);
void commands_worker_gone(Locks *l, int line, uint64_t t);
