/* SPDX-License-Identifier: Apache-2.0 */
/* src/config: good files become the structures they describe, bad ones are named one by one. Runs in the top
 * directory of the source tree, where config/ is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"
#include "config/config.h"
#include "config/parse.h"
#include "config/ranges.h"
#include "core/face_reader.h"
#include "core/voice_reader.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

static const char board_text[] = "[Board]\nTitle=Test\nOutputs=16\nInputs=16\nBaud=19200\nFactoryAddress=1\n"
                                 "[Unlock]\nMethod=flash\nFlashBase=0x0200\nFlashUnit=100ms\nPulse=500ms\n"
                                 "MinPulse=100ms\nMaxPulse=1000ms\n"
                                 "[AllOff]\nMethod=coil\nAddress=0x00FF\nValue=0\n"
                                 "[Coils]\nFunction=1\n"
                                 "[Inputs]\nFunction=2\nBase=0\nActive=1\n"
                                 "[Identify]\nLimit=yes\n";

/* A shared slot, a plain one with presence, a second board: something of everything. */
static const char cabinet_text[] =
        "[Cabinet]\nNumber=T-1\n"
        "[Size S]\nOrder=1\nWidth=300\n"
        "[Size L]\nOrder=2\n"
        "[Supply main]\nMaxActive=2\n"
        "[Line one]\nDevice=/dev/ttyS0\n"
        "[Board A]\nLine=one\nAddress=1\nProfile=test\nSupply=main\n"
        "[Board B]\nLine=one\nAddress=2\nProfile=test\nSupply=main\n"
        "[Slot 01-04]\nSize=S\nColumn=1\nRow=1\nLock=A:1-3,B:1\nDoor=A:1-4\n"
        "[Slot P1]\nSize=L\nColumn=2\nRow=1\nHeight=4\nLock=A:5\nDoor=A:5\nLatch=A:6\n"
        "[Position P1/1-2]\nLockType=motor\nLock=A:6-7\nSecure=A:8-9\nLatch=A:7-8\n"
        "[Alarm fire]\nInput=A:16\n";

static int load_fixed(void *userdata, const char *profile, char **ret_path, char **ret_data,
                      size_t *ret_size) {
        const char *text = userdata;

        if (!streq(profile, "test"))
                return -ENOENT;
        *ret_path = strdup("test.board");
        *ret_data = strdup(text);
        assert_non_null(*ret_path);
        assert_non_null(*ret_data);
        *ret_size = strlen(text);
        return 0;
}

static int parse(const char *cabinet, const char *board, Cabinet **ret, ConfigReport *report) {
        const ProfileSource source = {.load = load_fixed, .userdata = (void *)board, .place = "memory"};

        return cabinet_parse("cabinet.conf", cabinet, strlen(cabinet), &source, ret, report);
}

/* A copy with the first `find` replaced; find NULL: `with` is appended. */
static char *edit(const char *text, const char *find, const char *with) {
        if (!find)
                return text_printf("%s%s", text, with);
        const char *at = strstr(text, find);
        if (!at)
                fail_msg("\"%s\" is not in the text", find);
        return text_printf("%.*s%s%s", (int)(at - text), text, with, at + strlen(find));
}

static bool report_has(const ConfigReport *r, const char *text) {
        for (size_t i = 0; i < r->n_lines; i++)
                if (strstr(r->lines[i], text))
                        return true;
        return false;
}

static void print_report(const ConfigReport *r) {
        for (size_t i = 0; i < r->n_lines; i++)
                print_error("  %s\n", r->lines[i]);
}

static void expect_clean(int r, const ConfigReport *report) {
        if (r < 0 || report->n_lines > 0)
                print_report(report);
        assert_int_equal(r, 0);
        assert_int_equal(report->n_lines, 0);
}

typedef struct BadCase {
        const char *find, *with; /* one edit of a good file */
        const char *complaint;   /* part of the one line it must raise */
} BadCase;

/* 1 when the one expected line is not what came, so that a table is gone through to its end. */
static int check_complaint(const BadCase *bad, int r, const ConfigReport *report, const void *result) {
        if (r == -EINVAL && !result && report->n_lines == 1 && report_has(report, bad->complaint))
                return 0;
        print_error("after \"%s\" -> \"%s\" (%d), expected \"%s\", got:\n", bad->find ? bad->find : "",
                    bad->with, r, bad->complaint);
        print_report(report);
        return 1;
}

static void test_ranges_labels_expand_with_padding(void **state) {
        static const struct {
                const char *text;
                unsigned count;
                const char *first, *last;
        } good[] = {
                {"01-12", 12, "01", "12"},    {"1-12", 12, "1", "12"},
                {"P1-P4", 4, "P1", "P4"},     {"A-01-A-12", 12, "A-01", "A-12"},
                {"7", 1, "7", "7"},           {"A-1", 1, "A-1", "A-1"},
                {"098-101", 4, "098", "101"}, {"5-5", 1, "5", "5"},
                {"Left", 1, "Left", "Left"},  {"0-0", 1, "0", "0"},
                {"a8-a11", 4, "a8", "a11"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                LabelRange range;
                char label[LABEL_LENGTH_MAX + 1];
                assert_null(label_range_parse(good[i].text, strlen(good[i].text), &range));
                assert_int_equal(range.count, good[i].count);
                label_range_get(&range, 0, label);
                assert_string_equal(label, good[i].first);
                label_range_get(&range, range.count - 1, label);
                assert_string_equal(label, good[i].last);
        }
}

static void test_ranges_labels_malformed_are_refused(void **state) {
        static const char *const bad[] = {"",
                                          "-1",
                                          "1-",
                                          "12-01",
                                          "01-012",
                                          "P1-4",
                                          "a b",
                                          "1/2",
                                          "1-1000",
                                          "ä",
                                          "12345678901234567",
                                          "1-1234567",
                                          "a1_b",
                                          "123456789012345-123456789012346"};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                LabelRange range;
                if (!label_range_parse(bad[i], strlen(bad[i]), &range))
                        fail_msg("\"%s\" was accepted", bad[i]);
        }
}

static void test_ranges_channels_malformed_are_refused(void **state) {
        static const char *const bad[] = {"",     "A",    "A:",  ":1",  "A:0",   "A:257",         "A:3-1",
                                          "A:1-", "A:-1", "A:x", "1-4", "A:1 2", "A:99999999999", "A:1-2-3"};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                ChannelRange range;
                const char *cursor = bad[i];
                if (!channel_range_next(&cursor, &range))
                        fail_msg("\"%s\" was accepted", bad[i]);
        }
}

static void test_cabinet_examples_parse_cleanly(void **state) {
        static const struct {
                const char *path;
                int slots, positions, locks, boards, alarms;
        } examples[] = {{"config/cabinet-12.conf", 12, 12, 12, 1, 1},
                        {"config/cabinet-60.conf", 60, 80, 84, 4, 0},
                        {"config/cabinet-gpio.conf", 6, 7, 8, 2, 1}};

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                ConfigReport report = {};
                _cleanup_(cabinet_freep) Cabinet *c = NULL;
                expect_clean(config_read_cabinet(examples[i].path, "config/boards", &c, &report), &report);
                assert_int_equal(c->n_slots, examples[i].slots);
                assert_int_equal(c->n_positions, examples[i].positions);
                assert_int_equal(c->n_locks, examples[i].locks);
                assert_int_equal(c->n_boards, examples[i].boards);
                assert_int_equal(c->n_alarms, examples[i].alarms);
        }
}

static void test_board_installed_profiles_parse_cleanly(void **state) {
        static const char *const names[] = {"cu48",        "generic-pulse-16",   "generic-pulse-32",
                                            "gpio",        "waveshare-relay-16", "waveshare-relay-d-8",
                                            "kerong-cu12", "kerong-cu16",        "winnsen-16"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                ConfigReport report = {};
                Complaints complaints = {.report = &report};
                BoardProfile profile;
                _cleanup_free_ char *path = text_printf("config/boards/%s.board", names[i]), *data = NULL;
                size_t size;

                assert_int_equal(ini_file_load(path, &data, &size), 0);
                board_profile_parse(&complaints, names[i], path, data, size, &profile);
                expect_clean(complaints_result(&complaints), &report);
                assert_string_equal(profile.name, names[i]);
                free(profile.name);
                free(profile.title);
        }
}

