#!/usr/bin/python3
"""Each item is taken once, in order and in turn, and nobody is done before all are."""
from harness import check, run

for items, consumers, room in (6, 2, 2), (0, 1, 1), (1, 3, 1), (100, 7, 1), (100, 3, 50), (1000, 1, 2):
    status, out, err = run("producer_consumer", "--items", items, "--consumers", consumers, "--room", room, preload=False)
    asked = f"--items {items} --consumers {consumers} --room {room}"
    check((status, err) == (0, ""), f"{asked}: {status}, {err!r}")
    *lines, last = out.splitlines()
    check(last == f"{items} dishes are done", f"{asked}: {last!r}")
    dishes, cooks = [], set()
    for line in lines:
        words = line.split()
        check(line == f"consumer {words[1]} has cooked dish {words[-1]}", f"{asked}: {line!r}")
        dishes.append(int(words[-1]))
        cooks.add(int(words[1]))
    check(dishes == list(range(1, items + 1)), f"{asked}: cooked {dishes}")
    check(cooks == set(range(1, min(items, consumers) + 1)), f"{asked}: all should have had work, not only {cooks}")

status, out, err = run("producer_consumer", preload=False)
wanted = [f"consumer {(n - 1) % 2 + 1} has cooked dish {n}" for n in range(1, 7)] + ["6 dishes are done"]
check((status, out.splitlines(), err) == (0, wanted, ""), f"{status}, {out!r}, {err!r}")

with open("/dev/full", "w") as full:
    status, _, err = run("producer_consumer", preload=False, stdout=full)
check(status == 1 and err.startswith("producer_consumer: ") and "write" in err, f"/dev/full: {status}, {err!r}")
