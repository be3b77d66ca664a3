/* Records what a process does to the files below one directory, and when it says what.
 *
 * Loaded with LD_PRELOAD into the unchanged product. Each call that changes a file or a directory
 * entry, each sync, each line on standard output and each send on a socket is made and written
 * down under one lock, which the processes of a run share, so that the order in the trace is the
 * order in which the kernel got them. A call that this recorder does not know how to write down
 * makes the trace unsound, which the reader refuses.
 *
 * SQLite's `-shm` files are left out: they are shared memory, not durable state.
 *
 *   RECORDER_ROOT   the directory
 *   RECORDER_TRACE  the trace, which is appended to
 *
 * A record is: kind (1), a (8), b (8), length of x (4), length of y (4), x, y; little-endian. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int trace = -1;
static char root[PATH_MAX];
static size_t root_length;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void lock(void) {
  int saved = errno;
  pthread_mutex_lock(&mutex);
  while (flock(trace, LOCK_EX) != 0 && errno == EINTR) {
  }
  errno = saved;
}

static void unlock(void) {
  int saved = errno;
  flock(trace, LOCK_UN);
  pthread_mutex_unlock(&mutex);
  errno = saved;
}

static void note(char kind, uint64_t a, uint64_t b, const void *x, size_t x_length, const void *y,
                 size_t y_length) {
  int saved = errno;
  char head[25];
  uint32_t lengths[2] = {(uint32_t)x_length, (uint32_t)y_length};
  head[0] = kind;
  memcpy(head + 1, &a, 8);
  memcpy(head + 9, &b, 8);
  memcpy(head + 17, lengths, 8);
  struct iovec parts[3] = {{head, sizeof head}, {(void *)x, x_length}, {(void *)y, y_length}};
  ssize_t length = (ssize_t)(sizeof head + x_length + y_length);
  if (syscall(SYS_writev, trace, parts, 3) != length) {
    /* Better no run than a run with a hole in its record. */
    _exit(97);
  }
  errno = saved;
}

static void unsound(const char *why) { note('X', 0, 0, why, strlen(why), NULL, 0); }

static int ends_with(const char *text, const char *end) {
  size_t length = strlen(text), end_length = strlen(end);
  return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* The part of an absolute path below the root; NULL where it is elsewhere or left out. */
static const char *below_root(const char *path) {
  if (root_length == 0 || strncmp(path, root, root_length) != 0) return NULL;
  if (path[root_length] == 0) return "";
  if (path[root_length] != '/' || ends_with(path, "-shm")) return NULL;
  return path + root_length + 1;
}

/* Finds out which path below the root is meant; `into` has room for PATH_MAX. */
static const char *named(int dir, const char *path, char *into) {
  char joined[2 * PATH_MAX], parent[PATH_MAX];
  if (trace < 0) return NULL;
  if (path[0] == '/') {
    snprintf(joined, sizeof joined, "%s", path);
  } else {
    char link[64], base[PATH_MAX];
    if (dir == AT_FDCWD) {
      if (getcwd(base, sizeof base) == NULL) return NULL;
    } else {
      snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
      ssize_t length = readlink(link, base, sizeof base - 1);
      if (length < 0) return NULL;
      base[length] = 0;
    }
    snprintf(joined, sizeof joined, "%s/%s", base, path);
  }
  size_t length = strlen(joined);
  while (length > 1 && joined[length - 1] == '/') joined[--length] = 0;
  char *slash = strrchr(joined, '/');
  char *last = slash + 1;
  if (slash == joined) return NULL;
  *slash = 0;
  if (realpath(joined, parent) == NULL) return NULL;
  if (snprintf(into, PATH_MAX, "%s/%s", parent, last) >= PATH_MAX) return NULL;
  return below_root(into);
}

/* What an open file is. */
struct what {
  enum { OTHER, TRACKED, STDOUT, SOCKET } kind;
  uint64_t id; /* inode, or own port and peer's port */
  uint64_t size;
};

static struct what what_is(int fd) {
  struct what what = {OTHER, 0, 0};
  struct stat meta;
  char link[64], path[PATH_MAX];
  int saved = errno;
  if (trace < 0 || fd < 0 || fd == 2 || fd == trace || fstat(fd, &meta) != 0) {
    errno = saved;
    return what;
  }
  if (S_ISSOCK(meta.st_mode)) {
    struct sockaddr_in peer, own;
    socklen_t length = sizeof peer, own_length = sizeof own;
    if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && peer.sin_family == AF_INET &&
        getsockname(fd, (struct sockaddr *)&own, &own_length) == 0) {
      what.kind = SOCKET;
      what.id = (uint64_t)ntohs(own.sin_port) << 16 | ntohs(peer.sin_port);
    }
  } else if (fd == 1) {
    what.kind = STDOUT;
  } else if (S_ISREG(meta.st_mode) || S_ISDIR(meta.st_mode)) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0) {
      path[length] = 0;
      if (ends_with(path, " (deleted)")) path[length - 10] = 0;
      if (below_root(path) != NULL) {
        what.kind = TRACKED;
        what.id = meta.st_ino;
        what.size = (uint64_t)meta.st_size;
      }
    }
  }
  errno = saved;
  return what;
}

