#!/usr/bin/python3
"""Peers that reset, hang up half way or never read disturb nobody else, and leave nothing behind in the server."""
import socket
import struct

from harness import check, run, server


def connect(echo):
    return socket.create_connection(("127.0.0.1", echo.port))


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


with server("echo_server") as echo:
    at_rest = echo.descriptors_at_rest()
    silent = connect(echo)  # connected, says nothing
    greedy = connect(echo)  # sends until nothing more fits, and reads nothing
    greedy.setblocking(False)
    full = 0
    while full < 100:
        try:
            greedy.send(bytes(65536))
            full = 0
        except BlockingIOError:
            full += 1
    for _ in range(50):
        gone = connect(echo)
        gone.send(b"half a word")
        reset(gone)
        gone = connect(echo)
        gone.send(bytes(100_000))
        gone.close()
        reset(connect(echo))

    status, out, err = run("echo_client", "--port", echo.port, "--connections", 50, "--messages", 20)
    check(status == 0, f"beside broken peers: {status}, {err!r}")

    with connect(echo) as polite:  # what was sent before shutdown comes back in full, then the end
        polite.sendall(b"last words")
        polite.shutdown(socket.SHUT_WR)
        back = b"".join(iter(lambda: polite.recv(100), b""))
        check(back == b"last words", f"after shutdown came {back!r}")

    reset(greedy)
    silent.close()
    while echo.descriptors() != at_rest:
        check(echo.process.poll() is None, "the server has ended")
    check(echo.stderr() == "", f"the server said {echo.stderr()!r}")
