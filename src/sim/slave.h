/* SPDX-License-Identifier: Apache-2.0 */
/* Modbus of one board: a request in, the action of the relays, a response out. Independent of the wire.
 */
#pragma once

#include "sim/model.h"

uint16_t rtu_crc(const uint8_t *bytes, size_t n);

/* Executes `request` (function code first) at time `at`; ret->n is 0 when there is no response. */
void slave_handle(Board *b, const uint8_t *request, size_t n, uint64_t at, Pdu *ret);
