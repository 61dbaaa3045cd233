/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in a stream of bytes, one at a time: length and JSON text (lockerd/link.h). Pure. */
#pragma once

#include "lockerd/link.h"
#include <stddef.h>
#include <stdint.h>

typedef struct LinkFrame {
        size_t n; /* bytes so far, with the length */
        uint8_t data[LOCKERD_LINK_HEADER + LOCKERD_LINK_FRAME_MAX];
} LinkFrame;

/* How many bytes it waits for next, at least 1; 0: the frame is complete; -EPROTO: no frame has this length.
 */
int link_frame_wants(const LinkFrame *f);
/* At most as many as it wants. */
void link_frame_add(LinkFrame *f, const void *bytes, size_t n);
/* Of a complete one. */
const char *link_frame_text(const LinkFrame *f, size_t *ret_n);
/* Leaves nothing behind: it may have held a code. */
void link_frame_empty(LinkFrame *f);
/* The length of an outgoing frame. */
void link_frame_begin(size_t n, uint8_t ret[LOCKERD_LINK_HEADER]);
