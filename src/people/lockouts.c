/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong entries and their price (D4, core/lockout.h, docs/guessing.md). Subjects:
 *
 *  "terminal:<name>", "claim:slot:…", "claim:phone:…"   codes
 *  "apart-claim:slot:…", "apart-claim:phone:…"          the same at a terminal that everybody in the street
 * has
 *  "<kind>:<number>", "<kind>:<person>"                 a person's credential
 *  "<kind>:claim:<three digits>"                        what a parcel's recipient is claimed by: phone tail,
 *                                                       number or waybill, known here or not; shared
 *  "<kind>:courier-<number>"                            a courier's, where recipients may have that kind, too
 *  "<kind>:unknown:<three digits>"                      of nobody; shared
 *  "terminal-<kind>:<name>"                             all that draw on this kind's budget at a terminal
 *                                                       (risk only; core/credential.h)
 *  "lift:<number>"                                      what a courier lifts
 *  "cabinet"                                            everybody, after somebody has changed these rows */
#include "base/ids.h"
#include "base/log.h"
#include "ledger/codes.h"
#include "ledger/lockouts.h"
#include "ledger/parcels.h"
#include "ledger/seals.h"
#include "base/message_ids.h"
#include "people/lockouts.h"
#include "people/people.h"
#include "people/people_struct.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Time remaining is stored this often while somebody is locked out: a restart of the machine costs at most
 * this much extra wait. */
#define REFRESH_USEC (60 * USEC_PER_SEC)
/* And what the buckets hold, as long as there is anything in one. */
#define LEVELS_USEC       (3600 * USEC_PER_SEC)
#define SUBJECT_EVERYBODY "cabinet"

void charge_init(const People *p, Charge *ret, uint64_t risk_usec, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(ret->subject, sizeof(ret->subject), format, ap);
        va_end(ap);
        ret->quiet = false;
        ret->rules =
                lockout_rules(p->settings->lockout_attempts, p->settings->lockout_duration_usec, risk_usec);
}

void charge_init_total(Charge *ret, uint64_t risk_usec, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(ret->subject, sizeof(ret->subject), format, ap);
        va_end(ap);
        ret->quiet = false;
        ret->rules = lockout_rules_total(risk_usec);
}

static void say_wait(uint64_t usec, char *ret, size_t room) {
        uint64_t minutes = (usec + 60 * USEC_PER_SEC - 1) / (60 * USEC_PER_SEC), hours = (minutes + 59) / 60;

        if (minutes > 180)
                snprintf(ret, room, "%llu hours", (unsigned long long)hours);
        else
                snprintf(ret, room, "%llu minute%s", (unsigned long long)minutes, minutes == 1 ? "" : "s");
}

static void wait_sentence(uint64_t usec, char detail[PEOPLE_DETAIL_MAX]) {
        char wait[32];

        say_wait(usec, wait, sizeof(wait));
        snprintf(detail, PEOPLE_DETAIL_MAX,
                 "Too many wrong entries. Please wait %s, or ask the courier to lift the lock.", wait);
}

int lockouts_check(People *p, const Charge *charges, size_t n, char detail[PEOPLE_DETAIL_MAX]) {
        Now now = people_now(p);
        LockoutRow everybody;
        int k = ledger_lockout_get(p->ledger, SUBJECT_EVERYBODY, &everybody);
        uint64_t wait = k < 0 ? 0 : lockout_remaining(&everybody.lockout, now.boot_usec);

        if (k < 0)
                return k;
        for (size_t i = 0; i < n; i++) {
                LockoutRow row;
                int r = ledger_lockout_get(p->ledger, charges[i].subject, &row);
                if (r < 0)
                        return r;
                wait = MAX(wait, lockout_wait(&row.lockout, &charges[i].rules, now.boot_usec));
        }
        if (!wait)
                return 0;
        wait_sentence(wait, detail);
        return LOCKER_E_LOCKED_OUT;
}

