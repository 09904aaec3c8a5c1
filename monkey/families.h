// The families of calls, as the table names them.
#pragma once

#include <cstddef>

namespace coir::monkey {

struct family {
    int line; ///< of the table, where its section begins
    char const* name;
};

inline constexpr family families[] = {
#define FAMILY(name) {__LINE__, #name},
#include "monkey/hooks.def"
};
inline constexpr unsigned family_count = sizeof families / sizeof *families;
static_assert(family_count < 32); // a bit for each, and one more

/// The family that the row in `line` of the table belongs to.
consteval unsigned family_of_row(int line) {
    unsigned found = 0;
    while (found + 1 < family_count && families[found + 1].line < line) ++found;
    return found;
}

} // namespace coir::monkey
