/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sufficiency.h"

Sufficiency sufficiency_default(void) {
        uint32_t alone = 0;

        for (CredentialKind k = 0; k < CREDENTIAL_KINDS_MAX; k++)
                if (credential_info(k)->alone)
                        alone |= credential_bit(k);
        return (Sufficiency){alone, alone, alone, alone};
}

/* False: the act has no rule. */
static bool rule(const Sufficiency *s, Act act, uint32_t *ret) {
        switch (act) {
        case ACT_DEPOSIT:
                *ret = s->deposit;
                return true;
        case ACT_COLLECT:
                *ret = s->collect;
                return true;
        case ACT_TAKE_BACK:
                *ret = s->take_back;
                return true;
        case ACT_LIFT_TERMINAL_LOCKOUT:
                *ret = s->lift;
                return true;
        case ACT_START_SESSION:
        case ACT_AUTHENTICATE:
        case ACT_REOPEN:
        case ACT_OWN_CREDENTIALS: /* what suffices to deposit, or to collect: src/locker/own.c */
        case ACT_END_SESSION:
        case ACT_OPEN_SLOT:
        case ACT_SERVICE_SLOT:
        case ACT_RULE_PARCEL:
        case ACT_NEW_CODE:
        case ACT_RULE_PEOPLE:
        case ACT_RULE_LOCKOUTS:
        case ACT_READ_EVENTS:
        case ACT_BACKUP:
        case ACT_ANNOUNCE:
        case ACT_SET_THRESHOLDS:
        case ACT_ASK:
        case ACT_MAX:
                break;
        }
        return false;
}

/* Two kinds of which one is more than hardly anything: a photograph and a recording are no proof together. */
static bool is_enough_together(unsigned presented) {
        bool strong = (presented & sufficiency_default().deposit) != 0;

        return strong && (presented & (presented - 1)) != 0;
}

Refusal sufficiency_of(const Sufficiency *s, Act act, unsigned presented) {
        uint32_t alone;

        if (!rule(s, act, &alone))
                return REFUSAL_NONE;
        if (!presented)
                return LOCKER_E_NOT_AUTHENTICATED;
        return presented & alone || is_enough_together(presented) ? REFUSAL_NONE : LOCKER_E_ANOTHER_NEEDED;
}

bool sufficiency_possible(const Sufficiency *s, Act act, unsigned enrolled) {
        return sufficiency_of(s, act, enrolled) == REFUSAL_NONE;
}
