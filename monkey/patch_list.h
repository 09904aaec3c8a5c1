// The lists of families that COIR_PATCH, patch_all() and `coir run --patch` take.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace coir::monkey {

/// A bit for each family of "socket,time" or "all,-file"; what is wrong with the list in `error`, and then all of them.
std::uint32_t parse_patch_list(std::string_view list, std::string& error);

} // namespace coir::monkey
