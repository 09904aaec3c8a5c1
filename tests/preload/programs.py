#!/usr/bin/python3
"""Debian's programs, each at a job that really waits, must not notice the shim: same output, same status.

usage: programs.py SHIM STATS TICKING [--full] [--descriptors N] [--times N] [--show] [NAME…]

Each job runs three times: without the shim, with it, and with it and libticking.so, which makes the main code of every
process a fiber beside a ticking one, so that its blocking calls really park. What must be equal is stdout, stderr and
status. Beyond that a job fails if one of the programs that it is about does not load the shim, or its ticking fiber never ticked,
which it does only while the main one is parked, or if a call that it names never parked, or if it left a process behind.

A job is a script for sh in programs/, and says about itself in its first lines:

    # waits: dash sort    the programs it is about, by the name of their executables: each waits for something in it
    # parks: dash wait4   calls of one of them; libcoir-stats.so counts those of processes that end by exit()
    # package: zsh        of the `full` list of scripts/install-packages; without such a line the ordinary run has it, too
    # status: 6           how it ends, if not with 0
    # hide: PATTERN       what it says about times and processes, and is not compared

It runs in a directory of its own, which is its $HOME, with $JOBS, where it lies itself, and $ADDRESS, one of the loopback
network that no other process uses. programs_differing.txt lists jobs that end otherwise all the same, with the reason; one
that is not listed fails, and so does a listed one that ends alike.

--full takes those that need packages of the full list, instead of the others; names, these; --descriptors runs all
of it with a limit of that many; --show prints what each said without the shim.
"""
import argparse
import collections
import difflib
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

import beneath

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
from known_differences import known_differences
from parked_calls import parked_calls

PATIENCE = 120  # seconds for a job
GRACE = 5  # seconds for what a job started to end behind it
TRIES = 5


class Job:
    def __init__(self, path):
        self.name, self.path = path.stem, path
        told = re.findall(r'^# (waits|package|parks|hide|status): (.*)$', path.read_text(), re.M)
        self.waits = [each for key, words in told if key == 'waits' for each in words.split()]
        self.parks = {words.split()[0]: words.split()[1:] for key, words in told if key == 'parks'}
        self.packages = [each for key, words in told if key == 'package' for each in words.split()]
        self.hidden = [re.compile(words.encode()) for key, words in told if key == 'hide']
        self.status = next((int(words) for key, words in told if key == 'status'), 0)
        if not self.waits:
            raise SystemExit(f'{path}: whose waiting is it about?')


class Run:
    """A job's way through one of the three; in the same directory each time, for programs that name it."""

    def __init__(self, job, preload, options):
        home, log, stats = (f'{options.directory}/{name}' for name in ('home', 'ticks', 'stats'))
        os.mkdir(home)
        try:
            self.go(job, options, beneath.environment(preload, home, JOBS=str(job.path.parent),
                                                      ADDRESS=options.address, TICKING_LOG=log, COIR_STATS=stats))
            self.waited, self.parked = self.read(log, parked_calls(pathlib.Path(stats)))
        finally:
            shutil.rmtree(home)

    def go(self, job, options, environment):
        def limit():
            if options.descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (options.descriptors, options.descriptors))

        child = subprocess.Popen(['/bin/sh', '-e', job.path], cwd=environment['HOME'], env=environment,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 start_new_session=True, preexec_fn=limit)
        try:
            self.stdout, self.stderr = child.communicate(timeout=PATIENCE)
            self.status, self.left = child.returncode, []
        except subprocess.TimeoutExpired:
            self.left = beneath.end_orphans(0)
            self.stdout, self.stderr = child.communicate()
            self.status = 'hung'
        self.left += beneath.end_orphans(GRACE)
        for pattern in job.hidden:
            self.stdout, self.stderr = (pattern.sub(b'(hidden)', each) for each in (self.stdout, self.stderr))

    def read(self, log, parked):
        """Of each executable: ticks and parks of its processes, at most, and its path; how often its calls parked."""
        waited, calls = {}, collections.defaultdict(collections.Counter)
        if os.path.exists(log):
            for line in open(log):
                pid, ticks, parks, program = line.rstrip('\n').split(' ', 3)
                if program == '?':
                    continue
                name = os.path.basename(program)
                most = waited.get(name, (0, 0, program))
                waited[name] = max((int(ticks), int(parks), program), most)
                calls[name] += parked[int(pid)]
        return waited, calls


