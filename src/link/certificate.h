/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of couriers: whose they are, where and when they count, and that nobody has revoked them.
 * Chains are OpenSSL's to verify; everything else that a certificate must be is here. */
#pragma once

#include "base/macros.h"
#include "link/wire.h"
#include <openssl/x509.h>

typedef struct LinkRevocations LinkRevocations;

/* 0, or a negative errno with a sentence. file: PEM, one or more lists, each signed by one of the
 * authorities. A list that is older than it says it would be still counts: what it revokes stays revoked.
 * NULL: an empty one. */
int link_revocations_load(LinkRevocations **ret, const char *file, X509_STORE *authorities,
                          char ret_sentence[LINK_SENTENCE_MAX]);
LinkRevocations *link_revocations_free(LinkRevocations *r);
DEFINE_CLEANUP(LinkRevocations *, link_revocations_free);

/* A chain that OpenSSL has verified but for its times, the courier's certificate first. X509_V_OK with who it
 * is, or another X509_V_ERR_…, from which TLS makes its alert. */
int link_certificate_judge(STACK_OF(X509) * chain, const char *cabinet, const LinkWireClock *clock,
                           const LinkRevocations *revoked, LinkWireOpened *ret);
/* The cabinet's own: an error of the configuration is said here, not found by the first courier. 0, or
 * -EINVAL with a sentence. */
int link_certificate_check_own(X509 *own, const char *cabinet, char ret_sentence[LINK_SENTENCE_MAX]);
/* Does it say this exactly, among its alternative names? */
bool link_certificate_has_uri(X509 *certificate, const char *uri);
