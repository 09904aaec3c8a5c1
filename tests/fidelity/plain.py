#!/usr/bin/python3
"""Plain C programs, written with blocking calls as anyone would, say the same with the shim as without.

usage: plain.py SHIM TICKING PROGRAM…

With the shim means LD_PRELOAD of it and of libticking.so, which makes a program's main code a fiber beside a ticking one.
Standard output, standard error and the status must be equal byte for byte, the ticking fiber must have ticked and the main
code must have parked.
"""
import concurrent.futures
import difflib
import os
import pathlib
import sys

from one_run import OneRun


def compare(program, shim):
    """What is wrong, and how often the ticking fiber ticked and the main code was woken."""
    name = '/'.join(pathlib.Path(program).parts[-1:])
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
    if not beneath.ticks or not beneath.parks:
        wrong.append(f'{name}: {beneath.ticks} ticks, {beneath.parks} parks of the main code')
    return wrong, beneath.ticks or 0, beneath.parks or 0, without.out.count('\n')


def main():
    shim = [os.path.abspath(each) for each in sys.argv[1:3]]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda program: compare(os.path.abspath(program), shim), sys.argv[3:]))
    wrong = [each for result in results for each in result[0]]
    print(f'{len(results)} programs, {sum(each[3] for each in results)} lines; {sum(each[1] for each in results)} ticks, '
          f'{sum(each[2] for each in results)} parks')
    print(*wrong, sep='\n')
    return len(wrong) > 0 or not results


sys.exit(main())
