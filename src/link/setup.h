/* SPDX-License-Identifier: Apache-2.0 */
/* What lockerd-link is told at its start: the body of LINK_WIRE_SETUP. Of keys only the files are named. */
#pragma once

#include "base/macros.h"
#include <jansson.h>
#include <stdbool.h>

#define LINK_SIZES_MAX 32

typedef struct LinkSetup {
        json_t *root; /* owns the strings */
        const char *cabinet, *name, *address, *alphabet, *version;
        bool has_location;
        double latitude, longitude;
        const char *listen;     /* a path; NULL: none */
        unsigned loopback_port; /* 0: none */
        const char *cert_file, *key_file, *ca_file;
        const char *revocation_file; /* NULL: none */
        const char *sizes[LINK_SIZES_MAX];
        size_t n_sizes;
} LinkSetup;

/* The root stays empty. NULL: no memory, or text that is not UTF-8. */
char *link_setup_encode(const LinkSetup *s);
int link_setup_decode(const char *text, LinkSetup **ret); /* 0, -EPROTO, -ENOMEM */
LinkSetup *link_setup_free(LinkSetup *s);
DEFINE_CLEANUP(LinkSetup *, link_setup_free);
