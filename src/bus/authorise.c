/* SPDX-License-Identifier: Apache-2.0 */
/* Maps each method to an act of core/access.c, which defines the permissions. A method that is not in
 * this table is always refused, so that a new one cannot be forgotten here. session.c checks that a
 * session is used by its owner only. */
#include "bus/authorise.h"
#include "bus/audit.h"
#include "bus/backup.h"
#include "bus/bus_struct.h"
#include "bus/cabinet.h"
#include "bus/names.h"
#include "bus/parcel.h"
#include "bus/own.h"
#include "bus/peer.h"
#include "bus/people.h"
#include "bus/reply.h"
#include "bus/session.h"
#include "bus/slot.h"
#include "core/access.h"
#include "base/log.h"

#include <errno.h>
#include <grp.h>

/* clang-format off: it is read as a table */
static const Permission permissions[] = {
        /* interface    member          act               secret handler */
        {BUS_CABINET, "StartSession", ACT_START_SESSION, false, cabinet_start_session},
        {BUS_CABINET, "Enrol", ACT_RULE_PEOPLE, true, cabinet_enrol},
        {BUS_CABINET, "Revoke", ACT_RULE_PEOPLE, false, cabinet_revoke},
        {BUS_CABINET, "EnrolCredential", ACT_RULE_PEOPLE, true, cabinet_enrol_credential},
        {BUS_CABINET, "CancelEnrolment", ACT_RULE_PEOPLE, false, cabinet_cancel_enrolment},
        {BUS_CABINET, "RevokeCredential", ACT_RULE_PEOPLE, false, cabinet_revoke_credential},
        {BUS_CABINET, "ListCredentials", ACT_RULE_PEOPLE, false, cabinet_list_credentials},
        {BUS_CABINET, "ListPeople", ACT_RULE_PEOPLE, false, cabinet_list_people},
        {BUS_CABINET, "ListEnrolled", ACT_RULE_PEOPLE, false, cabinet_list_enrolled},
        {BUS_CABINET, "ListLockouts", ACT_RULE_LOCKOUTS, false, cabinet_list_lockouts},
        {BUS_CABINET, "LiftLockout", ACT_RULE_LOCKOUTS, false, cabinet_lift_lockout},
        {BUS_CABINET, "GetEvents", ACT_READ_EVENTS, false, cabinet_get_events},
        {BUS_CABINET, "VerifyAudit", ACT_READ_EVENTS, false, audit_verify},
        {BUS_CABINET, "VerifyAuditSince", ACT_READ_EVENTS, false, audit_verify_since},
        {BUS_CABINET, "Backup", ACT_BACKUP, false, backup_start},
        {BUS_CABINET, "FindHistory", ACT_READ_EVENTS, false, cabinet_find_history},

        {BUS_SLOT, "Open", ACT_OPEN_SLOT, false, slot_open},
        {BUS_SLOT, "Disable", ACT_SERVICE_SLOT, false, slot_disable},
        {BUS_SLOT, "Enable", ACT_SERVICE_SLOT, false, slot_enable},
        {BUS_SLOT, "Reconcile", ACT_SERVICE_SLOT, false, slot_reconcile},

        {BUS_PARCEL, "Recall", ACT_RULE_PARCEL, false, parcel_recall},
        {BUS_PARCEL, "NewCode", ACT_NEW_CODE, true, parcel_new_code},
        {BUS_PARCEL, "Release", ACT_RULE_PARCEL, false, parcel_release},

        {BUS_SESSION, "Authenticate", ACT_AUTHENTICATE, true, session_authenticate},
        {BUS_SESSION, "Deposit", ACT_DEPOSIT, true, session_deposit},
        {BUS_SESSION, "TooSmall", ACT_DEPOSIT, false, session_too_small},
        {BUS_SESSION, "NotEmpty", ACT_DEPOSIT, false, session_not_empty},
        {BUS_SESSION, "DoesNotOpen", ACT_REOPEN, false, session_does_not_open},
        {BUS_SESSION, "Reopen", ACT_REOPEN, false, session_reopen},
        {BUS_SESSION, "Collect", ACT_COLLECT, false, session_collect},
        {BUS_SESSION, "Accept", ACT_COLLECT, false, session_accept},
        {BUS_SESSION, "Reject", ACT_COLLECT, false, session_reject},
        {BUS_SESSION, "TakeBack", ACT_TAKE_BACK, false, session_take_back},
        {BUS_SESSION, "LiftLockout", ACT_LIFT_TERMINAL_LOCKOUT, false, session_lift_lockout},
        {BUS_SESSION, "EnrolCredential", ACT_OWN_CREDENTIALS, true, session_enrol_credential},
        {BUS_SESSION, "RevokeCredential", ACT_OWN_CREDENTIALS, false, session_revoke_credential},
        {BUS_SESSION, "ListCredentials", ACT_OWN_CREDENTIALS, false, session_list_credentials},
        {BUS_SESSION, "Cancel", ACT_REOPEN, false, session_cancel},
        {BUS_SESSION, "End", ACT_END_SESSION, false, session_end},
};
/* clang-format on */

