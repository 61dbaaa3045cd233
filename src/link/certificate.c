/* SPDX-License-Identifier: Apache-2.0 */
#include "link/certificate.h"
#include "lockerd/link.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#define LISTS_MAX 32
#define URIS_MAX  128 /* of one certificate */
#define NUMBER    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"

struct LinkRevocations {
        X509_CRL *lists[LISTS_MAX];
        size_t n;
};

/* --- revocations --- */

LinkRevocations *link_revocations_free(LinkRevocations *r) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n; i++)
                X509_CRL_free(r->lists[i]);
        free(r);
        return NULL;
}

/* Who may say so is who has signed the certificates. */
static bool is_signed(X509_CRL *list, X509_STORE *authorities) {
        STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(authorities);

        for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
                X509 *ca = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
                if (ca && X509_NAME_cmp(X509_get_subject_name(ca), X509_CRL_get_issuer(list)) == 0 &&
                    X509_CRL_verify(list, X509_get0_pubkey(ca)) == 1)
                        return true;
        }
        return false;
}

static int load_lists(LinkRevocations *r, FILE *f, X509_STORE *authorities, const char *file,
                      char ret_sentence[LINK_SENTENCE_MAX]) {
        X509_CRL *list;

        while (r->n < LISTS_MAX && (list = PEM_read_X509_CRL(f, NULL, NULL, NULL)) != NULL) {
                r->lists[r->n++] = list;
                if (!is_signed(list, authorities)) {
                        snprintf(ret_sentence, LINK_SENTENCE_MAX,
                                 "RevocationFile=%s: list %zu is not signed by an authority of CaFile=", file,
                                 r->n);
                        return -EINVAL;
                }
        }
        if (r->n && r->n < LISTS_MAX)
                return 0;
        snprintf(ret_sentence, LINK_SENTENCE_MAX, "RevocationFile=%s has %s", file,
                 r->n ? "too many lists" : "no revocation list (PEM)");
        return -EINVAL;
}

int link_revocations_load(LinkRevocations **ret, const char *file, X509_STORE *authorities,
                          char ret_sentence[LINK_SENTENCE_MAX]) {
        _cleanup_(link_revocations_freep) LinkRevocations *r = calloc(1, sizeof(*r));
        int k = 0;

        if (!r)
                return -ENOMEM;
        FILE *f = file ? fopen(file, "re") : NULL;
        if (file && !f) {
                snprintf(ret_sentence, LINK_SENTENCE_MAX, "RevocationFile=%s cannot be read: %s", file,
                         strerror(errno));
                return -EINVAL;
        }
        if (f) {
                k = load_lists(r, f, authorities, file, ret_sentence);
                fclose(f);
        }
        if (k < 0)
                return k;
        *ret = steal_ptr(r);
        return 0;
}

static bool is_revoked(const LinkRevocations *r, X509 *certificate) {
        for (size_t i = 0; i < r->n; i++) {
                X509_REVOKED *entry;
                if (X509_NAME_cmp(X509_CRL_get_issuer(r->lists[i]), X509_get_issuer_name(certificate)) == 0 &&
                    X509_CRL_get0_by_cert(r->lists[i], &entry, certificate) == 1)
                        return true;
        }
        return false;
}

/* --- what a certificate says --- */

/* The URIs of the alternative names, one after the other. Returns false to stop. */
typedef bool (*UriSeen)(void *userdata, const char *uri, size_t n);

static void each_uri(X509 *certificate, UriSeen seen, void *userdata) {
        GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

        for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < URIS_MAX; i++) {
                const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
                if (name->type == GEN_URI &&
                    !seen(userdata, (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
                          (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier)))
                        break;
        }
        GENERAL_NAMES_free(names);
}

typedef struct Wanted {
        const char *uri;
        bool found;
} Wanted;

static bool is_wanted(void *userdata, const char *uri, size_t n) {
        Wanted *w = userdata;

        w->found = strlen(w->uri) == n && !memcmp(w->uri, uri, n);
        return !w->found;
}

bool link_certificate_has_uri(X509 *certificate, const char *uri) {
        Wanted w = {.uri = uri};

        each_uri(certificate, is_wanted, &w);
        return w.found;
}

typedef struct Courier {
        const char *cabinet;
        char number[LINK_NUMBER_MAX];
        unsigned n_numbers, n_cabinets;
        bool here; /* among its cabinets is this one */
} Courier;

static const char *behind(const char *prefix, const char *uri, size_t n, size_t *ret_n) {
        size_t n_prefix = strlen(prefix);

        if (n < n_prefix || memcmp(uri, prefix, n_prefix) != 0)
                return NULL;
        *ret_n = n - n_prefix;
        return uri + n_prefix;
}