/* What a claim names: behind "claim:slot:", say, wherever it was made. NULL: it is another subject. */
static const char *claimed(const char *subject, const char *kind) {
        static const char claim[] = "claim:", apart[] = CLAIMS_APART;

        if (!strncmp(subject, apart, sizeof(apart) - 1))
                subject += sizeof(apart) - 1;
        if (strncmp(subject, claim, sizeof(claim) - 1) != 0)
                return NULL;
        subject += sizeof(claim) - 1;
        return strncmp(subject, kind, strlen(kind)) == 0 ? subject + strlen(kind) : NULL;
}

/* As events tell it: the last digits of a phone number narrow down whose it is. */
static const char *shown(const char *subject, char ret[SUBJECT_MAX]) {
        const char *phone = claimed(subject, "phone:");

        snprintf(ret, SUBJECT_MAX, "%s", subject);
        if (phone)
                for (char *c = ret + (phone - subject); c[0] && c[1]; c++)
                        *c = '*';
        return ret;
}

/* What came of a wrong entry, over all of its subjects. */
typedef struct Outcome {
        unsigned failures;
        uint64_t wait; /* 0: nothing is locked that the answer may tell of */
        bool locked;
} Outcome;

static int count_wrong(People *p, const char *actor, const Charge *c, const Now *now, Outcome *o) {
        LockoutRow row;
        int r = ledger_lockout_get(p->ledger, c->subject, &row);

        if (r < 0 || lockout_is_locked(&row.lockout, now->boot_usec))
                return r;
        unsigned failures = row.lockout.locked ? 0 : row.lockout.failures;
        bool locked = lockout_fail(&row.lockout, &c->rules, p->boot_id, now->boot_usec);
        /* Where there is no rule of so many in a row, they are not counted, and what another claim has
         * counted stays. */
        if (c->rules.attempts == LOCKOUT_NO_ROW)
                row.lockout.failures = failures;
        else
                o->failures = MAX(o->failures, row.lockout.failures);
        r = ledger_lockout_put(p->ledger, &row);
        if (r < 0 || !locked)
                return r;
        uint64_t wait = lockout_remaining(&row.lockout, now->boot_usec);
        char subject[SUBJECT_MAX];
        o->locked = true;
        o->wait = c->quiet ? o->wait : MAX(o->wait, wait);
        return records_add(p->records, actor, NULL, "lockout.locked", shown(c->subject, subject),
                           json_pack("{s:I}", "seconds", (json_int_t)(wait / USEC_PER_SEC)), NULL);
}

static int write_wrong(People *p, const char *actor, const char *type, const char *why, const Charge *charges,
                       size_t n, const uint64_t *near, size_t n_near, const Now *now, Outcome *o) {
        char subject[SUBJECT_MAX];
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = count_wrong(p, actor, &charges[i], now, o);
        for (size_t i = 0; r >= 0 && i < n_near; i++)
                r = ledger_lockout_concern(p->ledger, charges[n - 1].subject, near[i]);
        if (r >= 0)
                r = records_add(p->records, actor, NULL, type, shown(charges[0].subject, subject),
                                json_pack("{s:s*}", "why", why), NULL);
        return MIN(r, 0);
}

int lockouts_wrong(People *p, const char *actor, const char *type, const char *why, const Charge *charges,
                   size_t n, const uint64_t *near, size_t n_near, char detail[PEOPLE_DETAIL_MAX]) {
        unsigned attempts = p->settings->lockout_attempts;
        Now now = people_now(p);
        Outcome o = {0};
        char wait[32];

        int r = records_begin(p->records);
        if (r >= 0)
                r = records_end(p->records,
                                write_wrong(p, actor, type, why, charges, n, near, n_near, &now, &o));
        if (r < 0)
                return r;
        if (o.locked)
                p->lockouts_at = now.boot_usec;
        if (o.wait) {
                wait_sentence(o.wait, detail);
                log_message(LOG_NOTICE, LOCKERD_MESSAGE_LOCKOUT, NULL,
                            "Entry is locked after too many wrong tries");
        } else {
                p->lockouts_at = MIN(p->lockouts_at, now.boot_usec + LEVELS_USEC);
        }
        if (!o.wait && o.failures < attempts) {
                unsigned left = attempts - o.failures;
                say_wait(p->settings->lockout_duration_usec, wait, sizeof(wait));
                snprintf(detail, PEOPLE_DETAIL_MAX, "That is not right. %u more %s before a wait of %s.",
                         left, left == 1 ? "try" : "tries", wait);
        }
        return 0;
}

