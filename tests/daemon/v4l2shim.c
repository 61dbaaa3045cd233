/* SPDX-License-Identifier: Apache-2.0 */
/* A camera of Video4Linux without hardware, preloaded into the worker: /dev/video* is played from a file that
 * the test changes while the worker runs (LOCKERD_CAMERA, read before the worker forgets its environment, and
 * mapped: it opens nothing later). Written from the kernel's documentation of the interface. */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FD      900 /* no descriptor of the kernel's */
#define BUFFERS 3
#define PICTURE 4096               /* where it begins in the file */
#define FRAME   UINT64_C(33000000) /* ns */

enum { PRESENT, MISSING, BUSY, SILENT, DAMAGED, NO_CAMERA, REFUSING };

/* Where the worker is: the test may have it wait there. */
enum { AT_OPEN = 1, AT_FORMAT, AT_STREAM, AT_FIRST, AT_SECOND, AT_LATER, AT_OFF };

typedef struct Shared {
        volatile uint32_t state, fourcc, width, height, size;
        volatile uint32_t opens, pictures, at, hold, streams;
} Shared;

static Shared *shared;
static bool in_use, queued[BUFFERS];
static uint8_t *buffers[BUFFERS];
static size_t length;
static unsigned taken;
static uint64_t due;

__attribute__((constructor)) static void begin(void) {
        const char *path = getenv("LOCKERD_CAMERA");
        int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;

        if (fd < 0)
                return;
        off_t n = lseek(fd, 0, SEEK_END);
        void *p = (void *)syscall(SYS_mmap, NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
        shared = p == MAP_FAILED ? NULL : p;
        (void)syscall(SYS_close, fd);
}

static void at(uint32_t step) {
        shared->at = step;
        while (shared->hold == step)
                (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static uint64_t now(void) {
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int fail(int error) {
        errno = error;
        return -1;
}

static int open_camera(void) {
        shared->opens++;
        if (shared->state == MISSING)
                return fail(ENOENT);
        in_use = true;
        at(AT_OPEN);
        return FD;
}

static bool is_camera(const char *path) {
        return shared && strncmp(path, "/dev/video", 10) == 0;
}

int open(const char *path, int flags, ...) {
        va_list list;

        va_start(list, flags);
        mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
        va_end(list);
        return is_camera(path) ? open_camera() : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags) {
        return open(path, flags);
}
int __open64_2(const char *path, int flags) __attribute__((alias("__open_2")));

int close(int fd) {
        if (fd != FD || !in_use)
                return (int)syscall(SYS_close, fd);
        in_use = false;
        return 0;
}

void *mmap(void *address, size_t n, int protection, int flags, int fd, off_t offset) {
        if (fd != FD || !in_use)
                return (void *)syscall(SYS_mmap, address, n, protection, flags, fd, offset);
        void *p = (void *)syscall(SYS_mmap, NULL, n, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
        if (p != MAP_FAILED && (size_t)offset / PICTURE < BUFFERS)
                buffers[offset / PICTURE] = p;
        return p;
}
void *mmap64(void *address, size_t n, int protection, int flags, int fd, off_t offset)
        __attribute__((alias("mmap")));

/* --- the camera's calls --- */

static void tell_format(struct v4l2_pix_format *p) {
        bool pairs = shared->fourcc == V4L2_PIX_FMT_YUYV || shared->fourcc == V4L2_PIX_FMT_UYVY;

        p->pixelformat = shared->fourcc;
        p->width = shared->width;
        p->height = shared->height;
        p->bytesperline = shared->fourcc == V4L2_PIX_FMT_RGB24 ? 3 * p->width
                          : pairs                              ? 2 * p->width
                                                               : p->width;
        p->sizeimage = shared->size;
        length = shared->size;
}

static int take_picture(struct v4l2_buffer *b) {
        unsigned i = 0;

        if (shared->state == SILENT || now() < due)
                return fail(EAGAIN);
        while (i < BUFFERS && !(queued[i] && buffers[i]))
                i++;
        if (i == BUFFERS)
                return fail(EAGAIN);
        due = now() + FRAME;
        memcpy(buffers[i], (const uint8_t *)shared + PICTURE, length);
        queued[i] = false;
        b->index = i;
        b->bytesused = (uint32_t)(shared->state == DAMAGED ? length / 2 : length);
        b->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_DONE;
        shared->pictures++;
        taken++;
        at(taken == 1 ? AT_FIRST : taken == 2 ? AT_SECOND : AT_LATER);
        return 0;
}

static int answer(unsigned long request, void *argument) {
        struct v4l2_buffer *b = argument;

        switch (request) {
        case VIDIOC_QUERYCAP: {
                struct v4l2_capability *c = argument;
                strcpy((char *)c->card, "A camera of the tests");
                c->capabilities = V4L2_CAP_DEVICE_CAPS;
                c->device_caps =
                        V4L2_CAP_STREAMING | (shared->state == NO_CAMERA ? 0 : V4L2_CAP_VIDEO_CAPTURE);
                return 0;
        }
        case VIDIOC_S_FMT:
                if (shared->state == BUSY)
                        return fail(EBUSY);
                tell_format(&((struct v4l2_format *)argument)->fmt.pix);
                at(AT_FORMAT);
                return 0;
        case VIDIOC_REQBUFS:
                ((struct v4l2_requestbuffers *)argument)->count = BUFFERS;
                return 0;
        case VIDIOC_QUERYBUF:
                b->length = (uint32_t)length;
                b->m.offset = b->index * PICTURE;
                return 0;
        case VIDIOC_QBUF:
                queued[b->index % BUFFERS] = true;
                return 0;
        case VIDIOC_STREAMON:
                if (shared->state == REFUSING)
                        return fail(ENOSPC); /* no room on the bus */
                taken = 0;
                shared->streams = 1;
                at(AT_STREAM);
                return 0;
        case VIDIOC_STREAMOFF:
                shared->streams = 0;
                memset(queued, 0, sizeof(queued));
                at(AT_OFF);
                return 0;
        case VIDIOC_DQBUF:
                return take_picture(b);
        default:
                return fail(ENOTTY);
        }
}

int ioctl(int fd, unsigned long request, ...) {
        va_list list;

        va_start(list, request);
        void *argument = va_arg(list, void *);
        va_end(list);
        if (fd != FD || !in_use)
                return (int)syscall(SYS_ioctl, fd, request, argument);
        return shared->state == MISSING ? fail(ENODEV) : answer(request, argument);
}

/* --- and when there is something --- */

static int real_poll(struct pollfd *fds, nfds_t n, uint64_t ns) {
        struct timespec ts = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

        return (int)syscall(SYS_ppoll, fds, n, &ts, NULL, 8);
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *signals) {
        uint64_t left = timeout ? (uint64_t)timeout->tv_sec * 1000000000 + (uint64_t)timeout->tv_nsec
                                : UINT64_C(1) << 60;
        nfds_t i = 0;

        while (i < n && !(in_use && fds[i].fd == FD))
                i++;
        if (i == n)
                return real_poll(fds, n, left);
        uint64_t wait = shared->state == MISSING  ? 0
                        : shared->state == SILENT ? left
                        : due > now()             ? due - now()
                                                  : 0;
        fds[i].fd = -1;
        int r = real_poll(fds, n, wait < left ? wait : left);
        fds[i].fd = FD;
        if (r >= 0 && shared->state == MISSING)
                fds[i].revents = POLLERR | POLLHUP;
        else if (r >= 0 && shared->state != SILENT && now() >= due)
                fds[i].revents = POLLIN;
        return r >= 0 && fds[i].revents ? r + 1 : r;
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *signals,
                size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *signals,
                size_t room) {
        return ppoll(fds, n, timeout, signals);
}
