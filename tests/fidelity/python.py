#!/usr/bin/python3
"""CPython's own tests, run without and with the shim, must end alike, each of them.

usage: python.py SHIM TICKING [MODULE…]

With the shim means LD_PRELOAD of it and of libticking.so, which makes the main code of the process a fiber beside a
ticking one: every blocking call of the main thread really parks. known_differences.txt lists what ends otherwise all
the same, a test and its reason per line; a difference that it does not list fails, and so does one that it lists and
that no longer occurs.

Some of the tests depend on the time that the machine has for them. One that ended differently is therefore run again,
tens of times on both sides, alone. It is a difference unless it ends without the shim, too, at least once, in every way
that it ended with it; then it is named, and counted, as unsteady.
"""
import collections
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
from known_differences import known_differences

PYTHON = '/usr/bin/python3.11'
PATIENCE = 240  # seconds without any test that begins or ends
AGAIN = 30  # runs of a test that ended differently
MOST_LOST = 5  # processes of a module that died or hung; the next one goes on behind the test that it was at

# Whether the main thread waits for anything in them, so that ticks must be seen while it does.
MODULES = {
    'test_socket': True, 'test_select': True, 'test_selectors': True, 'test_poll': True, 'test_epoll': True,
    'test_time': True, 'test_queue': True, 'test_thread': True, 'test_subprocess': True, 'test_httpservers': True,
    'test_urllib2_localnet': True, 'test_io': True, 'test_file': False,
}
SIDES = ('without', 'with')


class Run:
    """One module, or some tests of it, on one side: how each test ended, and whether the shim had anything to do."""

    def __init__(self, module, shim, only=()):
        self.module, self.shim, self.side = module, shim, SIDES[bool(shim)]
        self.outcomes = {}
        self.trouble = []  # of the process, not of a test
        self.ticks = self.parks = 0
        lost, chosen = 0, bool(only)
        while not self.go(['--only', *only] if only else ['--except', *self.outcomes]):
            lost += 1
            only = [test for test in only if test not in self.outcomes]
            if chosen and not only:
                break
            if self.current is None or lost == MOST_LOST:
                self.trouble.append(f'{module} {self.side}: no way to the end')
                break
        if not self.outcomes:
            self.trouble.append(f'{module} {self.side}: no test was run')

    def go(self, choice):
        """False if the process did not come to its end: `current` is the test that it was at."""
        with tempfile.TemporaryDirectory(prefix='fidelity-') as directory:
            record, log, ticks = (os.path.join(directory, name) for name in ('record', 'log', 'ticks'))
            work = os.path.join(directory, 'work')
            os.mkdir(work)
            open(record, 'w').close()
            environment = {k: v for k, v in os.environ.items() if k not in ('LD_PRELOAD', 'TICKING_LOG')}
            environment.update(LC_ALL='C.UTF-8', HOME=directory, TMPDIR=work)
            if self.shim:
                environment.update(LD_PRELOAD=':'.join(self.shim), TICKING_LOG=ticks)
            with open(log, 'wb') as output:
                child = subprocess.Popen([PYTHON, HERE / 'run_module.py', self.module, record, *choice], cwd=work,
                                         env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                         stderr=subprocess.STDOUT, start_new_session=True)
            hung = self.wait_for(child, record)
            try:
                os.killpg(child.pid, signal.SIGKILL)  # what the tests left behind
            except ProcessLookupError:
                pass
            said = pathlib.Path(log).read_text(errors='replace').splitlines()
            ended = self.read(record)
            if not ended:
                how = 'hung' if hung else f'status {child.returncode}'
                if self.current is not None:
                    self.outcomes[self.current] = 'hung' if hung else 'died'
                print(f'{self.module} {self.side}: {how} in {self.current}', *said[-60:], sep='\n    ')
                return False
            if self.shim:
                self.check_shim(ended, ticks)
            return True

    def wait_for(self, child, record):
        size, since = 0, time.monotonic()
        while True:
            try:
                child.wait(1)
                return False
            except subprocess.TimeoutExpired:
                pass
            if os.path.getsize(record) != size:
                size, since = os.path.getsize(record), time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                child.send_signal(signal.SIGUSR1)  # says where it is
                time.sleep(2)
                child.kill()
                child.wait()
                return True

    def read(self, record):
        """The words of its last line, if that was written."""
        self.current = None
        with open(record) as lines:
            for line in lines:
                kind, rest = line.rstrip('\n').split(' ', 1)
                if kind == 'begins':
                    self.current = rest
                elif kind == 'ends':
                    outcome, test = rest.split(' ', 1)
                    self.outcomes[test] = outcome
                    self.current = None
                elif kind == 'detail':
                    outcome, what = rest.split(' ', 1)
                    self.outcomes[what] = outcome
                elif kind == 'done':
                    return rest.split()
        return None

    def check_shim(self, ended, ticks):
        process, library = ended
        if library != pathlib.Path(self.shim[0]).name:
            self.trouble.append(f'{self.module}: the shim was not active: read is that of {library}')
            return
        lines = [line.split() for line in open(ticks)] if os.path.exists(ticks) else []
        own = [line for line in lines if line[0] == process]
        if len(own) != 1:
            self.trouble.append(f'{self.module}: {len(own)} lines of the process say how often it ticked')
            return
        self.ticks += int(own[0][1])
        self.parks += int(own[0][2])


