#!/usr/bin/python3
"""All cars that wait go on when the light turns green, in the order in which they came; one that comes then does not wait."""
from harness import check, run


def expected(cars, rounds):
    last = 0
    for _ in range(rounds):
        waiting = range(last + 1, last + cars + 1)
        last += cars + 1
        yield from (f"car {n} waits at red" for n in waiting)
        yield "the light is green"
        yield from (f"car {n} drives" for n in waiting)
        yield f"car {last} drives"
        yield "the light is red"


status, out, err = run("traffic_light", preload=False)
check((status, out.splitlines(), err) == (0, list(expected(3, 2)), ""), f"{status}, {out!r}, {err!r}")

for cars, rounds, red in (1, 1, 1), (2, 3, 0), (1000, 2, 0):
    status, out, err = run("traffic_light", "--cars", cars, "--rounds", rounds, "--red", red, preload=False)
    check((status, out.splitlines(), err) == (0, list(expected(cars, rounds)), ""), f"{cars}, {rounds}: {status}, {out!r}, {err!r}")

with open("/dev/full", "w") as full:
    status, _, err = run("traffic_light", "--red", 0, preload=False, stdout=full)
check(status == 1 and err.startswith("traffic_light: ") and "write" in err, f"/dev/full: {status}, {err!r}")
