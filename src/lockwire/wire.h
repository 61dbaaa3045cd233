/* SPDX-License-Identifier: Apache-2.0 */
/* What daemon and line worker say to each other: one packet of a SOCK_SEQPACKET pair a message, fixed
 * structures in the machine's own byte order (both sides come from one build; the version guards against a
 * half-done upgrade).
 *
 *   daemon → worker   LINE, DEVICE (of a serial line), PROFILE…, (BOARD, GPIO…)…, START; then HOLD, COMMAND,
 * WITHDRAW, OUTPUT, LOOK, ATTEND, PING. End of file: all off, leave. worker → daemon   HELLO; then
 * LINE_STATE, BOARD_STATE, INPUTS, SENDING, RESULT, OVER, PONG.
 *
 * INPUTS comes when an input has changed, and once after each LOOK: the next values that are read from then
 * on, changed or not. How old the last word of a sensor is matters when a door seems not to have opened.
 *
 * A command gets exactly one RESULT. SENDING comes before its first byte goes out: a worker that dies without
 * having said so has not sent it. lockerd-line and lockerd-gpio speak the same; GPIO and OUTPUT are for the
 * latter alone. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>
#include <stdint.h>

#define WIRE_VERSION   6
#define WIRE_FD        3   /* where the worker finds its end */
#define WIRE_CHANNELS  256 /* inputs or outputs of a board */
#define WIRE_NAME      64
#define WIRE_SENTENCE  192
#define WIRE_GPIO_MAX  32 /* lines in one message */
#define WIRE_GPIO_NAME 32

typedef enum WireType {
        WIRE_LINE = 1,
        WIRE_PROFILE,
        WIRE_BOARD,
        WIRE_START,
        WIRE_COMMAND,
        WIRE_WITHDRAW,
        WIRE_PING,
        WIRE_HELLO,
        WIRE_LINE_STATE,
        WIRE_BOARD_STATE,
        WIRE_INPUTS,
        WIRE_SENDING,
        WIRE_RESULT,
        WIRE_OVER,
        WIRE_PONG,
        WIRE_HOLD,
        WIRE_LOOK,
        WIRE_GPIO,
        WIRE_OUTPUT,
        WIRE_DEVICE,
        WIRE_ATTEND,
        WIRE_TYPE_MAX,
} WireType;

typedef struct WireHeader {
        uint16_t version, type;
        uint32_t reserved;
} WireHeader;

typedef struct WireLine {
        WireHeader header;
        uint32_t kind; /* LineKind */
        uint32_t baud, parity, stop_bits, rs485, tcp_port, response_timeout_ms;
        uint32_t echo, surplus_front, surplus_back;
        char name[WIRE_NAME];
        char device[256];
} WireLine;

typedef struct WireProfile {
        WireHeader header;
        uint32_t index;           /* as BOARD refers to it */
        uint32_t protocol;        /* BoardProtocol; one for all boards of a serial line */
        uint32_t unlock, all_off; /* UnlockMethod, AllOffMethod */
        uint32_t outputs, inputs;
        uint32_t coil_base, on_value, off_value;
        uint32_t flash_base, flash_unit_ms, max_pulse_ms;
        uint32_t all_off_address, all_off_value;
        uint32_t coil_function, input_function, input_base;
        uint32_t identify_function, identify_address, identify_min, identify_max, identify_limit;
        int32_t factory_address;
} WireProfile;

typedef struct WireBoard {
        WireHeader header;
        uint32_t board; /* the cabinet's index: how both sides call it from now on */
        uint32_t profile, address;
        uint32_t idle_poll_ms; /* from one reading of its inputs to the next while nobody is there;
                                  core/pace.h */
        uint8_t inputs_used[WIRE_CHANNELS /
                            8]; /* bit n % 8 of byte n / 8; changes of others are not reported */
        char name[WIRE_NAME];
        uint16_t debounce_ms[WIRE_CHANNELS]; /* of each input: at rest for so long before a value counts */
        /* What inputs count as that do not come to rest: a bit of the first, on; of the second, off; of
         * neither, what they were. */
        uint8_t unrest_on[WIRE_CHANNELS / 8], unrest_off[WIRE_CHANNELS / 8];
        /* GPIO: channels, GpioBias, GpioDrive */
        uint32_t outputs, inputs, input_bias, output_drive, read_back, reserved_too;
} WireBoard;

