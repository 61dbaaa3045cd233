/* SPDX-License-Identifier: Apache-2.0 */
/* locksim: the boards, locks and doors of a cabinet, without a cabinet. */
#include "base/text.h"
#include "build-config.h"
#include "sim/coil.h"
#include "sim/config.h"
#include "sim/control.h"
#include "sim/line.h"
#include "sim/place.h"
#include "sim/report.h"
#include "sim/view.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#define EXIT_USAGE      2
#define TURNAROUND_MAX  UINT64_C(1000000) /* us */
#define TURNAROUND_ELSE NSEC_PER_MSEC

static const char help[] =
        "Usage: locksim [OPTION…] CABINET.CONF\n"
        "       locksim --control PATH --send COMMAND\n"
        "Simulates the lock boards of a cabinet on pseudo terminals. See locksim(1).\n\n"
        "  --control PATH      listen for commands on this unix socket\n"
        "  --send COMMAND      give a running locksim one command and print its answer\n"
        "  --boards DIR        where the board profiles are (" LOCKERD_DATADIR "/boards)\n"
        "  --link-dir DIR      put the links to the pseudo terminals here, named like the lines\n"
        "  --fast              do not keep the pace of the wire\n"
        "  --turnaround TIME   from a request's last byte to its answer's first (1ms; bare: ms)\n"
        "  --any-speed         answer masters that have set another baud rate, too\n"
        "  --seed N            seed of all randomness (1)\n"
        "  --journal FILE      append every frame, coil and door edge as a JSON line\n"
        "  --view              draw the cabinet on the terminal\n"
        "  --ready-fd N        write \"ready\" there when everything is up, not to standard output\n"
        "  --help, --version\n";

enum {
        OPT_CONTROL = 256,
        OPT_SEND,
        OPT_BOARDS,
        OPT_LINK_DIR,
        OPT_FAST,
        OPT_TURNAROUND,
        OPT_ANY_SPEED,
        OPT_SEED,
        OPT_JOURNAL,
        OPT_VIEW,
        OPT_READY_FD,
        OPT_HELP,
        OPT_VERSION,
};

static int bad_value(const char *option, const char *value, const char *wanted) {
        fprintf(stderr, "locksim: %s %s: %s is wanted\n", option, value, wanted);
        return EXIT_USAGE;
}

/* -1: taken; otherwise the exit status. */
static int take_option(int option, Options *o, const char **send) {
        uint64_t v;

        switch (option) {
        case OPT_CONTROL:
                o->control = optarg;
                return -1;
        case OPT_SEND:
                *send = optarg;
                return -1;
        case OPT_BOARDS:
                o->boards = optarg;
                return -1;
        case OPT_LINK_DIR:
                o->link_dir = optarg;
                return -1;
        case OPT_FAST:
                o->fast = true;
                return -1;
        case OPT_TURNAROUND:
                if (text_to_usec(optarg, 1000, &v) < 0 || v > TURNAROUND_MAX)
                        return bad_value("--turnaround", optarg, "a time of at most 1s, such as 2ms");
                o->turnaround = v * NSEC_PER_USEC;
                return -1;
        case OPT_ANY_SPEED:
                o->any_speed = true;
                return -1;
        case OPT_SEED:
                if (text_to_u64(optarg, UINT64_MAX, &o->seed) < 0)
                        return bad_value("--seed", optarg, "a whole number");
                return -1;
        case OPT_JOURNAL:
                o->journal = optarg;
                return -1;
        case OPT_VIEW:
                o->view = true;
                return -1;
        case OPT_READY_FD:
                if (text_to_u64(optarg, INT_MAX, &v) < 0 || fcntl((int)v, F_GETFD) < 0)
                        return bad_value("--ready-fd", optarg, "an open descriptor's number");
                o->ready_fd = (int)v;
                return -1;
        case OPT_HELP:
                fputs(help, stdout);
                return 0;
        case OPT_VERSION:
                puts("locksim " LOCKERD_VERSION);
                return 0;
        default:
                fputs("locksim: --help tells how it is used\n", stderr);
                return EXIT_USAGE;
        }
}

