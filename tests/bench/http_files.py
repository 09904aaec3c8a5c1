#!/usr/bin/python3
"""What a request for a file of 4 KiB costs samples/http_server, in CPU time, beside nginx with one worker.

usage: http_files.py HTTP_SERVER [RUNS]

Both serve the same file over 100 connections that are kept alive, each pinned to one core; wrk loads them from another, in
turn, for two seconds each. Needs nginx and wrk. CPU time is the scheduler's own, /proc/PID/task/*/schedstat.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import urllib.request

http_server, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 9
SECONDS = 2

for needed in 'nginx', 'wrk':
    if not shutil.which(needed, path=os.environ['PATH'] + ':/usr/sbin'):
        print(f'{needed} is not installed')
        sys.exit(77)


def pinned(core):
    return lambda: os.sched_setaffinity(0, {core % os.cpu_count()})


def free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


def cpu(pid):
    threads = pathlib.Path(f'/proc/{pid}/task').glob('*/schedstat')
    return sum(int(each.read_text().split()[0]) for each in threads)  # ns


class nginx:
    def __init__(self, root):
        self.port = free_port()
        configuration = root.parent / 'nginx.conf'
        configuration.write_text(f'''
daemon off; worker_processes 1; pid {root.parent}/nginx.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; types {{ application/octet-stream bin; }}
    server {{ listen 127.0.0.1:{self.port}; root {root}; }}
}}''')
        self.process = subprocess.Popen(['/usr/sbin/nginx', '-p', root.parent, '-c', configuration], preexec_fn=pinned(0))
        while not (workers := self.workers()):
            pass
        self.pid = workers[0]

    def workers(self):
        return [int(pid) for pid in pathlib.Path(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read_text().split()]


class coir:
    def __init__(self, root):
        self.process = subprocess.Popen([http_server, '--address', '127.0.0.1:0', '--root', root], text=True,
                                        stdout=subprocess.PIPE, preexec_fn=pinned(0))
        self.port = int(re.search(r':(\d+)$', self.process.stdout.readline())[1])
        self.pid = self.process.pid


def cost_of_a_request(server):
    """ns, and how many there were in a second."""
    before = cpu(server.pid)
    said = subprocess.run(['wrk', '-t1', '-c100', f'-d{SECONDS}s', f'http://127.0.0.1:{server.port}/file.bin'],
                          capture_output=True, text=True, check=True, preexec_fn=pinned(1)).stdout
    count = int(re.search(r'(\d+) requests in', said)[1])
    if 'Non-2xx' in said or 'Socket errors' in said:
        raise SystemExit(said)
    return (cpu(server.pid) - before) / count, count / SECONDS


with tempfile.TemporaryDirectory(prefix='coir-http-') as name:
    root = pathlib.Path(name) / 'root'
    root.mkdir()
    pathlib.Path(name).chmod(0o755)
    (root / 'file.bin').write_bytes(os.urandom(4096))
    sides = {'nginx': nginx(root), 'coir': coir(root)}
    try:
        for each in sides.values():
            while True:
                try:
                    body = urllib.request.urlopen(f'http://127.0.0.1:{each.port}/file.bin').read()
                    break
                except ConnectionRefusedError:
                    pass
            assert body == (root / 'file.bin').read_bytes()
            cost_of_a_request(each)
        costs = {name: [] for name in sides}
        for _ in range(runs):
            for name, each in sides.items():
                costs[name].append(cost_of_a_request(each))
    finally:
        for each in sides.values():
            each.process.send_signal(signal.SIGTERM)
            each.process.wait()

work = 'a request for 4 KiB over 100 connections kept alive, CPU of the server'
print(work)
sides = []
for name, all in costs.items():
    used = [cost / 1000 for cost, _ in all]
    low, median, high = statistics.quantiles(used, n=4, method='inclusive')
    sides.append({'name': name, 'median': median, 'spread': (high - low) / median})
    print(f'  {name:<8} {median:8.2f} us {median / sides[0]["median"]:6.2f} ×  '
          f'{statistics.median(count for _, count in all):8.0f} requests/s')
limit, ours = (side['median'] for side in sides)
target = {'text': 'at most 1.0 × nginx', 'most': limit, 'ours': ours, 'met': ours <= limit}
print(f'  target: {target["text"]}: {"met" if target["met"] else f"missed by {100 * (ours / limit - 1):.0f} %"}')
load = os.getloadavg()[0]
noise = f'the machine was busy: load {load:.1f}' if load > 2.5 else ''
if noise:
    print(f'  {noise}')
if path := os.environ.get('COIR_BENCH_JSON'):
    with open(path, 'a') as file:
        print(json.dumps({'work': work, 'unit': 'us', 'sides': sides, 'targets': [target], 'noise': noise}), file=file)
