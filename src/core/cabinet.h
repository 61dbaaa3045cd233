/* SPDX-License-Identifier: Apache-2.0 */
/* The hardware of the cabinet: plain data, read once from cabinet.conf by src/config and constant from then
 * on. References are indices into these arrays; -1 means "none". */
#pragma once

#include "base/macros.h"
#include "core/credential.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum Temperature {
        TEMPERATURE_AMBIENT,
        TEMPERATURE_CHILLED,
        TEMPERATURE_FROZEN,
        TEMPERATURE_MAX
} Temperature;

typedef struct Size {
        char *name;       /* the section name, e.g. "S"; clients ask by it */
        char *label;      /* shown to users, e.g. "Small" */
        unsigned ordinal; /* 1 … 99, unique; a larger size holds everything that a smaller one holds */
        unsigned width_mm, height_mm, depth_mm; /* 0 = unknown */
} Size;

/* One input of one board. */
typedef struct InputRef {
        int board;            /* -1: not wired */
        unsigned channel;     /* 0-based as on the wire; files and users count from 1 */
        bool active;          /* the input value that means yes: closed, locked, occupied, pressed */
        unsigned debounce_ms; /* at rest for so long before a value counts */
} InputRef;

/* Alarm inputs and inside releases: longer than the spikes that a relay nearby makes, shorter than anybody
 * presses a button. */
#define SAFETY_DEBOUNCE_MIN     40 /* ms */
#define SAFETY_DEBOUNCE_DEFAULT 100
#define SAFETY_DEBOUNCE_MAX     500
#define GPIO_DEBOUNCE_DEFAULT   10 /* lock boards: none, but several responses that agree */

/* One output of one board that is no lock. */
typedef struct OutputRef {
        int board; /* -1: not wired */
        unsigned channel;
} OutputRef;

typedef enum LockKind {
        LOCK_LATCH, /* springs open on a pulse, locks by itself when pushed shut */
        LOCK_MOTOR, /* opens on one coil's pulse and closes on the other's ("secure") */
} LockKind;

/* A lock: of a slot's door (position == -1) or of one position inside. */
typedef struct Lock {
        int slot, position;
        LockKind kind;
        int board;
        unsigned coil;       /* 0-based */
        int secure_coil;     /* motor locks; -1 otherwise. Same board. */
        unsigned pulse_ms;   /* within the profile's minimum and maximum */
        unsigned release_ms; /* how long after the pulse a release may take before it counts as failed */
        InputRef contact;    /* door or lid: active = closed */
        InputRef latch;      /* bolt: active = locked */
} Lock;

typedef struct Position {
        int slot;
        unsigned number;   /* 1 … n within its slot */
        int lock;          /* -1: a plain position, only the slot's door guards it */
        InputRef presence; /* active = occupied */
} Position;

typedef struct Slot {
        char *label; /* as painted on the door: letters, digits, '-' ; unique */
        int size;
        bool accessible;
        Temperature temperature;
        unsigned column, row; /* 1-based place on the wall; row 1 is the top */
        unsigned height;      /* in rows, ≥ 1 */
        int lock;             /* the door's */
        int first_position, n_positions;
        InputRef release; /* inside release button; active = pressed */
        OutputRef lamp;   /* lit while the slot is open */
} Slot;

/* What a board speaks; core/protocol.h says what follows from it. */
typedef enum BoardProtocol {
        BOARD_MODBUS,
        BOARD_GPIO,
        BOARD_KERONG,
        BOARD_WINNSEN,
        BOARD_PROTOCOL_MAX
} BoardProtocol;

typedef enum UnlockMethod {
        UNLOCK_FLASH,   /* FC05 at flash_base + coil, value = pulse / flash_unit: the board ends the pulse */
        UNLOCK_TRIGGER, /* FC05 at coil_base + coil with on_value: the board makes its own fixed pulse
                           (pulse_ms) */
        UNLOCK_PULSE,   /* FC05 on_value, wait, FC05 off_value: the worker ends the pulse */
} UnlockMethod;

typedef enum AllOffMethod {
        ALL_OFF_NONE, /* nothing to switch off: the board times its pulses */
        ALL_OFF_COIL, /* one FC05 at all_off_address with all_off_value */
        ALL_OFF_EACH, /* FC05 off_value to every coil */
} AllOffMethod;

/* A kind of board: read from a .board file, shared by the boards that name it. */
typedef struct BoardProfile {
        char *name; /* file name without ".board" */
        char *title;
        BoardProtocol protocol;
        unsigned outputs, inputs; /* channels */
        UnlockMethod unlock;
        uint16_t coil_base, on_value, off_value;
        uint16_t flash_base;
        unsigned flash_unit_ms;
        unsigned pulse_ms, min_pulse_ms, max_pulse_ms;
        AllOffMethod all_off;
        uint16_t all_off_address, all_off_value;
        unsigned coil_function; /* 1 to read the coils back while idle (a coil left on is an alarm); 0 = never
                                 */
        unsigned input_function; /* 2 = FC02, 1 = FC01, 0 = no inputs */
        uint16_t input_base;
        bool input_active;          /* default meaning of an input: the value for closed/locked/… */
        unsigned identify_function; /* 3 or 4: read identify_address at start, must lie in min … max; 0 =
                                       cannot */
        uint16_t identify_address, identify_min, identify_max;
        bool identify_limit; /* reading one input beyond `inputs` must be refused (exception 2): finds a wrong
                                board */
        int factory_address; /* the address a new board answers at; -1 = unknown */
        unsigned default_baud;
} BoardProfile;

