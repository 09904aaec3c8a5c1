#!/usr/bin/python3
"""Plain C programs, written with blocking calls as anyone would, say the same with the shim as without.

usage: plain.py SHIM STATS TICKING PROGRAM…

With the shim means LD_PRELOAD of it, of libcoir-stats.so, which counts, and of libticking.so, which makes a program's main
code a fiber beside a ticking one. Standard output, standard error and the status must be equal byte for byte, the ticking
fiber must have ticked, and each call that the first line of the program's source names must have parked the main code:

    /* waits: msgrcv semop */
"""
import concurrent.futures
import difflib
import os
import pathlib
import re
import sys

from one_run import OneRun

SOURCES = pathlib.Path(__file__).resolve().parent / 'plain'


def calls_that_park(name):
    """Of a program, by its name without its kind."""
    source = SOURCES / f"{name.rsplit('_', 1)[0]}.c"
    told = re.match(r'/\* waits: (.+) \*/\n', source.read_text())
    if not told:
        raise SystemExit(f'{source}: what waits in it?')
    return told[1].split()


def compare(program, shim):
    """What is wrong, and how often the ticking fiber ticked and the main code was woken."""
    name = pathlib.Path(program).name
    without, beneath = OneRun([program]), OneRun([program], shim)
    wrong = []
    if without.status != 0:
        wrong.append(f'{name} without: status {without.status}\n{without.err}')
    if beneath.status != without.status:
        wrong.append(f'{name}: status {without.status} without, {beneath.status} with')
    for what in ('out', 'err'):
        lines = [getattr(run, what).splitlines(keepends=True) for run in (without, beneath)]
        if lines[0] != lines[1]:
            wrong.append(f'{name}:\n' + ''.join(difflib.unified_diff(*lines, 'without', 'with')))
    if without.left != beneath.left:
        wrong.append(f'{name}: leaves {without.left} without, {beneath.left} with')
    if not beneath.ticks:
        wrong.append(f'{name}: {beneath.ticks} ticks')
    wrong += [f'{name}: {call} did not park' for call in calls_that_park(name) if not beneath.parked[call]]
    return wrong, beneath.ticks or 0, beneath.parked.total(), without.out.count('\n')


def main():
    shim = [os.path.abspath(each) for each in sys.argv[1:4]]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda program: compare(os.path.abspath(program), shim), sys.argv[4:]))
    wrong = [each for result in results for each in result[0]]
    print(f'{len(results)} programs, {sum(each[3] for each in results)} lines; {sum(each[1] for each in results)} ticks, '
          f'{sum(each[2] for each in results)} parks')
    print(*wrong, sep='\n')
    return len(wrong) > 0 or not results


sys.exit(main())
