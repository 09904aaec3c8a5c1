"""Killing: where it is raised, who goes on when, and what remains of the killed."""
import gevent
from gevent import Greenlet, GreenletExit, killall, sleep, spawn
from gevent.event import Event
from scenario import main, my_error, my_other_error, say, scenario


def sleeper(name):
    """Waits for ever and says what ended it."""
    say(name, 'sleeps')
    try:
        sleep(60)
    except BaseException as error:
        say(name, 'sees', error)
        raise


def states(name, fiber):
    say(name, 'ready', fiber.ready(), 'successful', bool(fiber.successful()), 'exception', fiber.exception)


@scenario
def raised_where_it_waits():
    fiber = spawn(sleeper, 'a')
    sleep(0)
    say('main kills')
    fiber.kill()
    say('main goes on')
    states('a', fiber)


@scenario
def before_its_first_run_it_never_runs():
    fiber = spawn(say, 'this is never said')
    say('started', fiber.started)
    fiber.kill()
    say('started', fiber.started)
    states('fiber', fiber)
    sleep(0)
    sleep(0)


@scenario
def before_its_first_run_the_killer_does_not_wait():
    fiber = spawn(say, 'this is never said')
    spawn(say, 'other runs')
    fiber.kill()
    say('main goes on')
    sleep(0)


@scenario
def killed_before_start_cannot_be_started():
    fiber = Greenlet(say, 'this is never said')
    fiber.kill()
    states('fiber', fiber)
    fiber.start()
    sleep(0)
    say('started', fiber.started)
    fiber.join()
    say('joined')


@scenario
def before_its_first_run_with_an_error():
    fiber = spawn(say, 'this is never said')
    fiber.kill(my_error('why'))
    states('fiber', fiber)
    try:
        fiber.get()
    except my_error as error:
        say('get threw', error)
    sleep(0)


@scenario
def without_blocking_it_is_raised_later():
    fiber = spawn(sleeper, 'a')
    sleep(0)
    fiber.kill(block=False)
    say('main goes on')
    states('a', fiber)
    fiber.join()
    states('a', fiber)


@scenario
def without_blocking_it_has_its_place_in_the_queue():
    fiber = spawn(sleeper, 'a')
    sleep(0)
    spawn(say, 'b runs')
    fiber.kill(block=False)
    spawn(say, 'c runs')
    sleep(0)
    say('main')


@scenario
def the_killer_goes_on_before_those_spawned_meanwhile():
    fiber = spawn(sleeper, 'a')
    sleep(0)
    spawn(lambda: spawn(say, 'grandchild runs'))
    fiber.kill()
    say('main')
    sleep(0)


@scenario
def with_an_error_of_ones_own():
    fiber = spawn(sleeper, 'a')
    sleep(0)
    fiber.kill(my_error('enough'))
    states('a', fiber)
    try:
        fiber.get()
    except my_error as error:
        say('get threw', error)


@scenario
def swallowed_the_killer_waits_for_the_end():
    def stubborn():
        try:
            sleep(60)
        except GreenletExit as error:
            say('stubborn swallows', error)
        for i in range(3):
            say('stubborn goes on', i)
            sleep(0)
        return 'done'

    fiber = spawn(stubborn)
    sleep(0)
    fiber.kill()
    say('main', fiber.value)
    states('stubborn', fiber)


@scenario
def swallowed_longer_than_the_killer_waits():
    go_on = Event()

    def stubborn():
        try:
            sleep(60)
        except GreenletExit:
            say('stubborn swallows')
        go_on.wait()
        say('stubborn ends')

    fiber = spawn(stubborn)
    sleep(0)
    fiber.kill(timeout=0.1)
    states('stubborn', fiber)
    go_on.set()
    fiber.join()
    states('stubborn', fiber)


@scenario
def a_ready_one_runs_on_to_its_next_wait():
    def busy():
        try:
            for i in range(3):
                say('busy', i)
                sleep(0)
            say('busy ends')
        except GreenletExit as error:
            say('busy sees', error)
            raise

    fiber = spawn(busy)
    sleep(0)
    fiber.kill()
    say('main')
    states('busy', fiber)


@scenario
def one_that_is_woken_already_gets_its_result_first():
    event = Event()

    def waiter():
        try:
            say('waiter: event', event.wait())
            event.clear()
            event.wait()
            say('this is never said')
        except GreenletExit as error:
            say('waiter sees', error)
            raise

    fiber = spawn(waiter)
    sleep(0)
    event.set()
    fiber.kill()
    states('waiter', fiber)


@scenario
def one_that_ends_in_the_meantime_is_not_harmed():
    event = Event()

    def waiter():
        event.wait()
        return 'result'

    fiber = spawn(waiter)
    sleep(0)
    event.set()
    fiber.kill()
    states('waiter', fiber)
    say('got', fiber.get())


