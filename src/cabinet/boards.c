/* SPDX-License-Identifier: Apache-2.0 */
/* What boards and lines say of themselves. */
#include "cabinet/hardware.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <stdio.h>

static const struct {
        const char *state, *event, *message_id;
        int priority;
} board_words[] = {
        [BOARD_STARTING] = {"starting", NULL, NULL, LOG_DEBUG},
        [BOARD_ONLINE] = {"ok", "board.online", LOCKERD_MESSAGE_BOARD_ONLINE, LOG_INFO},
        [BOARD_OFFLINE] = {"failed", "board.offline", LOCKERD_MESSAGE_BOARD_OFFLINE, LOG_WARNING},
        [BOARD_CONFLICT] = {"failed", "board.conflict", LOCKERD_MESSAGE_BOARD_CONFLICT, LOG_ERR},
        [BOARD_WRONG] = {"failed", "board.wrong", LOCKERD_MESSAGE_BOARD_WRONG, LOG_ERR},
        [BOARD_BLIND] = {"degraded", "board.inputs-lost", LOCKERD_MESSAGE_BOARD_BLIND, LOG_ERR},
        [BOARD_STUCK] = {"degraded", "board.stuck", LOCKERD_MESSAGE_BOARD_STUCK, LOG_CRIT},
};

void boards_health(void *userdata, int board, BoardHealth health, const char *sentence) {
        Hardware *h = userdata;
        const char *name = h->cabinet->boards[board].name;
        bool changed = h->boards[board] != health;
        char subject[SUBJECT_MAX];

        h->boards[board] = health;
        snprintf(h->board_sentences[board], sizeof(h->board_sentences[board]), "%s",
                 sentence ? sentence : "");
        if (changed && board_words[health].event) {
                log_message(board_words[health].priority, board_words[health].message_id,
                            (const char *const[]){"LOCKERD_BOARD", name, NULL}, "Board %s: %s", name,
                            sentence ? sentence : "");
                snprintf(subject, sizeof(subject), "board:%s", name);
                if (records_begin(h->records) >= 0) {
                        if (records_add(h->records, NULL, NULL, board_words[health].event, subject,
                                        json_pack("{s:s, s:s*}", "board", name, "sentence", sentence),
                                        NULL) < 0)
                                records_rollback(h->records);
                        else
                                (void)records_commit(h->records);
                }
        }
        notify_health(h->records);
        for (int i = 0; changed && i < h->cabinet->n_slots; i++)
                if (h->cabinet->locks[h->cabinet->slots[i].lock].board == board)
                        notify_slot(h->records, i);
        h->up(h->userdata, -1, -1, HARDWARE_SPOKE);
}

void boards_line(void *userdata, int line, bool working, const char *sentence) {
        Hardware *h = userdata;

        if (h->lines[line] != working && !working)
                log_message(LOG_ERR, LOCKERD_MESSAGE_LINE_FAILED,
                            (const char *const[]){"LOCKERD_LINE", h->cabinet->lines[line].name, NULL},
                            "Line %s: %s", h->cabinet->lines[line].name, sentence ? sentence : "failed");
        h->lines[line] = working;
        snprintf(h->line_sentences[line], sizeof(h->line_sentences[line]), "%s", sentence ? sentence : "");
        notify_health(h->records);
}

const char *board_health_word(BoardHealth health) {
        return board_words[health].state;
}
