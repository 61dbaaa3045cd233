/* SPDX-License-Identifier: Apache-2.0 */
/* A session from the client's side: start, authenticate, then follow the prompts of the cabinet to the
 * end, while keys of the user become requests. The session belongs to this connection: if lockerctl
 * exits, lockerd ends it safely. */
#pragma once

#include "ctl/ctl.h"

/* A key for the user while a door is open. */
typedef struct SessionKey {
        char letter;
        const char *help;   /* "too small" */
        const char *member; /* method of the Session interface; answers (su) or nothing */
        bool moves;         /* answers slot and position */
} SessionKey;

typedef struct Session {
        Ctl *ctl;
        char *path;
        sd_bus_slot *prompts, *changes, *owner, *place;
        const SessionKey *keys; /* ends with letter 0 */
        /* Final prompts, of success and of failure; NULL-terminated. */
        const char *const *good_ends, *const *bad_ends;
        bool offers_reopen;    /* whether the door may be reopened after the end */
        uint64_t until;        /* CLOCK_BOOTTIME, µs: end of --timeout; 0: none */
        const char *on_choose; /* "Accept" or "Reject" when given in advance, else NULL: the user is asked */
        int typed_fd;          /* where keys are typed; -1: nowhere */
        char slot[64];         /* as last reported */
        unsigned position;
        bool over, check_state;
        bool missed;            /* something on the way did not go as asked */
        bool asked_once;        /* to put the item in */
        bool settled, reopened; /* the step has ended and the door may be reopened; it is open again */
        int status;             /* how it ended */
} Session;

int session_start(Ctl *c, const char *kind, Session *ret);
/* A courier's session from --courier and the PIN that is asked for. */
int session_sign_in(Ctl *c, const Args *a, Session *ret);
#define COURIER_OPTION \
        { "courier", 0, "NUMBER", "The courier's number; the PIN is asked for" }
/* --timeout SECONDS and --no-wait. */
int session_patience(Ctl *c, const Args *a, uint64_t *ret_until);
#define PATIENCE_OPTIONS                                                     \
        {"no-wait", 0, NULL, "Do not wait until the door is shut"}, {        \
                "timeout", 0, "SECONDS", "Exit with status 12 after SECONDS" \
        }
void session_done(Session *s);
/* Subscribes to the prompts of lockerd, by its unique name, so that no other program can send them.
 * -errno. */
int session_listen(Session *s, const char *sender);
#define _cleanup_session_ _cleanup_(session_done)
/* Evidence: pairs of key and value, NULL-terminated; pairs without value are omitted. Sent as
 * sensitive. */
int session_authenticate(Session *s, const char *kind, const char *const *evidence);
/* Likewise, with the number of a parcel as the claim; 0: none. */
int session_authenticate_of(Session *s, const char *kind, const char *const *evidence, uint64_t parcel);
int session_call(Session *s, const char *member, sd_bus_message **ret);
/* Follows prompts until the end. On the first interrupt calls `interrupt` (a method name), on the
 * second exits. */
int session_follow(Session *s, const char *interrupt);
/* Ends the session; a failure is ignored, as disconnecting does the same. */
void session_end(Session *s);
/* The source of keys: the terminal, or the rest of --stdin. */
int session_typed_fd(const Args *a);
/* Prints a prompt as sentence or JSON line. */
void session_tell(const Session *s, const char *what, const char *sentence);
