/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of credentials, and everything that other modules must know of one. A new kind is a row here and
 * a file in src/identity/ with its verifier: the names on the bus, in the ledger and in the lockouts, what is
 * asked for and who may have it come from this table. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(ID, name, evidence, claim, courier, space)
 * name:     of the kind, wherever it is named; its verifier is verifier_<name>
 * evidence: "kind" of Session.Authenticate
 * claim:    what is told first: "number" or "phone", a courier's or a recipient's
 * courier:  a courier's; else a recipient's
 * space:    equally likely values, for the guessing budgets; 0: 10 to the number of characters */
#define CREDENTIAL_KINDS(X)                           \
        X(PIN, pin, "courier-pin", "number", true, 0) \
        X(PASSWORD, password, "password", "phone", false, 1000000)

/* clang-format off */
typedef enum CredentialKind {
#define X(id, name, evidence, claim, courier, space) CREDENTIAL_##id,
        CREDENTIAL_KINDS(X)
#undef X
        CREDENTIAL_KINDS_MAX,
        CREDENTIAL_NONE = -1,
} CredentialKind;
/* clang-format on */

/* Evidence and templates are byte strings with a length; none is longer. */
#define CREDENTIAL_DATA_MAX (64 * 1024)

typedef struct CredentialInfo {
        const char *name, *evidence, *claim;
        bool courier;
        uint64_t space;
} CredentialInfo;

const CredentialInfo *credential_info(CredentialKind k);
const char *credential_kind_to_string(CredentialKind k);
CredentialKind credential_kind_from_string(const char *name, size_t n); /* CREDENTIAL_NONE */
CredentialKind credential_kind_of_evidence(const char *evidence);       /* CREDENTIAL_NONE */
/* The first kind that a courier, or a recipient, may have. */
CredentialKind credential_kind_for(bool courier);
/* How many equally likely values a guess of n bytes is one of; short: no secret is shorter than this. */
uint64_t credential_space(CredentialKind k, size_t n, unsigned shortest);
