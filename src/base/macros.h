/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers for every other file: scope cleanup, array size, containers. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_       __attribute__((unused))
#define _must_check_   __attribute__((warn_unused_result))

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

/* Defines `void typep(T **p)` for use with _cleanup_, calling `func(*p)`, which must accept NULL. */
#define DEFINE_CLEANUP(type, func)            \
        static inline void func##p(type *p) { \
                if (*p)                       \
                        func(*p);             \
        }                                     \
        struct func##_swallow_semicolon

static inline void freep(void *p) {
        free(*(void **)p);
}

static inline void closep(const int *fd) {
        if (*fd >= 0)
                close(*fd);
}

#define _cleanup_free_  _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

/* Returns the value and sets the variable to NULL (-1 for descriptors), so that its cleanup does nothing.
 */
#define steal_ptr(p)                       \
        ({                                 \
                __typeof__(p) *_pp = &(p); \
                __typeof__(p) _v = *_pp;   \
                *_pp = NULL;               \
                _v;                        \
        })

static inline int steal_fd(int *fd) {
        int v = *fd;
        *fd = -1;
        return v;
}

static inline int streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}
