/* SPDX-License-Identifier: Apache-2.0 */
#include "link/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 16

static int listening(int family, const void *address, socklen_t n) {
        _cleanup_close_ int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int yes = 1;

        if (fd < 0)
                return -errno;
        if (family == AF_INET && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
                return -errno;
        if (bind(fd, address, n) < 0 || listen(fd, BACKLOG) < 0)
                return -errno;
        return steal_fd(&fd);
}

int link_socket_listen(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s.new", path);

        if (n < 0 || (size_t)n >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        /* There is a socket at the path at any time, from the first start on. */
        (void)unlink(address.sun_path);
        _cleanup_close_ int fd = listening(AF_UNIX, &address, sizeof(address));
        if (fd < 0)
                return fd;
        if (chmod(address.sun_path, 0660) < 0 || rename(address.sun_path, path) < 0) {
                int r = -errno;
                (void)unlink(address.sun_path);
                return r;
        }
        return steal_fd(&fd);
}

int link_socket_listen_loopback(unsigned port) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

        return listening(AF_INET, &address, sizeof(address));
}

int link_socket_accept(int fd) {
        int r = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        return r < 0 ? -errno : r;
}

void link_socket_read(LinkConnection *c, uint64_t now) {
        uint8_t bytes[4096];
        ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (n > 0)
                link_connection_came(c, bytes, (size_t)n, now);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
                link_connection_end(c);
}

void link_socket_write(LinkConnection *c, uint64_t now) {
        const void *bytes;
        size_t n = link_connection_pending(c, &bytes);

        if (!n) {
                /* The other side reads the last word before it finds the end: what is closed with bytes
                 * unread is reset, and takes that word back. */
                if (c->phase == LINK_PHASE_LEAVING && !c->shut)
                        (void)shutdown(c->fd, SHUT_WR);
                c->shut = c->phase == LINK_PHASE_LEAVING;
                return;
        }
        ssize_t k = send(c->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (k >= 0)
                link_connection_went(c, (size_t)k, now);
        else if (errno == EAGAIN || errno == EINTR)
                link_connection_went(c, 0, now);
        else
                link_connection_end(c);
}
