// What servers of all kinds have in common: what comes in is handled by a fiber of its own, of which there may be a
// limited number, and all of that can be stopped. stream_server and datagram_server are servers. gevent: BaseServer.
//
// A server listens as soon as it is made and accepts once it is started. It is for one thread, the one that starts it:
// its handlers run there. Its own handlers, and whatever else runs on that thread, may stop it. For many cores see
// net/cores.h.
#pragma once

#include "fiber/export.h"
#include "fiber/thread_lock.h"
#include "hub/deadline.h"
#include "hub/fiber.h"
#include "hub/pool.h"
#include "hub/waiter.h"
#include "net/address.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <sys/types.h>
#include <system_error>
#include <utility>
#include <vector>

namespace coir {
struct context;
}

namespace coir::net {

/// What left a handler says no more than that its own peer went away, or is too slow: a std::system_error whose text
/// names `peer` with ECONNRESET, EPIPE, ECONNABORTED, ENOTCONN, ETIMEDOUT, EHOSTUNREACH or ENETUNREACH, or an
/// end_of_stream that does. Errors of other connections of the handler, to a database say, name someone else. Any
/// thread.
COIR_API bool peer_went_away(std::exception const& error, address const& peer);

/// How a server serves.
struct server_options {
    std::string name{}; ///< of its fibers; empty: "server 127.0.0.1:8001"
    std::size_t max_handlers = std::numeric_limits<std::size_t>::max(); ///< at a time; others wait in the backlog
    std::size_t stack_size = 0;                                         ///< of handlers, as in spawn_options
    int backlog = SOMAXCONN;                                            ///< as in listen_options
    bool reuse_port = false;                                            ///< as in listen_options
    /// Which exceptions of a handler, given the peer's address, end it without a word; null: none. Others are reported
    /// as those of any fiber are, with its name and the peer's: on_unhandled_exception(). The connection ends either
    /// way, and nothing else does. Called when the handler has ended; it must not wait.
    std::function<bool(std::exception const&, address const&)> ignore = peer_went_away;
    /// Called when the server begins to wait for descriptors, memory or a stack; what it is given says which limit was
    /// reached and how it is raised. It may park, stop the server too; what it throws ends accepting. Null: a line on
    /// stderr the first time.
    std::function<void(std::system_error const&)> on_shortage{};
};

class between_requests;

/// @cond internal
namespace detail {

// The inside of a server, which its fibers keep alive. For the thread that starts it.
class COIR_API serving : public std::enable_shared_from_this<serving> {
public:
    serving(server_options chosen, address where);
    virtual ~serving() = default;
    serving(serving const&) = delete;
    serving& operator=(serving const&) = delete;

    void start();
    void close() noexcept;
    bool stop(deadline until);
    void serve_forever();
    void end() noexcept;

    /// The server whose handler this fiber is; null if it is none.
    static serving* of_this_handler();
    void add(between_requests& idle) noexcept;
    void remove(between_requests& idle) noexcept;

    bool accepting() const noexcept { return stage_ == stage::accepting; }
    std::size_t handlers() const noexcept { return handlers_.size(); }
    address const& where() const noexcept { return where_; }

protected:
    /// **Parks.** Waits for what comes next and has it handled.
    virtual void take_one() = 0;
    /// Listens again after shut().
    virtual void open() = 0;
    /// Whoever waits in take_one() is told EBADF.
    virtual void shut() noexcept = 0;
    /// It is shut, and no handler is left.
    virtual void all_have_ended() noexcept {}

    /// **Parks.** `call()`, again after a while if that fails for a shortage.
    template <class Call>
    auto insist(Call call) {
        for (std::int64_t delay = 0;; wait_out(delay)) try {
                return call();
            } catch (std::system_error const& error) {
                if (!begin_shortage(error, delay)) throw;
            } catch (std::bad_alloc const&) {
                if (!begin_shortage(out_of_memory(), delay)) throw;
            }
    }

    /// A fiber that calls `handle()`, which owns what came from `peer`. **Parks** in a shortage.
    template <class Handle>
    void spawn(address const& peer, Handle handle) {
        auto run = [this, handle = std::move(handle)]() mutable { // it outlives its handlers
            enter_handler();
            handle();
        };
        fiber<void> made;
        insist([&] {
            if (!made) made = fiber<void>({.stack_size = options_.stack_size}, std::move(run));
            begin(made, peer);
        });
    }

    server_options const options_;

private:
    enum class stage : std::uint8_t { made, accepting, closed };

