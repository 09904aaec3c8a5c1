// Many clients at once, a fiber each: they connect, wait for each other, and begin their operations together.
//
// For one thread.
#pragma once

#include "client.h"

#include "coir.h"
#include <chrono>
#include <functional>
#include <map>

namespace clients {

constexpr std::size_t roomy = 256 * 1024; // bytes of stack: TLS and the libraries' buffers

/// A fiber that sleeps and counts as long as this lives: nobody held up the thread while it goes on counting.
class ticking {
public:
    ticking() : fiber_(coir::spawn({.name = "ticking"}, &ticking::tick, this)) {}
    ticking(ticking const&) = delete;
    ticking& operator=(ticking const&) = delete;
    ~ticking() { fiber_.kill(); }
    std::uint64_t ticks() const { return ticks_; }

private:
    void tick() {
        for (;; ++ticks_) coir::sleep(std::chrono::milliseconds(5));
    }

    std::uint64_t ticks_ = 0;
    coir::fiber<void> fiber_;
};

/// What they are to do.
struct plan {
    clients::kind kind;
    std::string where;
    int count;
    double wait;                                        ///< of the server's, seconds
    int limit = 0;                                      ///< of the library, seconds; 0 is none
    std::optional<std::chrono::milliseconds> timeout{}; ///< of coir, over the operation
    std::function<void(class crowd&)> middle{}; ///< called when the operations of all are under way, and nobody can run
};

/// A plan, carried out by the constructor. **Parks.**
class crowd {
public:
    explicit crowd(plan const& made);

    std::vector<coir::fiber<void>> fibers;
    int connected = 0;                                   ///< …
    int answered = 0;                                    ///< … and got the right answer
    int most = 0;                                        ///< operations that were under way at once
    int killed = 0;                                      ///< fibers that were
    int expired = 0;                                     ///< coir's timeouts
    std::map<std::string, int> refused;                  ///< what the library said instead of connecting, and how often
    std::map<std::string, int> failed;                   ///< what it said instead of an answer
    std::chrono::duration<double> connecting, operating; ///< from the first one's begin to the last one's end
    std::uint64_t ticks = 0;                             ///< of a ticking fiber meanwhile

private:
    void take_part(plan const& made);

    int arrived_ = 0, under_way_ = 0, done_ = 0;
    coir::event all_arrived_, begin_, all_under_way_, all_done_;
};

} // namespace clients
