/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-voice: a passphrase that is spoken into a microphone. Its messages: identity/matcher_wire.h. */
#include "base/clock.h"
#include "base/confine.h"
#include "base/log.h"
#include "base/worker.h"
#include "core/voice_reader.h"
#include "voice/compare.h"
#include "voice/worker.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#define PROBE           (10 * USEC_PER_SEC) /* is it still there? */
#define MISSING         (3 * USEC_PER_SEC)  /* is it there now? */
#define MEMORY_MAX      (96 * 1024 * 1024)  /* most of it is what comes with the libraries */
#define DESCRIPTORS_MAX 32
#define POLLED_MAX      8 /* descriptors of a PCM */
#define ERASED          0xA5

/* The microphone may come and go: it is opened by its name whenever it is needed. */
static int give_up_rights(void) {
        static const char *const calls[] = {"access",  "dup",      "faccessat",  "faccessat2", "fcntl",
                                            "fcntl64", "fstatat",  "fstatat64",  "getdents64", "ioctl",
                                            "lstat",   "lstat64",  "newfstatat", "open",       "openat",
                                            "pread64", "readlink", "readlinkat", "stat",       "stat64",
                                            "statx",   "uname",    NULL};
        static const ConfinePath paths[] = {
                {"/dev/snd", true}, {"/usr/share/alsa", false}, {"/etc/alsa", false}, {}};
        static const Confinement confinement = {
                .calls = calls, .paths = paths, .memory = MEMORY_MAX, .descriptors = DESCRIPTORS_MAX};

        return confine(&confinement);
}

static bool set_up(void *userdata, const MatcherMessage *m) {
        const MatcherSetup *s = &m->body.setup;
        Worker *w = userdata;
        VoiceReader reader;

        if (m->body.header.type != MATCHER_SETUP || s->baud || !*s->device ||
            m->body.header.n_data != sizeof(reader))
                return false;
        memcpy(&reader, m->data, sizeof(reader));
        if (!reader.threshold || reader.threshold >= COMPARE_FAR || reader.noise_db > 96 ||
            reader.quiet_db > 96)
                return false;
        w->threshold = reader.threshold;
        w->limits = (SpeechLimits){.noise_dbfs = -(int)reader.noise_db, .quiet_dbfs = -(int)reader.quiet_db};
        w->end.ready = microphone_prepare() >= 0 && give_up_rights() >= 0;
        return w->end.ready;
}

int worker_wait(Worker *w, uint64_t until) {
        for (;;) {
                struct pollfd fds[1 + POLLED_MAX] = {{.fd = w->end.socket, .events = POLLIN}};
                int n = w->pcm ? snd_pcm_poll_descriptors(w->pcm, fds + 1, POLLED_MAX) : 0;
                uint64_t now = clock_now().boot_usec, left = until > now ? until - now : 0;
                uint64_t most = MIN(left, WORKER_ALIVE_MS * USEC_PER_MSEC);
                struct timespec ts = {(time_t)(most / USEC_PER_SEC), (long)(most % USEC_PER_SEC * 1000)};
                unsigned short events = 0;

                worker_is_alive();
                n = MAX(n, 0);
                int r = ppoll(fds, (nfds_t)n + 1, &ts, NULL);
                if (r < 0 && errno != EINTR)
                        w->end.leaving = true;
                if (r > 0 && fds[0].revents)
                        matcher_end_receive(&w->end, set_up, w);
                if (w->end.leaving)
                        return STEP_LEAVING;
                if (r > 0 && n &&
                    snd_pcm_poll_descriptors_revents(w->pcm, fds + 1, (unsigned)n, &events) >= 0 && events)
                        return 1;
                if (!left || (r == 0 && most == left) || (r > 0 && (w->idle || w->end.attempt.cancelled)))
                        return 0;
        }
}

static void wait_for_work(Worker *w) {
        w->idle = true;
        (void)worker_wait(w, w->end.ready ? w->probe_at : USEC_INFINITY);
        w->idle = false;
}

static void serve(Worker *w) {
        while (!w->end.leaving) {
                if (w->end.attempt.number) {
                        attempt_run(w);
                        w->probe_at = clock_now().boot_usec + (w->end.health.problem ? MISSING : PROBE);
                } else if (w->end.ready && clock_now().boot_usec >= w->probe_at)
                        w->probe_at = clock_now().boot_usec + (microphone_look(w) ? MISSING : PROBE);
                else
                        wait_for_work(w);
        }
}

int main(int argc, char *argv[]) {
        static Worker w = {.end = MATCHER_END("voice")};

        worker_begin(argc, argv);
        (void)signal(SIGPIPE, SIG_IGN);
        /* What the libraries have freed may have been somebody's voice. */
        (void)mallopt(M_PERTURB, ERASED);
        w.cepstra = cepstra_new();
        if (!w.cepstra) {
                log_error("Cannot prepare the computation of cepstra");
                return EXIT_FAILURE;
        }
        matcher_end_hello(&w.end, MATCHER_ENROLS | MATCHER_VERIFIES);
        serve(&w);
        matcher_end_forget(&w.end);
        cepstra_free(w.cepstra);
        return EXIT_SUCCESS;
}
