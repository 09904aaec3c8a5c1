"""Groups and pools: who waits for a place, what map and imap bring in which order, and what errors do to them."""
import gevent
from gevent import GreenletExit, killall, sleep, spawn
from gevent.event import Event
from gevent.pool import Group, Pool
from scenario import main, my_error, say, scenario


def work(name, turns=1):
    say(name, 'begins')
    for _ in range(turns):
        sleep(0)
    say(name, 'ends')
    return name


def sleeper(name):
    try:
        sleep(60)
    except BaseException as error:
        say(name, 'sees', error)
        raise


def square_or_fail(n):
    if n == 2:
        raise my_error('two')
    return n * n


@scenario
def a_group_is_joined():
    group = Group()
    group.spawn(work, 'a', 2)
    group.spawn(work, 'b', 1)
    say('size', len(group))
    group.join()
    say('size', len(group))


@scenario
def an_empty_group_is_joined_at_once():
    spawn(say, 'other runs')
    Group().join()
    say('main did not wait')
    sleep(0)


@scenario
def a_group_forgets_its_ended():
    group = Group()
    a = group.spawn(work, 'a')
    b = group.spawn(work, 'b', 3)
    a.join()
    sleep(0)
    say('size', len(group), 'a', a in group, 'b', b in group)
    group.join()


@scenario
def a_group_may_be_given_a_fiber():
    group = Group()
    fiber = spawn(work, 'a')
    group.add(fiber)
    say('size', len(group))
    other = group.spawn(work, 'b', 3)
    group.discard(other)
    say('size', len(group))
    group.join()
    say('main, b ready', other.ready())
    other.join()


@scenario
def a_group_is_joined_until_it_is_late():
    group = Group()
    fiber = group.spawn(sleep, 60)
    group.join(timeout=0.01)
    say('ready', fiber.ready(), 'size', len(group))
    group.kill()
    say('ready', fiber.ready(), 'size', len(group))


@scenario
def a_group_keeps_errors_to_itself_or_not():
    group = Group()
    group.spawn(square_or_fail, 2)
    group.join()
    say('no error')
    group.spawn(square_or_fail, 2)
    group.spawn(work, 'other')
    try:
        group.join(raise_error=True)
    except my_error as error:
        say('threw', error, 'size', len(group))


@scenario
def what_is_spawned_meanwhile_is_joined_too():
    group = Group()

    def parent():
        say('parent')
        group.spawn(work, 'child')

    group.spawn(parent)
    group.join()
    say('size', len(group))


@scenario
def a_group_is_killed():
    group = Group()
    one = group.spawn(sleeper, 'a')
    sleep(0)
    fresh = group.spawn(say, 'this is never said')
    group.kill()
    say('size', len(group), one.ready(), fresh.ready())


@scenario
def a_group_is_killed_with_an_error():
    group = Group()
    one = group.spawn(sleeper, 'a')
    sleep(0)
    group.kill(my_error('all of you'))
    say(one.exception)


@scenario
def what_is_spawned_by_the_dying_is_killed_too():
    group = Group()

    def dying():
        try:
            sleep(60)
        except GreenletExit:
            say('dying spawns')
            group.spawn(sleeper, 'child')
            raise

    group.spawn(dying)
    sleep(0)
    group.kill()
    say('size', len(group))


@scenario
def a_full_pool_makes_the_spawner_wait():
    pool = Pool(2)
    for name in 'abc':
        say('main spawns', name)
        pool.spawn(work, name)
        say('free', pool.free_count(), 'full', pool.full())
    pool.join()
    say('free', pool.free_count())


@scenario
def each_place_is_taken_again():
    pool = Pool(2)
    for name, turns in [('a', 4), ('b', 1), ('c', 1), ('d', 1)]:
        pool.spawn(work, name, turns)
    pool.join()


@scenario
def spawners_wait_in_order_of_coming():
    pool = Pool(1)

    def spawner(name):
        pool.spawn(work, name)
        say(name, 'is spawned')

    gevent.joinall([spawn(spawner, name) for name in 'abc'])
    pool.join()


@scenario
def an_error_makes_room():
    pool = Pool(1)
    pool.spawn(square_or_fail, 2)
    pool.spawn(work, 'next')
    pool.join()
    say('free', pool.free_count())


