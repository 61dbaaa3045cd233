/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody else's code in a worker, as after an exploited mistake: preloaded, it waits until the worker has
 * given up its rights, then tries what it likes, once, and says on standard error what came of each attempt:
 *
 *   INTRUDER <program> <attempt> <0 or errno>
 *
 * INTRUDER_TARGETS says what to try: NAME=PATH, blanks between them; the NAMEs daemon and bus are a process
 * and a socket. As a program (replaced.c) it stands in a worker's place and tries at once. */
#include "intruder.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define EXPORT     __attribute__((visibility("default")))

static char targets[4096];
static bool armed;

/* Not stdio: a filter may keep that from finding out what kind of file it writes to. */
static void tell(const char *what, int result) {
        char line[256];
        int n = snprintf(line, sizeof(line), "INTRUDER %s %s %d\n", program_invocation_short_name, what,
                         result);

        if (n > 0)
                (void)!write(STDERR_FILENO, line, (size_t)n);
}

static void tell_call(const char *what, long r) {
        tell(what, r < 0 ? errno : 0);
        if (r > 2)
                close((int)r);
}

static void try_daemon(pid_t pid) {
        char path[64], byte;
        struct iovec here = {.iov_base = &byte, .iov_len = 1},
                     there = {.iov_base = (void *)0x1000, .iov_len = 1};

        snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
        tell_call("memory", open(path, O_RDONLY));
        snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
        tell_call("environment", open(path, O_RDONLY));
        /* EFAULT would be a permission, and an address where nothing is. */
        ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);
        tell("readv", n >= 0 || errno == EFAULT ? 0 : errno);
        long traced = ptrace(PTRACE_SEIZE, pid, NULL, NULL);
        tell_call("ptrace", traced);
        tell_call("signal", kill(pid, 0));
}

static void try_bus(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        tell_call("bus", fd < 0 ? fd : connect(fd, (const struct sockaddr *)&address, sizeof(address)));
        if (fd >= 0)
                close(fd);
}

static void try_targets(void) {
        char *rest = targets, *word;

        while ((word = strsep(&rest, " "))) {
                char *value = strchr(word, '=');
                if (!value)
                        continue;
                *value++ = 0;
                if (strcmp(word, "daemon") == 0)
                        try_daemon(atoi(value));
                else if (strcmp(word, "bus") == 0)
                        try_bus(value);
                else {
                        char writing[64];
                        tell_call(word, open(value, O_RDONLY | O_NOCTTY | O_NONBLOCK));
                        snprintf(writing, sizeof(writing), "%s-write", word);
                        tell_call(writing, open(value, O_RDWR | O_NOCTTY | O_NONBLOCK));
                }
        }
}

static void try_network(void) {
        tell_call("packet", socket(AF_PACKET, SOCK_RAW, 0));
        tell_call("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
        tell_call("inet", socket(AF_INET, SOCK_STREAM, 0));
}

static void try_programs(void) {
        char *const argv[] = {(char *)"/bin/true", NULL};
        long pid = syscall(SYS_clone, (long)SIGCHLD, 0, 0, 0, 0);

        if (pid == 0)
                _exit(0);
        tell("fork", pid < 0 ? errno : 0);
        if (pid > 0) {
                (void)waitpid((pid_t)pid, NULL, 0);
                return; /* and so it could start programs */
        }
        (void)execve(argv[0], argv, argv + 1);
        tell("exec", errno);
}

static void try_code(void) {
        void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        tell("code", at == MAP_FAILED ? errno : 0);
        if (at != MAP_FAILED)
                munmap(at, 4096);
        const size_t much = (size_t)2 << 30;
        at = mmap(NULL, much, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        tell("memory-2g", at == MAP_FAILED ? errno : 0);
        if (at != MAP_FAILED)
                munmap(at, much);
}

static void look_at_itself(void) {
        int open_ones = 0;
        struct stat st;

        for (int fd = 3; fd < 1024; fd++)
                open_ones += fstat(fd, &st) == 0;
        tell("descriptors", open_ones);
        tell("variables", environ && environ[0] ? 1 : 0);
}

void intrude(void) {
        look_at_itself();
        try_targets();
        try_network();
        try_code();
        try_programs();
        tell("end", 0);
}

void intruder_arm(void) {
        const char *t = getenv("INTRUDER_TARGETS");

        snprintf(targets, sizeof(targets), "%s", t ? t : "");
}

__attribute__((constructor)) static void start(void) {
        intruder_arm();
        armed = targets[0] != 0;
        /* It is not for what this process may start. */
        unsetenv("LD_PRELOAD");
}

/* A worker that has given up its rights may not even ask whether it has. */
static void look(void) {
        if (!armed || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0)
                return;
        armed = false;
        intrude();
}

EXPORT int poll(struct pollfd *fds, nfds_t n, int timeout) {
        look();
        return REAL(poll)(fds, n, timeout);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask) {
        look();
        return REAL(ppoll)(fds, n, timeout, mask);
}

EXPORT ssize_t recv(int fd, void *buffer, size_t n, int flags) {
        look();
        return REAL(recv)(fd, buffer, n, flags);
}
