#!/usr/bin/python3
"""Without a broker: wrong options, nobody there, somebody else there. Each is named, and nothing hangs."""
import contextlib
import socket
import threading

from harness import check, refusing_port, run
from rabbit import run as run_at, sample

PROGRAMS = "hello", "tasks", "publish_subscribe", "direct", "topic", "crawl"
ALL = [
    *([program] for program in PROGRAMS),
    ["hello", "send"], ["hello", "receive"], ["tasks", "send", "x"], ["tasks", "work"], ["tasks", "status"],
    ["publish_subscribe", "emit", "x"], ["publish_subscribe", "receive"], ["direct", "emit", "info", "x"],
    ["direct", "receive", "info"], ["topic", "emit", "a.b", "x"], ["topic", "receive", "#"],
    ["crawl", "lead", "http://127.0.0.1/"], ["crawl", "work"], ["crawl", "status"], ["crawl", "forget"],
]

for program, *options in [
    ["hello", "surplus"],
    ["hello", "send", "--broker"],
    ["hello", "--broker", "amqps://127.0.0.1"],
    ["hello", "--broker", "http://127.0.0.1"],
    ["hello", "--broker", "127.0.0.1:70000"],
    ["hello", "--broker", "127.0.0.1:x"],
    ["hello", "--broker", ""],
    ["hello", "receive", "--count", "0"],
    ["hello", "send", "x", "--count", "1"],
    ["tasks", "send"],
    ["tasks", "--workers", "0"],
    ["tasks", "--dot", "-1"],
    ["tasks", "work", "surplus"],
    ["publish_subscribe", "emit"],
    ["direct", "emit", "info"],
    ["direct", "receive"],
    ["topic", "receive"],
    ["crawl", "work", "--fibers", "0"],
    ["crawl", "work", "--patience", "0"],
    ["crawl", "status", "surplus"],
]:
    status, out, err = run(sample(program), *options, preload=False)
    check(status == 2 and "Usage: " in err and out == "", f"{program} {options}: {status}, stdout {out!r}, stderr {err!r}")

for program in PROGRAMS:
    status, out, err = run(sample(program), "--help", preload=False)
    check(status == 0 and "Usage: " in out and err == "", f"{program} --help: {status}, {out!r}, {err!r}")


def fails(where, words, reason, **more):
    program, *arguments = words
    status, out, err = run_at(where, program, *arguments, **more)
    check(status == 1, f"{words}: status {status}, {err!r}")
    check(err.startswith(f"{program}: {reason}") and len(err.splitlines()) == 1, f"{words}: {err!r}")


@contextlib.contextmanager
def stranger(answer):
    """Sends `answer` to each that connects, and hangs up when it has read what the other had to say."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer, contextlib.suppress(OSError):
                        peer.recv(100)
                        peer.sendall(answer)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


with refusing_port() as port:
    for words in ALL:
        fails(f"127.0.0.1:{port}", words, f"connect 127.0.0.1:{port}: Connection refused\n")
nowhere = "x" * 64  # too long for a part of a name: nobody is asked
fails(f"{nowhere}:1234", ["hello"], f"connect {nowhere}:1234: hostname lookup failed\n")
with stranger(b"") as where:
    for words in ALL:
        fails(where, words, f"log in as guest at {where}: connection closed unexpectedly\n")
with stranger(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as where:
    fails(where, ["hello"], f"log in as guest at {where}: ")
with stranger(b"AMQP\0\0\x09\x01") as where:  # what a broker says that speaks another version
    fails(where, ["tasks"], f"log in as guest at {where}: ")

for url in "not a url", "ftp://127.0.0.1/", "http://":
    status, out, err = run(sample("crawl"), "lead", url, preload=False)
    check(status == 1 and err.startswith(f"crawl: {url}: ") and out == "", f"crawl lead {url!r}: {status}, {err!r}")
