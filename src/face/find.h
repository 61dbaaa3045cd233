/* SPDX-License-Identifier: Apache-2.0 */
/* From a detector's numbers to faces, and from a face's points to its upright picture. Pure. */
#pragma once

#include "face/picture.h"

#define FACES_MAX  16    /* that are told apart; more are too many anyway */
#define POINTS_68  68    /* of a face, as landmark models count them */
#define FACE_SCORE 0.65F /* of a detector: less is no face */
#define FACE_SIDE  112   /* pixels of an upright face */

typedef struct Face {
        Box box; /* in pixels of the picture, as high as the face and square */
        float score;
} Face;

/* `boxes`: n times left, top, right, bottom, as parts of the picture; `scores`: n times not a face, a face.
 * What is no number, or nowhere in the picture, is left out; of boxes that overlap the best counts. Returns
 * how many faces there are, at most FACES_MAX; the best first. */
unsigned find_faces(const float *boxes, const float *scores, size_t n, unsigned width, unsigned height,
                    Face ret[FACES_MAX]);

/* The map for picture_warp() that puts eyes, nose and mouth where embedding models expect them in
 * FACE_SIDE × FACE_SIDE pixels: turned, moved and scaled, nothing else. points: 68 times x and y, as parts of
 * `box`. False: they are no face's (no numbers, all in one place, upside down). */
bool upright(const float points[2 * POINTS_68], Box box, double ret[6]);
