/* SPDX-License-Identifier: Apache-2.0 */
#include "shim.h"

#include <sqlite3.h>
#include <stddef.h>

Fault fault;
static sqlite3_vfs *real_vfs;

typedef struct ShimFile {
        sqlite3_file base;
        sqlite3_file *real;
} ShimFile;

static bool fails(void) {
        if (fault.countdown == 0)
                return false;
        if (fault.countdown > 1) {
                fault.countdown--;
                return false;
        }
        if (!fault.lasting)
                fault.countdown = 0;
        fault.hits++;
        return true;
}

#define REAL(f) (((ShimFile *)(f))->real)

static int shim_close(sqlite3_file *f) {
        return REAL(f)->pMethods ? REAL(f)->pMethods->xClose(REAL(f)) : SQLITE_OK;
}
static int shim_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at_byte) {
        return REAL(f)->pMethods->xRead(REAL(f), to, n, at_byte);
}
static int shim_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at_byte) {
        if (fails()) {
                if (fault.torn)
                        (void)REAL(f)->pMethods->xWrite(REAL(f), from, n / 2, at_byte);
                return fault.error == SQLITE_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
        }
        return REAL(f)->pMethods->xWrite(REAL(f), from, n, at_byte);
}
static int shim_truncate(sqlite3_file *f, sqlite3_int64 size) {
        return fails() ? SQLITE_IOERR_TRUNCATE : REAL(f)->pMethods->xTruncate(REAL(f), size);
}
static int shim_sync(sqlite3_file *f, int flags) {
        fault.syncs++;
        return fails() ? SQLITE_IOERR_FSYNC : REAL(f)->pMethods->xSync(REAL(f), flags);
}
static int shim_size(sqlite3_file *f, sqlite3_int64 *ret) {
        return REAL(f)->pMethods->xFileSize(REAL(f), ret);
}
static int shim_lock(sqlite3_file *f, int level) {
        return REAL(f)->pMethods->xLock(REAL(f), level);
}
static int shim_unlock(sqlite3_file *f, int level) {
        return REAL(f)->pMethods->xUnlock(REAL(f), level);
}
static int shim_check_lock(sqlite3_file *f, int *ret) {
        return REAL(f)->pMethods->xCheckReservedLock(REAL(f), ret);
}
static int shim_control(sqlite3_file *f, int op, void *arg) {
        return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}
static int shim_sector(sqlite3_file *f) {
        return REAL(f)->pMethods->xSectorSize(REAL(f));
}
static int shim_traits(sqlite3_file *f) {
        return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}
static int shim_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret) {
        return extend && fails() ? SQLITE_IOERR_SHMSIZE
                                 : REAL(f)->pMethods->xShmMap(REAL(f), region, size, extend, ret);
}
static int shim_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
        return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}
static void shim_shm_barrier(sqlite3_file *f) {
        REAL(f)->pMethods->xShmBarrier(REAL(f));
}
static int shim_shm_unmap(sqlite3_file *f, int delete_flag) {
        return REAL(f)->pMethods->xShmUnmap(REAL(f), delete_flag);
}

static const sqlite3_io_methods shim_methods = {
        .iVersion = 2,
        .xClose = shim_close,
        .xRead = shim_read,
        .xWrite = shim_write,
        .xTruncate = shim_truncate,
        .xSync = shim_sync,
        .xFileSize = shim_size,
        .xLock = shim_lock,
        .xUnlock = shim_unlock,
        .xCheckReservedLock = shim_check_lock,
        .xFileControl = shim_control,
        .xSectorSize = shim_sector,
        .xDeviceCharacteristics = shim_traits,
        .xShmMap = shim_shm_map,
        .xShmLock = shim_shm_lock,
        .xShmBarrier = shim_shm_barrier,
        .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags) {
        ShimFile *s = (ShimFile *)f;

        s->base.pMethods = NULL;
        s->real = (sqlite3_file *)(s + 1);
        s->real->pMethods = NULL;
        if ((flags & SQLITE_OPEN_CREATE) && fails())
                return SQLITE_CANTOPEN;
        int rc = real_vfs->xOpen(real_vfs, name, s->real, flags, ret_flags);
        if (rc == SQLITE_OK)
                s->base.pMethods = &shim_methods;
        return rc;
}

int install_shim(void **state) {
        static sqlite3_vfs shim;

        real_vfs = sqlite3_vfs_find(NULL);
        shim = *real_vfs;
        shim.zName = "shim";
        shim.szOsFile = (int)sizeof(ShimFile) + real_vfs->szOsFile;
        shim.xOpen = shim_open;
        return sqlite3_vfs_register(&shim, 1);
}