__attribute__((constructor)) static void begin(void) {
  const char *root_path = getenv("RECORDER_ROOT"), *trace_path = getenv("RECORDER_TRACE");
  struct stat meta;
  if (root_path == NULL || trace_path == NULL || realpath(root_path, root) == NULL) return;
  root_length = strlen(root);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, trace_path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
  if (fd < 0 || stat(root, &meta) != 0) _exit(97);
  /* Out of the way of programs that look at how many files are open. */
  trace = fcntl(fd, F_DUPFD_CLOEXEC, 900);
  if (trace < 0) _exit(97);
  syscall(SYS_close, fd);
  lock();
  note('B', meta.st_ino, (uint64_t)getpid(), NULL, 0, NULL, 0);
  unlock();
}

static int do_open(int dir, const char *path, int flags, mode_t mode) {
  char full[PATH_MAX];
  const char *name = NULL;
  if (flags & (O_CREAT | O_TRUNC) || (flags & O_TMPFILE) == O_TMPFILE) name = named(dir, path, full);
  if (name == NULL) return (int)syscall(SYS_openat, dir, path, flags | O_LARGEFILE, mode);
  lock();
  if ((flags & O_TMPFILE) == O_TMPFILE) unsound("O_TMPFILE");
  struct stat meta;
  int existed = fstatat(dir, path, &meta, 0) == 0;
  int fd = (int)syscall(SYS_openat, dir, path, flags | O_LARGEFILE, mode);
  int saved = errno;
  if (fd >= 0 && fstat(fd, &meta) == 0) {
    if (!existed) {
      note('C', meta.st_ino, 0, name, strlen(name), NULL, 0);
    } else if (flags & O_TRUNC) {
      note('T', meta.st_ino, 0, NULL, 0, NULL, 0);
    }
  }
  errno = saved;
  unlock();
  return fd;
}

#define MODE_OF(flags, mode)                                   \
  mode_t mode = 0;                                             \
  if ((flags) & (O_CREAT | O_TMPFILE)) {                       \
    va_list rest;                                              \
    va_start(rest, flags);                                     \
    mode = (mode_t)va_arg(rest, int);                          \
    va_end(rest);                                              \
  }

