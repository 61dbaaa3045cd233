/* SPDX-License-Identifier: Apache-2.0 */
/* Events that the broker has not taken, or that nobody was there to hear: they are set aside, by the topic
 * that was refused, so that the others go on. They stay in the outbox. Of each topic one is tried again after
 * a while, and the rest when that has gone well; events of such a topic that come meanwhile are set aside
 * unsent. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASIDE_MAX    1024
#define ASIDE_TOPICS 32
#define ASIDE_TYPE   64

typedef enum AsideState {
        ASIDE_KEPT,
        ASIDE_QUEUED, /* about to be handed to the worker */
        ASIDE_SENT,
        ASIDE_DONE, /* to leave the outbox */
} AsideState;

typedef struct Aside {
        uint64_t sequence;
        AsideState state;
        uint8_t topic;
} Aside;

typedef struct AsideTopic {
        char type[ASIDE_TYPE]; /* of the events; "": free */
        char why[112];
        bool unheard; /* nobody has subscribed to it; else it is refused */
        bool blocked;
        bool breaks; /* the connection broke after it: not tried with each new one */
        unsigned tries;
        uint64_t next_at; /* boot µs: then one is tried again */
} AsideTopic;

typedef struct Asides {
        Aside *all; /* [ASIDE_MAX], by sequence */
        size_t n, n_done;
        AsideTopic topics[ASIDE_TOPICS];
} Asides;

Aside *aside_find(const Asides *a, uint64_t sequence); /* NULL; of those that are not done */
/* NULL: events of this type go their usual way. */
AsideTopic *aside_blocked(Asides *a, const char *type);
/* The topic was refused (again). NULL: there is no room for another one. */
AsideTopic *aside_block(Asides *a, const char *type, bool unheard, const char *why, uint64_t now);
/* False: there is no room. */
bool aside_add(Asides *a, uint64_t sequence, const AsideTopic *topic);
/* The broker has it. True: its topic was blocked until now. */
bool aside_delivered(Asides *a, Aside *entry);
/* What is to be sent now: NULL, or the next one. */
Aside *aside_next(Asides *a, uint64_t now);
/* What was queued has left, or has not. */
void aside_left(Asides *a, bool left);
/* A new connection, or none: everything is tried again, but what breaks it only after its wait. True: one of
 * those was under way. */
bool aside_link(Asides *a, uint64_t now);
void aside_forget_done(Asides *a);
uint64_t aside_next_deadline(const Asides *a);
/* A sentence of the cabinet's health: what is refused, or not heard. False: there is nothing. */
bool aside_trouble(const Asides *a, const char *cabinet, char *ret, size_t n_ret);
