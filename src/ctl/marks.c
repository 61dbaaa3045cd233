/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/marks.h"
#include "base/text.h"

#include <stdarg.h>

enum {
        MARK_FREE,
        MARK_PARCEL,
        MARK_RESERVED,
        MARK_DEPOSITING,
        MARK_COLLECTING,
        MARK_BACK,
        MARK_DISABLED,
        MARK_QUARANTINED,
        MARK_UNKNOWN,
        MARK_OPEN,
        MARK_MOVING,
        MARK_IN_USE,
        MARK_ALARM,
};

const Mark marks[] = {
        [MARK_FREE] = {'.', STYLE_GREEN, "free"},
        [MARK_PARCEL] = {'P', STYLE_BLUE, "parcel"},
        [MARK_RESERVED] = {'R', STYLE_BLUE, "reserved"},
        [MARK_DEPOSITING] = {'D', STYLE_YELLOW, "being deposited"},
        [MARK_COLLECTING] = {'C', STYLE_YELLOW, "being collected"},
        [MARK_BACK] = {'B', STYLE_BLUE, "to be taken back"},
        [MARK_DISABLED] = {'x', STYLE_DIM, "out of service"},
        [MARK_QUARANTINED] = {'q', STYLE_RED, "quarantined"},
        [MARK_UNKNOWN] = {'?', STYLE_RED, "not known"},
        [MARK_OPEN] = {'O', STYLE_YELLOW, "door open"},
        [MARK_MOVING] = {'o', STYLE_YELLOW, "door moving"},
        [MARK_IN_USE] = {'u', STYLE_YELLOW, "in use"},
        [MARK_ALARM] = {'!', STYLE_RED, "look below"},
        {0, STYLE_PLAIN, NULL},
};

static bool is(const json_t *object, const char *key, const char *value) {
        return streq(json_text(object, key), value);
}

bool position_has_parcel(const json_t *position) {
        return !is(position, "state", "free") && !is(position, "state", "reserved") &&
               !is(position, "state", "announced");
}

bool position_is_free(const json_t *slot, const json_t *position) {
        return is(position, "state", "free") && is(position, "service", "in") && is(slot, "service", "in") &&
               is(slot, "door", "locked") && json_flag(slot, "board_online") && !json_flag(slot, "in_use") &&
               !is(position, "presence", "occupied");
}

const Mark *mark_position(const json_t *slot, const json_t *position) {
        static const struct {
                const char *state;
                int mark;
        } states[] = {
                {"announced", MARK_RESERVED},    {"reserved", MARK_RESERVED}, {"depositing", MARK_DEPOSITING},
                {"stored", MARK_PARCEL},         {"rejected", MARK_BACK},     {"recalled", MARK_BACK},
                {"collecting", MARK_COLLECTING},
        };

        if (is(position, "state", "stored") && json_flag(position, "expired"))
                return &marks[MARK_BACK];
        for (size_t i = 0; i < ARRAY_SIZE(states); i++)
                if (is(position, "state", states[i].state))
                        return &marks[states[i].mark];
        if (!is(position, "state", "free"))
                return &marks[MARK_UNKNOWN]; /* "unverified", and unknown words of newer versions */
        if (is(position, "service", "quarantined") || is(slot, "service", "quarantined"))
                return &marks[MARK_QUARANTINED];
        if (is(position, "service", "disabled") || is(slot, "service", "disabled"))
                return &marks[MARK_DISABLED];
        if (is(position, "presence", "occupied"))
                return &marks[MARK_ALARM];
        return &marks[MARK_FREE];
}

static bool lock_needs_a_look(const char *door) {
        return streq(door, "jammed") || streq(door, "forced") || streq(door, "left_open");
}

