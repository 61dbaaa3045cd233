/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of signing keys: loaded at the start, and again when the daemon is told to (SIGHUP). At the start
 * what is broken is left out; later a ring that works is not given up for one that is broken. Which keys are
 * trusted is shown in the cabinet's health. */
#include "sync/signing_keys.h"
#include "base/log.h"
#include "message/jwe.h"
#include "sync/sync.h"
#include "sync/sync_struct.h"

#include <stdio.h>

#define SENTENCE_MAX 160

typedef struct Complaints {
        unsigned n;
        char first[SENTENCE_MAX];
} Complaints;

static void complain(void *userdata, const char *line) {
        Complaints *c = userdata;

        log_warning("Signing keys: %s", line);
        if (c->n++ == 0)
                snprintf(c->first, sizeof(c->first), "%s", line);
}

static void tell(Sync *s, const Complaints *c, const char *what) {
        char ids[SENTENCE_MAX], sentence[SENTENCE_MAX];

        key_ring_ids(s->ring, ids, sizeof(ids));
        if (c->n)
                snprintf(sentence, sizeof(sentence), "%s%.*s", what, (int)(SENTENCE_MAX - 1 - strlen(what)),
                         c->first);
        else
                snprintf(sentence, sizeof(sentence), "%s", *ids ? ids : "none: no signed command is taken");
        locker_set_keys_health(s->locker, c->n ? "degraded" : "ok", sentence);
        log_info("Signing keys in use: %s", *ids ? ids : "none");
}

/* A key that works is not given up for one that does not. */
static void load_sealing_key(Sync *s) {
        const char *path = s->settings->mqtt.sealing_key;
        char complaint[MESSAGE_DETAIL_MAX] = "out of memory";
        SealingKey *k = NULL;

        if (!path)
                return;
        s->sealing_trouble[0] = 0;
        if (sealing_key_load(&k, path, complaint) >= 0) {
                sealing_key_free(s->sealing);
                s->sealing = k;
                return;
        }
        log_error("SealingKey=: %s; %s", complaint,
                  s->sealing ? "the key from before stays in use"
                             : "events with secrets, and all after them, wait until it is in order");
        snprintf(s->sealing_trouble, sizeof(s->sealing_trouble), "SealingKey=: %.120s", complaint);
}

int keys_load(Sync *s) {
        Complaints c = {0};

        load_sealing_key(s);
        int r = key_ring_load(&s->ring, s->settings->mqtt.signing_keys, complain, &c);

        if (r >= 0)
                tell(s, &c, "");
        return r;
}

void sync_reload(Sync *s) {
        KeyRing *ring = NULL;
        Complaints c = {0};

        if (!s)
                return;
        load_sealing_key(s);
        sync_tell_health(s);
        sync_wake(s);
        int r = key_ring_load(&ring, s->settings->mqtt.signing_keys, complain, &c);
        if (r < 0) {
                log_error_errno(r, "Cannot load the signing keys again; those from before stay in use");
                return;
        }
        if (c.n) {
                log_warning("The signing keys are left as they were, until all files of %s are in order.",
                            s->settings->mqtt.signing_keys);
        } else {
                KeyRing *old = s->ring;
                s->ring = ring;
                ring = old;
        }
        key_ring_free(ring);
        tell(s, &c, "Left as they were: ");
}
