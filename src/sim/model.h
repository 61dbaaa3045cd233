/* SPDX-License-Identifier: Apache-2.0 */
/* What is simulated: lines with boards on them, the coils and inputs of the boards, and the doors, lids
 * and items behind them. Built once by config.c; the parts point at each other and never move. */
#pragma once

#include "sim/loop.h"
#include <stdio.h>
#include <sys/un.h>

typedef struct Sim Sim;
typedef struct Line Line;
typedef struct Board Board;
typedef struct Place Place;
typedef struct Control Control;
typedef struct Language Language; /* language.h */

typedef enum UnlockMethod { UNLOCK_FLASH, UNLOCK_TRIGGER, UNLOCK_PULSE } UnlockMethod;
typedef enum AllOff { ALL_OFF_NONE, ALL_OFF_COIL, ALL_OFF_EACH } AllOff;

typedef struct Profile {
        char *name, *title;
        const Language *language; /* NULL: not ours to simulate (gpio) */
        unsigned baud;            /* of lines that say none */
        unsigned outputs, inputs;
        UnlockMethod unlock;
        unsigned coil_base, on_value, off_value, flash_base;
        uint64_t flash_unit, pulse, max_pulse; /* ns */
        AllOff all_off;
        unsigned all_off_address, all_off_value;
        unsigned coil_function, input_function, input_base;
        bool input_active;
        unsigned identify_function, identify_address, identify_value;
} Profile;

#define SUPPLY_ENDS 16 /* cabinet.conf allows no greater MaxActive */

typedef struct Supply {
        char *name;
        unsigned max_active, n_active;
        uint64_t cooldown;          /* ns */
        uint64_t ends[SUPPLY_ENDS]; /* when the last pulses ended, in turn; 0 = none yet */
        unsigned next_end;
} Supply;

typedef struct Coil {
        Sim *sim;
        Board *board;
        unsigned index;
        Place *place; /* NULL: no lock hangs here */
        bool secure;  /* turns a motor lock shut */
        bool on;
        uint64_t since;
        Timer turn;  /* the board ends (or, after a flash-off, starts) a pulse itself */
        Timer limit; /* longer than the profile's MaxPulse */
} Coil;

typedef enum InputKind {
        INPUT_NONE,
        INPUT_CONTACT,
        INPUT_LATCH,
        INPUT_PRESENCE,
        INPUT_RELEASE,
        INPUT_ALARM
} InputKind;

typedef struct Alarm {
        char *name;
        bool on;
} Alarm;

/* What is wrong with the wire of an input, or with the one that all inputs of a board share. */
typedef enum WireFault {
        WIRE_FINE,
        WIRE_ON,  /* reads 1, whatever it is */
        WIRE_OFF, /* 0 */
        WIRE_INVERTED,
        WIRE_SPIKE,   /* inverted until … */
        WIRE_CHATTER, /* inverted every other … */
} WireFault;

typedef struct InputWire {
        WireFault fault;
        uint64_t since, time; /* ns */
} InputWire;

typedef struct Input {
        InputKind kind;
        Place *place;
        Alarm *alarm;
        bool active; /* the value on the wire that means yes */
        InputWire wire;
        const InputWire *common; /* the board's */
} Input;

#define PDU_MAX 253

typedef struct Pdu {
        uint8_t bytes[PDU_MAX];
        size_t n; /* 0: no answer */
} Pdu;

typedef struct Fault {
        bool silent;
        uint64_t late, dribble; /* ns */
        unsigned deaf, drop, repeat, damage, truncate, wrong_address, wrong_echo, wrong_sum, stale, failing,
                working, busy, unlock_response; /* per cent */
} Fault;

struct Board {
        char *name;
        Line *line;
        Supply *supply;
        const Profile *profile;
        unsigned configured_address, address;
        Coil *coils;
        Input *inputs;
        InputWire common;
        Fault fault;
        Pdu last; /* the last answer, for "stale" */
        uint64_t n_requests, n_answers;
};

