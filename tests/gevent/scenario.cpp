#include "tests/gevent/scenario.h"

#include <cstdio>

namespace {

struct entry {
    std::string_view name;
    void (*run)();
};

std::vector<entry>& scenarios() {
    static std::vector<entry> all; // in the order of the file
    return all;
}

} // namespace

registration::registration(char const* name, void (*run)()) { scenarios().push_back({name, run}); }

std::string word(std::exception_ptr const& what) {
    if (!what) return "none";
    try {
        std::rethrow_exception(what);
    } catch (coir::fiber_exit const&) {
        return "fiber_exit";
    } catch (coir::timed_out const&) {
        return "timed_out";
    } catch (coir::would_block_forever const&) {
        return "would_block_forever";
    } catch (my_error const& error) {
        return "my_error(" + error.text + ")";
    } catch (my_other_error const& error) {
        return "my_other_error(" + error.text + ")";
    }
}

void say_line(std::string const& line) {
    std::puts(line.c_str());
    std::fflush(stdout);
}

int main(int count, char** arguments) {
    std::string_view const wanted = count == 2 ? arguments[1] : "";
    if (wanted == "--list") {
        for (entry const& each : scenarios()) say(each.name);
        return 0;
    }
    for (entry const& each : scenarios())
        if (each.name == wanted) {
            each.run();
            return 0;
        }
    std::fprintf(stderr, "usage: %s --list | SCENARIO\n", arguments[0]);
    return 2;
}
