/* SPDX-License-Identifier: Apache-2.0 */
#include "link/frames.h"
#include "base/macros.h"

#include <errno.h>

#define SHORTEST 2 /* "{}" */

int link_frame_wants(const LinkFrame *f) {
        uint32_t n = 0;

        if (f->n < LOCKERD_LINK_HEADER)
                return LOCKERD_LINK_HEADER - (int)f->n;
        for (int i = 0; i < LOCKERD_LINK_HEADER; i++)
                n = n << 8 | f->data[i];
        if (n < SHORTEST || n > LOCKERD_LINK_FRAME_MAX)
                return -EPROTO;
        return (int)(LOCKERD_LINK_HEADER + n - f->n);
}

void link_frame_add(LinkFrame *f, const void *bytes, size_t n) {
        memcpy(f->data + f->n, bytes, n);
        f->n += n;
}

const char *link_frame_text(const LinkFrame *f, size_t *ret_n) {
        *ret_n = f->n - LOCKERD_LINK_HEADER;
        return (const char *)f->data + LOCKERD_LINK_HEADER;
}

void link_frame_empty(LinkFrame *f) {
        explicit_bzero(f->data, f->n);
        f->n = 0;
}

void link_frame_begin(size_t n, uint8_t ret[LOCKERD_LINK_HEADER]) {
        for (int i = LOCKERD_LINK_HEADER - 1; i >= 0; i--, n >>= 8)
                ret[i] = (uint8_t)n;
}
