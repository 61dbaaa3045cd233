/* SPDX-License-Identifier: Apache-2.0 */
/* Faces without a camera or a model: frames into pictures, detections into faces, points into an upright
 * face, directions into templates, and what is none of them. */
#include "face/find.h"
#include "face/picture.h"
#include "face/template.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define WIDTH  64
#define HEIGHT 48

static const PixelScale as_it_is = {0, 1};

static void near(double a, double b, double most) {
        if (!(fabs(a - b) <= most))
                fail_msg("%g is not %g, give or take %g", a, b, most);
}

/* --- frames --- */

static void test_face_frame_has_its_length_or_is_none(void **state) {
        static const struct {
                PixelFormat format;
                unsigned width, height;
                size_t stride, expected;
        } rows[] = {
                {PIXELS_YUYV, 640, 480, 1280, 614400},
                {PIXELS_UYVY, 640, 480, 1280, 614400},
                {PIXELS_NV12, 640, 480, 640, 460800},
                {PIXELS_GREY, 640, 480, 640, 307200},
                {PIXELS_RGB24, 640, 480, 1920, 921600},
                {PIXELS_BGR24, 3, 2, 12, 21}, /* nothing behind the last line */
                {PIXELS_GREY, 1, 1, 1, 1},
                {PIXELS_YUYV, 641, 480, 1282, 0}, /* a pair of pixels shares its colour */
                {PIXELS_NV12, 640, 481, 640, 0},
                {PIXELS_YUYV, 640, 480, 1279, 0}, /* lines shorter than their pixels */
                {PIXELS_GREY, 0, 480, 640, 0},
                {PIXELS_GREY, 640, 0, 640, 0},
                {PIXELS_GREY, PICTURE_SIDE_MAX + 1, 480, PICTURE_SIDE_MAX + 1, 0},
                {PIXELS_GREY, 640, 480, SIZE_MAX, 0},
                {PIXELS_MAX, 640, 480, 640, 0},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                assert_int_equal(frame_size(rows[i].format, rows[i].width, rows[i].height, rows[i].stride),
                                 rows[i].expected);
}

/* Two pixels, one above the other below, in each format: red, and black. In BT.601 red is 82, 90, 240. */
static void test_face_frame_of_each_format_is_the_same_picture(void **state) {
        static const struct {
                PixelFormat format;
                size_t stride;
                uint8_t data[16];
        } rows[] = {
                {PIXELS_YUYV, 4, {82, 90, 82, 240, 16, 128, 16, 128}},
                {PIXELS_UYVY, 4, {90, 82, 240, 82, 128, 16, 128, 16}},
                {PIXELS_RGB24, 8, {255, 0, 0, 255, 0, 0, 9, 9, 0, 0, 0, 0, 0, 0}},
                {PIXELS_BGR24, 6, {0, 0, 255, 0, 0, 255, 0, 0, 0, 0, 0, 0}},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                uint8_t rgb[12];
                Picture p = {.width = 2, .height = 2, .rgb = rgb};

                frame_to_picture(rows[i].data, rows[i].format, rows[i].stride, &p);
                for (int x = 0; x < 2; x++) {
                        near(rgb[3 * x], 255, 2), near(rgb[3 * x + 1], 0, 2), near(rgb[3 * x + 2], 0, 2);
                        near(rgb[6 + 3 * x], 0, 2), near(rgb[7 + 3 * x], 0, 2), near(rgb[8 + 3 * x], 0, 2);
                }
        }
        uint8_t rgb[12];
        Picture p = {.width = 2, .height = 2, .rgb = rgb};
        frame_to_picture((const uint8_t[]){82, 82, 41, 82, 90, 240}, PIXELS_NV12, 2, &p);
        near(rgb[0], 255, 2), near(rgb[1], 0, 2), near(rgb[9], 255, 2);
        assert_true(rgb[6] < 230); /* darker */
        frame_to_picture((const uint8_t[]){7, 77, 177, 255}, PIXELS_GREY, 2, &p);
        assert_int_equal(rgb[0], 7);
        assert_int_equal(rgb[11], 255);
}

/* --- parts of pictures --- */

/* Red from left to right, green from top to bottom. */
static Picture slope(void) {
        Picture p = {.width = WIDTH, .height = HEIGHT, .rgb = malloc((size_t)3 * WIDTH * HEIGHT)};

        for (unsigned y = 0; y < HEIGHT; y++)
                for (unsigned x = 0; x < WIDTH; x++) {
                        uint8_t *v = p.rgb + 3 * (y * WIDTH + x);
                        v[0] = (uint8_t)(2 * x), v[1] = (uint8_t)(3 * y), v[2] = 100;
                }
        return p;
}

static void test_face_part_is_what_lies_there_whatever_its_size(void **state) {
        static const struct {
                Box part;
                unsigned width, height;
        } rows[] = {{{0, 0, WIDTH, HEIGHT}, WIDTH, HEIGHT},
                    {{0, 0, WIDTH, HEIGHT}, 16, 12},
                    {{8, 8, 32, 32}, 64, 64},
                    {{10.5, 3.25, 20, 40}, 10, 10}};
        Picture p = slope();

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                unsigned w = rows[i].width, h = rows[i].height;
                float *out = malloc(3 * sizeof(float) * w * h);
                Box b = rows[i].part;

                picture_part(&p, b, w, h, false, as_it_is, out);
                for (unsigned y = 1; y + 1 < h; y++) /* the edge is the edge */
                        for (unsigned x = 1; x + 1 < w; x++) {
                                near(out[y * w + x], 2 * (b.x + (x + 0.5) * b.width / w - 0.5), 1);
                                near(out[w * h + y * w + x], 3 * (b.y + (y + 0.5) * b.height / h - 0.5), 1);
                                near(out[2 * w * h + y * w + x], 100, 0.01);
                        }
                free(out);
        }
        free(p.rgb);
}

