/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd's command line: reads the configuration, reports its errors or runs. */
#include "base/json_memory.h"
#include "base/log.h"
#include "base/message_ids.h"
#include "build-config.h"
#include "config/config.h"
#include "daemon/daemon.h"
#include "daemon/tools.h"
#include "daemon/wiring.h"
#include "ledger/audit.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

typedef struct Options {
        const char *config, *cabinet, *workers;
        const char *verify, *key, *head; /* of a ledger; NULL: its audit chain is not to be verified */
        bool check, check_link;
        RestoreOptions restore; /* file NULL: nothing is to be restored */
} Options;

static void help(void) {
        puts("lockerd [OPTIONS]\n\n"
             "The control daemon of a parcel locker. Normally started by systemd: systemctl start lockerd\n\n"
             "  --config FILE         read this instead of " LOCKERD_SYSCONFDIR "/lockerd.conf\n"
             "  --cabinet FILE        read this cabinet instead of the one that the configuration names\n"
             "  --workers DIRECTORY   get the worker processes from the programs, or the sockets of units, "
             "in here\n"
             "  --check-config        read the configuration, say what is wrong with it, and leave\n"
             "  --check-link          say what is configured of the short-range link, try it, and leave\n"
             "  --check-ledger FILE   check a whole ledger file (read-only) and leave\n"
             "  --verify-audit FILE   recompute a ledger's audit chain (read-only) and leave\n"
             "                        (with --head HEAD, one from earlier that it must lead through, and\n"
             "                        --key FILE in place of KeyFile=)\n"
             "  --restore FILE        put this backup in the place of the ledger; see lockerctl restore\n"
             "                        (with --reason TEXT, --nothing-since, --renumber)\n"
             "  --debug               log more\n"
             "  --help, --version\n\n"
             "See lockerd(8), lockerd.conf(5), cabinet.conf(5).");
}

/* To the journal when starting the daemon, as plain text with --check-config. */
static void complain(const ConfigReport *report, bool plainly) {
        for (size_t i = 0; i < report->n_lines; i++)
                if (plainly)
                        fprintf(stderr, "%s\n", report->lines[i]);
                else
                        log_message(LOG_ERR, LOCKERD_MESSAGE_CONFIG_ERROR, NULL, "%s", report->lines[i]);
}

static int use_workers(Settings *s, const char *directory) {
        char *copy = strdup(directory);

        if (!copy)
                return -ENOMEM;
        free(s->worker_directory);
        s->worker_directory = copy;
        return 0;
}

static int with_configuration(const Options *o) {
        _cleanup_(settings_freep) Settings *settings = NULL;
        _cleanup_(cabinet_freep) Cabinet *cabinet = NULL;
        ConfigReport report = {0};

        int r = config_read_settings(o->config, &settings, &report);
        if (r >= 0 && o->workers)
                r = use_workers(settings, o->workers);
        if (r >= 0)
                r = config_read_cabinet(o->cabinet ? o->cabinet : settings->cabinet_path,
                                        settings->board_directory, &cabinet, &report);
        if (r < 0) {
                complain(&report, o->check || o->check_link || o->restore.file);
                config_report_clear(&report);
                if (!o->check && !o->check_link)
                        log_error("The configuration cannot be used; nothing was started.");
                return EXIT_BAD_CONFIG;
        }
        config_report_clear(&report);
        if (o->check) {
                if (!config_timezone_is_installed(cabinet->timezone))
                        fprintf(stderr,
                                "Warning: [Cabinet] TimeZone=%s is not installed; UTC is used in its "
                                "place.\n",
                                cabinet->timezone);
                printf("%s: %d slots, %d positions, %d locks on %d boards and %d lines. The configuration is "
                       "fine.\n",
                       cabinet->number, cabinet->n_slots, cabinet->n_positions, cabinet->n_locks,
                       cabinet->n_boards, cabinet->n_lines);
                wiring_print(cabinet);
                return EXIT_SUCCESS;
        }
        if (o->check_link)
                return tool_check_link(settings, cabinet);
        if (o->restore.file)
                return tool_restore(settings, cabinet, &o->restore);
        return daemon_run(settings, cabinet);
}

