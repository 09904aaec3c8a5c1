#!/usr/bin/python3
"""The echo client fails, with a reason, when a byte comes back wrong, not at all, or nobody is there."""
import contextlib
import socket
import threading

from harness import check, refusing_port, run


@contextlib.contextmanager
def wrong_server(answer):
    """Calls answer(peer) for each connection; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer, contextlib.suppress(OSError):
                        answer(peer)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def changes_a_byte(peer):
    while data := peer.recv(4096):
        peer.sendall(data[:-1] + bytes([data[-1] ^ 1]))


def fails(reason, port, *options, **more):
    status, out, err = run("echo_client", "--port", port, *options, **more)
    check(status == 1 and out == "", f"{reason}: exit status {status}, stdout {out!r}")
    check(err.startswith("echo_client: ") and reason in err and len(err.splitlines()) == 1, f"{reason}: {err!r}")


with refusing_port() as port:
    fails(f"3 of 3 connections failed, the first with: connect 127.0.0.1:{port}: Connection refused", port,
          "--connections", 3)
with wrong_server(changes_a_byte) as port:
    fails("message 0 came back changed", port, "--connections", 1)
with wrong_server(lambda peer: peer.recv(1)) as port:
    fails("1 of 1 connections failed", port, "--connections", 1)
with refusing_port() as port:
    fails("100 connections need 116 descriptors, and the hard limit is 64", port, "--connections", 100,
          prefix=["prlimit", "--nofile=64:64"])
