/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/aside.h"
#include "base/clock.h"
#include "base/text.h"

#include <stdio.h>

#define FIRST_WAIT (2 * USEC_PER_SEC)
#define MAX_WAIT   (15 * 60 * USEC_PER_SEC)
#define DOUBLINGS  9

Aside *aside_find(const Asides *a, uint64_t sequence) {
        for (size_t i = 0; i < a->n; i++)
                if (a->all[i].sequence == sequence && a->all[i].state != ASIDE_DONE)
                        return &a->all[i];
        return NULL;
}

AsideTopic *aside_blocked(Asides *a, const char *type) {
        for (size_t i = 0; i < ASIDE_TOPICS; i++)
                if (a->topics[i].blocked && streq(a->topics[i].type, type))
                        return &a->topics[i];
        return NULL;
}

static bool has_entries(const Asides *a, size_t topic) {
        for (size_t i = 0; i < a->n; i++)
                if (a->all[i].topic == topic && a->all[i].state != ASIDE_DONE)
                        return true;
        return false;
}

static void wait_for_next(AsideTopic *t, uint64_t now) {
        t->next_at = now + MIN(FIRST_WAIT << MIN(t->tries, DOUBLINGS), MAX_WAIT);
        t->tries++;
}

AsideTopic *aside_block(Asides *a, const char *type, bool unheard, const char *why, uint64_t now) {
        AsideTopic *t = NULL;

        for (size_t i = 0; i < ASIDE_TOPICS && !t; i++)
                if (streq(a->topics[i].type, type))
                        t = &a->topics[i];
        for (size_t i = 0; i < ASIDE_TOPICS && !t; i++)
                if (!a->topics[i].blocked && !has_entries(a, i)) {
                        t = &a->topics[i];
                        *t = (AsideTopic){0};
                        snprintf(t->type, sizeof(t->type), "%s", type);
                }
        if (!t)
                return NULL;
        /* Many may come back refused at once: that is one refusal. */
        if (!t->blocked || t->next_at <= now)
                wait_for_next(t, now);
        t->blocked = true;
        t->unheard = unheard;
        snprintf(t->why, sizeof(t->why), "%s", why);
        return t;
}

bool aside_add(Asides *a, uint64_t sequence, const AsideTopic *topic) {
        size_t i = a->n;

        if (aside_find(a, sequence))
                return true;
        if (a->n == ASIDE_MAX)
                return false;
        for (; i > 0 && a->all[i - 1].sequence > sequence; i--)
                a->all[i] = a->all[i - 1];
        a->all[i] = (Aside){.sequence = sequence, .topic = (uint8_t)(topic - a->topics)};
        a->n++;
        return true;
}

bool aside_delivered(Asides *a, Aside *entry) {
        AsideTopic *t = &a->topics[entry->topic];
        bool was_blocked = t->blocked;

        entry->state = ASIDE_DONE;
        a->n_done++;
        t->blocked = t->breaks = false;
        t->tries = 0;
        return was_blocked;
}

static bool is_tried(const Asides *a, size_t topic) {
        for (size_t i = 0; i < a->n; i++)
                if (a->all[i].topic == topic &&
                    (a->all[i].state == ASIDE_QUEUED || a->all[i].state == ASIDE_SENT))
                        return true;
        return false;
}

Aside *aside_next(Asides *a, uint64_t now) {
        for (size_t i = 0; i < a->n; i++) {
                Aside *entry = &a->all[i];
                const AsideTopic *t = &a->topics[entry->topic];

                if (entry->state == ASIDE_KEPT &&
                    (!t->blocked || (t->next_at <= now && !is_tried(a, entry->topic))))
                        return entry;
        }
        return NULL;
}

void aside_left(Asides *a, bool left) {
        for (size_t i = 0; i < a->n; i++)
                if (a->all[i].state == ASIDE_QUEUED)
                        a->all[i].state = left ? ASIDE_SENT : ASIDE_KEPT;
}

bool aside_link(Asides *a, uint64_t now) {
        bool breaking = false;

        for (size_t i = 0; i < ASIDE_TOPICS; i++) {
                AsideTopic *t = &a->topics[i];
                if (!t->breaks) {
                        t->next_at = now;
                } else if (is_tried(a, i)) {
                        breaking = true;
                        wait_for_next(t, now);
                }
        }
        for (size_t i = 0; i < a->n; i++)
                if (a->all[i].state != ASIDE_DONE)
                        a->all[i].state = ASIDE_KEPT;
        return breaking;
}

void aside_forget_done(Asides *a) {
        size_t kept = 0;

        for (size_t i = 0; i < a->n; i++)
                if (a->all[i].state != ASIDE_DONE)
                        a->all[kept++] = a->all[i];
        a->n = kept;
        a->n_done = 0;
}

uint64_t aside_next_deadline(const Asides *a) {
        uint64_t next = USEC_INFINITY;

        for (size_t i = 0; i < ASIDE_TOPICS; i++)
                if (a->topics[i].blocked && !is_tried(a, i) && has_entries(a, i))
                        next = MIN(next, a->topics[i].next_at);
        return next;
}

bool aside_trouble(const Asides *a, const char *cabinet, char *ret, size_t n_ret) {
        const AsideTopic *first = NULL;
        char more[24] = "";
        unsigned n = 0;

        for (size_t i = 0; i < ASIDE_TOPICS; i++)
                if (a->topics[i].blocked && n++ == 0)
                        first = &a->topics[i];
        if (!first)
                return false;
        if (n > 1)
                snprintf(more, sizeof(more), " and %u more", n - 1);
        if (first->unheard)
                snprintf(ret, n_ret, "Nobody listens to lockerd/v1/%.64s/event/%.40s%s.", cabinet,
                         first->type, more);
        else
                snprintf(ret, n_ret, "The broker refuses lockerd/v1/%.40s/event/%.32s%s: %.48s", cabinet,
                         first->type, more, first->why);
        return true;
}
