#!/usr/bin/python3
"""http_server gives away files, and nothing else; broken peers get an answer, and are nobody else's trouble."""
import base64
import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess

from harness import check, directory, environment, run, samples


@contextlib.contextmanager
def serving(root, *options, stop=signal.SIGTERM):
    """A server of the files below `root`: its port. It must end by itself when it is told to, and have said nothing."""
    process = subprocess.Popen([samples / "http_server", "--address", "127.0.0.1:0", "--root", root, *options], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(False))
    line = process.stdout.readline()
    found = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)
    check(found, f"{line!r} instead of where it listens: {process.stderr.read() if not line else ''}")
    try:
        yield int(found[1])
    finally:
        process.send_signal(stop)
        out, err = process.communicate(timeout=60)
    check((process.returncode, out, err) == (0, "", ""), f"it ended with {process.returncode}, {out!r}, {err!r}")


def ask(connection, path, method="GET", **headers):
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def raw(port, text, shut=False):
    """All that comes back on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            peer.sendall(text)
            if shut:
                peer.shutdown(socket.SHUT_WR)
        back = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := peer.recv(65536):
                back += piece
        return back


def files_and_headers(port, root):
    one = http.client.HTTPConnection("127.0.0.1", port)
    for name in "small.txt", "large.bin", "empty.css", "a b/index.html":
        content = (root / name).read_bytes()
        path = "/" + name.replace(" ", "%20")
        status, headers, body = ask(one, path)  # all on one connection
        check((status, body) == (200, content), f"{path}: {status}, {len(body)} bytes")
        check(int(headers["Content-Length"]) == len(content), f"{path}: {headers}")
        again, headers, nothing = ask(one, path, "HEAD")
        check((again, nothing) == (200, b"") and int(headers["Content-Length"]) == len(content), f"HEAD {path}: {headers}")
        unchanged, _, nothing = ask(one, path, **{"If-Modified-Since": headers["Last-Modified"]})
        check((unchanged, nothing) == (304, b""), f"{path}, not modified: {unchanged}")
    check(ask(one, "/a%20b/")[2] == (root / "a b/index.html").read_bytes(), "a directory's index")
    check(ask(one, "/empty.css?x=1#y")[1]["Content-Type"] == "text/css", "type")
    check(ask(one, "/")[2].startswith(b"<!doctype html>"), "the page where there is none")
    for path in "/none", "/a%20b", "/fifo", "/../secret", "/%2e%2e/secret", "/link", "/unreadable/x":
        check(ask(one, path)[0] == 404, f"{path}: {ask(one, path)[0]}")
    for path in "/%", "/%zz", "/%00", "none":
        check(raw(port, f"GET {path} HTTP/1.0\r\n\r\n".encode()).startswith(b"HTTP/1.0 400 "), path)
    check(ask(one, "/small.txt", "DELETE")[0] == 405, "DELETE")


def broken_peers(port):
    limit = b"HTTP/1.1 431 "
    check(raw(port, b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000).startswith(limit), "a header too large")
    check(raw(port, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 "), "nonsense")
    check(raw(port, b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n").startswith(b"HTTP/1.1 413 "), "a body too large")
    chunks = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    check(raw(port, chunks).startswith(b"HTTP/1.1 411 "), "a body in chunks")
    check(raw(port, b"GET / HT", shut=True).startswith(b"HTTP/1.1 400 "), "half a request")
    check(raw(port, b"", shut=True) == b"", "no request")
    half_upgraded = raw(port, b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    check(half_upgraded.startswith(b"HTTP/1.1 400 "), f"a WebSocket without a key: {half_upgraded!r}")
    two = raw(port, b"GET /small.txt HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    check(two.count(b"HTTP/1.1 200 ") == 1 and two.count(b"HTTP/1.1 404 ") == 1, f"two at once: {two!r}")
    reset = socket.create_connection(("127.0.0.1", port))
    reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    reset.sendall(b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    reset.recv(1)
    reset.close()


def talk_over_web_socket(port):
    """By hand: another implementation than the tested one (RFC 6455)."""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        key = base64.b64encode(os.urandom(16)).decode()
        peer.sendall(f"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        stream = peer.makefile("rb")
        check(stream.readline().startswith(b"HTTP/1.1 101 "), "no WebSocket")
        while stream.readline() != b"\r\n":
            pass
        mask, said = os.urandom(4), b"hello"
        peer.sendall(bytes([0x81, 0x80 | len(said)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(said)))
        check(stream.read(2 + len(said)) == bytes([0x81, len(said)]) + said, "the message came back changed")
        peer.sendall(bytes([0x88, 0x80]) + mask)
        check(stream.read(2)[0] == 0x88, "it does not close")


def impatient(root):
    with serving(root, "--patience", "0.2") as port:
        check(raw(port, b"GET / HTTP/1.1\r\nX: ") == b"", "one that sends too slowly is not answered")
        check(raw(port, b"") == b"", "one that says nothing")


def over_tls(root):
    certificate, key = root / "certificate.pem", root / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
                   check=True, stderr=subprocess.DEVNULL)
    with serving(root, "--certificate", certificate, "--key", key) as port:
        one = http.client.HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=certificate))
        for name in "small.txt", "large.bin":
            check(ask(one, "/" + name)[2] == (root / name).read_bytes(), f"{name} by TLS")
        raw(port, b"GET / HTTP/1.1\r\n\r\n")  # of a peer that speaks no TLS: nobody's trouble
        check(ask(one, "/small.txt")[0] == 200, "after a peer without TLS")
    status, _, err = run("http_server", "--certificate", root / "none.pem", "--key", key, preload=False)
    check(status == 1 and "none.pem" in err, f"no certificate: {status}, {err!r}")


def main():
    with directory() as here:
        root = here / "root"
        (root / "a b").mkdir(parents=True)
        (here / "secret").write_text("not to be seen")
        (root / "small.txt").write_text("small\n")
        (root / "large.bin").write_bytes(os.urandom(3_000_000))
        (root / "empty.css").touch()
        (root / "a b/index.html").write_text("<p>a b")
        (root / "link").symlink_to(here / "secret")
        os.mkfifo(root / "fifo")
        with serving(root) as port:
            files_and_headers(port, root)
            broken_peers(port)
            talk_over_web_socket(port)
            taken = run("http_server", "--address", f"127.0.0.1:{port}", preload=False)
            check(taken[0] == 1 and f"127.0.0.1:{port}" in taken[2], f"a port in use: {taken}")
            check(ask(http.client.HTTPConnection("127.0.0.1", port), "/small.txt")[0] == 200, "after all that")
        with serving(root, stop=signal.SIGINT) as port:
            connections = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(200)]
            for each in connections:
                each.request("GET", "/small.txt")
            for each in connections:
                check(each.getresponse().read() == b"small\n", "one of two hundred")
        # they are still open: a server that stops does not wait for connections on which nothing happens
        impatient(root)
        over_tls(root)

    for options, word in (["--root", "/none"], "/none"), (["--address", "nonsense"], "nonsense"):
        status, _, err = run("http_server", *options, preload=False)
        check(status == 1 and word in err and err.startswith("http_server: "), f"{options}: {status}, {err!r}")
    for options in ["--patience", "0"], ["--certificate", "x"], ["--nonsense"]:
        status, _, err = run("http_server", *options, preload=False)
        check(status == 2 and "--help" in err, f"{options}: {status}, {err!r}")


if __name__ == "__main__":
    main()
