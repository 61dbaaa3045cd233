/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the verbs of lockerctl: the invocation, its options, the connection to lockerd, and error
 * reports. Functions that return int return an exit status (lockerd/bus_names.h) unless documented
 * otherwise: 0, or a failure that has already been reported to the user. */
#pragma once

#include "base/macros.h"
#include "lockerd/bus_names.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)
#define _cleanup_json_    _cleanup_(json_decrefp)

typedef struct Ctl {
        sd_bus *bus;         /* NULL until a verb first needs it */
        const char *address; /* --bus, else the system bus */
        bool json, no_legend, yes;
        bool color; /* stdout takes colours */
        bool utf8;  /* stdout takes UTF-8 */
        bool tty;   /* stdout is a terminal: lines are fitted into `width` */
        unsigned width;
} Ctl;

/* --- options (options.c): declared as data, so that parsing and --help cannot disagree --- */
#define OPTIONS_MAX 24
#define WORDS_MAX   16

typedef struct Option {
        const char *name;     /* without "--" */
        char letter;          /* 0: none */
        const char *argument; /* what --help calls its value; NULL: a flag */
        const char *help;
} Option;

typedef struct Verb Verb;

typedef struct Args {
        const Verb *verb;
        const char *values[OPTIONS_MAX]; /* by index into the verb's options; NULL: not given */
        const char *words[WORDS_MAX];
        unsigned n_words;
        bool help;
} Args;

struct Verb {
        const char *name;
        const char *usage;     /* after the name; NULL: nothing */
        const char *summary;   /* one line */
        const char *details;   /* for --help, or NULL; wrapped there, so newlines are for new paragraphs */
        const Option *options; /* ends with a NULL name; NULL: none */
        unsigned min_words, max_words;
        int (*run)(Ctl *c, const Args *a);
};

int options_parse(Ctl *c, const Verb *verb, int argc, char **argv, Args *ret);
/* Parses one of the options that every verb has. Returns the number of words used, 0 = not one of them,
 * -1 = error reported. */
int options_global(Ctl *c, char **argv, bool *help);
void options_help(const Ctl *c, const Verb *verb);
void options_print(const Ctl *c, const Option *options);
/* One line of a list: an item, then from column left_width on its description, wrapped. */
void options_item(const Ctl *c, const char *left, unsigned left_width, const char *help);
extern const Option global_options[];
extern const Option reason_options[]; /* of a verb that takes --reason and nothing else */

const char *args_get(const Args *a, const char *name); /* NULL when not given; "" for a flag */
static inline bool args_has(const Args *a, const char *name) {
        return args_get(a, name) != NULL;
}
/* The mandatory --reason, asked for on a terminal. *ret is malloc()ed. */
int args_reason(Ctl *c, const Args *a, char **ret);
/* A whole number or a usage error. */
int parse_number(Ctl *c, const char *what, const char *text, uint64_t max, uint64_t *ret);
/* "12" or "12/3" → label (malloc()ed) and position, 0 = none given. */
int parse_place(Ctl *c, const char *text, char **ret_label, uint32_t *ret_position);

/* --- telling (tell.c) --- */
int ctl_fail(const Ctl *c, int status, const char *format, ...) _printf_(3, 4);
int ctl_fail_as(const Ctl *c, int status, const char *name,
                const char *sentence); /* name: "error" of --json */
int ctl_usage(const Ctl *c, const Args *a, const char *format, ...) _printf_(3, 4);
int ctl_oom(const Ctl *c);
/* Reports a D-Bus error (or, without a name, -errno) and returns its status. `what` names the object in
 * "there is no …"; may be NULL. */
int ctl_fail_bus(const Ctl *c, const sd_bus_error *error, int r, const char *what);
/* In --json mode prints the object, else the sentence. Consumes `object` (may be NULL when out of memory). */
int ctl_done(const Ctl *c, json_t *object, const char *format, ...) _printf_(3, 4);
/* Prints and consumes. `line`: on a single line, flushed at once. */
int json_print(const Ctl *c, json_t *object, bool line);
/* A copy without control characters: text from users must not control the terminal. */
char *text_printable(const char *s);
/* "2026-11-05 10:12:13" in local time into a static-size buffer; "" for 0. */
#define TIME_TEXT_MAX 32
const char *time_text(int64_t usec, char buffer[TIME_TEXT_MAX]);

