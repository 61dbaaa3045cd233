/* SPDX-License-Identifier: Apache-2.0 */
/* The short-range link over Bluetooth LE: how an ordered stream of bytes in each direction is carried by one
 * GATT service with two characteristics. What the stream carries is TLS (docs/link.md); Bluetooth's own
 * pairing and encryption are not used. docs/ble.md explains it, with an example.
 *
 *   `in`   write, write without response: a fragment of the phone
 *   `out`  read: a status, which also asks for a stream; notify: a fragment of the cabinet, or a notice
 *
 * Notifications go to each phone that has subscribed. A phone takes those that carry its number.
 *
 * Integers of several bytes are big-endian. */
#pragma once

#define LOCKERD_BLE_SERVICE "8c5a1f30-6f0e-4c57-9d3c-5d1f2f0b7a10"
#define LOCKERD_BLE_IN      "8c5a1f31-6f0e-4c57-9d3c-5d1f2f0b7a10"
#define LOCKERD_BLE_OUT     "8c5a1f32-6f0e-4c57-9d3c-5d1f2f0b7a10"

#define LOCKERD_BLE_VERSION 1

/* The advertisement has the service's UUID, the cabinet's number as local name (in the scan response), and as
 * manufacturer data of company 0xFFFF (none) two bytes: LOCKERD_BLE_VERSION, and these flags. */
#define LOCKERD_BLE_COMPANY 0xFFFF
enum { LOCKERD_BLE_OFFLINE = 1 << 0 }; /* the cabinet has not reached its backend for a while */

/* The status that is read from `out`: six bytes. */
enum {
        LOCKERD_BLE_STATUS_VERSION, /* LOCKERD_BLE_VERSION */
        LOCKERD_BLE_STATUS_NUMBER,  /* the phone's number, 1 to 255; new with each stream */
        LOCKERD_BLE_STATUS_STATE,   /* LOCKERD_BLE_SERVED or LOCKERD_BLE_WAITING */
        LOCKERD_BLE_STATUS_AHEAD,   /* how many phones that wait are served before this one */
        LOCKERD_BLE_STATUS_MOST,    /* two bytes: the most payload of one fragment of the cabinet */
        LOCKERD_BLE_STATUS_SIZE = LOCKERD_BLE_STATUS_MOST + 2,
};
enum { LOCKERD_BLE_SERVED = 1, LOCKERD_BLE_WAITING = 2 };

/* A fragment of the phone: one byte that counts the fragments of its stream (0, 1, … 255, 0, …), then one or
 * more bytes of the stream; all of it at most LOCKERD_BLE_VALUE_MAX bytes, and the MTU less 3. Of the
 * cabinet: the phone's number, such a count, then the bytes. A count that is not the next ends the stream. */
#define LOCKERD_BLE_VALUE_MAX  510 /* BlueZ throws away what is longer, without a word */
#define LOCKERD_BLE_IN_HEADER  1
#define LOCKERD_BLE_OUT_HEADER 2

/* A notice of the cabinet: 0 instead of a number, what it is, the number of the phone that it is for. */
#define LOCKERD_BLE_NOTICE_SIZE 3
enum {
        LOCKERD_BLE_BEGINS = 1, /* it is this phone's turn: both counts begin with 0 */
        LOCKERD_BLE_ENDED = 2,  /* the cabinet has ended the stream; reading the status asks for another */
};

/* A phone that is connected for so long without a stream, or without a place among those that wait, is
 * disconnected: milliseconds. */
#define LOCKERD_BLE_IDLE_MS 30000
