/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-mqtt: one connection to one broker. A single thread polls the daemon's socket and the broker's;
 * only resolving a name and opening a connection, which libmosquitto does by blocking, run in a short-lived
 * thread of their own, so that the daemon's pings are answered.
 *
 * Every attempt has a mosquitto object of its own: credentials are read afresh, and nothing that was under
 * way survives in the library's queue (the daemon publishes again). */
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "mqtt/setup.h"
#include "mqtt/srv.h"
#include "mqtt/wire.h"
#include <mosquitto.h>
#include <pthread.h>

#define SENTENCE_MAX     320
#define PSK_MAX          64  /* bytes */
#define ADDRESS_MAX      256 /* a host name, or a numeric address */
#define ADDRESS_TEXT_MAX 200

typedef enum Phase {
        PHASE_WAITING,    /* until `due` */
        PHASE_CONNECTING, /* the thread works */
        PHASE_HANDSHAKE,  /* TLS, CONNECT; CONNACK is awaited until `due` */
        PHASE_UP,
} Phase;

typedef struct UnderWay {
        int mid;
        uint32_t generation, n_bytes;
        uint64_t token;
} UnderWay;

/* Packets of the daemon that the window does not take yet, in order. */
typedef struct Packet {
        struct Packet *next;
        MqttWireReader left;
        size_t n;
        char data[];
} Packet;

typedef struct MqttQueue {
        Packet *first, *last;
} MqttQueue;

/* Where the round through all addresses is. */
typedef struct Addresses {
        unsigned item, first; /* of Host=: whose turn it is; where the round began */
        unsigned turn;        /* how often it was the first's, ever */
        unsigned rounds;      /* in vain, since the last connection that lasted */
        SrvList targets;      /* of the item, when it is the name of SRV records; 0: to be asked for */
        unsigned target;      /* whose turn it is */
} Addresses;

typedef struct MqttWorker {
        int socket; /* the daemon */
        bool leaving, stopping;
        uint64_t stop_until;
        char *buffer; /* MQTT_WIRE_MAX: a message of the daemon */
        MqttSetup *setup;
        MqttWireHeader place; /* of the worker before; type 0: there was none */

        Phase phase;
        uint64_t due;
        char item[ADDRESS_MAX], name[ADDRESS_MAX]; /* of Host=; whom the certificate must be for */
        /* What is connected to. In PHASE_CONNECTING the thread's, as soon as it asks for SRV records. */
        Addresses addresses;
        char host[ADDRESS_MAX];
        unsigned port;
        struct mosquitto *mosq;

        unsigned char psk[PSK_MAX];
        unsigned n_psk;
        pthread_t thread; /* PHASE_CONNECTING: owns mosq until it has written to done_fd */
        int done_fd;
        int connect_result, connect_errno;
        bool slow_reported;

        /* What the callbacks saw; acted upon when the library has returned. */
        bool got_connack;
        unsigned reason_code;         /* of a CONNACK or DISCONNECT, 0: none */
        char complaint[SENTENCE_MAX]; /* the library's own words of what went wrong */

        /* PHASE_UP */
        uint32_t generation;
        bool session_present;
        uint64_t up_since, heard_at, progress_at; /* progress: the broker acknowledged something */
        uint64_t lasted_at;     /* when the connection will have lasted; USEC_INFINITY: told already */
        unsigned keepalive_sec; /* the broker's word counts */
        unsigned receive_maximum;
        unsigned session_expiry_sec; /* the broker's word counts here, too */
        int subscribe_mid, states_mid,
                own_mid; /* commands; what other cabinets are, what this one is said to be */
        bool own_refused;
        uint64_t subscribe_until; /* USEC_INFINITY: not awaited */
        UnderWay *under_way;      /* [window] */
        size_t n_under_way;
        MqttQueue prompt, patient; /* the latter when nothing of the former waits */
        size_t n_waiting_bytes;
        MqttWirePacket acks; /* to be told to the daemon, together, */
        uint64_t acks_until; /* at the latest then */

        /* A refused subscription does not end the connection: it is tried again later. */
        char trouble[SENTENCE_MAX];
        unsigned troubles;
        uint64_t again_at, clear_at; /* USEC_INFINITY: not */
        uint64_t misc_at;
} MqttWorker;

