/* SPDX-License-Identifier: Apache-2.0 */
/* [Reader voice]: the microphone, and how what it hears is judged. */
#include "config/cabinet_draft.h"
#include "config/keys.h"
#include "core/voice_reader.h"

#include <errno.h>

typedef struct VoiceDraft {
        char *device;
        VoiceReader reader;
} VoiceDraft;

static const ConfigKey keys[] = {
        CONFIG_KEY("Device", key_text, VoiceDraft, device, .min = 1, .max = 127, .required = true),
        CONFIG_KEY("Threshold", key_unsigned, VoiceDraft, reader.threshold, .min = VOICE_THRESHOLD_MIN,
                   .max = VOICE_THRESHOLD_MAX),
        CONFIG_KEY("NoiseLimit", key_level, VoiceDraft, reader.noise_db, .min = VOICE_LEVEL_MIN,
                   .max = VOICE_LEVEL_MAX),
        CONFIG_KEY("QuietLimit", key_level, VoiceDraft, reader.quiet_db, .min = VOICE_LEVEL_MIN,
                   .max = VOICE_LEVEL_MAX),
};

/* What ALSA has no names like, and the worker would not understand. */
static bool is_name(const char *device) {
        for (; *device; device++)
                if (*device <= ' ' || *device > '~')
                        return false;
        return true;
}

void builder_read_voice(Builder *b, const IniSection *s, IdentityReader *ret) {
        VoiceDraft draft = {.reader = {.threshold = VOICE_THRESHOLD_DEFAULT,
                                       .noise_db = VOICE_NOISE_DEFAULT,
                                       .quiet_db = VOICE_QUIET_DEFAULT}};

        keys_apply(b->complaints, s, keys, ARRAY_SIZE(keys), &draft);
        if (draft.device && !is_name(draft.device))
                complain(b->complaints, s, ini_section_find(s, "Device"),
                         "printable ASCII characters without blanks are allowed, as \"arecord -L\" lists the "
                         "names of PCMs");
        ret->device = draft.device;
        ret->setup = malloc(sizeof(draft.reader));
        if (!ret->setup) {
                complaints_broken(b->complaints, -ENOMEM);
                return;
        }
        memcpy(ret->setup, &draft.reader, sizeof(draft.reader));
        ret->n_setup = sizeof(draft.reader);
}
