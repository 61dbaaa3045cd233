/* SPDX-License-Identifier: Apache-2.0 */
/* The negative control of the power cuts: in a program that has this loaded nothing is ever made durable. The
 * judge must object. */

#include <sys/types.h>

int fsync(int fd);
int fdatasync(int fd);
int sync_file_range(int fd, off_t offset, off_t bytes, unsigned flags);

int fsync(int fd) {
        (void)fd;
        return 0;
}

int fdatasync(int fd) {
        (void)fd;
        return 0;
}

int sync_file_range(int fd, off_t offset, off_t bytes, unsigned flags) {
        (void)fd, (void)offset, (void)bytes, (void)flags;
        return 0;
}
