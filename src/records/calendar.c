/* SPDX-License-Identifier: Apache-2.0 */
#include "records/calendar.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/text.h"
#include "ledger/parcels.h"
#include "ledger/reminders.h"
#include "ledger/settings.h"
#include "records/records.h"

#include <errno.h>

/* The kernel tells nobody when its clock is synchronised, or no longer is. */
#define LOOK_UNVOUCHED_USEC USEC_PER_SEC
#define LOOK_VOUCHED_USEC   (30 * USEC_PER_SEC)
#define RETRY_USEC          (60 * USEC_PER_SEC) /* a full disk is not filled with complaints */
/* A power cut costs at most this much of the counted time. */
#define KEEP_UNVOUCHED_USEC ((int64_t)3600 * (int64_t)USEC_PER_SEC)
#define KEEP_VOUCHED_USEC   ((int64_t)86400 * (int64_t)USEC_PER_SEC)
/* A synchronised clock that steps by less was disciplined, not put right. */
#define STEP_USEC ((int64_t)60 * (int64_t)USEC_PER_SEC)

#define SETTING_WALL    "believed-wall" /* the believed time … */
#define SETTING_BOOT    "believed-boot" /* … at this moment of the boot clock, µs … */
#define SETTING_BOOT_ID "believed-boot-id"
#define SETTING_UNTIL   "believed-until" /* boot µs: vouched for until then */
#define SETTING_BOUND   "believed-bound"
#define SETTING_AHEAD   "believed-ahead"

Moment records_moment(const Records *rec) {
        return believed_clock_moment(&rec->calendar.clock, rec->now().boot_usec);
}

/* An operator may vouch for the machine's calendar in the kernel's place. */
static Now look(const Records *rec) {
        Now now = rec->now();

        now.synced = now.synced || rec->settings->trust_clock;
        return now;
}

/* In a transaction. */
static int keep(Records *rec, const BelievedClock *c) {
        const struct {
                const char *name;
                int64_t value;
        } settings[] = {
                {SETTING_WALL, c->wall},
                {SETTING_BOOT, (int64_t)c->boot},
                {SETTING_BOOT_ID, rec->calendar.boot_id},
                {SETTING_UNTIL, (int64_t)c->vouched_until},
                {SETTING_BOUND, c->bound},
                {SETTING_AHEAD, c->ahead},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(settings); i++)
                r = ledger_setting_set(rec->ledger, settings[i].name, settings[i].value);
        return r;
}

static int note(void *userdata, uint64_t id) {
        return ids_add(userdata, id);
}

static int shift_parcel(Records *rec, uint64_t id, int64_t step) {
        _cleanup_parcel_ ParcelRow p = {0};
        int r = ledger_parcel_get(rec->ledger, id, &p);

        if (r == -EUCLEAN) {
                log_error_errno(r, "Parcel %llu cannot be read; its times stay as they are",
                                (unsigned long long)id);
                return 0;
        }
        if (r < 0)
                return r;
        if (p.loose & LOOSE_STORED && p.stored)
                p.stored += step;
        if (p.loose & LOOSE_EXPIRES && p.expires)
                p.expires += step;
        p.loose = 0;
        return ledger_parcel_update(rec->ledger, &p);
}

/* In a transaction: what was written by the old time is put right together with it. */
static int shift(Records *rec, int64_t step, Ids *shifted) {
        int r = ledger_parcel_each_loose(rec->ledger, note, shifted);

        for (size_t i = 0; r >= 0 && i < shifted->n; i++)
                r = shift_parcel(rec, shifted->ids[i], step);
        if (r >= 0)
                r = ledger_reminder_shift(rec->ledger, step);
        if (r >= 0)
                r = ledger_reminder_look_again(rec->ledger);
        if (r >= 0 && shifted->n)
                r = records_add(rec, NULL, "the clock was put right", "clock.corrected", "cabinet",
                                json_pack("{s:I, s:I}", "seconds", (json_int_t)(step / (int64_t)USEC_PER_SEC),
                                          "parcels", (json_int_t)shifted->n),
                                NULL);
        return r;
}

