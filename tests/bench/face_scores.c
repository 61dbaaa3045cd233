/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker's own code makes of pictures, for tests/bench/bench_face.py and tests that have to know a
 * template:
 *
 *   face-scores DETECTOR LANDMARKS EMBEDDING WIDTH HEIGHT < pictures (RGB, one after the other)
 *
 * One line a picture: number of faces, height of the nearest and its brightness, milliseconds of processor,
 * and the direction that it has. */
#include "base/macros.h"
#include "face/vision.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <time.h>

static bool name_model(const char *path, FaceModel *ret) {
        _cleanup_free_ uint8_t *data = malloc(FACE_MODEL_MAX);
        FILE *f = fopen(path, "rbe");
        unsigned n_hash = 0;

        if (!f || !data || strlen(path) >= sizeof(ret->path))
                return false;
        strcpy(ret->path, path);
        ret->size = fread(data, 1, FACE_MODEL_MAX, f);
        (void)fclose(f);
        return EVP_Digest(data, ret->size, ret->sha256, &n_hash, EVP_sha256(), NULL) == 1;
}

static double spent(void) {
        struct timespec ts;

        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec * 1000 + (double)ts.tv_nsec / 1e6;
}

static int look(Vision *v, const Picture *p) {
        float embedding[TEMPLATE_DIMENSIONS];
        Face faces[FACES_MAX];
        unsigned n = 0, nearest = 0;
        bool clear = false;
        double began = spent();
        int step = vision_find(v, p, faces, &n);

        for (unsigned i = 1; i < n; i++)
                if (faces[i].box.height > faces[nearest].box.height)
                        nearest = i;
        if (!step && n)
                step = vision_embed(v, p, &faces[nearest], embedding, &clear);
        if (step)
                return step;
        printf("%u %.0f %.0f %.1f", n, n ? faces[nearest].box.height : 0,
               n ? picture_light(p, faces[nearest].box) : 0, spent() - began);
        for (size_t i = 0; clear && i < vision_dimensions(v); i++)
                printf(" %.7g", (double)embedding[i]);
        puts("");
        return 0;
}

int main(int argc, char *argv[]) {
        char detail[MATCHER_DETAIL_MAX];
        FaceReader reader = {0};
        Vision *v = NULL;

        if (argc != 6)
                return EXIT_FAILURE;
        for (FaceModelKind k = 0; k < FACE_MODELS; k++)
                if (!name_model(argv[1 + k], &reader.models[k]))
                        return EXIT_FAILURE;
        Picture p = {.width = (unsigned)atoi(argv[4]), .height = (unsigned)atoi(argv[5])};
        if (!p.width || p.width > PICTURE_SIDE_MAX || !p.height || p.height > PICTURE_SIDE_MAX)
                return EXIT_FAILURE;
        size_t n = (size_t)3 * p.width * p.height;
        p.rgb = malloc(n);
        int step = p.rgb ? vision_new(&v, &reader, detail) : MATCHER_PROBLEM_FAULT;
        while (!step && fread(p.rgb, 1, n, stdin) == n)
                step = look(v, &p);
        if (step)
                fprintf(stderr, "%s\n", detail);
        vision_free(v);
        free(p.rgb);
        return step ? EXIT_FAILURE : EXIT_SUCCESS;
}
