/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: lock, identify before writing, migrate, check the tables of the present. The cost does not
 * depend on the history. */
#include "base/text.h"
#include "ledger/migrations.h"
#include "ledger/sql.h"

#include <errno.h>
#include <stdarg.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <sys/stat.h>

#define LOCK_TRIES      20 /* a second */
#define LOCK_PAUSE_NSEC 50000000
#define EPOCHS_SINCE    9 /* the migration that makes the table */

/* What the keyed proof is of. The second one says that the chain is keyed: a newer ledger that is made to
 * look like an older one, to have its rows sealed and its chain keyed once more, has the wrong proof. */
static const char *const key_check_texts[] = {"lockerd ledger", "lockerd ledger 11"};

/* The first error, for the operator. */
typedef struct Trouble {
        LedgerProblem problem;
        char *detail;
} Trouble;

static LedgerProblem problem_of(int r) {
        switch (r) {
        case -EUCLEAN:
                return LEDGER_PROBLEM_DAMAGED;
        case -ENOSPC:
        case -EDQUOT:
                return LEDGER_PROBLEM_FULL;
        case -EBUSY:
                return LEDGER_PROBLEM_BUSY;
        }
        return LEDGER_PROBLEM_IO;
}

/* Keeps the first error. */
_printf_(4, 5) static int trouble(Trouble *t, LedgerProblem problem, int r, const char *format, ...) {
        va_list ap;

        if (t->problem != LEDGER_PROBLEM_NONE)
                return r;
        t->problem = problem;
        va_start(ap, format);
        t->detail = text_vprintf(format, ap);
        va_end(ap);
        return r;
}

static int trouble_sql(Trouble *t, const Ledger *l, int r, const char *doing) {
        return trouble(t, problem_of(r), r, "%s: %s: %s", l->path, doing, sqlite3_errmsg(l->db));
}

/* SQLite's own locks must let other processes read while the daemon runs, so this file keeps a second
 * daemon out. It is not removed: that would race with a process that is opening it. */
static int take_lock(Ledger *l, Trouble *t) {
        _cleanup_free_ char *path = text_printf("%s.lock", l->path);

        if (!path)
                return -ENOMEM;
        l->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        if (l->lock_fd < 0) {
                int r = -errno;
                return trouble(t, problem_of(r), r, "%s: %s", path, strerror(-r));
        }
        /* A daemon that was killed may leave a child that has not become another program yet. */
        int r = flock(l->lock_fd, LOCK_EX | LOCK_NB);
        for (unsigned tries = 0; r < 0 && errno == EWOULDBLOCK && tries < LOCK_TRIES; tries++) {
                (void)nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NSEC}, NULL);
                r = flock(l->lock_fd, LOCK_EX | LOCK_NB);
        }
        if (r < 0) {
                if (errno == EWOULDBLOCK)
                        return trouble(t, LEDGER_PROBLEM_LOCKED, -EBUSY, "%s is held by another process",
                                       path);
                r = -errno;
                return trouble(t, LEDGER_PROBLEM_IO, r, "%s: %s", path, strerror(-r));
        }
        return 0;
}

/* SQLite would create the file with the mode of the umask. Done under the lock and before SQLite has
 * the file open, because closing a descriptor of it would drop SQLite's locks. */
static int touch_file(Ledger *l, Trouble *t) {
        struct stat st;
        bool created = true;
        _cleanup_close_ int fd = open(l->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);

        if (fd < 0 && errno == EEXIST) {
                created = false;
                fd = open(l->path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        }
        if (fd < 0 || fstat(fd, &st) < 0) {
                int r = -errno;
                return trouble(t, problem_of(r), r, "%s: %s", l->path, strerror(-r));
        }
        if (!S_ISREG(st.st_mode))
                return trouble(t, LEDGER_PROBLEM_IO, -EINVAL, "%s is not a regular file", l->path);
        if (!created)
                return 0;
        _cleanup_free_ char *copy = strdup(l->path);
        if (!copy)
                return -ENOMEM;
        _cleanup_close_ int directory = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0 || fsync(directory) < 0) {
                int r = -errno;
                return trouble(t, problem_of(r), r, "directory of %s: %s", l->path, strerror(-r));
        }
        return 0;
}

