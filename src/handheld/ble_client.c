/* SPDX-License-Identifier: Apache-2.0 */
#include "handheld/ble_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/supervisor.h"
#include "base/text.h"
#include "ble/ble_wire.h"
#include "core/bucket.h"

#include <errno.h>
#include <stdio.h>

#define UNANSWERED    10 /* pings */
#define RESTART_FIRST USEC_PER_SEC
#define RESTART_MAX   (60 * USEC_PER_SEC)
#define BUFFER        (64 * 1024)
#define SENTENCE_MAX  160
#define SYSTEM_BUS    "unix:path=/run/dbus/system_bus_socket"

/* Phones come and go by the seconds, and BlueZ's troubles by the minute. */
static const BucketRules message_pace = {.burst = 60, .each_usec = 100 * USEC_PER_MSEC};

struct BleClient {
        const BleHandlers *handlers;
        void *userdata;
        Supervisor *worker;
        BleSetup setup;
        bool offline;
        Bucket said;
};

static void send_message(BleClient *c, BleType type, void *body) {
        int r = ble_wire_send(supervisor_socket(c->worker), type, body, -1);

        if (r < 0 && r != -EPIPE) {
                log_error_errno(r, "Cannot tell lockerd-ble");
                supervisor_hang_up(c->worker);
        }
}

/* --- health --- */

static void say_health(const BleHealth *h, char *ret, size_t room) {
        const char *detail = h->detail;

        switch ((BleProblem)h->problem) {
        case BLE_FINE:
                snprintf(ret, room, "Phones can connect to %.15s.", detail);
                break;
        case BLE_NO_BUS:
                snprintf(ret, room, "The system bus cannot be reached: %.60s", detail);
                break;
        case BLE_NO_BLUEZ:
                snprintf(ret, room, "BlueZ is not there; see: systemctl status bluetooth");
                break;
        case BLE_NO_ADAPTER:
                snprintf(ret, room,
                         "There is no Bluetooth adapter%s%.15s that can serve phones; see: bluetoothctl list",
                         *detail ? " " : "", detail);
                break;
        case BLE_OFF:
                snprintf(ret, room, "The Bluetooth adapter is switched off%s%.60s; see: rfkill list",
                         *detail ? ": " : "", detail);
                break;
        case BLE_REFUSED:
                snprintf(ret, room, "BlueZ does not advertise the cabinet: %.60s", detail);
                break;
        case BLE_PROBLEM_MAX:
                break;
        }
}

static void tell_health(BleClient *c, const BleHealth *h) {
        char sentence[SENTENCE_MAX] = "";

        say_health(h, sentence, sizeof(sentence));
        if (h->problem == BLE_FINE)
                log_info("Bluetooth: %s", sentence);
        else
                log_warning("Bluetooth: %s", sentence);
        c->handlers->health(c->userdata, h->problem == BLE_FINE ? "ok" : "failed", sentence);
}

/* --- the worker --- */

static bool take_message(BleClient *c, const BleBody *m, int passed) {
        switch ((BleType)m->header.type) {
        case BLE_HEALTH:
                tell_health(c, &m->health);
                return true;
        case BLE_STREAM:
                c->handlers->stream(c->userdata, passed);
                return true;
        case BLE_PONG:
                return true;
        case BLE_SETUP:
        case BLE_STATE:
        case BLE_PING:
        case BLE_TYPE_MAX:
                break;
        }
        return false;
}

static bool read_message(void *userdata) {
        _cleanup_close_ int passed = -1;
        BleClient *c = userdata;
        BleBody m;
        int r = ble_wire_receive(supervisor_socket(c->worker), false, &m, &passed);

        if (r <= 0)
                return r == 0;
        supervisor_heard(c->worker);
        if (m.header.type != BLE_PONG && !bucket_take(&c->said, &message_pace, clock_now().boot_usec)) {
                log_warning("lockerd-ble says too much");
                return false;
        }
        return take_message(c, &m, passed);
}

static int started(void *userdata) {
        BleState state = {.offline = ((BleClient *)userdata)->offline};
        BleClient *c = userdata;
        int r = ble_wire_send(supervisor_socket(c->worker), BLE_SETUP, &c->setup, -1);

        return r < 0 ? r : ble_wire_send(supervisor_socket(c->worker), BLE_STATE, &state, -1);
}

static int ping(void *userdata, uint64_t number) {
        BleClient *c = userdata;
        BlePlain m = {.number = number};

        return ble_wire_send(supervisor_socket(c->worker), BLE_PING, &m, -1);
}

static void gone(void *userdata, const char *sentence) {
        BleClient *c = userdata;

        c->handlers->health(c->userdata, "degraded", sentence);
}

static const SupervisorHandlers worker_handlers = {
        .started = started, .readable = read_message, .ping = ping, .gone = gone};

int ble_client_new(BleClient **ret, sd_event *event, const Settings *settings, const Cabinet *cabinet,
                   const BleHandlers *handlers, void *userdata) {
        _cleanup_(ble_client_freep) BleClient *c = calloc(1, sizeof(*c));
        _cleanup_free_ char *program = text_printf("%s/lockerd-ble", settings->worker_directory);
        const char *bus =
                getenv("DBUS_SYSTEM_BUS_ADDRESS"); /* where the daemon itself is; workers have none */

        if (!c || !program)
                return -ENOMEM;
        if (!bus || strlen(bus) >= sizeof(c->setup.bus))
                bus = SYSTEM_BUS;
        c->handlers = handlers;
        c->userdata = userdata;
        c->setup.phones = settings->link.phones;
        snprintf(c->setup.cabinet, sizeof(c->setup.cabinet), "%s", cabinet->number);
        snprintf(c->setup.adapter, sizeof(c->setup.adapter), "%s",
                 settings->link.adapter ? settings->link.adapter : "");
        snprintf(c->setup.bus, sizeof(c->setup.bus), "%s", bus);
        SupervisorOptions worker = {.program = program,
                                    .name = "lockerd-ble",
                                    .unanswered = UNANSWERED,
                                    .first_pause = RESTART_FIRST,
                                    .max_pause = RESTART_MAX,
                                    .buffer = BUFFER};
        int r = supervisor_new(&c->worker, event, &worker, &worker_handlers, c);
        if (r < 0)
                return r;
        supervisor_start(c->worker);
        *ret = steal_ptr(c);
        return 0;
}

void ble_client_set_offline(BleClient *c, bool offline) {
        BleState m = {.offline = offline};

        if (c->offline == offline)
                return;
        c->offline = offline;
        if (supervisor_is_running(c->worker))
                send_message(c, BLE_STATE, &m);
}

BleClient *ble_client_free(BleClient *c) {
        if (!c)
                return NULL;
        if (c->worker && supervisor_is_running(c->worker)) {
                supervisor_stop(c->worker);
                supervisor_hang_up(c->worker);
                if (!supervisor_join(c->worker, clock_now().boot_usec + USEC_PER_SEC))
                        supervisor_kill(c->worker);
        }
        supervisor_free(c->worker);
        free(c);
        return NULL;
}
