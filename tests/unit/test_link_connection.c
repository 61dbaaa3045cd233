/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of the short-range link on a clock and a stream in memory: how long a handheld may take for
 * what, and what it costs to say much. The other end is OpenSSL's client. */
#include "link/connection.h"
#include "base/clock.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define SECOND USEC_PER_SEC
#define BEGIN  (1000 * SECOND)

typedef struct Bench {
        char directory[64], cert[96], key[96], cabinet_key[96];
        LinkSetup setup;
        LinkWireClock clock;
        LinkHost host;
        LinkConnection *c;
        uint64_t now;
        SSL_CTX *context;
        SSL *client;
        BIO *in, *out;
        unsigned n_asked;
        LinkWireRequest asked;
        char logged[160];
} Bench;

static void ask(void *userdata, LinkConnection *c, const LinkWireRequest *r) {
        Bench *b = userdata;

        c->told = true;
        b->n_asked++;
        b->asked = *r;
}

static void note(void *userdata, const LinkConnection *c, const char *what) {
        Bench *b = userdata;

        snprintf(b->logged, sizeof(b->logged), "%s", what);
}

static void add_extension(X509 *x, int nid, const char *value) {
        X509V3_CTX ctx;

        X509V3_set_ctx_nodb(&ctx);
        X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        assert_non_null(e);
        assert_int_equal(X509_add_ext(x, e, -1), 1);
        X509_EXTENSION_free(e);
}

/* Its own authority. */
static void make_certificate(Bench *b) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *x = X509_new();

        assert_true(key && x);
        X509_set_version(x, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
        X509_gmtime_adj(X509_getm_notBefore(x), -3600);
        X509_gmtime_adj(X509_getm_notAfter(x), 3600);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"C-1",
                                   -1, -1, 0);
        X509_set_issuer_name(x, X509_get_subject_name(x));
        X509_set_pubkey(x, key);
        add_extension(x, NID_basic_constraints, "CA:TRUE");
        add_extension(x, NID_ext_key_usage, "serverAuth");
        add_extension(x, NID_subject_alt_name, "URI:urn:lockerd:cabinet:C-1");
        assert_true(X509_sign(x, key, EVP_sha256()) > 0);
        snprintf(b->cert, sizeof(b->cert), "%s/cert.pem", b->directory);
        snprintf(b->key, sizeof(b->key), "%s/key.pem", b->directory);
        FILE *f = fopen(b->cert, "w");
        assert_int_equal(PEM_write_X509(f, x), 1);
        fclose(f);
        f = fopen(b->key, "w");
        assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
        fclose(f);
        X509_free(x);
        EVP_PKEY_free(key);
}

