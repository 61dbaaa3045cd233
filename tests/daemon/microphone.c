/* SPDX-License-Identifier: Apache-2.0 */
/* A sound card that is a test: a PCM of ALSA's (type "lockermic") whose samples come from the test's
 * descriptor, standard input, and whose faults the test writes into a file that is mapped. Loaded before the
 * program, so that it is there when the program has given up its rights. */
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* As tests/daemon/microphone.py has it. */
typedef struct Card {
        int32_t open_error;      /* errno of the next attempts to open it */
        int32_t gone;            /* it was unplugged */
        int32_t deaf;            /* no samples come */
        int32_t rate;            /* the only one that it has, 0: 16000 */
        int32_t overrun;         /* samples are lost, once */
        int32_t opened, started; /* how often; written here */
        int32_t capturing;
} Card;

typedef struct Microphone {
        snd_pcm_ioplug_t io;
        uint64_t taken;
} Microphone;

static volatile Card *card;

__attribute__((constructor)) static void find_card(void) {
        const char *path = getenv("LOCKERMIC");
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

        if (fd < 0)
                return;
        void *p = mmap(NULL, sizeof(Card), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        card = p == MAP_FAILED ? NULL : p;
        close(fd);
        (void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
}

static snd_pcm_uframes_t waiting(void) {
        int n = 0;

        return ioctl(STDIN_FILENO, FIONREAD, &n) < 0 ? 0 : (snd_pcm_uframes_t)n / sizeof(int16_t);
}

static int start(snd_pcm_ioplug_t *io) {
        Microphone *m = io->private_data;
        char old[4096];

        if (card->gone)
                return -ENODEV;
        /* What was heard before nobody has asked for. */
        while (waiting() && read(STDIN_FILENO, old, sizeof(old)) > 0)
                ;
        m->taken = 0;
        card->started++;
        card->capturing = 1;
        return 0;
}

static int stop(snd_pcm_ioplug_t *io) {
        card->capturing = 0;
        return 0;
}

/* What has come since is put where the program finds it. */
static snd_pcm_sframes_t pointer(snd_pcm_ioplug_t *io) {
        Microphone *m = io->private_data;
        snd_pcm_uframes_t size = io->buffer_size,
                          unread = (io->hw_ptr % size + size - io->appl_ptr % size) % size;
        const snd_pcm_channel_area_t *areas = snd_pcm_ioplug_mmap_areas(io);

        if (card->gone) {
                snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
                return -ENODEV;
        }
        if (card->overrun) {
                card->overrun = 0;
                return -EPIPE;
        }
        for (snd_pcm_uframes_t room = size - 1 - unread; areas && room && !card->deaf;) {
                snd_pcm_uframes_t at = m->taken % size, most = size - at < room ? size - at : room;
                ssize_t n = read(STDIN_FILENO, (char *)areas->addr + areas->first / 8 + at * areas->step / 8,
                                 most * sizeof(int16_t));
                if (n <= 0)
                        break;
                m->taken += (size_t)n / sizeof(int16_t);
                room -= (size_t)n / sizeof(int16_t);
        }
        return (snd_pcm_sframes_t)(m->taken % size);
}

static int closed(snd_pcm_ioplug_t *io) {
        card->capturing = 0;
        free(io->private_data);
        return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
        .start = start, .stop = stop, .pointer = pointer, .close = closed};

static int constrain(snd_pcm_ioplug_t *io) {
        static const unsigned accesses[] = {SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED},
                              formats[] = {SND_PCM_FORMAT_S16};
        unsigned rate = card->rate ? (unsigned)card->rate : 16000;
        int r = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, accesses);

        if (r >= 0)
                r = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, formats);
        if (r >= 0)
                r = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, 1, 1);
        if (r >= 0)
                r = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_RATE, rate, rate);
        if (r >= 0)
                r = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 320, 8192);
        return r;
}

SND_PCM_PLUGIN_DEFINE_FUNC(lockermic) {
        (void)root;
        (void)conf;
        if (!card || card->open_error)
                return card ? -card->open_error : -ENOENT;
        Microphone *m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->io = (snd_pcm_ioplug_t){.version = SND_PCM_IOPLUG_VERSION,
                                   .name = "Microphone of a test",
                                   .callback = &callbacks,
                                   .private_data = m,
                                   .poll_fd = STDIN_FILENO,
                                   .poll_events = POLLIN,
                                   .mmap_rw = 1};
        int r = snd_pcm_ioplug_create(&m->io, name, stream, mode);
        if (r < 0) {
                free(m);
                return r;
        }
        card->opened++;
        r = constrain(&m->io);
        if (r < 0) {
                snd_pcm_ioplug_delete(&m->io);
                return r;
        }
        *pcmp = m->io.pcm;
        return 0;
}
SND_PCM_PLUGIN_SYMBOL(lockermic);
