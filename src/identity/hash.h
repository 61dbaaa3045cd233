/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets to verification data and back to yes or no: scrypt over HMAC-SHA256(pepper, secret). The data names
 * its own parameters, so that the configured cost can change without enrolling everybody again. */
#pragma once

#include "identity/hash_wire.h"

/* Works on one question. The answer's result is HASH_FAILED when it is not well-formed. */
void hash_answer(const HashQuestion *q, HashAnswer *ret);
