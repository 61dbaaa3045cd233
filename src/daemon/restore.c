/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd --restore: for lockerctl restore, which asks and explains. */
#include "ledger/restore.h"
#include "base/text.h"
#include "daemon/daemon.h"
#include "daemon/tools.h"

#include <errno.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

/* Who has become root to do it, when sudo says so; the audit trail names them. */
static char *actor(void) {
        const char *name = geteuid() == 0 ? getenv("SUDO_USER") : NULL;
        const struct passwd *account = name && *name ? getpwnam(name) : getpwuid(getuid());

        return account ? text_printf("operator:%s", account->pw_name)
                       : text_printf("operator:%lu", (unsigned long)getuid());
}

static RestorePlace *places(const Cabinet *c) {
        RestorePlace *all = calloc((size_t)c->n_positions + 1, sizeof(*all));

        for (int i = 0; all && i < c->n_positions; i++)
                all[i] = (RestorePlace){c->slots[c->positions[i].slot].label, c->positions[i].number};
        return all;
}

static int say(const Restore *r, int result) {
        json_t *o = result < 0 ? json_pack("{s:b, s:s, s:s}", "ok", 0, "detail", r->detail ? r->detail : "",
                                           "problem",
                                           r->problem == LEDGER_PROBLEM_NONE
                                                   ? ""
                                                   : ledger_problem_sentence(r->problem))
                               : json_pack("{s:b, s:s, s:s?, s:I, s:I, s:I}", "ok", 1, "epoch", r->epoch,
                                           "aside", r->aside, "last_event", (json_int_t)r->last, "lost",
                                           (json_int_t)r->lost, "doubted", (json_int_t)r->doubted);
        char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

        json_decref(o);
        if (!text)
                return EXIT_FAILURE;
        puts(text);
        free(text);
        return result >= 0                                                            ? EXIT_SUCCESS
               : result == -EBUSY || result == -ENOSPC                                ? EXIT_IO
               : r->problem == LEDGER_PROBLEM_NONE || r->problem == LEDGER_PROBLEM_IO ? EXIT_FAILURE
                                                                                      : EXIT_BAD_LEDGER;
}

int tool_restore(const Settings *settings, const Cabinet *cabinet, const RestoreOptions *o) {
        _cleanup_(restore_donep) Restore r = {.ledger = settings->ledger_path,
                                              .backup = o->file,
                                              .cabinet = cabinet->number,
                                              .reason = o->reason,
                                              .nothing_since = o->nothing_since,
                                              .renumber = o->renumber};
        _cleanup_free_ RestorePlace *all = places(cabinet);
        _cleanup_free_ char *who = actor();
        Vault *vault = NULL;

        if (!all || !who)
                return EXIT_FAILURE;
        r.actor = who;
        r.places = all;
        r.n_places = (size_t)cabinet->n_positions;
        int e = vault_load(&vault, settings->key_path, false);
        if (e < 0) {
                r.problem = LEDGER_PROBLEM_WRONG_KEY;
                r.detail = text_printf("the cabinet's key (%s) cannot be loaded: %s", settings->key_path,
                                       e == -ENOKEY ? "there is none" : strerror(-e));
                return say(&r, e);
        }
        Now now = clock_now();
        return say(&r, ledger_restore(&r, vault, &now));
}
