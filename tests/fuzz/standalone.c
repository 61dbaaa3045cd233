/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target without libFuzzer: every file of the corpus directory, then so many inputs made from
 * them and from nothing, the same ones each time: fuzz_x [--runs N] [--seed N] [FILE|DIRECTORY…] */
#include "base/macros.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define INPUT_MAX 4096
#define SEEDS_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Seed {
        uint8_t *bytes;
        size_t n;
} Seed;

typedef struct Driver {
        uint64_t random;
        Seed seeds[SEEDS_MAX];
        size_t n_seeds;
} Driver;

static uint64_t dice(Driver *d, uint64_t n) {
        d->random ^= d->random << 13;
        d->random ^= d->random >> 7;
        d->random ^= d->random << 17;
        return (d->random >> 11) % n;
}

/* Each input in a block of exactly its size, so that the address sanitizer sees the first byte too many. */
static void run_one(const uint8_t *bytes, size_t n) {
        _cleanup_free_ uint8_t *copy = malloc(n ? n : 1);

        if (!copy)
                abort();
        if (n > 0)
                memcpy(copy, bytes, n);
        (void)LLVMFuzzerTestOneInput(copy, n);
}

static int read_seed(Driver *d, const char *path) {
        _cleanup_free_ uint8_t *bytes = malloc(INPUT_MAX);
        FILE *f = fopen(path, "re");

        if (!f || !bytes) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                if (f)
                        fclose(f);
                return -EIO;
        }
        size_t n = fread(bytes, 1, INPUT_MAX, f);
        fclose(f);
        run_one(bytes, n);
        if (d->n_seeds < SEEDS_MAX)
                d->seeds[d->n_seeds++] = (Seed){steal_ptr(bytes), n};
        return 0;
}

static int read_corpus(Driver *d, const char *path) {
        struct dirent **entries = NULL;
        struct stat st;
        int r = 0;

        if (stat(path, &st) < 0) {
                /* A target without a corpus yet still gets its random inputs. */
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                return errno == ENOENT ? 0 : -errno;
        }
        if (!S_ISDIR(st.st_mode))
                return read_seed(d, path);

        int n = scandir(path, &entries, NULL, alphasort); /* sorted: the same order everywhere */
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *name = text_printf("%s/%s", path, entries[i]->d_name);
                if (entries[i]->d_name[0] != '.' && r == 0)
                        r = name ? read_seed(d, name) : -ENOMEM;
                free(entries[i]);
        }
        free(entries);
        return n < 0 ? -EIO : r;
}

/* One to eight small damages: a bit, a byte, a cut, a repeat, a piece of another seed. */
static size_t mutate(Driver *d, uint8_t *bytes, size_t n) {
        for (uint64_t i = dice(d, 8) + 1; i > 0; i--) {
                size_t at = n ? dice(d, n) : 0;

                switch (dice(d, 6)) {
                case 0:
                        if (n > 0)
                                bytes[at] ^= (uint8_t)(1 << dice(d, 8));
                        break;
                case 1:
                        if (n > 0)
                                bytes[at] = (uint8_t)dice(d, 256);
                        break;
                case 2:
                        n = at;
                        break;
                case 3:
                        if (n < INPUT_MAX) {
                                memmove(bytes + at + 1, bytes + at, n - at);
                                bytes[at] = (uint8_t)dice(d, 256);
                                n++;
                        }
                        break;
                case 4: {
                        size_t length = MIN(n - at, (size_t)INPUT_MAX - n);
                        memmove(bytes + n, bytes + at, length);
                        n += length;
                        break;
                }
                default:
                        if (d->n_seeds > 0) {
                                const Seed *s = &d->seeds[dice(d, d->n_seeds)];
                                size_t from = s->n ? dice(d, s->n) : 0;
                                size_t length = MIN(s->n - from, (size_t)INPUT_MAX - at);
                                if (length > 0)
                                        memcpy(bytes + at, s->bytes + from, length);
                                n = MAX(n, at + length);
                        }
                        break;
                }
        }
        return n;
}

static size_t make_input(Driver *d, uint8_t bytes[INPUT_MAX]) {
        if (d->n_seeds == 0 || dice(d, 4) == 0) {
                size_t n = dice(d, 1 << dice(d, 9));
                for (size_t i = 0; i < n; i++)
                        bytes[i] = (uint8_t)dice(d, 256);
                return n;
        }
        const Seed *s = &d->seeds[dice(d, d->n_seeds)];
        memcpy(bytes, s->bytes, s->n);
        return mutate(d, bytes, s->n);
}

int main(int argc, char **argv) {
        Driver d = {0};
        uint64_t runs = 10000, seed = 1;
        uint8_t bytes[INPUT_MAX];
        int r = 0;

        for (int i = 1; i < argc && r == 0; i++) {
                uint64_t *number = streq(argv[i], "--runs") ? &runs : streq(argv[i], "--seed") ? &seed : NULL;
                if (number)
                        r = i + 1 < argc ? text_to_u64(argv[++i], UINT64_MAX, number) : -EINVAL;
                else
                        r = read_corpus(&d, argv[i]);
        }
        d.random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
        for (uint64_t i = 0; i < runs && r == 0; i++)
                run_one(bytes, make_input(&d, bytes));
        printf("%zu files, %llu random inputs\n", d.n_seeds, r == 0 ? (unsigned long long)runs : 0);
        for (size_t i = 0; i < d.n_seeds; i++)
                free(d.seeds[i].bytes);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
