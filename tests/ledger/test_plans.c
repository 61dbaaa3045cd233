/* SPDX-License-Identifier: Apache-2.0 */
/* That years of history cost nothing: by the plan of every statement, and by what a day's work really reads.
 */
#include "fill_history.h"
#include "ledger/audit.h"
#include "support.h"

static bool is_big(const char *table) {
        static const char *const big[] = {"event",    "e",       "audit",         "a", "outbox", "o",
                                          "movement", "session", "parcel_history"};

        for (size_t i = 0; i < ARRAY_SIZE(big); i++)
                if (streq(big[i], table))
                        return true;
        return false;
}

/* "SCAN x" walks a whole table; an index of open rows only is as small as what is open, and
 * one of rows that an older version left is empty after it has been used once. */
static bool walks_history(const char *step) {
        char table[64] = "";

        if (sscanf(step, "SCAN %63s", table) != 1 || !is_big(table))
                return false;
        return !strstr(step, "INDEX movement_open") && !strstr(step, "INDEX session_open") &&
               !strstr(step, "INDEX parcel_history_unmarked");
}

static void test_plan_of_every_statement_walks_no_history(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        unsigned steps = 0;

        assert_int_equal(fill_history(l, 2000, NULL), 0);
        assert_int_equal(sql_exec(l->db, "ANALYZE"), 0);
        for (int i = SQL_META_GET; i < SQL_MAX; i++) {
                _cleanup_free_ char *sql = text_printf("EXPLAIN QUERY PLAN %s", sql_text((Statement)i));
                sqlite3_stmt *s = NULL;
                if (sqlite3_prepare_v2(l->db, sql, -1, &s, NULL) != SQLITE_OK)
                        fail_msg("%s: %s", sql, sqlite3_errmsg(l->db));
                for (; sqlite3_step(s) == SQLITE_ROW; steps++) {
                        const char *step = (const char *)sqlite3_column_text(s, 3);
                        if (walks_history(step))
                                fail_msg("%s\nwalks the history: %s", sql_text((Statement)i), step);
                }
                sqlite3_finalize(s);
        }
        assert_true(steps > SQL_MAX / 2);
        assert_true(walks_history("SCAN event"));
        assert_true(walks_history("SCAN movement USING COVERING INDEX other"));
}

/* Pages that one deposit and collection touch, and that opening touches. */
static void work(Place *p, int ret[2]) {
        int high;

        place_close(p);
        place_open(p);
        sqlite3_db_status(p->ledger->db, SQLITE_DBSTATUS_CACHE_MISS, &ret[0], &high, 0);
        assert_true(deposit(p->ledger, "W1", 1, "WWWWWW") > 0); /* prepares statements, fills the cache */
        assert_int_equal(collect(p->ledger, (uint64_t)number(p->ledger, "SELECT id FROM parcel")), 0);
        int before, after;
        sqlite3_db_status(p->ledger->db, SQLITE_DBSTATUS_CACHE_HIT, &before, &high, 0);
        assert_true(deposit(p->ledger, "W1", 1, "WWWWWW") > 0);
        assert_int_equal(collect(p->ledger, (uint64_t)number(p->ledger, "SELECT id FROM parcel")), 0);
        sqlite3_db_status(p->ledger->db, SQLITE_DBSTATUS_CACHE_HIT, &after, &high, 0);
        ret[1] = after - before;
}

static void test_history_of_thousands_reads_hardly_more_pages(void **state) {
        Place *p = *state;
        int empty[2], full[2];

        work(p, empty);
        assert_int_equal(fill_history(p->ledger, 30000, NULL), 0);
        work(p, full);
        print_message("pages: opening %d and %d, a deposit and collection %d and %d\n", empty[0], full[0],
                      empty[1], full[1]);
        /* A tree of a million rows is two or three levels higher than one of ten, and the newest rows of the
         * audit, which opening reads, are there. */
        assert_in_range(full[0] * p->ledger->page_size, 0, empty[0] * p->ledger->page_size + 40 * 4096);
        assert_in_range(full[1], 0, 2 * empty[1] + 20);
        place_close(p);
        _cleanup_free_ char *detail = NULL;
        _cleanup_(vault_freep) Vault *v = test_vault(1);
        uint64_t rows = 0;
        if (ledger_audit_verify_file(p->path, v, NULL, &rows, NULL, &detail) < 0 ||
            ledger_check_file(p->path, &detail) < 0)
                fail_msg("%s", detail);
        assert_int_equal(rows, 30000 * 4 + 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_ledger, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_plan_of_every_statement_walks_no_history),
                TEST(test_history_of_thousands_reads_hardly_more_pages),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
