#!/usr/bin/python3
"""Every installed header compiles by itself, from nothing but what is installed, without a warning.

usage: headers.py SOURCE_ROOT BUILD_ROOT COMPILER...
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

root, build = (pathlib.Path(each).resolve() for each in sys.argv[1:3])
compiler = sys.argv[3:]

headers = {}
for source, target in json.loads((build / 'meson-info/intro-installed.json').read_text()).items():
    _, inside, below = target.partition('/include/coir/')
    if inside and target.endswith('.h'):
        headers[below] = pathlib.Path(source)

with tempfile.TemporaryDirectory() as tree:
    for below, source in headers.items():
        os.makedirs(os.path.dirname(os.path.join(tree, below)), exist_ok=True)
        shutil.copy(source, os.path.join(tree, below))

    def compile_alone(header):
        # Twice: a header that lacks #pragma once does not survive that.
        unit = f'#include "{header}"\n#include "{header}"\nint main() {{}}\n'
        done = subprocess.run(
            [*compiler, '-std=c++20', '-fsyntax-only', '-Wall', '-Wextra', '-Wpedantic', '-Werror', f'-I{tree}',
             '-x', 'c++', '-'], input=unit, text=True, capture_output=True,
            cwd='/')  # where a unit from stdin looks first
        return header, done.returncode, done.stderr

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(compile_alone, sorted(headers)))

wrong = [f'{header}:\n{errors}' for header, status, errors in results if status]
for header, source in headers.items():
    if header == 'net/asio.h':  # for who has Asio; coir.h does not include it
        continue
    for library in re.findall(r'#\s*include\s*<(boost/[^>]*|ev\.h|ev\+\+\.h|openssl/[^>]*)>', source.read_text()):
        wrong.append(f'{header} includes {library}, which users need not have')
if 'coir.h' not in headers or len(headers) < 10:
    wrong.append(f'too few headers were found: {sorted(headers)}')
print(f'{len(headers)} headers')
print(*wrong, sep='\n')
sys.exit(bool(wrong))
