/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures in memory: what a camera sends becomes red, green and blue, and parts of that the input of a
 * model. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PICTURE_SIDE_MAX 1920 /* pixels, of width and height */

/* Pixel formats that need no decoder. */
typedef enum PixelFormat {
        PIXELS_YUYV,
        PIXELS_UYVY,
        PIXELS_NV12,
        PIXELS_GREY,
        PIXELS_RGB24,
        PIXELS_BGR24,
        PIXELS_MAX,
} PixelFormat;

typedef struct Picture {
        unsigned width, height;
        uint8_t *rgb; /* 3 * width * height bytes */
} Picture;

/* In pixels of a picture; may reach beyond it. */
typedef struct Box {
        double x, y, width, height;
} Box;

/* How the values 0 … 255 become a model's input: (value - mean) / scale. */
typedef struct PixelScale {
        float mean, scale;
} PixelScale;

/* Bytes that a frame has at least; 0: it has no such size (also an odd width or height of a format that
 * shares colours between pixels, or lines shorter than their pixels). stride: bytes a line. */
size_t frame_size(PixelFormat format, unsigned width, unsigned height, size_t stride);
/* `data`: frame_size() bytes; ret->rgb is the caller's, for ret->width × ret->height pixels. */
void frame_to_picture(const uint8_t *data, PixelFormat format, size_t stride, Picture *ret);

/* The mean brightness of a part, 0 (black) … 255. */
double picture_light(const Picture *p, Box part);
/* As `scale`; where the part is dark, as if its darkest and brightest hundredth were black and white. */
PixelScale picture_levels(const Picture *p, Box part, PixelScale scale);
/* A part as planes of width × height: red, green, blue; or one of brightness. Beyond the edge, the edge. */
void picture_part(const Picture *p, Box part, unsigned width, unsigned height, bool grey, PixelScale scale,
                  float *ret);
/* Likewise of colours, through a map from the result's pixels to the picture's: x' = m[0]x + m[1]y + m[2],
 * y' = m[3]x + m[4]y + m[5]. Beyond the edge it is black. */
void picture_warp(const Picture *p, const double m[6], unsigned width, unsigned height, PixelScale scale,
                  float *ret);
