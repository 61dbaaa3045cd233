/* SPDX-License-Identifier: Apache-2.0 */
#include "link/tls.h"
#include "link/certificate.h"
#include "lockerd/link.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

#define CHAIN_MAX (16 * 1024) /* bytes of a handheld's certificates */
#define DEPTH_MAX 4

struct LinkTlsContext {
        SSL_CTX *ssl;
        const LinkWireClock *clock;
        LinkRevocations *revoked;
        char cabinet[LINK_CABINET_MAX];
};

struct LinkTls {
        LinkTlsContext *context;
        SSL *ssl;
        BIO *in, *out; /* the SSL's */
        LinkWireOpened who;
        char complaint[160];
};

/* --- who is at the other end --- */

/* In place of OpenSSL's own: chains without times, then everything else. The result becomes the alert. */
static int judge_chain(X509_STORE_CTX *ctx, void *userdata) {
        SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
        LinkTls *t = SSL_get_app_data(ssl);
        LinkTlsContext *c = t->context;

        X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_NO_CHECK_TIME);
        int ok = X509_verify_cert(ctx);
        int result = ok > 0 ? link_certificate_judge(X509_STORE_CTX_get0_chain(ctx), c->cabinet, c->clock,
                                                     c->revoked, &t->who)
                            : X509_STORE_CTX_get_error(ctx);
        /* A failure without a reason is still one. */
        if (ok <= 0 && result == X509_V_OK)
                result = X509_V_ERR_UNSPECIFIED;
        X509_STORE_CTX_set_error(ctx, result);
        if (result != X509_V_OK)
                snprintf(t->complaint, sizeof(t->complaint), "certificate: %s",
                         result == X509_V_ERR_APPLICATION_VERIFICATION
                                 ? "no courier's, or not for this cabinet"
                                 : X509_verify_cert_error_string(result));
        return result == X509_V_OK;
}

/* --- what the cabinet has --- */

static void say(char ret[LINK_SENTENCE_MAX], const char *key, const char *file, const char *what) {
        unsigned long e = ERR_peek_last_error();
        const char *why = ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e)) : ERR_reason_error_string(e);

        snprintf(ret, LINK_SENTENCE_MAX, "%s=%s: %s%s%s", key, file, what, why ? ": " : "", why ? why : "");
        ERR_clear_error();
}

static int load_own(SSL_CTX *ssl, const LinkSetup *s, char ret_sentence[LINK_SENTENCE_MAX]) {
        if (SSL_CTX_use_certificate_chain_file(ssl, s->cert_file) != 1) {
                say(ret_sentence, "CertFile", s->cert_file, "no certificate (PEM) can be read");
                return -EINVAL;
        }
        if (SSL_CTX_use_PrivateKey_file(ssl, s->key_file, SSL_FILETYPE_PEM) != 1) {
                say(ret_sentence, "KeyFile", s->key_file,
                    "no private key (PEM) of that certificate can be read");
                return -EINVAL;
        }
        return link_certificate_check_own(SSL_CTX_get0_certificate(ssl), s->cabinet, ret_sentence);
}

static int load_authorities(SSL_CTX *ssl, const LinkSetup *s, char ret_sentence[LINK_SENTENCE_MAX]) {
        STACK_OF(X509_NAME) * names;

        if (SSL_CTX_load_verify_file(ssl, s->ca_file) != 1 ||
            !(names = SSL_load_client_CA_file(s->ca_file))) {
                say(ret_sentence, "CaFile", s->ca_file, "no certificates (PEM) can be read");
                return -EINVAL;
        }
        SSL_CTX_set_client_CA_list(ssl, names); /* takes them */
        return 0;
}

static int configure(LinkTlsContext *c, const LinkSetup *s, char ret_sentence[LINK_SENTENCE_MAX]) {
        SSL_CTX *ssl = c->ssl;

        /* Each handshake looks at the certificate: nothing is resumed. */
        if (SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) != 1 || SSL_CTX_set_num_tickets(ssl, 0) != 1)
                return -EIO;
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
        SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_max_cert_list(ssl, CHAIN_MAX);
        SSL_CTX_set_verify_depth(ssl, DEPTH_MAX);
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_cert_verify_callback(ssl, judge_chain, NULL);
        int r = load_own(ssl, s, ret_sentence);
        if (r >= 0)
                r = load_authorities(ssl, s, ret_sentence);
        return r < 0 ? r
                     : link_revocations_load(&c->revoked, s->revocation_file, SSL_CTX_get_cert_store(ssl),
                                             ret_sentence);
}

