/* SPDX-License-Identifier: Apache-2.0 */
/* The backup is copied to a temporary name beside the ledger, opened there like any ledger (key, cabinet,
 * version, checks), made into the beginning of a new epoch, closed, and only then exchanged for the present
 * ledger in one step. */
#include "ledger/restore.h"
#include "base/text.h"
#include "ledger/audit.h"
#include "ledger/events.h"
#include "ledger/parcels.h"
#include "ledger/slots.h"
#include "ledger/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define DOUBT_REASON "the ledger was restored: look inside, then lockerctl reconcile"

typedef struct Work {
        Restore *r;
        char *temporary;
        int lock_fd;
        uid_t uid; /* of the directory */
        gid_t gid;
        bool there; /* a ledger is in place */
} Work;

void restore_done(Restore *r) {
        free(r->aside);
        free(r->detail);
        r->aside = r->detail = NULL;
}

_printf_(3, 4) static int fail(Restore *r, int e, const char *format, ...) {
        va_list ap;

        if (r->detail)
                return e;
        va_start(ap, format);
        r->detail = text_vprintf(format, ap);
        va_end(ap);
        return e;
}

static char *beside(const char *path, const char *suffix) {
        return text_printf("%s%s", path, suffix);
}

static void remove_beside(const char *path, const char *suffix) {
        _cleanup_free_ char *name = beside(path, suffix);

        if (name)
                (void)unlink(name);
}

static int sync_directory(const char *path) {
        _cleanup_free_ char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        _cleanup_close_ int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* --- what must be so before anything is changed --- */

static int look_at_place(Work *w) {
        Restore *r = w->r;
        _cleanup_free_ char *copy = strdup(r->ledger);
        struct stat directory, ledger, backup;

        if (!copy)
                return -ENOMEM;
        if (stat(dirname(copy), &directory) < 0)
                return fail(r, -errno, "The directory of %s: %s", r->ledger, strerror(errno));
        w->uid = directory.st_uid;
        w->gid = directory.st_gid;
        w->there = stat(r->ledger, &ledger) == 0;
        if (stat(r->backup, &backup) < 0)
                return fail(r, -errno, "%s: %s", r->backup, strerror(errno));
        if (!S_ISREG(backup.st_mode))
                return fail(r, -EINVAL, "%s is not a file", r->backup);
        return 0;
}

/* Private, and the property of the daemon's user, who owns the directory. */
static int create_owned(const Work *w, const char *path, int flags, int *ret_fd) {
        _cleanup_close_ int fd =
                open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | flags, 0600);

        if (fd < 0 || (geteuid() == 0 && fchown(fd, w->uid, w->gid) < 0))
                return fail(w->r, -errno, "%s: %s", path, strerror(errno));
        *ret_fd = steal_fd(&fd);
        return 0;
}

static int take_lock(Work *w) {
        Restore *r = w->r;
        _cleanup_free_ char *path = beside(r->ledger, ".lock");
        int k = path ? create_owned(w, path, 0, &w->lock_fd) : -ENOMEM;

        if (k < 0)
                return k;
        if (flock(w->lock_fd, LOCK_EX | LOCK_NB) == 0)
                return 0;
        if (errno != EWOULDBLOCK)
                return fail(r, -errno, "%s: %s", path, strerror(errno));
        r->problem = LEDGER_PROBLEM_LOCKED;
        return fail(r, -EBUSY, "lockerd has %s open. Stop it first: systemctl stop lockerd", r->ledger);
}

