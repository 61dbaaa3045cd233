/* SPDX-License-Identifier: Apache-2.0 */
/* [Reader face]: the camera, and the models that look at its pictures. */
#include "base/text.h"
#include "config/cabinet_draft.h"
#include "config/keys.h"
#include "core/face_reader.h"

#include <errno.h>

#define BLANKS " \t"

typedef struct FaceDraft {
        char *device;
        const IniEntry *models[FACE_MODELS];
        FaceReader reader;
} FaceDraft;

static const KeyChoice model_sentence[] = {
        {"the path of a file, its size in bytes and its SHA-256 in hexadecimal, with blanks between them,",
         0},
        {}};
static const KeyChoice pixels[] = {{"normalised", false}, {"raw", true}, {}};
static const ConfigKey keys[] = {
        CONFIG_KEY("Device", key_path, FaceDraft, device, .max = 255, .required = true),
        CONFIG_KEY("Detector", key_entry, FaceDraft, models[FACE_DETECTOR], .choices = model_sentence,
                   .required = true),
        CONFIG_KEY("Landmarks", key_entry, FaceDraft, models[FACE_LANDMARKS], .choices = model_sentence,
                   .required = true),
        CONFIG_KEY("Embedding", key_entry, FaceDraft, models[FACE_EMBEDDING], .choices = model_sentence,
                   .required = true),
        CONFIG_KEY("EmbeddingPixels", key_choice, FaceDraft, reader.raw_pixels, .choices = pixels),
        CONFIG_KEY("Threshold", key_unsigned, FaceDraft, reader.threshold, .min = FACE_THRESHOLD_MIN,
                   .max = FACE_THRESHOLD_MAX),
        CONFIG_KEY("MinimumFace", key_unsigned, FaceDraft, reader.minimum_face, .min = 40, .max = 400),
        CONFIG_KEY("MinimumLight", key_unsigned, FaceDraft, reader.minimum_light, .max = 128),
        CONFIG_KEY("Width", key_unsigned, FaceDraft, reader.width, .min = 160, .max = 1920),
        CONFIG_KEY("Height", key_unsigned, FaceDraft, reader.height, .min = 120, .max = 1920),
};

/* PATH SIZE SHA256; the path may have blanks, the others not. */
static bool read_model(const char *value, FaceModel *ret) {
        _cleanup_free_ char *copy = strdup(value);
        char *words[2];

        if (!copy)
                return false;
        for (size_t i = 0; i < 2; i++) {
                char *last = copy + strlen(copy);
                while (last > copy && !strchr(BLANKS, last[-1]))
                        last--;
                words[i] = last;
                while (last > copy && strchr(BLANKS, last[-1]))
                        *--last = 0;
        }
        if (copy[0] != '/' || strlen(copy) >= sizeof(ret->path) ||
            text_to_u64(words[1], FACE_MODEL_MAX, &ret->size) < 0 || !ret->size ||
            text_from_hex(words[0], ret->sha256, sizeof(ret->sha256)) < 0)
                return false;
        strcpy(ret->path, copy);
        return true;
}

void builder_read_face(Builder *b, const IniSection *s, IdentityReader *ret) {
        FaceDraft draft = {.reader = {.threshold = FACE_THRESHOLD_DEFAULT,
                                      .minimum_face = 80,
                                      .minimum_light = 25,
                                      .width = 640,
                                      .height = 480}};

        keys_apply(b->complaints, s, keys, ARRAY_SIZE(keys), &draft);
        for (FaceModelKind k = 0; k < FACE_MODELS; k++)
                if (draft.models[k] && !read_model(draft.models[k]->value, &draft.reader.models[k]))
                        complain(b->complaints, s, draft.models[k],
                                 "this is not the path of a file, its size in bytes and its SHA-256 in "
                                 "hexadecimal, with blanks between them");
        ret->device = draft.device;
        ret->setup = malloc(sizeof(draft.reader));
        if (!ret->setup) {
                complaints_broken(b->complaints, -ENOMEM);
                return;
        }
        memcpy(ret->setup, &draft.reader, sizeof(draft.reader));
        ret->n_setup = sizeof(draft.reader);
}
