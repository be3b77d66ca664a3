/* Gives every lock on a file to whoever asks.
 *
 * Loaded with LD_PRELOAD into the unchanged product, which is then an agent that does not care who
 * else has its home: neither its own lock nor SQLite's keeps it out. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

int flock(int file, int operation) {
    (void)file;
    (void)operation;
    return 0;
}

int fcntl(int file, int command, ...) {
    va_list list;
    va_start(list, command);
    void *with = va_arg(list, void *);
    va_end(list);
    if (command == F_SETLK || command == F_SETLKW) {
        return 0;
    }
    return (int)syscall(SYS_fcntl, file, command, with);
}

int fcntl64(int file, int command, ...) __attribute__((alias("fcntl")));
