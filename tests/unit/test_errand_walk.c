/* SPDX-License-Identifier: Apache-2.0 */
/* Random walks over the use cases: couriers, recipients, operators, neighbours, jammed doors, silent boards,
 * a full disk, power cuts. Real: src/locker, src/ledger. Not real: the cabinet (fake_locks.c), the clock, the
 * errors of the disk (watched_ledger.c). test_errand_walk [STEPS [SEED]]     a fixed set of seeds, or this
 * one */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "ledger/parcels.h"
#include "ledger/people.h"
#include "config/parse.h"
#include "fake_locks.h"
#include "cabinet/hardware.h"
#include "core/code.h"
#include "locker/errand.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/places.h"
#include "locker/session.h"
#include "watched_ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define STEPS_SHORT    30000
#define PEOPLE         5
#define REQUESTS_MAX   256
#define HISTORY        40
#define CALM_EVERY     150
#define WALL_AT_BOOT   INT64_C(1800000000000000)
#define TURNS_MAX      20000 /* of the daemon's loop, while no time passes or one errand ends */
#define FULL_DISK_STEP 400
#define BLAME_USEC     (5 * USEC_PER_SEC) /* sensors are read up to four seconds late; and a second pulse */

static const char board_text[] = "[Board]\nTitle=Test\nOutputs=16\nInputs=16\nBaud=19200\nFactoryAddress=1\n"
                                 "[Unlock]\nMethod=flash\nFlashBase=0x0200\nFlashUnit=100ms\nPulse=500ms\n"
                                 "MinPulse=100ms\nMaxPulse=1000ms\n"
                                 "[AllOff]\nMethod=coil\nAddress=0x00FF\nValue=0\n"
                                 "[Inputs]\nFunction=2\nBase=0\nActive=1\n"
                                 "[Identify]\nLimit=yes\n";

/* A door with a contact and nothing else; one with everything; one with three positions behind it: a lid that
 * latches, and two that are locked by motors, of which one has no presence sensor. */
static const char cabinet_text[] =
        "[Cabinet]\nNumber=T-1\n"
        "[Size S]\nOrder=1\n"
        "[Size L]\nOrder=2\n"
        "[Supply main]\nMaxActive=2\n"
        "[Line one]\nDevice=/dev/ttyS0\n"
        "[Line two]\nDevice=/dev/ttyS1\n"
        "[Line three]\nDevice=/dev/ttyS2\n"
        "[Board A]\nLine=one\nAddress=1\nProfile=test\nSupply=main\n"
        "[Board B]\nLine=two\nAddress=1\nProfile=test\nSupply=main\n"
        "[Board C]\nLine=three\nAddress=1\nProfile=test\nSupply=main\n"
        "[Slot 01]\nSize=S\nColumn=1\nRow=1\nLock=A:1\nDoor=A:1\n"
        "[Slot 02]\nSize=S\nColumn=1\nRow=2\nLock=A:2\nDoor=A:2\nLatch=A:3\nPresence=C:1\n"
        "[Slot P1]\nSize=L\nColumn=2\nRow=1\nHeight=4\nLock=A:3\nDoor=A:4\nLatch=A:5\nRelease=A:6\n"
        "[Position P1/1]\nLock=B:1\nLatch=B:1\nPresence=C:2\n"
        "[Position P1/2]\nLockType=motor\nLock=B:2\nSecure=B:3\nLatch=B:2\nDoor=B:4\nPresence=C:3\n"
        "[Position P1/3]\nLockType=motor\nLock=B:4\nSecure=B:5\nLatch=B:3\n"
        "[Alarm fire]\nInput=A:16\n";

typedef struct Walk Walk;

typedef struct Request {
        Walk *walk;
        const char *verb;
        int person; /* -1: an operator */
        unsigned answers;
        int result;
        bool leave; /* the session is ended from inside the callback */
        unsigned long step;
} Request;

/* Whoever stands there. Sensible most of the time. */
typedef struct Person {
        uint64_t session; /* 0: none */
        bool courier, has_item;
        uint64_t parcel;
} Person;

/* What was said of a parcel since its errand began, as far as the person was told that it counts. */
typedef struct Said {
        ParcelChoice choice;
        bool blind; /* nobody saw a part of it: a restart */
        bool owed;  /* the disk was full when it was said: until that is written, a kill forgets it */
} Said;

struct Walk {
        unsigned long seed, step, steps;
        FakeWorld *world;
        Cabinet *cabinet;
        Settings *settings;
        Ledger *ledger;
        sd_event *event;
        Identity *identity;
        Locker *locker;
        Locks *locks;
        char directory[64], path[96];
        Person people[PEOPLE];
        Request requests[REQUESTS_MAX];
        Said *said; /* [WATCHED_PARCELS_MAX] */
        char (*codes)[CODE_LENGTH + 1];
        bool operator_rules; /* an operator says what is true */
        bool *blamed;        /* [n_locks]: as hardware.miswired[] said last */
        uint64_t last_parcel;
        uint64_t full_until;
        char history[HISTORY][200];
        unsigned long n_history;
        unsigned long outcomes[PARCEL_STATE_MAX], answers, refusals, restarts, calms;
};

static Walk *current;
static bool verbose;

/* --- what happened --- */

static void say(Walk *w, const char *format, ...) _printf_(2, 3);
static void say(Walk *w, const char *format, ...) {
        char *line = w->history[w->n_history++ % HISTORY];
        va_list ap;

        int n = snprintf(line, sizeof(w->history[0]), "%6lu %10.3f ", w->step, (double)w->world->now / 1e6);
        va_start(ap, format);
        vsnprintf(line + n, sizeof(w->history[0]) - (size_t)n, format, ap);
        va_end(ap);
        if (verbose)
                fprintf(stderr, "%s\n", line);
}

static void fault(Walk *w, const char *format, ...) _printf_(2, 3);
static void fault(Walk *w, const char *format, ...) {
        char text[300];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        unsigned long from = w->n_history > HISTORY ? w->n_history - HISTORY : 0;
        for (unsigned long i = from; i < w->n_history && !verbose; i++)
                fprintf(stderr, "%s\n", w->history[i % HISTORY]);
        for (int i = 0; i < w->cabinet->n_locks; i++) {
                const FakeLock *k = &w->world->locks[i];
                fprintf(stderr, "  lock %d slot %s/%d: %s%s%s%s%s, believed %s%s\n", i,
                        w->cabinet->slots[w->cabinet->locks[i].slot].label, w->cabinet->locks[i].position,
                        k->shut ? "shut" : "open", k->bolted ? " bolted" : " loose",
                        k->jammed ? " jammed" : "", k->worn ? " worn" : "", k->leaned ? " leaned" : "",
                        w->locker ? door_state_to_string(w->locker->hardware.doors[i].state) : "-",
                        w->locker && w->locker->hardware.moving[i] ? ", moving" : "");
        }
        for (const Errand *e = w->locker ? w->locker->errands : NULL; e; e = e->next)
                fprintf(stderr, "  errand %s %s slot %d/%d parcel %llu%s%s%s%s wait %d\n",
                        errand_kind_to_string(e->m.kind), errand_state_to_string(e->m.state), e->slot,
                        e->position, (unsigned long long)e->parcel, e->session ? " session" : "",
                        w->locker->holder[e->slot] == e ? " holds" : "", e->m.blind ? " blind" : "",
                        e->m.final ? " final" : "", (int)e->m.wait);
        fprintf(stderr, "seed %lu, step %lu: %s\n", w->seed, w->step, text);
        fflush(stderr);
        _exit(1);
}

