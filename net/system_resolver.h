// glibc's resolver, which is the default: getaddrinfo on threads of its own, so that names that nobody answers for do
// not keep threads from reading files. Internal; any thread.
#pragma once

#include "net/resolver.h"

namespace coir::net {

struct system_resolver final : resolver {
    std::vector<address> look_up(lookup const& what, deadline until) override;
};

} // namespace coir::net
