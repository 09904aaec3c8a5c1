"""How many instructions a program takes, counted by callgrind: the same in every run, however busy the machine is."""
import re
import subprocess
import tempfile


def instructions(*command):
    """Those of the process itself, not of children that it forked."""
    with tempfile.TemporaryDirectory() as directory:
        out = f'{directory}/out'
        done = subprocess.run(['valgrind', '--tool=callgrind', f'--callgrind-out-file={out}.%p', *command],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f'{" ".join(command)}: status {done.returncode}\n{done.stdout}')
        own = re.search(r'^==(\d+)==', done.stdout, re.M)[1]
        with open(f'{out}.{own}') as counts:
            return int(re.search(r'^(?:summary|totals): (\d+)', counts.read(), re.M)[1])
