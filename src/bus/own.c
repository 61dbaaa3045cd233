/* SPDX-License-Identifier: Apache-2.0 */
/* Session objects, part two: a person's own credentials. */
#include "bus/own.h"
#include "bus/args.h"
#include "bus/bus_struct.h"
#include "bus/cleanup.h"
#include "bus/people.h"
#include "bus/reply.h"

int session_enrol_credential(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        CredentialEnrolment enrolment = {0};
        const char *word;
        Session *s;
        Call *call;
        int r;

        r = session_of(b, peer, m, &s, e);
        if (r >= 0)
                r = sd_bus_message_read(m, "s", &word);
        if (r >= 0)
                r = credential_read_kind(word, &enrolment.kind, e);
        if (r >= 0)
                r = credential_read(m, word, &enrolment, e);
        if (r >= 0)
                r = call_new(b, m, credential_append_card, true, &call);
        if (r < 0)
                return r;
        locker_enrol_own(b->locker, s, &enrolment, call_answer, call);
        return 1;
}

int session_revoke_credential(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        char detail[LOCKER_DETAIL_MAX];
        CredentialKind kind;
        const char *word;
        Session *s;
        int r;

        r = session_of(b, peer, m, &s, e);
        if (r >= 0)
                r = sd_bus_message_read(m, "s", &word);
        if (r >= 0)
                r = credential_read_kind(word, &kind, e);
        if (r < 0)
                return r;
        r = locker_revoke_own(b->locker, s, kind, detail);
        return r > 0 ? bus_failure(e, m, r, detail) : bus_reply_result(m, r, e);
}

int session_list_credentials(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        char detail[LOCKER_DETAIL_MAX];
        Session *s;
        int r;

        r = session_of(b, peer, m, &s, e);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sxxxssss)");
        if (r < 0)
                return r;
        r = locker_each_own_credential(b->locker, s, credential_append, reply, detail);
        if (r > 0)
                return bus_failure(e, m, r, detail);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}
