/* SPDX-License-Identifier: Apache-2.0 */
/* The errand's machine, breadth first: every state that can be reached by whatever can happen, under
 * everything that sensors can say, with a ledger that takes it or does not. */
#include "core/errand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOW        (100 * USEC_PER_SEC)
#define STATES_MAX 60000
#define LOOKS_MAX  30

static const ErrandRules two_rules[] = {
        {.answer_usec = 30 * USEC_PER_SEC, .grace_usec = 60 * USEC_PER_SEC},
        {.answer_usec = 30 * USEC_PER_SEC, .grace_usec = 60 * USEC_PER_SEC, .unanswered_is_collected = true}};

/* A machine at rest, and what the one who runs it remembers: whether a request waits for its answer. */
typedef struct Node {
        ErrandMachine m;
        bool pending;
        int from; /* how it was reached; -1: a beginning */
        ErrandEvent by;
} Node;

/* What answers come on the way: does the ledger take it, is there another place? */
typedef struct Luck {
        bool written, moved;
} Luck;

static Node nodes[STATES_MAX];
static int n_nodes;
static const ErrandRules *rules;
static bool edges[ERRAND_STATE_MAX][ERRAND_STATE_MAX];
static unsigned long n_steps, n_refused;

/* Whether there is a deadline matters, not when. */
static unsigned key(const ErrandMachine *m) {
        unsigned k = (unsigned)m->kind;

        k = k << 3 | (unsigned)m->state;
        k = k << 2 | (unsigned)m->said;
        k = k << 3 | (unsigned)m->wait;
        k = k << 2 | (unsigned)m->pulse;
        k = k << 1 | (unsigned)m->seek;
        k = k << 4 | (unsigned)m->outcome;
        k = k << 4 | (unsigned)(m->attended | m->blind << 1 | m->final << 2 | m->keep << 3);
        return k << 1 | (m->deadline != USEC_INFINITY);
}

static bool is_same(const ErrandMachine *a, const ErrandMachine *b) {
        return key(a) == key(b) && a->deadline == b->deadline;
}

static void tell(const Node *n) {
        const ErrandMachine *m = &n->m;

        if (n->from >= 0)
                tell(&nodes[n->from]);
        print_error("  %s: %s, %s said %d wait %d pulse %d outcome %d%s%s%s%s%s%s\n",
                    n->from < 0 ? "begins" : errand_event_to_string(n->by), errand_kind_to_string(m->kind),
                    errand_state_to_string(m->state), (int)m->said, (int)m->wait, (int)m->pulse,
                    (int)m->outcome, m->attended ? " attended" : "", m->blind ? " blind" : "",
                    m->final ? " final" : "", m->keep ? " keep" : "", n->pending ? " pending" : "",
                    m->deadline == USEC_INFINITY ? "" : " deadline");
}

static void fault(const Node *n, const ErrandView *v, const char *what) {
        tell(n);
        fail_msg("%s (door %d, lid %d, occupied %d)", what, (int)v->door, (int)v->lid, (int)v->occupied);
}

