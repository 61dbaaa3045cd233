/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "core/refusal.h"
#include "message/jws.h"
#include "message/key_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/stat.h>

#define KEY_FILE_MAX (16 * 1024)

typedef struct Key {
        char id[KEY_ID_MAX + 1];
        EVP_PKEY *key;
} Key;

struct KeyRing {
        Key *keys;
        size_t n;
};

DEFINE_CLEANUP(BIO *, BIO_free);
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free);
DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free);

int key_ring_new(KeyRing **ret) {
        KeyRing *ring = calloc(1, sizeof(*ring));

        if (!ring)
                return -ENOMEM;
        *ret = ring;
        return 0;
}

KeyRing *key_ring_free(KeyRing *ring) {
        if (!ring)
                return NULL;
        for (size_t i = 0; i < ring->n; i++)
                EVP_PKEY_free(ring->keys[i].key);
        free(ring->keys);
        free(ring);
        return NULL;
}

size_t key_ring_size(const KeyRing *ring) {
        return ring ? ring->n : 0;
}

void key_ring_ids(const KeyRing *ring, char *ret, size_t room) {
        static const char more[] = "…";
        size_t n = 0;

        ret[0] = '\0';
        for (size_t i = 0; ring && i < ring->n; i++) {
                const char *id = ring->keys[i].id;
                bool last = i + 1 == ring->n;

                if (n + 2 + strlen(id) + (last ? 1 : 2 + sizeof(more)) > room) {
                        snprintf(ret + n, room - n, "%s%s", n ? ", " : "", more);
                        return;
                }
                n += (size_t)snprintf(ret + n, room - n, "%s%s", n ? ", " : "", id);
        }
}

static const Key *find(const KeyRing *ring, const char *id) {
        for (size_t i = 0; ring && i < ring->n; i++)
                if (streq(ring->keys[i].id, id))
                        return &ring->keys[i];
        return NULL;
}

bool key_id_is_fine(const char *id) {
        size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

        return n >= 1 && n <= KEY_ID_MAX && id[n] == '\0' && id[0] != '.';
}

/* A file without a pass phrase never asks for one on a terminal. */
static int no_pass_phrase(char *buffer, int size, int writing, void *userdata) {
        return -1;
}

static const char *read_key(const void *pem, size_t n, EVP_PKEY **ret) {
        _cleanup_(BIO_freep) BIO *bio = n <= KEY_FILE_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL, *second = NULL;

        if (!bio)
                return "is too large for a key";
        if (memmem(pem, n, "PRIVATE KEY-----", 16))
                return "holds a private key: the cabinet needs the public one only, and a private key that "
                       "lay here should no longer be used";
        key = PEM_read_bio_PUBKEY(bio, NULL, no_pass_phrase, NULL);
        if (!key)
                return "holds no public key (PEM, \"BEGIN PUBLIC KEY\")";
        if (EVP_PKEY_get_id(key) != EVP_PKEY_ED25519)
                return "holds a key of another kind: only Ed25519 is taken";

        second = PEM_read_bio_PUBKEY(bio, NULL, no_pass_phrase, NULL);
        if (second)
                return "holds more than one key: a file is one key";
        *ret = steal_ptr(key);
        return NULL;
}

int key_ring_add(KeyRing *ring, const char *id, const void *pem, size_t n,
                 char ret_complaint[MESSAGE_DETAIL_MAX]) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        const char *wrong;

        if (!key_id_is_fine(id)) {
                snprintf(ret_complaint, MESSAGE_DETAIL_MAX,
                         "is not named like a key: at most %d letters, digits, '.', '_' and '-'", KEY_ID_MAX);
                return -EINVAL;
        }
        if (find(ring, id)) {
                snprintf(ret_complaint, MESSAGE_DETAIL_MAX, "has the id of another key");
                return -EEXIST;
        }
        wrong = read_key(pem, n, &key);
        ERR_clear_error();
        if (wrong) {
                snprintf(ret_complaint, MESSAGE_DETAIL_MAX, "%s", wrong);
                return -EINVAL;
        }
        Key *grown = reallocarray(ring->keys, ring->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        ring->keys = grown;
        snprintf(grown[ring->n].id, sizeof(grown[ring->n].id), "%s", id);
        grown[ring->n].key = steal_ptr(key);
        ring->n++;
        return 0;
}

