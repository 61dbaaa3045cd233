/* SPDX-License-Identifier: Apache-2.0 */
/* valgrind up to 3.19 knows no pidfd_open(): without it a program in it could start no worker. This stands
 * in: a thread waits for the process and makes a pipe readable. For LD_PRELOAD in test_valgrind.py only. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 64

typedef struct Child {
        pid_t pid;
        int readable, writable;
} Child;

static Child children[CHILDREN];
static int n_children;

int pidfd_open(pid_t pid, unsigned int flags);

static void *watch(void *argument) {
        Child *c = argument;
        siginfo_t si;

        while (syscall(SYS_waitid, P_PID, c->pid, &si, WEXITED | WNOWAIT, NULL) < 0 && errno == EINTR)
                ;
        /* The reader may have gone before its worker. */
        ssize_t n = write(c->writable, "x", 1);
        (void)n;
        return NULL;
}

int pidfd_open(pid_t pid, unsigned int flags) {
        pthread_t thread;
        int fds[2];

        if (n_children == CHILDREN || pipe(fds) < 0)
                return -1;
        Child *c = &children[n_children++];
        *c = (Child){.pid = pid, .readable = fds[0], .writable = fds[1]};
        if (pthread_create(&thread, NULL, watch, c) != 0)
                return -1;
        pthread_detach(thread);
        return fds[0];
}

int waitid(idtype_t type, id_t id, siginfo_t *si, int options) {
        for (int i = n_children; type == P_PIDFD && i-- > 0;)
                if (children[i].readable == (int)id)
                        return (int)syscall(SYS_waitid, P_PID, children[i].pid, si, options, NULL);
        return (int)syscall(SYS_waitid, type, id, si, options, NULL);
}