const Mark *mark_door(const json_t *slot) {
        const char *door = json_text(slot, "door");
        const json_t *position;
        bool lid_open = false, lid_unknown = false;
        size_t i;

        if (lock_needs_a_look(door) || !json_flag(slot, "board_online"))
                return &marks[MARK_ALARM];
        json_array_foreach(json_object_get(slot, "positions"), i, position) {
                const char *lock = json_text(position, "lock");
                if (lock_needs_a_look(lock))
                        return &marks[MARK_ALARM];
                lid_open |= streq(lock, "open") || streq(lock, "releasing");
                lid_unknown |= streq(lock, "unknown");
        }
        if (streq(door, "open"))
                return &marks[MARK_OPEN];
        if (streq(door, "releasing") || streq(door, "closing"))
                return &marks[MARK_MOVING];
        if (!streq(door, "locked") || lid_unknown)
                return &marks[MARK_UNKNOWN];
        if (lid_open)
                return &marks[MARK_OPEN];
        return json_flag(slot, "in_use") ? &marks[MARK_IN_USE] : NULL;
}

const char *slot_note(const json_t *slot, char *buffer, size_t size) {
        static const struct {
                const char *door, *note;
        } notes[] = {
                {"jammed", "jammed"},   {"forced", "forced"}, {"left_open", "left open"},
                {"unknown", "unknown"}, {"open", "open"},     {"releasing", "opening"},
                {"closing", "closing"},
        };
        const json_t *positions = json_object_get(slot, "positions");

        if (!json_flag(slot, "board_online"))
                return "offline";
        for (size_t i = 0; i < ARRAY_SIZE(notes); i++)
                if (is(slot, "door", notes[i].door))
                        return notes[i].note;
        if (json_flag(slot, "in_use"))
                return "in use";
        uint64_t parcel = json_number(json_array_get(positions, 0), "parcel");
        if (json_array_size(positions) != 1 || !parcel)
                return "";
        snprintf(buffer, size, "#%llu", (unsigned long long)parcel);
        return buffer;
}

static void _printf_(2, 3) add(json_t *list, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        _cleanup_free_ char *sentence = text_vprintf(format, ap);
        va_end(ap);
        if (sentence)
                json_array_append_new(list, json_string(sentence));
}

static const char *lock_sentence(const char *door) {
        if (streq(door, "jammed"))
                return "did not open when it should: jammed";
        if (streq(door, "forced"))
                return "was opened without a command: forced";
        if (streq(door, "left_open"))
                return "has been open for too long";
        if (streq(door, "unknown"))
                return "has no sensor value that can be believed";
        return NULL;
}

static void position_alarms(const json_t *slot, const json_t *position, json_t *list) {
        unsigned number = (unsigned)json_number(position, "number");
        unsigned long long parcel = json_number(position, "parcel");
        const char *sentence = lock_sentence(json_text(position, "lock")),
                   *reason = json_text(position, "reason");

        if (sentence)
                add(list, "the lock of position %u %s", number, sentence);
        if (is(position, "state", "unverified"))
                add(list,
                    "parcel %llu in position %u is unverified: look, then \"lockerctl reconcile %s/%u\"",
                    parcel, number, json_text(slot, "label"), number);
        if (is(position, "state", "free") && is(position, "presence", "occupied"))
                add(list, "something lies in position %u, which should be free", number);
        if (is(position, "state", "stored") && is(position, "presence", "empty"))
                add(list, "parcel %llu should be in position %u, whose sensor finds nothing", parcel, number);
        if (!is(position, "service", "in") && is(slot, "service", "in"))
                add(list, "position %u is %s%s%s", number,
                    is(position, "service", "disabled") ? "out of service" : json_text(position, "service"),
                    *reason ? ": " : "", reason);
}

json_t *slot_alarms(const json_t *slot) {
        json_t *list = json_array();
        const char *sentence = lock_sentence(json_text(slot, "door")),
                   *reason = json_text(slot, "service_reason");
        const json_t *position;
        size_t i;

        if (!list)
                return NULL;
        if (!json_flag(slot, "board_online"))
                add(list, "board %s does not answer", json_text(slot, "board"));
        if (sentence)
                add(list, "the door %s", sentence);
        json_array_foreach(json_object_get(slot, "positions"), i, position)
                position_alarms(slot, position, list);
        if (!is(slot, "service", "in"))
                add(list, "%s%s%s",
                    is(slot, "service", "disabled") ? "out of service" : json_text(slot, "service"),
                    *reason ? ": " : "", reason);
        return list;
}
