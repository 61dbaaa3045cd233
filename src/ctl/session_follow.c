/* SPDX-License-Identifier: Apache-2.0 */
/* Events while a door is open: prompts of the cabinet, keys of the user, signals, the timeout. */
#include "ctl/session.h"
#include "ctl/table.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

static bool listed(const char *const *list, const char *word) {
        for (; list && *list; list++)
                if (streq(*list, word))
                        return true;
        return false;
}

void session_tell(const Session *s, const char *what, const char *sentence) {
        const Ctl *c = s->ctl;

        if (c->json) {
                json_print(c,
                           json_pack("{s:s, s:s, s:s, s:I, s:s}", "event", "prompt", "what", what, "slot",
                                     s->slot, "position", (json_int_t)s->position, "sentence", sentence),
                           true);
                return;
        }
        bool bad = streq(what, "did-not-open") || streq(what, "still-inside") || streq(what, "timed-out") ||
                   streq(what, "unverified") || streq(what, "door-open") || streq(what, "left-inside");
        Style style = bad ? STYLE_RED : listed(s->good_ends, what) ? STYLE_GREEN : STYLE_PLAIN;
        _cleanup_free_ char *shown = text_printable(*sentence ? sentence : what);
        printf("%s%s%s\n", style_on(c, style), shown ? shown : "", style_off(c, style));
        fflush(stdout);
}

static const SessionKey settled_keys[] = {{'o', "open again", "Reopen", true}, {0, NULL, NULL, false}};

static void tell_keys(const Session *s) {
        static const char before[] = "Letter and Enter:";
        const SessionKey *first = s->settled ? settled_keys : s->keys;
        size_t x = sizeof(before) - 1;

        if (s->ctl->json || s->typed_fd < 0 || !isatty(s->typed_fd))
                return;
        printf("%s%s", style_on(s->ctl, STYLE_DIM), before);
        for (const SessionKey *k = first; k && k->letter; k++) {
                size_t width = 3 + strlen(k->help) + (k[1].letter || s->settled);
                bool wrap = x + 1 + width > s->ctl->width;
                x = (wrap ? 2 : x + 1) + width;
                printf("%s%c %s%s", wrap ? "\n  " : " ", k->letter, k->help, k[1].letter ? "," : "");
        }
        printf("%s%s\n", s->settled ? "; Enter alone: done" : "", style_off(s->ctl, STYLE_DIM));
        fflush(stdout);
}

static void choose(Session *s) {
        if (s->on_choose) {
                const char *member = s->on_choose;
                s->on_choose = NULL;
                (void)session_call(s, member, NULL); /* reported; the cabinet decides after its own time */
        } else if (s->typed_fd < 0 && !s->ctl->json)
                fprintf(stderr, "There is no terminal to ask: use --accept or --reject.\n");
        else
                tell_keys(s);
}

static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ((Session *)userdata)->check_state = true;
        return 0;
}

/* NULL when the session has ended, or holds no slot. */
static char *session_text(const Session *s, const char *property) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *text = NULL;

        if (sd_bus_get_property_string(s->ctl->bus, LOCKERD_BUS_NAME, s->path, LOCKERD_INTERFACE_SESSION,
                                       property, &error, &text) < 0 ||
            !*text)
                return NULL;
        return steal_ptr(text);
}

/* The step has ended. During the grace time the door may be reopened; when that time is over the slot
 * is no longer in use, which ends the wait. */
static void step_ended(Session *s, int status) {
        _cleanup_free_ char *slot = NULL, *path = NULL;

        s->status = status;
        s->over = true;
        if (!s->offers_reopen || s->ctl->json || s->typed_fd < 0 || !isatty(s->typed_fd))
                return;
        slot = session_text(s, "Slot");
        if (!slot || sd_bus_path_encode(LOCKERD_PATH_SLOT, slot, &path) < 0 ||
            sd_bus_match_signal(s->ctl->bus, &s->place, NULL, path, "org.freedesktop.DBus.Properties",
                                "PropertiesChanged", on_change, s) < 0)
                return;
        s->over = false;
        s->settled = true;
        tell_keys(s);
}

