/* SPDX-License-Identifier: Apache-2.0 */
/* Kerong's CU12 and CU16: 02 ADDR CMD 03 SUM; ADDR is 16 times the board's number plus the lock's.
 * Commands: 30 what is your state, 31 unlock one, 33 unlock all. A state is 02 ADDR 35 H1 H2 I1 I2 03 SUM. */
#include "sim/coil.h"
#include "sim/language.h"
#include "sim/place.h"

#define LOCKS 16

static uint8_t add_up(const uint8_t *bytes, size_t n) {
        unsigned total = 0;

        while (n-- > 0)
                total += bytes[n];
        return (uint8_t)(total % 256);
}

static int length(const uint8_t *bytes, size_t n) {
        if (bytes[0] != 0x02)
                return -1;
        if (n < 3)
                return 0;
        return bytes[2] == 0x30 || bytes[2] == 0x31 || bytes[2] == 0x33 ? 5 : -1;
}

static bool open_request(const uint8_t *bytes, size_t n, uint8_t *ret_address, Pdu *ret) {
        if (n != 5 || bytes[0] != 0x02 || bytes[3] != 0x03 || bytes[4] != add_up(bytes, 4))
                return false;
        *ret_address = bytes[1] / LOCKS;
        *ret = (Pdu){.bytes = {bytes[2], bytes[1] % LOCKS}, .n = 2};
        return true;
}

static bool reads_one(const Board *b, unsigned input) {
        return input < b->profile->inputs && input_read(&b->inputs[input]);
}

/* Hooks are the first sixteen inputs, infrared sensors the next. */
static void tell_state(const Board *b, Pdu *ret) {
        *ret = (Pdu){.bytes = {0x35}, .n = 5};
        for (unsigned i = 0; i < 2 * LOCKS; i++)
                if (reads_one(b, i))
                        ret->bytes[1 + i / 8] |= (uint8_t)(1U << i % 8);
}

static void unlock(Board *b, unsigned lock, uint64_t at) {
        if (lock < b->profile->outputs)
                coil_flash(&b->coils[lock], true, b->profile->pulse, at);
}

static void handle(Board *b, const Pdu *request, uint64_t at, Pdu *ret) {
        ret->n = 0;
        switch (request->bytes[0]) {
        case 0x30:
                tell_state(b, ret);
                return;
        case 0x31:
                unlock(b, request->bytes[1], at);
                break;
        case 0x33:
                for (unsigned i = 0; i < LOCKS; i++)
                        unlock(b, i, at);
                break;
        }
        /* Some firmwares respond to an unlock with the state as it was, most do not. */
        if (sim_chance(b->line->sim, b->fault.unlock_response))
                tell_state(b, ret);
}

static void frame(Sending *s, uint8_t address, const Pdu *pdu) {
        s->bytes[0] = 0x02;
        s->bytes[1] = (uint8_t)(address * LOCKS);
        memcpy(s->bytes + 2, pdu->bytes, pdu->n);
        s->n = 2 + pdu->n;
        s->bytes[s->n++] = 0x03;
        s->bytes[s->n] = add_up(s->bytes, s->n);
        s->n++;
}

const Language kerong_language = {
        .name = "kerong",
        .address_max = 15,
        .checksum = true,
        .length = length,
        .open = open_request,
        .handle = handle,
        .frame = frame,
};
