#!/usr/bin/python3
"""Nothing grows faster than n log n: the instructions of each work of growth.cpp, counted by callgrind.

usage: growth.py PROGRAM

The exponent is by what power of ten a work grew with ten times as many; n log n from 1,000 to 10,000 is 1.125.
"""
import math
import subprocess
import sys

sys.dont_write_bytecode = True
from callgrind import instructions

FEW, MANY = 1_000, 10_000
MOST = math.log10(MANY * math.log(MANY) / (FEW * math.log(FEW)))


def main():
    program = sys.argv[1]
    works = subprocess.run([program, '--list'], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    wrong = 0
    for work in works:
        none, few, many = (instructions(program, work, str(count)) for count in (0, FEW, MANY))
        exponent = math.log10((many - none) / (few - none))
        wrong += exponent > MOST
        print(f'{work}: {(few - none) / FEW:.0f} and {(many - none) / MANY:.0f} instructions each, exponent {exponent:.3f}'
              f'{f": more than {MOST:.3f}" if exponent > MOST else ""}', flush=True)
    return wrong > 0


sys.exit(main())
