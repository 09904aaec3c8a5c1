#!/usr/bin/python3
"""Twenty files with 300 ms delay each come at once, on one kernel thread, and are right."""
from harness import check, directory, expected, server, start, stats, threads

with server("origin", "--delay", "300") as origin, directory() as place:
    names = {f"file{n}": f"file{n}?size={1000 * n + 7}" for n in range(20)}
    process = start("downloader", "--dir", place, *map(origin.url, names.values()))
    seen = []
    while process.poll() is None:
        if stats(origin)["in_flight"] > 0:
            seen.append(threads(process.pid))
    out, err = process.communicate()
    peak = stats(origin)["peak"]

    check(process.returncode == 0 and err == "", f"exit status {process.returncode}, stderr {err!r}")
    check(len(out.splitlines()) == 20, f"not a line per file: {out!r}")
    check(peak == 20, f"the most requests at once were {peak}, not 20: did the shim work?")
    check(set(seen) - {None} == {1}, f"kernel threads while files were under way: {seen}")
    check({each.name for each in place.iterdir()} == set(names), f"files: {sorted(place.iterdir())}")
    for name, path in names.items():
        check((place / name).read_bytes() == expected(origin, path), f"{name} has the wrong content")
