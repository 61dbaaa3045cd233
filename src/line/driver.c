/* SPDX-License-Identifier: Apache-2.0 */
#include "line/driver.h"

const BoardDriver *driver_of(uint32_t protocol) {
        static const BoardDriver *const drivers[] = {&modbus_driver, &kerong_driver, &winnsen_driver};

        for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
                if (drivers[i]->protocol == protocol)
                        return drivers[i];
        return NULL;
}

bool driver_has_no_off(const WireProfile *p, uint8_t unit, unsigned channel, Request *ret) {
        return false;
}

bool driver_has_no_coils(const WireProfile *p, uint8_t unit, Request *ret) {
        return false;
}

bool driver_has_no_identity(const WireProfile *p, uint8_t unit, unsigned step, Request *ret,
                            bool *ret_refusal) {
        return false;
}

const char *driver_recognises_everything(const WireProfile *p, const Request *q, const Answer *a) {
        return NULL;
}

bool driver_has_no_gateway(Framing framing, uint8_t exception) {
        return false;
}

void driver_mask(uint8_t mask[WIRE_CHANNELS / 8], unsigned n) {
        for (unsigned i = 0; i < n && i < WIRE_CHANNELS; i++)
                mask[i / 8] |= (uint8_t)(1u << i % 8);
}
