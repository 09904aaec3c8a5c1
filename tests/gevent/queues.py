"""Queues: who gets what, who may put, and what happens to items when somebody gives up."""
import gevent
from gevent import Timeout, sleep, spawn
from gevent.queue import Empty, Full, JoinableQueue, LifoQueue, PriorityQueue, Queue
from scenario import main, say, scenario


def got(get, **how):
    """What a get brings, None if it brings nothing."""
    try:
        return get(**how)
    except Empty:
        return None


def done(put, item, **how):
    try:
        put(item, **how)
        return True
    except Full:
        return False


def getter(queue, name):
    say(name, 'got', queue.get())


def putter(queue, name, *items):
    for item in items:
        queue.put(item)
        say(name, 'put', item)


@scenario
def first_in_first_out():
    queue = Queue()
    for item in 'abc':
        queue.put(item)
    say('size', queue.qsize())
    say([queue.get() for _ in range(3)])
    say('size', queue.qsize(), 'empty', queue.empty())


@scenario
def a_put_does_not_switch():
    queue = Queue()
    fiber = spawn(getter, queue, 'a')
    sleep(0)
    queue.put(1)
    say('main goes on')
    fiber.join()


@scenario
def getters_are_served_in_order_of_coming():
    queue = Queue()
    all = [spawn(getter, queue, name) for name in 'abc']
    sleep(0)
    for item in range(3):
        queue.put(item)
    gevent.joinall(all)


@scenario
def an_item_that_is_there_does_not_switch():
    queue = Queue()
    queue.put(1)
    spawn(say, 'other runs')
    say('main got', queue.get())
    sleep(0)


@scenario
def a_full_one_makes_its_putter_wait():
    queue = Queue(1)
    fiber = spawn(putter, queue, 'fiber', 1, 2, 3)
    sleep(0)
    say('size', queue.qsize(), 'full', queue.full())
    for _ in range(3):
        say('main got', queue.get())
        sleep(0)
    fiber.join()
    say('empty', queue.empty())


@scenario
def putters_have_their_turn_in_order_of_coming():
    queue = Queue(1)
    queue.put('first')
    all = [spawn(putter, queue, name, name) for name in 'abc']
    sleep(0)
    for _ in range(4):
        say('main got', queue.get())
        sleep(0)
    gevent.joinall(all)


@scenario
def one_producer_one_consumer():
    queue = Queue(2)

    def consumer():
        for _ in range(6):
            getter(queue, 'consumer')

    gevent.joinall([spawn(putter, queue, 'producer', *range(6)), spawn(consumer)])


@scenario
def the_consumer_comes_first():
    queue = Queue(2)

    def consumer():
        for _ in range(6):
            getter(queue, 'consumer')

    gevent.joinall([spawn(consumer), spawn(putter, queue, 'producer', *range(6))])


@scenario
def two_producers_one_consumer():
    queue = Queue(1)

    def consumer():
        for _ in range(6):
            taken.append(queue.get())

    taken = []
    gevent.joinall([spawn(putter, queue, 'a', 1, 2, 3), spawn(putter, queue, 'b', 4, 5, 6), spawn(consumer)])
    say(taken)


@scenario
def get_until_it_is_late():
    queue = Queue()
    say(got(queue.get, timeout=0.01))
    queue.put(1)
    say(got(queue.get, timeout=0.01))


@scenario
def put_until_it_is_late():
    queue = Queue(1)
    queue.put(1)
    say(done(queue.put, 2, timeout=0.01))
    say('got', queue.get())
    sleep(0)
    say('nothing was put late:', queue.empty())
    say(done(queue.put, 3, timeout=0.01))


@scenario
def without_waiting():
    queue = Queue(1)
    say(got(queue.get_nowait))
    say(done(queue.put_nowait, 1))
    say(done(queue.put_nowait, 2))
    say(got(queue.peek_nowait))
    say(got(queue.get_nowait))
    say(got(queue.peek_nowait))


@scenario
def a_look_leaves_it_there():
    queue = Queue()
    queue.put(1)
    queue.put(2)
    say(queue.peek(), queue.peek(), 'size', queue.qsize())
    taken = queue.get()
    say(taken, queue.peek())


@scenario
def a_look_waits_too():
    queue = Queue()

    def looker(name):
        say(name, 'sees', queue.peek())

    all = [spawn(looker, 'a'), spawn(looker, 'b'), spawn(getter, queue, 'c')]
    sleep(0)
    queue.put(1)
    gevent.joinall(all)
    say('late', got(queue.peek, timeout=0.01))


