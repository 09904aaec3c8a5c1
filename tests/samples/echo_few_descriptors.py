#!/usr/bin/python3
"""An echo server that runs out of descriptors says so once, and serves those who wait when others have gone."""
from harness import check, run, server

with server("echo_server", prefix=["prlimit", "--nofile=64:64"]) as echo:
    at_rest = echo.descriptors_at_rest()
    for _ in range(2):
        status, out, err = run("echo_client", "--port", echo.port, "--connections", 200, "--messages", 20)
        check(status == 0 and err == "", f"exit status {status}, stderr {err!r}")
        check(out.startswith("200 connections, 4000 messages, 256000 bytes, "), out)
    said = echo.stderr().splitlines()
    check(len(said) == 1 and "Too many open files" in said[0], f"the server said {said}")
    while echo.descriptors() != at_rest:  # until it has seen that the last ones hung up
        check(echo.process.poll() is None, "the server has ended")
