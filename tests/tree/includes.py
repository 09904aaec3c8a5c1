#!/usr/bin/python3
"""Includes run one way, and what is ours is found by its path from the root.

usage: includes.py SOURCE_ROOT BUILD_ROOT
"""
import json
import pathlib
import re
import sys

root, build = (pathlib.Path(each).resolve() for each in sys.argv[1:3])

MAY_INCLUDE = {
    'fiber': {'fiber'},
    'hub': {'fiber', 'hub'},
    'net': {'fiber', 'hub', 'net'},
    'monkey': {'fiber', 'hub', 'monkey'},  # never net: two skins over the same waits
}
# Who alone may name a library; samples may use what they like.
ONLY_IN = {r'boost/': {'fiber/context.cpp', 'net/asio.h'}, r'ev(\+\+)?\.h': {'hub/libev.h'},
           r'openssl/': {'net/tls.cpp', 'net/tls_context.cpp', 'net/tls_error.cpp', 'net/tls_session.cpp', 'net/tls_session.h',
                         'net/tls_state.h'},
           r'ares': {'net/cares.cpp'}}

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)

installed = {
    str(pathlib.Path(source).resolve().relative_to(root))
    for source in json.loads((build / 'meson-info/intro-installed.json').read_text())
    if source.endswith('.h') and pathlib.Path(source).resolve().is_relative_to(root)
}
wrong = []
seen = 0
for room in [*MAY_INCLUDE, 'samples']:
    for path in sorted((root / room).rglob('*')):
        if path.suffix not in {'.h', '.cpp', '.c', '.in', '.def'}:
            continue
        name = str(path.relative_to(root))
        for bracket, included in INCLUDE.findall(path.read_text()):
            seen += 1
            for library, owners in ONLY_IN.items():
                if room != 'samples' and re.match(library, included) and name not in owners:
                    wrong.append(f'{name} includes {included}: only {sorted(owners)} may')
            first = included.split('/')[0]
            if room == 'samples':
                ours = first in MAY_INCLUDE or included == 'coir.h'
                if ours and included not in installed:
                    wrong.append(f'{name} includes {included}, which is not installed')
            elif first in {*MAY_INCLUDE, 'samples', 'tests', 'coir.h'} and first not in MAY_INCLUDE[room]:
                wrong.append(f'{name} includes {included}: {room} may include only {sorted(MAY_INCLUDE[room])}')
            elif bracket == '"' and first not in MAY_INCLUDE and path.suffix in {'.h', '.cpp'}:
                own = (path.parent / included).exists()
                generated = name.startswith('monkey/') and included.endswith('.def')
                if own and not generated:
                    wrong.append(f'{name} includes "{included}": write it from the root')
            if bracket == '<' and room != 'samples' and first in MAY_INCLUDE and (root / included).exists():
                wrong.append(f'{name} includes <{included}>: ours are written "{included}"')

print(f'{seen} includes looked at')
if not installed or seen < 50:
    wrong.append(f'too little was found to mean anything: {len(installed)} headers, {seen} includes')
print(*wrong, sep='\n')
sys.exit(bool(wrong))
