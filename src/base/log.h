/* SPDX-License-Identifier: Apache-2.0 */
/* Logging: to the journal with a message id where there is one, else to stderr with a syslog prefix. A
 * fault is logged once, where it is handled. Never log a code, password, name or phone number. */
#pragma once

#include "base/macros.h"
#include <syslog.h>

/* id: a 128-bit journal message id in hex (base/message_ids.h) or NULL for plain lines.
 * fields: NULL-terminated pairs "FIELD", "value", … (upper case, journal rules); may be NULL.  */
void log_message(int priority, const char *id, const char *const *fields, const char *format, ...)
        _printf_(4, 5);

#define log_debug(...)   log_message(LOG_DEBUG, NULL, NULL, __VA_ARGS__)
#define log_info(...)    log_message(LOG_INFO, NULL, NULL, __VA_ARGS__)
#define log_notice(...)  log_message(LOG_NOTICE, NULL, NULL, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, NULL, NULL, __VA_ARGS__)
#define log_error(...)   log_message(LOG_ERR, NULL, NULL, __VA_ARGS__)
/* Logs "…: strerror(-r)" and returns r, for `return log_error_errno(r, "Cannot open %s", path)`. */
int log_error_errno(int r, const char *format, ...) _printf_(2, 3);

void log_set_max_priority(int priority); /* default LOG_INFO */
/* Writes to the journal socket when stderr is connected to the journal; called once by main(). */
void log_open(void);
