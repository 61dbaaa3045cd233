/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to the bytes on the wire: every addressed board responds, faults are applied. */
#pragma once

#include "sim/model.h"

/* `pdu` begins with the function code; `end` is the time at which the board knows that the request is
 * complete: its last byte, or the silence after it. client and transaction are Modbus TCP's; client 0
 * is a serial line. */
void answer_request(Line *l, uint64_t client, unsigned transaction, uint8_t address, const uint8_t *pdu,
                    size_t n, uint64_t end);
