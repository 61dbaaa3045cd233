/* SPDX-License-Identifier: Apache-2.0 */
/* An INI file in memory with the line of everything. Splitting lines into keys and values is left to
 * inih, which gives no line numbers, does not report empty sections and truncates long lines; this file
 * adds that. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>

typedef struct Complaints Complaints;

typedef struct IniEntry {
        char *key, *value;
        unsigned line;
} IniEntry;

typedef struct IniSection {
        const char *file; /* borrowed from the IniFile */
        char *title;      /* "Slot 01-06" */
        char *kind;       /* "Slot" */
        const char *name; /* "01-06", "" when there is none; points into title */
        unsigned line;
        IniEntry *entries;
        size_t n_entries;
} IniSection;

typedef struct IniFile {
        char *path; /* as named in complaints */
        IniSection *sections;
        size_t n_sections;
} IniFile;

IniFile *ini_file_free(IniFile *f);
DEFINE_CLEANUP(IniFile *, ini_file_free);

/* Splits `data`. Malformed lines become complaints and are skipped; NULL only when out of memory (also
 * stored as the fault). */
IniFile *ini_file_parse(Complaints *c, const char *path, const char *data, size_t size);
/* Reads a whole file: 0 or negative errno, without a complaint, because only the caller knows its
 * purpose. */
int ini_file_load(const char *path, char **ret_data, size_t *ret_size);

const IniEntry *ini_section_find(const IniSection *s, const char *key); /* the first one, NULL when absent */
/* The nth (from 0) section of this kind; NULL when there are fewer. */
const IniSection *ini_file_section(const IniFile *f, const char *kind, size_t nth);
size_t ini_file_count(const IniFile *f, const char *kind);
