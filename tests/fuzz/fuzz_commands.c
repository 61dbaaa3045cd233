/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a command of the backend: as they came, as what a backend has signed, and as a JWS header before
 * that. What is taken is held against the table of every command. */
#include "message/arguments.h"
#include "message/remote_command.h"
#include "../unit/signer.h"

#define HEADER "{\"alg\":\"EdDSA\",\"kid\":\"backend\"}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_command(const RemoteCommand *c, int r, const char *detail) {
        size_t n;
        const CommandRow *rows = command_rows(&n);
        char wrong[MESSAGE_DETAIL_MAX] = "";

        if ((r == 0) != (c->arguments != NULL) || (r > 0) != (*detail != '\0') || r < 0)
                abort();
        if (c->is_signed != (c->key[0] != '\0') || (r && c->is_signed))
                abort();
        if (r)
                return;
        if (!c->id[0] || c->expires_usec < 0)
                abort();
        for (size_t i = 0; i < n; i++) {
                int e = arguments_check(rows[i].name, c->arguments, wrong);
                if (e != 0 && (e != LOCKER_E_INVALID_ARGUMENT || !*wrong))
                        abort();
        }
}

static void as_command(const KeyRing *ring, const void *data, size_t size) {
        char detail[MESSAGE_DETAIL_MAX];
        _cleanup_(remote_command_done) RemoteCommand c;

        int r = remote_command_parse("C-1", "open", data, size, ring, &c, detail);
        check_command(&c, r, detail);
}

static void as_signed(const KeyRing *ring, const Signer *signer, const char *header, const char *payload) {
        _cleanup_free_ char *jws = signer_jws(signer, header, payload);
        RemoteCommand c;
        char detail[MESSAGE_DETAIL_MAX];

        if (!jws)
                abort();
        int r = remote_command_parse("C-1", "open", jws, strlen(jws), ring, &c, detail);
        if (r == 0 && !c.is_signed)
                abort();
        check_command(&c, r, detail);
        remote_command_done(&c);
}

typedef struct Backend {
        Signer signer;
        KeyRing *ring;
} Backend;

/* Once: reading a key takes a hundred times as long as reading a command. */
static const Backend *backend(void) {
        static Backend b;
        char complaint[MESSAGE_DETAIL_MAX];

        if (b.ring)
                return &b;
        b.signer = signer_new(RFC8037_SECRET);
        if (key_ring_new(&b.ring) < 0 ||
            key_ring_add(b.ring, "backend", b.signer.pem, strlen(b.signer.pem), complaint) < 0)
                abort();
        return &b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = strndup((const char *)data, size);
        const Backend *b = backend();

        if (!text)
                abort();
        as_command(b->ring, data, size);
        /* Signing takes longer than all the rest: one of the two ways each time. */
        if (size % 2)
                as_signed(b->ring, &b->signer, text, "{}");
        else
                as_signed(b->ring, &b->signer, HEADER, text);
        return 0;
}