static bool take_uri(void *userdata, const char *uri, size_t n) {
        Courier *c = userdata;
        size_t n_rest;
        const char *rest = behind(LOCKERD_LINK_URI_COURIER, uri, n, &n_rest);

        if (rest) {
                c->n_numbers++;
                snprintf(c->number, sizeof(c->number), "%.*s", (int)MIN(n_rest, sizeof(c->number)), rest);
                /* One that is too long, or has other characters, is nobody's. */
                if (n_rest == 0 || n_rest >= sizeof(c->number) || strlen(c->number) != n_rest ||
                    c->number[strspn(c->number, NUMBER)])
                        c->number[0] = 0;
        }
        rest = behind(LOCKERD_LINK_URI_CABINET, uri, n, &n_rest);
        if (rest) {
                c->n_cabinets++;
                c->here |= strlen(c->cabinet) == n_rest && !memcmp(c->cabinet, rest, n_rest);
        }
        return true;
}

static bool has_p256_key(X509 *certificate) {
        char group[32] = "";
        EVP_PKEY *key = X509_get0_pubkey(certificate);

        return key && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
               streq(group, "prime256v1");
}

/* By extended key usage, which must be there: what is for anything is for nothing here. */
static bool is_for(X509 *certificate, uint32_t use) {
        uint32_t usage = X509_get_extended_key_usage(certificate);

        return usage != UINT32_MAX && usage & use;
}

/* --- when it counts --- */

static bool time_of(const ASN1_TIME *t, int64_t *ret) {
        struct tm tm;

        if (ASN1_TIME_to_tm(t, &tm) != 1)
                return false;
        *ret = (int64_t)timegm(&tm) * 1000000;
        return true;
}

/* The narrowest of the chain. */
static bool window_of(STACK_OF(X509) * chain, LinkWireOpened *ret) {
        ret->not_before = INT64_MIN;
        ret->not_after = INT64_MAX;
        for (int i = 0; i < sk_X509_num(chain); i++) {
                int64_t from, until;
                if (!time_of(X509_get0_notBefore(sk_X509_value(chain, i)), &from) ||
                    !time_of(X509_get0_notAfter(sk_X509_value(chain, i)), &until))
                        return false;
                ret->not_before = MAX(ret->not_before, from);
                ret->not_after = MIN(ret->not_after, until);
        }
        return true;
}

/* Where nobody vouches for the calendar, the true time is known only not to be earlier than some: what has
 * ended by then has ended, and whether the rest counts is not known (docs/link.md: what is then allowed). */
static int judge_time(const LinkWireOpened *o, const LinkWireClock *clock) {
        int64_t now = clock->vouched ? clock->wall_usec : clock->not_before;

        if (o->not_after < now)
                return X509_V_ERR_CERT_HAS_EXPIRED;
        return clock->vouched && now < o->not_before ? X509_V_ERR_CERT_NOT_YET_VALID : X509_V_OK;
}

int link_certificate_judge(STACK_OF(X509) * chain, const char *cabinet, const LinkWireClock *clock,
                           const LinkRevocations *revoked, LinkWireOpened *ret) {
        X509 *own = sk_X509_value(chain, 0);
        Courier c = {.cabinet = cabinet};
        LinkWireOpened o = {0};

        if (!own || !has_p256_key(own))
                return X509_V_ERR_EE_KEY_TOO_SMALL;
        if (!is_for(own, XKU_SSL_CLIENT))
                return X509_V_ERR_INVALID_PURPOSE;
        for (int i = 0; i < sk_X509_num(chain); i++)
                if (is_revoked(revoked, sk_X509_value(chain, i)))
                        return X509_V_ERR_CERT_REVOKED;
        if (!window_of(chain, &o))
                return X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD;
        int r = judge_time(&o, clock);
        if (r != X509_V_OK)
                return r;
        each_uri(own, take_uri, &c);
        if (c.n_numbers != 1 || !c.number[0] || (c.n_cabinets && !c.here))
                return X509_V_ERR_APPLICATION_VERIFICATION;
        memcpy(o.courier, c.number, sizeof(o.courier));
        *ret = o;
        return X509_V_OK;
}

int link_certificate_check_own(X509 *own, const char *cabinet, char ret_sentence[LINK_SENTENCE_MAX]) {
        char uri[sizeof(LOCKERD_LINK_URI_CABINET) + LINK_CABINET_MAX];

        snprintf(uri, sizeof(uri), "%s%s", LOCKERD_LINK_URI_CABINET, cabinet);
        if (!link_certificate_has_uri(own, uri))
                snprintf(
                        ret_sentence, LINK_SENTENCE_MAX,
                        "CertFile=: the certificate is not this cabinet's; its alternative names need URI:%s",
                        uri);
        else if (!is_for(own, XKU_SSL_SERVER))
                snprintf(ret_sentence, LINK_SENTENCE_MAX,
                         "CertFile=: the certificate's extended key usage must be serverAuth");
        else
                return 0;
        return -EINVAL;
}
