/* SPDX-License-Identifier: Apache-2.0 */
#include "message/jws.h"
#include "core/refusal.h"
#include "signer.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/rsa.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define HEADER  "{\"alg\":\"EdDSA\",\"kid\":\"backend\"}"
#define PAYLOAD "{\"cabinet\":\"C-1\",\"name\":\"open\",\"id\":\"a1\"}"
#define LONG_ID "0123456789012345678901234567890123456789012345678901234567890123"
#define OTHER   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

typedef struct Bench {
        Signer signer, stranger;
        KeyRing *ring;
} Bench;

static int bench_up(void **state) {
        Bench *b = calloc(1, sizeof(*b));
        char complaint[MESSAGE_DETAIL_MAX] = "";

        b->signer = signer_new(RFC8037_SECRET);
        b->stranger = signer_new(OTHER);
        if (key_ring_new(&b->ring) < 0 ||
            key_ring_add(b->ring, "backend", b->signer.pem, strlen(b->signer.pem), complaint) < 0)
                return -1;
        *state = b;
        return 0;
}

static int bench_down(void **state) {
        Bench *b = *state;

        signer_done(&b->signer);
        signer_done(&b->stranger);
        key_ring_free(b->ring);
        free(b);
        return 0;
}

static int verify(const KeyRing *ring, const char *text, size_t n, char detail[MESSAGE_DETAIL_MAX]) {
        Jws jws;

        detail[0] = '\0';
        int r = jws_verify(ring, text, n, &jws, detail);
        assert_int_equal(r == 0, jws.key[0] != '\0');
        assert_int_equal(r != 0, detail[0] != '\0');
        jws_done(&jws);
        return r;
}

static void test_jws_rfc8037_vector_is_verified(void **state) {
        /* Appendix A.4. Its header has no kid, so the vector is for the ring alone. */
        static const char input[] = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        static const char signature_hex[] =
                "860c98d2297f3060a33f42739672d61b53cf3adefed3d3c672f320dc021b411e"
                "9d59b8628dc351e248b88b29468e0e41855b0fb7d83bb15be902bfccb8cd0a02";
        static const char compact[] =
                "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
                "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_"
                "MuM0KAg";
        Bench *b = *state;
        uint8_t signature[64];
        char detail[MESSAGE_DETAIL_MAX];

        assert_int_equal(text_from_hex(signature_hex, signature, sizeof(signature)), 0);
        assert_int_equal(key_ring_verify(b->ring, "backend", input, strlen(input), signature), 0);
        signature[63] ^= 1;
        assert_int_equal(key_ring_verify(b->ring, "backend", input, strlen(input), signature),
                         LOCKER_E_BAD_SIGNATURE);
        assert_true(jws_is_compact(compact, strlen(compact)));
        assert_int_equal(verify(b->ring, compact, strlen(compact), detail), LOCKER_E_BAD_SIGNATURE);
        assert_non_null(strstr(detail, "kid"));

        /* And the maker of this test makes the same signature, as Ed25519 must. */
        _cleanup_free_ char *again = signer_sign_raw(&b->signer, input);
        assert_string_equal(again, strrchr(compact, '.') + 1);
}

static void test_jws_signed_is_verified_and_names_its_key(void **state) {
        Bench *b = *state;
        char detail[MESSAGE_DETAIL_MAX] = "";
        _cleanup_(jws_done) Jws jws;
        _cleanup_free_ char *text = signer_jws(&b->signer, HEADER, PAYLOAD);

        assert_true(jws_is_compact(text, strlen(text)));
        assert_int_equal(jws_verify(b->ring, text, strlen(text), &jws, detail), 0);
        assert_string_equal(jws.key, "backend");
        assert_string_equal(jws.payload, PAYLOAD);
        assert_int_equal(jws.n_payload, strlen(PAYLOAD));
        assert_string_equal(detail, "");
}

/* Requirement: F5 */
static void test_jws_tampered_in_every_byte_is_refused(void **state) {
        Bench *b = *state;
        char detail[MESSAGE_DETAIL_MAX];
        _cleanup_free_ char *text = signer_jws(&b->signer, HEADER, PAYLOAD);
        size_t n = strlen(text);

        for (size_t i = 0; i < n; i++) {
                char kept = text[i];
                /* Every bit; where an encoding could have a second spelling, every value. */
                bool end = i + 4 >= n || text[i + 1] == '.';
                for (unsigned change = 1; change < 256; change = end ? change + 1 : change * 2) {
                        text[i] = (char)(kept ^ (char)change);
                        assert_int_equal(verify(b->ring, text, n, detail), LOCKER_E_BAD_SIGNATURE);
                }
                text[i] = kept;
        }
        assert_int_equal(verify(b->ring, text, n, detail), 0);
}

