"""Thread pools: code that cannot yield runs elsewhere, and its result is waited for here."""
import threading

import gevent
from gevent import Timeout, sleep, spawn
from gevent.threadpool import ThreadPool
from scenario import main, my_error, say, scenario


def square_or_fail(n):
    if n == 2:
        raise my_error('two')
    return n * n


@scenario
def a_result_comes_back():
    pool = ThreadPool(2)
    result = pool.spawn(square_or_fail, 3)
    say('main has', result.get())
    say('ready', bool(result.ready()), 'again', result.get())


@scenario
def an_error_comes_back():
    pool = ThreadPool(2)
    result = pool.spawn(square_or_fail, 2)
    try:
        result.get()
    except my_error as error:
        say('main sees', error)


@scenario
def fibers_run_while_a_thread_works():
    pool = ThreadPool(1)
    go_on = threading.Event()

    def fiber():
        say('fiber runs')
        go_on.set()

    spawn(fiber)
    say('main has', pool.apply(lambda: go_on.wait() and 'result'))


@scenario
def apply_throws_what_was_thrown():
    pool = ThreadPool(1)
    say('main has', pool.apply(square_or_fail, (4,)))
    try:
        pool.apply(square_or_fail, (2,))
    except my_error as error:
        say('main sees', error)


@scenario
def map_keeps_the_order():
    say(ThreadPool(3).map(square_or_fail, [5, 3, 4, 1]))


@scenario
def map_throws_the_first_error():
    try:
        ThreadPool(3).map(square_or_fail, [1, 2, 3])
    except my_error as error:
        say('main sees', error)


@scenario
def one_thread_takes_them_in_order():
    pool = ThreadPool(1)
    taken = []
    results = [pool.spawn(taken.append, n) for n in range(5)]
    for each in results:
        each.get()
    say(taken)


@scenario
def join_waits_for_all():
    pool = ThreadPool(2)
    results = [pool.spawn(square_or_fail, n) for n in (1, 3)]
    pool.join()
    say([bool(each.ready()) for each in results])


@scenario
def late_is_not_lost():
    pool = ThreadPool(1)
    go_on = threading.Event()
    result = pool.spawn(lambda: go_on.wait() and 'result')
    try:
        result.get(timeout=0.01)
    except Timeout as late:
        say('main caught', late)
    go_on.set()
    say('main has', result.get())


@scenario
def several_wait_for_one():
    pool = ThreadPool(1)
    go_on = threading.Event()
    result = pool.spawn(lambda: go_on.wait() and 'result')

    def waiter(name):
        say(name, 'has', result.get())

    all = [spawn(waiter, name) for name in 'abc']
    sleep(0)
    go_on.set()
    gevent.joinall(all)


main()
