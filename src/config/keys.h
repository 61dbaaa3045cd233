/* SPDX-License-Identifier: Apache-2.0 */
/* Key → parser → offset: every simple key of every file is a row of a table, with its range and its sentence.
 */
#pragma once

#include "config/complaints.h"
#include "config/ini_file.h"
#include <stdint.h>

typedef struct ConfigKey ConfigKey;

/* How a type of value is parsed, and a description of the allowed values. */
typedef struct KeyType {
        size_t size; /* of the field; 0: choices, which fit any integer */
        /* 0, -EINVAL (not such a value), -ERANGE (one, but outside the range), -ENOMEM. The field stays
         * untouched on failure. */
        int (*parse)(const ConfigKey *key, const IniEntry *entry, void *field);
        void (*describe)(const ConfigKey *key, char *buffer, size_t size);
} KeyType;

typedef struct KeyChoice {
        const char *name;
        int value;
} KeyChoice;

struct ConfigKey {
        const char *name;
        const KeyType *type;
        size_t offset, size; /* of the field in the target */
        uint64_t min, max;
        const KeyChoice *choices; /* ends with a NULL name */
        bool required;
};

extern const KeyType key_unsigned; /* unsigned; min … max */
extern const KeyType key_number;   /* int; min … max, for fields where -1 means "not set" */
extern const KeyType key_u16;      /* uint16_t, also 0x…; min … max */
extern const KeyType key_msec;     /* unsigned, milliseconds */
extern const KeyType key_usec;     /* uint64_t, microseconds */
extern const KeyType key_count;    /* uint64_t; min … max */
extern const KeyType key_bytes;    /* uint64_t; K, M, G, T */
extern const KeyType key_bool;     /* bool */
extern const KeyType key_choice;   /* an enum, bool, char or int of choices */
extern const KeyType key_text;     /* char *: anything of min … max bytes */
extern const KeyType key_name;     /* char *: letters, digits, - _ . of at most max bytes */
extern const KeyType key_names;    /* char *: such names, separated by blanks; each of at most max bytes */
extern const KeyType key_path;     /* char *: absolute */
extern const KeyType key_degrees;  /* double; ±max */
extern const KeyType key_clock;    /* unsigned: minutes since midnight, as HH:MM */
extern const KeyType key_timezone; /* char * */
extern const KeyType key_kinds;    /* uint32_t: a set of kinds of credentials */
extern const KeyType key_alone;    /* uint32_t: likewise, of those that may suffice alone */
extern const KeyType key_level;    /* unsigned: dB below full scale, as -40dB; min … max without the sign */
extern const KeyType key_entry;    /* const IniEntry *: kept for a later step that needs the whole cabinet */

#define CONFIG_KEY(label, how, type_, member, ...)                                  \
        {                                                                           \
                .name = (label), .type = &(how), .offset = offsetof(type_, member), \
                .size = sizeof(((type_ *)0)->member), __VA_ARGS__                   \
        }

/* Sets the fields from the section; complains about unknown, repeated, malformed and missing keys.
 * Strings of the target are freed when replaced, so they may hold defaults or values of earlier files.
 */
void keys_apply(Complaints *c, const IniSection *s, const ConfigKey *keys, size_t n_keys, void *target);

extern const KeyChoice baud_rates[];

bool name_is_valid(const char *name,
                   size_t max); /* letters, digits, - _ . beginning with a letter or digit */
