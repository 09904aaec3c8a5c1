#!/usr/bin/python3
"""Without the shim the downloader works all the same, one file after another, and says so."""
from harness import check, directory, expected, run, server, stats

with server("origin", "--delay", "20") as origin, directory() as place:
    names = {f"file{n}": f"file{n}?size={1000 * n}" for n in range(5)}
    status, out, err = run("downloader", "--dir", place, *map(origin.url, names.values()), preload=False)
    peak = stats(origin)["peak"]

    check(status == 0, f"exit status {status}, stderr {err!r}")
    check(len(err.splitlines()) == 1 and "shim is not loaded" in err, f"stderr: {err!r}")
    check([line.split()[0] for line in out.splitlines()] == list(names), f"not in order: {out!r}")
    check(peak == 1, f"the most requests at once were {peak}")
    for name, path in names.items():
        check((place / name).read_bytes() == expected(origin, path), f"{name} has the wrong content")
