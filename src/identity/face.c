/* SPDX-License-Identifier: Apache-2.0 */
/* A face, seen by the cabinet's own camera (lockerd-face). */
#include "identity/matcher.h"
#include "identity/matcher_wire.h"

#include <errno.h>

/* Whoever asks has nothing to say about it: it comes from the camera alone. */
static int acceptable(const uint8_t *evidence, size_t n, unsigned shortest, const char **ret_sentence) {
        if (!n)
                return 0;
        *ret_sentence = "face: comes from the cabinet's camera";
        return -EINVAL;
}

static void health(const Identity *i, IdentityHealth *ret) {
        matcher_health(i, CREDENTIAL_FACE, ret);
}

const Verifier verifier_face = {
        .kind = CREDENTIAL_FACE,
        .abilities = VERIFIER_ENROLS | VERIFIER_VERIFIES | VERIFIER_HAS_PROGRESS | VERIFIER_HAS_DEVICE,
        .evidence_max = 0,
        .template_max = MATCHER_TEMPLATE_MAX,
        .acceptable = acceptable,
        .enrol = matcher_add,
        .verify = matcher_add,
        .cancel = matcher_cancel,
        .health = health,
};
