// What a greenlet carries through a switch: nothing, or one object of any movable type.
//
// Owned by whoever holds it; on one thread at a time.
#pragma once

#include "fiber/export.h"

#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace coir {

/// A value was taken as another type than it was made of; what() names both.
class COIR_API bad_value_cast : public std::logic_error {
public:
    /// Of a value that holds a `held` and was taken as a `wanted`.
    bad_value_cast(std::type_info const& held, std::type_info const& wanted);
};

class value;

/// What a template that takes anything is to leave to a copy or move constructor, or to another overload.
template <class T, class Taken>
concept other_than = !std::is_same_v<std::decay_t<T>, Taken>;

/// What a value can be converted to.
template <class T>
concept carried_type = std::is_object_v<T> && other_than<T, value>;

/// Nothing, or one object: like std::any, but for move-only types too, and without allocation for what fits three
/// pointers. One thread at a time.
class value {
public:
    /// Holds nothing.
    value() noexcept = default;

    /// Holds what `object` was moved or copied to. Allocates if that is larger than three pointers, or may throw when
    /// it is moved. Throws what its constructor throws.
    template <other_than<value> T>
    value(T&& object) {
        using held = std::decay_t<T>;
        if constexpr (fits<held>)
            new (room_) held(std::forward<T>(object));
        else
            *reinterpret_cast<held**>(room_) = new held(std::forward<T>(object));
        kind_ = &kind_of<held>;
    }

    /// Takes over what `other` holds, which is empty then.
    value(value&& other) noexcept { steal(other); }
    /// The same; what it held before is destroyed.
    value& operator=(value&& other) noexcept {
        if (this != &other) {
            reset();
            steal(other);
        }
        return *this;
    }
    /// Destroys the object, if there is one.
    ~value() { reset(); }

    /// It holds an object.
    bool has_value() const noexcept { return kind_ != nullptr; }
    /// The object's; typeid(void) if there is none.
    std::type_info const& type() const noexcept { return kind_ ? *kind_->type : typeid(void); }

    /// Moves the object out; the value is empty afterwards. Throws bad_value_cast if it holds nothing or another type
    /// than exactly T, and what T's move constructor throws.
    template <class T>
    T take() {
        if (type() != typeid(T)) throw bad_value_cast(type(), typeid(T));
        T taken = std::move(*static_cast<T*>(kind_->address(room_)));
        reset();
        return taken;
    }

    /// As take(), by conversion: `int y = g.switch_to(x)`.
    template <carried_type T>
    operator T() && {
        return take<T>();
    }

    /// Destroys the object, if there is one.
    void reset() noexcept {
        if (kind_) std::exchange(kind_, nullptr)->destroy(room_);
    }

private:
    static constexpr std::size_t room_size = 3 * sizeof(void*);

    template <class T>
    static constexpr bool fits = sizeof(T) <= room_size &&
                                 alignof(T) <= alignof(void*) && std::is_nothrow_move_constructible_v<T>;

    struct kind {
        std::type_info const* type;
        void* (*address)(std::byte* room) noexcept;
        void (*destroy)(std::byte* room) noexcept;
        void (*move)(std::byte* from, std::byte* to) noexcept; // leaves nothing in `from`
    };

    template <class T>
    static constexpr kind kind_of{
        &typeid(T),
        [](std::byte* room) noexcept -> void* {
            if constexpr (fits<T>)
                return room;
            else
                return *reinterpret_cast<T**>(room);
        },
        [](std::byte* room) noexcept {
            if constexpr (fits<T>)
                reinterpret_cast<T*>(room)->~T();
            else
                delete *reinterpret_cast<T**>(room);
        },
        [](std::byte* from, std::byte* to) noexcept {
            if constexpr (fits<T>) {
                new (to) T(std::move(*reinterpret_cast<T*>(from)));
                reinterpret_cast<T*>(from)->~T();
            } else {
                *reinterpret_cast<T**>(to) = *reinterpret_cast<T**>(from);
            }
        },
    };

    void steal(value& other) noexcept {
        kind_ = std::exchange(other.kind_, nullptr);
        if (kind_) kind_->move(other.room_, room_);
    }

    kind const* kind_ = nullptr;
    alignas(void*) std::byte room_[room_size];
};

/// @cond internal
namespace detail {

// The parameter types of a callable that is not overloaded or generic.
template <class F>
struct parameters : parameters<decltype(&F::operator())> {};
template <class R, class... A>
struct parameters<R (*)(A...)> : std::type_identity<std::tuple<std::decay_t<A>...>> {};
template <class R, class... A>
struct parameters<R (*)(A...) noexcept> : parameters<R (*)(A...)> {};
template <class R, class C, class... A>
struct parameters<R (C::*)(A...)> : parameters<R (*)(A...)> {};
template <class R, class C, class... A>
struct parameters<R (C::*)(A...) const> : parameters<R (*)(A...)> {};
template <class R, class C, class... A>
struct parameters<R (C::*)(A...) noexcept> : parameters<R (*)(A...)> {};
template <class R, class C, class... A>
struct parameters<R (C::*)(A...) const noexcept> : parameters<R (*)(A...)> {};

template <class... A>
value pack(A&&... arguments) {
    if constexpr (sizeof...(A) == 0)
        return {};
    else if constexpr (sizeof...(A) == 1)
        return value(std::forward<A>(arguments)...);
    else
        return value(std::tuple<std::decay_t<A>...>(std::forward<A>(arguments)...));
}

// Calls `function` with what `arguments` holds, and packs what it returns.
template <class F>
value call_with(F& function, value arguments) {
    auto const call = [&](auto&&... unpacked) -> value {
        if constexpr (std::is_void_v<std::invoke_result_t<F&, decltype(unpacked)...>>) {
            function(std::forward<decltype(unpacked)>(unpacked)...);
            return {};
        } else {
            return pack(function(std::forward<decltype(unpacked)>(unpacked)...));
        }
    };
    if constexpr (std::is_invocable_v<F&>) {
        if (arguments.has_value()) throw bad_value_cast(arguments.type(), typeid(void));
        return call();
    } else {
        using wanted = typename parameters<F>::type;
        if constexpr (std::tuple_size_v<wanted> != 1)
            return std::apply(call, arguments.take<wanted>());
        else if constexpr (std::is_same_v<std::tuple_element_t<0, wanted>, value>)
            return call(std::move(arguments));
        else
            return call(arguments.take<std::tuple_element_t<0, wanted>>());
    }
}

} // namespace detail
/// @endcond

} // namespace coir
