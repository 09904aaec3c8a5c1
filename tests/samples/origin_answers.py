#!/usr/bin/python3
"""What origin serves, seen by curl, and what it says to clients that break the rules."""
import hashlib
import signal
import socket
import subprocess
import threading

from harness import check, get, run, server, stats


def content(name, size):
    """The documented generator, written a second time."""
    mask = (1 << 64) - 1
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) & mask
    words = bytearray()
    while len(words) < size:
        state = (state + 0x9E3779B97F4A7C15) & mask
        mixed = state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
        words += (mixed ^ (mixed >> 31)).to_bytes(8, "little")
    return bytes(words[:size])


def checksum(body):
    return hashlib.sha256(body).hexdigest()


def curl(*arguments):
    """Exit status and what it wrote to stdout."""
    done = subprocess.run(["curl", "--silent", "--noproxy", "*", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)  # --parallel draws there in spite of --silent
    return done.returncode, done.stdout


def exchange(origin, data):
    """All that comes back for these bytes until origin closes the connection."""
    with socket.create_connection(("127.0.0.1", origin.port)) as raw:
        raw.sendall(data)
        answer = b""
        while more := raw.recv(65536):
            answer += more
        return answer


def refused(origin, data, status):
    answer = exchange(origin, data)
    check(answer.startswith(f"HTTP/1.1 {status} ".encode()), f"{data[:80]!r}: {answer[:80]!r} instead of {status}")
    check(b"\r\nConnection: close\r\n" in answer, f"{data[:80]!r}: {answer!r} does not announce the close")


with server("origin", "--size", "777") as origin:
    # Content, and that it is the same twice and different elsewhere.
    for path, name, size in (("a.gif", "a.gif", 777), ("b?size=100000", "b", 100000), ("c?size=0", "c", 0),
                             ("d/e?size=9&other=1&delay=10", "d/e", 9), ("?size=5", "", 5), ("x%20y", "x%20y", 777)):
        status, body = curl("--fail", origin.url(path))
        check(status == 0 and body == content(name, size), f"{path}: curl {status}, {len(body)} bytes")
        check(get(origin.port, path)[1]["X-Checksum"] == checksum(body), f"{path}: X-Checksum")

    # Three requests on one connection.
    format = "%{num_connects} %{http_code} %{size_download};"
    status, out = curl("--output", "/dev/null", "--output", "/dev/null", "--output", "/dev/null", "--write-out", format,
                       origin.url("a"), origin.url("missing/b"), origin.url("c?size=3"))
    check(out == b"1 200 777;0 404 0;0 200 3;", f"keep-alive: {out!r}")
    check(curl("--fail", origin.url("missing/x"))[0] == 22, "missing/ is there")

    # HEAD announces what GET brings.
    status, out = curl("--head", origin.url("a?size=50"))
    check(status == 0 and b"Content-Length: 50\r\n" in out, f"HEAD: {out!r}")
    check(f"X-Checksum: {checksum(content('a', 50))}\r\n".encode() in out, f"HEAD: {out!r}")
    check(exchange(origin, b"HEAD /a HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\n"), "HEAD brought a body")

    # Pipelined requests; the second one ends the connection.
    answer = exchange(origin, b"GET /p?size=4 HTTP/1.1\r\nHost: x\r\n\r\n"
                              b"GET /q?size=4 HTTP/1.1\r\nhost:x\r\nCONNECTION:  Close\r\n\r\n")
    check(answer.count(b"HTTP/1.1 200 OK") == 2 and content("p", 4) in answer and answer.endswith(content("q", 4)),
          f"pipelining: {answer!r}")

    status, body = curl(origin.url("half/h?size=100001"))
    check(status == 18 and body == content("h", 50000), f"half: curl {status}, {len(body)} bytes")

    # Broken rules.
    host = b"Host: x\r\n\r\n"
    refused(origin, b"GET /a HTTP/1.1\r\nX: " + b"x" * 100000 + b"\r\n\r\n", 431)
    refused(origin, b"POST /a HTTP/1.1\r\nContent-Length: 300000\r\n" + host + b"x" * 300000, 405)
    refused(origin, b"GET /a HTTP/1.1\r\n\r\n", 400)
    for line in (b"", b"GET", b"GET /a", b" /a HTTP/1.1", b"GET a HTTP/1.1", b"GET /a HTTP/2.0", b"GET /a b HTTP/1.1",
                 b"GET /a HTTP/1.1\r\nno colon", b"GET /a HTTP/1.1\r\nspace : x", b"GET /a HTTP/1.1\r\n: x",
                 b"GET /a?size=x HTTP/1.1", b"GET /a?size=-1 HTTP/1.1", b"GET /a?size= HTTP/1.1",
                 b"GET /a?size=99999999999999999999 HTTP/1.1", b"GET /a?size=2000000000 HTTP/1.1",
                 b"GET /a?delay=1x HTTP/1.1", b"\x16\x03\x01\x00\xff"):
        refused(origin, line + b"\r\n" + host, 400)
    check(exchange(origin, b"GET /a?size=4 HTTP/1.1\r\nContent-Length: 5\r\nHost: x\r\n\r\nGET /").endswith(
        content("a", 4)), "a GET with a body")

    counted = stats(origin)
    check(counted["in_flight"] == 0 and counted["peak"] == 1, f"stats: {counted}")
    served = counted["served"]
    get(origin.port, "a")
    check(stats(origin)["served"] == served + 1, "stats counts itself, or not the others")

# Delays run side by side: the last request is there before the first is answered.
with server("origin", "--delay", "300") as origin:
    status, _ = curl("--parallel", "--parallel-immediate", "--parallel-max", "30", "--output", "/dev/null",
                     origin.url("a[1-30]"))
    check(status == 0 and stats(origin)["peak"] == 30, f"30 at once: curl {status}, {stats(origin)}")

# A client that never ends its request, and one that never begins.
with server("origin", "--patience", "100") as origin:
    refused(origin, b"GET /a HTTP/1.1\r\nHost:", 408)
    check(exchange(origin, b"") == b"", "an idle connection was answered")

    # Byte by byte, faster than the patience: it is counted from the first.
    with socket.create_connection(("127.0.0.1", origin.port)) as raw:
        ended = threading.Event()

        def trickle():
            raw.sendall(b"GET /a HTTP/1.1\r\n")
            try:
                while not ended.wait(0.01):
                    raw.sendall(b"X")
            except OSError:
                pass  # origin has closed

        sender = threading.Thread(target=trickle)
        sender.start()
        answer = raw.recv(65536)
        ended.set()
        sender.join()
        check(answer.startswith(b"HTTP/1.1 408 "), f"a request byte by byte: {answer!r}")

    # Who does not take the answer does not keep others from theirs.
    with socket.create_connection(("127.0.0.1", origin.port)) as raw:
        raw.sendall(b"GET /large?size=100000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        check(raw.recv(1) == b"H", "no answer")
        check(curl("--fail", origin.url("a?size=4")) == (0, content("a", 4)), "served beside one that stalls")

# It ends quietly, whatever is under way.
for ending in signal.SIGTERM, signal.SIGINT:
    origin = server("origin", "--delay", "60000")  # no `with`: it ends before the test does
    with socket.create_connection(("127.0.0.1", origin.port)) as waiting:
        waiting.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        while stats(origin)["in_flight"] == 0:
            pass
        origin.process.send_signal(ending)
        out, err = origin.process.communicate()[0], origin.stderr()
        check((origin.process.returncode, out, err) == (0, "", ""),
              f"signal {ending}: status {origin.process.returncode}, {out!r}, {err!r}")
        check(waiting.recv(1) == b"", "an answer from a server that ended")

with server("origin") as origin:
    status, out, err = run("origin", "--port", origin.port, preload=False)
    where = f"127.0.0.1:{origin.port}"
    check((status, out, err) == (1, "", f"origin: listen on {where}: Address already in use\n"), f"{status} {err!r}")

for wrong in (["--port", "99999"], ["--port", "x"], ["--delay", "-1"], ["--size", "1k"], ["--nonsense"], ["extra"]):
    status, out, err = run("origin", *wrong, preload=False)
    check(status == 2 and out == "" and "Usage:" in err, f"{wrong}: status {status}, stderr {err!r}")
