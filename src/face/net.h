/* SPDX-License-Identifier: Apache-2.0 */
/* A neural network of OpenCV's dnn, for C: numbers in, numbers out. The only file that knows OpenCV is
 * net.cpp. One thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Net Net;

typedef struct NetOutput {
        const char *name;  /* which one */
        const float *data; /* the network's, until it runs again */
        size_t n;          /* numbers */
} NetOutput;

/* Once, before any other: nothing runs beside the caller. */
void net_begin(void);
/* An ONNX file in memory, of which nothing is kept. -EINVAL: OpenCV cannot make a network of it, and the log
 * has what it says. */
int net_new(Net **ret, const uint8_t *file, size_t n);
Net *net_free(Net *net);
/* Runs it with one input of channels × height × width (a batch of one), and fills in data and n. -EINVAL: it
 * has no such output, or takes no such input; the log has what OpenCV says. */
int net_run(Net *net, const float *input, unsigned channels, unsigned height, unsigned width,
            NetOutput *outputs, size_t n_outputs);
/* The name of the only output. NULL: there are several. */
const char *net_output(const Net *net);

#ifdef __cplusplus
}
#endif
