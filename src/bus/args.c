/* SPDX-License-Identifier: Apache-2.0 */
/* Strict reading of arguments: unknown or invalid ones are refused, with a sentence that names the
 * allowed values, before anything is done. A silently ignored key would be a request that is silently
 * not fulfilled. */
#include "bus/args.h"
#include "bus/names.h"
#include "base/text.h"
#include "core/credential.h"
#include "core/limits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define KEYS_MAX 32

int args_invalid(sd_bus_error *e, const char *format, ...) {
        char text[512];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        return sd_bus_error_set(e, BUS_ERROR_PREFIX "InvalidArgument", text);
}

int args_check_text(const char *name, const char *value, size_t max, sd_bus_error *e) {
        if (strlen(value) > max)
                return args_invalid(e, "\"%s\" is too long: at most %zu bytes are allowed.", name, max);
        if (text_has_control(value))
                return args_invalid(e, "\"%s\" contains control characters; only printable text is allowed.",
                                    name);
        return 0;
}

int args_check_reason(const char *reason, sd_bus_error *e) {
        if (reason[strspn(reason, " ")] == '\0')
                return args_invalid(e, "A reason is needed: it is written into the audit trail.");
        return args_check_text("reason", reason, limit_of("reason"), e);
}

static const char *type_name(char type) {
        return type == 's' ? "a string (s)" : type == 't' ? "a number (t)" : "a boolean (b)";
}

/* The key is untrusted and not printed unfiltered. */
static void printable_key(const char *key, char *ret, size_t room) {
        size_t n = 0;

        for (; key[n] && n < room - 1; n++)
                ret[n] = key[n] > 0x20 && key[n] < 0x7f && key[n] != '"' ? key[n] : '?';
        ret[n] = '\0';
}

static int unknown_key(const char *key, const ArgKey *keys, size_t n_keys, sd_bus_error *e) {
        char shown[41], allowed[320] = "";
        size_t n = 0;

        printable_key(key, shown, sizeof(shown));
        for (size_t i = 0; i < n_keys && n < sizeof(allowed); i++)
                n += (size_t)snprintf(allowed + n, sizeof(allowed) - n, "%s%s", i ? ", " : "", keys[i].name);
        return args_invalid(e, "\"%s\" is not known here; allowed are: %s.", shown, allowed);
}

static int read_value(sd_bus_message *m, const ArgKey *key, void *to, sd_bus_error *e) {
        const char type[2] = {key->type, '\0'};
        const char *contents;
        char kind;
        int r;

        r = sd_bus_message_peek_type(m, &kind, &contents);
        if (r < 0)
                return r;
        if (kind != 'v' || !streq(contents, type))
                return args_invalid(e, "\"%s\" must be %s.", key->name, type_name(key->type));
        r = sd_bus_message_enter_container(m, 'v', type);
        if (r < 0)
                return r;
        if (key->type == 's') {
                const char *s;

                r = sd_bus_message_read_basic(m, 's', &s);
                if (r >= 0)
                        r = args_check_text(key->name, s, limit_of(key->name), e);
                if (r < 0)
                        return r;
                *(const char **)to = s;
        } else if (key->type == 't') {
                r = sd_bus_message_read_basic(m, 't', to);
        } else {
                int truth;

                r = sd_bus_message_read_basic(m, 'b', &truth);
                if (r >= 0)
                        *(bool *)to = truth;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_entry(sd_bus_message *m, const ArgKey *keys, size_t n_keys, bool *seen, void *ret,
                      sd_bus_error *e) {
        const char *key;
        int r;

        r = sd_bus_message_read_basic(m, 's', &key);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_keys; i++) {
                if (!streq(keys[i].name, key))
                        continue;
                if (seen[i])
                        return args_invalid(e, "\"%s\" is given twice; once is allowed.", key);
                seen[i] = true;
                return read_value(m, &keys[i], (char *)ret + keys[i].offset, e);
        }
        return unknown_key(key, keys, n_keys, e);
}

int args_read_dictionary(sd_bus_message *m, const ArgKey *keys, size_t n_keys, void *ret, sd_bus_error *e) {
        bool seen[KEYS_MAX] = {false};
        int r;

        if (n_keys > KEYS_MAX)
                return -E2BIG;
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_entry(m, keys, n_keys, seen, ret, e);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_keys; i++)
                if (keys[i].required && !seen[i])
                        return args_invalid(e, "\"%s\" is missing: %s is needed.", keys[i].name,
                                            type_name(keys[i].type));
        return sd_bus_message_exit_container(m);
}

int args_append_kinds(sd_bus_message *m, unsigned kinds) {
        int r = sd_bus_message_open_container(m, 'a', "s");

        for (CredentialKind k = 0; r >= 0 && k < CREDENTIAL_KINDS_MAX; k++)
                if (kinds & credential_bit(k))
                        r = sd_bus_message_append(m, "s", credential_kind_to_string(k));
        return r < 0 ? r : sd_bus_message_close_container(m);
}
