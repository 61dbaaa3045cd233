/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from a fingerprint module, or from whoever sits at its cable, and what is stored as a template. */
#include "fingerprint/packet.h"
#include "fingerprint/template.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good) {
        if (!good)
                abort();
}

static void as_frames(const uint8_t *data, size_t size) {
        PacketReader r = {0};
        size_t framed = 0;
        Packet p;

        for (size_t i = 0; i < size; i++) {
                PacketState state = packet_feed(&r, data[i], &p);

                expect(r.n < PACKET_MAX && r.skipped <= i + 1);
                if (state != PACKET_COMPLETE)
                        continue;
                /* What is believed is what would be sent. */
                uint8_t again[PACKET_MAX];
                size_t n = packet_build(&p, again);
                expect(p.n <= PACKET_PAYLOAD_MAX && n <= i + 1 && memcmp(again, data + i + 1 - n, n) == 0);
                framed += n;
        }
        expect(framed + r.skipped + r.n <= size);
}

/* Random bytes hardly ever have a right checksum. */
static void as_payload(const uint8_t *data, size_t size) {
        uint8_t frame[PACKET_MAX];
        Packet p = {.kind = PACKET_DATA, .address = get_u32(data), .n = MIN(size - 4, PACKET_PAYLOAD_MAX)};

        memcpy(p.payload, data + 4, p.n);
        as_frames(frame, packet_build(&p, frame));
        frame[data[0] % 12] ^= data[1];
        as_frames(frame, p.n + 11);
}

static void as_template(const uint8_t *data, size_t size) {
        Template t = {0};
        int r = template_read(data, size, &t);

        expect(r == 0 || r == -EINVAL || r == -EXDEV);
        expect(r == 0 ? t.code == data + TEMPLATE_HEADER && t.n == size - TEMPLATE_HEADER &&
                                t.n <= TEMPLATE_CODE_MAX
                      : !t.code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        as_frames(data, size);
        as_template(data, size);
        if (size > 4)
                as_payload(data, size);
        return 0;
}