    void check_thread() const;
    bool forked() const noexcept;
    void accept_all();
    void enter_handler();
    void end_idle_ones();
    void begin(fiber<void> const& handler, address const& peer);
    bool is_ignored(std::exception_ptr const& error, address const& peer) const;
    bool begin_shortage(std::system_error const& error, std::int64_t& delay);
    void wait_out(std::int64_t delay);
    std::system_error out_of_memory() const;
    bool others_at_work() const noexcept;
    bool others_end(deadline until);
    void kill_others();
    bool wait(deadline until = {});
    void changed() noexcept;
    struct not_waited_for;

    address const where_;
    stage stage_ = stage::made;
    std::uint64_t thread_ = 0; // that started it
    pid_t process_ = 0;        // … in which: a forked child has none of its fibers
    any_fiber acceptor_;       // until it has ended
    pool handlers_;
    std::vector<any_fiber> stopping_;  // handlers that are in stop(), which neither waits for them nor kills them
    between_requests* idle_ = nullptr; // the latest of a list of them
    std::size_t serving_forever_ = 0;  // fibers in serve_forever()
    std::size_t stops_ = 0;            // calls of stop() under way: serve_forever() returns after those
    bool given_up_ = false;            // some would not end
    bool said_ = false;                // that there is a shortage
    std::exception_ptr failed_;        // what ended accepting, for serve_forever()
    thread_lock lock_;
    wait_queue waiting_; // for a handler's or the acceptor's end, or for one of the above
};

} // namespace detail
/// @endcond

/// A handler that waits for its peer's next request, and owes it nothing: for as long as this lives stop() does not
/// wait for it, but kills it at once. Without this a stopping server waits out its deadline for connections on which
/// nothing happens, as HTTP's are most of the time.
///
///     for (;;) {
///         std::optional<net::between_requests> idle{std::in_place};
///         if (peer.read_some(first) == 0) return;
///         idle.reset();
///         …the rest of the request, and the answer
///     }
///
/// For the handler's own fiber, on the server's thread; one may be in another. Elsewhere it does nothing.
class COIR_API between_requests {
public:
    /// Throws fiber_exit if the server was closed meanwhile: there will be no next request.
    between_requests();
    ~between_requests();
    between_requests(between_requests const&) = delete;
    between_requests& operator=(between_requests const&) = delete;

private:
    friend detail::serving;
    detail::serving* const of_;
    context const* const handler_;                           // the fiber
    between_requests *earlier_ = nullptr, *later_ = nullptr; // that began so, of any handler of the server
};

/// What every server can. For one thread, the one that starts it.
class COIR_API server {
public:
    server(server const&) = delete;
    server& operator=(server const&) = delete;

    /// Begins to accept; nothing if it does already. After a close it listens again, at the same address and port, when
    /// the fiber that accepted has ended, which it **parks** for. Throws what spawn() throws and, after a close, what
    /// listening throws: EBADF if it was made of a socket that listened already.
    void start() { serving_->start(); }

    /// Stops accepting, at once; handlers go on. Connections that nobody accepted yet are reset. Harmless when it is
    /// closed already.
    void close() noexcept { serving_->close(); }

    /// **Parks.** Closes it, kills those handlers that are between_requests, waits for the others until `until`, and
    /// kills those that are left then. True if all have
    /// ended; false if some have not a second after that, because they ignore fiber_exit or do not wait. Any fiber of
    /// the thread may call it, several too, each with its own deadline; a handler that does is itself neither waited
    /// for nor killed by it. Throws what interrupts the caller, and std::logic_error on another thread.
    bool stop(deadline until = std::chrono::seconds(1)) { return serving_->stop(until); }

    /// **Parks.** Starts it if it never was, and returns when it is closed and its handlers have ended, or stop() has
    /// given some up. Throws what ended accepting, and what interrupts the caller, both after stop(). No handler may
    /// call it.
    void serve_forever() { serving_->serve_forever(); }

    /// It was started and not closed since.
    bool accepting() const noexcept { return serving_->accepting(); }
    /// How many are at work.
    std::size_t handlers() const noexcept { return serving_->handlers(); }
    /// Where it listens, with the port that the kernel chose; also when it is closed. Valid as long as this object.
    net::address const& address() const noexcept { return serving_->where(); }

protected:
    /// @cond internal
    explicit server(std::shared_ptr<detail::serving> inside) noexcept : serving_(std::move(inside)) {}
    /// Closes it, kills the handlers and waits until they have ended, whatever interrupts; only a handler that destroys
    /// its own server goes on.
    ~server() { serving_->end(); }

    std::shared_ptr<detail::serving> const serving_;
    /// @endcond
};

} // namespace coir::net
