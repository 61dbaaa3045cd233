/* SPDX-License-Identifier: Apache-2.0 */
/* A line whose device is tcp:HOST:PORT: Modbus TCP, several masters at once, without transmission
 * times. */
#pragma once

#include "sim/model.h"

int tcp_start(Line *l);
void tcp_stop(Line *l);
/* To a master by its number; one that has disconnected is no error. */
void tcp_write(Line *l, uint64_t client, const uint8_t *bytes, size_t n);