static void test_cabinet_wiring_refers_by_index(void **state) {
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL;

        expect_clean(parse(cabinet_text, board_text, &c, &report), &report);
        assert_int_equal(c->n_slots, 5);
        assert_int_equal(c->n_positions, 6);
        assert_int_equal(c->n_locks, 7);

        /* The fourth slot of the range hangs on the second board, its contact on the first. */
        int slot = cabinet_find_slot(c, "04");
        const Lock *lock = &c->locks[c->slots[slot].lock];
        assert_int_equal(slot, 3);
        assert_int_equal(lock->board, 1);
        assert_int_equal(lock->coil, 0);
        assert_int_equal(lock->contact.board, 0);
        assert_int_equal(lock->contact.channel, 3);
        assert_true(lock->contact.active);
        assert_int_equal(lock->latch.board, -1);
        assert_int_equal(lock->pulse_ms, 500);
        assert_int_equal(lock->release_ms, 1500);
        assert_int_equal(lock->secure_coil, -1);
        assert_int_equal(c->slots[slot].n_positions, 1);
        assert_int_equal(c->positions[c->slots[slot].first_position].lock, -1);
        assert_int_equal(c->slots[slot].row, 4);

        /* The lid of the second position in the shared slot. */
        slot = cabinet_find_slot(c, "P1");
        int position = cabinet_find_position(c, slot, 2);
        assert_int_equal(c->slots[slot].n_positions, 2);
        assert_int_equal(c->positions[position].slot, slot);
        lock = &c->locks[c->positions[position].lock];
        assert_int_equal(lock->slot, slot);
        assert_int_equal(lock->position, position);
        assert_int_equal(lock->kind, LOCK_MOTOR);
        assert_int_equal(lock->coil, 6);
        assert_int_equal(lock->secure_coil, 8);
        assert_int_equal(lock->latch.channel, 7);

        assert_true(c->alarms[0].all_slots);
        assert_int_equal(c->alarms[0].input.channel, 15);
        assert_int_equal(c->lines[0].baud, 19200); /* from the profile */
        assert_int_equal(c->boards[0].idle_poll_ms, 250);
        assert_int_equal(c->supplies[0].max_active, 2);
        assert_int_equal(c->n_profiles, 1);
        assert_true(isnan(c->latitude));
        assert_string_equal(c->timezone, "UTC");
        assert_string_equal(c->sizes[0].label, "S");
}

/* No board's Debounce= reaches the inputs that let people out.
 * Requirement: F12 */
static void test_cabinet_safety_inputs_have_a_debounce_time_of_their_own(void **state) {
        static const struct {
                const char *board, *alarm, *slot;
                unsigned door_ms, fire_ms, release_ms;
        } cases[] = {
                {"", "", "", 0, 100, 100},
                {"Debounce=0\n", "", "", 0, 100, 100},
                {"Debounce=1s\n", "", "", 1000, 100, 100},
                {"Debounce=20ms\n", "Debounce=40ms\n", "ReleaseDebounce=500ms\n", 20, 40, 500},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                ConfigReport report = {};
                _cleanup_(cabinet_freep) Cabinet *c = NULL;
                char text[1024];

                snprintf(text, sizeof(text),
                         "[Cabinet]\nNumber=T-1\n[Size S]\nOrder=1\n[Supply main]\n"
                         "[Line one]\nDevice=/dev/ttyS0\n"
                         "[Board A]\nLine=one\nAddress=1\nProfile=test\nSupply=main\n%s"
                         "[Slot 1]\nSize=S\nColumn=1\nRow=1\nLock=A:1\nDoor=A:1\nRelease=A:2\n%s"
                         "[Alarm fire]\nInput=A:3\n%s",
                         cases[i].board, cases[i].slot, cases[i].alarm);
                assert_int_equal(parse(text, board_text, &c, &report), 0);
                assert_int_equal(c->locks[0].contact.debounce_ms, cases[i].door_ms);
                assert_int_equal(c->slots[0].release.debounce_ms, cases[i].release_ms);
                assert_int_equal(c->alarms[0].input.debounce_ms, cases[i].fire_ms);
        }
}

/* Requirement: D1 */
static void test_cabinet_reader_of_fingers_has_the_usual_baud_rate(void **state) {
        _cleanup_free_ char *text =
                edit(cabinet_text, "[Size L]", "[Reader fingerprint]\nDevice=/dev/ttyS7\n[Size L]");
        _cleanup_free_ char *slow = edit(text, "ttyS7", "ttyS7\nType=uart\nBaud=9600");
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL, *d = NULL;

        expect_clean(parse(text, board_text, &c, &report), &report);
        assert_int_equal(c->n_readers, 1);
        assert_int_equal(c->readers[0].kind, CREDENTIAL_FINGERPRINT);
        assert_string_equal(c->readers[0].device, "/dev/ttyS7");
        assert_int_equal(c->readers[0].baud, 57600);
        expect_clean(parse(slow, board_text, &d, &report), &report);
        assert_int_equal(d->readers[0].baud, 9600);
}

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define FACE_WITH(detector)                                                                      \
        "[Reader face]\nDevice=/dev/video0\nDetector=" detector "\nLandmarks=/srv/b.onnx 7 " SHA \
        "\nEmbedding=/srv/c.onnx\t268435456 " SHA "\n"
#define FACE_TEXT FACE_WITH("/srv/a model.onnx 1200 " SHA)

/* Requirement: C1 */
static void test_cabinet_camera_names_its_models_and_has_the_measured_threshold(void **state) {
        _cleanup_free_ char *text = edit(cabinet_text, "[Size L]", FACE_TEXT "[Size L]");
        _cleanup_free_ char *strict = edit(text, "[Reader face]",
                                           "[Reader "
                                           "face]\nThreshold=600\nEmbeddingPixels=raw\nMinimumFace="
                                           "100\nMinimumLight=0\nWidth=1280\nHeight=720");
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL, *d = NULL;

        expect_clean(parse(text, board_text, &c, &report), &report);
        assert_int_equal(c->n_readers, 1);
        assert_int_equal(c->readers[0].kind, CREDENTIAL_FACE);
        assert_string_equal(c->readers[0].device, "/dev/video0");
        assert_int_equal(c->readers[0].n_setup, sizeof(FaceReader));
        const FaceReader *r = c->readers[0].setup;
        assert_string_equal(r->models[FACE_DETECTOR].path, "/srv/a model.onnx");
        assert_int_equal(r->models[FACE_DETECTOR].size, 1200);
        assert_int_equal(r->models[FACE_EMBEDDING].size, FACE_MODEL_MAX);
        assert_int_equal(r->models[FACE_LANDMARKS].sha256[31], 0xef);
        assert_int_equal(r->threshold, 450);
        assert_false(r->raw_pixels);
        expect_clean(parse(strict, board_text, &d, &report), &report);
        r = d->readers[0].setup;
        assert_int_equal(r->threshold, 600);
        assert_true(r->raw_pixels);
        assert_int_equal(r->width * r->height, 1280 * 720);
        assert_int_equal(r->minimum_face + r->minimum_light, 100);
}

/* Requirement: C1 */
static void test_cabinet_reader_of_voices_has_the_measured_limits(void **state) {
        _cleanup_free_ char *text =
                edit(cabinet_text, "[Size L]", "[Reader voice]\nDevice=plughw:CARD=Mic,DEV=0\n[Size L]");
        _cleanup_free_ char *strict =
                edit(text, "DEV=0", "DEV=0\nThreshold=180\nNoiseLimit=-35dB\nQuietLimit=-50dB");
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL, *d = NULL;

        expect_clean(parse(text, board_text, &c, &report), &report);
        assert_int_equal(c->n_readers, 1);
        assert_int_equal(c->readers[0].kind, CREDENTIAL_VOICE);
        assert_string_equal(c->readers[0].device, "plughw:CARD=Mic,DEV=0");
        assert_true(reader_opens_itself(&c->readers[0]));
        assert_int_equal(c->readers[0].n_setup, sizeof(VoiceReader));
        const VoiceReader *r = c->readers[0].setup;
        assert_int_equal(r->threshold, VOICE_THRESHOLD_DEFAULT);
        assert_int_equal(r->noise_db, VOICE_NOISE_DEFAULT);
        assert_int_equal(r->quiet_db, VOICE_QUIET_DEFAULT);
        expect_clean(parse(strict, board_text, &d, &report), &report);
        r = d->readers[0].setup;
        assert_int_equal(r->threshold, 180);
        assert_int_equal(r->noise_db, 35);
        assert_int_equal(r->quiet_db, 50);
}