static int commit(Records *rec, const BelievedClock *next, bool correct, int64_t step) {
        Calendar *c = &rec->calendar;
        Ids shifted = {0};
        int r = records_begin(rec);

        if (r < 0)
                return r;
        if (correct)
                r = shift(rec, step, &shifted);
        if (r >= 0)
                r = keep(rec, next);
        if (r < 0)
                records_rollback(rec);
        else
                r = records_commit(rec);
        if (r >= 0) {
                c->clock = *next;
                c->kept = next->wall;
                c->followed += correct;
                for (size_t i = 0; i < shifted.n; i++)
                        notify_parcel(rec, shifted.ids[i]);
                if (correct)
                        notify_health(rec);
                if (correct && (step >= STEP_USEC || step <= -STEP_USEC))
                        log_notice("The calendar was put right by %lld s",
                                   (long long)(step / (int64_t)USEC_PER_SEC));
        }
        ids_done(&shifted);
        return r;
}

static int follow(Records *rec, const Now *now) {
        Calendar *c = &rec->calendar;
        Moment was = believed_clock_moment(&c->clock, now->boot_usec);
        BelievedClock next = c->clock;
        int64_t step;

        believed_clock_read(&next, now, &step);
        Moment is = believed_clock_moment(&next, now->boot_usec);
        bool correct = (is.vouched && !was.vouched) || step >= STEP_USEC || step <= -STEP_USEC;
        int64_t since_kept = is.wall - c->kept;
        bool old = since_kept < 0 || since_kept >= (is.vouched ? KEEP_VOUCHED_USEC : KEEP_UNVOUCHED_USEC);

        if (!correct && !old) {
                c->clock = next;
                return 0;
        }
        /* The ledger gets the pair as of now. */
        next.wall = is.wall;
        next.boot = now->boot_usec;
        return commit(rec, &next, correct, step);
}

static int64_t setting(Records *rec, const char *name, int *r) {
        int64_t value = 0;

        if (*r < 0)
                return 0;
        *r = ledger_setting_get(rec->ledger, name, &value);
        if (*r == -ENOENT)
                *r = value = 0;
        return value;
}

int calendar_begin(Records *rec, const uint8_t boot_id[16]) {
        Calendar *c = &rec->calendar;
        Now now = look(rec);
        int r = 0;

        for (int i = 0; i < 8; i++)
                c->boot_id = c->boot_id << 8 | (i ? boot_id[i] : boot_id[i] & 0x7f);
        int64_t last = setting(rec, SETTING_WALL, &r), boot = setting(rec, SETTING_BOOT, &r),
                until = setting(rec, SETTING_UNTIL, &r), ahead = setting(rec, SETTING_AHEAD, &r);
        bool bound = setting(rec, SETTING_BOUND, &r) != 0,
             same = setting(rec, SETTING_BOOT_ID, &r) == c->boot_id && last > 0 && boot > 0 &&
                    (uint64_t)boot <= now.boot_usec;
        if (r < 0)
                return r;
        if (same)
                c->clock = (BelievedClock){.wall = last,
                                           .boot = (uint64_t)boot,
                                           .vouched_until = (uint64_t)until,
                                           .bound = bound,
                                           .ahead = ahead};
        else
                believed_clock_init(&c->clock, &now, last, bound);
        /* The ledger knows of every start: a kept value of another boot is never taken for one of this. */
        c->kept = INT64_MAX;
        r = follow(rec, &now);
        if (r != -ENOSPC && r != -EBUSY)
                return r;
        c->at = now.boot_usec + RETRY_USEC; /* nothing is written before there is room, and nothing opens */
        return 0;
}

void calendar_look(Records *rec) {
        Now now = look(rec);

        if (rec->in_transaction)
                return;
        int r = follow(rec, &now);
        if (r < 0)
                log_error_errno(r, "Cannot follow the clock; trying again");
        rec->calendar.at = now.boot_usec + (r < 0                         ? RETRY_USEC
                                            : records_moment(rec).vouched ? LOOK_VOUCHED_USEC
                                                                          : LOOK_UNVOUCHED_USEC);
}

void calendar_tick(Records *rec, const Now *now) {
        if (now->boot_usec >= rec->calendar.at)
                calendar_look(rec);
}

uint64_t calendar_next_deadline(const Records *rec) {
        return rec->calendar.at;
}
