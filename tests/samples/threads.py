#!/usr/bin/python3
"""Programs of threads say the same without the shim, under it, and when their main thread is a fiber beside another."""
from harness import check, counted, directory, run


def joining(threads, times):
    yield "the daemon runs"
    yield "thread 1 has not ended within 50 ms"
    yield from (f"thread {n} has ended: it adds {times} times {n}, which is {n * times}" for n in range(1, threads + 1))
    yield "the daemon goes with the process"


def counting(threads, times):
    yield f"without a lock: {times} of {threads * times}"
    yield f"with a lock: {threads * times} of {threads * times}"


def handing_over(threads, times):
    yield f"{threads * times} items through room for 4, to {threads} threads: each was taken once"


def own_values(threads, times):
    yield from (f'thread {n}: counted to {times}, "the value of thread {n}"' for n in range(1, threads + 1))
    yield f"the main thread: counted to 0, no value; {threads} values were destroyed"


def meeting(threads, times):
    yield from (f"round {n}: {threads + 1} have come" for n in range(1, times + 1))


# A call of the main thread that has to wait, in so many rounds, and lets the ticking fiber run. In own_values all threads may
# have ended when they are joined.
WAITS = {joining: "pthread_timedjoin_np", counting: "pthread_join", handing_over: "pthread_cond_wait",
         meeting: "pthread_barrier_wait", own_values: None}

for program, waits in WAITS.items():
    name = f"threads/{program.__name__}"
    for options, threads, times in (([], 4, 3 if program is meeting else 100), (["--threads", 1, "--times", 1], 1, 1),
                                    (["--times", "1000", "--threads", "7"], 7, 1000)):
        wanted = (0, "".join(line + "\n" for line in program(threads, times)), "")
        for preload in False, True:
            told = run(name, *options, preload=preload)
            check(told == wanted, f"{name} {options}, preload {preload}: {told}, not {wanted}")
        with directory() as place:
            beside = counted(place)
            told = run(name, *options, preload=False, prefix=beside.prefix)
            check(told == wanted, f"{name} {options}, beside a ticking fiber: {told}, not {wanted}")
            if waits and times == 1000:
                check(beside.parked(waits) > 0, f"{name} {options}: {waits} never parked")

    wrong_ones = [["--threads", "0"]]
    if program is joining:  # they share the code
        wrong_ones += ["--threads", "many"], ["--threads", "1001"], ["--times"], ["--times", "-1"], ["--nonsense"], ["surplus"]
    for wrong in wrong_ones:
        status, out, err = run(name, *wrong, preload=False)
        check(status == 2 and "Usage: " in err and out == "", f"{name} {wrong}: {status}, {out!r}, {err!r}")
    status, out, err = run(name, "--help", preload=False)
    check(status == 0 and "Usage: " in out and err == "", f"{name} --help: {status}, {out!r}, {err!r}")
    with open("/dev/full", "w") as full:
        status, _, err = run(name, preload=False, stdout=full)
    check(status == 1 and err == f"{program.__name__}: write to stdout: No space left on device\n", f"{name}, /dev/full: {status}, {err!r}")
