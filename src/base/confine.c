/* SPDX-License-Identifier: Apache-2.0 */
#include "base/confine.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* A sanitizer's run-time opens files, starts processes and maps terabytes when it likes. What it cannot live
 * with is left out of such a build; the build that is installed has all of it. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* --- Landlock --- */

/* Younger than the headers of Debian 12; numbers of the kernel's interface. */
#define RIGHT_TRUNCATE  (UINT64_C(1) << 14) /* since version 3 */
#define RIGHT_IOCTL_DEV (UINT64_C(1) << 15) /* 5 */
#define NET_BIND_TCP    (UINT64_C(1) << 0)  /* 4 */
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT  (UINT64_C(1) << 0) /* 6 */
#define SCOPE_SIGNAL    (UINT64_C(1) << 1)

typedef struct Ruleset {
        uint64_t files, network, scopes;
} Ruleset;

#define RIGHTS_V1   (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1) /* all of the first version */
#define RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

static void known_rights(int version, bool network, Ruleset *ret) {
        Ruleset r = {.files = RIGHTS_V1};

        if (version >= 2)
                r.files |= LANDLOCK_ACCESS_FS_REFER;
        if (version >= 3)
                r.files |= RIGHT_TRUNCATE;
        if (version >= 4)
                r.network = network ? NET_BIND_TCP : NET_BIND_TCP | NET_CONNECT_TCP;
        if (version >= 5)
                r.files |= RIGHT_IOCTL_DEV;
        if (version >= 6)
                r.scopes = SCOPE_ABSTRACT | SCOPE_SIGNAL;
        *ret = r;
}

static int allow_path(int ruleset, const Ruleset *known, const ConfinePath *p) {
        _cleanup_close_ int fd = open(p->path, O_PATH | O_CLOEXEC | O_DIRECTORY);
        struct landlock_path_beneath_attr rule = {
                .allowed_access =
                        known->files &
                        (RIGHTS_READ | (p->write ? LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_IOCTL_DEV : 0)),
                .parent_fd = fd,
        };

        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
        return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

static int confine_files(const Confinement *c) {
        int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION),
            r = 0;
        Ruleset known;

        if (version < 1)
                return 0; /* a kernel without */
        known_rights(version, c->network, &known);
        /* Older kernels take the longer structure when what they do not know is zero. */
        _cleanup_close_ int ruleset = (int)syscall(SYS_landlock_create_ruleset, &known, sizeof(known), 0);
        if (ruleset < 0)
                return -errno;
        for (const ConfinePath *p = c->paths; p && p->path && r >= 0; p++)
                r = allow_path(ruleset, &known, p);
        if (r >= 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                r = -errno;
        return r;
}

/* --- seccomp --- */

/* Everything here works on what the process has already, or only on itself. */
static const char *const everybody[] = {"alarm",
                                        "brk",
                                        "clock_gettime",
                                        "clock_gettime64",
                                        "clock_nanosleep",
                                        "clock_nanosleep_time64",
                                        "close",
                                        "exit",
                                        "exit_group",
                                        "fstat",
                                        "fstat64",
                                        "futex",
                                        "futex_time64",
                                        "getegid",
                                        "geteuid",
                                        "getgid",
                                        "getpid",
                                        "getrandom",
                                        "getrusage",
                                        "getsockname",
                                        "getsockopt",
                                        "gettid",
                                        "gettimeofday",
                                        "getuid",
                                        "lseek",
                                        "_llseek",
                                        "madvise",
                                        "munmap",
                                        "nanosleep",
                                        "poll",
                                        "ppoll",
                                        "ppoll_time64",
                                        "read",
                                        "readv",
                                        "recv",
                                        "recvfrom",
                                        "recvmsg",
                                        "restart_syscall",
                                        "rseq",
                                        "rt_sigaction",
                                        "rt_sigprocmask",
                                        "rt_sigreturn",
                                        "sched_getaffinity",
                                        "sched_yield",
                                        "send",
                                        "sendmsg",
                                        "sendto",
                                        "set_robust_list",
                                        "set_tid_address",
                                        "setitimer",
                                        "shutdown",
                                        "sigaltstack",
                                        "sigreturn",
                                        "time",
                                        "write",
                                        "writev",
                                        NULL};

static const char *const networkers[] = {"access",     "bind",
                                         "connect",    "epoll_create1",
                                         "epoll_ctl",  "epoll_pwait",
                                         "faccessat",  "faccessat2",
                                         "fcntl",      "fcntl64",
                                         "getdents64", "getpeername",
                                         "ioctl",      "newfstatat",
                                         "fstatat64",  "open",
                                         "openat",     "pipe2",
                                         "pread64",    "prlimit64",
                                         "pselect6",   "pselect6_time64",
                                         "readlink",   "readlinkat",
                                         "recvmmsg",   "recvmmsg_time64",
                                         "select",     "_newselect",
                                         "sendmmsg",   "setsockopt",
                                         "stat",       "stat64",
                                         "statx",      "uname",
                                         NULL};

static int allow(scmp_filter_ctx filter, const char *name) {
        int number = seccomp_syscall_resolve_name(name);

        /* Not on this architecture, or younger than the library. */
        return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
}

static int allow_all(scmp_filter_ctx filter, const char *const *names) {
        int r = 0;

        for (; names && *names && r >= 0; names++)
                r = allow(filter, *names);
        return r;
}

/* libc asks with these, too, what an open file is. */
static int allow_fstat(scmp_filter_ctx filter) {
        int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
                                 SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));

        if (r >= 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(statx), 1,
                                     SCMP_A2(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
        return r;
}

/* Code comes from libraries, before; a name service that is a library is loaded when a name is looked for. */
static int allow_memory(scmp_filter_ctx filter, bool code) {
        static const int maps[] = {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)};
        int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mremap), 0);

        for (size_t i = 0; i < ARRAY_SIZE(maps) && r >= 0; i++)
                r = code ? seccomp_rule_add(filter, SCMP_ACT_ALLOW, maps[i], 0)
                         : seccomp_rule_add(filter, SCMP_ACT_ALLOW, maps[i], 1,
                                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        return r;
}

