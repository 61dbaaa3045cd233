/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence of who somebody is: a courier's number and PIN, a pickup code, an enrolled recipient's password.
 */
#include "locker/private.h"

#include <errno.h>
#include <stdio.h>

#define TAIL_LENGTH 4

/* --- pickup codes --- */

typedef struct CodeClaim {
        char terminal[SUBJECT_MAX], slot[SUBJECT_MAX], phone[SUBJECT_MAX];
        const char *subjects[3];
        size_t n;
} CodeClaim;

static int read_claim(Locker *l, Session *s, const Evidence *e, CodeClaim *c) {
        c->n = 0;
        snprintf(c->terminal, sizeof(c->terminal), "terminal:%s", s->terminal);
        if (e->slot) {
                int slot = locker_find_slot(l, e->slot);
                if (slot < 0)
                        return LOCKER_E_UNKNOWN_SLOT;
                snprintf(c->slot, sizeof(c->slot), "claim:slot:%s", l->cabinet->slots[slot].label);
                c->subjects[c->n++] = c->slot;
        }
        if (e->phone_tail) {
                if (strlen(e->phone_tail) != TAIL_LENGTH || !text_is_digits(e->phone_tail))
                        return LOCKER_E_INVALID_ARGUMENT;
                snprintf(c->phone, sizeof(c->phone), "claim:phone:%s", e->phone_tail);
                c->subjects[c->n++] = c->phone;
        }
        if (!c->n && code_needs_claim(l->settings->code_alphabet))
                return LOCKER_E_CLAIM_NEEDED;
        c->subjects[c->n++] = c->terminal;
        return 0;
}

static bool tail_matches(const ParcelRow *p, const char *tail) {
        char digits[64] = "";

        if (!tail)
                return true;
        if (p->phone)
                phone_digits(p->phone, digits, sizeof(digits));
        size_t n = strlen(digits);
        return n >= TAIL_LENGTH && streq(digits + n - TAIL_LENGTH, tail);
}

/* 0 with the parcel, -ENOENT, or another negative errno. Codes are unique among the parcels inside, so that
 * one look-up by keyed hash finds the parcel whose claim is then compared. */
static int find_by_code(Locker *l, const Evidence *e, const char *code, ParcelRow *ret) {
        _cleanup_parcel_ ParcelRow p = {0};
        uint64_t id;
        int r = ledger_code_find(l->ledger, code, &id);

        if (r >= 0)
                r = ledger_parcel_get(l->ledger, id, &p);
        if (r < 0)
                return r;
        if (!ledger_code_matches(l->ledger, id, code) || (e->slot && !streq(e->slot, p.slot)) ||
            !tail_matches(&p, e->phone_tail))
                return -ENOENT;
        *ret = p;
        p = (ParcelRow){0};
        return 0;
}

static int accept_code(Locker *l, Session *s, const CodeClaim *claim, const ParcelRow *p) {
        int r = locker_begin(l);

        if (r < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < claim->n; i++)
                r = lockout_right(l, claim->subjects[i]);
        if (r >= 0)
                r = ledger_session_person(l->ledger, s->id, p->person, "code");
        if (r < 0) {
                locker_rollback(l);
                return r;
        }
        r = locker_commit(l);
        if (r < 0)
                return r;
        s->code_parcel = p->id;
        s->person = 0;
        session_refresh(s);
        return 0;
}

static int check_normalised(Locker *l, Session *s, const Evidence *e, const char *code,
                            char detail[LOCKER_DETAIL_MAX]) {
        _cleanup_parcel_ ParcelRow p = {0};
        CodeClaim claim;

        int r = read_claim(l, s, e, &claim);
        for (size_t i = 0; !r && i < claim.n; i++)
                r = lockout_check(l, claim.subjects[i], detail);
        if (r)
                return r;
        r = find_by_code(l, e, code, &p);
        if (r == -ENOENT) {
                r = lockout_wrong(l, s->actor, "code.wrong", claim.subjects, claim.n, detail);
                return r < 0 ? r : LOCKER_E_WRONG_CODE;
        }
        if (r < 0)
                return r;
        if (locker_expired(l, &p))
                return LOCKER_E_CODE_EXPIRED;
        if (!parcel_is_recipients(&p))
                return LOCKER_E_WRONG_STATE;
        return accept_code(l, s, &claim, &p);
}

