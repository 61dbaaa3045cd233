/* SPDX-License-Identifier: Apache-2.0 */
#include "config/ini_file.h"
#include "base/text.h"
#include "config/array.h"
#include "config/complaints.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>

#define FILE_SIZE_MAX ((size_t)1 << 20)

typedef struct Walk {
        const char *data;
        size_t size, at;
        unsigned line;
        bool expects_entry; /* the line passed to inih last must be returned by it as key and value */
        bool ignores;       /* below an invalid section header: its keys would only cause more complaints */
        IniFile *file;
        Complaints *complaints;
} Walk;

IniFile *ini_file_free(IniFile *f) {
        if (!f)
                return NULL;
        for (size_t i = 0; i < f->n_sections; i++) {
                IniSection *s = &f->sections[i];
                for (size_t j = 0; j < s->n_entries; j++) {
                        free(s->entries[j].key);
                        free(s->entries[j].value);
                }
                free(s->entries);
                free(s->title);
                free(s->kind);
        }
        free(f->sections);
        free(f->path);
        free(f);
        return NULL;
}

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_text(const char *s, size_t n) {
        for (size_t i = 0; i < n;) {
                size_t length = text_character(s + i, n - i);
                if (length == 0 || (text_is_control(s + i) && s[i] != '\t'))
                        return false;
                i += length;
        }
        return true;
}

static void walk_open_section(Walk *w, const char *line, size_t n) {
        const char *end = memchr(line, ']', n);
        const char *rest = end ? end + 1 : NULL;

        w->ignores = true;
        while (rest && rest < line + n && is_blank(*rest))
                rest++;
        if (!end || (rest < line + n && *rest != ';' && *rest != '#')) {
                complain_at(w->complaints, w->file->path, w->line,
                            "\"%.*s\" is not a section header; write [Kind] or [Kind NAME]", (int)n, line);
                return;
        }

        const char *start = line + 1;
        while (start < end && is_blank(*start))
                start++;
        while (end > start && is_blank(end[-1]))
                end--;
        size_t kind = 0;
        while (start + kind < end && !is_blank(start[kind]))
                kind++;
        if (kind == 0) {
                complain_at(w->complaints, w->file->path, w->line,
                            "\"[]\" names no section; write [Kind] or [Kind NAME]");
                return;
        }

        IniSection *s = ARRAY_PUSH(w->file->sections, w->file->n_sections);
        if (!s) {
                complaints_broken(w->complaints, -ENOMEM);
                return;
        }
        s->file = w->file->path;
        s->line = w->line;
        s->title = strndup(start, (size_t)(end - start));
        s->kind = strndup(start, kind);
        if (!s->title || !s->kind) {
                complaints_broken(w->complaints, -ENOMEM);
                free(s->title);
                free(s->kind);
                w->file->n_sections--;
                return;
        }
        s->name = s->title + kind;
        while (is_blank(*s->name))
                s->name++;
        w->ignores = false;
}

/* inih only counts the lines that it cannot parse; this reports their numbers. */
static void walk_settle(Walk *w) {
        if (w->expects_entry)
                complain_at(
                        w->complaints, w->file->path, w->line,
                        "this line is neither [Section] nor Key=value nor a comment that begins with # or ;");
        w->expects_entry = false;
}

/* Checks one line; true when inih is to split it. */
static bool walk_judge(Walk *w, const char *line, size_t n, size_t room) {
        if (n == 0 || *line == '#' || *line == ';')
                return false;
        if (!is_text(line, n)) {
                complain_at(w->complaints, w->file->path, w->line,
                            "this line holds bytes that are not text; UTF-8 without control characters is "
                            "allowed");
                return false;
        }
        if (*line == '[') {
                walk_open_section(w, line, n);
                return false;
        }
        if (n > room) {
                complain_at(w->complaints, w->file->path, w->line,
                            "this line has %zu bytes; at most %zu are allowed: use ranges, or two sections",
                            n, room);
                return false;
        }
        return true;
}

/* inih's reader: fgets over memory. Leading blanks are removed, so that inih never takes a line for the
 * continuation of the one before: an indented key must not silently become part of another key's value.
 */
