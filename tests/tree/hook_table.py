#!/usr/bin/python3
"""The table of hooked symbols in docs/monkey.md is that of monkey/hooks.def.

usage: hook_table.py SOURCE_ROOT            fails if a symbol is missing there, or has no row
       hook_table.py SOURCE_ROOT --write    writes the table anew, with the number of programs and libraries of this Debian
                                            that import each symbol
"""
import collections
import pathlib
import re
import subprocess
import sys

BEGIN, END = '<!-- symbols: tests/tree/hook_table.py --write -->\n', '<!-- end -->\n'
PLACES = '/usr/bin', '/usr/sbin', '/usr/lib', '/usr/libexec'

root = pathlib.Path(sys.argv[1])
page = root / 'docs/monkey.md'


def sections():
    """[(what the section is about, its file, its family, its symbols)]"""
    found, family, heading = [], None, None
    for line in (root / 'monkey/hooks.def').read_text().splitlines():
        if match := re.fullmatch(r'// ([^:]+): (.+\.(?:cpp|h).*)', line):
            heading = match.groups()
            found.append((*heading, family, []))
        elif match := re.fullmatch(r'FAMILY\((\w+)\)', line):
            family = match[1]
            found[-1] = (*heading, family, found[-1][3])
        elif match := re.match(r'(?:HOOK|ALIAS|INNER|TRACK|TRACK_INNER|ALWAYS|VARIADIC|VARIADIC_INNER)\(\w+, [^,]+, (\w+),', line):
            found[-1][3].append(match[1])
        elif match := re.match(r'(?:WORK|PATH|PATH_INNER|GONE|MADE|ASSEMBLY)\([^,]+, (\w+),', line):
            found[-1][3].append(match[1])
    return [section for section in found if section[3]]


def imports():
    """How many programs and libraries import each symbol, and how many were looked at."""
    counts, looked_at = collections.Counter(), 0
    for place in PLACES:
        for file in pathlib.Path(place).rglob('*'):
            if file.is_symlink() or not file.is_file():
                continue
            with open(file, 'rb') as start:
                if start.read(4) != b'\x7fELF':
                    continue
            listed = subprocess.run(['nm', '-D', '-u', file], capture_output=True, text=True)
            if listed.returncode != 0 or not listed.stdout:
                continue
            looked_at += 1
            counts.update({line.split()[-1].split('@')[0] for line in listed.stdout.splitlines()})
    return counts, looked_at


def table(counts, looked_at):
    lines = [f'Behind each symbol: how many of {looked_at} programs and libraries of a Debian 12 installation import it.\n\n',
             '| family | calls | symbols |\n', '|---|---|---|\n']
    for about, file, family, symbols in sections():
        names = ' '.join(f'`{name}` {counts[name]}' if counts[name] else f'`{name}`' for name in symbols)
        lines.append(f'| {family} | {about} | {names} |\n')
    return ''.join(lines)


text = page.read_text()
before, rest = text.split(BEGIN)
old, after = rest.split(END)
if '--write' in sys.argv:
    page.write_text(before + BEGIN + table(*imports()) + END + after)
    sys.exit()
listed = set(re.findall(r'`(\w+)`', old))
rows = {name for section in sections() for name in section[3]}
wrong = [f'docs/monkey.md does not list {name}' for name in sorted(rows - listed)]
wrong += [f'docs/monkey.md lists {name}, which has no row' for name in sorted(listed - rows)]
if len(rows) < 100:
    wrong.append(f'the table was not understood: {sorted(rows)}')
print(f'{len(rows)} symbols', *wrong, sep='\n')
sys.exit(bool(wrong))
