/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/ini_file.h"
#include "base/text.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>

int ini_complain(Ini *ini, unsigned line, const char *format, ...) {
        va_list ap;

        if (ini->complaint)
                return -EINVAL;
        va_start(ap, format);
        _cleanup_free_ char *what = text_vprintf(format, ap);
        va_end(ap);
        if (!what)
                return -ENOMEM;
        ini->complaint = line ? text_printf("%s:%u: %s", ini->path, line, what)
                              : text_printf("%s: %s", ini->path, what);
        return -EINVAL;
}

static int add_section(Ini *ini, const char *header) {
        IniSection *grown = reallocarray(ini->sections, ini->n_sections + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        ini->sections = grown;
        IniSection *s = &grown[ini->n_sections++];
        size_t kind = strcspn(header, " \t");
        *s = (IniSection){.line = ini->line, .kind = strndup(header, kind)};
        s->name = strdup(header + kind + strspn(header + kind, " \t"));
        return s->kind && s->name ? 0 : -ENOMEM;
}

static bool is_section(const IniSection *s, const char *header) {
        size_t n = strlen(s->kind);

        return strncmp(header, s->kind, n) == 0 && streq(header + n + strspn(header + n, " \t"), s->name);
}

static int on_key(void *userdata, const char *header, const char *key, const char *value) {
        Ini *ini = userdata;

        if (!ini->n_sections || !is_section(&ini->sections[ini->n_sections - 1], header))
                if (add_section(ini, header) < 0)
                        return 0;
        IniSection *s = &ini->sections[ini->n_sections - 1];
        IniKey *grown = reallocarray(s->keys, s->n_keys + 1, sizeof(*grown));
        if (!grown)
                return 0;
        s->keys = grown;
        grown[s->n_keys] = (IniKey){.key = strdup(key), .value = strdup(value), .line = ini->line};
        s->n_keys++;
        return grown[s->n_keys - 1].key && grown[s->n_keys - 1].value;
}

typedef struct Reader {
        FILE *file;
        Ini *ini;
} Reader;

/* inih as packaged gives no line numbers: they are counted in its reader. */
static char *next_line(char *buffer, int size, void *userdata) {
        Reader *r = userdata;
        char *line = fgets(buffer, size, r->file);

        if (line)
                r->ini->line++;
        return line;
}

int ini_load(Ini *ini, const char *path) {
        *ini = (Ini){.path = strdup(path)};
        if (!ini->path)
                return -ENOMEM;
        Reader reader = {.file = fopen(path, "re"), .ini = ini};
        if (!reader.file) {
                int r = -errno;
                ini_complain(ini, 0, "%s", strerror(-r));
                return r;
        }
        int bad = ini_parse_stream(next_line, &reader, on_key, ini);
        fclose(reader.file);
        if (bad > 0)
                return ini_complain(ini, (unsigned)bad, "neither a [section] nor a Key=value");
        return bad < 0 ? -ENOMEM : 0;
}

void ini_clear(Ini *ini) {
        for (size_t i = 0; i < ini->n_sections; i++) {
                IniSection *s = &ini->sections[i];
                for (size_t k = 0; k < s->n_keys; k++) {
                        free(s->keys[k].key);
                        free(s->keys[k].value);
                }
                free(s->keys);
                free(s->kind);
                free(s->name);
        }
        free(ini->sections);
        free(ini->path);
        free(ini->complaint);
        *ini = (Ini){0};
}

const IniSection *ini_section(const Ini *ini, const char *kind) {
        for (size_t i = 0; i < ini->n_sections; i++)
                if (streq(ini->sections[i].kind, kind))
                        return &ini->sections[i];
        return NULL;
}

const IniKey *ini_key(const IniSection *s, const char *key) {
        for (size_t i = s ? s->n_keys : 0; i > 0; i--)
                if (streq(s->keys[i - 1].key, key))
                        return &s->keys[i - 1];
        return NULL;
}

int ini_uint(Ini *ini, const IniSection *s, const char *key, uint64_t min, uint64_t max, unsigned *ret) {
        const IniKey *k = ini_key(s, key);
        uint64_t v;

        if (!k)
                return 0;
        if (text_to_u64(k->value, max, &v) < 0 || v < min)
                return ini_complain(ini, k->line, "%s=%s: a whole number from %ju to %ju is wanted", key,
                                    k->value, (uintmax_t)min, (uintmax_t)max);
        *ret = (unsigned)v;
        return 0;
}

int ini_nsec(Ini *ini, const IniSection *s, const char *key, uint64_t *ret) {
        const IniKey *k = ini_key(s, key);
        uint64_t usec;

        if (!k)
                return 0;
        if (text_to_usec(k->value, 1000, &usec) < 0 || usec > UINT64_C(3600000000))
                return ini_complain(ini, k->line, "%s=%s: a time such as 300ms is wanted", key, k->value);
        *ret = usec * 1000;
        return 0;
}

int ini_bool(Ini *ini, const IniSection *s, const char *key, bool *ret) {
        const IniKey *k = ini_key(s, key);

        if (k && text_to_bool(k->value, ret) < 0)
                return ini_complain(ini, k->line, "%s=%s: yes or no is wanted", key, k->value);
        return 0;
}

int ini_word(Ini *ini, const IniSection *s, const char *key, const char *const *words, size_t n,
             unsigned *ret) {
        const IniKey *k = ini_key(s, key);

        if (!k)
                return 0;
        for (size_t i = 0; i < n; i++)
                if (streq(k->value, words[i])) {
                        *ret = (unsigned)i;
                        return 0;
                }
        return ini_complain(ini, k->line, "%s=%s is not known here", key, k->value);
}
