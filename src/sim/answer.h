/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to the bytes on the wire: every addressed board responds, faults are applied. */
#pragma once

#include "sim/model.h"

/* `request` is what the line's language has made of it; `end` is when the board knows
 * that the request is complete: with its last byte, or the silence after it. client and
 * transaction are Modbus TCP's; client 0 is a serial line. */
void answer_request(Line *l, uint64_t client, unsigned transaction, uint8_t address, const Pdu *request,
                    uint64_t end);
