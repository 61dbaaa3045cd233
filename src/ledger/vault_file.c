/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the key: from a systemd credential, or from a file that is created once and never overwritten.
 */
#include "base/text.h"
#include "ledger/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>

#define CREDENTIAL "lockerd.key"

static int parse_key(const uint8_t *text, size_t n, uint8_t ret[VAULT_KEY_SIZE]) {
        char hex[2 * VAULT_KEY_SIZE + 1];

        if (n == VAULT_KEY_SIZE) {
                memcpy(ret, text, n);
                return 0;
        }
        if (n == 2 * VAULT_KEY_SIZE + 1 && text[n - 1] == '\n')
                n--;
        if (n != 2 * VAULT_KEY_SIZE)
                return -EINVAL;
        memcpy(hex, text, n);
        hex[n] = 0;
        int r = text_from_hex(hex, ret, VAULT_KEY_SIZE);
        explicit_bzero(hex, sizeof(hex));
        return r;
}

static int read_key(const char *path, bool check_mode, uint8_t ret[VAULT_KEY_SIZE]) {
        uint8_t text[2 * VAULT_KEY_SIZE + 2];
        size_t n = 0;
        struct stat st;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if (check_mode && (st.st_mode & 0077))
                return -EPERM;
        while (n < sizeof(text)) {
                ssize_t got = read(fd, text + n, sizeof(text) - n);
                if (got < 0) {
                        int r = -errno;
                        explicit_bzero(text, sizeof(text));
                        return r;
                }
                if (got == 0)
                        break;
                n += (size_t)got;
        }
        int r = parse_key(text, n, ret);
        explicit_bzero(text, sizeof(text));
        return r;
}

static int sync_directory_of(const char *path) {
        _cleanup_free_ char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        _cleanup_close_ int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return fsync(fd) < 0 ? -errno : 0;
}

/* The key is complete and synced under a temporary name before it is renamed: after a power cut there
 * is a whole key or none. */
static int create_key(const char *path) {
        uint8_t key[VAULT_KEY_SIZE];
        uint64_t suffix = 0;

        int r = vault_random(&suffix, sizeof(suffix));
        if (r < 0)
                return r;
        _cleanup_free_ char *temporary = text_printf("%s.%016llx.new", path, (unsigned long long)suffix);
        if (!temporary)
                return -ENOMEM;
        r = vault_random(key, sizeof(key));
        if (r < 0)
                return r;

        _cleanup_close_ int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
        if (fd < 0)
                r = -errno;
        else {
                ssize_t written = write(fd, key, sizeof(key));
                if (written != (ssize_t)sizeof(key))
                        r = written < 0 ? -errno : -ENOSPC;
                else if (fsync(fd) < 0)
                        r = -errno;
                else if (link(temporary, path) < 0)
                        r = -errno;
                (void)unlink(temporary);
        }
        explicit_bzero(key, sizeof(key));
        /* Another process was faster: use its key. */
        if (r < 0 && r != -EEXIST)
                return r;
        return sync_directory_of(path);
}

int vault_load(Vault **ret, const char *path, bool create) {
        uint8_t key[VAULT_KEY_SIZE];
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        int r = -ENOENT;

        if (directory) {
                _cleanup_free_ char *credential = text_printf("%s/" CREDENTIAL, directory);
                if (!credential)
                        return -ENOMEM;
                /* systemd's directory is private to the unit; modes inside may show ACL masks. */
                r = read_key(credential, false, key);
        }
        if (r == -ENOENT)
                r = read_key(path, true, key);
        if (r == -ENOENT) {
                if (!create)
                        return -ENOKEY;
                r = create_key(path);
                if (r >= 0)
                        r = read_key(path, true, key);
        }
        if (r >= 0)
                r = vault_new(ret, key);
        explicit_bzero(key, sizeof(key));
        return r;
}