static int newest(const char *path, uint64_t *ret) {
        _cleanup_free_ char *detail = NULL;
        sqlite3_stmt *stmt = NULL;
        sqlite3 *db = NULL;
        int r = check_open(path, &db, &detail);

        if (r < 0)
                return r;
        int rc = sqlite3_prepare_v2(db, "SELECT coalesce(max(sequence), 0) FROM event", -1, &stmt, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
                *ret = (uint64_t)sqlite3_column_int64(stmt, 0);
        r = rc == SQLITE_ROW ? 0 : sql_errno(db, rc);
        sqlite3_finalize(stmt);
        sqlite3_close(db);
        return r;
}

static int check_backup(Work *w) {
        Restore *r = w->r;
        _cleanup_free_ char *detail = NULL;
        uint64_t present = 0;
        int k = ledger_check_file(r->backup, &detail);

        if (k < 0) {
                r->problem = k == -EUCLEAN ? LEDGER_PROBLEM_DAMAGED : LEDGER_PROBLEM_IO;
                return fail(r, k, "%s cannot be used: %s", r->backup, detail ? detail : strerror(-k));
        }
        k = newest(r->backup, &r->last);
        if (k < 0) {
                r->problem = LEDGER_PROBLEM_DAMAGED;
                return fail(r, k, "%s is not a ledger", r->backup);
        }
        /* What cannot be read is the reason for many a restore. */
        if (w->there && newest(r->ledger, &present) >= 0 && present > r->last)
                r->lost = present - r->last;
        if (r->lost && r->nothing_since)
                return fail(
                        r, -EEXIST,
                        "Something has happened since the backup: the present ledger has %llu events more. "
                        "Make a newer backup, or restore without --nothing-since",
                        (unsigned long long)r->lost);
        return 0;
}

/* --- the copy --- */

static int copy_pages(sqlite3 *from, const char *to) {
        sqlite3 *target = NULL;
        int rc = sqlite3_open_v2(to, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        sqlite3_backup *b = rc == SQLITE_OK ? sqlite3_backup_init(target, "main", from, "main") : NULL;

        if (b) {
                (void)sqlite3_backup_step(b, -1);
                rc = sqlite3_backup_finish(b);
        } else if (rc == SQLITE_OK) {
                rc = sqlite3_extended_errcode(target);
        }
        int r = target ? sql_errno(target, rc) : -ENOMEM;
        sqlite3_close(target);
        return r;
}

static int copy_backup(Work *w) {
        Restore *r = w->r;
        _cleanup_free_ char *detail = NULL;
        uint32_t suffix = 0;
        sqlite3 *db = NULL;
        int k = vault_random(&suffix, sizeof(suffix));

        if (k < 0)
                return k;
        w->temporary = text_printf("%s.%08x.restoring", r->ledger, suffix);
        if (!w->temporary)
                return -ENOMEM;
        _cleanup_close_ int fd = -1;
        k = create_owned(w, w->temporary, O_EXCL, &fd);
        if (k < 0)
                return k;
        k = check_open(r->backup, &db, &detail);
        if (k >= 0)
                k = copy_pages(db, w->temporary);
        sqlite3_close(db);
        if (k < 0)
                return fail(r, k, "%s cannot be copied: %s", r->backup, strerror(-k));
        return 0;
}

/* --- the new epoch --- */

static int doubt(Restore *r, Ledger *l) {
        int k = ledger_parcel_doubt_all(l, &r->doubted);

        for (size_t i = 0; k >= 0 && i < r->n_places; i++) {
                const RestorePlace *p = &r->places[i];
                ServiceRow row = {0};
                k = ledger_service_get(l, p->slot, p->position, &row);
                if (k >= 0 && row.service == SERVICE_IN)
                        k = ledger_service_set(l, p->slot, p->position, SERVICE_QUARANTINED, DOUBT_REASON);
                service_row_done(&row);
        }
        return k;
}

static int record(Restore *r, Ledger *l, const char *before, const Now *now) {
        char data[256];

        snprintf(data, sizeof(data),
                 "{\"before\":\"%s\",\"doubted\":%llu,\"epoch\":\"%s\",\"lost\":%llu,\"since\":%llu,\"why\":"
                 "\"%s\"}",
                 before, (unsigned long long)r->doubted, r->epoch, (unsigned long long)r->lost,
                 (unsigned long long)r->last + 1, epoch_why_to_string(EPOCH_RESTORED));
        return ledger_record(l,
                             &(Record){.actor = r->actor,
                                       .reason = r->reason,
                                       .type = "ledger.epoch-began",
                                       .subject = "cabinet",
                                       .data = data},
                             now, NULL);
}

static int begin_epoch(Restore *r, Ledger *l, const Now *now) {
        char before[EPOCH_LENGTH + 1];
        int k = ledger_begin(l);

        if (k < 0)
                return k;
        snprintf(before, sizeof(before), "%s", ledger_epoch(l));
        k = meta_set(l, META_CABINET, r->cabinet, strlen(r->cabinet));
        if (k >= 0)
                k = ledger_epoch_begin(l, EPOCH_RESTORED, r->last + 1, now);
        if (k >= 0 && !r->nothing_since)
                k = doubt(r, l);
        snprintf(r->epoch, sizeof(r->epoch), "%s", ledger_epoch(l));
        if (k >= 0)
                k = record(r, l, before, now);
        if (k < 0) {
                ledger_rollback(l);
                return k;
        }
        return ledger_commit(l);
}

static int make_it_ours(Work *w, Vault *vault, const Now *now) {
        Restore *r = w->r;
        Ledger *l = NULL;
        int k = ledger_open_for(&l, w->temporary, vault, r->renumber ? NULL : r->cabinet, &r->problem,
                                &r->detail);

        if (k < 0) {
                vault_free(vault);
                return k;
        }
        k = begin_epoch(r, l, now);
        if (k >= 0)
                k = ledger_audit_verify_file(w->temporary, ledger_vault(l), NULL, NULL, NULL, &r->detail);
        /* The last one that closes it also folds its log into it. */
        ledger_free(l);
        remove_beside(w->temporary, ".lock");
        remove_beside(w->temporary, ".mark");
        return k < 0 ? fail(r, k, "%s: %s", w->temporary, strerror(-k)) : 0;
}

/* --- the exchange --- */

static int choose_aside(Work *w) {
        char when[32];
        time_t now = time(NULL);
        struct tm tm;

        strftime(when, sizeof(when), "%Y%m%dT%H%M%S", gmtime_r(&now, &tm));
        for (int i = 0; i < 100; i++) {
                free(w->r->aside);
                w->r->aside = i ? text_printf("%s.before-%s-%d", w->r->ledger, when, i)
                                : text_printf("%s.before-%s", w->r->ledger, when);
                if (!w->r->aside)
                        return -ENOMEM;
                if (access(w->r->aside, F_OK) < 0)
                        return 0;
        }
        return -EEXIST;
}

static int sync_file(const char *path) {
        _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);

        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The log of the former ledger must never lie beside the new one: SQLite would apply it. It goes first;
 * should the power fail here, the former ledger lacks its log, which the next start says, and the restore is
 * done again. */
static int exchange(Work *w) {
        Restore *r = w->r;
        _cleanup_free_ char *wal = beside(r->ledger, "-wal"), *aside_wal = NULL;
        int k = sync_file(w->temporary);

        if (!wal)
                return -ENOMEM;
        if (k >= 0 && w->there)
                k = choose_aside(w);
        if (k < 0)
                return k;
        if (!w->there) {
                if (renameat2(AT_FDCWD, w->temporary, AT_FDCWD, r->ledger, RENAME_NOREPLACE) < 0)
                        return -errno;
        } else {
                aside_wal = beside(r->aside, "-wal");
                if (!aside_wal)
                        return -ENOMEM;
                if (rename(wal, aside_wal) < 0 && errno != ENOENT)
                        return -errno;
                remove_beside(r->ledger, "-shm");
                if (renameat2(AT_FDCWD, w->temporary, AT_FDCWD, r->ledger, RENAME_EXCHANGE) < 0 ||
                    rename(w->temporary, r->aside) < 0)
                        return -errno;
        }
        free(steal_ptr(w->temporary));
        remove_beside(r->ledger, ".mark"); /* the former one's */
        return sync_directory(r->ledger);
}

int ledger_restore(Restore *r, Vault *vault, const Now *now) {
        Work w = {.r = r, .lock_fd = -1};
        int k = look_at_place(&w);

        r->problem = LEDGER_PROBLEM_NONE;
        if (k >= 0)
                k = take_lock(&w);
        if (k >= 0)
                k = check_backup(&w);
        if (k >= 0)
                k = copy_backup(&w);
        if (k >= 0)
                k = make_it_ours(&w, vault, now);
        else
                vault_free(vault);
        if (k >= 0)
                k = exchange(&w);
        if (w.temporary) {
                static const char *const suffixes[] = {"", "-wal", "-shm", ".lock", ".mark"};
                for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
                        remove_beside(w.temporary, suffixes[i]);
                free(w.temporary);
        }
        if (w.lock_fd >= 0)
                close(w.lock_fd);
        return k < 0 ? fail(r, k, "%s: %s", r->ledger, strerror(-k)) : 0;
}
