/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept in memory of the bus; inside of bus.h. */
#pragma once

#include "bus/audit.h"
#include "bus/backup.h"
#include "bus/id_set.h"
#include "bus/node.h"
#include "bus/parcel.h"
#include "bus/peer.h"
#include "bus/readers.h"
#include "bus/reply.h"
#include "bus/session.h"
#include "bus/slot.h"

struct Bus {
        Node root; /* the cabinet's own object */
        sd_event *event;
        sd_bus *bus;
        Locker *locker;
        Ledger *ledger;
        const Cabinet *cabinet;
        const Settings *settings;

        gid_t kiosk_gid, admin_gid; /* (gid_t)-1: there is no such group */
        Peer *peers;
        Call *calls;
        Reader *readers;
        uint64_t unread;                /* bytes that all of them have not shown to have read */
        uint64_t stuck_since, stuck_at; /* boot µs, messages: since when the bus takes nothing */
        SessionNode *sessions;
        SlotNode slot;
        ParcelNode parcel;
        IdSet parcels; /* announced to the bus as an object */

        sd_event_source *flush;
        bool *dirty_slots;
        IdSet dirty_parcels;
        bool dirty_health, dirty_free;
        unsigned *free_positions; /* as last signalled */

        AuditJob *audit;
        BackupJob *backup;
};
