/* SPDX-License-Identifier: Apache-2.0 */
/* What the cabinet has told before: which ledger it had and how far that had come is retained at the broker,
 * on a topic that no will overwrites. With each connection it is compared before anything is told or carried
 * out.
 *
 * The broker sends what is retained when it is subscribed to. To know that all of it has come, something is
 * published to the same topic, not retained, and waited for. */
#include "sync/lineage.h"
#include "base/log.h"
#include "base/text.h"
#include "ledger/ledger.h"
#include "ledger/lineage.h"
#include "ledger/settings.h"
#include "message/compose.h"
#include "sync/mqtt_client.h"
#include "sync/publication.h"
#include "sync/sync_struct.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>

#define WAIT_USEC  (10 * USEC_PER_SEC) /* for a broker that does not send it back */
#define AGAIN_USEC USEC_PER_SEC        /* where the ledger could not take what was found */
#define MARK_EVERY (10 * USEC_PER_SEC)
#define FOREIGN_EVERY \
        (3600 * USEC_PER_SEC) /* two machines that take turns must not fill the ledger with epochs */

void lineage_topic(const char *cabinet, char ret[TOPIC_MAX]) {
        snprintf(ret, TOPIC_MAX, "lockerd/v1/%s/ledger", cabinet);
}

static void publish(Sync *s, json_t *object, bool retain) {
        char topic[TOPIC_MAX];
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

        json_decref(object);
        if (!text)
                return;
        lineage_topic(s->cabinet, topic);
        (void)mqtt_client_publish(s->client, TOKEN_LINEAGE, topic, text, strlen(text), retain,
                                  COMPOSE_JSON_TYPE, NULL);
        free(text);
}

/* Only whoever has the cabinet's key can say how far it had come: what a broker has invented begins a new
 * epoch, but doubts nobody's parcel. */
static void seal(const Sync *s, const char *epoch, uint64_t last, char ret[2 * VAULT_MAC_SIZE + 1]) {
        uint8_t mac[VAULT_MAC_SIZE];
        char text[TOPIC_MAX + EPOCH_LENGTH + 32];
        int n = snprintf(text, sizeof(text), "%s %s %llu", s->cabinet, epoch, (unsigned long long)last);

        vault_mac(ledger_vault(s->ledger), VAULT_TOLD, text, (size_t)MIN(n, (int)sizeof(text) - 1), mac);
        text_to_hex(mac, sizeof(mac), ret);
}

static bool is_sealed(const Sync *s, const Lineage *k, const json_t *said) {
        char mine[2 * VAULT_MAC_SIZE + 1];
        const char *theirs = json_string_value(said);

        seal(s, k->told_epoch, k->told_last, mine);
        return theirs && strlen(theirs) == sizeof(mine) - 1 && CRYPTO_memcmp(mine, theirs, sizeof(mine)) == 0;
}

void lineage_link(Sync *s, bool connected) {
        Lineage *k = &s->lineage;

        *k = (Lineage){.foreign_at = k->foreign_at, .told_epoch = "", .mark_at = 0};
        s->resumed = false;
        if (!connected)
                return;
        uint64_t random = 0;
        (void)vault_random(&random, sizeof(random));
        snprintf(k->probe, sizeof(k->probe), "%016llx", (unsigned long long)random);
        k->give_up_at = clock_now().boot_usec + WAIT_USEC;
        publish(s, json_pack("{s:s, s:s}", "cabinet", s->cabinet, "probe", k->probe), false);
}

/* Remembered of what the cabinet itself has said as another ledger: it is no reason a second time, whoever
 * sends it again. */
static void foreign_setting(const Lineage *k, char ret[64]) {
        snprintf(ret, 64, "foreign-%s", k->told_epoch);
}

static bool is_news(const Sync *s) {
        int64_t heard = -1;
        char name[64];

        foreign_setting(&s->lineage, name);
        return ledger_setting_get(s->ledger, name, &heard) < 0 || (uint64_t)heard < s->lineage.told_last;
}

/* The contents first: a power cut between the steps finds the same ledger again. */
static int begin_epoch(Sync *s, EpochWhy why) {
        const Lineage *k = &s->lineage;
        char name[64];
        int r = !k->told_sealed ? 0
                                : locker_doubt_contents(
                                          s->locker, why == EPOCH_BEHIND
                                                             ? "the ledger is older than what the cabinet "
                                                               "has told"
                                                             : "another ledger has spoken for the cabinet");

        foreign_setting(k, name);
        if (r >= 0 && k->told_sealed && why == EPOCH_FOREIGN)
                r = ledger_setting_set(s->ledger, name, (int64_t)k->told_last);
        return r < 0 ? r : locker_begin_epoch(s->locker, why, k->told_last);
}

