/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <fcntl.h>
#include <sys/stat.h>

static void test_vault_keys_differ_by_purpose_and_master(void **state) {
        _cleanup_(vault_freep) Vault *a = test_vault(1), *b = test_vault(2);

        for (int i = 0; i < VAULT_PURPOSE_MAX; i++) {
                assert_memory_not_equal(vault_key(a, (VaultPurpose)i), vault_key(b, (VaultPurpose)i), 32);
                for (int k = 0; k < i; k++)
                        assert_memory_not_equal(vault_key(a, (VaultPurpose)i), vault_key(a, (VaultPurpose)k),
                                                32);
        }
}

/* The derivation is a part of the file format. The values come from another implementation (Python's hmac,
 * hashlib). */
static void test_vault_derivation_known_key_known_values(void **state) {
        uint8_t key[VAULT_KEY_SIZE], mac[VAULT_MAC_SIZE];
        char hex[2 * VAULT_MAC_SIZE + 1];
        _cleanup_(vault_freep) Vault *v = NULL;

        for (unsigned i = 0; i < sizeof(key); i++)
                key[i] = (uint8_t)i;
        assert_int_equal(vault_new(&v, key), 0);
        text_to_hex(vault_key(v, VAULT_CODE), 32, hex);
        assert_string_equal(hex, "1e852c14f480fd842a6b4ec3e65f7d649340106f7665d0f24b22c4c32dd4ebf0");
        vault_mac(v, VAULT_CODE, "ABC234", 6, mac);
        text_to_hex(mac, sizeof(mac), hex);
        assert_string_equal(hex, "10dbb8a9f366eb0ba42ea499dc30369e254bb393bfa8e0d6e78c8289abad0f34");
}

static void test_vault_seal_opened_same_label_and_salt_plain_again(void **state) {
        _cleanup_(vault_freep) Vault *v = test_vault(1);
        const uint8_t salt[16] = {7};
        uint8_t sealed[5 + VAULT_SEAL_EXTRA], again[5 + VAULT_SEAL_EXTRA];
        char plain[6] = "";

        assert_int_equal(vault_seal(v, "a", salt, "hello", 5, sealed), 0);
        assert_int_equal(vault_seal(v, "a", salt, "hello", 5, again), 0);
        assert_memory_not_equal(sealed, again, sizeof(sealed)); /* a nonce each */
        assert_int_equal(vault_open(v, "a", salt, sealed, sizeof(sealed), plain), 0);
        assert_string_equal(plain, "hello");
        assert_int_equal(vault_seal(v, "a", NULL, "", 0, sealed), 0);
        assert_int_equal(vault_open(v, "a", NULL, sealed, VAULT_SEAL_EXTRA, plain), 0);
}

/* Requirement: F9 */
static void test_vault_seal_anything_changed_refused(void **state) {
        _cleanup_(vault_freep) Vault *v = test_vault(1), *other = test_vault(2);
        const uint8_t salt[16] = {7}, other_salt[16] = {8};
        uint8_t sealed[5 + VAULT_SEAL_EXTRA];
        char plain[6];

        assert_int_equal(vault_seal(v, "a", salt, "hello", 5, sealed), 0);
        assert_int_equal(vault_open(v, "b", salt, sealed, sizeof(sealed), plain), -EBADMSG);
        assert_int_equal(vault_open(v, "a", other_salt, sealed, sizeof(sealed), plain), -EBADMSG);
        assert_int_equal(vault_open(v, "a", NULL, sealed, sizeof(sealed), plain), -EBADMSG);
        assert_int_equal(vault_open(other, "a", salt, sealed, sizeof(sealed), plain), -EBADMSG);
        for (size_t n = 0; n < sizeof(sealed); n++)
                assert_int_equal(vault_open(v, "a", salt, sealed, n, plain), -EBADMSG);
        for (size_t i = 0; i < sizeof(sealed); i++) {
                sealed[i] ^= 1;
                assert_int_equal(vault_open(v, "a", salt, sealed, sizeof(sealed), plain), -EBADMSG);
                sealed[i] ^= 1;
        }
}

static void test_vault_load_absent_made_once_and_kept(void **state) {
        Place *p = *state;
        char path[128];
        struct stat st;
        _cleanup_(vault_freep) Vault *a = NULL, *b = NULL;

        snprintf(path, sizeof(path), "%s/key", p->directory);
        assert_int_equal(vault_load(&a, path, false), -ENOKEY);
        assert_int_equal(vault_load(&a, path, true), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0400);
        assert_int_equal(st.st_size, VAULT_KEY_SIZE);
        assert_int_equal(st.st_nlink, 1);
        assert_int_equal(vault_load(&b, path, true), 0);
        assert_memory_equal(vault_key(a, VAULT_SEAL), vault_key(b, VAULT_SEAL), 32);
}

static void test_vault_load_not_a_key_refused(void **state) {
        static const struct {
                const char *text;
                size_t n;
                int result;
        } cases[] = {
                {"", 0, -EINVAL},
                {"0123456789abcdef0123456789abcde", 31, -EINVAL},
                {"0123456789abcdef0123456789abcdef", 32, 0}, /* 32 raw bytes */
                {"0123456789abcdef0123456789abcdef\n", 33, -EINVAL},
                {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 64, 0},
                {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF\n", 65, 0},
                {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg", 64, -EINVAL},
                {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\n", 66, -EINVAL},
        };
        Place *p = *state;
        char path[128];

        snprintf(path, sizeof(path), "%s/key", p->directory);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(vault_freep) Vault *v = NULL;
                write_file(path, cases[i].text, cases[i].n);
                assert_int_equal(vault_load(&v, path, true), cases[i].result);
                assert_int_equal(v != NULL, cases[i].result == 0);
        }
        assert_int_equal(chmod(path, 0640), 0);
        _cleanup_(vault_freep) Vault *v = NULL;
        assert_int_equal(vault_load(&v, path, true), -EPERM);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(vault_load(&v, path, true), -EINVAL);
        assert_int_equal(rmdir(path), 0);
}

static void test_vault_load_credential_before_file(void **state) {
        Place *p = *state;
        char path[128], credential[128];
        _cleanup_(vault_freep) Vault *from_file = NULL, *from_credential = NULL;

        snprintf(path, sizeof(path), "%s/key", p->directory);
        snprintf(credential, sizeof(credential), "%s/lockerd.key", p->directory);
        assert_int_equal(vault_load(&from_file, path, true), 0);
        write_file(credential, "0123456789abcdef0123456789abcdef", 32);
        assert_int_equal(chmod(credential, 0440), 0);
        setenv("CREDENTIALS_DIRECTORY", p->directory, 1);
        assert_int_equal(vault_load(&from_credential, path, true), 0);
        unsetenv("CREDENTIALS_DIRECTORY");
        assert_memory_not_equal(vault_key(from_file, VAULT_SEAL), vault_key(from_credential, VAULT_SEAL), 32);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_vault_keys_differ_by_purpose_and_master),
                cmocka_unit_test(test_vault_derivation_known_key_known_values),
                cmocka_unit_test(test_vault_seal_opened_same_label_and_salt_plain_again),
                cmocka_unit_test(test_vault_seal_anything_changed_refused),
                cmocka_unit_test_setup_teardown(test_vault_load_absent_made_once_and_kept, setup_directory,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_vault_load_not_a_key_refused, setup_directory, teardown),
                cmocka_unit_test_setup_teardown(test_vault_load_credential_before_file, setup_directory,
                                                teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
