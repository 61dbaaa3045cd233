/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from outside, read so that two readers cannot understand it differently: one object and nothing behind
 * it, no key twice, valid UTF-8, no NUL, not nested deeper than needed. */
#pragma once

#include "base/macros.h"
#include <jansson.h>

#define STRICT_JSON_DEPTH_MAX 16
#define MESSAGE_DETAIL_MAX    256

/* what: "The command", for the sentence. 0, LOCKER_E_INVALID_ARGUMENT with a detail that repeats nothing of
 * the text (it may be a password), or -ENOMEM. */
int strict_json_object(const char *what, const void *text, size_t n, json_t **ret,
                       char ret_detail[MESSAGE_DETAIL_MAX]);
/* A key that may be anything at all, as it may be shown. */
void strict_json_printable(const char *key, char *ret, size_t room);
/* The string, also when it was cut in the middle of a character. NULL: out of memory. */
json_t *json_text(const char *s);
/* Overwrites all strings in memory before giving up the reference, unless somebody else holds it too. Accepts
 * NULL. */
void json_erase(json_t *j);

static inline void json_erasep(json_t **j) {
        json_erase(*j);
}
#define _cleanup_json_ _cleanup_(json_erasep)
