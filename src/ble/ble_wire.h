/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon and lockerd-ble say to each other. One packet of a SOCK_SEQPACKET socket a message, of the
 * size that belongs to its type. Integers are in the machine's own byte order (both sides come from one
 * build; the version guards against a half-done upgrade). Nothing is a pointer, everything has a bound.
 *
 *   daemon → worker   SETUP first, once; STATE whenever it changes; PING.
 *   worker → daemon   HEALTH whenever it changes; STREAM with a descriptor for each phone that is served: the
 *                     other end of a stream socket, closed at both ends when the phone or the link is done
 *                     with it; PONG. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLE_WIRE_VERSION 1
#define BLE_CABINET_MAX \
        27 /* bytes of the cabinet's number, with the NUL: what a scan response has room for */
#define BLE_ADAPTER_MAX 16  /* "hci0", with the NUL */
#define BLE_BUS_MAX     128 /* address of the system bus, with the NUL */
#define BLE_PHONE_MAX   24  /* "AA:BB:CC:DD:EE:FF", with the NUL */
#define BLE_DETAIL_MAX  96

typedef enum BleType {
        BLE_SETUP = 1,
        BLE_STATE,
        BLE_PING,
        BLE_HEALTH,
        BLE_STREAM,
        BLE_PONG,
        BLE_TYPE_MAX,
} BleType;

typedef enum BleProblem {
        BLE_FINE, /* advertised */
        BLE_NO_BUS,
        BLE_NO_BLUEZ,
        BLE_NO_ADAPTER,
        BLE_OFF,     /* the adapter cannot be switched on (rfkill) */
        BLE_REFUSED, /* BlueZ does not take the service or the advertisement */
        BLE_PROBLEM_MAX,
} BleProblem;

typedef struct BleHeader {
        uint16_t version, type;
        uint32_t reserved;
} BleHeader;

typedef struct BleSetup {
        BleHeader header;
        char cabinet[BLE_CABINET_MAX];
        char adapter[BLE_ADAPTER_MAX]; /* "": the first that can be advertised with */
        char bus[BLE_BUS_MAX];         /* D-Bus address */
        uint32_t phones;               /* served at a time, 1…8 */
} BleSetup;

typedef struct BleState {
        BleHeader header;
        uint32_t offline, reserved; /* 1: the cabinet has not reached its backend for a while */
} BleState;

typedef struct BlePlain { /* PING, PONG */
        BleHeader header;
        uint64_t number;
} BlePlain;

typedef struct BleHealth {
        BleHeader header;
        uint32_t problem;
        char detail[BLE_DETAIL_MAX]; /* what BlueZ says of it, or "" */
} BleHealth;

typedef struct BleStream {
        BleHeader header;
        char phone[BLE_PHONE_MAX]; /* for the journal; phones change it as they like */
} BleStream;

typedef union BleBody {
        BleHeader header;
        BleSetup setup;
        BleState state;
        BlePlain plain;
        BleHealth health;
        BleStream stream;
} BleBody;

/* Is that packet a message of that side? 0 or -EPROTO. */
int ble_wire_check(const void *packet, size_t n, bool from_daemon, BleBody *ret);
/* Fills in the header. passed: a descriptor that goes along, or -1. 0, -EAGAIN, -EPIPE or another negative
 * errno. */
int ble_wire_send(int fd, BleType type, void *body, int passed);
/* 1 with a message; 0: none is there; -EPIPE: the other end is gone; -EPROTO or another negative errno.
 * *ret_passed: the descriptor that came along, the caller's, or -1. A STREAM has one, the others have none.
 */
int ble_wire_receive(int fd, bool from_daemon, BleBody *ret, int *ret_passed);
