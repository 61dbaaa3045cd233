/* SPDX-License-Identifier: Apache-2.0 */
/* A drawn pattern: at least five of nine nodes, in the order in which the finger passes them, as digits:
 *
 *   0 1 2
 *   3 4 5
 *   6 7 8
 *
 * Whatever draws it takes in a node that a line crosses, so a pattern that jumps over one which was not used
 * before cannot have been drawn. There are 387488 of at least five nodes. */
#include "identity/hash_wire.h"
#include "identity/job.h"

#include <errno.h>
#include <stdlib.h>

#define SIDE  3
#define NODES (SIDE * SIDE)

/* The node in the middle between two that do not lie next to each other; -1: there is none. */
static int between(int a, int b) {
        int row = a / SIDE + b / SIDE, column = a % SIDE + b % SIDE;

        if (row % 2 || column % 2)
                return -1;
        return row / 2 * SIDE + column / 2;
}

static const char *illegal(const uint8_t *pattern, size_t n) {
        bool used[NODES] = {false};

        for (size_t i = 0; i < n; i++) {
                if (pattern[i] < '0' || pattern[i] > '8')
                        return "pattern: the nodes as digits, 0 to 8, in the order in which they are drawn";
                int node = pattern[i] - '0';
                if (used[node])
                        return "pattern: a node is used twice";
                int over = i > 0 ? between(pattern[i - 1] - '0', node) : -1;
                if (over >= 0 && !used[over])
                        return "pattern: a line crosses a node that was not used before";
                used[node] = true;
        }
        return NULL;
}

/* What most people draw first: letters and rows, in every orientation and direction. */
static const char *const common[] = {
        "01258",     /* L, and the half of a frame */
        "0124678",   /* Z */
        "0367852",   /* U */
        "0125876",   /* C */
        "01258763",  /* a frame */
        "012587634", /* a spiral */
        "012543678", /* a snake */
        "6304852",   /* N */
        "6304258",   /* M */
        "01247",     /* T */
        "04852",     "04876", "012458", "03678", "0124876",
};

/* One of the eight ways to turn and mirror the square. */
static int turned(int node, int way) {
        int row = node / SIDE, column = node % SIDE, swap;

        if (way & 1)
                column = SIDE - 1 - column;
        if (way & 2)
                row = SIDE - 1 - row;
        if (way & 4) {
                swap = row;
                row = column;
                column = swap;
        }
        return row * SIDE + column;
}

static bool same(const uint8_t *pattern, size_t n, const char *shape, int way, bool backwards) {
        if (strlen(shape) != n)
                return false;
        for (size_t i = 0; i < n; i++)
                if (turned(shape[backwards ? n - 1 - i : i] - '0', way) != pattern[i] - '0')
                        return false;
        return true;
}

static bool is_common(const uint8_t *pattern, size_t n) {
        for (size_t i = 0; i < ARRAY_SIZE(common); i++)
                for (int way = 0; way < 16; way++)
                        if (same(pattern, n, common[i], way & 7, way & 8))
                                return true;
        return false;
}

static int acceptable(const uint8_t *pattern, size_t n, unsigned shortest, const char **ret_sentence) {
        *ret_sentence = illegal(pattern, n);
        if (*ret_sentence)
                return -EINVAL;
        if (n < shortest || n < 5) {
                *ret_sentence = "pattern: too few nodes; at least five, or MinimumPatternLength=";
                return -EINVAL;
        }
        return is_common(pattern, n) ? -EDOM : 0;
}

const Verifier verifier_pattern = {
        .kind = CREDENTIAL_PATTERN,
        .evidence_max = NODES,
        .acceptable = acceptable,
        VERIFIED_BY_HASH,
};
