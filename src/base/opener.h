/* SPDX-License-Identifier: Apache-2.0 */
/* Starts lockerd-open for a serial device, see base/opener_wire.h. */
#pragma once

#include <systemd/sd-event.h>

/* program: its path, see child_start(). 0 and a socket for the worker that reads it, when whose last copy is
 * closed lockerd-open ends; or negative errno. */
int opener_start(sd_event *event, const char *program, const char *device, int *ret);
