/* SPDX-License-Identifier: Apache-2.0 */
#include "face/template.h"
#include "base/macros.h"

#include <errno.h>
#include <math.h>

#define VERSION 1
#define PREFIX  8 /* bytes of a SHA-256 */
#define ONE     32767.0F

void template_model(const FaceReader *r, uint8_t ret[TEMPLATE_MODEL]) {
        ret[0] = r->raw_pixels != 0;
        memcpy(ret + 1, r->models[FACE_EMBEDDING].sha256, PREFIX);
        memcpy(ret + 1 + PREFIX, r->models[FACE_LANDMARKS].sha256, PREFIX);
}

bool embedding_normalise(float *v, size_t n) {
        double sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += (double)v[i] * (double)v[i];
        double length = sqrt(sum);
        if (!isfinite(length) || length < 1e-6)
                return false;
        for (size_t i = 0; i < n; i++)
                v[i] = (float)(v[i] / length);
        return true;
}

double embedding_cosine(const float *a, const float *b, size_t n) {
        double sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += (double)a[i] * (double)b[i];
        return sum;
}

size_t template_write(const uint8_t model[TEMPLATE_MODEL], const float *v, size_t n,
                      uint8_t ret[TEMPLATE_MAX]) {
        uint8_t *p = ret + TEMPLATE_HEADER;

        memcpy(ret, (const uint8_t[]){'F', 'A', VERSION}, 3);
        memcpy(ret + 3, model, TEMPLATE_MODEL);
        ret[TEMPLATE_HEADER - 2] = (uint8_t)(n >> 8);
        ret[TEMPLATE_HEADER - 1] = (uint8_t)n;
        for (size_t i = 0; i < n; i++) {
                int value = (int)lrintf(v[i] * ONE);
                *p++ = (uint8_t)((unsigned)value >> 8);
                *p++ = (uint8_t)value;
        }
        return TEMPLATE_HEADER + 2 * n;
}

int template_read(const uint8_t *data, size_t n, const uint8_t model[TEMPLATE_MODEL], float *ret,
                  size_t n_ret) {
        double sum = 0;

        if (n < TEMPLATE_HEADER || data[0] != 'F' || data[1] != 'A' || data[2] != VERSION)
                return -EINVAL;
        if (memcmp(data + 3, model, TEMPLATE_MODEL) != 0)
                return -EXDEV;
        size_t count = (size_t)data[TEMPLATE_HEADER - 2] << 8 | data[TEMPLATE_HEADER - 1];
        if (count != n_ret || n != TEMPLATE_HEADER + 2 * count)
                return -EINVAL;
        for (size_t i = 0; i < count; i++) {
                const uint8_t *p = data + TEMPLATE_HEADER + 2 * i;
                ret[i] = (float)(int16_t)(p[0] << 8 | p[1]) / ONE;
                sum += (double)ret[i] * (double)ret[i];
        }
        /* Rounded, but not otherwise changed. */
        return fabs(sum - 1) < 0.01 && embedding_normalise(ret, n_ret) ? 0 : -EINVAL;
}
