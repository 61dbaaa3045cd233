/* SPDX-License-Identifier: Apache-2.0 */
/* The three models together: where faces are in a picture, and which direction a face has among all faces.
 * The files are the operator's; each is what the configuration names, byte for byte, or is not used. */
#pragma once

#include "core/face_reader.h"
#include "face/find.h"
#include "face/template.h"
#include "identity/matcher_wire.h"

typedef struct Vision Vision;

/* Reads, checks and tries the models. 0; a MATCHER_PROBLEM_MODEL_…, and the detail says which file and what
 * about it; MATCHER_PROBLEM_FAULT. */
int vision_new(Vision **ret, const FaceReader *reader, char detail[MATCHER_DETAIL_MAX]);
Vision *vision_free(Vision *v);
size_t vision_dimensions(const Vision *v); /* of an embedding */
/* Steps (0 or MATCHER_PROBLEM_FAULT). *ret_n: at most FACES_MAX, the best first. */
int vision_find(Vision *v, const Picture *p, Face ret[FACES_MAX], unsigned *ret_n);
/* Likewise; vision_dimensions() numbers of length 1. *ret_clear false: its eyes, nose and mouth are nowhere.
 */
int vision_embed(Vision *v, const Picture *p, const Face *face, float *ret, bool *ret_clear);
/* Nothing of a picture stays in the models. */
void vision_forget(Vision *v);
