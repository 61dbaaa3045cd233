/* SPDX-License-Identifier: Apache-2.0 */
/* backoff-storm CABINETS OUTAGE MIN MAX (seconds): how cabinets come back to a broker that all of them lost
 * in the same instant and that takes connections again after OUTAGE seconds, each waiting as lockerd-mqtt
 * waits: the worker's own src/mqtt/backoff.c. Attempts are taken to fail and to succeed at once. Prints as a
 * line of JSON the most attempts in a second while the broker is away, the most returns in a second, and the
 * seconds after which half, 99 % and all are back. */
#include "mqtt/worker.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PER_SECOND 10 /* the busiest second may begin at each tenth of one */

/* For src/mqtt/backoff.c. */
uint64_t worker_now(void) {
        struct timespec ts;

        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t seconds(const char *text) {
        return (uint64_t)llround(strtod(text, NULL) * (double)USEC_PER_SEC);
}

static void count(uint64_t *counts, size_t n, uint64_t usec) {
        size_t i = usec * PER_SECOND / USEC_PER_SEC;

        if (i < n)
                counts[i]++;
}

static uint64_t busiest_second(const uint64_t *counts, size_t n) {
        uint64_t best = 0, sum = 0;

        for (size_t i = 0; i < n; i++) {
                sum += counts[i];
                if (i >= PER_SECOND)
                        sum -= counts[i - PER_SECOND];
                best = MAX(best, sum);
        }
        return best;
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
        if (argc != 5)
                return 2;
        size_t n = strtoul(argv[1], NULL, 10);
        uint64_t outage = seconds(argv[2]);
        const MqttSetup setup = {.backoff_min_usec = seconds(argv[3]), .backoff_max_usec = seconds(argv[4])};
        size_t n_before = outage * PER_SECOND / USEC_PER_SEC,
               n_after = (setup.backoff_max_usec / USEC_PER_SEC + 2) * PER_SECOND;
        uint64_t *before = calloc(n_before + 1, sizeof(*before)), *after = calloc(n_after, sizeof(*after)),
                 *back = calloc(n + 1, sizeof(*back));

        if (!n || !before || !after || !back)
                return 1;
        for (size_t i = 0; i < n; i++) {
                uint64_t at = 0;

                for (unsigned failures = 0; (at += backoff_delay(&setup, failures)) < outage; failures++)
                        count(before, n_before, at);
                back[i] = at - outage;
                count(after, n_after, back[i]);
        }
        qsort(back, n, sizeof(*back), compare);
        printf("{\"attempts\": %" PRIu64 ", \"returns\": %" PRIu64
               ", \"half\": %.1f, \"most\": %.1f, \"all\": %.1f}\n",
               busiest_second(before, n_before), busiest_second(after, n_after),
               (double)back[n / 2] / (double)USEC_PER_SEC, (double)back[n * 99 / 100] / (double)USEC_PER_SEC,
               (double)back[n - 1] / (double)USEC_PER_SEC);
        free(before);
        free(after);
        free(back);
        return 0;
}
