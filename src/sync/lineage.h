/* SPDX-License-Identifier: Apache-2.0 */
/* Out and in: which ledger this is. Nothing is told or carried out before it is settled. */
#pragma once

#include "ledger/ledger.h"
#include "sync/mqtt_client.h"
#include "sync/publication.h"
#include "sync/sync.h"

/* What the broker has retained of this cabinet's ledger (lineage.c). */
typedef struct Lineage {
        bool settled; /* compared, since the connection came up */
        bool heard;   /* all that is retained has come, and the ledger could not take what follows from it */
        char probe[EPOCH_LENGTH + 1], told_epoch[EPOCH_LENGTH + 1];
        uint64_t told_last, marked;               /* event numbers */
        bool told_sealed;                         /* this cabinet has said it, not somebody at the broker */
        uint64_t give_up_at, mark_at, foreign_at; /* boot µs */
} Lineage;

void lineage_topic(const char *cabinet, char ret[TOPIC_MAX]);
void lineage_link(Sync *s, bool connected);
bool lineage_heard(Sync *s, const MqttMessage *m); /* false: it is about something else */
bool lineage_is_settled(const Sync *s);
void lineage_work(Sync *s, uint64_t now);
void lineage_mark(Sync *s);
uint64_t lineage_next_deadline(const Sync *s);
