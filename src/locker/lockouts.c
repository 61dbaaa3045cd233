/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong entries and their price (D4). Subjects: "terminal:<name>" and "claim:…" for codes, "pin:<number>",
 * "password:<…>". */
#include "locker/private.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <stdio.h>

/* Time remaining is stored this often while somebody is locked out: a restart of the machine costs at most
 * this much extra wait. */
#define REFRESH_USEC (60 * USEC_PER_SEC)

static LockoutRules rules(const Locker *l) {
        return (LockoutRules){.attempts = l->settings->lockout_attempts,
                              .duration_usec = l->settings->lockout_duration_usec};
}

static void wait_sentence(uint64_t usec, char detail[LOCKER_DETAIL_MAX]) {
        uint64_t minutes = (usec + 60 * USEC_PER_SEC - 1) / (60 * USEC_PER_SEC);

        snprintf(detail, LOCKER_DETAIL_MAX,
                 "Too many wrong entries. Please wait %llu minute%s, or ask the courier to lift the lock.",
                 (unsigned long long)minutes, minutes == 1 ? "" : "s");
}

int lockout_check(Locker *l, const char *subject, char detail[LOCKER_DETAIL_MAX]) {
        LockoutRow row;
        Now now = l->now();
        int r = ledger_lockout_get(l->ledger, subject, &row);

        if (r < 0)
                return r;
        if (!lockout_is_locked(&row.lockout, now.boot_usec))
                return 0;
        wait_sentence(lockout_remaining(&row.lockout, now.boot_usec), detail);
        return LOCKER_E_LOCKED_OUT;
}

static int count_wrong(Locker *l, const char *actor, const char *subject, const Now *now, LockoutRow *ret,
                       bool *ret_locked) {
        const LockoutRules limits = rules(l);
        int r = ledger_lockout_get(l->ledger, subject, ret);

        if (r < 0 || lockout_is_locked(&ret->lockout, now->boot_usec))
                return r;
        bool locked = lockout_fail(&ret->lockout, &limits, l->boot_id, now->boot_usec);
        r = ledger_lockout_put(l->ledger, ret);
        if (r >= 0 && locked) {
                r = locker_record(
                        l, actor, NULL, "lockout.locked", subject,
                        json_pack("{s:I}", "seconds", (json_int_t)(limits.duration_usec / USEC_PER_SEC)),
                        NULL);
                *ret_locked = true;
        }
        return r;
}

int lockout_wrong(Locker *l, const char *actor, const char *type, const char *const *subjects, size_t n,
                  char detail[LOCKER_DETAIL_MAX]) {
        Now now = l->now();
        unsigned most = 0;
        bool locked = false;

        int r = locker_begin(l);
        if (r < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                LockoutRow row;
                r = count_wrong(l, actor, subjects[i], &now, &row, &locked);
                if (r >= 0)
                        most = MAX(most, row.lockout.failures);
        }
        if (r >= 0)
                r = locker_record(l, actor, NULL, type, n ? subjects[0] : "cabinet", json_object(), NULL);
        if (r < 0) {
                locker_rollback(l);
                return r;
        }
        r = locker_commit(l);
        if (r < 0)
                return r;
        if (locked) {
                l->lockouts_at = now.boot_usec;
                wait_sentence(l->settings->lockout_duration_usec, detail);
                log_message(LOG_NOTICE, LOCKERD_MESSAGE_LOCKOUT, NULL,
                            "Entry is locked after too many wrong tries");
        } else if (most < l->settings->lockout_attempts) {
                unsigned left = l->settings->lockout_attempts - most;
                snprintf(detail, LOCKER_DETAIL_MAX,
                         "That is not right. %u more %s before a wait of %llu minutes.", left,
                         left == 1 ? "try" : "tries",
                         (unsigned long long)(l->settings->lockout_duration_usec / (60 * USEC_PER_SEC)));
        }
        return 0;
}

int lockout_right(Locker *l, const char *subject) {
        LockoutRow row;
        int r = ledger_lockout_get(l->ledger, subject, &row);

        if (r < 0 || (!row.lockout.failures && !row.lockout.locked))
                return r;
        lockout_reset(&row.lockout);
        return ledger_lockout_put(l->ledger, &row);
}

