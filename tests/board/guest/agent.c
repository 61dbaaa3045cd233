/* SPDX-License-Identifier: Apache-2.0 */
/* Runs commands in the guest of the virtual board for the test outside. Frames on the port "board.agent",
 * little endian: id, type, length (32 bits each), bytes. To here: 'R' run with /bin/sh -c, 'I' input, 'E' end
 * of input, 'K' a signal's number. From here: 'H' hello with the boot id, 'O' output, 'X' errors, 'S' wait
 * status as text. */

#include "port.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { COMMANDS = 32, CHUNK = 16384 };

typedef struct Frame {
        uint32_t id, type, length;
} Frame;

typedef struct Command {
        uint32_t id;
        pid_t pid; /* 0: free; -1: ended, output not yet read to its end */
        int in, out, err;
        int status;
} Command;

static Command commands[COMMANDS];
static int port;
static uint8_t inbox[1 << 20];
static size_t filled;

static void send_all(const void *data, size_t size) {
        const uint8_t *p = data;

        while (size > 0) {
                ssize_t n = write(port, p, size);
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        exit(1);
                if (n < 0) {
                        poll(&(struct pollfd){.fd = port, .events = POLLOUT}, 1, 100);
                        continue;
                }
                p += n;
                size -= (size_t)n;
        }
}

static void send_frame(uint32_t id, uint32_t type, const void *data, size_t size) {
        Frame f = {id, type, (uint32_t)size};

        send_all(&f, sizeof(f));
        send_all(data, size);
}

static void close_fd(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static void refuse(uint32_t id, const char *why) {
        send_frame(id, 'X', why, strlen(why));
        send_frame(id, 'S', "32512", 5);
}

static void run(uint32_t id, const char *line) {
        Command *c = commands;
        int in[2], out[2], err[2];

        while (c < commands + COMMANDS && c->pid)
                c++;
        if (c == commands + COMMANDS || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
            pipe2(err, O_CLOEXEC) < 0) {
                refuse(id, "agent: no room for another command\n");
                return;
        }
        pid_t pid = fork();
        if (pid == 0) {
                setsid();
                dup2(in[0], 0);
                dup2(out[1], 1);
                dup2(err[1], 2);
                setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
                setenv("HOME", "/root", 1);
                setenv("LC_ALL", "C.UTF-8", 1);
                setenv("DEBIAN_FRONTEND", "noninteractive", 1);
                execl("/bin/sh", "sh", "-c", line, NULL);
                _exit(127);
        }
        close(in[0]);
        close(out[1]);
        close(err[1]);
        *c = (Command){.id = id, .pid = pid, .in = in[1], .out = out[0], .err = err[0]};
        if (pid < 0) {
                close_fd(&c->in);
                close_fd(&c->out);
                close_fd(&c->err);
                c->pid = 0;
                refuse(id, "agent: fork failed\n");
        }
}

static void obey(const Frame *f, uint8_t *data) {
        if (f->type == 'R') {
                run(f->id, (const char *)data);
                return;
        }
        for (Command *c = commands; c < commands + COMMANDS; c++) {
                if (!c->pid || c->id != f->id)
                        continue;
                if (f->type == 'I' && c->in >= 0 && write(c->in, data, f->length) < 0)
                        close_fd(&c->in);
                if (f->type == 'E')
                        close_fd(&c->in);
                if (f->type == 'K' && c->pid > 0)
                        kill(-c->pid, atoi((const char *)data));
        }
}

static void read_port(void) {
        ssize_t n = read(port, inbox + filled, sizeof(inbox) - 1 - filled);

        if (n > 0)
                filled += (size_t)n;
        for (;;) {
                Frame f;
                if (filled < sizeof(f))
                        return;
                memcpy(&f, inbox, sizeof(f));
                if (f.length > sizeof(inbox) - 64)
                        exit(1);
                if (filled < sizeof(f) + f.length)
                        return;
                uint8_t *data = inbox + sizeof(f), saved = data[f.length];
                data[f.length] = 0;
                obey(&f, data);
                data[f.length] = saved;
                filled -= sizeof(f) + f.length;
                memmove(inbox, data + f.length, filled);
        }
}

static void forward(Command *c, int *fd, uint32_t type) {
        uint8_t buffer[CHUNK];
        ssize_t n = read(*fd, buffer, sizeof(buffer));

        if (n > 0)
                send_frame(c->id, type, buffer, (size_t)n);
        else if (n == 0)
                close_fd(fd);
}

/* A command is over when its process is; what its children still hold open is not waited for. */
static void reap(Command *c) {
        if (c->pid <= 0 || waitpid(c->pid, &c->status, WNOHANG) != c->pid)
                return;
        for (int i = 0; i < 2; i++) {
                int *fd = i ? &c->err : &c->out;
                while (*fd >= 0 && poll(&(struct pollfd){.fd = *fd, .events = POLLIN}, 1, 0) > 0)
                        forward(c, fd, i ? 'X' : 'O');
                close_fd(fd);
        }
        close_fd(&c->in);
        char text[16];
        send_frame(c->id, 'S', text, (size_t)snprintf(text, sizeof(text), "%d", c->status));
        c->pid = 0;
}

static void child_ended(int number) {
        (void)number; /* it only ends poll() */
}

int main(void) {
        char boot[64] = "";
        FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

        signal(SIGPIPE, SIG_IGN);
        sigaction(SIGCHLD, &(struct sigaction){.sa_handler = child_ended, .sa_flags = SA_NOCLDSTOP}, NULL);
        if (f && fgets(boot, sizeof(boot), f))
                fclose(f);
        port = port_open("board.agent");
        if (port < 0)
                return 1;
        send_frame(0, 'H', boot, strcspn(boot, "\n"));
        for (;;) {
                struct pollfd fds[1 + 2 * COMMANDS] = {{.fd = port, .events = POLLIN}};
                for (int i = 0; i < COMMANDS; i++) {
                        fds[1 + 2 * i] = (struct pollfd){.fd = commands[i].pid ? commands[i].out : -1,
                                                         .events = POLLIN};
                        fds[2 + 2 * i] = (struct pollfd){.fd = commands[i].pid ? commands[i].err : -1,
                                                         .events = POLLIN};
                }
                poll(fds, 1 + 2 * COMMANDS, 200);
                if (fds[0].revents & POLLIN)
                        read_port();
                else if (fds[0].revents & POLLHUP)
                        usleep(20000);
                for (int i = 0; i < COMMANDS; i++) {
                        if (fds[1 + 2 * i].revents && commands[i].out >= 0)
                                forward(&commands[i], &commands[i].out, 'O');
                        if (fds[2 + 2 * i].revents && commands[i].err >= 0)
                                forward(&commands[i], &commands[i].err, 'X');
                        reap(&commands[i]);
                }
        }
}
