/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of kinds of credentials, by the names of their table: of all, or of those that may suffice alone. */
#include "config/keys.h"
#include "core/credential.h"

#include <errno.h>
#include <stdio.h>

#define BLANKS " \t"

static bool is_allowed(const ConfigKey *key, CredentialKind k) {
        return key->type == &key_kinds || credential_info(k)->alone;
}

static int parse_kinds(const ConfigKey *key, const IniEntry *entry, void *field) {
        const char *s = entry->value;
        uint32_t kinds = 0;

        if (streq(s, "none")) {
                *(uint32_t *)field = 0;
                return 0;
        }
        while (*(s += strspn(s, BLANKS))) {
                size_t n = strcspn(s, BLANKS);
                CredentialKind k = credential_kind_from_string(s, n);
                if (k == CREDENTIAL_NONE || !is_allowed(key, k))
                        return -EINVAL;
                kinds |= credential_bit(k);
                s += n;
        }
        *(uint32_t *)field = kinds;
        return 0;
}

static void describe_kinds(const ConfigKey *key, char *buffer, size_t size) {
        unsigned kinds = 0;
        char names[160];

        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++)
                if (is_allowed(key, k))
                        kinds |= credential_bit(k);
        credential_names(kinds, " and ", names, sizeof(names));
        snprintf(buffer, size, "\"none\", or kinds of credentials with blanks between them (of %s)", names);
}

const KeyType key_kinds = {sizeof(uint32_t), parse_kinds, describe_kinds};
const KeyType key_alone = {sizeof(uint32_t), parse_kinds, describe_kinds};
