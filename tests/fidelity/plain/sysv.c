/* waits: msgrcv semop semtimedop */
/* System V: queues of messages and sets of semaphores. */
#include "plain.h"

#include <sys/ipc.h>
#include <sys/shm.h>

struct message {
    long kind;
    char text[40];
};
static struct message got;
static int queue, set;

static void sends(void) {
    struct message one = {1, "first"}, two = {2, "second kind"};
    until_parent_waits();
    MUST(msgsnd(queue, &two, sizeof two.text, 0));
    until_parent_waits();
    MUST(msgsnd(queue, &one, 10, 0));
}

static void fills(void) {
    struct message one = {5, "one of many"};
    for (int i = 0; i < 800; ++i) {
        memcpy(one.text + 20, &i, sizeof i);
        MUST(msgsnd(queue, &one, sizeof one.text, 0)); /* full: waits */
    }
}

static void removes(void) {
    until_parent_waits();
    MUST(msgctl(queue, IPC_RMID, NULL));
}

static void queues(void) {
    queue = own_queue = (int)MUST(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
    FAILS(ENOMSG, msgrcv(queue, &got, sizeof got.text, 0, IPC_NOWAIT));
    pid_t other = child(sends);
    TELL(msgrcv(queue, &got, sizeof got.text, 1, 0)); /* the second that comes */
    printf("%ld %s\n", got.kind, got.text);
    FAILS(E2BIG, msgrcv(queue, &got, 5, 0, 0));
    TELL(msgrcv(queue, &got, 5, 0, MSG_NOERROR));
    printf("%ld %.5s\n", got.kind, got.text);
    ended(other);
    other = child(fills);
    a_while();
    int wrong = 0;
    for (int i = 0; i < 800; ++i) {
        int number;
        MUST(msgrcv(queue, &got, sizeof got.text, -9, 0));
        memcpy(&number, got.text + 20, sizeof number);
        wrong += number != i;
    }
    printf("%d out of order\n", wrong);
    ended(other);
    got.kind = 0;
    FAILS(EINVAL, msgsnd(queue, &got, 4, 0));
    other = child(removes);
    FAILS(EIDRM, msgrcv(queue, &got, sizeof got.text, 0, 0));
    ended(other);
    own_queue = -1;
    FAILS(EINVAL, msgrcv(queue, &got, sizeof got.text, 0, 0));
}

static void raises(void) {
    struct sembuf up = {1, 2, 0}, down = {0, -1, 0};
    until_parent_waits();
    MUST(semop(set, &up, 1));
    until_parent_waits();
    MUST(semop(set, &down, 1));
}

static void undone(void) {
    struct sembuf up = {1, 3, SEM_UNDO};
    MUST(semop(set, &up, 1));
    until_parent_waits();
}

static void removes_set(void) {
    until_parent_waits();
    MUST(semctl(set, 0, IPC_RMID));
}

static void semaphores(void) {
    set = own_set = (int)MUST(semget(IPC_PRIVATE, 2, IPC_CREAT | 0600));
    union semun {
        int value;
    } one = {1};
    TELL(semctl(set, 0, SETVAL, one));
    pid_t other = child(raises);
    struct sembuf down = {1, -2, 0}, zero = {0, 0, 0}, both[] = {{0, 1, 0}, {1, -1, IPC_NOWAIT}};
    TELL(semop(set, &down, 1));
    TELL(semop(set, &zero, 1));
    ended(other);
    FAILS(EAGAIN, semop(set, both, 2));
    printf("values %d %d\n", semctl(set, 0, GETVAL), semctl(set, 1, GETVAL));
    struct timespec const soon = {0, 12000000}, long_time = {10, 0};
    FAILS(EAGAIN, semtimedop(set, &down, 1, &soon));
    other = child(undone);
    TELL(semtimedop(set, &down, 1, &long_time));
    ended(other);
    printf("undone: %d\n", semctl(set, 1, GETVAL));
    FAILS(EFBIG, semop(set, (struct sembuf[]){{7, 1, 0}}, 1));
    other = child(removes_set);
    FAILS(EIDRM, semop(set, &down, 1));
    ended(other);
    own_set = -1;
}

int main(void) {
    queues();
    semaphores();
    return finish();
}