def differ(without, beneath):
    return sorted(test for test in without.keys() | beneath.keys() if without.get(test) != beneath.get(test))


def unsteady_without(module, shim, test, without, beneath):
    """Runs a test that ended differently many times more: true if it ends without the shim, too, as it ever does with."""
    if not test.startswith('test.') or beneath in ('hung', 'died'):  # the first is a fixture of a class or a module
        return False
    test_itself = test.split(' ')[0]  # a subtest goes with its test
    ended = {'with': [beneath], 'without': [without]}
    for _ in range(AGAIN):
        ended['with'].append(Run(module, shim, [test_itself]).outcomes.get(test))
    while set(ended['with']) - set(ended['without']) and len(ended['without']) <= AGAIN:
        ended['without'].append(Run(module, (), [test_itself]).outcomes.get(test))
    print(*(f'    {side}: {dict(collections.Counter(ended[side]))}' for side in SIDES), sep='\n', flush=True)
    return not set(ended['with']) - set(ended['without'])


def main():
    shim = [os.path.abspath(each) for each in sys.argv[1:3]]
    chosen = sys.argv[3:] or list(MODULES)
    if not os.path.exists(PYTHON) or subprocess.run([PYTHON, '-c', 'import test.test_socket']).returncode != 0:
        print(f"{PYTHON} and its tests are not installed: libpython3.11-testsuite")
        return 77  # meson's word for skipped
    known = known_differences(HERE / 'known_differences.txt')
    occurred, unsteady, wrong = set(), [], []
    for module in chosen:
        runs = {'without': Run(module, ()), 'with': Run(module, shim)}
        for side in SIDES:
            outcomes = list(runs[side].outcomes.values())
            counts = ', '.join(f'{outcomes.count(each)} {each}' for each in sorted(set(outcomes)))
            hub = f'; {runs[side].ticks} ticks, {runs[side].parks} parks' if side == 'with' else ''
            print(f'{module} {side}: {counts}{hub}', flush=True)
            wrong += runs[side].trouble
        if MODULES[module] and not (runs['with'].ticks and runs['with'].parks):
            wrong.append(f'{module}: the hub never switched')
        without, beneath = (runs[side].outcomes for side in SIDES)
        for test in differ(without, beneath):
            print(f'  {test}: {without.get(test)} without, {beneath.get(test)} with')
            if test in known:
                occurred.add(test)
            elif unsteady_without(module, shim, test, without.get(test), beneath.get(test)):
                unsteady.append(test)
            else:
                wrong.append(f'{test}: {without.get(test)} without, {beneath.get(test)} with')
    for test in known.keys() - occurred:
        if any(test.split(' ')[0].startswith(f'test.{module}.') for module in chosen):
            wrong.append(f'{test}: listed as a difference, but ended alike')
    print(f'{len(occurred)} known differences, {len(unsteady)} unsteady, {len(wrong)} faults', *unsteady, sep='\n  ')
    print(*wrong, sep='\n')
    return bool(wrong)


sys.exit(main())
