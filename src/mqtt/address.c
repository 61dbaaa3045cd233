/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the broker's addresses is tried: each of Host= in turn, and when all of them have been, each
 * address that a name has. A node that takes connections and then says nothing (frozen, or cut off from its
 * cluster) would otherwise be tried for ever. */
#include "mqtt/worker.h"
#include "base/text.h"

#include <netdb.h>
#include <stdio.h>

#define BLANKS " \t"

static unsigned count_hosts(const char *list) {
        unsigned n = 0;

        for (list += strspn(list, BLANKS); *list; list += strspn(list, BLANKS)) {
                list += strcspn(list, BLANKS);
                n++;
        }
        return n ? n : 1;
}

unsigned address_rounds(const MqttWorker *w, unsigned n) {
        return n / count_hosts(w->setup->host);
}

void address_choose(MqttWorker *w) {
        const char *host = w->setup->host + strspn(w->setup->host, BLANKS);

        for (unsigned i = w->turn % count_hosts(w->setup->host); i > 0; i--) {
                host += strcspn(host, BLANKS);
                host += strspn(host, BLANKS);
        }
        snprintf(w->host, sizeof(w->host), "%.*s", (int)strcspn(host, BLANKS), host);
}

/* With TLS the name is what the certificate is judged by, and the library knows only one of both: there a
 * cluster is a list of names. In the first round the library tries all addresses, as far as they refuse at
 * once. */
void address_resolve(const MqttWorker *w, char ret[ADDRESS_MAX]) {
        const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
        struct addrinfo *all = NULL;
        unsigned n = 0, round = address_rounds(w, w->turn), i = 0;

        snprintf(ret, ADDRESS_MAX, "%s", w->host);
        if (w->setup->tls || !round || getaddrinfo(w->host, NULL, &hints, &all) != 0)
                return;
        for (const struct addrinfo *a = all; a; a = a->ai_next)
                n++;
        for (const struct addrinfo *a = all; a; a = a->ai_next)
                if (i++ == round % n)
                        (void)getnameinfo(a->ai_addr, a->ai_addrlen, ret, ADDRESS_MAX, NULL, 0,
                                          NI_NUMERICHOST);
        freeaddrinfo(all);
}
