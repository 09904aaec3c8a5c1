#!/usr/bin/python3
"""What the shim costs programs that use no fibers: each beside itself, without and with LD_PRELOAD.

usage: preloaded.py SHIM [PAIRS]

The two run in pairs, pinned to one core, the first of a pair by turns. The figure is the median of the pairs' ratios: what
disturbs the machine for longer than a pair disturbs both. The target is for CPU time; elapsed time is shown beside it, and
has in it whatever else ran on the core. A run is so long that its start, which loads the shim, is less than a hundredth;
the last row has that by itself. redis-server is loaded by redis-benchmark from another core, and what counts is the
server's time for a request. A program that is not installed is left out. COIR_BENCH and COIR_BENCH_JSON: see sides.h.
"""
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

shim, pairs = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 11
MOST = 1.02  # × plain
BLOCKS, WORDS, FILES, REQUESTS, STARTS = 1_000_000, 13_000_000, 20_000, 20_000, 200

cores = sorted(os.sched_getaffinity(0))
plain = {name: value for name, value in os.environ.items() if name != 'LD_PRELOAD' and not name.startswith('GIT_')}
plain |= {'LC_ALL': 'C', 'GIT_CONFIG_GLOBAL': '/dev/null', 'GIT_CONFIG_SYSTEM': '/dev/null',
          'GIT_OPTIONAL_LOCKS': '0'}  # git status leaves the index as it is: it has as much to do the next time
sides = {'plain': plain, 'coir preloaded': plain | {'LD_PRELOAD': shim}}

# Times in ns; preempted: how many times another program took the core.
cost = collections.namedtuple('cost', 'cpu elapsed preempted')


def run(arguments, environment):
    """posix_spawn and not subprocess: a fork of this process would be counted as the program's."""
    start = time.monotonic_ns()
    pid = os.posix_spawn(shutil.which(arguments[0]), arguments, environment,
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, '/dev/null', os.O_WRONLY, 0)])
    try:
        _, status, used = os.wait4(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    if status:
        raise SystemExit(f'{" ".join(arguments)}: status {os.waitstatus_to_exitcode(status)}')
    return cost((used.ru_utime + used.ru_stime) * 1e9, time.monotonic_ns() - start, used.ru_nivcsw)


def start_many(environment):
    all = [run(['true'], environment) for _ in range(STARTS)]
    return cost(sum(each.cpu for each in all) / STARTS, sum(each.elapsed for each in all) / STARTS,
                sum(each.preempted for each in all))


def serve_redis(directory, environment):
    """A server of its own for each run: where its memory lies is chance, and would favour one side throughout."""
    path = directory / 'redis.sock'
    server = subprocess.Popen(['redis-server', '--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no',
                               '--dir', directory], env=environment, stdout=subprocess.DEVNULL)
    try:
        while not answers(path):
            if server.poll() is not None:
                raise SystemExit(f'redis-server did not start: status {server.returncode}')
            time.sleep(0.01)
        before, start = used_by(server.pid), time.monotonic_ns()
        subprocess.run(['redis-benchmark', '-s', path, '-q', '-n', str(REQUESTS), '-t', 'get,set'], env=plain, check=True,
                       stdout=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, {cores[-1]}))
        elapsed, after = time.monotonic_ns() - start, used_by(server.pid)
    finally:
        server.kill()
        server.wait()
        path.unlink(missing_ok=True)
    return cost((after[0] - before[0]) / (2 * REQUESTS), elapsed / (2 * REQUESTS), after[1] - before[1])


def answers(path):
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        one.sendall(b'PING\r\n')
        return one.recv(16) == b'+PONG\r\n'


def used_by(pid):
    """Of all its threads: the CPU time by the scheduler's own count, in ns, and how often they were preempted."""
    threads = list(pathlib.Path(f'/proc/{pid}/task').iterdir())
    preempted = [line for each in threads for line in (each / 'status').read_text().splitlines() if line.startswith('nonvol')]
    return (sum(int((each / 'schedstat').read_text().split()[0]) for each in threads),
            sum(int(line.split()[1]) for line in preempted))


