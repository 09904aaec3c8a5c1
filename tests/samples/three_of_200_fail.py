#!/usr/bin/python3
"""Of 200 URLs three fail, each in its own way: 197 files are right, three errors named, nothing half is left."""
from harness import check, directory, expected, refusing_port, run, server, stats

with server("origin", "--delay", "100") as origin, refusing_port() as port, directory() as place:
    names = {f"file{n}": f"file{n}?size={997 * n}" for n in range(197)}
    refused = f"http://127.0.0.1:{port}/refused"
    missing = origin.url("missing/gone")
    half = origin.url("half/half?size=100000")
    urls = [origin.url(path) for path in names.values()]
    urls[10:10] = [refused]
    urls[100:100] = [missing]
    urls += [half]
    status, out, err = run("downloader", "--dir", place, *urls)
    peak = stats(origin)["peak"]

    check(status == 1, f"exit status {status}")
    check(len(out.splitlines()) == 197, f"{len(out.splitlines())} lines for 197 files")
    errors = dict(line.split(": ", 1) for line in err.splitlines())
    check(set(errors) == {refused, missing, half}, f"stderr: {err}")
    check(errors[refused].endswith("Connection refused"), f"refused: {errors[refused]}")
    check("404" in errors[missing], f"missing: {errors[missing]}")
    check("transfer closed" in errors[half], f"half: {errors[half]}")
    check(peak > 1, f"the most requests at once were {peak}: did the shim work?")
    check({each.name for each in place.iterdir()} == set(names), f"files: {sorted(place.iterdir())}")
    for name, path in names.items():
        check((place / name).read_bytes() == expected(origin, path), f"{name} has the wrong content")
