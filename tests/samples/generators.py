#!/usr/bin/python3
"""A producer and two consumers: each number goes to the one whose turn it is, and both end when they are closed."""
from harness import check, run

status, out, err = run("generators", preload=False)
check((status, err) == (0, ""), f"{status}, {err!r}")
wanted = """first took 0, its sum is 0
second took 1, its sum is 1
first took 4, its sum is 4
second took 9, its sum is 10
first took 16, its sum is 20
second took 25, its sum is 35
first leaves with 20
second leaves with 35
"""
check(out == wanted, f"printed {out!r}")

for items in 0, 1, 1001:
    sums = {"first": 0, "second": 0}
    lines = []
    for n in range(items):
        name = ("first", "second")[n % 2]
        sums[name] += n * n
        lines.append(f"{name} took {n * n}, its sum is {sums[name]}")
    lines += [f"{name} leaves with {total}" for name, total in sums.items()]
    status, out, err = run("generators", "--items", items, preload=False)
    check((status, out.splitlines(), err) == (0, lines, ""), f"--items {items}: {status}, {out!r}, {err!r}")

for items in 6, 1000:  # these fit into stdio's buffer, or not
    with open("/dev/full", "w") as full:
        status, _, err = run("generators", "--items", items, preload=False, stdout=full)
    check(status == 1 and err.startswith("generators: ") and "write" in err, f"/dev/full: {status}, {err!r}")