@scenario
def a_kill_makes_room():
    pool = Pool(1)
    first = pool.spawn(sleeper, 'first')
    sleep(0)
    second = spawn(lambda: pool.spawn(work, 'second').join())
    sleep(0)
    first.kill()
    second.join()
    say('free', pool.free_count())


@scenario
def a_killed_spawner_takes_no_place():
    pool = Pool(1)
    go_on = Event()
    first = pool.spawn(go_on.wait)
    waiting = spawn(pool.spawn, say, 'this is never said')
    sleep(0)
    waiting.kill()
    go_on.set()
    first.join()
    sleep(0)
    say('free', pool.free_count(), 'size', len(pool))


@scenario
def waiting_for_a_place():
    pool = Pool(1)
    go_on = Event()
    say(bool(pool.wait_available()))
    first = pool.spawn(go_on.wait)
    say(bool(pool.wait_available(timeout=0.01)))
    go_on.set()
    say(bool(pool.wait_available()))
    first.join()


@scenario
def map_keeps_the_order():
    def later_ones_are_quicker(n):
        for _ in range(5 - n):
            sleep(0)
        say('done', n)
        return n * n

    say(Group().map(later_ones_are_quicker, range(5)))


@scenario
def map_in_a_pool():
    def body(n):
        say('begins', n)
        sleep(0)
        say('ends', n)
        return n

    say(Pool(2).map(body, range(4)))


@scenario
def map_throws_the_first_error_of_the_list():
    def body(n):
        sleep(0)
        say('body', n)
        if n % 2:
            raise my_error(str(n))
        return n

    try:
        Group().map(body, range(4))
    except my_error as error:
        say('threw', error)


@scenario
def imap_brings_them_in_order():
    def later_ones_are_quicker(n):
        for _ in range(6 - 2 * n):
            sleep(0)
        say('done', n)
        return n

    for each in Group().imap(later_ones_are_quicker, range(3)):
        say('main has', each)


@scenario
def imap_unordered_brings_them_as_they_come():
    def later_ones_are_quicker(n):
        for _ in range(6 - 2 * n):
            sleep(0)
        return n

    say(list(Group().imap_unordered(later_ones_are_quicker, range(3))))


@scenario
def imap_throws_in_the_place_of_the_error():
    group = Group()
    try:
        for each in group.imap(square_or_fail, [1, 2, 3]):
            say(each)
    except my_error as error:
        say('threw', error)
    group.join()


@scenario
def imap_unordered_throws_when_it_comes():
    group = Group()

    def body(n):
        for _ in range(5 - n):
            sleep(0)
        return square_or_fail(n)

    try:
        for each in group.imap_unordered(body, [1, 2, 3]):
            say(each)
    except my_error as error:
        say('threw', error)
    group.join()


@scenario
def imap_in_a_pool_of_one():
    def body(n):
        say('begins', n)
        sleep(0)
        say('ends', n)
        return n

    say(list(Pool(1).imap(body, range(3))))


@scenario
def imap_holds_back_when_nobody_takes():
    def body(n):
        say('body', n)
        return n

    results = Pool(2).imap_unordered(body, range(6), maxsize=1)
    for _ in range(4):
        sleep(0)
    say('main begins to take')
    taken = []
    for each in results:
        taken.append(each)
    say(taken)


@scenario
def apply_waits_for_the_result():
    say('main has', Group().apply(work, ('a',)))
    try:
        Group().apply(square_or_fail, (2,))
    except my_error as error:
        say('threw', error)


@scenario
def apply_from_inside_runs_at_once():
    pool = Pool(1)

    def outer():
        say('outer')
        return pool.apply(work, ('inner',))

    say('main has', pool.apply(outer))


@scenario
def apply_async_does_not_wait():
    group = Group()
    fiber = group.apply_async(work, ('a',))
    say('main goes on')
    say('main has', fiber.get())


@scenario
def apply_async_in_a_full_pool_does_not_wait_either():
    pool = Pool(1)
    pool.spawn(work, 'first')
    fiber = pool.apply_async(work, ('second',))
    say('main goes on')
    say('main has', fiber.get())


@scenario
def a_pool_is_killed_and_used_again():
    pool = Pool(2)
    killed = [pool.spawn(sleeper, name) for name in 'ab']
    sleep(0)
    killall(killed)
    pool.join()
    say('free', pool.free_count())
    pool.spawn(work, 'c').join()


main()
