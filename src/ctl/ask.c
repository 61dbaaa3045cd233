/* SPDX-License-Identifier: Apache-2.0 */
/* Prompts at the terminal. Secrets are read from the terminal itself and without echo, so that
 * redirected input is never taken for one by accident; scripts use --stdin or --secret-file. */
#include "ctl/ctl.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>

int read_line(int fd, char **ret) {
        char line[1024];
        size_t n = 0;

        for (;;) {
                char byte;
                ssize_t k = read(fd, &byte, 1); /* byte by byte: the next line belongs to another reader */
                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0 && n == 0)
                        return 0;
                if (k == 0 || byte == '\n')
                        break;
                if (n == sizeof(line) - 1)
                        return -E2BIG;
                line[n++] = byte;
        }
        if (n && line[n - 1] == '\r')
                n--;
        line[n] = 0;
        *ret = strdup(line);
        explicit_bzero(line, sizeof(line));
        return *ret ? 1 : -ENOMEM;
}

int ask_line(const char *question, char **ret) {
        if (!isatty(STDIN_FILENO))
                return -ENOTTY;
        fflush(stdout);
        fputs(question, stderr);
        int r = read_line(STDIN_FILENO, ret);
        return r == 0 ? -ENODATA : r < 0 ? r : 0;
}

bool ask_confirm(const Ctl *c, const char *question) {
        _cleanup_free_ char *answer = NULL;

        if (c->yes || c->json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
                return true;
        fprintf(stderr, "%s [y/N] ", question);
        return read_line(STDIN_FILENO, &answer) > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

int secrets_open(Ctl *c, const Args *a, Secrets *ret) {
        const char *path = args_get(a, "secret-file");

        *ret = (Secrets){.fd = -1};
        if (path && args_has(a, "stdin"))
                return ctl_usage(c, a, "--stdin and --secret-file exclude each other.");
        if (args_has(a, "stdin"))
                ret->fd = STDIN_FILENO;
        if (path) {
                ret->fd = open(path, O_RDONLY | O_CLOEXEC);
                if (ret->fd < 0)
                        return ctl_fail(c, LOCKERCTL_USAGE, "Cannot open %s: %s.", path, strerror(errno));
                ret->close_fd = true;
        }
        return 0;
}

void secrets_close(Secrets *s) {
        if (s->close_fd)
                close(s->fd);
        *s = (Secrets){.fd = -1};
}

/* A line from the terminal while it does not echo. An interrupt restores the echo first. */
static int read_hidden(int tty, char **ret) {
        struct termios before, hidden;
        sigset_t signals, old;

        if (tcgetattr(tty, &before) < 0)
                return -errno;
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGQUIT);
        sigprocmask(SIG_BLOCK, &signals, &old);
        _cleanup_close_ int sfd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        hidden = before;
        hidden.c_lflag &= (tcflag_t)~ECHO;
        hidden.c_lflag |= ECHONL;
        int r = sfd < 0 || tcsetattr(tty, TCSAFLUSH, &hidden) < 0 ? -errno : 0;
        if (!r) {
                struct pollfd fds[] = {{.fd = tty, .events = POLLIN}, {.fd = sfd, .events = POLLIN}};
                /* in canonical mode a readable terminal has a whole line */
                while ((r = poll(fds, 2, -1)) < 0 && errno == EINTR)
                        ;
                r = r < 0 ? -errno : fds[1].revents ? -EINTR : read_line(tty, ret);
                (void)tcsetattr(tty, TCSAFLUSH, &before);
        }
        struct signalfd_siginfo caught;
        if (r == -EINTR && read(sfd, &caught, sizeof(caught)) == sizeof(caught))
                (void)kill(getpid(), (int)caught.ssi_signo); /* pending until unblocked below */
        sigprocmask(SIG_SETMASK, &old, NULL);
        return r;
}

static int ask_terminal(Ctl *c, int tty, const char *question, char **ret) {
        fflush(stdout);
        dprintf(tty, "%s: ", question);
        int r = read_hidden(tty, ret);
        if (r == 0 || r == -EINTR)
                return ctl_fail(c, LOCKERCTL_FAILED, "Given up.");
        return r < 0 ? ctl_fail(c, LOCKERCTL_FAILED, "Cannot read from the terminal: %s.", strerror(-r)) : 0;
}

int secrets_ask(Ctl *c, Secrets *s, const char *question, bool twice, char **ret) {
        _cleanup_erase_ char *first = NULL, *second = NULL;
        int status = 0;

        if (s->fd >= 0) {
                int r = read_line(s->fd, &first);
                if (r == 0)
                        return ctl_fail(c, LOCKERCTL_USAGE, "The input has no line for: %s.", question);
                if (r < 0)
                        return ctl_fail(c, LOCKERCTL_FAILED, "Cannot read: %s.", strerror(-r));
        } else {
                _cleanup_close_ int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
                if (tty < 0)
                        return ctl_fail(c, LOCKERCTL_USAGE,
                                        "There is no terminal to ask for: %s. Use --stdin or --secret-file.",
                                        question);
                status = ask_terminal(c, tty, question, &first);
                if (!status && twice)
                        status = ask_terminal(c, tty, "The same again", &second);
                if (!status && twice && !streq(first, second))
                        status = ctl_fail(c, LOCKERCTL_USAGE, "The two are not the same.");
        }
        if (!status && !first[0])
                status = ctl_fail(c, LOCKERCTL_USAGE, "Nothing was entered.");
        if (!status)
                *ret = steal_ptr(first);
        return status;
}
