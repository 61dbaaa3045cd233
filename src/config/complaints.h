/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the errors in a configuration, in sentences that name the place, so that a whole file can be
 * corrected at once. Also stores the first fault while reading (memory, files), because most readers
 * continue. */
#pragma once

#include "config/config.h"
#include "config/ini_file.h"

struct Complaints {
        ConfigReport *report;
        size_t n;  /* complaints of this run; the report may hold older ones */
        int error; /* the first fault, 0 when none */
};

/* "file:line: [Section] Key=value: …"; `entry` NULL: about the section as a whole. */
void complain(Complaints *c, const IniSection *section, const IniEntry *entry, const char *format, ...)
        _printf_(4, 5);
/* About something outside sections; line 0: about the file as a whole. */
void complain_at(Complaints *c, const char *file, unsigned line, const char *format, ...) _printf_(4, 5);
/* A fault (negative errno): it takes precedence over complaints in the result. The first one is kept.
 */
void complaints_broken(Complaints *c, int error);
/* The result of the whole read: the fault, -EINVAL after complaints, or 0. */
int complaints_result(Complaints *c);

/* "Did you mean …": offer every known name, then ask. */
typedef struct Suggestion {
        const char *typed;
        const char *best; /* NULL: nothing is close */
        unsigned distance;
} Suggestion;

void suggestion_offer(Suggestion *s, const char *name);

/* For format strings: "%s%s%s" with SUGGESTION_ARGS(s) gives `; did you mean "X"?` or nothing. */
#define SUGGESTION_FORMAT "%s%s%s"
#define SUGGESTION_ARGS(s) \
        (s).best ? "; did you mean \"" : "", (s).best ? (s).best : "", (s).best ? "\"?" : ""
