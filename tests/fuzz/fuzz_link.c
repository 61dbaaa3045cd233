/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from a handheld, as lockerd-link reads them behind TLS: a stream of frames, in pieces, and what is in
 * them as requests. And bytes from a lockerd-link that somebody has taken over, as the daemon reads them.
 * What is taken is what the other end takes, too. */
#include "base/text.h"
#include "core/refusal.h"
#include "link/answer.h"
#include "link/frames.h"
#include "link/request.h"
#include "link/setup.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good) {
        if (!good)
                abort();
}

/* Does the daemon take what the worker says? */
static bool is_message(LinkWireType type, const void *body, size_t n) {
        static LinkWireMessage m;

        m.header =
                (LinkWireHeader){.version = LINK_WIRE_VERSION, .type = (uint16_t)type, .n_body = (uint32_t)n};
        memcpy(m.text, body, n);
        return link_wire_is_message(&m, sizeof(m.header) + n);
}

static void as_request(const char *text, size_t n) {
        char detail[MESSAGE_DETAIL_MAX] = "";
        LinkRequest r;
        int e = link_request_read(text, n, &r, detail);

        expect(e >= 0 || e == -EPROTO);
        expect((e > 0) == (e >= 0 && *detail != 0));
        if (e == -EPROTO)
                return;
        expect(r.id >= 0 && r.id <= LOCKERD_LINK_ID_MAX);
        if (e > 0) {
                _cleanup_erase_ char *answer = link_refusal_text(r.id, (unsigned)e, detail);
                expect(answer && strlen(answer) <= LOCKERD_LINK_FRAME_MAX);
        } else if (!r.hello) {
                r.wire.number = 1;
                expect(is_message(LINK_WIRE_REQUEST, &r.wire, sizeof(r.wire)));
        }
}

static void as_stream(const uint8_t *data, size_t size, size_t piece) {
        static LinkFrame f;
        int wants;

        link_frame_empty(&f);
        for (size_t at = 0; at < size && (wants = link_frame_wants(&f)) >= 0;) {
                size_t n;
                if (wants == 0) {
                        const char *text = link_frame_text(&f, &n);
                        expect(n >= 2 && n <= LOCKERD_LINK_FRAME_MAX);
                        as_request(text, n);
                        link_frame_empty(&f);
                        continue;
                }
                n = MIN(MIN(piece, size - at), (size_t)wants);
                link_frame_add(&f, data + at, n);
                at += n;
                expect(f.n <= sizeof(f.data));
        }
}

static void as_message(const uint8_t *data, size_t size) {
        static LinkWireMessage m;

        if (size > sizeof(m))
                return;
        memset(&m, 0xff, sizeof(m)); /* what is behind it is not a text's end */
        memcpy(&m, data, size);
        if (!link_wire_is_message(&m, size))
                return;
        expect(m.header.type < LINK_WIRE_TYPES);
        if (m.header.type == LINK_WIRE_REQUEST)
                expect(m.request.verb < LINK_VERBS && strlen(m.request.recipient) < LINK_TEXT_MAX);
        if (m.header.type == LINK_WIRE_ANSWER) {
                _cleanup_erase_ char *answer = link_answer_text(1, &m.answer);
                expect(answer != NULL);
        }
        if (m.header.type == LINK_WIRE_PROMPT) {
                _cleanup_erase_ char *prompt = link_prompt_text(&m.prompt);
                expect(prompt != NULL);
        }
}

static void as_setup(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = strndup((const char *)data, size), *again = NULL;
        _cleanup_(link_setup_freep) LinkSetup *s = NULL;
        LinkSetup *second = NULL;

        expect(text != NULL);
        int r = link_setup_decode(text, &s);
        expect(r == 0 || (r == -EPROTO && !s));
        if (r < 0)
                return;
        again = link_setup_encode(s);
        expect(again && link_setup_decode(again, &second) == 0 && streq(second->cabinet, s->cabinet) &&
               second->n_sizes == s->n_sizes && second->loopback_port == s->loopback_port);
        link_setup_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        as_stream(data, size, size ? 1 + data[size - 1] % 64 : 1);
        as_request((const char *)data, size);
        as_message(data, size);
        as_setup(data, size);
        return 0;
}