static int connect_file(Ledger *l, Trouble *t) {
        int rc =
                sqlite3_open_v2(l->path, &l->db,
                                SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
        if (!l->db)
                return -ENOMEM;
        sqlite3_extended_result_codes(l->db, 1);
        if (rc != SQLITE_OK)
                return trouble_sql(t, l, sql_errno(l->db, rc), "cannot be opened");
        (void)sqlite3_db_config(l->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 256, 128);
        (void)sqlite3_db_config(l->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        (void)sqlite3_db_config(l->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        l->locked = false;
        sqlite3_busy_handler(l->db, ledger_wait_for_lock, l);
        /* Before the file is read for the first time: the index of the log is then kept in memory. */
        if (l->cramped && sql_exec(l->db, "PRAGMA locking_mode = EXCLUSIVE") < 0)
                return trouble_sql(t, l, -EIO, "cannot be held alone");
        return 0;
}

static int pragma_number(sqlite3 *db, const char *pragma, int64_t *ret) {
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(db, pragma, -1, &stmt, NULL);

        if (rc == SQLITE_OK)
                rc = sqlite3_step(stmt);
        int r = rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -EIO : sql_errno(db, rc);
        if (r >= 0)
                *ret = sqlite3_column_int64(stmt, 0);
        sqlite3_finalize(stmt);
        return r;
}

/* Application and version of the file. Nothing is written before they are known. */
static int identify(Ledger *l, Trouble *t, int *ret_version) {
        int64_t application = 0, version = 0, tables = 0;

        int r = pragma_number(l->db, "PRAGMA application_id", &application);
        if (r >= 0)
                r = pragma_number(l->db, "PRAGMA user_version", &version);
        if (r >= 0)
                r = pragma_number(l->db, "SELECT count(*) FROM sqlite_schema", &tables);
        if (r < 0)
                return trouble_sql(t, l, r, "cannot be read");
        if (application == 0 && version == 0 && tables == 0) {
                *ret_version = 0;
                return 0;
        }
        if (application != APPLICATION_ID)
                return trouble(t, LEDGER_PROBLEM_DAMAGED, -EUCLEAN, "%s is a database of another program",
                               l->path);
        if (version > ledger_n_migrations)
                return trouble(t, LEDGER_PROBLEM_NEWER, -EPROTO,
                               "%s has version %lld, this lockerd knows versions up to %d", l->path,
                               (long long)version, ledger_n_migrations);
        if (version < 1)
                return trouble(t, LEDGER_PROBLEM_DAMAGED, -EUCLEAN, "%s has no version", l->path);
        *ret_version = (int)version;
        return 0;
}

/* A transaction writes a few bytes each to many tables and indices, and the log takes whole pages: with small
 * ones a quarter of what 4 KB need. A ledger that there is keeps its size. SQLite assumes that a write leaves
 * the bytes beside it alone also when the power goes, for every commit that is appended to a block of the
 * log: pages smaller than a block ask no more than that. */
#define PAGE_SIZE "1024"

static int set_up(Ledger *l, Trouble *t) {
        static const char pragmas[] = "PRAGMA page_size = " PAGE_SIZE ";" /* of a new one */
                                      "PRAGMA journal_mode = WAL;"
                                      "PRAGMA synchronous = FULL;"
                                      "PRAGMA foreign_keys = ON;"
                                      "PRAGMA secure_delete = ON;"
                                      "PRAGMA cell_size_check = ON;"
                                      "PRAGMA temp_store = MEMORY;"
                                      "PRAGMA mmap_size = 0;"
                                      "PRAGMA cache_size = -1024;"
                                      "PRAGMA wal_autocheckpoint = 0;"
                                      "PRAGMA journal_size_limit = 4194304;";
        int r = sql_exec(l->db, pragmas);
        if (r < 0)
                return trouble_sql(t, l, r, "cannot be set up");
        /* Where the file system does not support WAL, SQLite silently stays in the old mode. */
        int64_t is_wal = 0;
        r = pragma_number(l->db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &is_wal);
        if (r < 0)
                return trouble_sql(t, l, r, "cannot be set up");
        if (!is_wal)
                return trouble(t, LEDGER_PROBLEM_IO, -EOPNOTSUPP,
                               "%s: the file system cannot keep a write-ahead log", l->path);
        int64_t page_size = 0;
        r = pragma_number(l->db, "PRAGMA page_size", &page_size);
        if (r < 0)
                return trouble_sql(t, l, r, "cannot be set up");
        l->page_size = (int)page_size;
        l->wal_force = ledger_pages(l, FORCED_CHECKPOINT);
        (void)sqlite3_wal_hook(l->db, ledger_committed, l);
        return 0;
}

int meta_get_text(Ledger *l, const char *key, char **ret) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_META_GET);

        if (r < 0)
                return r;
        query_text(&q, 1, key);
        r = query_row(&q);
        if (r < 0)
                return r;
        size_t n = (size_t)sqlite3_column_bytes(q.stmt, 0);
        char *text = n ? strndup(sqlite3_column_blob(q.stmt, 0), n) : strdup("");
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}

int meta_set(Ledger *l, const char *key, const void *value, size_t n) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_META_SET);
        if (r < 0)
                return r;
        query_text(&q, 1, key);
        query_blob(&q, 2, value, n);
        return query_run(&q);
}

