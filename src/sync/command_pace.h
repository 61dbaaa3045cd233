/* SPDX-License-Identifier: Apache-2.0 */
/* How fast commands are carried out. */
#pragma once

#include "core/bucket.h"
#include "message/arguments.h"
#include "message/strict_json.h"
#include "sync/sync.h"

typedef struct Running Running;

typedef enum CommandClass { /* each has a pace */
                            COMMAND_DOOR,
                            COMMAND_OTHER,
                            COMMAND_QUESTION,
                            COMMAND_REPLAY,
                            COMMAND_CLASSES,
} CommandClass;

typedef struct CommandPaces {
        Bucket commands[COMMAND_CLASSES], answers;
        uint64_t slow_log_at, unanswered_log_at; /* boot µs: not before is it said again */
        unsigned unanswered;
} CommandPaces;

CommandClass pace_class(const CommandRow *row);
bool pace_admits(Sync *s, CommandClass class); /* now; it counts */
/* 0: it may wait its turn. */
int pace_judge_waiting(Sync *s, CommandClass class, char ret_detail[MESSAGE_DETAIL_MAX]);
Running *pace_next_in_turn(Sync *s); /* of those that wait; NULL: none yet */
uint64_t pace_next_deadline(const Sync *s);
bool pace_answers(Sync *s); /* false: what changes nothing is left without an answer */
