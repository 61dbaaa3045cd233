/* SPDX-License-Identifier: Apache-2.0 */
/* The backend's commands and what each takes, as a table: whatever does not fit is refused with a sentence
 * that says what would, before any use case sees it. schema/mqtt has the same for the backend's developers; a
 * test holds the two together. */
#pragma once

#include "core/access.h"
#include "message/strict_json.h"
#include <stdbool.h>

typedef enum ArgumentType {
        ARGUMENT_TEXT,   /* min … max characters, nothing but blanks is refused when min > 0, no control
                            characters */
        ARGUMENT_NAME,   /* min … max letters, digits, '-' */
        ARGUMENT_DIGITS, /* min … max digits, as text */
        ARGUMENT_PHONE, /* min … max digits among '+', '-', '(', ')', '.', '/', blanks; at most 32 characters
                         */
        ARGUMENT_WORD,  /* one of words */
        ARGUMENT_NUMBER,  /* integer, min … max, written without fraction */
        ARGUMENT_DEGREES, /* number, min … max */
        ARGUMENT_BOOLEAN,
} ArgumentType;

typedef struct ArgumentRow {
        const char *key;
        ArgumentType type;
        bool required;
        int64_t min, max;
        const char *const *words; /* NULL-terminated */
} ArgumentRow;

typedef struct CommandRow {
        const char *name;
        Act act;    /* who may: core/access.h */
        bool opens; /* a door, or lets somebody open one: not carried out too late by any calendar */
        const ArgumentRow *arguments;
        size_t n_arguments;
        /* What no single row can say; NULL: nothing. A sentence, or NULL when all is well. */
        const char *(*together)(const json_t *arguments);
} CommandRow;

const CommandRow *command_row(const char *name); /* NULL: unknown */
const CommandRow *command_rows(size_t *ret_n);
/* Not taken from whoever may publish at a broker. */
bool command_must_be_signed(const CommandRow *row);
/* 0, LOCKER_E_UNKNOWN_COMMAND or LOCKER_E_INVALID_ARGUMENT, with a detail. No value is repeated in it. */
int arguments_check(const char *name, const json_t *arguments, char ret_detail[MESSAGE_DETAIL_MAX]);

/* Likewise, of a row of another table. */
int arguments_check_row(const CommandRow *row, const json_t *arguments, char ret_detail[MESSAGE_DETAIL_MAX]);

/* Reading what was checked. Absent: NULL, `otherwise`. */
const char *argument_text(const json_t *arguments, const char *key);
uint64_t argument_number(const json_t *arguments, const char *key, uint64_t otherwise);
bool argument_boolean(const json_t *arguments, const char *key, bool otherwise);
double argument_degrees(const json_t *arguments, const char *key); /* NaN */
