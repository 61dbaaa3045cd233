/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to what appears on the wire: every board that feels addressed answers, faults spoil it. */
#pragma once

#include "sim/model.h"

/* `pdu` begins with the function code; `end` is when the board knows
 * that the request is complete: with its last byte, or the silence after it. client and
 * transaction are Modbus TCP's; client 0 is a serial line. */
void answer_request(Line *l, uint64_t client, unsigned transaction, uint8_t address, const uint8_t *pdu,
                    size_t n, uint64_t end);
