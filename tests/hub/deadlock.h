// What the hub says when nobody can go on any more.
#pragma once

#include "hub/hub.h"

#include <string>

/// The report of the would_block_forever that `action` throws; empty if it throws none.
template <class F>
std::string deadlock_of(F&& action) {
    try {
        action();
    } catch (coir::would_block_forever const& stuck) {
        return stuck.what();
    }
    return "";
}

inline bool contains(std::string const& text, std::string const& part) { return text.find(part) != std::string::npos; }