static void test_face_part_beyond_the_edge_is_the_edge_and_nonsense_is_black(void **state) {
        static const Box bad[] = {{NAN, 0, 10, 10}, {0, INFINITY, 10, 10}, {0, 0, 0, 10},  {0, 0, 10, -1},
                                  {1e9, 0, 10, 10}, {0, 0, 1e9, 10},       {0, 0, NAN, 10}};
        Picture p = slope();
        float out[3 * 16];

        picture_part(&p, (Box){-1000, -1000, 40, 40}, 4, 4, false, as_it_is, out);
        for (int i = 0; i < 16; i++)
                near(out[i], 0, 0), near(out[32 + i], 100, 0.01);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                memset(out, 0x7f, sizeof(out));
                picture_part(&p, bad[i], 4, 4, false, as_it_is, out);
                for (int k = 0; k < 48; k++)
                        assert_true(out[k] == 0);
                near(picture_light(&p, bad[i]), 0, 0);
        }
        free(p.rgb);
}

static void test_face_light_is_the_mean_of_a_part(void **state) {
        uint8_t rgb[3 * 16 * 16];
        Picture p = {.width = 16, .height = 16, .rgb = rgb};
        float grey[4];

        memset(rgb, 200, sizeof(rgb));
        memset(rgb, 0, sizeof(rgb) / 2); /* the upper half */
        near(picture_light(&p, (Box){0, 0, 16, 16}), 100, 0.1);
        near(picture_light(&p, (Box){0, 8, 16, 8}), 200, 0.1);
        near(picture_light(&p, (Box){-50, -50, 10, 10}), 0, 0);
        picture_part(&p, (Box){0, 8, 16, 8}, 2, 2, true, (PixelScale){0, 256}, grey);
        near(grey[3], 200 / 256.0, 0.001);
}

static void test_face_levels_make_up_for_the_dark_alone(void **state) {
        static const struct {
                unsigned char dark, bright; /* half of it each */
                double expected_dark, expected_bright;
        } rows[] = {
                {10, 60, 0, 255},  {0, 100, 0, 255},   {40, 104, 0, 255},
                {0, 200, 0, 200},  {50, 106, 50, 106}, /* light enough: as it is */
                {20, 22, 0, 15.9},                     /* too little to make something of: noise */
        };
        uint8_t rgb[3 * 16 * 16];
        Picture p = {.width = 16, .height = 16, .rgb = rgb};
        Box all = {0, 0, 16, 16};

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                memset(rgb, rows[i].bright, sizeof(rgb));
                memset(rgb, rows[i].dark, sizeof(rgb) / 2);
                PixelScale s = picture_levels(&p, all, as_it_is);
                near(((double)rows[i].dark - (double)s.mean) / (double)s.scale, rows[i].expected_dark, 3);
                near(((double)rows[i].bright - (double)s.mean) / (double)s.scale, rows[i].expected_bright, 8);
        }
        PixelScale s = picture_levels(&p, (Box){NAN, 0, 1, 1}, (PixelScale){127, 128});
        near(s.mean, 127, 0), near(s.scale, 128, 0);
        s = picture_levels(&p, (Box){-100, -100, 50, 50}, (PixelScale){127, 128}); /* nothing of it */
        assert_true(isfinite(s.mean) && s.scale > 0);
}

