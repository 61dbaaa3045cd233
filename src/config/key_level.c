/* SPDX-License-Identifier: Apache-2.0 */
/* Levels of sound, below the loudest that can be told. */
#include "base/text.h"
#include "config/keys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static int parse_level(const ConfigKey *key, const IniEntry *entry, void *field) {
        const char *s = entry->value;
        size_t n = strlen(s);
        char digits[8];
        uint64_t v;

        if (n < 4 || n - 3 >= sizeof(digits) || s[0] != '-' || !streq(s + n - 2, "dB"))
                return -EINVAL;
        memcpy(digits, s + 1, n - 3);
        digits[n - 3] = 0;
        if (!text_is_digits(digits))
                return -EINVAL;
        int r = text_to_u64(digits, key->max, &v);
        if (r < 0)
                return r;
        if (v < key->min)
                return -ERANGE;
        *(unsigned *)field = (unsigned)v;
        return 0;
}

static void describe_level(const ConfigKey *key, char *buffer, size_t size) {
        snprintf(buffer, size, "a level from -%" PRIu64 "dB to -%" PRIu64 "dB", key->max, key->min);
}

const KeyType key_level = {sizeof(unsigned), parse_level, describe_level};
