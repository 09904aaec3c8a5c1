"""Spawning: who runs when, and what a fiber looks like before, during and after."""
import gevent
from gevent import Greenlet, sleep, spawn, spawn_later
from gevent.event import Event
from scenario import main, my_error, say, scenario


@scenario
def spawned_ones_run_when_the_caller_waits():
    a = spawn(say, 'a runs')
    b = spawn(say, 'b runs')
    say('main goes on')
    gevent.joinall([a, b])
    say('main ends')


@scenario
def yielding_takes_turns():
    def count(name):
        for i in range(3):
            say(name, i)
            sleep(0)

    gevent.joinall([spawn(count, name) for name in 'abc'])


@scenario
def grandchildren_run_after_all_children():
    def child(name):
        say(name, 'runs')
        spawn(say, name, 'child runs')
        say(name, 'ends')

    spawn(child, 'a')
    spawn(child, 'b')
    sleep(0)
    say('main was asleep for one turn')
    sleep(0)
    say('and another')


@scenario
def main_keeps_its_place_in_the_queue():
    spawn(say, 'before')
    last = spawn(lambda: spawn(say, 'spawned meanwhile'))
    sleep(0)
    say('main', last.ready())
    sleep(0)


@scenario
def woken_and_spawned_share_one_queue():
    first, second = Event(), Event()

    def waiter(name, event):
        event.wait()
        say(name, 'woken')

    all = [spawn(waiter, 'a', first), spawn(waiter, 'b', second)]
    sleep(0)
    all.append(spawn(say, 'c spawned'))
    second.set()
    all.append(spawn(say, 'd spawned'))
    first.set()
    all.append(spawn(say, 'e spawned'))
    gevent.joinall(all)


@scenario
def made_is_not_started():
    made = Greenlet(say, 'it runs')
    sleep(0)
    say('started', made.started, 'ready', made.ready())
    made.start()
    say('started', made.started, 'ready', made.ready())
    made.join()
    say('started', made.started, 'ready', made.ready())


@scenario
def started_twice_runs_once():
    made = Greenlet(say, 'it runs')
    made.start()
    made.start()
    sleep(0)
    sleep(0)
    made.start()
    sleep(0)
    say('ready', made.ready())


@scenario
def start_after_start_later_does_nothing():
    made = Greenlet(say, 'it runs')
    made.start_later(0.1)
    say('started', made.started)
    made.start()
    sleep(0)
    say('ready', made.ready())
    made.join()
    say('ready', made.ready())


@scenario
def spawn_later_runs_in_order_of_time():
    all = [spawn_later(0.15, say, 'after 150'), spawn_later(0.05, say, 'after 50'), spawn_later(0.1, say, 'after 100')]
    say('main waits')
    gevent.joinall(all)


@scenario
def spawn_later_zero_lets_the_ready_ones_first():
    later = spawn_later(0, say, 'later')
    now = spawn(say, 'now')
    gevent.joinall([later, now])


@scenario
def a_life_and_its_states():
    def body():
        say('inside: started', fiber.started, 'ready', fiber.ready(), 'dead', fiber.dead)
        sleep(0)
        return 7

    def states():
        say('started', fiber.started, 'ready', fiber.ready(), 'dead', fiber.dead, 'successful',
            bool(fiber.successful()), 'value', fiber.value, 'exception', fiber.exception)

    fiber = Greenlet(body)
    states()
    fiber.start()
    states()
    sleep(0)
    states()
    fiber.join()
    states()


@scenario
def a_thrown_error_is_kept():
    def body():
        raise my_error('broken')

    fiber = spawn(body)
    fiber.join()
    say('join does not throw')
    for _ in range(2):
        try:
            fiber.get()
        except my_error as error:
            say('get threw', error)
    say('ready', fiber.ready(), 'successful', bool(fiber.successful()), 'value', fiber.value, 'exception',
        fiber.exception)


@scenario
def get_of_an_ended_one_does_not_wait():
    done = spawn(lambda: 5)
    done.join()
    spawn(say, 'other runs')
    say('got', done.get())
    done.join()
    say('joined')
    sleep(0)


@scenario
def a_chain_of_joins_unwinds_from_its_end():
    def link(name, after):
        say(name, 'begins')
        if after is not None:
            say(name, 'got', after.get())
        return name

    a = spawn(link, 'a', None)
    b = spawn(link, 'b', a)
    c = spawn(link, 'c', b)
    say('main got', c.get())


@scenario
def an_error_travels_along_the_joins():
    def broken():
        sleep(0)
        raise my_error('at the bottom')

    def middle():
        try:
            return bottom.get()
        except my_error as error:
            say('middle sees', error)
            raise

    bottom = spawn(broken)
    top = spawn(middle)
    try:
        top.get()
    except my_error as error:
        say('main sees', error)


@scenario
def spawning_in_a_fiber_does_not_switch():
    def parent():
        say('parent before')
        one = spawn(say, 'child runs')
        say('parent after')
        one.join()
        say('parent joined')

    spawn(parent).join()


@scenario
def idle_waits_for_all_who_are_ready():
    def busy():
        for i in range(3):
            say('busy', i)
            sleep(0)

    spawn(busy)
    gevent.idle()
    say('main, at last')


main()