def write_words(file):
    chance = random.Random(1)
    known = [''.join(chance.choices('abcdefghijklmnopqrstuvwxyz', k=chance.randint(1, 12))) for _ in range(5000)]
    some = ''.join(' '.join(chance.choices(known, k=10)) + '\n' for _ in range(10_000))
    file.write_text(some * (WORDS // 100_000))


def write_repository(root):
    for number in range(FILES):
        file = root / f'{number // 50:03}' / f'{number % 50:02}.txt'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'line of file {number % 50}\n' * 100)
    author = ['-c', 'user.name=coir', '-c', 'user.email=coir@localhost']
    for words in ['init', '-q'], ['add', '.'], [*author, 'commit', '-qm', 'all']:
        subprocess.run(['git', '-C', root, *words], env=plain, check=True)
    for file in root.glob('*/*.txt'):
        os.utime(file, (0, 0))  # not what the index says: each is read, where an lstat would do, and the run is long enough


def middle_half(values):
    low, middle, high = statistics.quantiles(values, n=4, method='inclusive')
    return (high - low) / middle


def measure(work, unit, one_run, needed, prepare=None, target=True, busy_above=1.5):
    """Runs and prints one row; ns become `unit`."""
    if os.environ.get('COIR_BENCH', '') not in work:
        return
    print(work)
    missing = [program for program in needed if not shutil.which(program)]
    if missing:
        return print(f'  {", ".join(missing)}: not installed', flush=True)
    if prepare:
        prepare()
    costs = {name: [] for name in sides}
    for environment in sides.values():
        one_run(environment)  # files are read into the page cache
    for pair in range(pairs):
        for name, environment in list(sides.items())[::-1 if pair % 2 else 1]:
            costs[name].append(one_run(environment))

    spreads, figures = [], {}
    for what in 'cpu', 'elapsed':
        runs = {name: [getattr(each, what) / {'ms': 1e6, 'us': 1e3}[unit] for each in all] for name, all in costs.items()}
        ratios = [with_it / without for without, with_it in zip(*runs.values())]
        ratio, spread = statistics.median(ratios), middle_half(ratios)
        medians = [statistics.median(all) for all in runs.values()]
        print(f'  {"CPU" if what == "cpu" else what:<8} plain {medians[0]:8.2f} {unit}, preloaded {medians[1]:8.2f} {unit} '
              f'{ratio:7.3f} ×  spread {spread * 100:.1f} %')
        spreads.append(spread)
        figures[what] = ratio, [{'name': name, 'median': statistics.median(all), 'spread': middle_half(all)}
                                for name, all in runs.items()]
    ratio, cpu = figures['cpu']
    targets = []
    if target:
        text = f'at most {MOST} × plain'
        targets = [{'text': text, 'most': MOST * cpu[0]['median'], 'ours': ratio * cpu[0]['median'], 'met': ratio <= MOST}]
        print(f'  target: {text}: {"met" if ratio <= MOST else f"missed by {100 * (ratio / MOST - 1):.1f} %"}')
    noise = busy(sum(each.preempted for all in costs.values() for each in all), max(spreads), busy_above)
    if noise:
        print(f'  {noise}')
    sys.stdout.flush()
    if path := os.environ.get('COIR_BENCH_JSON'):
        with open(path, 'a') as file:
            for name, its_sides, its_targets in (work, cpu, targets), (work + ', elapsed', figures['elapsed'][1], []):
                row = {'work': name, 'unit': unit, 'sides': its_sides, 'targets': its_targets, 'noise': noise}
                print(json.dumps(row, ensure_ascii=False), file=file)


def busy(preempted, spread, most_load):
    """As in sides.h: others wanted the processor, the figures are upper bounds at best."""
    load, runs = os.getloadavg()[0], 2 * pairs
    if load < most_load and preempted < 2 * runs and spread < 0.15:
        return ''
    return (f'the machine was busy: load {load:.1f}, preempted {preempted} times in {runs} runs, '
            f'spread up to {spread * 100:.0f} %')


def main():
    if pairs < 2:
        raise SystemExit('PAIRS must be 2 at least')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was begun is cleaned up
    os.sched_setaffinity(0, {cores[0]})  # for all that is run
    # The loader only warns of a library that it cannot preload.
    maps = subprocess.run(['cat', '/proc/self/maps'], env=sides['coir preloaded'], stdout=subprocess.PIPE, text=True).stdout
    if os.path.realpath(shim) not in maps:
        raise SystemExit(f'{shim} cannot be preloaded')
    with tempfile.TemporaryDirectory(prefix='coir-preloaded-') as name:
        directory = pathlib.Path(name)
        measure(f'dd, {BLOCKS:,} blocks of 512 bytes', 'ms', needed=['dd'], one_run=lambda environment: run(
            ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=512', f'count={BLOCKS}', 'status=none'], environment))
        words, repository = directory / 'words', directory / 'repository'
        measure(f'wc of {WORDS:,} words', 'ms', needed=['wc'], prepare=lambda: write_words(words),
                one_run=lambda environment: run(['wc', str(words)], environment))
        measure(f'git status, {FILES:,} files that were touched', 'ms', needed=['git'],
                prepare=lambda: write_repository(repository),
                one_run=lambda environment: run(['git', '-C', str(repository), 'status'], environment))
        measure('redis-server, a get or set of one of 50 clients', 'us', needed=['redis-server', 'redis-benchmark'],
                one_run=lambda environment: serve_redis(directory, environment), busy_above=2.5)
        measure('the start and end of a program that does nothing', 'ms', needed=['true'], one_run=start_many, target=False)


main()
