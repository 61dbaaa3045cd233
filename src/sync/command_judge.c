/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a command may be carried out: who gave it, for which ledger and which time, and is there room for
 * one more. Nothing here changes anything; how fast is command_pace.c's. */
#include "sync/command_judge.h"
#include "core/access.h"
#include "ledger/ledger.h"
#include "ledger/lineage.h"
#include "message/remote_command.h"
#include "sync/freshness.h"
#include "sync/running.h"
#include "sync/sync_struct.h"
#include "message/arguments.h"

#include <stdio.h>
#include <sys/statvfs.h>

#define AT_A_TIME        256   /* commands that are carried out, or wait */
#define REMEMBERED_MAX   20000 /* in the ledger, until they have expired: some 10 MB */
#define EXPIRES_MAX_DAYS 31
#define EXPIRES_MAX_USEC ((int64_t)(EXPIRES_MAX_DAYS * 86400 * USEC_PER_SEC))

static unsigned callers_of(const Sync *s, bool is_signed) {
        const MqttSettings *m = &s->settings->mqtt;

        return is_signed || m->unsigned_open ? CALLER_SIGNED
               : m->unsigned_commands        ? CALLER_BACKEND | CALLER_UNSIGNED
                                             : CALLER_BACKEND;
}

/* A command that names another ledger is not for this one. And where something may have happened of which
 * this ledger knows nothing (it was restored from a backup, it is a copy), one that names none may have been
 * carried out before: only who knows the present epoch has written it since. Questions change nothing. */
static int judge_epoch(const Sync *s, const RemoteCommand *c, const CommandRow *row,
                       char ret_detail[MESSAGE_DETAIL_MAX]) {
        const char *epoch = ledger_epoch(s->ledger);

        if (*c->epoch ? streq(c->epoch, epoch) : row->act == ACT_ASK || !ledger_epoch_is_guarded(s->ledger))
                return 0;
        snprintf(ret_detail, MESSAGE_DETAIL_MAX,
                 *c->epoch
                         ? "The command names another ledger; the epoch of this one is %s."
                         : "Since this cabinet's ledger was replaced, commands must name its epoch, %s. This "
                           "one may have been carried out before: look at the events.",
                 epoch);
        return LOCKER_E_WRONG_EPOCH;
}

/* Is it for now? What opens a door needs a calendar that is vouched for or the nonce of the state, and so
 * does whatever may have been carried out and forgotten before the calendar went back. */
int judge_time(const Sync *s, const CommandRow *row, const RemoteCommand *c, const Moment *now) {
        bool doubtful =
                row->act != ACT_ASK && ((row->opens && !now->vouched) || c->expires_usec <= s->forgotten);

        if (c->expires_usec <= now->not_before)
                return LOCKER_E_EXPIRED;
        return doubtful && !freshness_proves(&s->freshness, clock_now().boot_usec, c->nonce)
                       ? LOCKER_E_NOT_FRESH
                       : 0;
}

/* What can be said without looking at the cabinet: nothing of such a command is kept. What it takes to make
 * the ledger grow is a key. */
int judge_command(const Sync *s, const RemoteCommand *c, char ret_detail[MESSAGE_DETAIL_MAX]) {
        const CommandRow *row = command_row(c->name);
        Moment now = locker_moment(s->locker);

        if (!row)
                return LOCKER_E_UNKNOWN_COMMAND;
        if (access_of_caller(row->act, callers_of(s, c->is_signed)))
                return access_callers(row->act) & CALLER_SIGNED ? LOCKER_E_NOT_SIGNED
                                                                : LOCKER_E_ACCESS_DENIED;
        int r = arguments_check(c->name, c->arguments, ret_detail);
        if (!r)
                r = judge_epoch(s, c, row, ret_detail);
        if (!r && c->expires_usec < now.not_before - FORGET_AFTER_USEC)
                return LOCKER_E_EXPIRED; /* what is known of its id is forgotten, and stays so */
        /* It may come again under its id. One that has expired is answered by run(), which keeps the id. */
        if (!r && judge_time(s, row, c, &now) == LOCKER_E_NOT_FRESH)
                r = LOCKER_E_NOT_FRESH;
        if (!r && now.vouched && c->expires_usec - now.wall > EXPIRES_MAX_USEC) {
                snprintf(ret_detail, MESSAGE_DETAIL_MAX, "\"expires\" is more than %d days away.",
                         EXPIRES_MAX_DAYS);
                r = LOCKER_E_INVALID_ARGUMENT;
        }
        return r;
}

/* The reserve is there so that people get their parcels, and the last of the disk before it as well. */
static bool storage_is_low(const Sync *s) {
        struct statvfs v;

        return statvfs(ledger_path(s->ledger), &v) >= 0 &&
               (uint64_t)v.f_bavail * v.f_frsize < s->settings->minimum_free;
}

/* What a person at an open door needs, also while storage is low. */
static bool serves_people(const CommandRow *row) {
        return row->act == ACT_COLLECT || row->act == ACT_REOPEN || row->act == ACT_TAKE_BACK ||
               row->act == ACT_END_SESSION || row->act == ACT_OPEN_SLOT ||
               (row->act == ACT_DEPOSIT && !streq(row->name, "deposit")); /* the others go on with one */
}

/* Is there room for one more? 0, or why not. */
int judge_room(const Sync *s, const CommandRow *row, char ret_detail[MESSAGE_DETAIL_MAX]) {
        size_t n = 0;

        for (const Running *r = s->running; r; r = r->next)
                n += !r->answer;
        if (n >= AT_A_TIME) {
                snprintf(ret_detail, MESSAGE_DETAIL_MAX, "%d commands are being carried out.", AT_A_TIME);
                return LOCKER_E_BUSY;
        }
        if (row->act == ACT_ASK)
                return 0;
        if (s->remembered >= REMEMBERED_MAX) {
                snprintf(ret_detail, MESSAGE_DETAIL_MAX,
                         "%d commands are remembered until they have expired.", REMEMBERED_MAX);
                return LOCKER_E_BUSY;
        }
        return !serves_people(row) && storage_is_low(s) ? LOCKER_E_STORAGE_FULL : 0;
}
