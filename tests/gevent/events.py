"""Events and results: who wakes, in which order, and what they are told."""
import gevent
from gevent import GreenletExit, Timeout, sleep, spawn
from gevent.event import AsyncResult, Event
from scenario import main, my_error, say, scenario


def wait_for(event, name):
    say(name, event.wait())


@scenario
def waiters_wake_in_order_of_waiting():
    event = Event()
    all = [spawn(wait_for, event, name) for name in 'abc']
    sleep(0)
    event.set()
    say('main goes on')
    gevent.joinall(all)


@scenario
def set_and_cleared_at_once_wakes_all_the_same():
    event = Event()
    all = [spawn(wait_for, event, name) for name in 'ab']
    sleep(0)
    event.set()
    event.clear()
    say('set', event.is_set())
    gevent.joinall(all)
    say('set', event.is_set())


@scenario
def set_twice_wakes_once():
    event = Event()

    def waiter():
        say('first', event.wait())
        event.clear()
        say('second', event.wait(timeout=0.01))

    fiber = spawn(waiter)
    sleep(0)
    event.set()
    event.set()
    fiber.join()


@scenario
def wait_for_a_set_one_does_not_switch():
    event = Event()
    event.set()
    spawn(say, 'other runs')
    say('main', event.wait())
    sleep(0)


@scenario
def wait_until_it_is_late():
    event = Event()
    in_time = event.wait(timeout=0.01)
    say(in_time, event.is_set())
    event.set()
    say(event.wait(timeout=0.01))


@scenario
def one_that_waits_again_lets_the_others_first():
    event = Event()

    def waiter(name):
        event.wait()
        say(name)
        event.wait()
        say(name, 'again')

    all = [spawn(waiter, name) for name in 'ab']
    sleep(0)
    event.set()
    gevent.joinall(all)


@scenario
def ping_pong():
    ping, pong = Event(), Event()

    def player(name, mine, other):
        for i in range(3):
            mine.wait()
            mine.clear()
            say(name, i)
            other.set()

    all = [spawn(player, 'ping', ping, pong), spawn(player, 'pong', pong, ping)]
    sleep(0)
    ping.set()
    gevent.joinall(all)


@scenario
def a_killed_waiter_is_passed_over():
    event = Event()
    all = [spawn(wait_for, event, name) for name in 'abc']
    sleep(0)
    all[1].kill()
    event.set()
    gevent.joinall(all)


@scenario
def a_waiter_kills_the_next():
    event = Event()

    def first():
        event.wait()
        say('first kills second')
        all[1].kill()
        say('first ends')

    def second():
        try:
            event.wait()
            say('second is woken')
            sleep(60)
        except GreenletExit as error:
            say('second sees', error)
            raise

    all = [spawn(first), spawn(second), spawn(wait_for, event, 'third')]
    sleep(0)
    event.set()
    gevent.joinall(all)


@scenario
def main_has_its_place_among_the_waiters():
    event = Event()
    before = spawn(wait_for, event, 'before')
    sleep(0)

    after = spawn(wait_for, event, 'after')
    set = spawn(event.set)
    wait_for(event, 'main')
    gevent.joinall([before, after, set])


@scenario
def raw_links_are_called_in_the_hub():
    event = Event()

    def callback(of):
        say('callback', of.is_set())

    event.rawlink(callback)
    sleep(0)
    event.set()
    say('main goes on')
    sleep(0)
    event.clear()
    event.set()
    sleep(0)
    say('called once')


@scenario
def raw_links_and_waiters_share_one_order():
    event = Event()
    first = spawn(wait_for, event, 'first')
    sleep(0)
    event.rawlink(lambda _: say('callback'))
    last = spawn(wait_for, event, 'last')
    sleep(0)
    event.set()
    gevent.joinall([first, last])


@scenario
def unlinked_is_not_called():
    event = Event()

    def callback(_):
        say('this is never said')

    event.rawlink(callback)
    event.unlink(callback)
    event.set()
    sleep(0)
    event.rawlink(callback)
    event.unlink(callback)
    sleep(0)
    say('main')


@scenario
def linked_to_a_set_one():
    event = Event()
    event.set()
    sleep(0)  # without a hub gevent calls it at once
    event.rawlink(lambda of: say('callback', of.is_set()))
    say('main goes on')
    sleep(0)


@scenario
def a_result_is_handed_to_all():
    result = AsyncResult()

    def getter(name):
        say(name, result.get())

    all = [spawn(getter, name) for name in 'ab']
    sleep(0)
    say('ready', bool(result.ready()), 'value', result.value)
    result.set(4)
    say('ready', bool(result.ready()), 'value', result.value)
    gevent.joinall(all)
    say('main', result.get())


@scenario
def an_error_is_thrown_at_all():
    result = AsyncResult()

    def getter(name):
        try:
            result.get()
        except my_error as error:
            say(name, 'sees', error)

    all = [spawn(getter, name) for name in 'ab']
    sleep(0)
    result.set_exception(my_error('sorry'))
    gevent.joinall(all)
    getter('main')
    say('successful', result.successful(), 'value', result.value, 'exception', result.exception)


@scenario
def wait_does_not_throw():
    result = AsyncResult()
    say('late', bool(result.wait(timeout=0.01)))
    spawn(result.set_exception, my_error('sorry'))
    result.wait()
    say('ready', bool(result.ready()), 'successful', result.successful())


@scenario
def get_until_it_is_late():
    result = AsyncResult()
    try:
        result.get(timeout=0.01)
    except Timeout as late:
        say('get threw', late)
    result.set(1)
    say(result.get(timeout=0.01))


@scenario
def one_woken_by_a_result_is_killed_before_it_runs():
    result = AsyncResult()

    def getter():
        say('getter has', result.get())
        try:
            sleep(60)
        except GreenletExit as error:
            say('getter sees', error)
            raise

    fiber = spawn(getter)
    sleep(0)
    result.set(8)
    fiber.kill()
    say('successful', bool(fiber.successful()))


@scenario
def one_woken_in_time_may_be_timed_out_later():
    event = Event()

    def waiter():
        try:
            with Timeout(0.1):
                say('event', event.wait())
                event.clear()
                event.wait()
        except Timeout as late:
            say('waiter', late)

    fiber = spawn(waiter)
    sleep(0)
    event.set()
    fiber.join()


main()