char *key_file_read(int directory, const char *name, size_t *ret_n, const char **ret_wrong) {
        _cleanup_close_ int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0) {
                *ret_wrong = strerrordesc_np(errno);
                return NULL;
        }
        *ret_wrong = !S_ISREG(st.st_mode)                          ? "is not a regular file"
                     : st.st_mode & S_IWOTH                        ? "may be written by everybody"
                     : st.st_uid != 0 && st.st_uid != geteuid()    ? "belongs to somebody else than root"
                     : st.st_size < 1 || st.st_size > KEY_FILE_MAX ? "has not the size of a key"
                                                                   : NULL;
        if (*ret_wrong)
                return NULL;
        char *data = malloc((size_t)st.st_size);
        ssize_t n = data ? read(fd, data, (size_t)st.st_size) : -1;
        if (n != (ssize_t)st.st_size) {
                *ret_wrong = "cannot be read whole";
                free(data);
                return NULL;
        }
        *ret_n = (size_t)n;
        return data;
}

static int load_file(KeyRing *ring, int directory, const char *path, const char *name, KeyComplaint complain,
                     void *userdata) {
        char id[NAME_MAX + 1], complaint[MESSAGE_DETAIL_MAX] = "";
        const char *wrong = NULL;
        size_t n = 0;
        int r = 0;

        snprintf(id, sizeof(id), "%.*s", (int)(strlen(name) - strlen(".pem")), name);
        _cleanup_free_ char *data = key_file_read(directory, name, &n, &wrong);
        if (data)
                r = key_ring_add(ring, id, data, n, complaint);
        else
                snprintf(complaint, sizeof(complaint), "%s", wrong);
        if (r == -ENOMEM)
                return r;
        if (*complaint) {
                _cleanup_free_ char *line = text_printf("%s/%s: %s.", path, name, complaint);
                if (!line)
                        return -ENOMEM;
                complain(userdata, line);
        }
        return 0;
}

static int is_key_file(const struct dirent *entry) {
        size_t n = strlen(entry->d_name);

        return entry->d_name[0] != '.' && n > 4 && streq(entry->d_name + n - 4, ".pem");
}

int key_ring_load(KeyRing **ret, const char *path, KeyComplaint complain, void *userdata) {
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        _cleanup_close_ int directory = -1;
        struct dirent **entries = NULL;
        int r = key_ring_new(&ring);

        if (r < 0)
                return r;
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int n = directory < 0 ? -1 : scandirat(directory, ".", &entries, is_key_file, alphasort);
        if (n < 0) {
                _cleanup_free_ char *line = text_printf("%s: %s; no signed command can be verified.", path,
                                                        strerrordesc_np(errno));
                if (!line)
                        return -ENOMEM;
                complain(userdata, line);
        }
        for (int i = 0; i < n; i++) {
                if (r >= 0)
                        r = load_file(ring, directory, path, entries[i]->d_name, complain, userdata);
                free(entries[i]);
        }
        free(entries);
        if (r < 0)
                return r;
        *ret = steal_ptr(ring);
        return 0;
}

int key_ring_verify(const KeyRing *ring, const char *id, const void *message, size_t n,
                    const uint8_t signature[64]) {
        const Key *key = find(ring, id);
        _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *context = NULL;

        if (!key)
                return LOCKER_E_BAD_SIGNATURE;
        context = EVP_MD_CTX_new();
        if (!context)
                return -ENOMEM;
        if (EVP_DigestVerifyInit(context, NULL, NULL, NULL, key->key) != 1)
                return -EIO;
        /* 1 is the only yes; 0 and negative values are all a no. */
        bool right = EVP_DigestVerify(context, signature, 64, message, n) == 1;
        ERR_clear_error();
        return right ? 0 : LOCKER_E_BAD_SIGNATURE;
}
