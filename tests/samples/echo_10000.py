#!/usr/bin/python3
"""Ten thousand connections at once, every byte back, one kernel thread in the server."""
import resource

from harness import check, run, server, skip, start, threads

connections = 10_000
needed = connections + 1000
if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < needed:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, needed))
    except (PermissionError, ValueError):
        skip(f"the hard limit on descriptors (ulimit -Hn) is below {needed}, and only root can raise it")

with server("echo_server") as echo:
    at_rest = echo.descriptors_at_rest()
    client = start("echo_client", "--port", echo.port, "--connections", connections, "--messages", 5)
    most_open = 0
    seen = set()
    while client.poll() is None:
        most_open = max(most_open, echo.descriptors() - at_rest)
        seen.add(threads(echo.pid))
    out, err = client.communicate()
    check(client.returncode == 0 and err == "", f"exit status {client.returncode}, stderr {err!r}")
    check(out.startswith(f"{connections} connections, {5 * connections} messages, {320 * connections} bytes, "), out)
    check(most_open >= connections, f"the server had at most {most_open} connections open at the same time")
    check(seen == {1}, f"kernel threads of the server: {seen}")
    print(out, end="")

    status, out, err = run("echo_client", "--port", echo.port, "--connections", 1, "--size", 65536)
    check(status == 0, f"afterwards: {status}, {err!r}")
