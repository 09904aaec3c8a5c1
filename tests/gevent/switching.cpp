// Greenlets switched by hand: values, errors, parents, and the dead. No hub is involved.
#include "tests/gevent/scenario.h"

#include <map>

using coir::fiber_exit;
using coir::greenlet;

namespace {

using text = char const*;

// What a switch brought.
std::string brought(coir::value what) { return what.has_value() ? what.take<text>() : "none"; }

} // namespace

SCENARIO(back_and_forth) {
    greenlet first, second;
    first = greenlet([&] {
        say(12);
        second.switch_to();
        say(34);
    });
    second = greenlet([&] {
        say(56);
        first.switch_to();
        say(78);
    });
    first.switch_to();
    say("main", first.dead(), second.dead());
}

SCENARIO(values_go_both_ways) {
    greenlet main = greenlet::current();
    greenlet g([&](text first) {
        say("body has", first);
        say("body has", brought(main.switch_to("from body")));
        return "result";
    });
    say("main has", brought(g.switch_to("one")));
    say("main has", brought(g.switch_to("two")));
    say("dead", g.dead());
}

SCENARIO(its_states) {
    greenlet main = greenlet::current(), g;
    g = greenlet([&] {
        say("inside", g.active(), g.dead(), g == greenlet::current());
        main.switch_to();
    });
    say("before", g.active(), g.dead());
    g.switch_to();
    say("between", g.active(), g.dead());
    g.switch_to();
    say("after", g.active(), g.dead());
}

SCENARIO(the_result_goes_to_the_parent_not_to_the_switcher) {
    greenlet g([](text got) {
        say("body has", got);
        return "result";
    });
    greenlet helper([&] {
        say("other begins");
        say("other has", brought(g.switch_to("from other")));
    });
    say("main has", brought(helper.switch_to()));
    say("helper dead", helper.dead(), "g dead", g.dead());
    helper.switch_to("late");
    say("helper dead", helper.dead());
}

SCENARIO(a_greenlet_is_the_parent_of_those_it_makes) {
    greenlet outer;
    auto inner = [&] {
        say("inner: parent is outer", greenlet::current().parent() == outer);
        return "from inner";
    };
    outer = greenlet([&] {
        say("outer has", brought(greenlet(inner).switch_to()));
        return "from outer";
    });
    say("main has", brought(outer.switch_to()));
}

SCENARIO(an_error_goes_to_the_parent) {
    greenlet g([] { throw my_error{"inside"}; });
    try {
        g.switch_to();
    } catch (my_error const&) {
        say("main sees", caught());
    }
    say("dead", g.dead());
}

SCENARIO(an_error_climbs_from_parent_to_parent) {
    auto inner = [] { throw my_error{"deep down"}; };
    auto outer = [&] {
        try {
            greenlet(inner).switch_to();
        } catch (my_error const&) {
            say("outer sees", caught());
            throw;
        }
    };
    try {
        greenlet(outer).switch_to();
    } catch (my_error const&) {
        say("main sees", caught());
    }
}

SCENARIO(a_dead_one_stands_for_its_parent) {
    greenlet g([] { return "result"; });
    say(brought(g.switch_to()));
    say(brought(g.switch_to("to a dead one")));
}

SCENARIO(a_dead_one_with_a_living_parent) {
    greenlet main = greenlet::current(), child;
    greenlet outer([&] {
        child = greenlet([] {});
        child.switch_to();
        say("outer has", brought(main.switch_to()));
        return "outer ends";
    });
    outer.switch_to();
    say("main has", brought(child.switch_to("to the dead child")));
    say("outer dead", outer.dead());
}

SCENARIO(thrown_in_where_it_was_switched_away) {
    greenlet main = greenlet::current();
    greenlet g([&]() -> text {
        try {
            main.switch_to();
        } catch (my_error const&) {
            say("body sees", caught());
        }
        return "caught";
    });
    g.switch_to();
    say("main has", brought(g.throw_into(my_error{"from main"})));
}

SCENARIO(thrown_in_and_not_caught) {
    greenlet main = greenlet::current();
    greenlet g([&] {
        finally at_end{saying("body unwinds")};
        main.switch_to();
    });
    g.switch_to();
    try {
        g.throw_into(my_error{"from main"});
    } catch (my_error const&) {
        say("main sees", caught());
    }
    say("dead", g.dead());
}

SCENARIO(thrown_into_one_that_never_ran) {
    greenlet g(saying("this is never said"));
    try {
        g.throw_into(my_error{"early"});
    } catch (my_error const&) {
        say("main sees", caught());
    }
    say("dead", g.dead());
}

SCENARIO(thrown_into_a_dead_one) {
    greenlet g([] {});
    g.switch_to();
    try {
        g.throw_into(my_error{"late"});
    } catch (my_error const&) {
        say("main sees", caught());
    }
}

