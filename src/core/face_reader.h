/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker of a camera has to know ([Reader face] of cabinet.conf): plain data without pointers, which
 * is also what it is sent (IdentityReader.setup). */
#pragma once

#include <stdint.h>

#define FACE_PATH_MAX 256 /* bytes, with the NUL */

typedef enum FaceModelKind {
        FACE_DETECTOR,
        FACE_LANDMARKS,
        FACE_EMBEDDING,
        FACE_MODELS,
} FaceModelKind;

/* A file that is not ours. */
typedef struct FaceModel {
        char path[FACE_PATH_MAX];
        uint64_t size; /* bytes */
        uint8_t sha256[32];
} FaceModel;

typedef struct FaceReader {
        FaceModel models[FACE_MODELS];
        uint32_t threshold;     /* cosine, thousandths: so alike is the same person */
        uint32_t minimum_face;  /* pixels, height of a face in the picture */
        uint32_t minimum_light; /* mean brightness of a face, 0 … 255 */
        uint32_t width, height; /* of the picture, as asked for */
        uint32_t raw_pixels;    /* the embedding model takes 0 … 255, not -1 … 1 */
} FaceReader;

#define FACE_THRESHOLD_MIN     300
#define FACE_THRESHOLD_DEFAULT 450 /* docs/identity.md */
#define FACE_THRESHOLD_MAX     900
#define FACE_MODEL_MAX         (UINT64_C(256) << 20) /* bytes */
