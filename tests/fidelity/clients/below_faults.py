#!/usr/bin/python3
"""One client library in twenty concurrent fibers against a real server, below random legal faults (../faulty/): each
operation is answered rightly or fails by the library's own word; none hangs, nothing crashes.

usage: below_faults.py FAULTY CLIENT KIND SEEDS

CLIENT is a program of run.cpp. COIR_SEED=n runs that seed alone. Below harmless faults (transfers fall short, calls are
interrupted, attempts would block) the client must come to its end; below hard ones (connections are reset, there are no
descriptors, no memory) it may give up with a word.
"""
import collections
import os
import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
import servers
from faults import HARD, HARMLESS, ONE_IN
from one_run import OneRun

PATIENCE = 60  # seconds for sixty operations


class Suite:
    def __init__(self, faulty, client, server, kind):
        self.faulty, self.client, self.server, self.kind = faulty, client, server, kind
        self.count = collections.Counter()

    def judge(self, seed, mode):
        """Why this was no right way to end, or None."""
        with tempfile.TemporaryDirectory(prefix='faults-') as directory:
            report = pathlib.Path(directory, 'report')
            command = [self.faulty, f'--kinds={",".join(HARMLESS if mode == "harmless" else HARD)}',
                       f'--one-in={ONE_IN[mode][seed % len(ONE_IN[mode])]}', f'--report={report}', str(seed),
                       self.client, 'faulted', self.kind, self.server.where(self.kind)]
            run = OneRun(command, environment=servers.environment([self.server]).items(), patience=PATIENCE)
            said = report.read_text().strip() if report.exists() else 'no report'
        for number, what in re.findall(r'(\d+) (\w+)', said.partition(':')[2]):
            self.count[what] += int(number)
        self.count[f'{mode} runs'] += 1
        ended = re.search(r'(\d+) answered, (\d+) not, (\d+) ticks', run.out)
        if ended:
            self.count[f'{mode}: answered'] += int(ended[1])
            self.count[f'{mode}: not answered'] += int(ended[2])
        if run.status is None:
            why = 'hangs'
        elif run.status == 0 and not (ended and (int(ended[3]) or mode == 'hard')):
            why = 'nobody ticked'
        elif run.status == 0 or (mode == 'hard' and run.status == 1 and not ended):
            return None
        else:
            why = f'status {run.status}'
        return f'{self.kind}, {mode}, COIR_SEED={seed}: {why}\n    {said}\n{run.out[-2000:]}{run.err[-2000:]}'


def main():
    faulty, client = (os.path.abspath(each) for each in sys.argv[1:3])
    kind = sys.argv[3]
    seeds = [int(os.environ['COIR_SEED'])] if 'COIR_SEED' in os.environ else range(1, int(sys.argv[4]) + 1)
    try:
        with servers.nothing_left(), servers.of_kind(kind)() as server:
            suite = Suite(faulty, client, server, kind)
            wrong = [words for seed in seeds for mode in ('harmless', 'hard') if (words := suite.judge(seed, mode))]
    except servers.NotInstalled as missing:
        print(missing)
        return 77  # meson's word for skipped
    print('seeds', *seeds)
    print(', '.join(f'{number} {what}' for what, number in sorted(suite.count.items()) if what != 'calls'))
    print(*wrong, sep='\n')
    print(f'{len(wrong)} wrong')
    return bool(wrong or not suite.count['harmless: answered'])


sys.exit(main())
