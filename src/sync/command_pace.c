/* SPDX-License-Identifier: Apache-2.0 */
/* How fast commands are taken. Each costs commits, rows and events, which whoever has a key, or has lost one,
 * must not be able to make without end. What a fleet's backend gives at once passes; what exceeds waits its
 * turn, in memory: a backend that does not look at refusals loses nothing, and one that crashes with the
 * cabinet repeats, as it does in any case. What is more than may wait is refused (Busy), and leaves no trace.
 * Doors, other commands and questions do not wait for each other.
 *
 * What changes nothing and is only answered (refusals, repeats) has a pace, too, because answers cost the
 * line and refusals the log: beyond it there is no answer. */
#include "sync/command_pace.h"
#include "base/log.h"
#include "core/access.h"
#include "core/bucket.h"
#include "message/arguments.h"
#include "sync/running.h"
#include "sync/sync_struct.h"

#include <stdio.h>

#define LOG_EVERY_USEC (60 * USEC_PER_SEC)

typedef struct ClassRow {
        BucketRules rules;
        unsigned waiting; /* at most */
} ClassRow;

/* In all fewer than AT_A_TIME of command_judge.c wait: no class takes another one's place. */
static const ClassRow classes[COMMAND_CLASSES] = {
        /* Doors: 60 positions, each opened three times. A cabinet cannot do more in the long run. */
        [COMMAND_DOOR] = {{200, USEC_PER_SEC / 5}, 32},
        /* Announcements for all positions, and what a queue at the broker holds after an outage. */
        [COMMAND_OTHER] = {{300, USEC_PER_SEC / 5}, 128},
        [COMMAND_QUESTION] = {{60, USEC_PER_SEC / 2}, 32},
        /* Each may bring a million events: the gaps after an outage, one after the other. */
        [COMMAND_REPLAY] = {{30, 10 * USEC_PER_SEC}, 16},
};
static const BucketRules answers = {200, USEC_PER_SEC / 10};

CommandClass pace_class(const CommandRow *row) {
        if (streq(row->name, "replay"))
                return COMMAND_REPLAY;
        return row->act == ACT_ASK ? COMMAND_QUESTION
               : row->opens || row->act == ACT_DEPOSIT || row->act == ACT_COLLECT ||
                               row->act == ACT_END_SESSION
                       ? COMMAND_DOOR
                       : COMMAND_OTHER;
}

static unsigned count_waiting(const Sync *s, CommandClass class) {
        unsigned n = 0;

        for (const Running *r = s->running; r; r = r->next)
                n += r->deferred && r->class == class;
        return n;
}

bool pace_admits(Sync *s, CommandClass class) {
        return !count_waiting(s, class) &&
               bucket_take(&s->paces.commands[class], &classes[class].rules, clock_now().boot_usec);
}

int pace_judge_waiting(Sync *s, CommandClass class, char ret_detail[MESSAGE_DETAIL_MAX]) {
        const ClassRow *c = &classes[class];
        uint64_t now = clock_now().boot_usec;
        bool full = count_waiting(s, class) >= c->waiting;

        if (now >= s->paces.slow_log_at) {
                s->paces.slow_log_at = now + LOG_EVERY_USEC;
                log_notice("The backend gives more than %u commands at once: they wait their turn",
                           c->rules.burst);
        }
        if (full)
                snprintf(ret_detail, MESSAGE_DETAIL_MAX,
                         "There are more than %u commands that wait their turn.", c->waiting);
        return full ? LOCKER_E_BUSY : 0;
}

/* The list begins with the newest. */
static Running *oldest(const Sync *s, CommandClass class) {
        Running *found = NULL;

        for (Running *r = s->running; r; r = r->next)
                if (r->deferred && r->class == class)
                        found = r;
        return found;
}

Running *pace_next_in_turn(Sync *s) {
        uint64_t now = clock_now().boot_usec;

        for (CommandClass class = 0; class < COMMAND_CLASSES; class ++) {
                Running *r = oldest(s, class);
                if (r && bucket_take(&s->paces.commands[class], &classes[class].rules, now))
                        return r;
        }
        return NULL;
}

uint64_t pace_next_deadline(const Sync *s) {
        uint64_t now = clock_now().boot_usec, next = USEC_INFINITY;

        for (CommandClass class = 0; class < COMMAND_CLASSES; class ++)
                if (count_waiting(s, class))
                        next = MIN(next, bucket_next(&s->paces.commands[class], &classes[class].rules, now));
        return next;
}

bool pace_answers(Sync *s) {
        uint64_t now = clock_now().boot_usec;
        CommandPaces *p = &s->paces;

        if (bucket_take(&p->answers, &answers, now))
                return true;
        p->unanswered++;
        if (now >= p->unanswered_log_at) {
                p->unanswered_log_at = now + LOG_EVERY_USEC;
                log_warning("%u messages that change nothing are left without an answer: they come too fast",
                            p->unanswered);
                p->unanswered = 0;
        }
        return false;
}
