/* SPDX-License-Identifier: Apache-2.0 */
/* A camera of Video4Linux that gives pictures without a decoder (picture.h), through mapped buffers. What it
 * says of itself is checked; a picture counts only when it is whole. Results are steps: 0, or the
 * MatcherProblem: MISSING, UNPLUGGED (it was there a moment ago), BUSY (another program has it), UNSUITABLE
 * (no camera, or no such format), SILENT, CORRUPT, REFUSES (the log has what it says). */
#pragma once

#include "face/picture.h"
#include "identity/matcher_wire.h"

#define CAMERA_BUFFERS 4

typedef struct Camera {
        int fd; /* -1: closed */
        PixelFormat format;
        size_t stride, frame; /* bytes */
        bool streams;
        struct {
                uint8_t *data;
                size_t n;
        } buffers[CAMERA_BUFFERS];
        unsigned n_buffers;
        unsigned damaged; /* pictures one after the other that were none */
        Picture picture;  /* the last one */
} Camera;

/* Is it there? Nothing is switched on. detail: what it calls itself. */
int camera_look(const char *path, char detail[MATCHER_DETAIL_MAX]);
/* It sends pictures of about this size from now on; fd is readable when there is one. */
int camera_open(Camera *c, const char *path, unsigned width, unsigned height);
/* Takes the newest picture, if there is one: *ret_new, in c->picture. */
int camera_take(Camera *c, bool *ret_new);
/* Closed, and the pictures are erased. */
void camera_close(Camera *c);