static void test_cabinet_order_of_sections_does_not_matter(void **state) {
        static const char reversed[] =
                "[Position P1/1]\nLock=A:2\nLatch=A:2\n"
                "[Slot P1]\nSize=S\nColumn=1\nRow=1\nLock=A:1\nDoor=A:1\nDoorClosedWhen=off\n"
                "[Board A]\nLine=one\nAddress=1\nProfile=test\nSupply=main\n"
                "[Line one]\nDevice=tcp:[::1]:5020\n[Supply main]\n[Size S]\nOrder=1\n"
                "[Cabinet]\nNumber=T\nLatitude=-33.5\nLongitude=+151.25\n";
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL;

        expect_clean(parse(reversed, board_text, &c, &report), &report);
        assert_int_equal(c->lines[0].kind, LINE_TCP);
        assert_string_equal(c->lines[0].device, "::1");
        assert_int_equal(c->lines[0].tcp_port, 5020);
        assert_false(c->locks[0].contact.active);
        assert_int_equal(c->positions[0].lock, 1);
        assert_true(c->latitude < -33.49 && c->latitude > -33.51);
}

static void test_cabinet_range_wraps_into_next_column(void **state) {
        _cleanup_free_ char *text =
                edit(cabinet_text, "Column=1\nRow=1", "Column=7\nRow=3\nHeight=2\nWrap=5");
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL;

        expect_clean(parse(text, board_text, &c, &report), &report);
        static const unsigned places[4][2] = {{7, 3}, {7, 5}, {8, 3}, {8, 5}};
        for (int i = 0; i < 4; i++) {
                assert_int_equal(c->slots[i].column, places[i][0]);
                assert_int_equal(c->slots[i].row, places[i][1]);
        }
}

