"""What the tests of the RabbitMQ samples share: a broker of their own, and samples that are watched line by line.

meson tells Python where tests/samples/harness.py and tests/fidelity/clients/servers.py are.
"""
import contextlib
import re
import subprocess
import tempfile

import harness
import servers
from harness import check


@contextlib.contextmanager
def broker():
    try:
        with servers.nothing_left(), servers.RabbitMQ() as own:
            yield own
    except servers.NotInstalled as missing:
        harness.skip(missing)


def sample(program):
    return "rabbitmq/" + program


class running:
    """A sample under way, killed when the `with` block is left. Its stdout is read by lines, as they come."""

    def __init__(self, where, program, *arguments):
        self.name = " ".join(map(str, [program, *arguments]))
        self.errors = tempfile.TemporaryFile("w+")
        self.process = harness.start(sample(program), "--broker", where, *arguments, preload=False, stderr=self.errors)
        self.lines = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def pid(self):
        return self.process.pid

    def line(self):
        """The next line; the test ends if there is none."""
        line = self.process.stdout.readline()
        check(line, f"{self.name} said no more: status {self.process.poll()}, {self.stderr()!r}, before that {self.lines}")
        self.lines.append(line.rstrip("\n"))
        return self.lines[-1]

    def until(self, pattern):
        """Lines up to the first that is like `pattern`, whose match is returned."""
        while not (found := re.fullmatch(pattern, self.line())):
            pass
        return found

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ended(self):
        """Waits for its end: status, the rest of its lines, stderr."""
        rest, _ = self.process.communicate()
        self.lines += rest.splitlines()
        return self.process.returncode, rest.splitlines(), self.stderr()

    def ends_well(self):
        status, rest, err = self.ended()
        check((status, err) == (0, ""), f"{self.name}: status {status}, {err!r}, {self.lines}")
        return rest


def run(where, program, *arguments, **more):
    """Exit status, stdout and stderr of a sample that ends by itself."""
    return harness.run(sample(program), "--broker", where, *arguments, preload=False, **more)


def good(where, program, *arguments):
    """The lines of one that must not fail."""
    status, out, err = run(where, program, *arguments)
    check((status, err) == (0, ""), f"{program} {arguments}: status {status}, {err!r}, {out!r}")
    return out.splitlines()
