#!/usr/bin/python3
"""The README's C++ sample compiles as it stands there and prints what its comment says.

usage: readme.py SOURCE_ROOT LIBCOIR CXX...
"""
import pathlib
import re
import subprocess
import sys
import tempfile

root, library, compiler = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
samples = re.findall(r'^```cpp\n(.*?)^```', (root / 'README.md').read_text(), re.M | re.S)
if len(samples) != 1:
    sys.exit(f'README.md has {len(samples)} C++ samples, not one')
promised = re.search(r'// (\d+ \d+);', samples[0]).group(1)

with tempfile.TemporaryDirectory() as directory:
    source = pathlib.Path(directory) / 'readme.cpp'
    program = pathlib.Path(directory) / 'readme'
    source.write_text(samples[0])
    subprocess.run([*compiler, '-std=c++20', '-Wall', '-Wextra', '-Wpedantic', '-Werror', '-I', root, source, '-o', program,
                    library, f'-Wl,-rpath,{library.parent}'], check=True)
    run = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
print(run.stdout + run.stderr, end='')
if (run.returncode, run.stdout, run.stderr) != (0, promised + '\n', ''):
    sys.exit(f'the README promises {promised}')
