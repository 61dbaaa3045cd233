/* SPDX-License-Identifier: Apache-2.0 */
#include "face/vision.h"
#include "base/log.h"
#include "base/macros.h"
#include "face/net.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>

/* What detectors of this family (RFB-320) and landmark models of 68 points take. */
#define FIND_WIDTH  320
#define FIND_HEIGHT 240
#define POINTS_SIDE 64

static const PixelScale centred = {127, 128}, parts = {0, 256}, raw = {0, 1};
static const char *const model_names[FACE_MODELS] = {"Detector", "Landmarks", "Embedding"};

struct Vision {
        Net *nets[FACE_MODELS];
        size_t dimensions;
        PixelScale scale; /* of the embedding model's input */
        float find[3 * FIND_HEIGHT * FIND_WIDTH], points[POINTS_SIDE * POINTS_SIDE],
                face[3 * FACE_SIDE * FACE_SIDE];
};

/* --- files --- */

static bool is_as_named(const uint8_t *data, size_t n, const uint8_t wanted[32]) {
        uint8_t hash[32];
        unsigned n_hash = 0;

        return EVP_Digest(data, n, hash, &n_hash, EVP_sha256(), NULL) == 1 && n_hash == sizeof(hash) &&
               memcmp(hash, wanted, sizeof(hash)) == 0;
}

static int read_all(int fd, uint8_t *data, size_t n) {
        for (size_t at = 0; at < n;) {
                ssize_t r = read(fd, data + at, n - at);
                if (r < 0 && errno == EINTR)
                        continue;
                if (r <= 0)
                        return r < 0 ? -errno : -EIO;
                at += (size_t)r;
        }
        return 0;
}

static int read_model(const FaceModel *m, const char *name, uint8_t **ret, char *detail) {
        _cleanup_close_ int fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                snprintf(detail, MATCHER_DETAIL_MAX, "%s=: %s", name,
                         fd < 0 ? strerror(errno) : "this is not a file");
                return MATCHER_PROBLEM_MODEL_MISSING;
        }
        if ((uint64_t)st.st_size != m->size) {
                snprintf(detail, MATCHER_DETAIL_MAX, "%s=: it has %llu bytes, not %llu", name,
                         (unsigned long long)st.st_size, (unsigned long long)m->size);
                return MATCHER_PROBLEM_MODEL_OTHER;
        }
        _cleanup_free_ uint8_t *data = malloc(m->size);
        if (!data)
                return MATCHER_PROBLEM_FAULT;
        int r = read_all(fd, data, m->size);
        if (r < 0) {
                snprintf(detail, MATCHER_DETAIL_MAX, "%s=: %s", name, strerror(-r));
                return MATCHER_PROBLEM_MODEL_MISSING;
        }
        if (!is_as_named(data, m->size, m->sha256)) {
                snprintf(detail, MATCHER_DETAIL_MAX, "%s=: it has another SHA-256", name);
                return MATCHER_PROBLEM_MODEL_OTHER;
        }
        *ret = steal_ptr(data);
        return 0;
}

static int load(Vision *v, const FaceReader *reader, FaceModelKind kind, char *detail) {
        _cleanup_free_ uint8_t *data = NULL;
        const FaceModel *m = &reader->models[kind];

        int step = read_model(m, model_names[kind], &data, detail);
        if (step)
                return step;
        int r = net_new(&v->nets[kind], data, m->size);
        if (r == -ENOMEM)
                return MATCHER_PROBLEM_FAULT;
        if (r < 0)
                snprintf(detail, MATCHER_DETAIL_MAX, "%s=: it cannot be loaded", model_names[kind]);
        return r < 0 ? MATCHER_PROBLEM_MODEL_UNUSABLE : 0;
}

/* --- the models at work --- */

static int run_find(Vision *v, NetOutput ret[2]) {
        ret[0] = (NetOutput){.name = "boxes"};
        ret[1] = (NetOutput){.name = "scores"};
        int r = net_run(v->nets[FACE_DETECTOR], v->find, 3, FIND_HEIGHT, FIND_WIDTH, ret, 2);
        return r < 0 ? r : ret[0].n && ret[0].n % 4 == 0 && ret[1].n == ret[0].n / 2 ? 0 : -EINVAL;
}

static int run_points(Vision *v, NetOutput *ret) {
        *ret = (NetOutput){.name = net_output(v->nets[FACE_LANDMARKS])};
        int r = ret->name ? net_run(v->nets[FACE_LANDMARKS], v->points, 1, POINTS_SIDE, POINTS_SIDE, ret, 1)
                          : -EINVAL;
        return r < 0 ? r : ret->n == (size_t)2 * POINTS_68 ? 0 : -EINVAL;
}

