/* SPDX-License-Identifier: Apache-2.0 */
/* Where speech begins and ends, and what is no use: with syllables of noise, in rooms of noise. */
#include "voice/speech.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define FRAMES(ms) ((unsigned)((ms)*UTTERANCE_RATE / 1000 / UTTERANCE_HOP))

static const SpeechLimits limits = {.noise_dbfs = -40, .quiet_dbfs = -45};
static Speech s;
static uint32_t dice;

static double noise(void) {
        dice = dice * 1664525 + 1013904223;
        return (double)(dice >> 8) / (1 << 24) * 2 - 1;
}

/* Even noise of this level. */
static void fill(int16_t *frame, double dbfs) {
        double peak = 32768 * pow(10, dbfs / 20) * sqrt(3);

        for (unsigned i = 0; i < UTTERANCE_HOP; i++) {
                double v = peak * noise();
                frame[i] = (int16_t)(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
        }
}

static SpeechVerdict room(double dbfs) {
        SpeechVerdict v = SPEECH_LISTENING;
        int16_t frame[UTTERANCE_HOP];
        unsigned n = 0;

        while (v == SPEECH_LISTENING && n++ < 100) {
                fill(frame, dbfs);
                v = speech_hear_room(&s, frame);
        }
        return v;
}

static SpeechVerdict hear(double dbfs, unsigned ms) {
        SpeechVerdict v = SPEECH_LISTENING;
        int16_t frame[UTTERANCE_HOP];

        for (unsigned i = 0; v == SPEECH_LISTENING && i < FRAMES(ms); i++) {
                fill(frame, dbfs);
                v = speech_hear(&s, frame);
        }
        return v;
}

/* 160 ms loud, 80 ms less: so many of them. */
static SpeechVerdict syllables(double dbfs, unsigned n) {
        SpeechVerdict v = SPEECH_LISTENING;

        for (unsigned i = 0; v == SPEECH_LISTENING && i < n; i++) {
                v = hear(dbfs, 160);
                if (v == SPEECH_LISTENING)
                        v = hear(dbfs - 14, 80);
        }
        return v;
}

static void setup_of(double room_dbfs, SpeechVerdict expected) {
        dice = 1;
        speech_begin(&s, limits);
        assert_int_equal(room(room_dbfs), expected);
        speech_listen(&s);
}

static void test_levels_are_of_full_scale(void **state) {
        int16_t square[64], nothing[64] = {0};

        for (size_t i = 0; i < ARRAY_SIZE(square); i++)
                square[i] = i % 2 ? 32767 : -32768;
        assert_true(fabsf(speech_level(square, ARRAY_SIZE(square))) < 0.01F);
        for (size_t i = 0; i < ARRAY_SIZE(square); i++)
                square[i] /= 10;
        assert_true(fabsf(speech_level(square, ARRAY_SIZE(square)) + 20) < 0.01F);
        assert_true(speech_level(nothing, ARRAY_SIZE(nothing)) == -96);
}

static void test_a_phrase_is_heard_with_what_is_around_it(void **state) {
        static const double rooms[] = {-96, -70, -60, -50, -42};

        for (size_t i = 0; i < ARRAY_SIZE(rooms); i++) {
                size_t n;
                setup_of(rooms[i], SPEECH_HEARD);
                assert_int_equal(hear(rooms[i], 2000), SPEECH_LISTENING);
                assert_int_equal(syllables(-20, 6), SPEECH_LISTENING);
                assert_int_equal(hear(rooms[i], 1000), SPEECH_HEARD);
                assert_non_null(speech_samples(&s, &n));
                /* 1.44 s of speech, with at most six frames beside it. */
                assert_in_range(n, FRAMES(1360) * UTTERANCE_HOP, (FRAMES(1440) + 7) * UTTERANCE_HOP);
                assert_in_range(speech_quality(&s), 40, 100);
        }
}

static void test_a_pause_between_words_does_not_end_it(void **state) {
        setup_of(-60, SPEECH_HEARD);
        assert_int_equal(syllables(-20, 3), SPEECH_LISTENING);
        assert_int_equal(hear(-60, 500), SPEECH_LISTENING);
        assert_int_equal(syllables(-20, 3), SPEECH_LISTENING);
        assert_int_equal(hear(-60, 1000), SPEECH_HEARD);
}

static void test_what_is_no_use_is_told_apart(void **state) {
        setup_of(-60, SPEECH_HEARD);
        assert_int_equal(syllables(-20, 2), SPEECH_LISTENING);
        assert_int_equal(hear(-60, 1000), SPEECH_TOO_SHORT);

        speech_listen(&s);
        assert_int_equal(syllables(-20, 40), SPEECH_TOO_LONG);

        setup_of(-60, SPEECH_HEARD);
        assert_int_equal(syllables(0, 6), SPEECH_LISTENING);
        assert_int_equal(hear(-60, 1000), SPEECH_TOO_LOUD);

        setup_of(-70, SPEECH_HEARD);
        assert_int_equal(syllables(-50, 6), SPEECH_LISTENING);
        assert_int_equal(hear(-70, 1000), SPEECH_TOO_QUIET);

        /* An engine: for ever, and for a while. */
        setup_of(-60, SPEECH_HEARD);
        assert_int_equal(hear(-25, 6000), SPEECH_NOISE);
        setup_of(-60, SPEECH_HEARD);
        assert_int_equal(hear(-25, 2000), SPEECH_LISTENING);
        assert_int_equal(hear(-60, 1000), SPEECH_NOISE);
}

/* Who is told that it was too long is still speaking. */
static void test_the_end_of_what_was_too_long_is_no_utterance(void **state) {
        setup_of(-60, SPEECH_HEARD);
        assert_int_equal(syllables(-20, 40), SPEECH_TOO_LONG);
        speech_listen(&s);
        assert_int_equal(syllables(-20, 8), SPEECH_LISTENING);
        assert_int_equal(hear(-60, 1000), SPEECH_LISTENING);
        assert_false(s.speaking);
        assert_int_equal(syllables(-20, 6), SPEECH_LISTENING);
        assert_int_equal(hear(-60, 1000), SPEECH_HEARD);
        /* Not for ever: what goes on is heard, and told again. */
        speech_listen(&s);
        assert_int_equal(syllables(-20, 40), SPEECH_TOO_LONG);
        speech_listen(&s);
        assert_int_equal(syllables(-20, 60), SPEECH_TOO_LONG);
}

static void test_a_noisy_room_is_told_before_anybody_speaks(void **state) {
        setup_of(-41, SPEECH_HEARD);
        setup_of(-39, SPEECH_NOISE);
        setup_of(-10, SPEECH_NOISE);
}

static void test_a_click_and_silence_are_nothing(void **state) {
        setup_of(-60, SPEECH_HEARD);
        for (unsigned i = 0; i < 20; i++) {
                assert_int_equal(hear(-10, 48), SPEECH_LISTENING);
                assert_int_equal(hear(-60, 500), SPEECH_LISTENING);
                assert_false(s.speaking);
        }
        assert_int_equal(hear(-96, 60000), SPEECH_LISTENING);
        assert_false(s.speaking);
}

/* The room gets louder slowly: it is not taken for speech. */
static void test_the_room_is_followed(void **state) {
        setup_of(-70, SPEECH_HEARD);
        for (int dbfs = -70; dbfs < -45; dbfs++)
                assert_int_equal(hear(dbfs, 2000), SPEECH_LISTENING);
        assert_false(s.speaking);
        assert_int_equal(syllables(-20, 6), SPEECH_LISTENING);
        assert_int_equal(hear(-45, 1000), SPEECH_HEARD);
}

static void test_nothing_is_kept_of_what_was_heard_before(void **state) {
        static const int16_t nothing[SPEECH_SAMPLES_MAX];

        setup_of(-60, SPEECH_HEARD);
        assert_int_equal(syllables(-20, 6), SPEECH_LISTENING);
        speech_listen(&s);
        assert_memory_equal(s.samples, nothing, sizeof(s.samples));
        assert_int_equal(s.n_frames, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_levels_are_of_full_scale),
                cmocka_unit_test(test_a_phrase_is_heard_with_what_is_around_it),
                cmocka_unit_test(test_a_pause_between_words_does_not_end_it),
                cmocka_unit_test(test_what_is_no_use_is_told_apart),
                cmocka_unit_test(test_the_end_of_what_was_too_long_is_no_utterance),
                cmocka_unit_test(test_a_noisy_room_is_told_before_anybody_speaks),
                cmocka_unit_test(test_a_click_and_silence_are_nothing),
                cmocka_unit_test(test_the_room_is_followed),
                cmocka_unit_test(test_nothing_is_kept_of_what_was_heard_before),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
