/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/slave.h"
#include "sim/coil.h"
#include "sim/language.h"
#include "sim/place.h"

enum {
        ILLEGAL_FUNCTION = 1,
        ILLEGAL_ADDRESS = 2,
        ILLEGAL_VALUE = 3,
        FAILURE = 4,
        ACKNOWLEDGED = 5,
        BUSY = 6
};

#define FLASH_OFF_BASE   0x0400 /* as on Waveshare's boards, whose documents fix these three */
#define ADDRESS_REGISTER 0x4000
#define VERSION_REGISTER 0x8000
#define COIL_ON          0xFF00
#define COIL_OFF         0x0000
#define COIL_TOGGLE      0x5500
#define FLASH_MAX        0x7FFF
#define READ_BITS_MAX    2000
#define READ_WORDS_MAX   125

uint16_t rtu_crc(const uint8_t *bytes, size_t n) {
        uint16_t crc = 0xFFFF;

        for (size_t i = 0; i < n; i++) {
                crc ^= bytes[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1);
        }
        return crc;
}

static int rtu_length(const uint8_t *bytes, size_t n) {
        if (n < 2)
                return 0;
        switch (bytes[1]) {
        case 1:
        case 2:
        case 3:
        case 4:
        case 5:
        case 6:
                return 8;
        case 15:
        case 16:
                return n < 7 ? 0 : 9 + bytes[6];
        default:
                return -1;
        }
}

static unsigned word(const uint8_t *p) {
        return (unsigned)p[0] << 8 | p[1];
}

static void refuse(Pdu *ret, uint8_t function, uint8_t code) {
        ret->bytes[0] = function | 0x80;
        ret->bytes[1] = code;
        ret->n = 2;
}

static void echo(Pdu *ret, const uint8_t *request) {
        memcpy(ret->bytes, request, 5);
        ret->n = 5;
}

static bool within(unsigned first, unsigned n, unsigned base, unsigned size) {
        return first >= base && first + n <= base + size;
}

/* FC01, FC02. Some boards answer both functions, some show their inputs as coils. */
static void read_bits(Board *b, const uint8_t *q, Pdu *ret) {
        const Profile *p = b->profile;
        unsigned first = word(q + 1), n = word(q + 3);
        bool inputs = p->input_function == q[0], coils = q[0] == 1 && p->coil_function == 1;

        if (!inputs && !coils) {
                refuse(ret, q[0], ILLEGAL_FUNCTION);
                return;
        }
        if (!n || n > READ_BITS_MAX) {
                refuse(ret, q[0], ILLEGAL_VALUE);
                return;
        }
        inputs = inputs && within(first, n, p->input_base, p->inputs);
        coils = coils && within(first, n, p->coil_base, p->outputs);
        if (!inputs && !coils) {
                refuse(ret, q[0], ILLEGAL_ADDRESS);
                return;
        }
        ret->bytes[0] = q[0];
        ret->bytes[1] = (uint8_t)((n + 7) / 8);
        ret->n = 2 + ret->bytes[1];
        memset(ret->bytes + 2, 0, ret->bytes[1]);
        for (unsigned i = 0; i < n; i++) {
                bool bit = inputs ? input_read(&b->inputs[first - p->input_base + i])
                                  : b->coils[first - p->coil_base + i].on;
                if (bit)
                        ret->bytes[2 + i / 8] |= (uint8_t)(1U << i % 8);
        }
}

static bool read_word(const Board *b, uint8_t function, unsigned address, unsigned *ret) {
        const Profile *p = b->profile;

        if (p->identify_function == function && p->identify_address == address) {
                *ret = p->identify_value;
                return true;
        }
        if (function != 3 || p->unlock != UNLOCK_FLASH)
                return false;
        if (address != ADDRESS_REGISTER && address != VERSION_REGISTER)
                return false;
        *ret = address == ADDRESS_REGISTER ? b->address : 200; /* version 2.00 */
        return true;
}

/* FC03, FC04 */
static void read_words(const Board *b, const uint8_t *q, Pdu *ret) {
        unsigned first = word(q + 1), n = word(q + 3), value;

        if (!n || n > READ_WORDS_MAX) {
                refuse(ret, q[0], ILLEGAL_VALUE);
                return;
        }
        if (b->profile->identify_function != q[0] && (q[0] != 3 || b->profile->unlock != UNLOCK_FLASH)) {
                refuse(ret, q[0], ILLEGAL_FUNCTION);
                return;
        }
        for (unsigned i = 0; i < n; i++) {
                if (!read_word(b, q[0], first + i, &value)) {
                        refuse(ret, q[0], ILLEGAL_ADDRESS);
                        return;
                }
                ret->bytes[2 + 2 * i] = (uint8_t)(value >> 8);
                ret->bytes[3 + 2 * i] = (uint8_t)value;
        }
        ret->bytes[0] = q[0];
        ret->bytes[1] = (uint8_t)(2 * n);
        ret->n = 2 + 2 * n;
}

/* The value of an FC05 for this board: 1 on, 0 off, 2 toggle, -1 refused. */
static int coil_order(const Profile *p, unsigned value) {
        if (value == p->on_value)
                return 1;
        if (p->unlock == UNLOCK_FLASH)
                return value == COIL_ON ? 1 : value == COIL_OFF ? 0 : value == COIL_TOGGLE ? 2 : -1;
        if (p->unlock == UNLOCK_PULSE && value == p->off_value)
                return 0;
        return -1;
}

