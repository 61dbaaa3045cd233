/* SPDX-License-Identifier: Apache-2.0 */
#include "fingerprint/packet.h"

#define MARK_1 0xEF
#define MARK_2 0x01
#define BEGIN  9 /* bytes before the payload */
#define SUM    2

static unsigned checksum(const uint8_t *frame, size_t n_payload) {
        unsigned sum = 0;

        for (size_t i = 6; i < BEGIN + n_payload; i++)
                sum += frame[i];
        return sum & 0xFFFF;
}

size_t packet_build(const Packet *p, uint8_t ret[PACKET_MAX]) {
        ret[0] = MARK_1;
        ret[1] = MARK_2;
        put_u32(ret + 2, p->address);
        ret[6] = (uint8_t)p->kind;
        put_u16(ret + 7, (unsigned)p->n + SUM);
        memcpy(ret + BEGIN, p->payload, p->n);
        put_u16(ret + BEGIN + p->n, checksum(ret, p->n));
        return BEGIN + p->n + SUM;
}

static bool is_kind(uint8_t kind) {
        return kind == PACKET_COMMAND || kind == PACKET_DATA || kind == PACKET_ACKNOWLEDGE ||
               kind == PACKET_LAST_DATA;
}

static PacketState finish(PacketReader *r, PacketState state) {
        explicit_bzero(r->bytes, r->n); /* it may have been a template */
        r->n = 0;
        return state;
}

PacketState packet_feed(PacketReader *r, uint8_t byte, Packet *ret) {
        if (r->n == 0 && byte != MARK_1) {
                r->skipped++;
                return PACKET_INCOMPLETE;
        }
        if (r->n == 1 && byte != MARK_2) {
                /* The first one was no mark; this one may be. */
                r->skipped++;
                r->n = byte == MARK_1;
                r->skipped += byte != MARK_1;
                return PACKET_INCOMPLETE;
        }
        r->bytes[r->n++] = byte;
        if (r->n < BEGIN)
                return PACKET_INCOMPLETE;
        unsigned length = get_u16(r->bytes + 7);
        if (length < SUM || length > PACKET_PAYLOAD_MAX + SUM || !is_kind(r->bytes[6]))
                return finish(r, PACKET_CORRUPT);
        size_t n = length - SUM;
        if (r->n < BEGIN + n + SUM)
                return PACKET_INCOMPLETE;
        if (get_u16(r->bytes + BEGIN + n) != checksum(r->bytes, n))
                return finish(r, PACKET_CORRUPT);
        *ret = (Packet){.address = get_u32(r->bytes + 2), .kind = (PacketKind)r->bytes[6], .n = n};
        memcpy(ret->payload, r->bytes + BEGIN, n);
        return finish(r, PACKET_COMPLETE);
}
