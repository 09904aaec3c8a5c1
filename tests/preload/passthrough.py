#!/usr/bin/python3
"""Programs that use no fibers must not notice the shim: same output, same exit status, and after start-up the same
system calls, counted by name.

Usage: passthrough.py SHIM
Start-up ends with the loader's munmap of ld.so.cache, the last thing that it does before the program's constructors.
"""

import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

SHIM = os.path.abspath(sys.argv[1])

GIT_SCRIPT = """
git init -q -b main r && cd r && git config user.email a@example.org && git config user.name A
for i in 1 2 3; do echo $i > $i; git add $i; GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' git commit -qm $i; done
git log --format='%H %s'; git status --short; cd ..; git clone -q r s; git -C s rev-parse HEAD; rm -rf r s
"""

PYTHON_SCRIPT = """
import select, socket, subprocess, threading, time
a, b = socket.socketpair()
t = threading.Thread(target=lambda: [b.sendall(b.recv(100)) for _ in range(50)])
t.start()
for i in range(50):
    a.sendall(b'%d' % i); assert a.recv(100) == b'%d' % i
t.join(); time.sleep(0.001)
p = select.poll(); p.register(a, select.POLLIN); print(p.poll(1), select.select([a], [b], [], 0)[1] == [b])
print(subprocess.run(['sh', '-c', 'echo out; exit 5'], stdout=subprocess.PIPE))
s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname()); print(s.accept()[0].send(b'x'), c.recv(9))
try: socket.create_connection(('127.0.0.1', 1), 1)
except OSError as e: print(e)
"""

# name, command, whether it is single-threaded and deterministic enough for its system calls to be compared
PROGRAMS = [
    ("curl", ["curl", "--version"], True),
    ("curl file", ["curl", "-s", "file:///etc/os-release"], False),
    ("curl refused", ["curl", "-sS", "http://127.0.0.1:1/"], False),
    ("wget", ["wget", "--version"], True),
    ("wget refused", ["wget", "-q", "-O-", "-t1", "http://127.0.0.1:1/"], True),
    ("python3", ["/usr/bin/python3", "-c", PYTHON_SCRIPT], False),
    ("python3 read", ["/usr/bin/python3", "-S", "-c", "print(sum(map(len, open('/etc/services'))))"], True),
    ("git", ["sh", "-ec", GIT_SCRIPT], False),
    ("git help", ["git", "--version"], True),
    ("bash", ["bash", "-c", "for i in 1 2 3; do echo $i | cat; done; read x < /etc/hostname; sleep 0.001; wait; exit 3"], False),
    ("bash builtin", ["bash", "-c", "while read -r line; do n=$((n+1)); done < /etc/services; echo $n; exit 4"], True),
    ("perl", ["perl", "-e", "open F, '</etc/services'; $n++ while <F>; print \"$n\\n\"; select undef,undef,undef,0.001; print STDERR 'e'; exit 6"], True),
    ("ssh", ["ssh", "-V"], True),
    ("dd", ["dd", "if=/dev/zero", "of=/dev/null", "bs=512", "count=2000", "status=none"], True),
]

# The memory for exceptions that the C++ runtime, which the shim brings along, sets aside when it is loaded.
RUNTIME = {"brk"}


def run(command, shim, directory):
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    environment.update(LC_ALL="C", HOME=directory, GIT_CONFIG_NOSYSTEM="1")
    if shim:
        environment["LD_PRELOAD"] = SHIM
    return subprocess.run(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def timeless(output):
    """curl tells how long it tried: "Failed to connect … after 0 ms"."""
    return re.sub(rb"after \d+ ms", b"after N ms", output) if isinstance(output, bytes) else output


def calls_after_startup(command, shim, directory):
    trace = os.path.join(directory, "trace")
    preload = ["-E", "LD_PRELOAD=" + SHIM] if shim else []
    run(["strace", "-qq", "-o", trace, *preload, *command], False, directory)
    lines = open(trace, errors="replace").read().splitlines()
    opened = [i for i, l in enumerate(lines) if "/etc/ld.so.cache" in l]
    if not opened:
        raise SystemExit("passthrough: no start-up found in the trace of " + " ".join(command))
    mapped = next(l for l in lines[opened[0]:] if l.startswith("mmap("))
    address = mapped.rsplit("= ", 1)[1]
    start = next(i for i, l in enumerate(lines) if l.startswith("munmap(" + address + ","))
    os.unlink(trace)
    names = (re.match(r"(\w+)\(", l) for l in lines[start + 1:])
    return collections.Counter(m.group(1) for m in names if m)


def main():
    failures = 0
    done = 0
    for name, command, countable in PROGRAMS:
        if not shutil.which(command[0]):
            raise SystemExit(f"passthrough: {command[0]} is not installed")
        with tempfile.TemporaryDirectory() as directory:
            without, beneath = run(command, False, directory), run(command, True, directory)
            for what in ("stdout", "stderr", "returncode"):
                a, b = (timeless(getattr(result, what)) for result in (without, beneath))
                if a != b:
                    print(f"{name}: {what} differs\n  without: {a!r}\n  with:    {b!r}")
                    failures += 1
            if countable:
                a, b = (calls_after_startup(command, shim, directory) for shim in (False, True))
                added = {n: (a[n], b[n]) for n in a.keys() | b.keys() if a[n] != b[n] and n not in RUNTIME}
                if added:
                    print(f"{name}: system calls after start-up, without and with: {added}")
                    failures += 1
                print(f"{name}: status {without.returncode}, {sum(a.values())} system calls after start-up without, "
                      f"{sum(b.values())} with")
            else:
                print(f"{name}: status {without.returncode}")
        done += 1
    # The shim must really have been there.
    probe = run(["/usr/bin/python3", "-c", "print('libcoir-monkey' in open('/proc/self/maps').read())"], True, "/tmp")
    if probe.stdout.strip() != b"True":
        print("the shim was not loaded: nothing of this was a test")
        failures += 1
    print(f"{done} programs, {failures} differences")
    return 1 if failures or not done else 0


sys.exit(main())
