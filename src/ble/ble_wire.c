/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/ble_wire.h"
#include "base/macros.h"
#include "base/passing.h"
#include "base/text.h"

#include <errno.h>

static const struct {
        size_t size;
        bool from_daemon;
} types[BLE_TYPE_MAX] = {
        [BLE_SETUP] = {sizeof(BleSetup), true},    [BLE_STATE] = {sizeof(BleState), true},
        [BLE_PING] = {sizeof(BlePlain), true},     [BLE_HEALTH] = {sizeof(BleHealth), false},
        [BLE_STREAM] = {sizeof(BleStream), false}, [BLE_PONG] = {sizeof(BlePlain), false},
};

/* Ended, well-formed UTF-8 without control characters. */
static bool is_text(const char *s, size_t room) {
        const char *end = memchr(s, '\0', room);

        while (end && s < end) {
                size_t n = text_character(s, (size_t)(end - s));
                if (!n || text_is_control(s))
                        return false;
                s += n;
        }
        return end != NULL;
}

static bool body_is_fine(const BleBody *b) {
        switch ((BleType)b->header.type) {
        case BLE_SETUP:
                return is_text(b->setup.cabinet, sizeof(b->setup.cabinet)) && b->setup.cabinet[0] &&
                       is_text(b->setup.adapter, sizeof(b->setup.adapter)) &&
                       is_text(b->setup.bus, sizeof(b->setup.bus)) && b->setup.bus[0] &&
                       b->setup.phones >= 1 && b->setup.phones <= 8;
        case BLE_STATE:
                return b->state.offline <= 1;
        case BLE_HEALTH:
                return b->health.problem < BLE_PROBLEM_MAX &&
                       is_text(b->health.detail, sizeof(b->health.detail));
        case BLE_STREAM:
                return is_text(b->stream.phone, sizeof(b->stream.phone));
        case BLE_PING:
        case BLE_PONG:
                return true;
        case BLE_TYPE_MAX:
                break;
        }
        return false;
}

int ble_wire_check(const void *packet, size_t n, bool from_daemon, BleBody *ret) {
        BleBody b = {0};

        if (n < sizeof(b.header) || n > sizeof(b))
                return -EPROTO;
        memcpy(&b, packet, n);
        if (b.header.version != BLE_WIRE_VERSION || b.header.type >= BLE_TYPE_MAX ||
            n != types[b.header.type].size || types[b.header.type].from_daemon != from_daemon ||
            !body_is_fine(&b))
                return -EPROTO;
        *ret = b;
        return 0;
}

int ble_wire_send(int fd, BleType type, void *body, int passed) {
        struct iovec part = {.iov_base = body, .iov_len = types[type].size};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        BleHeader *header = body;
        Passing passing = {0};

        *header = (BleHeader){.version = BLE_WIRE_VERSION, .type = (uint16_t)type};
        if (passed >= 0)
                passing_put(&passing, &m, passed);
        if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return errno == ECONNRESET ? -EPIPE : -errno;
        return 0;
}

int ble_wire_receive(int fd, bool from_daemon, BleBody *ret, int *ret_passed) {
        uint8_t packet[sizeof(BleBody) + 1];
        struct iovec part = {.iov_base = packet, .iov_len = sizeof(packet)};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        Passing passing = {0};
        ssize_t n;

        *ret_passed = -1;
        passing_expect(&passing, &m);
        do
                n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
        int passed = passing_take(&passing);
        int r = n == 0 ? -EPIPE : ble_wire_check(packet, (size_t)n, from_daemon, ret);
        if (!r && (ret->header.type == BLE_STREAM) != (passed >= 0))
                r = -EPROTO;
        if (r < 0) {
                if (passed >= 0)
                        close(passed);
                return r;
        }
        *ret_passed = passed;
        return 1;
}
