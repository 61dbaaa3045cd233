/* SPDX-License-Identifier: Apache-2.0 */
/* All or nothing; and the outbox: in order, once, scrubbed. */
#include "support.h"
#include "ledger/audit.h"
#include "ledger/codes.h"
#include "ledger/events.h"
#include "ledger/parcels.h"
#include "ledger/slots.h"

static const Record a_record = {
        .actor = "courier:4711",
        .type = "parcel.stored",
        .subject = "parcel:1",
        .data = "{\"slot\":\"1\"}",
        .secret = "{\"code\":\"K7M2QX\"}",
};

static int64_t all_rows(Ledger *l) {
        return number(l, "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM audit) + (SELECT "
                         "count(*) FROM outbox) + "
                         "(SELECT count(*) FROM parcel) + (SELECT count(*) FROM pickup_code) + (SELECT "
                         "count(*) FROM movement)");
}

static void test_transaction_rolled_back_leaves_nothing(void **state) {
        Place *p = *state;
        const Now now = at(1);
        char before[AUDIT_HEAD_MAX], after[AUDIT_HEAD_MAX];

        assert_int_equal(ledger_audit_head(p->ledger, before), 0);
        begin(p->ledger);
        ParcelRow row = {.state = PARCEL_RESERVED, .slot = "1", .position = 1, .size = "M"};
        assert_int_equal(ledger_parcel_insert(p->ledger, &row), 0);
        assert_int_equal(ledger_code_set(p->ledger, row.id, "AAAAAA"), 0);
        assert_int_equal(ledger_record(p->ledger, &a_record, &now, NULL), 0);
        assert_int_equal(all_rows(p->ledger), 5);
        ledger_rollback(p->ledger);
        ledger_rollback(p->ledger); /* outside: nothing */
        assert_int_equal(all_rows(p->ledger), 0);
        assert_int_equal(ledger_audit_head(p->ledger, after), 0);
        assert_string_equal(before, after);
        /* No gap in the sequence either. */
        begin(p->ledger);
        EventRow e;
        assert_int_equal(ledger_record(p->ledger, &a_record, &now, &e), 0);
        assert_int_equal(e.sequence, 1);
        assert_string_equal(e.type, "parcel.stored");
        commit(p->ledger);
        _cleanup_(vault_freep) Vault *v = test_vault(1);
        assert_int_equal(ledger_audit_verify_file(p->path, v, NULL, NULL, NULL, NULL), 0);
}

static void test_transaction_record_outside_or_begun_twice_refused(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        const Now now = at(1);

        assert_int_equal(ledger_record(l, &a_record, &now, NULL), -EINVAL);
        assert_int_equal(ledger_commit(l), -EINVAL);
        begin(l);
        assert_int_equal(ledger_begin(l), -EINVAL);
        commit(l);
        assert_int_equal(all_rows(l), 0);
}

/* A record that fails halfway makes the transaction worthless: it cannot be committed by oversight. */
static void test_transaction_failed_inside_cannot_be_committed(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        const Now now = at(1);
        Record broken = a_record;
        uint64_t n;

        begin(l);
        assert_int_equal(ledger_record(l, &a_record, &now, NULL), 0);
        broken.actor = NULL; /* the event is written, the audit row is refused */
        assert_int_equal(ledger_record(l, &broken, &now, NULL), -EINVAL);
        assert_int_equal(ledger_outbox_length(l, &n), -EINVAL);
        assert_int_equal(ledger_record(l, &a_record, &now, NULL), -EINVAL);
        assert_int_equal(ledger_commit(l), -EINVAL);
        assert_int_equal(all_rows(l), 0);
        begin(l);
        assert_int_equal(ledger_record(l, &a_record, &now, NULL), 0);
        commit(l);
        assert_int_equal(all_rows(l), 3);
}

static void test_transaction_rolled_back_underneath_nothing_goes_on(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        const Now now = at(1);

        begin(l);
        assert_int_equal(ledger_record(l, &a_record, &now, NULL), 0);
        /* As SQLite does by itself after some errors. */
        assert_int_equal(sql_exec(l->db, "ROLLBACK"), 0);
        assert_int_equal(ledger_service_set(l, "1", 0, SERVICE_DISABLED, "x"), -EIO);
        assert_int_equal(ledger_commit(l), -EIO);
        assert_int_equal(all_rows(l), 0);
        assert_int_equal(number(l, "SELECT count(*) FROM slot"), 0);
        assert_int_equal(deposit(l, "1", 1, "AAAAAA"), 1);
}

typedef struct Sent {
        uint64_t sequences[32];
        unsigned n;
        unsigned secrets;
} Sent;