int link_tls_context_new(LinkTlsContext **ret, const LinkSetup *s, const LinkWireClock *clock,
                         char ret_sentence[LINK_SENTENCE_MAX]) {
        _cleanup_(link_tls_context_freep) LinkTlsContext *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->clock = clock;
        snprintf(c->cabinet, sizeof(c->cabinet), "%s", s->cabinet);
        snprintf(ret_sentence, LINK_SENTENCE_MAX, "TLS cannot be prepared");
        c->ssl = SSL_CTX_new(TLS_server_method());
        int r = c->ssl ? configure(c, s, ret_sentence) : -ENOMEM;
        ERR_clear_error();
        if (r < 0)
                return r;
        *ret = steal_ptr(c);
        return 0;
}

LinkTlsContext *link_tls_context_free(LinkTlsContext *c) {
        if (!c)
                return NULL;
        SSL_CTX_free(c->ssl);
        link_revocations_free(c->revoked);
        free(c);
        return NULL;
}

/* --- one connection --- */

LinkTls *link_tls_new(LinkTlsContext *c) {
        LinkTls *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        t->context = c;
        t->ssl = SSL_new(c->ssl);
        t->in = BIO_new(BIO_s_mem());
        t->out = BIO_new(BIO_s_mem());
        if (!t->ssl || !t->in || !t->out) {
                BIO_free(t->in);
                BIO_free(t->out);
                SSL_free(t->ssl);
                free(t);
                return NULL;
        }
        SSL_set_bio(t->ssl, t->in, t->out);
        SSL_set_app_data(t->ssl, t);
        SSL_set_accept_state(t->ssl);
        return t;
}

LinkTls *link_tls_free(LinkTls *t) {
        if (!t)
                return NULL;
        SSL_free(t->ssl); /* and its BIOs */
        free(t);
        return NULL;
}

int link_tls_feed(LinkTls *t, const void *bytes, size_t n) {
        return BIO_write(t->in, bytes, (int)n) == (int)n ? 0 : -ENOMEM;
}

size_t link_tls_pending(const LinkTls *t, const void **ret) {
        char *bytes = NULL;
        long n = BIO_get_mem_data(t->out, &bytes);

        *ret = bytes;
        return n > 0 ? (size_t)n : 0;
}

void link_tls_went(LinkTls *t, size_t n) {
        char gone[4096];

        while (n > 0) {
                int k = BIO_read(t->out, gone, (int)MIN(n, sizeof(gone)));
                if (k <= 0)
                        break;
                n -= (size_t)k;
        }
}

static int outcome(LinkTls *t, int r) {
        int e = SSL_get_error(t->ssl, r);

        if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
                ERR_clear_error();
                return 0;
        }
        if (!t->complaint[0]) {
                const char *why = ERR_reason_error_string(ERR_peek_last_error());
                snprintf(t->complaint, sizeof(t->complaint), "%s", why ? why : "no TLS");
        }
        ERR_clear_error();
        return e == SSL_ERROR_ZERO_RETURN ? -EPIPE : -EPROTO;
}

int link_tls_handshake(LinkTls *t, LinkWireOpened *ret) {
        ERR_clear_error();
        int r = SSL_do_handshake(t->ssl);

        if (r != 1) {
                r = outcome(t, r);
                return r == 0 ? 0 : -EPROTO;
        }
        /* Whoever has shown no certificate is nobody. */
        if (!SSL_get0_peer_certificate(t->ssl))
                t->who = (LinkWireOpened){0};
        *ret = t->who;
        return 1;
}

const char *link_tls_complaint(const LinkTls *t) {
        return t->complaint;
}

int link_tls_read(LinkTls *t, void *ret, size_t n) {
        ERR_clear_error();
        int r = SSL_read(t->ssl, ret, (int)n);

        return r > 0 ? r : outcome(t, r);
}

int link_tls_write(LinkTls *t, const void *bytes, size_t n) {
        ERR_clear_error();
        return SSL_write(t->ssl, bytes, (int)n) == (int)n ? 0 : -EPROTO;
}

void link_tls_close(LinkTls *t) {
        ERR_clear_error();
        if (SSL_is_init_finished(t->ssl))
                (void)SSL_shutdown(t->ssl);
        ERR_clear_error();
}