/* --- the bus (bus.c) --- */
int ctl_connect(Ctl *c);
#define CALL_TIMEOUT_USEC      (2 * 60 * UINT64_C(1000000))  /* a lock may have to wait for its supply */
#define CALL_TIMEOUT_LONG_USEC (60 * 60 * UINT64_C(1000000)) /* backup, audit: as long as the ledger is */
int ctl_message(Ctl *c, const char *path, const char *interface, const char *member, sd_bus_message **ret);
int ctl_send(Ctl *c, sd_bus_message *m, uint64_t timeout, const char *what, sd_bus_message **ret);
/* Message, arguments and sending in one. `what` as in ctl_fail_bus(). */
int ctl_call(Ctl *c, const char *path, const char *interface, const char *member, const char *what,
             sd_bus_message **ret, const char *types, ...);
int ctl_bad_reply(const Ctl *c, int r);
/* Opens a{sv}, adds the entries (string/bool/u64) that have a value, closes. Return -errno. */
int append_string(sd_bus_message *m, const char *key, const char *value);
int append_bool(sd_bus_message *m, const char *key, bool value);
int append_u64(sd_bus_message *m, const char *key, uint64_t value);

/* --- values as JSON (json.c) --- */
/* Reads one complete value at the cursor: dictionaries become objects, structs arrays, NaN null. -errno. */
int json_from_bus(sd_bus_message *m, json_t **ret);
const char *json_text(const json_t *object, const char *key); /* "" when missing */
uint64_t json_number(const json_t *object, const char *key);  /* 0 when missing */
bool json_flag(const json_t *object, const char *key);
/* Adds "<key>_usec" and "<key>" (ISO 8601 UTC); both null for 0. */
int json_set_time(json_t *object, const char *key, int64_t usec);

/* --- the cabinet at one moment (snapshot.c) --- */
typedef struct Snapshot {
        json_t *cabinet; /* object; NULL unless asked for */
        json_t *slots;   /* array, by label */
        json_t *parcels; /* array, by number */
} Snapshot;
int snapshot_read(Ctl *c, bool with_cabinet, Snapshot *ret);
void snapshot_done(Snapshot *s);
#define _cleanup_snapshot_ _cleanup_(snapshot_done)
json_t *parcel_to_json(const json_t *properties); /* keys of any case; NULL when out of memory */

/* --- asking (ask.c) --- */
typedef struct Secrets {
        int fd; /* --stdin or --secret-file; -1: the terminal */
        bool close_fd;
} Secrets;
int secrets_open(Ctl *c, const Args *a, Secrets *ret);
void secrets_close(Secrets *s);
#define _cleanup_secrets_ _cleanup_(secrets_close)
#define SECRET_OPTIONS                                                         \
        {"stdin", 0, NULL, "Read secrets from standard input, one a line"}, {  \
                "secret-file", 0, "FILE", "Read secrets from FILE, one a line" \
        }
/* Without echo. `twice`: on a terminal, asks again and compares. The caller must erase *ret. */
int secrets_ask(Ctl *c, Secrets *s, const char *question, bool twice, char **ret);
/* One line with echo from the terminal; -ENOTTY when there is none. -errno. */
int ask_line(const char *question, char **ret);
/* True with --yes, without a terminal, or when the answer was yes. */
bool ask_confirm(const Ctl *c, const char *question);
/* One line of a descriptor without reading ahead; 1, 0 at the end, -errno. */
int read_line(int fd, char **ret);

/* --- verbs, one file each or a group --- */
extern const Verb verb_status, verb_map, verb_slots, verb_parcels, verb_parcel, verb_deposit, verb_collect,
        verb_take_back, verb_open, verb_disable, verb_enable, verb_reconcile, verb_events, verb_enrol,
        verb_revoke, verb_people, verb_lockout, verb_audit, verb_recall, verb_new_code, verb_release,
        verb_backup, verb_restore, verb_check_config, verb_link;
