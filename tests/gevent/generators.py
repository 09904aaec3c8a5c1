"""Generators: Python's own, beside coir's."""
from gevent import joinall, sleep, spawn
from scenario import main, my_error, say, scenario


@scenario
def a_loop_over_it():
    def count():
        say('generator begins')
        for i in range(3):
            say('yields', i)
            yield i
        say('generator ends')

    numbers = count()
    say('made')
    for each in numbers:
        say('main has', each)


@scenario
def nothing_more_after_its_end():
    def count():
        yield 1

    numbers = count()
    say([next(numbers, None) for _ in range(3)])


@scenario
def values_are_sent_in():
    def average():
        total = count = 0
        while True:
            brought = yield total // max(count, 1)
            say('generator has', brought)
            if brought is None:
                continue
            total, count = total + brought, count + 1

    numbers = average()
    say('main has', next(numbers))
    for each in [10, 20, 30]:
        say('main has', numbers.send(each))
    say('main has', next(numbers))
    numbers.close()


@scenario
def an_error_comes_out_once():
    def broken():
        yield 1
        raise my_error('inside')

    numbers = broken()
    say(next(numbers))
    try:
        next(numbers)
    except my_error as error:
        say('main sees', error)
    say(next(numbers, None))


@scenario
def an_error_is_thrown_in():
    def careful():
        try:
            yield 1
        except my_error as error:
            say('generator sees', error)
        yield 2

    numbers = careful()
    say(next(numbers))
    say(numbers.throw(my_error('from main')))
    say(next(numbers, None))


@scenario
def an_error_thrown_in_comes_back():
    def careless():
        try:
            yield 1
        finally:
            say('generator unwinds')

    numbers = careless()
    say(next(numbers))
    try:
        numbers.throw(my_error('from main'))
    except my_error as error:
        say('main sees', error)
    say(next(numbers, None))


@scenario
def an_error_is_thrown_into_one_that_never_ran():
    def never():
        say('this is never said')
        yield 1

    numbers = never()
    try:
        numbers.throw(my_error('early'))
    except my_error as error:
        say('main sees', error)
    say(next(numbers, None))


@scenario
def closed_in_the_middle():
    def count():
        try:
            for i in range(3):
                yield i
        finally:
            say('generator unwinds')

    numbers = count()
    say(next(numbers))
    numbers.close()
    say('closed', next(numbers, None))
    numbers.close()


@scenario
def closed_before_its_first_run():
    def never():
        say('this is never said')
        yield 1

    numbers = never()
    numbers.close()
    say('closed', next(numbers, None))


@scenario
def dropped_in_the_middle():
    def count():
        try:
            yield 1
        finally:
            say('generator unwinds')

    for each in count():
        say('main has', each)
        break
    say('main')


@scenario
def it_cannot_be_closed_if_it_yields_on():
    def stubborn():
        try:
            yield 1
        except GeneratorExit:
            say('generator stays')
        yield 2

    numbers = stubborn()
    next(numbers)
    try:
        numbers.close()
    except RuntimeError:
        say('refused')


@scenario
def it_cannot_call_itself():
    def mirror():
        try:
            yield next(numbers)
        except ValueError:
            say('refused')
        yield 2

    numbers = mirror()
    say(next(numbers))


@scenario
def one_feeds_another():
    def count(n):
        for i in range(n):
            say('count yields', i)
            yield i

    def squares(source):
        for each in source:
            yield each * each

    say([each for each in squares(count(4))])


@scenario
def it_may_wait_while_others_run():
    def slow():
        for i in range(3):
            sleep(0)
            yield i

    def consumer(name):
        for each in slow():
            say(name, 'has', each)

    joinall([spawn(consumer, 'a'), spawn(consumer, 'b')])


@scenario
def two_fibers_take_turns_with_one():
    def count():
        for i in range(6):
            yield i

    numbers = count()

    def consumer(name):
        for each in numbers:
            say(name, 'has', each)
            sleep(0)

    joinall([spawn(consumer, 'a'), spawn(consumer, 'b')])


main()