static char *walk_next(char *buffer, int room, void *userdata) {
        Walk *w = userdata;

        walk_settle(w);
        if (w->at >= w->size)
                return NULL;

        const char *line = w->data + w->at, *newline = memchr(line, '\n', w->size - w->at);
        size_t n = newline ? (size_t)(newline - line) : w->size - w->at;
        w->at += n + 1;
        w->line++;
        if (w->line == 1 && n >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
                line += 3;
                n -= 3;
        }
        while (n > 0 && is_blank(*line)) {
                line++;
                n--;
        }
        while (n > 0 && is_blank(line[n - 1]))
                n--;

        w->expects_entry = walk_judge(w, line, n, (size_t)room - 2);
        if (!w->expects_entry)
                n = 0;
        memcpy(buffer, line, n);
        memcpy(buffer + n, "\n", 2);
        return buffer;
}

static int walk_entry(void *userdata, _unused_ const char *section, const char *key, const char *value) {
        Walk *w = userdata;

        w->expects_entry = false;
        if (!*key) {
                complain_at(w->complaints, w->file->path, w->line,
                            "there is no key before the \"=\"; write Key=value");
                return 1;
        }
        if (w->ignores)
                return 1;
        if (w->file->n_sections == 0) {
                complain_at(w->complaints, w->file->path, w->line, "%s= stands before the first [Section]",
                            key);
                return 1;
        }

        IniSection *s = &w->file->sections[w->file->n_sections - 1];
        IniEntry *e = ARRAY_PUSH(s->entries, s->n_entries);
        if (!e) {
                complaints_broken(w->complaints, -ENOMEM);
                return 1;
        }
        e->key = strdup(key);
        e->value = strdup(value ? value : "");
        e->line = w->line;
        if (!e->key || !e->value) {
                complaints_broken(w->complaints, -ENOMEM);
                free(e->key);
                free(e->value);
                s->n_entries--;
        }
        return 1;
}

IniFile *ini_file_parse(Complaints *c, const char *path, const char *data, size_t size) {
        _cleanup_(ini_file_freep) IniFile *f = calloc(1, sizeof(*f));

        if (f)
                f->path = strdup(path);
        if (!f || !f->path) {
                complaints_broken(c, -ENOMEM);
                return NULL;
        }

        Walk w = {.data = data, .size = size, .file = f, .complaints = c};
        /* Its result is the first bad line, which walk_settle() has reported, or -2: out of memory. */
        if (ini_parse_stream(walk_next, &w, walk_entry, &w) == -2)
                complaints_broken(c, -ENOMEM);
        return steal_ptr(f);
}

int ini_file_load(const char *path, char **ret_data, size_t *ret_size) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        _cleanup_free_ char *data = NULL;
        size_t size = 0, room = 0;

        if (fd < 0)
                return -errno;
        for (;;) {
                if (size == room) {
                        if (room > FILE_SIZE_MAX)
                                return -EFBIG;
                        room = room ? 2 * room : 16384;
                        char *more = realloc(data, room);
                        if (!more)
                                return -ENOMEM;
                        data = more;
                }
                ssize_t n = read(fd, data + size, room - size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t)n;
        }
        *ret_data = steal_ptr(data);
        *ret_size = size;
        return 0;
}

const IniEntry *ini_section_find(const IniSection *s, const char *key) {
        for (size_t i = 0; i < s->n_entries; i++)
                if (streq(s->entries[i].key, key))
                        return &s->entries[i];
        return NULL;
}

const IniSection *ini_file_section(const IniFile *f, const char *kind, size_t nth) {
        for (size_t i = 0; i < f->n_sections; i++)
                if (streq(f->sections[i].kind, kind) && nth-- == 0)
                        return &f->sections[i];
        return NULL;
}

size_t ini_file_count(const IniFile *f, const char *kind) {
        size_t n = 0;

        for (size_t i = 0; i < f->n_sections; i++)
                n += streq(f->sections[i].kind, kind) ? 1 : 0;
        return n;
}
