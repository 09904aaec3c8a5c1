"""Channels: putter and getter meet."""
import gevent
from gevent import Timeout, sleep, spawn
from gevent.queue import Channel, Empty, Full
from scenario import main, say, scenario


def getter(channel, name):
    say(name, 'got', channel.get())


def putter(channel, name, *items):
    for item in items:
        channel.put(item)
        say(name, 'put', item)


def got(get, **how):
    try:
        return get(**how)
    except Empty:
        return None


def done(put, item, **how):
    try:
        put(item, **how)
        return True
    except Full:
        return False


@scenario
def the_getter_comes_first():
    channel = Channel()
    gevent.joinall([spawn(getter, channel, 'getter'), spawn(putter, channel, 'putter', 1)])


@scenario
def the_putter_comes_first():
    channel = Channel()
    gevent.joinall([spawn(putter, channel, 'putter', 1), spawn(getter, channel, 'getter')])


@scenario
def a_put_without_getter_waits():
    channel = Channel()
    fiber = spawn(putter, channel, 'putter', 1)
    sleep(0)
    say('balance', channel.balance, 'putter ready', fiber.ready())
    say('main got', channel.get())
    fiber.join()
    say('balance', channel.balance)


@scenario
def getters_are_served_in_order_of_coming():
    channel = Channel()
    all = [spawn(getter, channel, name) for name in 'abc']
    sleep(0)
    say('balance', channel.balance)
    for item in range(3):
        channel.put(item)
        say('main put', item)
    gevent.joinall(all)


@scenario
def putters_are_served_in_order_of_coming():
    channel = Channel()
    all = [spawn(putter, channel, name, name) for name in 'abc']
    sleep(0)
    say('balance', channel.balance)
    for _ in range(3):
        say('main got', channel.get())
    gevent.joinall(all)


@scenario
def one_producer_one_consumer():
    channel = Channel()

    def consumer():
        for _ in range(4):
            getter(channel, 'consumer')

    gevent.joinall([spawn(putter, channel, 'producer', *range(4)), spawn(consumer)])


@scenario
def put_until_it_is_late():
    channel = Channel()
    in_time = done(channel.put, 1, timeout=0.01)
    say(in_time, 'balance', channel.balance)
    fiber = spawn(getter, channel, 'getter')
    sleep(0)
    say('getter ready', fiber.ready())
    say(done(channel.put, 2, timeout=60))
    fiber.join()


@scenario
def get_until_it_is_late():
    channel = Channel()
    in_time = got(channel.get, timeout=0.01)
    say(in_time, 'balance', channel.balance)
    fiber = spawn(putter, channel, 'putter', 1)
    sleep(0)
    say('putter ready', fiber.ready())
    say(got(channel.get, timeout=60))
    fiber.join()


@scenario
def without_waiting():
    channel = Channel()
    say(done(channel.put_nowait, 1))
    say(got(channel.get_nowait))
    fiber = spawn(getter, channel, 'getter')
    sleep(0)
    met = done(channel.put_nowait, 2)  # gevent lets others run meanwhile
    fiber.join()
    say(met)


@scenario
def a_killed_getter_takes_nothing():
    channel = Channel()
    all = [spawn(getter, channel, name) for name in 'ab']
    sleep(0)
    all[0].kill()
    say('balance', channel.balance)
    channel.put(1)
    all[1].join()


@scenario
def a_killed_putter_puts_nothing():
    channel = Channel()
    all = [spawn(putter, channel, name, name) for name in 'ab']
    sleep(0)
    all[0].kill()
    say('balance', channel.balance)
    say('main got', channel.get())
    all[1].join()


@scenario
def a_timed_out_putter_is_passed_over():
    channel = Channel()

    def impatient():
        try:
            with Timeout(0.01):
                channel.put('impatient')
        except Timeout as late:
            say('impatient', late)

    all = [spawn(impatient), spawn(putter, channel, 'patient', 'patient')]
    all[0].join()
    say('main got', channel.get())
    all[1].join()


main()
