/* SPDX-License-Identifier: Apache-2.0 */
#include "core/errand.h"

#include <assert.h>

#define RETRY_USEC (5 * USEC_PER_SEC) /* a ledger that could not take it */
#define SENSORS_LAG_USEC                                                                                   \
        USEC_PER_SEC /* nobody to ask: a sensor on another line may still say what was before the door was \
                        shut */

/* A row holds when each of its masks has the bit of what is the case; 0: whatever it is. */
#define IS(x)  (1U << (x))
#define YES    IS(1)
#define NO     IS(0)
#define TRI(t) (1U << ((t) + 1))
/* What a row sets; 0: as it is. */
#define SET(x) ((int)(x) + 1)

typedef struct Row {
        unsigned states, events;
        unsigned kinds, said, pulses, seeks, outcomes;
        unsigned doors, lids, occupied;
        unsigned attended, blind, final, keep, collected; /* YES, NO; collected: unanswered_is_collected */
        ErrandState next;
        unsigned effects;
        ErrandPrompt prompt;
        int set_kind, set_said, set_wait, set_pulse, set_seek, set_outcome, set_attended, set_blind,
                set_final, set_keep;
} Row;

#define OPENING(event_) .states = IS(ERRAND_OPENING), .events = (event_)
#define LOOKING \
        .states = IS(ERRAND_OPEN) | IS(ERRAND_SECURING) | IS(ERRAND_WAITING), .events = IS(ERRAND_FACTS)