static void key_check(const Vault *v, bool keyed, uint8_t ret[VAULT_MAC_SIZE]) {
        vault_mac(v, VAULT_CHECK, key_check_texts[keyed], strlen(key_check_texts[keyed]), ret);
}

static int write_key_check(Ledger *l, bool keyed) {
        uint8_t check[VAULT_MAC_SIZE];

        key_check(l->vault, keyed, check);
        return meta_set(l, META_KEY_CHECK, check, sizeof(check));
}

/* With the first migration: the check value of the key, and a random start of the audit chain. */
static int write_identity(Ledger *l) {
        uint8_t genesis[HASH_SIZE];
        int r = vault_random(genesis, sizeof(genesis));

        if (r >= 0)
                r = write_key_check(l, false);
        return r < 0 ? r : meta_set(l, META_GENESIS, genesis, sizeof(genesis));
}

static int key_the_chain(Ledger *l) {
        int r = audit_key(l);

        return r < 0 ? r : write_key_check(l, true);
}

/* seal: all rows, not only those of tables that are sealed for the first time. In the same transaction, so
 * that a power cut leaves no ledger whose rows look as if somebody else had written them. */
static int migrate_one(Ledger *l, const Migration *m, bool seal) {
        _cleanup_free_ char *stamp = text_printf("PRAGMA user_version = %d; PRAGMA application_id = %d",
                                                 m->version, APPLICATION_ID);

        if (!stamp)
                return -ENOMEM;
        int r = ledger_begin(l);
        if (r < 0)
                return r;
        r = sql_exec(l->db, m->sql);
        if (r >= 0 && m->version == 1)
                r = write_identity(l);
        if (r >= 0 && m->version == EPOCHS_SINCE)
                r = lineage_found(l);
        if (r >= 0 && m->version == KEYED_SINCE)
                r = key_the_chain(l);
        if (r >= 0 && m->version >= SEALS_SINCE)
                r = seals_make(l, m->version, !seal);
        if (r >= 0)
                r = sql_exec(l->db, stamp);
        if (r < 0) {
                ledger_rollback(l);
                return r;
        }
        return ledger_commit(l);
}

/* A migration may change what rows are; but what was wrong before it must not become right. */
static int migrate(Ledger *l, Trouble *t, int version) {
        bool sound = version < SEALS_SINCE || !*ledger_tampering(l);

        for (int i = version; i < ledger_n_migrations; i++) {
                const Migration *m = &ledger_migrations[i];
                int r = migrate_one(l, m, sound);
                if (r < 0)
                        return trouble_sql(t, l, r, ledger_migrations[i].name);
        }
        return 0;
}

