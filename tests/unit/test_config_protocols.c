/* SPDX-License-Identifier: Apache-2.0 */
/* Boards of other protocols than Modbus in a configuration: what they cannot do is refused with the reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"
#include "config/complaints.h"
#include "config/config.h"
#include "config/parse.h"

#include <errno.h>

static const char kerong_profile[] = "[Board]\nProtocol=kerong\nOutputs=16\nInputs=32\nFactoryAddress=0\n"
                                     "[Unlock]\nMethod=trigger\nPulse=500ms\n[Inputs]\nActive=1\n";
static const char winnsen_profile[] = "[Board]\nProtocol=winnsen\nOutputs=16\nInputs=16\n"
                                      "[Unlock]\nMethod=trigger\nPulse=750ms\n[Inputs]\nActive=0\n";
static const char modbus_profile[] = "[Board]\nOutputs=8\nInputs=8\n[Unlock]\nMethod=trigger\nPulse=300ms\n";

static const char cabinet_text[] = "[Cabinet]\nNumber=T-1\n[Size S]\nOrder=1\n[Supply main]\n"
                                   "[Line one]\nDevice=/dev/ttyS0\n"
                                   "[Line two]\nDevice=raw-tcp:192.0.2.7:4001\n"
                                   "[Board K]\nLine=one\nAddress=0\nProfile=kerong\nSupply=main\n"
                                   "[Board L]\nLine=one\nAddress=15\nProfile=kerong\nSupply=main\n"
                                   "[Board W]\nLine=two\nAddress=1\nProfile=winnsen\nSupply=main\n"
                                   "[Slot 01]\nSize=S\nColumn=1\nRow=1\nLock=K:1\nDoor=K:1\nPresence=K:17\n"
                                   "[Slot 02]\nSize=S\nColumn=1\nRow=2\nLock=W:16\nDoor=W:16\n";

static int load(void *userdata, const char *profile, char **ret_path, char **ret_data, size_t *ret_size) {
        *ret_data = strdup(streq(profile, "kerong")    ? kerong_profile
                           : streq(profile, "winnsen") ? winnsen_profile
                                                       : modbus_profile);
        *ret_path = text_printf("%s.board", profile);
        assert_non_null(*ret_data);
        assert_non_null(*ret_path);
        *ret_size = strlen(*ret_data);
        return 0;
}

static int parse(const char *text, Cabinet **ret, ConfigReport *report) {
        const ProfileSource source = {.load = load, .place = "memory"};

        return cabinet_parse("cabinet.conf", text, strlen(text), &source, ret, report);
}

static char *edit(const char *text, const char *find, const char *with) {
        const char *at = strstr(text, find);

        assert_non_null(at);
        return text_printf("%.*s%s%s", (int)(at - text), text, with, at + strlen(find));
}

static bool has(const ConfigReport *report, const char *sentence) {
        for (size_t i = 0; i < report->n_lines; i++)
                if (strstr(report->lines[i], sentence))
                        return true;
        print_message("not said: %s; but: %s\n", sentence, report->n_lines ? report->lines[0] : "nothing");
        return false;
}

static void test_protocols_that_make_sense_are_taken(void **state) {
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL;

        if (parse(cabinet_text, &c, &report) < 0)
                fail_msg("%s", report.lines[0]);
        assert_int_equal(c->lines[1].kind, LINE_RAW_TCP);
        assert_string_equal(c->lines[1].device, "192.0.2.7");
        assert_int_equal(c->lines[1].tcp_port, 4001);
        assert_int_equal(c->boards[0].address, 0);
        assert_int_equal(c->profiles[c->boards[0].profile].protocol, BOARD_KERONG);
        assert_int_equal(c->profiles[c->boards[0].profile].factory_address, 0);
        assert_int_equal(c->profiles[c->boards[2].profile].protocol, BOARD_WINNSEN);
        assert_int_equal(c->lines[0].baud, 9600);
        /* A door that is open reads 1 there. */
        assert_false(c->locks[c->slots[1].lock].contact.active);
        assert_int_equal(c->positions[c->slots[0].first_position].presence.channel, 16);
        config_report_clear(&report);
}

typedef struct BadCase {
        const char *find, *with, *complaint;
} BadCase;

