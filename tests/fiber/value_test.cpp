#include "fiber/value.h"

#include <array>
#include <cstdint>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <tuple>

using coir::bad_value_cast;
using coir::value;

namespace {

// Counts the living, in room (small) or on the heap (padded).
template <std::size_t Padding>
struct counted {
    static inline int alive = 0;
    std::array<char, Padding> padding{};
    int number;
    explicit counted(int n) : number(n) { ++alive; }
    counted(counted&& other) noexcept : number(other.number) { ++alive; }
    ~counted() { --alive; }
};

template <std::size_t Padding>
void moves_and_is_destroyed_once() {
    using held = counted<Padding>;
    {
        value a(held(1));
        EXPECT_EQ(held::alive, 1);
        value b(std::move(a));
        EXPECT_EQ(held::alive, 1);
        EXPECT_FALSE(a.has_value());
        value c(held(2));
        c = std::move(b);
        EXPECT_EQ(held::alive, 1) << "what it held before is gone";
        c = std::move(*&c);
        EXPECT_EQ(c.template take<held>().number, 1);
        EXPECT_FALSE(c.has_value());
        EXPECT_EQ(held::alive, 0);
        value d(held(3));
    }
    EXPECT_EQ(held::alive, 0);
}

} // namespace

TEST(value, small_ones_lie_inside) { moves_and_is_destroyed_once<1>(); }
TEST(value, large_ones_lie_on_the_heap) { moves_and_is_destroyed_once<100>(); }

TEST(value, holds_what_only_moves) {
    value v(std::make_unique<int>(7));
    std::unique_ptr<int> back = std::move(v);
    EXPECT_EQ(*back, 7);
    EXPECT_FALSE(v.has_value());
}

TEST(value, over_aligned_objects_are_aligned) {
    static int made = 0, askew = 0; // objects were made; of these, at no multiple of 64
    struct alignas(64) wide {
        char bytes[64]{};
        wide() noexcept { note(); }
        wide(wide const&) noexcept { note(); }
        void note() const noexcept {
            ++made;
            askew += reinterpret_cast<std::uintptr_t>(this) % 64 != 0;
        }
    };
    char first = 0;
    for (std::size_t each = 1; each < 200; each += 7) {
        std::unique_ptr<char[]> const beside(new char[each]);
        value v(wide{});
        auto moved = std::move(v);
        EXPECT_NO_THROW(first = moved.take<wide>().bytes[0]);
    }
    EXPECT_EQ(first, 0);
    EXPECT_GE(made, 2 * 29);
    EXPECT_EQ(askew, 0);
}

TEST(value, a_wrong_type_is_named_and_nothing_is_lost) {
    value v(std::string("kept"));
    try {
        v.take<int>();
        FAIL();
    } catch (bad_value_cast const& wrong) {
        EXPECT_NE(std::string(wrong.what()).find("basic_string"), std::string::npos) << wrong.what();
        EXPECT_NE(std::string(wrong.what()).find("int"), std::string::npos) << wrong.what();
    }
    EXPECT_EQ(v.take<std::string>(), "kept");
    try {
        v.take<int>();
        FAIL();
    } catch (bad_value_cast const& empty) {
        EXPECT_STREQ(empty.what(), "a switch brought nothing, not int");
    }
}

TEST(value, pack_makes_nothing_one_or_a_tuple) {
    EXPECT_FALSE(coir::detail::pack().has_value());
    EXPECT_EQ(coir::detail::pack(1).take<int>(), 1);
    auto both = coir::detail::pack(1, std::string("two"));
    EXPECT_EQ((both.take<std::tuple<int, std::string>>()), std::tuple(1, std::string("two")));
}

TEST(value, call_with_spreads_arguments) {
    auto add = [](int a, int b) { return a + b; };
    EXPECT_EQ(coir::detail::call_with(add, coir::detail::pack(2, 3)).take<int>(), 5);
    auto once = [](std::unique_ptr<int> p) mutable { return *p; };
    EXPECT_EQ(coir::detail::call_with(once, value(std::make_unique<int>(4))).take<int>(), 4);
    auto whole = [](value v) { return v.has_value(); };
    EXPECT_TRUE(coir::detail::call_with(whole, value(1)).take<bool>());
    EXPECT_FALSE(coir::detail::call_with(whole, {}).take<bool>());
    auto nothing = [] {};
    EXPECT_FALSE(coir::detail::call_with(nothing, {}).has_value());
    EXPECT_THROW(coir::detail::call_with(nothing, value(1)), bad_value_cast);
    EXPECT_THROW(coir::detail::call_with(add, value(1)), bad_value_cast);
}