int lockouts_right(People *p, const Charge *charges, size_t n) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                LockoutRow row;
                r = ledger_lockout_get(p->ledger, charges[i].subject, &row);
                if (r < 0 || (!row.lockout.failures && !row.lockout.locked))
                        continue;
                lockout_reset(&row.lockout);
                r = ledger_lockout_put(p->ledger, &row);
                if (r >= 0)
                        r = ledger_lockout_unconcern(p->ledger, row.subject);
        }
        return r;
}

uint64_t people_lockout_seconds(const People *p, const LockoutRow *row) {
        return (lockout_remaining(&row->lockout, people_now(p).boot_usec) + USEC_PER_SEC - 1) / USEC_PER_SEC;
}

/* --- the end of a wait --- */

typedef struct Rows {
        LockoutRow *rows;
        size_t n;
} Rows;

static int collect_row(void *userdata, const LockoutRow *row) {
        Rows *all = userdata;
        LockoutRow *grown = reallocarray(all->rows, all->n + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        all->rows = grown;
        all->rows[all->n++] = *row;
        return 0;
}

static int collect_id(void *userdata, uint64_t id) {
        return ids_add(userdata, id);
}

static int collect_parcel(void *userdata, const ParcelRow *p) {
        return ids_add(userdata, p->id);
}

/* The parcels concerned: those that the claim named, and those whose code was nearly typed. */
static int parcels_concerned(People *p, const char *subject, Ids *ids) {
        const char *slot = claimed(subject, "slot:"), *phone = claimed(subject, "phone:");
        int r = ledger_lockout_concerned(p->ledger, subject, collect_id, ids);

        if (r >= 0 && slot)
                r = ledger_parcel_each_in_slot(p->ledger, slot, collect_parcel, ids);
        if (r >= 0 && phone)
                r = ledger_parcel_each_of_phone_tail(p->ledger, phone, collect_parcel, ids);
        return r;
}

static int renew_code(People *p, uint64_t parcel) {
        _cleanup_parcel_ ParcelRow row = {0};
        /* Who has no code, being enrolled with a credential, gets none by somebody else's wrong tries; and a
         * second one is enough. */
        int r = ledger_code_exists(p->ledger, parcel);

        if (r != 1)
                return MIN(r, 0);
        r = ledger_parcel_get(p->ledger, parcel, &row);
        return r < 0 || !parcel_is_recipients(&row) ? r
                                                    : people_renew_code(p, &row, "too many wrong entries");
}

static int renew_codes(People *p, const char *subject) {
        _cleanup_ids_ Ids ids = {0};
        int r = parcels_concerned(p, subject, &ids);

        for (size_t i = 0; r >= 0 && i < ids.n; i++)
                r = renew_code(p, ids.ids[i]);
        return r < 0 ? r : ledger_lockout_unconcern(p->ledger, subject);
}

/* The half hour is over: the entry is free again, and the parcels concerned get new codes (D4). */
static int end_wait(People *p, LockoutRow *row) {
        char subject[SUBJECT_MAX];

        lockout_reset(&row->lockout);
        int r = ledger_lockout_put(p->ledger, row);
        if (r >= 0)
                r = records_add(p->records, NULL, "the wait is over", "lockout.ended",
                                shown(row->subject, subject), json_object(), NULL);
        return r < 0 ? r : renew_codes(p, row->subject);
}

static int bring_up_to_date(People *p, LockoutRow *row, const Now *now) {
        int r = records_begin(p->records);

        if (r < 0)
                return r;
        lockout_refresh(&row->lockout, now->boot_usec);
        if (row->lockout.locked && !row->lockout.remaining_usec)
                r = end_wait(p, row);
        else
                r = ledger_lockout_put(p->ledger, row);
        return records_end(p->records, MIN(r, 0));
}

void lockouts_tick(People *p, const Now *now) {
        Rows all = {0};

        if (now->boot_usec < p->lockouts_at)
                return;
        p->lockouts_at = USEC_INFINITY;
        int r = ledger_lockout_each(p->ledger, collect_row, &all);
        for (size_t i = 0; r >= 0 && i < all.n; i++) {
                const Lockout *k = &all.rows[i].lockout;
                uint64_t remaining = lockout_remaining(k, now->boot_usec);
                uint64_t since = now->boot_usec - MIN(k->leaked_boot, now->boot_usec);
                uint64_t next = k->locked ? MIN(remaining, REFRESH_USEC) : LEVELS_USEC;

                if (k->locked || since >= LEVELS_USEC)
                        r = bring_up_to_date(p, &all.rows[i], now);
                p->lockouts_at =
                        MIN(p->lockouts_at, now->boot_usec + (remaining || !k->locked ? next : LEVELS_USEC));
        }
        if (r < 0) {
                log_error_errno(r, "Cannot bring the lockouts up to date");
                p->lockouts_at = now->boot_usec + REFRESH_USEC;
        }
        free(all.rows);
}

/* Whoever can take out what wrong entries have cost would have as many as they like. What was, nobody knows
 * any more: all wait once, as after so many in a row. */
static int begin_anew(People *p, const Now *now) {
        const uint64_t wait = p->settings->lockout_duration_usec;
        LockoutRow row = {.subject = SUBJECT_EVERYBODY,
                          .lockout = {.locked = true,
                                      .until_boot = now->boot_usec + wait,
                                      .remaining_usec = wait,
                                      .leaked_boot = now->boot_usec}};
        int r = records_begin(p->records);

        if (r < 0)
                return r;
        memcpy(row.lockout.boot_id, p->boot_id, BOOT_ID_SIZE);
        r = ledger_lockouts_begin_anew(p->ledger);
        if (r >= 0)
                r = ledger_lockout_put(p->ledger, &row);
        if (r >= 0)
                r = records_add(p->records, NULL, "failed attempts were changed while lockerd did not run",
                                "lockout.locked", SUBJECT_EVERYBODY,
                                json_pack("{s:I}", "seconds", (json_int_t)(wait / USEC_PER_SEC)), NULL);
        r = records_end(p->records, MIN(r, 0));
        if (r >= 0)
                log_message(LOG_NOTICE, LOCKERD_MESSAGE_LOCKOUT, NULL,
                            "All entry is locked: failed attempts were changed while lockerd did not run");
        return r;
}

int lockouts_adopt(People *p) {
        Now now = people_now(p);
        Rows all = {0};
        int r = ledger_lockouts_are_doubtful(p->ledger) ? begin_anew(p, &now) : 0;

        if (r >= 0)
                r = ledger_lockout_each(p->ledger, collect_row, &all);

        if (r >= 0 && all.n)
                r = records_begin(p->records);
        for (size_t i = 0; r >= 0 && i < all.n; i++) {
                lockout_adopt(&all.rows[i].lockout, p->boot_id, now.boot_usec);
                r = ledger_lockout_put(p->ledger, &all.rows[i]);
        }
        if (r >= 0 && all.n)
                r = records_commit(p->records);
        records_rollback(p->records);
        free(all.rows);
        p->lockouts_at = now.boot_usec;
        return r;
}

/* --- lifting --- */

/* terminal: a courier's lift, of the terminal and of every claim made at the cabinet, but of nobody's PIN or
 * password; NULL: by authority, what is wanted. */
static bool concerns(const char *terminal, const char *wanted, const char *subject) {
        char told[SUBJECT_MAX]; /* the backend knows no other */

        if (terminal)
                return !strncmp(subject, "claim:", 6) ||
                       (!strncmp(subject, "terminal:", 9) && streq(subject + 9, terminal));
        return streq(wanted, "*") || streq(wanted, subject) || streq(wanted, shown(subject, told));
}

static int lift(People *p, LockoutRow *row, bool vouched, const char *actor, const char *reason) {
        bool visible = row->lockout.failures || row->lockout.locked;
        char subject[SUBJECT_MAX];

        if (vouched)
                lockout_lift(&row->lockout);
        else
                row->lockout = (Lockout){0};
        int r = ledger_lockout_put(p->ledger, row);
        if (r >= 0)
                r = ledger_lockout_unconcern(p->ledger, row->subject);
        /* What nobody sees is lifted without noise. */
        return r < 0 || !visible ? r
                                 : records_add(p->records, actor, reason, "lockout.lifted",
                                               shown(row->subject, subject), json_object(), NULL);
}

static int lift_all(People *p, const Rows *all, const char *terminal, const char *wanted, const char *actor,
                    const char *reason) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < all->n; i++)
                if (concerns(terminal, wanted, all->rows[i].subject))
                        r = lift(p, &all->rows[i], terminal != NULL, actor, reason);
        return MIN(r, 0);
}

