#!/usr/bin/python3
"""All the clients of this directory, mixed, for a long time: nothing may grow.

usage: soak.py SOAK [SECONDS]

SOAK is the program of soak.cpp; 1800 seconds unless told otherwise. COIR_SEED=n repeats what a run decided by its
dice, though not when the servers answered.

The program works in rounds of some seconds. Between two of them, when no operation is under way, this looks how many fibers,
descriptors and threads it has, and at its memory. The first tenth of the rounds is warm-up. From the second tenth to
the last, fibers, descriptors and threads must not grow at all. Its memory must not grow by more than 1 MiB, or 2 %: the
allocator's and the stacks' caches move by some hundred KiB from round to round, by what was under way last. What that
means per operation is said: in 60 seconds a lost buffer is seen, in 1800 a lost string.
"""
import contextlib
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import servers

MOST_GROWTH = 1024  # KiB
FEWEST_ROUNDS = 20


def sample(pid):
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    resident, threads = (int(re.search(rf'^{name}:\s+(\d+)', status, re.M)[1]) for name in ('VmRSS', 'Threads'))
    return {'descriptors': len(os.listdir(f'/proc/{pid}/fd')), 'threads': threads, 'KiB': resident}


def middle(of):
    return sorted(of)[len(of) // 2]


def slope(of):
    """Growth per round: least squares."""
    mean_x, mean_y = (len(of) - 1) / 2, sum(of) / len(of)
    across = sum((x - mean_x) ** 2 for x in range(len(of)))
    return sum((x - mean_x) * (y - mean_y) for x, y in enumerate(of)) / across


def judge(samples, operations):
    tenth = max(1, len(samples) // 10)
    steady = samples[tenth:]
    first, last = steady[:tenth], steady[-tenth:]
    wrong = []
    for what in ('fibers', 'descriptors', 'threads'):
        before, after = (max(each[what] for each in part) for part in (first, last))
        print(f'{what}: {before} in the second tenth, {after} in the last')
        if after > before:
            wrong.append(f'{what} grew')
    before, after = (middle([each['KiB'] for each in part]) for part in (first, last))
    per_operation = (after - before) * 1024 / operations
    print(f'memory: {before} KiB in the second tenth, {after} in the last, {per_operation:.1f} bytes per operation; '
          f'fitted {slope([each["KiB"] for each in steady]) * len(steady):.0f} KiB in {len(steady)} rounds')
    if after - before > max(MOST_GROWTH, before // 50):
        wrong.append('memory grew')
    return wrong


def soak(process, seconds):
    """What was seen in each round."""
    samples, total = [], [0] * 5
    end = time.monotonic() + seconds
    while True:
        words = process.stdout.readline().split()
        if words[:1] != ['quiet']:
            print(*words, process.stdout.read())
            raise SystemExit(f'round {len(samples)}: the clients failed')
        fibers, *done = map(int, words[1:])
        total = [a + b for a, b in zip(total, done)]
        samples.append({'fibers': fibers, **sample(process.pid), 'operations': sum(done)})
        print(len(samples), samples[-1], flush=True)
        if time.monotonic() >= end and len(samples) >= FEWEST_ROUNDS:
            break
        process.stdin.write('go on\n')
        process.stdin.flush()
    process.stdin.close()
    names = ('answered', 'refused', 'killed', 'timed out', 'limited')
    print(', '.join(f'{count} {name}' for name, count in zip(names, total)))
    if not all(total):
        raise SystemExit('not everything happened')
    return samples


def main():
    program, seconds = sys.argv[1], int((sys.argv[2:] or ['1800'])[0])
    length = 2 if seconds < 600 else 10
    seed = os.environ.get('COIR_SEED') or str(random.randrange(1 << 32))
    kinds = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    with contextlib.ExitStack() as stack:
        stack.enter_context(servers.nothing_left())
        silent = stack.enter_context(socket.socket())
        silent.bind(('127.0.0.1', 0))  # nobody listens: it refuses
        started, words = [], []
        for server in servers.ALL:
            if not set(server.kinds) & set(kinds):
                continue
            try:
                started.append(stack.enter_context(server()))
            except servers.NotInstalled as missing:
                print(missing)
                continue
            for kind in set(server.kinds) & set(kinds):
                words += [kind, started[-1].where(kind), started[-1].where(kind, silent.getsockname()[1])]
        if not started:
            return 77  # meson's word for skipped
        print(f'COIR_SEED={seed}', *words[::3], flush=True)
        process = subprocess.Popen([program, seed, str(length), *words], env=servers.environment(started), text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            samples = soak(process, seconds)
            if process.wait() != 0:
                raise SystemExit(f'the clients ended with status {process.returncode}')
        finally:
            process.kill()
            process.wait()
    wrong = judge(samples, sum(each['operations'] for each in samples))
    print(*wrong or ['nothing grew'], sep='\n')
    return bool(wrong)


sys.exit(main())
