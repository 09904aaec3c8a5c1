#!/usr/bin/python3
"""Waits until something listens, by looking, not by connecting: whoever accepts one connection only must not get that.

usage: await.py ADDRESS PORT | await.py PATH
"""
import sys
import time

if len(sys.argv) == 3:
    address = ''.join(f'{int(part):02X}' for part in reversed(sys.argv[1].split('.')))
    table, wanted = '/proc/net/tcp', f' {address}:{int(sys.argv[2]):04X} 00000000:0000 0A '
else:
    table, wanted = '/proc/net/unix', f' 00000002 00000000 00010000 0001 01 '
until = time.monotonic() + 60
while time.monotonic() < until:
    for line in open(table):
        if wanted in line and (len(sys.argv) == 3 or line.rstrip('\n').endswith(' ' + sys.argv[1])):
            sys.exit()
    time.sleep(0.01)
sys.exit(f'{" ".join(sys.argv[1:])}: nothing listens')
