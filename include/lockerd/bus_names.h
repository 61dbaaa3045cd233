/* SPDX-License-Identifier: Apache-2.0 */
/* The D-Bus names of lockerd, and the exit status of lockerctl for each refusal. A contract: names are
 * added, never changed. The interfaces themselves are described member by member in
 * org.lockerd.Locker1.xml. */
#pragma once

#define LOCKERD_BUS_NAME "org.lockerd.Locker1"

#define LOCKERD_PATH "/org/lockerd/Locker1"
/* Below these, one object each; slot labels are escaped as sd_bus_path_encode() does. */
#define LOCKERD_PATH_SLOT    LOCKERD_PATH "/slot"
#define LOCKERD_PATH_PARCEL  LOCKERD_PATH "/parcel"
#define LOCKERD_PATH_SESSION LOCKERD_PATH "/session"

#define LOCKERD_INTERFACE_CABINET LOCKERD_BUS_NAME ".Cabinet"
#define LOCKERD_INTERFACE_SLOT    LOCKERD_BUS_NAME ".Slot"
#define LOCKERD_INTERFACE_PARCEL  LOCKERD_BUS_NAME ".Parcel"
#define LOCKERD_INTERFACE_SESSION LOCKERD_BUS_NAME ".Session"

/* A refusal is the error LOCKERD_ERROR_PREFIX "<Name>"; its message is a sentence for the user. */
#define LOCKERD_ERROR_PREFIX LOCKERD_BUS_NAME ".Error."

/* Exit statuses of lockerctl. */
#define LOCKERCTL_OK           0
#define LOCKERCTL_FAILED       1  /* lockerd or the bus cannot be reached, or another fault on this side */
#define LOCKERCTL_USAGE        2  /* the command line or a value is not well-formed */
#define LOCKERCTL_UNKNOWN      3  /* no such slot, position, parcel, person or size */
#define LOCKERCTL_NOT_ALLOWED  4  /* not in the group, not identified, or not permitted for this person */
#define LOCKERCTL_WRONG_STATE  5  /* cannot be done now, in this state */
#define LOCKERCTL_WRONG_SECRET 6  /* code, PIN or password not accepted, or locked out */
#define LOCKERCTL_NONE_FREE    7  /* nothing free, nothing there, or in use by another session */
#define LOCKERCTL_DID_NOT_OPEN 8  /* the door did not open, or it is not known whether it did */
#define LOCKERCTL_STORAGE_FULL 9  /* the cabinet's storage is full */
#define LOCKERCTL_INTERNAL     10 /* a fault inside the daemon */
#define LOCKERCTL_AUDIT_BROKEN 11 /* "audit verify": the trail has been tampered with or is damaged */
#define LOCKERCTL_NOT_FINISHED 12 /* a session was not completed: cancelled, timed out, unverified */

/*        D-Bus error name      exit status */
#define LOCKERD_ERRORS(X)                               \
        X("InvalidArgument", LOCKERCTL_USAGE)           \
        X("AccessDenied", LOCKERCTL_NOT_ALLOWED)        \
        X("NotAuthenticated", LOCKERCTL_NOT_ALLOWED)    \
        X("NotAllowed", LOCKERCTL_NOT_ALLOWED)          \
        X("UnknownSlot", LOCKERCTL_UNKNOWN)             \
        X("UnknownPosition", LOCKERCTL_UNKNOWN)         \
        X("UnknownParcel", LOCKERCTL_UNKNOWN)           \
        X("UnknownPerson", LOCKERCTL_UNKNOWN)           \
        X("UnknownCredential", LOCKERCTL_UNKNOWN)       \
        X("UnknownSize", LOCKERCTL_UNKNOWN)             \
        X("WrongState", LOCKERCTL_WRONG_STATE)          \
        X("WrongCode", LOCKERCTL_WRONG_SECRET)          \
        X("WrongCredential", LOCKERCTL_WRONG_SECRET)    \
        X("AnotherNeeded", LOCKERCTL_WRONG_SECRET)      \
        X("NoSample", LOCKERCTL_WRONG_SECRET)           \
        X("ReaderFailed", LOCKERCTL_DID_NOT_OPEN)       \
        X("ClaimNeeded", LOCKERCTL_WRONG_SECRET)        \
        X("CodeExpired", LOCKERCTL_WRONG_SECRET)        \
        X("LockedOut", LOCKERCTL_WRONG_SECRET)          \
        X("NoFreePosition", LOCKERCTL_NONE_FREE)        \
        X("NothingToCollect", LOCKERCTL_NONE_FREE)      \
        X("SlotBusy", LOCKERCTL_NONE_FREE)              \
        X("SlotDisabled", LOCKERCTL_NONE_FREE)          \
        X("DidNotOpen", LOCKERCTL_DID_NOT_OPEN)         \
        X("PositionDidNotOpen", LOCKERCTL_DID_NOT_OPEN) \
        X("WrongDoor", LOCKERCTL_DID_NOT_OPEN)          \
        X("BoardOffline", LOCKERCTL_DID_NOT_OPEN)       \
        X("OutcomeUnknown", LOCKERCTL_DID_NOT_OPEN)     \
        X("GraceOver", LOCKERCTL_NONE_FREE)             \
        X("StorageFull", LOCKERCTL_STORAGE_FULL)        \
        X("AlreadyEnrolled", LOCKERCTL_WRONG_STATE)     \
        X("WeakSecret", LOCKERCTL_USAGE)                \
        X("TooManySessions", LOCKERCTL_NONE_FREE)       \
        X("Cancelled", LOCKERCTL_WRONG_STATE)           \
        X("SessionEnded", LOCKERCTL_WRONG_STATE)        \
        X("Busy", LOCKERCTL_NONE_FREE)                  \
        X("Expired", LOCKERCTL_WRONG_STATE)             \
        X("NotFresh", LOCKERCTL_WRONG_STATE)            \
        X("WrongEpoch", LOCKERCTL_WRONG_STATE)          \
        X("WrongEpoch", LOCKERCTL_WRONG_STATE)          \
        X("NotSigned", LOCKERCTL_NOT_ALLOWED)           \
        X("BadSignature", LOCKERCTL_NOT_ALLOWED)        \
        X("UnknownCommand", LOCKERCTL_USAGE)            \
        X("IdReused", LOCKERCTL_WRONG_STATE)            \
        X("Internal", LOCKERCTL_INTERNAL)
