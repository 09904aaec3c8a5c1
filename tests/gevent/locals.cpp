// Locals: what each fiber sees of them.
#include "tests/gevent/scenario.h"

using coir::local;
using coir::spawn;
using coir::tree_local;
using coir::yield;

namespace {

struct noisy {
    char const* name = nullptr;
    noisy() = default;
    noisy(noisy&& other) noexcept : name(std::exchange(other.name, nullptr)) {}
    noisy& operator=(noisy&&) = delete;
    ~noisy() {
        if (name) say(name, "is destroyed");
    }
};

} // namespace

SCENARIO(each_fiber_has_its_own) {
    local<int> own;
    auto body = [&](char const* name, int number) {
        say(name, "finds", *own);
        *own = number;
        yield();
        say(name, "has", *own);
    };
    *own = 9;
    coir::joinall(std::vector{spawn(body, "a", 1), spawn(body, "b", 2)});
    say("main has", *own);
}

SCENARIO(a_child_does_not_inherit) {
    local<int> own;
    auto child = [&] { say("child finds", *own); };
    auto parent = [&] {
        *own = 5;
        spawn(child).join();
        say("parent has", *own);
    };
    spawn(parent).join();
}

SCENARIO(made_at_the_first_look) {
    int made = 0;
    local<int> own{[&] { return ++made; }};
    auto body = [&](char const* name, int looks) {
        for (int i = 0; i < looks; ++i) {
            say(name, "has", *own);
            yield();
        }
    };
    say("main has", *own);
    coir::joinall(std::vector{spawn(body, "blind", 0), spawn(body, "a", 2), spawn(body, "b", 1)});
    say("made", made);
}

SCENARIO(gone_with_its_fiber) {
    local<noisy> own;
    auto body = [&](char const* name) {
        own->name = name;
        yield();
        say(name, "ends");
    };
    for (auto name : {"a", "b"}) {
        spawn(body, name).join();
        yield();
        say("main joined", name);
    }
}

SCENARIO(a_tree_of_fibers_shares) {
    tree_local<std::string> here;
    auto visit = [&](std::string const& name, std::string const& word) {
        say(name, "finds", here->empty() ? "none" : *here);
        if (!word.empty()) *here = word;
    };
    auto root = [&](std::string const& name) {
        visit(name, name);
        auto child = [&] {
            visit("child of " + name, "child of " + name);
            spawn(visit, "grandchild of " + name, "").join();
        };
        spawn(child).join();
        visit(name, "");
    };
    coir::joinall(std::vector{spawn(root, "one"), spawn(root, "two")});
}

SCENARIO(the_tree_goes_by_who_made_it) {
    tree_local<std::string> here;
    std::optional<coir::fiber<void>> made;
    auto visit = [&](char const* name) { say(name, "finds", *here); };
    auto root = [&] {
        *here = "one";
        made.emplace(visit, "made by one");
    };
    spawn(root).join();
    auto stranger = [&] {
        *here = "stranger";
        made->start();
        made->join();
    };
    spawn(stranger).join();
}
