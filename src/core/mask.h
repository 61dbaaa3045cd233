/* SPDX-License-Identifier: Apache-2.0 */
/* Personal data as it may be shown or logged (F9). */
#pragma once

#include "base/macros.h"

/* Masks all but the first and, from three characters on, the last character of a name (UTF-8 characters);
 * at least one character is always masked. "" stays "". Fresh memory, NULL when out of memory. */
char *mask_name(const char *name);
/* Masks six digits of a phone number, those before the last four where there are that many; separators stay.
 * Numbers of six digits or fewer are masked whole. */
char *mask_phone(const char *phone);
/* Only the digits, without the international prefix 00 (+49 and 0049 are the same); at most `room`-1 of them.
 * The comparison form of a phone number. */
void phone_digits(const char *phone, char *ret, size_t room);