static void check_outcome(const Node *n, ErrandEvent event, const ErrandView *v, const ErrandStep *step) {
        const ErrandMachine *m = &n->m;
        bool item = m->kind != ERRAND_LOOK;

        if (m->outcome == ERRAND_OUTCOME_NONE)
                fault(n, v, "nothing is written");
        if (event != ERRAND_FACTS)
                return;
        /* It had not opened, and does so late: what is written at once is not what its sensors show at rest.
         */
        if (!m->keep && v->door == ERRAND_DOOR_OPEN && m->outcome == ERRAND_UNVERIFIED)
                return;
        if (v->door == ERRAND_DOOR_OPEN)
                fault(n, v, "an outcome, and the door is open");
        if (v->door == ERRAND_DOOR_LOST && item && m->outcome != ERRAND_UNVERIFIED)
                fault(n, v, "an outcome, and nobody can see the door");
        if (v->door != ERRAND_DOOR_LOST && v->lid == ERRAND_LID_MOVING)
                fault(n, v, "an outcome, and the lid is being moved");
        if (v->door != ERRAND_DOOR_LOST && v->lid == ERRAND_LID_LOOSE && !(step->effects & ERRAND_QUARANTINE))
                fault(n, v, "an outcome, the lid is loose, and something else may be put there");
        if (m->outcome == ERRAND_REJECTED && (m->said != ERRAND_SAID_REJECT || v->occupied == TRI_NO))
                fault(n, v, "rejected");
        if (m->outcome == ERRAND_COLLECTED &&
            (v->occupied == TRI_YES || m->said == ERRAND_SAID_REJECT ||
             (m->said != ERRAND_SAID_ACCEPT && v->occupied != TRI_NO && !rules->unanswered_is_collected)))
                fault(n, v, "collected");
        if (m->outcome == ERRAND_BACK && (v->occupied != TRI_YES || m->said != ERRAND_SAID_NOTHING))
                fault(n, v, "back");
        if (m->outcome == ERRAND_STORED && (v->occupied == TRI_NO || m->said != ERRAND_SAID_NOTHING))
                fault(n, v, "stored");
        if (m->outcome == ERRAND_CANCELLED &&
            (v->occupied == TRI_YES || (m->said != ERRAND_SAID_CANCEL && v->occupied != TRI_NO)))
                fault(n, v, "cancelled");
        if (m->outcome == ERRAND_RETURNED &&
            (v->occupied == TRI_YES || (!m->attended && v->occupied != TRI_NO)))
                fault(n, v, "returned");
        if (m->outcome == ERRAND_KEPT && v->occupied != TRI_YES)
                fault(n, v, "kept");
        if (item && m->blind && v->occupied == TRI_UNKNOWN && m->outcome != ERRAND_UNVERIFIED)
                fault(n, v, "an outcome that nobody saw");
}

static void check_request(Node *n, ErrandEvent event, const ErrandView *v, unsigned effects) {
        bool asks = event == ERRAND_DOES_NOT_OPEN || event == ERRAND_REOPEN || event == ERRAND_OTHER_PLACE;

        if (asks && n->pending)
                fault(n, v, "a request is taken while another one waits");
        if (asks)
                n->pending = true;
        if (effects & ERRAND_ANSWER && effects & ERRAND_REFUSE)
                fault(n, v, "yes and no");
        if (effects & (ERRAND_ANSWER | ERRAND_REFUSE)) {
                if (!n->pending)
                        fault(n, v, "an answer, and nobody has asked");
                n->pending = false;
        }
        if (event == ERRAND_MOVED) /* the new place answers */
                n->pending = false;
}

/* One event, and what follows from it, as src/locker/errand.c runs it. False: refused. */
static bool run(Node *n, ErrandEvent event, const ErrandView *v, Luck luck) {
        for (int looks = 0;; looks++) {
                ErrandMachine before = n->m;
                ErrandStep step;
                bool first = looks == 0;

                n_steps++;
                if (!errand_step(&n->m, rules, event, v, NOW, &step)) {
                        n_refused++;
                        if (!is_same(&before, &n->m) || step.effects || step.prompt)
                                fault(n, v, "a refused event changes something");
                        if (errand_allows(&n->m, event, v))
                                fault(n, v, "allowed, and refused");
                        if (event == ERRAND_FACTS || first)
                                return !first;
                        fault(n, v, "the machine refuses what it has asked for");
                }
                edges[before.state][n->m.state] = true;
                if (before.state == ERRAND_DONE && (n->m.state != ERRAND_DONE || step.effects))
                        fault(n, v, "an errand that is done does something");
                if ((before.state != ERRAND_DONE && n->m.state == ERRAND_DONE) !=
                    !!(step.effects & ERRAND_FREE_SLOT))
                        fault(n, v, "done, and the slot is not free");
                if (!!(step.effects & ERRAND_PROMPT) != (step.prompt != ERRAND_SAY_NOTHING))
                        fault(n, v, "a prompt without words");
                check_request(n, event, v, step.effects);
                if (step.effects & ERRAND_WRITE)
                        check_outcome(n, event, v, &step);

                bool same = event == ERRAND_FACTS && before.state == n->m.state && before.wait == n->m.wait &&
                            before.final == n->m.final;
                if (step.effects & ERRAND_SEEK)
                        event = luck.moved ? ERRAND_MOVED : ERRAND_NOT_MOVED;
                else if (step.effects & ERRAND_WRITE)
                        event = luck.written ? ERRAND_WRITTEN : ERRAND_NOT_WRITTEN;
                else if (same || !errand_is_looking(&n->m))
                        return true;
                else
                        event = ERRAND_FACTS;
                if (looks == LOOKS_MAX)
                        fault(n, v, "it never comes to rest");
        }
}

