// What every wait promises, for every kind of wait: tests/hub/wait_kinds.h.

#include "hub/interruption.h"
#include "tests/hub/deadlock.h"
#include "tests/hub/wait_kinds.h"
#include "tests/never_ended.h"
#include "tests/rerun.h"

#include <chrono>
#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;

namespace {

template <class Kind>
struct every_wait : testing::Test {
    static constexpr bool is_barrier = std::is_same_v<Kind, waits_at_barrier>;
    Kind it;
    bool granted = false;

    // One that waits, and then waits once more for anything.
    coir::fiber<void> waiter(coir::deadline until = {}) {
        return coir::spawn([this, until] {
            granted = it.wait(until);
            coir::yield();
        });
    }
};

using all_kinds =
    testing::Types<waits_for_event, waits_for_semaphore, waits_for_lock<coir::mutex>, waits_for_lock<coir::rlock>,
                   waits_for_condition<coir::mutex>, waits_for_condition<coir::rlock>, waits_at_barrier, waits_at_latch,
                   waits_to_get<coir::queue<int>>, waits_to_get<coir::lifo_queue<int>>,
                   waits_to_get<coir::priority_queue<int>>, waits_to_get<coir::joinable_queue<int>>,
                   waits_to_put<coir::queue<int>>, waits_to_put<coir::priority_queue<int>>, waits_for_work,
                   waits_to_get_from_channel, waits_to_put_to_channel, waits_for_result, selects, waits_for_several>;
TYPED_TEST_SUITE(every_wait, all_kinds);

// Without letting anybody else run.
void spend(std::chrono::nanoseconds time) {
    for (auto const end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;) {}
}

} // namespace

TYPED_TEST(every_wait, ends_when_it_is_granted) {
    this->it.prepare();
    auto const one = this->waiter();
    coir::yield();
    EXPECT_FALSE(one.ready());
    this->it.grant();
    one.join();
    EXPECT_TRUE(this->granted && one.returned());
}

TYPED_TEST(every_wait, is_served_in_the_order_of_coming) {
    if constexpr (TestFixture::is_barrier) return; // has room for one
    this->it.prepare();
    std::string order;
    std::vector<coir::fiber<void>> all;
    for (char const name : {'a', 'b', 'c', 'd'})
        all.push_back(coir::spawn([&, name] {
            if (this->it.wait()) order += name;
        }));
    coir::yield();
    all[1].kill();
    for (int i = 0; i < (
                            TypeParam::one_each && !requires { this->it.it.try_lock(); } ? 3 : 1);
         ++i)
        this->it.grant();
    coir::joinall(all);
    EXPECT_EQ(order, "acd");
}

TYPED_TEST(every_wait, ends_at_its_deadline) {
    this->it.prepare();
    EXPECT_FALSE(coir::spawn([&] { return this->it.wait(0s); }).get());
    EXPECT_FALSE(coir::spawn([&] { return this->it.wait(1us); }).get());
    EXPECT_FALSE(coir::spawn([&] { return this->it.wait(1ms); }).get());
    auto const one = this->waiter(1h);
    coir::yield();
    this->it.grant();
    one.join();
    EXPECT_TRUE(this->granted) << "those that were late have left nothing behind";
}

// The deadline passes before the grant, but the loop has not found out.
TYPED_TEST(every_wait, that_is_granted_and_late_is_granted) {
    this->it.prepare();
    auto const one = this->waiter(100us);
    coir::yield();
    spend(200us);
    this->it.grant();
    one.join();
    EXPECT_TRUE(this->granted);
}

TYPED_TEST(every_wait, throws_what_its_fiber_is_killed_with_and_leaves_no_trace) {
    this->it.prepare();
    auto const dying = this->waiter();
    coir::yield();
    dying.kill({.error = std::make_exception_ptr(7)});
    EXPECT_THROW(dying.get(), int);
    if constexpr (TestFixture::is_barrier) this->it.it.reset();
    auto const next = this->waiter();
    coir::yield();
    this->it.grant();
    next.join();
    EXPECT_TRUE(this->granted);
}

TYPED_TEST(every_wait, that_was_granted_when_the_kill_came_returns_and_the_next_one_throws) {
    this->it.prepare();
    auto const one = this->waiter();
    coir::yield();
    if constexpr (requires { TypeParam::grant_waits; }) {
        coir::spawn([&] { one.kill({.block = false}); }); // grant() switches
        this->it.grant();
    } else {
        this->it.grant();
        one.kill({.block = false});
    }
    one.join();
    EXPECT_TRUE(
        this->granted || requires { this->it.news; } || requires { this->it.never; })
        << "what was handed over is not dropped";
    EXPECT_TRUE(one.successful());
}

