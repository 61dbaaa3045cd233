/* SPDX-License-Identifier: Apache-2.0 */
/* docs/architecture.md lists every way from state to state of an errand: neither more nor less than the table
 * has. */
#include "core/errand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static bool drawn[ERRAND_STATE_MAX][ERRAND_STATE_MAX], listed[ERRAND_STATE_MAX];

static int state_from_string(const char *word) {
        for (int s = 0; s < ERRAND_STATE_MAX; s++)
                if (streq(word, errand_state_to_string((ErrandState)s)))
                        return s;
        return -1;
}

static void read_line(char *line) {
        char *arrow = strstr(line, " ->"), *rest;

        if (!arrow)
                return;
        *arrow = '\0';
        int from = state_from_string(line);
        if (from < 0)
                return; /* the picture */
        listed[from] = true;
        for (char *word = strtok_r(arrow + 3, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
                int to = state_from_string(word);
                if (to < 0)
                        fail_msg("%s -> %s: no such state", line, word);
                drawn[from][to] = true;
        }
}

static void test_errand_drawing_has_every_edge_and_no_other(void **state) {
        FILE *f = fopen("docs/architecture.md", "re");
        char line[512];

        assert_non_null(f);
        while (fgets(line, sizeof(line), f))
                read_line(line);
        (void)fclose(f);
        for (int from = 0; from < ERRAND_STATE_MAX; from++) {
                assert_true(listed[from]);
                for (int to = 0; to < ERRAND_STATE_MAX; to++)
                        if (from != to &&
                            drawn[from][to] != errand_may_become((ErrandState)from, (ErrandState)to))
                                fail_msg("%s -> %s: %s", errand_state_to_string((ErrandState)from),
                                         errand_state_to_string((ErrandState)to),
                                         drawn[from][to] ? "only drawn" : "not drawn");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_errand_drawing_has_every_edge_and_no_other)};

        return cmocka_run_group_tests_name("errand drawing", tests, NULL, NULL);
}
