// A world of primitives, players that do random things with them, and the books of both.
#pragma once

#include "coir.h"
#include "tests/hub/random/books.h"

#include <array>
#include <atomic>
#include <deque>
#include <optional>
#include <string>
#include <vector>

/// A queue beside what it should hold. In a world of one thread that is known at every moment.
template <class Queue>
struct stock {
    Queue of;
    ledger books;
    turn_order getting, putting;
    std::deque<std::pair<int, int>> inside; // number and rank, in the order of coming; for worlds of one thread

    template <class... A>
    explicit stock(char const* what, A... arguments) : of(arguments...), books(what) {}
};

/// A connected pair of descriptors and the bytes in it.
struct conduit {
    std::array<int, 2> ends{-1, -1};
    std::atomic<unsigned> generation{0}; // of the pair
    std::atomic<long> written{0}, read{0};

    void open();
    void shut() noexcept;
    ~conduit() {
        if (ends[0] >= 0) shut();
    }
};

struct player {
    int number = 0;
    dice roll{0};
    coir::fiber<counted> self;
    std::atomic<bool> begun{false};
    std::atomic<bool> over{false};
    bool waits_strictly = false;              // in a wait that throws if it is interrupted while parked …
    bool must_throw = false;                  // … as it was
    std::atomic<int> exits_sent{0};           // kills by fiber_exit
    std::vector<coir::timeout const*> limits; // that are in force
};

struct world {
    world(std::uint64_t seed, bool several_threads, char const* test);

    trace story;
    bool const several; // threads
    std::atomic<bool> closing{false};
    unsigned const swallows; // percent of interruptions that are survived
    unsigned const limited;  // percent of turns that are under a timeout
    unsigned const patient;  // percent of waits without a deadline
    std::vector<int> kinds;  // of turns that are played in this world, as often as they are in it

    // What is waited for.
    std::array<coir::event, 2> events;
    std::array<turn_order, 2> event_order;
    coir::semaphore permits;
    std::size_t const permits_at_first;
    std::atomic<std::size_t> permits_added{0}, permits_taken{0};
    turn_order permit_order;
    coir::bounded_semaphore seats;
    std::size_t const seats_at_first;
    std::atomic<std::size_t> seats_taken{0};
    coir::mutex door;
    std::atomic<int> in_the_room{0};
    turn_order door_order;
    coir::rlock gate;
    std::atomic<int> inside_gate{0};
    coir::mutex news_lock;
    coir::condition news;
    long news_waiters = 0, news_sent = 0, news_read = 0; // under news_lock
    turn_order news_order;
    coir::barrier meeting;
    std::array<std::atomic<long>, 4> met{}; // by what arrive_and_wait returned
    std::atomic<long> meetings_broken{0};
    coir::latch countdown;
    std::atomic<int> counts_left;
    std::array<coir::async_result<int>, 3> answers;
    std::array<std::atomic<bool>, 3> answer_claimed{};
    stock<coir::queue<item>> line, bounded_line;
    stock<coir::lifo_queue<item>> pile;
    stock<coir::priority_queue<item>> ranking;
    stock<coir::joinable_queue<item>> work;
    std::atomic<long> work_done{0};
    stock<coir::channel<item>> exchange;
    std::array<conduit, 2> conduits;
    coir::local<counted> own;

    // Who plays.
    std::deque<player> players; // in a world of several threads, fixed from the start
    std::deque<kill_record> kills;
    std::deque<link_record> links;
    std::mutex writing; // the latter two
    std::vector<coir::hub*> hubs;
    std::atomic<int> still_playing{0};

    void fail(std::string const& why) { story.fail(why, coir::hub::current().report()); }
    void check(bool holds, char const* promise) {
        if (!holds) fail(promise);
    }
};

/// The life of a player: `turns` turns.
counted play(world& in, player& me, int turns);

/// One turn of another kind, by chance; throws what interrupts it.
void take_turn(world& in, player& me);
constexpr int kinds_of_turns = 33;

/// Throws into `target` while it may be waiting.
void kill_one(world& in, dice& roll, player& target, int killer);

/// Does something that wakes somebody. What `poke` does never waits.
void poke(world& in, dice& roll);
/// Ends all that can be ended, and again: who waits gets on, with an error if need be.
void close_all(world& in, dice& roll);

/// To be called when nobody plays any more: all that must have come out even.
void audit(world& in);

coir::deadline soon(dice& roll);
coir::deadline soon_or_never(world& in, dice& roll);
