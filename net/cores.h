// Servers on many cores: a crew of workers, each with a hub and a server of its own, and whoever made the crew looks
// after it. A worker is a thread, or a process that was forked; all else is the same.
//
//     coir::net::serve_on_all_cores("127.0.0.1:8001", [](coir::net::listener from) {
//         return coir::net::stream_server(std::move(from), echo);
//     });
//
// The crew keeps what it listens with, and each worker has a descriptor of its own for that. So what waits to be
// accepted outlives workers: one that ends unasked is replaced, and a reload starts the new ones before it stops the
// old ones, and neither loses a connection. Only stopping the crew does: those in the backlog are reset.
//
// Threads on an IP port each have a queue of connections (SO_REUSEPORT, Linux 3.9), into which the kernel puts them by
// a hash of the addresses, whoever is busy. Processes, Unix sockets, and threads with `one_queue`, have one queue in
// common, from which whoever is idle takes: that is balanced better, and all that are idle wake for each connection.
#pragma once

#include "fiber/export.h"
#include "hub/deadline.h"
#include "net/address.h"
#include "net/listener.h"
#include "net/server.h"

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <type_traits>
#include <utility>

namespace coir::net {

/// How many processors this process may use (sched_getaffinity(2)), at least 1. Limits on processor time, as
/// containers have them, are not seen. Throws std::system_error. Any thread.
COIR_API unsigned usable_processors();

/// What workers are.
enum class worker_kind {
    thread, ///< of this process: they share its memory, and what ends the process ends all
    process ///< forked from this one: nothing of one disturbs another. It inherits what descriptors this one has then:
            ///< other connections of this process end when all have closed them
};

/// How a crew works.
struct crew_options {
    worker_kind kind = worker_kind::thread; ///< what workers are
    unsigned workers = 0;                   ///< how many; 0: usable_processors()
    bool one_queue = false;                 ///< for threads on an IP port, too
    int backlog = SOMAXCONN;                ///< as in listen_options, of each queue
    std::chrono::nanoseconds grace =
        std::chrono::seconds(10); ///< that handlers have when a signal or a reload ends them
    /// From start() until all workers have ended: SIGTERM and SIGINT stop the crew with `grace`, a second one at once;
    /// SIGHUP reloads it. A worker process stops by itself for the first two, and does not hear SIGHUP.
    bool signals = true;
    /// What is told of workers that end unasked, and of reloads that fail: a line without its end. It must not wait.
    /// Null: stderr.
    std::function<void(std::string const&)> say{};
};

/// @cond internal
namespace detail {

// A worker's end of what connects it with its crew.
class COIR_API worker_side {
public:
    virtual ~worker_side() = default;
    /// **Parks.** Serves until it is told to stop, or the crew is gone.
    virtual void serve(server& made) = 0;
};

using worker_body = std::function<void(listener, worker_side&)>;

class crew_inside;

} // namespace detail

/// Makes the server of a worker, on that.
template <class F>
concept server_maker = std::invocable<F&, listener> && std::derived_from<std::invoke_result_t<F&, listener>, server>;
/// @endcond

/// Workers that serve at one address. For one thread, which should do little else: it replaces workers that ended.
class COIR_API crew {
public:
    /// Listens at `where`; the workers are begun by start(). `make_server(listener)` is called by each worker, on its
    /// own thread or in its own process, at the same time as by others, and returns the server that it is. Throws as
    /// listener's constructor, and what usable_processors() throws.
    template <server_maker Make>
    crew(net::address const& where, Make make_server, crew_options options = {})
        : crew(where, detail::worker_body([make = std::move(make_server)](listener from, detail::worker_side& side) {
                   auto made = Make(make)(std::move(from));
                   side.serve(made);
               }),
               std::move(options), 0) {}
    crew(crew const&) = delete;
    crew& operator=(crew const&) = delete;
    /// As stop(0s), and waits until all workers have ended, whatever interrupts.
    ~crew();

    /// **Parks** until all workers accept; nothing if it was called before. Throws std::runtime_error that says what
    /// ended a worker before it did, when all have ended; what interrupts the caller, after which they go on;
    /// EBUSY if another thread watches one of the signals; and std::logic_error after stop().
    void start();
    /// **Parks** until new workers accept, and then stops the old ones with `grace`, without waiting for that. False if
    /// one of the new ones ended first, which is said: they are stopped, and the old ones go on; false too if there is
    /// nothing to be reloaded. Throws what interrupts the caller.
    bool reload();
    /// **Parks.** Stops listening, stops each worker's server with that deadline, and waits until all workers have
    /// ended: true. Processes that have not two seconds after `until` are killed with SIGKILL; if it is threads, false.
    /// Several fibers may call it, each with its own deadline: the earliest counts. Throws what interrupts the caller.
    bool stop(deadline until);
    /// **Parks.** start(), unless that was called, and returns when it is stopped and all workers have ended. Throws
    /// what start() throws, and what interrupts the caller, after which the workers go on.
    void serve_forever();

    /// Workers that accept, without those that a reload has replaced.
    std::size_t ready() const noexcept;
    /// Where it listens, with the port that the kernel chose. Valid as long as this object.
    net::address const& address() const noexcept;

private:
    crew(net::address const& where, detail::worker_body body, crew_options options, int);
    std::shared_ptr<detail::crew_inside> const inside_;
};

/// **Parks.** A crew of threads, one per processor unless `options` say otherwise, until it is stopped by a signal. Throws
/// as crew's constructor and serve_forever(). For one thread, which does nothing else.
template <server_maker Make>
void serve_on_all_cores(address const& where, Make make_server, crew_options options = {}) {
    crew(where, std::move(make_server), std::move(options)).serve_forever();
}

/// **Parks.** The same with processes.
template <server_maker Make>
void prefork(address const& where, Make make_server, crew_options options = {}) {
    options.kind = worker_kind::process;
    crew(where, std::move(make_server), std::move(options)).serve_forever();
}

} // namespace coir::net
