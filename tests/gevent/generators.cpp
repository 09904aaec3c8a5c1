// Generators: coir's, beside Python's own.
#include "tests/gevent/scenario.h"

using coir::generator;
using coir::spawn;
using coir::yield;

SCENARIO(a_loop_over_it) {
    generator<int> numbers([](auto& out) {
        say("generator begins");
        for (int i = 0; i < 3; ++i) {
            say("yields", i);
            out.yield(i);
        }
        say("generator ends");
    });
    say("made");
    for (int each : numbers) say("main has", each);
}

SCENARIO(nothing_more_after_its_end) {
    generator<int> numbers([](auto& out) { out.yield(1); });
    say(std::vector{numbers.next(), numbers.next(), numbers.next()});
}

SCENARIO(values_are_sent_in) {
    generator<int, int> numbers([](auto& out) {
        int total = 0, count = 0;
        for (;;) {
            std::optional<int> brought = out.yield(total / std::max(count, 1));
            say("generator has", brought);
            if (!brought) continue;
            total += *brought;
            ++count;
        }
    });
    say("main has", numbers.next());
    for (int each : {10, 20, 30}) say("main has", numbers.send(each));
    say("main has", numbers.next());
    numbers.close();
}

SCENARIO(an_error_comes_out_once) {
    generator<int> numbers([](auto& out) {
        out.yield(1);
        throw my_error{"inside"};
    });
    say(numbers.next());
    try {
        numbers.next();
    } catch (my_error const&) {
        say("main sees", caught());
    }
    say(numbers.next());
}

SCENARIO(an_error_is_thrown_in) {
    generator<int> numbers([](auto& out) {
        try {
            out.yield(1);
        } catch (my_error const&) {
            say("generator sees", caught());
        }
        out.yield(2);
    });
    say(numbers.next());
    say(numbers.throw_into(my_error{"from main"}));
    say(numbers.next());
}

SCENARIO(an_error_thrown_in_comes_back) {
    generator<int> numbers([](auto& out) {
        finally at_end{saying("generator unwinds")};
        out.yield(1);
    });
    say(numbers.next());
    try {
        numbers.throw_into(my_error{"from main"});
    } catch (my_error const&) {
        say("main sees", caught());
    }
    say(numbers.next());
}

SCENARIO(an_error_is_thrown_into_one_that_never_ran) {
    generator<int> numbers([](auto& out) {
        say("this is never said");
        out.yield(1);
    });
    try {
        numbers.throw_into(my_error{"early"});
    } catch (my_error const&) {
        say("main sees", caught());
    }
    say(numbers.next());
}

SCENARIO(closed_in_the_middle) {
    generator<int> numbers([](auto& out) {
        finally at_end{saying("generator unwinds")};
        for (int i = 0; i < 3; ++i) out.yield(i);
    });
    say(numbers.next());
    numbers.close();
    say("closed", numbers.next());
    numbers.close();
}

SCENARIO(closed_before_its_first_run) {
    generator<int> numbers([](auto& out) {
        say("this is never said");
        out.yield(1);
    });
    numbers.close();
    say("closed", numbers.next());
}

SCENARIO(dropped_in_the_middle) {
    auto count = [] {
        return generator<int>([](auto& out) {
            finally at_end{saying("generator unwinds")};
            out.yield(1);
        });
    };
    for (int each : count()) {
        say("main has", each);
        break;
    }
    say("main");
}

SCENARIO(it_cannot_be_closed_if_it_yields_on) {
    generator<int> numbers([](auto& out) {
        try {
            out.yield(1);
        } catch (coir::fiber_exit const&) {
            say("generator stays");
        }
        out.yield(2);
    });
    numbers.next();
    try {
        numbers.close();
    } catch (std::logic_error const&) {
        say("refused");
    }
}

SCENARIO(it_cannot_call_itself) {
    generator<int> numbers;
    numbers = generator<int>([&](auto& out) {
        try {
            out.yield(*numbers.next());
        } catch (std::logic_error const&) {
            say("refused");
        }
        out.yield(2);
    });
    say(numbers.next());
}

SCENARIO(one_feeds_another) {
    auto count = [](int n) {
        return generator<int>([n](auto& out) {
            for (int i = 0; i < n; ++i) {
                say("count yields", i);
                out.yield(i);
            }
        });
    };
    auto squares = [](generator<int> source) {
        return generator<int>([source = std::move(source)](auto& out) mutable {
            for (int each : source) out.yield(each * each);
        });
    };
    std::vector<int> all;
    for (int each : squares(count(4))) all.push_back(each);
    say(all);
}

SCENARIO(it_may_wait_while_others_run) {
    auto slow = [] {
        return generator<int>([](auto& out) {
            for (int i = 0; i < 3; ++i) {
                yield();
                out.yield(i);
            }
        });
    };
    auto consumer = [&](char const* name) {
        for (int each : slow()) say(name, "has", each);
    };
    coir::joinall(std::vector{spawn(consumer, "a"), spawn(consumer, "b")});
}

SCENARIO(two_fibers_take_turns_with_one) {
    generator<int> numbers([](auto& out) {
        for (int i = 0; i < 6; ++i) out.yield(i);
    });
    auto consumer = [&](char const* name) {
        for (int each : numbers) {
            say(name, "has", each);
            yield();
        }
    };
    coir::joinall(std::vector{spawn(consumer, "a"), spawn(consumer, "b")});
}
