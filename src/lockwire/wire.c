/* SPDX-License-Identifier: Apache-2.0 */
#include "lockwire/wire.h"
#include "base/passing.h"

#include <errno.h>
#include <sys/socket.h>

static size_t message_size(unsigned type) {
        static const size_t sizes[WIRE_TYPE_MAX] = {
                [WIRE_LINE] = sizeof(WireLine),
                [WIRE_PROFILE] = sizeof(WireProfile),
                [WIRE_BOARD] = sizeof(WireBoard),
                [WIRE_START] = sizeof(WireId),
                [WIRE_COMMAND] = sizeof(WireCommand),
                [WIRE_WITHDRAW] = sizeof(WireId),
                [WIRE_PING] = sizeof(WireId),
                [WIRE_HELLO] = sizeof(WireId),
                [WIRE_LINE_STATE] = sizeof(WireLineState),
                [WIRE_BOARD_STATE] = sizeof(WireBoardState),
                [WIRE_INPUTS] = sizeof(WireInputs),
                [WIRE_SENDING] = sizeof(WireId),
                [WIRE_RESULT] = sizeof(WireResult),
                [WIRE_OVER] = sizeof(WireOver),
                [WIRE_PONG] = sizeof(WireId),
                [WIRE_HOLD] = sizeof(WireId),
                [WIRE_GPIO] = sizeof(WireGpio),
                [WIRE_OUTPUT] = sizeof(WireOutput),
                [WIRE_LOOK] = sizeof(WireId),
                [WIRE_DEVICE] = sizeof(WireId),
                [WIRE_ATTEND] = sizeof(WireId),
        };

        return type < WIRE_TYPE_MAX ? sizes[type] : 0;
}

/* Room for one descriptor. */
int wire_send_passing(int fd, WireType type, void *message, int passed) {
        WireHeader *header = message;
        struct iovec part = {.iov_base = message, .iov_len = message_size(type)};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        Passing passing = {0};

        *header = (WireHeader){.version = WIRE_VERSION, .type = (uint16_t)type};
        if (passed >= 0)
                passing_put(&passing, &m, passed);
        if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return errno == ECONNRESET ? -EPIPE : -errno;
        return 0;
}

int wire_send(int fd, WireType type, void *message) {
        return wire_send_passing(fd, type, message, -1);
}

/* Without `passing` the kernel lets go of descriptors that come. */
static int receive(int fd, WireMessage *ret, Passing *passing) {
        WireMessage m;
        struct iovec part = {.iov_base = &m, .iov_len = sizeof(m)};
        struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
        ssize_t n;

        if (passing)
                passing_expect(passing, &h);
        do
                n = recvmsg(fd, &h, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
        if (n == 0)
                return -EPIPE;
        if ((size_t)n < sizeof(WireHeader) || m.header.version != WIRE_VERSION ||
            (size_t)n != message_size(m.header.type))
                return -EPROTO;
        *ret = m;
        return 1;
}

int wire_receive(int fd, WireMessage *ret) {
        return receive(fd, ret, NULL);
}

int wire_receive_passed(int fd, WireMessage *ret, int *ret_passed) {
        Passing passing = {0};
        int r = receive(fd, ret, &passing), passed = passing_take(&passing);

        if (r <= 0 && passed >= 0)
                close(steal_fd(&passed));
        if (r > 0)
                *ret_passed = passed;
        return r;
}
