/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the broker's addresses is tried: each of Host= in turn; where that is the name of SRV records,
 * each of their targets, which are asked for anew each time; and when all of them have been tried, each
 * address that a name has. A node that takes connections and then says nothing (frozen, or cut off from its
 * cluster) would otherwise be tried for ever. */
#include "mqtt/worker.h"
#include "base/srv_name.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>

#define BLANKS     " \t"
#define ROUNDS_MAX 4096
#define WAIT_SEC   3
#define TRIES      2

static unsigned count_items(const char *list) {
        unsigned n = 0;

        for (list += strspn(list, BLANKS); *list; list += strspn(list, BLANKS)) {
                list += strcspn(list, BLANKS);
                n++;
        }
        return n ? n : 1;
}

static void take_item(const char *list, unsigned i, char ret[ADDRESS_MAX]) {
        for (list += strspn(list, BLANKS); i > 0; i--) {
                list += strcspn(list, BLANKS);
                list += strspn(list, BLANKS);
        }
        snprintf(ret, ADDRESS_MAX, "%.*s", (int)strcspn(list, BLANKS), list);
}

static bool item_is_srv(const MqttWorker *w) {
        return srv_is_name(w->item, strlen(w->item));
}

static void take_target(MqttWorker *w) {
        const SrvTarget *t = &w->addresses.targets.all[w->addresses.target];

        snprintf(w->host, sizeof(w->host), "%s", t->host);
        w->port = t->port;
}

/* Whom the certificate must be for is said by the configuration, and never by the DNS: whoever answers for it
 * could name a host of their own (RFC 6125, 6.2.1). */
void address_choose(MqttWorker *w) {
        Addresses *a = &w->addresses;

        take_item(w->setup->host, a->item, w->item);
        snprintf(w->name, sizeof(w->name), "%s", item_is_srv(w) ? srv_domain(w->item) : w->item);
        w->port = w->setup->port;
        snprintf(w->host, sizeof(w->host), "%s", w->name);
        if (a->targets.n)
                take_target(w);
}

static void next(Addresses *a, unsigned n_items, bool lasted) {
        if (lasted) {
                a->first = a->item;
                a->rounds = 0;
        }
        if (a->targets.n && !lasted && ++a->target < a->targets.n)
                return;
        /* After a connection that lasted the records are asked for anew: the first may be there again. */
        if (!a->targets.n || !lasted)
                a->item = (a->item + 1) % n_items;
        a->targets.n = a->target = 0;
        a->turn += a->item == 0;
        if (a->item == a->first && a->rounds < ROUNDS_MAX)
                a->rounds++;
}

void address_next(MqttWorker *w, bool lasted) {
        next(&w->addresses, count_items(w->setup->host), lasted);
}

/* Targets are kept by number: whoever goes on has to ask for them anew. */
MqttWireHeader address_place(const MqttWorker *w, bool lasted) {
        Addresses a = w->addresses;

        next(&a, count_items(w->setup->host), lasted);
        return (MqttWireHeader){.type = MQTT_WIRE_PLACE,
                                .token = (uint64_t)a.first << 32 | a.turn,
                                .flags = a.target,
                                .a = a.item,
                                .b = a.rounds};
}

void address_go_on(MqttWorker *w, const MqttWireHeader *place) {
        unsigned n = count_items(w->setup->host);

        w->addresses = (Addresses){.item = place->a % n,
                                   .first = (unsigned)(place->token >> 32) % n,
                                   .turn = (unsigned)place->token,
                                   .rounds = MIN(place->b, ROUNDS_MAX),
                                   .target = place->flags};
}

static int complain(MqttWorker *w, const char *what) {
        snprintf(w->complaint, sizeof(w->complaint), "%s", what);
        return -1;
}

/* Without records the domain is tried itself, as RFC 2782 has it. */
static int find_targets(MqttWorker *w) {
        Addresses *a = &w->addresses;
        int r = srv_ask(w->item, &a->targets);

        if (r == -ENODATA)
                return 0;
        if (r == -ENOENT)
                return complain(w, "The domain says that it has no such service (SRV records)");
        if (r == -EBADMSG)
                return complain(w, "The SRV records cannot be used");
        if (r < 0)
                return complain(w, "The name servers do not say which SRV records there are");
        srv_order(&a->targets, backoff_random);
        if (a->target >= a->targets.n)
                a->target = 0;
        take_target(w);
        return 0;
}

/* Of libc's resolver, in this thread: not for ever, which it would wait for a name server that takes a TCP
 * connection and says nothing. */
static void bound_resolver(void) {
        if (res_init() < 0)
                return;
        _res.options |= RES_IGNTC | RES_USE_EDNS0;
        _res.retrans = MIN(_res.retrans, WAIT_SEC);
        _res.retry = MIN(_res.retry, TRIES);
}

/* In the first round the library tries all addresses of a name, as far as they refuse at once. */
int address_resolve(MqttWorker *w, char ret[ADDRESS_MAX]) {
        const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
        Addresses *a = &w->addresses;
        struct addrinfo *all = NULL;
        unsigned n = 0, i = 0;

        bound_resolver();
        if (item_is_srv(w) && !a->targets.n && find_targets(w) < 0)
                return -1;
        snprintf(ret, ADDRESS_MAX, "%s", w->host);
        if (!a->turn || getaddrinfo(w->host, NULL, &hints, &all) != 0)
                return 0;
        for (const struct addrinfo *one = all; one; one = one->ai_next)
                n++;
        for (const struct addrinfo *one = all; one; one = one->ai_next)
                if (i++ == a->turn % n)
                        (void)getnameinfo(one->ai_addr, one->ai_addrlen, ret, ADDRESS_MAX, NULL, 0,
                                          NI_NUMERICHOST);
        freeaddrinfo(all);
        return 0;
}

const char *address_text(const MqttWorker *w, char ret[ADDRESS_TEXT_MAX]) {
        snprintf(ret, ADDRESS_TEXT_MAX, "%.100s:%u%s%.80s", w->host, w->port,
                 streq(w->host, w->name) ? "" : " for ", streq(w->host, w->name) ? "" : w->name);
        return ret;
}
