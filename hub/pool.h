// Groups of fibers, and pools: groups of a limited size. A fiber that ends leaves its group, which is so told who is
// still at work, waited for and killed as a whole.
//
// A group keeps handles to its members and nothing more: when it is destroyed it discards them and they go on, as after
// the last handle to a fiber. kill() or join() it first where they use what is about to go. Who waits in it must not
// outlive it; what imap and apply_async have begun goes on by itself. Any thread; its fibers may belong to several.
#pragma once

#include "hub/deadline.h"
#include "hub/fiber.h"
#include "hub/imap.h"
#include "hub/places.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace coir {

/// There is no place in a pool, or there was none in time.
class COIR_API pool_full : public std::runtime_error {
public:
    /// Of any pool.
    pool_full();
};

/// @cond internal
namespace detail {

// Who is in a group, and who waits for its end or for a place in it. Shared by the group, the links to its members and
// what goes along a range for it, so that each may go before the others. Any thread.
class COIR_API membership : public std::enable_shared_from_this<membership> {
public:
    explicit membership(std::size_t limit) noexcept : limit_(limit), places_(limit, "a place in a pool") {}

    /// A place for one that is about to be a member.
    class COIR_API place {
    public:
        explicit place(membership& in) noexcept : in_(&in) {} // which was taken
        place(place const&) = delete;
        place& operator=(place const&) = delete;
        ~place() {
            if (in_) in_->give_back();
        }
        /// `fresh` has it from now on.
        void fill(any_fiber const& fresh);

    private:
        membership* in_;
    };

    /// **Parks.** Throws pool_full.
    void take_place(deadline until);
    bool try_take_place() noexcept;
    bool wait_available(deadline until);

    void discard(any_fiber const& one) noexcept;
    void let_go() noexcept;
    bool join(deadline until, bool raise_error);
    bool kill(kill_options options);
    bool killone(any_fiber const& one, kill_options options);

    std::size_t limit() const noexcept { return limit_; }
    std::size_t free() const noexcept;
    std::size_t size() const noexcept;
    bool contains(std::uint64_t id) const noexcept;
    bool contains_running_fiber() const noexcept;
    std::vector<any_fiber> all() const;

    // The caller has taken a place.
    template <class F, class... A>
    auto spawn_in_place(spawn_options options, F&& function, A&&... arguments) {
        place taken{*this};
        fiber made(std::move(options), std::forward<F>(function), std::forward<A>(arguments)...);
        taken.fill(made);
        made.start();
        return made;
    }

    template <class F, class... A>
    auto apply(F&& function, A&&... arguments) -> std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...> {
        if (contains_running_fiber())
            return std::invoke(std::decay_t<F>(std::forward<F>(function)),
                               std::decay_t<A>(std::forward<A>(arguments))...);
        take_place({});
        return spawn_in_place({}, std::forward<F>(function), std::forward<A>(arguments)...).get();
    }

private:
    struct member {
        any_fiber fiber;
        link_id link{};
        bool dying = false; // it was killed, and is not again
    };
    struct end_link;

    void give_back() noexcept;
    void leave(std::uint64_t id) noexcept;

    thread_lock mutable lock_; // of what follows
    std::size_t const limit_;
    places places_;
    std::map<std::uint64_t, member> members_; // by id: in the order of making
    wait_queue joiners_;
};

// How imap makes a call in a group.
struct call_in_group {
    std::shared_ptr<membership> in;

    template <class Call, class T>
    void operator()(Call&& call, std::shared_ptr<arrivals<T>> const& to, typename arrivals<T>::place where) const {
        in->take_place({});
        auto const made = in->spawn_in_place({}, std::forward<Call>(call));
        made.rawlink([to, where](fiber<T> const& ended) {
            if (!ended.returned())
                where->failed = ended;
            else
                try { // taken out: an ended fiber that is kept keeps its stack
                    if constexpr (std::is_void_v<T>)
                        where->value.emplace();
                    else
                        where->value.emplace(std::move(*ended.value()));
                } catch (...) {
                    where->error = std::current_exception();
                }
            to->arrived(where);
        });
    }
};

} // namespace detail
/// @endcond

/// Fibers that are at work. Any thread. gevent: Group.
class COIR_API group : public mapping<group> {
public:
    /// An empty one.
    group() : group(detail::places::unlimited) {}
    /// A group of fibers that were spawned elsewhere.
    template <fiber_range Fibers>
    explicit group(Fibers const& of) : group() {
        for (any_fiber const& each : of) add(each);
    }
    group(group const&) = delete;
    group& operator=(group const&) = delete;
    /// Discards all.
    ~group() { members_->let_go(); }

    /// **Parks** while a pool is full, behind those who came before. Then as coir::spawn, in the group: the fiber's
    /// handle. Throws what interrupts the caller, would_block_forever, and what acquire_stack throws. Any thread, on
    /// which the fiber stays.
    template <class F, class... A>
    auto spawn(spawn_options options, F&& function, A&&... arguments) {
        members_->take_place({});
        return members_->spawn_in_place(std::move(options), std::forward<F>(function), std::forward<A>(arguments)...);
    }
    /// **Parks** likewise.
    template <class F, class... A>
    requires std::invocable<std::decay_t<F>, std::decay_t<A>...>
    auto spawn(F&& function, A&&... arguments) {
        return spawn(spawn_options{}, std::forward<F>(function), std::forward<A>(arguments)...);
    }

