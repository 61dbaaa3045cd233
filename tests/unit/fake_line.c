/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_line.h"

#include "line/modbus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BAUD       9600
#define TURNAROUND (3 * USEC_PER_MSEC)
#define CPU        30 /* µs a step takes the worker */

FakeLine fake;
Worker fake_worker;

/* What has been said to the master, and when its last byte is there. */
static struct {
        uint64_t at;
        uint8_t bytes[64];
        size_t n;
} heard[16];
static unsigned n_heard;

uint64_t fake_dice(uint64_t n) {
        fake.random ^= fake.random << 13;
        fake.random ^= fake.random >> 7;
        fake.random ^= fake.random << 17;
        return (fake.random >> 11) % n;
}

/* --- the clock and the worker's other ends --- */

uint64_t worker_now(void) {
        return fake.now;
}

static void go_on(uint64_t until) {
        while (fake.happens && fake.next <= until) {
                fake.now = MAX(fake.now, fake.next);
                fake.happens();
        }
        fake.now = MAX(fake.now, until);
}

int worker_wait(void *userdata, int fd, uint64_t until) {
        fake.now += CPU;
        if (fd >= 0 && n_heard > 0 && heard[0].at <= until) {
                fake.waits += heard[0].at > fake.now;
                go_on(heard[0].at);
                return 1;
        }
        fake.waits += until > fake.now;
        if (until > fake.now)
                go_on(until);
        return 0;
}

void worker_send(Worker *w, WireType type, void *message) {
        if (fake.heard)
                fake.heard(type, message);
}

void worker_report_line(Worker *w, bool working, unsigned patience_ms, const char *format, ...) {
        w->line_works = working;
}

uint64_t worker_jitter(Worker *w, uint64_t usec) {
        return usec - usec / 4 + fake_dice(usec / 2 + 1);
}

void worker_open_line(Worker *w) {
}

/* --- the line --- */

static uint64_t on_wire(size_t n) {
        return n * 10 * USEC_PER_SEC / BAUD;
}

int line_open(Worker *w) {
        return -EIO; /* it is open from the first */
}

void port_close(Port *p) {
}

int port_read(Port *p, uint8_t *bytes, size_t room) {
        size_t total = 0;

        while (n_heard > 0 && heard[0].at <= fake.now && total < room) {
                size_t n = MIN(room - total, heard[0].n);
                memcpy(bytes + total, heard[0].bytes, n);
                memmove(heard, heard + 1, --n_heard * sizeof(heard[0]));
                total += n;
        }
        return (int)total;
}

int port_flush(Port *p, uint8_t *bytes, size_t room) {
        int total = 0, n;
        uint8_t one[64];

        while ((n = port_read(p, one, sizeof(one))) > 0) {
                if ((size_t)total < room)
                        memcpy(bytes + total, one, MIN((size_t)n, room - (size_t)total));
                total += n;
        }
        return total;
}

static size_t respond(const FakeBoard *b, const uint8_t *request, uint8_t *ret) {
        unsigned address = (unsigned)request[2] << 8 | request[3],
                 value = (unsigned)request[4] << 8 | request[5];
        size_t n = 4;

        memcpy(ret, request, 6);
        if (request[1] == MODBUS_WRITE_COIL)
                n = 6;
        else if (address + value > 8) {
                ret[1] |= 0x80;
                ret[2] = MODBUS_BAD_ADDRESS;
                n = 3;
        } else {
                ret[2] = 1;
                ret[3] = request[1] == MODBUS_READ_INPUTS ? b->inputs : 0;
        }
        uint16_t crc = modbus_crc(ret, n);
        ret[n++] = (uint8_t)crc;
        ret[n++] = (uint8_t)(crc >> 8);
        return n;
}

