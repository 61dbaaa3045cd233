/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept in memory of the backend's side, and what its files ask of sync.c. Data flows one way each:
 * out (drain.c, retained_state.c) and in (inbox.c, asking command_judge.c and command_pace.c → command_run.c,
 * command_errand.c → command_answer.c). */
#pragma once

#include "message/jwe.h"
#include "message/jws.h"
#include "message/neighbours.h"
#include "sync/command_pace.h"
#include "sync/drain.h"
#include "sync/freshness.h"
#include "sync/lineage.h"
#include "sync/mqtt_client.h"
#include "sync/sync.h"

typedef struct Running Running;

#define TROUBLE_MAX 160 /* a sentence of the cabinet's health */

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
