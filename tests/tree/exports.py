#!/usr/bin/python3
"""libcoir.so exports coir's names and nothing else; the shim the symbols of its table and nothing else; libcoir-tls.so its
own and nothing of libcoir's. None does anything when it is loaded, and only libcoir-tls.so needs OpenSSL.

usage: exports.py SOURCE_ROOT LIBCOIR SHIM [LIBRARY...]

Each further library exports coir's names only, too; what it needs besides is no business of libcoir's.
Skips (77) in a build with a sanitizer, which adds names and initialisers of its own.
"""
import pathlib
import re
import subprocess
import sys

from table import rows

root, libcoir, shim, *libcoir_tls = (pathlib.Path(each) for each in sys.argv[1:])


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def exported(library):
    lines = output_of('nm', '-D', '--defined-only', '--format=posix', library).splitlines()
    return {line.split()[0].split('@')[0] for line in lines}


if re.search(r'\b__(asan|tsan|ubsan|msan)_', output_of('nm', '-D', libcoir)):
    sys.exit(77)

wrong = []
names = exported(libcoir)
# The encodings of a function or variable in namespace coir, of its vtables, type information and guards.
ours = re.compile(r'_Z(N[KVRO]*4coir|T[VIST]N?[KVRO]*4coir|GVN4coir)')
wrong += [f'libcoir exports {name}' for name in sorted(names) if not ours.match(name)]
if len(names) < 20:
    wrong.append(f'libcoir exports next to nothing: {sorted(names)}')


def needed(library):
    return set(re.findall(r'\(NEEDED\).*\[(.*)\]', output_of('readelf', '-dW', library)))


further = [pathlib.Path(each) for each in sys.argv[4:]]
for library in further:
    names = exported(library)
    wrong += [f'{library.name} exports {name}' for name in sorted(names) if not ours.match(name)]
    if not names:
        wrong.append(f'{library.name} exports nothing')
    own = {each for each in needed(library) if not re.match(r'libcoir|lib(c|m|gcc_s|stdc\+\+)\.so', each)}
    wrong += [f'{other.name} needs {each}, which is {library.name}\'s'
              for other in (libcoir, shim) for each in sorted(own & needed(other))]

table = {symbol for *_, symbol in rows(root)}
names = {name for name in exported(shim) if not name.startswith('coir_monkey_')}  # monkey.h looks for those
wrong += [f'the shim exports {name}, which has no row' for name in sorted(names - table)]
wrong += [f'the shim does not export {name}, which has a row' for name in sorted(table - names)]
if len(table) < 20:
    wrong.append(f'the table was not understood: {sorted(table)}')

# crt1's frame_dummy is in every shared library's .init_array; a second entry would be code of ours.
for library in libcoir, shim, *further:
    sizes = [int(size, 16) for size in
             re.findall(r'\.init_array\s+INIT_ARRAY\s+\S+\s+\S+\s+(\S+)', output_of('readelf', '-SW', library))]
    if sum(sizes) > 8:
        symbols = [line for line in output_of('nm', '-C', library).splitlines() if '_GLOBAL__sub_I' in line]
        wrong.append(f'{library.name} has {sum(sizes) // 8 - 1} initialisers of its own: {symbols}')
    if re.search(r'\(INIT\)', output_of('readelf', '-dW', library)):
        code = output_of('objdump', '-d', '--section=.init', library)
        if len(re.findall(r'\bcall\b', code)) > 1:  # gmon's, of crti
            wrong.append(f'{library.name} has an _init of its own')

print(f'{len(table)} rows')
print(*wrong, sep='\n')
sys.exit(bool(wrong))
