/* SPDX-License-Identifier: Apache-2.0 */
/* One descriptor that goes along with a message. */
#pragma once

#include <string.h>
#include <sys/socket.h>

/* Begins as {0}. */
typedef union Passing {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
} Passing;

/* Before sendmsg(). */
static inline void passing_put(Passing *p, struct msghdr *m, int fd) {
        m->msg_control = p->space;
        m->msg_controllen = sizeof(p->space);
        p->header.cmsg_level = SOL_SOCKET;
        p->header.cmsg_type = SCM_RIGHTS;
        p->header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&p->header), &fd, sizeof(int));
}

/* Before recvmsg(). */
static inline void passing_expect(Passing *p, struct msghdr *m) {
        m->msg_control = p->space;
        m->msg_controllen = sizeof(p->space);
}

/* After recvmsg(), also when it failed. The descriptor, which is the caller's; -1: none came. */
static inline int passing_take(const Passing *p) {
        int fd = -1;

        if (p->header.cmsg_level == SOL_SOCKET && p->header.cmsg_type == SCM_RIGHTS &&
            p->header.cmsg_len == CMSG_LEN(sizeof(int)))
                memcpy(&fd, CMSG_DATA(&p->header), sizeof(int));
        return fd;
}
