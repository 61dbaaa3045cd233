/* SPDX-License-Identifier: Apache-2.0 */
/* Out: the retained state. */
#pragma once

#include "sync/mqtt_client.h"
#include "sync/publication.h"
#include "sync/sync.h"

void state_publish(Sync *s);
/* What somebody else has put in its place is replaced. False: it is about something else. */
bool state_heard(Sync *s, const MqttMessage *m);
char *state_will(const Sync *s);
void state_topic(const char *cabinet, char ret[TOPIC_MAX]);
