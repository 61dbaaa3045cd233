/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded by a test: moves the calendar (CLOCK_REALTIME) by as many seconds as the file $CLOCKSHIM says,
 * now, and leaves every other clock alone. libfaketime cannot: it moves absolute timers of CLOCK_BOOTTIME
 * too, to before the machine's start. A second word in that file says whether the calendar is synchronised
 * ("yes", "no"), a third one which boot this is (32 hexadecimal digits). With $CLOCKSHIM_SYNCED the clock is
 * a synchronised one, whatever the machine's is. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

typedef struct Shown {
        long seconds;
        char synced[8], boot[40];
} Shown;

static Shown shown(void) {
        const char *path = getenv("CLOCKSHIM");
        FILE *f = path ? fopen(path, "re") : NULL;
        Shown s = {0};

        if (f) {
                if (fscanf(f, "%ld %7s %32s", &s.seconds, s.synced, s.boot) < 1)
                        s = (Shown){0};
                fclose(f);
        }
        return s;
}

int clock_gettime(clockid_t clock, struct timespec *ret) {
        long r = syscall(SYS_clock_gettime, clock, ret);

        if (r == 0 && clock == CLOCK_REALTIME)
                ret->tv_sec += shown().seconds;
        return (int)r;
}

int adjtimex(struct timex *ret) {
        int r = (int)syscall(SYS_adjtimex, ret);
        Shown s = shown();

        if (getenv("CLOCKSHIM_SYNCED") || !strcmp(s.synced, "yes")) {
                ret->status &= ~STA_UNSYNC;
                return TIME_OK;
        }
        if (!strcmp(s.synced, "no"))
                ret->status |= STA_UNSYNC;
        return r;
}

/* Only the boot id is another one. */
static int open_boot_id(const char *boot) {
        int fd = memfd_create("boot-id", MFD_CLOEXEC);

        if (fd >= 0)
                dprintf(fd, "%.8s-%.4s-%.4s-%.4s-%.12s\n", boot, boot + 8, boot + 12, boot + 16, boot + 20);
        if (fd >= 0)
                lseek(fd, 0, SEEK_SET);
        return fd;
}

static int open_shown(const char *path, int flags, mode_t mode) {
        if (!strcmp(path, BOOT_ID)) {
                Shown s = shown();
                if (strlen(s.boot) == 32)
                        return open_boot_id(s.boot);
        }
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name)                                                                    \
        int name(const char *path, int flags, ...) {                                  \
                va_list ap;                                                           \
                va_start(ap, flags);                                                  \
                mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0; \
                va_end(ap);                                                           \
                return open_shown(path, flags, mode);                                 \
        }
OPEN(open)
OPEN(open64)
