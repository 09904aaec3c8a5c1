// Calls that look up a path, which may have to wait for a disk or a server: they are made at once when all of the path
// is in the kernel's cache, and by a worker thread otherwise.
#pragma once

#include "hub/offload.h"
#include "monkey/own_rights.h"

#include <netdb.h>
#include <system_error>

namespace coir::monkey {

/// The call will not wait for the path: the kernel finds all of it, or its absence, in its cache (openat2(2),
/// RESOLVE_CACHED: Linux 5.12; older ones are taken at their word), or it is below /proc/, where nothing waits for a
/// disk, and some names are the calling thread's. `at` and `follow` as in openat(2). A system call,
/// two for a directory.
bool is_cached(int at, char const* path, bool follow = true) noexcept;

/// The same of a name that is about to be removed or replaced: and there is no large file behind it to be freed.
bool is_removed_at_once(int at, char const* path) noexcept;

/// The same of a name that is about to be made, perhaps over another: its directory is in the cache.
bool is_made_at_once(int at, char const* path) noexcept;

/// **Parks.** Makes `call` on a worker thread, which leaves errno and h_errno as the call did; at once if there can be
/// no worker, or the thread's rights may be its own (own_rights.h).
template <class Call>
auto by_worker(Call call, char const* what) noexcept {
    if (calls_are_this_threads()) return call();
    int resolver_error = h_errno;
    struct taken_over {
        int& from;
        ~taken_over() { h_errno = from; }
    } const at_end{resolver_error};
    try {
        return offload(
            [&] {
                h_errno = resolver_error;
                struct told {
                    int& to;
                    ~told() { to = h_errno; }
                } const at_end{resolver_error};
                return call();
            },
            what);
    } catch (std::system_error const&) {
        return call();
    }
}

} // namespace coir::monkey
