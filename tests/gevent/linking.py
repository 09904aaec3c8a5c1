"""Links: who is told of a fiber's end, in which order, and in whose turn."""
import gevent
from gevent import sleep, spawn
from gevent.event import AsyncResult, Event
from scenario import main, my_error, say, scenario


def fail():
    raise my_error('broken')


@scenario
def links_are_called_in_order_of_linking():
    fiber = spawn(say, 'fiber ends')
    for name in ['first', 'second', 'third']:
        fiber.link(lambda of, name=name: say(name, of.ready()))
    fiber.join()
    say('main')


@scenario
def joins_and_links_share_one_order():
    end = Event()

    def joiner(name):
        fiber.join()
        say(name)

    fiber = spawn(end.wait)
    fiber.link(lambda _: say('link 1'))
    all = [fiber, spawn(joiner, 'join 2')]
    sleep(0)
    fiber.link(lambda _: say('link 3'))
    all.append(spawn(joiner, 'join 4'))
    sleep(0)
    fiber.link(lambda _: say('link 5'))
    end.set()
    gevent.joinall(all)
    say('main')


@scenario
def links_wait_for_those_who_were_ready_at_the_end():
    def body():
        say('fiber ends')
        spawn(say, 'spawned by the fiber')

    fiber = spawn(body)
    fiber.link(lambda _: say('link'))
    spawn(say, 'spawned before the end')
    sleep(0)
    sleep(0)


@scenario
def linked_after_the_end():
    fiber = spawn(say, 'fiber ends')
    fiber.join()
    fiber.link(lambda of: say('link', of.ready()))
    say('main goes on')
    sleep(0)
    say('main')
    sleep(0)


@scenario
def each_link_is_called_once():
    fiber = spawn(say, 'fiber ends')
    fiber.link(lambda _: say('linked before the end'))
    fiber.join()
    fiber.link(lambda _: say('linked after the end'))
    sleep(0)
    sleep(0)
    fiber.kill()
    sleep(0)


@scenario
def the_same_callback_twice_is_called_twice():
    def callback(_):
        say('called')

    fiber = spawn(say, 'fiber ends')
    fiber.link(callback)
    fiber.link(callback)
    fiber.join()


@scenario
def for_value_or_exception_only():
    good, bad, killed = spawn(lambda: 1), spawn(fail), spawn(sleep, 60)
    for name, fiber in [('good', good), ('bad', bad), ('killed', killed)]:
        fiber.link_value(lambda of, name=name: say(name, 'value'))
        fiber.link_exception(lambda of, name=name: say(name, 'exception', of.exception))
        fiber.link(lambda of, name=name: say(name, 'either'))
    sleep(0)
    killed.kill()
    sleep(0)


@scenario
def unlinked_is_not_called():
    # rawlink: what link() makes of a callback cannot be named to unlink it
    def first(_):
        say('first')

    def second(_):
        say('this is never said')

    def third(_):
        say('third')

    fiber = spawn(say, 'fiber ends')
    for callback in first, second, third:
        fiber.rawlink(callback)
    fiber.unlink(second)
    fiber.join()


@scenario
def unlinked_between_the_end_and_the_call():
    def callback(_):
        say('this is never said')

    fiber = spawn(say, 'fiber ends')
    fiber.join()
    fiber.rawlink(callback)
    fiber.unlink(callback)
    sleep(0)
    say('main')


@scenario
def a_link_may_unlink_a_later_one():
    def first(_):
        say('first')
        fiber.unlink(second)

    def second(_):
        say('this is never said')

    fiber = spawn(say, 'fiber ends')
    fiber.rawlink(first)
    fiber.rawlink(second)
    fiber.rawlink(lambda _: say('third'))
    fiber.join()


@scenario
def a_link_may_wait():
    go_on = Event()

    def waits(_):
        say('first waits')
        go_on.wait()
        say('first goes on')

    fiber = spawn(say, 'fiber ends')
    fiber.link(waits)
    fiber.link(lambda _: say('second'))
    fiber.join()
    say('main')
    go_on.set()
    sleep(0)


@scenario
def a_link_that_throws_stops_no_other():
    def throws(_):
        say('first')
        fail()

    fiber = spawn(say, 'fiber ends')
    fiber.link(throws)
    fiber.link(lambda _: say('second'))
    fiber.join()
    say('main')


@scenario
def a_link_may_link():
    def links(_):
        say('first')
        fiber.link(lambda _: say('linked by the first'))

    fiber = spawn(say, 'fiber ends')
    fiber.link(links)
    fiber.link(lambda _: say('second'))
    fiber.join()
    say('main')
    sleep(0)


@scenario
def a_link_fetches_the_result():
    def fetch(of):
        try:
            say('link got', of.get())
        except my_error as error:
            say('link sees', error)

    for body in [lambda: 6, fail]:
        fiber = spawn(body)
        fiber.link(fetch)
        fiber.join()
    sleep(0)


@scenario
def of_one_killed_before_its_first_run():
    fiber = spawn(say, 'this is never said')
    fiber.link(lambda of: say('link', bool(of.successful())))
    fiber.link_value(lambda _: say('value'))
    fiber.link_exception(lambda _: say('exception'))
    fiber.kill()
    say('main goes on')
    sleep(0)


@scenario
def a_result_is_a_target():
    result, failure = AsyncResult(), AsyncResult()
    spawn(lambda: 9).link(result)
    spawn(fail).link(failure)
    say('got', result.get())
    try:
        failure.get()
    except my_error as error:
        say('get threw', error)
    say(result.successful(), failure.successful(), bool(failure.ready()), failure.exception)


@scenario
def raw_and_other_links_share_one_order():
    fiber = spawn(say, 'fiber ends')
    fiber.link(lambda _: say('link 1'))
    fiber.rawlink(lambda _: say('raw 2'))
    fiber.link(lambda _: say('link 3'))
    fiber.rawlink(lambda _: say('raw 4'))
    fiber.join()


@scenario
def a_chain_of_links():
    def next_of(n):
        def callback(_):
            say('link', n)
            if n < 3:
                spawn(say, 'fiber', n).link(next_of(n + 1))
            else:
                done.set()
        return callback

    done = Event()
    spawn(say, 'fiber', 0).link(next_of(1))
    done.wait()
    say('main')


main()
