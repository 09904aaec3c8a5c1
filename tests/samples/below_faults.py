#!/usr/bin/python3
"""Below random legal faults the samples do what they do without, or say why not. COIR_SEED=n runs that seed alone.

usage: below_faults.py FAULTY SEEDS
"""
import os
import subprocess
import sys

from harness import check, directory, expected, server, shim, start

HARMLESS, HARD = "short,eintr,eagain", "reset,descriptors,memory"
PATIENCE = 60  # seconds for what takes less than one

faulty, count = sys.argv[1:]
seeds = [int(os.environ["COIR_SEED"])] if "COIR_SEED" in os.environ else range(1, int(count) + 1)
counts = {}


def below(kinds, seed):
    one_in = (4, 8, 16)[seed % 3] if kinds == HARMLESS else (20, 60, 200)[seed % 3]
    return [faulty, f"--kinds={kinds}", f"--one-in={one_in}", "--report=/dev/null", f"--preload={shim}", str(seed)]


def ended(what, process, kinds, seed):
    """Whether it did what it was to do; else it said why not."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise SystemExit(f"{what}, {kinds}, COIR_SEED={seed}: hangs")
    status = process.returncode
    check(status == 0 or (kinds == HARD and status == 1 and err), f"{what}, {kinds}, COIR_SEED={seed}: status {status}\n{out}{err}")
    key = f"{what}, {kinds.split(',')[0]}…: status {status}"
    counts[key] = counts.get(key, 0) + 1
    return status == 0


names = {f"file{n}": f"file{n}?size={5000 * n + 7}" for n in range(12)}
with server("origin", "--delay", "20") as origin, server("echo_server") as echo:
    right = {name: expected(origin, path) for name, path in names.items()}
    for seed in seeds:
        for kinds in HARMLESS, HARD:
            with directory() as place:
                loads = start("downloader", "--dir", place, *map(origin.url, names.values()), preload=False, prefix=below(kinds, seed))
                all_there = ended("downloader", loads, kinds, seed)
                got = {each.name: each.read_bytes() for each in place.iterdir() if each.name in right}
            check(all(content == right[name] for name, content in got.items()), f"downloader, {kinds}, COIR_SEED={seed}: wrong content")
            check(not all_there or got.keys() == right.keys(), f"downloader, {kinds}, COIR_SEED={seed}: only {sorted(got)}")
            ended("echo_client", start("echo_client", "--port", echo.port, "--connections", 30, preload=False, prefix=below(kinds, seed)),
                  kinds, seed)
        with server("echo_server", prefix=below(HARMLESS, seed)) as own:
            ended("echo_client of a server below faults", start("echo_client", "--port", own.port, "--connections", 30), HARMLESS, seed)
print(f"{len(seeds)} seeds", *(f"{number} × {what}" for what, number in sorted(counts.items())), sep="\n")
