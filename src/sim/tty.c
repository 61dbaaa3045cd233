/* SPDX-License-Identifier: Apache-2.0 */
/* <asm/termbits.h> instead of <termios.h>: speeds without a B… name are available only in termios2. */
#include "sim/tty.h"
#include "base/macros.h"
#include "base/text.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define PTS "/dev/pts/"

static int set_raw(int fd, unsigned baud) {
        struct termios2 t;

        if (ioctl(fd, TCGETS2, &t) < 0)
                return -errno;
        t.c_iflag = IGNBRK | IGNPAR;
        t.c_oflag = 0;
        t.c_lflag = 0;
        t.c_cflag = CS8 | CREAD | CLOCAL | BOTHER | BOTHER << IBSHIFT;
        t.c_ispeed = t.c_ospeed = baud;
        t.c_cc[VMIN] = 1;
        t.c_cc[VTIME] = 0;
        return ioctl(fd, TCSETS2, &t) < 0 ? -errno : 0;
}

int pty_open(unsigned baud, char **ret_path) {
        _cleanup_close_ int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), slave = -1;
        char path[64];
        int r;

        if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0)
                return -errno;
        if (ptsname_r(fd, path, sizeof(path)) != 0)
                return -errno;
        /* Opened once and closed again, so that the master's end reports that no program has it open.
         */
        slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0)
                return -errno;
        r = set_raw(slave, baud);
        if (r < 0)
                return r;
        *ret_path = strdup(path);
        return *ret_path ? steal_fd(&fd) : -ENOMEM;
}

bool pty_in_use(int fd) {
        struct pollfd p = {.fd = fd};

        return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

unsigned pty_speed(int fd) {
        struct termios2 t;

        return ioctl(fd, TCGETS2, &t) < 0 ? 0 : t.c_ospeed;
}

void pty_flush(const char *path) {
        _cleanup_close_ int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        if (fd >= 0)
                (void)ioctl(fd, TCFLSH, TCIOFLUSH);
}

int pty_link(const char *target, const char *link) {
        char old[256];
        ssize_t n = readlink(link, old, sizeof(old) - 1);

        if (n >= 0) {
                old[n] = 0;
                if (strncmp(old, PTS, strlen(PTS)) != 0)
                        return -EEXIST;
                if (unlink(link) < 0)
                        return -errno;
        }
        return symlink(target, link) < 0 ? -errno : 0;
}
