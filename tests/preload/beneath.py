"""What the tests of unmodified programs share: an environment that is the same for all, a run that leaves nothing behind,
and whether a program loads the shim at all."""
import ctypes
import os
import pathlib
import signal
import subprocess
import time

PATH = '/usr/sbin:/usr/bin:/sbin:/bin'  # Debian's programs, not what else the machine may have
PR_SET_CHILD_SUBREAPER = 36


def environment(preload, directory, **more):
    """Of a program that runs in `directory`, with these libraries under it."""
    chosen = {name: value for name, value in os.environ.items() if name.startswith('COIR_')}
    chosen.update(PATH=PATH, HOME=str(directory), TMPDIR=str(directory), LC_ALL='C', TERM='xterm',
                  GIT_CONFIG_NOSYSTEM='1', **more)
    if preload:
        chosen['LD_PRELOAD'] = ':'.join(preload)
    return chosen


def loads(program, library):
    """Whether the program's loader takes the library in; it does not for what is static or setuid."""
    told = subprocess.run([program], env={'LD_PRELOAD': library, 'LD_TRACE_LOADED_OBJECTS': '1'},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return any(line.split()[0] == library for line in told.stdout.splitlines() if line.split())


def adopt_orphans():
    """Makes this process the parent of whatever its descendants leave behind."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), 'prctl')


def children():
    """The processes whose parent this one is, as far as they have not ended; the ended ones are reaped."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return []
    found = []
    for task in pathlib.Path('/proc/self/task').iterdir():
        found += map(int, (task / 'children').read_text().split())
    return found


def name_of(pid):
    try:
        return pathlib.Path(f'/proc/{pid}/cmdline').read_text().replace('\0', ' ').strip() or str(pid)
    except OSError:
        return str(pid)


def end_orphans(patience):
    """Waits for the adopted processes to end, then kills them and what they leave in turn. Returns what was killed."""
    until = time.monotonic() + patience
    while children() and time.monotonic() < until:
        time.sleep(0.01)
    killed = []
    while left := children():
        for pid in left:
            killed.append(name_of(pid))
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    return killed
