/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker takes from itself before it reads anything that comes from outside: new rights for ever,
 * files and networks (Landlock), system calls that it does not need (seccomp), and memory, descriptors and
 * processes beyond its limits. What the kernel does not know is left out; the unit confines as well, and from
 * outside. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct ConfinePath {
        const char *path; /* with everything below; one that is not there is left out */
        bool write;       /* devices: opened for writing, too */
} ConfinePath;

typedef struct Confinement {
        const char *const *calls; /* beyond those that every worker needs; NULL at the end */
        const ConfinePath *paths; /* NULL at the end, or none */
        bool network;             /* TCP and UDP, over IPv4 and IPv6 */
        bool threads;
        uint64_t memory;      /* bytes that it may write to */
        unsigned descriptors; /* open at a time */
} Confinement;

/* 0 or negative errno: not all of it could be done, and the worker must not go on. Before any thread. */
int confine(const Confinement *c);
