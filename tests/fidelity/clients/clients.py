#!/usr/bin/python3
"""One client library in a hundred concurrent fibers, against a real server that this starts: in a world that is as it
should be, and in broken ones.

usage: clients.py CLIENT KIND [MODE…]

CLIENT is a program of run.cpp, which says what the modes are; without any, all of them.
"""
import socket
import subprocess
import sys

sys.dont_write_bytecode = True
import servers

MODES = ('concurrent', 'killed', 'timed_out', 'limited', 'refused', 'dying')  # the server is dead behind the last
PATIENCE = 120  # seconds; a fiber that never ends is found by it


def run(client, mode, kind, server):
    """Whether all was right."""
    with socket.socket() as silent:
        silent.bind(('127.0.0.1', 0))  # nobody listens: it refuses
        where = server.where(kind, silent.getsockname()[1] if mode == 'refused' else None)
        process = subprocess.Popen([client, mode, kind, where], env=servers.environment([server]), text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            if mode == 'dying':
                for line in process.stdout:
                    print(line, end='')
                    if line == 'under way\n':
                        server.kill()
                        break
            said, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            said = f'  {kind} {mode}: hangs\n'
        finally:
            process.kill()
            process.wait()
    print(said, end='', flush=True)
    if process.returncode:
        print(f'{kind} {mode}: status {process.returncode}', flush=True)
    return process.returncode == 0


def main():
    client, kind, *modes = sys.argv[1:]
    wrong = []
    try:
        with servers.nothing_left(), servers.of_kind(kind)() as server:
            wrong = [mode for mode in ('alone', *(modes or MODES)) if not run(client, mode, kind, server)]
            if wrong:
                print(server.log()[-4000:])
    except servers.NotInstalled as missing:
        print(missing)
        return 77  # meson's word for skipped
    print(f'{kind}: {1 + len(modes or MODES)} worlds, {len(wrong)} wrong', *wrong)
    return bool(wrong)


sys.exit(main())
