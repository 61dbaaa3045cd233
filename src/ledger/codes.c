/* SPDX-License-Identifier: Apache-2.0 */
/* Pickup codes of live parcels. The plaintext never reaches the file. */
#include "ledger/sql.h"
#include "ledger/codes.h"

#include <errno.h>
#include <openssl/crypto.h>

#define SPENT_CODES_MAX 4096 /* more than a cabinet turns over in the time for which a code is valid */

static void code_mac(const Ledger *l, const char *code, uint8_t ret[VAULT_MAC_SIZE]) {
        vault_mac(l->vault, VAULT_CODE, code, strlen(code), ret);
}

static int run_with(Ledger *l, Statement statement, uint64_t parcel, const uint8_t *mac) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, statement);
        if (r < 0)
                return r;
        query_u64(&q, 1, parcel);
        if (mac)
                query_blob(&q, 2, mac, VAULT_MAC_SIZE);
        return query_run(&q);
}

/* Codes are unique over both tables; the caller's transaction keeps it so. */
static int code_put(Ledger *l, Statement statement, uint64_t parcel, const char *code) {
        uint8_t mac[VAULT_MAC_SIZE];
        uint64_t other;
        int r = ledger_code_find(l, code, &other);

        if (r != -ENOENT)
                return r < 0 ? r : -EEXIST;
        code_mac(l, code, mac);
        return run_with(l, statement, parcel, mac);
}

/* What opened it is remembered as what does so no longer. */
static int spend(Ledger *l, uint64_t parcel) {
        int r = run_with(l, SQL_CODE_SPEND, parcel, NULL);

        return r < 0 || sqlite3_changes(l->db) == 0
                       ? r
                       : run_with(l, SQL_CODE_FORGET_SPENT, SPENT_CODES_MAX, NULL);
}

int ledger_code_set(Ledger *l, uint64_t parcel, const char *code) {
        uint8_t mac[VAULT_MAC_SIZE];
        uint64_t owner;
        bool own;
        int r = ledger_code_find(l, code, &owner);

        /* Before anything is changed: the caller's transaction is still good, and may try another. */
        if (r >= 0 && owner != parcel)
                return -EEXIST;
        if (r < 0 && r != -ENOENT)
                return r;
        r = scope_begin(l, &own);
        if (r < 0)
                return r;
        code_mac(l, code, mac);
        /* A row that somebody else has changed stays wrong when it is updated. */
        r = spend(l, parcel);
        if (r >= 0)
                r = run_with(l, SQL_CODE_ERASE, parcel, NULL);
        if (r >= 0)
                r = run_with(l, SQL_CODE_ERASE_RENEWED, parcel, NULL);
        if (r >= 0)
                r = run_with(l, SQL_CODE_SET, parcel, mac);
        return scope_end(l, own, r);
}

int ledger_code_renew(Ledger *l, uint64_t parcel, const char *code) {
        return code_put(l, SQL_CODE_RENEW, parcel, code);
}

static int find(Ledger *l, Statement statement, const char *code, uint64_t *ret_parcel) {
        _cleanup_query_ Query q = {0};
        uint8_t mac[VAULT_MAC_SIZE];

        int r = query_begin(&q, l, statement);
        if (r < 0)
                return r;
        code_mac(l, code, mac);
        query_blob(&q, 1, mac, sizeof(mac));
        r = query_row(&q);
        if (r < 0)
                return r;
        *ret_parcel = column_u64(&q, 0);
        return 0;
}

int ledger_code_find(Ledger *l, const char *code, uint64_t *ret_parcel) {
        return find(l, SQL_CODE_FIND, code, ret_parcel);
}

static bool mac_matches(Ledger *l, Statement statement, uint64_t parcel, const uint8_t mac[VAULT_MAC_SIZE]) {
        _cleanup_query_ Query q = {0};
        uint8_t stored[VAULT_MAC_SIZE] = {0};

        if (query_begin(&q, l, statement) < 0)
                return false;
        query_u64(&q, 1, parcel);
        bool known = query_row(&q) >= 0 && column_bytes(&q, 0, stored, sizeof(stored)) >= 0;
        return (CRYPTO_memcmp(mac, stored, sizeof(stored)) == 0) & known;
}

bool ledger_code_matches(Ledger *l, uint64_t parcel, const char *code) {
        uint8_t mac[VAULT_MAC_SIZE];

        /* The same work whether there is a code or not. */
        code_mac(l, code, mac);
        bool first = mac_matches(l, SQL_CODE_GET, parcel, mac);
        return mac_matches(l, SQL_CODE_GET_RENEWED, parcel, mac) | first;
}

static int one_is_there(Ledger *l, Statement statement, uint64_t parcel) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, statement);
        if (r < 0)
                return r;
        query_u64(&q, 1, parcel);
        r = query_row(&q);
        return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

int ledger_code_exists(Ledger *l, uint64_t parcel) {
        int r = one_is_there(l, SQL_CODE_GET, parcel);
        if (r <= 0)
                return r;
        int renewed = one_is_there(l, SQL_CODE_GET_RENEWED, parcel);
        return renewed < 0 ? renewed : 1 + renewed;
}

int ledger_code_count(Ledger *l, uint64_t *ret) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_CODE_COUNT);
        if (r >= 0)
                r = query_row(&q);
        if (r >= 0)
                *ret = column_u64(&q, 0);
        return r < 0 ? r : 0;
}

int ledger_code_find_spent(Ledger *l, const char *code, uint64_t *ret_parcel) {
        return find(l, SQL_CODE_FIND_SPENT, code, ret_parcel);
}

int ledger_code_erase(Ledger *l, uint64_t parcel) {
        bool own;
        int r = scope_begin(l, &own);

        if (r < 0)
                return r;
        r = spend(l, parcel);
        if (r >= 0)
                r = run_with(l, SQL_CODE_ERASE_RENEWED, parcel, NULL);
        if (r >= 0)
                r = run_with(l, SQL_CODE_ERASE, parcel, NULL);
        return scope_end(l, own, r);
}
