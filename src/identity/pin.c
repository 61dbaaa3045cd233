/* SPDX-License-Identifier: Apache-2.0 */
/* A courier's PIN. */
#include "identity/hash_wire.h"
#include "identity/job.h"

#include <errno.h>

static int acceptable(const uint8_t *pin, size_t n, unsigned shortest, const char **ret_sentence) {
        for (size_t i = 0; i < n; i++)
                if (pin[i] < '0' || pin[i] > '9')
                        n = 0;
        if (!n) {
                *ret_sentence = "pin: digits";
                return -EINVAL;
        }
        return n < shortest || secret_is_too_simple(pin, n) ? -EDOM : 0;
}

const Verifier verifier_pin = {
        .kind = CREDENTIAL_PIN,
        .evidence_max = HASH_SECRET_MAX,
        .acceptable = acceptable,
        VERIFIED_BY_HASH,
};
