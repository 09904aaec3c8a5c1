#!/usr/bin/python3
"""Without a lock only one of those who saw the same number counts; with either lock all do."""
from harness import check, run

for fibers, times in (10, 100), (1, 5), (3, 1), (100, 7):
    options = ["--fibers", fibers, "--times", times] if fibers != 10 else []
    status, out, err = run("counter", *options, preload=False)
    wanted = (f"without a lock: {times} of {fibers * times}\n"
              f"with a mutex: {fibers * times} of {fibers * times}\n"
              f"with a lock that its holder takes twice: {fibers * times} of {fibers * times}\n")
    check((status, out, err) == (0, wanted, ""), f"{options}: {status}, {out!r}, {err!r}")

with open("/dev/full", "w") as full:
    status, _, err = run("counter", preload=False, stdout=full)
check(status == 1 and err.startswith("counter: ") and "write" in err, f"/dev/full: {status}, {err!r}")