static void test_jws_cut_or_prolonged_is_refused(void **state) {
        Bench *b = *state;
        char detail[MESSAGE_DETAIL_MAX];
        _cleanup_free_ char *text = signer_jws(&b->signer, HEADER, PAYLOAD);
        static const char *const tails[] = {"A", "AA", "AAAA", "=", "==", ".", ".AAAA", "\n", " "};
        size_t n = strlen(text);

        for (size_t i = 0; i < n; i++)
                assert_int_equal(verify(b->ring, text, i, detail), LOCKER_E_BAD_SIGNATURE);
        for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
                _cleanup_free_ char *longer = text_printf("%s%s", text, tails[i]);
                assert_int_equal(verify(b->ring, longer, strlen(longer), detail), LOCKER_E_BAD_SIGNATURE);
        }
        /* A NUL ends nothing. */
        assert_int_equal(verify(b->ring, text, n + 1, detail), LOCKER_E_BAD_SIGNATURE);
}

static void test_jws_header_that_asks_for_anything_else_is_refused(void **state) {
        static const char *const headers[] = {
                "{\"alg\":\"none\",\"kid\":\"backend\"}",
                "{\"alg\":\"NONE\",\"kid\":\"backend\"}",
                "{\"alg\":\"\",\"kid\":\"backend\"}",
                "{\"alg\":\"eddsa\",\"kid\":\"backend\"}",
                "{\"alg\":\"Ed25519\",\"kid\":\"backend\"}",
                "{\"alg\":\"HS256\",\"kid\":\"backend\"}",
                "{\"alg\":\"ES256\",\"kid\":\"backend\"}",
                "{\"alg\":\"EdDSA\\u0000\",\"kid\":\"backend\"}",
                "{\"alg\":[\"EdDSA\"],\"kid\":\"backend\"}",
                "{\"alg\":null,\"kid\":\"backend\"}",
                "{\"kid\":\"backend\"}",
                "{\"alg\":\"EdDSA\"}",
                "{\"alg\":\"EdDSA\",\"kid\":\"\"}",
                "{\"alg\":\"EdDSA\",\"kid\":17}",
                "{\"alg\":\"EdDSA\",\"kid\":\"nobody\"}",
                "{\"alg\":\"EdDSA\",\"kid\":\"Backend\"}",
                "{\"alg\":\"EdDSA\",\"kid\":\"backend.pem\"}",
                "{\"alg\":\"EdDSA\",\"kid\":\"./backend\"}",
                "{\"alg\":\"EdDSA\",\"kid\":\"../keys/backend\"}",
                "{\"alg\":\"EdDSA\",\"kid\":\"backend\\u0000\"}",
                "{\"alg\":\"EdDSA\",\"kid\":\"" LONG_ID "\"}",
                "{\"alg\":\"EdDSA\",\"kid\":\"backend\",\"crit\":[]}",
                "{\"alg\":\"EdDSA\",\"kid\":\"backend\",\"crit\":[\"b64\"],\"b64\":false}",
                "{\"alg\":\"EdDSA\",\"kid\":\"backend\",\"b64\":false}",
                "{\"alg\":\"EdDSA\",\"kid\":\"backend\",\"zip\":\"DEF\"}",
                "{\"alg\":\"EdDSA\",\"kid\":\"backend\",\"jwk\":{\"kty\":\"OKP\"}}",
                "{\"alg\":\"EdDSA\",\"kid\":\"backend\",\"jku\":\"https://example.net/keys\"}",
                "{\"alg\":\"EdDSA\",\"kid\":\"backend\",\"x5c\":[]}",
                "{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\",\"kid\":\"backend\"}",
                "{\"alg\":\"none\",\"alg\":\"EdDSA\",\"kid\":\"backend\"}",
                "{\"alg\":\"EdDSA\",\"kid\":\"backend\"} ,",
                "[\"EdDSA\"]",
                "\"EdDSA\"",
                "{",
                "",
        };
        Bench *b = *state;
        char detail[MESSAGE_DETAIL_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
                _cleanup_free_ char *text = signer_jws(&b->signer, headers[i], PAYLOAD);
                assert_int_equal(verify(b->ring, text, strlen(text), detail), LOCKER_E_BAD_SIGNATURE);
        }
}

