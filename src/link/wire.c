/* SPDX-License-Identifier: Apache-2.0 */
#include "link/wire.h"
#include "base/macros.h"
#include "base/passing.h"
#include "base/text.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define TEXT SIZE_MAX

static const size_t sizes[LINK_WIRE_TYPES] = {
        [LINK_WIRE_SETUP] = TEXT,
        [LINK_WIRE_CLOCK] = sizeof(LinkWireClock),
        [LINK_WIRE_ANSWER] = sizeof(LinkWireAnswer),
        [LINK_WIRE_PROMPT] = sizeof(LinkWirePrompt),
        [LINK_WIRE_STATUS] = sizeof(LinkWireStatus),
        [LINK_WIRE_OPENED] = sizeof(LinkWireOpened),
        [LINK_WIRE_REQUEST] = sizeof(LinkWireRequest),
};

/* It has an end, is UTF-8 and has no control characters. */
static bool is_text(const char *s, size_t room) {
        size_t n = strnlen(s, room);

        if (n == room)
                return false;
        for (size_t i = 0, k; i < n; i += k) {
                k = text_character(s + i, n - i);
                if (!k || text_is_control(s + i))
                        return false;
        }
        return true;
}

#define IS_TEXT(field) is_text(field, sizeof(field))

static bool is_place(const LinkWirePlace *p) {
        return IS_TEXT(p->slot) && p->position <= 255 && p->parcel <= INT64_MAX;
}

static bool is_answer(const LinkWireAnswer *a) {
        if (!IS_TEXT(a->sentence) || !IS_TEXT(a->prompt) || !is_place(&a->place) || a->has_key > 1 ||
            a->has_places > 1 || a->n_places > LINK_PLACES_MAX)
                return false;
        for (uint32_t i = 0; i < a->n_places; i++)
                if (!is_place(&a->places[i]))
                        return false;
        return true;
}

static bool is_request(const LinkWireRequest *r) {
        return r->verb < LINK_VERBS && r->number > 0 && r->parcel <= INT64_MAX && r->accessible <= 1 &&
               r->exact <= 1 && IS_TEXT(r->temperature) && IS_TEXT(r->size) && IS_TEXT(r->recipient) &&
               IS_TEXT(r->phone) && IS_TEXT(r->waybill) && IS_TEXT(r->code) && IS_TEXT(r->slot) &&
               IS_TEXT(r->phone_tail) && IS_TEXT(r->cabinet);
}

static bool is_body(const LinkWireMessage *m) {
        switch ((LinkWireType)m->header.type) {
        case LINK_WIRE_SETUP:
                return m->header.n_body > 0 && strnlen(m->text, m->header.n_body) == m->header.n_body - 1;
        case LINK_WIRE_CLOCK:
                return m->clock.vouched <= 1;
        case LINK_WIRE_ANSWER:
                return is_answer(&m->answer);
        case LINK_WIRE_PROMPT:
                return is_place(&m->prompt.place) && IS_TEXT(m->prompt.what) && IS_TEXT(m->prompt.sentence);
        case LINK_WIRE_STATUS:
                return m->status.listening <= 1 && IS_TEXT(m->status.sentence);
        case LINK_WIRE_OPENED:
                return IS_TEXT(m->opened.courier);
        case LINK_WIRE_REQUEST:
                return is_request(&m->request);
        case LINK_WIRE_CLOSE:
        case LINK_WIRE_PING:
        case LINK_WIRE_STREAM:
        case LINK_WIRE_STOP:
        case LINK_WIRE_READY:
        case LINK_WIRE_CLOSED:
        case LINK_WIRE_PONG:
                return true;
        case LINK_WIRE_TYPES:
                break;
        }
        return false;
}

bool link_wire_is_message(const LinkWireMessage *m, size_t n) {
        const LinkWireHeader *h = &m->header;

        if (n < sizeof(*h) || h->version != LINK_WIRE_VERSION || h->type >= LINK_WIRE_TYPES || h->reserved ||
            h->n_body != n - sizeof(*h))
                return false;
        return (sizes[h->type] == TEXT || h->n_body == sizes[h->type]) && is_body(m);
}

int link_wire_send(int fd, LinkWireType type, uint32_t connection, const void *body, size_t n) {
        LinkWireHeader h = {.version = LINK_WIRE_VERSION,
                            .type = (uint16_t)type,
                            .connection = connection,
                            .n_body = (uint32_t)n};
        struct iovec parts[] = {{&h, sizeof(h)}, {(void *)body, n}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = n ? 2 : 1};

        if (n > LINK_WIRE_MAX || (sizes[type] != TEXT && n != sizes[type]))
                return -EMSGSIZE;
        if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return errno == ECONNRESET ? -EPIPE : -errno;
        return 0;
}

int link_wire_pass(int fd, int passed) {
        LinkWireHeader h = {.version = LINK_WIRE_VERSION, .type = LINK_WIRE_STREAM};
        struct iovec part = {&h, sizeof(h)};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        Passing passing = {0};

        passing_put(&passing, &message, passed);
        if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return errno == ECONNRESET ? -EPIPE : -errno;
        return 0;
}

int link_wire_receive(int fd, LinkWireMessage *ret, int *ret_passed) {
        struct iovec part = {ret, sizeof(*ret)};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        Passing passing = {0};
        ssize_t n;

        if (ret_passed) {
                *ret_passed = -1;
                passing_expect(&passing, &message);
        }
        do
                n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
        _cleanup_close_ int passed = passing_take(&passing);
        if (n == 0)
                return -EPIPE;
        if ((size_t)n > sizeof(*ret) || !link_wire_is_message(ret, (size_t)n) ||
            (ret->header.type == LINK_WIRE_STREAM) != (passed >= 0))
                return -EPROTO;
        if (ret_passed)
                *ret_passed = steal_fd(&passed);
        return 1;
}
