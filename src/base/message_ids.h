/* SPDX-License-Identifier: Apache-2.0 */
/* The message ids under which lockerd writes to the journal. systemd/lockerd.catalog explains each of them
 * to a technician; tests/house/catalog.py keeps the two lists equal. An id is generated once (systemd-id128
 * new) and never reused. */
#pragma once

/* The daemon is ready: ledger open, bus name owned, workers started. */
#define LOCKERD_MESSAGE_STARTED "3390607892954e25a6aa6b1d55e86a68"
/* The daemon has stopped as requested. */
#define LOCKERD_MESSAGE_STOPPED "e4525b2bf84b42b0b3b44db72395130a"
/* The check of the ledger failed, or its audit chain is inconsistent. */
#define LOCKERD_MESSAGE_LEDGER_DAMAGED "455ff2b909644c95a973e285f9f0b826"
/* The ledger was written by a newer lockerd than this one. */
#define LOCKERD_MESSAGE_LEDGER_NEWER "b2b3adc0d4d0442fb265a3eb804a5759"
/* The ledger is another cabinet's, or not the one that this cabinet had last. */
#define LOCKERD_MESSAGE_LEDGER_OTHER "8d3b7a5e41f94c0fb6c2d0e97a15f384"
/* Rows of the ledger were changed, added or removed while lockerd did not run. */
#define LOCKERD_MESSAGE_LEDGER_TAMPERED "1c94e7d06b2a4f58a3f0c6b58d27e913"
/* Another program has locked the ledger, so that nothing can be recorded. */
#define LOCKERD_MESSAGE_LEDGER_LOCKED "6f0d2c9be8a14a7d9d53b1f7c04e8a62"
/* Less than MinimumFree= is left: no deposits, parcels can still be collected. */
#define LOCKERD_MESSAGE_STORAGE_LOW "3eb80e036c2442eea3c86f07b21c3862"
/* A door or lid opened without having been released. */
#define LOCKERD_MESSAGE_DOOR_FORCED "bd57b55a847a49ed9d4a6d7ee06849c7"
/* A door stood open for longer than DoorOpenTimeout=. */
#define LOCKERD_MESSAGE_DOOR_LEFT_OPEN "abadd0fe17284c79a585fa92b999d63b"
/* A parcel lies in a slot that cabinet.conf does not have. */
#define LOCKERD_MESSAGE_SLOT_MISSING "c0d1f5a27b4e4d0c8a61e9b3f7325d84"
/* A lock was pulsed, and another door opened. */
#define LOCKERD_MESSAGE_WRONG_DOOR "6a1f0c5d8e7b4c2f9d3a5b7c1e8f2046"
/* A lock was pulsed and its door did not open. */
#define LOCKERD_MESSAGE_DOOR_JAMMED "507d86155c9447e99a144ac939c22ce8"
/* A lock board does not respond. */
#define LOCKERD_MESSAGE_BOARD_OFFLINE "ee2b9b69a6bb4ed98c386cd7053febdd"
/* A lock board responds (again). */
#define LOCKERD_MESSAGE_BOARD_ONLINE "a51d7d6b80d44eaca8bfd2cd393f6743"
/* Two lock boards seem to have one address. */
#define LOCKERD_MESSAGE_BOARD_CONFLICT "10c858eefb3f4e2a928e642018355268"
/* A lock board is not what cabinet.conf says it is. */
#define LOCKERD_MESSAGE_BOARD_WRONG "79595f8ee738473985f1ae01f00eba2d"
/* A coil of a lock board stays on. */
#define LOCKERD_MESSAGE_BOARD_STUCK "4e25a55e8523444b828b6cba9609fe39"
/* All doors of a lock board read open at once. */
#define LOCKERD_MESSAGE_BOARD_BLIND "8824009b11b14941a7be0505227366c2"
/* A contact chatters. */
#define LOCKERD_MESSAGE_CHATTER "c2c46b95747041548bab9679f5ce30ac"
/* The device of a line cannot be used. */
#define LOCKERD_MESSAGE_LINE_FAILED "d72e5726be0b480e94ea1bccfab01c00"
/* A reader of the cabinet does not work. */
#define LOCKERD_MESSAGE_READER_FAILED "0a3836c7e0b640f189d47d5c81b9addb"
/* A worker process died or hung and was replaced. */
#define LOCKERD_MESSAGE_WORKER_REPLACED "c3cf37faee0f471a8f0a26089c7dd34d"
/* Too many consecutive failed attempts: a lockout begins. */
#define LOCKERD_MESSAGE_LOCKOUT "a58160250d5a417b93ced0608b76f529"
/* A lockout was lifted by a courier or an operator, or ended. */
#define LOCKERD_MESSAGE_LOCKOUT_LIFTED "16cb865617e74cca93a90a1a5a28466e"
/* An inside release or an alarm input opened slots. */
#define LOCKERD_MESSAGE_SAFETY_RELEASE "d99be0f50410422db5f99a81568c8ce1"
/* The head of the audit chain, to be kept outside the ledger. */
#define LOCKERD_MESSAGE_AUDIT_HEAD "a95e0e3365f64994ace6d8d98f4f50ea"
/* An operator opened a slot. */
#define LOCKERD_MESSAGE_OPERATOR_OPEN "e7b405b2f50848b48c3ca62064f96143"
/* A position was quarantined because of a fault. */
#define LOCKERD_MESSAGE_QUARANTINED "3525d3f07d354b67b2d602b1242ed6a3"
/* The sensors could not determine the outcome for a parcel. */
#define LOCKERD_MESSAGE_UNVERIFIED "6bfde508e4e54033b88a264745864e42"
/* The wall clock is not synchronised. */
#define LOCKERD_MESSAGE_CLOCK_UNSYNCED "d667c7b3f06c40068bd55b79568ed257"
/* The configuration was refused. */
#define LOCKERD_MESSAGE_CONFIG_ERROR "f0e02ef844cd4746b12388d5a5440e21"