static int verify_audit(const Options *o) {
        _cleanup_(settings_freep) Settings *settings = NULL;
        ConfigReport report = {0};

        if (o->head && !ledger_is_audit_head(o->head)) {
                fputs("lockerd: --head must be a sequence number, ':' and 64 hex digits.\n", stderr);
                return 2;
        }
        if (o->key)
                return tool_verify_audit(o->verify, o->key, o->head);
        int r = config_read_settings(o->config, &settings, &report);
        if (r < 0)
                complain(&report, true);
        config_report_clear(&report);
        return r < 0 ? EXIT_BAD_CONFIG : tool_verify_audit(o->verify, settings->key_path, o->head);
}

int main(int argc, char *argv[]) {
        enum {
                OPT_CONFIG = 1,
                OPT_CABINET,
                OPT_WORKERS,
                OPT_CHECK,
                OPT_CHECK_LINK,
                OPT_CHECK_LEDGER,
                OPT_VERIFY,
                OPT_HEAD,
                OPT_KEY,
                OPT_RESTORE,
                OPT_REASON,
                OPT_NOTHING_SINCE,
                OPT_RENUMBER,
                OPT_DEBUG,
                OPT_HELP,
                OPT_VERSION
        };
        static const struct option options[] = {
                {"config", required_argument, NULL, OPT_CONFIG},
                {"cabinet", required_argument, NULL, OPT_CABINET},
                {"workers", required_argument, NULL, OPT_WORKERS},
                {"check-config", no_argument, NULL, OPT_CHECK},
                {"check-link", no_argument, NULL, OPT_CHECK_LINK},
                {"check-ledger", required_argument, NULL, OPT_CHECK_LEDGER},
                {"verify-audit", required_argument, NULL, OPT_VERIFY},
                {"head", required_argument, NULL, OPT_HEAD},
                {"key", required_argument, NULL, OPT_KEY},
                {"restore", required_argument, NULL, OPT_RESTORE},
                {"reason", required_argument, NULL, OPT_REASON},
                {"nothing-since", no_argument, NULL, OPT_NOTHING_SINCE},
                {"renumber", no_argument, NULL, OPT_RENUMBER},
                {"debug", no_argument, NULL, OPT_DEBUG},
                {"help", no_argument, NULL, OPT_HELP},
                {"version", no_argument, NULL, OPT_VERSION},
                {0},
        };
        Options o = {0};
        int c;

        json_memory_erase();
        log_open();
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case OPT_CONFIG:
                        o.config = optarg;
                        break;
                case OPT_CABINET:
                        o.cabinet = optarg;
                        break;
                case OPT_WORKERS:
                        o.workers = optarg;
                        break;
                case OPT_CHECK:
                        o.check = true;
                        break;
                case OPT_CHECK_LINK:
                        o.check_link = true;
                        break;
                case OPT_CHECK_LEDGER:
                        return tool_check_ledger(optarg);
                case OPT_VERIFY:
                        o.verify = optarg;
                        break;
                case OPT_HEAD:
                        o.head = optarg;
                        break;
                case OPT_KEY:
                        o.key = optarg;
                        break;
                case OPT_RESTORE:
                        o.restore.file = optarg;
                        break;
                case OPT_REASON:
                        o.restore.reason = optarg;
                        break;
                case OPT_NOTHING_SINCE:
                        o.restore.nothing_since = true;
                        break;
                case OPT_RENUMBER:
                        o.restore.renumber = true;
                        break;
                case OPT_DEBUG:
                        log_set_max_priority(LOG_DEBUG);
                        break;
                case OPT_HELP:
                        help();
                        return EXIT_SUCCESS;
                case OPT_VERSION:
                        puts("lockerd " LOCKERD_VERSION);
                        return EXIT_SUCCESS;
                default:
                        fputs("Try 'lockerd --help'.\n", stderr);
                        return 2;
                }
        if (optind < argc) {
                fprintf(stderr, "lockerd: unexpected argument '%s'. Try 'lockerd --help'.\n", argv[optind]);
                return 2;
        }
        return o.verify ? verify_audit(&o) : with_configuration(&o);
}