static void order_coil(Board *b, Coil *c, int order, uint64_t at) {
        bool on = order == 2 ? !c->on : order == 1;

        if (b->profile->unlock == UNLOCK_TRIGGER)
                coil_flash(c, true, b->profile->pulse, at);
        else
                coil_set(c, on, at);
}

static int write_flash(Board *b, unsigned address, unsigned value, uint64_t at) {
        const Profile *p = b->profile;
        bool on = within(address, 1, p->flash_base, p->outputs);

        if (p->unlock != UNLOCK_FLASH || (!on && !within(address, 1, FLASH_OFF_BASE, p->outputs)))
                return ILLEGAL_ADDRESS;
        if (!value || value > FLASH_MAX)
                return ILLEGAL_VALUE;
        coil_flash(&b->coils[address - (on ? p->flash_base : FLASH_OFF_BASE)], on, value * p->flash_unit, at);
        return 0;
}

/* FC05; 0 or an exception */
static int write_coil(Board *b, unsigned address, unsigned value, uint64_t at) {
        const Profile *p = b->profile;
        int order = coil_order(p, value);

        if (p->all_off == ALL_OFF_COIL && address == p->all_off_address) {
                if (value == p->all_off_value)
                        order = 0;
                if (order < 0)
                        return ILLEGAL_VALUE;
                for (unsigned i = 0; i < p->outputs; i++)
                        order_coil(b, &b->coils[i], order, at);
                return 0;
        }
        if (!within(address, 1, p->coil_base, p->outputs))
                return write_flash(b, address, value, at);
        if (order < 0)
                return ILLEGAL_VALUE;
        order_coil(b, &b->coils[address - p->coil_base], order, at);
        return 0;
}

/* FC15; 0 or an exception */
static int write_coils(Board *b, const uint8_t *q, size_t n_bytes, uint64_t at) {
        const Profile *p = b->profile;
        unsigned first = word(q + 1), n = word(q + 3);

        if (p->unlock == UNLOCK_TRIGGER)
                return ILLEGAL_FUNCTION;
        if (!n || n > READ_BITS_MAX || q[5] != (n + 7) / 8 || n_bytes < 6U + q[5])
                return ILLEGAL_VALUE;
        if (!within(first, n, p->coil_base, p->outputs))
                return ILLEGAL_ADDRESS;
        for (unsigned i = 0; i < n; i++)
                coil_set(&b->coils[first - p->coil_base + i], q[6 + i / 8] >> i % 8 & 1, at);
        return 0;
}

/* FC06; 0 or an exception */
static int write_word(Board *b, unsigned address, unsigned value) {
        if (address != ADDRESS_REGISTER || b->profile->unlock != UNLOCK_FLASH)
                return ILLEGAL_ADDRESS;
        if (!value || value > 247)
                return ILLEGAL_VALUE;
        b->address = value;
        return 0;
}

void slave_handle(Board *b, const uint8_t *request, size_t n, uint64_t at, Pdu *ret) {
        int exception = ILLEGAL_FUNCTION;

        ret->n = 0;
        if (!n || (request[0] >= 1 && request[0] <= 6 && n != 5) || (request[0] == 15 && n < 7))
                return;
        switch (request[0]) {
        case 1:
        case 2:
                read_bits(b, request, ret);
                return;
        case 3:
        case 4:
                read_words(b, request, ret);
                return;
        case 5:
                exception = write_coil(b, word(request + 1), word(request + 3), at);
                break;
        case 6:
                exception = write_word(b, word(request + 1), word(request + 3));
                break;
        case 15:
                exception = write_coils(b, request, n, at);
                break;
        default:
                break;
        }
        if (exception)
                refuse(ret, request[0], (uint8_t)exception);
        else
                echo(ret, request);
}

static bool rtu_open(const uint8_t *bytes, size_t n, uint8_t *ret_address, Pdu *ret) {
        if (n < 4 || n - 3 > PDU_MAX || rtu_crc(bytes, n) != 0)
                return false;
        *ret_address = bytes[0];
        memcpy(ret->bytes, bytes + 1, n - 3);
        ret->n = n - 3;
        return true;
}

/* Exceptions 04 and 06 say that nothing was done, 05 that it is being done. */
static void rtu_handle(Board *b, const Pdu *request, uint64_t at, Pdu *ret) {
        bool failing = sim_chance(b->line->sim, b->fault.failing);

        if (failing || sim_chance(b->line->sim, b->fault.busy)) {
                refuse(ret, request->bytes[0], failing ? FAILURE : BUSY);
                return;
        }
        slave_handle(b, request->bytes, request->n, at, ret);
        if (sim_chance(b->line->sim, b->fault.working))
                refuse(ret, request->bytes[0], ACKNOWLEDGED);
}

static void rtu_frame(Sending *s, uint8_t address, const Pdu *pdu) {
        s->bytes[0] = address;
        memcpy(s->bytes + 1, pdu->bytes, pdu->n);
        s->n = 1 + pdu->n;
        uint16_t crc = rtu_crc(s->bytes, s->n);
        s->bytes[s->n++] = (uint8_t)crc;
        s->bytes[s->n++] = (uint8_t)(crc >> 8);
}

const Language modbus_language = {
        .name = "modbus",
        .broadcast = true,
        .address_max = 247,
        .checksum = true,
        .length = rtu_length,
        .open = rtu_open,
        .handle = rtu_handle,
        .frame = rtu_frame,
};
