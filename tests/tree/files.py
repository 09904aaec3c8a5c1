#!/usr/bin/python3
"""Each directory explains itself, and no file holds more than its share.

usage: files.py SOURCE_ROOT
"""
import pathlib
import sys

root = pathlib.Path(sys.argv[1])
wrong = []
seen = 0

for room in ['', 'fiber', 'hub', 'net', 'monkey', 'samples', 'tests', 'scripts']:
    readme = root / room / 'README.md'
    if not readme.is_file():
        wrong.append(f'{room or "the root"} has no README.md')
    elif len(readme.read_text().splitlines()) < 10:
        wrong.append(f'{readme.relative_to(root)} says next to nothing')

for room in ['fiber', 'hub', 'net', 'monkey', 'samples', 'tests', 'scripts']:
    for path in sorted((root / room).rglob('*')):
        if path.suffix not in {'.h', '.cpp', '.c', '.py', '.def', '.sh'}:
            continue
        seen += 1
        name = path.relative_to(root)
        text = path.read_text()
        lines = text.count('\n')
        if lines > (1200 if path.suffix == '.def' else 800):  # a table has a line for each row
            wrong.append(f'{name} has {lines} lines')
        if text and not text.endswith('\n'):
            wrong.append(f'{name} does not end with a newline')
        if path.suffix == '.h' and '#pragma once' not in text:
            wrong.append(f'{name} lacks #pragma once')
        if path.suffix == '.h' and room in {'fiber', 'hub', 'net', 'monkey'} and not text.startswith('//'):
            wrong.append(f'{name} does not begin by saying what it is')

if seen < 50:
    wrong.append(f'only {seen} files were found')
print(f'{seen} files')
print(*wrong, sep='\n')
sys.exit(bool(wrong))
