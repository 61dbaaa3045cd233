/* SPDX-License-Identifier: Apache-2.0 */
/* Pickup codes: generation from random bits and normalisation of typed codes. The keyed hash is computed by
 * the ledger. */
#pragma once

#include "core/settings.h"

#define CODE_LENGTH 6

/* Generates a code of CODE_LENGTH symbols from `random` (uniform 64 bits). The bias of digits is below
 * 2⁻⁴⁴. */
void code_from_random(CodeAlphabet alphabet, uint64_t random, char ret[CODE_LENGTH + 1]);

/* Normalises a typed code: blanks and '-' are dropped; in Crockford's base32 lower case is raised and O→0,
 * I→1, L→1; U is refused. Returns 0, or -EINVAL unless exactly CODE_LENGTH valid symbols remain. */
int code_normalise(CodeAlphabet alphabet, const char *typed, char ret[CODE_LENGTH + 1]);

/* Codes of digits are guessable: they are accepted only together with a claim (slot or phone tail). */
bool code_needs_claim(CodeAlphabet alphabet);
const char *code_alphabet_to_string(CodeAlphabet a); /* "crockford", "digits" */

/* How many different codes there are. */
uint64_t code_space(CodeAlphabet alphabet);
#define CODE_NEIGHBOURS_MAX (CODE_LENGTH * 31 + CODE_LENGTH)
/* The codes that somebody may have meant who typed this one: itself, one symbol another, two next to each
 * other exchanged. Returns how many. */
size_t code_neighbours(CodeAlphabet alphabet, const char *code,
                       char ret[CODE_NEIGHBOURS_MAX][CODE_LENGTH + 1]);