static int allow_network(scmp_filter_ctx filter) {
        static const scmp_datum_t families[] = {AF_INET, AF_INET6};
        int r = allow_all(filter, networkers);

        for (size_t i = 0; i < ARRAY_SIZE(families) && r >= 0; i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                     (struct scmp_arg_cmp){.op = SCMP_CMP_EQ, .datum_a = families[i]});
        return r;
}

/* Threads, no processes. */
static int allow_threads(scmp_filter_ctx filter) {
        int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                 SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

        /* Its flags are in memory, where a filter cannot look: libc then takes the older call. */
        if (r >= 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
        return r;
}

static int confine_calls(const Confinement *c) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        int r = filter ? allow_all(filter, everybody) : -ENOMEM;

        if (r >= 0)
                r = allow_fstat(filter);
        if (r >= 0)
                r = allow_memory(filter, c->network);
        if (r >= 0)
                r = allow_all(filter, c->calls);
        if (r >= 0 && c->network)
                r = allow_network(filter);
        if (r >= 0 && c->threads)
                r = allow_threads(filter);
        if (r >= 0)
                r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: fewer steps a call */
        if (r >= 0)
                r = seccomp_load(filter);
        if (filter)
                seccomp_release(filter);
        return r == -EINVAL || r == -ENOSYS ? 0 : r; /* a kernel without */
}

/* --- limits --- */

static int limit(int resource, rlim_t most) {
        struct rlimit l;

        if (getrlimit(resource, &l) < 0)
                return -errno;
        l.rlim_max = MIN(l.rlim_max, most);
        l.rlim_cur = MIN(l.rlim_cur, most);
        return setrlimit(resource, &l) < 0 ? -errno : 0;
}

static int confine_resources(const Confinement *c) {
        int r = limit(RLIMIT_CORE, 0);

        if (r >= 0)
                r = limit(RLIMIT_NOFILE, c->descriptors);
        if (r >= 0)
                r = limit(RLIMIT_MEMLOCK, 0);
        if (r >= 0)
                r = limit(RLIMIT_MSGQUEUE, 0);
        if (r >= 0 && !c->threads && !SANITIZED)
                r = limit(RLIMIT_NPROC,
                          0); /* counts all of the user's processes: no other number says anything */
        if (r >= 0 && !SANITIZED)
                r = limit(RLIMIT_DATA, c->memory);
        return r;
}

int confine(const Confinement *c) {
        int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;

        if (r >= 0)
                r = confine_resources(c);
        if (r >= 0 && !SANITIZED)
                r = confine_files(c);
        if (r >= 0 && !SANITIZED)
                r = confine_calls(c);
        return r < 0 ? log_error_errno(r, "Cannot give up the rights that are not needed") : 0;
}
