"""Fibers and greenlets switched by hand, on one thread: who waits for whom, and where errors and kills go."""
import gevent
from gevent import GreenletExit, Timeout, sleep, spawn
from gevent.event import Event
from greenlet import getcurrent, greenlet
from scenario import main, my_error, say, scenario


@scenario
def a_greenlet_inside_a_fiber_waits_in_the_hub():
    def inner():
        say('inner waits')
        sleep(0)
        say('inner goes on')
        return 'result'

    def body():
        say('fiber has', greenlet(inner).switch())

    fiber = spawn(body)
    other = spawn(say, 'other runs')
    gevent.joinall([fiber, other])


@scenario
def its_error_comes_out_in_the_fiber():
    def inner():
        sleep(0)
        raise my_error('inside')

    def body():
        try:
            greenlet(inner).switch()
        except my_error as error:
            say('fiber sees', error)
            raise

    fiber = spawn(body)
    fiber.join()
    say(fiber.exception)


def waits_for_ever():
    Event().wait()
    say('this is never said')


@scenario
def a_timeout_comes_out_of_the_switch():
    inner = greenlet(waits_for_ever)
    try:
        with Timeout(0.01) as limit:
            inner.switch()
            say('this is never said')
    except Timeout as late:
        say('main', late is limit, 'inner dead', inner.dead)
    say('main ends')


@scenario
def a_kill_comes_out_of_the_switch():
    def body():
        inner = greenlet(waits_for_ever)
        try:
            inner.switch()
        except GreenletExit as error:
            say('fiber sees', error, 'inner dead', inner.dead)
            raise

    fiber = spawn(body)
    sleep(0)
    fiber.kill()
    say('main', fiber.ready())


@scenario
def an_error_in_a_fiber_does_not_harm_the_others():
    def broken():
        say('broken throws')
        raise my_error('nobody asks')

    all = [spawn(broken), spawn(say, 'other runs')]
    gevent.joinall(all)
    say('main goes on')


@scenario
def a_greenlet_waits_for_a_fiber():
    def inner():
        return spawn(lambda: 'from the fiber').get()

    say('main has', greenlet(inner).switch())


@scenario
def a_fiber_spawned_by_a_greenlet_is_the_hubs():
    def inner():
        spawn(say, 'fiber runs')
        say('greenlet ends')

    greenlet(inner).switch()
    say('main')
    sleep(0)


main()
