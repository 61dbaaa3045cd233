/* SPDX-License-Identifier: Apache-2.0 */
/* What the module is asked for and how its answers are believed. An answer is one frame of the length that
 * belongs to the question, in time; what came before the question is thrown away. After anything else the
 * device is opened anew, so that no late answer is taken for another's. */
#include "base/clock.h"
#include "fingerprint/worker.h"

#include <stdio.h>

#define ANSWER       (1500 * USEC_PER_MSEC) /* capturing takes a module most of a second */
#define START        (3 * USEC_PER_SEC)     /* modules need half a second after power */
#define QUIET_OPEN   (200 * USEC_PER_MSEC)
#define QUIET        (2 * USEC_PER_MSEC)
#define JUNK_MAX     512 /* bytes beside an answer */
#define UPLOAD_MAX   (5 * USEC_PER_SEC)
#define WAKE         (500 * USEC_PER_MSEC)
#define PACKET_SMALL 32
#define SIZE_CODES   4

enum {
        GET_IMAGE = 0x01,
        IMAGE_TO_CHARACTERISTICS = 0x02,
        MATCH = 0x03,
        REGISTER_MODEL = 0x05,
        UPLOAD = 0x08,
        DOWNLOAD = 0x09,
        READ_PARAMETERS = 0x0F,
        VERIFY_PASSWORD = 0x13,
};

/* The next frame, whatever it is. */
static int next_frame(Worker *w, PacketReader *reader, uint64_t until, Packet *ret) {
        bool began = false;

        for (;;) {
                uint8_t byte;
                int r = worker_wait(w, w->module.fd, until);
                if (r < 0)
                        return r;
                if (r == 0)
                        return reader->skipped > JUNK_MAX ? MATCHER_PROBLEM_CHATTER
                               : began                    ? MATCHER_PROBLEM_CORRUPT
                                                          : MATCHER_PROBLEM_SILENT;
                /* One at a time: what comes after the frame is the next one's. */
                r = port_read(w, &byte, 1);
                if (r < 0)
                        return MATCHER_PROBLEM_UNPLUGGED;
                if (r == 0)
                        continue;
                began = true;
                PacketState state = packet_feed(reader, byte, ret);
                if (reader->skipped > JUNK_MAX)
                        return MATCHER_PROBLEM_CHATTER;
                if (state == PACKET_CORRUPT)
                        return MATCHER_PROBLEM_CORRUPT;
                /* An answer in the middle of noise may be noise. */
                if (state == PACKET_COMPLETE)
                        return reader->skipped                  ? MATCHER_PROBLEM_CHATTER
                               : ret->address == PACKET_ANYBODY ? 0
                                                                : MATCHER_PROBLEM_CORRUPT;
        }
}

static int send_frame(Worker *w, PacketKind kind, const uint8_t *payload, size_t n) {
        uint8_t frame[PACKET_MAX];
        Packet p = {.address = PACKET_ANYBODY, .kind = kind, .n = n};

        memcpy(p.payload, payload, n);
        int step = port_write(w, frame, packet_build(&p, frame));
        explicit_bzero(&p, sizeof(p));
        explicit_bzero(frame, sizeof(frame));
        return step;
}

/* `answer`: bytes of payload that a good one has, its code included. A refusal may be as short as its code.
 */
static int ask(Worker *w, const uint8_t *command, size_t n, size_t answer, uint64_t patience, Packet *ret) {
        PacketReader reader = {0};
        int step = port_quiet(w, QUIET);

        if (!step)
                step = send_frame(w, PACKET_COMMAND, command, n);
        if (!step)
                step = next_frame(w, &reader, w->module.sent_at + patience, ret);
        if (step)
                return step;
        if (ret->kind != PACKET_ACKNOWLEDGE || ret->n < 1 ||
            (ret->n != answer && (ret->payload[0] == MODULE_OK || ret->n != 1)))
                return MATCHER_PROBLEM_CORRUPT;
        if (ret->payload[0] == MODULE_PASSWORD_NEEDED || ret->payload[0] == MODULE_WRONG_PASSWORD)
                return MATCHER_PROBLEM_PASSWORD;
        return ret->payload[0] == MODULE_BAD_PACKET ? MATCHER_PROBLEM_CORRUPT : 0;
}

/* An answer that was damaged on its way is asked for once more: none of these commands does harm twice. */
static int ask_twice(Worker *w, const uint8_t *command, size_t n, size_t answer, Packet *ret) {
        int step = ask(w, command, n, answer, ANSWER, ret);

        if (step != MATCHER_PROBLEM_CORRUPT && step != MATCHER_PROBLEM_CHATTER)
                return step;
        step = port_quiet(w, QUIET_OPEN);
        return step ? step : ask(w, command, n, answer, ANSWER, ret);
}

/* A problem that is the reader's ends with this opening of the device. */
static int judged(Worker *w, int step) {
        if (problem_is_readers(step))
                port_close(w);
        return step;
}

/* Asks for something whose answer is a code alone. */
static int simple(Worker *w, uint8_t command, unsigned buffer, ModuleCode *ret) {
        const uint8_t bytes[] = {command, (uint8_t)buffer};
        Packet answer;
        int step = ask_twice(w, bytes, buffer ? 2 : 1, 1, &answer);

        if (!step)
                *ret = (ModuleCode)answer.payload[0];
        return judged(w, step);
}

static int verify_password(Worker *w, uint64_t patience) {
        const uint8_t command[] = {VERIFY_PASSWORD, 0, 0, 0, 0};
        Packet answer;
        int step = ask(w, command, sizeof(command), 1, patience, &answer);

        return step ? step : answer.payload[0] == MODULE_OK ? 0 : MATCHER_PROBLEM_REFUSES;
}

