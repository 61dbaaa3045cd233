/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_gpio.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define FD_FIRST 10000 /* no descriptor of this process */
#define FIFO     16    /* edges that the kernel keeps for a line */

Fake fake;
static jmp_buf killed;
static uint64_t kill_at;

typedef struct Edges {
        GpioEdge edges[FIFO * GPIO_BANK_MAX];
        unsigned n;
} Edges;

struct GpioChip {
        FakeChip *chip;
};

struct GpioBank {
        FakeChip *chip;
        unsigned offsets[GPIO_BANK_MAX], n;
        GpioBankOptions options;
        bool debounces, gone;
        Edges edges[GPIO_BANK_MAX];
        int fd;
        struct GpioBank *next;
};

static GpioBank *banks;
static int next_fd = FD_FIRST;

void fake_connect(void) {
        int pair[2];

        if (fake.daemon > 0)
                close(fake.daemon);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                abort();
        fake.daemon = pair[0];
        fake.worker = pair[1];
}

void fake_reset(bool kernel_debounces) {
        int daemon = fake.daemon;

        while (banks)
                gpio_bank_release(banks);
        memset(&fake, 0, sizeof(fake));
        fake.now = 1000 * USEC_PER_SEC;
        fake.kernel_debounces = kernel_debounces;
        fake.daemon = daemon;
        fake_connect();
}

FakeChip *fake_chip(const char *name, const char *label, unsigned n_lines) {
        FakeChip *c = &fake.chips[fake.n_chips++];

        *c = (FakeChip){.n_lines = n_lines, .present = true};
        snprintf(c->name, sizeof(c->name), "%s", name);
        snprintf(c->label, sizeof(c->label), "%s", label);
        return c;
}

void fake_at(uint64_t at, FakeAction action, void *a, uint64_t b, uint64_t c) {
        unsigned i = fake.n_steps++;

        if (fake.n_steps > ARRAY_SIZE(fake.steps))
                abort();
        for (; i > fake.next_step && fake.steps[i - 1].at > at; i--)
                fake.steps[i] = fake.steps[i - 1];
        fake.steps[i].at = at;
        fake.steps[i].action = action;
        fake.steps[i].a = a;
        fake.steps[i].b = b;
        fake.steps[i].c = c;
}

static void queue_edge(GpioBank *b, unsigned line, bool level) {
        Edges *q = &b->edges[fake.kernel_debounces ? 0 : line];
        unsigned room = fake.kernel_debounces ? FIFO * b->n : FIFO;

        if (q->n < room)
                q->edges[q->n++] = (GpioEdge){line, level, fake.now};
}

static GpioBank *bank_of(const FakeChip *c, unsigned line, unsigned *ret_nth) {
        for (GpioBank *b = banks; b; b = b->next)
                for (unsigned i = 0; b->chip == c && !b->gone && i < b->n; i++)
                        if (b->offsets[i] == line) {
                                *ret_nth = i;
                                return b;
                        }
        return NULL;
}

static void put_level(FakeChip *c, unsigned line, bool level, bool silent) {
        FakeLine *l = &c->lines[line];
        unsigned nth;
        GpioBank *b = bank_of(c, line, &nth);

        l->outside = level;
        if (l->output || l->level == level)
                return;
        l->level = level;
        if (silent)
                l->told = level;
        if (!b || !b->options.edges || silent)
                return;
        if (b->debounces)
                l->settle_at = fake.now + b->options.debounce_us;
        else
                queue_edge(b, nth, level);
}

void fake_level(void *chip, uint64_t line, uint64_t level) {
        put_level(chip, (unsigned)line, level, false);
}

void fake_silently(void *chip, uint64_t line, uint64_t level) {
        put_level(chip, (unsigned)line, level, true);
}

void fake_vanish(void *chip, uint64_t b, uint64_t c) {
        FakeChip *f = chip;

        f->present = false;
        for (GpioBank *bank = banks; bank; bank = bank->next)
                bank->gone = bank->gone || bank->chip == f;
        for (unsigned i = 0; i < f->n_lines; i++)
                f->lines[i].taken = f->lines[i].output = false;
}

void fake_appear(void *chip, uint64_t b, uint64_t c) {
        ((FakeChip *)chip)->present = true;
}

void fake_hang_up(void *a, uint64_t b, uint64_t c) {
        (void)shutdown(fake.daemon, SHUT_RDWR);
}

void fake_say(WireType type, void *message) {
        if (wire_send(fake.daemon, type, message) < 0)
                abort();
}

