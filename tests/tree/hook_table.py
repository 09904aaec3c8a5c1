#!/usr/bin/python3
"""The tables of symbols in docs/monkey.md: those that are hooked are monkey/hooks.def's; those that are not, although they
may wait, are what blocking_symbols.py finds in this machine's libc, each with its reason from left_to_libc.py. Those of them
that may wait for long are monkey/left_to_libc.def, which `coir run --check` knows.

usage: hook_table.py SOURCE_ROOT            fails if one differs
       hook_table.py SOURCE_ROOT --write    writes them anew, with the number of programs and libraries of this Debian that
                                            import each symbol
"""
import collections
import fnmatch
import pathlib
import platform
import re
import subprocess
import sys

from blocking_symbols import find
from left_to_libc import LEFT, LONG
from table import rows, sections

BEGIN, END = '<!-- symbols: tests/tree/hook_table.py --write -->\n', '<!-- end -->\n'
BEGIN_LEFT, END_LEFT = '<!-- left to libc: tests/tree/hook_table.py --write -->\n', '<!-- end of left to libc -->\n'
LIBRARIES = '/lib/x86_64-linux-gnu/libc.so.6', '/lib/x86_64-linux-gnu/libresolv.so.2'
PLACES = '/usr/bin', '/usr/sbin', '/usr/lib', '/usr/libexec'

root = pathlib.Path(sys.argv[1])
page = root / 'docs/monkey.md'
file_of_long = root / 'monkey/left_to_libc.def'


def imports():
    """How many programs and libraries import each symbol, and how many were looked at."""
    counts, looked_at = collections.Counter(), 0
    for place in PLACES:
        for file in pathlib.Path(place).rglob('*'):
            if file.is_symlink() or not file.is_file():
                continue
            with open(file, 'rb') as start:
                header = start.read(18)
                if header[:4] != b'\x7fELF' or header[16] not in (2, 3):  # a program, a library
                    continue
            listed = subprocess.run(['nm', '-D', '-u', file], capture_output=True, text=True)
            if listed.returncode != 0 or not listed.stdout:
                continue
            looked_at += 1
            counts.update({line.split()[-1].split('@')[0] for line in listed.stdout.splitlines()})
    return counts, looked_at


def with_counts(names, counts):
    return ' '.join(f'`{name}` {counts[name]}' if counts[name] else f'`{name}`' for name in names)


def table(counts, looked_at):
    lines = [f'Behind each symbol: how many of {looked_at} programs and libraries of a Debian 12 installation import it.\n\n',
             '| family | calls | symbols |\n', '|---|---|---|\n']
    for about, _, family, symbols in sections(root):
        lines.append(f'| {family} | {about} | {with_counts(symbols, counts)} |\n')
    return ''.join(lines)


def left_to_libc(hooked):
    """{reason: symbols}, the number that may wait, and what is wrong with the reasons."""
    waiting = {name for library in LIBRARIES for name in find(library)}
    reasons = [(reason, patterns.split()) for reason, patterns, *_ in LEFT]
    found, used, wrong = {reason: [] for reason, _ in reasons}, set(), []
    for name in sorted(waiting - hooked):
        fits = next(((reason, pattern) for reason, patterns in reasons for pattern in patterns
                     if fnmatch.fnmatchcase(name, pattern)), None)
        if fits:
            found[fits[0]].append(name)
            used.add(fits)
        else:
            wrong.append(f'{name} may wait, has no row in monkey/hooks.def and no reason in left_to_libc.py')
    wrong += [f'left_to_libc.py: {pattern} fits nothing (any more)' for reason, patterns in reasons for pattern in patterns
              if (reason, pattern) not in used]
    return found, len(waiting), wrong


def table_of_left(found, waiting, counts):
    left = sum(map(len, found.values()))
    lines = [f'Of the functions that libc exports for programs of today, {waiting} can reach a system call that waits; '
             f'{waiting - left} of them are taken over. The others:\n\n', '| why not | symbols |\n', '|---|---|\n']
    lines += [f'| {reason} | {with_counts(names, counts)} |\n' for reason, names in found.items()]
    return ''.join(lines)


def long_ones(found):
    long_reasons = {reason for reason, _, *marks in LEFT if LONG in marks}
    names = sorted(name for reason, those in found.items() if reason in long_reasons for name in those)
    return ('// What may wait for long and is left to libc: written by tests/tree/hook_table.py --write.\n'
            + ''.join(f'LEFT({name})\n' for name in names))


def replace(text, begin, end, by):
    before, rest = text.split(begin)
    return before + begin + by + end + rest.split(end)[1]


def names_between(text, begin, end):
    table = text.split(begin)[1].split(end)[0].split('|---|\n')[-1]
    return set(re.findall(r'`(\w+)`', '\n'.join(line.rsplit('|', 2)[1] for line in table.splitlines())))


text = page.read_text()
hooked = {symbol for *_, symbol in rows(root)}
looks_at_libc = platform.machine() == 'x86_64' and platform.libc_ver() == ('glibc', '2.36')
found, waiting, wrong = left_to_libc(hooked) if looks_at_libc else ({}, 0, [])
if '--write' in sys.argv:
    counts, looked_at = imports()
    text = replace(text, BEGIN, END, table(counts, looked_at))
    page.write_text(replace(text, BEGIN_LEFT, END_LEFT, table_of_left(found, waiting, counts)))
    file_of_long.write_text(long_ones(found))
    sys.exit('\n'.join(wrong))
listed = names_between(text, BEGIN, END)
wrong += [f'docs/monkey.md does not list {name}' for name in sorted(hooked - listed)]
wrong += [f'docs/monkey.md lists {name}, which has no row' for name in sorted(listed - hooked)]
if looks_at_libc:
    left, listed_left = {name for names in found.values() for name in names}, names_between(text, BEGIN_LEFT, END_LEFT)
    wrong += [f'docs/monkey.md does not say why {name} is left to libc' for name in sorted(left - listed_left)]
    wrong += [f'docs/monkey.md says why {name} is left to libc, which it is not' for name in sorted(listed_left - left)]
    if file_of_long.read_text() != long_ones(found):
        wrong.append('monkey/left_to_libc.def is not what left_to_libc.py says')
if len(hooked) < 100:
    wrong.append(f'the table was not understood: {sorted(hooked)}')
print(f'{len(hooked)} symbols; {waiting} of libc may wait, {sum(map(len, found.values()))} are left to it', *wrong, sep='\n')
sys.exit(bool(wrong))