@scenario
def one_that_joins_leaves_the_joined_alone():
    release = Event()

    def worker():
        release.wait()
        say('worker ends')

    def joiner():
        try:
            work.join()
        except GreenletExit as error:
            say('joiner sees', error)
            raise

    work = spawn(worker)
    join = spawn(joiner)
    sleep(0)
    join.kill()
    states('worker', work)
    release.set()
    work.join()
    states('worker', work)


@scenario
def again_while_it_cleans_up():
    def careful():
        try:
            sleep(60)
        except GreenletExit as error:
            say('first', error)
            try:
                sleep(60)
            except my_error as second:
                say('second', second)
            say('cleaned up')
            raise

    fiber = spawn(careful)
    sleep(0)
    fiber.kill(block=False)
    fiber.kill(my_error('hurry'), block=False)
    fiber.join()
    states('careful', fiber)


@scenario
def an_ended_one_is_left_as_it_is():
    fiber = spawn(lambda: 3)
    fiber.join()
    spawn(say, 'other runs')
    fiber.kill()
    fiber.kill(my_error('too late'))
    say('main did not wait')
    states('fiber', fiber)
    say('got', fiber.get())
    sleep(0)


@scenario
def a_killer_may_be_killed_while_it_waits():
    release = Event()

    def stubborn():
        try:
            sleep(60)
        except GreenletExit:
            say('stubborn swallows')
        release.wait()
        say('stubborn ends')

    def killer():
        try:
            victim.kill()
        except GreenletExit as error:
            say('killer sees', error)
            raise

    victim = spawn(stubborn)
    sleep(0)
    murder = spawn(killer)
    sleep(0)
    sleep(0)
    murder.kill()
    states('killer', murder)
    release.set()
    victim.join()
    states('stubborn', victim)


@scenario
def itself():
    def suicidal():
        try:
            say('kills itself')
            fiber.kill()
            say('this is never said')
        except GreenletExit as error:
            say('sees', error)
            raise

    fiber = spawn(suicidal)
    fiber.join()
    states('fiber', fiber)


@scenario
def itself_without_blocking():
    def suicidal():
        try:
            fiber.kill(block=False)
            say('goes on to its next wait')
            sleep(60)
        except GreenletExit as error:
            say('sees', error)
            raise

    fiber = spawn(suicidal)
    fiber.join()
    states('fiber', fiber)


@scenario
def cleaning_up_may_fail():
    def careless():
        try:
            sleep(60)
        except GreenletExit:
            raise my_error('while cleaning up')

    fiber = spawn(careless)
    sleep(0)
    fiber.kill()
    states('careless', fiber)


@scenario
def all_in_the_order_of_the_list():
    a, b, c = [spawn(sleeper, name) for name in 'abc']
    sleep(0)
    killall([c, a, b])
    say('main')
    states('a', a)


@scenario
def all_with_an_error():
    a, b = spawn(sleeper, 'a'), spawn(sleeper, 'b')
    sleep(0)
    killall([a, b], my_error('everyone'))
    states('a', a)
    states('b', b)


@scenario
def all_some_of_them_unstarted_or_ended():
    ended = spawn(say, 'ended')
    running = spawn(sleeper, 'running')
    sleep(0)
    fresh = spawn(say, 'this is never said')
    made = Greenlet(say, 'nor this')
    killall([fresh, running, made, ended])
    states('fresh', fresh)
    states('running', running)
    states('made', made)
    states('ended', ended)
    sleep(0)


@scenario
def all_without_blocking():
    all = [spawn(sleeper, name) for name in 'ab']
    sleep(0)
    killall(all, block=False)
    say('main goes on')
    states('a', all[0])
    gevent.joinall(all)
    states('a', all[0])


@scenario
def all_waits_for_those_that_swallow_it():
    def stubborn():
        try:
            sleep(60)
        except GreenletExit:
            say('a swallows')
        sleep(0)
        sleep(0)
        say('a ends')

    a, b = spawn(stubborn), spawn(sleeper, 'b')
    sleep(0)
    killall([a, b])
    say('main', a.ready(), b.ready())


@scenario
def all_by_one_of_them():
    def killer():
        try:
            killall(all)
            say('this is never said')
        except GreenletExit as error:
            say('killer sees', error)
            raise

    all = [spawn(sleeper, 'a'), spawn(killer), spawn(sleeper, 'c')]
    gevent.joinall(all)
    states('killer', all[1])
    states('c', all[2])


@scenario
def the_error_may_be_replaced():
    def translates():
        try:
            sleep(60)
        except my_error as error:
            raise my_other_error('instead of ' + str(error))

    fiber = spawn(translates)
    sleep(0)
    fiber.kill(my_error('x'))
    states('fiber', fiber)


main()