static uint64_t dice(Walk *w, uint64_t n) {
        return fake_dice(w->world, n);
}

static bool chance(Walk *w, unsigned percent) {
        return dice(w, 100) < percent;
}

static Now walk_now(void) {
        uint64_t now = current->world->now;

        return (Now){.boot_usec = now, .wall_usec = WALL_AT_BOOT + (int64_t)now, .synced = true};
}

/* --- what must be true of what was written --- */

static int position_of(const Walk *w, const WatchedParcel *p) {
        for (int i = 0; i < w->cabinet->n_slots; i++)
                if (p->position && streq(w->cabinet->slots[i].label, p->slot))
                        return w->cabinet->slots[i].first_position + (int)p->position - 1;
        return -1;
}

/* What presence says, when it says what is true. */
static Tri told_truth(const Walk *w, int position) {
        Tri says = position < 0 ? TRI_UNKNOWN : position_occupied(&w->locker->hardware, position);

        return says == (w->world->occupied[position] ? TRI_YES : TRI_NO) ? says : TRI_UNKNOWN;
}

static void check_outcome(Walk *w, uint64_t id, ParcelState from, ParcelState to, int position) {
        const Said *said = &w->said[id];
        Tri inside = told_truth(w, position);
        bool sensed = position_occupied(&w->locker->hardware, position) != TRI_UNKNOWN;
        const char *name = parcel_state_to_string(to);

        if ((from == PARCEL_DEPOSITING && to == PARCEL_STORED) ||
            (from == PARCEL_COLLECTING && to == PARCEL_REJECTED))
                if (inside == TRI_NO)
                        fault(w, "parcel %llu becomes %s, and nothing lies there", (unsigned long long)id,
                              name);
        if (to == PARCEL_COLLECTED || to == PARCEL_RETURNED || to == PARCEL_CANCELLED)
                if (inside == TRI_YES)
                        fault(w, "parcel %llu becomes %s, and still lies there", (unsigned long long)id,
                              name);
        if (from == PARCEL_COLLECTING) {
                if (to == PARCEL_COLLECTED && !sensed && (said->choice != CHOICE_ACCEPT || said->blind))
                        fault(w, "parcel %llu becomes collected without a sensor, %s", (unsigned long long)id,
                              said->blind ? "and nobody saw it" : "and nobody accepted it");
                if (to == PARCEL_REJECTED && said->choice != CHOICE_REJECT)
                        fault(w, "parcel %llu becomes rejected, and nobody said so", (unsigned long long)id);
                if (said->choice == CHOICE_REJECT && to != PARCEL_REJECTED && to != PARCEL_UNVERIFIED)
                        fault(w, "parcel %llu was rejected and becomes %s", (unsigned long long)id, name);
                if (said->choice == CHOICE_ACCEPT && to != PARCEL_COLLECTED && to != PARCEL_UNVERIFIED)
                        fault(w, "parcel %llu was accepted and becomes %s", (unsigned long long)id, name);
        }
        if (from == PARCEL_DEPOSITING && said->choice == CHOICE_CANCEL && to != PARCEL_CANCELLED &&
            to != PARCEL_UNVERIFIED)
                fault(w, "parcel %llu was cancelled and becomes %s", (unsigned long long)id, name);
        if (from == PARCEL_DEPOSITING && to == PARCEL_STORED && !sensed && said->blind)
                fault(w, "parcel %llu becomes stored without a sensor, and nobody saw it",
                      (unsigned long long)id);
}

static void parcel_changed(uint64_t id, const WatchedParcel *before, const WatchedParcel *now) {
        Walk *w = current;
        int position = position_of(w, now);

        w->last_parcel = MAX(w->last_parcel, id);
        if (!before->known) {
                if (!parcel_may_begin(now->state))
                        fault(w, "parcel %llu begins as %s", (unsigned long long)id,
                              parcel_state_to_string(now->state));
                w->said[id] = (Said){0};
                return;
        }
        if (parcel_is_final(before->state))
                fault(w, "parcel %llu was %s already", (unsigned long long)id,
                      parcel_state_to_string(before->state));
        if (before->state == now->state)
                return;
        say(w, "    parcel %llu: %s -> %s", (unsigned long long)id, parcel_state_to_string(before->state),
            parcel_state_to_string(now->state));
        if (!parcel_may_become(before->state, now->state))
                fault(w, "parcel %llu: no such edge", (unsigned long long)id);
        w->outcomes[now->state]++;
        if (!w->operator_rules && position >= 0)
                check_outcome(w, id, before->state, now->state, position);
        if (now->state == PARCEL_COLLECTING || now->state == PARCEL_DEPOSITING)
                w->said[id] = (Said){0};
}

static void commanded(void *userdata, int lock, LockAction action, bool urgent) {
        Walk *w = userdata;
        const Lock *k = &w->cabinet->locks[lock];
        unsigned number = k->position < 0 ? 0 : w->cabinet->positions[k->position].number;

        say(w, "    %s %s/%u%s", action == LOCK_ACTION_UNLOCK ? "unlock" : "secure",
            w->cabinet->slots[k->slot].label, number, urgent ? " (safety)" : "");
        if (!urgent &&
            !watched_has_intent(w->cabinet->slots[k->slot].label, number, action == LOCK_ACTION_UNLOCK))
                fault(w, "a lock is moved without an intent in the ledger");
}

/* --- the daemon --- */

/* All wires are where they belong. A door that somebody pulls open just then may look as if they were not;
 * one that was open before the pulse must not, whenever that is noticed. */
static void check_wiring(Walk *w) {
        for (int i = 0; i < w->cabinet->n_locks; i++) {
                int other = w->locker->hardware.miswired[i];
                if (other >= 0 && !w->blamed[i] &&
                    w->world->locks[other].opened_at + BLAME_USEC < w->world->locks[i].pulsed_at)
                        fault(w, "lock %d is said to have opened lock %d, which was open %.1f s before", i,
                              other,
                              (double)(w->world->locks[i].pulsed_at - w->world->locks[other].opened_at) /
                                      1e6);
                w->blamed[i] = other >= 0;
        }
}