def lines_of(text):
    return text.decode(errors='backslashreplace').splitlines() if isinstance(text, bytes) else [str(text)]


def beside_ticking(job, libraries, options):
    """A process that starts slowly, on a busy machine, may find all that it is to wait for: again then."""
    for _ in range(TRIES):
        run = Run(job, libraries, options)
        if all(run.waited.get(program, (0, 0))[0] for program in job.waits):
            break
    return run


def differences(job, options):
    """What a job did otherwise, beneath the shim, in words."""
    shim = options.shim
    # A process that is started without the job's environment would print its counts on stderr.
    counting = [options.stats] if job.parks else []
    without = Run(job, [], options)
    ways = {'with the shim': Run(job, [shim], options),
            'with the ticking fiber': beside_ticking(job, [shim, *counting, options.ticking], options)}
    found, wrong = [], []
    for way, run in {'without the shim': without, **ways}.items():
        wrong += [f'{job.name}, {way}: left behind: {each}' for each in run.left]
        if run is without:
            continue
        for what in ('stdout', 'stderr', 'status'):
            a, b = getattr(without, what), getattr(run, what)
            if a != b:
                lines = (lines_of(each) for each in (a, b))
                found.append('\n    '.join([f'{job.name}, {way}: {what} differs',
                                           *difflib.unified_diff(*lines, 'without', 'with', n=1, lineterm='')]))
    waited, parked = ways['with the ticking fiber'].waited, ways['with the ticking fiber'].parked
    for program in job.waits:
        ticks, parks, path = waited.get(program, (0, 0, None))
        if not ticks:  # the main fiber's park may outlast the process: then it was never woken
            wrong.append(f'{job.name}: {program}: {ticks} ticks, {parks} parks; seen: {", ".join(sorted(waited))}')
        elif not beneath.loads(path, shim):
            wrong.append(f'{job.name}: {program} does not load the shim')
    wrong += [f'{job.name}: {program}: {call} never parked; {" ".join(parked[program])} did' for program, calls in job.parks.items()
              for call in calls if not parked[program][call]]
    seen = ', '.join(f'{program} {waited[program][0]} ticks {waited[program][1]} parks'
                     for program in job.waits if program in waited)
    print(f'{job.name}: status {without.status}, {len(without.stdout)} bytes of output, {len(without.stderr)} of errors; '
          f'{seen}', flush=True)
    if options.show:
        print(*lines_of(without.stdout + without.stderr), sep='\n')
    if without.status != job.status or not without.stdout:
        wrong.append('\n    '.join([f'{job.name}: the job itself fails: {without.status}',
                                   *lines_of(without.stdout + without.stderr)]))
    return found, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('shim', type=os.path.abspath)
    parser.add_argument('stats', type=os.path.abspath)
    parser.add_argument('ticking', type=os.path.abspath)
    parser.add_argument('--full', action='store_true')
    parser.add_argument('--descriptors', type=int)
    parser.add_argument('--times', type=int, default=1)
    parser.add_argument('--show', action='store_true')
    parser.add_argument('names', nargs='*')
    options = parser.parse_intermixed_args()
    jobs = [Job(path) for path in sorted((HERE / 'programs').glob('*.sh'))]
    jobs = [job for job in jobs if (job.name in options.names if options.names else bool(job.packages) == options.full)]
    if not jobs or len(jobs) < len(set(options.names)):
        raise SystemExit('programs: no such job')
    number = os.getpid()  # at most 22 bits
    options.address = f'127.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}'
    beneath.adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('programs: interrupted'))
    try:
        return run_all(jobs, options)
    finally:
        beneath.end_orphans(0)


def run_all(jobs, options):
    known, occurred, wrong, programs = known_differences(HERE / 'programs_differing.txt'), set(), [], set()
    for _ in range(options.times):
        for job in jobs:
            with tempfile.TemporaryDirectory(prefix='programs-') as directory:
                options.directory = pathlib.Path(directory)
                found, more = differences(job, options)
            wrong += more
            programs.update(job.waits)
            for each in found:
                where = each.split(':')[0]
                if where in known:
                    occurred.add(where)
                else:
                    wrong.append(each)
    wrong += [f'{each}: listed as different, but ended alike' for each in known.keys() - occurred
              if each.split(',')[0] in {job.name for job in jobs}]
    print(f'{len(jobs)} jobs, {options.times} times, of {len(programs)} programs; {len(occurred)} known differences, '
          f'{len(wrong)} faults', *wrong, sep='\n  ')
    return bool(wrong)


sys.exit(main())