/* worker.c */
uint64_t worker_now(void);
/* Waits until the daemon takes it; a daemon that does not for long is as good as dead, and the worker leaves.
 */
void worker_tell(MqttWorker *w, const MqttWireHeader *header, const char *const texts[], const void *payload,
                 size_t n);
/* Of many: kept until worker_tell_acks() or anything else is told. */
void worker_add_ack(MqttWorker *w, const MqttWireHeader *header);
void worker_tell_acks(MqttWorker *w);

/* link.c: the life of the connection. */
bool link_start(MqttWorker *w);
void link_turn(MqttWorker *w); /* what is due */
uint64_t link_next_due(const MqttWorker *w);
void link_readable(MqttWorker *w);
void link_writable(MqttWorker *w);
void link_thread_done(MqttWorker *w);
void link_take(MqttWorker *w, const MqttWireReader *packet, bool patient); /* to be published */
void link_publish(MqttWorker *w, const MqttWireMessage *m);
unsigned link_room(const MqttWorker *w); /* how many more the window takes now */
void link_leave(MqttWorker *w);          /* DISCONNECT, with the will */
/* For callbacks. */
typedef enum SubscriptionGroup { /* subscribed to apart */
                                 GROUP_COMMANDS,
                                 GROUP_STATES, /* of other cabinets */
                                 GROUP_OWN,    /* this cabinet's state, as others write it */
} SubscriptionGroup;
SubscriptionGroup link_group(const MqttWorker *w, const char *filter);
void link_is_up(MqttWorker *w);
/* A message that was not taken, but ended nothing else. */
void link_refuse(MqttWorker *w, const UnderWay *u, unsigned reason, const char *sentence);
_printf_(2, 3) void link_trouble(MqttWorker *w, const char *format, ...);

/* connect.c: from settings to a mosquitto object, and its connecting. 0, or -1 with the sentence in
 * `complaint`. */
int connect_prepare(MqttWorker *w);
int connect_start(MqttWorker *w);
void connect_finish(MqttWorker *w); /* joins the thread */
/* What is known about why it did not work. */
void connect_explain(MqttWorker *w, int result, char ret[SENTENCE_MAX]);

/* address.c */
void address_choose(MqttWorker *w); /* → item, name, and host and port, as far as they are known */
void address_next(MqttWorker *w, bool lasted); /* after an attempt, or a connection */
/* What a worker that replaces this one goes on with: as address_next() would leave it now. */
MqttWireHeader address_place(const MqttWorker *w, bool lasted);
void address_go_on(MqttWorker *w, const MqttWireHeader *place); /* of the worker before; needs the setup */
/* → host and port, and what the library is to connect to; may wait: in the thread. -1 with the sentence in
 * `complaint`. */
int address_resolve(MqttWorker *w, char ret[ADDRESS_MAX]);
const char *address_text(const MqttWorker *w, char ret[ADDRESS_TEXT_MAX]);

/* callbacks.c */
void callbacks_set(struct mosquitto *mosq);

/* queue.c: what waits for the window. */
void queue_add(MqttWorker *w, const MqttWireReader *packet, bool patient);
void queue_publish(MqttWorker *w); /* as many as the window takes */
void queue_forget(MqttWorker *w);
void queue_forget_events(MqttWorker *w); /* but not what was to go before them */
bool queue_any(const MqttWorker *w);

/* backoff.c: how long to wait after the n-th (0, 1, …) failure in a row. */
uint64_t backoff_random(uint64_t n); /* 0 … n - 1 */
uint64_t backoff_delay(const MqttSetup *s, unsigned n);
