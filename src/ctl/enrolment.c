/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/enrolment.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

typedef struct Enrolment {
        Ctl *ctl;
        sd_bus_message *reply; /* the answer, or the error */
        bool cancelled;
} Enrolment;

/* "[2 of 5] Please put the same finger on the reader again." */
static int on_prompt(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *kind, *what, *sentence;
        const Enrolment *e = userdata;
        uint32_t taken, of;
        uint64_t person;

        if (sd_bus_message_read(m, "tssuus", &person, &kind, &what, &taken, &of, &sentence) < 0)
                return 0;
        if (e->ctl->json) {
                json_print(e->ctl,
                           json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "event", "prompt", "credential", kind,
                                     "what", what, "taken", (json_int_t)taken, "of", (json_int_t)of,
                                     "sentence", sentence),
                           true);
                return 0;
        }
        _cleanup_free_ char *shown = text_printable(*sentence ? sentence : what);
        if (of && taken < of && !streq(what, "lift"))
                fprintf(stderr, "[%u of %u] ", taken + 1, of);
        fprintf(stderr, "%s\n", shown ? shown : "");
        return 0;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Enrolment *e = userdata;

        e->reply = sd_bus_message_ref(m);
        return 0;
}

/* The first interrupt has the cabinet end it, which answers the call; the second one leaves, which ends it as
 * well. false: leave. */
static bool on_interrupt(Enrolment *e, int sfd) {
        struct signalfd_siginfo caught;

        if (read(sfd, &caught, sizeof(caught)) != sizeof(caught))
                return true;
        if (e->cancelled)
                return false;
        e->cancelled = true;
        return sd_bus_call_method_async(e->ctl->bus, NULL, LOCKERD_BUS_NAME, LOCKERD_PATH,
                                        LOCKERD_INTERFACE_CABINET, "CancelEnrolment", NULL, NULL, NULL) >= 0;
}

static int wait_for_answer(Enrolment *e, int sfd) {
        sd_bus *bus = e->ctl->bus;

        while (!e->reply) {
                uint64_t until = UINT64_MAX;
                int r = sd_bus_process(bus, NULL);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                struct pollfd fds[] = {{.fd = sd_bus_get_fd(bus), .events = (short)sd_bus_get_events(bus)},
                                       {.fd = sfd, .events = POLLIN}};
                (void)sd_bus_get_timeout(bus, &until);
                r = poll(fds, ARRAY_SIZE(fds), until == 0 ? 0 : 1000);
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r > 0 && fds[1].revents && !on_interrupt(e, sfd))
                        return -EINTR;
        }
        return 0;
}

/* The call is on its way when the signals are blocked: from here on an interrupt is the cabinet's to hear. */
static int follow(Enrolment *e, sd_bus_message *m) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *prompts = NULL, *call = NULL;
        sigset_t signals, old;

        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGHUP);
        sigprocmask(SIG_BLOCK, &signals, &old);
        _cleanup_close_ int sfd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        int r = sd_bus_match_signal(e->ctl->bus, &prompts, LOCKERD_BUS_NAME, LOCKERD_PATH,
                                    LOCKERD_INTERFACE_CABINET, "EnrolmentPrompt", on_prompt, e);
        if (r >= 0)
                r = sd_bus_call_async(e->ctl->bus, &call, m, on_answer, e, CALL_TIMEOUT_USEC);
        if (r >= 0)
                r = wait_for_answer(e, sfd);
        sigprocmask(SIG_SETMASK, &old, NULL);
        return r;
}

int enrolment_follow(Ctl *c, sd_bus_message *m, sd_bus_message **ret) {
        Enrolment e = {.ctl = c};
        int r = follow(&e, m);

        if (r == -EINTR)
                return ctl_fail_as(c, 128 + SIGINT, "Cancelled", "Given up. Nothing was stored.");
        if (r < 0)
                return ctl_fail_bus(c, NULL, r, NULL);
        if (!sd_bus_message_is_method_error(e.reply, NULL)) {
                *ret = e.reply;
                return 0;
        }
        int status = e.cancelled ? ctl_fail_as(c, 128 + SIGINT, "Cancelled", "Cancelled. Nothing was stored.")
                                 : ctl_fail_bus(c, sd_bus_message_get_error(e.reply),
                                                -sd_bus_message_get_errno(e.reply), NULL);
        sd_bus_message_unref(e.reply);
        return status;
}
