// A disk that tells what was written to it, and fails when told. Loaded with LD_PRELOAD.
//
// DISK_DIR    the folder that is watched
// DISK_TRACE  the file that gets a record of each change: type, file, offset, length (u32, u32, u64,
//             u64, little-endian), and then as many bytes as the length says
// DISK_MARKS  a file: a line written to it is a mark in the trace, for what was promised by then
// DISK_FAULT  operation:n:error:times, such as `fsync:3:EIO:once` or `write:20:short:always`
//
// The operation and its record are one step under a lock, so that the trace has their real order.
// Changes through mapped memory are not seen: SQLite maps only its index of the write-ahead log,
// which it makes anew after a crash.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { EXIST = 1, CREATE, MKDIR, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MARK, SYNC_FAILED };

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char dir[PATH_MAX], marks[PATH_MAX];
static size_t dir_length;
static int trace = -1;
static ino_t marks_ino;

#define MOST 65536
static struct { dev_t dev; ino_t ino; uint32_t id; } files[MOST];
static uint32_t file_count, next_id = 1;

static struct { char op[16]; long n; char error[16]; int always; long seen; } fault;

static ssize_t raw_write(int fd, const void *data, size_t length) {
  return syscall(SYS_write, fd, data, length);
}

__attribute__((constructor)) static void start(void) {
  const char *watched = getenv("DISK_DIR"), *to = getenv("DISK_TRACE"), *mark = getenv("DISK_MARKS");
  const char *failing = getenv("DISK_FAULT");
  if (!watched) return;
  snprintf(dir, sizeof dir, "%s", watched);
  dir_length = strlen(dir);
  if (mark) snprintf(marks, sizeof marks, "%s", mark);
  if (to) trace = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (failing) {
    char times[16] = "";
    sscanf(failing, "%15[^:]:%ld:%15[^:]:%15s", fault.op, &fault.n, fault.error, times);
    fault.always = strcmp(times, "always") == 0;
  }
}

static void record(uint32_t type, uint32_t id, uint64_t offset, const void *data, uint64_t length) {
  if (trace < 0) return;
  struct __attribute__((packed)) { uint32_t type, id; uint64_t offset, length; } head = {type, id, offset, length};
  // One write, since the test adds marks of its own to the same file.
  struct iovec parts[] = {{&head, sizeof head}, {(void *)data, length}};
  syscall(SYS_writev, trace, parts, 2);
}

static int watches(const char *path) {
  return dir_length && strncmp(path, dir, dir_length) == 0 && (path[dir_length] == '/' || !path[dir_length]);
}

// The path below the folder, or NULL. Relative paths are not watched: data directories are absolute.
static const char *below(const char *path) {
  if (!path || !watches(path)) return NULL;
  size_t length = strlen(path);
  if (length > 4 && strcmp(path + length - 4, "-shm") == 0) return NULL;
  return path[dir_length] ? path + dir_length + 1 : ".";
}

static uint32_t id_of(const struct stat *found) {
  for (uint32_t at = file_count; at-- > 0;)
    if (files[at].ino == found->st_ino && files[at].dev == found->st_dev) return files[at].id;
  return 0;
}

static uint32_t learn(const struct stat *found) {
  if (file_count == MOST) abort();
  files[file_count].dev = found->st_dev;
  files[file_count].ino = found->st_ino;
  files[file_count].id = next_id;
  file_count++;
  return next_id++;
}

static uint32_t id_of_fd(int fd, struct stat *found) {
  if (!dir_length) return 0;
  int kept = errno;
  uint32_t id = fstat(fd, found) == 0 ? id_of(found) : 0;
  errno = kept;
  return id;
}

// Whether this operation fails: 0, an error, or -1 for a short write.
static int fails(const char *op) {
  if (!fault.n || strcmp(fault.op, op) != 0) return 0;
  long seen = ++fault.seen;
  if (fault.always ? seen < fault.n : seen != fault.n) return 0;
  if (strcmp(fault.error, "short") == 0) return -1;
  return strcmp(fault.error, "ENOSPC") == 0 ? ENOSPC : EIO;
}

static int opened(int at, const char *path, int flags, mode_t mode) {
  const char *name = at == AT_FDCWD || (path && path[0] == '/') ? below(path) : NULL;
  if (!name) {
    int fd = syscall(SYS_openat, at, path, flags, mode);
    struct stat found;
    if (fd >= 0 && marks[0] && strcmp(path, marks) == 0 && fstat(fd, &found) == 0) marks_ino = found.st_ino;
    return fd;
  }
  pthread_mutex_lock(&lock);
  struct stat before, after;
  int was = lstat(path, &before) == 0;
  errno = 0;
  int error = !was && (flags & O_CREAT) ? fails("create") : 0;
  int fd = error > 0 ? (errno = error, -1) : (int)syscall(SYS_openat, at, path, flags, mode);
  int kept = errno;
  if (fd >= 0 && fstat(fd, &after) == 0) {
    uint32_t id = was ? id_of(&after) : 0;
    if (!id) record(was ? EXIST : CREATE, id = learn(&after), S_ISDIR(after.st_mode), name, strlen(name));
    if (was && (flags & O_TRUNC)) record(TRUNCATE, id, 0, NULL, 0);
  }
  errno = kept;
  pthread_mutex_unlock(&lock);
  return fd;
}

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags | O_LARGEFILE, mode); }

