// Locks of files. Each is first asked for without waiting; what has to wait is asked for by a thread of its own, so
// that it has its place in the kernel's queue and the kernel sees deadlocks. Locks belong to the open file or to the
// process, never to a thread. One fiber's record lock does not keep another fiber of the process out: as with threads.

#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/lasting.h"
#include "monkey/real.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace coir::monkey {

long body::flock(int fd, int operation) {
    long const result = kernel(SYS_flock, fd, operation | LOCK_NB);
    if (result != -EWOULDBLOCK || (operation & LOCK_NB)) return result;
    return lasting([&] { return kernel(SYS_flock, fd, operation); }, "flock");
}

long body::record_lock(int fd, int command, void* lock) {
    long const result = kernel(SYS_fcntl, fd, command == F_SETLKW ? F_SETLK : F_OFD_SETLK, lock);
    if (result != -EAGAIN && result != -EACCES) return result;
    return lasting([&] { return kernel(SYS_fcntl, fd, command, lock); }, "record lock");
}

// In terms of fcntl, as libc's own (io/lockf.c).
long body::lockf(int fd, int command, off_t length) {
    if (command != F_LOCK) return real.lockf(fd, command, length) == 0 ? 0 : -errno;
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_CUR;
    whole.l_len = length;
    return record_lock(fd, F_SETLKW, &whole);
}

} // namespace coir::monkey
