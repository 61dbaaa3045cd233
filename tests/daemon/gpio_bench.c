/* SPDX-License-Identifier: Apache-2.0 */
/* A GPIO chip on the bench: its lines are bytes of a file that a test maps too (gpiobench.py), outputs keep
 * their level when nobody holds them, and every change of one is written into a log. lockerd-gpio is linked
 * with this in place of libgpiod: everything else of it is real, its death by SIGKILL included. */
#include "gpio/kernel.h"
#include "base/clock.h"
#include "gpio/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define LINES   64
#define CHIP    "gpiochip0"
#define LABEL   "bench"
#define LOOK_NS 1000000 /* how often somebody looks for edges */

typedef struct BenchLine {
        char name[GPIO_NAME], consumer[GPIO_NAME];
        uint8_t outside, level, output, stuck; /* stuck: 1 low, 2 high */
        int32_t pid;                           /* who holds it */
} BenchLine;

typedef struct Bench {
        uint32_t present, reserved[3];
        BenchLine lines[LINES];
} Bench;

struct GpioChip {
        Bench *bench;
};

struct GpioBank {
        Bench *bench;
        unsigned offsets[GPIO_BANK_MAX], n;
        bool output;
        int timer;
        uint64_t seen;
};

static Bench *bench_map(void) {
        static Bench *bench;
        const char *path = getenv("GPIO_BENCH");

        if (bench || !path)
                return bench;
        int fd = open(path, O_RDWR | O_CLOEXEC);
        void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(Bench), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd >= 0)
                close(fd);
        bench = at == MAP_FAILED ? NULL : at;
        return bench;
}

static void log_change(unsigned line, bool level) {
        const char *path = getenv("GPIO_BENCH");
        char name[4096], text[64];

        snprintf(name, sizeof(name), "%s.log", path);
        int fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        int n = snprintf(text, sizeof(text), "%llu %u %d %d\n", (unsigned long long)clock_now().boot_usec,
                         line, level, (int)getpid());
        if (fd < 0 || write(fd, text, (size_t)n) != n)
                abort();
        close(fd);
}

static void drive(Bench *b, unsigned line, bool level) {
        BenchLine *l = &b->lines[line];
        bool pin = l->stuck ? l->stuck == 2 : level;

        if (!l->output || l->level != pin)
                log_change(line, pin);
        l->level = pin;
        l->output = 1;
}

int gpio_list_chips(char (**ret)[GPIO_NAME], unsigned *ret_n) {
        const Bench *b = bench_map();
        char(*names)[GPIO_NAME] = calloc(1, sizeof(*names));

        snprintf(names[0], GPIO_NAME, CHIP);
        *ret = names;
        *ret_n = b && b->present;
        return 0;
}

int gpio_chip_open(const char *name, GpioChip **ret) {
        if (!bench_map() || !bench_map()->present)
                return -ENOENT;
        *ret = calloc(1, sizeof(**ret));
        (*ret)->bench = bench_map();
        return 0;
}

GpioChip *gpio_chip_free(GpioChip *c) {
        free(c);
        return NULL;
}

const char *gpio_chip_label(const GpioChip *c) {
        return LABEL;
}

unsigned gpio_chip_lines(const GpioChip *c) {
        return LINES;
}

int gpio_chip_find(GpioChip *c, const char *name, unsigned *ret_offset) {
        for (unsigned i = 0; i < LINES; i++)
                if (streq(c->bench->lines[i].name, name)) {
                        *ret_offset = i;
                        return 0;
                }
        return -ENOENT;
}

/* The kernel takes lines back from the dead. */
static bool is_held(const BenchLine *l) {
        return l->consumer[0] || (l->pid && kill(l->pid, 0) >= 0);
}

int gpio_chip_line(GpioChip *c, unsigned offset, GpioLineInfo *ret) {
        const BenchLine *l = &c->bench->lines[offset];

        *ret = (GpioLineInfo){.used = is_held(l)};
        memcpy(ret->name, l->name, GPIO_NAME);
        memcpy(ret->consumer, l->consumer[0] ? l->consumer : "lockerd", l->consumer[0] ? GPIO_NAME : 8);
        return 0;
}

int gpio_bank_request(GpioChip *chip, const unsigned *offsets, unsigned n, const GpioBankOptions *options,
                      GpioBank **ret) {
        Bench *bench = chip->bench;

        for (unsigned i = 0; i < n; i++)
                if (is_held(&bench->lines[offsets[i]]))
                        return -EBUSY;
        GpioBank *b = calloc(1, sizeof(*b));
        *b = (GpioBank){.bench = bench, .n = n, .output = options->output, .timer = -1};
        memcpy(b->offsets, offsets, n * sizeof(*offsets));
        for (unsigned i = 0; i < n; i++) {
                bench->lines[offsets[i]].pid = getpid();
                if (options->output)
                        drive(bench, offsets[i], options->levels >> i & 1);
        }
        if (options->edges) {
                struct itimerspec every = {.it_value.tv_nsec = LOOK_NS, .it_interval.tv_nsec = LOOK_NS};
                b->timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
                (void)timerfd_settime(b->timer, 0, &every, NULL);
                (void)gpio_bank_get(b, &b->seen);
        }
        *ret = b;
        return 0;
}

GpioBank *gpio_bank_release(GpioBank *b) {
        for (unsigned i = 0; i < b->n; i++)
                b->bench->lines[b->offsets[i]].pid = 0;
        if (b->timer >= 0)
                close(b->timer);
        free(b);
        return NULL;
}

bool gpio_bank_debounces(const GpioBank *b) {
        return false;
}

int gpio_bank_get(GpioBank *b, uint64_t *ret_levels) {
        uint64_t levels = 0;

        if (!b->bench->present)
                return -ENODEV;
        for (unsigned i = 0; i < b->n; i++) {
                const BenchLine *l = &b->bench->lines[b->offsets[i]];
                levels |= (uint64_t)((b->output ? l->level : l->outside) != 0) << i;
        }
        *ret_levels = levels;
        return 0;
}

int gpio_bank_set(GpioBank *b, uint64_t levels) {
        if (!b->bench->present)
                return -ENODEV;
        for (unsigned i = 0; i < b->n; i++)
                drive(b->bench, b->offsets[i], levels >> i & 1);
        return 0;
}

int gpio_bank_fd(const GpioBank *b, unsigned line) {
        return line == 0 ? b->timer : -1;
}

int gpio_bank_read(GpioBank *b, unsigned line, GpioEdge *ret, unsigned max) {
        uint64_t ticks, now;
        int n = 0;

        (void)!read(b->timer, &ticks, sizeof(ticks));
        int r = gpio_bank_get(b, &now);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < b->n && (unsigned)n < max; i++)
                if ((now ^ b->seen) >> i & 1) {
                        b->seen ^= UINT64_C(1) << i;
                        ret[n++] = (GpioEdge){i, now >> i & 1, clock_now().boot_usec};
                }
        return n;
}

/* As the product's main, without what it gives up: this one's chip is a file. */
int main(int argc, char *argv[]) {
        GpioWorker w = {.end = {.socket = WIRE_FD, .passed = -1}};

        log_open();
        (void)signal(SIGTERM, SIG_IGN);
        int r = worker_run(&w);
        worker_clear(&w);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
