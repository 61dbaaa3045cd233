/* SPDX-License-Identifier: Apache-2.0 */
/* What is published: topics, and tokens by which the acknowledgements are told apart. */
#pragma once

#include <stdint.h>

#define TOPIC_MAX 256

/* Tokens of publications: events by their sequence number, the rest above. */
#define TOKEN_NOBODY  0
#define TOKEN_LINEAGE (UINT64_C(1) << 61)
#define TOKEN_REPLAY  (UINT64_C(1) << 62)
#define TOKEN_STATE   (UINT64_C(1) << 63)