static void hear(void) {
        WireMessage m;

        while (wire_receive(fake.daemon, &m) > 0) {
                if (fake.n_heard == ARRAY_SIZE(fake.heard))
                        abort();
                fake.heard[fake.n_heard++] = (FakeHeard){fake.now, m};
        }
}

/* The chips. */

int gpio_list_chips(char (**ret)[GPIO_NAME], unsigned *ret_n) {
        char(*names)[GPIO_NAME] = calloc(ARRAY_SIZE(fake.chips), sizeof(*names));
        unsigned n = 0;

        for (unsigned i = 0; i < fake.n_chips; i++)
                if (fake.chips[i].present)
                        memcpy(names[n++], fake.chips[i].name, GPIO_NAME);
        *ret = names;
        *ret_n = n;
        return 0;
}

int gpio_chip_open(const char *name, GpioChip **ret) {
        for (unsigned i = 0; i < fake.n_chips; i++) {
                if (!streq(fake.chips[i].name, name) || !fake.chips[i].present)
                        continue;
                if (fake.chips[i].forbidden)
                        return -EACCES;
                *ret = calloc(1, sizeof(**ret));
                (*ret)->chip = &fake.chips[i];
                return 0;
        }
        return -ENOENT;
}

GpioChip *gpio_chip_free(GpioChip *c) {
        free(c);
        return NULL;
}

const char *gpio_chip_label(const GpioChip *c) {
        return c->chip->label;
}

unsigned gpio_chip_lines(const GpioChip *c) {
        return c->chip->n_lines;
}

int gpio_chip_find(GpioChip *c, const char *name, unsigned *ret_offset) {
        for (unsigned i = 0; i < c->chip->n_lines; i++)
                if (streq(c->chip->lines[i].name, name)) {
                        *ret_offset = i;
                        return 0;
                }
        return -ENOENT;
}

int gpio_chip_line(GpioChip *c, unsigned offset, GpioLineInfo *ret) {
        const FakeLine *l = &c->chip->lines[offset];

        *ret = (GpioLineInfo){.used = l->taken || l->consumer[0]};
        memcpy(ret->name, l->name, sizeof(ret->name));
        memcpy(ret->consumer, l->consumer, sizeof(ret->consumer));
        return 0;
}

static void drive(FakeChip *c, unsigned line, bool level) {
        FakeLine *l = &c->lines[line];
        bool pin = l->stuck ? l->stuck_level : level;

        if (pin != l->level || !l->output) {
                if (fake.n_changes == ARRAY_SIZE(fake.changes))
                        abort();
                FakeChange *change = &fake.changes[fake.n_changes++];
                *change = (FakeChange){.at = fake.now, .line = line, .level = pin};
                memcpy(change->chip, c->name, sizeof(change->chip));
        }
        l->level = pin;
        l->output = true;
}

int gpio_bank_request(GpioChip *chip, const unsigned *offsets, unsigned n, const GpioBankOptions *options,
                      GpioBank **ret) {
        FakeChip *c = chip->chip;

        if (!c->present)
                return -ENODEV;
        for (unsigned i = 0; i < n; i++)
                if (c->lines[offsets[i]].taken || c->lines[offsets[i]].consumer[0])
                        return -EBUSY;
        if ((c->no_edges && options->edges) ||
            (c->no_bias && !options->output && options->bias != GPIO_BIAS_AS_IS))
                return -EINVAL;
        GpioBank *b = calloc(1, sizeof(*b));
        *b = (GpioBank){.chip = c, .n = n, .options = *options, .fd = next_fd};
        next_fd += GPIO_BANK_MAX;
        b->debounces = fake.kernel_debounces && options->edges && options->debounce_us;
        memcpy(b->offsets, offsets, n * sizeof(*offsets));
        for (unsigned i = 0; i < n; i++) {
                FakeLine *l = &c->lines[offsets[i]];
                l->taken = true;
                if (options->output) {
                        drive(c, offsets[i], options->levels >> i & 1);
                } else {
                        l->output = false;
                        l->level = l->outside;
                }
                l->told = l->level;
                l->settle_at = 0;
        }
        b->next = banks;
        banks = b;
        fake.n_requests++;
        *ret = b;
        return 0;
}

/* What a pin does that nobody holds is up to the hardware; this one stays. */
GpioBank *gpio_bank_release(GpioBank *b) {
        for (GpioBank **at = &banks; *at; at = &(*at)->next)
                if (*at == b) {
                        *at = b->next;
                        break;
                }
        for (unsigned i = 0; i < b->n && !b->gone; i++)
                b->chip->lines[b->offsets[i]].taken = false;
        free(b);
        return NULL;
}

bool gpio_bank_debounces(const GpioBank *b) {
        return b->debounces;
}

