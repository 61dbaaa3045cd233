/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of kinds of credentials, by the names of their table. */
#include "config/keys.h"
#include "core/credential.h"

#include <errno.h>
#include <stdio.h>

#define BLANKS " \t"

static uint32_t allowed(bool alone) {
        uint32_t kinds = 0;

        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++)
                if (!alone || credential_info(k)->alone)
                        kinds |= credential_bit(k);
        return kinds;
}

static int parse(const char *s, bool alone, uint32_t *ret) {
        uint32_t kinds = 0;

        if (streq(s, "none")) {
                *ret = 0;
                return 0;
        }
        while (*(s += strspn(s, BLANKS))) {
                size_t n = strcspn(s, BLANKS);
                CredentialKind k = credential_kind_from_string(s, n);
                if (k == CREDENTIAL_NONE || !(allowed(alone) & credential_bit(k)))
                        return -EINVAL;
                kinds |= credential_bit(k);
                s += n;
        }
        *ret = kinds;
        return 0;
}

static void describe(bool alone, char *buffer, size_t size) {
        char names[160];

        credential_names(allowed(alone), " and ", names, sizeof(names));
        snprintf(buffer, size, "\"none\", or kinds of credentials with blanks between them (of %s)", names);
}

static int parse_kinds(_unused_ const ConfigKey *key, const IniEntry *entry, void *field) {
        return parse(entry->value, false, field);
}

static void describe_kinds(_unused_ const ConfigKey *key, char *buffer, size_t size) {
        describe(false, buffer, size);
}

static int parse_alone(_unused_ const ConfigKey *key, const IniEntry *entry, void *field) {
        return parse(entry->value, true, field);
}

static void describe_alone(_unused_ const ConfigKey *key, char *buffer, size_t size) {
        describe(true, buffer, size);
}

const KeyType key_kinds = {sizeof(uint32_t), parse_kinds, describe_kinds};
const KeyType key_kinds_alone = {sizeof(uint32_t), parse_alone, describe_alone};