const Permission *permission_find(const char *interface, const char *member) {
        for (size_t i = 0; i < ARRAY_SIZE(permissions); i++)
                if (interface && member && streq(permissions[i].interface, interface) &&
                    streq(permissions[i].member, member))
                        return &permissions[i];
        return NULL;
}

/* Group names are looked up once, at start: a failing name service must not change the permissions of a
 * running daemon. */
static int group_resolve(const char *name, const char *setting, gid_t *ret) {
        struct group buffer, *found = NULL;
        _cleanup_free_ char *room = NULL;
        size_t size = 4096;
        int r;

        do {
                free(room);
                room = malloc(size);
                if (!room)
                        return -ENOMEM;
                r = getgrnam_r(name, &buffer, room, size, &found);
                size *= 2;
        } while (r == ERANGE && size <= 1024 * 1024);
        if (!found) {
                log_warning(
                        "%s=%s: there is no such group; only root and lockerd's own user have its rights.",
                        setting, name);
                *ret = (gid_t)-1;
                return 0;
        }
        *ret = found->gr_gid;
        return 0;
}

int bus_groups_resolve(Bus *b) {
        int r = group_resolve(b->settings->kiosk_group, "KioskGroup", &b->kiosk_gid);
        if (r < 0)
                return r;
        return group_resolve(b->settings->admin_group, "AdminGroup", &b->admin_gid);
}

unsigned bus_groups_of(const Bus *b, uid_t uid, const gid_t *gids, size_t n_gids) {
        unsigned groups = 0;

        if (uid == 0 || uid == geteuid())
                return CALLER_KIOSK | CALLER_ADMIN;
        for (size_t i = 0; i < n_gids; i++) {
                if (gids[i] == (gid_t)-1)
                        continue;
                if (gids[i] == b->kiosk_gid)
                        groups |= CALLER_KIOSK;
                if (gids[i] == b->admin_gid)
                        groups |= CALLER_ADMIN;
        }
        return groups;
}

int bus_dispatch_known(Peer *peer, sd_bus_message *m, const Permission *p, sd_bus_error *e) {
        const Settings *s = peer->bus->settings;
        int r;

        if (access_of_caller(p->act, peer->groups))
                return sd_bus_error_setf(
                        e, BUS_ERROR_PREFIX "AccessDenied",
                        "%s is for members of the group \"%s\" only; this program's user is not one.",
                        p->member, access_callers(p->act) & CALLER_ADMIN ? s->admin_group : s->kiosk_group);
        r = p->handler(peer->bus, peer, m, e);
        if (r < 0 && !sd_bus_error_is_set(e))
                r = bus_failure(e, m, r, NULL);
        return r < 0 ? r : 1;
}
