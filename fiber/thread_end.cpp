#include "fiber/thread_end.h"

#include <cassert>
#include <pthread.h>
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

pthread_key_t make_key() noexcept {
    pthread_key_t made;
    [[maybe_unused]] int const error = pthread_key_create(&made, run_all);
    assert(error == 0);
    return made;
}

} // namespace

void at_thread_end(thread_ending& what) noexcept {
    static pthread_key_t const key = make_key();
    what.next = std::exchange(last, &what);
    pthread_setspecific(key, &last);
}

} // namespace coir