static void test_cabinet_each_mistake_raises_its_complaint(void **state) {
        static const BadCase cases[] = {
                {"Address=15", "Address=16",
                 "a whole number from 0 to 15 is allowed for a board that speaks kerong"},
                {"Address=15", "Address=0", "[Board K] has the same address on line one"},
                {"Address=15\n", "",
                 "Address= is missing and required; a whole number from 0 to 15 is allowed"},
                {"Address=15\nProfile=kerong", "Address=15\nProfile=modbus",
                 "boards of this kind speak modbus, and [Board K] on line one speaks kerong; a line carries "
                 "one "
                 "protocol"},
                {"Address=1\nProfile=winnsen", "Address=0\nProfile=modbus",
                 "a whole number from 1 to 247 is allowed for a board that speaks modbus"},
                {"Device=raw-tcp:192.0.2.7:4001", "Device=tcp:192.0.2.7:502",
                 "tcp: is Modbus TCP, and boards of this kind speak winnsen; behind a converter"},
                {"Device=raw-tcp:192.0.2.7:4001", "Device=raw-tcp:4001", "this is not a TCP endpoint"},
                {"Device=raw-tcp:192.0.2.7:4001", "Device=gpio",
                 "[Line two] is GPIO, and this profile is for boards that speak winnsen"},
                {"Device=raw-tcp:192.0.2.7:4001", "Device=raw-tcp:192.0.2.7:4001\nParity=even",
                 "a TCP line has no Parity"},
                {"Lock=W:16", "Lock=W:17", "has no output 17"},
                {"Presence=K:17", "Presence=K:33", "has no input 33"},
                {"Presence=K:17", "Lamp=K:2", "board K is no group of GPIO lines"},
        };
        unsigned wrong = 0;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *text = edit(cabinet_text, cases[i].find, cases[i].with);
                ConfigReport report = {};
                Cabinet *c = NULL;
                wrong += parse(text, &c, &report) >= 0 || !has(&report, cases[i].complaint);
                cabinet_free(c);
                config_report_clear(&report);
        }
        assert_int_equal(wrong, 0);
}

static void test_board_each_mistake_raises_its_complaint(void **state) {
        static const struct {
                const char *profile;
                BadCase bad;
        } cases[] = {
                {kerong_profile, {"Outputs=16", "Outputs=17", "a board that speaks kerong has at most 16"}},
                {kerong_profile, {"Inputs=32", "Inputs=33", "a board that speaks kerong has at most 32"}},
                {kerong_profile,
                 {"Method=trigger", "Method=flash", "makes a pulse of its own length; trigger is allowed"}},
                {kerong_profile,
                 {"Method=trigger", "Method=pulse", "makes a pulse of its own length; trigger is allowed"}},
                {kerong_profile,
                 {"Pulse=500ms", "Pulse=500ms\nMinPulse=100ms", "MinPulse and MaxPulse must equal Pulse"}},
                {kerong_profile,
                 {"Pulse=500ms", "Pulse=500ms\nCoilBase=0", "this key means nothing for Protocol=kerong"}},
                {kerong_profile,
                 {"[Inputs]", "[AllOff]\nMethod=none\n[Inputs]",
                  "this key means nothing for Protocol=kerong"}},
                {kerong_profile,
                 {"Active=1", "Active=1\nFunction=2", "this key means nothing for Protocol=kerong"}},
                {kerong_profile,
                 {"[Inputs]", "[Identify]\nLimit=yes\n[Inputs]",
                  "this key means nothing for Protocol=kerong"}},
                {kerong_profile,
                 {"FactoryAddress=0", "FactoryAddress=16", "a whole number from 0 to 15 is allowed"}},
                {winnsen_profile,
                 {"Inputs=16", "Inputs=17", "tells the state of each lock and nothing else; 16 is allowed"}},
                {winnsen_profile,
                 {"Outputs=16\nInputs=16", "Outputs=33\nInputs=33",
                  "a board that speaks winnsen has at most 32"}},
                {winnsen_profile,
                 {"Active=0", "Active=0\nBase=1", "this key means nothing for Protocol=winnsen"}},
        };
        unsigned wrong = 0;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *text = edit(cases[i].profile, cases[i].bad.find, cases[i].bad.with);
                ConfigReport report = {};
                Complaints complaints = {.report = &report};
                BoardProfile profile;

                board_profile_parse(&complaints, "test", "test.board", text, strlen(text), &profile);
                free(profile.name);
                free(profile.title);
                wrong += complaints_result(&complaints) != -EINVAL || !has(&report, cases[i].bad.complaint);
                config_report_clear(&report);
        }
        assert_int_equal(wrong, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_protocols_that_make_sense_are_taken),
                cmocka_unit_test(test_cabinet_each_mistake_raises_its_complaint),
                cmocka_unit_test(test_board_each_mistake_raises_its_complaint),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