int open(const char *path, int flags, ...) {
  MODE_OF(flags, mode)
  return do_open(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  MODE_OF(flags, mode)
  return do_open(AT_FDCWD, path, flags, mode);
}
int openat(int dir, const char *path, int flags, ...) {
  MODE_OF(flags, mode)
  return do_open(dir, path, flags, mode);
}
int openat64(int dir, const char *path, int flags, ...) {
  MODE_OF(flags, mode)
  return do_open(dir, path, flags, mode);
}
int creat(const char *path, mode_t mode) {
  return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* Notes down `length` bytes of `parts`, as written at `offset`. */
static void note_written(struct what what, const struct iovec *parts, int count, uint64_t offset,
                         size_t length) {
  for (int i = 0; i < count && length > 0; i++) {
    size_t piece = parts[i].iov_len < length ? parts[i].iov_len : length;
    if (what.kind == TRACKED) note('W', what.id, offset, parts[i].iov_base, piece, NULL, 0);
    if (what.kind == STDOUT) note('M', (uint64_t)getpid(), 0, parts[i].iov_base, piece, NULL, 0);
    offset += piece;
    length -= piece;
  }
}

/* offset < 0: where the file stands. */
static ssize_t do_write(int fd, const struct iovec *parts, int count, off_t offset) {
  struct what what = what_is(fd);
  if (what.kind == OTHER) {
    return offset < 0 ? syscall(SYS_writev, fd, parts, count)
                      : syscall(SYS_pwritev, fd, parts, count, offset, 0);
  }
  lock();
  uint64_t at = (uint64_t)offset;
  if (what.kind == TRACKED) {
    struct stat meta;
    if (fcntl(fd, F_GETFL) & O_APPEND) {
      at = fstat(fd, &meta) == 0 ? (uint64_t)meta.st_size : 0;
    } else if (offset < 0) {
      at = (uint64_t)lseek(fd, 0, SEEK_CUR);
    }
  }
  ssize_t written = offset < 0 ? syscall(SYS_writev, fd, parts, count)
                               : syscall(SYS_pwritev, fd, parts, count, offset, 0);
  if (written > 0) {
    if (what.kind == SOCKET) {
      note('N', what.id, (uint64_t)written, NULL, 0, NULL, 0);
    } else {
      note_written(what, parts, count, at, (size_t)written);
    }
  }
  unlock();
  return written;
}

ssize_t write(int fd, const void *bytes, size_t length) {
  struct iovec part = {(void *)bytes, length};
  return do_write(fd, &part, 1, -1);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  return do_write(fd, parts, count, -1);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
  struct iovec part = {(void *)bytes, length};
  return do_write(fd, &part, 1, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
  return pwrite(fd, bytes, length, offset);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  return do_write(fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  return do_write(fd, parts, count, offset);
}

static ssize_t sent(struct what what, ssize_t result) {
  if (what.kind == SOCKET) {
    if (result > 0) note('N', what.id, (uint64_t)result, NULL, 0, NULL, 0);
    unlock();
  }
  return result;
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
  struct what what = what_is(fd);
  if (what.kind == SOCKET) lock();
  return sent(what, syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0));
}
ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to,
               socklen_t to_length) {
  struct what what = what_is(fd);
  if (what.kind == SOCKET) lock();
  return sent(what, syscall(SYS_sendto, fd, bytes, length, flags, to, to_length));
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  struct what what = what_is(fd);
  if (what.kind == SOCKET) lock();
  return sent(what, syscall(SYS_sendmsg, fd, message, flags));
}

static int accepted(int fd) {
  struct what what = what_is(fd);
  if (what.kind == SOCKET) {
    lock();
    note('A', what.id, 0, NULL, 0, NULL, 0);
    unlock();
  }
  return fd;
}
int accept4(int fd, struct sockaddr *from, socklen_t *length, int flags) {
  return accepted((int)syscall(SYS_accept4, fd, from, length, flags));
}
int accept(int fd, struct sockaddr *from, socklen_t *length) {
  return accept4(fd, from, length, 0);
}

static int set_length(int fd, off_t length) {
  struct what what = what_is(fd);
  if (what.kind != TRACKED) return (int)syscall(SYS_ftruncate, fd, length);
  lock();
  int result = (int)syscall(SYS_ftruncate, fd, length);
  if (result == 0) note('T', what.id, (uint64_t)length, NULL, 0, NULL, 0);
  unlock();
  return result;
}
int ftruncate(int fd, off_t length) { return set_length(fd, length); }
int ftruncate64(int fd, off64_t length) { return set_length(fd, length); }

static int do_sync(int fd, long call) {
  struct what what = what_is(fd);
  if (what.kind != TRACKED) return (int)syscall(call, fd);
  lock();
  int result = (int)syscall(call, fd);
  if (result == 0) note('S', what.id, 0, NULL, 0, NULL, 0);
  unlock();
  return result;
}
int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

/* Calls that change names. `kind` is 0 where there is nothing to write down. */
static int name_change(char kind, int dir, const char *path, int to_dir, const char *to, long result_of,
                       unsigned flags, mode_t mode) {
  char full[PATH_MAX], to_full[PATH_MAX];
  const char *name = named(dir, path, full);
  const char *to_name = to == NULL ? NULL : named(to_dir, to, to_full);
  int known = name != NULL || to_name != NULL;
  if (known) lock();
  int result;
  switch (kind) {
    case 'R': result = (int)syscall(result_of, dir, path, to_dir, to, flags); break;
    case 'L': result = (int)syscall(result_of, dir, path, to_dir, to, (int)flags); break;
    case 'K': result = (int)syscall(result_of, dir, path, mode); break;
    default: result = (int)syscall(result_of, dir, path, (int)flags); break;
  }
  int saved = errno;
  if (known && result == 0) {
    struct stat meta;
    uint64_t inode = 0;
    if (kind == 'K' && fstatat(dir, path, &meta, 0) == 0) inode = meta.st_ino;
    if (name == NULL || (to != NULL && to_name == NULL)) {
      unsound("a name crosses the root");
    } else if (kind == 'R' && flags & ~(unsigned)RENAME_NOREPLACE) {
      unsound("renameat2 with flags");
    } else {
      note(kind, inode, 0, name, strlen(name), to_name, to_name == NULL ? 0 : strlen(to_name));
    }
  }
  errno = saved;
  if (known) unlock();
  return result;
}

int rename(const char *from, const char *to) {
  return name_change('R', AT_FDCWD, from, AT_FDCWD, to, SYS_renameat2, 0, 0);
}
int renameat(int from_dir, const char *from, int to_dir, const char *to) {
  return name_change('R', from_dir, from, to_dir, to, SYS_renameat2, 0, 0);
}
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
  return name_change('R', from_dir, from, to_dir, to, SYS_renameat2, flags, 0);
}
int link(const char *from, const char *to) {
  return name_change('L', AT_FDCWD, from, AT_FDCWD, to, SYS_linkat, 0, 0);
}
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  return name_change('L', from_dir, from, to_dir, to, SYS_linkat, (unsigned)flags, 0);
}
int mkdir(const char *path, mode_t mode) {
  return name_change('K', AT_FDCWD, path, 0, NULL, SYS_mkdirat, 0, mode);
}
int mkdirat(int dir, const char *path, mode_t mode) {
  return name_change('K', dir, path, 0, NULL, SYS_mkdirat, 0, mode);
}
int unlink(const char *path) {
  return name_change('U', AT_FDCWD, path, 0, NULL, SYS_unlinkat, 0, 0);
}
int rmdir(const char *path) {
  return name_change('U', AT_FDCWD, path, 0, NULL, SYS_unlinkat, AT_REMOVEDIR, 0);
}
int unlinkat(int dir, const char *path, int flags) {
  return name_change('U', dir, path, 0, NULL, SYS_unlinkat, (unsigned)flags, 0);
}

