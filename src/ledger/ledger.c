/* SPDX-License-Identifier: Apache-2.0 */
/* The open ledger: transactions and checkpoints. Opening is in open.c. */
#include "ledger/sql.h"

#include <errno.h>
#include <sys/statvfs.h>

#define LOCK_NAP_USEC 10000
#define LOCK_TRIES    25

const char *ledger_problem_sentence(LedgerProblem p) {
        switch (p) {
        case LEDGER_PROBLEM_NONE:
                return "The ledger is in order.";
        case LEDGER_PROBLEM_DAMAGED:
                return "The ledger is damaged. Keep the file for inspection and put a backup in its place.";
        case LEDGER_PROBLEM_NEWER:
                return "The ledger was written by a newer lockerd. Install that version again; an older one "
                       "must not touch it.";
        case LEDGER_PROBLEM_WRONG_KEY:
                return "The ledger was sealed with another key. Put the key file (or credential) back that "
                       "belongs to it.";
        case LEDGER_PROBLEM_OTHER_CABINET:
                return "The ledger is that of another cabinet. Put this cabinet's in its place (lockerctl "
                       "restore), or correct Number= in cabinet.conf. If this cabinet has got another "
                       "number: "
                       "lockerctl restore --renumber.";
        case LEDGER_PROBLEM_FULL:
                return "The disk is full. Make room on the file system of the ledger.";
        case LEDGER_PROBLEM_LOCKED:
                return "Another lockerd has the ledger open. Stop it first.";
        case LEDGER_PROBLEM_BUSY:
                return "Another program has locked the ledger. End it: fuser -v names it.";
        case LEDGER_PROBLEM_IO:
                return "The ledger cannot be read or written. Check path, permissions and the disk.";
        }
        return "The ledger cannot be used.";
}

Vault *ledger_vault(Ledger *l) {
        return l->vault;
}

const char *ledger_path(const Ledger *l) {
        return l->path;
}

void ledger_disconnect(Ledger *l) {
        for (int i = 0; i < SQL_MAX; i++) {
                sqlite3_finalize(l->statements[i]);
                l->statements[i] = NULL;
        }
        seals_disconnect(l);
        sqlite3_close_v2(l->db);
        l->db = NULL;
        l->wal_pages = l->wal_done = 0;
}

Ledger *ledger_free(Ledger *l) {
        if (!l)
                return NULL;
        mark_close(l);
        seals_done(l);
        ledger_disconnect(l);
        /* From here on another daemon may open the file. */
        if (l->lock_fd >= 0)
                close(l->lock_fd);
        vault_free(l->vault);
        lineage_done(l);
        free(l->cabinet);
        free(l->path);
        free(l);
        return NULL;
}

/* After a disk error the kernel makes a file system read-only, and SQLite does not notice: it
 * overwrites pages of the existing log in memory, and fsync() has nothing to do. Such commits are lost
 * with the next power cut. */
bool ledger_is_read_only(const Ledger *l) {
        struct statvfs v;

        return statvfs(l->path, &v) == 0 && v.f_flag & ST_RDONLY;
}

/* The doors must not wait for another program: for a short write they do, once, and not again before
 * something could be written. */
int ledger_wait_for_lock(void *userdata, int n) {
        Ledger *l = userdata;

        if (l->locked || l->impatient)
                return 0;
        if (n >= LOCK_TRIES) {
                l->locked = true;
                return 0;
        }
        usleep(LOCK_NAP_USEC);
        return 1;
}

int ledger_begin(Ledger *l) {
        if (l->in_transaction)
                return -EINVAL;
        if (ledger_is_read_only(l))
                return -EROFS;
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_BEGIN);
        if (r >= 0)
                r = query_run(&q);
        if (r < 0)
                return r;
        l->in_transaction = true;
        l->locked = false;
        l->failure = 0;
        l->recorded = 0;
        return 0;
}

static int commit(Ledger *l) {
        _cleanup_query_ Query q = {0};

        if (!l->in_transaction)
                return -EINVAL;
        if (ledger_is_read_only(l))
                return -EROFS;
        int r = query_begin(&q, l, SQL_COMMIT);
        return r < 0 ? r : query_run(&q);
}

int ledger_commit(Ledger *l) {
        int r = commit(l);

        if (r < 0) {
                ledger_rollback(l);
                return r;
        }
        l->in_transaction = false;
        l->newest = MAX(l->newest, l->recorded);
        mark_committed(l);
        l->epochs_stale = false;
        return ledger_is_read_only(l) ? -EROFS : 0; /* unknown since when */
}

void ledger_rollback(Ledger *l) {
        if (!l->in_transaction)
                return;
        /* After some errors SQLite has already done it. */
        if (!sqlite3_get_autocommit(l->db))
                (void)sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
        l->in_transaction = false;
        l->failure = 0;
        if (l->epochs_stale)
                (void)lineage_load(l);
}

static int checkpoint(Ledger *l, int mode) {
        int in_wal = -1, in_file = -1;
        int rc = sqlite3_wal_checkpoint_v2(l->db, NULL, mode, &in_wal, &in_file);

        if (in_wal >= 0) {
                l->wal_pages = in_wal;
                l->wal_done = in_file;
        }
        /* A reader in another process may hold an old snapshot: try again after many more pages. */
        l->wal_force = (l->wal_done < l->wal_pages ? l->wal_pages : 0) + ledger_pages(l, FORCED_CHECKPOINT);
        return rc;
}

int ledger_checkpoint(Ledger *l) {
        if (!l->db)
                return -EIO;
        int rc = checkpoint(l, SQLITE_CHECKPOINT_PASSIVE);

        if (rc == SQLITE_OK && l->scrub != SCRUB_NONE) {
                /* Erased data is still in old pages of the WAL. Never wait for a reader here: if there
                 * is one, the next checkpoint tries again. */
                l->impatient = true;
                rc = checkpoint(l, SQLITE_CHECKPOINT_TRUNCATE);
                l->impatient = false;
                if (rc == SQLITE_OK)
                        l->scrub = SCRUB_NONE;
                else if (rc == SQLITE_BUSY) {
                        l->scrub = SCRUB_NEXT;
                        rc = SQLITE_OK;
                }
        }
        return sql_errno(l->db, rc);
}

bool ledger_wants_checkpoint(const Ledger *l) {
        return l->scrub == SCRUB_SOON || l->wal_pages - l->wal_done >= ledger_pages(l, WORTH_A_CHECKPOINT);
}

int ledger_committed(void *userdata, sqlite3 *db, const char *database, int pages) {
        Ledger *l = userdata;

        if (pages < l->wal_pages) {
                /* The WAL began again at its start. */
                l->wal_done = 0;
                l->wal_force = ledger_pages(l, FORCED_CHECKPOINT);
        }
        l->wal_pages = pages;
        /* The commit is durable already: a failed checkpoint is not an error of the commit. */
        if (pages >= l->wal_force)
                (void)checkpoint(l, SQLITE_CHECKPOINT_PASSIVE);
        return SQLITE_OK;
}