static int check_code(Locker *l, Session *s, const Evidence *e, char detail[LOCKER_DETAIL_MAX]) {
        char code[CODE_LENGTH + 1];
        int r = LOCKER_E_INVALID_ARGUMENT;

        if (e->code && code_normalise(l->settings->code_alphabet, e->code, code) >= 0)
                r = check_normalised(l, s, e, code, detail);
        else
                snprintf(detail, LOCKER_DETAIL_MAX, "A code has %d %s.", CODE_LENGTH,
                         l->settings->code_alphabet == CODE_DIGITS ? "digits" : "letters and digits");
        explicit_bzero(code, sizeof(code));
        return r;
}

/* --- PINs and passwords --- */

static void accept_person(Locker *l, Session *s, const char *evidence) {
        _cleanup_person_ PersonRow p = {0};
        int r = ledger_person_get(l->ledger, s->candidate, &p); /* revoked meanwhile? */

        if (r == -ENOENT) {
                session_answer(s, LOCKER_E_WRONG_CREDENTIAL, NULL);
                return;
        }
        if (r >= 0)
                r = locker_begin(l);
        if (r >= 0) {
                r = lockout_right(l, s->subject);
                if (r >= 0)
                        r = ledger_session_person(l->ledger, s->id, p.id, evidence);
                r = locker_end(l, r);
        }
        if (r >= 0) {
                s->person = p.id;
                s->code_parcel = 0;
                if (s->kind == SESSION_COURIER) {
                        snprintf(s->courier_number, sizeof(s->courier_number), "%s", p.number);
                        snprintf(s->actor, sizeof(s->actor), "courier:%s", p.number);
                } else {
                        snprintf(s->actor, sizeof(s->actor), "recipient:%llu", (unsigned long long)p.id);
                }
                session_refresh(s);
        }
        session_answer(s, r, NULL);
}

static void verified(void *userdata, IdentityResult result, const uint8_t *data, size_t n_data) {
        Session *s = userdata;
        Locker *l = s->locker;
        char detail[LOCKER_DETAIL_MAX] = "";

        s->job = NULL;
        s->idle_at = l->now().boot_usec + l->settings->session_idle_usec;
        if (result == IDENTITY_FAILED || result == IDENTITY_ENROLLED) {
                session_answer(s, LOCKER_E_INTERNAL, NULL);
                return;
        }
        /* Several sessions may have asked at once: only as many answers as there are tries are given. */
        int r = lockout_check(l, s->subject, detail);
        if (!r && result == IDENTITY_MATCH) {
                accept_person(l, s, s->kind == SESSION_COURIER ? "courier-pin" : "password");
                return;
        }
        if (!r) {
                const char *subject = s->subject;
                r = lockout_wrong(l, s->actor, "credential.wrong", &subject, 1, detail);
                if (!r)
                        r = LOCKER_E_WRONG_CREDENTIAL;
        }
        session_answer(s, r, detail);
}

