// What the tests of generators share.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

// What a body that is unwound leaves behind.
struct on_end {
    int& ran;
    ~on_end() { ++ran; }
};

inline auto count_to(int end) {
    return [end](auto& out) {
        for (int i = 0; i < end; ++i) out.yield(i);
    };
}

// The message of the std::logic_error that `call` throws.
inline std::string what_of(std::function<void()> const& call) {
    try {
        call();
    } catch (std::logic_error const& error) {
        return error.what();
    }
    return "nothing was thrown";
}

inline bool contains(std::string const& text, std::string const& part) { return text.find(part) != std::string::npos; }
