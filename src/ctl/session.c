/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/session.h"
#include "ctl/table.h"

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
                   streq(what, "unverified") || streq(what, "door-open");
        Style style = bad ? STYLE_RED : listed(s->good_ends, what) ? STYLE_GREEN : STYLE_PLAIN;
        _cleanup_free_ char *shown = text_printable(*sentence ? sentence : what);
        printf("%s%s%s\n", style_on(c, style), shown ? shown : "", style_off(c, style));
        fflush(stdout);
}

static void tell_keys(const Session *s) {
        if (s->ctl->json || s->typed_fd < 0 || !isatty(s->typed_fd))
                return;
        printf("%s", style_on(s->ctl, STYLE_DIM));
        for (const SessionKey *k = s->keys; k && k->letter; k++)
                printf("%s%c = %s", k == s->keys ? "" : ", ", k->letter, k->help);
        printf(" (then Enter)%s\n", style_off(s->ctl, STYLE_DIM));
        fflush(stdout);
}

static void choose(Session *s) {
        if (s->on_choose) {
                const char *member = s->on_choose;
                s->on_choose = NULL;
                (void)session_call(s, member, NULL); /* told; the cabinet decides after its own time */
        } else if (s->typed_fd < 0 && !s->ctl->json)
                fprintf(stderr, "Nobody can be asked here: --accept or --reject says it beforehand.\n");
        else
                tell_keys(s);
}

static int on_prompt(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *slot, *what, *sentence;
        Session *s = userdata;
        uint32_t position;

        if (sd_bus_message_read(m, "suss", &slot, &position, &what, &sentence) < 0)
                return 0;
        snprintf(s->slot, sizeof(s->slot), "%s", slot);
        s->position = position;
        session_tell(s, what, sentence);
        if (listed(s->good_ends, what) || listed(s->bad_ends, what)) {
                s->over = true;
                s->status = listed(s->good_ends, what) && !s->missed ? 0 : LOCKERCTL_NOT_FINISHED;
        } else if (streq(what, "did-not-open")) {
                s->missed = true; /* when taking back several, the others go on */
        } else if (streq(what, "timed-out")) {
                s->check_state = true;
        } else if (streq(what, "choose")) {
                choose(s);
        }
        return 0;
}

static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ((Session *)userdata)->check_state = true;
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Session *s = userdata;

        s->over = true;
        s->status = ctl_fail(s->ctl, LOCKERCTL_FAILED,
                             "lockerd has gone in the middle of this. Try: systemctl status lockerd");
        return 0;
}

int session_start(Ctl *c, const char *kind, Session *ret) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *path = NULL;

        int status =
                ctl_call(c, LOCKERD_PATH, LOCKERD_INTERFACE_CABINET, "StartSession", NULL, &reply, "s", kind);
        if (status)
                return status;
        int r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return ctl_bad_reply(c, r);
        *ret = (Session){.ctl = c, .path = strdup(path), .typed_fd = -1, .status = LOCKERCTL_NOT_FINISHED};
        if (!ret->path)
                return ctl_oom(c);
        /* by its unique name: nobody else on the bus can prompt */
        const char *sender = sd_bus_message_get_sender(reply);
        r = sd_bus_match_signal(c->bus, &ret->prompts, sender, path, LOCKERD_INTERFACE_SESSION, "Prompt",
                                on_prompt, ret);
        if (r >= 0)
                r = sd_bus_match_signal(c->bus, &ret->changes, sender, path,
                                        "org.freedesktop.DBus.Properties", "PropertiesChanged", on_change,
                                        ret);
        if (r >= 0)
                r = sd_bus_add_match(c->bus, &ret->owner,
                                     "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                                     "interface='org.freedesktop.DBus',arg0='" LOCKERD_BUS_NAME "'",
                                     on_owner, ret);
        return r < 0 ? ctl_fail_bus(c, NULL, r, NULL) : 0;
}

