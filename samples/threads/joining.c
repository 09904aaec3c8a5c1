/* Threads that are joined, one that is not joined within a time limit, and one that nobody joins: a daemon is detached,
 * and goes with the process.
 *
 *     $ joining --threads 2
 *     the daemon runs
 *     thread 1 has not ended within 50 ms
 *     thread 1 has ended: it adds 100 times 1, which is 100
 *     thread 2 has ended: it adds 100 times 2, which is 200
 *     the daemon goes with the process
 */
#include "threads.h"

#include <semaphore.h>
#include <time.h>
#include <unistd.h>

static sem_t daemon_runs, may_begin;
static int sums[most_threads];

static void* is_daemon(void* nothing) {
    sem_post(&daemon_runs);
    for (;;) pause();
    return nothing;
}

static void* adds(void* number) {
    int const own = *(int*)number;
    int* const sum = &sums[own - 1];
    while (sem_wait(&may_begin) != 0) {}
    for (int i = 0; i < times; ++i) *sum += own;
    return sum; /* not of this thread's stack, which goes with it */
}

static struct timespec in_ms(long ms) {
    struct timespec when;
    clock_gettime(CLOCK_REALTIME, &when);
    when.tv_nsec += ms * 1000000;
    when.tv_sec += when.tv_nsec / 1000000000;
    when.tv_nsec %= 1000000000;
    return when;
}

int main(int argc, char** argv) {
    take_options(argc, argv, "Threads that are joined, with a time limit and without, and one that is not.");
    sem_init(&daemon_runs, 0, 0);
    sem_init(&may_begin, 0, 0);

    pthread_t daemon;
    must("pthread_create", pthread_create(&daemon, NULL, is_daemon, NULL));
    must("pthread_detach", pthread_detach(daemon));
    while (sem_wait(&daemon_runs) != 0) {}
    printf("the daemon runs\n");

    begin_all(adds);
    struct timespec const limit = in_ms(50);
    int const error = pthread_timedjoin_np(all[0].thread, NULL, &limit);
    must("pthread_timedjoin_np", error == ETIMEDOUT ? 0 : error);
    printf("thread 1 has not ended within 50 ms\n");
    for (int i = 0; i < threads; ++i) sem_post(&may_begin);
    for (int i = 0; i < threads; ++i) {
        void* sum;
        must("pthread_join", pthread_join(all[i].thread, &sum));
        printf("thread %d has ended: it adds %d times %d, which is %d\n", i + 1, times, i + 1, *(int*)sum);
    }
    printf("the daemon goes with the process\n");
    return finish();
}
