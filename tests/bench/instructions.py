#!/usr/bin/python3
"""How many instructions a switch, a fiber and an echo take, counted by callgrind, must not grow by more than a tenth.

usage: instructions.py EXPECTED PROGRAM [--write]

EXPECTED has a line for each work of PROGRAM: its name and what it took, for builds as scripts/test makes them. What is
counted is the difference between a run of many times and one of few, so that beginning and ending do not count. It fails,
too, where a tenth less was taken: --write then keeps what was won.
"""
import sys

sys.dont_write_bytecode = True
from callgrind import instructions

FEW, MANY = 1_000, 5_000
TOLERANCE = 0.1


def main():
    path, program = sys.argv[1:3]
    with open(path) as expected:
        lines = [line.split() for line in expected if not line.startswith('#')]
    wrong, now = 0, []
    for work, before in lines:
        each = (instructions(program, work, str(MANY)) - instructions(program, work, str(FEW))) / (MANY - FEW)
        now.append(f'{work} {each:.0f}\n')
        change = each / float(before) - 1
        off = abs(change) > TOLERANCE
        wrong += off
        print(f'{work}: {each:.1f} instructions, {change:+.1%}{": that is not what was expected" if off else ""}')
    if '--write' in sys.argv:
        with open(path) as expected:
            comment = [line for line in expected if line.startswith('#')]
        with open(path, 'w') as expected:
            expected.writelines(comment + now)
        return 0
    return wrong > 0


sys.exit(main())