// `offset` < 0: where the file stands.
static ssize_t written(int fd, const void *data, size_t length, off_t offset) {
  struct stat found;
  if (dir_length && marks_ino && fstat(fd, &found) == 0 && found.st_ino == marks_ino) {
    pthread_mutex_lock(&lock);
    record(MARK, 0, 0, data, length);
    pthread_mutex_unlock(&lock);
    return length;
  }
  uint32_t id = id_of_fd(fd, &found);
  if (!id) return offset < 0 ? raw_write(fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
  pthread_mutex_lock(&lock);
  int error = fails("write");
  if (error == -1) length = length > 1 ? length / 2 : length;
  ssize_t done = -1;
  if (error > 0) {
    errno = error;
  } else {
    off_t at = offset;
    if (offset < 0) at = fcntl(fd, F_GETFL) & O_APPEND ? found.st_size : lseek(fd, 0, SEEK_CUR);
    done = offset < 0 ? raw_write(fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
    int kept = errno;
    if (done > 0) record(WRITE, id, at, data, done);
    errno = kept;
  }
  pthread_mutex_unlock(&lock);
  return done;
}

ssize_t write(int fd, const void *data, size_t length) { return written(fd, data, length, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return written(fd, data, length, offset); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return written(fd, data, length, offset); }
ssize_t writev(int fd, const struct iovec *parts, int count) {
  struct stat found;
  if (!id_of_fd(fd, &found)) return syscall(SYS_writev, fd, parts, count);
  // A short write is allowed: the caller goes on with the rest.
  return count > 0 ? written(fd, parts[0].iov_base, parts[0].iov_len, -1) : 0;
}

static int truncated(int fd, off_t length) {
  struct stat found;
  uint32_t id = id_of_fd(fd, &found);
  pthread_mutex_lock(&lock);
  int error = id ? fails("write") : 0;
  int done = error > 0 ? (errno = error, -1) : (int)syscall(SYS_ftruncate, fd, length);
  if (id && done == 0) record(TRUNCATE, id, length, NULL, 0);
  pthread_mutex_unlock(&lock);
  return done;
}
int ftruncate(int fd, off_t length) { return truncated(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncated(fd, length); }

// Nothing is synced in truth: the trace alone says what is on the disk.
static int synced(int fd, int call) {
  struct stat found;
  uint32_t id = id_of_fd(fd, &found);
  if (!id) return syscall(call, fd);
  pthread_mutex_lock(&lock);
  int error = fails("fsync");
  record(error ? SYNC_FAILED : SYNC, id, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  if (!error) return 0;
  errno = error > 0 ? error : EIO;
  return -1;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int renamed(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
  const char *old = below(from), *new = below(to);
  pthread_mutex_lock(&lock);
  int done = syscall(SYS_renameat2, from_at, from, to_at, to, flags);
  int kept = errno;
  if (done == 0 && old && new) {
    char both[2 * PATH_MAX + 2];
    int length = snprintf(both, sizeof both, "%s\n%s", old, new);
    record(RENAME, 0, 0, both, length);
  }
  errno = kept;
  pthread_mutex_unlock(&lock);
  return done;
}
int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return renamed(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return renamed(a, from, b, to, flags); }

static int removed(int at, const char *path, int flags) {
  const char *name = below(path);
  pthread_mutex_lock(&lock);
  struct stat found;
  int there = name && lstat(path, &found) == 0;
  int done = syscall(SYS_unlinkat, at, path, flags);
  int kept = errno;
  if (done == 0 && there) {
    record(UNLINK, 0, 0, name, strlen(name));
    // The number of its inode may be given to another file.
    for (uint32_t each = 0; each < file_count; each++)
      if (files[each].ino == found.st_ino && files[each].dev == found.st_dev) files[each].ino = 0;
  }
  errno = kept;
  pthread_mutex_unlock(&lock);
  return done;
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return removed(at, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdir(const char *path, mode_t mode) {
  const char *name = below(path);
  pthread_mutex_lock(&lock);
  int done = syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  int kept = errno;
  struct stat found;
  if (done == 0 && name && lstat(path, &found) == 0) record(MKDIR, learn(&found), 1, name, strlen(name));
  errno = kept;
  pthread_mutex_unlock(&lock);
  return done;
}
