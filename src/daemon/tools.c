/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tools.h"
#include "base/text.h"
#include "build-config.h"
#include "daemon/daemon.h"
#include "handheld/handheld.h"
#include "ledger/audit.h"
#include "ledger/ledger.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

/* -EUCLEAN is a verdict on the file. Any other error means that it could not be read. */
static int print(json_t *object, int r) {
        _cleanup_free_ char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

        json_decref(object);
        if (!text)
                return EXIT_FAILURE;
        puts(text);
        return r == -EUCLEAN ? EXIT_BAD_LEDGER : r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Where the workers come from units, the program itself is where it was installed. */
static char *link_program(const Settings *settings) {
        char *program = text_printf("%s/lockerd-link", settings->worker_directory);
        struct stat st;

        if (!program || (stat(program, &st) >= 0 && S_ISREG(st.st_mode)))
                return program;
        free(program);
        return text_printf("%s/lockerd-link", LOCKERD_LIBEXECDIR);
}

int tool_check_link(const Settings *settings, const Cabinet *cabinet) {
        _cleanup_free_ char *setup = NULL, *program = NULL;

        if (!link_settings_are_on(&settings->link)) {
                fputs("No link is configured: [Link] in lockerd.conf(5).\n", stderr);
                return EXIT_FAILURE;
        }
        setup = link_client_setup(settings, cabinet);
        program = link_program(settings);
        if (setup && program)
                (void)execl(program, "lockerd-link", "--check", setup, NULL);
        fprintf(stderr, "Cannot run %s: %s\n", program ? program : "lockerd-link", strerror(errno));
        return EXIT_FAILURE;
}

int tool_check_ledger(const char *path) {
        _cleanup_free_ char *detail = NULL;
        int r = ledger_check_file(path, &detail);

        if (r < 0 && !detail)
                detail = strdup(strerror(-r));
        return print(json_pack("{s:b, s:s}", "ok", r >= 0, "detail", detail ? detail : ""), r);
}

int tool_verify_audit(const char *path, const char *key, const char *kept) {
        _cleanup_(vault_freep) Vault *vault = NULL;
        _cleanup_free_ char *detail = NULL;
        char head[AUDIT_HEAD_MAX] = "";
        uint64_t rows = 0;
        int r = vault_load(&vault, key, false);

        if (r < 0)
                detail = text_printf("the cabinet's key (%s) cannot be loaded: %s", key,
                                     r == -ENOKEY   ? "there is none"
                                     : r == -EINVAL ? "it is not 32 bytes or 64 hex digits"
                                     : r == -EPERM  ? "others can read it"
                                                    : strerror(-r));
        else
                r = ledger_audit_verify_file(path, vault, kept, &rows, head, &detail);
        if (r < 0 && !detail)
                detail = strdup(strerror(-r));
        return print(json_pack("{s:b, s:I, s:s, s:s}", "ok", r >= 0, "rows", (json_int_t)rows, "head", head,
                               "detail", detail ? detail : ""),
                     r);
}
