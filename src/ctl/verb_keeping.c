/* SPDX-License-Identifier: Apache-2.0 */
/* Maintenance: the audit trail, backups, the configuration. */
#include "ctl/lockerd_program.h"
#include "ctl/table.h"

#include <errno.h>
#include <limits.h>
#include <sys/wait.h>

static int run_audit(Ctl *c, const Args *a) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        const char *head, *detail;
        uint64_t rows;
        int ok;

        if (!streq(a->words[0], "verify"))
                return ctl_usage(c, a, "\"%s\" is not known; there is: audit verify.", a->words[0]);
        const char *kept = a->n_words > 1 ? a->words[1] : NULL;
        int status = ctl_message(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET,
                                 kept ? "VerifyAuditSince" : "VerifyAudit", &m);
        int r = !status && kept ? sd_bus_message_append(m, "s", kept) : 0;
        if (r < 0)
                return ctl_fail_bus(c, NULL, r, NULL);
        if (!status)
                status = ctl_send(c, m, CALL_TIMEOUT_LONG_USEC, NULL, &reply);
        if (status)
                return status;
        r = sd_bus_message_read(reply, "btss", &ok, &rows, &head, &detail);
        if (r < 0)
                return ctl_bad_reply(c, r);
        if (c->json) {
                json_print(c,
                           json_pack("{s:b, s:I, s:s, s:s}", "ok", ok, "rows", (json_int_t)rows, "head", head,
                                     "detail", detail),
                           false);
                return ok ? 0 : LOCKERCTL_AUDIT_BROKEN;
        }
        _cleanup_free_ char *shown = text_printable(detail), *head_shown = text_printable(head);
        if (ok)
                printf("%sThe audit trail is whole%s: %llu rows.\n", style_on(c, STYLE_GREEN),
                       style_off(c, STYLE_GREEN), (unsigned long long)rows);
        else
                printf("%sThe audit trail is broken%s: %s\n", style_on(c, STYLE_RED), style_off(c, STYLE_RED),
                       shown ? shown : "");
        printf("%s %s\n", ok ? "Head:" : "Last row that is right:", head_shown ? head_shown : "");
        if (ok && kept)
                puts("It leads through the head that was given.");
        else if (ok && !c->no_legend)
                puts("Keep the head elsewhere, and compare with \"lockerctl audit verify HEAD\" later: only "
                     "then an older ledger in its place is found, too.");
        return ok ? 0 : LOCKERCTL_AUDIT_BROKEN;
}

const Verb verb_audit = {
        .name = "audit",
        .usage = "verify [HEAD]",
        .summary = "Recompute the hash chain of the audit trail",
        .details =
                "HEAD is one that was shown or logged earlier: the trail must lead through it. Exits with 11 "
                "when the trail is broken, cut off or written anew.",
        .min_words = 1,
        .max_words = 2,
        .run = run_audit,
};

static int run_backup(Ctl *c, const Args *a) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_free_ char *path = NULL;
        char directory[PATH_MAX];
        uint64_t bytes;

        /* The daemon has another working directory: make a relative path absolute. */
        if (a->words[0][0] == '/')
                path = strdup(a->words[0]);
        else if (getcwd(directory, sizeof(directory)) && asprintf(&path, "%s/%s", directory, a->words[0]) < 0)
                path = NULL;
        if (!path)
                return ctl_oom(c);
        int status = ctl_message(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "Backup", &m);
        if (status)
                return status;
        int r = sd_bus_message_append(m, "s", path);
        if (r < 0)
                return ctl_fail_bus(c, NULL, r, NULL);
        status = ctl_send(c, m, CALL_TIMEOUT_LONG_USEC, NULL, &reply);
        if (status)
                return status;
        r = sd_bus_message_read(reply, "t", &bytes);
        if (r < 0)
                return ctl_bad_reply(c, r);
        return ctl_done(
                c, json_pack("{s:s, s:s, s:I}", "done", "backup", "path", path, "bytes", (json_int_t)bytes),
                "The ledger is copied to %s (%llu bytes).", path, (unsigned long long)bytes);
}

const Verb verb_backup = {
        .name = "backup",
        .usage = "PATH",
        .summary = "Copy the ledger while the cabinet is in use",
        .details = "The file is written by lockerd, so PATH must be where lockerd may write, and must not "
                   "exist.",
        .min_words = 1,
        .max_words = 1,
        .run = run_backup,
};