int people_lift_lockout(People *p, const char *subject, const char *actor, const char *reason) {
        Rows all = {0};

        if (!reason || !*reason || !subject || !*subject)
                return LOCKER_E_INVALID_ARGUMENT;
        int r = records_begin(p->records);
        if (r < 0)
                return r;
        r = ledger_lockout_each(p->ledger, collect_row, &all);
        if (r >= 0)
                r = lift_all(p, &all, NULL, subject, actor, reason);
        free(all.rows);
        r = records_end(p->records, r);
        if (r >= 0)
                log_message(LOG_NOTICE, LOCKERD_MESSAGE_LOCKOUT_LIFTED, NULL, "Entry locks lifted by %s",
                            actor);
        return r;
}

static bool anything_to_lift(const Rows *all, const char *terminal) {
        for (size_t i = 0; i < all->n; i++)
                if (concerns(terminal, NULL, all->rows[i].subject) &&
                    (all->rows[i].lockout.failures || all->rows[i].lockout.locked))
                        return true;
        return false;
}

/* What one courier lifts is limited: their PIN in wrong hands would lift without end. */
static int spend_lift(People *p, const char *number, char detail[PEOPLE_DETAIL_MAX]) {
        const LockoutRules rules = lockout_rules_lifts();
        Now now = people_now(p);
        char subject[SUBJECT_MAX], wait[32];
        LockoutRow row;

        snprintf(subject, sizeof(subject), "lift:%s", number);
        int r = ledger_lockout_get(p->ledger, subject, &row);
        if (r < 0)
                return r;
        if (lockout_spend(&row.lockout, &rules, p->boot_id, now.boot_usec)) {
                p->lockouts_at = MIN(p->lockouts_at, now.boot_usec + LEVELS_USEC);
                return ledger_lockout_put(p->ledger, &row);
        }
        say_wait(lockout_wait(&row.lockout, &rules, now.boot_usec), wait, sizeof(wait));
        snprintf(detail, PEOPLE_DETAIL_MAX,
                 "You have lifted too many locks. Please wait %s, or ask an operator.", wait);
        return LOCKER_E_LOCKED_OUT;
}

int people_lift_codes(People *p, const char *terminal, const char *number, const char *actor,
                      char detail[PEOPLE_DETAIL_MAX]) {
        Rows all = {0};
        int r = ledger_lockout_each(p->ledger, collect_row, &all);

        if (r >= 0 && anything_to_lift(&all, terminal)) {
                r = records_begin(p->records);
                if (r >= 0) {
                        r = spend_lift(p, number, detail);
                        if (!r)
                                r = lift_all(p, &all, terminal, NULL, actor, "the courier lifted it");
                        r = records_end(p->records, r);
                }
                if (!r)
                        log_message(LOG_NOTICE, LOCKERD_MESSAGE_LOCKOUT_LIFTED, NULL,
                                    "Entry locks lifted by %s", actor);
        }
        free(all.rows);
        return r;
}
