/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/profile.h"
#include "base/text.h"
#include "sim/language.h"

#include <errno.h>

static int read_unlock(Profile *p, Ini *ini) {
        static const char *const methods[] = {"flash", "trigger", "pulse"};
        const IniSection *s = ini_section(ini, "Unlock");
        unsigned method = UNLOCK_PULSE;
        int r = 0;

        p->on_value = 0xFF00;
        p->flash_base = 0x0200;
        p->flash_unit = 100 * NSEC_PER_MSEC;
        p->pulse = 500 * NSEC_PER_MSEC;
        if (!s)
                return ini_complain(ini, 0, "there is no [Unlock] section");
        if ((r = ini_word(ini, s, "Method", methods, ARRAY_SIZE(methods), &method)) < 0 ||
            (r = ini_uint(ini, s, "CoilBase", 0, 0xFFFF, &p->coil_base)) < 0 ||
            (r = ini_uint(ini, s, "OnValue", 0, 0xFFFF, &p->on_value)) < 0 ||
            (r = ini_uint(ini, s, "OffValue", 0, 0xFFFF, &p->off_value)) < 0 ||
            (r = ini_uint(ini, s, "FlashBase", 0, 0xFFFF, &p->flash_base)) < 0 ||
            (r = ini_nsec(ini, s, "FlashUnit", &p->flash_unit)) < 0 ||
            (r = ini_nsec(ini, s, "Pulse", &p->pulse)) < 0)
                return r;
        p->max_pulse = p->pulse;
        if ((r = ini_nsec(ini, s, "MaxPulse", &p->max_pulse)) < 0)
                return r;
        p->unlock = (UnlockMethod)method;
        return 0;
}

static int read_functions(Profile *p, Ini *ini) {
        static const char *const all_off[] = {"none", "coil", "each"};
        const IniSection *off = ini_section(ini, "AllOff"), *inputs = ini_section(ini, "Inputs"),
                         *identify = ini_section(ini, "Identify");
        unsigned method = ALL_OFF_NONE;
        bool active = true;
        int r;

        p->all_off_address = 0x00FF;
        if ((r = ini_word(ini, off, "Method", all_off, ARRAY_SIZE(all_off), &method)) < 0 ||
            (r = ini_uint(ini, off, "Address", 0, 0xFFFF, &p->all_off_address)) < 0 ||
            (r = ini_uint(ini, off, "Value", 0, 0xFFFF, &p->all_off_value)) < 0 ||
            (r = ini_uint(ini, ini_section(ini, "Coils"), "Function", 0, 1, &p->coil_function)) < 0 ||
            (r = ini_uint(ini, inputs, "Function", 0, 2, &p->input_function)) < 0 ||
            (r = ini_uint(ini, inputs, "Base", 0, 0xFFFF, &p->input_base)) < 0 ||
            (r = ini_bool(ini, inputs, "Active", &active)) < 0 ||
            (r = ini_uint(ini, identify, "Function", 0, 4, &p->identify_function)) < 0 ||
            (r = ini_uint(ini, identify, "Address", 0, 0xFFFF, &p->identify_address)) < 0 ||
            (r = ini_uint(ini, identify, "Minimum", 0, 0xFFFF, &p->identify_value)) < 0)
                return r;
        p->all_off = (AllOff)method;
        p->input_active = active;
        return 0;
}

int profile_read(Profile *p, const char *directory, const char *name, Ini *ini) {
        static const char *const protocols[] = {"modbus", "gpio", "kerong", "winnsen"};
        static const Language *const languages[] = {&modbus_language, NULL, &kerong_language,
                                                    &winnsen_language};
        _cleanup_free_ char *path = text_printf("%s/%s.board", directory, name);
        unsigned protocol = 0;
        int r;

        if (!path)
                return -ENOMEM;
        *p = (Profile){.name = strdup(name)};
        if ((r = ini_load(ini, path)) < 0)
                return r;
        const IniSection *s = ini_section(ini, "Board");
        const IniKey *title = ini_key(s, "Title");
        p->title = strdup(title ? title->value : name);
        if (!p->name || !p->title)
                return -ENOMEM;
        if ((r = ini_word(ini, s, "Protocol", protocols, ARRAY_SIZE(protocols), &protocol)) < 0)
                return r;
        p->language = languages[protocol];
        if (!p->language)
                return 0;
        p->baud = 9600;
        if ((r = ini_uint(ini, s, "Baud", 300, 4000000, &p->baud)) < 0 ||
            (r = ini_uint(ini, s, "Outputs", 0, 256, &p->outputs)) < 0 ||
            (r = ini_uint(ini, s, "Inputs", 0, 256, &p->inputs)) < 0 || (r = read_unlock(p, ini)) < 0)
                return r;
        return read_functions(p, ini);
}

void profile_clear(Profile *p) {
        free(p->name);
        free(p->title);
}
