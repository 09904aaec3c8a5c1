#!/usr/bin/python3
"""The program `coir`.

usage: coir_run.py COIR
"""
import os
import re
import subprocess
import sys
import tempfile

COIR = os.path.abspath(sys.argv[1])
PYTHON = '/usr/bin/python3'


def run(*arguments, **more):
    environment = {name: value for name, value in os.environ.items() if name != 'LD_PRELOAD'} | more
    return subprocess.run([COIR, *arguments], env=environment, capture_output=True, text=True)


def expect(told, status, out='', error=''):
    if told.returncode != status or out not in told.stdout or error not in told.stderr:
        sys.exit(f'{told.args}: {told.returncode}, not {status} with {out!r} and {error!r}\n{told.stdout}{told.stderr}')


# The program's own output, status and arguments; the shim is the first under it.
expect(run('run', '--', PYTHON, '-c', 'import sys; print(sys.argv[1:]); sys.exit(5)', '--stats', '--', '-x'), 5, "['--stats', '--', '-x']")
expect(run('run', PYTHON, '-c', 'import os; print(os.environ["LD_PRELOAD"], os.environ["COIR_PATCH"])', LD_PRELOAD='libc.so.6'), 0,
       'libcoir-monkey.so:libc.so.6 all\n')
expect(run('run', '--patch', 'time,select', '--', PYTHON, '-c', 'import os; print(os.environ["COIR_PATCH"])'), 0, 'time,select\n')
expect(run('run', '--stats', '--', PYTHON, '-c', 'import time; time.sleep(0.01)'), 0, error='\nclock_nanosleep ')
with tempfile.TemporaryDirectory() as place:
    told = run('run', '--stats', '--stats-file', f'{place}/stats', '--', PYTHON, '-c', 'import time; time.sleep(0.01)')
    expect(told, 0)
    assert told.stderr == '' and '\nclock_nanosleep ' in open(f'{place}/stats').read(), told.stderr

    # What does not load it.
    plain = f'{place}/static'
    subprocess.run(['gcc', '-static', '-x', 'c', '-', '-o', plain], input='int main(void) { return 0; }', text=True, check=True)
    expect(run('run', '--check', '--', plain), 1, 'it is statically linked')
    os.chmod(plain, 0o4755)
    expect(run('run', '--check', '--', plain), 1, 'it is setuid')
expect(run('run', '--check', '--', 'curl', '--version'), 0, '/curl: the shim can be put under it\n')


def told_of(program):
    """The calls that --check says let others run, and those that may block."""
    told = run('run', '--check', '--', program).stdout
    return [set(match[1].split()) if (match := re.search(rf'its calls that {kind} \(\d+\): (.*)', told)) else set()
            for kind in ('let others run', 'may block')]


cooperating, blocking = told_of('curl')
assert 'select' in cooperating and not cooperating & blocking, (cooperating, blocking)
cooperating, blocking = told_of('grep')
assert 'read' in cooperating and 'error' in blocking and not cooperating & blocking, (cooperating, blocking)

# The program that execvp(3) would find: no directory, and in the working directory if PATH has an empty place. What the
# environment chooses stays chosen.
with tempfile.TemporaryDirectory() as place:
    os.mkdir(f'{place}/grep')
    expect(run('run', '--check', '--', 'grep', PATH=f'{place}:/usr/bin'), 0, '/usr/bin/grep: the shim can be put under it')
    os.symlink('/usr/bin/grep', f'{place}/only_here')
    told = subprocess.run([COIR, 'run', '--check', '--', 'only_here'], env={'PATH': '/nonexistent:'}, cwd=place, capture_output=True, text=True)
    expect(told, 0, './only_here: the shim can be put under it')
expect(run('run', '--', PYTHON, '-c', 'import os; print(os.environ["COIR_PATCH"])', COIR_PATCH='time'), 0, 'time\n')

# Errors name what and where.
expect(run('run', '--', '/no/such'), 127, error='coir: /no/such: No such file or directory\n')
expect(run('run', '--check', '--', 'no_such_program'), 127, error='coir: no_such_program: No such file or directory\n')
expect(run('run', '--', '/etc/passwd'), 126, error='coir: /etc/passwd: Permission denied\n')
expect(run('run', '--check', '--', '/etc/passwd'), 126, error='coir: /etc/passwd: Exec format error\n')
expect(run('run', '--patch=sokcet', '--', 'true'), 125, error="coir: --patch: 'sokcet' is no family of calls: there are all, none, time")
if run('run').returncode == 0 or run().returncode == 0:
    sys.exit('nothing to run is no error')
