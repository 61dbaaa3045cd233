/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the backend's side share. Data flows one way each: out (drain.c, retained_state.c) and in
 * (inbox.c, asking command_judge.c and command_pace.c → command_run.c, command_errand.c → command_answer.c).
 */
#pragma once

#include "base/log.h"
#include "base/text.h"
#include "core/access.h"
#include "core/bucket.h"
#include "ledger/events.h"
#include "ledger/inbox.h"
#include "ledger/ledger.h"
#include "ledger/lineage.h"
#include "message/arguments.h"
#include "message/compose.h"
#include "message/jwe.h"
#include "message/neighbours.h"
#include "message/remote_command.h"
#include "mqtt/wire.h"
#include "sync/aside.h"
#include "sync/freshness.h"
#include "sync/mqtt_client.h"
#include "sync/sync.h"

/* A day longer than anybody may repeat it: clocks differ. */
#define FORGET_AFTER_USEC ((int64_t)(86400 * USEC_PER_SEC))

#define TOPIC_MAX   256
#define TROUBLE_MAX 160 /* a sentence of the cabinet's health */

/* Tokens of publications: events by their sequence number, the rest above. */
#define TOKEN_NOBODY  0
#define TOKEN_LINEAGE (UINT64_C(1) << 61)
#define TOKEN_REPLAY  (UINT64_C(1) << 62)
#define TOKEN_STATE   (UINT64_C(1) << 63)

typedef struct Running Running;

/* The outbox on its way: events [acknowledged + 1 … sent] are with the worker, of which it has at most
 * Window= under way; those marked have been acknowledged out of turn. */
typedef struct Drain {
        uint64_t acknowledged, sent;
        uint64_t stored;                 /* acknowledged in the ledger, too: written in batches */
        unsigned room;                   /* how many the worker may have */
        uint8_t *marks;                  /* [room], ring by sequence */
        uint64_t replay_next, replay_to; /* 0: nothing is replayed, or all of it is acknowledged */
        uint64_t replay_acknowledged;
        uint64_t replay_from, replay_asked; /* as they were asked for: a repeat is the same replay */
        uint64_t bounded;                   /* up to here routine has been taken out of an overfull outbox */
        uint64_t offline_until; /* events up to here were recorded before the connection came up */
        uint64_t flush_at;      /* boot µs: write what was acknowledged */
        uint64_t again_at;      /* boot µs: send again what could be neither sent nor set aside */
        uint64_t heard;         /* the last event that the broker has taken and somebody was there to hear */
        /* An event after which the connection breaks, again and again. */
        uint64_t suspect; /* the first that was under way when it last broke */
        unsigned breaks;  /* how often in a row; from some on it is sent alone */
        unsigned mute;    /* how often in a row it broke without a word: then events wait for the state's */
        bool taken;       /* something was acknowledged on this connection: it works */
        bool event_taken; /* and an event */
        Asides asides;
        bool full; /* of these: the next event waits until one of them is taken */
} Drain;

/* What the broker has retained of this cabinet's ledger (lineage.c). */
typedef struct Lineage {
        bool settled; /* compared, since the connection came up */
        char probe[EPOCH_LENGTH + 1], told_epoch[EPOCH_LENGTH + 1];
        uint64_t told_last, marked;               /* event numbers */
        bool told_sealed;                         /* this cabinet has said it, not somebody at the broker */
        uint64_t give_up_at, mark_at, foreign_at; /* boot µs */
} Lineage;

typedef enum CommandClass { /* each has a pace */
                            COMMAND_DOOR,
                            COMMAND_OTHER,
                            COMMAND_QUESTION,
                            COMMAND_REPLAY,
                            COMMAND_CLASSES,
} CommandClass;

typedef struct CommandPaces {
        Bucket commands[COMMAND_CLASSES], answers;
        uint64_t slow_log_at, unanswered_log_at; /* boot µs: not before is it said again */
        unsigned unanswered;
} CommandPaces;

struct Sync {
        sd_event *event;
        sd_event_source *timer, *defer;
        Locker *locker;
        Ledger *ledger;
        const Settings *settings;
        const char *cabinet;
        MqttClient *client;
        KeyRing *ring;
        SealingKey *sealing; /* NULL with a trouble: it cannot be used, and nothing is sent unsealed */
        char sealing_trouble[TROUBLE_MAX]; /* "": none */
        Neighbours *neighbours;
        Drain drain;
        Lineage lineage;
        Running *running; /* commands whose answer is awaited, or could not be stored yet; the newest first */
        uint64_t save_at; /* boot µs: try again to store answers */
        uint64_t remembered; /* commands in the ledger, at most */
        bool connected, ever_connected;
        char link[TROUBLE_MAX], trouble[TROUBLE_MAX], state_trouble[TROUBLE_MAX]; /* sentences; "": none */
        bool resumed; /* stored commands have been looked through; before that new ones are only stored */
        int64_t started_usec; /* wall */
        bool state_dirty;
        char *state;             /* as it was published last */
        uint64_t stray_log_at;   /* boot µs: not before is said again that a message is not ours */
        uint64_t foreign_log_at; /* boot µs: not before is said again that somebody else wrote it */
        uint64_t told_outbox;    /* by the last state */
        uint64_t state_at;       /* boot µs: not before */
        uint64_t forget_at;
        Freshness freshness;
        CommandPaces paces;
        int64_t forgotten; /* wall µs: signed commands that do not expire later may have been forgotten */
};

