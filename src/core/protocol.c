/* SPDX-License-Identifier: Apache-2.0 */
#include "core/protocol.h"

static const Protocol protocols[BOARD_PROTOCOL_MAX] = {
        [BOARD_MODBUS] = {.name = "modbus",
                          .on_lines = true,
                          .on_modbus_tcp = true,
                          .address_min = 1,
                          .address_max = 247,
                          .outputs_max = 256,
                          .inputs_max = 256},
        [BOARD_GPIO] = {.name = "gpio", .outputs_max = 256, .inputs_max = 256},
        /* Four bits of a byte for the board and four for the lock; hooks are inputs 1-16, infrared 17-32. */
        [BOARD_KERONG] = {.name = "kerong",
                          .on_lines = true,
                          .address_max = 15,
                          .outputs_max = 16,
                          .inputs_max = 32,
                          .fixed_requests = true},
        /* Locks are read one by one: more than these and a change is noticed too late. */
        [BOARD_WINNSEN] = {.name = "winnsen",
                           .on_lines = true,
                           .address_max = 247,
                           .outputs_max = 32,
                           .inputs_max = 32,
                           .inputs_equal_outputs = true,
                           .answers_after_pulse = true,
                           .fixed_requests = true},
};

const Protocol *protocol_of(BoardProtocol p) {
        return &protocols[p];
}
