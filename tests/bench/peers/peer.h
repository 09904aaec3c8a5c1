// What the peers' programs share. Each is asked by a measurement (tests/bench/peer.h): a line on stdin names a work and
// its numbers, "yield 10 200000 8"; the run's cost of one operation goes to stdout, and the end of stdin ends the
// program.
//
// * `yield FIBERS TURNS DEPTH`: ns of a yield. FIBERS fibers, main among them, yield TURNS times, below DEPTH calls.
// * `spawn COUNT`: ns to make a fiber and join it, one at a time.
// * `spawn_all COUNT`: ns each to make COUNT fibers and join them all.
// * `channel COUNT`: ns of a round trip between two fibers over two channels that keep nothing, or one item.
// * `mutex COUNT`: ns of lock, yield, unlock, with two fibers.
// * `sleep COUNT`: ms of CPU in all for COUNT fibers that each sleep once, until moments spread over a second.
// * `memory COUNT`: bytes, page tables included, of each of COUNT fibers that are parked.
//
// CPU time is that of the process, whose only thread does everything.
#pragma once

#include "../work.h"

#include <cstddef>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <time.h>
#include <vector>

namespace bench {

using numbers = std::vector<std::size_t>;

template <class Work>
double cpu_of_each(std::size_t count, Work&& work) {
    double const start = process_cpu();
    work();
    return (process_cpu() - start) / double(count);
}

template <class Leaf>
void at_depth(std::size_t depth, Leaf leaf) {
    switch (depth) {
    case 0: return at_depth<0>(leaf);
    case 8: return at_depth<8>(leaf);
    case 16: return at_depth<16>(leaf);
    }
    std::abort();
}

// Answers until there is nothing more to be asked. Returns main's status.
inline int answer(std::map<std::string, std::function<double(numbers const&)>> const& works) {
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string work;
        words >> work;
        numbers of;
        for (std::size_t number; words >> number;) of.push_back(number);
        auto const known = works.find(work);
        if (known == works.end()) {
            std::cerr << "no such work: " << line << '\n';
            return 2;
        }
        std::cout << known->second(of) << std::endl;
    }
    return 0;
}

} // namespace bench
