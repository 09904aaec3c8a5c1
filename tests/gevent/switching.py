"""Greenlets switched by hand: values, errors, parents, and the dead. No hub is involved."""
import gc

import greenlet as greenlet_module
from greenlet import GreenletExit, getcurrent, greenlet
from scenario import main, my_error, say, scenario


def value(what):
    """What a switch brought. The exit that an ended greenlet hands to its parent is no value."""
    return None if isinstance(what, GreenletExit) or what == () else what


@scenario
def back_and_forth():
    def one():
        say(12)
        second.switch()
        say(34)

    def two():
        say(56)
        first.switch()
        say(78)

    first, second = greenlet(one), greenlet(two)
    first.switch()
    say('main', first.dead, second.dead)


@scenario
def values_go_both_ways():
    def body(first):
        say('body has', first)
        say('body has', main_greenlet.switch('from body'))
        return 'result'

    main_greenlet = getcurrent()
    g = greenlet(body)
    say('main has', g.switch('one'))
    say('main has', g.switch('two'))
    say('dead', g.dead)


@scenario
def its_states():
    def body():
        say('inside', bool(g), g.dead, g is getcurrent())
        main_greenlet.switch()

    main_greenlet = getcurrent()
    g = greenlet(body)
    say('before', bool(g), g.dead)
    g.switch()
    say('between', bool(g), g.dead)
    g.switch()
    say('after', bool(g), g.dead)


@scenario
def the_result_goes_to_the_parent_not_to_the_switcher():
    def other():
        say('other begins')
        say('other has', g.switch('from other'))

    def body(got):
        say('body has', got)
        return 'result'

    g = greenlet(body)
    helper = greenlet(other)
    say('main has', helper.switch())
    say('helper dead', helper.dead, 'g dead', g.dead)
    helper.switch('late')
    say('helper dead', helper.dead)


@scenario
def a_greenlet_is_the_parent_of_those_it_makes():
    def inner():
        say('inner: parent is outer', getcurrent().parent is outer)
        return 'from inner'

    def run_outer():
        say('outer has', greenlet(inner).switch())
        return 'from outer'

    outer = greenlet(run_outer)
    say('main has', outer.switch())


@scenario
def an_error_goes_to_the_parent():
    def body():
        raise my_error('inside')

    g = greenlet(body)
    try:
        g.switch()
    except my_error as error:
        say('main sees', error)
    say('dead', g.dead)


@scenario
def an_error_climbs_from_parent_to_parent():
    def inner():
        raise my_error('deep down')

    def run_outer():
        try:
            greenlet(inner).switch()
        except my_error as error:
            say('outer sees', error)
            raise

    try:
        greenlet(run_outer).switch()
    except my_error as error:
        say('main sees', error)


@scenario
def a_dead_one_stands_for_its_parent():
    g = greenlet(lambda: 'result')
    say(g.switch())
    say(g.switch('to a dead one'))


@scenario
def a_dead_one_with_a_living_parent():
    def run_outer():
        inner = greenlet(lambda: None)
        inner.switch()
        children.append(inner)
        say('outer has', main_greenlet.switch())
        return 'outer ends'

    main_greenlet = getcurrent()
    children = []
    outer = greenlet(run_outer)
    outer.switch()
    say('main has', children[0].switch('to the dead child'))
    say('outer dead', outer.dead)


@scenario
def thrown_in_where_it_was_switched_away():
    def body():
        try:
            main_greenlet.switch()
        except my_error as error:
            say('body sees', error)
        return 'caught'

    main_greenlet = getcurrent()
    g = greenlet(body)
    g.switch()
    say('main has', g.throw(my_error('from main')))


@scenario
def thrown_in_and_not_caught():
    def body():
        try:
            main_greenlet.switch()
        finally:
            say('body unwinds')

    main_greenlet = getcurrent()
    g = greenlet(body)
    g.switch()
    try:
        g.throw(my_error('from main'))
    except my_error as error:
        say('main sees', error)
    say('dead', g.dead)


@scenario
def thrown_into_one_that_never_ran():
    g = greenlet(lambda: say('this is never said'))
    try:
        g.throw(my_error('early'))
    except my_error as error:
        say('main sees', error)
    say('dead', g.dead)


@scenario
def thrown_into_a_dead_one():
    g = greenlet(lambda: None)
    g.switch()
    try:
        g.throw(my_error('late'))
    except my_error as error:
        say('main sees', error)