static int send_one(void *userdata, const EventRow *e, const char *secret) {
        Sent *s = userdata;

        s->sequences[s->n++] = e->sequence;
        assert_string_equal(e->data, a_record.data);
        if (secret) {
                assert_string_equal(secret, a_record.secret);
                s->secrets++;
        }
        return 0;
}

static int count_event(void *userdata, const EventRow *e) {
        ++*(unsigned *)userdata;
        return 0;
}

/* Requirement: B4 */
static void test_outbox_sent_in_order_acknowledged_ones_never_again(void **state) {
        Place *p = *state;
        const Now now = at(1);
        Sent s = {0};
        uint64_t n = 9;
        unsigned events = 0;

        assert_int_equal(ledger_outbox_length(p->ledger, &n), 0);
        assert_int_equal(n, 0);
        for (int i = 0; i < 10; i++) {
                Record r = a_record;
                if (i % 2)
                        r.secret = NULL;
                begin(p->ledger);
                assert_int_equal(ledger_record(p->ledger, &r, &now, NULL), 0);
                commit(p->ledger);
        }
        assert_int_equal(ledger_outbox_each(p->ledger, 0, 4, send_one, &s), 0);
        assert_int_equal(ledger_outbox_acknowledge(p->ledger, 0, 3), 0);
        assert_int_equal(ledger_outbox_length(p->ledger, &n), 0);
        assert_int_equal(n, 7);
        /* The rest waits through a restart, and what is added comes after it. */
        place_close(p);
        place_open(p);
        begin(p->ledger);
        assert_int_equal(ledger_record(p->ledger, &a_record, &now, NULL), 0);
        commit(p->ledger);
        memset(&s, 0, sizeof(s));
        assert_int_equal(ledger_outbox_each(p->ledger, 0, 0, send_one, &s), 0);
        assert_int_equal(s.n, 8);
        for (unsigned i = 0; i < s.n; i++)
                assert_int_equal(s.sequences[i], 4 + i);
        assert_int_equal(s.secrets, 4);
        memset(&s, 0, sizeof(s));
        assert_int_equal(ledger_outbox_each(p->ledger, 9, 1, send_one, &s), 0);
        assert_int_equal(s.n, 1);
        assert_int_equal(s.sequences[0], 10);
        assert_int_equal(ledger_outbox_acknowledge(p->ledger, 0, 11), 0);
        assert_int_equal(ledger_outbox_length(p->ledger, &n), 0);
        assert_int_equal(n, 0);
        /* The events stay. */
        assert_int_equal(ledger_event_each(p->ledger, 0, 0, count_event, &events), 0);
        assert_int_equal(events, 11);
        assert_int_equal(ledger_event_each(p->ledger, 10, 5, count_event, &events), 0);
        assert_int_equal(events, 12);
}

static int note_sequence(void *userdata, const EventRow *e, const char *secret) {
        char *all = userdata;
        size_t n = strlen(all);

        snprintf(all + n, 100 - n, "%llu:%s ", (unsigned long long)e->sequence, e->type);
        return 0;
}

/* Requirement: B4 */
static void test_outbox_summarised_only_routine_goes_and_stays_in_the_ledger(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        static const char *const types[] = {"door.opened",      "parcel.stored",  "door.closed",
                                            "door.forced-open", "session.prompt", "board.offline",
                                            "code.issued",      "door.opened"};
        const Now now = at(1);
        uint64_t dropped = 0;
        char left[100] = "";

        begin(l);
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                Record r = {.actor = "lockerd", .type = types[i], .subject = "cabinet", .data = "{}"};
                assert_int_equal(ledger_record(l, &r, &now, NULL), 0);
        }
        assert_int_equal(ledger_outbox_summarise(l, 0, 7, &dropped), 0);
        commit(l);
        assert_int_equal(dropped, 4);
        assert_int_equal(ledger_outbox_each(l, 0, 0, note_sequence, left), 0);
        assert_string_equal(left, "2:parcel.stored 4:door.forced-open 7:code.issued 8:door.opened ");
        assert_int_equal(number(l, "SELECT count(*) FROM event"), 8);
}

