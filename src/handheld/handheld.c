/* SPDX-License-Identifier: Apache-2.0 */
#include "handheld/handheld.h"
#include "base/log.h"
#include "handheld/handheld_struct.h"

#include <errno.h>
#include <stdio.h>

#define CLOCK_EVERY_USEC   (10 * USEC_PER_SEC)
#define OFFLINE_AFTER_USEC (120 * USEC_PER_SEC)

/* --- connections --- */

static Connection *find(Handhelds *h, uint32_t number) {
        for (Connection *c = h->connections; c; c = c->next)
                if (c->number == number)
                        return c;
        return NULL;
}

static Connection *of_session(Handhelds *h, const Session *s) {
        for (Connection *c = h->connections; c; c = c->next)
                if (c->session == s)
                        return c;
        return NULL;
}

void connection_close(Connection *c) {
        if (!c->closing)
                link_client_send(c->handhelds->client, LINK_WIRE_CLOSE, c->number, NULL, 0);
        c->closing = true;
}

/* As when a person walks away from the kiosk: what is on its way to being open is brought to its end. */
static void connection_free(Connection *c) {
        Handhelds *h = c->handhelds;
        Session *s = steal_ptr(c->session);

        for (Connection **at = &h->connections; *at; at = &(*at)->next)
                if (*at == c) {
                        *at = c->next;
                        break;
                }
        h->n_connections--;
        if (c->request)
                c->request->connection = NULL;
        free(c);
        if (s)
                locker_end_session(h->locker, s, "terminal gone");
}

static bool on_opened(void *userdata, uint32_t number, const LinkWireOpened *o) {
        Handhelds *h = userdata;

        if (h->n_connections >= LOCKERD_LINK_CONNECTIONS_MAX ||
            (h->connections && number <= h->connections->number))
                return false;
        Connection *c = calloc(1, sizeof(*c));
        if (!c)
                return false;
        *c = (Connection){.next = h->connections, .handhelds = h, .number = number, .who = *o};
        h->connections = c;
        h->n_connections++;
        return true;
}

static bool on_request(void *userdata, uint32_t number, const LinkWireRequest *r) {
        Connection *c = find(userdata, number);

        if (!c || c->request)
                return false;
        if (!c->closing)
                request_take(c, r);
        return true;
}

static bool on_closed(void *userdata, uint32_t number) {
        Connection *c = find(userdata, number);

        if (c)
                connection_free(c);
        return c;
}

/* --- the worker --- */

static void tell_clock(Handhelds *h) {
        Moment now = locker_moment(h->locker);
        LinkWireClock clock = {.wall_usec = now.wall, .not_before = now.not_before, .vouched = now.vouched};

        link_client_send(h->client, LINK_WIRE_CLOCK, 0, &clock, sizeof(clock));
}

static void on_started(void *userdata) {
        Handhelds *h = userdata;

        if (h->client)
                tell_clock(h);
}

static void on_status(void *userdata, bool listening, const char *sentence) {
        Handhelds *h = userdata;

        if (listening)
                log_info("Link: %s", sentence);
        else
                log_error("Link: %s", sentence);
        locker_set_link_health(h->locker, listening ? "ok" : "failed", sentence);
}

static void on_gone(void *userdata, const char *sentence) {
        Handhelds *h = userdata;

        while (h->connections)
                connection_free(h->connections);
        locker_set_link_health(h->locker, "degraded", sentence);
}

static void on_ble_stream(void *userdata, int fd) {
        Handhelds *h = userdata;

        link_client_pass(h->client, fd);
}

static void on_ble_health(void *userdata, const char *state, const char *sentence) {
        Handhelds *h = userdata;

        locker_set_bluetooth_health(h->locker, state, sentence);
}

static const BleHandlers ble_handlers = {.stream = on_ble_stream, .health = on_ble_health};

static const LinkHandlers link_handlers = {.started = on_started,
                                           .status = on_status,
                                           .opened = on_opened,
                                           .request = on_request,
                                           .closed = on_closed,
                                           .gone = on_gone};

/* A phone learns before it connects that what it deposits will be told later. */
static void tell_offline(Handhelds *h, uint64_t now) {
        if (!locker_backend_is_away(h->locker))
                h->away_since = 0;
        else if (!h->away_since)
                h->away_since = now;
        ble_client_set_offline(h->ble, h->away_since && now - h->away_since >= OFFLINE_AFTER_USEC);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Handhelds *h = userdata;

        tell_clock(h);
        if (h->ble)
                tell_offline(h, usec);
        (void)sd_event_source_set_time_relative(source, CLOCK_EVERY_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* --- the cabinet --- */

static void on_session(void *userdata, Session *s) {
        Connection *c = of_session(userdata, s);

        /* The next request that begins something begins another one. */
        if (c && session_state(s) == SESSION_ENDED)
                c->session = NULL;
}

static void on_prompt(void *userdata, Session *s, int slot, unsigned position, const char *what,
                      const char *sentence) {
        Handhelds *h = userdata;
        Connection *c = of_session(h, s);
        LinkWirePrompt p = {0};

        if (!c)
                return;
        p.place.parcel = session_place(s).parcel;
        if (slot >= 0) {
                p.place.position = position;
                snprintf(p.place.slot, sizeof(p.place.slot), "%s",
                         locker_cabinet(h->locker)->slots[slot].label);
        }
        snprintf(p.what, sizeof(p.what), "%s", what);
        snprintf(p.sentence, sizeof(p.sentence), "%s", sentence);
        link_client_send(h->client, LINK_WIRE_PROMPT, c->number, &p, sizeof(p));
}

static const LockerListener handheld_listener = {.session = on_session, .prompt = on_prompt};

int handhelds_new(Handhelds **ret, sd_event *event, Locker *locker, const Settings *settings) {
        _cleanup_(handhelds_freep) Handhelds *h = NULL;

        *ret = NULL;
        if (!link_settings_are_on(&settings->link))
                return 0;
        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        *h = (Handhelds){.event = sd_event_ref(event), .locker = locker, .settings = settings};
        int r = link_client_new(&h->client, event, settings, locker_cabinet(locker), &link_handlers, h);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &h->timer, CLOCK_BOOTTIME, CLOCK_EVERY_USEC,
                                               USEC_PER_SEC, on_timer, h);
        if (r >= 0 && settings->link.bluetooth) {
                locker_set_bluetooth_health(locker, "starting", "");
                r = ble_client_new(&h->ble, event, settings, locker_cabinet(locker), &ble_handlers, h);
        }
        if (r >= 0)
                r = locker_add_listener(locker, &handheld_listener, h);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare the handhelds' side");
        locker_set_link_health(locker, "starting", "");
        *ret = steal_ptr(h);
        return 0;
}

void handhelds_reload(Handhelds *h) {
        if (h)
                link_client_replace(h->client);
}

Handhelds *handhelds_free(Handhelds *h) {
        if (!h)
                return NULL;
        locker_remove_listener(h->locker, h);
        while (h->connections)
                connection_free(h->connections);
        ble_client_free(h->ble);
        link_client_free(h->client);
        sd_event_source_disable_unref(h->timer);
        sd_event_unref(h->event);
        free(h);
        return NULL;
}