static void test_cabinet_each_mistake_raises_its_complaint(void **state) {
        int wrong = 0;
        static const BadCase cases[] = {
                {"Number=T-1\n", "", "cabinet.conf:1: [Cabinet]: Number= is missing and required"},
                {"Number=T-1", "Number=a/b",
                 "cabinet.conf:2: [Cabinet] Number=a/b: \"a/b\" is not understood"},
                {"Number=T-1", "Numbr=1\nNumber=T-1",
                 "there is no such key in [Cabinet]; did you mean \"Number\"?"},
                {"Number=T-1", "Number=T-1\nNumber=T-2",
                 "cabinet.conf:3: [Cabinet] Number=T-2: Number= already stands in line 2"},
                {"Number=T-1", "Number=T-1\nName=", "the value is missing"},
                {"Number=T-1", "Number=T-1\nLatitude=91\nLongitude=1", "decimal degrees from -90 to 90"},
                {"Number=T-1", "Number=T-1\nLatitude=9,5\nLongitude=1", "is not understood"},
                {"Number=T-1", "Number=T-1\nLatitude=9", "belong together"},
                {"Number=T-1", "Number=T-1\nTimeZone=../../etc/passwd", "IANA"},
                {"Number=T-1", "Number=T-1\nName=a\tb\x01", "not text"},
                {"Number=T-1", "Number=T-1\nName=\xff", "not text"},
                {"Number=T-1", "Number=T-1\nnonsense", "cabinet.conf:3: this line is neither"},
                {"Number=T-1", "Number=T-1\n=5", "there is no key"},
                {"[Cabinet]", "X=1\n[Cabinet]", "stands before the first [Section]"},
                {NULL, "[Cabinet]\n", "already begins in line 1"},
                {NULL, "[Slots 20]\nSize=S\n", "there is no such section; did you mean \"Slot\"?"},
                {NULL, "[Slot 20\nSize=S\n", "is not a section header"},
                {NULL, "[]\nx=1\n", "names no section"},
                {"Order=2", "Order=1", "[Size S] has the same order"},
                {"Order=2", "Order=100", "a whole number from 1 to 99"},
                {"[Size L]", "[Size L]\nOrder=3\n[Size L]", "names must differ"},
                {"[Size L]", "[Size ../L]\nOrder=3\n[Size L]", "write [Size NAME]"},
                {"[Size L]", "[Reader finger]\nDevice=/dev/ttyS1\n[Size L]",
                 "[Reader KIND] is allowed of the kinds fingerprint"},
                {"[Size L]", "[Reader pin]\nDevice=/dev/ttyS1\n[Size L]", "there is no such reader"},
                {"[Size L]", "[Reader]\nDevice=/dev/ttyS1\n[Size L]", "there is no such reader"},
                {"[Size L]", "[Reader fingerprint]\n[Size L]", "Device= is missing and required"},
                {"[Size L]", "[Reader fingerprint]\nDevice=ttyS1\n[Size L]", "is allowed"},
                {"[Size L]", "[Reader fingerprint]\nDevice=/dev/ttyS0\n[Size L]",
                 "[Line one] has the same device"},
                {"[Size L]", "[Reader fingerprint]\nDevice=/dev/ttyS1\nType=spi\n[Size L]",
                 "uart or usb is allowed"},
                {"[Size L]", "[Reader fingerprint]\nDevice=/dev/ttyS1\nType=usb\n[Size L]",
                 "Device= is for Type=uart"},
                {"[Size L]", "[Reader fingerprint]\nType=usb\nBaud=9600\n[Size L]", "Baud= is for Type=uart"},
                {"[Size L]", "[Reader fingerprint]\nDevice=/dev/ttyS1\nId=elan\n[Size L]",
                 "Id= is for Type=usb"},
                {"[Size L]", "[Reader fingerprint]\nDevice=/dev/ttyS1\nBaud=57601\n[Size L]", "57600"},
                {"[Size L]",
                 "[Reader fingerprint]\nDevice=/dev/ttyS1\n[Reader fingerprint]\nDevice=/dev/ttyS2\n[Size L]",
                 "one of a kind is allowed"},
                {"[Size L]",
                 "[Reader face]\nDevice=/dev/video0\nDetector=/a 1 " SHA "\nLandmarks=/b 1 " SHA "\n[Size L]",
                 "Embedding= is missing and required"},
                {"[Size L]", FACE_TEXT "Baud=9600\n[Size L]", "there is no such key in [Reader]"},
                {"[Size L]", FACE_TEXT "Threshold=299\n[Size L]", "a whole number from 300 to 900"},
                {"[Size L]", FACE_TEXT "EmbeddingPixels=bgr\n[Size L]", "normalised or raw is allowed"},
                {"[Size L]", FACE_WITH("a.onnx 7 " SHA) "[Size L]", "this is not the path of a file"},
                {"[Size L]", FACE_WITH("/a.onnx " SHA) "[Size L]", "this is not the path of a file"},
                {"[Size L]", FACE_WITH("/a.onnx 0 " SHA) "[Size L]", "this is not the path of a file"},
                {"[Size L]", FACE_WITH("/a.onnx 268435457 " SHA) "[Size L]", "its size in bytes"},
                {"[Size L]", FACE_WITH("/a.onnx 7 " SHA "0") "[Size L]", "its SHA-256"},
                {"[Size L]", FACE_WITH("/a.onnx") "[Size L]", "this is not the path of a file"},
                {"[Size L]", "[Reader voice]\nThreshold=200\n[Size L]", "Device= is missing and required"},
                {"[Size L]", "[Reader voice]\nDevice=my microphone\n[Size L]", "without blanks are allowed"},
                {"[Size L]", "[Reader voice]\nDevice=hw:1\nType=usb\n[Size L]",
                 "there is no such key in [Reader]"},
                {"[Size L]", "[Reader voice]\nDevice=hw:1\nThreshold=99\n[Size L]",
                 "a whole number from 100 to 300"},
                {"[Size L]", "[Reader voice]\nDevice=hw:1\nNoiseLimit=40dB\n[Size L]",
                 "a level from -70dB to -10dB"},
                {"[Size L]", "[Reader voice]\nDevice=hw:1\nNoiseLimit=-0x20dB\n[Size L]",
                 "a level from -70dB to -10dB"},
                {"[Size L]", "[Reader voice]\nDevice=hw:1\nQuietLimit=-71dB\n[Size L]",
                 "a level from -70dB to -10dB"},
                {"[Size L]", "[Reader fingerprint]\nDevice=/dev/ttyS1\nThreshold=200\n[Size L]",
                 "there is no such key"},
                {"[Size L]", "[Reader voice]\nDevice=hw:1\n[Reader voice]\nDevice=hw:2\n[Size L]",
                 "one of a kind is allowed"},
                {"MaxActive=2", "MaxActive=17", "a whole number from 1 to 16"},
                {"MaxActive=2", "MaxActive=0", "outside the range"},
                {"MaxActive=2", "Cooldown=100", "with its unit"},
                {"MaxActive=2", "Cooldown=100ms # rest", "a # comment needs a line of its own"},
                {"/dev/ttyS0", "ttyS0", "neither an absolute path nor tcp:HOST:PORT"},
                {"/dev/ttyS0", "tcp:host", "not a TCP endpoint"},
                {"/dev/ttyS0", "tcp:host:70000", "not a TCP endpoint"},
                {"/dev/ttyS0", "tcp:host:502\nBaud=9600", "a TCP line has no Baud"},
                {"/dev/ttyS0", "tcp:host:502\nEcho=yes", "a TCP line has no Echo"},
                {"/dev/ttyS0", "tcp:host:502\nSurplusFront=1", "a TCP line has no SurplusFront"},
                {"/dev/ttyS0", "raw-tcp:host:502\nRS485=yes", "a TCP line has no RS485"},
                {"/dev/ttyS0", "/dev/ttyS0\nEcho=perhaps", "yes or no is allowed"},
                {"/dev/ttyS0", "/dev/ttyS0\nSurplusBack=5", "a whole number from 0 to 4"},
                {"/dev/ttyS0", "raw-tcp:host:502\nEcho=yes\nSurplusFront=-1", "a whole number from 0 to 4"},
                {"/dev/ttyS0", "/dev/ttyS0\nParity=mark", "none, even or odd is allowed"},
                {"/dev/ttyS0", "/dev/ttyS0\nBaud=9601", "1200, 2400"},
                {"/dev/ttyS0", "/dev/ttyS0\nResponseTimeout=3s", "a time from 20ms to 2s"},
                {"Address=1\n", "Address=1\nIdlePoll=9ms\n", "a time from 10ms to 2s"},
                {"Address=1\n", "Address=1\nIdlePoll=3s\n", "a time from 10ms to 2s"},
                {"[Line one]", "[Line two]\nDevice=/dev/ttyS0\n[Line one]", "has the same device"},
                {"Address=2", "Address=1", "[Board A] has the same address on line one"},
                {"Address=2", "Address=248", "a whole number from 1 to 247"},
                {"Line=one\nAddress=2", "Line=on\nAddress=2", "there is no [Line on]; did you mean \"one\"?"},
                {"Address=2\nProfile=test\nSupply=main", "Address=2\nProfile=test\nSupply=x",
                 "there is no [Supply x]"},
                {"Address=2\nProfile=test", "Address=2\nProfile=../x", "cannot be the name of a profile"},
                {"Door=A:1-4", "", "no feedback"},
                {"Lock=A:1-3,B:1", "", "Lock= is missing and required"},
                {"Door=A:1-4", "Door=A:1-3", "3 channels for 4 slots"},
                {"Door=A:1-4", "Door=A:13-16", "input A:16 is already used by [Slot 01-04] Door= in line"},
                {"Door=A:1-4", "Door=A:14-17", "has no input 17; it has 16"},
                {"Door=A:1-4", "Door=A:1-4\nLatch=A:1-4",
                 "input A:1 is already used by [Slot 01-04] Door= in line"},
                {"Door=A:1-4", "Door=C:1-4", "there is no [Board C]"},
                {"Door=A:1-4", "Door=A1-4", "an item is not BOARD:CHANNEL"},
                {"Door=A:1-4", "Door=A:1-4\nDoorClosedWhen=maybe", "on or off is allowed"},
                {"Door=A:1-4", "Latch=A:1-4\nDoorClosedWhen=on", "means nothing without Door="},
                {"Door=A:1-4", "Door=A:1-4\nRelease=A:10", "1 channel for 4 slots"},
                {"Door=A:1-4", "Door=A:1-4\nPulse=50ms",
                 "outside what the profile test allows: 100ms to 1000ms"},
                {"Door=A:1-4", "Door=A:1-4\nPulse=150ms", "makes multiples of 100ms"},
                {"Door=A:1-4", "Door=A:1-4\nLockType=motor", "needs Secure="},
                {"Door=A:1-4", "Door=A:1-4\nSecure=A:10-13", "LockType=latch locks by itself"},
                {"Door=A:1-4", "Door=A:1-4\nWrap=2\nHeight=3", "has no room for a slot of 3"},
                {"Lock=A:1-3,B:1", "Lock=A:1,A:1,A:2-3", "output A:1 is already used by [Slot 01-04]"},
                {"Lock=A:5", "Lock=A:1", "output A:1 is already used by [Slot 01-04] Lock="},
                {"Secure=A:8-9", "Secure=A:8,B:9", "both must be on the same board"},
                {"Secure=A:8-9\n", "", "needs Secure="},
                {"LockType=motor\nLock=A:6-7\nSecure=A:8-9\nLatch=A:7-8", "Lock=A:6-7", "no feedback"},
                {"[Position P1/1-2]", "[Position P1/2-3]", "position P1/1 is missing"},
                {"Input=A:16", "Input=A:16\nDebounce=0", "a time from 40ms to 500ms"},
                {"Input=A:16", "Input=A:16\nDebounce=39ms", "a time from 40ms to 500ms"},
                {"Input=A:16", "Input=A:16\nDebounce=501ms", "a time from 40ms to 500ms"},
                {"Latch=A:6\n", "Latch=A:6\nRelease=A:12\nReleaseDebounce=10ms\n",
                 "a time from 40ms to 500ms"},
                {"Latch=A:6\n", "Latch=A:6\nRelease=A:12\nReleaseDebounce=1s\n", "a time from 40ms to 500ms"},
                {"Latch=A:6\n", "Latch=A:6\nReleaseDebounce=50ms\n", "means nothing without Release="},
                {"Address=2", "Address=2\nDebounce=1001ms", "a time from 0 to 1s"},
                {"[Position P1/1-2]", "[Position P2/1-2]", "there is no slot \"P2\""},
                {"[Position P1/1-2]", "[Position P1]", "write [Position P1/1-6]"},
                {"[Position P1/1-2]", "[Position P1/0-1]", "numbers count from 1"},
                {"[Position P1/1-2]", "[Position P1/1]\nLock=A:10\nLatch=A:10\n[Position P1/1-2]",
                 "P1/1 is already described"},
                {"[Position P1/1-2]", "[Position P1/3]\nPresence=A:10\n[Position P1/1-2]",
                 "position P1/3 has no Lock="},
                {"Latch=A:6\n", "Latch=A:6\nPresence=A:12\n", "Presence= belongs there"},
                {"[Position P1/1-2]\nLockType=motor\nLock=A:6-7\nSecure=A:8-9\nLatch=A:7-8",
                 "[Position P1/1]\nDoor=A:9", "Door= belongs to a lock; Lock= is missing"},
                {"[Slot P1]", "[Slot 04]\nSize=S\nColumn=9\nRow=1\nLock=B:5\nDoor=B:5\n[Slot P1]",
                 "the label \"04\" is already used by [Slot 01-04]"},
                {"[Slot P1]", "[Slot p1]\nSize=S\nColumn=9\nRow=1\nLock=B:5\nDoor=B:5\n[Slot P1]",
                 "the label \"P1\" is already used by [Slot p1]"},
                {"[Slot P1]", "[Slot 9-5]\nSize=S\nColumn=9\nRow=1\nLock=B:5\nDoor=B:5\n[Slot P1]",
                 "runs backwards"},
                {"Column=2", "Column=1", "slot P1 (column 1, row 1, height 4) overlaps slot 01"},
                {"Size=L", "Size=l", "there is no [Size l]"},
                {"Size=L", "Size=L\nTemperature=warm", "ambient, chilled or frozen is allowed"},
                {"Size=L", "Size=L\nAccessible=perhaps", "yes or no is allowed"},
                {"Input=A:16", "Input=A:14-15", "2 channels for 1 alarm"},
                {"Input=A:16", "Input=A:16\nSlots=01-05", "there is no slot \"05\""},
                {"Input=A:16\n", "", "Input= is missing"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *text = edit(cabinet_text, cases[i].find, cases[i].with);
                ConfigReport report = {};
                Cabinet *c = NULL;
                int r = parse(text, board_text, &c, &report);
                wrong += check_complaint(&cases[i], r, &report, c);
                config_report_clear(&report);
        }
        assert_int_equal(wrong, 0);
}

static void test_board_each_mistake_raises_its_complaint(void **state) {
        int wrong = 0;
        static const BadCase cases[] = {
                {"Outputs=16\n", "", "test.board:1: [Board]: Outputs= is missing"},
                {"Outputs=16", "Outputs=257", "a whole number from 0 to 256"},
                {"Title=Test", "Title=Test\nProtocol=can", "modbus, gpio, kerong or winnsen is allowed"},
                {"FactoryAddress=1", "FactoryAddress=0", "a whole number from 1 to 247"},
                {"[Coils]", "[Relays]\n[Coils]", "there is no such section in a board file"},
                {"[Coils]\n", "[Board]\n[Coils]\n", "already begins in line 1"},
                {"[Coils]", "[Coils 1]", "this section has no name"},
                {"Method=flash", "Method=blink", "flash, trigger or pulse is allowed"},
                {"FlashBase=0x0200\n", "", "FlashBase= is missing"},
                {"FlashBase=0x0200", "FlashBase=0xFFF8", "beyond 0xFFFF"},
                {"FlashBase=0x0200", "FlashBase=0x10000", "a number from 0x0000 to 0xFFFF"},
                {"FlashUnit=100ms\n", "", "FlashUnit= is missing"},
                {"FlashUnit=100ms", "FlashUnit=100", "with its unit"},
                {"Pulse=500ms\n", "Pulse=550ms\n", "Pulse=550ms is not a multiple of FlashUnit"},
                {"Pulse=500ms\n", "Pulse=2s\n", "not between MinPulse (100ms) and MaxPulse (1000ms)"},
                {"Method=flash", "Method=trigger", "MinPulse and MaxPulse must equal Pulse"},
                {"Method=flash", "Method=pulse\nOffValue=0xFF00", "they must differ"},
                {"Address=0x00FF\n", "", "Address= is missing"},
                {"Method=coil", "Method=each", "this key belongs to Method=coil"},
                {"[Inputs]\nFunction=2", "[Inputs]\nFunction=0",
                 "a board with inputs needs a way to read them"},
                {"[Inputs]\nFunction=2", "[Inputs]\nFunction=4", "0, 1 or 2 is allowed"},
                {"Base=0\n", "Base=0xFFF0\n", "beyond 0xFFFF"},
                {"Limit=yes", "Function=3\nAddress=1\nMinimum=5\nMaximum=4",
                 "Minimum is larger than Maximum"},
                {"Limit=yes", "Address=1", "this key needs Function=3 or Function=4"},
                {"Limit=yes", "Function=3\nAddress=1\nMinimum=2", "Maximum= is missing"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *board = edit(board_text, cases[i].find, cases[i].with);
                ConfigReport report = {};
                Complaints complaints = {.report = &report};
                BoardProfile profile;

                board_profile_parse(&complaints, "test", "test.board", board, strlen(board), &profile);
                free(profile.name);
                free(profile.title);
                wrong += check_complaint(&cases[i], complaints_result(&complaints), &report, NULL);
                config_report_clear(&report);
        }
        assert_int_equal(wrong, 0);
}

static void test_board_worker_timed_without_all_off_is_refused(void **state) {
        static const char board[] =
                "[Board]\nOutputs=4\nInputs=0\n[Unlock]\nMethod=pulse\nPulse=300ms\n[AllOff]\nMethod=none\n";
        ConfigReport report = {};
        Complaints complaints = {.report = &report};
        BoardProfile profile;

        board_profile_parse(&complaints, "test", "test.board", board, strlen(board), &profile);
        assert_int_equal(complaints_result(&complaints), -EINVAL);
        assert_true(report_has(&report, "needs a way to switch off"));
        assert_int_equal(report.n_lines, 1);
        free(profile.name);
        free(profile.title);
        config_report_clear(&report);
}

static void test_board_defaults_follow_the_method(void **state) {
        static const char board[] = "[Board]\nOutputs=4\nInputs=2\n[Unlock]\nMethod=pulse\nPulse=300ms\n";
        ConfigReport report = {};
        Complaints complaints = {.report = &report};
        BoardProfile profile;

        board_profile_parse(&complaints, "test", "test.board", board, strlen(board), &profile);
        expect_clean(complaints_result(&complaints), &report);
        assert_int_equal(profile.all_off, ALL_OFF_EACH);
        assert_int_equal(profile.min_pulse_ms, 300);
        assert_int_equal(profile.max_pulse_ms, 300);
        assert_int_equal(profile.input_function, 2);
        assert_int_equal(profile.factory_address, -1);
        assert_int_equal(profile.on_value, 0xFF00);
        assert_string_equal(profile.title, "test");
        free(profile.name);
        free(profile.title);
}

static void test_cabinet_bad_profile_is_named_with_its_own_file(void **state) {
        _cleanup_free_ char *board = edit(board_text, "Outputs=16", "Outputs=many");
        ConfigReport report = {};
        Cabinet *c = NULL;

        assert_int_equal(parse(cabinet_text, board, &c, &report), -EINVAL);
        assert_true(report_has(&report, "test.board:3: [Board] Outputs=many"));
        config_report_clear(&report);
}

static void test_cabinet_missing_profile_names_the_place(void **state) {
        _cleanup_free_ char *text = edit(cabinet_text, "Profile=test", "Profile=tset");
        ConfigReport report = {};
        Cabinet *c = NULL;

        assert_int_equal(parse(text, board_text, &c, &report), -EINVAL);
        assert_int_equal(report.n_lines, 1);
        assert_true(report_has(&report, "the profile tset.board cannot be read from memory: No such file"));
        config_report_clear(&report);
}

static void test_cabinet_many_mistakes_are_all_reported(void **state) {
        _cleanup_free_ char *a = edit(cabinet_text, "Number=T-1", "Numer=T-1"),
                            *b = edit(a, "Order=2", "Order=zwei"),
                            *text = edit(b, "Input=A:16", "Input=A:99");
        ConfigReport report = {};
        Cabinet *c = NULL;

        assert_int_equal(parse(text, board_text, &c, &report), -EINVAL);
        assert_int_equal(report.n_lines, 4);
        assert_true(report_has(&report, "Numer=T-1"));
        assert_true(report_has(&report, "Number= is missing"));
        assert_true(report_has(&report, "Order=zwei"));
        assert_true(report_has(&report, "Input=A:99"));
        config_report_clear(&report);
}

static void test_cabinet_line_too_long_is_refused_not_cut(void **state) {
        char list[600] = "A:1";

        for (int i = 0; i < 60; i++)
                strcat(list, ",A:1-2");
        _cleanup_free_ char *door = text_printf("Door=%s", list),
                            *text = edit(cabinet_text, "Door=A:1-4", door);
        ConfigReport report = {};
        Cabinet *c = NULL;

        assert_int_equal(parse(text, board_text, &c, &report), -EINVAL);
        assert_true(report_has(&report, "this line has"));
        config_report_clear(&report);
}

static void test_cabinet_notation_variants_are_understood(void **state) {
        /* CRLF, a byte order mark, indentation, blanks around '=' and comments after values, as editors leave
         * them. */
        static const char text[] =
                "\xEF\xBB\xBF[Cabinet] ; this one\r\n  Number = T-1 ; short\r\n\r\n# note\r\n"
                "[ Size  S ]\r\n\tOrder=1\r\n[Supply m]\r\n[Line l]\r\nDevice=/dev/ttyS0\r\n"
                "[Board A]\r\nLine=l\r\nAddress=1\r\nProfile=test\r\nSupply=m\r\n"
                "[Slot 1]\r\nSize=S\r\nColumn=1\r\nRow=1\r\nLock=A:1\r\nDoor= A:1 \r\n";
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL;

        expect_clean(parse(text, board_text, &c, &report), &report);
        assert_string_equal(c->number, "T-1");
        assert_string_equal(c->sizes[0].name, "S");
}

static void test_cabinet_empty_file_is_refused(void **state) {
        ConfigReport report = {};
        Cabinet *c = NULL;

        assert_int_equal(parse("", board_text, &c, &report), -EINVAL);
        assert_true(report_has(&report, "[Cabinet] is missing"));
        assert_true(report_has(&report, "no [Slot"));
        config_report_clear(&report);
}

static void test_cabinet_absent_file_is_reported(void **state) {
        ConfigReport report = {};
        Cabinet *c = NULL;

        assert_int_equal(config_read_cabinet("/nonexistent/cabinet.conf", "config/boards", &c, &report),
                         -ENOENT);
        assert_int_equal(report.n_lines, 1);
        config_report_clear(&report);
}

static void test_cabinet_500_slots_parse_in_milliseconds(void **state) {
        _cleanup_free_ char *text =
                strdup("[Cabinet]\nNumber=big\n[Size S]\nOrder=1\n[Supply m]\n[Line l]\nDevice=/dev/ttyS0\n");
        ConfigReport report = {};
        _cleanup_(cabinet_freep) Cabinet *c = NULL;

        for (unsigned i = 0; i < 500; i++) {
                char *longer;
                if (i % 16 == 0) {
                        longer = text_printf("%s[Board b%u]\nLine=l\nAddress=%u\nProfile=test\nSupply=m\n",
                                             text, i / 16, i / 16 + 1);
                        free(text);
                        text = longer;
                }
                longer = text_printf("%s[Slot %03u]\nSize=S\nColumn=%u\nRow=%u\nLock=b%u:%u\nDoor=b%u:%u\n",
                                     text, i, i / 10 + 1, i % 10 + 1, i / 16, i % 16 + 1, i / 16, i % 16 + 1);
                free(text);
                text = longer;
        }
        assert_non_null(text);
        Now before = clock_now();
        int r = parse(text, board_text, &c, &report);
        Now after = clock_now();
        expect_clean(r, &report);
        assert_int_equal(c->n_slots, 500);
        print_message("500 slots in %.1f ms\n", (double)(after.boot_usec - before.boot_usec) / 1000);
        /* Milliseconds in truth; the bound leaves room for sanitizers on a slow machine. */
        assert_true(after.boot_usec - before.boot_usec < USEC_PER_SEC / 2);
}

static int apply(const char *text, Settings **ret, ConfigReport *report) {
        Complaints complaints = {.report = report};
        _cleanup_(settings_freep) Settings *s = settings_new_default();

        assert_non_null(s);
        settings_apply(&complaints, s, "lockerd.conf", text, strlen(text));
        settings_check(&complaints, s, "lockerd.conf");
        int r = complaints_result(&complaints);
        if (r == 0)
                *ret = steal_ptr(s);
        return r;
}

static void test_settings_every_key_is_applied(void **state) {
        static const char text[] =
                "[Daemon]\nCabinet=/c\nLedger=/l\nBoardDirectory=/b\nWorkerDirectory=/w\nKeyFile=/"
                "k\nMinimumFree=2G\nTrustClock=yes\nKeepNames=7d\n"
                "[Bus]\nKioskGroup=kk\nAdminGroup=aa\n"
                "[Codes]\nAlphabet=digits\nValidFor=7d\nEverybody=yes\n"
                "[Lockout]\nAttempts=5\nDuration=1h\n"
                "[Session]\nIdleTimeout=90s\nDoorOpenTimeout=5min\nReopenGrace=0\nAnswerTimeout=45s\n"
                "Unanswered=unverified\nMaxSessions=2\n"
                "[Identity]\nScryptLogN=16\nMinimumPinLength=7\nMinimumPasswordLength=12\nPatternScryptLogN="
                "17\n"
                "MinimumPatternLength=6\nMinimumCardLength=20\nAloneForDeposit=pin\nAloneForCollect=password "
                " card\n"
                "AloneForTakeBack=none\nAloneForLift=pin card\nSelfEnrol=card face\n"
                "[Reminders]\nEnabled=no\nReminderAfter=2h\nRecallAfter=2d\nQuietFrom=22:30\nQuietUntil=00:"
                "05\n"
                "DefaultHour=0\n"
                "[Mqtt]\nHost=2001:db8::1 "
                "broker-b.example\nPort=1884\nTls=yes\nCaFile=/dev/null\nCertFile=/dev/zero\n"
                "KeyFile=/dev/full\nUsername=u\nPasswordFile=/dev/random\nClientId=c\nKeepAlive=5s\n"
                "SessionExpiry=0\nBackoffMin=2s\nBackoffMax=10s\nWindow=7\nOutboxMaximum=5000\n"
                "SigningKeys=/keys\nSealingKey=/dev/"
                "urandom\nUnsignedOpen=yes\nUnsignedCommands=yes\nCommunity=C-0013 C-0014\n";
        ConfigReport report = {};
        _cleanup_(settings_freep) Settings *s = NULL;

        expect_clean(apply(text, &s, &report), &report);
        assert_string_equal(s->cabinet_path, "/c");
        assert_string_equal(s->ledger_path, "/l");
        assert_string_equal(s->board_directory, "/b");
        assert_string_equal(s->worker_directory, "/w");
        assert_string_equal(s->key_path, "/k");
        assert_int_equal(s->minimum_free, UINT64_C(2) << 30);
        assert_true(s->trust_clock);
        assert_int_equal(s->keep_names_usec, 7 * 86400 * USEC_PER_SEC);
        assert_string_equal(s->kiosk_group, "kk");
        assert_string_equal(s->admin_group, "aa");
        assert_int_equal(s->code_alphabet, CODE_DIGITS);
        assert_int_equal(s->code_valid_usec, 7 * 86400 * USEC_PER_SEC);
        assert_true(s->code_for_everybody);
        assert_int_equal(s->lockout_attempts, 5);
        assert_int_equal(s->lockout_duration_usec, 3600 * USEC_PER_SEC);
        assert_int_equal(s->session_idle_usec, 90 * USEC_PER_SEC);
        assert_int_equal(s->door_open_usec, 300 * USEC_PER_SEC);
        assert_int_equal(s->reopen_grace_usec, 0);
        assert_int_equal(s->answer_usec, 45 * USEC_PER_SEC);
        assert_false(s->unanswered_is_collected);
        assert_int_equal(s->max_sessions, 2);
        assert_int_equal(s->scrypt_log_n, 16);
        assert_int_equal(s->min_length[CREDENTIAL_PIN], 7);
        assert_int_equal(s->min_length[CREDENTIAL_PASSWORD], 12);
        assert_int_equal(s->pattern_log_n, 17);
        assert_int_equal(s->min_length[CREDENTIAL_PATTERN], 6);
        assert_int_equal(s->min_length[CREDENTIAL_CARD], 20);
        assert_int_equal(s->alone.deposit, 1U << CREDENTIAL_PIN);
        assert_int_equal(s->alone.collect, 1U << CREDENTIAL_PASSWORD | 1U << CREDENTIAL_CARD);
        assert_int_equal(s->alone.take_back, 0);
        assert_int_equal(s->alone.lift, 1U << CREDENTIAL_PIN | 1U << CREDENTIAL_CARD);
        assert_int_equal(s->self_enrol, 1U << CREDENTIAL_CARD | 1U << CREDENTIAL_FACE);
        assert_false(s->reminders.enabled);
        assert_int_equal(s->reminders.reminder_after_usec, 7200 * USEC_PER_SEC);
        assert_int_equal(s->reminders.recall_after_usec, 2 * 86400 * USEC_PER_SEC);
        assert_int_equal(s->reminders.quiet_from, 22 * 60 + 30);
        assert_int_equal(s->reminders.quiet_until, 5);
        assert_int_equal(s->reminders.default_hour, 0);
        assert_string_equal(s->mqtt.host, "2001:db8::1 broker-b.example");
        assert_int_equal(s->mqtt.port, 1884);
        assert_int_equal(s->mqtt.tls, MQTT_TLS_YES);
        assert_string_equal(s->mqtt.ca_file, "/dev/null");
        assert_string_equal(s->mqtt.cert_file, "/dev/zero");
        assert_string_equal(s->mqtt.key_file, "/dev/full");
        assert_string_equal(s->mqtt.username, "u");
        assert_string_equal(s->mqtt.password_file, "/dev/random");
        assert_string_equal(s->mqtt.client_id, "c");
        assert_string_equal(s->mqtt.community, "C-0013 C-0014");
        assert_int_equal(s->mqtt.keepalive_usec, 5 * USEC_PER_SEC);
        assert_int_equal(s->mqtt.session_expiry_usec, 0);
        assert_int_equal(s->mqtt.backoff_min_usec, 2 * USEC_PER_SEC);
        assert_int_equal(s->mqtt.backoff_max_usec, 10 * USEC_PER_SEC);
        assert_int_equal(s->mqtt.window, 7);
        assert_int_equal(s->mqtt.outbox_max, 5000);
        assert_string_equal(s->mqtt.signing_keys, "/keys");
        assert_string_equal(s->mqtt.sealing_key, "/dev/urandom");
        assert_true(s->mqtt.unsigned_open);
        assert_true(s->mqtt.unsigned_commands);
}

static void test_settings_mqtt_with_a_shared_key(void **state) {
        ConfigReport report = {};
        _cleanup_(settings_freep) Settings *s = NULL;

        expect_clean(apply("[Mqtt]\nHost=broker\nTls=yes\nPskIdentity=me\nPskFile=/dev/null\n", &s, &report),
                     &report);
        assert_string_equal(s->mqtt.psk_identity, "me");
        assert_string_equal(s->mqtt.psk_file, "/dev/null");
        assert_int_equal(s->mqtt.port, 0);
}

/* Requirement: F17. A password or a name is not sent in the clear because somebody has left a line out. */
static void test_settings_tls_is_used_unless_the_broker_is_this_machine(void **state) {
        static const struct {
                const char *text;
                bool tls;
        } cases[] = {
                {"Host=broker.example\n", true},
                {"Host=192.0.2.1\n", true},
                {"Host=2001:db8::1\n", true},
                {"Host=localhost\n", false},
                {"Host=127.0.0.1\n", false},
                {"Host=127.3.2.1 ::1 \n", false},
                {"Host=localhost broker.example\n", true},
                {"Host=127.0.0.1.example\n", true},
                {"Host=localhost.example\n", true},
                {"Host=_mqtt._tcp.localhost\n", true},
                {"Host=broker.example\nTls=no\n", false},
                {"Host=localhost\nTls=yes\n", true},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(settings_freep) Settings *s = NULL;
                ConfigReport report = {};
                char text[128];

                snprintf(text, sizeof(text), "[Mqtt]\n%s", cases[i].text);
                expect_clean(apply(text, &s, &report), &report);
                if (mqtt_settings_use_tls(&s->mqtt) != cases[i].tls)
                        fail_msg("%s", cases[i].text);
        }
}

/* The example shows the defaults behind '#': without the '#' it must mean the same as an empty file. */
static void test_settings_example_shows_the_defaults(void **state) {
        _cleanup_free_ char *data = NULL;
        size_t size, n = 0;
        ConfigReport report = {};
        _cleanup_(settings_freep) Settings *s = NULL, *d = settings_new_default();

        assert_int_equal(ini_file_load("config/lockerd.conf", &data, &size), 0);
        _cleanup_free_ char *text = calloc(1, size + 1);
        assert_non_null(text);
        for (size_t i = 0; i < size; i++)
                if (!(data[i] == '#' && (i == 0 || data[i - 1] == '\n') && i + 1 < size &&
                      data[i + 1] != ' '))
                        text[n++] = data[i];
        expect_clean(apply(text, &s, &report), &report);
        assert_int_equal(s->minimum_free, d->minimum_free);
        assert_string_equal(s->kiosk_group, d->kiosk_group);
        assert_string_equal(s->admin_group, d->admin_group);
        assert_int_equal(s->code_alphabet, d->code_alphabet);
        assert_int_equal(s->code_valid_usec, d->code_valid_usec);
        assert_int_equal(s->code_for_everybody, d->code_for_everybody);
        assert_int_equal(s->lockout_attempts, d->lockout_attempts);
        assert_int_equal(s->lockout_duration_usec, d->lockout_duration_usec);
        assert_int_equal(s->session_idle_usec, d->session_idle_usec);
        assert_int_equal(s->door_open_usec, d->door_open_usec);
        assert_int_equal(s->reopen_grace_usec, d->reopen_grace_usec);
        assert_int_equal(s->answer_usec, d->answer_usec);
        assert_int_equal(s->unanswered_is_collected, d->unanswered_is_collected);
        assert_int_equal(s->max_sessions, d->max_sessions);
        assert_int_equal(s->scrypt_log_n, d->scrypt_log_n);
        assert_int_equal(s->pattern_log_n, d->pattern_log_n);
        assert_memory_equal(&s->alone, &d->alone, sizeof(s->alone));
        assert_int_equal(s->min_length[CREDENTIAL_PIN], d->min_length[CREDENTIAL_PIN]);
        assert_int_equal(s->min_length[CREDENTIAL_PASSWORD], d->min_length[CREDENTIAL_PASSWORD]);
        assert_int_equal(s->reminders.enabled, d->reminders.enabled);
        assert_int_equal(s->reminders.reminder_after_usec, d->reminders.reminder_after_usec);
        assert_int_equal(s->reminders.recall_after_usec, d->reminders.recall_after_usec);
        assert_int_equal(s->reminders.quiet_from, d->reminders.quiet_from);
        assert_int_equal(s->reminders.quiet_until, d->reminders.quiet_until);
        assert_int_equal(s->reminders.default_hour, d->reminders.default_hour);
        assert_null(s->mqtt.host);
        assert_int_equal(s->mqtt.tls, d->mqtt.tls);
        assert_int_equal(s->mqtt.keepalive_usec, d->mqtt.keepalive_usec);
        assert_int_equal(s->mqtt.session_expiry_usec, d->mqtt.session_expiry_usec);
        assert_int_equal(s->mqtt.backoff_min_usec, d->mqtt.backoff_min_usec);
        assert_int_equal(s->mqtt.backoff_max_usec, d->mqtt.backoff_max_usec);
        assert_int_equal(s->mqtt.window, d->mqtt.window);
        assert_int_equal(s->mqtt.outbox_max, d->mqtt.outbox_max);
        assert_int_equal(s->mqtt.unsigned_open, d->mqtt.unsigned_open);
        assert_int_equal(s->mqtt.unsigned_commands, d->mqtt.unsigned_commands);
}

/* What never suffices alone may be enrolled by oneself, too. */
static void test_settings_self_enrol_takes_every_kind(void **state) {
        static const char text[] = "[Identity]\nSelfEnrol=pattern face voice\n";
        ConfigReport report = {};
        _cleanup_(settings_freep) Settings *s = NULL;

        expect_clean(apply(text, &s, &report), &report);
        assert_int_equal(s->self_enrol, credential_bit(CREDENTIAL_PATTERN) | credential_bit(CREDENTIAL_FACE) |
                                                credential_bit(CREDENTIAL_VOICE));
}

static void test_settings_each_mistake_raises_its_complaint(void **state) {
        int wrong = 0;
        static const BadCase cases[] = {
                {NULL, "[Daemon]\nLedger=ledger.db\n", "lockerd.conf:2: [Daemon] Ledger=ledger.db"},
                {NULL, "[Daemon]\nMinimumFree=1K\n", "a number of bytes from 1M to 1T"},
                {NULL, "[Daemon]\nMinimumFree=99999999999T\n", "outside the range"},
                {NULL, "[Daemon]\nMinimumFree=M\n", "is not understood"},
                {NULL, "[Codes]\nAlphabet=hex\n", "crockford or digits is allowed"},
                {NULL, "[Codes]\nValidFor=3 days\n", "is not understood"},
                {NULL, "[Codes]\nValidFor=366d\n", "a time from 1s to 365d"},
                {NULL, "[Codes]\nEverbody=yes\n", "did you mean \"Everybody\"?"},
                {NULL, "[Lockout]\nAttempts=0\n", "a whole number from 1 to 10"},
                {NULL, "[Lockout]\nDuration=-5s\n", "is not understood"},
                {NULL, "[Lockout]\nTries=3\n", "it has Attempts, Duration"},
                {NULL, "[Sesion]\nMaxSessions=1\n", "did you mean \"Session\"?"},
                {NULL, "[Session x]\n", "this section has no name"},
                {NULL, "[Session]\n[Session]\n", "already begins in line 1"},
                {NULL, "[Session]\nUnanswered=yes\n", "collected or unverified is allowed"},
                {NULL, "[Identity]\nScryptLogN=13\n", "a whole number from 14 to 18"},
                {NULL, "[Identity]\nAloneForCollect=iris\n",
                 "\"none\", or kinds of credentials with blanks between them (of pin, password, pattern, "
                 "card "
                 "and fingerprint)"},
                {NULL, "[Identity]\nAloneForCollect=password face\n", "and fingerprint)"},
                {NULL, "[Identity]\nSelfEnrol=iris\n", "fingerprint, face and voice)"},
                {NULL, "[Identity]\nAloneForDeposit=pin,card\n", "is not understood"},
                {NULL, "[Identity]\nAloneForLift=fingerprint voice\n", "card and fingerprint)"},
                {NULL, "[Identity]\nSelfEnrol=voice iris\n", "fingerprint, face and voice)"},
                {NULL, "[Identity]\nMinimumPatternLength=4\n", "a whole number from 5 to 9"},
                {NULL, "[Bus]\nAdminGroup=a group\n", "a name of letters"},
                {NULL, "[Mqtt]\nHost=b\nCommunity=C-0013, C-0014\n", "with blanks between them"},
                {NULL, "[Reminders]\nQuietFrom=9:00\n", "a time of day from 00:00 to 23:59"},
                {NULL, "[Reminders]\nQuietFrom=24:00\n", "outside the range"},
                {NULL, "[Reminders]\nQuietUntil=08:000\n", "is not understood"},
                {NULL, "[Reminders]\nQuietUntil=0\n", "is not understood"},
                {NULL, "[Reminders]\nDefaultHour=24\n", "a whole number from 0 to 23"},
                {NULL, "[Reminders]\nRecallAfter=24h\n", "RecallAfter= must be longer than ReminderAfter="},
                {NULL, "[Mqtt]\nHost=mqtt://b\n", "lockerd.conf: [Mqtt] Host=mqtt://b: names or addresses"},
                {NULL, "[Mqtt]\nHost=b:1883\n", "the port has a key of its own"},
                {NULL, "[Mqtt]\nHost=a b:1883 c\n", "the port has a key of its own"},
                {NULL, "[Mqtt]\nHost=_mqtt.example.org\n", "written _secure-mqtt._tcp.DOMAIN"},
                {NULL, "[Mqtt]\nHost=_mqtt._udp.example.org\n", "_tcp.DOMAIN"},
                {NULL, "[Mqtt]\nHost=a _mqtt._tcp.\n", "_tcp.DOMAIN"},
                {NULL, "[Mqtt]\nHost=_._tcp.example.org\n", "_tcp.DOMAIN"},
                {NULL, "[Mqtt]\nHost=_sixteen-letters-._tcp.example.org\n", "_tcp.DOMAIN"},
                {NULL, "[Mqtt]\nHost=_mqtt._tcp.example..org\n", "_tcp.DOMAIN"},
                {NULL, "[Mqtt]\nHost=_mqtt._tcp._x.example.org\n", "_tcp.DOMAIN"},
                {NULL, "[Mqtt]\nHost=b\nPort=0\n", "a whole number from 1 to 65535"},
                {NULL, "[Mqtt]\nTls=yes\n", "[Mqtt]: Host= is missing"},
                {NULL, "[Mqtt]\nHost=localhost\nCaFile=/dev/null\n", "need Tls=yes"},
                {NULL, "[Mqtt]\nHost=b\nTls=no\nPskIdentity=i\nPskFile=/dev/null\n", "need Tls=yes"},
                {NULL, "[Mqtt]\nHost=b\nTls=yes\nCaFile=/dev/null\nPskIdentity=i\nPskFile=/dev/null\n",
                 "exclude"},
                {NULL, "[Mqtt]\nHost=b\nTls=yes\nCertFile=/dev/null\n",
                 "CertFile= and KeyFile= belong together"},
                {NULL, "[Mqtt]\nHost=b\nTls=yes\nPskIdentity=i\n",
                 "PskIdentity= and PskFile= belong together"},
                {NULL, "[Mqtt]\nHost=b\nTls=yes\nCaFile=/nonexistent/ca\n",
                 "CaFile=/nonexistent/ca: there is no such file"},
                {NULL, "[Mqtt]\nHost=b\nUsername=u\nPasswordFile=/nonexistent/p\n",
                 "PasswordFile=/nonexistent/p"},
                {NULL, "[Mqtt]\nHost=b\nPasswordFile=/dev/null\n", "PasswordFile= needs Username="},
                {NULL, "[Mqtt]\nBackoffMin=10s\nBackoffMax=5s\n", "BackoffMin= is longer"},
                {NULL, "[Mqtt]\nKeepAlive=4s\n", "a time from 5s to 18h"},
                {NULL, "[Mqtt]\nWindow=1001\n", "a whole number from 1 to 1000"},
                {NULL, "[Mqtt]\nOutboxMaximum=1M\n", "a whole number from 1000 to 100000000"},
                {NULL, "[Mqtt]\nClientId=a/b\n", "a name of letters"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                ConfigReport report = {};
                Settings *s = NULL;
                wrong += check_complaint(&cases[i], apply(cases[i].with, &s, &report), &report, s);
                config_report_clear(&report);
        }
        assert_int_equal(wrong, 0);
}

static void write_file(const char *directory, const char *name, const char *text) {
        _cleanup_free_ char *path = text_printf("%s/%s", directory, name);
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static void remove_in(const char *directory, const char *name) {
        _cleanup_free_ char *path = text_printf("%s/%s", directory, name);

        assert_int_equal(remove(path), 0);
}

static void test_settings_drop_ins_win_in_the_order_of_names(void **state) {
        char directory[] = "/tmp/test-config-XXXXXX";
        ConfigReport report = {};
        _cleanup_(settings_freep) Settings *s = NULL;

        assert_non_null(mkdtemp(directory));
        _cleanup_free_ char *path = text_printf("%s/lockerd.conf", directory),
                            *drop_ins = text_printf("%s.d", path);
        assert_int_equal(mkdir(drop_ins, 0700), 0);
        write_file(directory, "lockerd.conf", "[Lockout]\nAttempts=4\nDuration=2h\n[Bus]\nKioskGroup=one\n");
        write_file(drop_ins, "20-b.conf", "[Lockout]\nAttempts=6\n");
        write_file(drop_ins, "10-a.conf", "[Lockout]\nAttempts=5\n[Bus]\nKioskGroup=two\n");
        write_file(drop_ins, "30-c.conf.bak", "[Nonsense]\n");
        write_file(drop_ins, ".hidden.conf", "[Nonsense]\n");
        expect_clean(config_read_settings(path, &s, &report), &report);
        assert_int_equal(s->lockout_attempts, 6);
        assert_int_equal(s->lockout_duration_usec, 7200 * USEC_PER_SEC);
        assert_string_equal(s->kiosk_group, "two");

        /* A mistake in a drop-in is named with the drop-in's file. */
        Settings *none = NULL;
        write_file(drop_ins, "20-b.conf", "[Lockout]\nAttempts=many\n");
        assert_int_equal(config_read_settings(path, &none, &report), -EINVAL);
        assert_null(none);
        assert_true(report_has(&report, "lockerd.conf.d/20-b.conf:2: [Lockout] Attempts=many"));
        config_report_clear(&report);

        static const char *const files[] = {"20-b.conf", "10-a.conf", "30-c.conf.bak", ".hidden.conf"};
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                remove_in(drop_ins, files[i]);
        assert_int_equal(rmdir(drop_ins), 0);
        remove_in(directory, "lockerd.conf");
        assert_int_equal(rmdir(directory), 0);
}

static void test_settings_named_file_absent_is_an_error(void **state) {
        ConfigReport report = {};
        Settings *s = NULL;

        assert_int_equal(config_read_settings("/nonexistent/lockerd.conf", &s, &report), -ENOENT);
        assert_null(s);
        assert_int_equal(report.n_lines, 1);
        config_report_clear(&report);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ranges_labels_expand_with_padding),
                cmocka_unit_test(test_ranges_labels_malformed_are_refused),
                cmocka_unit_test(test_ranges_channels_malformed_are_refused),
                cmocka_unit_test(test_cabinet_examples_parse_cleanly),
                cmocka_unit_test(test_board_installed_profiles_parse_cleanly),
                cmocka_unit_test(test_cabinet_wiring_refers_by_index),
                cmocka_unit_test(test_cabinet_safety_inputs_have_a_debounce_time_of_their_own),
                cmocka_unit_test(test_cabinet_reader_of_fingers_has_the_usual_baud_rate),
                cmocka_unit_test(test_cabinet_camera_names_its_models_and_has_the_measured_threshold),
                cmocka_unit_test(test_cabinet_reader_of_voices_has_the_measured_limits),
                cmocka_unit_test(test_settings_self_enrol_takes_every_kind),
                cmocka_unit_test(test_cabinet_order_of_sections_does_not_matter),
                cmocka_unit_test(test_cabinet_range_wraps_into_next_column),
                cmocka_unit_test(test_cabinet_each_mistake_raises_its_complaint),
                cmocka_unit_test(test_board_each_mistake_raises_its_complaint),
                cmocka_unit_test(test_board_worker_timed_without_all_off_is_refused),
                cmocka_unit_test(test_board_defaults_follow_the_method),
                cmocka_unit_test(test_cabinet_bad_profile_is_named_with_its_own_file),
                cmocka_unit_test(test_cabinet_missing_profile_names_the_place),
                cmocka_unit_test(test_cabinet_many_mistakes_are_all_reported),
                cmocka_unit_test(test_cabinet_line_too_long_is_refused_not_cut),
                cmocka_unit_test(test_cabinet_notation_variants_are_understood),
                cmocka_unit_test(test_cabinet_empty_file_is_refused),
                cmocka_unit_test(test_cabinet_absent_file_is_reported),
                cmocka_unit_test(test_cabinet_500_slots_parse_in_milliseconds),
                cmocka_unit_test(test_settings_every_key_is_applied),
                cmocka_unit_test(test_settings_mqtt_with_a_shared_key),
                cmocka_unit_test(test_settings_tls_is_used_unless_the_broker_is_this_machine),
                cmocka_unit_test(test_settings_example_shows_the_defaults),
                cmocka_unit_test(test_settings_each_mistake_raises_its_complaint),
                cmocka_unit_test(test_settings_drop_ins_win_in_the_order_of_names),
                cmocka_unit_test(test_settings_named_file_absent_is_an_error),
        };

        const char *root = getenv("SOURCE_ROOT");
        if (root && chdir(root) < 0) {
                perror(root);
                return 1;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
