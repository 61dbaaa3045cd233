/* SPDX-License-Identifier: Apache-2.0 */
/* Checks across the parts of a cabinet: no two sizes of one order, no two boards at one address, no two
 * slots in one place. */
#include "config/cabinet_draft.h"
#include "core/protocol.h"

static void check_place(Builder *b) {
        const IniSection *s = ini_file_section(b->file, "Cabinet", 0);

        if (s && !ini_section_find(s, "Latitude") != !ini_section_find(s, "Longitude"))
                complain(b->complaints, s, NULL,
                         "Latitude= and Longitude= belong together; give both or neither");
}

static void check_sizes(Builder *b) {
        const Cabinet *c = b->cabinet;

        for (int i = 0; i < c->n_sizes; i++)
                for (int j = 0; c->sizes[i].ordinal && j < i; j++) {
                        if (c->sizes[i].ordinal != c->sizes[j].ordinal)
                                continue;
                        const IniSection *s = ini_file_section(b->file, "Size", (size_t)i);
                        complain(b->complaints, s, ini_section_find(s, "Order"),
                                 "[Size %s] has the same order; each size needs its own", c->sizes[j].name);
                        break;
                }
}

static bool has_address(const Builder *b, int board) {
        const BoardProfile *p = builder_profile(b, board);
        unsigned address = b->cabinet->boards[board].address;

        return p ? p->protocol != BOARD_GPIO && address >= protocol_of(p->protocol)->address_min
                 : address > 0;
}

static void check_addresses(Builder *b) {
        const Cabinet *c = b->cabinet;

        for (int i = 0; i < c->n_boards; i++)
                for (int j = 0; has_address(b, i) && j < i; j++) {
                        if (c->boards[i].line < 0 || c->boards[i].line != c->boards[j].line ||
                            c->boards[i].address != c->boards[j].address)
                                continue;
                        const IniSection *s = ini_file_section(b->file, "Board", (size_t)i);
                        complain(b->complaints, s, ini_section_find(s, "Address"),
                                 "[Board %s] has the same address on line %s; both would open their locks at "
                                 "once",
                                 c->boards[j].name, c->lines[c->boards[i].line].name);
                        break;
                }
}

/* Two languages on a line are noise to each other's boards, and might unlock something there. */
static void check_protocols(Builder *b) {
        const Cabinet *c = b->cabinet;

        for (int i = 0; i < c->n_boards; i++)
                for (int j = 0; j < i; j++) {
                        const BoardProfile *p = builder_profile(b, i), *q = builder_profile(b, j);
                        int line = c->boards[i].line;
                        if (line < 0 || line != c->boards[j].line || !p || !q || p->protocol == q->protocol ||
                            !protocol_of(p->protocol)->on_lines || !protocol_of(q->protocol)->on_lines)
                                continue;
                        const IniSection *s = ini_file_section(b->file, "Board", (size_t)i);
                        complain(b->complaints, s, ini_section_find(s, "Profile"),
                                 "boards of this kind speak %s, and [Board %s] on line %s speaks %s; a line "
                                 "carries "
                                 "one protocol, put them on lines of their own",
                                 protocol_of(p->protocol)->name, c->boards[j].name, c->lines[line].name,
                                 protocol_of(q->protocol)->name);
                        break;
                }
}

static void check_devices(Builder *b) {
        const Cabinet *c = b->cabinet;

        for (int i = 0; i < c->n_lines; i++)
                for (int j = 0; c->lines[i].device[0] && j < i; j++) {
                        if (c->lines[i].kind != c->lines[j].kind ||
                            !streq(c->lines[i].device, c->lines[j].device) ||
                            c->lines[i].tcp_port != c->lines[j].tcp_port)
                                continue;
                        const IniSection *s = ini_file_section(b->file, "Line", (size_t)i);
                        complain(b->complaints, s, ini_section_find(s, "Device"),
                                 "[Line %s] has the same device; one line can have many boards",
                                 c->lines[j].name);
                        break;
                }
}

/* A line without Baud= takes the rate of its boards' profiles, if they agree. */
static void settle_baud(Builder *b, int line) {
        Line *l = &b->cabinet->lines[line];
        unsigned baud = 0;

        if (l->baud || l->kind != LINE_SERIAL)
                return;
        for (int i = 0; i < b->cabinet->n_boards; i++) {
                const BoardProfile *p = builder_profile(b, i);
                if (b->cabinet->boards[i].line != line || !p)
                        continue;
                if (baud && baud != p->default_baud) {
                        complain(b->complaints, ini_file_section(b->file, "Line", (size_t)line), NULL,
                                 "Baud= is missing, and the profiles of its boards differ (%u, %u); say "
                                 "which one it is",
                                 baud, p->default_baud);
                        return;
                }
                baud = p->default_baud;
        }
        l->baud = baud ? baud : 9600;
}

static bool overlap(const Slot *a, const Slot *b) {
        return a->column == b->column && a->row < b->row + b->height && b->row < a->row + a->height;
}

static void check_wall(Builder *b) {
        const Cabinet *c = b->cabinet;

        for (int i = 0; i < c->n_slots; i++)
                for (int j = 0; c->slots[i].column && c->slots[i].row && j < i; j++) {
                        const Slot *slot = &c->slots[i], *other = &c->slots[j];
                        if (!overlap(slot, other))
                                continue;
                        complain(b->complaints, b->slot_drafts[b->slot_origins[i].draft].section, NULL,
                                 "slot %s (column %u, row %u, height %u) overlaps slot %s (row %u, height "
                                 "%u) on the wall; "
                                 "Column, Row, Height and Wrap say where a slot is",
                                 slot->label, slot->column, slot->row, slot->height, other->label, other->row,
                                 other->height);
                        break;
                }
}

void builder_check(Builder *b) {
        check_place(b);
        check_sizes(b);
        check_addresses(b);
        check_protocols(b);
        check_devices(b);
        for (int i = 0; i < b->cabinet->n_lines; i++)
                settle_baud(b, i);
        check_wall(b);
}
