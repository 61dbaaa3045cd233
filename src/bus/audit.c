/* SPDX-License-Identifier: Apache-2.0 */
/* VerifyAudit, VerifyAuditSince: reading years of rows takes too long for the event loop, so `lockerd
 * --verify-audit FILE` reads them in a separate process, on a read-only connection, and answers with one line
 * of JSON.
 */
#include "bus/audit.h"
#include "bus/args.h"
#include "bus/bus_struct.h"
#include "bus/peer.h"
#include "bus/reply.h"
#include "base/child.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define ANSWER_MAX   4096
#define PATIENCE     (UINT64_C(600) * USEC_PER_SEC)
#define PATIENCE_ADD (1 * USEC_PER_SEC)

extern char **environ;

/* The exit status of lockerd for a damaged file (EX_DATAERR). */
#define AUDIT_BROKEN 65

struct AuditJob {
        Bus *bus;
        sd_bus_message *message;
        pid_t pid; /* 0: reaped */
        int fd;    /* -1: read to the end */
        sd_event_source *child, *io, *timer;
        char answer[ANSWER_MAX];
        size_t n_answer;
        int status; /* as waitpid gives it; valid once pid is 0 */
};

void audit_job_free(Bus *b) {
        AuditJob *j = steal_ptr(b->audit);

        if (!j)
                return;
        sd_event_source_disable_unref(j->child);
        sd_event_source_disable_unref(j->io);
        sd_event_source_disable_unref(j->timer);
        if (j->pid > 0) {
                (void)kill(j->pid, SIGKILL);
                (void)waitpid(j->pid, NULL, 0);
        }
        if (j->fd >= 0)
                close(j->fd);
        sd_bus_message_unref(j->message);
        free(j);
}

static int answer_send(AuditJob *j) {
        json_t *root = json_loadb(j->answer, j->n_answer, 0, NULL);
        const char *head = "", *detail = "";
        json_int_t rows = 0;
        int ok = 0, r;

        if (!root || json_unpack(root, "{s:b, s:I, s:s, s:s}", "ok", &ok, "rows", &rows, "head", &head,
                                 "detail", &detail) != 0)
                r = -EBADMSG;
        else
                r = sd_bus_reply_method_return(j->message, "btss", ok, (uint64_t)rows, head, detail);
        json_decref(root);
        return r;
}

/* Waits for both, in any order: the whole answer and the end of the process. */
static void finish_if_complete(AuditJob *j) {
        int r;

        if (j->pid > 0 || j->fd >= 0)
                return;
        /* 1: the chain is broken, and the answer says from which row on. */
        if (WIFEXITED(j->status) && (WEXITSTATUS(j->status) == 0 || WEXITSTATUS(j->status) == AUDIT_BROKEN)) {
                r = answer_send(j);
        } else {
                log_error("The process that verifies the audit trail has failed (%s %d).",
                          WIFSIGNALED(j->status) ? "signal" : "status",
                          WIFSIGNALED(j->status) ? WTERMSIG(j->status) : WEXITSTATUS(j->status));
                r = -EIO;
        }
        if (r < 0 && r != -ENOTCONN)
                bus_reply_failure(j->message, r, NULL);
        audit_job_free(j->bus);
}

static int on_child(sd_event_source *source, const siginfo_t *si, void *userdata) {
        AuditJob *j = userdata;

        j->status = si->si_code == CLD_EXITED ? W_EXITCODE(si->si_status, 0) : W_EXITCODE(0, si->si_status);
        j->pid = 0;
        finish_if_complete(j);
        return 0;
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        AuditJob *j = userdata;
        ssize_t n = read(fd, j->answer + j->n_answer, sizeof(j->answer) - j->n_answer);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n > 0) {
                j->n_answer += (size_t)n;
                if (j->n_answer < sizeof(j->answer))
                        return 0;
        }
        /* End of file, an error, or too much data: the parser checks the result. */
        j->io = sd_event_source_disable_unref(j->io);
        close(steal_fd(&j->fd));
        finish_if_complete(j);
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        AuditJob *j = userdata;

        if (j->pid > 0)
                (void)kill(j->pid, SIGKILL); /* on_child answers */
        return 0;
}

/* head NULL: nothing to compare with */
static int job_start(AuditJob *j, const char *head) {
        Bus *b = j->bus;
        const char *const argv[] = {"lockerd",
                                    "--verify-audit",
                                    ledger_path(b->ledger),
                                    "--key",
                                    b->settings->key_path,
                                    head ? "--head" : NULL,
                                    head,
                                    NULL};
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        j->fd = fds[0];
        r = fcntl(j->fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
        if (r >= 0)
                r = child_spawn("/proc/self/exe", argv, fds[1], STDOUT_FILENO, false, &j->pid);
        close(fds[1]);
        if (r >= 0)
                r = sd_event_add_child(b->event, &j->child, j->pid, WEXITED, on_child, j);
        if (r >= 0)
                r = sd_event_add_io(b->event, &j->io, j->fd, EPOLLIN, on_output, j);
        if (r >= 0)
                r = sd_event_add_time_relative(b->event, &j->timer, CLOCK_BOOTTIME, PATIENCE, PATIENCE_ADD,
                                               on_timeout, j);
        return r;
}

static int verify(Bus *b, sd_bus_message *m, const char *head, sd_bus_error *e) {
        int r;

        if (b->audit)
                return bus_failure(e, m, LOCKER_E_BUSY, "The audit trail is already being verified.");
        b->audit = calloc(1, sizeof(*b->audit));
        if (!b->audit)
                return -ENOMEM;
        *b->audit = (AuditJob){.bus = b, .message = sd_bus_message_ref(m), .fd = -1};
        r = job_start(b->audit, head);
        if (r < 0)
                audit_job_free(b);
        return r < 0 ? r : 1;
}

int audit_verify(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        return verify(b, m, NULL, e);
}

int audit_verify_since(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        const char *head;
        int r = sd_bus_message_read(m, "s", &head);

        if (r < 0)
                return r;
        if (!ledger_is_audit_head(head))
                return args_invalid(e,
                                    "\"head\" must be a head as VerifyAudit and AuditHead say it: a sequence "
                                    "number, ':' and 64 hex digits.");
        return verify(b, m, head, e);
}
