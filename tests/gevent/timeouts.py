"""Timeouts: what they interrupt, whose they are, and what they leave behind."""
import gevent
from gevent import GreenletExit, Timeout, sleep, spawn, with_timeout
from gevent.event import AsyncResult, Event
from gevent.lock import Semaphore
from gevent.queue import Queue
from scenario import main, my_error, my_other_error, say, scenario


@scenario
def a_sleep_is_interrupted():
    try:
        with Timeout(0.01) as limit:
            sleep(60)
            say('this is never said')
    except Timeout as late:
        say('caught', late, late is limit)


@scenario
def in_time_nothing_happens():
    with Timeout(0.1) as limit:
        say('pending', limit.pending)
        sleep(0)
    sleep(0.15)
    say('undisturbed')


@scenario
def the_inner_one_first():
    with Timeout(60) as outer:
        try:
            with Timeout(0.01) as inner:
                sleep(60)
        except Timeout as late:
            say('inner', late is inner, 'outer', late is outer)
        say('outer pending', outer.pending)
        sleep(0)
        say('outer scope goes on')


@scenario
def the_outer_one_first():
    try:
        with Timeout(0.01) as outer:
            try:
                with Timeout(60) as inner:
                    sleep(60)
            except Timeout as late:
                say('inner scope: inner', late is inner, 'outer', late is outer)
                say('pending', inner.pending, outer.pending)
                raise
            say('this is never said')
    except Timeout as late:
        say('outer scope: outer', late is outer)


@scenario
def each_of_three_in_its_turn():
    try:
        with Timeout(0.4) as outer:
            try:
                with Timeout(0.2) as middle:
                    try:
                        with Timeout(0.01) as inner:
                            sleep(60)
                    except Timeout as late:
                        say('inner', late is inner)
                    sleep(60)
            except Timeout as late:
                say('middle', late is middle)
            sleep(60)
    except Timeout as late:
        say('outer', late is outer)


@scenario
def an_error_of_ones_own():
    try:
        with Timeout(0.01, my_error('too slow')):
            sleep(60)
    except my_error as error:
        say('caught', error)


@scenario
def own_errors_tell_nested_ones_apart():
    try:
        with Timeout(0.01, my_error('outer')):
            try:
                with Timeout(60, my_other_error('inner')):
                    sleep(60)
            except my_other_error as error:
                say('this is never said', error)
    except my_error as error:
        say('caught', error)


@scenario
def once_caught_it_does_not_come_again():
    with Timeout(0.01):
        try:
            sleep(60)
        except Timeout as late:
            say('caught', late)
        sleep(0.02)
        say('slept in the same scope')


@scenario
def with_timeout_and_its_default():
    say('in time:', with_timeout(60, lambda: 5, timeout_value=None))
    say('too late:', with_timeout(0.01, sleep, 60, timeout_value=None))


@scenario
def with_timeout_lets_others_pass():
    try:
        with Timeout(0.01) as outer:
            say('this is never said', with_timeout(60, sleep, 60, timeout_value=None))
    except Timeout as late:
        say('outer', late is outer)


@scenario
def with_timeout_lets_errors_pass():
    def broken():
        raise my_error('inside')

    try:
        with_timeout(60, broken, timeout_value=None)
    except my_error as error:
        say('caught', error)


@scenario
def get_has_its_own():
    fiber = spawn(sleep, 60)
    with Timeout(60) as outer:
        try:
            fiber.get(timeout=0.01)
        except Timeout as late:
            say('caught', late, 'outer', late is outer)
    say('ready', fiber.ready())
    fiber.kill()


@scenario
def join_has_its_own_and_lets_others_pass():
    fiber = spawn(sleep, 60)
    fiber.join(timeout=0.01)
    say('ready', fiber.ready())
    try:
        with Timeout(0.01) as outer:
            fiber.join(timeout=60)
            say('this is never said')
    except Timeout as late:
        say('outer', late is outer)
    fiber.kill()


