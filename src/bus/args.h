/* SPDX-License-Identifier: Apache-2.0 */
/* Reading arguments: InvalidArgument with a sentence that names the argument and what is allowed. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

typedef struct ArgKey {
        const char *name;
        char type; /* 's', 't', 'b' */
        bool required;
        size_t offset; /* of a const char *, uint64_t or bool in the struct to fill */
} ArgKey;

/* Reads a{sv} strictly: unknown, doubled or wrongly typed keys are refused. Strings point into the message.
 */
int args_read_dictionary(sd_bus_message *m, const ArgKey *keys, size_t n_keys, void *ret, sd_bus_error *e);
int args_check_text(const char *name, const char *value, size_t max, sd_bus_error *e);
int args_append_kinds(sd_bus_message *m, unsigned kinds); /* "as": names of a set of kinds of credentials */
int args_check_reason(const char *reason, sd_bus_error *e);
int args_invalid(sd_bus_error *e, const char *format, ...) _printf_(2, 3);