SCENARIO(an_exit_is_not_an_error) {
    greenlet main = greenlet::current();
    greenlet g([&] {
        try {
            main.switch_to();
        } catch (fiber_exit const&) {
            say("body sees", caught());
            throw;
        }
    });
    g.switch_to();
    say("main has", brought(g.throw_into()));
    say("dead", g.dead());
}

SCENARIO(an_exit_into_one_that_never_ran) {
    greenlet g(saying("this is never said"));
    say("main has", brought(g.throw_into()));
    say("dead", g.dead());
}

SCENARIO(an_exit_into_a_dead_one) {
    greenlet g([] {});
    g.switch_to();
    say("main has", brought(g.throw_into()));
}

SCENARIO(an_exit_may_be_survived) {
    greenlet main = greenlet::current();
    greenlet g([&] {
        try {
            main.switch_to();
        } catch (fiber_exit const&) {
            say("body survives", brought(main.switch_to("still here")));
        }
        return "result";
    });
    g.switch_to();
    say("main has", brought(g.throw_into()));
    say("dead", g.dead());
    say("main has", brought(g.switch_to("go")));
    say("dead", g.dead());
}

SCENARIO(another_parent_gets_the_result) {
    greenlet main = greenlet::current();
    greenlet heir([&] {
        say("heir has", brought(main.switch_to("heir waits")));
        return "heir ends";
    });
    say(brought(heir.switch_to()));
    greenlet g([] { return "result"; });
    g.set_parent(heir);
    say("main has", brought(g.switch_to()));
    say("dead", g.dead(), heir.dead());
}

SCENARIO(another_parent_gets_the_error) {
    greenlet main = greenlet::current();
    greenlet heir([&] {
        try {
            main.switch_to();
        } catch (my_error const&) {
            say("heir sees", caught());
        }
        return "heir ends";
    });
    heir.switch_to();
    greenlet g([] { throw my_error{"inherited"}; });
    g.set_parent(heir);
    say("main has", brought(g.switch_to()));
}

SCENARIO(nobody_is_its_own_ancestor) {
    auto refused = [](greenlet const& child, greenlet const& parent) {
        try {
            child.set_parent(parent);
            return false;
        } catch (std::invalid_argument const&) {
            return true;
        }
    };
    greenlet a([] {}), b([] {}), c([] {});
    b.set_parent(a);
    c.set_parent(b);
    say(refused(a, c));
    say(refused(a, a));
    say(refused(c, a));
}

SCENARIO(to_switch_to_oneself_does_nothing) {
    greenlet g([] { say("g", brought(greenlet::current().switch_to("itself"))); });
    g.switch_to();
    say("main", brought(greenlet::current().switch_to("itself")));
}

SCENARIO(through_a_ring_of_three) {
    std::map<std::string, greenlet> ring;
    auto body = [&](std::string name, std::string after) {
        return [&ring, name, after](int n) {
            while (n > 0) {
                say(name, n);
                n = ring[after].switch_to(n - 1);
            }
            return n;
        };
    };
    for (auto [name, after] : {std::pair{"a", "b"}, {"b", "c"}, {"c", "a"}}) ring[name] = greenlet(body(name, after));
    say("main", int(ring["a"].switch_to(7)));
    say(std::vector{ring["a"].dead(), ring["b"].dead(), ring["c"].dead()});
}

SCENARIO(one_that_nobody_holds_is_ended) {
    greenlet main = greenlet::current();
    greenlet g([&] {
        finally at_end{saying("body unwinds")};
        try {
            main.switch_to();
        } catch (fiber_exit const&) {
            say("body sees", caught());
            throw;
        }
    });
    g.switch_to();
    say("main lets go");
    g = {};
    say("main");
}

SCENARIO(one_that_never_ran_and_nobody_holds_is_just_gone) {
    greenlet g(saying("this is never said"));
    say("main lets go");
    g = {};
    say("main");
}

SCENARIO(a_switch_inside_a_handler_keeps_each_ones_error) {
    greenlet main = greenlet::current();
    auto body = [&](text name) {
        try {
            throw my_error{name};
        } catch (my_error const&) {
            main.switch_to();
            try {
                throw;
            } catch (my_error const&) {
                say(name, "still handles", caught());
            }
        }
    };
    greenlet a(body), b(body);
    a.switch_to("a");
    b.switch_to("b");
    a.switch_to();
    b.switch_to();
}

SCENARIO(every_switch_is_traced) {
    greenlet main = greenlet::current();
    greenlet g([&] {
        try {
            main.switch_to();
        } catch (my_error const&) {}
    });
    auto name = [&](greenlet const& one) { return one == main ? "main" : "g"; };
    greenlet::set_trace([&](coir::trace_event event, greenlet const& origin, greenlet const& target) {
        say(event == coir::trace_event::switched ? "switch" : "throw", name(origin), name(target));
    });
    g.switch_to();
    g.throw_into(my_error{"x"});
    greenlet::set_trace({});
    say("dead", g.dead());
}
