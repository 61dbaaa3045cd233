/* SPDX-License-Identifier: Apache-2.0 */
/* An enrolled recipient's password. */
#include "identity/hash_wire.h"
#include "identity/job.h"

#include <errno.h>

static int acceptable(const uint8_t *password, size_t n, unsigned shortest, const char **ret_sentence) {
        return n < shortest || secret_is_too_simple(password, n) ? -EDOM : 0;
}

const Verifier verifier_password = {
        .kind = CREDENTIAL_PASSWORD,
        .evidence_max = HASH_SECRET_MAX,
        .acceptable = acceptable,
        VERIFIED_BY_HASH,
};