/* A GPIO line by its configured name; the worker resolves it at run time and retries. */
typedef struct GpioRef {
        char *name; /* of the line; NULL when chip and offset identify it */
        char *chip; /* gpiochipN, or the chip's label; NULL with a NULL name: the channel is not connected */
        unsigned offset;
        bool active_low;
} GpioRef;

typedef enum GpioBias {
        GPIO_BIAS_AS_IS,
        GPIO_BIAS_DISABLED,
        GPIO_BIAS_PULL_UP,
        GPIO_BIAS_PULL_DOWN
} GpioBias;

typedef enum GpioDrive { GPIO_DRIVE_PUSH_PULL, GPIO_DRIVE_OPEN_DRAIN, GPIO_DRIVE_OPEN_SOURCE } GpioDrive;

typedef struct Board {
        char *name;
        int line, supply, profile;
        unsigned address; /* as its protocol counts; 0: GPIO */
        /* GPIO: a line for each channel. */
        GpioRef *outputs, *inputs;
        unsigned n_outputs, n_inputs;
        GpioBias input_bias;
        GpioDrive output_drive;
        unsigned debounce_ms;  /* of its inputs, but for alarm inputs and inside releases */
        unsigned idle_poll_ms; /* IdlePoll=, see core/pace.h */
        bool read_back;        /* outputs can be */
} Board;

typedef enum LineKind {
        LINE_SERIAL,
        LINE_TCP, /* Modbus TCP */
        LINE_GPIO,
        LINE_RAW_TCP, /* an Ethernet converter that passes on bytes as they are on its serial side */
} LineKind;

/* A serial line, a TCP endpoint or the GPIO chips: what one worker process owns. */
typedef struct Line {
        char *name;
        LineKind kind;
        char *device; /* tty path, or host for TCP */
        unsigned tcp_port;
        unsigned baud;
        char parity;                          /* 'N' 'E' 'O' */
        unsigned stop_bits;                   /* 1, 2 */
        unsigned response_timeout_ms;         /* from the request's last byte to the answer's last byte */
        bool rs485;                           /* ask the kernel to drive RTS */
        bool echo;                            /* the adapter lets us hear our own requests */
        unsigned surplus_front, surplus_back; /* bytes that the adapter adds to every response */
} Line;

typedef struct Supply {
        char *name;
        unsigned max_active;  /* locks energised at once */
        unsigned cooldown_ms; /* minimum time between the end of one pulse and the start of the next */
} Supply;

/* An alarm input (fire panel, panic button): while active, opens slots in any state. */
typedef struct Alarm {
        char *name;
        InputRef input;
        bool all_slots;
        int *slots; /* indices, when not all */
        int n_slots;
} Alarm;

/* What the cabinet has to know people by; its worker is lockerd-<kind>, or lockerd-<kind>-usb. */
typedef struct IdentityReader {
        CredentialKind kind; /* one with a device of the cabinet's */
        bool usb;
        char *device;  /* of a serial reader: the path of a tty; of a camera: of that; of a
                        * microphone: ALSA's name of it */
        unsigned baud; /* of that */
        char *id;      /* of a USB reader: which one, by driver or identifier; NULL: the only one */
        /* What its worker has to know beyond that, and gets as it is: a FaceReader (core/face_reader.h), a
         * VoiceReader (core/voice_reader.h); NULL: nothing. */
        void *setup;
        size_t n_setup;
} IdentityReader;

typedef struct Cabinet {
        char *number; /* the identifier for users and the backend */
        char *name, *address;
        double latitude, longitude; /* degrees WGS84; NaN = not said */
        char *timezone;             /* IANA name */
        Size *sizes;
        Slot *slots;
        Position *positions;
        Lock *locks;
        Board *boards;
        BoardProfile *profiles;
        Line *lines;
        Supply *supplies;
        Alarm *alarms;
        IdentityReader *readers; /* one of a kind */
        int n_sizes, n_slots, n_positions, n_locks, n_boards, n_profiles, n_lines, n_supplies, n_alarms,
                n_readers;
} Cabinet;

/* Its worker opens the device; else that comes open from lockerd-open. */
bool reader_opens_itself(const IdentityReader *r);

Cabinet *cabinet_free(Cabinet *c);
DEFINE_CLEANUP(Cabinet *, cabinet_free);

/* Channels of a board: those of its profile, or its number of GPIO lines. */
unsigned cabinet_board_outputs(const Cabinet *c, int board);
unsigned cabinet_board_inputs(const Cabinet *c, int board);
int cabinet_find_slot(const Cabinet *c, const char *label);             /* index or -1 */
int cabinet_find_size(const Cabinet *c, const char *name);              /* index or -1 */
int cabinet_find_position(const Cabinet *c, int slot, unsigned number); /* index or -1 */
const char *temperature_to_string(Temperature t);
int temperature_from_string(const char *s, Temperature *ret); /* -EINVAL */
