/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of credentials, and everything that other modules must know of one. A new kind is a row here and
 * a file in src/identity/ with its verifier: the names on the bus, in the ledger and in the lockouts, what is
 * asked for and who may have it come from this table. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whose a kind may be. */
#define HOLDER_COURIER   1
#define HOLDER_RECIPIENT 2
#define HOLDER_ANYBODY   (HOLDER_COURIER | HOLDER_RECIPIENT)

/* X(ID, name, evidence, holders, alone, reader, space, budget)
 * name:     of the kind, wherever it is named; its verifier is verifier_<name>
 * evidence: "kind" of Session.Authenticate
 * holders:  whose it may be; a courier's belongs to a number that is told first, a recipient's to a phone
 * alone:    whether it may suffice without another kind; it does, unless lockerd.conf says otherwise
 *           (core/sufficiency.h)
 * reader:   it comes from a reader of the cabinet's; nobody may present it
 * space:    equally likely values, for the guessing budgets; 0: 10 to the number of characters
 * budget:   whose guesses at a terminal it shares: one kind more that recipients remember is not one budget
 *           more for a guesser (docs/guessing.md) */
#define CREDENTIAL_KINDS(X)                                                                         \
        X(PIN, pin, "courier-pin", HOLDER_COURIER, true, false, 0, PIN)                             \
        X(PASSWORD, password, "password", HOLDER_RECIPIENT, true, false, 1000000, PASSWORD)         \
        X(PATTERN, pattern, "pattern", HOLDER_ANYBODY, true, false, 387488, PASSWORD)               \
        X(CARD, card, "card", HOLDER_ANYBODY, true, false, 0, CARD)                                 \
        X(FINGERPRINT, fingerprint, "fingerprint", HOLDER_ANYBODY, true, true, 100000, FINGERPRINT) \
        X(FACE, face, "face", HOLDER_ANYBODY, false, true, 100000, FACE)                            \
        X(VOICE, voice, "voice", HOLDER_ANYBODY, false, true, 1000000, VOICE)

/* clang-format off */
typedef enum CredentialKind {
#define X(id, ...) CREDENTIAL_##id,
        CREDENTIAL_KINDS(X)
#undef X
        CREDENTIAL_KINDS_MAX,
        CREDENTIAL_NONE = -1,
} CredentialKind;
/* clang-format on */

/* Evidence and templates are byte strings with a length; none is longer. */
#define CREDENTIAL_DATA_MAX (64 * 1024)

typedef struct CredentialInfo {
        const char *name, *evidence;
        unsigned holders; /* HOLDER_… */
        bool alone, reader;
        uint64_t space;
        CredentialKind budget;
} CredentialInfo;

const CredentialInfo *credential_info(CredentialKind k);
const char *credential_kind_to_string(CredentialKind k);
CredentialKind credential_kind_from_string(const char *name, size_t n); /* CREDENTIAL_NONE */
CredentialKind credential_kind_of_evidence(const char *evidence);       /* CREDENTIAL_NONE */
bool credential_has_reader(CredentialKind k);
bool credential_may_be_of(CredentialKind k, bool courier);
/* "password, pattern or card": the kinds of a set (bits of CredentialKind), cut when it does not fit. */
void credential_names(unsigned kinds, const char *last, char *ret, size_t room);
static inline unsigned credential_bit(CredentialKind k) {
        return 1U << k;
}
/* How many equally likely values a guess of n bytes is one of; short: no secret is shorter than this. */
uint64_t credential_space(CredentialKind k, size_t n, unsigned shortest);
