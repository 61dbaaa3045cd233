/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-open: opens one serial device, again and again, for the one who reads it. It may open devices and
 * never looks at what comes from them; lockerd-line looks and may not. Opening can hang (a USB adapter that
 * does not answer), so the daemon does not do it either. */
#include "base/log.h"
#include "base/passing.h"
#include "base/worker.h"
#include "base/opener_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

static int receive(char *buffer, size_t size) {
        ssize_t n;

        do
                n = recv(OPENER_FD, buffer, size, MSG_TRUNC);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : (int)n;
}

static int answer(int device, int error) {
        OpenerAnswer a = {.error = error};
        struct iovec part = {.iov_base = &a, .iov_len = sizeof(a)};
        Passing passing = {0};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

        if (!error)
                passing_put(&passing, &m, device);
        return sendmsg(OPENER_FD, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int open_device(const char *path) {
        struct termios t;
        int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (tcgetattr(fd, &t) == 0)
                return fd;
        int r = -errno;
        close(fd);
        return r;
}

int main(int argc, char *argv[]) {
        char path[OPENER_PATH_MAX + 1] = "", byte;
        int r;

        worker_begin(argc, argv);
        /* The end comes as end of file, when lockerd-line has switched off: not with a signal to all. */
        (void)signal(SIGTERM, SIG_IGN);
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGHUP, SIG_IGN);
        r = receive(path, OPENER_PATH_MAX);
        if (r == 0)
                return EXIT_SUCCESS;
        if (r < 0 || r > OPENER_PATH_MAX || path[0] != '/') {
                log_error("The message that names the device is not understood");
                return EXIT_FAILURE;
        }
        while (receive(&byte, sizeof(byte)) > 0) {
                int device = open_device(path);
                r = answer(device, device < 0 ? -device : 0);
                if (device >= 0)
                        close(device);
                if (r < 0)
                        break;
        }
        return EXIT_SUCCESS;
}
