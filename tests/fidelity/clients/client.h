// A connection of a blocking client library to its server, as the programs of this directory use it: by one fiber at a
// time, from its making to its end. The libraries know nothing of coir, and neither do their clients (curl.cpp,
// postgres.cpp, …): plain calls that block. Each of those files adds what it knows by a static `known_kind`.
//
// For one thread.
#pragma once

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clients {

/// A call of the library failed; what() is the library's own word for it. Whatever else leaves a client is a bug.
struct failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Disconnects in its destructor.
class client {
public:
    client() = default;
    client(client const&) = delete;
    client& operator=(client const&) = delete;
    virtual ~client() = default;

    /// Lets the server wait for so many seconds before it answers, more than none, and checks the answer: throws
    /// failure, also if it is not the right one. Once per client.
    virtual void operation(double wait) = 0;
};

/// What can be connected to.
struct kind {
    char const* name; ///< "redis"
    /// Connects to the server at `where`, which is written as its library likes it. An operation takes `limit` whole
    /// seconds at most by the library's own means, or, if that is none, as long as it likes. Throws failure.
    std::unique_ptr<client> (*connect)(std::string const& where, int limit);
};

/// All that were linked.
inline std::vector<kind>& kinds() {
    static std::vector<kind> all;
    return all;
}

/// Adds that of a library to them.
template <class Client>
struct known_kind {
    explicit known_kind(char const* name) {
        kinds().push_back({name, [](std::string const& where, int limit) -> std::unique_ptr<client> {
                               return std::make_unique<Client>(where, limit);
                           }});
    }
};

/// "0.2"
inline std::string in_seconds(double wait) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", wait);
    return text;
}

/// The two halves of "127.0.0.1:80".
inline std::pair<std::string, int> host_and_port(std::string const& where) {
    auto const colon = where.rfind(':');
    if (colon == std::string::npos) throw std::invalid_argument("no port in " + where);
    return {where.substr(0, colon), std::stoi(where.substr(colon + 1))};
}

/// Throws failure unless the server said what it was to say.
inline void expect_answer(std::string_view answer, std::string_view right) {
    if (answer != right) throw failure("the answer is '" + std::string(answer) + "', not '" + std::string(right) + "'");
}

template <auto Function>
struct calls {
    template <class T>
    void operator()(T* of) const {
        Function(of);
    }
};

/// What a C library has made, and the function that it ends it with.
template <class T, auto Function>
using owned = std::unique_ptr<T, calls<Function>>;

} // namespace clients