static void check_structure(Walk *w) {
        const Locker *l = w->locker;

        for (int i = 0; i < w->cabinet->n_slots; i++) {
                bool found = !l->holder[i];
                for (const Errand *e = l->errands; e && !found; e = e->next)
                        found = e == l->holder[i] && e->slot == i && e->m.state != ERRAND_DONE;
                if (!found)
                        fault(w, "slot %s is held by an errand that is over", w->cabinet->slots[i].label);
        }
        check_wiring(w);
        for (const Errand *e = l->errands; e; e = e->next) {
                if (!e->session && e->m.attended)
                        fault(w, "nobody is there, and an errand asks");
                if (e->m.state == ERRAND_OPENING && !e->opening)
                        fault(w, "an errand is opening, and nothing is being opened");
                if ((e->m.state == ERRAND_WAITING || e->m.state == ERRAND_GRACE ||
                     e->m.state == ERRAND_WRITING) &&
                    e->m.deadline == USEC_INFINITY)
                        fault(w, "an errand is %s without a deadline", errand_state_to_string(e->m.state));
                if (e->reply && !errand_is_busy(&e->m))
                        fault(w, "an errand is %s, and its request has not been answered",
                              errand_state_to_string(e->m.state));
        }
        for (const Session *s = l->sessions; s; s = s->next)
                if (s->reply && !s->job && !(s->errand && errand_is_busy(&s->errand->m)))
                        fault(w,
                              "nothing is under way in session %llu, and its request has not been answered",
                              (unsigned long long)s->id);
        if (l->records.in_transaction)
                fault(w, "a transaction stays open");
}

static void turns(Walk *w) {
        for (unsigned n = 0;; n++) {
                if (locker_next_deadline(w->locker) <= w->world->now)
                        locker_tick(w->locker);
                else if (fake_locks_next(w->locks) <= w->world->now)
                        fake_locks_run(w->locks);
                else
                        break;
                locker_light(w->locker);
                (void)locker_attend(w->locker);
                if (n > TURNS_MAX)
                        fault(w, "the daemon is busy for ever: its next deadline has passed, and its tick "
                                 "changes nothing");
        }
}

/* Time passes, and the daemon sleeps until something is due. */
static void pass(Walk *w, uint64_t usec) {
        uint64_t until = w->world->now + usec;

        for (;;) {
                turns(w);
                uint64_t next = MIN(locker_next_deadline(w->locker), fake_locks_next(w->locks));
                if (next >= until)
                        break;
                w->world->now = MAX(w->world->now, next);
        }
        w->world->now = until;
        turns(w);
}

static void start_daemon(Walk *w) {
        LockerOptions options = {.cabinet = w->cabinet,
                                 .settings = w->settings,
                                 .ledger = w->ledger,
                                 .identity = w->identity,
                                 .now = walk_now};

        int r = locker_new(&w->locker, &options);
        if (r < 0) { /* it would not start: a full disk; systemd tries again */
                bool full = watched.full;
                unsigned one_in = watched.fail_one_in;
                watched.full = false;
                watched.fail_one_in = 0;
                r = locker_new(&w->locker, &options);
                watched.full = full;
                watched.fail_one_in = one_in;
        }
        if (r < 0)
                fault(w, "the daemon does not start: %s", strerror(-r));
        w->locks = fake_locks_new(w->world, locker_locks_handlers(), locker_locks_userdata(w->locker));
        locker_attach_locks(w->locker, w->locks);
}

static void check_answered(Walk *w) {
        for (int i = 0; i < REQUESTS_MAX; i++) {
                Request *q = &w->requests[i];
                if (q->verb && q->answers != 1)
                        fault(w, "%s of step %lu has %u answers", q->verb, q->step, q->answers);
                q->verb = NULL;
        }
}

static void stop_daemon(Walk *w) {
        /* Before the locks: in locker_free() nobody moves any more. */
        locker_attach_locks(w->locker, NULL);
        w->locker = locker_free(w->locker);
        fake_locks_free(w->locks);
        w->locks = NULL;
        watched_restart();
        check_answered(w);
        for (int i = 0; i < PEOPLE; i++)
                w->people[i].session = 0;
        /* Nobody saw what is under way. */
        for (uint64_t id = 1; id <= w->last_parcel; id++) {
                w->said[id].blind = true;
                if (w->said[id].owed)
                        w->said[id].choice = watched.parcels[id].choice;
        }
}

static void restart(Walk *w) {
        say(w, "killed, and started again");
        w->restarts++;
        stop_daemon(w);
        w->world->now += dice(w, 10) ? dice(w, 4000) * USEC_PER_MSEC : dice(w, 600) * USEC_PER_SEC;
        start_daemon(w);
}

/* --- people --- */

static void leave(Walk *w, int who, Session *s);

static Session *session_of(const Walk *w, const Person *p) {
        return p->session ? locker_session(w->locker, p->session) : NULL;
}

static void answered(void *userdata, const LockerAnswer *a) {
        Request *q = userdata;
        Walk *w = q->walk;

        if (!q->verb || q->answers++)
                fault(w, "%s of step %lu is answered twice", q->verb ? q->verb : "a request", q->step);
        q->result = a->result;
        say(w, "    %s of person %d: %s", q->verb, q->person,
            a->result > 0   ? refusal_name((Refusal)a->result)
            : a->result < 0 ? strerror(-a->result)
                            : "done");
        w->answers++;
        w->refusals += a->result != 0;
        if (!a->result && a->receipt.code && a->place.parcel < WATCHED_PARCELS_MAX)
                snprintf(w->codes[a->place.parcel], sizeof(w->codes[0]), "%s", a->receipt.code);
        if (q->person < 0)
                return;
        Person *p = &w->people[q->person];
        if (!a->result && a->place.parcel)
                p->parcel = a->place.parcel;
        Session *s = q->leave ? session_of(w, p) : NULL;
        if (s) {
                say(w, "    person %d leaves at once", q->person);
                locker_end_session(w->locker, s, "ended");
                p->session = 0;
        }
}

static Request *request(Walk *w, const char *verb, int person) {
        for (int i = 0; i < REQUESTS_MAX; i++) {
                Request *q = &w->requests[i];
                if (q->verb && !q->answers)
                        continue;
                *q = (Request){.walk = w,
                               .verb = verb,
                               .person = person,
                               .step = w->step,
                               .leave = person >= 0 && chance(w, 3)};
                say(w, "%s%s", verb, person < 0 ? " (operator)" : "");
                return q;
        }
        fault(w, "too many requests wait for their answer");
        return NULL;
}

static uint64_t some_parcel(Walk *w, unsigned states) {
        uint64_t found = 0;
        unsigned n = 0;

        for (uint64_t id = w->last_parcel, left = 60; id && left; id--, left--)
                if (watched.parcels[id].known && states & (1U << watched.parcels[id].state) &&
                    dice(w, ++n) == 0)
                        found = id;
        return found;
}

static bool some_place_is_free(Walk *w) {
        unsigned by_size[8] = {0};

        return locker_free_positions(w->locker, by_size) >= 0 && by_size[0] + by_size[1] > 0;
}

