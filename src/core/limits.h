/* SPDX-License-Identifier: Apache-2.0 */
/* How long the texts of requests may be, whichever way they come in (D-Bus, MQTT): bytes. */
#pragma once

#include <stddef.h>

#define LIMIT_TEXT     256 /* names, reasons, and whatever has no row of its own */
#define LIMIT_NUMBER   32  /* a courier's */
#define LIMIT_PHONE    32
#define LIMIT_PIN      64
#define LIMIT_PASSWORD 128
#define LIMIT_PATTERN  9
#define LIMIT_CARD     128
#define LIMIT_WAYBILL  128

/* Of the argument with this name. */
size_t limit_of(const char *name);