static int read_parameters(Worker *w) {
        Packet answer;
        int step = ask_twice(w, (const uint8_t[]){READ_PARAMETERS}, 1, 17, &answer);

        if (step)
                return step;
        if (answer.payload[0] != MODULE_OK)
                return MATCHER_PROBLEM_REFUSES;
        unsigned size = get_u16(answer.payload + 13);
        if (size >= SIZE_CODES)
                return MATCHER_PROBLEM_CORRUPT;
        w->module.system_id = get_u16(answer.payload + 3);
        w->module.capacity = get_u16(answer.payload + 5);
        w->module.security = get_u16(answer.payload + 7);
        w->module.packet_size = (size_t)PACKET_SMALL << size;
        return 0;
}

static void say_works(Worker *w) {
        char detail[MATCHER_DETAIL_MAX];

        snprintf(detail, sizeof(detail),
                 "UART module, system id %04x, room for %u, security level %u, %u baud", w->module.system_id,
                 w->module.capacity, w->module.security, w->end.setup.baud);
        matcher_end_health(&w->end, MATCHER_PROBLEM_NONE, detail);
}

static int introduce(Worker *w) {
        int step = port_quiet(w, QUIET_OPEN);

        if (!step)
                step = verify_password(w, WAKE);
        /* It may just have got its power, or what it has heard so far was half a frame. */
        if (step == MATCHER_PROBLEM_SILENT || step == MATCHER_PROBLEM_CORRUPT ||
            step == MATCHER_PROBLEM_CHATTER) {
                step = port_quiet(w, QUIET_OPEN);
                if (!step)
                        step = verify_password(w, START);
        }
        if (!step)
                step = read_parameters(w);
        /* Whoever had the module before may have been killed in the middle of an attempt. */
        return step ? step : module_wipe(w);
}

int module_ready(Worker *w) {
        int step = 0;

        if (w->module.fd < 0) {
                step = port_open(w);
                if (!step)
                        step = judged(w, introduce(w));
        }
        if (!step)
                say_works(w);
        else if (problem_is_readers(step))
                matcher_end_health(&w->end, (MatcherProblem)step, "");
        return step;
}

int module_probe(Worker *w) {
        return judged(w, verify_password(w, ANSWER));
}

int module_capture(Worker *w, ModuleCode *ret) {
        return simple(w, GET_IMAGE, 0, ret);
}

int module_extract(Worker *w, unsigned buffer, ModuleCode *ret) {
        return simple(w, IMAGE_TO_CHARACTERISTICS, buffer, ret);
}

int module_combine(Worker *w, ModuleCode *ret) {
        return simple(w, REGISTER_MODEL, 0, ret);
}

int module_match(Worker *w, ModuleCode *ret, unsigned *ret_score) {
        Packet answer;
        int step = ask(w, (const uint8_t[]){MATCH}, 1, 3, ANSWER, &answer);

        if (!step) {
                *ret = (ModuleCode)answer.payload[0];
                *ret_score = answer.n == 3 ? get_u16(answer.payload + 1) : 0;
        }
        return judged(w, step);
}

static int receive_code(Worker *w, uint8_t *room, size_t *ret_n) {
        uint64_t until = clock_now().boot_usec + UPLOAD_MAX;
        PacketReader reader = {0};
        Packet p = {0};
        size_t n = 0;
        int step;

        do {
                step = next_frame(w, &reader, until, &p);
                if (!step &&
                    ((p.kind != PACKET_DATA && p.kind != PACKET_LAST_DATA) || n + p.n > TEMPLATE_CODE_MAX))
                        step = MATCHER_PROBLEM_CORRUPT;
                if (!step) {
                        memcpy(room + n, p.payload, p.n);
                        n += p.n;
                }
        } while (!step && p.kind == PACKET_DATA);
        explicit_bzero(&p, sizeof(p));
        *ret_n = n;
        return step;
}

int module_upload(Worker *w, unsigned buffer, uint8_t *room, size_t *ret_n) {
        ModuleCode code = MODULE_OK;
        int step = simple(w, UPLOAD, buffer, &code);

        *ret_n = 0;
        if (!step && code == MODULE_OK)
                step = judged(w, receive_code(w, room, ret_n));
        return step;
}

int module_download(Worker *w, unsigned buffer, const uint8_t *code, size_t n) {
        ModuleCode answer = MODULE_OK;
        int step = simple(w, DOWNLOAD, buffer, &answer);

        if (!step && answer != MODULE_OK)
                step = judged(w, MATCHER_PROBLEM_REFUSES);
        while (!step && n > 0) {
                size_t now = MIN(n, w->module.packet_size);
                step = judged(w, send_frame(w, n > now ? PACKET_DATA : PACKET_LAST_DATA, code, now));
                code += now;
                n -= now;
        }
        return step;
}

/* How large a template is, a module only says by giving one. */
static int learn_size(Worker *w) {
        uint8_t code[TEMPLATE_CODE_MAX];
        size_t n = 0;
        int step = module_upload(w, 1, code, &n);

        explicit_bzero(code, sizeof(code));
        if (!step && n >= TEMPLATE_CODE_MIN)
                w->module.template_size = n;
        return step;
}

int module_wipe(Worker *w) {
        static const uint8_t zeros[TEMPLATE_CODE_MAX];
        int step = 0;

        if (w->module.fd < 0)
                return 0;
        w->deaf = true;
        if (!w->module.template_size)
                step = learn_size(w);
        /* Still not known: there is nothing in it. */
        for (unsigned buffer = 1; !step && w->module.template_size && buffer <= 2; buffer++)
                step = module_download(w, buffer, zeros, w->module.template_size);
        w->deaf = false;
        return step;
}