static int parse_options(int argc, char *argv[], Options *o, const char **send) {
        static const struct option options[] = {
                {"control", required_argument, NULL, OPT_CONTROL},
                {"send", required_argument, NULL, OPT_SEND},
                {"boards", required_argument, NULL, OPT_BOARDS},
                {"link-dir", required_argument, NULL, OPT_LINK_DIR},
                {"fast", no_argument, NULL, OPT_FAST},
                {"turnaround", required_argument, NULL, OPT_TURNAROUND},
                {"any-speed", no_argument, NULL, OPT_ANY_SPEED},
                {"seed", required_argument, NULL, OPT_SEED},
                {"journal", required_argument, NULL, OPT_JOURNAL},
                {"view", no_argument, NULL, OPT_VIEW},
                {"ready-fd", required_argument, NULL, OPT_READY_FD},
                {"help", no_argument, NULL, OPT_HELP},
                {"version", no_argument, NULL, OPT_VERSION},
                {NULL, 0, NULL, 0},
        };
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                int status = take_option(option, o, send);
                if (status >= 0)
                        return status;
        }
        if (*send ? optind != argc || !o->control : optind + 1 != argc) {
                fputs(*send ? "locksim: --send goes with --control and nothing else\n"
                            : "locksim: one CABINET.CONF is wanted; --help tells how it is used\n",
                      stderr);
                return EXIT_USAGE;
        }
        o->cabinet = *send ? NULL : argv[optind];
        return -1;
}

static void signalled(void *userdata, uint32_t events) {
        Sim *s = userdata;

        s->loop.stop = true;
}

static int watch_signals(Sim *s) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
        s->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        s->signals.source = (Source){.ready = signalled, .userdata = s};
        return s->signals.fd < 0 ? -errno : loop_watch(&s->loop, s->signals.fd, EPOLLIN, &s->signals.source);
}

static int start_lines(Sim *s) {
        for (size_t i = 0; i < s->n_lines; i++) {
                Line *l = &s->lines[i];
                if (l->ignored) {
                        fprintf(stderr,
                                "locksim: line %s is GPIO and not simulated; the kernel's gpio-sim plays "
                                "such lines\n",
                                l->name);
                        continue;
                }
                int r = line_start(l);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* For a waiting script: the paths of the lines, and that everything is ready. */
static void tell_ready(const Sim *s) {
        for (size_t i = 0; i < s->n_lines && !s->options.view; i++) {
                const Line *l = &s->lines[i];
                if (l->tcp)
                        printf("line %s %s:%s:%u\n", l->name, l->raw ? "raw-tcp" : "tcp", l->device,
                               l->tcp_port);
                else if (!l->ignored)
                        printf("line %s %s\n", l->name, l->link);
        }
        fflush(stdout);
        if (s->options.ready_fd >= 0) {
                dprintf(s->options.ready_fd, "ready\n");
                close(s->options.ready_fd);
        } else if (!s->options.view) {
                puts("ready");
        }
        fflush(stdout);
}

static int run(Sim *s) {
        int r;

        for (size_t i = 0; i < s->n_boards; i++)
                coils_init(&s->boards[i]);
        for (size_t i = 0; i < s->n_places; i++)
                place_init(&s->places[i]);
        if (s->options.journal && (r = journal_open(s, s->options.journal)) < 0) {
                fprintf(stderr, "locksim: %s: %s\n", s->options.journal, strerror(-r));
                return r;
        }
        if ((r = watch_signals(s)) < 0 || (r = start_lines(s)) < 0)
                return r;
        if (s->options.control && (r = control_start(s, s->options.control)) < 0)
                return r;
        tell_ready(s);
        if (s->options.view)
                view_start(s);
        r = loop_run(&s->loop);
        if (s->options.view)
                view_stop(s);
        return r;
}

static void stop(Sim *s) {
        control_stop(s);
        for (size_t i = 0; i < s->n_lines; i++)
                line_stop(&s->lines[i]);
        closep(&s->signals.fd);
        objections_clear(s);
        journal_close(s);
        model_clear(s);
        loop_close(&s->loop);
}

int main(int argc, char *argv[]) {
        Sim sim = {
                .options = {.boards = LOCKERD_DATADIR "/boards",
                            .turnaround = TURNAROUND_ELSE,
                            .seed = 1,
                            .ready_fd = -1},
                .signals = {.fd = -1},
        };
        _cleanup_free_ char *complaint = NULL;
        const char *send = NULL;

        int status = parse_options(argc, argv, &sim.options, &send);
        if (status >= 0)
                return status;
        if (send)
                return control_send(sim.options.control, send);
        if (sim.options.fast)
                sim.options.turnaround = 0;
        sim_seed(&sim, sim.options.seed);
        int r = loop_open(&sim.loop);
        if (r >= 0) {
                r = model_read(&sim, sim.options.cabinet, sim.options.boards, &complaint);
                if (r < 0) {
                        fprintf(stderr, "locksim: %s\n", complaint ? complaint : strerror(-r));
                        status = EXIT_USAGE;
                } else {
                        r = run(&sim);
                }
        }
        stop(&sim);
        return r >= 0 ? EXIT_SUCCESS : status >= 0 ? status : EXIT_FAILURE;
}
