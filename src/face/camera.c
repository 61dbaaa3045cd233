/* SPDX-License-Identifier: Apache-2.0 */
#include "face/camera.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define DAMAGED_MAX 10 /* pictures in a row */

/* The best first: colours at half the bytes. */
static const struct {
        uint32_t fourcc;
        PixelFormat format;
} formats[] = {
        {V4L2_PIX_FMT_YUYV, PIXELS_YUYV},   {V4L2_PIX_FMT_UYVY, PIXELS_UYVY},
        {V4L2_PIX_FMT_NV12, PIXELS_NV12},   {V4L2_PIX_FMT_RGB24, PIXELS_RGB24},
        {V4L2_PIX_FMT_BGR24, PIXELS_BGR24}, {V4L2_PIX_FMT_GREY, PIXELS_GREY},
};

static int call(int fd, unsigned long request, void *argument) {
        int r;

        do
                r = ioctl(fd, request, argument);
        while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : 0;
}

/* What an error of a camera that is open means. */
static int problem(int r, const char *what) {
        switch (-r) {
        case 0:
                return 0;
        case ENODEV:
        case ENXIO:
                return MATCHER_PROBLEM_UNPLUGGED;
        case EBUSY:
                return MATCHER_PROBLEM_BUSY;
        default:
                log_warning("Reader face: the camera refuses to %s: %s", what, strerror(-r));
                return MATCHER_PROBLEM_REFUSES;
        }
}

static int open_device(const char *path, int *ret, struct v4l2_capability *ret_capability) {
        _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

        if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
                return MATCHER_PROBLEM_MISSING;
        if (fd < 0)
                return problem(-errno, "be opened");
        int r = call(fd, VIDIOC_QUERYCAP, ret_capability);
        if (r == -ENOTTY || r == -EINVAL)
                return MATCHER_PROBLEM_UNSUITABLE; /* no camera */
        if (r < 0)
                return problem(r, "say what it is");
        uint32_t can = ret_capability->capabilities & V4L2_CAP_DEVICE_CAPS ? ret_capability->device_caps
                                                                           : ret_capability->capabilities;
        if (!(can & V4L2_CAP_VIDEO_CAPTURE) || !(can & V4L2_CAP_STREAMING))
                return MATCHER_PROBLEM_UNSUITABLE;
        *ret = steal_fd(&fd);
        return 0;
}

int camera_look(const char *path, char detail[MATCHER_DETAIL_MAX]) {
        struct v4l2_capability capability = {0};
        _cleanup_close_ int fd = -1;
        int step = open_device(path, &fd, &capability);
        size_t n = strnlen((const char *)capability.card, sizeof(capability.card));

        for (size_t i = 0; i < n; i++)
                detail[i] = (char)(capability.card[i] >= ' ' && capability.card[i] < 127 ? capability.card[i]
                                                                                         : '?');
        detail[n] = 0;
        return step;
}

/* The first of our formats that it has. It chooses the size. */
static int choose_format(Camera *c, unsigned width, unsigned height) {
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
                struct v4l2_format f = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
                                        .fmt.pix = {.width = width,
                                                    .height = height,
                                                    .pixelformat = formats[i].fourcc,
                                                    .field = V4L2_FIELD_NONE}};
                int r = call(c->fd, VIDIOC_S_FMT, &f);
                const struct v4l2_pix_format *p = &f.fmt.pix;

                if (r == -EBUSY || r == -ENODEV)
                        return problem(r, "take a format");
                if (r < 0 || p->pixelformat != formats[i].fourcc)
                        continue;
                c->format = formats[i].format;
                c->stride = p->bytesperline;
                c->frame = frame_size(c->format, p->width, p->height, c->stride);
                if (!c->frame)
                        continue;
                c->picture = (Picture){.width = p->width, .height = p->height};
                c->picture.rgb = malloc((size_t)3 * p->width * p->height);
                return c->picture.rgb ? 0 : MATCHER_PROBLEM_FAULT;
        }
        log_warning(
                "Reader face: the camera has no format without compression (YUYV, UYVY, NV12, RGB3, BGR3, "
                "GREY) of at most %u pixels a side",
                PICTURE_SIDE_MAX);
        return MATCHER_PROBLEM_UNSUITABLE;
}