#define CLOSED       .doors = IS(ERRAND_DOOR_SHUT) | IS(ERRAND_DOOR_STUCK)
#define DEPOSIT      .kinds = IS(ERRAND_DEPOSIT)
#define COLLECT      .kinds = IS(ERRAND_COLLECT)
#define TAKE_BACK    .kinds = IS(ERRAND_TAKE_BACK)
#define LOOK         .kinds = IS(ERRAND_LOOK)
#define OCCUPIED     .occupied = TRI(TRI_YES)
#define EMPTY        .occupied = TRI(TRI_NO)
#define NOT_OCCUPIED .occupied = TRI(TRI_NO) | TRI(TRI_UNKNOWN)
#define UNSEEN       .occupied = TRI(TRI_UNKNOWN)
#define SAID(x)      .said = IS(ERRAND_SAID_##x)
#define WAIT(what, say) \
        .next = ERRAND_WAITING, .set_wait = SET(ERRAND_WAIT_##what), .prompt = ERRAND_SAY_##say
#define BECOMES(outcome_)                                                                       \
        .next = ERRAND_WRITING, .set_outcome = SET(ERRAND_##outcome_), .effects = ERRAND_WRITE, \
        .set_keep = SET(true)
#define BECOMES_LOOSE(outcome_)                                        \
        .next = ERRAND_WRITING, .set_outcome = SET(ERRAND_##outcome_), \
        .effects = ERRAND_WRITE | ERRAND_QUARANTINE, .set_keep = SET(true)
#define FAILS(outcome_)                                                \
        .next = ERRAND_WRITING, .set_outcome = SET(ERRAND_##outcome_), \
        .effects = ERRAND_REFUSE | ERRAND_WRITE, .prompt = ERRAND_SAY_DID_NOT_OPEN, .set_keep = SET(false)
#define WRITTEN(outcome_) \
        .states = IS(ERRAND_WRITING), .events = IS(ERRAND_WRITTEN), .outcomes = IS(ERRAND_##outcome_)
/* It did not move. Where another one did, no further place is tried: it may be the next wrong one. */
#define UNMOVED     (IS(ERRAND_FAILED) | IS(ERRAND_NOT_SENT) | IS(ERRAND_WRONG_DOOR))
#define ANY_FAILURE (UNMOVED | IS(ERRAND_UNKNOWN))

/* The first row that holds. clang-format off: one row a line. */
/* clang-format off */
static const Row rows[] = {
        /* --- the opening is over --- */
        {OPENING(IS(ERRAND_OPENED)), .pulses = IS(ERRAND_PULSE_FIRST), DEPOSIT, .next = ERRAND_OPEN, .effects = ERRAND_ANSWER, .prompt = ERRAND_SAY_PUT_IN},
        {OPENING(IS(ERRAND_OPENED)), .pulses = IS(ERRAND_PULSE_FIRST), COLLECT, .next = ERRAND_OPEN, .effects = ERRAND_ANSWER, .prompt = ERRAND_SAY_TAKE_OUT},
        {OPENING(IS(ERRAND_OPENED)), .pulses = IS(ERRAND_PULSE_FIRST), TAKE_BACK, .next = ERRAND_OPEN, .effects = ERRAND_ANSWER, .prompt = ERRAND_SAY_TAKE_NEXT},
        {OPENING(IS(ERRAND_OPENED)), .next = ERRAND_OPEN, .effects = ERRAND_ANSWER},
        /* A deposit goes on to another place, as long as somebody is there with the item in hand. */
        {OPENING(IS(ERRAND_FAILED)), DEPOSIT, SAID(NOTHING), NOT_OCCUPIED, .attended = YES, .pulses = IS(ERRAND_PULSE_FIRST) | IS(ERRAND_PULSE_AGAIN), .next = ERRAND_SEEKING, .effects = ERRAND_QUARANTINE | ERRAND_SEEK, .set_seek = SET(ERRAND_SEEK_FAILED)},
        {OPENING(IS(ERRAND_NOT_SENT)), DEPOSIT, SAID(NOTHING), NOT_OCCUPIED, .attended = YES, .pulses = IS(ERRAND_PULSE_FIRST) | IS(ERRAND_PULSE_AGAIN), .next = ERRAND_SEEKING, .effects = ERRAND_SEEK, .set_seek = SET(ERRAND_SEEK_FAILED)},
        {OPENING(IS(ERRAND_UNKNOWN)), DEPOSIT, SAID(NOTHING), NOT_OCCUPIED, .attended = YES, .pulses = IS(ERRAND_PULSE_FIRST) | IS(ERRAND_PULSE_AGAIN), .next = ERRAND_SEEKING, .effects = ERRAND_QUARANTINE | ERRAND_SEEK, .set_seek = SET(ERRAND_SEEK_FAILED), .set_blind = SET(true)},
        {OPENING(UNMOVED), DEPOSIT, .pulses = IS(ERRAND_PULSE_FIRST), .next = ERRAND_OPEN, .effects = ERRAND_REFUSE, .set_said = SET(ERRAND_SAID_CANCEL)},
        {OPENING(IS(ERRAND_UNKNOWN)), DEPOSIT, .pulses = IS(ERRAND_PULSE_FIRST), .next = ERRAND_OPEN, .effects = ERRAND_REFUSE, .set_said = SET(ERRAND_SAID_CANCEL), .set_blind = SET(true)},
        /* It never opened, or only the door did: the item is still inside, and the code still good. */
        {OPENING(UNMOVED), COLLECT, .pulses = IS(ERRAND_PULSE_FIRST), FAILS(BACK)},
        {OPENING(IS(ERRAND_UNKNOWN)), COLLECT, .pulses = IS(ERRAND_PULSE_FIRST), FAILS(UNVERIFIED)},
        {OPENING(UNMOVED), TAKE_BACK, .pulses = IS(ERRAND_PULSE_FIRST), FAILS(KEPT)},
        {OPENING(IS(ERRAND_UNKNOWN)), TAKE_BACK, .pulses = IS(ERRAND_PULSE_FIRST), FAILS(UNVERIFIED)},
        /* Pulsed once more, and it does not: all is as it was before. */
        {OPENING(IS(ERRAND_UNKNOWN)), DEPOSIT, .next = ERRAND_OPEN, .effects = ERRAND_REFUSE, .set_blind = SET(true)},
        {OPENING(ANY_FAILURE), .next = ERRAND_OPEN, .effects = ERRAND_REFUSE},

        /* --- another place --- */
        {.states = IS(ERRAND_SEEKING), .events = IS(ERRAND_MOVED), .next = ERRAND_OPEN, .effects = ERRAND_LEAVE_PLACE, .set_kind = SET(ERRAND_LOOK), .set_attended = SET(false)},
        {.states = IS(ERRAND_SEEKING), .events = IS(ERRAND_NOT_MOVED), .seeks = IS(ERRAND_SEEK_ASKED), .next = ERRAND_OPEN, .effects = ERRAND_REFUSE},
        {.states = IS(ERRAND_SEEKING), .events = IS(ERRAND_NOT_MOVED), .next = ERRAND_OPEN, .effects = ERRAND_REFUSE, .set_said = SET(ERRAND_SAID_CANCEL)},
        /* What is settled stays so, with the time that it has left, unless there is another place. */
        {.states = IS(ERRAND_GRACE), .events = IS(ERRAND_MOVED), .next = ERRAND_OPEN, .effects = ERRAND_LEAVE_PLACE, .set_kind = SET(ERRAND_LOOK), .set_attended = SET(false)},
        {.states = IS(ERRAND_GRACE), .events = IS(ERRAND_NOT_MOVED), .next = ERRAND_GRACE, .effects = ERRAND_REFUSE},

        /* --- said --- */
        {.states = IS(ERRAND_OPEN) | IS(ERRAND_SECURING) | IS(ERRAND_WAITING), .events = IS(ERRAND_ACCEPT), COLLECT, .next = ERRAND_OPEN, .set_said = SET(ERRAND_SAID_ACCEPT), .set_final = SET(false)},
        {.states = IS(ERRAND_OPEN) | IS(ERRAND_SECURING) | IS(ERRAND_WAITING), .events = IS(ERRAND_REJECT), COLLECT, .next = ERRAND_OPEN, .set_said = SET(ERRAND_SAID_REJECT), .set_final = SET(false)},
        {.states = IS(ERRAND_OPEN), .events = IS(ERRAND_CANCEL), DEPOSIT, .doors = IS(ERRAND_DOOR_OPEN) | IS(ERRAND_DOOR_LOST), .next = ERRAND_OPEN, .set_said = SET(ERRAND_SAID_CANCEL), .set_final = SET(false), .prompt = ERRAND_SAY_TAKE_OUT_AGAIN},
        {.states = IS(ERRAND_OPEN) | IS(ERRAND_SECURING) | IS(ERRAND_WAITING), .events = IS(ERRAND_CANCEL), DEPOSIT, .next = ERRAND_OPEN, .set_said = SET(ERRAND_SAID_CANCEL), .set_final = SET(false)},
        {.states = IS(ERRAND_OPEN) | IS(ERRAND_WAITING), .events = IS(ERRAND_OTHER_PLACE), DEPOSIT, SAID(NOTHING), .attended = YES, .next = ERRAND_SEEKING, .effects = ERRAND_SEEK, .set_seek = SET(ERRAND_SEEK_ASKED)},
        /* Shut with nothing put in, and no sensor said so: the courier has the item in hand. */
        {.states = IS(ERRAND_GRACE), .events = IS(ERRAND_OTHER_PLACE), DEPOSIT, .outcomes = IS(ERRAND_STORED), NOT_OCCUPIED, CLOSED, .next = ERRAND_GRACE, .effects = ERRAND_SEEK, .set_seek = SET(ERRAND_SEEK_ASKED)},
        {.states = IS(ERRAND_OPEN) | IS(ERRAND_WAITING), .events = IS(ERRAND_DOES_NOT_OPEN), .attended = YES, .next = ERRAND_OPENING, .effects = ERRAND_START, .set_pulse = SET(ERRAND_PULSE_AGAIN), .set_final = SET(false)},
        {.states = IS(ERRAND_OPEN) | IS(ERRAND_WAITING), .events = IS(ERRAND_REOPEN), .attended = YES, CLOSED, .next = ERRAND_OPENING, .effects = ERRAND_START, .set_pulse = SET(ERRAND_PULSE_REOPEN), .set_final = SET(false)},
        /* What is settled but still there is taken up again; of the rest nothing is left but to shut the door. */
        {.states = IS(ERRAND_GRACE), .events = IS(ERRAND_REOPEN), CLOSED, DEPOSIT, .outcomes = IS(ERRAND_STORED), .next = ERRAND_OPENING, .effects = ERRAND_START, .set_pulse = SET(ERRAND_PULSE_REOPEN), .set_said = SET(ERRAND_SAID_NOTHING)},
        {.states = IS(ERRAND_GRACE), .events = IS(ERRAND_REOPEN), CLOSED, COLLECT, .outcomes = IS(ERRAND_BACK), .next = ERRAND_OPENING, .effects = ERRAND_START, .set_pulse = SET(ERRAND_PULSE_REOPEN), .set_said = SET(ERRAND_SAID_NOTHING)},
        {.states = IS(ERRAND_GRACE), .events = IS(ERRAND_REOPEN), CLOSED, TAKE_BACK, .outcomes = IS(ERRAND_KEPT), .next = ERRAND_OPENING, .effects = ERRAND_START, .set_pulse = SET(ERRAND_PULSE_REOPEN)},
        {.states = IS(ERRAND_GRACE), .events = IS(ERRAND_REOPEN), CLOSED, .next = ERRAND_OPENING, .effects = ERRAND_START, .set_pulse = SET(ERRAND_PULSE_REOPEN), .set_kind = SET(ERRAND_LOOK)},
        {.states = IS(ERRAND_GRACE), .events = IS(ERRAND_LEAVE), .next = ERRAND_DONE, .set_attended = SET(false)},
        {.states = ~0U, .events = IS(ERRAND_LEAVE), .next = ERRAND_STATE_MAX, .set_attended = SET(false)},

        /* --- seen: the door is open, or lost --- */
        {LOOKING, .doors = IS(ERRAND_DOOR_OPEN), .next = ERRAND_OPEN, .set_final = SET(false)},
        {.states = IS(ERRAND_WRITING), .events = IS(ERRAND_FACTS), .keep = YES, .doors = IS(ERRAND_DOOR_OPEN), .next = ERRAND_OPEN, .set_final = SET(false)},
        /* It did not open, and does so now, before that is in the ledger. */
        {.states = IS(ERRAND_WRITING), .events = IS(ERRAND_FACTS), .keep = NO, .doors = IS(ERRAND_DOOR_OPEN), .outcomes = IS(ERRAND_BACK) | IS(ERRAND_KEPT), .next = ERRAND_WRITING, .set_outcome = SET(ERRAND_UNVERIFIED), .effects = ERRAND_WRITE},
        {LOOKING, .doors = IS(ERRAND_DOOR_LOST), LOOK, .attended = NO, .next = ERRAND_DONE},
        {LOOKING, .doors = IS(ERRAND_DOOR_LOST), LOOK, .next = ERRAND_OPEN},
        {LOOKING, .doors = IS(ERRAND_DOOR_LOST), .blind = YES, .attended = NO, BECOMES(UNVERIFIED)},
        {LOOKING, .doors = IS(ERRAND_DOOR_LOST), .blind = YES, SAID(CANCEL), BECOMES(UNVERIFIED)},
        {LOOKING, .doors = IS(ERRAND_DOOR_LOST), .final = YES, .attended = NO, BECOMES(UNVERIFIED)},
        {LOOKING, .doors = IS(ERRAND_DOOR_LOST), .attended = NO, .next = ERRAND_WAITING, .set_wait = SET(ERRAND_WAIT_SIGHT)},
        {LOOKING, .doors = IS(ERRAND_DOOR_LOST), .next = ERRAND_OPEN, .set_final = SET(false)},

        /* --- seen: shut; first the lid --- */
        {LOOKING, .lids = IS(ERRAND_LID_MOVING), .next = ERRAND_SECURING},
        {LOOKING, .lids = IS(ERRAND_LID_LOOSE), .final = NO, WAIT(LID, CLOSE_LID)},
        {LOOKING, .lids = IS(ERRAND_LID_LOOSE), LOOK, BECOMES_LOOSE(NOTHING_LEFT)},
        {LOOKING, .lids = IS(ERRAND_LID_LOOSE), EMPTY, DEPOSIT, BECOMES_LOOSE(CANCELLED)},
        {LOOKING, .lids = IS(ERRAND_LID_LOOSE), EMPTY, TAKE_BACK, BECOMES_LOOSE(RETURNED)},
        {LOOKING, .lids = IS(ERRAND_LID_LOOSE), EMPTY, COLLECT, .said = IS(ERRAND_SAID_NOTHING) | IS(ERRAND_SAID_ACCEPT), BECOMES_LOOSE(COLLECTED)},
        {LOOKING, .lids = IS(ERRAND_LID_LOOSE), BECOMES_LOOSE(UNVERIFIED)},
        {LOOKING, LOOK, BECOMES(NOTHING_LEFT)},
        {LOOKING, .blind = YES, UNSEEN, BECOMES(UNVERIFIED)},

        /* --- … then what is inside --- */
        {LOOKING, DEPOSIT, SAID(CANCEL), OCCUPIED, .final = NO, WAIT(ITEM, STILL_INSIDE)},
        {LOOKING, DEPOSIT, SAID(CANCEL), OCCUPIED, BECOMES(UNVERIFIED)},
        {LOOKING, DEPOSIT, SAID(CANCEL), BECOMES(CANCELLED)},
        {LOOKING, DEPOSIT, EMPTY, .final = NO, WAIT(ITEM, STILL_EMPTY)},
        {LOOKING, DEPOSIT, EMPTY, BECOMES(CANCELLED)},
        {LOOKING, DEPOSIT, BECOMES(STORED)},
        {LOOKING, COLLECT, SAID(ACCEPT), OCCUPIED, .final = NO, WAIT(ITEM, STILL_INSIDE)},
        {LOOKING, COLLECT, SAID(ACCEPT), OCCUPIED, BECOMES(UNVERIFIED)},
        {LOOKING, COLLECT, SAID(ACCEPT), BECOMES(COLLECTED)},
        {LOOKING, COLLECT, SAID(REJECT), EMPTY, .final = NO, WAIT(ITEM, PUT_BACK)},
        {LOOKING, COLLECT, SAID(REJECT), EMPTY, BECOMES(UNVERIFIED)},
        {LOOKING, COLLECT, SAID(REJECT), BECOMES(REJECTED)},
        {LOOKING, COLLECT, .final = NO, WAIT(CHOICE, CHOOSE)},
        {LOOKING, COLLECT, OCCUPIED, BECOMES(BACK)},
        {LOOKING, COLLECT, EMPTY, BECOMES(COLLECTED)},
        {LOOKING, COLLECT, .collected = YES, BECOMES(COLLECTED)},
        {LOOKING, COLLECT, BECOMES(UNVERIFIED)},
        {LOOKING, TAKE_BACK, OCCUPIED, .final = NO, WAIT(ITEM, STILL_INSIDE)},
        {LOOKING, TAKE_BACK, OCCUPIED, BECOMES(KEPT)},
        {LOOKING, TAKE_BACK, EMPTY, BECOMES(RETURNED)},
        {LOOKING, TAKE_BACK, .attended = YES, BECOMES(RETURNED)},
        {LOOKING, TAKE_BACK, BECOMES(UNVERIFIED)},

        /* --- the ledger --- */
        {.states = IS(ERRAND_WRITING), .events = IS(ERRAND_NOT_WRITTEN), .next = ERRAND_WRITING},
        /* Judged again before it is written: the sensors may say something else by now. */
        {.states = IS(ERRAND_WRITING), .events = IS(ERRAND_TIME), .keep = YES, .next = ERRAND_OPEN},
        {.states = IS(ERRAND_WRITING), .events = IS(ERRAND_TIME), .next = ERRAND_WRITING, .effects = ERRAND_WRITE},
        {.states = IS(ERRAND_WRITING), .events = IS(ERRAND_WRITTEN), .keep = NO, .doors = IS(ERRAND_DOOR_OPEN), .next = ERRAND_OPEN, .effects = ERRAND_LEAVE_PLACE, .set_kind = SET(ERRAND_LOOK), .set_attended = SET(false)},
        {.states = IS(ERRAND_WRITING), .events = IS(ERRAND_WRITTEN), .keep = NO, .next = ERRAND_DONE},
        /* What was given back stays locked in until a courier comes: no reopening. */
        {WRITTEN(REJECTED), .next = ERRAND_DONE, .prompt = ERRAND_SAY_REJECTED},
        {.states = IS(ERRAND_WRITING), .events = IS(ERRAND_WRITTEN), .attended = NO, .next = ERRAND_DONE},
        {WRITTEN(STORED), .next = ERRAND_GRACE, .prompt = ERRAND_SAY_STORED},
        {WRITTEN(BACK), .next = ERRAND_GRACE, .prompt = ERRAND_SAY_STORED},
        {WRITTEN(CANCELLED), .next = ERRAND_GRACE, .prompt = ERRAND_SAY_CANCELLED},
        {WRITTEN(COLLECTED), .next = ERRAND_GRACE, .prompt = ERRAND_SAY_COLLECTED},
        {WRITTEN(RETURNED), .next = ERRAND_GRACE, .prompt = ERRAND_SAY_RETURNED},
        {WRITTEN(KEPT), .next = ERRAND_GRACE, .prompt = ERRAND_SAY_LEFT_INSIDE},
        {WRITTEN(UNVERIFIED), .next = ERRAND_GRACE, .prompt = ERRAND_SAY_UNVERIFIED},
        {WRITTEN(NOTHING_LEFT), .next = ERRAND_GRACE},

        /* --- time --- */
        {.states = IS(ERRAND_WAITING), .events = IS(ERRAND_TIME), .next = ERRAND_WAITING, .set_final = SET(true)},
        {.states = IS(ERRAND_GRACE), .events = IS(ERRAND_TIME), .next = ERRAND_DONE},
        /* A place that is only kept for reopening gives way to whoever has a parcel there; an open one never does. */
        {.states = IS(ERRAND_GRACE), .events = IS(ERRAND_YIELD), CLOSED, .next = ERRAND_DONE},
        /* Where nothing is left but to shut the door, an operator may open once more. */
        {.states = IS(ERRAND_OPEN) | IS(ERRAND_SECURING) | IS(ERRAND_WAITING), .events = IS(ERRAND_YIELD), LOOK, .attended = NO, .next = ERRAND_DONE},
        /* Nobody is there, and its door is not going to be shut: an operator takes over what nobody saw. */
        {.states = IS(ERRAND_OPEN), .events = IS(ERRAND_YIELD), .doors = IS(ERRAND_DOOR_OPEN), .attended = NO, .next = ERRAND_WRITING, .set_outcome = SET(ERRAND_UNVERIFIED), .effects = ERRAND_WRITE, .set_keep = SET(false)},
};
/* clang-format on */

static const struct {
        const char *word, *sentence;
} prompts[ERRAND_PROMPT_MAX] = {
        [ERRAND_SAY_NOTHING] = {"", ""},
        [ERRAND_SAY_PUT_IN] = {"put-in", "Put the item in and close the door."},
        [ERRAND_SAY_TAKE_OUT] = {"take-out", "Take the item out, accept or reject it, and close the door."},
        [ERRAND_SAY_TAKE_NEXT] = {"take-next", "Take the item out and close the door."},
        [ERRAND_SAY_TAKE_OUT_AGAIN] = {"take-out", "Take the item out again and close the door."},
        [ERRAND_SAY_CLOSE_LID] =
                {"close-lid", "The lid inside is not locked. Please open the door again and close the lid."},
        [ERRAND_SAY_STILL_INSIDE] = {"still-inside",
                                     "The item is still inside. Please open again and take it out."},
        [ERRAND_SAY_STILL_EMPTY] = {"put-in",
                                    "The position is still empty. Please open again and put the item in."},
        [ERRAND_SAY_PUT_BACK] = {"put-back",
                                 "The position is empty. Please open again and put the item back."},
        [ERRAND_SAY_CHOOSE] = {"choose", "Do you keep the item (accept) or not (reject)?"},
        [ERRAND_SAY_DID_NOT_OPEN] = {"did-not-open", "The door did not open."},
        [ERRAND_SAY_STORED] = {"stored", "The item is locked in."},
        [ERRAND_SAY_CANCELLED] = {"cancelled", "The deposit was cancelled."},
        [ERRAND_SAY_COLLECTED] = {"collected", "Thank you."},
        [ERRAND_SAY_REJECTED] = {"rejected", "The item is locked in again and goes back with the courier."},
        [ERRAND_SAY_RETURNED] = {"returned", "Thank you."},
        [ERRAND_SAY_LEFT_INSIDE] = {"left-inside", "The item was not taken and stays locked in."},
        [ERRAND_SAY_UNVERIFIED] = {"unverified", "The operator has been asked to look into this slot."},
};

static bool mask_has(unsigned mask, unsigned bit) {
        return !mask || mask & bit;
}

static const Row *find(const ErrandMachine *e, const ErrandRules *rules, ErrandEvent event,
                       const ErrandView *v) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const Row *r = &rows[i];
                if (r->states & IS(e->state) && r->events & IS(event) && mask_has(r->kinds, IS(e->kind)) &&
                    mask_has(r->said, IS(e->said)) && mask_has(r->pulses, IS(e->pulse)) &&
                    mask_has(r->seeks, IS(e->seek)) && mask_has(r->outcomes, IS(e->outcome)) &&
                    mask_has(r->doors, IS(v->door)) && mask_has(r->lids, IS(v->lid)) &&
                    mask_has(r->occupied, TRI(v->occupied)) && mask_has(r->attended, IS(e->attended)) &&
                    mask_has(r->blind, IS(e->blind)) && mask_has(r->final, IS(e->final)) &&
                    mask_has(r->keep, IS(e->keep)) &&
                    mask_has(r->collected, IS(rules && rules->unanswered_is_collected)))
                        return r;
        }
        return NULL;
}

void errand_init(ErrandMachine *e, ErrandKind kind, bool attended) {
        *e = (ErrandMachine){
                .kind = kind, .state = ERRAND_OPENING, .attended = attended, .deadline = USEC_INFINITY};
}

void errand_init_again(ErrandMachine *e, ErrandKind kind, ErrandSaid said) {
        *e = (ErrandMachine){
                .kind = kind, .state = ERRAND_OPEN, .said = said, .blind = true, .deadline = USEC_INFINITY};
}

bool errand_allows(const ErrandMachine *e, ErrandEvent event, const ErrandView *view) {
        return find(e, NULL, event, view) != NULL;
}

static void apply(ErrandMachine *e, const Row *r) {
        if (r->set_kind)
                e->kind = (ErrandKind)(r->set_kind - 1);
        if (r->set_said)
                e->said = (ErrandSaid)(r->set_said - 1);
        if (r->set_pulse)
                e->pulse = (ErrandPulse)(r->set_pulse - 1);
        if (r->set_seek)
                e->seek = (ErrandSeek)(r->set_seek - 1);
        if (r->set_outcome)
                e->outcome = (ErrandOutcome)(r->set_outcome - 1);
        if (r->set_attended)
                e->attended = r->set_attended - 1;
        if (r->set_blind)
                e->blind = r->set_blind - 1;
        if (r->set_final)
                e->final = r->set_final - 1;
        if (r->set_keep)
                e->keep = r->set_keep - 1;
}

/* Nobody is there any more to choose, shut or take out. Only the sensors' delay is waited for; or the time
 * that an answer would have had, where nobody can see the door. */
static uint64_t patience(const ErrandMachine *e, const ErrandRules *rules) {
        return e->attended || e->wait == ERRAND_WAIT_SIGHT ? rules->answer_usec : SENSORS_LAG_USEC;
}

static uint64_t deadline(const ErrandMachine *e, const ErrandRules *rules, ErrandEvent event, uint64_t now) {
        switch (e->state) {
        case ERRAND_WAITING:
                return now + patience(e, rules);
        case ERRAND_WRITING:
                return event == ERRAND_NOT_WRITTEN ? now + RETRY_USEC : USEC_INFINITY;
        case ERRAND_GRACE:
                return now + rules->grace_usec;
        case ERRAND_OPENING:
        case ERRAND_OPEN:
        case ERRAND_SEEKING:
        case ERRAND_SECURING:
        case ERRAND_DONE:
        case ERRAND_STATE_MAX:
                break;
        }
        return USEC_INFINITY;
}

bool errand_step(ErrandMachine *e, const ErrandRules *rules, ErrandEvent event, const ErrandView *view,
                 uint64_t now, ErrandStep *ret) {
        const Row *r = find(e, rules, event, view);
        ErrandState before = e->state;
        ErrandWait waited = e->wait;

        *ret = (ErrandStep){0};
        if (!r)
                return false;
        apply(e, r);
        if (r->next != ERRAND_STATE_MAX)
                e->state = r->next;
        if (r->set_wait)
                e->wait = (ErrandWait)(r->set_wait - 1);
        else if (e->state != ERRAND_WAITING)
                e->wait = ERRAND_WAIT_NOTHING;
        /* What is waited for already has been said, and has its time. */
        bool stays = e->state == before && e->wait == waited &&
                     (e->state == ERRAND_WAITING || e->state == ERRAND_GRACE);
        if (event == ERRAND_TIME && e->state == ERRAND_WAITING)
                e->deadline = USEC_INFINITY; /* judged at once, see errand_is_looking() */
        else if (event == ERRAND_LEAVE && e->state == before) {
                if (e->state == ERRAND_WAITING)
                        e->deadline = MIN(e->deadline, now + patience(e, rules));
        } else if (!stays)
                e->deadline = deadline(e, rules, event, now);
        ret->effects = r->effects;
        ret->prompt = stays ? ERRAND_SAY_NOTHING : r->prompt;
        if (ret->prompt)
                ret->effects |= ERRAND_PROMPT;
        if (e->state == ERRAND_DONE && before != ERRAND_DONE)
                ret->effects |= ERRAND_FREE_SLOT;
        return true;
}

bool errand_is_looking(const ErrandMachine *e) {
        return e->state == ERRAND_OPEN || e->state == ERRAND_SECURING || e->state == ERRAND_WAITING ||
               e->state == ERRAND_WRITING;
}

bool errand_is_busy(const ErrandMachine *e) {
        return e->state == ERRAND_OPENING || e->state == ERRAND_SEEKING || e->state == ERRAND_SECURING ||
               e->state == ERRAND_WRITING;
}

bool errand_is_at_work(const ErrandMachine *e) {
        return e->state != ERRAND_GRACE && e->state != ERRAND_DONE;
}

const char *errand_kind_to_string(ErrandKind k) {
        static const char *const names[] = {"deposit", "collect", "take-back", "look"};

        return (unsigned)k < ARRAY_SIZE(names) ? names[k] : "invalid";
}

const char *errand_state_to_string(ErrandState s) {
        static const char *const names[] = {"opening", "open",    "seeking", "securing",
                                            "waiting", "writing", "grace",   "done"};

        static_assert(ARRAY_SIZE(names) == ERRAND_STATE_MAX, "a name for each state");
        return (unsigned)s < ARRAY_SIZE(names) ? names[s] : "invalid";
}

const char *errand_event_to_string(ErrandEvent e) {
        static const char *const names[] = {
                "opened",    "failed",  "not-sent",    "unknown",       "wrong-door", "facts", "accept",
                "reject",    "cancel",  "other-place", "does-not-open", "reopen",     "leave", "moved",
                "not-moved", "written", "not-written", "yield",         "time"};

        static_assert(ARRAY_SIZE(names) == ERRAND_EVENT_MAX, "a name for each event");
        return (unsigned)e < ARRAY_SIZE(names) ? names[e] : "invalid";
}

const char *errand_prompt_word(ErrandPrompt p) {
        return (unsigned)p < ERRAND_PROMPT_MAX ? prompts[p].word : "";
}

const char *errand_prompt_sentence(ErrandPrompt p) {
        return (unsigned)p < ERRAND_PROMPT_MAX ? prompts[p].sentence : "";
}

bool errand_may_become(ErrandState from, ErrandState to) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (rows[i].states & IS(from) && rows[i].next == to)
                        return true;
        return false;
}
