/* SPDX-License-Identifier: Apache-2.0 */
/* In: commands. */
#pragma once

#include "message/remote_command.h"
#include "sync/mqtt_client.h"
#include "sync/sync.h"

void inbox_message(Sync *s, const MqttMessage *m);
void inbox_recover(Sync *s);
char *inbox_digest(const RemoteCommand *c); /* what is kept of an answered command; NULL: no memory */
void inbox_work(Sync *s);                   /* commands that had to wait their turn */
void inbox_forget(Sync *s);
int inbox_init(Sync *s);