static int give_buffer(Camera *c, unsigned index) {
        struct v4l2_buffer b = {
                .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP, .index = index};

        return call(c->fd, VIDIOC_QBUF, &b);
}

static int map_buffer(Camera *c, unsigned index) {
        struct v4l2_buffer b = {
                .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP, .index = index};
        int step = problem(call(c->fd, VIDIOC_QUERYBUF, &b), "tell of a buffer");

        if (step)
                return step;
        if (b.length < c->frame)
                return MATCHER_PROBLEM_CORRUPT;
        void *data = mmap(NULL, b.length, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, b.m.offset);
        if (data == MAP_FAILED)
                return problem(-errno, "share a buffer");
        c->buffers[index].data = data;
        c->buffers[index].n = b.length;
        c->n_buffers++;
        return problem(give_buffer(c, index), "take a buffer");
}

static int begin_stream(Camera *c) {
        struct v4l2_requestbuffers q = {
                .count = CAMERA_BUFFERS, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
        int type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
            step = problem(call(c->fd, VIDIOC_REQBUFS, &q), "make buffers");

        if (!step && q.count < 2)
                step = MATCHER_PROBLEM_UNSUITABLE;
        for (unsigned i = 0; !step && i < MIN(q.count, (unsigned)CAMERA_BUFFERS); i++)
                step = map_buffer(c, i);
        if (!step)
                step = problem(call(c->fd, VIDIOC_STREAMON, &type), "begin");
        c->streams = !step;
        return step;
}

int camera_open(Camera *c, const char *path, unsigned width, unsigned height) {
        struct v4l2_capability capability = {0};
        int step = open_device(path, &c->fd, &capability);

        if (!step)
                step = choose_format(c, width, height);
        if (!step)
                step = begin_stream(c);
        if (step)
                camera_close(c);
        return step;
}

int camera_take(Camera *c, bool *ret_new) {
        *ret_new = false;
        for (unsigned n = 0; n < 2 * CAMERA_BUFFERS; n++) { /* the last of those that wait */
                struct v4l2_buffer b = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
                int r = call(c->fd, VIDIOC_DQBUF, &b);

                if (r == -EAGAIN)
                        return 0;
                if (r < 0 && r != -EIO)
                        return problem(r, "give a picture");
                if (r == -EIO || b.index >= c->n_buffers)
                        return MATCHER_PROBLEM_CORRUPT;
                bool whole = !(b.flags & V4L2_BUF_FLAG_ERROR) && b.bytesused >= c->frame &&
                             c->buffers[b.index].n >= c->frame;
                if (whole)
                        frame_to_picture(c->buffers[b.index].data, c->format, c->stride, &c->picture);
                c->damaged = whole ? 0 : c->damaged + 1;
                *ret_new = *ret_new || whole;
                int step = problem(give_buffer(c, b.index), "take a buffer");
                if (step || c->damaged > DAMAGED_MAX)
                        return step ? step : MATCHER_PROBLEM_CORRUPT;
        }
        return 0;
}

void camera_close(Camera *c) {
        int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

        if (c->streams)
                (void)call(c->fd, VIDIOC_STREAMOFF, &type);
        for (unsigned i = 0; i < c->n_buffers; i++) {
                explicit_bzero(c->buffers[i].data, c->buffers[i].n);
                (void)munmap(c->buffers[i].data, c->buffers[i].n);
        }
        if (c->picture.rgb) {
                explicit_bzero(c->picture.rgb, (size_t)3 * c->picture.width * c->picture.height);
                free(c->picture.rgb);
        }
        if (c->fd >= 0)
                close(c->fd);
        *c = (Camera){.fd = -1};
}