/* An error: it is not known yet whether this is the ledger of last time, or that could not be recorded. */
static int compare(Sync *s) {
        Lineage *k = &s->lineage;
        uint64_t last = 0, now = clock_now().boot_usec;
        EpochWhy why = EPOCH_BEHIND;
        int r = k->told_epoch[0] ? sync_last_event(s, &last) : 0;

        if (r < 0 || !k->told_epoch[0])
                return r;
        if (streq(k->told_epoch, ledger_epoch(s->ledger))) {
                if (k->told_last <= last)
                        return 0;
        } else if (ledger_epoch_is_known(s->ledger, k->told_epoch) || now < k->foreign_at ||
                   (k->told_sealed && !is_news(s))) {
                return 0; /* it was restored since, and has said so; or it was just said, or once before */
        } else {
                why = EPOCH_FOREIGN;
        }
        r = begin_epoch(s, why);
        if (r < 0)
                return log_error_errno(r, "Cannot begin a new epoch of the ledger; trying again");
        if (why == EPOCH_FOREIGN)
                k->foreign_at = now + FOREIGN_EVERY;
        s->state_dirty = true;
        return 0;
}

/* Until it is recorded, nothing is told or carried out. */
static void settle(Sync *s) {
        Lineage *k = &s->lineage;

        k->settled = compare(s) >= 0;
        k->give_up_at = clock_now().boot_usec + AGAIN_USEC;
        k->heard = !k->settled;
        if (k->settled)
                k->told_epoch[0] = 0;
        else
                s->resumed = false;
        sync_wake(s);
}

bool lineage_heard(Sync *s, const MqttMessage *m) {
        Lineage *k = &s->lineage;
        char topic[TOPIC_MAX];

        lineage_topic(s->cabinet, topic);
        if (!streq(m->topic, topic))
                return false;
        json_t *o = m->too_large ? NULL : json_loadb(m->payload, m->n_payload, JSON_REJECT_DUPLICATES, NULL);
        const char *probe = json_string_value(json_object_get(o, "probe")),
                   *epoch = json_string_value(json_object_get(o, "epoch"));
        json_int_t last = json_integer_value(json_object_get(o, "lastevent"));

        if (epoch && strlen(epoch) == EPOCH_LENGTH && last >= 0) {
                snprintf(k->told_epoch, sizeof(k->told_epoch), "%s", epoch);
                k->told_last = (uint64_t)last;
                k->told_sealed = is_sealed(s, k, json_object_get(o, "seal"));
                if (k->settled || k->heard) /* another machine that speaks for this cabinet, or own words */
                        settle(s);
        } else if (probe && *k->probe && streq(probe, k->probe) && !k->settled) {
                settle(s);
        }
        json_decref(o);
        return true;
}

bool lineage_is_settled(const Sync *s) {
        return s->lineage.settled;
}

/* It must not fall behind by much: what was told since it was written is not found again. */
void lineage_work(Sync *s, uint64_t now) {
        Lineage *k = &s->lineage;
        uint64_t last = 0;

        if (!s->connected)
                return;
        if (!k->settled && k->heard && now >= k->give_up_at)
                settle(s);
        if (!k->settled && !k->heard && now >= k->give_up_at) {
                log_warning(
                        "The broker does not send back what was published on lockerd/v1/%s/ledger, which the "
                        "cabinet must be allowed to write and read: nobody checks whether the ledger is the "
                        "one "
                        "of last time",
                        s->cabinet);
                settle(s);
        }
        if (!k->settled || now < k->mark_at || sync_last_event(s, &last) < 0 || last == k->marked)
                return;
        k->mark_at = now + MARK_EVERY;
        k->marked = last;
        lineage_mark(s);
}

void lineage_mark(Sync *s) {
        char mac[2 * VAULT_MAC_SIZE + 1];
        uint64_t last = 0;

        if (!s->connected || !s->lineage.settled || sync_last_event(s, &last) < 0)
                return;
        seal(s, ledger_epoch(s->ledger), last, mac);
        publish(s,
                json_pack("{s:s, s:s, s:I, s:s}", "cabinet", s->cabinet, "epoch", ledger_epoch(s->ledger),
                          "lastevent", (json_int_t)last, "seal", mac),
                true);
}

uint64_t lineage_next_deadline(const Sync *s) {
        const Lineage *k = &s->lineage;

        return !s->connected ? USEC_INFINITY : !k->settled ? k->give_up_at : USEC_INFINITY;
}
