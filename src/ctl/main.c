/* SPDX-License-Identifier: Apache-2.0 */
/* lockerctl: the operator's tool, over D-Bus only. */
#include "ctl/ctl.h"
#include "base/json_memory.h"

#include "build-config.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>

typedef struct VerbGroup {
        const char *heading;
        const Verb *verbs[12];
} VerbGroup;

static const VerbGroup groups[] = {
        {"See", {&verb_status, &verb_map, &verb_slots, &verb_parcels, &verb_parcel, &verb_events}},
        {"At the terminal", {&verb_deposit, &verb_collect, &verb_take_back}},
        {"Slots", {&verb_open, &verb_disable, &verb_enable, &verb_reconcile}},
        {"Parcels", {&verb_recall, &verb_new_code, &verb_release}},
        {"People", {&verb_people, &verb_enrol, &verb_revoke, &verb_lockout}},
        {"Keeping", {&verb_audit, &verb_backup, &verb_restore, &verb_check_config, &verb_link}},
};

static void print_help(const Ctl *c) {
        const char *bold = c->color ? "\x1b[1m" : "", *off = c->color ? "\x1b[0m" : "";

        printf("%slockerctl [OPTION...] VERB ...%s\n\nInspect and operate a parcel locker.\n", bold, off);
        for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
                printf("\n%s%s%s\n", bold, groups[g].heading, off);
                for (const Verb *const *v = groups[g].verbs; *v; v++)
                        options_item(c, (*v)->name, 15, (*v)->summary);
        }
        printf("\n%sOptions%s\n", bold, off);
        options_print(c, global_options);
        options_item(c, "    --version", 29, "Say which version this is");
        printf("\nEach verb explains itself: lockerctl VERB --help. See also lockerctl(1).\n");
}

static const Verb *find_verb(const char *name) {
        for (size_t g = 0; g < ARRAY_SIZE(groups); g++)
                for (const Verb *const *v = groups[g].verbs; *v; v++)
                        if (streq((*v)->name, name))
                                return *v;
        return NULL;
}

static unsigned terminal_width(void) {
        const char *columns = getenv("COLUMNS");
        struct winsize size;

        if (columns && atoi(columns) > 0)
                return (unsigned)MIN(atoi(columns), 1000);
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
                return size.ws_col;
        return 80;
}

static bool wants_color(void) {
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        return isatty(STDOUT_FILENO) && !(no_color && *no_color) && !(term && streq(term, "dumb"));
}

static int run(Ctl *c, int argc, char **argv) {
        bool help = false;
        int i = 1;

        while (i < argc && argv[i][0] == '-') {
                if (streq(argv[i], "--version")) {
                        puts("lockerctl " LOCKERD_VERSION);
                        return 0;
                }
                int n = options_global(c, argv + i, &help);
                if (n < 0)
                        return LOCKERCTL_USAGE;
                if (n == 0)
                        return ctl_fail(c, LOCKERCTL_USAGE, "There is no option %s. See: lockerctl --help",
                                        argv[i]);
                i += n;
        }
        bool asks_help = i < argc && streq(argv[i], "help");
        if (asks_help && ++i < argc)
                help = true;
        if (i >= argc && (help || asks_help)) {
                print_help(c);
                return 0;
        }
        /* Without a verb print the help, but fail, so that a script without a verb notices. */
        if (i >= argc)
                return ctl_fail(c, LOCKERCTL_USAGE, "A verb is needed. See: lockerctl --help");

        const Verb *verb = find_verb(argv[i]);
        if (!verb)
                return ctl_fail(c, LOCKERCTL_USAGE, "There is no verb %s. See: lockerctl --help", argv[i]);
        Args args;
        int status = options_parse(c, verb, argc - i - 1, argv + i + 1, &args);
        if (status)
                return status;
        if (help || args.help) {
                options_help(c, verb);
                return 0;
        }
        return verb->run(c, &args);
}

/* A closed standard descriptor would be reused by the next open, of the bus for instance. */
static void open_standard_fds(void) {
        int fd;

        while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
                ;
        if (fd >= 0)
                close(fd);
}

int main(int argc, char **argv) {
        open_standard_fds();
        json_memory_erase();
        Ctl c = {.width = terminal_width(), .color = wants_color(), .tty = isatty(STDOUT_FILENO)};

        /* Not LC_NUMERIC: programs read the numbers too. */
        setlocale(LC_CTYPE, "");
        c.utf8 = streq(nl_langinfo(CODESET), "UTF-8");

        int status = run(&c, argc, argv);
        sd_bus_flush_close_unref(c.bus);
        /* A full disk behind a redirection must not look like success. */
        if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0) {
                fprintf(stderr, "Cannot write the output: %s.\n", strerror(errno));
                status = LOCKERCTL_FAILED;
        }
        return status;
}