static size_t spoil(uint8_t *bytes, size_t n) {
        FakeFault fault =
                fake_dice(1000) < fake.bad ? (FakeFault)(1 + fake_dice(FAKE_FAULT_MAX - 1)) : FAKE_FINE;

        switch (fault) {
        case FAKE_FINE:
        case FAKE_FAULT_MAX:
                break;
        case FAKE_DROPPED:
                return 0;
        case FAKE_DAMAGED:
                bytes[fake_dice(n)] ^= (uint8_t)(1u << fake_dice(8));
                break;
        case FAKE_TRUNCATED:
                return 1 + fake_dice(n - 1);
        case FAKE_NOISY:
                memmove(bytes + 2, bytes, n);
                bytes[0] = (uint8_t)fake_dice(256);
                bytes[1] = (uint8_t)fake_dice(256);
                return n + 2;
        }
        return n;
}

int port_send(Port *p, const uint8_t *bytes, size_t n) {
        FakeBoard *b = bytes[0] > 0 && bytes[0] <= fake.n_boards ? &fake.boards[bytes[0] - 1] : NULL;

        fake.requests++;
        if (!b || n != 8)
                return 0;
        b->requests++;
        if (b->silent || n_heard == ARRAY_SIZE(heard))
                return 0;
        /* Inputs are read when the request has come. */
        go_on(fake.now + on_wire(n));
        uint8_t response[64];
        n = spoil(response, respond(b, bytes, response));
        for (size_t i = 0, step; i < n; i += step) {
                step = fake.bytewise ? 1 : n;
                if (n_heard == ARRAY_SIZE(heard))
                        abort();
                heard[n_heard].n = step;
                memcpy(heard[n_heard].bytes, response + i, step);
                heard[n_heard++].at = fake.now + TURNAROUND + on_wire(i + step);
        }
        return 0;
}

/* --- all of it --- */

void fake_reset(unsigned n_boards) {
        static WireProfile profile;
        static Unit units[FAKE_BOARDS];
        static int open;

        n_heard = 0;
        fake = (FakeLine){.now = 1000 * USEC_PER_SEC, .random = 88172645463325252, .n_boards = n_boards};
        fake.next = USEC_INFINITY;
        profile = (WireProfile){.unlock = UNLOCK_FLASH,
                                .all_off = ALL_OFF_COIL,
                                .outputs = 8,
                                .inputs = 8,
                                .flash_base = 0x200,
                                .flash_unit_ms = 100,
                                .max_pulse_ms = 1000,
                                .all_off_address = 0xFF,
                                .coil_function = 1,
                                .input_function = 2,
                                .identify_limit = 1,
                                .factory_address = -1};
        fake_worker = (Worker){
                .started = true,
                .pace.attended = true,
                .driver = &modbus_driver,
                .profiles = &profile,
                .n_profiles = 1,
                .units = units,
                .n_units = n_boards,
                .line_works = true,
                .line = {.kind = LINE_SERIAL, .name = "fake", .baud = BAUD, .response_timeout_ms = 100}};
        fake_worker.port = (Port){.ctx = (modbus_t *)&open,
                                  .fd = 0,
                                  .driver = &modbus_driver,
                                  .framing = FRAMING_SERIAL,
                                  .char_usec = on_wire(1),
                                  .gap = 7 * on_wire(1) / 2,
                                  .timeout = 100 * USEC_PER_MSEC,
                                  .quiet_from = fake.now};
        for (unsigned i = 0; i < n_boards; i++) {
                WireBoard b = {.board = i, .inputs_used = {0xFF}};
                units[i] = (Unit){.board = i,
                                  .address = (uint8_t)(i + 1),
                                  .profile = &profile,
                                  .driver = &modbus_driver,
                                  .doubts.driver = &modbus_driver,
                                  .looked_for = USEC_INFINITY,
                                  .idle_ms = PACE_IDLE_MIN,
                                  .round_over = true,
                                  .name = "B"};
                inputs_init(&units[i].inputs, &b, 8);
                fake.boards[i].inputs = 0xFF;
        }
}

void fake_run(uint64_t until) {
        while (fake.now < until)
                worker_turn(&fake_worker);
}
