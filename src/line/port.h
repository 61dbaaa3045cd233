/* SPDX-License-Identifier: Apache-2.0 */
/* The open end of a line: a tty, which comes open, or a TCP connection, which libmodbus opens, whatever is
 * spoken on it; frames are
 * the driver's. modbus_receive_confirmation() throws away what it dislikes, waits for as many bytes as the
 * answer claims to have, and never sees the bytes after an answer. */
#pragma once

#include "base/clock.h"
#include "line/adapter.h"
#include "lockwire/wire.h"

#include <modbus/modbus.h>

typedef struct Port {
        modbus_t *ctx; /* NULL: closed */
        int fd;
        const BoardDriver *driver;
        Framing framing;
        Adapter adapter;
        Asked unanswered;    /* the last request, when nothing has come for it; n 0: something has */
        bool network;        /* what is lost is the connection, not the device */
        bool has_wire;       /* bytes take their time; not so on TCP and pseudo terminals */
        uint64_t char_usec;  /* one character */
        uint64_t gap;        /* µs of silence that end a frame; 0 in Modbus TCP */
        uint64_t timeout;    /* µs from a request's last byte to its answer's last byte */
        uint64_t quiet_from; /* boot µs of the last byte heard or said */
} Port;

/* device: the tty of a serial line, which is the port's from now on, also when it fails; else -1. */
int port_open(Port *p, const WireLine *line, const BoardDriver *driver, int device);
void port_close(Port *p);
static inline bool port_is_open(const Port *p) {
        return p->ctx != NULL;
}
int port_send(Port *p, const uint8_t *bytes, size_t n);
/* After the descriptor has become readable: number of bytes, -EPIPE when the device or connection is gone. */
int port_read(Port *p, uint8_t *bytes, size_t room);
/* Throws away what has arrived, after copying as much of it as there is room for; the number of bytes. */
int port_flush(Port *p, uint8_t *bytes, size_t room);
