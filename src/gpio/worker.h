/* SPDX-License-Identifier: Apache-2.0 */
/* GPIO lines as lockerd-gpio sees them: channels of boards, held in banks (lines of one chip and direction).
 * A single thread: what is due is done, then it waits for the daemon, an edge or the next thing that is due.
 * Times are boot µs. */
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "core/pace.h"
#include "gpio/kernel.h"
#include "lockwire/types.h"
#include "lockwire/worker_end.h"

typedef struct Bank Bank;

typedef struct Output {
        bool on;
        bool stuck;      /* read back otherwise than it was set */
        uint64_t off_at; /* of a pulse; 0: none */
        uint64_t command;
} Output;

typedef struct Input {
        bool level; /* as last told; only where the bank is held */
        /* Not at rest: */
        bool moving, next;
        uint64_t since, moved_at, rest_at;
        unsigned poll; /* its place among the descriptors that are waited for; 0: none */
} Input;

typedef struct Channel {
        WireGpioLine line;
        bool wanted; /* connected, and (an input) of use */
        Bank *bank;  /* NULL: not held */
        unsigned nth;
        Output output;
        Input input;
} Channel;

struct Bank {
        GpioBank *gpio;
        char chip[GPIO_NAME], label[GPIO_NAME];
        bool output, edges;
        bool blind; /* outputs that cannot be read back */
        Channel *channels[GPIO_BANK_MAX];
        unsigned offsets[GPIO_BANK_MAX];
        unsigned n, errors;
};

typedef struct GpioBoard {
        WireBoard setup;
        const WireProfile *profile;
        Channel *outputs, *inputs; /* setup.outputs, setup.inputs of them */
        Bank **banks;
        unsigned n_banks;

        BoardHealth health; /* as last told */
        bool look;          /* its values were asked for */
        bool edges_missed;  /* said that some lines tell none */
        char sentence[WIRE_SENTENCE];
        uint64_t due, poll_due; /* next probe or check; next reading of inputs that tell no edges */
        bool resting;           /* poll_due is so late only because nobody is there */
        uint64_t backoff;
        uint64_t told_at; /* inputs: an edge is told when it has come to rest, a look at once */
} GpioBoard;

typedef struct GpioWorker {
        WorkerEnd end;
        bool started;
        Pace pace;
        WireLine line;
        WireProfile *profiles;
        GpioBoard *boards;
        unsigned n_profiles, n_boards;
        struct pollfd *fds;
} GpioWorker;

/* guard.c, or a test: the last resort. Ends this process at that time, whatever it is doing, so that the
 * kernel takes the lines back; 0: not. */
void worker_guard(uint64_t at);

/* loop.c */
int worker_run(GpioWorker *w);
void worker_send(GpioWorker *w, WireType type, void *message);
void worker_clear(GpioWorker *w);

/* setup.c: false when the message makes no sense. */
bool setup_line(GpioWorker *w, const WireLine *m);
bool setup_profile(GpioWorker *w, const WireProfile *m);
bool setup_board(GpioWorker *w, const WireBoard *m);
bool setup_gpio(GpioWorker *w, const WireGpio *m);
bool setup_is_complete(const GpioWorker *w);
GpioBoard *worker_board(GpioWorker *w, uint32_t board);

/* bank.c: finding lines, taking and giving back. */
typedef struct Trouble {
        BoardHealth health; /* BOARD_ONLINE: none */
        char sentence[WIRE_SENTENCE];
} Trouble;

/* Takes what can be had of the lines that are not held; outputs first, inactive. The first trouble is
 * returned. */
void board_take_lines(GpioWorker *w, GpioBoard *b, Trouble *ret);
void board_drop_bank(GpioBoard *b, Bank *bank);
void channel_describe(const GpioBoard *b, const Channel *c, char *buffer, size_t size);

/* board.c: probing, checking, telling. */
void board_step(GpioWorker *w, GpioBoard *b, uint64_t now);
void board_probe(GpioWorker *w, GpioBoard *b, uint64_t now);
/* Something about a bank failed; true when it is gone now. */
bool board_bank_failed(GpioWorker *w, GpioBoard *b, Bank *bank, int error);
void board_tell(GpioWorker *w, GpioBoard *b, BoardHealth health, const char *format, ...) _printf_(4, 5);
void board_tell_inputs(GpioWorker *w, GpioBoard *b, uint64_t at);
bool board_is_online(const GpioBoard *b);
/* Something happens: boards that rest are read at once. */
void boards_stir(GpioWorker *w, uint64_t now);
void boards_attend(GpioWorker *w, bool attended, uint64_t now);

/* output.c: pulses and lamps. */
void output_command(GpioWorker *w, const WireCommand *m);
void output_lamp(GpioWorker *w, const WireOutput *m);
void output_step(GpioWorker *w, uint64_t now); /* ends what is to end */
uint64_t output_next_due(const GpioWorker *w);
bool output_pulse_is_on(const GpioWorker *w);
int output_start(const GpioBoard *b, Bank *bank); /* can they be read back? */
/* Sets the bank's lines to what their channels say. */
int output_apply(Bank *bank);
/* Reads them back; a channel that is not what it should be is `stuck`. */
int output_look(const GpioBoard *b, Bank *bank);
bool output_is_stuck_on(const GpioBoard *b, const Channel **ret);
/* The bank is given up. Over: its chip is gone, so nothing is energised any more. */
void output_forget(GpioWorker *w, Bank *bank, bool over);
void output_leave(GpioWorker *w);

/* input.c: edges, rest, values. */
/* What the kernel is asked to debounce: what all inputs of the bank have in common. */
unsigned input_debounce_ms(const GpioBoard *b, const Bank *bank);
int input_start(const GpioBoard *b, Bank *bank); /* first values */
bool input_wants_fd(const Bank *bank, unsigned nth);
void input_read(GpioWorker *w, GpioBoard *b, Bank *bank, unsigned nth);
/* Compares a bank with what is believed: nothing that an edge should have told stays unknown. */
int input_look(GpioWorker *w, GpioBoard *b, Bank *bank, uint64_t now);
void input_step(GpioWorker *w, GpioBoard *b, uint64_t now); /* what has come to rest */
uint64_t input_next_due(const GpioBoard *b);
bool input_is_at_rest(const GpioBoard *b);
