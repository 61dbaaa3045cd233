/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/srv.h"
#include "base/macros.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdbool.h>

#define LETTERS     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS      "0123456789"
#define FIXED       6 /* bytes of a record before the target */
#define WAIT_SEC    3
#define TRIES       2
#define FLAGS       2 /* of a message: where they are */
#define CUT_OFF     2
#define MESSAGE_MAX 4096 /* more than libc asks for */

/* Neither an address nor anything that libc would take for one (its last label is a number), nor what would
 * not look like a name in the log. */
static bool is_host(const char *host) {
        const char *last = strrchr(host, '.');

        last = last ? last + 1 : host;
        return *host && *host != '.' && *last && strspn(last, DIGITS) != strlen(last) &&
               strspn(host, LETTERS DIGITS "-_.") == strlen(host) && !strstr(host, "..");
}

static bool read_target(const ns_msg *message, const ns_rr *rr, SrvTarget *ret) {
        const uint8_t *data = ns_rr_rdata(*rr);

        if (ns_rr_rdlen(*rr) <= FIXED)
                return false;
        *ret = (SrvTarget){
                .priority = (uint16_t)ns_get16(data),
                .weight = (uint16_t)ns_get16(data + 2),
                .port = (uint16_t)ns_get16(data + 4),
        };
        return dn_expand(ns_msg_base(*message), ns_msg_end(*message), data + FIXED, ret->host,
                         (int)sizeof(ret->host)) >= 0;
}

int srv_read(const uint8_t *message, size_t n, SrvList *ret) {
        SrvList l = {0};
        unsigned records = 0, refusals = 0;
        ns_msg m;
        ns_rr rr;

        if (n > MESSAGE_MAX || ns_initparse(message, (int)n, &m) < 0)
                return -EBADMSG;
        for (int i = 0; i < ns_msg_count(m, ns_s_an) && l.n < SRV_TARGETS_MAX; i++) {
                SrvTarget *t = &l.all[l.n];
                if (ns_parserr(&m, ns_s_an, i, &rr) < 0)
                        break; /* cut off: what was read is whole */
                if (ns_rr_type(rr) != ns_t_srv || ns_rr_class(rr) != ns_c_in)
                        continue;
                records++;
                if (!read_target(&m, &rr, t))
                        continue;
                refusals += !*t->host;
                if (t->port && is_host(t->host))
                        l.n++;
        }
        if (!l.n)
                return records && records == refusals          ? -ENOENT
                       : records || ns_msg_getflag(m, ns_f_tc) ? -EBADMSG
                                                               : -ENODATA;
        *ret = l;
        return 0;
}

static void swap(SrvTarget *a, SrvTarget *b) {
        SrvTarget t = *a;

        *a = *b;
        *b = t;
}

/* Those without weight first: so they have a small chance, as RFC 2782 wants it. */
static bool before(const SrvTarget *a, const SrvTarget *b) {
        return a->priority != b->priority ? a->priority < b->priority : !a->weight && b->weight;
}

/* Of those from here on that have the priority of the first: which is next. */
static unsigned draw(const SrvList *l, unsigned from, uint64_t (*random_below)(uint64_t n)) {
        uint64_t sum = 0, chosen;
        unsigned end = from;

        while (end < l->n && l->all[end].priority == l->all[from].priority)
                sum += l->all[end++].weight;
        chosen = random_below(sum + 1);
        sum = 0;
        for (unsigned i = from; i < end; i++) {
                sum += l->all[i].weight;
                if (sum >= chosen)
                        return i;
        }
        return from;
}

void srv_order(SrvList *l, uint64_t (*random_below)(uint64_t n)) {
        for (unsigned i = 1; i < l->n; i++)
                for (unsigned k = i; k > 0 && before(&l->all[k], &l->all[k - 1]); k--)
                        swap(&l->all[k], &l->all[k - 1]);
        for (unsigned i = 0; i + 1 < l->n; i++)
                /* Those that are left keep their order. */
                for (unsigned k = draw(l, i, random_below); k > i; k--)
                        swap(&l->all[k], &l->all[k - 1]);
}

int srv_ask(const char *name, SrvList *ret) {
        uint8_t message[MESSAGE_MAX] = {0};
        struct __res_state state = {0};
        int n, r;

        if (res_ninit(&state) < 0)
                return -EAGAIN;
        /* Over UDP alone, in packets that suffice for a cluster: libc waits for ever for a name server that
         * takes a TCP connection and says nothing. */
        state.options |= RES_IGNTC | RES_USE_EDNS0;
        state.options &= ~(unsigned long)RES_USEVC;
        state.retrans = MIN(state.retrans, WAIT_SEC);
        state.retry = MIN(state.retry, TRIES);
        n = res_nquery(&state, name, ns_c_in, ns_t_srv, message, sizeof(message));
        if (n >= 0)
                r = srv_read(message, MIN((size_t)n, sizeof(message)), ret);
        else if (message[FLAGS] & CUT_OFF) /* so much that not even one has come */
                r = -EBADMSG;
        else
                r = state.res_h_errno == HOST_NOT_FOUND || state.res_h_errno == NO_DATA ? -ENODATA : -EAGAIN;
        res_nclose(&state);
        return r;
}
