/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>

int ctl_connect(Ctl *c) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r;

        if (c->bus)
                return 0;
        if (c->address) {
                r = sd_bus_new(&bus);
                if (r >= 0)
                        r = sd_bus_set_address(bus, c->address);
                if (r >= 0)
                        r = sd_bus_set_bus_client(bus, true);
                if (r >= 0)
                        r = sd_bus_start(bus);
        } else
                r = sd_bus_open_system(&bus);
        if (r < 0)
                return ctl_fail(
                        c, LOCKERCTL_FAILED,
                        "Cannot connect to the %s: %s. Is lockerd running? Try: systemctl status lockerd",
                        c->address ? "bus given by --bus" : "system bus", strerror(-r));
        c->bus = steal_ptr(bus);
        return 0;
}

int ctl_message(Ctl *c, const char *path, const char *interface, const char *member, sd_bus_message **ret) {
        int status = ctl_connect(c);
        if (status)
                return status;
        int r = sd_bus_message_new_method_call(c->bus, ret, LOCKERD_BUS_NAME, path, interface, member);
        return r < 0 ? ctl_fail_bus(c, NULL, r, NULL) : 0;
}

int ctl_send(Ctl *c, sd_bus_message *m, uint64_t timeout, const char *what, sd_bus_message **ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = sd_bus_call(c->bus, m, timeout, &error, ret);
        return r < 0 ? ctl_fail_bus(c, &error, r, what) : 0;
}

int ctl_call(Ctl *c, const char *path, const char *interface, const char *member, const char *what,
             sd_bus_message **ret, const char *types, ...) {
        _cleanup_message_ sd_bus_message *m = NULL;
        int status = ctl_message(c, path, interface, member, &m);
        int r = 0;

        if (status)
                return status;
        if (types && *types) {
                va_list ap;
                va_start(ap, types);
                r = sd_bus_message_appendv(m, types, ap);
                va_end(ap);
        }
        /* text that is not UTF-8 is invalid input, not a fault of the bus */
        if (r == -EINVAL)
                return ctl_fail(c, LOCKERCTL_USAGE, "A value is not valid UTF-8 text.");
        if (r < 0)
                return ctl_fail_bus(c, NULL, r, NULL);
        return ctl_send(c, m, CALL_TIMEOUT_USEC, what, ret);
}

int ctl_bad_reply(const Ctl *c, int r) {
        return ctl_fail(c, LOCKERCTL_FAILED,
                        "lockerd's answer makes no sense to this version of lockerctl (%s).", strerror(-r));
}

int append_string(sd_bus_message *m, const char *key, const char *value) {
        return value ? sd_bus_message_append(m, "{sv}", key, "s", value) : 0;
}

int append_bool(sd_bus_message *m, const char *key, bool value) {
        return sd_bus_message_append(m, "{sv}", key, "b", (int)value);
}

int append_u64(sd_bus_message *m, const char *key, uint64_t value) {
        return sd_bus_message_append(m, "{sv}", key, "t", value);
}
