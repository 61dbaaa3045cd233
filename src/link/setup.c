/* SPDX-License-Identifier: Apache-2.0 */
#include "link/setup.h"

#include <errno.h>

char *link_setup_encode(const LinkSetup *s) {
        json_t *sizes = json_array();

        for (size_t i = 0; i < s->n_sizes; i++)
                (void)json_array_append_new(sizes, json_string(s->sizes[i]));
        json_t *root = json_pack(
                "{s:s, s:s*, s:s*, s:s, s:s, s:b, s:f, s:f, s:s*, s:i, s:s, s:s, s:s, s:s*, s:o}", "cabinet",
                s->cabinet, "name", s->name, "address", s->address, "alphabet", s->alphabet, "version",
                s->version, "located", (int)s->has_location, "latitude", s->has_location ? s->latitude : 0.0,
                "longitude", s->has_location ? s->longitude : 0.0, "listen", s->listen, "loopback-port",
                (int)s->loopback_port, "cert-file", s->cert_file, "key-file", s->key_file, "ca-file",
                s->ca_file, "revocation-file", s->revocation_file, "sizes", sizes);
        char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

        json_decref(root);
        return text;
}

static int take_sizes(LinkSetup *s, const json_t *sizes) {
        s->n_sizes = json_array_size(sizes);
        if (s->n_sizes > LINK_SIZES_MAX)
                return -EPROTO;
        for (size_t i = 0; i < s->n_sizes; i++) {
                s->sizes[i] = json_string_value(json_array_get(sizes, i));
                if (!s->sizes[i])
                        return -EPROTO;
        }
        return 0;
}

int link_setup_decode(const char *text, LinkSetup **ret) {
        _cleanup_(link_setup_freep) LinkSetup *s = calloc(1, sizeof(*s));
        json_t *sizes;
        int located, port;

        if (!s)
                return -ENOMEM;
        s->root = json_loads(text, 0, NULL);
        if (!s->root)
                return -EPROTO;
        int r = json_unpack(s->root,
                            "{s:s, s?s, s?s, s:s, s:s, s:b, s:F, s:F, s?s, s:i, s:s, s:s, s:s, s?s, s:o}",
                            "cabinet", &s->cabinet, "name", &s->name, "address", &s->address, "alphabet",
                            &s->alphabet, "version", &s->version, "located", &located, "latitude",
                            &s->latitude, "longitude", &s->longitude, "listen", &s->listen, "loopback-port",
                            &port, "cert-file", &s->cert_file, "key-file", &s->key_file, "ca-file",
                            &s->ca_file, "revocation-file", &s->revocation_file, "sizes", &sizes);
        if (r < 0 || port < 0 || port > UINT16_MAX)
                return -EPROTO;
        s->has_location = located;
        s->loopback_port = (unsigned)port;
        r = take_sizes(s, sizes);
        if (r < 0)
                return r;
        *ret = steal_ptr(s);
        return 0;
}

LinkSetup *link_setup_free(LinkSetup *s) {
        if (!s)
                return NULL;
        json_decref(s->root);
        free(s);
        return NULL;
}