static int set_up(void **state) {
        Bench *b = calloc(1, sizeof(*b));
        char sentence[LINK_SENTENCE_MAX] = "";

        snprintf(b->directory, sizeof(b->directory), "%s/link-XXXXXX",
                 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
        assert_non_null(mkdtemp(b->directory));
        make_certificate(b);
        b->now = BEGIN;
        b->setup = (LinkSetup){.cabinet = "C-1",
                               .alphabet = "crockford",
                               .version = "test",
                               .listen = "/none",
                               .cert_file = b->cert,
                               .key_file = b->key,
                               .ca_file = b->cert};
        b->host = (LinkHost){.setup = &b->setup, .clock = &b->clock, .ask = ask, .log = note, .userdata = b};
        if (link_tls_context_new(&b->host.tls, &b->setup, &b->clock, sentence) < 0)
                fail_msg("%s", sentence);
        b->c = link_connection_new(&b->host, 1, -1, b->now);
        assert_non_null(b->c);
        b->context = SSL_CTX_new(TLS_client_method());
        b->client = SSL_new(b->context);
        b->in = BIO_new(BIO_s_mem());
        b->out = BIO_new(BIO_s_mem());
        SSL_set_bio(b->client, b->in, b->out);
        SSL_set_connect_state(b->client);
        *state = b;
        return 0;
}

static int take_down(void **state) {
        Bench *b = *state;

        link_connection_free(b->c);
        link_tls_context_free(b->host.tls);
        SSL_free(b->client);
        SSL_CTX_free(b->context);
        unlink(b->cert);
        unlink(b->key);
        rmdir(b->directory);
        free(b);
        return 0;
}

/* Bytes from the cabinet to the handheld. */
static void carry_down(Bench *b) {
        const void *bytes;
        size_t n = link_connection_pending(b->c, &bytes);

        if (n)
                assert_int_equal(BIO_write(b->in, bytes, (int)n), (int)n);
        link_connection_went(b->c, n, b->now);
}

/* And the other way: at most n bytes of what there is. */
static size_t carry_up(Bench *b, size_t n) {
        uint8_t bytes[4096];
        int k = BIO_read(b->out, bytes, (int)MIN(n, sizeof(bytes)));

        if (k > 0)
                link_connection_came(b->c, bytes, (size_t)k, b->now);
        return k > 0 ? (size_t)k : 0;
}

static void carry(Bench *b) {
        do
                carry_down(b);
        while (link_connection_wants(b->c, b->now) && carry_up(b, 4096));
        link_connection_turn(b->c, b->now);
        carry_down(b);
}

static void shake_hands(Bench *b) {
        for (int i = 0; i < 10 && SSL_do_handshake(b->client) != 1; i++)
                carry(b);
        assert_true(SSL_is_init_finished(b->client));
        carry(b);
        assert_int_equal(b->c->phase, LINK_PHASE_HELLO);
}

static void send_text(Bench *b, const char *text) {
        uint8_t header[LOCKERD_LINK_HEADER];

        link_frame_begin(strlen(text), header);
        assert_true(SSL_write(b->client, header, sizeof(header)) > 0);
        assert_true(SSL_write(b->client, text, (int)strlen(text)) > 0);
        carry(b);
}

static void say_hello(Bench *b) {
        shake_hands(b);
        send_text(b, "{\"id\":0,\"request\":\"hello\",\"versions\":[1]}");
        assert_int_equal(b->c->phase, LINK_PHASE_READY);
}

/* The next frame of the cabinet, as text. */
static const char *hear(Bench *b) {
        static char text[LOCKERD_LINK_FRAME_MAX + 1];
        uint8_t header[LOCKERD_LINK_HEADER];

        if (SSL_read(b->client, header, sizeof(header)) != sizeof(header))
                return "";
        size_t n = (size_t)header[2] << 8 | header[3], got = 0;
        while (got < n) {
                int k = SSL_read(b->client, text + got, (int)(n - got));
                assert_true(k > 0);
                got += (size_t)k;
        }
        text[n] = 0;
        return text;
}

static void pass(Bench *b, uint64_t usec) {
        b->now += usec;
        link_connection_turn(b->c, b->now);
}

static bool is_leaving(const Bench *b) {
        return b->c->phase >= LINK_PHASE_LEAVING;
}

/* Requirement: F4, F15 */
static void test_handshake_that_dribbles_ends_in_time(void **state) {
        Bench *b = *state;

        (void)SSL_do_handshake(b->client);
        for (int i = 0; i < LOCKERD_LINK_HANDSHAKE_S; i++) {
                assert_false(is_leaving(b));
                assert_true(link_connection_wants(b->c, b->now));
                (void)carry_up(b, 1); /* a byte a second */
                assert_true(link_connection_deadline(b->c) <= BEGIN + LOCKERD_LINK_HANDSHAKE_S * SECOND);
                pass(b, SECOND);
        }
        assert_true(is_leaving(b));
        pass(b, 2 * SECOND);
        assert_int_equal(b->c->phase, LINK_PHASE_OVER);
}

/* Requirement: F4 */
static void test_silence_after_the_handshake_ends_in_time(void **state) {
        Bench *b = *state;

        shake_hands(b);
        pass(b, LOCKERD_LINK_HELLO_S * SECOND - 1);
        assert_false(is_leaving(b));
        pass(b, 1);
        assert_true(is_leaving(b));
        assert_int_equal(b->n_asked, 0);
}

/* Requirement: F4, F15 */
static void test_frame_that_dribbles_ends_in_time(void **state) {
        Bench *b = *state;
        static const char frame[] = {0, 0, 2, 0, '{'};

        say_hello(b);
        for (int i = 0; i < LOCKERD_LINK_FRAME_S; i++) {
                char byte = i < (int)sizeof(frame) ? frame[i] : ' ';
                assert_int_equal(SSL_write(b->client, &byte, 1), 1);
                carry(b);
                assert_false(is_leaving(b));
                pass(b, SECOND);
        }
        assert_true(is_leaving(b));
}

static void test_connection_without_a_word_ends_in_the_end(void **state) {
        Bench *b = *state;

        say_hello(b);
        pass(b, LOCKERD_LINK_IDLE_S * SECOND - 1);
        assert_false(is_leaving(b));
        assert_true(link_connection_deadline(b->c) <= b->now + 1);
        pass(b, 1);
        assert_true(is_leaving(b));
}

/* Requirement: F4 */
static void test_handheld_that_takes_nothing_is_left(void **state) {
        Bench *b = *state;
        const void *bytes;

        say_hello(b);
        LinkWirePrompt p = {.what = "stored", .sentence = "x"};
        link_connection_prompt(b->c, &p, b->now);
        assert_true(link_connection_pending(b->c, &bytes) > 0);
        link_connection_went(b->c, 0, b->now); /* the transport has no room */
        pass(b, LOCKERD_LINK_UNREAD_S * SECOND - 1);
        assert_int_equal(b->c->phase, LINK_PHASE_READY);
        link_connection_went(b->c, 1, b->now); /* slow is not dead */
        pass(b, LOCKERD_LINK_UNREAD_S * SECOND - 1);
        assert_int_equal(b->c->phase, LINK_PHASE_READY);
        pass(b, 1);
        assert_int_equal(b->c->phase, LINK_PHASE_OVER);
        /* And what waits has a bound. */
        Bench *other = NULL;
        assert_int_equal(set_up((void **)&other), 0);
        say_hello(other);
        memset(p.sentence, 'x', sizeof(p.sentence) - 1);
        int n = 0;
        for (; other->c->phase == LINK_PHASE_READY && n < 1000; n++)
                link_connection_prompt(other->c, &p, other->now);
        assert_true(n > 100 && n < 300);
        assert_int_equal(other->c->phase, LINK_PHASE_OVER);
        (void)take_down((void **)&other);
}

/* Requirement: B1 */
static void test_one_request_at_a_time_and_only_its_own_answer(void **state) {
        Bench *b = *state;
        LinkWireAnswer a = {.number = 7};

        say_hello(b);
        assert_non_null(strstr(hear(b), "\"cabinet\":\"C-1\""));
        send_text(b, "{\"id\":40,\"request\":\"collect\",\"code\":\"AAAAAA\"}");
        assert_int_equal(b->n_asked, 1);
        assert_string_equal(b->asked.code, "AAAAAA");
        /* The next one waits in the stream; that is not read on. */
        send_text(b, "{\"id\":41,\"request\":\"accept\"}");
        assert_int_equal(b->n_asked, 1);
        assert_false(link_connection_wants(b->c, b->now));
        link_connection_answer(b->c, &a, b->now); /* of another request */
        assert_true(b->c->asked);
        /* A door may take its time: no time-out while the cabinet is asked. */
        pass(b, 2 * LOCKERD_LINK_IDLE_S * SECOND);
        assert_false(is_leaving(b));
        a.number = 1;
        link_connection_answer(b->c, &a, b->now);
        carry(b);
        assert_string_equal(hear(b), "{\"id\":40,\"status\":\"done\",\"result\":{}}");
        assert_int_equal(b->n_asked, 2);
        assert_int_equal(b->asked.verb, LINK_ACCEPT);
        link_connection_answer(b->c, &a, b->now); /* the first one's, again */
        assert_true(b->c->asked);
}

/* Requirement: F4, F15 */
static void test_requests_have_a_pace(void **state) {
        Bench *b = *state;
        uint64_t begin = b->now;

        say_hello(b);
        for (unsigned i = 0; i < 60; i++)
                send_text(b, "{\"id\":1,\"request\":\"nothing\"}"); /* refused here, and counted */
        unsigned answers = 0;
        (void)hear(b);
        while (b->now < begin + 60 * SECOND && answers < 60) {
                carry(b);
                while (*hear(b))
                        answers++;
                if (answers == 60)
                        break;
                uint64_t next = link_connection_deadline(b->c);
                assert_true(next > b->now);
                b->now = next;
                link_connection_turn(b->c, b->now);
        }
        assert_int_equal(answers, 60);
        /* 12 at once with hello, then four a second. */
        assert_in_range(b->now - begin, 11 * SECOND, 14 * SECOND);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, take_down)
        const struct CMUnitTest tests[] = {
                TEST(test_handshake_that_dribbles_ends_in_time),
                TEST(test_silence_after_the_handshake_ends_in_time),
                TEST(test_frame_that_dribbles_ends_in_time),
                TEST(test_connection_without_a_word_ends_in_the_end),
                TEST(test_handheld_that_takes_nothing_is_left),
                TEST(test_one_request_at_a_time_and_only_its_own_answer),
                TEST(test_requests_have_a_pace),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
