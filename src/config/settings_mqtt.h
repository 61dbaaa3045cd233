/* SPDX-License-Identifier: Apache-2.0 */
/* The section [Mqtt] of lockerd.conf. */
#pragma once

#include "base/clock.h"
#include "build-config.h"
#include "config/keys.h"

#define N_MQTT_KEYS 22

extern const ConfigKey mqtt_keys[N_MQTT_KEYS]; /* into Settings */

int settings_default_mqtt(MqttSettings *m);
/* Complains about conflicting keys and missing files. */
void settings_check_mqtt(Complaints *c, const char *file, const MqttSettings *m);