static int wait_for(const Ctl *c, pid_t pid) {
        int state;

        while (waitpid(pid, &state, 0) < 0)
                if (errno != EINTR)
                        return ctl_fail(c, LOCKERCTL_FAILED, "Cannot wait for lockerd: %s.", strerror(errno));
        if (!WIFEXITED(state))
                return ctl_fail(c, LOCKERCTL_FAILED, "lockerd was ended by signal %d.", WTERMSIG(state));
        if (WEXITSTATUS(state) == 127)
                return ctl_fail(c, LOCKERCTL_FAILED, "The program lockerd was not found.");
        return WEXITSTATUS(state);
}

/* Runs it with both outputs caught, for --json. */
static int run_caught(const Ctl *c, char *const argv[]) {
        int fds[2];
        if (pipe(fds) < 0)
                return ctl_fail(c, LOCKERCTL_FAILED, "Cannot make a pipe: %s.", strerror(errno));
        pid_t pid = fork();
        if (pid == 0) {
                dup2(fds[1], STDOUT_FILENO);
                dup2(fds[1], STDERR_FILENO);
                close(fds[0]);
                close(fds[1]);
                execvp(argv[0], argv);
                _exit(127);
        }
        close(fds[1]);
        _cleanup_json_ json_t *messages = json_array();
        FILE *f = fdopen(fds[0], "r");
        _cleanup_free_ char *text = NULL;
        size_t room = 0;
        while (f && getline(&text, &room, f) >= 0) {
                const char *start = text;
                text[strcspn(text, "\n")] = 0;
                /* "<3>…" is a priority in the journal's notation */
                if (start[0] == '<' && start[1] >= '0' && start[1] <= '7' && start[2] == '>')
                        start += 3;
                json_array_append_new(messages, json_string(start));
        }
        if (f)
                fclose(f);
        else
                close(fds[0]);
        int status = pid < 0 ? ctl_fail(c, LOCKERCTL_FAILED, "Cannot start lockerd: %s.", strerror(errno))
                             : wait_for(c, pid);
        json_print(c, json_pack("{s:b, s:O}", "ok", status == 0, "messages", messages), false);
        return status;
}

static int run_lockerd(const Ctl *c, const char *argv[]) {
        if (c->json)
                return run_caught(c, (char *const *)argv);
        execvp(argv[0], (char *const *)argv);
        return ctl_fail(c, LOCKERCTL_FAILED, "Cannot run %s: %s.", argv[0], strerror(errno));
}

static int run_check_config(Ctl *c, const Args *a) {
        char buffer[PATH_MAX];
        const char *argv[4 + LOCKERD_FILES_MAX + 1] = {lockerd_program(buffer), "--check-config"};
        size_t n = 2;

        if (a->n_words && args_has(a, "config"))
                return ctl_usage(c, a, "The file is given twice.");
        if (a->n_words) {
                argv[n++] = "--config";
                argv[n++] = a->words[0];
        }
        (void)lockerd_files(a, argv, n);
        return run_lockerd(c, argv);
}

static const Option check_config_options[] = {
        {"config", 0, "FILE", "Check this instead of the installed lockerd.conf"},
        {"cabinet", 0, "FILE", "Check this instead of the installed cabinet.conf"},
        {NULL, 0, NULL, NULL},
};

const Verb verb_check_config = {
        .name = "check-config",
        .usage = "[FILE] [--cabinet FILE]",
        .summary = "Check the configuration without touching the cabinet",
        .details = "FILE is a lockerd.conf. Runs \"lockerd --check-config\" and exits with its status.",
        .options = check_config_options,
        .max_words = 1,
        .run = run_check_config,
};

static int run_link(Ctl *c, const Args *a) {
        char buffer[PATH_MAX];
        const char *argv[2 + LOCKERD_FILES_MAX + 1] = {lockerd_program(buffer), "--check-link"};

        (void)lockerd_files(a, argv, 2);
        return run_lockerd(c, argv);
}

static const Option link_options[] = {
        {"config", 0, "FILE", "Use this instead of the installed lockerd.conf"},
        {"cabinet", 0, "FILE", "Use this instead of the installed cabinet.conf"},
        {NULL, 0, NULL, NULL},
};

const Verb verb_link = {
        .name = "link",
        .usage = "[--config FILE] [--cabinet FILE]",
        .summary = "Show what is configured of the short-range link, and try it",
        .details =
                "Reads the certificates and revocations of [Link] in lockerd.conf, connects as a handheld "
                "without a "
                "certificate does, looks at the certificate that the cabinet shows and says hello. Runs "
                "\"lockerd --check-link\" and exits with its status; it must be allowed to read the files.",
        .options = link_options,
        .run = run_link,
};
