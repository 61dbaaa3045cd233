/* SPDX-License-Identifier: Apache-2.0 */
/* One line and its boards, as lockerd-line sees them. A single thread in plain sequence: a turn is one
 * exchange, chosen by urgency (switching off, commands, all-off at start, a change to be confirmed, the
 * round); the socket to the daemon is looked after whenever the line is waited for. */
#pragma once

#include "base/log.h"
#include "core/cabinet.h"
#include "core/pace.h"
#include "line/doubt.h"
#include "line/exchange.h"
#include "line/input.h"
#include "lockwire/types.h"
#include "lockwire/worker_end.h"

#define COMMANDS_MAX 64

typedef enum Phase {
        PHASE_ALL_OFF,  /* being told to switch everything off */
        PHASE_PROBE,    /* being asked several times: does one board answer? */
        PHASE_IDENTIFY, /* is it the board that its profile says? */
        PHASE_ONLINE,
        PHASE_OFFLINE,
        PHASE_DISTRUST, /* conflict or wrong: identified again now and then */
} Phase;

/* A board. */
typedef struct Unit {
        uint32_t board; /* the cabinet's index */
        uint8_t address;
        const WireProfile *profile;
        const BoardDriver *driver;
        char name[WIRE_NAME];
        Phase phase;
        BoardHealth health; /* as last reported */
        uint64_t due;       /* boot µs of the next turn */
        bool resting;       /* it is due so late only because nobody is there */
        unsigned idle_ms;
        uint64_t latency; /* µs from a request to the first byte of its response, the last time; 0: not known
                           */
        bool again;       /* ahead of the round */
        unsigned step, tries;
        unsigned misses, silences; /* since the last good answer; a silence is a miss, too */
        uint64_t good_at;          /* boot µs of that */
        uint64_t refused_until;    /* boot µs: it cannot now, ask again from then on */
        uint64_t refused_command;  /* that was refused so, and is asked again */
        uint64_t refused_over; /* boot µs: when the pulse is over that it may have given all the same; 0: none
                                */
        uint64_t backoff;
        Doubts doubts;

        Oddity oddity; /* what was last wrong with its responses, so many times since a good one */
        unsigned n_odd, oddities;
        Oddity told_oddity; /* what it was reported for */

        bool all_off, probed;
        unsigned probes_damaged, probes_silent;

        /* Inputs. Boards that tell them in parts are read part by part. */
        unsigned part;     /* being read */
        bool round_over;   /* all parts have been read; the next round has not begun */
        uint64_t round_at; /* boot µs at which this one began */
        Inputs inputs;
        bool unsettled;      /* too few responses agree about this part */
        bool spaced;         /* the last read had the other shape */
        uint64_t looked_for; /* boot µs: inputs asked for from then on are told, changed or not */
        unsigned looked;     /* responses since then that agree with what is believed */
        uint8_t look_parts[WIRE_CHANNELS / 8]; /* still to be looked at for that */

        uint64_t coils_due, pulse_until;
        bool coil_seen_on;

        bool off_pending; /* a pulse of ours whose end nobody has confirmed */
        uint32_t off_coil;
        uint64_t off_command;
} Unit;

typedef struct Worker {
        WorkerEnd end;
        uint64_t hold_until; /* a command is on its way: nothing that can wait is begun */
        Pace pace;
        bool started;
        WireLine line;
        WireProfile *profiles;
        const BoardDriver *driver; /* one for all boards of a line */
        Unit *units;
        unsigned n_profiles, n_units;
        WireCommand commands[COMMANDS_MAX]; /* in order of arrival */
        unsigned n_commands;
        uint64_t sending; /* the command whose exchange is running; 0: none */
        bool sending_withdrawn;

        int opener; /* the socket to lockerd-open, of a serial line; else -1 */
        Port port;
        uint64_t reopen_at, reopen_backoff;
        bool line_reported, line_works;
        unsigned cursor;     /* of the round */
        bool confirmed_last; /* the last turn was a confirmation: the round goes on before another one */
        unsigned suspicious; /* exchanges for which reads keep alternating their shape */
        bool spoke;          /* a board has given a good response since the line was opened */
        unsigned strangers;  /* how often no board has: now and then … */
        bool other_framing;  /* … the next request is made as if the converter were another */
        uint64_t factory_due;
        unsigned factory_next;
        bool factory_found;
        uint64_t random;
} Worker;

/* main.c */
int worker_wait(void *userdata, int fd, uint64_t until);
void worker_report_line(Worker *w, bool working, unsigned patience_ms, const char *format, ...)
        _printf_(4, 5);
void worker_send(Worker *w, WireType type, void *message);
uint64_t worker_jitter(Worker *w, uint64_t usec); /* ± a quarter */
void worker_open_line(Worker *w);

/* turn.c: one exchange, or waiting until something is due */
void worker_turn(Worker *w);

/* device.c: the port, by way of lockerd-open where it is a device. 0 or negative errno. */
int line_open(Worker *w);

/* unit.c */
bool unit_status_request(const Unit *u, Request *ret); /* the part that is being read */
bool unit_coil_request(const Unit *u, Request *ret);
bool unit_spacer_request(const Unit *u,
                         Request *ret); /* a read whose answer has another shape than the inputs' */
bool unit_alive_request(const Unit *u, Request *ret);
bool unit_off_request(const Unit *u, unsigned channel, Request *ret);
bool unit_all_off_request(const Unit *u, unsigned step, Request *ret);
uint64_t worker_late_window(const Worker *w);
/* Asks and draws the conclusions for board and line; x->outcome says what may be believed. */
void unit_ask(Worker *w, Unit *u, const Request *q, Exchange *x);
void unit_ask_within(Worker *w, Unit *u, const Request *q, ExchangeLimits limits, Exchange *x);
/* A refusal that may pass: the unit waits and is asked again. False: distrust it, what persists is no
 * accident. */
bool unit_refusal_passes(Unit *u, const Exchange *x);
/* No good answer for so long that it counts as offline. */
bool unit_is_gone(const Unit *u);
/* True, and the unit waits, while an answer to `q` could not be believed. */
bool unit_must_wait(Unit *u, const Request *q, uint64_t now);
void unit_report(Worker *w, Unit *u, BoardHealth health, const char *format, ...) _printf_(4, 5);
void unit_offline(Worker *w, Unit *u);
/* What is between it and us, for people; false: nothing that is known. */
bool unit_describe_oddity(const Worker *w, const Unit *u, char *buffer, size_t size);
void unit_distrust(Worker *w, Unit *u, BoardHealth health, const char *sentence);
void unit_restart(Unit *u); /* from all-off on */
void unit_forget_inputs(Unit *u);
void line_lost(Worker *w, const char *why);

/* identify.c: every phase but online */
void identify_step(Worker *w, Unit *u);
bool identify_is_under_way(const Unit *u);
void factory_step(Worker *w); /* looks for boards that nobody has configured */

/* poll.c */
void poll_look(Worker *w, uint64_t board);
void poll_attend(Worker *w, bool attended);
void poll_wake(Worker *w); /* boards that rest are due */
void poll_stir(Worker *w); /* something happens on this line: boards that rest are read at once */
void poll_step(Worker *w, Unit *u);

/* pulse.c */
bool command_run_next(Worker *w); /* true: a turn was used */
uint64_t command_next_due(Worker *w, uint64_t now);
void command_queue(Worker *w, const WireCommand *c);
void command_withdraw(Worker *w, uint64_t id);
void command_off(Worker *w, Unit *u); /* one try at the off that is still owed */
void command_switch_everything_off(Worker *w);
