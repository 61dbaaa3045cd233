/* SPDX-License-Identifier: Apache-2.0 */
/* Every refusal, in one table: positive codes that callers must handle, with the D-Bus error name
 * (org.lockerd.Locker1.Error.<Name>), the exit status of lockerctl and the sentence for the user. A fault
 * is a negative errno instead and is not listed here. */
#pragma once

#include "base/macros.h"

/* clang-format off */
/*        constant              D-Bus name           exit  sentence */
#define REFUSALS(X)                                                                                          \
        X(INVALID_ARGUMENT, "InvalidArgument", 2, "The request is not well-formed.")                         \
        X(ACCESS_DENIED, "AccessDenied", 4, "This program may not do that; its user must be in another group.") \
        X(NOT_AUTHENTICATED, "NotAuthenticated", 4, "Please identify yourself first.")                       \
        X(NOT_ALLOWED, "NotAllowed", 4, "This person may not do that.")                                      \
        X(UNKNOWN_SLOT, "UnknownSlot", 3, "There is no such slot in this cabinet.")                          \
        X(UNKNOWN_POSITION, "UnknownPosition", 3, "The slot has no such position.")                          \
        X(UNKNOWN_PARCEL, "UnknownParcel", 3, "There is no such parcel in this cabinet.")                    \
        X(UNKNOWN_PERSON, "UnknownPerson", 3, "There is no such person.")                                    \
        X(UNKNOWN_CREDENTIAL, "UnknownCredential", 3, "This person has no such credential.")                 \
        X(UNKNOWN_SIZE, "UnknownSize", 3, "This cabinet has no such size.")                                  \
        X(WRONG_STATE, "WrongState", 5, "That cannot be done now.")                                          \
        X(WRONG_CODE, "WrongCode", 6, "This code is wrong.")                                             \
        X(WRONG_CREDENTIAL, "WrongCredential", 6, "Number or phone, or what was shown for it, is wrong.")                                      \
        X(ANOTHER_NEEDED, "AnotherNeeded", 6, "That is not enough by itself. Please also show another credential of yours.") \
        X(NO_SAMPLE, "NoSample", 6, "Nothing could be read. Please try again.")                              \
        X(READER_FAILED, "ReaderFailed", 8, "The reader does not work. Please use another way.")             \
        X(CLAIM_NEEDED, "ClaimNeeded", 6, "Please also give the slot or the last digits of the phone number.") \
        X(CODE_EXPIRED, "CodeExpired", 6, "This code is no longer valid. Please ask the courier for a new one.") \
        X(LOCKED_OUT, "LockedOut", 6, "Too many failed attempts. Please wait, or ask the courier to lift the lockout.") \
        X(NO_FREE_POSITION, "NoFreePosition", 7, "No fitting position is free.")                             \
        X(NOTHING_TO_COLLECT, "NothingToCollect", 7, "There is nothing to collect.")                         \
        X(SLOT_BUSY, "SlotBusy", 7, "This slot is in use by another person. Please wait until its door is closed.") \
        X(SLOT_DISABLED, "SlotDisabled", 7, "This slot is out of service.")                                  \
        X(DID_NOT_OPEN, "DidNotOpen", 8, "The door did not open.")                                           \
        X(POSITION_DID_NOT_OPEN, "PositionDidNotOpen", 8, "The position inside did not unlock.")             \
        X(WRONG_DOOR, "WrongDoor", 8, "Another door opened instead. Please close it without taking anything out, and call the operator.") \
        X(BOARD_OFFLINE, "BoardOffline", 8, "The lock board does not respond.")                               \
        X(OUTCOME_UNKNOWN, "OutcomeUnknown", 8, "It is not known whether the door opened.")        \
        X(GRACE_OVER, "GraceOver", 7, "The time to open the door again is over.")                            \
        X(STORAGE_FULL, "StorageFull", 9, "The cabinet's storage is full: no deposits, collecting still works.") \
        X(ALREADY_ENROLLED, "AlreadyEnrolled", 5, "This number is already enrolled.")                        \
        X(WEAK_SECRET, "WeakSecret", 2, "This is too short or too simple: others would find it.")                   \
        X(TOO_MANY_SESSIONS, "TooManySessions", 7, "Too many sessions are open.")                            \
        X(CANCELLED, "Cancelled", 5, "It was cancelled.")                                                    \
        X(SESSION_ENDED, "SessionEnded", 5, "This session has ended.")                                       \
        X(BUSY, "Busy", 7, "The last request is still being executed.")                                   \
        X(EXPIRED, "Expired", 5, "The command came too late and was not executed.")                        \
        X(WRONG_EPOCH, "WrongEpoch", 5, "The command is not for the ledger that this cabinet has now.")      \
        X(NOT_FRESH, "NotFresh", 5, "The cabinet cannot tell whether this command has expired. Please send it again with the nonce of the cabinet's state.") \
        X(NOT_SIGNED, "NotSigned", 4, "This command must be signed.")                        \
        X(BAD_SIGNATURE, "BadSignature", 4, "The signature is invalid, or its key is not known here.")     \
        X(UNKNOWN_COMMAND, "UnknownCommand", 2, "This cabinet knows no such command.")                       \
        X(ID_REUSED, "IdReused", 5, "This id was used for another command, or with other arguments.")        \
        X(INTERNAL, "Internal", 10, "There is a fault inside the cabinet; it has been logged for the operator.")

typedef enum Refusal {
        REFUSAL_NONE = 0,
#define X(constant, name, status, sentence) LOCKER_E_##constant,
        REFUSALS(X)
#undef X
        REFUSAL_MAX,
} Refusal;
/* clang-format on */

const char *refusal_name(Refusal r);     /* "WrongCode"; "None" for REFUSAL_NONE */
const char *refusal_sentence(Refusal r); /* for the user */
int refusal_exit_status(Refusal r);      /* 0 for REFUSAL_NONE */
/* What a use case returned: a refusal, or an -errno. */
Refusal refusal_of(int result);
/* For the user, where an -errno says more than the sentence of its refusal; else NULL. */
const char *refusal_why(int result);