static void test_jws_strange_key_or_empty_ring_is_refused_but_payload_can_be_read(void **state) {
        Bench *b = *state;
        char detail[MESSAGE_DETAIL_MAX];
        _cleanup_free_ char *text = signer_jws(&b->stranger, HEADER, PAYLOAD);
        _cleanup_(key_ring_freep) KeyRing *empty = NULL;
        const KeyRing *rings[] = {b->ring, NULL, NULL};

        assert_int_equal(key_ring_new(&empty), 0);
        rings[1] = empty;
        for (size_t i = 0; i < ARRAY_SIZE(rings); i++) {
                _cleanup_(jws_done) Jws jws;
                assert_int_equal(jws_verify(rings[i], text, strlen(text), &jws, detail),
                                 LOCKER_E_BAD_SIGNATURE);
                assert_string_equal(jws.payload, PAYLOAD);
                assert_string_equal(jws.key, "");
        }
}

/* --- the ring --- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static void directory_remove(char **path) {
        (void)nftw(*path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put_file(const char *directory, const char *name, const char *text, mode_t mode) {
        _cleanup_free_ char *path = text_printf("%s/%s", directory, name);
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        fputs(text, f);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(chmod(path, mode), 0);
}

typedef struct Said {
        char text[4096];
        unsigned lines;
} Said;

static void said(void *userdata, const char *line) {
        Said *s = userdata;
        size_t n = strlen(s->text);

        snprintf(s->text + n, sizeof(s->text) - n, "%s\n", line);
        s->lines++;
}

static void other_keys(char ed448[512], char rsa[1024], char private_key[512], const Signer *signer) {
        EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
        signer_pem(key, ed448, 512);
        EVP_PKEY_free(key);
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
        signer_pem(key, rsa, 1024);
        EVP_PKEY_free(key);
        BIO *bio = BIO_new(BIO_s_mem());
        assert_int_equal(PEM_write_bio_PrivateKey(bio, signer->key, NULL, NULL, 0, NULL, NULL), 1);
        int n = BIO_read(bio, private_key, 511);
        private_key[n] = '\0';
        BIO_free(bio);
}

static void test_key_ring_of_a_directory_takes_the_good_and_says_why_not_the_others(void **state) {
        static const char *const complaints[] = {
                "448.pem: holds a key of another kind",  "private.pem: holds a private key",
                "two.pem: holds more than one key",      "empty.pem: has not the size of a key",
                "text.pem: holds no public key",         "rsa.pem: holds a key of another kind",
                "folder.pem: is not a regular file",     "fifo.pem: is not a regular file",
                "open.pem: may be written by everybody", "dangling.pem: No such file",
                "bad name.pem: is not named like a key",
        };
        Bench *b = *state;
        char path[] = "/tmp/lockerd-keys-XXXXXX", ed448[512], rsa[1024], private_key[512],
             detail[MESSAGE_DETAIL_MAX];
        _cleanup_(directory_remove) char *directory = mkdtemp(path);
        _cleanup_free_ char *two = text_printf("%s%s", b->signer.pem, b->stranger.pem);
        _cleanup_(key_ring_freep) KeyRing *ring = NULL, *again = NULL;
        Said s = {0};

        assert_non_null(directory);
        other_keys(ed448, rsa, private_key, &b->signer);
        put_file(directory, "backend.pem", b->signer.pem, 0644);
        put_file(directory, "backend.2026-11.pem", b->stranger.pem, 0600);
        put_file(directory, "README", "no key, and not named like one", 0644);
        put_file(directory, ".hidden.pem", "left by an editor", 0644);
        put_file(directory, "448.pem", ed448, 0644);
        put_file(directory, "rsa.pem", rsa, 0644);
        put_file(directory, "private.pem", private_key, 0600);
        put_file(directory, "two.pem", two, 0644);
        put_file(directory, "empty.pem", "", 0644);
        put_file(directory, "text.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 0644);
        put_file(directory, "open.pem", b->signer.pem, 0666);
        put_file(directory, "bad name.pem", b->signer.pem, 0644);
        _cleanup_free_ char *folder = text_printf("%s/folder.pem", directory);
        _cleanup_free_ char *fifo = text_printf("%s/fifo.pem", directory);
        _cleanup_free_ char *dangling = text_printf("%s/dangling.pem", directory);
        assert_int_equal(mkdir(folder, 0755), 0);
        assert_int_equal(mkfifo(fifo, 0644), 0);
        assert_int_equal(symlink("nowhere", dangling), 0);

        assert_int_equal(key_ring_load(&ring, directory, said, &s), 0);
        assert_int_equal(key_ring_size(ring), 2);
        for (size_t i = 0; i < ARRAY_SIZE(complaints); i++)
                if (!strstr(s.text, complaints[i]))
                        fail_msg("\"%s\" is not in:\n%s", complaints[i], s.text);
        assert_int_equal(s.lines, ARRAY_SIZE(complaints));

        /* A key that is taken away no longer signs after loading again. */
        _cleanup_free_ char *jws = signer_jws(&b->signer, HEADER, PAYLOAD);
        assert_int_equal(verify(ring, jws, strlen(jws), detail), 0);
        _cleanup_free_ char *gone = text_printf("%s/backend.pem", directory);
        assert_int_equal(unlink(gone), 0);
        assert_int_equal(key_ring_load(&again, directory, said, &s), 0);
        assert_int_equal(verify(again, jws, strlen(jws), detail), LOCKER_E_BAD_SIGNATURE);
}

