// What a hooked call answers, compared with libc's own: the same code runs on a thread that has no fibers, and in a
// fiber.
#pragma once

#include <coir.h>
#include <gtest/gtest.h>
#include <thread>

namespace {

/// `ask` returns what can be compared and printed, the same each time that it is called.
template <class Ask>
void expect_same_as_natively(Ask ask) {
    decltype(ask()) native;
    std::thread([&] { native = ask(); }).join();
    EXPECT_EQ(coir::spawn(ask).get(), native);
    EXPECT_FALSE(native.empty());
}

} // namespace
