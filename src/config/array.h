/* SPDX-License-Identifier: Apache-2.0 */
/* Growing arrays for data that is read once. Capacities are powers of two and therefore need not be
 * stored: an array whose length is a power of two is full. */
#pragma once

#include "base/macros.h"

static inline void *array_grow(void *array, size_t n, size_t size) {
        if (n & (n - 1))
                return array;
        return reallocarray(array, n ? 2 * n : 1, size);
}

/* A pointer to a new zeroed element at the end of `array`, whose length is `n`; NULL when out of memory. */
#define ARRAY_PUSH(array, n)                                                       \
        ({                                                                         \
                void *_grown = array_grow((array), (size_t)(n), sizeof(*(array))); \
                __typeof__(array) _element = NULL;                                 \
                if (_grown) {                                                      \
                        (array) = _grown;                                          \
                        _element = &(array)[(n)++];                                \
                        memset(_element, 0, sizeof(*_element));                    \
                }                                                                  \
                _element;                                                          \
        })