@scenario
def a_killed_getter_takes_nothing():
    queue = Queue()
    all = [spawn(getter, queue, name) for name in 'abc']
    sleep(0)
    all[1].kill()
    queue.put(1)
    queue.put(2)
    gevent.joinall(all)
    say('size', queue.qsize())


@scenario
def a_killed_putter_puts_nothing():
    queue = Queue(1)
    queue.put('first')
    all = [spawn(putter, queue, name, name) for name in 'abc']
    sleep(0)
    all[1].kill()
    for _ in range(3):
        say('main got', queue.get())
        sleep(0)
    gevent.joinall(all)
    say('size', queue.qsize())


@scenario
def a_late_getter_makes_room_for_the_next():
    queue = Queue()

    def impatient():
        say('impatient', got(queue.get, timeout=0.01))

    all = [spawn(impatient), spawn(getter, queue, 'patient')]
    all[0].join()
    queue.put(1)
    gevent.joinall(all)


@scenario
def a_late_putter_makes_room_for_the_next():
    queue = Queue(1)
    queue.put('first')

    def impatient():
        say('impatient', done(queue.put, 'impatient', timeout=0.01))

    all = [spawn(impatient), spawn(putter, queue, 'patient', 'patient')]
    all[0].join()
    say([queue.get(), queue.get()])
    gevent.joinall(all)


@scenario
def a_timeout_around_several_gets():
    queue = Queue()
    queue.put(1)
    queue.put(2)
    try:
        with Timeout(0.01):
            while True:
                say('got', queue.get())
    except Timeout as late:
        say('main', late)


@scenario
def a_loop_over_it_ends():
    queue = Queue()

    def consumer():
        for item in queue:
            say('item', item)
        say('the loop ended')

    fiber = spawn(consumer)
    sleep(0)
    queue.put(1)
    queue.put(2)
    queue.put(StopIteration)
    fiber.join()


@scenario
def the_last_in_is_the_first_out():
    queue = LifoQueue()
    for item in 'abc':
        queue.put(item)
    say('peek', queue.peek())
    say([queue.get() for _ in range(3)])


@scenario
def a_waiting_getter_gets_the_last_in():
    queue = LifoQueue()
    all = [spawn(getter, queue, name) for name in 'ab']
    sleep(0)
    for item in range(3):
        queue.put(item)
    gevent.joinall(all)
    say('left', queue.get())


@scenario
def the_lowest_comes_first():
    queue = PriorityQueue()
    for item in [5, 1, 4, 2, 3]:
        queue.put(item)
    say('peek', queue.peek())
    say([queue.get() for _ in range(5)])


@scenario
def waiting_getters_get_the_lowest_there_is():
    queue = PriorityQueue()
    all = [spawn(getter, queue, name) for name in 'ab']
    sleep(0)
    for item in [3, 1, 2]:
        queue.put(item)
    gevent.joinall(all)
    say('left', queue.get())


@scenario
def a_waiting_putter_has_no_priority():
    queue = PriorityQueue(1)
    queue.put(5)
    all = [spawn(putter, queue, name, item) for name, item in [('a', 3), ('b', 1), ('c', 2)]]
    sleep(0)
    for _ in range(4):
        say('main got', queue.get())
        sleep(0)
    gevent.joinall(all)


@scenario
def join_waits_until_all_is_done():
    queue = JoinableQueue()

    def worker():
        for _ in range(3):
            say('worker has', queue.get())
            sleep(0)
            say('worker did it')
            queue.task_done()

    spawn(worker)
    for item in range(3):
        queue.put(item)
    queue.join()
    say('main joined')


@scenario
def join_of_one_that_was_never_used():
    queue = JoinableQueue()
    spawn(say, 'other runs')
    queue.join()
    say('main did not wait')
    sleep(0)


@scenario
def taken_is_not_done():
    queue = JoinableQueue()
    queue.put(1)
    queue.get()
    say('empty', queue.empty(), 'joined', queue.join(timeout=0.01))
    queue.task_done()
    say('joined', queue.join(timeout=0.01))
    try:
        queue.task_done()
    except ValueError:
        say('more done than put')


@scenario
def joined_again_after_more_was_put():
    queue = JoinableQueue()

    def worker():
        for item in queue:
            say('worker has', item)
            queue.task_done()

    def joiner(name):
        queue.join()
        say(name, 'joined')

    fiber = spawn(worker)
    for item in range(2):
        queue.put(item)
        gevent.joinall([spawn(joiner, name) for name in 'ab'])
    fiber.kill()


main()
