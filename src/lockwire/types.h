/* SPDX-License-Identifier: Apache-2.0 */
/* The words daemon and line workers share about commands and boards. Without sd-event, so that the workers
 * stay small; the values travel in wire.h messages. */
#pragma once

#include <stdbool.h>

/* What became of a command. About the wire only: what the door did is told by facts. */
typedef enum LockResult {
        LOCK_RESULT_PULSED,    /* the board confirmed it */
        LOCK_RESULT_UNCERTAIN, /* sent, no believable answer: the lock may have been energised */
        LOCK_RESULT_NOT_SENT,  /* never reached the line: expired, board offline or distrusted */
        LOCK_RESULT_REFUSED,   /* the board answered with an exception */
} LockResult;

typedef enum BoardHealth {
        BOARD_STARTING,
        BOARD_ONLINE,
        BOARD_OFFLINE,  /* does not answer; probed with back-off */
        BOARD_CONFLICT, /* answers twice or garbled at start: two boards may share the address. No unlocks. */
        BOARD_WRONG,    /* is not what the configuration says. No unlocks. */
        BOARD_STUCK,    /* a coil stays on */
        BOARD_BLIND, /* all its doors read open at once: its inputs are not believed. Never told by a worker.
                      */
} BoardHealth;

/* It answers and is the right one: its inputs count, its locks can be moved. */
static inline bool board_health_is_online(BoardHealth h) {
        return h == BOARD_ONLINE || h == BOARD_STUCK || h == BOARD_BLIND;
}
