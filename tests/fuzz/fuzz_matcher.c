/* SPDX-License-Identifier: Apache-2.0 */
/* Packets from a matcher that somebody has taken over, as the daemon reads them, and from the daemon, as a
 * matcher does: whatever comes is refused or is what the header describes, and nothing points out of it. */
#include "identity/matcher_wire.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good) {
        if (!good)
                abort();
}

static bool ends(const char *text, size_t room) {
        return strnlen(text, room) < room;
}

static void expect_from_matcher(const MatcherMessage *m) {
        const MatcherBody *b = &m->body;

        switch ((MatcherType)b->header.type) {
        case MATCHER_HELLO:
                expect(ends(b->hello.kind, sizeof(b->hello.kind)));
                break;
        case MATCHER_HEALTH:
                expect(ends(b->health.detail, sizeof(b->health.detail)) &&
                       b->health.problem < MATCHER_PROBLEM_MAX);
                break;
        case MATCHER_PROGRESS:
                expect(b->header.attempt && b->progress.prompt < MATCHER_PROMPT_MAX &&
                       b->progress.taken <= b->progress.of);
                break;
        case MATCHER_RESULT:
                expect(b->header.attempt && b->result.outcome < MATCHER_OUTCOME_MAX);
                expect((b->result.outcome == MATCHER_MATCH) == (b->result.candidate > 0));
                expect((b->result.outcome == MATCHER_ENROLLED) == (m->data != NULL));
                break;
        case MATCHER_PONG:
                break;
        case MATCHER_SETUP:
        case MATCHER_DEVICE:
        case MATCHER_ENROL:
        case MATCHER_CANDIDATE:
        case MATCHER_VERIFY:
        case MATCHER_WATCH:
        case MATCHER_CANCEL:
        case MATCHER_PING:
        case MATCHER_TYPE_MAX:
                expect(false); /* no matcher may say that */
        }
}

static void expect_from_daemon(const MatcherMessage *m) {
        const MatcherBody *b = &m->body;

        expect(b->header.type < MATCHER_HELLO);
        if (b->header.type == MATCHER_SETUP)
                expect(ends(b->setup.device, sizeof(b->setup.device)) &&
                       ends(b->setup.name, sizeof(b->setup.name)) &&
                       ends(b->setup.kind, sizeof(b->setup.kind)));
        if (b->header.type == MATCHER_VERIFY)
                expect(b->task.n_candidates <= MATCHER_CLAIMED_MAX && b->task.timeout_ms);
        if (b->header.type == MATCHER_CANDIDATE)
                expect(m->data && b->candidate.number > 0);
}

static void check(const uint8_t *data, size_t size, bool from_daemon) {
        MatcherMessage m = {.data = (const uint8_t *)""}, before = m;
        int r = matcher_wire_check(data, size, from_daemon, &m);

        expect(r == 0 || r == -EPROTO);
        if (r < 0) {
                expect(m.data == before.data && memcmp(&m.body, &before.body, sizeof(m.body)) == 0);
                return;
        }
        expect(m.body.header.version == MATCHER_WIRE_VERSION && m.body.header.n_data <= MATCHER_TEMPLATE_MAX);
        expect(m.data ? m.data >= data && m.data + m.body.header.n_data == data + size
                      : m.body.header.n_data == 0);
        if (from_daemon)
                expect_from_daemon(&m);
        else
                expect_from_matcher(&m);
}

/* Random bytes hardly ever begin with a header: most of what is tried gets one. */
static void with_header(const uint8_t *data, size_t size) {
        static const size_t sizes[] = {sizeof(MatcherSetup),    sizeof(MatcherPlain),
                                       sizeof(MatcherTask),     sizeof(MatcherHello),
                                       sizeof(MatcherHealth),   sizeof(MatcherResult),
                                       sizeof(MatcherProgress), sizeof(MatcherCandidate)};
        uint8_t packet[sizeof(MatcherBody) + 64] = {0};
        size_t n = MIN(sizes[data[0] % ARRAY_SIZE(sizes)] + (data[1] & 8 ? data[2] % 64 : 0), sizeof(packet));
        MatcherHeader h = {.version = MATCHER_WIRE_VERSION,
                           .type = data[1] % MATCHER_TYPE_MAX,
                           .n_data = data[1] & 8 ? data[2] % 64 : 0,
                           .attempt = data[3] % 2};

        memcpy(packet, &h, sizeof(h));
        for (size_t i = sizeof(h), k = 4; i < n && k < size; i++, k++)
                packet[i] = data[k];
        check(packet, n, data[1] & 16);
        check(packet, n, !(data[1] & 16));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        check(data, size, false);
        check(data, size, true);
        if (size > 4)
                with_header(data, size);
        return 0;
}
