#!/usr/bin/python3
"""Every kind of bad input is named with its reason; what is good beside it still comes; nothing half is left."""
import os
import resource
import signal
import socket

from harness import check, directory, expected, refusing_port, run, server


def files(place):
    return sorted(each.name for each in place.iterdir())


def one_bad(origin, bad, reason, *options, **more):
    """`bad` fails for `reason`, and a good URL before and after it is fetched all the same."""
    with directory() as place:
        status, out, err = run("downloader", "--dir", place, *options, origin.url("before?size=10"), bad,
                               origin.url("after?size=20000"), **more)
        check(status == 1, f"{bad}: exit status {status}")
        lines = err.splitlines()
        check(len(lines) == 1 and lines[0].startswith(f"{bad}: ") and reason in lines[0], f"{bad}: stderr {err!r}")
        check(files(place) == ["after", "before"], f"{bad}: left {files(place)}")
        for path in "before?size=10", "after?size=20000":
            check((place / path.partition("?")[0]).read_bytes() == expected(origin, path), f"{bad}: {path} is wrong")


def cannot_write(origin, reason, prepare, path="x?size=10", restrict=None):
    """A file that cannot be written beside one that can, in a directory that `prepare` has spoilt."""
    with directory() as place:
        prepare(place)
        before = files(place)
        status, out, err = run("downloader", "--dir", place, origin.url(path), origin.url("good?size=10"),
                               preexec_fn=restrict)
        check(status == 1, f"{reason}: exit status {status}")
        lines = err.splitlines()
        check(len(lines) == 1 and lines[0].startswith(origin.url(path)) and lines[0].endswith(reason),
              f"{reason}: stderr {err!r}")
        check(set(files(place)) - set(before) == {"good"}, f"{reason}: left {files(place)}")


def small_files_only():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


with server("origin") as origin:
    one_bad(origin, "http://", "URL using bad/illegal format")
    one_bad(origin, "not a url", "URL using bad/illegal format")
    one_bad(origin, "http://127.0.0.1:99999/x", "URL using bad/illegal format")
    one_bad(origin, "", "URL using bad/illegal format")
    one_bad(origin, "nonsense://127.0.0.1/x", 'Protocol "nonsense" not supported')
    with refusing_port() as port:
        one_bad(origin, f"http://127.0.0.1:{port}/x", "Connection refused")
    one_bad(origin, origin.url("missing/x"), "404")
    one_bad(origin, origin.url("half/x?size=100000"), "transfer closed")

    # A server that stops half way and keeps the connection open.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        one_bad(origin, f"http://127.0.0.1:{silent.getsockname()[1]}/x", "Operation too slow", "--timeout", "1")

    # Each in a directory where this one file cannot be written. The last two are a full disk: the error comes with the
    # data, or only when the last of it is flushed.
    cannot_write(origin, "Is a directory", lambda place: (place / "x.part").mkdir())
    cannot_write(origin, "Is a directory", lambda place: (place / "x").mkdir())
    cannot_write(origin, "File too large", lambda place: None, "x?size=1000000", small_files_only)
    cannot_write(origin, "No space left on device", lambda place: (place / "x.part").symlink_to("/dev/full"),
                 "x?size=1000000")
    cannot_write(origin, "No space left on device", lambda place: (place / "x.part").symlink_to("/dev/full"))

    with directory() as place:
        status, out, err = run("downloader", "--dir", place / "none", origin.url("x"))
        check(status == 1 and err.endswith("No such file or directory\n"), f"no directory: {status}, {err!r}")
        locked = place / "locked"
        locked.mkdir(mode=0o555)
        # Root may write anywhere, unless it has given up its capabilities.
        prefix = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
        status, out, err = run("downloader", "--dir", locked, origin.url("x"), prefix=prefix)
        check(status == 1 and err == f"{origin.url('x')}: open {locked}/x.part: Permission denied\n",
              f"unwritable directory: {status}, {err!r}")

    with open("/dev/full", "w") as full, directory() as place:
        status, _, err = run("downloader", "--dir", place, origin.url("x"), stdout=full)
        check(status == 1 and err == "downloader: write to stdout failed\n", f"stdout is full: {status}, {err!r}")