/* The door is shut, but there is a problem: show the possible actions again. */
static bool asks_for_more(Session *s, const char *what) {
        bool again = streq(what, "still-inside") || streq(what, "put-back") || streq(what, "close-lid") ||
                     (streq(what, "put-in") && s->asked_once);

        s->asked_once |= streq(what, "put-in");
        return again;
}

static int on_prompt(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *slot, *what, *sentence;
        Session *s = userdata;
        uint32_t position;

        if (sd_bus_message_read(m, "suss", &slot, &position, &what, &sentence) < 0 || s->over)
                return 0;
        snprintf(s->slot, sizeof(s->slot), "%s", slot);
        s->position = position;
        if (!s->settled || !streq(what, "timed-out")) /* no error after the end */
                session_tell(s, what, sentence);
        bool good = listed(s->good_ends, what);
        if (s->settled)
                s->check_state = true; /* the outcome is known; whether reopening is still possible is not */
        else if (good || listed(s->bad_ends, what))
                step_ended(s, streq(what, "did-not-open") ? LOCKERCTL_DID_NOT_OPEN
                              : good && !s->missed        ? 0
                                                          : LOCKERCTL_NOT_FINISHED);
        else if (streq(what, "did-not-open") || streq(what, "left-inside"))
                s->missed = true; /* when taking back several, the others continue */
        else if (streq(what, "timed-out"))
                s->check_state = true;
        else if (streq(what, "choose"))
                choose(s);
        else if (asks_for_more(s, what))
                tell_keys(s);
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Session *s = userdata;

        s->over = true;
        s->status = ctl_fail(s->ctl, LOCKERCTL_FAILED,
                             "lockerd has gone in the middle of this. Try: systemctl status lockerd");
        return 0;
}

int session_listen(Session *s, const char *sender) {
        sd_bus *bus = s->ctl->bus;

        int r = sd_bus_match_signal(bus, &s->prompts, sender, s->path, LOCKERD_INTERFACE_SESSION, "Prompt",
                                    on_prompt, s);
        if (r >= 0)
                r = sd_bus_match_signal(bus, &s->changes, sender, s->path, "org.freedesktop.DBus.Properties",
                                        "PropertiesChanged", on_change, s);
        if (r >= 0)
                r = sd_bus_add_match(bus, &s->owner,
                                     "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                                     "interface='org.freedesktop.DBus',arg0='" LOCKERD_BUS_NAME "'",
                                     on_owner, s);
        return r;
}

static void act_on_key(Session *s, const SessionKey *k) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *slot;
        uint32_t position;

        if (session_call(s, k->member, &reply)) {
                s->check_state = true;
                return; /* reported: another key is possible */
        }
        if (streq(k->member, "Cancel"))
                s->missed = true;
        if (!k->moves || sd_bus_message_read(reply, "su", &slot, &position) < 0)
                return;
        s->reopened = s->settled;
        bool elsewhere = !streq(slot, s->slot) || position != s->position;
        snprintf(s->slot, sizeof(s->slot), "%s", slot);
        s->position = position;
        char sentence[160];
        snprintf(sentence, sizeof(sentence), "%s slot %s, position %u.",
                 elsewhere ? "Now please use" : "Open again:", slot, position);
        session_tell(s, "opened", sentence);
}

static void on_typed(Session *s) {
        _cleanup_free_ char *typed = NULL;

        int r = read_line(s->typed_fd, &typed);
        if (r <= 0) {
                s->typed_fd = -1; /* no more input; the cabinet continues */
                return;
        }
        if (s->settled && !*typed) {
                s->over = true;
                if (s->reopened)
                        fprintf(stderr, "Exiting. The open door still has to be closed.\n");
                return;
        }
        for (const SessionKey *k = s->settled ? settled_keys : s->keys; k && k->letter; k++)
                if (typed[0] == k->letter) {
                        act_on_key(s, k);
                        return;
                }
        tell_keys(s);
}

