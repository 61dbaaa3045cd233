/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of fingerprint modules of the EF01 family (R30x, AS608, ZFM, R503, …), big-endian:
 *
 *   EF 01 | address, 4 | kind, 1 | length, 2 | payload, length - 2 | checksum, 2
 *
 * The checksum is the sum of the bytes from the kind to the end of the payload. Pure: no device, no clock. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>
#include <stdint.h>

#define PACKET_PAYLOAD_MAX 256
#define PACKET_MAX         (11 + PACKET_PAYLOAD_MAX) /* bytes of a whole frame */
#define PACKET_ANYBODY     UINT32_C(0xFFFFFFFF)      /* the address of a module that was given none */

typedef enum PacketKind {
        PACKET_COMMAND = 0x01,
        PACKET_DATA = 0x02,
        PACKET_ACKNOWLEDGE = 0x07,
        PACKET_LAST_DATA = 0x08,
} PacketKind;

typedef struct Packet {
        uint32_t address;
        PacketKind kind;
        size_t n; /* bytes of payload */
        uint8_t payload[PACKET_PAYLOAD_MAX];
} Packet;

/* The frame's length. */
size_t packet_build(const Packet *p, uint8_t ret[PACKET_MAX]);

/* Bytes as they come. Begins as {0}. */
typedef struct PacketReader {
        uint8_t bytes[PACKET_MAX];
        size_t n;
        size_t skipped; /* bytes so far that belong to no frame */
} PacketReader;

typedef enum PacketState {
        PACKET_INCOMPLETE,
        PACKET_COMPLETE, /* *ret is it, and the reader begins anew */
        PACKET_CORRUPT,  /* a frame with an impossible kind or length or a wrong checksum; likewise */
} PacketState;

PacketState packet_feed(PacketReader *r, uint8_t byte, Packet *ret);

static inline void put_u16(uint8_t *at, unsigned v) {
        at[0] = (uint8_t)(v >> 8);
        at[1] = (uint8_t)v;
}
static inline unsigned get_u16(const uint8_t *at) {
        return (unsigned)at[0] << 8 | at[1];
}
static inline void put_u32(uint8_t *at, uint32_t v) {
        put_u16(at, v >> 16);
        put_u16(at + 2, v & 0xFFFF);
}
static inline uint32_t get_u32(const uint8_t *at) {
        return (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
}
