/* SPDX-License-Identifier: Apache-2.0 */
/* A card: a barcode or QR code, printed or on a display, that a scanner types. Whoever has the card, or a
 * photograph of it, has what it says: it counts with the claim alone, and must be long enough that nobody
 * finds one. A hash of high cost adds nothing to a secret of that length. */
#include "identity/hash_wire.h"
#include "identity/job.h"

#include <errno.h>

static int acceptable(const uint8_t *card, size_t n, unsigned shortest, const char **ret_sentence) {
        for (size_t i = 0; i < n; i++)
                if (card[i] <= 0x20 || card[i] >= 0x7f) {
                        *ret_sentence =
                                "card: printable ASCII characters without blanks, as the scanner types them";
                        return -EINVAL;
                }
        if (n < shortest) {
                *ret_sentence = "card: too short for a secret (MinimumCardLength=)";
                return -EINVAL;
        }
        return secret_is_too_simple(card, n) ? -EDOM : 0;
}

const Verifier verifier_card = {
        .kind = CREDENTIAL_CARD,
        .evidence_max = HASH_SECRET_MAX,
        .acceptable = acceptable,
        VERIFIED_BY_HASH,
};
