/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored of a face: the direction that an embedding model gives it, and which models have made it.
 * Pure. */
#pragma once

#include "core/face_reader.h"
#include <stdbool.h>
#include <stddef.h>

/* Big-endian: 'F' 'A', version, how pixels went into the embedding model (FaceReader.raw_pixels), the first
 * eight bytes of its SHA-256, the same of the landmarks', 2 bytes: how many numbers; then the numbers, 2
 * bytes each: 1 is 32767, and all of them together have the length 1. */
#define TEMPLATE_MODEL      17 /* bytes: what a template depends on */
#define TEMPLATE_HEADER     (3 + TEMPLATE_MODEL + 2)
#define TEMPLATE_DIMENSIONS 1024 /* at most */
#define TEMPLATE_MAX        (TEMPLATE_HEADER + 2 * TEMPLATE_DIMENSIONS)

/* Of the models in use. */
void template_model(const FaceReader *r, uint8_t ret[TEMPLATE_MODEL]);
/* Makes the length of v 1. False: it has none, or no numbers. */
bool embedding_normalise(float *v, size_t n);
/* Of two of length 1: -1 … 1. */
double embedding_cosine(const float *a, const float *b, size_t n);
/* v: of length 1, at most TEMPLATE_DIMENSIONS numbers. Returns the length of the template. */
size_t template_write(const uint8_t model[TEMPLATE_MODEL], const float *v, size_t n,
                      uint8_t ret[TEMPLATE_MAX]);
/* n_ret numbers of length 1, or -EINVAL: it is none, -EXDEV: it is one of other models; *ret is undefined
 * then. */
int template_read(const uint8_t *data, size_t n, const uint8_t model[TEMPLATE_MODEL], float *ret,
                  size_t n_ret);
