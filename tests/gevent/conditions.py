"""Conditions and barriers: threading's, which gevent makes work between greenlets."""
from gevent import monkey

monkey.patch_all()

# pylint: disable=wrong-import-position
import threading

import gevent
from gevent import GreenletExit, sleep, spawn
from scenario import main, say, scenario


@scenario
def notified_in_order_of_waiting():
    lock = threading.Lock()
    changed = threading.Condition(lock)

    def waiter(name):
        with lock:
            changed.wait()
            say(name)

    all = [spawn(waiter, name) for name in 'abc']
    sleep(0)
    for _ in all:
        with lock:
            changed.notify()
            say('main notified')
        sleep(0)
        sleep(0)
    gevent.joinall(all)


@scenario
def all_notified_come_in_order():
    lock = threading.Lock()
    changed = threading.Condition(lock)

    def waiter(name):
        with lock:
            changed.wait()
            say(name)

    all = [spawn(waiter, name) for name in 'abc']
    sleep(0)
    with lock:
        changed.notify_all()
        say('main notified')
    gevent.joinall(all)


@scenario
def nobody_is_there_to_be_notified():
    lock = threading.Lock()
    changed = threading.Condition(lock)
    with lock:
        changed.notify()
        say('a notification is not kept:', changed.wait(timeout=0.01))


@scenario
def until_it_is_late_and_locked_again():
    lock = threading.Lock()
    changed = threading.Condition(lock)
    with lock:
        in_time = changed.wait(timeout=0.01)
        say(in_time, 'locked', lock.locked())
    say('locked', lock.locked())


@scenario
def until_it_is_so():
    lock = threading.Lock()
    changed = threading.Condition(lock)
    state = 0

    def waiter():
        with lock:
            say('waiter', changed.wait_for(lambda: state == 3))

    fiber = spawn(waiter)
    sleep(0)
    for number in range(1, 4):
        with lock:
            state = number
            changed.notify()
        sleep(0)
        sleep(0)
        say('number', number, 'waiter ready', fiber.ready())
    fiber.join()


@scenario
def while_it_waits_the_lock_is_free():
    lock = threading.Lock()
    changed = threading.Condition(lock)

    def waiter():
        with lock:
            say('waiter waits')
            changed.wait()
            say('waiter has the lock again')

    fiber = spawn(waiter)
    sleep(0)
    with lock:
        say('main has the lock')
        changed.notify()
        sleep(0)
        sleep(0)
        say('main leaves')
    fiber.join()


@scenario
def a_killed_waiter_has_the_lock_while_it_unwinds():
    lock = threading.Lock()
    changed = threading.Condition(lock)

    def waiter():
        with lock:
            try:
                changed.wait()
            except GreenletExit as error:
                say('waiter sees', error, 'locked', lock.locked())
                raise

    fiber = spawn(waiter)
    sleep(0)
    fiber.kill()
    say('locked', lock.locked())


@scenario
def with_a_recursive_lock_all_of_it_is_let_go():
    lock = threading.RLock()
    changed = threading.Condition(lock)

    def waiter():
        with lock:
            with lock:
                say('waiter waits')
                changed.wait()
                say('waiter goes on')

    fiber = spawn(waiter)
    sleep(0)
    with lock:
        say('main has the lock')
        changed.notify()
    fiber.join()


@scenario
def producers_and_consumers():
    lock = threading.Lock()
    filled, emptied = threading.Condition(lock), threading.Condition(lock)
    items, taken = [], []

    def producer(name):
        for i in range(2):
            with lock:
                while len(items) == 1:
                    emptied.wait()
                items.append(f'{name}{i}')
                filled.notify()

    def consumer():
        for _ in range(2):
            with lock:
                while not items:
                    filled.wait()
                taken.append(items.pop())
                emptied.notify()

    gevent.joinall([spawn(producer, 'a'), spawn(consumer), spawn(producer, 'b'), spawn(consumer)])
    say(sorted(taken))


@scenario
def a_barrier_lets_all_go_with_the_last():
    barrier = threading.Barrier(3)

    def runner(name, turns):
        for _ in range(turns):
            sleep(0)
        say(name, 'arrives')
        barrier.wait()

    all = [spawn(runner, 'a', 1), spawn(runner, 'b', 3), spawn(runner, 'c', 2)]
    gevent.joinall(all)
    say('all are through')


@scenario
def a_barrier_serves_again():
    barrier = threading.Barrier(2)
    laps = []

    def runner():
        for lap in range(2):
            barrier.wait()
            laps.append(lap)

    gevent.joinall([spawn(runner), spawn(runner)])
    say(laps)


main()
