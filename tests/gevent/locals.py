"""Locals: what each fiber sees of them."""
import gevent
from gevent import Greenlet, getcurrent, sleep, spawn
from gevent.local import local
from scenario import main, say, scenario


class numbered(local):
    """What a fresh fiber sees."""
    number = 0


class counted(local):
    """Made anew for each fiber that looks at it."""
    made = 0

    def __init__(self):
        counted.made += 1
        self.number = counted.made


class noisy:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        say(self.name, 'is destroyed')


@scenario
def each_fiber_has_its_own():
    own = numbered()

    def body(name, number):
        say(name, 'finds', own.number)
        own.number = number
        sleep(0)
        say(name, 'has', own.number)

    own.number = 9
    gevent.joinall([spawn(body, 'a', 1), spawn(body, 'b', 2)])
    say('main has', own.number)


@scenario
def a_child_does_not_inherit():
    own = numbered()

    def child():
        say('child finds', own.number)

    def parent():
        own.number = 5
        spawn(child).join()
        say('parent has', own.number)

    spawn(parent).join()


@scenario
def made_at_the_first_look():
    own = counted()

    def body(name, looks):
        for _ in range(looks):
            say(name, 'has', own.number)
            sleep(0)

    say('main has', own.number)
    gevent.joinall([spawn(body, 'blind', 0), spawn(body, 'a', 2), spawn(body, 'b', 1)])
    say('made', counted.made)


@scenario
def gone_with_its_fiber():
    own = local()

    def body(name):
        own.thing = noisy(name)
        sleep(0)
        say(name, 'ends')

    for name in 'ab':
        spawn(body, name).join()
        sleep(0)
        say('main joined', name)


@scenario
def a_tree_of_fibers_shares():
    def visit(name, word=None):
        here = getcurrent().spawn_tree_locals
        say(name, 'finds', here.get('word'))
        if word:
            here['word'] = word

    def root(name):
        visit(name, name)

        def child():
            visit(f'child of {name}', f'child of {name}')
            spawn(visit, f'grandchild of {name}').join()

        spawn(child).join()
        visit(name)

    gevent.joinall([spawn(root, 'one'), spawn(root, 'two')])


@scenario
def the_tree_goes_by_who_made_it():
    def visit(name):
        say(name, 'finds', getcurrent().spawn_tree_locals.get('word'))

    def root():
        getcurrent().spawn_tree_locals['word'] = 'one'
        made.append(Greenlet(visit, 'made by one'))

    made = []
    spawn(root).join()

    def stranger():
        getcurrent().spawn_tree_locals['word'] = 'stranger'
        made[0].start()
        made[0].join()

    spawn(stranger).join()


main()
