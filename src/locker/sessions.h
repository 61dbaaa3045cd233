/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the terminals, and which errand is theirs. */
#pragma once

#include "core/access.h"
#include "locker/locker.h"

typedef struct Errand Errand;

int session_expect(Session *s,
                   Act act);   /* refusal unless idle and what was proved allows it (core/access.h) */
int session_touch(Session *s); /* refusal when ended or a request is under way */
bool session_is_at_work(const Session *s);
void session_idles_from_now(Session *s);
/* After something has happened in its errand: is anybody there still? A door that nobody shuts, or sees, is
 * no proof; the time for it begins when that is noticed. */
void session_look_for_person(Session *s, Errand *e);
void session_answer(Session *s, int result, const char *detail);
void reply_refusal(LockerReply reply, void *userdata, int result, const char *detail);
void session_refresh(Session *s); /* tells its state when it is another one */
void session_take_errand(Session *s, Errand *e);
void session_give_up_errand(Session *s); /* one that is settled, and only kept for reopening */
/* May `s` (NULL: an operator) open this slot now? slot_clear() then takes it from whoever only keeps it for
 * reopening. */
bool slot_is_clear(const Locker *l, int slot, const Session *s);
void slot_clear(Locker *l, int slot);
bool errand_gives_way_to_operator(const Errand *e);
void errand_yield(Errand *e);
void session_unlink(Session *s);
void sessions_by_code_end(Locker *l, uint64_t parcel); /* the code that opened them is not valid any more */
void sessions_tick(Locker *l, const Now *now);
uint64_t sessions_next_deadline(const Locker *l);
