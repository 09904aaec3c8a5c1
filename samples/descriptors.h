// How many descriptors this process may have open. For the samples that hold thousands of connections.
#pragma once

#include <cerrno>
#include <sys/resource.h>
#include <system_error>

/// Raises the soft limit to the hard one, which needs no privilege, and returns it. Shells start programs
/// with 1024. Throws std::system_error. Any thread.
inline rlim_t raise_descriptor_limit() {
    rlimit limit;
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) throw std::system_error(errno, std::generic_category(), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) throw std::system_error(errno, std::generic_category(), "setrlimit");
    return limit.rlim_cur;
}
