#!/usr/bin/python3
"""How many system calls a server makes for each message of 64 bytes that it echoes, counted by strace.

usage: system_calls.py LOAD MOST SERVER…

LOAD is bench-echo; each SERVER says on its first line where it listens. Fails if one makes more than MOST calls. Of 100
connections each has one request under way at all times, as in the measurement of the time.
"""
import os
import signal
import subprocess
import sys
import tempfile

CONNECTIONS = 100
FEW, MANY = 10_000, 30_000  # requests: what beginning and ending cost is the same for both


def calls_of(server, load, requests):
    with tempfile.NamedTemporaryFile('r') as counts:
        traced = subprocess.Popen(['strace', '-f', '-c', '-U', 'name,calls', '-o', counts.name, server],
                                  stdout=subprocess.PIPE, text=True)
        try:
            port = traced.stdout.readline().strip()
            subprocess.run([load, '--load', port, str(CONNECTIONS), str(requests)], check=True)
        finally:
            with open(f'/proc/{traced.pid}/task/{traced.pid}/children') as children:
                os.kill(int(children.read()), signal.SIGTERM)  # the server: strace says its counts then
            traced.wait()
        lines = [line.split() for line in counts]
        return {words[0]: int(words[1]) for words in lines if len(words) == 2 and words[1].isdigit() and words[0] != 'total'}


def main():
    load, most, servers = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    missed = 0
    for server in servers:
        few, many = (calls_of(server, load, requests) for requests in (FEW, MANY))
        each = {call: (count - few.get(call, 0)) / (MANY - FEW) for call, count in many.items()}
        shown = ', '.join(f'{call} {count:.3f}' for call, count in sorted(each.items(), key=lambda one: -one[1]) if count >= 0.001)
        total = sum(each.values())
        met = total <= most
        missed += not met
        print(f'{os.path.basename(server)}: {total:.3f} system calls a message: {shown}: {"met" if met else f"more than {most}"}')
    return missed > 0


sys.exit(main())