int gpio_bank_get(GpioBank *b, uint64_t *ret_levels) {
        uint64_t levels = 0;

        if (b->gone)
                return -ENODEV;
        if (b->options.output && b->chip->no_reading)
                return -EIO;
        for (unsigned i = 0; i < b->n; i++) {
                const FakeLine *l = &b->chip->lines[b->offsets[i]];
                levels |= (uint64_t)(b->debounces ? l->told : l->level) << i;
        }
        *ret_levels = levels;
        return 0;
}

int gpio_bank_set(GpioBank *b, uint64_t levels) {
        if (b->gone)
                return -ENODEV;
        if (b->chip->set_errors > 0) {
                b->chip->set_errors--;
                return -EIO;
        }
        for (unsigned i = 0; i < b->n; i++)
                drive(b->chip, b->offsets[i], levels >> i & 1);
        return 0;
}

int gpio_bank_fd(const GpioBank *b, unsigned line) {
        if (!b->options.edges || (fake.kernel_debounces && line > 0))
                return -1;
        return b->fd + (int)line;
}

int gpio_bank_read(GpioBank *b, unsigned line, GpioEdge *ret, unsigned max) {
        Edges *q = &b->edges[line];
        unsigned n = MIN(max, q->n);

        if (q->n == 0 && b->gone)
                return -ENODEV;
        memcpy(ret, q->edges, n * sizeof(*ret));
        memmove(q->edges, q->edges + n, (q->n - n) * sizeof(*ret));
        q->n -= n;
        return (int)n;
}

/* The clock. */

uint64_t worker_now(void) {
        return fake.now;
}

void worker_guard(uint64_t at) {
        fake.guard = at;
}

static bool is_ready(struct pollfd *fd) {
        fd->revents = 0;
        if (fd->fd < FD_FIRST) {
                if (poll(fd, 1, 0) < 0)
                        abort();
                return fd->revents != 0;
        }
        for (const GpioBank *b = banks; b; b = b->next) {
                int line = fd->fd - b->fd;
                if (line < 0 || line >= GPIO_BANK_MAX)
                        continue;
                fd->revents = (short)((b->edges[line].n ? POLLIN : 0) | (b->gone ? POLLHUP : 0));
        }
        return fd->revents != 0;
}

static uint64_t next_settling(void) {
        uint64_t next = USEC_INFINITY;

        for (unsigned i = 0; i < fake.n_chips; i++)
                for (unsigned k = 0; k < fake.chips[i].n_lines; k++)
                        if (fake.chips[i].lines[k].settle_at)
                                next = MIN(next, fake.chips[i].lines[k].settle_at);
        return next;
}

static void settle(void) {
        for (unsigned i = 0; i < fake.n_chips; i++)
                for (unsigned k = 0; k < fake.chips[i].n_lines; k++) {
                        FakeLine *l = &fake.chips[i].lines[k];
                        unsigned nth;
                        if (!l->settle_at || l->settle_at > fake.now)
                                continue;
                        l->settle_at = 0;
                        GpioBank *b = bank_of(&fake.chips[i], k, &nth);
                        if (b && l->told != l->level)
                                queue_edge(b, nth, l->level);
                        l->told = l->level;
                }
}

static void happen(void) {
        while (fake.next_step < fake.n_steps && fake.steps[fake.next_step].at <= fake.now) {
                unsigned i = fake.next_step++;
                fake.steps[i].action(fake.steps[i].a, fake.steps[i].b, fake.steps[i].c);
        }
        settle();
}

int worker_poll(struct pollfd *fds, unsigned n, uint64_t until) {
        fake.n_polls++;
        hear();
        if (until > fake.now && until != USEC_INFINITY)
                until += fake.late;
        for (;;) {
                int ready = 0;
                happen();
                for (unsigned i = 0; i < n; i++)
                        ready += is_ready(&fds[i]);
                if (ready > 0 || fake.now >= until)
                        return ready;
                uint64_t next = MIN(until, next_settling());
                if (fake.next_step < fake.n_steps)
                        next = MIN(next, fake.steps[fake.next_step].at);
                if (next == USEC_INFINITY)
                        abort(); /* nothing will ever happen again */
                if (kill_at && next >= kill_at) {
                        fake.now = kill_at;
                        longjmp(killed, 1);
                }
                fake.now = MAX(fake.now, next);
        }
}

void fake_run(uint64_t killed_at) {
        static GpioWorker w;

        w = (GpioWorker){.end.socket = fake.worker};
        kill_at = killed_at;
        if (setjmp(killed) == 0) {
                (void)worker_run(&w);
                hear();
        }
        worker_clear(&w);
        close(fake.worker);
        fake.worker = -1;
}
