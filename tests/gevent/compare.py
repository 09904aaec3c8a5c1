#!/usr/bin/python3
"""Runs each scenario of a topic for gevent and for coir, and compares the two logs line by line.

usage: compare.py TOPIC.py PROGRAM [SCENARIO…]

Each scenario runs in a process of its own on either side. Both sides must hold the same scenarios, in the same order.
"""
import difflib
import os
import signal
import subprocess
import sys

TIME_LIMIT = 60  # seconds for one scenario on one side; they take milliseconds
TRIES = 5  # for gevent, whose thread pool crashes at times (SIGSEGV, 22.10 with Python 3.11): no log to compare with

theirs = [sys.executable, sys.argv[1]]
ours = [sys.argv[2]]


def run(command, name):
    """Exit status or what befell it, the lines of its log, and what it said on stderr."""
    try:
        done = subprocess.run([*command, name], text=True, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired as late:
        log, errors = ((each or b'').decode() for each in (late.stdout, late.stderr))
        return f'no end within {TIME_LIMIT} s', log.splitlines(), errors
    return done.returncode, done.stdout.splitlines(), done.stderr


def names(command):
    status, lines, errors = run(command, '--list')
    if status != 0 or not lines:
        raise SystemExit(f'{command} --list: {status}\n{errors}')
    return lines


def diff(gevent, coir):
    return list(difflib.unified_diff(gevent, coir, 'gevent', 'coir', n=100, lineterm=''))


def compare(name):
    """What is wrong with a scenario, as lines; none if both logs are equal."""
    for _ in range(TRIES):
        status, log, errors = run(theirs, name)
        if status != -signal.SIGSEGV:
            break
        print('gevent crashed', name)
    our_status, our_log, our_errors = run(ours, name)
    wrong = diff(log, our_log)
    for side, what, said in [('gevent', status, errors), ('coir', our_status, our_errors)]:
        if what != 0:
            wrong.append(f'{side} ended so: {what}')
        if wrong or what != 0:
            wrong += [f'{side} said: {line}' for line in said.splitlines()]
    if not log:
        wrong.append('gevent logged nothing, which proves nothing')
    if any('this is never said' in line for line in log + our_log):
        wrong.append('a line was reached that is never to be')
    return wrong


if subprocess.run([*theirs[:1], '-c', 'import gevent'], stderr=subprocess.DEVNULL).returncode != 0:
    print('gevent is not installed: python3-gevent')
    raise SystemExit(77)  # meson's word for skipped

all_names, our_names = names(theirs), names(ours)
if all_names != our_names:
    print('The two sides do not hold the same scenarios:', *diff(all_names, our_names), sep='\n')
    raise SystemExit(1)

failed = 0
for name in sys.argv[3:] or all_names:
    wrong = compare(name)
    print('differs' if wrong else 'equal  ', name)
    print(*('    ' + line for line in wrong), sep=os.linesep, end=os.linesep if wrong else '')
    failed += bool(wrong)
print(f'{failed} differ')
raise SystemExit(failed != 0)
