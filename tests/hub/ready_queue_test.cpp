#include "hub/ready_queue.h"

#include "fiber/greenlet.h"

#include <deque>
#include <gtest/gtest.h>
#include <random>
#include <thread>
#include <vector>

namespace {

// Contexts to queue: pop() looks at the saved stack of those that come soon, so they must be real ones.
struct contexts {
    std::vector<coir::greenlet> handles;
    std::vector<coir::context*> blocks;
    explicit contexts(int count) {
        for (int i = 0; i < count; ++i) {
            handles.emplace_back([this] {
                blocks.push_back(&coir::context::current());
                coir::greenlet::current().parent().switch_to();
            });
            handles.back().switch_to();
        }
    }
};

} // namespace

TEST(ready_queue, gives_back_in_order_through_growth_and_wrapping) {
    contexts some(50);
    std::mt19937 random(1);
    coir::ready_queue queue{};
    std::deque<coir::context*> model;
    for (int step = 0; step < 100000; ++step) {
        EXPECT_EQ(queue.size(), model.size());
        EXPECT_EQ(queue.empty(), model.empty());
        auto* const one = some.blocks[random() % some.blocks.size()];
        bool const filling = step / 1000 % 2 == 0;
        if (model.empty() || random() % 8 < (filling ? 5u : 3u)) {
            queue.push(*one);
            model.push_back(one);
        } else if (random() % 4 == 0) {
            model.push_back(one);
            ASSERT_EQ(&queue.rotate(*one), model.front());
            model.pop_front();
        } else {
            ASSERT_EQ(&queue.pop(), model.front());
            model.pop_front();
        }
    }
    queue.clear();
    EXPECT_TRUE(queue.empty());
    queue.release_memory();
    EXPECT_EQ(queue.size(), 0u);
    queue.push(*some.blocks[0]);
    EXPECT_EQ(&queue.pop(), some.blocks[0]);
    queue.release_memory();
}