static void come(Walk *w, int who) {
        Person *p = &w->people[who];
        Session *s = NULL;
        int r;

        p->courier = some_place_is_free(w) ? chance(w, 60) : chance(w, 10);
        p->has_item = p->courier;
        p->parcel = 0;
        r = locker_start_session(w->locker, p->courier ? SESSION_COURIER : SESSION_RECIPIENT, "kiosk", &s);
        if (r) {
                say(w, "person %d: no session (%d)", who, r);
                return;
        }
        p->session = session_id(s);
        if (chance(w, 20)) /* as the backend's */
                session_end_with_errand(s);
        if (p->courier) {
                r = locker_vouch_courier(w->locker, s, "4711", "courier:4711");
        } else {
                uint64_t id = some_parcel(w, 1U << PARCEL_STORED | 1U << PARCEL_UNVERIFIED);
                if (!id && chance(w, 10))
                        id = some_parcel(w, ~0U);
                if (!id) { /* nobody expects anything */
                        leave(w, who, s);
                        return;
                }
                if (w->codes[id][0] && chance(w, 30)) {
                        const Evidence e = {.kind = CREDENTIAL_NONE, .code.code = w->codes[id]};
                        locker_authenticate(w->locker, s, &e, answered, request(w, "authenticate", who));
                        r = 0;
                } else
                        r = locker_vouch_parcel(w->locker, s, id, "recipient");
                p->parcel = id;
        }
        say(w, "person %d comes: %s, parcel %llu (%d)", who, p->courier ? "courier" : "recipient",
            (unsigned long long)p->parcel, r);
}

static void deposit(Walk *w, int who, Session *s) {
        Person *p = &w->people[who];
        uint64_t announced =
                chance(w, 10) ? some_parcel(w, 1U << PARCEL_ANNOUNCED | 1U << PARCEL_RESERVED) : 0;
        DepositRequest q = {.size = chance(w, 70) ? "S" : "L",
                            .phone = "+49 171 5550000",
                            .recipient = "Wilhelmine Zauberberg",
                            .parcel = announced,
                            .allow_larger = chance(w, 60)};

        if (chance(w, 2))
                q.size = "XXL";
        p->has_item = true;
        locker_deposit(w->locker, s, &q, answered, request(w, "deposit", who));
}

static void say_choice(Walk *w, int who, Session *s, int which) {
        static const char *const names[] = {"accept", "reject", "cancel"};
        static const ParcelChoice choices[] = {CHOICE_ACCEPT, CHOICE_REJECT, CHOICE_CANCEL};
        Errand *e = s->errand;
        uint64_t id = e ? e->parcel : 0;
        Said before = w->said[id];
        unsigned long failures = watched.failures;
        bool chooses = which < 2 || (e && e->m.kind == ERRAND_DEPOSIT);

        say(w, "person %d: %s", who, names[which]);
        /* It counts from inside the call on. */
        if (id && chooses)
                w->said[id].choice = choices[which];
        int r = which == 0   ? locker_accept(w->locker, s)
                : which == 1 ? locker_reject(w->locker, s)
                             : locker_cancel(w->locker, s);
        if (r && id)
                w->said[id] = before;
        else if (id)
                w->said[id].owed = watched.failures != failures;
        say(w, "    %d", r);
}

static void leave(Walk *w, int who, Session *s) {
        say(w, "person %d ends the session", who);
        locker_end_session(w->locker, s, "ended");
        w->people[who].session = 0;
}

static void say_something(Walk *w, int who, Session *s) {
        switch (dice(w, 12)) {
        case 0:
                deposit(w, who, s);
                break;
        case 1:
                locker_too_small(w->locker, s, answered, request(w, "too small", who));
                break;
        case 2:
                locker_not_empty(w->locker, s, answered, request(w, "not empty", who));
                break;
        case 3:
                locker_does_not_open(w->locker, s, answered, request(w, "does not open", who));
                break;
        case 4:
                locker_reopen(w->locker, s, answered, request(w, "reopen", who));
                break;
        case 5:
                locker_collect(w->locker, s, 0, answered, request(w, "collect", who));
                break;
        case 6:
        case 7:
        case 8:
                say_choice(w, who, s, (int)dice(w, 3));
                break;
        case 9:
                locker_take_back(w->locker, s, answered, request(w, "take back", who));
                break;
        case 10:
                if (chance(w, 30))
                        leave(w, who, s);
                break;
        default:
                if (chance(w, 20))
                        (void)locker_vouch_courier(w->locker, s, "4711", "courier:4711");
                break;
        }
}

/* What somebody does who has read what the screen says. */
static void do_what_is_asked(Walk *w, int who, Session *s) {
        Person *p = &w->people[who];
        const Errand *e = s->errand;
        FakeWorld *f = w->world;

        if (!e || !errand_is_at_work(&e->m)) {
                if (chance(w, 40))
                        leave(w, who, s);
                else if (p->courier && some_parcel(w, 1U << PARCEL_REJECTED | 1U << PARCEL_RECALLED) &&
                         chance(w, 80))
                        locker_take_back(w->locker, s, answered, request(w, "take back", who));
                else if (p->courier && !some_place_is_free(w) && chance(w, 90))
                        leave(w, who, s);
                else if (p->courier)
                        deposit(w, who, s);
                else
                        locker_collect(w->locker, s, 0, answered, request(w, "collect", who));
                return;
        }
        if (e->m.state != ERRAND_OPEN && e->m.state != ERRAND_WAITING)
                return;
        int door = w->cabinet->slots[e->slot].lock,
            lid = e->position < 0 ? -1 : w->cabinet->positions[e->position].lock;
        if (e->m.state == ERRAND_WAITING) {
                if (e->m.wait == ERRAND_WAIT_CHOICE)
                        say_choice(w, who, s, (int)dice(w, 2));
                else
                        locker_reopen(w->locker, s, answered, request(w, "reopen", who));
                return;
        }
        bool wants_inside = e->m.kind == ERRAND_DEPOSIT ? e->m.said != ERRAND_SAID_CANCEL
                                                        : e->m.said == ERRAND_SAID_REJECT;
        if (e->position >= 0 && f->occupied[e->position] != wants_inside) {
                if (f->locks[door].shut)
                        fake_pull(f, door);
                else if (lid >= 0 && f->locks[lid].shut)
                        fake_pull(f, lid);
                else if (fake_reachable(f, e->position)) {
                        f->occupied[e->position] = wants_inside;
                        fake_changed(f);
                }
                say(w, "person %d %s slot %s/%d", who, wants_inside ? "puts into" : "takes out of",
                    w->cabinet->slots[e->slot].label, e->position);
        } else if (lid >= 0 && !f->locks[lid].shut && chance(w, 90)) {
                fake_push(f, lid);
                say(w, "person %d shuts the lid of slot %s", who, w->cabinet->slots[e->slot].label);
        } else if (e->m.kind == ERRAND_COLLECT && e->m.said == ERRAND_SAID_NOTHING && chance(w, 60)) {
                say_choice(w, who, s, chance(w, 70) ? 0 : 1);
        } else {
                fake_push(f, door);
                say(w, "person %d shuts the door of slot %s", who, w->cabinet->slots[e->slot].label);
        }
}

