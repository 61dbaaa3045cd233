/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* For LD_PRELOAD, by test_kill.py: counts the calls with which one program writes to the ledger, to its key,
 * to another process, to a broker or to a serial line, lists them, and kills the process at the n-th of them.
 * Everything is said by the environment:
 *
 *   KILLSHIM_PROGRAM   which program; all others are left alone
 *   KILLSHIM_ARGUMENT  and its first argument (lockerd-line has the line's name there)
 *   KILLSHIM_LEDGER    the ledger's path; what begins with it is of class "ledger"
 *   KILLSHIM_KEY       the key file's path; likewise "key"
 *   KILLSHIM_CLASSES   which classes count: ledger, key, worker (a socket pair of packets), network (TCP),
 *                      command (coils, on a serial line), poll (any other request there)
 *   KILLSHIM_LIST      append a line for every call that counts: number, class, call, file, bytes
 *   KILLSHIM_AT        die at this one; 0 or nothing: never
 *   KILLSHIM_HOW       before the call, after it, torn (half of its bytes are written), lost (before it, and
 *                      everything that was not synchronised is taken back, as a power cut might)
 *   KILLSHIM_NOSYNC    a sync does not make anything durable (to see that "lost" would be noticed)
 *   KILLSHIM_TOKEN     this file is removed on dying; where it is missing nobody dies: a successor lives
 */
/* clang-format on */
#undef _FILE_OFFSET_BITS /* both names of each call are defined here */
#undef _TIME_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define EXPORT     __attribute__((visibility("default")))

typedef enum Class { NOTHING, LEDGER, KEY, WORKER, COMMAND, POLL, NETWORK, CLASS_MAX } Class;

static const char *const class_names[CLASS_MAX] = {"",        "ledger", "key",    "worker",
                                                   "command", "poll",   "network"};

typedef enum How { BEFORE, AFTER, TORN, LOST } How;

/* What the file was like before a write that has not been synchronised. */
typedef struct Undo {
        struct Undo *older;
        char path[PATH_MAX];
        off64_t offset, size; /* size: of the whole file */
        size_t n;
        uint8_t bytes[];
} Undo;

static bool counting, nosync;
static bool wanted[CLASS_MAX];
static const char *ledger_prefix, *key_prefix, *token;
static int list_fd = -1;
static uint64_t count, die_at;
static How how;
static Undo *undo;

static bool right_argument(const char *expected) {
        char line[4096];
        int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

        if (fd >= 0)
                close(fd);
        if (n <= 0)
                return false;
        line[n] = 0;
        size_t first = strlen(line) + 1;
        return (size_t)n > first && strcmp(line + first, expected) == 0;
}

__attribute__((constructor(1000))) static void killshim_start(void) {
        static const char *const names[] = {"before", "after", "torn", "lost"};
        const char *program = getenv("KILLSHIM_PROGRAM"), *argument = getenv("KILLSHIM_ARGUMENT"),
                   *list = getenv("KILLSHIM_LIST"), *at = getenv("KILLSHIM_AT"),
                   *classes = getenv("KILLSHIM_CLASSES"), *manner = getenv("KILLSHIM_HOW");

        if (!program || !classes || strcmp(program, program_invocation_short_name) != 0 ||
            (argument && !right_argument(argument)))
                return;
        for (int i = LEDGER; i < CLASS_MAX; i++)
                wanted[i] = strstr(classes, class_names[i]) != NULL;
        for (int i = 0; manner && i < 4; i++)
                if (strcmp(manner, names[i]) == 0)
                        how = (How)i;
        ledger_prefix = getenv("KILLSHIM_LEDGER");
        key_prefix = getenv("KILLSHIM_KEY");
        token = getenv("KILLSHIM_TOKEN");
        nosync = getenv("KILLSHIM_NOSYNC") != NULL;
        die_at = at ? strtoull(at, NULL, 10) : 0;
        /* Far away from the descriptors that the program hands on. */
        int fd = list ? open(list, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
        if (fd >= 0) {
                list_fd = fcntl(fd, F_DUPFD_CLOEXEC, 900);
                close(fd);
        }
        counting = true;
}

static void path_of(int fd, char ret[PATH_MAX]) {
        char link[32];

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, ret, PATH_MAX - 1);
        ret[n > 0 ? n : 0] = 0;
}

static bool begins(const char *path, const char *prefix) {
        return prefix && strncmp(path, prefix, strlen(prefix)) == 0;
}

static Class class_of_path(const char *path) {
        return begins(path, ledger_prefix) ? LEDGER : begins(path, key_prefix) ? KEY : NOTHING;
}

static Class class_of(int fd, const void *bytes, size_t n, char ret_path[PATH_MAX]) {
        int type = 0;
        socklen_t size = sizeof(type);

        path_of(fd, ret_path);
        if (begins(ret_path, "socket:")) {
                int domain = 0;
                if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
                    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
                        return NOTHING;
                return type == SOCK_SEQPACKET                     ? WORKER
                       : type == SOCK_STREAM && domain == AF_INET ? NETWORK
                                                                  : NOTHING;
        }
        if (begins(ret_path, "/dev/pts/") || begins(ret_path, "/dev/tty")) {
                const uint8_t *frame = bytes;
                if (n < 4)
                        return NOTHING;
                return frame[1] == 5 || frame[1] == 6 || frame[1] == 15 || frame[1] == 16 ? COMMAND : POLL;
        }
        return class_of_path(ret_path);
}

static void take_back(void) {
        for (Undo *u = undo; u; u = u->older) {
                int fd = (int)syscall(SYS_openat, AT_FDCWD, u->path, O_WRONLY | O_CLOEXEC);
                if (fd < 0)
                        continue;
                if (u->n)
                        (void)!syscall(SYS_pwrite64, fd, u->bytes, u->n, u->offset);
                (void)!syscall(SYS_ftruncate, fd, u->size);
                syscall(SYS_close, fd);
        }
}

__attribute__((noreturn)) static void die(void) {
        if (how == LOST)
                take_back();
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;)
                pause();
}

