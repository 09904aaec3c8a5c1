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
PROGRAM = ['/usr/bin/python3', '-c', "import socket, threading, time; time.sleep(0.01); "
           "t = threading.Thread(target=lambda: open('/dev/null').close()); t.start(); t.join(); a, b = socket.socketpair(); a.send(b'x'); print(b.recv(9))"]


def run(**more):
    environment = {**os.environ, 'LD_PRELOAD': f'{shim}:{stats}', **more}
    return subprocess.run(PROGRAM, env=environment, capture_output=True, text=True)


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

with tempfile.TemporaryDirectory() as place:
    file = os.path.join(place, 'stats')
    for _ in range(2):
        told = run(COIR_STATS=file)
        check(told.stderr == '', 'something was written to stderr')
    text = open(file).read()
    check(text.count('coir: process') == 2, text)
    told = run(COIR_STATS=place + '/no/such')
    check('coir: COIR_STATS: ' in told.stderr and 'clock_nanosleep' in told.stderr, 'what cannot be written is not told')