static void person_acts(Walk *w) {
        int who = (int)dice(w, PEOPLE);
        Session *s = session_of(w, &w->people[who]);

        if (!s)
                come(w, who);
        else if (chance(w, 80))
                do_what_is_asked(w, who, s);
        else
                say_something(w, who, s);
}

/* A neighbour, a child, the wind. */
static void stranger_acts(Walk *w) {
        FakeWorld *f = w->world;
        int lock = (int)dice(w, (uint64_t)w->cabinet->n_locks),
            position = (int)dice(w, (uint64_t)w->cabinet->n_positions);

        switch (dice(w, 4)) {
        case 0:
                if (fake_door_gives(f, lock)) {
                        fake_pull(f, lock);
                        say(w, "lock %d is pulled open", lock);
                }
                break;
        case 1:
        case 2:
                if (!f->locks[lock].shut) {
                        fake_push(f, lock);
                        say(w, "lock %d is pushed shut", lock);
                }
                break;
        default:
                if (fake_reachable(f, position)) {
                        f->occupied[position] = !f->occupied[position];
                        fake_changed(f);
                        say(w, "position %d is %s", position, f->occupied[position] ? "filled" : "emptied");
                }
                break;
        }
}

static void something_breaks(Walk *w) {
        FakeWorld *f = w->world;
        int lock = (int)dice(w, (uint64_t)w->cabinet->n_locks),
            board = (int)dice(w, (uint64_t)w->cabinet->n_boards);
        int position = (int)dice(w, (uint64_t)w->cabinet->n_positions),
            slot = (int)dice(w, (uint64_t)w->cabinet->n_slots);
        bool mend = chance(w, 80);

        switch (dice(w, 9)) {
        case 0:
                f->locks[lock].jammed = !mend;
                f->locks[lock].late = chance(w, 50);
                break;
        case 1:
                f->locks[lock].leaned = !mend;
                break;
        case 2:
                f->locks[lock].worn = !mend;
                break;
        case 3:
        case 4:
                f->silent[board] = !mend;
                break;
        case 5:
                f->deaf[board] = !mend;
                break;
        case 6:
                f->sensor_wrong[position] = chance(w, 10);
                break;
        case 7:
                f->pressed[slot] = chance(w, 20);
                break;
        default:
                f->alarm[0] = chance(w, 10);
                break;
        }
        fake_changed(f);
        say(w, "breaks: lock %d%s%s%s, board %d%s%s, pressed %d %d, fire %d", lock,
            f->locks[lock].jammed ? " jammed" : "", f->locks[lock].leaned ? " leaned" : "",
            f->locks[lock].worn ? " worn" : "", board, f->silent[board] ? " silent" : "",
            f->deaf[board] ? " deaf" : "", slot, f->pressed[slot], f->alarm[0]);
}

/* --- operators --- */

static void reconcile(Walk *w, int position) {
        const Position *k = &w->cabinet->positions[position];

        w->operator_rules = true;
        int r = locker_reconcile(w->locker, k->slot, k->number, w->world->occupied[position], "operator:anna",
                                 "looked");
        w->operator_rules = false;
        say(w, "reconcile %d: %s (%d)", position, w->world->occupied[position] ? "parcel" : "empty", r);
        _cleanup_parcel_ ParcelRow p = {0};
        if (w->world->occupied[position] && r == LOCKER_E_WRONG_STATE &&
            ledger_parcel_at(w->ledger, w->cabinet->slots[k->slot].label, k->number, &p) < 0)
                w->world->occupied[position] = false; /* nobody's: taken away */
        if (!w->world->occupied[position])
                (void)locker_set_service(w->locker, k->slot, k->number, true, "operator:anna", "empty");
}

static void operator_acts(Walk *w) {
        int slot = (int)dice(w, (uint64_t)w->cabinet->n_slots);
        unsigned number = (unsigned)dice(w, (uint64_t)w->cabinet->slots[slot].n_positions + 1);
        uint64_t id = some_parcel(w, ~0U);
        char code[CODE_LENGTH + 1] = "";
        int r = 0;

        switch (dice(w, 9)) {
        case 0:
                locker_open_slot(w->locker, slot, number, "operator:anna", "asked to", answered,
                                 request(w, "open slot", -1));
                break;
        case 1:
                r = locker_set_service(w->locker, slot, number, chance(w, 90), "operator:anna", "as it is");
                say(w, "service (%d)", r);
                break;
        case 2:
        case 3:
        case 4:
                reconcile(w, (int)dice(w, (uint64_t)w->cabinet->n_positions));
                break;
        case 5:
                w->operator_rules = true;
                r = id ? locker_recall(w->locker, id, "operator:anna", "wanted back") : 0;
                w->operator_rules = false;
                say(w, "recall %llu (%d)", (unsigned long long)id, r);
                break;
        case 6:
                w->operator_rules = true;
                r = id ? locker_release(w->locker, id, "operator:anna", "does not come") : 0;
                w->operator_rules = false;
                say(w, "release %llu (%d)", (unsigned long long)id, r);
                break;
        case 7: {
                const DepositRequest q = {.size = "S", .phone = "+49 171 5550000"};
                r = locker_announce(w->locker, &q, chance(w, 50), "backend", &id);
                say(w, "announce (%d)", r);
                break;
        }
        default:
                r = id ? locker_new_code(w->locker, id, "operator:anna", "lost", code) : 0;
                if (id && !r)
                        snprintf(w->codes[id], sizeof(w->codes[0]), "%s", code);
                say(w, "new code (%d)", r);
                break;
        }
}

/* --- the disk --- */

static void disk(Walk *w) {
        switch (dice(w, 4)) {
        case 0:
                watched.full = true;
                w->full_until = w->step + 1 + dice(w, FULL_DISK_STEP / 8);
                break;
        case 1:
                watched.fail_one_in = 3 + (unsigned)dice(w, 60);
                break;
        default:
                watched.fail_one_in = 0;
                break;
        }
        say(w, "disk: %s, 1 in %u", watched.full ? "full" : "has room", watched.fail_one_in);
}

/* --- calm --- */

static void check_row(Walk *w, const ParcelRow *p) {
        const WatchedParcel *k = &watched.parcels[p->id];

        if (k->state != p->state || k->choice != p->choice || k->taking_back != p->taking_back)
                fault(w, "the ledger has parcel %llu as %s", (unsigned long long)p->id,
                      parcel_state_to_string(p->state));
        if (p->state == PARCEL_DEPOSITING || p->state == PARCEL_COLLECTING || p->taking_back)
                fault(w, "nobody is there, and parcel %llu is %s%s", (unsigned long long)p->id,
                      parcel_state_to_string(p->state), p->taking_back ? ", being taken back" : "");
}

static int check_parcel(void *userdata, const ParcelRow *p) {
        check_row(userdata, p);
        return 0;
}