void session_done(Session *s) {
        sd_bus_slot_unref(s->prompts);
        sd_bus_slot_unref(s->changes);
        sd_bus_slot_unref(s->owner);
        free(s->path);
        *s = (Session){.typed_fd = -1};
}

int session_authenticate(Session *s, const char *kind, const char *const *evidence) {
        _cleanup_message_ sd_bus_message *m = NULL;
        Ctl *c = s->ctl;

        int status = ctl_message(c, s->path, LOCKERD_INTERFACE_SESSION, "Authenticate", &m);
        if (status)
                return status;
        int r = sd_bus_message_sensitive(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", kind);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (; r >= 0 && evidence[0]; evidence += 2)
                r = append_string(m, evidence[0], evidence[1]);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r < 0)
                return ctl_fail_bus(c, NULL, r, NULL);
        return ctl_send(c, m, CALL_TIMEOUT_USEC, NULL, NULL);
}

int session_call(Session *s, const char *member, sd_bus_message **ret) {
        return ctl_call(s->ctl, s->path, LOCKERD_INTERFACE_SESSION, member, NULL, ret, "");
}

void session_end(Session *s) {
        _cleanup_message_ sd_bus_message *reply = NULL;

        (void)sd_bus_call_method(s->ctl->bus, LOCKERD_BUS_NAME, s->path, LOCKERD_INTERFACE_SESSION, "End",
                                 NULL, &reply, "");
}

int session_typed_fd(const Args *a) {
        return args_has(a, "stdin") || isatty(STDIN_FILENO) ? STDIN_FILENO : -1;
}

static void act_on_key(Session *s, const SessionKey *k) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *slot;
        uint32_t position;

        if (session_call(s, k->member, &reply))
                return; /* told: the person may type something else */
        if (!k->moves || sd_bus_message_read(reply, "su", &slot, &position) < 0)
                return;
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
                s->typed_fd = -1; /* nobody types any more; the cabinet goes on */
                return;
        }
        for (const SessionKey *k = s->keys; k && k->letter; k++)
                if (typed[0] == k->letter) {
                        act_on_key(s, k);
                        return;
                }
        tell_keys(s);
}

/* Whether what was begun is over without a prompt that we know as its end. */
static void check_state(Session *s) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *state = NULL;

        s->check_state = false;
        int r = sd_bus_get_property_string(s->ctl->bus, LOCKERD_BUS_NAME, s->path, LOCKERD_INTERFACE_SESSION,
                                           "State", &error, &state);
        if (s->over || (r >= 0 && !streq(state, "ended") && !streq(state, "authenticated")))
                return;
        s->over = true;
        s->status = LOCKERCTL_NOT_FINISHED;
}

static void on_interrupt(Session *s, int sfd, const char **interrupt) {
        struct signalfd_siginfo caught;

        if (read(sfd, &caught, sizeof(caught)) != sizeof(caught))
                return;
        if (!*interrupt || caught.ssi_signo != SIGINT) {
                fprintf(stderr, "\nLeaving. An open door still has to be closed.\n");
                s->over = true; /* the cabinet brings what was begun to its end by itself */
                s->status = 128 + (int)caught.ssi_signo;
                return;
        }
        fprintf(stderr, "\nGiving up. (Ctrl-C once more leaves at once.)\n");
        (void)session_call(s, *interrupt, NULL); /* a refusal is told, and then this goes on as before */
        *interrupt = NULL;
}

static int wait_for_something(Session *s, int sfd, const char **interrupt) {
        Ctl *c = s->ctl;
        uint64_t until = UINT64_MAX;

        int events = sd_bus_get_events(c->bus);
        struct pollfd fds[] = {
                {.fd = sd_bus_get_fd(c->bus), .events = (short)MAX(events, 0)},
                {.fd = sfd, .events = POLLIN},
                {.fd = s->typed_fd, .events = POLLIN},
        };
        (void)sd_bus_get_timeout(c->bus, &until);
        int r = poll(fds, ARRAY_SIZE(fds), until == 0 ? 0 : 1000);
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