/* Requirement: B4, F9 */
static void test_outbox_acknowledged_secret_is_gone_from_the_file(void **state) {
        Place *p = *state;
        const Now now = at(1);
        uint8_t sealed[64];

        begin(p->ledger);
        assert_int_equal(ledger_record(p->ledger, &a_record, &now, NULL), 0);
        commit(p->ledger);
        sqlite3_stmt *s = NULL;
        assert_int_equal(sqlite3_prepare_v2(p->ledger->db, "SELECT secret FROM outbox", -1, &s, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        size_t n = (size_t)sqlite3_column_bytes(s, 0);
        assert_in_range(n, 30, sizeof(sealed));
        memcpy(sealed, sqlite3_column_blob(s, 0), n);
        sqlite3_finalize(s);
        assert_true(file_contains(p->path, sealed, n));
        assert_false(file_contains(p->path, "K7M2QX", 6));
        assert_int_equal(ledger_outbox_acknowledge(p->ledger, 0, 1), 0);
        assert_int_equal(ledger_checkpoint(p->ledger), 0);
        assert_false(file_contains(p->path, sealed, n));
}

/* A secret moved to another event is not sent with it. */
static int is_unreadable(void *userdata, const EventRow *e, const char *secret) {
        return secret && !*secret;
}

static void test_outbox_secret_of_another_event_refused(void **state) {
        Place *p = *state;
        const Now now = at(1);
        Sent s = {0};

        for (int i = 0; i < 2; i++) {
                begin(p->ledger);
                assert_int_equal(ledger_record(p->ledger, &a_record, &now, NULL), 0);
                commit(p->ledger);
        }
        assert_int_equal(
                sql_exec(p->ledger->db,
                         "UPDATE outbox SET secret = (SELECT secret FROM outbox WHERE sequence = 1)"),
                0);
        /* The first is its own; the second cannot be opened, and holds up nothing. */
        assert_int_equal(ledger_outbox_each(p->ledger, 0, 1, send_one, &s), 0);
        assert_int_equal(s.secrets, 1);
        assert_int_equal(ledger_outbox_each(p->ledger, 1, 1, is_unreadable, NULL), 1);
}

static void test_wal_many_commits_without_idle_moments_stays_bounded(void **state) {
        Place *p = *state;
        char wal[128];
        FILE *f;

        for (int i = 0; i < 600; i++) {
                assert_true(deposit(p->ledger, "1", 1, "AAAAAA") > 0);
                assert_int_equal(collect(p->ledger, (uint64_t)number(p->ledger, "SELECT id FROM parcel")), 0);
        }
        snprintf(wal, sizeof(wal), "%s-wal", p->path);
        f = fopen(wal, "r");
        assert_non_null(f);
        fseek(f, 0, SEEK_END);
        assert_in_range(ftell(f), 1, 5 << 20);
        fclose(f);
        assert_true(deposit(p->ledger, "1", 1, "AAAAAA") > 0);
        assert_int_equal(ledger_checkpoint(p->ledger), 0);
        assert_false(ledger_wants_checkpoint(p->ledger));
        assert_consistent(p->path);
}

/* What a commit appends to the log. A parcel's life has sixteen commits.
 * Requirement: P7 */
static void test_wal_small_changes_write_little(void **state) {
        Place *p = *state;

        assert_true(deposit(p->ledger, "1", 1, "AAAAAA") > 0); /* pages that are new */
        assert_int_equal(collect(p->ledger, (uint64_t)number(p->ledger, "SELECT id FROM parcel")), 0);
        assert_int_equal(ledger_checkpoint(p->ledger), 0);
        begin(p->ledger);
        assert_int_equal(ledger_record(p->ledger, &a_record, &(Now){.wall_usec = 1}, NULL), 0);
        assert_int_equal(ledger_commit(p->ledger), 0); /* the log begins again */
        int before = p->ledger->wal_pages;
        assert_true(deposit(p->ledger, "1", 1, "BBBBBB") > 0);
        assert_int_equal(collect(p->ledger, (uint64_t)number(p->ledger, "SELECT id FROM parcel")), 0);
        int pages = p->ledger->wal_pages - before;
        print_message("a deposit and a collection: %d pages of %d bytes\n", pages, p->ledger->page_size);
        assert_in_range(pages * (p->ledger->page_size + 24), 1, 64 * 1024);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_ledger, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_transaction_rolled_back_leaves_nothing),
                TEST(test_transaction_record_outside_or_begun_twice_refused),
                TEST(test_transaction_failed_inside_cannot_be_committed),
                TEST(test_transaction_rolled_back_underneath_nothing_goes_on),
                TEST(test_outbox_sent_in_order_acknowledged_ones_never_again),
                TEST(test_outbox_summarised_only_routine_goes_and_stays_in_the_ledger),
                TEST(test_outbox_acknowledged_secret_is_gone_from_the_file),
                TEST(test_outbox_secret_of_another_event_refused),
                TEST(test_wal_many_commits_without_idle_moments_stays_bounded),
                TEST(test_wal_small_changes_write_little),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
