/* SPDX-License-Identifier: Apache-2.0 */
#include "face/picture.h"
#include "base/macros.h"

#include <math.h>

#define LEVELS_DARK 105 /* nearly nothing is brighter: dark */
#define LEVELS_MIN  32  /* steps between black and white: less is noise */
#define SAMPLES_MAX 8   /* of one pixel, in each direction, when a picture is made smaller */

static unsigned bytes_of_pixel(PixelFormat format) {
        switch (format) {
        case PIXELS_YUYV:
        case PIXELS_UYVY:
                return 2;
        case PIXELS_NV12:
        case PIXELS_GREY:
                return 1;
        case PIXELS_RGB24:
        case PIXELS_BGR24:
                return 3;
        case PIXELS_MAX:
                break;
        }
        return 0;
}

size_t frame_size(PixelFormat format, unsigned width, unsigned height, size_t stride) {
        unsigned bytes = bytes_of_pixel(format);
        bool pairs = format == PIXELS_YUYV || format == PIXELS_UYVY || format == PIXELS_NV12;

        if (!bytes || !width || !height || width > PICTURE_SIDE_MAX || height > PICTURE_SIDE_MAX ||
            stride < (size_t)bytes * width || stride > (size_t)16 * PICTURE_SIDE_MAX)
                return 0;
        if (pairs && (width % 2 || (format == PIXELS_NV12 && height % 2)))
                return 0;
        /* Nothing needs to be behind the last line. */
        size_t lines = format == PIXELS_NV12 ? height + height / 2 : height;
        return (lines - 1) * stride + (size_t)bytes * width;
}