static void everybody_goes(Walk *w) {
        for (int i = 0; i < PEOPLE; i++) {
                Session *s = session_of(w, &w->people[i]);
                if (s)
                        locker_end_session(w->locker, s, "ended");
                w->people[i].session = 0;
        }
}

/* They leave everything as it is, doors open, boards silent; the kiosk program says nothing for them. */
static void everybody_walks_away(Walk *w) {
        const Settings *k = w->settings;

        say(w, "everybody walks away");
        watched.full = false;
        watched.fail_one_in = 0;
        /* Each limit once: a movement and a door, an answer, the grace time, a session. */
        pass(w, 60 * USEC_PER_SEC + k->door_open_usec + k->answer_usec + k->reopen_grace_usec +
                        2 * k->session_idle_usec);
        for (const Session *s = w->locker->sessions; s; s = s->next)
                if (!s->gone)
                        fault(w, "nobody has said anything for minutes, and session %llu goes on",
                              (unsigned long long)s->id);
        everybody_goes(w);
}

static void all_is_mended(Walk *w, int jammed, int worn) {
        FakeWorld *f = w->world;

        watched.full = false;
        watched.fail_one_in = 0;
        for (int i = 0; i < w->cabinet->n_boards; i++)
                f->silent[i] = f->deaf[i] = false;
        for (int i = 0; i < w->cabinet->n_slots; i++)
                f->pressed[i] = false;
        f->alarm[0] = false;
        for (int i = 0; i < w->cabinet->n_locks; i++) {
                f->locks[i].jammed = i == jammed;
                f->locks[i].late = f->locks[i].leaned = false;
                f->locks[i].worn = i == worn;
        }
        for (int i = 0; i < w->cabinet->n_positions; i++)
                f->sensor_wrong[i] = false;
        fake_changed(f);
}

/* Lids first; a lid behind a shut door is shut as far as it was. */
static void all_is_shut(Walk *w) {
        for (int lids = 1; lids >= 0; lids--)
                for (int i = 0; i < w->cabinet->n_locks; i++)
                        if ((w->cabinet->locks[i].position >= 0) == lids && fake_door_gives(w->world, i))
                                fake_push(w->world, i);
}

static void check_calm(Walk *w) {
        const Locker *l = w->locker;

        if (!locker_is_settled(l))
                fault(w, "all is calm, and what a former run left is not settled");
        for (int i = 0; i < w->cabinet->n_slots; i++)
                if (l->holder[i])
                        fault(w, "nobody is there, and slot %s is held", w->cabinet->slots[i].label);
        if (l->errands)
                fault(w, "nobody is there, and an errand goes on");
        for (int i = 0; i < w->cabinet->n_locks; i++)
                if (l->hardware.moving[i])
                        fault(w, "nobody is there, and lock %d is being moved", i);
        for (int i = 0; i < REQUESTS_MAX; i++)
                if (w->requests[i].verb && w->requests[i].answers != 1)
                        fault(w, "nobody is there, and %s of step %lu has %u answers", w->requests[i].verb,
                              w->requests[i].step, w->requests[i].answers);
        if (ledger_parcel_each(w->ledger, check_parcel, w) < 0)
                fault(w, "the ledger cannot be read");
}

/* Nothing lies unlocked behind a shut door, unless that has been said. */
static void check_lids(Walk *w) {
        for (int i = 0; i < w->cabinet->n_locks; i++) {
                const Lock *k = &w->cabinet->locks[i];
                const FakeLock *f = &w->world->locks[i];
                if (k->position < 0 || f->bolted || !w->world->locks[w->cabinet->slots[k->slot].lock].shut)
                        continue;
                if (k->kind == LOCK_MOTOR && f->shut && !f->worn && !w->locker->hardware.lid_gave_up[i])
                        fault(w, "the lid of position %d is not locked behind a shut door", k->position);
                if (door_is_shut(&w->locker->hardware.doors[i]))
                        fault(w, "the lid of position %d is believed to be locked", k->position);
                _cleanup_parcel_ ParcelRow p = {0};
                const Position *own = &w->cabinet->positions[k->position];
                bool inside =
                        ledger_parcel_at(w->ledger, w->cabinet->slots[k->slot].label, own->number, &p) >= 0 &&
                        parcel_may_be_inside(p.state);
                if (inside && !lid_holds_back(w->locker, k->slot, -1, NULL))
                        fault(w, "the lid of position %d is not locked, and holds nobody back", k->position);
        }
}

static int wait_for(Walk *w, const Request *q) {
        for (int i = 0; i < 600 && !q->answers; i++)
                pass(w, 100 * USEC_PER_MSEC);
        if (!q->answers)
                fault(w, "%s is not answered within a minute", q->verb);
        return q->result;
}

/* Did the lock on the way, if it is the jammed one, say so? */
static void check_answer(Walk *w, const char *verb, int slot, int position, int jammed, int result) {
        const Lock *k = jammed < 0 ? NULL : &w->cabinet->locks[jammed];
        bool in_the_way = k && k->slot == slot && (k->position < 0 || k->position == position);

        if (in_the_way && result != LOCKER_E_DID_NOT_OPEN && result != LOCKER_E_POSITION_DID_NOT_OPEN)
                fault(w, "%s at the jammed lock of slot %s: %s", verb, w->cabinet->slots[slot].label,
                      result > 0 ? refusal_name((Refusal)result)
                      : result   ? strerror(-result)
                                 : "done");
        if (!in_the_way && result)
                fault(w, "%s at slot %s, where nothing is broken: %s", verb, w->cabinet->slots[slot].label,
                      result > 0 ? refusal_name((Refusal)result) : strerror(-result));
}

static void settle_all(Walk *w) {
        everybody_goes(w);
        for (int i = 0; i < 3; i++) {
                pass(w, 20 * USEC_PER_SEC);
                all_is_shut(w);
        }
        pass(w, 180 * USEC_PER_SEC);
}

/* Its recipient can have it. */
static void check_collect(Walk *w, uint64_t id, int jammed) {
        const WatchedParcel *p = &watched.parcels[id];
        int position = position_of(w, p), slot = w->cabinet->positions[position].slot;
        Session *s = NULL;

        if (lid_holds_back(w->locker, slot, position, NULL))
                return;
        if (!w->world->occupied[position]) /* a neighbour has it; that is not the question here */
                return;
        if (locker_start_session(w->locker, SESSION_RECIPIENT, "kiosk", &s) ||
            locker_vouch_parcel(w->locker, s, id, "recipient"))
                fault(w, "the recipient of parcel %llu is not let in", (unsigned long long)id);
        Request *q = request(w, "collect, when all is calm", -1);
        q->leave = false;
        locker_collect(w->locker, s, id, answered, q);
        int r = wait_for(w, q);
        check_answer(w, "collect", slot, position, jammed, r);
        if (!r) {
                int lid = w->cabinet->positions[position].lock;
                fake_pull(w->world, w->cabinet->slots[slot].lock);
                if (lid >= 0)
                        fake_pull(w->world, lid);
                if (fake_reachable(w->world, position))
                        w->world->occupied[position] = false;
                fake_changed(w->world);
                w->said[id].choice = CHOICE_ACCEPT;
                r = locker_accept(w->locker, s);
                if (r)
                        fault(w, "accept, when all is calm: %d", r);
        }
        locker_end_session(w->locker, s, "ended");
        settle_all(w);
        check_calm(w);
        if (!q->result && watched.parcels[id].state != PARCEL_COLLECTED &&
            !w->locker->hardware.lid_gave_up[0])
                say(w, "parcel %llu is %s after all", (unsigned long long)id,
                    parcel_state_to_string(p->state));
}