enum {
        WIRE_GPIO_CONNECTED = 1,
        WIRE_GPIO_BY_CHIP = 2, /* name is a chip's, or its label; else the line's */
        WIRE_GPIO_LOW = 4,     /* active-low */
        WIRE_GPIO_LAMP = 8,    /* an output for OUTPUT; else for COMMAND */
};

typedef struct WireGpioLine {
        uint16_t flags, offset;
        char name[WIRE_GPIO_NAME];
} WireGpioLine;

/* Channels first … first + n - 1 of the board before it. */
typedef struct WireGpio {
        WireHeader header;
        uint32_t board, output, first, n;
        WireGpioLine lines[WIRE_GPIO_MAX];
} WireGpio;

/* A lamp. All are off when the board comes online. */
typedef struct WireOutput {
        WireHeader header;
        uint32_t board, channel, on, reserved;
} WireOutput;

typedef struct WireCommand {
        WireHeader header;
        uint64_t id;
        uint64_t expires; /* CLOCK_BOOTTIME µs */
        uint32_t board, coil, pulse_ms, urgent;
        uint32_t rest_ms; /* how long the supply rests after a pulse, before this one is given again */
        uint32_t reserved;
} WireCommand;

/* START, HOLD, HELLO, DEVICE (id unused; a descriptor comes with it: the socket to lockerd-open), WITHDRAW,
 * SENDING (a command), LOOK (a board), ATTEND (1: somebody is at the cabinet, 0: nobody), PING and PONG (any
 * number, returned). */
typedef struct WireId {
        WireHeader header;
        uint64_t id;
} WireId;

typedef struct WireLineState {
        WireHeader header;
        uint32_t working;
        uint32_t patience_ms; /* for so long the worker may be too busy to answer pings (name look-up,
                                 connect) */
        char sentence[WIRE_SENTENCE];
} WireLineState;

typedef struct WireBoardState {
        WireHeader header;
        uint32_t board, health; /* BoardHealth */
        uint32_t all_off;       /* the board has confirmed all-off, and no pulse has been given since */
        uint32_t reserved;
        char sentence[WIRE_SENTENCE];
} WireBoardState;

typedef struct WireInputs {
        WireHeader header;
        uint64_t at; /* boot µs of the answer */
        uint32_t board, reserved;
        uint8_t bits[WIRE_CHANNELS / 8];
} WireInputs;

typedef struct WireResult {
        WireHeader header;
        uint64_t id;
        uint64_t at;      /* boot µs */
        uint64_t over_at; /* boot µs at which the coil is off again for certain; 0: OVER will say */
        uint32_t result;  /* LockResult */
        uint32_t reserved;
} WireResult;

typedef struct WireOver {
        WireHeader header;
        uint64_t id;
        uint64_t at;
} WireOver;

typedef union WireMessage {
        WireHeader header;
        WireLine line;
        WireProfile profile;
        WireBoard board;
        WireGpio gpio;
        WireOutput output;
        WireCommand command;
        WireId id;
        WireLineState line_state;
        WireBoardState board_state;
        WireInputs inputs;
        WireResult result;
        WireOver over;
} WireMessage;

/* Fills in the header and sends `message` whole without waiting; -EAGAIN when the other side does not read.
 */
int wire_send(int fd, WireType type, void *message);
/* Likewise; the other side gets a descriptor of its own for what `passed` refers to. */
int wire_send_passing(int fd, WireType type, void *message, int passed);
/* Without waiting. 1: a message, 0: none now, -EPIPE: the other side is gone, -EPROTO: not ours. */
int wire_receive(int fd, WireMessage *ret);
/* Likewise, for the workers, who may be passed a descriptor (else -1). The daemon takes none. */
int wire_receive_passed(int fd, WireMessage *ret, int *ret_passed);

static inline bool wire_bit(const uint8_t *bits, unsigned n) {
        return bits[n / 8] >> (n % 8) & 1;
}
