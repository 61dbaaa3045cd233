/* SPDX-License-Identifier: Apache-2.0 */
/* What hangs on the GPIO lines of the virtual board: locks, doors, their contacts, lamps, an alarm contact,
 * and hands. The lines are the kernel's: a lock's line is read from the simulator, a contact is the
 * simulator's pull. The port "board.world" carries a command a line in (state, close N, open N, jam N, unjam
 * N, alarm on|off, release on|off), and one JSON object a line out: answers and what happens. Doors that
 * stand open at power-on come with the kernel's command line: board.open=1,4 */

#include "port.h"

#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A latch lets go after its coil has been on for RELEASE; the spring has opened the door SPRING later. */
enum {
        DOORS = 6,
        LOCK = 0,
        LAMP = 8,
        DOOR = 16,
        ALARM = 24,
        BUTTON = 25,
        TICK_US = 10000,
        RELEASE_US = 15000,
        SPRING_US = 40000
};

typedef struct Door {
        int lock_fd, lamp_fd;
        bool coil, lamp, open, released, jammed;
        uint64_t coil_since, released_at;
        unsigned pulses, openings;
} Door;

static Door doors[DOORS];
static bool alarm_on, button_on;
static int port;
static char base[256];

static void say(const char *format, ...) {
        char line[512];
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(line, sizeof(line) - 1, format, arguments);
        va_end(arguments);
        line[n++] = '\n';
        for (int sent = 0; sent < n;) {
                ssize_t done = write(port, line + sent, (size_t)(n - sent));
                if (done > 0)
                        sent += (int)done;
                else
                        poll(&(struct pollfd){.fd = port, .events = POLLOUT}, 1, 50);
        }
}

static bool read_word(const char *path, char *ret, size_t size) {
        FILE *f = fopen(path, "re");
        bool ok = f && fgets(ret, (int)size, f);

        if (f)
                fclose(f);
        if (ok)
                ret[strcspn(ret, "\n")] = 0;
        return ok;
}

static void pull(int line, bool up) {
        char path[320];

        snprintf(path, sizeof(path), "%s/sim_gpio%d/pull", base, line);
        FILE *f = fopen(path, "we");
        if (!f)
                return;
        fputs(up ? "pull-up" : "pull-down", f);
        fclose(f);
}

static int value_fd(int line) {
        char path[320];

        snprintf(path, sizeof(path), "%s/sim_gpio%d/value", base, line);
        return open(path, O_RDONLY | O_CLOEXEC);
}

static bool value(int fd) {
        char c = '0';

        return pread(fd, &c, 1, 0) == 1 && c == '1';
}

/* The contact is closed, and pulls its line up, while the door is shut. */
static void set_door(int n, bool open) {
        doors[n].open = open;
        doors[n].openings += open;
        pull(DOOR + n, !open);
        say("{\"event\":\"door\",\"door\":%d,\"open\":%s,\"us\":%llu}", n + 1, open ? "true" : "false",
            (unsigned long long)boot_us());
}

static void tick_door(int n, uint64_t now, bool lamps) {
        Door *d = &doors[n];
        bool coil = value(d->lock_fd);

        if (coil != d->coil) {
                d->coil = coil;
                d->coil_since = now;
                d->pulses += coil;
                say("{\"event\":\"coil\",\"door\":%d,\"on\":%s,\"us\":%llu}", n + 1, coil ? "true" : "false",
                    (unsigned long long)now);
        }
        if (coil && !d->open && !d->released && !d->jammed && now - d->coil_since >= RELEASE_US) {
                d->released = true;
                d->released_at = now;
        }
        if (d->released && now - d->released_at >= SPRING_US) {
                d->released = false;
                set_door(n, true);
        }
        if (!lamps)
                return;
        bool lamp = value(d->lamp_fd);
        if (lamp != d->lamp)
                say("{\"event\":\"lamp\",\"door\":%d,\"on\":%s,\"us\":%llu}", n + 1, lamp ? "true" : "false",
                    (unsigned long long)now);
        d->lamp = lamp;
}