static void check_rest(const Node *n, const ErrandView *v) {
        const ErrandMachine *m = &n->m;
        bool waits = m->state == ERRAND_WAITING || m->state == ERRAND_WRITING || m->state == ERRAND_GRACE;

        if (waits != (m->deadline != USEC_INFINITY))
                fault(n, v, waits ? "it waits without a deadline" : "a deadline of nothing");
        if (m->state == ERRAND_SEEKING)
                fault(n, v, "it rests while it looks for another place");
        if (n->pending && m->state != ERRAND_OPENING)
                fault(n, v, "it rests, and the request has no answer");
        if ((m->wait != ERRAND_WAIT_NOTHING) != (m->state == ERRAND_WAITING))
                fault(n, v, "it waits for nothing");
        if (m->state == ERRAND_GRACE && !m->attended)
                fault(n, v, "kept for nobody");
}

static uint8_t reached[1 << 23];

static void add(const Node *n) {
        unsigned k = key(&n->m) << 1 | n->pending;

        if (reached[k])
                return;
        assert_true(n_nodes < STATES_MAX);
        reached[k] = 1;
        nodes[n_nodes++] = *n;
}

/* What can come from outside to a machine at rest. */
static bool may_come(const Node *n, ErrandEvent event) {
        const ErrandMachine *m = &n->m;

        switch (event) {
        case ERRAND_OPENED:
        case ERRAND_FAILED:
        case ERRAND_NOT_SENT:
        case ERRAND_UNKNOWN:
        case ERRAND_WRONG_DOOR:
                return m->state == ERRAND_OPENING;
        case ERRAND_FACTS:
                return errand_is_looking(m);
        case ERRAND_ACCEPT:
        case ERRAND_REJECT:
        case ERRAND_CANCEL:
        case ERRAND_OTHER_PLACE:
        case ERRAND_DOES_NOT_OPEN:
        case ERRAND_REOPEN:
                return m->attended && !n->pending;
        case ERRAND_LEAVE:
                return m->attended;
        case ERRAND_TIME:
                return m->deadline != USEC_INFINITY;
        case ERRAND_YIELD:
                return true;
        case ERRAND_MOVED:
        case ERRAND_NOT_MOVED:
        case ERRAND_WRITTEN:
        case ERRAND_NOT_WRITTEN:
        case ERRAND_EVENT_MAX:
                break;
        }
        return false;
}

typedef void (*EachView)(int i, const ErrandView *v);

static void each_view(int i, EachView each) {
        for (int door = 0; door < ERRAND_DOOR_MAX; door++)
                for (int lid = 0; lid < ERRAND_LID_MAX; lid++)
                        for (int occupied = TRI_UNKNOWN; occupied <= TRI_YES; occupied++)
                                each(i, &(ErrandView){.door = (ErrandDoor)door,
                                                      .lid = (ErrandLid)lid,
                                                      .occupied = (Tri)occupied});
}

static void explore_view(int i, const ErrandView *v) {
        for (int event = 0; event < ERRAND_EVENT_MAX; event++)
                for (int luck = 0; luck < 4; luck++) {
                        Node n = nodes[i];
                        n.from = i;
                        n.by = (ErrandEvent)event;
                        if (!may_come(&nodes[i], (ErrandEvent)event)) {
                                /* Nobody sends it; should somebody, and it is refused, nothing has happened.
                                 */
                                ErrandStep step;
                                if (!errand_step(&n.m, rules, (ErrandEvent)event, v, NOW, &step) &&
                                    (!is_same(&n.m, &nodes[i].m) || step.effects))
                                        fault(&n, v, "a refused event changes something");
                                break;
                        }
                        if (!run(&n, (ErrandEvent)event, v, (Luck){.written = luck & 1, .moved = luck & 2}))
                                break;
                        check_rest(&n, v);
                        add(&n);
                }
}

