"""Waiting for several: what comes back, in which order, and what ends the wait."""
import gevent
from gevent import iwait, joinall, sleep, spawn, wait
from gevent.event import AsyncResult, Event
from gevent.hub import LoopExit
from gevent.lock import Semaphore
from scenario import main, my_error, say, scenario


class stage:
    """Fibers that end when they are told to."""

    def __init__(self, *names):
        self.end = {name: Event() for name in names}
        self.fibers = {name: spawn(self.play, name) for name in names}
        sleep(0)

    def play(self, name):
        self.end[name].wait()
        if name.startswith('bad'):
            raise my_error(name)
        return name

    def all(self):
        return list(self.fibers.values())

    def name(self, one):
        return next(name for name, fiber in self.fibers.items() if fiber is one)

    def names(self, fibers):
        return [self.name(each) for each in fibers]

    def finish(self, *names):
        for name in names:
            self.end[name].set()


@scenario
def joinall_returns_them_in_order_of_ending():
    on = stage('a', 'b', 'c')
    on.finish('c', 'a', 'b')
    say(on.names(joinall(on.all())))


@scenario
def joinall_of_ended_ones_keeps_the_order_of_the_list():
    on = stage('a', 'b', 'c')
    on.finish('c', 'a', 'b')
    sleep(0)
    say(on.names(joinall([on.fibers['b'], on.fibers['c'], on.fibers['a']])))


@scenario
def joinall_until_a_count():
    on = stage('a', 'b', 'c')
    on.finish('b', 'c')
    say(on.names(joinall(on.all(), count=2)), 'a ready', on.fibers['a'].ready())
    sleep(0)
    on.finish('a')
    say(on.names(joinall(on.all(), count=9)))


@scenario
def joinall_until_it_is_late():
    on = stage('a', 'b', 'c')
    on.finish('b')
    say(on.names(joinall(on.all(), timeout=0.1)))
    on.finish('a', 'c')
    say(on.names(joinall(on.all())))


@scenario
def joinall_keeps_errors_to_itself():
    on = stage('a', 'bad')
    on.finish('bad', 'a')
    say(on.names(joinall(on.all())))


@scenario
def joinall_raises_the_first_error():
    on = stage('a', 'bad 1', 'bad 2', 'd')
    on.finish('a', 'bad 2', 'bad 1')
    try:
        joinall(on.all(), raise_error=True)
    except my_error as error:
        say('threw', error, 'd ready', on.fibers['d'].ready())
    on.finish('d')
    on.fibers['d'].join()


@scenario
def joinall_does_not_take_a_kill_for_an_error():
    on = stage('a', 'b')
    on.fibers['a'].kill()
    on.finish('b')
    say(on.names(joinall(on.all(), raise_error=True)))


@scenario
def joinall_of_nothing():
    spawn(say, 'other runs')
    say(joinall([]))
    say('main did not wait')
    sleep(0)


@scenario
def joinall_of_one_named_twice():
    on = stage('a', 'b')
    on.finish('b', 'a')
    say(on.names(joinall([on.fibers['a'], on.fibers['b'], on.fibers['a']])))


@scenario
def iwait_in_order_of_completion():
    on = stage('a', 'b', 'c')

    def director():
        for name in 'bca':
            say('director ends', name)
            on.finish(name)
            sleep(0)
            sleep(0)

    spawn(director)
    for each in iwait(on.all()):
        say('main has', on.name(each))
    say('main ends')


@scenario
def iwait_misses_nothing_while_its_caller_waits():
    on = stage('a', 'b', 'c')
    on.finish('c')
    for each in iwait(on.all()):
        say('main has', on.name(each))
        if each is on.fibers['c']:
            on.finish('b', 'a')
            sleep(0.01)
            say('main slept')


@scenario
def iwait_until_a_count():
    on = stage('a', 'b', 'c')
    on.finish('c', 'b')
    for each in iwait(on.all(), count=2):
        say('main has', on.name(each))
    say('a ready', on.fibers['a'].ready())
    on.finish('a')
    on.fibers['a'].join()


@scenario
def iwait_until_it_is_late():
    on = stage('a', 'b')
    on.finish('b')
    for each in iwait(on.all(), timeout=0.1):
        say('main has', on.name(each))
    say('main ends')
    on.finish('a')
    on.fibers['a'].join()


@scenario
def iwait_left_early():
    on = stage('a', 'b', 'c')
    on.finish('b', 'c', 'a')
    with iwait(on.all()) as all:
        for each in all:
            say('main has', on.name(each))
            break
    gevent.wait(on.all())
    say('all ready')


@scenario
def wait_for_a_mixture():
    on = stage('fiber')
    event, semaphore, result = Event(), Semaphore(0), AsyncResult()

    def name(one):
        return 'event' if one is event else 'semaphore' if one is semaphore else 'result' if one is result else 'fiber'

    def director():
        semaphore.release()
        sleep(0)
        result.set(1)
        sleep(0)
        on.finish('fiber')
        sleep(0)
        sleep(0)
        event.set()

    spawn(director)
    ready = wait([on.fibers['fiber'], event, semaphore, result])
    say([name(each) for each in ready])
    say('the semaphore was not taken:', semaphore.counter)


@scenario
def wait_for_the_first_of_a_mixture():
    on = stage('fiber')
    event = Event()
    event.set()
    ready = wait([on.fibers['fiber'], event], count=1)
    say(len(ready), 'event' if ready[0] is event else 'fiber')
    on.finish('fiber')
    on.fibers['fiber'].join()


@scenario
def wait_for_all_that_is_left():
    def chain(n):
        say('chain', n)
        if n < 3:
            spawn(chain, n + 1)

    spawn(chain, 1)
    gevent.spawn_later(0.01, say, 'later')
    say(wait())


@scenario
def wait_for_all_that_is_left_until_it_is_late():
    fiber = spawn(sleep, 60)
    say(wait(timeout=0.01))
    fiber.kill()
    say(wait(timeout=60))


@scenario
def those_who_join_one_go_on_in_order():
    on = stage('a')

    def joiner(name):
        on.fibers['a'].join()
        say(name)

    all = [spawn(joiner, name) for name in ['first', 'second', 'third']]
    sleep(0)
    on.finish('a')
    joinall(all)


@scenario
def a_killed_joiner_makes_room_for_the_next():
    on = stage('a')

    def joiner(name):
        on.fibers['a'].join()
        say(name)

    all = [spawn(joiner, name) for name in ['first', 'second', 'third']]
    sleep(0)
    all[1].kill()
    on.finish('a')
    say(len(joinall(all)))


@scenario
def nobody_left_to_end_it():
    event = Event()
    fiber = spawn(event.wait)
    try:
        fiber.join()
    except LoopExit as error:
        say('main caught', error)
    event.set()
    fiber.join()
    say('and goes on')


@scenario
def two_that_join_each_other():
    def joiner(name):
        say(name, 'joins')
        fibers[1 - name].join()
        say(name, 'ends')

    fibers = [spawn(joiner, 0), spawn(joiner, 1)]
    try:
        joinall(fibers)
    except LoopExit as error:
        say('main caught', error)
    fibers[0].kill()
    joinall(fibers)


main()