@scenario
def the_joined_fiber_is_not_concerned():
    event = Event()

    def worker():
        event.wait()
        return 'result'

    fiber = spawn(worker)
    try:
        with Timeout(0.01):
            fiber.get()
    except Timeout as late:
        say('main caught', late)
    event.set()
    say('got', fiber.get())


@scenario
def spawned_inside_is_outside():
    def worker():
        sleep(0.03)
        say('worker is undisturbed')

    try:
        with Timeout(0.01):
            fiber = spawn(worker)
            sleep(60)
    except Timeout as late:
        say('main caught', late)
    fiber.join()


@scenario
def out_of_a_fiber_it_is_an_error_of_that_fiber():
    def body():
        with Timeout(0.01):
            sleep(60)

    fiber = spawn(body)
    try:
        fiber.get()
    except Timeout as late:
        say('get threw', late)
    say('successful', bool(fiber.successful()), fiber.exception)


@scenario
def two_fibers_each_their_own():
    def body(name, seconds):
        try:
            with Timeout(seconds) as limit:
                sleep(60)
        except Timeout as late:
            say(name, late is limit)

    gevent.joinall([spawn(body, 'slow', 0.1), spawn(body, 'quick', 0.01)])


@scenario
def a_kill_passes_through_and_ends_it():
    def body():
        try:
            with Timeout(0.1):
                try:
                    sleep(60)
                except GreenletExit as error:
                    say('inside', error)
                    raise
        except GreenletExit as error:
            say('outside', error)
        sleep(0.15)
        say('undisturbed')

    fiber = spawn(body)
    sleep(0)
    fiber.kill()


@scenario
def one_that_only_yields_is_reached_too():
    try:
        with Timeout(0.01) as limit:
            while True:
                sleep(0)
    except Timeout as late:
        say('caught', late is limit)


@scenario
def zero_is_raised_at_the_next_wait():
    try:
        with Timeout(0):
            say('inside')
            sleep(60)
            say('this is never said')
    except Timeout as late:
        say('caught', late)


@scenario
def never_is_never():
    with Timeout(None) as limit:
        say('pending', limit.pending)
        sleep(0)
    say('left')


@scenario
def cancelled_and_started_again():
    limit = Timeout(0.01)
    limit.start()
    limit.cancel()
    say('pending', limit.pending)
    sleep(0.03)
    limit.start()
    say('pending', limit.pending)
    try:
        sleep(60)
    except Timeout as late:
        say('caught', late is limit)
    say('pending', limit.pending)
    limit.close()


@scenario
def no_item_is_lost_in_a_timed_out_get():
    queue = Queue()

    def getter(name, until):
        try:
            with Timeout(until):
                say(name, 'got', queue.get())
        except Timeout as late:
            say(name, late)

    a, b = spawn(getter, 'a', 0.01), spawn(getter, 'b', None)
    a.join()
    queue.put('item')
    b.join()
    say('size', queue.qsize())


@scenario
def every_kind_of_wait_is_interrupted():
    event, result, semaphore, queue = Event(), AsyncResult(), Semaphore(0), Queue()
    full = Queue(1)
    full.put(0)
    forever = spawn(event.wait)

    def interrupted(name, wait):
        try:
            with Timeout(0.01) as limit:
                wait()
        except Timeout as late:
            say(name, late is limit)

    interrupted('event', event.wait)
    interrupted('result', result.get)
    interrupted('semaphore', semaphore.acquire)
    interrupted('get', queue.get)
    interrupted('put', lambda: full.put(1))
    interrupted('peek', queue.peek)
    interrupted('join', forever.join)
    interrupted('get of a fiber', forever.get)
    interrupted('joinall', lambda: gevent.joinall([forever]))
    interrupted('wait', lambda: gevent.wait([event, semaphore]))
    say('value', semaphore.counter, 'size', queue.qsize(), full.qsize())
    event.set()
    forever.join()


main()