/* One call that counts is about to be made. True: die at it. */
static bool reached(Class class, const char *call, const char *path, size_t n) {
        char line[PATH_MAX + 128];
        const char *name = strrchr(path, '/');

        if (!counting || class == NOTHING || !wanted[class])
                return false;
        count++;
        if (list_fd >= 0) {
                int length = snprintf(line, sizeof(line), "%llu %s %s %s %zu\n", (unsigned long long)count,
                                      class_names[class], call, name ? name + 1 : path, n);
                (void)!syscall(SYS_write, list_fd, line, (size_t)length);
        }
        if (count != die_at || (token && syscall(SYS_unlinkat, AT_FDCWD, token, 0) < 0))
                return false;
        if (how == BEFORE || how == LOST)
                die();
        return true;
}

/* --- what a power cut would take back --- */

static void remember(int fd, const char *path, Class class, off64_t offset, size_t n) {
        struct stat64 st;

        if (!counting || class != LEDGER || fstat64(fd, &st) < 0)
                return;
        size_t old = offset >= st.st_size                ? 0
                     : (size_t)(st.st_size - offset) < n ? (size_t)(st.st_size - offset)
                                                         : n;
        Undo *u = malloc(sizeof(*u) + old);
        if (!u)
                return;
        *u = (Undo){.older = undo, .offset = offset, .size = st.st_size, .n = old};
        snprintf(u->path, sizeof(u->path), "%s", path);
        if (old && syscall(SYS_pread64, fd, u->bytes, old, offset) != (long)old)
                u->n = 0;
        undo = u;
}

static void synchronised(const char *path) {
        for (Undo **p = &undo; *p;) {
                Undo *u = *p;
                if (strcmp(u->path, path) == 0 && !nosync) {
                        *p = u->older;
                        free(u);
                } else {
                        p = &u->older;
                }
        }
}

/* --- the calls --- */

typedef ssize_t Write(int fd, const void *bytes, size_t n, off64_t offset);

static ssize_t plain_write(int fd, const void *bytes, size_t n, off64_t offset) {
        return REAL(write)(fd, bytes, n);
}

static ssize_t at_offset(int fd, const void *bytes, size_t n, off64_t offset) {
        return REAL(pwrite64)(fd, bytes, n, offset);
}

static ssize_t send_packet(int fd, const void *bytes, size_t n, off64_t flags) {
        return REAL(send)(fd, bytes, n, (int)flags);
}

static ssize_t common_write(int fd, const void *bytes, size_t n, off64_t offset, const char *call,
                            Write *real) {
        char path[PATH_MAX] = "";
        Class class = counting ? class_of(fd, bytes, n, path) : NOTHING;

        if (class == NOTHING)
                return real(fd, bytes, n, offset);
        bool dying = reached(class, call, path, n);
        if (dying && how == TORN)
                n = (n + 1) / 2;
        if (real != send_packet && class != NETWORK)
                remember(fd, path, class, real == at_offset ? offset : lseek64(fd, 0, SEEK_CUR), n);
        ssize_t r = real(fd, bytes, n, offset);
        int e = errno;
        if (dying)
                die();
        errno = e;
        return r;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t n) {
        return common_write(fd, bytes, n, 0, "write", plain_write);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset) {
        return common_write(fd, bytes, n, offset, "pwrite", at_offset);
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset) {
        return common_write(fd, bytes, n, offset, "pwrite", at_offset);
}

