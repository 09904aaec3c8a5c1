/* A queue that holds a few items, in the textbook's way: a mutex, and two conditions for who puts while it is full and
 * who takes while it is empty.
 *
 *     $ handing_over
 *     400 items through room for 4, to 4 threads: each was taken once
 */
#include "threads.h"

enum { room = 4 };

static struct {
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t has_items, has_room;
    int items[room];
    unsigned first, count;
    int is_closed; /* nothing will be put any more */
} queue = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .has_items = PTHREAD_COND_INITIALIZER, .has_room = PTHREAD_COND_INITIALIZER};

static int* taken; /* how often each item was, by whoever took it */

static void put(int item) {
    pthread_mutex_lock(&queue.lock);
    while (queue.count == room) pthread_cond_wait(&queue.has_room, &queue.lock);
    queue.items[(queue.first + queue.count++) % room] = item;
    pthread_cond_signal(&queue.has_items);
    pthread_mutex_unlock(&queue.lock);
}

/* An item, or -1 if there will be none. */
static int take(void) {
    int item = -1;
    pthread_mutex_lock(&queue.lock);
    while (queue.count == 0 && !queue.is_closed) pthread_cond_wait(&queue.has_items, &queue.lock);
    if (queue.count > 0) {
        item = queue.items[queue.first];
        queue.first = (queue.first + 1) % room;
        --queue.count;
        pthread_cond_signal(&queue.has_room);
    }
    pthread_mutex_unlock(&queue.lock);
    return item;
}

static void close_queue(void) {
    pthread_mutex_lock(&queue.lock);
    queue.is_closed = 1;
    pthread_cond_broadcast(&queue.has_items);
    pthread_mutex_unlock(&queue.lock);
}

static void* takes_all(void* number) {
    for (int item; (item = take()) >= 0;) ++taken[item];
    return number;
}

int main(int argc, char** argv) {
    take_options(argc, argv, "A bounded queue: one thread puts, the others take.");
    int const items = threads * times;
    int once = 0;
    taken = calloc((size_t)items, sizeof *taken);
    if (!taken) must("calloc", errno);
    begin_all(takes_all);
    for (int item = 0; item < items; ++item) put(item);
    close_queue();
    join_all();
    for (int item = 0; item < items; ++item) once += taken[item] == 1;
    printf("%d items through room for %d, to %d threads: %s\n", items, room, threads,
           once == items ? "each was taken once" : "not each was taken once");
    free(taken);
    return once == items ? finish() : 1;
}
