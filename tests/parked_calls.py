"""What libcoir-stats.so wrote: how often each call parked."""
import collections
import re

# As they are called: __read_chk, fopen64 and __isoc99_fscanf are other names of read, fopen and fscanf.
LINE = re.compile(r'^(?:__)?(?:isoc99_)?(\w+?)(?:64)?(?:_chk)? +\d+ +(\d+) +[\d.]+$', re.M)


def parked_calls(path):
    """{process: how often each of its calls parked}; empty if there is no such file."""
    parked = collections.defaultdict(collections.Counter)
    for table in path.read_text().split('coir: process ')[1:] if path.exists() else ():
        for call, times in LINE.findall(table):
            parked[int(table.split(',')[0])][call] += int(times)
    return parked