/* Nobody is there, the door is shut and locked (or never seen again), time passes, the ledger works: it ends.
 */
static void ends_under(const Node *from, const ErrandView *v) {
        const Luck luck = {.written = true, .moved = true};
        Node n = *from;

        if (n.m.attended)
                (void)run(&n, ERRAND_LEAVE, v, luck);
        if (n.m.state == ERRAND_OPENING)
                (void)run(&n, ERRAND_NOT_SENT, v, luck);
        for (int i = 0; i < 8 && n.m.state != ERRAND_DONE; i++) {
                if (errand_is_looking(&n.m))
                        (void)run(&n, ERRAND_FACTS, v, luck);
                if (n.m.deadline != USEC_INFINITY)
                        (void)run(&n, ERRAND_TIME, v, luck);
        }
        if (n.m.state != ERRAND_DONE) {
                tell(from);
                fault(&n, v, "nobody is there, and it does not end");
        }
        if (n.pending)
                fault(&n, v, "it has ended, and a request waits for its answer");
}

static void ends(int i) {
        for (int occupied = TRI_UNKNOWN; occupied <= TRI_YES; occupied++) {
                ends_under(&nodes[i], &(ErrandView){ERRAND_DOOR_SHUT, ERRAND_LID_LOCKED, (Tri)occupied});
                ends_under(&nodes[i], &(ErrandView){ERRAND_DOOR_STUCK, ERRAND_LID_LOCKED, (Tri)occupied});
                ends_under(&nodes[i], &(ErrandView){ERRAND_DOOR_SHUT, ERRAND_LID_LOOSE, (Tri)occupied});
                ends_under(&nodes[i], &(ErrandView){ERRAND_DOOR_LOST, ERRAND_LID_LOOSE, (Tri)occupied});
        }
}

static void begin(ErrandKind kind, bool attended) {
        Node n = {.pending = true, .from = -1};

        errand_init(&n.m, kind, attended);
        add(&n);
}

static void begin_again(ErrandKind kind, ErrandSaid said) {
        Node n = {.from = -1};

        errand_init_again(&n.m, kind, said);
        add(&n);
}

static void explore(void) {
        memset(reached, 0, sizeof(reached));
        n_nodes = 0;
        begin(ERRAND_DEPOSIT, true);
        begin(ERRAND_COLLECT, true);
        begin(ERRAND_TAKE_BACK, true);
        begin(ERRAND_LOOK, false);
        begin_again(ERRAND_DEPOSIT, ERRAND_SAID_NOTHING);
        begin_again(ERRAND_DEPOSIT, ERRAND_SAID_CANCEL);
        begin_again(ERRAND_COLLECT, ERRAND_SAID_NOTHING);
        begin_again(ERRAND_COLLECT, ERRAND_SAID_ACCEPT);
        begin_again(ERRAND_COLLECT, ERRAND_SAID_REJECT);
        begin_again(ERRAND_TAKE_BACK, ERRAND_SAID_NOTHING);
        for (int i = 0; i < n_nodes; i++)
                each_view(i, explore_view);
        for (int i = 0; i < n_nodes; i++)
                ends(i);
}

static void test_errand_machine_breadth_first(void **state) {
        for (size_t i = 0; i < sizeof(two_rules) / sizeof(two_rules[0]); i++) {
                rules = &two_rules[i];
                explore();
                print_message("%d states at rest, %lu steps, %lu refused\n", n_nodes, n_steps, n_refused);
                assert_true(n_nodes > 100);
        }
}

/* Every edge of the table is one that is used, and no other is. */
static void test_errand_table_has_no_dead_edges(void **state) {
        for (int from = 0; from < ERRAND_STATE_MAX; from++)
                for (int to = 0; to < ERRAND_STATE_MAX; to++) {
                        bool used = edges[from][to];
                        if (from != to && used != errand_may_become((ErrandState)from, (ErrandState)to))
                                fail_msg("%s -> %s is %s", errand_state_to_string((ErrandState)from),
                                         errand_state_to_string((ErrandState)to),
                                         used ? "used, and not in the table" : "never used");
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_errand_machine_breadth_first),
                cmocka_unit_test(test_errand_table_has_no_dead_edges),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