EXPORT ssize_t send(int fd, const void *bytes, size_t n, int flags) {
        return common_write(fd, bytes, n, flags, "send", send_packet);
}

/* Calls that nobody here tears apart: around them only. */
#define AROUND(type, call, class, path, n, ...)              \
        do {                                                 \
                bool dying = reached(class, #call, path, n); \
                type r_ = REAL(call)(__VA_ARGS__);           \
                int e_ = errno;                              \
                if (dying)                                   \
                        die();                               \
                errno = e_;                                  \
                return r_;                                   \
        } while (0)

static size_t total(const struct iovec *v, int n) {
        size_t sum = 0;

        for (int i = 0; i < n; i++)
                sum += v[i].iov_len;
        return sum;
}

EXPORT ssize_t writev(int fd, const struct iovec *v, int n) {
        char path[PATH_MAX] = "";
        Class class = counting && n > 0 ? class_of(fd, v[0].iov_base, v[0].iov_len, path) : NOTHING;

        AROUND(ssize_t, writev, class, path, total(v, n), fd, v, n);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *v, int n, off_t offset) {
        char path[PATH_MAX] = "";
        Class class = counting && n > 0 ? class_of(fd, v[0].iov_base, v[0].iov_len, path) : NOTHING;

        AROUND(ssize_t, pwritev, class, path, total(v, n), fd, v, n, offset);
}

EXPORT ssize_t sendto(int fd, const void *bytes, size_t n, int flags, const struct sockaddr *to,
                      socklen_t size) {
        char path[PATH_MAX] = "";
        Class class = counting ? class_of(fd, bytes, n, path) : NOTHING;

        AROUND(ssize_t, sendto, class, path, n, fd, bytes, n, flags, to, size);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *m, int flags) {
        char path[PATH_MAX] = "";
        Class class = counting && m->msg_iovlen
                              ? class_of(fd, m->msg_iov[0].iov_base, m->msg_iov[0].iov_len, path)
                              : NOTHING;

        AROUND(ssize_t, sendmsg, class, path, total(m->msg_iov, (int)m->msg_iovlen), fd, m, flags);
}

static int common_sync(int fd, const char *call, int (*real)(int)) {
        char path[PATH_MAX] = "";
        Class class = counting ? class_of(fd, NULL, 0, path) : NOTHING;
        bool dying = reached(class, call, path, 0);
        int r = real(fd), e = errno;

        if (class == LEDGER && r == 0)
                synchronised(path);
        if (dying)
                die();
        errno = e;
        return r;
}

EXPORT int fsync(int fd) {
        return common_sync(fd, "fsync", REAL(fsync));
}

EXPORT int fdatasync(int fd) {
        return common_sync(fd, "fdatasync", REAL(fdatasync));
}

static int common_truncate(int fd, off64_t size) {
        char path[PATH_MAX] = "";
        Class class = counting ? class_of(fd, NULL, 0, path) : NOTHING;
        bool dying = reached(class, "ftruncate", path, (size_t)size);
        struct stat64 st;

        if (class == LEDGER && fstat64(fd, &st) == 0)
                remember(fd, path, class, size, st.st_size > size ? (size_t)(st.st_size - size) : 0);
        int r = REAL(ftruncate64)(fd, size), e = errno;
        if (dying)
                die();
        errno = e;
        return r;
}

EXPORT int ftruncate(int fd, off_t size) {
        return common_truncate(fd, size);
}

EXPORT int ftruncate64(int fd, off64_t size) {
        return common_truncate(fd, size);
}

EXPORT int posix_fallocate(int fd, off_t offset, off_t n) {
        char path[PATH_MAX] = "";
        Class class = counting ? class_of(fd, NULL, 0, path) : NOTHING;

        AROUND(int, posix_fallocate, class, path, (size_t)n, fd, offset, n);
}

EXPORT int unlink(const char *path) {
        AROUND(int, unlink, counting ? class_of_path(path) : NOTHING, path, 0, path);
}

EXPORT int rename(const char *from, const char *to) {
        AROUND(int, rename, counting ? class_of_path(to) : NOTHING, to, 0, from, to);
}

EXPORT int link(const char *from, const char *to) {
        AROUND(int, link, counting ? class_of_path(to) : NOTHING, to, 0, from, to);
}
