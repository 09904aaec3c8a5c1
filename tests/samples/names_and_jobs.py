#!/usr/bin/python3
"""How files are named, --jobs and --compare."""
import re

from harness import check, directory, expected, run, server, stats

with server("origin") as origin:
    # URL path -> the name it must get, in this order. The later ones finish first: names do not depend on that.
    wanted = [
        ("a?size=1&delay=200", "a"),
        ("a?size=2&delay=150", "a.1"),
        ("a?size=3&delay=100", "a.2"),
        ("deep/er/a?size=4", "a.3"),
        ("a.1?size=5", "a.1.1"),  # its own name went to the second a
        ("?size=6", "index.html"),
        ("dir/?size=7", "index.html.1"),
        ("b.part?size=8", "b.part"),
        ("b?size=9", "b.1"),  # b would be written as b.part first
        ("c?size=10", "c"),
        ("c.part?size=11", "c.part.1"),  # c.part is taken while c comes
        ("x%2Fy?size=12#fragment/z", "x%2Fy"),
    ]
    with directory() as place:
        status, out, err = run("downloader", "--dir", place, *(origin.url(path) for path, _ in wanted))
        check(status == 0, f"names: exit status {status}, stderr {err!r}")
        found = sorted(each.name for each in place.iterdir())
        check(found == sorted(name for _, name in wanted), f"names: {found}")
        for path, name in wanted:
            check((place / name).read_bytes() == expected(origin, path.partition("#")[0]), f"{name} is not {path}")

    # A second run replaces what the first left.
    with directory() as place:
        for size in 5000, 10:
            status, out, err = run("downloader", "--dir", place, origin.url(f"a?size={size}"))
            check(status == 0 and (place / "a").read_bytes() == expected(origin, f"a?size={size}"), f"replace: {err!r}")

for jobs in 1, 3, 50:
    with server("origin", "--delay", "100") as origin, directory() as place:
        paths = [f"file{n}" for n in range(9)]
        status, out, err = run("downloader", "--jobs", jobs, "--dir", place, *map(origin.url, paths))
        peak = stats(origin)["peak"]
        check(status == 0 and err == "", f"--jobs {jobs}: exit status {status}, stderr {err!r}")
        check(len(list(place.iterdir())) == 9, f"--jobs {jobs}: {list(place.iterdir())}")
        check(peak == min(jobs, 9), f"--jobs {jobs}: {peak} requests at once")

with server("origin", "--delay", "50") as origin, directory() as place:
    paths = [f"file{n}" for n in range(4)]
    status, out, err = run("downloader", "--compare", "--dir", place, *map(origin.url, paths))
    counted = stats(origin)
    check(status == 0 and err == "", f"--compare: exit status {status}, stderr {err!r}")
    check(re.search(r"^one after another \d+\.\d\d s, at once \d+\.\d\d s, ratio \d+\.\d$", out, re.M),
          f"--compare printed {out!r}")
    check(counted["peak"] == 4, f"--compare: {counted}")
    check([line.split()[0] for line in out.splitlines()[:4]] == paths, f"--compare: {out!r}")
    check(len(out.splitlines()) == 9, f"--compare: {out!r}")
