// What each call does when a fiber makes it: declared here from the table, defined in the file that the table's section
// names. A body without a row does not compile, a row without a body does not link.
//
// Bodies speak the kernel's convention (a result, or -errno) and make their system calls through kernel.h. They run on
// the calling fiber and may park it; they never leave with an exception.
#pragma once

#include <aio.h>
#include <csignal>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <cwchar>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <resolv.h>
#include <semaphore.h>
#include <shadow.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/swap.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <syslog.h>
#include <termios.h>
#include <threads.h>
#include <unistd.h>
#include <utime.h>

namespace coir::monkey::body {

#define BODY(name, parameters) long name parameters;
#include "monkey/hooks.def"

} // namespace coir::monkey::body

namespace coir::monkey {

/// popen made `stream`: closing it waits for the command.
bool is_command(FILE* stream);

/// The state of the resolver that is this thread's, `_res`, as resolv.conf says now unless the program has changed it.
res_state own_resolver();

} // namespace coir::monkey
