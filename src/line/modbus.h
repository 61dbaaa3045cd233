/* SPDX-License-Identifier: Apache-2.0 */
/* Modbus RTU and TCP. A request's members: unit, function, address, and as value how many (reads) or what to
 * write (FC05). libmodbus would take another board's, another coil's and a former response for the right one.
 */
#pragma once

#include "line/driver.h"

#define MODBUS_READ_COILS    1
#define MODBUS_READ_INPUTS   2
#define MODBUS_READ_HOLDING  3
#define MODBUS_READ_INPUT    4
#define MODBUS_WRITE_COIL    5
#define MODBUS_BAD_ADDRESS   2 /* exception: no such channel */
#define MODBUS_FAILURE       4 /* exceptions that pass: the device failed, is at work on it, is busy */
#define MODBUS_ACKNOWLEDGED  5
#define MODBUS_BUSY          6
#define MODBUS_GATEWAY_PATH  10 /* exceptions of a gateway, not of the board */
#define MODBUS_GATEWAY_BOARD 11

#define MODBUS_BODY 6 /* unit, function, address, value: a request without header and checksum */

void modbus_body(const Request *q, uint8_t ret[MODBUS_BODY]);
uint16_t modbus_crc(const uint8_t *bytes, size_t n);