/* A courier can have what goes back. */
static void check_take_back(Walk *w, int jammed) {
        Session *s = NULL;

        if (locker_start_session(w->locker, SESSION_COURIER, "kiosk", &s) ||
            locker_vouch_courier(w->locker, s, "4711", "courier:4711"))
                fault(w, "the courier is not let in");
        Request *q = request(w, "take back, when all is calm", -1);
        q->leave = false;
        locker_take_back(w->locker, s, answered, q);
        int r = wait_for(w, q);
        if (s->n_queue == 1) { /* of several, the first one that opens answers */
                int slot = s->queue[0].slot,
                    position = w->cabinet->slots[slot].first_position + (int)s->queue[0].position - 1;
                if (!lid_holds_back(w->locker, slot, position, NULL))
                        check_answer(w, "take back", slot, position, jammed, r);
        }
        locker_end_session(w->locker, s, "ended");
        settle_all(w);
        check_calm(w);
}

/* A door that is pushed home, and whose latch does not catch: nobody is going to shut it, and it is not open
 * either. An operator can have it. */
static void check_worn_door(Walk *w, uint64_t id) {
        int position = position_of(w, &watched.parcels[id]), slot = w->cabinet->positions[position].slot,
            door = w->cabinet->slots[slot].lock;
        Session *s = NULL;

        if (w->cabinet->locks[door].latch.board < 0 || w->cabinet->slots[slot].n_positions > 1 ||
            !w->world->occupied[position])
                return;
        if (locker_start_session(w->locker, SESSION_RECIPIENT, "kiosk", &s) ||
            locker_vouch_parcel(w->locker, s, id, "recipient"))
                fault(w, "the recipient of parcel %llu is not let in", (unsigned long long)id);
        Request *q = request(w, "collect, from a door that does not latch", -1);
        locker_collect(w->locker, s, id, answered, q);
        if (wait_for(w, q))
                fault(w, "a door where nothing is broken yet does not open");
        w->world->locks[door].worn = true;
        fake_pull(w->world, door);
        w->world->occupied[position] = false;
        fake_changed(w->world);
        locker_end_session(w->locker, s, "ended");
        if (chance(w, 50))
                pass(w, w->settings->door_open_usec + 10 * USEC_PER_SEC);
        fake_push(w->world, door);
        pass(w, w->settings->door_open_usec + 10 * USEC_PER_SEC);
        q = request(w, "open slot, whose door does not latch", -1);
        locker_open_slot(w->locker, slot, 0, "operator:anna", "looks", answered, q);
        int r = wait_for(w, q);
        if (r)
                fault(w, "an operator cannot open a door that does not latch: %s",
                      r > 0 ? refusal_name((Refusal)r) : strerror(-r));
        w->world->locks[door].worn = false;
        settle_all(w);
        check_calm(w);
}

static void check_operator(Walk *w, int jammed) {
        int lock = jammed < 0 ? (int)dice(w, (uint64_t)w->cabinet->n_locks) : jammed;
        const Lock *k = &w->cabinet->locks[lock];
        Request *q = request(w, "open slot, when all is calm", -1);

        locker_open_slot(w->locker, k->slot, k->position < 0 ? 0 : w->cabinet->positions[k->position].number,
                         "operator:anna", "looks", answered, q);
        check_answer(w, "open slot", k->slot, k->position, jammed, wait_for(w, q));
        settle_all(w);
        check_calm(w);
}

/* Something was forced while its board was silent, and that is noticed just when another lock is told to open
 * and does not: nobody's wires are swapped. */
static void check_found_forced(Walk *w) {
        FakeWorld *f = w->world;
        int door = w->cabinet->slots[0].lock, lid = w->cabinet->n_locks - 1,
            board = w->cabinet->locks[lid].board;

        if (w->cabinet->locks[door].board == board || !f->locks[lid].bolted || !f->locks[door].bolted)
                return;
        say(w, "lock %d is forced while its board is silent", lid);
        f->silent[board] = true;
        fake_changed(f);
        pass(w, 20 * USEC_PER_SEC);
        f->locks[lid].shut = f->locks[lid].bolted = false;
        f->locks[lid].opened_at = f->now;
        f->locks[door].jammed = true;
        f->locks[door].late = false;
        pass(w, 2 * BLAME_USEC);
        Request *q = request(w, "open slot, while another is found forced", -1);
        locker_open_slot(w->locker, 0, 0, "operator:anna", "looks", answered, q);
        pass(w, dice(w, 1000) * USEC_PER_MSEC);
        f->silent[board] = false;
        fake_changed(f);
        int r = wait_for(w, q);
        check_wiring(w);
        if (r != LOCKER_E_DID_NOT_OPEN)
                fault(w, "a jammed door: %s", r > 0 ? refusal_name((Refusal)r) : r ? strerror(-r) : "done");
        f->locks[door].jammed = false;
        f->locks[lid].shut = f->locks[lid].bolted = true;
        fake_changed(f);
        settle_all(w);
        check_calm(w);
}

static void calm(Walk *w) {
        int jammed = chance(w, 40) ? (int)dice(w, (uint64_t)w->cabinet->n_locks) : -1;
        int worn = chance(w, 20) ? (int)dice(w, (uint64_t)w->cabinet->n_locks) : -1;

        say(w, "calm");
        w->calms++;
        /* What is jammed lets nobody out: only the lids of a motor and doors that are shut now. */
        if (jammed >= 0 && fake_door_gives(w->world, jammed))
                jammed = -1;
        if (worn >= 0 && w->cabinet->locks[worn].position < 0)
                worn = -1;
        if (chance(w, 30))
                everybody_walks_away(w);
        all_is_mended(w, jammed, worn);
        w->world->prompt = true;
        if (chance(w, 40)) { /* all comes to its end while the disk is full, and it has room again */
                everybody_goes(w);
                pass(w, 20 * USEC_PER_SEC);
                watched.full = true;
                all_is_shut(w);
                pass(w, dice(w, 20) * USEC_PER_SEC);
                watched.full = false;
        }
        settle_all(w);
        check_calm(w);
        check_lids(w);
        if (worn >= 0)
                return;
        for (uint64_t id = w->last_parcel, left = 60; id && left; id--, left--)
                if (watched.parcels[id].known && watched.parcels[id].state == PARCEL_STORED && chance(w, 60))
                        check_collect(w, id, jammed);
        if (some_parcel(w, 1U << PARCEL_REJECTED | 1U << PARCEL_RECALLED))
                check_take_back(w, jammed);
        check_operator(w, jammed);
        check_lids(w);
        uint64_t left = jammed < 0 ? some_parcel(w, 1U << PARCEL_STORED) : 0;
        if (left)
                check_worn_door(w, left);
        if (jammed < 0 && chance(w, 30))
                check_found_forced(w);
        /* The house is put in order. */
        all_is_mended(w, -1, -1);
        settle_all(w);
        for (int i = 0; i < w->cabinet->n_positions; i++)
                if (chance(w, 80))
                        reconcile(w, i);
}