int key_check_file(sqlite3 *db, const Vault *v, int64_t version, char **ret_detail) {
        uint8_t stored[VAULT_MAC_SIZE], mine[VAULT_MAC_SIZE];
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(db, sql_text(SQL_META_GET), -1, &stmt, NULL);

        if (rc == SQLITE_OK)
                rc = sqlite3_bind_text(stmt, 1, META_KEY_CHECK, -1, SQLITE_STATIC);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(stmt);
        bool is_there = rc == SQLITE_ROW && sqlite3_column_bytes(stmt, 0) == sizeof(stored);
        if (is_there)
                memcpy(stored, sqlite3_column_blob(stmt, 0), sizeof(stored));
        sqlite3_finalize(stmt);
        if (!is_there) {
                *ret_detail = strdup("the proof of the key cannot be read");
                return rc == SQLITE_ROW || rc == SQLITE_DONE ? -EUCLEAN : sql_errno(db, rc);
        }
        for (int keyed = 0; keyed < 2; keyed++) {
                key_check(v, keyed, mine);
                if (CRYPTO_memcmp(stored, mine, sizeof(mine)) != 0)
                        continue;
                if ((version >= KEYED_SINCE) == keyed)
                        return 0;
                *ret_detail = strdup("its version is not the one that was written");
                return -EUCLEAN;
        }
        *ret_detail = strdup("it was sealed with another key");
        return -EKEYREJECTED;
}

static int check_key(Ledger *l, Trouble *t, int version) {
        _cleanup_free_ char *detail = NULL;
        int r = key_check_file(l->db, l->vault, version, &detail);

        return r < 0 ? trouble(t, r == -EKEYREJECTED ? LEDGER_PROBLEM_WRONG_KEY : problem_of(r), r, "%s: %s",
                               l->path, detail ? detail : strerror(-r))
                     : 0;
}

static int check_cabinet(Ledger *l, Trouble *t) {
        _cleanup_free_ char *number = NULL;

        if (!l->cabinet)
                return 0;
        int r = meta_get_text(l, META_CABINET, &number);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return trouble(t, problem_of(r), r, "%s: the number of its cabinet cannot be read", l->path);
        if (!streq(number, l->cabinet))
                return trouble(t, LEDGER_PROBLEM_OTHER_CABINET, -EXDEV,
                               "%s is the ledger of cabinet %s, and cabinet.conf says that this is %s",
                               l->path, number, l->cabinet);
        return 0;
}

static int claim_cabinet(Ledger *l, Trouble *t) {
        _cleanup_free_ char *number = NULL;
        int r = l->cabinet ? meta_get_text(l, META_CABINET, &number) : 0;

        if (r == -ENOENT)
                r = meta_set(l, META_CABINET, l->cabinet, strlen(l->cabinet));
        if (r == -ENOSPC || r == -EROFS)
                return 0; /* a full disk must not keep anybody from their parcel: the next start does it */
        return r < 0 ? trouble_sql(t, l, r, "cannot be given the cabinet's number") : 0;
}

/* The tables of the present, with indices where they enforce rules, and the newest audit rows. */
static int check_present(Ledger *l, Trouble *t) {
        static const char *const pragmas[] = {
                "PRAGMA integrity_check(slot)",     "PRAGMA integrity_check(position)",
                "PRAGMA integrity_check(parcel)",   "PRAGMA integrity_check(pickup_code)",
                "PRAGMA integrity_check(lockout)",  "PRAGMA quick_check(person)",
                "PRAGMA quick_check(credential)",   "PRAGMA quick_check(inbox)",
                "PRAGMA integrity_check(reminder)", "PRAGMA quick_check(habit)",
                "PRAGMA quick_check(setting)",      "PRAGMA integrity_check(epoch)",
        };
        _cleanup_free_ char *detail = NULL;
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(pragmas) && r >= 0; i++)
                r = check_pragma(l->db, pragmas[i], &detail);
        if (r >= 0)
                r = audit_check_head(l, &detail);
        if (r < 0)
                return trouble(t, problem_of(r), r, "%s: %s", l->path, detail ? detail : strerror(-r));
        return 0;
}

static int check_schema(Ledger *l, Trouble *t, int version) {
        _cleanup_free_ char *missing = NULL, *detail = NULL;
        int r = schema_check(l, version, &missing, &detail);

        if (r < 0)
                return trouble(t, problem_of(r), r, "%s: %s", l->path,
                               detail ? detail : "its schema cannot be read");
        return missing ? seals_found(l, missing) : 0;
}

static void trouble_done(Trouble *t) {
        free(t->detail);
        *t = (Trouble){0};
}