static void state(void) {
        char line[480];
        size_t at = (size_t)snprintf(line, sizeof(line), "{\"ok\":true,\"alarm\":%s,\"doors\":[",
                                     alarm_on ? "true" : "false");

        for (int n = 0; n < DOORS; n++) {
                Door *d = &doors[n];
                at += (size_t)snprintf(line + at, sizeof(line) - at, "%s[%d,%d,%d,%u,%u]", n ? "," : "",
                                       d->open, d->coil, d->lamp, d->pulses, d->openings);
        }
        snprintf(line + at, sizeof(line) - at, "]}");
        say("%s", line);
}

static const char *hands(const char *verb, int n) {
        Door *d = &doors[n];

        if (strcmp(verb, "close") == 0) {
                if (!d->open)
                        return "is shut";
                if (d->coil)
                        return "the coil is on: it springs open again";
                set_door(n, false);
        } else if (strcmp(verb, "open") == 0) {
                if (d->open)
                        return "is open";
                set_door(n, true);
        } else if (strcmp(verb, "jam") == 0 || strcmp(verb, "unjam") == 0)
                d->jammed = verb[0] == 'j';
        else
                return "no such command";
        return NULL;
}

static void obey(char *line) {
        char verb[16] = "", what[16] = "";

        if (sscanf(line, "%15s %15s", verb, what) < 1)
                return;
        bool on = strcmp(what, "on") == 0;
        int n = atoi(what);
        const char *error = NULL;
        if (strcmp(verb, "state") == 0) {
                state();
                return;
        }
        if (strcmp(verb, "alarm") == 0)
                pull(ALARM, alarm_on = on);
        else if (strcmp(verb, "release") == 0)
                pull(BUTTON, button_on = on);
        else if (n >= 1 && n <= DOORS)
                error = hands(verb, n - 1);
        else
                error = "no such door";
        if (error)
                say("{\"ok\":false,\"error\":\"%s: %s\"}", line, error);
        else
                say("{\"ok\":true}");
}

static void listen_to_hands(void) {
        static char text[1024];
        static size_t filled;
        ssize_t n = read(port, text + filled, sizeof(text) - 1 - filled);

        if (n <= 0)
                return;
        filled += (size_t)n;
        text[filled] = 0;
        for (char *end; (end = strchr(text, '\n'));) {
                *end = 0;
                obey(text);
                filled -= (size_t)(end + 1 - text);
                memmove(text, end + 1, filled + 1);
        }
}

static bool open_lines(void) {
        char device[64], chip[64], cmdline[1024] = "";
        const char *configuration = "/sys/kernel/config/gpio-sim/locker";
        char path[128];

        snprintf(path, sizeof(path), "%s/dev_name", configuration);
        if (!read_word(path, device, sizeof(device)))
                return false;
        snprintf(path, sizeof(path), "%s/bank0/chip_name", configuration);
        if (!read_word(path, chip, sizeof(chip)))
                return false;
        snprintf(base, sizeof(base), "/sys/devices/platform/%s/%s", device, chip);
        for (int n = 0; n < DOORS; n++) {
                doors[n].lock_fd = value_fd(LOCK + n);
                doors[n].lamp_fd = value_fd(LAMP + n);
                if (doors[n].lock_fd < 0 || doors[n].lamp_fd < 0)
                        return false;
                pull(DOOR + n, true);
        }
        read_word("/proc/cmdline", cmdline, sizeof(cmdline));
        char *open = strstr(cmdline, "board.open=");
        for (char *p = open ? open + strlen("board.open=") : NULL; p && *p >= '1' && *p <= '0' + DOORS;
             p += p[1] == ',' ? 2 : 1) {
                doors[*p - '1'].open = true;
                pull(DOOR + (*p - '1'), false);
        }
        return true;
}

/* READY=1 to systemd: the doors are as they should be before anybody looks. */
static void notify(void) {
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (!path || fd < 0 || strlen(path) >= sizeof(address.sun_path))
                return;
        strcpy(address.sun_path, path);
        if (address.sun_path[0] == '@')
                address.sun_path[0] = 0;
        sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
        close(fd);
}

int main(void) {
        port = port_open("board.world");
        if (port < 0 || !open_lines()) {
                fprintf(stderr, "The simulated lines or the port are missing.\n");
                return 1;
        }
        notify();
        for (unsigned ticks = 0;; ticks++) {
                uint64_t now = boot_us();
                for (int n = 0; n < DOORS; n++)
                        tick_door(n, now, ticks % 8 == 0);
                listen_to_hands();
                usleep(TICK_US);
        }
}
