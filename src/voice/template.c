/* SPDX-License-Identifier: Apache-2.0 */
#include "voice/template.h"

#include <errno.h>

#define VERSION      1
#define SOURCE_AUBIO 1

static void put_u16(uint8_t *at, unsigned v) {
        at[0] = (uint8_t)(v >> 8);
        at[1] = (uint8_t)v;
}

static void put_u32(uint8_t *at, uint32_t v) {
        put_u16(at, v >> 16);
        put_u16(at + 2, v & 0xFFFF);
}

static unsigned get_u16(const uint8_t *at) {
        return (unsigned)at[0] << 8 | at[1];
}

static uint32_t get_u32(const uint8_t *at) {
        return (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
}

static uint32_t checksum(const uint8_t *data, size_t n) {
        uint32_t crc = UINT32_MAX;

        for (size_t i = 0; i < n; i++) {
                crc ^= data[i];
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xEDB88320) : 0);
        }
        return ~crc;
}

size_t template_write(const Template *t, uint8_t ret[TEMPLATE_MAX]) {
        uint8_t *at = ret + TEMPLATE_HEADER;

        for (unsigned i = 0; i < t->n; i++) {
                const Utterance *u = &t->utterances[i];
                put_u16(at, u->n);
                at += 2;
                for (unsigned k = 0; k < u->n * UTTERANCE_COEFFICIENTS; k++, at += 2)
                        put_u16(at,
                                (uint16_t)u->cepstra[k / UTTERANCE_COEFFICIENTS][k % UTTERANCE_COEFFICIENTS]);
        }
        size_t n = (size_t)(at - ret - TEMPLATE_HEADER);
        memcpy(ret, (const uint8_t[8]){'V', 'O', VERSION, SOURCE_AUBIO, (uint8_t)t->n}, 8);
        put_u32(ret + 8, (uint32_t)n);
        put_u32(ret + 12, checksum(ret + TEMPLATE_HEADER, n));
        return TEMPLATE_HEADER + n;
}

/* *at goes on behind it. */
static int read_utterance(const uint8_t **at, const uint8_t *end, Utterance *ret) {
        if (end - *at < 2)
                return -EINVAL;
        unsigned n = get_u16(*at);
        *at += 2;
        if (n < UTTERANCE_MIN || n > UTTERANCE_MAX || end - *at < (ptrdiff_t)n * UTTERANCE_COEFFICIENTS * 2)
                return -EINVAL;
        ret->n = n;
        for (unsigned k = 0; k < n * UTTERANCE_COEFFICIENTS; k++, *at += 2)
                ret->cepstra[k / UTTERANCE_COEFFICIENTS][k % UTTERANCE_COEFFICIENTS] = (int16_t)get_u16(*at);
        return 0;
}

int template_read(const uint8_t *data, size_t n, Template *ret) {
        const uint8_t *at = data + TEMPLATE_HEADER, *end = data + n;

        if (n < TEMPLATE_HEADER || data[0] != 'V' || data[1] != 'O' || data[2] != VERSION)
                return -EINVAL;
        if (data[3] != SOURCE_AUBIO)
                return -EXDEV;
        if (data[4] != TEMPLATE_UTTERANCES || data[5] || data[6] || data[7] ||
            get_u32(data + 8) != n - TEMPLATE_HEADER || n > TEMPLATE_MAX ||
            get_u32(data + 12) != checksum(at, n - TEMPLATE_HEADER))
                return -EINVAL;
        ret->n = data[4];
        for (unsigned i = 0; i < ret->n; i++) {
                int r = read_utterance(&at, end, &ret->utterances[i]);
                if (r < 0)
                        return r;
        }
        return at == end ? 0 : -EINVAL;
}