static int connect_steps(Ledger *l, Trouble *t, int *ret_version) {
        int r = connect_file(l, t);

        if (r >= 0)
                r = identify(l, t, ret_version);
        return r < 0 ? r : set_up(l, t);
}

static int connect_as(Ledger *l, Trouble *t, bool cramped, int *ret_version) {
        ledger_disconnect(l);
        trouble_done(t);
        l->cramped = cramped;
        return connect_steps(l, t, ret_version);
}

static int open_steps(Ledger *l, Trouble *t) {
        int version = 0;

        int r = take_lock(l, t);
        if (r >= 0)
                r = mark_look(l);
        if (r >= 0)
                r = touch_file(l, t);
        if (r >= 0) {
                r = connect_as(l, t, false, &version);
                if (r < 0 && t->problem == LEDGER_PROBLEM_FULL)
                        r = connect_as(l, t, true, &version);
        }
        /* A file that belongs to another key is not migrated either. */
        if (r >= 0 && version > 0)
                r = check_key(l, t, version);
        if (r >= 0 && version > 0)
                r = check_cabinet(l, t);
        if (r >= 0)
                r = seals_prepare(l);
        if (r >= 0 && version > 0)
                r = check_schema(l, t, version);
        if (r >= 0 && version >= SEALS_SINCE && (r = seals_check(l, version)) < 0)
                return trouble_sql(t, l, r, "its seals cannot be checked");
        if (r >= 0)
                r = migrate(l, t, version);
        if (r >= 0 && (r = seals_watch(l)) < 0)
                return trouble_sql(t, l, r, "its seals cannot be kept");
        if (r >= 0)
                r = check_present(l, t);
        if (r >= 0)
                r = claim_cabinet(l, t);
        if (r >= 0)
                schema_remember(l);
        if (r >= 0) {
                r = lineage_load(l);
                if (r < 0)
                        return trouble(t, problem_of(r), r, "%s: its epochs cannot be read", l->path);
                r = mark_open(l);
                if (r < 0)
                        return trouble_sql(t, l, r, "cannot be marked as open");
        }
        return r;
}

unsigned ledger_schema_version(void) {
        return (unsigned)ledger_n_migrations;
}

int ledger_open(Ledger **ret, const char *path, Vault *vault, LedgerProblem *ret_problem, char **ret_detail) {
        return ledger_open_for(ret, path, vault, NULL, ret_problem, ret_detail);
}

int ledger_open_for(Ledger **ret, const char *path, Vault *vault, const char *cabinet,
                    LedgerProblem *ret_problem, char **ret_detail) {
        Trouble t = {0};
        Ledger *l = calloc(1, sizeof(*l));

        if (ret_problem)
                *ret_problem = LEDGER_PROBLEM_IO;
        if (!l)
                return -ENOMEM;
        l->lock_fd = l->mark_fd = -1;
        l->vault = vault;
        l->path = strdup(path);
        l->cabinet = cabinet ? strdup(cabinet) : NULL;
        int r = l->path && (l->cabinet || !cabinet) ? open_steps(l, &t) : -ENOMEM;
        if (r < 0) {
                l->vault = NULL;
                ledger_free(l);
                if (ret_problem)
                        *ret_problem = t.problem == LEDGER_PROBLEM_NONE ? problem_of(r) : t.problem;
                if (ret_detail)
                        *ret_detail = steal_ptr(t.detail);
                free(t.detail);
                return r;
        }
        *ret = l;
        if (ret_problem)
                *ret_problem = LEDGER_PROBLEM_NONE;
        return 0;
}

bool ledger_is_cramped(const Ledger *l) {
        return l->cramped;
}

int ledger_relax(Ledger *l) {
        Trouble t = {0};
        int version = 0;

        if (!l->cramped || l->in_transaction)
                return 0;
        int r = connect_as(l, &t, false, &version);
        bool connected = r >= 0 || connect_as(l, &t, true, &version) >= 0;
        /* What the former connection had. */
        if (connected && (seals_prepare(l) < 0 || seals_watch(l) < 0))
                connected = false;
        if (!connected)
                r = -EIO; /* every statement fails from now on: as with a broken disk */
        trouble_done(&t);
        return r;
}
