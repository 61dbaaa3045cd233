/* SPDX-License-Identifier: Apache-2.0 */
/* A file of sections and keys, kept with its line numbers for complaints. The first complaint is
 * stored; the caller checks once at the end. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct IniKey {
        char *key, *value;
        unsigned line;
} IniKey;

typedef struct IniSection {
        char *kind, *name; /* [kind name]; name is "" when there is none */
        unsigned line;
        IniKey *keys;
        size_t n_keys;
} IniSection;

typedef struct Ini {
        char *path;
        IniSection *sections;
        size_t n_sections;
        unsigned line; /* while reading */
        char *complaint;
} Ini;

/* 0, or -errno with a complaint. ini_clear() in either case. */
int ini_load(Ini *ini, const char *path);
void ini_clear(Ini *ini);
/* Remembers "path:line: …" and returns -EINVAL. */
int ini_complain(Ini *ini, unsigned line, const char *format, ...) _printf_(3, 4);

const IniSection *ini_section(const Ini *ini, const char *kind); /* the first of its kind, or NULL */
const IniKey *ini_key(const IniSection *s, const char *key);     /* the last of its name, or NULL */
/* These do not change *ret when the key is absent; -EINVAL with a complaint when the value is invalid.
 */
int ini_uint(Ini *ini, const IniSection *s, const char *key, uint64_t min, uint64_t max, unsigned *ret);
int ini_nsec(Ini *ini, const IniSection *s, const char *key, uint64_t *ret);
int ini_bool(Ini *ini, const IniSection *s, const char *key, bool *ret);
/* One of the words; *ret becomes its index. */
int ini_word(Ini *ini, const IniSection *s, const char *key, const char *const *words, size_t n,
             unsigned *ret);
