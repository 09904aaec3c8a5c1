// The hubs of the process: how one thread finds another's. Process-wide; any thread.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <vector>

namespace coir {

class hub;
struct posted;

/// A hub's place among the hubs of the process, from its making to its end. Each has a bit for the records of watched
/// descriptors; the sixty-fourth and later ones share the last.
class hub_registration {
public:
    static constexpr std::uint64_t shared_bit = std::uint64_t{1} << 63;

    explicit hub_registration(hub& made);
    ~hub_registration() { leave(); }
    /// Nobody finds the hub any more; others may get its bit.
    void leave() noexcept;
    hub_registration(hub_registration const&) = delete;
    hub_registration& operator=(hub_registration const&) = delete;

    std::uint64_t bit() const noexcept { return bit_; }

private:
    hub& made_;
    std::uint64_t bit_;
};

/// Calls `what(hub&, bit)` for every hub. None comes or goes meanwhile.
void for_each_hub(void (*what)(void* argument, hub& each, std::uint64_t bit), void* argument);
template <std::invocable<hub&, std::uint64_t> F>
void for_each_hub(F&& what) {
    for_each_hub([](void* argument, hub& each, std::uint64_t bit) { (*static_cast<F*>(argument))(each, bit); }, &what);
}

/// Posts `what` to the hub of the thread with that number; false if it has none any more.
bool post_to_thread(std::uint64_t thread, posted& what);

/// What a hub that has nothing to wait for but other threads can hope for.
enum class outlook {
    someone_may_wake_it, ///< another thread runs, or has left something for it
    nobody_will,         ///< all the others are hubs that hope for the same
};

/// `idle` has found nothing that it could wait for. If nobody will wake it, `report` gets the lines of all hubs, which
/// hold still meanwhile. Otherwise it counts as hoping until stops_hoping().
outlook begin_hoping(hub& idle, std::string& report);
void stop_hoping(hub& idle) noexcept;
/// The thread of `of` is a worker, which waits for work from now on, or does not any more. Before it counts among the
/// idle ones, and after.
void worker_idles(hub& of, bool so) noexcept;

/// In a forked child, of whose hubs only `left`, if not null, is left.
void strike_other_hubs(hub* left, std::uint64_t left_bit) noexcept;

} // namespace coir