static uint8_t clamp(int v) {
        return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* ITU-R BT.601, 16 … 235, as cameras send it. */
static void put_yuv(uint8_t *rgb, int y, int u, int v) {
        int c = 298 * (y - 16) + 128, d = u - 128, e = v - 128;

        rgb[0] = clamp((c + 409 * e) / 256);
        rgb[1] = clamp((c - 100 * d - 208 * e) / 256);
        rgb[2] = clamp((c + 516 * d) / 256);
}

static void line_to_rgb(const uint8_t *line, const uint8_t *colours, PixelFormat format, unsigned width,
                        uint8_t *rgb) {
        for (unsigned x = 0; x < width; x++, rgb += 3) {
                const uint8_t *pair = line + 4 * (size_t)(x / 2), *pixel = line + 3 * (size_t)x;

                switch (format) {
                case PIXELS_YUYV:
                        put_yuv(rgb, pair[x % 2 ? 2 : 0], pair[1], pair[3]);
                        break;
                case PIXELS_UYVY:
                        put_yuv(rgb, pair[x % 2 ? 3 : 1], pair[0], pair[2]);
                        break;
                case PIXELS_NV12:
                        put_yuv(rgb, line[x], colours[x & ~1U], colours[x | 1]);
                        break;
                case PIXELS_GREY:
                        rgb[0] = rgb[1] = rgb[2] = line[x];
                        break;
                case PIXELS_RGB24:
                        rgb[0] = pixel[0], rgb[1] = pixel[1], rgb[2] = pixel[2];
                        break;
                case PIXELS_BGR24:
                        rgb[0] = pixel[2], rgb[1] = pixel[1], rgb[2] = pixel[0];
                        break;
                case PIXELS_MAX:
                        break;
                }
        }
}

void frame_to_picture(const uint8_t *data, PixelFormat format, size_t stride, Picture *ret) {
        for (unsigned y = 0; y < ret->height; y++)
                line_to_rgb(data + y * stride, data + (ret->height + y / 2) * stride, format, ret->width,
                            ret->rgb + (size_t)3 * ret->width * y);
}

static const uint8_t *pixel_at(const Picture *p, int x, int y) {
        int w = (int)p->width, h = (int)p->height;

        x = x < 0 ? 0 : x >= w ? w - 1 : x;
        y = y < 0 ? 0 : y >= h ? h - 1 : y;
        return p->rgb + 3 * ((size_t)y * p->width + (size_t)x);
}

/* Between four pixels; the middle of the first one is (0, 0). */
static void sample(const Picture *p, double x, double y, float ret[3]) {
        double left = floor(x), top = floor(y);
        float fx = (float)(x - left), fy = (float)(y - top);
        const uint8_t *a = pixel_at(p, (int)left, (int)top), *b = pixel_at(p, (int)left + 1, (int)top),
                      *c = pixel_at(p, (int)left, (int)top + 1),
                      *d = pixel_at(p, (int)left + 1, (int)top + 1);

        for (int i = 0; i < 3; i++) {
                float upper = (float)a[i] + fx * (float)(b[i] - a[i]);
                float lower = (float)c[i] + fx * (float)(d[i] - c[i]);
                ret[i] = upper + fy * (lower - upper);
        }
}

static float brightness(const float rgb[3]) {
        return 0.299F * rgb[0] + 0.587F * rgb[1] + 0.114F * rgb[2];
}

/* What a model's input cannot be further from the picture than: nothing but nonsense is. */
static bool is_sane(const Picture *p, Box b) {
        double most = 4.0 * PICTURE_SIDE_MAX;

        return p->width && p->height && isfinite(b.x) && isfinite(b.y) && fabs(b.x) < most &&
               fabs(b.y) < most && b.width > 0 && b.height > 0 && b.width < most && b.height < most;
}

double picture_light(const Picture *p, Box part) {
        double sum = 0;
        size_t n = 0;

        if (!is_sane(p, part))
                return 0;
        for (int y = MAX((int)part.y, 0); y < MIN((int)(part.y + part.height), (int)p->height); y++)
                for (int x = MAX((int)part.x, 0); x < MIN((int)(part.x + part.width), (int)p->width); x++) {
                        const uint8_t *v = pixel_at(p, x, y);
                        sum += (double)brightness((float[]){v[0], v[1], v[2]});
                        n++;
                }
        return n ? sum / (double)n : 0;
}

PixelScale picture_levels(const Picture *p, Box part, PixelScale scale) {
        size_t counts[256] = {0}, n = 0, below = 0;
        int low = 0, high = 255;

        if (!is_sane(p, part))
                return scale;
        for (int y = MAX((int)part.y, 0); y < MIN((int)(part.y + part.height), (int)p->height); y++)
                for (int x = MAX((int)part.x, 0); x < MIN((int)(part.x + part.width), (int)p->width); x++) {
                        const uint8_t *v = pixel_at(p, x, y);
                        counts[(unsigned)brightness((float[]){v[0], v[1], v[2]}) & 255]++;
                        n++;
                }
        for (int i = 0; i < 256; i++) {
                if (below <= n / 100)
                        low = i;
                if (below < n - n / 100)
                        high = i;
                below += counts[i];
        }
        if (high >= LEVELS_DARK)
                return scale;
        float range = (float)MAX(high - low, LEVELS_MIN) / 255;
        return (PixelScale){(float)low + scale.mean * range, scale.scale * range};
}

void picture_part(const Picture *p, Box part, unsigned width, unsigned height, bool grey, PixelScale scale,
                  float *ret) {
        double sx = part.width / width, sy = part.height / height;
        size_t plane = (size_t)width * height;

        if (!is_sane(p, part)) {
                memset(ret, 0, (grey ? 1 : 3) * plane * sizeof(*ret));
                return;
        }
        /* A pixel that stands for many is their mean: else fine structures come and go. */
        int nx = (int)ceil(fmin(fmax(sx / 2, 1), SAMPLES_MAX)),
            ny = (int)ceil(fmin(fmax(sy / 2, 1), SAMPLES_MAX));
        for (unsigned y = 0; y < height; y++)
                for (unsigned x = 0; x < width; x++) {
                        float sum[3] = {0}, one[3];

                        for (int j = 0; j < ny; j++)
                                for (int i = 0; i < nx; i++) {
                                        sample(p, part.x + (x + (i + 0.5) / nx) * sx - 0.5,
                                               part.y + (y + (j + 0.5) / ny) * sy - 0.5, one);
                                        for (int k = 0; k < 3; k++)
                                                sum[k] += one[k] / (float)(nx * ny);
                                }
                        size_t at = (size_t)y * width + x;
                        if (grey)
                                ret[at] = (brightness(sum) - scale.mean) / scale.scale;
                        else
                                for (size_t k = 0; k < 3; k++)
                                        ret[k * plane + at] = (sum[k] - scale.mean) / scale.scale;
                }
}

void picture_warp(const Picture *p, const double m[6], unsigned width, unsigned height, PixelScale scale,
                  float *ret) {
        size_t plane = (size_t)width * height;

        for (unsigned y = 0; y < height; y++)
                for (unsigned x = 0; x < width; x++) {
                        double sx = m[0] * x + m[1] * y + m[2], sy = m[3] * x + m[4] * y + m[5];
                        float rgb[3] = {0};

                        if (sx > -1 && sy > -1 && sx < p->width && sy < p->height)
                                sample(p, sx, sy, rgb);
                        for (size_t k = 0; k < 3; k++)
                                ret[k * plane + (size_t)y * width + x] = (rgb[k] - scale.mean) / scale.scale;
                }
}
