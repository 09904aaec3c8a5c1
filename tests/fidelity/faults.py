#!/usr/bin/python3
"""Programs below random legal faults: with the shim they end as they do without faults, or cleanly.

usage: faults.py FAULTY SHIM TICKING SEEDS[/each] PROGRAM…

`faulty` sits below the shim and makes its system calls fail or fall short. COIR_SEED=n runs that seed alone; with
`/each` a program is run with one of the seeds, the next with the next. There are two kinds of runs:

    harmless  transfers fall short, calls are interrupted, attempts would block: the program must say what it says without
              faults, and end with status 0
    hard      connections are reset, there are no descriptors, no memory: it says all that and ends with status 0, or it ends
              with status 1 and one word why on standard error

It never hangs and is never killed by a signal. Harmless faults leave the shim its work: the main code has parked, and the
ticking fiber ticked. What no program can be told, like EINTR in the middle of stdio's line, is left
out: WITHOUT. What ended wrongly is run once more without the shim, to show whose fault it is.
"""
import collections
import concurrent.futures
import os
import pathlib
import re
import sys
import tempfile

from one_run import OneRun

HARMLESS = ('short', 'eintr', 'eagain')
HARD = ('reset', 'descriptors', 'memory')
# libc's stdio and its readers of directories and files lose what they had when a call is interrupted or would block.
WITHOUT = {
    'async_io': {'short'},  # a request is made once
    'commands': {'eintr', 'eagain'},
    'lines': {'eintr', 'eagain'},
    'streams_of_files': {'eintr', 'eagain'},
    'wide': {'eintr', 'eagain'},
    'names': {'short', 'eintr', 'eagain'},
}
ONE_IN = {'harmless': (3, 6, 12), 'hard': (20, 60, 200)}
PATIENCE = 40
CLEAN = re.compile(r'^\w+: .+: E\w+$')  # how the programs say why they give up


def name_of(program):
    return pathlib.Path(program).name.rsplit('_', 1)[0]


class Suite:
    def __init__(self, faulty, shim):
        self.faulty, self.shim = faulty, shim
        self.expected = {}
        self.count = collections.Counter()

    def run(self, program, seed, mode, shim):
        kinds = set(HARMLESS if mode == 'harmless' else HARD) - WITHOUT.get(name_of(program), set())
        if not kinds:
            return None, ''
        with tempfile.TemporaryDirectory(prefix='faults-') as directory:
            report = os.path.join(directory, 'report')
            one_in = ONE_IN[mode][seed % len(ONE_IN[mode])]
            command = [self.faulty, f'--kinds={",".join(sorted(kinds))}', f'--one-in={one_in}', f'--report={report}']
            if shim:
                command.append('--preload=' + ':'.join(shim))  # not for faulty
            command += [str(seed), program]
            environment = [('COIR_IO_URING', '0' if shim and seed % 2 == 0 else '1')]
            run = OneRun(command, environment=environment, patience=PATIENCE)
            said = pathlib.Path(report).read_text().strip() if os.path.exists(report) else 'no report'
        for number, kind in re.findall(r'(\d+) (\w+)', said.partition(':')[2]):
            self.count[kind] += int(number)
        process = re.search(r'process (\d+):', said)
        run.ticks, run.parks = run.lines.get(int(process[1]) if process else 0, (0, 0))
        return run, said

    def trouble(self, program, mode, run):
        """Why this was no right way to end, or None."""
        if run.status is None:
            return 'hangs'
        if run.status == 0:
            return None if run.out == self.expected[program] else 'says something else'
        if mode == 'hard' and run.status == 1:
            words = [line for line in run.err.splitlines() if not line.startswith('coir: ')]
            if words and any(CLEAN.match(line) for line in words):
                return None
            return 'gives up without a word'
        return f'status {run.status}'

    def judge(self, program, seed, mode):
        run, said = self.run(program, seed, mode, self.shim)
        if run is None:
            return None
        self.count[f'{mode} runs'] += 1
        self.count[f'{mode}: status {run.status}'] += 1
        self.count['parks'] += run.parks
        why = self.trouble(program, mode, run)
        if why is None and mode == 'harmless' and not (run.ticks and run.parks):
            why = f'{run.ticks} ticks, {run.parks} parks of the main code'
        if why is None:
            return None
        native, _ = self.run(program, seed, mode, ())
        theirs = self.trouble(program, mode, native)
        text = f'{name_of(program)}, {mode}, COIR_SEED={seed}: {why}; without the shim: {theirs}\n    {said}\n'
        return text + ''.join(f'    {line}\n' for line in difference(self.expected[program], run) + run.err.splitlines()[-12:])


def difference(expected, run):
    import difflib
    return [line.rstrip('\n') for line in difflib.unified_diff(
        expected.splitlines(), run.out.splitlines(), 'without faults', 'with', lineterm='', n=1)][:20]


def main():
    faulty, *shim = (os.path.abspath(each) for each in sys.argv[1:4])
    programs = [os.path.abspath(each) for each in sys.argv[5:]]
    count, _, each = sys.argv[4].partition('/')
    seeds = [int(os.environ['COIR_SEED'])] if 'COIR_SEED' in os.environ else range(1, int(count) + 1)
    print('seeds', *seeds)
    suite = Suite(faulty, shim)
    for program in programs:
        run = OneRun([program])
        if run.status != 0:
            print(f'{name_of(program)}: status {run.status} without faults\n{run.err}')
            return 1
        suite.expected[program] = run.out
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        turns = [(program, seed, mode) for at, seed in enumerate(seeds) for mode in ('harmless', 'hard')
                 for number, program in enumerate(programs) if not each or number % len(seeds) == at]
        wrong = [words for words in pool.map(lambda turn: suite.judge(*turn), turns) if words]
    print(', '.join(f'{number} {what}' for what, number in sorted(suite.count.items()) if what not in ('calls',)))
    print(*wrong, sep='\n')
    print(f'{len(wrong)} wrong')
    missing = [kind for kind in HARMLESS + HARD if 'COIR_SEED' not in os.environ and not suite.count[kind]]
    if missing:
        print('no faults of kind', *missing)
    return bool(wrong or missing)


if __name__ == '__main__':
    sys.exit(main())
