#!/usr/bin/python3
"""Every job is done, in order, by processes that work at the same time; one that dies is replaced, its job done again."""
import contextlib
import os
import pathlib
import re
import signal

from harness import check, counted, directory, run, start, threads


def primes_below(limits):
    sieve = bytearray([1]) * max([2, *limits])
    sieve[:2] = b"\0\0"
    for n in range(2, int(len(sieve) ** 0.5) + 1):
        if sieve[n]:
            sieve[n * n::n] = bytes(len(range(n * n, len(sieve), n)))
    return [sum(sieve[:limit]) for limit in limits]


def check_output(out, jobs, workers, again, step=25000):
    """How many jobs each worker did."""
    lines = out.splitlines()
    limits = [step * (n + 1) for n in range(jobs)]
    wanted = [f"below {limit}: {count} primes" for limit, count in zip(limits, primes_below(limits))]
    check(lines[:jobs] == wanted, f"{lines[:jobs]}, not {wanted}")
    did = [re.fullmatch(rf"worker {n + 1} did (?:(1) job|(\d+) jobs)", line) for n, line in enumerate(lines[jobs:-1])]
    check(all(did) and len(did) == workers, f"{lines[jobs:]}")
    check(lines[-1] == f"{again} job{'s were' if again != 1 else ' was'} begun more than once", lines[-1])
    did = [int(each[1] or each[2]) for each in did]
    check(sum(did) == jobs, f"{jobs} jobs, and done were {did}")
    return did


def children(pid):
    """Of its first thread."""
    try:
        return [int(each) for each in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def end(pid, how=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):  # one without a job ends when its parent is gone
        os.kill(pid, how)


def is_alive(pid):
    try:
        return not re.search(r"^State:\s+[ZX]", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    except (FileNotFoundError, ProcessLookupError):
        return False


for jobs, workers in (12, 4), (0, 1), (1, 3), (5, 1), (40, 20):
    options = ["--jobs", jobs, "--workers", workers] if jobs != 12 else []
    status, out, err = run("process_pool", *options, preload=False)
    check((status, err) == (0, ""), f"{options}: {status}, {err!r}")
    check_output(out, jobs, workers, 0)

# They work at the same time, for a parent of one kernel thread: all have begun before a job is done, which takes minutes.
parent = start("process_pool", "--step", 100_000_000, preload=False)
while len(workers := children(parent.pid)) < 4:
    check(parent.poll() is None, "it has ended")
check((threads(parent.pid), len(workers)) == (1, 4), f"{threads(parent.pid)} kernel threads, {len(workers)} processes")
parent.kill()
for each in workers:
    end(each)
parent.communicate()  # not before: they have its stdout, too

# Where reading does not let the others run, the first does all.
status, out, err = run("process_pool", preload=False, prefix=["env", "COIR_PATCH=none"])
check((status, err) == (0, ""), f"without the shim: {status}, {err!r}")
did = check_output(out, 12, 4, 0)
check(did == [12, 0, 0, 0], f"without the shim: {did}")

with directory() as place:
    counting = counted(place)
    status, out, err = run("process_pool", "--step", 100_000, preload=False, prefix=counting.prefix)
    check((status, err) == (0, ""), f"counted: {status}, {err!r}")
    check_output(out, 12, 4, 0, 100_000)
    check(counting.parked("read") > 0, "read let nobody run")

# Who has been told to die, and has got a job, does so at the first.
for crashing, workers in ([2], 4), ([1], 1), ([1, 2, 3], 3):
    options = ["--workers", workers, *(word for each in crashing for word in ("--crash", each))]
    status, out, err = run("process_pool", *options, preload=False)
    said = re.findall(r"^process_pool: worker (\d) was ended by signal 9 at job (\d+), which is begun again$", err, re.M)
    check(status == 0 and err.count("\n") == len(said) == len({job for _, job in said}), f"{options}: {status}, {err!r}")
    did = check_output(out, 12, workers, len(said))
    wanted = [n for n in crashing if did[n - 1] > 0]
    check(sorted(int(worker) for worker, _ in said) == wanted != [], f"{options}: {wanted} should have died: {err!r}")

# They end when their parent is gone.
parent = start("process_pool", "--step", 1_000_000, preload=False)
while len(workers := children(parent.pid)) < 4:
    check(parent.poll() is None, "it has ended")
parent.kill()
parent.communicate()  # until nobody has its stdout any more
while any(is_alive(each) for each in workers):
    pass

# A job that costs every worker that gets it is given up.
parent = start("process_pool", "--jobs", 1, "--workers", 1, "--step", 100_000_000, preload=False)
killed = []
while parent.poll() is None:
    for each in children(parent.pid):
        if each not in killed and len(killed) < 3:  # LeakSanitizer has a child, too, in the end
            end(each, signal.SIGTERM)
            killed.append(each)
out, err = parent.communicate()
check(parent.returncode == 1, f"{parent.returncode}, {len(killed)} were killed")
check(err.splitlines() == ["process_pool: worker 1 was ended by signal 15 at job 1, which is begun again"] * 2 +
      ["process_pool: job 1 has cost three workers: the last, worker 1, was ended by signal 15"], err)
check(out == "worker 1 did 0 jobs\n1 job was begun more than once\n", out)

# There are no descriptors for the second pipe of any.
status, out, err = run("process_pool", "--workers", 2, "--jobs", 2, preload=False, prefix=["prlimit", "--nofile=6:1024"])
check(status == 1 and err == "process_pool: pipe: Too many open files\n" * 2, f"few descriptors: {status}, {err!r}")
check(out == "worker 1 did 0 jobs\nworker 2 did 0 jobs\n0 jobs were begun more than once\n", f"few descriptors: {out!r}")

with open("/dev/full", "w") as full:
    status, _, err = run("process_pool", preload=False, stdout=full)
check((status, err) == (1, "process_pool: write to stdout failed\n"), f"/dev/full: {status}, {err!r}")
