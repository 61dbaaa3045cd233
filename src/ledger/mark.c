/* SPDX-License-Identifier: Apache-2.0 */
/* Is the end of the ledger there? While it is open a mark in the file itself says so; whoever closes it takes
 * the mark away and folds the write-ahead log into the file. A file that still says "open" and has no log has
 * lost its newest transactions, or was copied while it was in use.
 *
 * A side file beside the ledger has the number of the newest event. It is written after each commit and not
 * synced, so it may be a little behind; when it is ahead, the ledger is not the one that was here last. */
#include "base/text.h"
#include "ledger/audit.h"
#include "ledger/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#define META_OPEN \
        "open" /* "0": closed; "1": open; beyond: '1' + a LedgerFinding after which no epoch has begun */
#define SIDE_FORM "lockerd %16s %020" PRIu64 "\n" /* always as long, so that it is written over in place */
#define SIDE_SIZE (8 + EPOCH_LENGTH + 1 + 20 + 1)

static char *beside(const Ledger *l, const char *suffix) {
        return text_printf("%s%s", l->path, suffix);
}

/* Before SQLite has the file open and makes one. */
int mark_look(Ledger *l) {
        _cleanup_free_ char *wal = beside(l, "-wal");

        if (!wal)
                return -ENOMEM;
        l->had_wal = access(wal, F_OK) == 0;
        return 0;
}

static bool read_side(Ledger *l, char ret_epoch[EPOCH_LENGTH + 1], uint64_t *ret_sequence) {
        char text[SIDE_SIZE + 1] = "";

        return l->mark_fd >= 0 && pread(l->mark_fd, text, SIDE_SIZE, 0) == SIDE_SIZE &&
               sscanf(text, "lockerd %16[0-9a-f] %20" SCNu64, ret_epoch, ret_sequence) == 2;
}

static int newest(Ledger *l, uint64_t *ret) {
        char head[AUDIT_HEAD_MAX];
        int r = ledger_audit_head(l, head);

        if (r >= 0)
                *ret = strtoull(head, NULL, 10);
        return r;
}

static void judge(Ledger *l, bool was_open, uint64_t last) {
        char epoch[EPOCH_LENGTH + 1] = "";
        uint64_t told = 0;
        bool side = read_side(l, epoch, &told), same = side && streq(epoch, ledger_epoch(l));

        if (same && told > last)
                l->finding = LEDGER_BEHIND;
        else if (side && !same && !ledger_epoch_is_known(l, epoch))
                l->finding = LEDGER_FOREIGN;
        /* Another program that was the last one to close it has folded the log in: then nothing is missing.
         */
        else if (was_open && !l->had_wal && !(same && told == last))
                l->finding = LEDGER_END_MISSING;
        l->told = side ? told : 0;
}

int mark_open(Ledger *l) {
        _cleanup_free_ char *path = beside(l, ".mark"), *open_text = NULL;
        uint64_t last = 0;

        if (!path)
                return -ENOMEM;
        /* A ledger works without it. */
        l->mark_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        int r = meta_get_text(l, META_OPEN, &open_text);
        if (r < 0 && r != -ENOENT)
                return r;
        char was = r >= 0 ? open_text[0] : '0', is[2] = "1";
        r = newest(l, &last);
        if (r < 0)
                return r;
        judge(l, was == '1', last);
        if (l->finding == LEDGER_IN_ORDER && was > '1' && was <= '1' + (char)LEDGER_FOREIGN)
                l->finding = (LedgerFinding)(was - '1');
        /* Found again by every start until an epoch has begun. */
        l->unsettled = l->finding != LEDGER_IN_ORDER;
        is[0] = (char)('1' + l->finding);
        if (was != is[0]) {
                r = meta_set(l, META_OPEN, is, 1);
                /* The log is what may be missing: the mark must be in the file. */
                if (r >= 0)
                        (void)sqlite3_wal_checkpoint_v2(l->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        }
        if (r == -ENOSPC || r == -EROFS)
                r = 0;
        l->marked = UINT64_MAX;
        l->newest = last;
        mark_committed(l);
        return r;
}

void mark_committed(Ledger *l) {
        char text[SIDE_SIZE + 1];

        if (l->unsettled && !l->epochs_stale)
                return;
        if (l->unsettled)
                (void)meta_set(l, META_OPEN, "1", 1);
        l->unsettled = false;
        if (l->mark_fd < 0 || (l->marked == l->newest && !l->epochs_stale))
                return;
        snprintf(text, sizeof(text), SIDE_FORM, ledger_epoch(l), l->newest);
        if (pwrite(l->mark_fd, text, SIDE_SIZE, 0) == SIDE_SIZE)
                l->marked = l->newest;
}

void mark_close(Ledger *l) {
        if (l->mark_fd < 0)
                return;
        /* Not when opening has failed: whose ledger it is has not been settled, and nothing can be sealed. */
        if (l->db && l->vault && !l->in_transaction && l->n_epochs > 0 && !l->unsettled)
                (void)meta_set(l, META_OPEN, "0", 1);
        close(l->mark_fd);
}

LedgerFinding ledger_finding(const Ledger *l, uint64_t *ret_told) {
        *ret_told = l->told;
        return l->finding;
}
