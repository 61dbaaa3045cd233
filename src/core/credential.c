/* SPDX-License-Identifier: Apache-2.0 */
#include "core/credential.h"
#include "core/lockout.h"

static const CredentialInfo kinds[] = {
#define X(id, name, evidence, claim, courier, space) {#name, evidence, claim, courier, space},
        CREDENTIAL_KINDS(X)
#undef X
};

const CredentialInfo *credential_info(CredentialKind k) {
        return &kinds[k];
}

const char *credential_kind_to_string(CredentialKind k) {
        return kinds[k].name;
}

CredentialKind credential_kind_from_string(const char *name, size_t n) {
        for (int i = 0; i < CREDENTIAL_KINDS_MAX; i++)
                if (strlen(kinds[i].name) == n && !memcmp(kinds[i].name, name, n))
                        return (CredentialKind)i;
        return CREDENTIAL_NONE;
}

CredentialKind credential_kind_of_evidence(const char *evidence) {
        for (int i = 0; i < CREDENTIAL_KINDS_MAX; i++)
                if (streq(kinds[i].evidence, evidence))
                        return (CredentialKind)i;
        return CREDENTIAL_NONE;
}

CredentialKind credential_kind_for(bool courier) {
        for (int i = 0; i < CREDENTIAL_KINDS_MAX; i++)
                if (kinds[i].courier == courier)
                        return (CredentialKind)i;
        return CREDENTIAL_NONE;
}

uint64_t credential_space(CredentialKind k, size_t n, unsigned shortest) {
        return kinds[k].space ? kinds[k].space : lockout_digits(MAX(n, (size_t)shortest));
}