static void test_key_ring_of_no_directory_is_empty_and_said(void **state) {
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        Said s = {0};

        assert_int_equal(key_ring_load(&ring, "/nonexistent/keys", said, &s), 0);
        assert_int_equal(key_ring_size(ring), 0);
        assert_int_equal(s.lines, 1);
        assert_int_equal(key_ring_size(NULL), 0);
}

static void test_key_ring_ids_are_file_names_and_unique(void **state) {
        static const char *const ids[] = {
                "",    ".",
                "..",  ".x",
                "a/b", "../a",
                "a b", "a\n",
                "ä",   "0123456789012345678901234567890123456789012345678901234567890123"};
        Bench *b = *state;
        char complaint[MESSAGE_DETAIL_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
                assert_int_equal(
                        key_ring_add(b->ring, ids[i], b->signer.pem, strlen(b->signer.pem), complaint),
                        -EINVAL);
        assert_int_equal(
                key_ring_add(b->ring, "backend", b->stranger.pem, strlen(b->stranger.pem), complaint),
                -EEXIST);
        assert_int_equal(key_ring_add(b->ring, "second", b->stranger.pem, strlen(b->stranger.pem), complaint),
                         0);
        assert_int_equal(key_ring_size(b->ring), 2);
}

static void test_key_ring_ids_are_told_as_far_as_there_is_room(void **state) {
        static const char all[] = "backend, second, third";
        static const struct {
                size_t room;
                const char *told;
        } rows[] = {{100, all},
                    {sizeof(all), all},
                    {sizeof(all) - 1, "backend, second, …"},
                    {17, "backend, …"},
                    {8, "…"}};
        Bench *b = *state;
        char complaint[MESSAGE_DETAIL_MAX], ids[100];

        key_ring_ids(NULL, ids, sizeof(ids));
        assert_string_equal(ids, "");
        key_ring_ids(b->ring, ids, sizeof(ids));
        assert_string_equal(ids, "backend");
        for (size_t i = 0; i < 2; i++)
                assert_int_equal(key_ring_add(b->ring, i ? "third" : "second", b->stranger.pem,
                                              strlen(b->stranger.pem), complaint),
                                 0);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                memset(ids, 'x', sizeof(ids));
                key_ring_ids(b->ring, ids, rows[i].room);
                assert_string_equal(ids, rows[i].told);
                for (size_t k = rows[i].room; k < sizeof(ids); k++)
                        assert_int_equal(ids[k], 'x');
        }
}

int main(void) {
#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, bench_up, bench_down)
        const struct CMUnitTest tests[] = {
                WITH_BENCH(test_jws_rfc8037_vector_is_verified),
                WITH_BENCH(test_jws_signed_is_verified_and_names_its_key),
                WITH_BENCH(test_jws_tampered_in_every_byte_is_refused),
                WITH_BENCH(test_jws_cut_or_prolonged_is_refused),
                WITH_BENCH(test_jws_header_that_asks_for_anything_else_is_refused),
                WITH_BENCH(test_jws_strange_key_or_empty_ring_is_refused_but_payload_can_be_read),
                WITH_BENCH(test_key_ring_of_a_directory_takes_the_good_and_says_why_not_the_others),
                WITH_BENCH(test_key_ring_of_no_directory_is_empty_and_said),
                WITH_BENCH(test_key_ring_ids_are_file_names_and_unique),
                WITH_BENCH(test_key_ring_ids_are_told_as_far_as_there_is_room),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