/* Whether the operation has ended without a known final prompt, or the time for reopening has. */
static void check_state(Session *s) {
        s->check_state = false;
        if (s->over)
                return;
        _cleanup_free_ char *state = session_text(s, "State");
        bool idle = !state || streq(state, "ended") || streq(state, "authenticated");
        /* The final prompt was sent before this reply, but may be processed after it. */
        while (idle && !s->settled && !s->over && sd_bus_process(s->ctl->bus, NULL) > 0)
                ;
        if (!s->settled) {
                s->over |= idle;
                return; /* as "not finished", which is how every session begins */
        }
        if (!idle) {
                s->reopened = true;
                return;
        }
        _cleanup_free_ char *slot = state ? session_text(s, "Slot") : NULL;
        s->over = !slot;
        if (!slot)
                session_tell(s, "grace-over", "The time to open it again is over.");
        else if (s->reopened) {
                session_tell(s, "shut", "The door is shut.");
                tell_keys(s);
        }
        s->reopened = false;
}

static void on_interrupt(Session *s, int sfd, const char **interrupt) {
        struct signalfd_siginfo caught;

        if (read(sfd, &caught, sizeof(caught)) != sizeof(caught))
                return;
        if (s->settled && !s->reopened) { /* there is nothing left to leave unfinished */
                s->over = true;
                return;
        }
        if (!*interrupt || s->settled || caught.ssi_signo != SIGINT) {
                fprintf(stderr, "\nLeaving. An open door still has to be closed.\n");
                s->over = true; /* the cabinet completes the operation by itself */
                s->status = 128 + (int)caught.ssi_signo;
                return;
        }
        fprintf(stderr, "\nGiving up. (Ctrl-C once more leaves at once.)\n");
        (void)session_call(s, *interrupt, NULL); /* a refusal is reported, and the session continues */
        *interrupt = NULL;
}

/* Maximum of the next wait: a second, so that nothing depends on a single signal; -1: the timeout has
 * passed. */
static int patience_left(const Session *s) {
        if (!s->until)
                return 1000;
        uint64_t now = clock_now().boot_usec;
        return now >= s->until ? -1 : (int)MIN((s->until - now) / USEC_PER_MSEC + 1, UINT64_C(1000));
}

static void patience_over(Session *s) {
        s->over = true;
        if (!s->settled)
                s->status = ctl_fail_as(
                        s->ctl, LOCKERCTL_NOT_FINISHED, "TimedOut",
                        "The operation did not end in time. An open door still has to be closed.");
}

static int wait_for_something(Session *s, int sfd, const char **interrupt) {
        Ctl *c = s->ctl;
        uint64_t until = UINT64_MAX;
        int patience = patience_left(s);

        if (patience < 0) {
                patience_over(s);
                return 0;
        }

        int events = sd_bus_get_events(c->bus);
        struct pollfd fds[] = {
                {.fd = sd_bus_get_fd(c->bus), .events = (short)MAX(events, 0)},
                {.fd = sfd, .events = POLLIN},
                {.fd = s->typed_fd, .events = POLLIN},
        };
        (void)sd_bus_get_timeout(c->bus, &until);
        int r = poll(fds, ARRAY_SIZE(fds), until == 0 ? 0 : patience);
        if (r < 0 && errno != EINTR)
                return -errno;
        if (r > 0 && fds[1].revents)
                on_interrupt(s, sfd, interrupt);
        if (r > 0 && fds[2].revents && !s->over)
                on_typed(s);
        return 0;
}

int session_follow(Session *s, const char *interrupt) {
        sigset_t signals, old;
        int r = 0;

        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGHUP);
        sigprocmask(SIG_BLOCK, &signals, &old);
        _cleanup_close_ int sfd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        tell_keys(s);
        while (!s->over && r >= 0) {
                r = sd_bus_process(s->ctl->bus, NULL);
                if (r != 0)
                        continue;
                if (s->check_state)
                        check_state(s);
                else
                        r = wait_for_something(s, sfd, &interrupt);
        }
        sigprocmask(SIG_SETMASK, &old, NULL);
        return r < 0 ? ctl_fail_bus(s->ctl, NULL, r, NULL) : s->status;
}
