#include "fiber/thread_end.h"

#include <limits.h>
#include <pthread.h>
#include <string>
#include <system_error>
#include <utility>

namespace coir {
namespace {

constinit thread_local thread_ending* last = nullptr;

// glibc calls the destructors of keys after those of thread_local objects (nptl/pthread_create.c), and again
// as long as they leave a value behind.
void run_all(void*) noexcept {
    while (last) {
        thread_ending& due = *std::exchange(last, last->next);
        due.run(due);
    }
}

[[noreturn]] void fail(int error, std::string const& what) {
    throw std::system_error(error, std::generic_category(), what);
}

pthread_key_t make_key() {
    pthread_key_t made;
    if (int const error = pthread_key_create(&made, run_all))
        fail(error, "keep what ends with the thread (pthread_key_create: " + std::to_string(PTHREAD_KEYS_MAX) +
                        " keys, PTHREAD_KEYS_MAX, are all there can be)");
    return made;
}

} // namespace

void at_thread_end(thread_ending& what) {
    static pthread_key_t const key = make_key();
    if (int const error = pthread_setspecific(key, &last))
        fail(error, "keep what ends with the thread (pthread_setspecific)");
    what.next = std::exchange(last, &what);
}

} // namespace coir
