/* SPDX-License-Identifier: Apache-2.0 */
#include "config/keys.h"

#include <assert.h>
#include <errno.h>

static const ConfigKey *key_find(const ConfigKey *keys, size_t n_keys, const char *name) {
        for (size_t i = 0; i < n_keys; i++)
                if (streq(keys[i].name, name))
                        return &keys[i];
        return NULL;
}

static void complain_unknown(Complaints *c, const IniSection *s, const IniEntry *e, const ConfigKey *keys,
                             size_t n_keys) {
        Suggestion suggestion = {.typed = e->key};

        for (size_t i = 0; i < n_keys; i++)
                suggestion_offer(&suggestion, keys[i].name);
        if (suggestion.best || n_keys > 6) {
                complain(c, s, e, "there is no such key in [%s]" SUGGESTION_FORMAT, s->kind,
                         SUGGESTION_ARGS(suggestion));
                return;
        }

        char known[256];
        size_t at = 0;
        for (size_t i = 0; i < n_keys; i++) {
                size_t n = strlen(keys[i].name);
                if (at + n + 3 > sizeof(known))
                        break;
                if (i > 0) {
                        memcpy(known + at, ", ", 2);
                        at += 2;
                }
                memcpy(known + at, keys[i].name, n);
                at += n;
        }
        known[at] = 0;
        complain(c, s, e, "there is no such key in [%s]; it has %s", s->kind, known);
}

static void apply_entry(Complaints *c, const IniSection *s, const IniEntry *e, const ConfigKey *key,
                        void *target) {
        char allowed[320];

        assert(key->type->size == 0 || key->type->size == key->size);
        key->type->describe(key, allowed, sizeof(allowed));
        if (!*e->value) {
                complain(c, s, e, "the value is missing; %s is allowed", allowed);
                return;
        }

        int r = key->type->parse(key, e, (char *)target + key->offset);
        if (r == -ENOMEM)
                complaints_broken(c, r);
        else if (r == -ERANGE)
                complain(c, s, e, "this is outside the range; %s is allowed", allowed);
        else if (r < 0)
                complain(c, s, e, "\"%s\" is not understood; %s is allowed%s", e->value, allowed,
                         strchr(e->value, '#') ? "; a # comment needs a line of its own" : "");
}

void keys_apply(Complaints *c, const IniSection *s, const ConfigKey *keys, size_t n_keys, void *target) {
        for (size_t i = 0; i < s->n_entries; i++) {
                const IniEntry *e = &s->entries[i], *first = ini_section_find(s, e->key);
                const ConfigKey *key = key_find(keys, n_keys, e->key);

                if (!key)
                        complain_unknown(c, s, e, keys, n_keys);
                else if (first != e)
                        complain(c, s, e, "%s= already stands in line %u; once is allowed", e->key,
                                 first->line);
                else
                        apply_entry(c, s, e, key, target);
        }
        for (size_t i = 0; i < n_keys; i++) {
                if (!keys[i].required || ini_section_find(s, keys[i].name))
                        continue;
                char allowed[320];
                keys[i].type->describe(&keys[i], allowed, sizeof(allowed));
                complain(c, s, NULL, "%s= is missing and required; %s is allowed", keys[i].name, allowed);
        }
}
