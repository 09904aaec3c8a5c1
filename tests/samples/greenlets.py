#!/usr/bin/python3
"""Switching by hand: what is printed, and in which order the switches come."""
from harness import check, run

status, out, err = run("greenlets", preload=False)
check((status, out, err) == (0, "12\n56\n34\n78\n", ""), f"{status}, {out!r}, {err!r}")

status, out, err = run("greenlets", "--trace", preload=False)
check((status, out) == (0, "12\n56\n34\n78\n"), f"--trace: {status}, {out!r}")
switches = ["main -> first", "first -> second", "second -> first", "first -> main", "main -> second", "second -> main"]
check(err.splitlines() == switches, f"--trace: {err!r}")

with open("/dev/full", "w") as full:
    status, _, err = run("greenlets", preload=False, stdout=full)
check((status, err) == (1, "greenlets: write to stdout failed\n"), f"/dev/full: {status}, {err!r}")
