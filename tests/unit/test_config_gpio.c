/* SPDX-License-Identifier: Apache-2.0 */
/* GPIO lines in cabinet.conf: lists become references in the order of the channels, and each mistake is
 * named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"
#include "config/config.h"
#include "config/parse.h"

#include <errno.h>
#include <stdio.h>

static const char gpio_profile[] = "[Board]\nProtocol=gpio\nOutputs=16\nInputs=16\n"
                                   "[Unlock]\nMethod=pulse\nPulse=300ms\nMinPulse=50ms\nMaxPulse=1s\n";
static const char modbus_profile[] = "[Board]\nOutputs=8\nInputs=8\n[Unlock]\nMethod=trigger\nPulse=300ms\n";

static const char cabinet_text[] =
        "[Cabinet]\nNumber=T-1\n"
        "[Size S]\nOrder=1\n"
        "[Supply main]\n"
        "[Board G]\nLine=panel\nProfile=gpio\nSupply=main\n"
        "Outputs=LOCK-[01-03], - !gpiochip0:8-9\tLAMP_1\n"
        "Inputs=!DOOR[9-11]A 1000000.gpio:0 -\n"
        "InputBias=pull-up\nOutputDrive=open-drain\nDebounce=25ms\n"
        "[Line panel]\nDevice=gpio\n"
        "[Line serial]\nDevice=/dev/ttyS0\n"
        "[Board M]\nLine=serial\nAddress=1\nProfile=modbus\nSupply=main\n"
        "[Slot 01-02]\nSize=S\nColumn=1\nRow=1\nLock=G:1-2\nDoor=G:1-2\nLamp=G:5,G:7\n"
        "[Slot 03]\nSize=S\nColumn=2\nRow=1\nLock=M:1\nDoor=G:3\n";

typedef struct Profiles {
        const char *gpio;
} Profiles;

static int load(void *userdata, const char *profile, char **ret_path, char **ret_data, size_t *ret_size) {
        const Profiles *p = userdata;

        *ret_data = strdup(streq(profile, "gpio") ? p->gpio : modbus_profile);
        *ret_path = text_printf("%s.board", profile);
        assert_non_null(*ret_data);
        assert_non_null(*ret_path);
        *ret_size = strlen(*ret_data);
        return 0;
}

static int parse(const char *text, const char *gpio, Cabinet **ret, ConfigReport *report) {
        Profiles profiles = {gpio};
        const ProfileSource source = {.load = load, .userdata = &profiles, .place = "memory"};

        return cabinet_parse("cabinet.conf", text, strlen(text), &source, ret, report);
}

static void check_ref(const GpioRef *ref, const char *name, const char *chip, unsigned offset, bool low) {
        assert_int_equal(!ref->name, !name);
        assert_int_equal(!ref->chip, !chip);
        if (name)
                assert_string_equal(ref->name, name);
        if (chip)
                assert_string_equal(ref->chip, chip);
        assert_int_equal(ref->offset, offset);
        assert_int_equal(ref->active_low, low);
}

static void test_gpio_lists_become_channels_in_their_order(void **state) {
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL;

        int r = parse(cabinet_text, gpio_profile, &c, &report);
        if (r < 0)
                fail_msg("%s", report.n_lines ? report.lines[0] : "no complaint");
        const Board *g = &c->boards[0], *m = &c->boards[1];
        assert_int_equal(c->lines[g->line].kind, LINE_GPIO);
        assert_int_equal(g->n_outputs, 7);
        check_ref(&g->outputs[0], "LOCK-01", NULL, 0, false);
        check_ref(&g->outputs[2], "LOCK-03", NULL, 0, false);
        check_ref(&g->outputs[3], NULL, NULL, 0, false);
        check_ref(&g->outputs[4], NULL, "gpiochip0", 8, true);
        check_ref(&g->outputs[5], NULL, "gpiochip0", 9, true);
        check_ref(&g->outputs[6], "LAMP_1", NULL, 0, false);
        assert_int_equal(g->n_inputs, 5);
        check_ref(&g->inputs[0], "DOOR9A", NULL, 0, true);
        check_ref(&g->inputs[2], "DOOR11A", NULL, 0, true);
        check_ref(&g->inputs[3], NULL, "1000000.gpio", 0, false);
        check_ref(&g->inputs[4], NULL, NULL, 0, false);
        assert_int_equal(g->input_bias, GPIO_BIAS_PULL_UP);
        assert_int_equal(g->output_drive, GPIO_DRIVE_OPEN_DRAIN);
        assert_int_equal(g->debounce_ms, 25);

        assert_int_equal(c->slots[0].lamp.board, 0);
        assert_int_equal(c->slots[0].lamp.channel, 4);
        assert_int_equal(c->slots[1].lamp.channel, 6);
        assert_int_equal(c->slots[2].lamp.board, -1);
        assert_int_equal(c->locks[c->slots[2].lock].board, 1);
        assert_int_equal(c->locks[c->slots[2].lock].contact.board, 0);
        assert_int_equal(c->profiles[g->profile].unlock, UNLOCK_PULSE);
        assert_int_equal(cabinet_board_outputs(c, 0), 7);
        assert_int_equal(cabinet_board_outputs(c, 1), 8);
        assert_int_equal(m->n_outputs, 0);
        config_report_clear(&report);
}

static void test_gpio_defaults_leave_the_pins_as_they_are(void **state) {
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL;
        static const char text[] =
                "[Cabinet]\nNumber=T-1\n[Size S]\nOrder=1\n[Supply main]\n[Line p]\nDevice=gpio\n"
                "[Board G]\nLine=p\nProfile=gpio\nSupply=main\nOutputs=a\nInputs=b\n"
                "[Slot 1]\nSize=S\nColumn=1\nRow=1\nLock=G:1\nDoor=G:1\n";

        assert_int_equal(parse(text, gpio_profile, &c, &report), 0);
        assert_int_equal(c->boards[0].input_bias, GPIO_BIAS_AS_IS);
        assert_int_equal(c->boards[0].output_drive, GPIO_DRIVE_PUSH_PULL);
        assert_int_equal(c->boards[0].debounce_ms, 10);
        assert_int_equal(c->locks[0].contact.debounce_ms, 10);
}

typedef struct BadCase {
        const char *find, *with, *expected;
} BadCase;

static char *edit(const char *text, const char *find, const char *with) {
        const char *at = strstr(text, find);

        if (!at)
                fail_msg("\"%s\" is not in the text", find);
        return text_printf("%.*s%s%s", (int)(at - text), text, with, at + strlen(find));
}

static int check_case(const BadCase *bad, const char *text, const char *profile) {
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL;
        bool found = false;

        int r = parse(text, profile, &c, &report);
        for (size_t i = 0; i < report.n_lines; i++)
                found = found || strstr(report.lines[i], bad->expected);
        if (r != -EINVAL || !found) {
                printf("\"%s\" -> \"%s\" (%d), expected \"%s\", got:\n", bad->find, bad->with, r,
                       bad->expected);
                for (size_t i = 0; i < report.n_lines; i++)
                        printf("  %s\n", report.lines[i]);
        }
        config_report_clear(&report);
        return r != -EINVAL || !found;
}

static void test_gpio_each_mistake_raises_its_complaint(void **state) {
        int wrong = 0;
        static const BadCase cases[] = {
                {"Outputs=LOCK-[01-03],", "Outputs=LOCK-[01-03",
                 "cabinet.conf:10: [Board G] Outputs=LOCK-[01-03 - !gpiochip0:8-9\tLAMP_1: \"LOCK-[01-03\": "
                 "a range of "
                 "names is written LOCK-[01-12]"},
                {"LOCK-[01-03]", "LOCK-[03-01]", "the range runs backwards"},
                {"LOCK-[01-03]", "LOCK-[01-003]", "the same number of digits"},
                {"LOCK-[01-03]", "LOCK-[a-b]", "a number or a range of numbers such as 8-15 is wanted"},
                {"LOCK-[01-03]", "LOCK-]01[", "a range of names is written"},
                {"LOCK-[01-03]", "LOCK-01-1234567890-1234567890-12", "at most 31 characters"},
                {"gpiochip0:8-9", "gpiochip0:8-", "a number or a range"},
                {"gpiochip0:8-9", "gpiochip0:", "a number or a range"},
                {"gpiochip0:8-9", "gpiochip0:0x8", "a number or a range"},
                {"gpiochip0:8-9", ":8-9", "the name of a chip has 1 to 31 characters"},
                {"gpiochip0:8-9", "gpiochip0:1024", "offsets count from 0 to 1023"},
                {"gpiochip0:8-9", "gpiochip0:0-300", "more than 256 lines"},
                {"gpiochip0:8-9", "gpiochip0:!8", "stands before the whole reference"},
                {"gpiochip0:8-9", "", "\"!\" stands directly before a line"},
                {"LAMP_1", "LOCK-02",
                 "the line LOCK-02 is already output 2 of [Board G]; each is allowed once"},
                {"1000000.gpio:0", "gpiochip0:9", "the line gpiochip0:9 is already output 6 of [Board G]"},
                {"1000000.gpio:0", "LOCK-01",
                 "Inputs=!DOOR[9-11]A LOCK-01 -: the line LOCK-01 is already output 1"},
                {"LAMP_1", "LAMP-[1-16]", "22 lines; the profile gpio allows 16 outputs"},
                {"1000000.gpio:0", "x:0-15", "20 lines; the profile gpio allows 16 inputs"},
                {"InputBias=pull-up", "InputBias=up", "as-is, disabled, pull-up or pull-down is allowed"},
                {"OutputDrive=open-drain", "OutputDrive=strong",
                 "push-pull, open-drain or open-source is allowed"},
                {"Debounce=25ms", "Debounce=25", "with its unit"},
                {"Debounce=25ms", "Debounce=2s", "a time from 0 to 1s"},
                {"Debounce=25ms", "Address=3", "a board on GPIO lines has no Address"},
                {"Profile=gpio", "Profile=modbus",
                 "[Line panel] is GPIO, and this profile is for boards that speak modbus"},
                {"Address=1\nProfile=modbus", "Address=1\nProfile=gpio",
                 "[Line serial] is not GPIO, and this profile is for gpio lines"},
                {"Address=1\n", "", "[Board M]: Address= is missing and required"},
                {"Address=1\n", "Address=1\nInputs=X\n", "[Line serial] has no Device=gpio"},
                {"Device=gpio", "Device=gpio\nBaud=9600", "a GPIO line has no Baud"},
                {"Device=gpio", "Device=gpio\nResponseTimeout=100ms", "a GPIO line has no ResponseTimeout"},
                {"Device=gpio", "Device=gpios", "nor tcp:HOST:PORT nor raw-tcp:HOST:PORT nor gpio"},
                {"[Line serial]", "[Line more]\nDevice=gpio\n[Line serial]", "has the same device"},
                {"Lock=G:1-2", "Lock=G:1,G:4",
                 "output G:4 is \"-\" in [Board G]: no line is connected to it"},
                {"Door=G:1-2", "Door=G:1,G:5", "input G:5 is \"-\" in [Board G]"},
                {"Door=G:1-2", "Door=G:5-6", "has no input 6; it has 5"},
                {"Lamp=G:5,G:7", "Lamp=G:5", "1 channel for 2 slots"},
                {"Lamp=G:5,G:7", "Lamp=G:5,G:1", "output G:1 is already used"},
                {"Lamp=G:5,G:7", "Lamp=M:3-4",
                 "board M is no group of GPIO lines, and only GPIO lines can be lamps"},
                {"Outputs=LOCK-[01-03], - !gpiochip0:8-9\tLAMP_1\nInputs=!DOOR[9-11]A 1000000.gpio:0 -\n", "",
                 "needs Outputs=, Inputs= or both"},
        };
        static const BadCase profiles[] = {
                {"Method=pulse", "Method=trigger", "pulse is allowed"},
                {"Method=pulse", "Method=pulse\nCoilBase=1", "this key means nothing for Protocol=gpio"},
                {"Outputs=16", "Outputs=16\nBaud=9600", "this key means nothing for Protocol=gpio"},
                {"[Unlock]", "[Inputs]\nFunction=2\n[Unlock]", "this key means nothing for Protocol=gpio"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *text = edit(cabinet_text, cases[i].find, cases[i].with);
                wrong += check_case(&cases[i], text, gpio_profile);
        }
        for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
                _cleanup_free_ char *profile = edit(gpio_profile, profiles[i].find, profiles[i].with);
                wrong += check_case(&profiles[i], cabinet_text, profile);
        }
        assert_int_equal(wrong, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_gpio_lists_become_channels_in_their_order),
                cmocka_unit_test(test_gpio_defaults_leave_the_pins_as_they_are),
                cmocka_unit_test(test_gpio_each_mistake_raises_its_complaint),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
