/* waits: pthread_mutex_lock pthread_cond_wait pthread_cond_timedwait pthread_barrier_wait pthread_rwlock_wrlock pthread_once pthread_join sem_wait thrd_join */
/* Threads: what they share locks by, and how they end. */
#include "plain.h"

#include <semaphore.h>
#include <threads.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t semaphore;
static int state, sum, ends[2];

static pthread_t begin(void* (*does)(void*)) {
    pthread_t thread;
    int const error = pthread_create(&thread, NULL, does, NULL);
    errno = error;
    if (error) give_up("pthread_create");
    return thread;
}

static void* holds(void* nothing) {
    pthread_mutex_lock(&mutex);
    sem_post(&semaphore);
    until_main_waits();
    state = 1;
    pthread_mutex_unlock(&mutex);
    return nothing;
}

static void mutexes(void) {
    pthread_t const thread = begin(holds);
    AGAIN(sem_wait(&semaphore));
    RETURNS(pthread_mutex_lock(&mutex));
    printf("state %d\n", state);
    struct timespec at = in_ms(10);
    printf("%s\n", strerrorname_np(pthread_mutex_trylock(&mutex)));
    printf("%s\n", strerrorname_np(pthread_mutex_timedlock(&mutex, &at)));
    RETURNS(pthread_mutex_unlock(&mutex));
    RETURNS(pthread_join(thread, NULL));
    pthread_mutexattr_t kind;
    pthread_mutex_t recursive, checking;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&checking, &kind);
    RETURNS(pthread_mutex_lock(&recursive));
    RETURNS(pthread_mutex_lock(&recursive));
    RETURNS(pthread_mutex_unlock(&recursive));
    RETURNS(pthread_mutex_unlock(&recursive));
    RETURNS(pthread_mutex_unlock(&recursive));
    RETURNS(pthread_mutex_lock(&checking));
    RETURNS(pthread_mutex_lock(&checking));
    RETURNS(pthread_mutex_unlock(&checking));
    RETURNS(pthread_mutex_unlock(&checking));
    pthread_mutex_destroy(&recursive);
    pthread_mutex_destroy(&checking);
}

static void* changes(void* nothing) {
    for (int i = 2; i < 5; ++i) {
        until_main_waits();
        pthread_mutex_lock(&mutex);
        state = i;
        if (i == 4)
            pthread_cond_broadcast(&changed);
        else
            pthread_cond_signal(&changed);
        pthread_mutex_unlock(&mutex);
    }
    return nothing;
}

static void conditions(void) {
    pthread_t const thread = begin(changes);
    pthread_mutex_lock(&mutex);
    while (state < 2) pthread_cond_wait(&changed, &mutex);
    printf("at least two: %d\n", state >= 2);
    struct timespec at = in_ms(10000);
    while (state < 4) pthread_cond_timedwait(&changed, &mutex, &at);
    printf("state %d\n", state);
    at = in_ms(10);
    RETURNS(pthread_cond_timedwait(&changed, &mutex, &at));
    pthread_mutex_unlock(&mutex);
    RETURNS(pthread_join(thread, NULL));
}

static void* reads(void* nothing) {
    pthread_rwlock_rdlock(&rwlock);
    sem_post(&semaphore);
    until_main_waits();
    pthread_rwlock_unlock(&rwlock);
    return nothing;
}

static void rwlocks(void) {
    pthread_t const thread = begin(reads);
    AGAIN(sem_wait(&semaphore));
    RETURNS(pthread_rwlock_rdlock(&rwlock));
    RETURNS(pthread_rwlock_unlock(&rwlock));
    RETURNS(pthread_rwlock_wrlock(&rwlock)); /* waits for the reader */
    struct timespec at = in_ms(10);
    RETURNS(pthread_rwlock_tryrdlock(&rwlock));
    RETURNS(pthread_rwlock_timedwrlock(&rwlock, &at));
    RETURNS(pthread_rwlock_unlock(&rwlock));
    RETURNS(pthread_join(thread, NULL));
}

static void* meets(void* nothing) {
    for (int i = 0; i < 3; ++i) {
        until_main_waits();
        pthread_mutex_lock(&mutex);
        ++sum;
        pthread_mutex_unlock(&mutex);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
    }
    return nothing;
}

static void barriers(void) {
    RETURNS(pthread_barrier_init(&barrier, NULL, 3));
    pthread_t const one = begin(meets), two = begin(meets);
    for (int i = 0; i < 3; ++i) {
        pthread_barrier_wait(&barrier);
        printf("sum %d\n", sum);
        pthread_barrier_wait(&barrier);
    }
    RETURNS(pthread_join(one, NULL));
    RETURNS(pthread_join(two, NULL));
    RETURNS(pthread_barrier_destroy(&barrier));
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void only_once(void) {
    sem_post(&semaphore);
    until_main_waits();
    ++sum;
}
static void* does_once(void* nothing) {
    pthread_once(&once, only_once);
    return nothing;
}

static pthread_key_t key;
static void at_end(void* value) { sum += *(int*)value; }
static void* has_value(void* nothing) {
    static int value = 100;
    pthread_setspecific(key, &value);
    until_main_waits();
    pthread_exit(&value);
    return nothing;
}

static void* waits_for_ever(void* nothing) {
    char byte;
    while (read(ends[0], &byte, 1) == -1 && errno == EINTR) {}
    return nothing;
}

static void endings(void) {
    pthread_t thread = begin(does_once);
    AGAIN(sem_wait(&semaphore)); /* it is within */
    does_once(NULL);
    RETURNS(pthread_join(thread, NULL));
    printf("sum %d\n", sum);
    RETURNS(pthread_key_create(&key, at_end));
    thread = begin(has_value);
    void* result = NULL;
    RETURNS(pthread_join(thread, &result));
    printf("value %d, sum %d\n", result ? *(int*)result : -1, sum);
    MUST(pipe(ends));
    thread = begin(waits_for_ever);
    struct timespec at = in_ms(10);
    printf("%s\n", strerrorname_np(pthread_tryjoin_np(thread, NULL)));
    printf("%s\n", strerrorname_np(pthread_timedjoin_np(thread, NULL, &at)));
    RETURNS(pthread_cancel(thread));
    RETURNS(pthread_join(thread, &result));
    printf("cancelled %d\n", result == PTHREAD_CANCELED);
    printf("%s\n", strerrorname_np(pthread_join(pthread_self(), NULL)));
    close(ends[0]);
    close(ends[1]);
}

static int returns_seven(void* nothing) {
    (void)nothing;
    thrd_sleep(&(struct timespec){0, 10000000}, NULL);
    return 7;
}

static void of_c11(void) {
    thrd_t thread;
    int result = 0;
    int const made = thrd_create(&thread, returns_seven, NULL);
    if (made != thrd_success) give_up("thrd_create");
    printf("join %d", thrd_join(thread, &result));
    printf(" %d\n", result);
    mtx_t lock;
    printf("%d %d %d %d\n", mtx_init(&lock, mtx_timed), mtx_lock(&lock), mtx_trylock(&lock), mtx_unlock(&lock));
    mtx_destroy(&lock);
}

int main(void) {
    sem_init(&semaphore, 0, 0);
    mutexes();
    conditions();
    rwlocks();
    barriers();
    endings();
    of_c11();
    return finish();
}
