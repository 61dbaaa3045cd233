/* SPDX-License-Identifier: Apache-2.0 */
/* Online copy. The daemon may write at the same time: changes through the same connection are copied
 * too. Until the copy is complete and synced it has a temporary name, and it never replaces a file. */
#include "base/text.h"
#include "ledger/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>

struct LedgerBackup {
        Ledger *ledger;
        sqlite3 *target;
        sqlite3_backup *backup;
        char *path, *temporary;
        bool complete;
};

static LedgerBackup *backup_free(LedgerBackup *b) {
        if (!b)
                return NULL;
        if (b->backup)
                (void)sqlite3_backup_finish(b->backup);
        sqlite3_close(b->target);
        if (b->temporary)
                (void)unlink(b->temporary);
        free(b->temporary);
        free(b->path);
        free(b);
        return NULL;
}

DEFINE_CLEANUP(LedgerBackup *, backup_free);

static int create_temporary(const char *path, char **ret) {
        uint32_t suffix = 0;

        int r = vault_random(&suffix, sizeof(suffix));
        if (r < 0)
                return r;
        _cleanup_free_ char *temporary = text_printf("%s.%08x.part", path, suffix);
        if (!temporary)
                return -ENOMEM;
        int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        close(fd);
        *ret = steal_ptr(temporary);
        return 0;
}

int ledger_backup_begin(Ledger *l, const char *path, LedgerBackup **ret) {
        _cleanup_(backup_freep) LedgerBackup *b = calloc(1, sizeof(*b));

        if (!b)
                return -ENOMEM;
        if (access(path, F_OK) == 0)
                return -EEXIST;
        b->ledger = l;
        b->path = strdup(path);
        if (!b->path)
                return -ENOMEM;
        int r = create_temporary(path, &b->temporary);
        if (r < 0)
                return r;
        int rc = sqlite3_open_v2(b->temporary, &b->target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        if (!b->target)
                return -ENOMEM;
        sqlite3_extended_result_codes(b->target, 1);
        /* An incomplete copy is deleted and a complete one is synced at the end: no journal is needed.
         */
        if (rc == SQLITE_OK)
                rc = sqlite3_exec(
                        b->target,
                        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -256", NULL,
                        NULL, NULL);
        if (rc != SQLITE_OK)
                return sql_errno(b->target, rc);
        b->backup = sqlite3_backup_init(b->target, "main", l->db, "main");
        if (!b->backup)
                return sql_errno(b->target, sqlite3_extended_errcode(b->target));
        *ret = steal_ptr(b);
        return 0;
}

int ledger_backup_step(LedgerBackup *b, int pages, bool *ret_done) {
        if (b->complete) {
                *ret_done = true;
                return 0;
        }
        /* During a transaction of this connection nothing is copied. */
        int n = pages < 0 ? -1 : ledger_pages(b->ledger, pages * 4096);
        int rc = b->ledger->in_transaction ? SQLITE_LOCKED : sqlite3_backup_step(b->backup, n);
        switch (rc & 0xff) {
        case SQLITE_DONE:
                b->complete = true;
                break;
        case SQLITE_OK:
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                break;
        default: {
                int r = sql_errno(b->target, rc);
                return r == -EIO ? sql_errno(b->ledger->db, rc) : r;
        }
        }
        *ret_done = b->complete;
        return 0;
}

static int sync_path(const char *path, int flags) {
        _cleanup_close_ int fd = open(path, flags | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return fsync(fd) < 0 ? -errno : 0;
}

/* Never replaces a file, without a race between check and rename. */
static int rename_new(const char *from, const char *to) {
        if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno != EINVAL && errno != ENOSYS)
                return -errno;
        if (link(from, to) < 0)
                return -errno;
        return unlink(from) < 0 ? -errno : 0;
}

static int publish(LedgerBackup *b, uint64_t *ret_bytes) {
        struct stat st;

        int r = sync_path(b->temporary, O_RDWR);
        if (r < 0)
                return r;
        if (stat(b->temporary, &st) < 0)
                return -errno;
        r = rename_new(b->temporary, b->path);
        if (r < 0)
                return r;
        free(b->temporary);
        b->temporary = NULL;
        _cleanup_free_ char *copy = strdup(b->path);
        if (!copy)
                return -ENOMEM;
        r = sync_path(dirname(copy), O_RDONLY | O_DIRECTORY);
        if (r >= 0 && ret_bytes)
                *ret_bytes = (uint64_t)st.st_size;
        return r;
}

int ledger_backup_end(LedgerBackup *backup, uint64_t *ret_bytes) {
        _cleanup_(backup_freep) LedgerBackup *b = backup;

        int rc = sqlite3_backup_finish(b->backup);
        b->backup = NULL;
        if (!b->complete)
                return -ECANCELED;
        int r = rc == SQLITE_OK ? 0 : sql_errno(b->target, rc);
        if (r >= 0) {
                rc = sqlite3_close(b->target);
                r = rc == SQLITE_OK ? 0 : -EIO;
                if (rc == SQLITE_OK)
                        b->target = NULL;
        }
        return r < 0 ? r : publish(b, ret_bytes);
}