void sync_wake(Sync *s); /* look for work soon, from the event loop */
void sync_tell_health(Sync *s);
int sync_last_event(Sync *s, uint64_t *ret_sequence);

/* out: events (drain.c) */
int drain_init(Sync *s);
void drain_done(Sync *s);
void drain_link(Sync *s, bool connected);
void drain_works(Sync *s); /* the broker has acknowledged something else */
void drain_acknowledged(Sync *s, uint64_t token);
void drain_refused(Sync *s, uint64_t token, unsigned reason, const char *sentence);
void drain_pump(Sync *s, uint64_t now_boot);
uint64_t drain_next_deadline(const Sync *s);
void drain_bound(Sync *s);
void drain_replay(Sync *s, uint64_t from, uint64_t to);
bool drain_replays(const Sync *s); /* until the last one is acknowledged */

/* out: what an event is on the wire (event_message.c). -EUCLEAN: it cannot be read and is left out; -EAGAIN:
 * not before there is a key to seal its secret. */
int event_message(const Sync *s, const EventRow *e, const char *secret, char **ret);

/* out: the retained state (retained_state.c) */
void state_publish(Sync *s);
/* What somebody else has put in its place is replaced. False: it is about something else. */
bool state_heard(Sync *s, const MqttMessage *m);
char *state_will(const Sync *s);
void state_topic(const char *cabinet, char ret[TOPIC_MAX]);

/* out and in: which ledger this is (lineage.c). Nothing is told or carried out before it is settled. */
void lineage_topic(const char *cabinet, char ret[TOPIC_MAX]);
void lineage_link(Sync *s, bool connected);
bool lineage_heard(Sync *s, const MqttMessage *m); /* false: it is about something else */
bool lineage_is_settled(const Sync *s);
void lineage_work(Sync *s, uint64_t now);
void lineage_mark(Sync *s);
uint64_t lineage_next_deadline(const Sync *s);

/* who may sign, and who may read secrets (signing_keys.c) */
int keys_load(Sync *s);

/* in: commands (inbox.c) */
void inbox_message(Sync *s, const MqttMessage *m);
void inbox_recover(Sync *s);
char *inbox_digest(const RemoteCommand *c); /* what is kept of an answered command; NULL: no memory */
void inbox_work(Sync *s);                   /* commands that had to wait their turn */
void inbox_forget(Sync *s);
int inbox_init(Sync *s);

/* whether a command may be carried out (command_judge.c): 0, or why not */
int judge_command(const Sync *s, const RemoteCommand *c, char ret_detail[MESSAGE_DETAIL_MAX]);
int judge_time(const Sync *s, const CommandRow *row, const RemoteCommand *c, const Moment *now);
int judge_room(const Sync *s, const CommandRow *row, char ret_detail[MESSAGE_DETAIL_MAX]);

/* how fast (command_pace.c) */
CommandClass pace_class(const CommandRow *row);
bool pace_admits(Sync *s, CommandClass class); /* now; it counts */
/* 0: it may wait its turn. */
int pace_judge_waiting(Sync *s, CommandClass class, char ret_detail[MESSAGE_DETAIL_MAX]);
Running *pace_next_in_turn(Sync *s); /* of those that wait; NULL: none yet */
uint64_t pace_next_deadline(const Sync *s);
bool pace_answers(Sync *s); /* false: what changes nothing is left without an answer */

/* out: answers (command_answer.c) */
bool answer_topic_is_fine(const Sync *s, const char *response_topic); /* "": the cabinet's own is taken */
void answer_send(Sync *s, const char *response_topic, const char *correlation, const char *answer);
Refusal answer_refusal(int refusal_or_errno);
/* Exactly once per running command. result is stolen; a code in it is sealed where that is configured. */
void command_answer(Running *r, int refusal_or_errno, const char *detail, json_t *result);
void answers_save(Sync *s); /* those that could not be stored */
void answers_done(Sync *s);
Running *running_find(const Sync *s, const char *id); /* NULL: there is none */
void running_free(Running *r);

/* What a command does (command_run.c). Answers now or later through
 * command_answer(). */
struct Running {
        Running *next;
        Sync *sync; /* NULL: it is gone, the answer interests nobody */
        RemoteCommand command;
        InboxRow row; /* as it is stored, or will be; whom to answer */
        char actor[80];
        bool kept;     /* the ledger remembers its id: it changes something */
        bool stored;   /* as received; row.begun: as begun */
        bool waiting;  /* for the boards to be known, */
        bool deferred; /* or for its turn in `class` */
        CommandClass class;
        char *answer; /* which the ledger has not taken yet */
        bool complained;
};
void command_run(Running *r); /* of a command that is known and whose arguments are in order */
int command_deposit_request(const json_t *a, DepositRequest *ret); /* -EINVAL */
/* A person's errand (command_errand.c) */
void command_deposit(Running *r, const json_t *a);
void command_collect(Running *r, const json_t *a);
void command_take_back(Running *r, const json_t *a);
void command_session(Running *r, const json_t *a); /* accept, reject, … end: those that name a session */
void command_prompt(Sync *s, const Session *session, int slot, unsigned position, const char *what,
                    const char *sentence);
