/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a command may be carried out, and until when it is remembered. */
#pragma once

#include "core/believed_clock.h"
#include "message/arguments.h"
#include "message/remote_command.h"
#include "message/strict_json.h"
#include "sync/sync.h"

/* A day longer than anybody may repeat it: clocks differ. */
#define FORGET_AFTER_USEC ((int64_t)(86400 * USEC_PER_SEC))

/* 0, or why not. */
int judge_command(const Sync *s, const RemoteCommand *c, char ret_detail[MESSAGE_DETAIL_MAX]);
int judge_time(const Sync *s, const CommandRow *row, const RemoteCommand *c, const Moment *now);
int judge_room(const Sync *s, const CommandRow *row, char ret_detail[MESSAGE_DETAIL_MAX]);