static void calm_down(Walk *w) {
        calm(w);
        w->world->prompt = false;
}

/* --- the walk --- */

static void step(Walk *w) {
        unsigned d = (unsigned)dice(w, 1000);

        if (watched.full && w->step >= w->full_until)
                watched.full = false;
        if (d < 480)
                person_acts(w);
        else if (d < 560)
                stranger_acts(w);
        else if (d < 610)
                something_breaks(w);
        else if (d < 670)
                operator_acts(w);
        else if (d < 680)
                disk(w);
        else if (d < 687)
                restart(w);
        else if (d < 687 + 1000 / CALM_EVERY)
                calm_down(w);
        else if (d < 990)
                pass(w, dice(w, 2000) * USEC_PER_MSEC);
        else {
                uint64_t far = dice(w, 20) ? dice(w, 90) : dice(w, 50) * 3600;
                say(w, "%llu s pass", (unsigned long long)far);
                if (chance(w, 50))
                        pass(w, far * USEC_PER_SEC);
                else /* the daemon had no time */
                        w->world->now += far * USEC_PER_SEC;
        }
        turns(w);
        check_structure(w);
}

static int parse_profile(void *userdata, const char *profile, char **ret_path, char **ret_data,
                         size_t *ret_size) {
        *ret_path = strdup("test.board");
        *ret_data = strdup(board_text);
        *ret_size = sizeof(board_text) - 1;
        return *ret_path && *ret_data ? 0 : -ENOMEM;
}

static void read_cabinet(Walk *w) {
        const ProfileSource source = {.load = parse_profile, .place = "memory"};
        ConfigReport report = {0};

        int r = cabinet_parse("cabinet.conf", cabinet_text, sizeof(cabinet_text) - 1, &source, &w->cabinet,
                              &report);
        for (size_t i = 0; i < report.n_lines; i++)
                print_error("%s\n", report.lines[i]);
        config_report_clear(&report);
        assert_int_equal(r, 0);
        w->settings = settings_new_default();
        assert_non_null(w->settings);
}

static void open_ledger(Walk *w) {
        const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        const uint8_t key[VAULT_KEY_SIZE] = {1, 2, 3};
        LedgerProblem problem;
        _cleanup_free_ char *detail = NULL;
        Vault *v = NULL;

        snprintf(w->directory, sizeof(w->directory), "%s/errand-walk-XXXXXX", tmp);
        assert_non_null(mkdtemp(w->directory));
        snprintf(w->path, sizeof(w->path), "%s/ledger.db", w->directory);
        assert_int_equal(vault_new(&v, key), 0);
        int r = ledger_open(&w->ledger, w->path, v, &problem, &detail);
        if (r < 0)
                fail_msg("%s: %s", strerror(-r), detail);
        PersonRow p = {.kind = PERSON_COURIER,
                       .number = "4711",
                       .name = (char *)"Bert",
                       .phone = (char *)"+49 170 1",
                       .enrolled = 1};
        assert_int_equal(ledger_person_insert(w->ledger, &p), 0);
        assert_int_equal(sd_event_new(&w->event), 0);
        assert_true(identity_new(&w->identity, w->event, "/nonexistent", 14,
                                 vault_key(ledger_vault(w->ledger), VAULT_PEPPER)) >= 0);
}

static void remove_directory(const char *path) {
        DIR *d = opendir(path);

        for (struct dirent *e; d && (e = readdir(d));)
                (void)unlinkat(dirfd(d), e->d_name, 0);
        if (d)
                closedir(d);
        (void)rmdir(path);
}

static void walk(unsigned long seed, unsigned long steps) {
        _cleanup_free_ Walk *w = calloc(1, sizeof(*w));

        assert_non_null(w);
        current = w;
        w->seed = seed;
        w->steps = steps;
        watched = (WatchedLedger){.changed = parcel_changed,
                                  .parcels = calloc(WATCHED_PARCELS_MAX, sizeof(WatchedParcel))};
        w->said = calloc(WATCHED_PARCELS_MAX, sizeof(*w->said));
        w->codes = calloc(WATCHED_PARCELS_MAX, sizeof(*w->codes));
        assert_true(watched.parcels && w->said && w->codes);
        read_cabinet(w);
        w->world = fake_world_new(w->cabinet);
        w->blamed = calloc((size_t)w->cabinet->n_locks, sizeof(*w->blamed));
        assert_non_null(w->blamed);
        w->world->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
        watched_random = w->world->random ^ 0x5bd1e995;
        w->world->commanded = commanded;
        w->world->userdata = w;
        open_ledger(w);
        start_daemon(w);
        for (w->step = 0; w->step < steps; w->step++)
                step(w);
        calm_down(w);
        stop_daemon(w);
        print_message("seed %lu: %lu steps, %lu answers (%lu no), %lu commits, %lu failed writes, %lu "
                      "restarts, %lu calms:",
                      seed, steps, w->answers, w->refusals, watched.commits, watched.failures, w->restarts,
                      w->calms);
        for (int i = 0; i < PARCEL_STATE_MAX; i++)
                print_message(" %s %lu", parcel_state_to_string((ParcelState)i), w->outcomes[i]);
        print_message("\n");
        identity_free(w->identity);
        sd_event_unref(w->event);
        ledger_free(w->ledger);
        remove_directory(w->directory);
        fake_world_free(w->world);
        settings_free(w->settings);
        cabinet_free(w->cabinet);
        free(w->said);
        free(w->blamed);
        free(w->codes);
        free(watched.parcels);
}

static unsigned long steps_wanted = STEPS_SHORT, only_seed;

static void test_errands_under_everything_that_can_happen(void **state) {
        if (only_seed) {
                walk(only_seed, steps_wanted);
                return;
        }
        for (unsigned long seed = 1; seed <= 6; seed++)
                walk(seed, steps_wanted / 6);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_errands_under_everything_that_can_happen)};

        if (argc > 1)
                steps_wanted = strtoul(argv[1], NULL, 10);
        if (argc > 2)
                only_seed = strtoul(argv[2], NULL, 10);
        verbose = getenv("VERBOSE") != NULL;
        log_set_max_priority(verbose ? LOG_INFO : LOG_EMERG);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
