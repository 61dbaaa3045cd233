/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opener_wire.h"
#include "base/macros.h"
#include "base/passing.h"

#include <errno.h>
#include <sys/socket.h>

int opener_take(int socket, int *ret_error, int *ret_device) {
        OpenerAnswer a = {0};
        struct iovec part = {.iov_base = &a, .iov_len = sizeof(a)};
        Passing passing = {0};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

        passing_expect(&passing, &m);
        ssize_t n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        _cleanup_close_ int device = passing_take(&passing);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n != sizeof(a))
                return n == 0 ? -EPIPE : -EPROTO;
        if (!a.error && device < 0)
                return -EPROTO;
        *ret_error = a.error;
        *ret_device = a.error ? -1 : steal_fd(&device);
        return 1;
}

int opener_ask(int socket) {
        int error, device, r;

        while ((r = opener_take(socket, &error, &device)) > 0)
                if (device >= 0)
                        close(device);
        if (r >= 0 && send(socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                r = -errno;
        return MIN(r, 0);
}
