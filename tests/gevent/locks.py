"""Semaphores and locks: who gets in next, and what a timeout or a kill leaves behind.

Nobody takes again here what others wait for without letting them run first: gevent lets the releaser barge in, coir hands
over to the first that waits.
"""
import gevent
from gevent import Timeout, sleep, spawn
from gevent.hub import LoopExit
from gevent.lock import BoundedSemaphore, RLock, Semaphore
from scenario import main, my_error, say, scenario


def work(lock, name, turns=1):
    lock.acquire()
    say(name, 'in')
    for _ in range(turns):
        sleep(0)
    say(name, 'out')
    lock.release()


@scenario
def one_after_the_other():
    lock = Semaphore(1)
    gevent.joinall([spawn(work, lock, name) for name in 'abcd'])
    say('value', lock.counter)


@scenario
def two_at_once():
    lock = Semaphore(2)
    gevent.joinall([spawn(work, lock, name) for name in 'abcde'])
    say('value', lock.counter)


@scenario
def two_at_once_of_unlike_length():
    lock = Semaphore(2)
    gevent.joinall([spawn(work, lock, name, turns) for name, turns in [('a', 5), ('b', 1), ('c', 1), ('d', 1)]])


@scenario
def without_waiting():
    lock = Semaphore(1)
    say('locked', lock.locked(), 'value', lock.counter)
    say(lock.acquire(blocking=False))
    say('locked', lock.locked(), 'value', lock.counter)
    say(lock.acquire(blocking=False))
    lock.release()
    say('locked', lock.locked(), 'value', lock.counter)


@scenario
def until_it_is_late():
    lock = Semaphore(0)
    say(lock.acquire(timeout=0.01))
    lock.release()
    say(lock.acquire(timeout=0.01))
    say('value', lock.counter)


@scenario
def one_that_was_too_late_is_passed_over():
    lock = Semaphore(0)

    def impatient():
        say('impatient', lock.acquire(timeout=0.01))

    all = [spawn(work, lock, 'a'), spawn(impatient), spawn(work, lock, 'c')]
    all[1].join()
    lock.release()
    gevent.joinall(all)
    say('value', lock.counter)


@scenario
def a_killed_waiter_is_passed_over():
    lock = Semaphore(0)
    all = [spawn(work, lock, name) for name in 'abc']
    sleep(0)
    all[1].kill()
    lock.release()
    gevent.joinall(all)
    say('value', lock.counter)


@scenario
def a_timed_out_waiter_is_passed_over():
    lock = Semaphore(0)

    def impatient():
        try:
            with Timeout(0.01):
                lock.acquire()
        except Timeout as late:
            say('impatient', late)

    all = [spawn(impatient), spawn(work, lock, 'b')]
    all[0].join()
    lock.release()
    gevent.joinall(all)


@scenario
def a_releaser_goes_on():
    lock = Semaphore(0)
    waiter = spawn(work, lock, 'waiter')
    sleep(0)
    lock.release()
    say('main goes on')
    spawn(say, 'spawned after the release')
    waiter.join()


@scenario
def as_many_as_are_released():
    lock = Semaphore(0)

    def take(name):
        lock.acquire()
        say(name)

    all = [spawn(take, name) for name in 'abc']
    sleep(0)
    lock.release()
    lock.release()
    sleep(0)
    say('main')
    lock.release()
    gevent.joinall(all)


@scenario
def wait_does_not_take():
    lock = Semaphore(0)

    def waiter(name):
        lock.wait()
        say(name, 'value', lock.counter)

    all = [spawn(waiter, name) for name in 'ab']
    sleep(0)
    lock.release()
    gevent.joinall(all)
    say('value', lock.counter)


@scenario
def more_released_than_taken():
    lock = Semaphore(1)
    lock.release()
    say('value', lock.counter)
    bounded = BoundedSemaphore(1)
    bounded.acquire()
    bounded.release()
    try:
        bounded.release()
    except ValueError:
        say('refused')
    say('value', bounded.counter)


@scenario
def left_by_an_error_it_is_free():
    lock = Semaphore(1)

    def fails():
        with lock:
            say('inside')
            sleep(0)
            raise my_error('out')

    fiber = spawn(fails)
    other = spawn(work, lock, 'other')
    fiber.join()
    say(fiber.exception)
    other.join()


@scenario
def left_by_a_kill_it_is_free():
    lock = Semaphore(1)

    def holds():
        with lock:
            say('inside')
            sleep(60)

    fiber = spawn(holds)
    other = spawn(work, lock, 'other')
    sleep(0)
    fiber.kill()
    say('other ready', other.ready())
    other.join()


@scenario
def by_the_same_again():
    lock = RLock()

    def nested(name):
        with lock:
            say(name, 'in')
            with lock:
                sleep(0)
                say(name, 'deeper in')
            sleep(0)
            say(name, 'out')

    gevent.joinall([spawn(nested, name) for name in 'ab'])


@scenario
def by_another_it_cannot_be_unlocked():
    lock = RLock()

    def unlock(refused):
        try:
            lock.release()
        except RuntimeError:
            say(refused)

    lock.acquire()
    spawn(unlock, 'refused').join()
    lock.release()
    unlock('refused, too')


@scenario
def a_recursive_one_without_waiting():
    lock = RLock()

    def other(name):
        say(name, bool(lock.acquire(blocking=False)))

    lock.acquire()
    lock.acquire()
    spawn(other, 'taken twice:').join()
    lock.release()
    spawn(other, 'taken once:').join()
    lock.release()
    spawn(other, 'free:').join()


@scenario
def two_in_a_deadly_embrace():
    one, two = Semaphore(1), Semaphore(1)

    def body(name, first, second):
        with first:
            sleep(0)
            say(name, 'wants the second')
            with second:
                say(name, 'has both')

    all = [spawn(body, 'a', one, two), spawn(body, 'b', two, one)]
    try:
        gevent.joinall(all)
    except LoopExit as error:
        say('main caught', error)
    all[0].kill()
    all[1].join()


main()