static int run_embed(Vision *v, NetOutput *ret) {
        *ret = (NetOutput){.name = net_output(v->nets[FACE_EMBEDDING])};
        return ret->name ? net_run(v->nets[FACE_EMBEDDING], v->face, 3, FACE_SIDE, FACE_SIDE, ret, 1)
                         : -EINVAL;
}

/* With a black picture: do they take and give what they should? */
static int try_model(Vision *v, FaceModelKind kind, char *detail) {
        NetOutput out[2] = {0};
        int r = -EINVAL;

        switch (kind) {
        case FACE_DETECTOR:
                r = run_find(v, out);
                break;
        case FACE_LANDMARKS:
                r = run_points(v, out);
                break;
        case FACE_EMBEDDING:
                r = run_embed(v, out);
                v->dimensions = out[0].n;
                if (r >= 0 && (v->dimensions < 32 || v->dimensions > TEMPLATE_DIMENSIONS))
                        r = -EINVAL;
                break;
        case FACE_MODELS:
                break;
        }
        if (r == -ENOMEM)
                return MATCHER_PROBLEM_FAULT;
        if (r < 0)
                snprintf(detail, MATCHER_DETAIL_MAX, "%s=: it is no such model", model_names[kind]);
        return r < 0 ? MATCHER_PROBLEM_MODEL_UNUSABLE : 0;
}

int vision_new(Vision **ret, const FaceReader *reader, char detail[MATCHER_DETAIL_MAX]) {
        Vision *v = calloc(1, sizeof(*v));
        int step = v ? 0 : MATCHER_PROBLEM_FAULT;

        *detail = 0;
        net_begin();
        for (FaceModelKind kind = 0; !step && kind < FACE_MODELS; kind++) {
                step = load(v, reader, kind, detail);
                if (!step)
                        step = try_model(v, kind, detail);
                if (step)
                        log_warning("Reader face: %s (%s)", detail, reader->models[kind].path);
        }
        if (step) {
                vision_free(v);
                return step;
        }
        v->scale = reader->raw_pixels ? raw : centred;
        *ret = v;
        return 0;
}

Vision *vision_free(Vision *v) {
        for (FaceModelKind kind = 0; v && kind < FACE_MODELS; kind++)
                net_free(v->nets[kind]);
        free(v);
        return NULL;
}

size_t vision_dimensions(const Vision *v) {
        return v->dimensions;
}

int vision_find(Vision *v, const Picture *p, Face ret[FACES_MAX], unsigned *ret_n) {
        Box all = {0, 0, p->width, p->height};
        NetOutput out[2];

        picture_part(p, all, FIND_WIDTH, FIND_HEIGHT, false, picture_levels(p, all, centred), v->find);
        if (run_find(v, out) < 0)
                return MATCHER_PROBLEM_FAULT;
        *ret_n = find_faces(out[0].data, out[1].data, out[1].n / 2, p->width, p->height, ret);
        return 0;
}

int vision_embed(Vision *v, const Picture *p, const Face *face, float *ret, bool *ret_clear) {
        NetOutput points, embedding;
        double map[6];

        *ret_clear = false;
        picture_part(p, face->box, POINTS_SIDE, POINTS_SIDE, true, picture_levels(p, face->box, parts),
                     v->points);
        if (run_points(v, &points) < 0)
                return MATCHER_PROBLEM_FAULT;
        if (!upright(points.data, face->box, map))
                return 0;
        picture_warp(p, map, FACE_SIDE, FACE_SIDE, picture_levels(p, face->box, v->scale), v->face);
        if (run_embed(v, &embedding) < 0 || embedding.n != v->dimensions)
                return MATCHER_PROBLEM_FAULT;
        memcpy(ret, embedding.data, embedding.n * sizeof(*ret));
        *ret_clear = embedding_normalise(ret, embedding.n);
        return 0;
}

/* What models keep of the last input, and what comes of it, is that of a black picture then. */
void vision_forget(Vision *v) {
        NetOutput out[2];

        explicit_bzero(v->find, sizeof(v->find));
        explicit_bzero(v->points, sizeof(v->points));
        explicit_bzero(v->face, sizeof(v->face));
        (void)run_find(v, out);
        (void)run_points(v, out);
        (void)run_embed(v, out);
}