/* What nothing in the product does; should it begin to, the trace says so. */
#define REFUSED_FD(name, fd, call, ...)        \
  do {                                         \
    if (what_is(fd).kind == TRACKED) {         \
      lock();                                  \
      unsound(name);                           \
      unlock();                                \
    }                                          \
    return syscall(call, __VA_ARGS__);         \
  } while (0)

int fallocate(int fd, int mode, off_t offset, off_t length) {
  REFUSED_FD("fallocate", fd, SYS_fallocate, fd, mode, offset, length);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  REFUSED_FD("fallocate", fd, SYS_fallocate, fd, mode, offset, length);
}
int posix_fallocate(int fd, off_t offset, off_t length) {
  REFUSED_FD("posix_fallocate", fd, SYS_fallocate, fd, 0, offset, length);
}
int posix_fallocate64(int fd, off64_t offset, off64_t length) {
  REFUSED_FD("posix_fallocate", fd, SYS_fallocate, fd, 0, offset, length);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t length) {
  REFUSED_FD("sendfile", to, SYS_sendfile, to, from, offset, length);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t length) {
  REFUSED_FD("sendfile", to, SYS_sendfile, to, from, offset, length);
}
ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *to_at, size_t length, unsigned flags) {
  REFUSED_FD("copy_file_range", to, SYS_copy_file_range, from, at, to, to_at, length, flags);
}
ssize_t splice(int from, off64_t *at, int to, off64_t *to_at, size_t length, unsigned flags) {
  REFUSED_FD("splice", to, SYS_splice, from, at, to, to_at, length, flags);
}
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) {
  REFUSED_FD("sync_file_range", fd, SYS_sync_file_range, fd, offset, length, flags);
}
int syncfs(int fd) { REFUSED_FD("syncfs", fd, SYS_syncfs, fd); }
int truncate(const char *path, off_t length) {
  char full[PATH_MAX];
  if (named(AT_FDCWD, path, full) != NULL) {
    lock();
    unsound("truncate");
    unlock();
  }
  return (int)syscall(SYS_truncate, path, length);
}
int truncate64(const char *path, off64_t length) { return truncate(path, length); }
int symlink(const char *target, const char *path) {
  char full[PATH_MAX];
  if (named(AT_FDCWD, path, full) != NULL) {
    lock();
    unsound("symlink");
    unlock();
  }
  return (int)syscall(SYS_symlinkat, target, AT_FDCWD, path);
}

static void *map(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
  if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE) && what_is(fd).kind == TRACKED) {
    lock();
    unsound("a file is written through memory");
    unlock();
  }
  return (void *)syscall(SYS_mmap, at, length, protection, flags, fd, offset);
}
void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
  return map(at, length, protection, flags, fd, offset);
}
void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t offset) {
  return map(at, length, protection, flags, fd, offset);
}
