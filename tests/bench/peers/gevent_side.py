#!/usr/bin/python3
"""gevent's side. The works and their numbers stand in peer.h."""
import re
import sys
import time

import gevent
import gevent.event
import gevent.lock
import gevent.queue


def cpu_of_each(count, work):
    start = time.process_time_ns()
    work()
    return (time.process_time_ns() - start) / count


def below(depth, leaf):
    return below(depth - 1, leaf) if depth else leaf()


def yields(count, turns, depth):
    stop = False

    def turn():
        below(depth, gevent.sleep)

    def body():
        while not stop:
            turn()

    def all_turns():
        for _ in range(turns):
            turn()

    others = [gevent.spawn(body) for _ in range(1, count)]
    turn()
    turn()
    each = cpu_of_each(count * turns, all_turns)
    stop = True
    gevent.joinall(others)
    return each


def spawn(count):
    def one_at_a_time():
        for _ in range(count):
            gevent.spawn(int).join()

    return cpu_of_each(count, one_at_a_time)


def spawn_all(count):
    return cpu_of_each(count, lambda: gevent.joinall([gevent.spawn(int) for _ in range(count)]))


def channel(count):
    there, back = gevent.queue.Channel(), gevent.queue.Channel()

    def echo():
        for _ in range(count):
            back.put(there.get())

    def ask():
        for i in range(count):
            there.put(i)
            back.get()

    other = gevent.spawn(echo)
    each = cpu_of_each(count, ask)
    other.join()
    return each


def mutex(count):
    one = gevent.lock.BoundedSemaphore(1)

    def body():
        for _ in range(count // 2):
            with one:
                gevent.sleep()

    return cpu_of_each(count, lambda: gevent.joinall([gevent.spawn(body), gevent.spawn(body)]))


def sleep(count):
    begin = time.monotonic()

    def until(i):
        gevent.sleep(begin + (100000 + i * 2654435761 % 1000000) / 1e6 - time.monotonic())

    return cpu_of_each(1, lambda: gevent.joinall([gevent.spawn(until, i) for i in range(count)])) / 1e6


def memory_now():
    status = open('/proc/self/status').read()
    return sum(int(re.search(rf'^{what}:\s+(\d+)', status, re.M)[1]) * 1024 for what in ('VmRSS', 'VmPTE'))


def memory(count):
    opened = gevent.event.Event()
    before = memory_now()
    all_of_them = [gevent.spawn(opened.wait) for _ in range(count)]
    gevent.sleep()
    each = (memory_now() - before) / count
    opened.set()
    gevent.joinall(all_of_them)
    return each


WORKS = {'yield': yields, 'spawn': spawn, 'spawn_all': spawn_all, 'channel': channel, 'mutex': mutex, 'sleep': sleep,
         'memory': memory}
for line in sys.stdin:
    work, *of = line.split()
    print(WORKS[work](*map(int, of)), flush=True)
