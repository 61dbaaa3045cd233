/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/lineage.h"
#include "base/text.h"
#include "ledger/sql.h"

#include <errno.h>

/* After a restore nobody knows which numbers were given out since the backup. The next ones begin at a random
 * multiple of this, so that two restores of one backup do not meet either. They stay far below 2^53, which
 * every reader of JSON can represent. */
#define NUMBERS_STEP UINT64_C(1000000)
#define NUMBERS_BITS 24

static const char *const why_words[] = {
        [EPOCH_NEW] = "new",       [EPOCH_UPGRADE] = "upgrade", [EPOCH_RESTORED] = "restored",
        [EPOCH_BEHIND] = "behind", [EPOCH_FOREIGN] = "foreign", [EPOCH_UNCLEAN] = "unclean",
};

const char *epoch_why_to_string(EpochWhy w) {
        return why_words[w];
}

static int why_from_string(const char *word, EpochWhy *ret) {
        for (size_t i = 0; word && i < ARRAY_SIZE(why_words); i++)
                if (streq(word, why_words[i])) {
                        *ret = (EpochWhy)i;
                        return 0;
                }
        return -EUCLEAN;
}

/* --- the list in memory: short, and asked with each event that is sent --- */

void lineage_done(Ledger *l) {
        free(l->epochs);
        l->epochs = NULL;
        l->n_epochs = 0;
}

int lineage_load(Ledger *l) {
        _cleanup_query_ Query q = {0};
        Epoch *epochs = NULL;
        size_t n = 0;
        int r = query_begin(&q, l, SQL_EPOCH_EACH);

        while (r >= 0 && (r = query_step(&q)) > 0) {
                Epoch e = {.since = column_u64(&q, 1)};
                r = column_label(&q, 0, e.name, sizeof(e.name));
                if (r >= 0)
                        r = why_from_string(column_text(&q, 2), &e.why);
                Epoch *grown = r < 0 ? NULL : reallocarray(epochs, n + 1, sizeof(*grown));
                if (r >= 0 && !grown)
                        r = -ENOMEM;
                if (r < 0)
                        break;
                epochs = grown;
                epochs[n++] = e;
        }
        if (r >= 0 && (n == 0 || !epochs[n - 1].name[0]))
                r = -EUCLEAN;
        if (r < 0) {
                free(epochs);
                return r;
        }
        lineage_done(l);
        l->epochs = epochs;
        l->n_epochs = n;
        l->epochs_stale = false;
        return 0;
}

const char *ledger_epoch(const Ledger *l) {
        return l->epochs[l->n_epochs - 1].name;
}

EpochWhy ledger_epoch_why(const Ledger *l) {
        return l->epochs[l->n_epochs - 1].why;
}

bool ledger_epoch_is_guarded(const Ledger *l) {
        EpochWhy w = ledger_epoch_why(l);

        return w != EPOCH_NEW && w != EPOCH_UPGRADE;
}

const char *ledger_epoch_of(const Ledger *l, uint64_t sequence) {
        for (size_t i = l->n_epochs; i-- > 0;)
                if (l->epochs[i].since <= sequence)
                        return l->epochs[i].name;
        return "";
}

bool ledger_epoch_is_known(const Ledger *l, const char *name) {
        for (size_t i = 0; i < l->n_epochs; i++)
                if (streq(l->epochs[i].name, name))
                        return true;
        return false;
}

/* --- beginning one --- */

static int insert(Ledger *l, const char *name, uint64_t since, EpochWhy why, int64_t wall) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, SQL_EPOCH_INSERT);

        if (r < 0)
                return r;
        query_text(&q, 1, name);
        query_u64(&q, 2, since);
        query_text(&q, 3, why_words[why]);
        query_i64(&q, 4, wall);
        return query_run(&q);
}

static int random_name(char ret[EPOCH_LENGTH + 1]) {
        uint8_t bytes[EPOCH_LENGTH / 2];
        int r = vault_random(bytes, sizeof(bytes));

        if (r >= 0)
                text_to_hex(bytes, sizeof(bytes), ret);
        return r;
}

static int one_number(Ledger *l, Statement s, uint64_t *ret) {
        _cleanup_query_ Query q = {0};
        int r = query_begin(&q, l, s);

        if (r >= 0)
                r = query_row(&q);
        if (r >= 0)
                *ret = column_u64(&q, 0);
        return r;
}

static int pass_over_numbers(Ledger *l) {
        static const Statement statements[] = {SQL_NUMBERS_FORGET, SQL_NUMBERS_SET};
        uint32_t random = 0;
        uint64_t highest = 0;
        int r = one_number(l, SQL_NUMBERS_HIGHEST, &highest);

        if (r >= 0)
                r = vault_random(&random, sizeof(random));
        uint64_t next = (highest / NUMBERS_STEP + 1 + (random >> (32 - NUMBERS_BITS))) * NUMBERS_STEP;
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(statements); i++) {
                _cleanup_query_ Query q = {0};
                r = query_begin(&q, l, statements[i]);
                if (r < 0)
                        return r;
                if (statements[i] == SQL_NUMBERS_SET)
                        query_u64(&q, 1, next);
                r = query_run(&q);
        }
        return r;
}

int ledger_epoch_begin(Ledger *l, EpochWhy why, uint64_t since, const Now *now) {
        char name[EPOCH_LENGTH + 1];

        if (!l->in_transaction)
                return -EINVAL;
        int r = random_name(name);
        if (r >= 0)
                r = insert(l, name, MAX(since, 1U), why, now->wall_usec);
        if (r >= 0 && why != EPOCH_NEW && why != EPOCH_UPGRADE)
                r = pass_over_numbers(l);
        if (r >= 0)
                r = lineage_load(l);
        l->epochs_stale = true; /* until the commit */
        if (r < 0)
                l->failure = r;
        return r;
}

int ledger_epoch_untold(Ledger *l, uint64_t *ret_since) {
        return one_number(l, SQL_EPOCH_UNTOLD, ret_since);
}

/* In the migration that brings epochs. What a former version has told keeps its identity: without an epoch.
 */
int lineage_found(Ledger *l) {
        uint64_t next = 0;
        char name[EPOCH_LENGTH + 1];
        int r = one_number(l, SQL_EVENT_NEXT, &next);
        bool old = next > 1;

        if (r >= 0 && old)
                r = insert(l, "", 1, EPOCH_UPGRADE, 0);
        if (r >= 0)
                r = random_name(name);
        return r < 0 ? r : insert(l, name, next, old ? EPOCH_UPGRADE : EPOCH_NEW, 0);
}