// Killed first, granted before it has run: the grant is the next one's.
TYPED_TEST(every_wait, that_was_killed_when_the_grant_came_leaves_it_to_the_next) {
    if constexpr (TestFixture::is_barrier) return; // who has arrived goes through: barrier_test.cpp
    this->it.prepare();
    auto const dying = this->waiter();
    bool next_granted = false;
    auto const next = coir::spawn([&] { next_granted = this->it.wait(); });
    coir::yield();
    dying.kill({.block = false});
    this->it.grant();
    next.join();
    EXPECT_TRUE(next_granted);
    EXPECT_FALSE(this->granted);
    EXPECT_TRUE(dying.ready());
}

TYPED_TEST(every_wait, is_left_by_a_scoped_timeout) {
    this->it.prepare();
    auto const one = coir::spawn([&] {
        coir::timeout const limit{1us};
        EXPECT_THROW(this->it.wait(), coir::timed_out);
    });
    one.get();
}

TYPED_TEST(every_wait, is_refused_in_a_callback_of_the_hub) {
    this->it.prepare();
    std::string refusal;
    coir::event asked;
    coir::hub::current().post([&] {
        try {
            this->it.wait();
        } catch (std::logic_error const& error) {
            refusal = error.what();
        }
        asked.set();
    });
    asked.wait();
    EXPECT_TRUE(contains(refusal, "callback cannot wait")) << refusal;
}

// The other thread has no hub until it waits.
TYPED_TEST(every_wait, is_granted_by_another_thread) {
    for (int i = 0; i < 100; ++i) {
        TypeParam it;
        std::promise<void> prepared;
        std::thread other([&] {
            it.prepare();
            prepared.set_value();
            it.grant();
        });
        prepared.get_future().wait();
        EXPECT_TRUE(it.wait());
        other.join();
    }
}

TYPED_TEST(every_wait, of_another_thread_is_granted) {
    for (int i = 0; i < 100; ++i) {
        TypeParam it;
        it.prepare();
        bool granted = false;
        coir::event ended;
        std::thread other([&] {
            granted = it.wait();
            ended.set();
        });
        it.grant();
        ended.wait();
        other.join();
        EXPECT_TRUE(granted);
    }
}

TYPED_TEST(every_wait, of_another_thread_is_killed_or_granted_and_nothing_is_lost) {
    if constexpr (requires { TypeParam::grant_waits; }) return;
    for (int i = 0; i < 50; ++i) {
        TypeParam it;
        it.prepare();
        std::promise<coir::fiber<bool>> made;
        std::thread other([&] {
            auto const one = coir::spawn([&] { return it.wait(); });
            made.set_value(one);
            one.join();
        });
        auto const one = made.get_future().get();
        one.kill({.block = false});
        it.grant();
        one.join();
        other.join();
        if (TypeParam::one_each && !one.returned()) {
            EXPECT_TRUE(it.wait(10s));
        }
    }
}

// What is waited for lies with the one that waits, as a local variable would.
TYPED_TEST(every_wait, may_end_with_the_end_of_what_was_waited_for) {
    if constexpr (
        requires { TypeParam::grant_waits; } || requires { this->it.it.try_lock(); })
        return; // grant() uses it still
    for (int i = 0; i < 100; ++i) {
        auto it = std::make_unique<TypeParam>();
        it->prepare();
        std::thread other([&it = *it] { it.grant(); });
        EXPECT_TRUE(it->wait());
        it.reset();
        other.join();
    }
    auto it = std::make_unique<TypeParam>();
    it->prepare();
    auto const granting = coir::spawn([&it = *it] { it.grant(); });
    EXPECT_TRUE(it->wait());
    it.reset();
    granting.join();
}

// The waiters of the parent's other fibers are still in the queues; they are parked for good.
TYPED_TEST(every_wait, works_in_a_forked_child) {
    this->it.prepare();
    auto const left_in_the_parent = this->waiter();
    coir::yield();
    pid_t const child = fork();
    if (child == 0) {
        if constexpr (TestFixture::is_barrier) this->it.it.reset();
        bool granted = false;
        auto const one = coir::spawn([&] { granted = this->it.wait(); });
        coir::yield();
        this->it.grant();
        one.join();
        _exit(granted && !this->granted ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    this->it.grant();
    left_in_the_parent.join();
    EXPECT_TRUE(this->granted);
}

namespace {

template <class Kind>
void names_itself() {
    Kind it;
    coir::spawn([&] { it.prepare(); }).join();
    auto const report = deadlock_of([&] { it.wait(); });
    EXPECT_TRUE(contains(report, std::string("parked, waits for ") + Kind::what)) << report;
}

template <template <class...> class List, class... Kinds>
void all_name_themselves(List<Kinds...>) {
    (names_itself<Kinds>(), ...);
}

} // namespace

TEST_ALONE(waits, that_nobody_can_end_are_named) { all_name_themselves(all_kinds()); }
