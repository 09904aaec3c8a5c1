// Text from outside, for messages: what cannot be printed is shown as \x0a. Internal; any thread.
#pragma once

#include <string>
#include <string_view>

namespace coir::net {

inline std::string printable(std::string_view text) {
    constexpr char digits[] = "0123456789abcdef";
    std::string shown;
    for (unsigned char const each : text) {
        if (each >= ' ' && each != 0x7f)
            shown += char(each);
        else
            shown += {'\\', 'x', digits[each >> 4], digits[each & 15]};
    }
    return shown;
}

} // namespace coir::net