/* --- detections --- */

static unsigned find(const float boxes[][4], const float scores[][2], size_t n, Face ret[FACES_MAX]) {
        return find_faces(boxes[0], scores[0], n, 1000, 500, ret);
}

static void test_face_find_keeps_the_best_of_boxes_that_overlap(void **state) {
        static const float boxes[][4] = {{0.10F, 0.2F, 0.20F, 0.5F},
                                         {0.11F, 0.2F, 0.21F, 0.5F},
                                         {0.60F, 0.2F, 0.70F, 0.5F},
                                         {0.60F, 0.6F, 0.70F, 0.9F},
                                         {0.10F, 0.2F, 0.20F, 0.5F}};
        static const float scores[][2] = {
                {0.1F, 0.9F}, {0.02F, 0.98F}, {0.2F, 0.8F}, {0.4F, 0.6F}, {0.3F, 0.7F}};
        Face faces[FACES_MAX];

        assert_int_equal(find(boxes, scores, 5, faces), 2);
        near(faces[0].score, 0.98, 0.001);
        near(faces[1].score, 0.8, 0.001);
        /* As high as it was, and square around the same middle. */
        near(faces[0].box.height, 150, 0.1), near(faces[0].box.width, 150, 0.1);
        near(faces[0].box.y, 100, 0.1), near(faces[0].box.x, 160 - 75, 0.1);
}

static void test_face_find_leaves_out_what_is_none(void **state) {
        static const float good[2] = {0, 0.99F};
        static const struct {
                float box[4], score[2];
        } rows[] = {
                {{NAN, 0.2F, 0.2F, 0.5F}, {0, 0.99F}},    {{0.1F, 0.2F, INFINITY, 0.5F}, {0, 0.99F}},
                {{0.2F, 0.2F, 0.1F, 0.5F}, {0, 0.99F}},   {{0.1F, 0.5F, 0.2F, 0.2F}, {0, 0.99F}},
                {{0.1F, 0.2F, 0.2F, 0.5F}, {0, NAN}},     {{0.1F, 0.2F, 0.2F, 0.5F}, {0, 0.64F}},
                {{0.1F, 0.2F, 0.2F, 0.5F}, {0, 3e38F}},   {{1.1F, 0.2F, 1.2F, 0.5F}, {0, 0.99F}},
                {{-0.3F, 0.2F, -0.2F, 0.5F}, {0, 0.99F}}, {{0.1F, -9, 0.2F, 9}, {0, 0.99F}},
                {{0.1F, 0.2F, 0.1F, 0.2F}, {0, 0.99F}},
        };
        Face faces[FACES_MAX];

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                assert_int_equal(find_faces(rows[i].box, rows[i].score, 1, 1000, 500, faces), 0);
        assert_int_equal(find_faces((const float[]){0.1F, 0.2F, 0.2F, 0.5F}, good, 1, 1000, 500, faces), 1);
        assert_int_equal(find_faces(NULL, NULL, 0, 1000, 500, faces), 0);
}

static void test_face_find_of_a_crowd_keeps_the_best(void **state) {
        float boxes[40][4], scores[40][2];
        Face faces[FACES_MAX];

        for (int i = 0; i < 40; i++) {
                float x = (float)(i % 10) / 10, y = (float)(i / 10) / 4;
                memcpy(boxes[i], (const float[]){x, y, x + 0.05F, y + 0.1F}, sizeof(boxes[i]));
                memcpy(scores[i], (const float[]){0, 0.7F + (float)((i * 17) % 40) / 200}, sizeof(scores[i]));
        }
        assert_int_equal(find((const float(*)[4])boxes, (const float(*)[2])scores, 40, faces), FACES_MAX);
        for (int i = 0; i < FACES_MAX; i++)
                near(faces[i].score, 0.7 + (39 - i) / 200.0, 0.001);
}

/* --- upright --- */

