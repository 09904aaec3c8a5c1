#include "monkey/own_rights.h"

#include "hub/scheduler.h"
#include "monkey/bodies.h"
#include "monkey/kernel.h"
#include "monkey/real.h"

#include <cerrno>
#include <sys/single_threaded.h>
#include <sys/syscall.h>

namespace coir::monkey {

constinit std::atomic<bool> rights_differ{false};

namespace {

// What all that are started later inherit makes none differ.
void one_changes_its_own() noexcept {
    if (!__libc_single_threaded || hub_was_made.load(std::memory_order_relaxed)) rights_differ = true;
}

} // namespace

// libc's functions setuid, setgroups and so on are not among them: they change those of all threads (nptl, setxid).
void note_change_of_rights(long number) noexcept {
    switch (number) {
    case SYS_setuid:
    case SYS_setgid:
    case SYS_setreuid:
    case SYS_setregid:
    case SYS_setresuid:
    case SYS_setresgid:
    case SYS_setgroups:
    case SYS_setfsuid:
    case SYS_setfsgid:
    case SYS_capset:
    case SYS_unshare:
    case SYS_setns:
#ifdef SYS_landlock_restrict_self
    case SYS_landlock_restrict_self:
#endif
        one_changes_its_own();
    default: break;
    }
}

long body::setfsuid(uid_t user) {
    one_changes_its_own();
    return real.setfsuid(user);
}

long body::setfsgid(gid_t group) {
    one_changes_its_own();
    return real.setfsgid(group);
}

long body::capset(void* whose, void const* wanted) {
    one_changes_its_own();
    return real.capset(whose, wanted) == 0 ? 0 : -errno;
}

long body::unshare(int flags) {
    one_changes_its_own();
    return real.unshare(flags) == 0 ? 0 : -errno;
}

long body::setns(int fd, int type) {
    one_changes_its_own();
    return real.setns(fd, type) == 0 ? 0 : -errno;
}

} // namespace coir::monkey
