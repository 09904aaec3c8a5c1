// What can be told of a program without running it: whether it loads the shim, and which of its calls cooperate.
#pragma once

#include <string>
#include <vector>

namespace coir::monkey {

struct program_facts {
    std::vector<std::string> obstacles;   ///< why the shim cannot be put under it, or reaches only a part of it
    bool loads_shim = true;               ///< it is dynamically linked and runs as who starts it
    std::vector<std::string> cooperating; ///< symbols that it imports and that the shim takes over
    std::vector<std::string> blocking;    ///< … that wait and that the shim leaves to libc
};

/// Of the program at `path`, an ELF file of this machine's kind. Throws std::system_error naming the path: what open(2)
/// says, or ENOEXEC if it is none (a script: its interpreter is the program).
program_facts facts_of(std::string const& path);

} // namespace coir::monkey
