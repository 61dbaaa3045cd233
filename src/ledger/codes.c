/* SPDX-License-Identifier: Apache-2.0 */
/* Pickup codes of live parcels. The plaintext never reaches the file. */
#include "ledger/sql.h"

#include <errno.h>
#include <openssl/crypto.h>

static void code_mac(const Ledger *l, const char *code, uint8_t ret[VAULT_MAC_SIZE]) {
        vault_mac(l->vault, VAULT_CODE, code, strlen(code), ret);
}

int ledger_code_set(Ledger *l, uint64_t parcel, const char *code) {
        _cleanup_query_ Query q = {0};
        uint8_t mac[VAULT_MAC_SIZE];

        int r = query_begin(&q, l, SQL_CODE_SET);
        if (r < 0)
                return r;
        code_mac(l, code, mac);
        query_u64(&q, 1, parcel);
        query_blob(&q, 2, mac, sizeof(mac));
        return query_run(&q);
}

int ledger_code_find(Ledger *l, const char *code, uint64_t *ret_parcel) {
        _cleanup_query_ Query q = {0};
        uint8_t mac[VAULT_MAC_SIZE];

        int r = query_begin(&q, l, SQL_CODE_FIND);
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

bool ledger_code_matches(Ledger *l, uint64_t parcel, const char *code) {
        _cleanup_query_ Query q = {0};
        uint8_t mac[VAULT_MAC_SIZE], stored[VAULT_MAC_SIZE] = {0};

        if (query_begin(&q, l, SQL_CODE_GET) < 0)
                return false;
        query_u64(&q, 1, parcel);
        bool known = query_row(&q) >= 0 && column_bytes(&q, 0, stored, sizeof(stored)) >= 0;
        /* Constant work, whether there is a code or not. */
        code_mac(l, code, mac);
        return (CRYPTO_memcmp(mac, stored, sizeof(mac)) == 0) & known;
}

int ledger_code_exists(Ledger *l, uint64_t parcel) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_CODE_GET);
        if (r < 0)
                return r;
        query_u64(&q, 1, parcel);
        r = query_row(&q);
        return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

int ledger_code_erase(Ledger *l, uint64_t parcel) {
        _cleanup_query_ Query q = {0};

        int r = query_begin(&q, l, SQL_CODE_ERASE);
        if (r < 0)
                return r;
        query_u64(&q, 1, parcel);
        return query_run(&q);
}
