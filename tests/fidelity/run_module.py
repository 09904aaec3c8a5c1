#!/usr/bin/python3
"""Runs the tests of one module of CPython's own suite in this process, and writes down how each of them ended.

usage: run_module.py MODULE RECORD [--only TEST… | --except TEST…]

RECORD gets one line per event, at once, so that it also tells where a process ended that never came back:

    begins ID
    ends OUTCOME ID         passed, failed, error, skipped, expected-failure, unexpected-success
    detail OUTCOME ID       of something that belongs to no test of its own: a subtest, setUpClass; never "passed"
    done PID LIBRARY        whose `read` it is that the process calls
"""
import ctypes
import faulthandler
import os
import signal
import sys
import unittest

from test import support
from test.support import os_helper

# Needs a hypervisor's guest; whether it is there changes nothing of what is compared.
LEFT_OUT = 'VSOCK'


class Record(unittest.TextTestResult):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.current = None

    def write(self, *words):
        os.write(record, (' '.join(map(str, words)) + '\n').encode())

    def startTest(self, test):
        super().startTest(test)
        self.current, self.outcome = test.id(), None
        self.write('begins', self.current)

    def stopTest(self, test):
        super().stopTest(test)
        self.write('ends', self.outcome or 'passed', self.current)
        self.current = None

    def note(self, test, outcome):
        if self.current is None or test.id() != self.current:
            self.write('detail', outcome, ' '.join(test.id().split('\n')))
        if self.current is not None and self.outcome not in ('error', 'failed'):
            self.outcome = outcome

    def addError(self, test, error):
        super().addError(test, error)
        self.note(test, 'error')

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.note(test, 'failed')

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.note(subtest, 'failed' if issubclass(error[0], test.failureException) else 'error')

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, 'skipped')

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self.note(test, 'expected-failure')

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, 'unexpected-success')


def pruned(suite, wanted):
    """The same tree, for the fixtures of classes and modules, with the tests that are wanted."""
    kept = (pruned(one, wanted) if isinstance(one, unittest.TestSuite) else one for one in suite)
    return type(suite)(one for one in kept
                       if (one.countTestCases() if isinstance(one, unittest.TestSuite) else wanted(one.id())))


module, record_path, *choice = sys.argv[1:]
sys.argv[1:] = []
record = os.open(record_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
faulthandler.enable(all_threads=True)
faulthandler.register(signal.SIGUSR1, all_threads=True)  # whoever loses patience asks where it is
support.record_original_stdout(sys.stdout)
support.use_resources = []

if choice[:1] == ['--only']:
    wanted = set(choice[1:]).__contains__
else:
    wanted = lambda test: test not in choice[1:]

with os_helper.temp_cwd():
    suite = unittest.defaultTestLoader.loadTestsFromName('test.' + module)
    suite = pruned(suite, lambda test: LEFT_OUT not in test and wanted(test))
    unittest.TextTestRunner(resultclass=Record, verbosity=2).run(suite)
    support.reap_children()

address = ctypes.cast(ctypes.CDLL(None).read, ctypes.c_void_p).value
with open('/proc/self/maps') as maps:
    for line in maps:
        first, last = (int(each, 16) for each in line.split()[0].split('-'))
        if first <= address < last:
            os.write(record, f'done {os.getpid()} {os.path.basename(line.split()[-1])}\n'.encode())
