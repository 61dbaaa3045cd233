/* SPDX-License-Identifier: Apache-2.0 */
#include "face/find.h"
#include "base/macros.h"

#include <math.h>

#define OVERLAP 0.4 /* part of both together: more is the same face */

static double overlap(const Box *a, const Box *b) {
        double w = fmin(a->x + a->width, b->x + b->width) - fmax(a->x, b->x);
        double h = fmin(a->y + a->height, b->y + b->height) - fmax(a->y, b->y);

        if (w <= 0 || h <= 0)
                return 0;
        return w * h / (a->width * a->height + b->width * b->height - w * h);
}

/* Faces are about as wide as they are high; detectors see them narrower. */
static bool box_of(const float *corners, unsigned width, unsigned height, Box *ret) {
        double left = (double)corners[0] * width, right = (double)corners[2] * width;
        double top = (double)corners[1] * height, bottom = (double)corners[3] * height;
        double side = bottom - top;

        if (!isfinite(left) || !isfinite(right) || !isfinite(top) || !isfinite(bottom) || side < 1 ||
            right - left < 1 || side > 2.0 * height || left > width || top > height || right < 0 ||
            bottom < 0)
                return false;
        *ret = (Box){(left + right - side) / 2, top, side, side};
        return true;
}

/* Into its place among the best; a worse one that overlaps goes. */
static unsigned keep(Face faces[FACES_MAX], unsigned n, const Face *f) {
        unsigned kept = 0, at;

        for (unsigned i = 0; i < n; i++)
                if (overlap(&faces[i].box, &f->box) > OVERLAP && faces[i].score >= f->score)
                        return n;
        for (unsigned i = 0; i < n; i++)
                if (overlap(&faces[i].box, &f->box) <= OVERLAP)
                        faces[kept++] = faces[i];
        for (at = kept; at > 0 && faces[at - 1].score < f->score; at--)
                if (at < FACES_MAX)
                        faces[at] = faces[at - 1];
        if (at < FACES_MAX)
                faces[at] = *f;
        return MIN(kept + 1, (unsigned)FACES_MAX);
}

unsigned find_faces(const float *boxes, const float *scores, size_t n, unsigned width, unsigned height,
                    Face ret[FACES_MAX]) {
        unsigned n_faces = 0;

        for (size_t i = 0; i < n; i++) {
                Face f = {.score = scores[2 * i + 1]};

                if (f.score >= FACE_SCORE && f.score <= 1.01F && box_of(boxes + 4 * i, width, height, &f.box))
                        n_faces = keep(ret, n_faces, &f);
        }
        return n_faces;
}

typedef struct Point {
        double x, y;
} Point;

/* Where embedding models have been taught that these are. */
static const Point places[] = {
        {38.2946, 51.6963}, {73.5318, 51.5014}, {56.0252, 71.7366}, {41.5493, 92.3655}, {70.7299, 92.2041}};

/* The same of 68 points: means of these; repeated where there are fewer. */
static const unsigned char of[ARRAY_SIZE(places)][4] = {
        {37, 38, 40, 41}, {43, 44, 46, 47}, {30, 30, 30, 30}, {48, 60, 48, 60}, {54, 64, 54, 64}};

bool upright(const float points[2 * POINTS_68], Box box, double ret[6]) {
        Point seen[ARRAY_SIZE(places)] = {0}, mean = {0}, wanted = {0};
        double a = 0, b = 0, spread = 0, n = ARRAY_SIZE(places);

        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                for (size_t k = 0; k < 4; k++) {
                        seen[i].x += box.x + (double)points[2 * of[i][k]] * box.width;
                        seen[i].y += box.y + (double)points[2 * of[i][k] + 1] * box.height;
                }
                seen[i] = (Point){seen[i].x / 4, seen[i].y / 4};
                mean = (Point){mean.x + seen[i].x / n, mean.y + seen[i].y / n};
                wanted = (Point){wanted.x + places[i].x / n, wanted.y + places[i].y / n};
        }
        /* Least squares, from wanted to seen: x' = ax - by + …, y' = bx + ay + … */
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                double wx = places[i].x - wanted.x, wy = places[i].y - wanted.y;
                double x = seen[i].x - mean.x, y = seen[i].y - mean.y;

                a += wx * x + wy * y;
                b += wx * y - wy * x;
                spread += wx * wx + wy * wy;
        }
        a /= spread;
        b /= spread;
        /* Sizes of a face in pixels: an eighth of one to sixteen a pixel; the chin is below. */
        if (!isfinite(a) || !isfinite(b) || hypot(a, b) < 0.125 || hypot(a, b) > 16 || a <= 0)
                return false;
        ret[0] = a, ret[1] = -b, ret[2] = mean.x - a * wanted.x + b * wanted.y;
        ret[3] = b, ret[4] = a, ret[5] = mean.y - b * wanted.x - a * wanted.y;
        return true;
}