/* Points of a face that looks as embedding models want it, turned, scaled and moved. */
static void points_of(double angle, double scale, double x, double y, Box box, float ret[2 * POINTS_68]) {
        static const double wanted[5][2] = {{38.2946, 51.6963},
                                            {73.5318, 51.5014},
                                            {56.0252, 71.7366},
                                            {41.5493, 92.3655},
                                            {70.7299, 92.2041}};
        static const unsigned char of[5][4] = {
                {37, 38, 40, 41}, {43, 44, 46, 47}, {30, 30, 30, 30}, {48, 60, 48, 60}, {54, 64, 54, 64}};

        memset(ret, 0, 2 * POINTS_68 * sizeof(*ret));
        for (int i = 0; i < 5; i++)
                for (int k = 0; k < 4; k++) {
                        double px = scale * (cos(angle) * wanted[i][0] - sin(angle) * wanted[i][1]) + x;
                        double py = scale * (sin(angle) * wanted[i][0] + cos(angle) * wanted[i][1]) + y;
                        ret[2 * of[i][k]] = (float)((px - box.x) / box.width);
                        ret[2 * of[i][k] + 1] = (float)((py - box.y) / box.height);
                }
}

static void test_face_upright_undoes_turn_size_and_place(void **state) {
        static const struct {
                double angle, scale, x, y;
        } rows[] = {{0, 1, 0, 0}, {0.3, 2, 40, -20}, {-0.7, 0.5, -300, 90}, {1.2, 4, 7, 7}};
        Box box = {100, 50, 200, 200};

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                float points[2 * POINTS_68];
                double m[6];

                points_of(rows[i].angle, rows[i].scale, rows[i].x, rows[i].y, box, points);
                assert_true(upright(points, box, m));
                near(m[0], rows[i].scale * cos(rows[i].angle), 0.001);
                near(m[3], rows[i].scale * sin(rows[i].angle), 0.001);
                near(m[1], -m[3], 0), near(m[4], m[0], 0);
                near(m[2], rows[i].x, 0.05), near(m[5], rows[i].y, 0.05);
        }
}

static void test_face_upright_refuses_what_is_no_face(void **state) {
        Box box = {0, 0, 100, 100};
        float points[2 * POINTS_68];
        double m[6];

        memset(points, 0, sizeof(points)); /* all in one place */
        assert_false(upright(points, box, m));
        points_of(3.1, 1, 0, 0, box, points); /* upside down */
        assert_false(upright(points, box, m));
        points_of(0, 1, 0, 0, box, points);
        assert_true(upright(points, box, m));
        points[2 * 37] = NAN;
        assert_false(upright(points, box, m));
        points[2 * 37] = 1e30F;
        assert_false(upright(points, box, m));
}

static void test_face_warp_takes_what_is_there_and_black_beyond(void **state) {
        Picture p = slope();
        float out[3 * 64];

        picture_warp(&p, (const double[]){1, 0, 10, 0, 1, 20}, 8, 8, as_it_is, out);
        near(out[0], 20, 0.01), near(out[64], 60, 0.01), near(out[63], 34, 0.01);
        picture_warp(&p, (const double[]){1, 0, 1e6, 0, 1, 0}, 8, 8, (PixelScale){127, 128}, out);
        near(out[0], -127 / 128.0, 0.001);
        picture_warp(&p, (const double[]){NAN, 0, 0, 0, 1, 0}, 8, 8, as_it_is, out);
        near(out[7], 0, 0);
        free(p.rgb);
}

/* --- directions and templates --- */

static void test_face_cosine_is_of_directions_alone(void **state) {
        float a[] = {3, 4, 0}, b[] = {30, 40, 0}, c[] = {-3, -4, 0}, d[] = {0, 0, 5}, none[] = {0, 0, 0},
              bad[] = {1, NAN, 0}, large[] = {3e38F, 3e38F, 3e38F};

        assert_true(embedding_normalise(a, 3) && embedding_normalise(b, 3) && embedding_normalise(c, 3) &&
                    embedding_normalise(d, 3) && embedding_normalise(large, 3));
        near(embedding_cosine(a, b, 3), 1, 1e-6);
        near(embedding_cosine(a, c, 3), -1, 1e-6);
        near(embedding_cosine(a, d, 3), 0, 1e-6);
        assert_false(embedding_normalise(none, 3));
        assert_false(embedding_normalise(bad, 3));
}

static const FaceReader reader = {.models = {[FACE_DETECTOR].sha256 = {9, 9},
                                             [FACE_LANDMARKS].sha256 = {1, 2, 3},
                                             [FACE_EMBEDDING].sha256 = {4, 5, 6}}};