    /// **Parks** while a pool is full. Takes `fresh`, which should not have been started, because it may end before
    /// there is a place for it. One that is a member already is left as it is. Throws pool_full when `until` has passed
    /// first, what interrupts the caller, and would_block_forever.
    void add(any_fiber const& fresh, deadline until = {});
    /// **Parks** likewise; then starts it. Throws likewise. On the thread that made it.
    void start(any_fiber const& fresh, deadline until = {});

    /// Lets `member` go: its place is free, and who joins the group does not wait for it. Nothing if it is none. Any
    /// thread.
    void discard(any_fiber const& member) noexcept { members_->discard(member); }

    /// How many are in it. Any thread.
    std::size_t size() const noexcept { return members_->size(); }
    /// There are none. Any thread.
    bool empty() const noexcept { return size() == 0; }
    /// `one` is a member. Any thread.
    bool contains(any_fiber const& one) const noexcept { return members_->contains(one.id()); }
    /// Those that are in it now, in the order in which they were made. Any thread. Allocates.
    std::vector<any_fiber> members() const { return members_->all(); }

    /// **Parks** until the group is empty, which it may not be any more when the caller runs: true, or false when
    /// `until` has passed first. With `raise_error`, throws the first exception that one of those has ended with that
    /// are members now. Throws what interrupts the caller, and would_block_forever.
    bool join(deadline until = {}, bool raise_error = false) { return members_->join(until, raise_error); }

    /// **Parks** unless told not to block. Kills the members, each once, also those that come meanwhile: true if the
    /// group is empty, false if not yet, or when `options.until` has passed. Throws what any_fiber::kill throws.
    bool kill(kill_options options = {}) { return members_->kill(std::move(options)); }
    /// The same for one member, unless it has been killed as such before; true if it has ended.
    bool killone(any_fiber const& member, kill_options options = {}) {
        return members_->killone(member, std::move(options));
    }

    /// **Parks.** What `function(arguments...)` returns or throws, called by a fiber of the group; or at once if the
    /// caller is one, which in a full pool would wait for itself. Throws what spawn() and fiber::get() throw.
    template <class F, class... A>
    decltype(auto) apply(F&& function, A&&... arguments) {
        return members_->apply(std::forward<F>(function), std::forward<A>(arguments)...);
    }
    /// The same in a fiber that is returned. It never waits for a place: if there is none, that fiber does, without
    /// being a member. Throws what coir::spawn throws. gevent's `callback` is a link_value of it.
    template <class F, class... A>
    auto apply_async(F&& function, A&&... arguments) {
        if (members_->try_take_place())
            return members_->spawn_in_place({}, std::forward<F>(function), std::forward<A>(arguments)...);
        return coir::spawn([](std::shared_ptr<detail::membership> const& in,
                              auto&&... call) -> decltype(auto) { return in->apply(std::move(call)...); },
                           members_, std::forward<F>(function), std::forward<A>(arguments)...);
    }

    /// Who spawns now would wait. Any thread.
    bool full() const noexcept { return members_->free() == 0; }
    /// **Parks** until there is a place, and does not take it: true, or false when `until` has passed first. Throws
    /// what interrupts the caller, and would_block_forever.
    bool wait_available(deadline until = {}) { return members_->wait_available(until); }

protected:
    /// @cond internal
    explicit group(std::size_t limit) : members_(std::make_shared<detail::membership>(limit)) {}

    std::shared_ptr<detail::membership> const members_;
    /// @endcond

private:
    friend class mapping<group>;
    detail::call_in_group starter() const { return {members_}; }
    static constexpr bool calls_here() noexcept { return false; }
};

/// A group that has a limited number of members. Any thread. gevent: Pool.
class COIR_API pool : public group {
public:
    /// Without a limit.
    pool() = default;
    /// At most `limit` members at a time. With 0 it never has room.
    explicit pool(std::size_t limit) : group(limit) {}

    /// As spawn, but throws pool_full instead of waiting. Any thread.
    template <class F, class... A>
    requires std::invocable<std::decay_t<F>, std::decay_t<A>...>
    auto try_spawn(F&& function, A&&... arguments) {
        if (!members_->try_take_place()) throw pool_full();
        return members_->spawn_in_place({}, std::forward<F>(function), std::forward<A>(arguments)...);
    }
    /// As add(), but throws pool_full instead of waiting.
    void try_add(any_fiber const& fresh);
    /// As start(), but throws pool_full instead of waiting. On the thread that made the fiber.
    void try_start(any_fiber const& fresh);

    /// How many members it can have; without a limit the greatest number there is. gevent: size. Any thread.
    std::size_t limit() const noexcept { return members_->limit(); }
    /// How many could be spawned without waiting. A place that was given to who waits for one is taken; without
    /// a limit the greatest number there is. Any thread.
    std::size_t free_count() const noexcept { return members_->free(); }
};

} // namespace coir