typedef enum AutoKind { AUTO_OFF, AUTO_CLOSE, AUTO_PUT, AUTO_TAKE } AutoKind;
typedef enum AutoStage { AUTO_IDLE, AUTO_PULLING, AUTO_ACTING, AUTO_CLOSING } AutoStage;

/* A place that can be shut: a slot behind its door, or a position behind its lid. */
struct Place {
        Sim *sim;
        char *name;
        Place *slot; /* of a position; NULL for a slot */
        unsigned n_positions;
        bool motor;
        Coil *coil, *secure; /* coil NULL: a position without a lid */

        bool shut, home; /* the bolt is home only when shut */
        bool item, pressed;
        bool jammed, blocked, spring_back, held;
        Timer latch, door, motor_turn;
        bool motor_to_home;
        uint64_t n_pulses, n_openings;

        AutoKind auto_kind;
        AutoStage auto_stage;
        uint64_t auto_delay;
        Timer auto_timer;
};

typedef struct Sending Sending; /* one frame on its way to a master, line.c */
typedef struct Client Client;   /* one Modbus TCP master, tcp.c */

#define RX_MAX 512

struct Line {
        Sim *sim;
        char *name, *device;
        const Language *language; /* of its boards */
        bool tcp, ignored;
        bool raw; /* TCP, and what goes over it is what a serial line carries */
        unsigned tcp_port;
        unsigned baud; /* 0 until a board says it */
        bool parity;
        unsigned stop_bits;
        uint64_t char_time, silence; /* ns; silence = 3.5 characters */

        int fd; /* pty master, or listening socket */
        char *pty, *link;
        Source source;
        bool open;       /* a master has it open */
        bool speed_told; /* the objection about its speed has been raised since it was opened */
        Timer left;      /* one second after the last master has gone */

        uint8_t rx[RX_MAX];
        size_t n_rx;
        uint64_t rx_start, rx_end; /* when these bytes were on the wire */
        Timer rx_timer;

        Sending *sending; /* ordered by start */
        uint64_t tx_end;  /* when the last answer's last byte was out */
        bool owed;        /* …and the master must keep 3.5 characters of silence since then */
        Timer tx_timer;

        Client *clients;
        uint64_t n_clients;     /* ever */
        bool echo;              /* the adapter hears what its master says */
        bool surplus, preamble; /* …or adds a byte behind or before every response */
        uint64_t babble;        /* ns; 0 = off */
        unsigned noise;         /* per cent */
        Timer babble_timer;
        uint64_t n_requests, n_answers, n_garbage, n_collisions;
};

typedef struct Objection {
        uint64_t at; /* ns */
        const char *kind;
        char *board, *text;
} Objection;

typedef struct Options {
        const char *cabinet, *boards, *control, *link_dir, *journal;
        bool fast, view, any_speed;
        uint64_t turnaround; /* ns */
        uint64_t seed;
        int ready_fd;
} Options;

struct Sim {
        Options options;
        Loop loop;
        uint64_t random, seed;
        Profile *profiles;
        Supply *supplies;
        Line *lines;
        Board *boards;
        Place *places;
        Alarm *alarms;
        size_t n_profiles, n_supplies, n_lines, n_boards, n_places, n_alarms;
        Objection *objections;
        size_t n_objections;
        FILE *journal;
        Control *control;
        Timer view_timer;
        struct {
                Source source;
                int fd;
        } signals;
};

Line *sim_line(const Sim *s, const char *name);
Board *sim_board(const Sim *s, const char *name);
Place *sim_place(const Sim *s, const char *name);
Alarm *sim_alarm(const Sim *s, const char *name);

/* Random numbers, repeatable by the seed. */
void sim_seed(Sim *s, uint64_t seed);
uint64_t sim_random(Sim *s, uint64_t low, uint64_t high); /* both included */
bool sim_chance(Sim *s, unsigned per_cent);