static size_t template_of(float v[128], uint8_t ret[TEMPLATE_MAX]) {
        uint8_t model[TEMPLATE_MODEL];

        for (int i = 0; i < 128; i++)
                v[i] = (float)((i * 37) % 101 - 50);
        assert_true(embedding_normalise(v, 128));
        template_model(&reader, model);
        return template_write(model, v, 128, ret);
}

/* Requirement: C3 */
static void test_face_template_comes_back_as_it_was(void **state) {
        uint8_t template[TEMPLATE_MAX], model[TEMPLATE_MODEL];
        float v[128], back[128];
        size_t n = template_of(v, template);

        template_model(&reader, model);
        assert_int_equal(n, TEMPLATE_HEADER + 256);
        assert_int_equal(template_read(template, n, model, back, 128), 0);
        assert_true(embedding_cosine(v, back, 128) > 0.99999);
}

/* Requirement: C3 */
static void test_face_template_of_other_models_is_told_from_a_damaged_one(void **state) {
        uint8_t template[TEMPLATE_MAX], model[TEMPLATE_MODEL];
        float v[128], back[TEMPLATE_DIMENSIONS];
        size_t n = template_of(v, template);
        FaceReader other;

        other = reader, other.models[FACE_EMBEDDING].sha256[7]++;
        template_model(&other, model);
        assert_int_equal(template_read(template, n, model, back, 128), -EXDEV);
        other = reader, other.models[FACE_LANDMARKS].sha256[0]++;
        template_model(&other, model);
        assert_int_equal(template_read(template, n, model, back, 128), -EXDEV);
        other = reader, other.raw_pixels = 1;
        template_model(&other, model);
        assert_int_equal(template_read(template, n, model, back, 128), -EXDEV);
        /* Where a face is was found by another model: what it is stays the same. */
        other = reader, other.models[FACE_DETECTOR].sha256[0]++;
        template_model(&other, model);
        assert_int_equal(template_read(template, n, model, back, 128), 0);

        for (size_t k = 0; k < n; k++) /* any shorter */
                assert_int_equal(template_read(template, k, model, back, 128), -EINVAL);
        assert_int_equal(template_read(template, n + 1, model, back, 128), -EINVAL);
        assert_int_equal(template_read(template, n, model, back, 127), -EINVAL);
        for (size_t k = 0; k < 3; k++) {
                template[k] ^= 1;
                assert_int_equal(template_read(template, n, model, back, 128), -EINVAL);
                template[k] ^= 1;
        }
        template[TEMPLATE_HEADER - 2] ^= 1; /* its length */
        assert_int_equal(template_read(template, n, model, back, 128), -EINVAL);
        template[TEMPLATE_HEADER - 2] ^= 1;
        memset(template + TEMPLATE_HEADER, 0x7f, 32); /* longer than 1 */
        assert_int_equal(template_read(template, n, model, back, 128), -EINVAL);
        memset(template + TEMPLATE_HEADER, 0, 256); /* no direction */
        assert_int_equal(template_read(template, n, model, back, 128), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_face_frame_has_its_length_or_is_none),
                cmocka_unit_test(test_face_frame_of_each_format_is_the_same_picture),
                cmocka_unit_test(test_face_part_is_what_lies_there_whatever_its_size),
                cmocka_unit_test(test_face_part_beyond_the_edge_is_the_edge_and_nonsense_is_black),
                cmocka_unit_test(test_face_light_is_the_mean_of_a_part),
                cmocka_unit_test(test_face_levels_make_up_for_the_dark_alone),
                cmocka_unit_test(test_face_find_keeps_the_best_of_boxes_that_overlap),
                cmocka_unit_test(test_face_find_leaves_out_what_is_none),
                cmocka_unit_test(test_face_find_of_a_crowd_keeps_the_best),
                cmocka_unit_test(test_face_upright_undoes_turn_size_and_place),
                cmocka_unit_test(test_face_upright_refuses_what_is_no_face),
                cmocka_unit_test(test_face_warp_takes_what_is_there_and_black_beyond),
                cmocka_unit_test(test_face_cosine_is_of_directions_alone),
                cmocka_unit_test(test_face_template_comes_back_as_it_was),
                cmocka_unit_test(test_face_template_of_other_models_is_told_from_a_damaged_one),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
