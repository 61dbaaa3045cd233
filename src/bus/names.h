/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the bus, and paths of its objects. */
#pragma once

#define BUS_NAME         "org.lockerd.Locker1"
#define BUS_ROOT         "/org/lockerd/Locker1"
#define BUS_SLOT_ROOT    BUS_ROOT "/slot"
#define BUS_PARCEL_ROOT  BUS_ROOT "/parcel"
#define BUS_SESSION_ROOT BUS_ROOT "/session"
#define BUS_CABINET      BUS_NAME ".Cabinet"
#define BUS_SLOT         BUS_NAME ".Slot"
#define BUS_PARCEL       BUS_NAME ".Parcel"
#define BUS_SESSION      BUS_NAME ".Session"
#define BUS_ERROR_PREFIX BUS_NAME ".Error."
#define BUS_PATH_MAX     (sizeof(BUS_SESSION_ROOT) + 24) /* a parcel's or session's path */
