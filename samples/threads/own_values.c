/* Values of which each thread has its own, by both ways that there are: a variable that is _Thread_local, and a key
 * whose values are destroyed when their threads end.
 *
 *     $ own_values --threads 2
 *     thread 1: counted to 100, "the value of thread 1"
 *     thread 2: counted to 100, "the value of thread 2"
 *     the main thread: counted to 0, no value; 2 values were destroyed
 */
#include "threads.h"

#include <stdatomic.h>

static _Thread_local int count;
static pthread_key_t key;
static atomic_int destroyed;
static char said[most_threads][80];
static pthread_barrier_t all_have_set; /* theirs, before any of them looks */

static void destroy(void* value) {
    free(value);
    ++destroyed;
}

static void* has_its_own(void* number) {
    char* value;
    if (asprintf(&value, "the value of thread %d", *(int*)number) < 0) must("asprintf", ENOMEM);
    must("pthread_setspecific", pthread_setspecific(key, value));
    for (int i = 0; i < times; ++i) ++count;
    pthread_barrier_wait(&all_have_set);
    snprintf(said[*(int*)number - 1], sizeof *said, "counted to %d, \"%s\"", count, (char*)pthread_getspecific(key));
    return NULL;
}

int main(int argc, char** argv) {
    take_options(argc, argv, "Values of which each thread has its own.");
    must("pthread_key_create", pthread_key_create(&key, destroy));
    must("pthread_barrier_init", pthread_barrier_init(&all_have_set, NULL, (unsigned)threads));
    begin_all(has_its_own);
    join_all();
    for (int i = 0; i < threads; ++i) printf("thread %d: %s\n", i + 1, said[i]);
    printf("the main thread: counted to %d, %s value; %d values were destroyed\n", count,
           pthread_getspecific(key) ? "a" : "no", destroyed);
    return finish();
}
