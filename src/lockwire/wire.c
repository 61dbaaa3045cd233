/* SPDX-License-Identifier: Apache-2.0 */
#include "lockwire/wire.h"

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
        };

        return type < WIRE_TYPE_MAX ? sizes[type] : 0;
}

int wire_send(int fd, WireType type, void *message) {
        WireHeader *header = message;

        *header = (WireHeader){.version = WIRE_VERSION, .type = (uint16_t)type};
        if (send(fd, message, message_size(type), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return errno == ECONNRESET ? -EPIPE : -errno;
        return 0;
}

int wire_receive(int fd, WireMessage *ret) {
        WireMessage m;
        ssize_t n;

        do
                n = recv(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);
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