uint64_t locker_lockout_seconds(const Locker *l, const LockoutRow *row) {
        return (lockout_remaining(&row->lockout, l->now().boot_usec) + USEC_PER_SEC - 1) / USEC_PER_SEC;
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

typedef struct Ids {
        uint64_t *ids;
        size_t n;
        bool failed;
} Ids;

static int collect_parcel(void *userdata, const ParcelRow *p) {
        Ids *all = userdata;

        if (!parcel_is_collectable(p->state))
                return 0;
        uint64_t *grown = reallocarray(all->ids, all->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        all->ids = grown;
        all->ids[all->n++] = p->id;
        return 0;
}

/* The parcels concerned: those that the claim named. A terminal alone names none. */
static int parcels_of_claim(Locker *l, const char *subject, Ids *ids) {
        if (!strncmp(subject, "claim:slot:", 11))
                return ledger_parcel_each_in_slot(l->ledger, subject + 11, collect_parcel, ids);
        if (!strncmp(subject, "claim:phone:", 12))
                return ledger_parcel_each_of_phone_tail(l->ledger, subject + 12, collect_parcel, ids);
        return 0;
}

static int renew_codes(Locker *l, const char *subject) {
        Ids ids = {0};
        char code[CODE_LENGTH + 1];
        int r = parcels_of_claim(l, subject, &ids);

        for (size_t i = 0; r >= 0 && i < ids.n; i++) {
                _cleanup_parcel_ ParcelRow p = {0};
                /* Who has no code, being enrolled with a credential, gets none by somebody else's wrong
                 * tries. */
                r = ledger_code_exists(l->ledger, ids.ids[i]);
                if (r <= 0)
                        continue;
                r = ledger_parcel_get(l->ledger, ids.ids[i], &p);
                if (r >= 0)
                        r = code_issue(l, &p, NULL, "too many wrong entries", code);
        }
        explicit_bzero(code, sizeof(code));
        free(ids.ids);
        return r;
}

/* The half hour is over: the entry is free again, and the parcels concerned get new codes (D4). */
static int end_wait(Locker *l, LockoutRow *row) {
        int r = locker_begin(l);

        if (r < 0)
                return r;
        lockout_reset(&row->lockout);
        r = ledger_lockout_put(l->ledger, row);
        if (r >= 0)
                r = locker_record(l, NULL, "the wait is over", "lockout.ended", row->subject, json_object(),
                                  NULL);
        if (r >= 0)
                r = renew_codes(l, row->subject);
        if (r < 0) {
                locker_rollback(l);
                return r;
        }
        return locker_commit(l);
}

static int refresh(Locker *l, LockoutRow *row, const Now *now) {
        int r = locker_begin(l);

        if (r < 0)
                return r;
        lockout_refresh(&row->lockout, now->boot_usec);
        r = ledger_lockout_put(l->ledger, row);
        if (r < 0) {
                locker_rollback(l);
                return r;
        }
        return locker_commit(l);
}

void lockouts_tick(Locker *l, const Now *now) {
        Rows all = {0};

        if (now->boot_usec < l->lockouts_at)
                return;
        l->lockouts_at = USEC_INFINITY;
        int r = ledger_lockout_each(l->ledger, collect_row, &all);
        for (size_t i = 0; r >= 0 && i < all.n; i++) {
                Lockout *k = &all.rows[i].lockout;
                if (!k->locked)
                        continue;
                uint64_t remaining = lockout_remaining(k, now->boot_usec);
                r = remaining ? refresh(l, &all.rows[i], now) : end_wait(l, &all.rows[i]);
                if (remaining)
                        l->lockouts_at = MIN(l->lockouts_at, now->boot_usec + MIN(remaining, REFRESH_USEC));
        }
        if (r < 0) {
                log_error_errno(r, "Cannot bring the lockouts up to date");
                l->lockouts_at = now->boot_usec + REFRESH_USEC;
        }
        free(all.rows);
}

int lockouts_adopt(Locker *l) {
        Now now = l->now();
        Rows all = {0};
        int r = ledger_lockout_each(l->ledger, collect_row, &all);

        if (r >= 0 && all.n)
                r = locker_begin(l);
        for (size_t i = 0; r >= 0 && i < all.n; i++) {
                lockout_adopt(&all.rows[i].lockout, l->boot_id, now.boot_usec);
                r = ledger_lockout_put(l->ledger, &all.rows[i]);
        }
        if (r >= 0 && all.n)
                r = locker_commit(l);
        locker_rollback(l);
        free(all.rows);
        l->lockouts_at = now.boot_usec;
        return r;
}

static int lift(Locker *l, LockoutRow *row, const char *actor, const char *reason) {
        lockout_reset(&row->lockout);
        int r = ledger_lockout_put(l->ledger, row);
        if (r >= 0)
                r = locker_record(l, actor, reason, "lockout.lifted", row->subject, json_object(), NULL);
        return r;
}

static bool concerns(const char *wanted, const char *subject) {
        /* "codes:<terminal>": the terminal and every claim made at the cabinet, but nobody's PIN or password.
         */
        if (streq(wanted, "*"))
                return true;
        if (!strncmp(wanted, "codes:", 6))
                return !strncmp(subject, "claim:", 6) ||
                       (!strncmp(subject, "terminal:", 9) && streq(subject + 9, wanted + 6));
        return streq(wanted, subject);
}

int locker_lift_lockout(Locker *l, const char *subject, const char *actor, const char *reason) {
        Rows all = {0};

        if (!reason || !*reason || !subject || !*subject)
                return LOCKER_E_INVALID_ARGUMENT;
        int r = locker_begin(l);
        if (r < 0)
                return r;
        r = ledger_lockout_each(l->ledger, collect_row, &all);
        for (size_t i = 0; r >= 0 && i < all.n; i++)
                if (concerns(subject, all.rows[i].subject))
                        r = lift(l, &all.rows[i], actor, reason);
        free(all.rows);
        if (r < 0) {
                locker_rollback(l);
                return r;
        }
        log_message(LOG_NOTICE, LOCKERD_MESSAGE_LOCKOUT_LIFTED, NULL, "Entry locks lifted by %s", actor);
        return locker_commit(l);
}

int locker_lift_terminal_lockout(Locker *l, Session *s) {
        char subject[SUBJECT_MAX];
        int r = session_expect(s, ACT_LIFT_TERMINAL_LOCKOUT);

        if (r)
                return r;
        snprintf(subject, sizeof(subject), "codes:%s", s->terminal);
        return locker_lift_lockout(l, subject, s->actor, "the courier lifted it");
}
