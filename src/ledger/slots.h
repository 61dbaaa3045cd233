/* SPDX-License-Identifier: Apache-2.0 */
/* Slots and positions: what is or was out of service, and in which order positions were used. Errors as in
 * ledger.h. */
#pragma once

#include "ledger/ledger.h"

typedef enum Service { SERVICE_IN, SERVICE_DISABLED, SERVICE_QUARANTINED } Service;
const char *service_to_string(Service s);

/* position 0: the slot itself. Rows exist only for what is or was out of service or used. */
typedef struct ServiceRow {
        char slot[LABEL_MAX];
        unsigned position;
        Service service;
        char *reason;
        uint64_t last_used; /* counter, positions only */
} ServiceRow;
void service_row_done(ServiceRow *r);
int ledger_service_get(Ledger *l, const char *slot, unsigned position,
                       ServiceRow *ret); /* absent: SERVICE_IN, 0 */
int ledger_service_set(Ledger *l, const char *slot, unsigned position, Service service, const char *reason);
int ledger_position_used(Ledger *l, const char *slot, unsigned position);
int ledger_service_each(Ledger *l, int (*each)(void *userdata, const ServiceRow *r), void *userdata);
