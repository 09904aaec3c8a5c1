"""The Python half of the scenarios: what it shares. scenario.h is its twin; README.md says how they are compared."""
import sys

import gevent
import greenlet
from gevent.hub import LoopExit

scenarios = {}


def scenario(function):
    scenarios[function.__name__] = function
    return function


class my_error(Exception):
    pass


class my_other_error(Exception):
    pass


def word(what):
    """What a log calls a value. No addresses: what has no word of its own is an error."""
    if isinstance(what, bool):
        return str(what).lower()
    if what is None:
        return 'none'
    if isinstance(what, (str, int)):
        return str(what)
    if isinstance(what, (list, tuple)):
        return '[' + ' '.join(map(word, what)) + ']'
    for kind, name in [(greenlet.GreenletExit, 'fiber_exit'), (gevent.Timeout, 'timed_out'),
                       (LoopExit, 'would_block_forever')]:
        if isinstance(what, kind):
            return name
    if isinstance(what, (my_error, my_other_error)):
        return f'{type(what).__name__}({what})'
    raise TypeError(f'a log has no word for {what!r}')


def say(*words):
    """A line of the log."""
    print(*map(word, words), flush=True)


def main():
    if sys.argv[1:] == ['--list']:
        print(*scenarios, sep='\n')
    else:
        scenarios[sys.argv[1]]()
