/* waits: mq_receive mq_send mq_timedreceive mq_timedsend sem_wait sem_timedwait */
/* POSIX: queues of messages and semaphores, named and in shared memory. */
#include "plain.h"

#include <mqueue.h>
#include <semaphore.h>
#include <sys/mman.h>

static char name[64];
static mqd_t queue;
static char got[64];

static void sends(void) {
    until_parent_waits();
    MUST(mq_send(queue, "first", 6, 1));
    until_parent_waits();
    MUST(mq_send(queue, "low", 4, 1));
    MUST(mq_send(queue, "high", 5, 9));
}

static void takes(void) {
    until_parent_waits();
    unsigned priority;
    for (int i = 0; i < 3; ++i) MUST(mq_receive(queue, got, sizeof got, &priority));
}

static void queues(void) {
    snprintf(name, sizeof name, "/plain-%d", (int)getpid());
    struct mq_attr about = {.mq_maxmsg = 2, .mq_msgsize = 32};
    queue = (mqd_t)MUST(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &about));
    FAILS(EEXIST, mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &about) == (mqd_t)-1 ? -1 : 0);
    MUST(mq_unlink(name));
    unsigned priority = 0;
    pid_t other = child(sends);
    TELL(mq_receive(queue, got, sizeof got, &priority));
    printf("%s %u\n", got, priority);
    ended(other);
    struct timespec at = in_ms(10000);
    TELL(mq_timedreceive(queue, got, sizeof got, &priority, &at));
    printf("%s %u\n", got, priority);
    TELL(mq_receive(queue, got, sizeof got, NULL));
    at = in_ms(12);
    FAILS(ETIMEDOUT, mq_timedreceive(queue, got, sizeof got, &priority, &at));
    FAILS(EMSGSIZE, mq_receive(queue, got, 4, &priority));
    FAILS(EMSGSIZE, mq_send(queue, got, 40, 0));
    TELL(mq_send(queue, "a", 2, 0));
    TELL(mq_send(queue, "b", 2, 0));
    at = in_ms(12);
    FAILS(ETIMEDOUT, mq_timedsend(queue, "c", 2, 0, &at));
    other = child(takes);
    TELL(mq_send(queue, "c", 2, 0)); /* full: waits */
    ended(other);
    TELL(mq_getattr(queue, &about));
    printf("%ld of %ld\n", about.mq_curmsgs, about.mq_maxmsg);
    about.mq_flags = O_NONBLOCK;
    TELL(mq_setattr(queue, &about, NULL));
    FAILS(EAGAIN, mq_receive(queue, got, sizeof got, NULL));
    TELL(mq_close(queue));
    FAILS(EBADF, mq_receive(queue, got, sizeof got, NULL));
}

static sem_t* shared;

static void posts(void) {
    for (int i = 0; i < 3; ++i) {
        until_parent_waits();
        sem_post(shared);
    }
}

static void semaphores(void) {
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) give_up("mmap");
    TELL(sem_init(shared, 1, 1));
    TELL(sem_wait(shared));
    FAILS(EAGAIN, sem_trywait(shared));
    pid_t const other = child(posts);
    TELL(sem_wait(shared));
    struct timespec at = in_ms(10000);
    TELL(sem_timedwait(shared, &at));
    TELL(sem_clockwait(shared, CLOCK_REALTIME, &at));
    ended(other);
    at = in_ms(12);
    FAILS(ETIMEDOUT, sem_timedwait(shared, &at));
    int value = -1;
    TELL(sem_getvalue(shared, &value));
    printf("value %d\n", value);
    TELL(sem_destroy(shared));
    munmap(shared, 4096);
    shared = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
    if (shared == SEM_FAILED) give_up("sem_open");
    sem_unlink(name);
    pid_t const another = child(posts);
    for (int i = 0; i < 3; ++i) TELL(sem_wait(shared));
    ended(another);
    TELL(sem_close(shared));
}

int main(void) {
    queues();
    semaphores();
    return finish();
}
