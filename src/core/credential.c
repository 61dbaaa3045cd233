/* SPDX-License-Identifier: Apache-2.0 */
#include "core/credential.h"
#include "core/lockout.h"

#include <stdio.h>

static const CredentialInfo kinds[] = {
#define X(id, name, evidence, holders, alone, reader, space, budget) \
        {#name, evidence, holders, alone, reader, space, CREDENTIAL_##budget},
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

bool credential_has_reader(CredentialKind k) {
        return kinds[k].reader;
}

bool credential_may_be_of(CredentialKind k, bool courier) {
        return kinds[k].holders & (courier ? HOLDER_COURIER : HOLDER_RECIPIENT);
}

void credential_names(unsigned set, const char *last, char *ret, size_t room) {
        unsigned left = 0;
        size_t n = 0;

        *ret = 0;
        for (int i = 0; i < CREDENTIAL_KINDS_MAX; i++)
                left += (set >> i) & 1;
        for (int i = 0; i < CREDENTIAL_KINDS_MAX && n < room; i++) {
                if (!((set >> i) & 1))
                        continue;
                const char *separator = n == 0 ? "" : left == 1 ? last : ", ";
                n += (size_t)snprintf(ret + n, room - n, "%s%s", separator, kinds[i].name);
                left--;
        }
}

uint64_t credential_space(CredentialKind k, size_t n, unsigned shortest) {
        return kinds[k].space ? kinds[k].space : lockout_digits(MAX(n, (size_t)shortest));
}
