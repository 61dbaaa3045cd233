/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/matcher_wire.h"
#include "base/passing.h"

#include <errno.h>
#include <sys/socket.h>

static const struct {
        size_t size;
        bool from_daemon, with_data, with_attempt;
} types[MATCHER_TYPE_MAX] = {
        [MATCHER_SETUP] = {sizeof(MatcherSetup), true, true, false},
        [MATCHER_DEVICE] = {sizeof(MatcherPlain), true, false, false},
        [MATCHER_ENROL] = {sizeof(MatcherTask), true, false, true},
        [MATCHER_CANDIDATE] = {sizeof(MatcherCandidate), true, true, true},
        [MATCHER_VERIFY] = {sizeof(MatcherTask), true, false, true},
        [MATCHER_WATCH] = {sizeof(MatcherTask), true, false, true},
        [MATCHER_CANCEL] = {sizeof(MatcherPlain), true, false, true},
        [MATCHER_PING] = {sizeof(MatcherPlain), true, false, false},
        [MATCHER_HELLO] = {sizeof(MatcherHello), false, false, false},
        [MATCHER_HEALTH] = {sizeof(MatcherHealth), false, false, false},
        [MATCHER_PROGRESS] = {sizeof(MatcherProgress), false, false, true},
        [MATCHER_RESULT] = {sizeof(MatcherResult), false, true, true},
        [MATCHER_PONG] = {sizeof(MatcherPlain), false, false, false},
};

static bool is_text(const char *text, size_t room) {
        size_t n = strnlen(text, room);

        for (size_t i = 0; i < n; i++)
                if (text[i] < ' ' || text[i] > '~')
                        return false;
        return n < room;
}

static bool setup_is_fine(const MatcherSetup *s) {
        return is_text(s->kind, sizeof(s->kind)) && s->kind[0] && is_text(s->name, sizeof(s->name)) &&
               is_text(s->device, sizeof(s->device)) && (s->device[0] || !s->baud);
}

static bool task_is_fine(const MatcherTask *t) {
        unsigned most = t->header.type == MATCHER_ENROL    ? 0
                        : t->header.type == MATCHER_VERIFY ? MATCHER_CLAIMED_MAX
                                                           : MATCHER_CANDIDATES_MAX;

        unsigned comparisons = t->header.type == MATCHER_VERIFY ? MATCHER_CLAIMED_MAX : 0;

        return t->n_candidates <= most && t->n_comparisons <= comparisons && t->timeout_ms &&
               t->timeout_ms <= MATCHER_TIMEOUT_MAX_MS;
}

static bool result_is_fine(const MatcherResult *r) {
        return r->outcome < MATCHER_OUTCOME_MAX && r->problem < MATCHER_PROBLEM_MAX &&
               r->quality <= MATCHER_QUALITY_MAX &&
               (r->outcome == MATCHER_FAILED) == (r->problem != MATCHER_PROBLEM_NONE) &&
               (r->outcome == MATCHER_ENROLLED) == (r->header.n_data > 0) &&
               (r->outcome == MATCHER_MATCH ? r->candidate >= 1 && r->candidate <= MATCHER_CANDIDATES_MAX
                                            : r->candidate == 0);
}

static bool body_is_fine(const MatcherBody *b) {
        switch ((MatcherType)b->header.type) {
        case MATCHER_SETUP:
                return setup_is_fine(&b->setup);
        case MATCHER_ENROL:
        case MATCHER_VERIFY:
        case MATCHER_WATCH:
                return task_is_fine(&b->task);
        case MATCHER_CANDIDATE:
                return b->header.n_data && b->candidate.number >= 1 &&
                       b->candidate.number <= MATCHER_CANDIDATES_MAX;
        case MATCHER_HELLO:
                return is_text(b->hello.kind, sizeof(b->hello.kind)) && b->hello.kind[0] &&
                       !(b->hello.abilities & ~(uint32_t)MATCHER_ABILITIES);
        case MATCHER_HEALTH:
                return b->health.problem < MATCHER_PROBLEM_MAX &&
                       is_text(b->health.detail, sizeof(b->health.detail));
        case MATCHER_PROGRESS:
                return b->progress.prompt < MATCHER_PROMPT_MAX && b->progress.taken <= b->progress.of;
        case MATCHER_RESULT:
                return result_is_fine(&b->result);
        case MATCHER_DEVICE:
        case MATCHER_CANCEL:
        case MATCHER_PING:
        case MATCHER_PONG:
                return true;
        case MATCHER_TYPE_MAX:
                break;
        }
        return false;
}

int matcher_wire_check(const uint8_t *packet, size_t n, bool from_daemon, MatcherMessage *ret) {
        MatcherBody b = {0};

        if (n < sizeof(b.header))
                return -EPROTO;
        memcpy(&b.header, packet, sizeof(b.header));
        if (b.header.version != MATCHER_WIRE_VERSION || b.header.type >= MATCHER_TYPE_MAX)
                return -EPROTO;
        size_t size = types[b.header.type].size;
        if (!size || types[b.header.type].from_daemon != from_daemon || n < size ||
            n - size != b.header.n_data || b.header.n_data > MATCHER_TEMPLATE_MAX ||
            (b.header.n_data && !types[b.header.type].with_data) ||
            types[b.header.type].with_attempt != (b.header.attempt != 0))
                return -EPROTO;
        memcpy(&b, packet, size);
        if (!body_is_fine(&b))
                return -EPROTO;
        *ret = (MatcherMessage){.body = b, .data = b.header.n_data ? packet + size : NULL};
        return 0;
}

int matcher_wire_send(int fd, MatcherType type, void *body, const uint8_t *data, size_t n_data, int passed) {
        MatcherHeader *header = body;
        struct iovec parts[] = {{.iov_base = body, .iov_len = types[type].size},
                                {.iov_base = (uint8_t *)(uintptr_t)data, .iov_len = n_data}};
        struct msghdr m = {.msg_iov = parts, .msg_iovlen = n_data ? 2 : 1};
        Passing passing = {0};

        if (n_data > MATCHER_TEMPLATE_MAX)
                return -EMSGSIZE;
        header->version = MATCHER_WIRE_VERSION;
        header->type = (uint16_t)type;
        header->n_data = (uint32_t)n_data;
        if (passed >= 0)
                passing_put(&passing, &m, passed);
        if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return errno == ECONNRESET ? -EPIPE : -errno;
        return 0;
}

static int receive(int fd, uint8_t *buffer, Passing *passing, size_t *ret_n) {
        struct iovec part = {.iov_base = buffer, .iov_len = MATCHER_WIRE_MAX};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        ssize_t n;

        if (passing)
                passing_expect(passing, &m);
        do
                n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
        if (n == 0)
                return -EPIPE;
        if ((size_t)n > MATCHER_WIRE_MAX)
                return -EPROTO;
        *ret_n = (size_t)n;
        return 1;
}

int matcher_wire_receive(int fd, bool from_daemon, uint8_t *buffer, MatcherMessage *ret, int *ret_passed) {
        Passing passing = {0};
        size_t n = 0;
        int r = receive(fd, buffer, ret_passed ? &passing : NULL, &n), passed = passing_take(&passing);

        if (r > 0) {
                r = matcher_wire_check(buffer, n, from_daemon, ret);
                r = r < 0 ? r : 1;
        }
        if (r <= 0 && passed >= 0)
                close(steal_fd(&passed));
        if (r > 0 && ret_passed)
                *ret_passed = passed;
        return r;
}
