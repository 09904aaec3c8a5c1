"""One run of a program in a fresh directory and a session of its own, of which nothing is left afterwards."""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
from parked_calls import parked_calls

PATIENCE = 60  # seconds; the programs take less than one


class OneRun:
    """`status` is None if it hung. Of its first process: `ticks` and `parks`, None without libticking.so's line, and
    `parked`, how often each call did, empty without libcoir-stats.so."""

    def __init__(self, command, shim=(), environment=(), patience=PATIENCE):
        with tempfile.TemporaryDirectory(prefix='fidelity-') as directory:
            work, log, stats = (os.path.join(directory, name) for name in ('work', 'ticks', 'stats'))
            os.mkdir(work)
            variables = {k: v for k, v in os.environ.items() if k not in ('LD_PRELOAD', 'TICKING_LOG')}
            variables.update(LC_ALL='C.UTF-8', TMPDIR=work, TICKING_LOG=log, COIR_STATS=stats)
            variables.update(environment)
            if shim:
                variables['LD_PRELOAD'] = ':'.join(shim)
            with open(os.path.join(directory, 'out'), 'w+b') as out, open(os.path.join(directory, 'err'), 'w+b') as err:
                child = subprocess.Popen(command, cwd=work, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                         start_new_session=True)
                try:
                    self.status = child.wait(patience)
                except subprocess.TimeoutExpired:
                    self.status = None
                try:
                    os.killpg(child.pid, signal.SIGKILL)  # what it left behind
                except ProcessLookupError:
                    pass
                child.wait()
                out.seek(0), err.seek(0)
                self.out, self.err = (file.read().decode(errors='backslashreplace') for file in (out, err))
            self.pid, self.ticks, self.parks = child.pid, None, None
            if os.path.exists(log):
                lines = (line.split(maxsplit=3) for line in pathlib.Path(log).read_text().splitlines())
                self.lines = {int(process): (int(ticks), int(parks)) for process, ticks, parks, _ in lines}
            else:
                self.lines = {}
            self.ticks, self.parks = self.lines.get(self.pid, (None, None))
            self.parked = parked_calls(pathlib.Path(stats))[self.pid]
            self.left = sorted(os.listdir(work))