static int load_candidate(Locker *l, Session *s, const Evidence *e, uint8_t *ret_data, size_t *ret_n) {
        _cleanup_person_ PersonRow p = {0};
        bool courier = e->kind == EVIDENCE_COURIER_PIN;
        uint8_t mac[VAULT_MAC_SIZE];
        char digits[64];
        int r;

        if (courier) {
                snprintf(s->subject, sizeof(s->subject), "pin:%s", e->number);
                r = ledger_person_by_number(l->ledger, e->number, &p);
        } else {
                phone_digits(e->phone, digits, sizeof(digits));
                r = ledger_person_by_phone(l->ledger, digits, &p);
                /* Unknown numbers are counted too, under a name that tells nobody's number. */
                vault_mac(ledger_vault(l->ledger), VAULT_PHONE, digits, strlen(digits), mac);
                snprintf(s->subject, sizeof(s->subject), "password:unknown:%02x%02x%02x", mac[0], mac[1],
                         mac[2]);
                if (r >= 0)
                        snprintf(s->subject, sizeof(s->subject), "password:%llu", (unsigned long long)p.id);
        }
        s->candidate = r >= 0 && p.kind == (courier ? PERSON_COURIER : PERSON_RECIPIENT) ? p.id : 0;
        *ret_n = 0;
        if (s->candidate)
                r = ledger_credential_get(l->ledger, p.id, courier ? "pin" : "password", ret_data, ret_n);
        return r == -ENOENT ? 0 : r;
}

static int check_secret(Locker *l, Session *s, const Evidence *e, char detail[LOCKER_DETAIL_MAX]) {
        uint8_t data[IDENTITY_DATA_MAX];
        const char *secret = e->kind == EVIDENCE_COURIER_PIN ? e->pin : e->password;
        const char *claim = e->kind == EVIDENCE_COURIER_PIN ? e->number : e->phone;
        size_t n;

        if (!secret || !claim || strlen(claim) > LABEL_MAX)
                return LOCKER_E_INVALID_ARGUMENT;
        int r = load_candidate(l, s, e, data, &n);
        if (r >= 0)
                r = lockout_check(l, s->subject, detail);
        if (!r)
                r = identity_verify(l->identity, secret, n ? data : NULL, n, verified, s, &s->job);
        explicit_bzero(data, sizeof(data));
        return r;
}

void locker_authenticate(Locker *l, Session *s, const Evidence *e, LockerReply reply, void *userdata) {
        char detail[LOCKER_DETAIL_MAX] = "";
        int r = session_touch(s);

        if (!r && session_is_at_work(s))
                r = LOCKER_E_WRONG_STATE;
        if (!r && (e->kind == EVIDENCE_COURIER_PIN) != (s->kind == SESSION_COURIER))
                r = LOCKER_E_NOT_ALLOWED;
        if (!r && e->kind == EVIDENCE_CODE) {
                r = check_code(l, s, e, detail);
                reply_refusal(reply, userdata, r, detail);
                return;
        }
        if (!r)
                r = check_secret(l, s, e, detail);
        if (r) {
                reply_refusal(reply, userdata, r, detail);
                return;
        }
        s->reply = reply;
        s->reply_userdata = userdata;
}

/* --- on another door's word --- */

static int vouch(Locker *l, Session *s, uint64_t person, const char *actor) {
        int r = ledger_session_person(l->ledger, s->id, person, "vouched");

        if (r < 0)
                return r;
        snprintf(s->actor, sizeof(s->actor), "%s", actor);
        session_refresh(s);
        return 0;
}

int locker_vouch_courier(Locker *l, Session *s, const char *number, const char *actor) {
        _cleanup_person_ PersonRow p = {0};
        int r = session_touch(s);

        if (!r)
                r = ledger_person_by_number(l->ledger, number, &p);
        if (r)
                return r == -ENOENT ? LOCKER_E_UNKNOWN_PERSON : r;
        s->person = p.id;
        s->code_parcel = 0;
        snprintf(s->courier_number, sizeof(s->courier_number), "%s", p.number);
        return vouch(l, s, p.id, actor);
}

int locker_vouch_parcel(Locker *l, Session *s, uint64_t parcel, const char *actor) {
        _cleanup_parcel_ ParcelRow p = {0};
        int r = session_touch(s);

        if (!r)
                r = ledger_parcel_get(l->ledger, parcel, &p);
        if (r)
                return r == -ENOENT ? LOCKER_E_UNKNOWN_PARCEL : r;
        if (!parcel_is_recipients(&p))
                return LOCKER_E_WRONG_STATE;
        s->code_parcel = parcel;
        s->person = 0;
        return vouch(l, s, p.person, actor);
}
