/* SPDX-License-Identifier: Apache-2.0 */
/* A passphrase that is spoken into the cabinet's own microphone (lockerd-voice). */
#include "identity/matcher.h"
#include "identity/matcher_wire.h"

#include <errno.h>

/* Whoever asks has nothing to say about it: it comes from the microphone alone. */
static int acceptable(const uint8_t *evidence, size_t n, unsigned shortest, const char **ret_sentence) {
        if (!n)
                return 0;
        *ret_sentence = "voice: comes from the cabinet's microphone";
        return -EINVAL;
}

static void health(const Identity *i, IdentityHealth *ret) {
        matcher_health(i, CREDENTIAL_VOICE, ret);
}

const Verifier verifier_voice = {
        .kind = CREDENTIAL_VOICE,
        .abilities = VERIFIER_ENROLS | VERIFIER_VERIFIES | VERIFIER_HAS_PROGRESS | VERIFIER_HAS_DEVICE,
        .evidence_max = 0,
        .template_max = MATCHER_TEMPLATE_MAX,
        .acceptable = acceptable,
        .enrol = matcher_add,
        .verify = matcher_add,
        .cancel = matcher_cancel,
        .health = health,
};
