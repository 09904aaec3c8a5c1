/* A barrier: nobody goes on before all have come. One of them, whichever it is, is told that it may do what is to be
 * done once.
 *
 *     $ meeting --threads 3 --times 2
 *     round 1: 4 have come
 *     round 2: 4 have come
 *
 * The main thread comes, too.
 */
#include "threads.h"

#include <stdatomic.h>

static pthread_barrier_t barrier;
static atomic_int came;

static void* comes(void* nothing) {
    for (int round = 1; round <= times; ++round) {
        ++came;
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
            printf("round %d: %d have come\n", round, came);
            came = 0;
        }
        pthread_barrier_wait(&barrier); /* or the quick ones would be counted in the round before */
    }
    return nothing;
}

int main(int argc, char** argv) {
    times = 3;
    take_options(argc, argv, "Threads that wait for each other, round after round.");
    must("pthread_barrier_init", pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1));
    begin_all(comes);
    comes(NULL);
    join_all();
    return finish();
}
