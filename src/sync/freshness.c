/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/freshness.h"
#include "base/macros.h"
#include "base/text.h"
#include "ledger/vault.h"

static bool is_good(const Freshness *f, size_t i, uint64_t now_boot, uint64_t life) {
        return *f->nonces[i].text && now_boot >= f->nonces[i].made && now_boot - f->nonces[i].made < life;
}

int freshness_nonce(Freshness *f, uint64_t now_boot, const char **ret) {
        uint8_t random[(FRESHNESS_NONCE_MAX - 1) / 2];

        if (!is_good(f, 0, now_boot, FRESHNESS_RENEW_USEC)) {
                int r = vault_random(random, sizeof(random));
                if (r < 0)
                        return r;
                f->nonces[1] = f->nonces[0];
                text_to_hex(random, sizeof(random), f->nonces[0].text);
                f->nonces[0].made = now_boot;
        }
        *ret = f->nonces[0].text;
        return 0;
}

bool freshness_proves(const Freshness *f, uint64_t now_boot, const char *nonce) {
        for (size_t i = 0; nonce && *nonce && i < ARRAY_SIZE(f->nonces); i++)
                if (is_good(f, i, now_boot, FRESHNESS_LIFE_USEC) && streq(f->nonces[i].text, nonce))
                        return true;
        return false;
}

void freshness_renew(Freshness *f) {
        *f = (Freshness){0};
}
