#!/usr/bin/python3
"""libcoir-stats.so under a program that knows nothing of coir: its calls are counted, and its output is its own.

usage: stats.py SHIM STATS
"""
import os
import re
import subprocess
import sys
import tempfile

shim, stats = map(os.path.abspath, sys.argv[1:3])
PROGRAM = ("import socket, threading, time; time.sleep(0.01); "
           "t = threading.Thread(target=lambda: open('/dev/null').close()); t.start(); t.join(); a, b = socket.socketpair(); a.send(b'x'); print(b.recv(9))")


def run_program(text, **more):
    environment = {**os.environ, 'LD_PRELOAD': f'{shim}:{stats}', **more}
    return subprocess.run(['/usr/bin/python3', '-c', text], env=environment, capture_output=True, text=True)


def run(**more):
    return run_program(PROGRAM, **more)


def check(holds, what):
    if not holds:
        sys.exit(f'{what}\n{told.stdout}{told.stderr}')


told = run()
check(told.returncode == 0 and told.stdout == "b'x'\n", 'the program did not do what it does')
lines = dict(re.findall(r'^(\w+) +(\d+ +\d+ +[\d.]+)$', told.stderr, re.M))
check(re.match(r'coir: process \d+, python3, [\d.]+ s\n', told.stderr), 'no heading')
made, parked, waited = lines['clock_nanosleep'].split()
check((made, parked) == ('1', '1') and float(waited) >= 0.01, 'the sleep was not counted')
check(lines['recv'].split()[:2] == ['1', '0'], 'the receiving was not counted')

# A child that fork leaves without a program of its own tells only of what it did itself.
told = run_program("import os, time; time.sleep(0.01); child = os.fork(); "
                   "child and os.waitpid(child, 0); time.sleep(0.01)")
tables = told.stderr.split('coir: process ')[1:]
made = sorted(re.search(r'^clock_nanosleep +(\d+)', each, re.M).group(1) for each in tables)
check(made == ['1', '2'], f'a forked child does not count its own calls only: {made}')

with tempfile.TemporaryDirectory() as place:
    file = os.path.join(place, 'stats')
    for _ in range(2):
        told = run(COIR_STATS=file)
        check(told.stderr == '', 'something was written to stderr')
    text = open(file).read()
    check(text.count('coir: process') == 2, text)
    told = run(COIR_STATS=place + '/no/such')
    check('coir: COIR_STATS: ' in told.stderr and 'clock_nanosleep' in told.stderr, 'what cannot be written is not told')