@scenario
def an_exit_is_not_an_error():
    def body():
        try:
            main_greenlet.switch()
        except GreenletExit as error:
            say('body sees', error)
            raise

    main_greenlet = getcurrent()
    g = greenlet(body)
    g.switch()
    say('main has', value(g.throw()))
    say('dead', g.dead)


@scenario
def an_exit_into_one_that_never_ran():
    g = greenlet(lambda: say('this is never said'))
    say('main has', value(g.throw()))
    say('dead', g.dead)


@scenario
def an_exit_into_a_dead_one():
    g = greenlet(lambda: None)
    g.switch()
    say('main has', value(g.throw()))


@scenario
def an_exit_may_be_survived():
    def body():
        try:
            main_greenlet.switch()
        except GreenletExit:
            say('body survives', main_greenlet.switch('still here'))
        return 'result'

    main_greenlet = getcurrent()
    g = greenlet(body)
    g.switch()
    say('main has', g.throw())
    say('dead', g.dead)
    say('main has', g.switch('go'))
    say('dead', g.dead)


@scenario
def another_parent_gets_the_result():
    def run_heir():
        say('heir has', main_greenlet.switch('heir waits'))
        return 'heir ends'

    main_greenlet = getcurrent()
    heir = greenlet(run_heir)
    say(heir.switch())
    g = greenlet(lambda: 'result')
    g.parent = heir
    say('main has', g.switch())
    say('dead', g.dead, heir.dead)


@scenario
def another_parent_gets_the_error():
    def run_heir():
        try:
            main_greenlet.switch()
        except my_error as error:
            say('heir sees', error)
        return 'heir ends'

    def body():
        raise my_error('inherited')

    main_greenlet = getcurrent()
    heir = greenlet(run_heir)
    heir.switch()
    g = greenlet(body)
    g.parent = heir
    say('main has', g.switch())


@scenario
def nobody_is_its_own_ancestor():
    def refused(child, parent):
        try:
            child.parent = parent
            return False
        except ValueError:
            return True

    a, b, c = [greenlet(lambda: None) for _ in range(3)]
    b.parent = a
    c.parent = b
    say(refused(a, c))
    say(refused(a, a))
    say(refused(c, a))


@scenario
def to_switch_to_oneself_does_nothing():
    g = greenlet(lambda: say('g', getcurrent().switch('itself')))
    g.switch()
    say('main', getcurrent().switch('itself'))


@scenario
def through_a_ring_of_three():
    def body(name, next_of):
        def run(n):
            while n > 0:
                say(name, n)
                n = ring[next_of].switch(n - 1)
            return n
        return run

    ring = {name: greenlet(body(name, after)) for name, after in ['ab', 'bc', 'ca']}
    say('main', ring['a'].switch(7))
    say([ring[name].dead for name in 'abc'])


@scenario
def one_that_nobody_holds_is_ended():
    def body():
        try:
            main_greenlet.switch()
        except GreenletExit as error:
            say('body sees', error)
            raise
        finally:
            say('body unwinds')

    main_greenlet = getcurrent()
    g = greenlet(body)
    g.switch()
    say('main lets go')
    del g
    gc.collect()
    say('main')


@scenario
def one_that_never_ran_and_nobody_holds_is_just_gone():
    g = greenlet(lambda: say('this is never said'))
    say('main lets go')
    del g
    gc.collect()
    say('main')


@scenario
def a_switch_inside_a_handler_keeps_each_ones_error():
    def body(name):
        try:
            raise my_error(name)
        except my_error:
            main_greenlet.switch()
            try:
                raise
            except my_error as error:
                say(name, 'still handles', error)

    main_greenlet = getcurrent()
    a, b = greenlet(body), greenlet(body)
    a.switch('a')
    b.switch('b')
    a.switch()
    b.switch()


@scenario
def every_switch_is_traced():
    names = {}

    def tracer(event, arguments):
        if event in ('switch', 'throw'):
            origin, target = arguments
            say(event, names[origin], names[target])

    def body():
        try:
            main_greenlet.switch()
        except my_error:
            pass

    main_greenlet = getcurrent()
    g = greenlet(body)
    names.update({main_greenlet: 'main', g: 'g'})
    greenlet_module.settrace(tracer)
    g.switch()
    g.throw(my_error('x'))
    greenlet_module.settrace(None)
    say('dead', g.dead)


main()
