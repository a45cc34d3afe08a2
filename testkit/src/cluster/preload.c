/* Loaded into PostgreSQL with LD_PRELOAD: makes its syncs fail, its disk full and its clock wrong on request.
 *
 * The instructions are in a small file that all processes of the server map; faults.rs writes to it while they run.
 * If the variable that names the file is not set, nothing is changed. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The same offsets as in faults.rs. */
struct faults {
    int64_t clock_offset_us;  /* added to the time of day */
    int32_t wal_syncs_to_fail;
    int32_t data_syncs_to_fail;
    int32_t wal_is_full;      /* no new WAL segment can be filled */
};

static volatile struct faults *faults;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("APEX_TEST_STORAGE_FAULTS");
    if (path == NULL) {
        return;
    }
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *mapped = file < 0 ? MAP_FAILED
                            : mmap(NULL, sizeof(struct faults), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) {
        perror("APEX_TEST_STORAGE_FAULTS");
        abort();
    }
    close(file);
    faults = mapped;
}

static int is_file_of(int fd, const char *folder) {
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) {
        return 0;
    }
    path[length] = 0;
    return strstr(path, folder) != NULL;
}

/* Consumes one of the remaining failures; 0 if none remain. */
static int take_failure(volatile int32_t *remaining) {
    int32_t now = *remaining;
    while (now > 0) {
        if (__atomic_compare_exchange_n(remaining, &now, now - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            return 1;
        }
    }
    return 0;
}

static int sync_fails(int fd) {
    if (faults == NULL || (faults->wal_syncs_to_fail <= 0 && faults->data_syncs_to_fail <= 0)) {
        return 0;
    }
    if ((is_file_of(fd, "/pg_wal/") && take_failure(&faults->wal_syncs_to_fail)) ||
        (is_file_of(fd, "/base/") && take_failure(&faults->data_syncs_to_fail))) {
        errno = EIO;
        return 1;
    }
    return 0;
}

int fsync(int fd) {
    return sync_fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    return sync_fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned flags) {
    return sync_fails(fd) ? -1 : (int)syscall(SYS_sync_file_range, fd, offset, bytes, flags);
}

/* PostgreSQL fills a new WAL segment under this name, and renames it afterwards. */
static int is_full(int fd) {
    if (faults == NULL || !faults->wal_is_full || !is_file_of(fd, "/pg_wal/xlogtemp")) {
        return 0;
    }
    errno = ENOSPC;
    return 1;
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t offset) {
    return is_full(fd) ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, from, bytes, offset);
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t offset) {
    return pwrite(fd, from, bytes, offset);
}

ssize_t pwritev(int fd, const struct iovec *from, int count, off_t offset) {
    return is_full(fd) ? -1 : (ssize_t)syscall(SYS_pwritev, fd, from, count, offset, (off_t)0);
}

ssize_t pwritev64(int fd, const struct iovec *from, int count, off64_t offset) {
    return pwritev(fd, from, count, offset);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && faults != NULL) {
        int64_t us = (int64_t)now->tv_sec * 1000000 + now->tv_nsec / 1000 + faults->clock_offset_us;
        now->tv_nsec = (us % 1000000) * 1000 + now->tv_nsec % 1000;
        now->tv_sec = us / 1000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return result;
}

time_t time(time_t *copy) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (copy != NULL) {
        *copy = precise.tv_sec;
    }
    return precise.tv_sec;
}
