/* SPDX-License-Identifier: Apache-2.0 */
/* restore: the one verb that works on the ledger itself, without the daemon: it runs "lockerd --restore". */
#include "ctl/ctl.h"
#include "ctl/lockerd_program.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 16

/* Its standard output, as JSON; what it says on standard error goes to the user. */
static int run_lockerd(const Ctl *c, const char *const argv[], json_t **ret, int *ret_status) {
        int fds[2], state;

        if (pipe(fds) < 0)
                return ctl_fail(c, LOCKERCTL_FAILED, "Cannot make a pipe: %s.", strerror(errno));
        pid_t pid = fork();
        if (pid == 0) {
                dup2(fds[1], STDOUT_FILENO);
                close(fds[0]);
                close(fds[1]);
                execvp(argv[0], (char *const *)(uintptr_t)argv);
                _exit(127);
        }
        close(fds[1]);
        FILE *f = fdopen(fds[0], "r");
        *ret = f ? json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
        if (f)
                fclose(f);
        else
                close(fds[0]);
        if (pid < 0)
                return ctl_fail(c, LOCKERCTL_FAILED, "Cannot start lockerd: %s.", strerror(errno));
        while (waitpid(pid, &state, 0) < 0)
                if (errno != EINTR)
                        return ctl_fail(c, LOCKERCTL_FAILED, "Cannot wait for lockerd: %s.", strerror(errno));
        *ret_status = WIFEXITED(state) ? WEXITSTATUS(state) : 128;
        if (*ret_status == 127)
                return ctl_fail(c, LOCKERCTL_FAILED, "The program lockerd was not found.");
        return 0;
}

static int tell(const Ctl *c, const json_t *answer) {
        _cleanup_free_ char *aside = text_printable(json_text(answer, "aside"));
        uint64_t doubted = json_number(answer, "doubted"), lost = json_number(answer, "lost");

        printf("The ledger is restored up to event %llu, and begins epoch %s.\n",
               (unsigned long long)json_number(answer, "last_event"), json_text(answer, "epoch"));
        if (lost)
                printf("%llu later events of the former ledger are not in it.\n", (unsigned long long)lost);
        if (aside && *aside)
                printf("The former ledger is kept as %s.\n", aside);
        if (doubted)
                printf("%llu parcels are unverified: nobody opens them until an operator has looked.\n",
                       (unsigned long long)doubted);
        puts("Now: systemctl start lockerd; lockerctl parcels; for each compartment lockerctl open, look, "
             "then "
             "lockerctl reconcile.");
        return 0;
}

static int run_restore(Ctl *c, const Args *a) {
        _cleanup_free_ char *reason = NULL;
        _cleanup_json_ json_t *answer = NULL;
        char buffer[PATH_MAX];
        const char *argv[ARGUMENTS_MAX] = {lockerd_program(buffer), "--restore", a->words[0]};
        size_t n = 3;
        int lockerd = 0;

        int status = args_reason(c, a, &reason);
        if (status)
                return status;
        argv[n++] = "--reason";
        argv[n++] = reason;
        n = lockerd_files(a, argv, n);
        if (args_has(a, "nothing-since"))
                argv[n++] = "--nothing-since";
        if (args_has(a, "renumber"))
                argv[n++] = "--renumber";
        if (!ask_confirm(c, args_has(a, "nothing-since")
                                    ? "Put this backup in the place of the ledger?"
                                    : "Put this backup in the place of the ledger? What was put in or taken "
                                      "out since "
                                      "is not in it, so all its parcels will be unverified and all positions "
                                      "quarantined until somebody has looked."))
                return ctl_fail(c, LOCKERCTL_FAILED, "Given up; nothing was changed.");
        status = run_lockerd(c, argv, &answer, &lockerd);
        if (status)
                return status;
        if (lockerd || !json_flag(answer, "ok")) {
                _cleanup_free_ char *detail = text_printable(json_text(answer, "detail")),
                                    *problem = text_printable(json_text(answer, "problem"));
                return ctl_fail(c, lockerd ? lockerd : LOCKERCTL_FAILED, "Nothing was changed: %s%s%s",
                                detail && *detail ? detail : "lockerd has said why above.",
                                problem && *problem ? ". " : "", problem ? problem : "");
        }
        if (c->json)
                return json_print(c, json_incref(answer), false);
        return tell(c, answer);
}

static const Option restore_options[] = {
        {"reason", 0, "TEXT", "Why; goes into the audit trail"},
        {"nothing-since", 0, NULL, "Nothing was put in or taken out since the backup"},
        {"renumber", 0, NULL, "The backup may have another cabinet number"},
        {"config", 0, "FILE", "Use this instead of the installed lockerd.conf"},
        {"cabinet", 0, "FILE", "Use this instead of the installed cabinet.conf"},
        {NULL, 0, NULL, NULL},
};

const Verb verb_restore = {
        .name = "restore",
        .usage = "FILE [--nothing-since] [--renumber] --reason TEXT",
        .summary = "Put a backup in the place of the ledger, while lockerd is stopped",
        .details = "Everything is checked before anything is changed, and the former ledger is kept. A new "
                   "epoch "
                   "begins: see RESTORING A BACKUP in lockerd(8).",
        .options = restore_options,
        .min_words = 1,
        .max_words = 1,
        .run = run_restore,
};
