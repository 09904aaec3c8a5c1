/* A number that all add to, without a lock and with one.
 *
 *     $ counting
 *     without a lock: 100 of 400
 *     with a lock: 400 of 400
 *
 * Without, two that see the same number count once. That happens seldom; a barrier makes all see it each time.
 */
#include "threads.h"

#include <stdatomic.h>

static atomic_int unlocked;
static pthread_barrier_t all_have_seen, all_have_added;

static int locked;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void* adds(void* number) {
    for (int i = 0; i < times; ++i) {
        int const seen = atomic_load(&unlocked);
        pthread_barrier_wait(&all_have_seen);
        atomic_store(&unlocked, seen + 1);
        pthread_barrier_wait(&all_have_added);
    }
    return number;
}

static void* adds_locked(void* number) {
    for (int i = 0; i < times; ++i) {
        pthread_mutex_lock(&one_at_a_time);
        ++locked;
        pthread_mutex_unlock(&one_at_a_time);
    }
    return number;
}

int main(int argc, char** argv) {
    take_options(argc, argv, "Threads that add to one number, without a lock and with one.");
    must("pthread_barrier_init", pthread_barrier_init(&all_have_seen, NULL, (unsigned)threads));
    must("pthread_barrier_init", pthread_barrier_init(&all_have_added, NULL, (unsigned)threads));
    begin_all(adds);
    join_all();
    printf("without a lock: %d of %d\n", atomic_load(&unlocked), threads * times);
    begin_all(adds_locked);
    join_all();
    printf("with a lock: %d of %d\n", locked, threads * times);
    return finish();
}
