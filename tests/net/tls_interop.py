#!/usr/bin/python3
"""TLS with other implementations at the other end: curl, openssl s_client and s_server, and Python's ssl, which is
OpenSSL in other hands.

usage: tls_interop.py TLS_PEER
Skips (77) where there is no program openssl or no curl.
"""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

peer = sys.argv[1]
if not shutil.which("openssl") or not shutil.which("curl"):
    print("no openssl or no curl")
    sys.exit(77)
environment = {**os.environ, "no_proxy": "*"}


def check(condition, what):
    if not condition:
        raise SystemExit(f"{sys.argv[0]}: {what}")


def run(*command, stdin="", **more):
    done = subprocess.run([str(each) for each in command], input=stdin, text=True, capture_output=True,
                          env=environment, **more)
    return done.returncode, done.stdout, done.stderr


def make(*command, cwd):
    status, _, err = run("openssl", *command, cwd=cwd)
    check(status == 0, f"openssl {command}: {err}")


def certificates(place):
    """root.pem, and of each name a NAME.pem and NAME.key that it has issued; and a stranger to all."""
    for root in "root", "stranger":
        make("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             f"/CN={root}", "-keyout", f"{root}.key", "-out", f"{root}.pem", cwd=place)
    for name, extension in ("server", "subjectAltName=DNS:localhost,IP:127.0.0.1"), ("client", "basicConstraints=CA:FALSE"):
        (place / "extensions").write_text(extension)
        make("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", "request",
             cwd=place)
        make("x509", "-req", "-in", "request", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "2",
             "-extfile", "extensions", "-out", f"{name}.pem", cwd=place)


@contextlib.contextmanager
def serving(*arguments):
    """Its port, and a function that waits until it says some words on stderr."""
    with subprocess.Popen([peer, "serve", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as it:
        try:
            line = it.stdout.readline()
            check(line.strip().isdigit(), f"{arguments}: said {line!r}")
            yield int(line), lambda words: check(any(words in said for said in it.stderr), f"the server does not say {words!r}")
            ended = it.poll()
        finally:
            it.terminate()
    check(ended is None, f"the server ended by itself: {ended}")


def new_keys(client):
    """s_client sends new keys of its own (k), and asks for the peer's, too (K); both go on with them."""
    with subprocess.Popen([*map(str, client), "-tls1_3"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as it:
        for said, answer in ("one", "one"), ("K", "KEYUPDATE"), ("two", "two"), ("k", "KEYUPDATE"), ("three", "three"):
            it.stdin.write(said + "\n")
            it.stdin.flush()
            check(any(line.strip() == answer for line in iter(it.stdout.readline, "")), f"new keys: no {answer!r}")
        it.stdin.write("Q\n")
        it.stdin.close()
        it.stdout.read()
    check(it.returncode == 0, f"new keys: {it.returncode}")


def clients_of_ours(place):
    with serving(place / "server.pem", place / "server.key") as (port, hears):
        url = f"https://localhost:{port}/"
        curl = ["curl", "-sS", "--cacert", place / "root.pem", "--resolve", f"localhost:{port}:127.0.0.1"]
        for version in "1.2", "1.3":
            status, out, err = run(*curl, f"--tlsv{version}", "--tls-max", version, url)
            check((status, err) == (0, "") and out == f"TLSv{version} http/1.1 localhost \n", f"curl, {version}: {status} {out!r} {err}")
        status, out, err = run(*curl, f"https://127.0.0.1:{port}/")
        check(status == 0 and out == "TLSv1.3 http/1.1  \n", f"curl, by IP: {status} {out!r} {err}")
        status, out, err = run("curl", "-sS", "--cacert", place / "stranger.pem", f"https://127.0.0.1:{port}/")
        check(status == 60 and not out, f"curl that trusts another: {status} {out!r} {err}")
        hears("the peer says: unknown CA")
        status, out, err = run("curl", "-sS", f"http://127.0.0.1:{port}/")
        check(status != 0, f"curl without TLS: {status} {err}")
        hears("http request")

        client = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", place / "root.pem",
                  "-verify_return_error", "-verify_hostname", "localhost", "-servername", "localhost"]
        much = "".join(f"line {i}\n" for i in range(20000))
        for version in "-tls1_2", "-tls1_3":
            get = "GET / HTTP/1.0\r\n\r\n"
            status, out, err = run(*client, "-quiet", version, stdin=much + get)
            check(status == 0 and out.startswith(much + "HTTP/1.1 200 OK\n"), f"s_client {version}: {status} {len(out)} {err}")
            ticket = place / f"ticket{version}"
            run(*client, version, "-ign_eof", "-sess_out", ticket, stdin=get)
            status, out, err = run(*client, version, "-ign_eof", "-sess_in", ticket, stdin=get)
            check("Reused, TLSv1" in out and "localhost  again" in out, f"s_client {version}, resumed: {out} {err}")
        new_keys(client)

    with serving(place / "server.pem", place / "server.key", place / "root.pem") as (port, hears):
        curl = ["curl", "-sS", "--cacert", place / "root.pem", f"https://127.0.0.1:{port}/"]
        status, out, err = run(*curl, "--cert", place / "client.pem", "--key", place / "client.key")
        check(status == 0 and out == "TLSv1.3 http/1.1  CN=client\n", f"curl with a certificate: {status} {out!r} {err}")
        status, out, err = run(*curl)
        check(status != 0, f"curl without: {status} {err}")
        hears("peer did not return a certificate")
        status, out, err = run(*curl, "--cert", place / "stranger.pem", "--key", place / "stranger.key")
        check(status != 0, f"curl with a stranger's: {status} {err}")
        hears("certificate verify failed: self-signed certificate")


@contextlib.contextmanager
def s_server(place, *arguments):
    with subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", place / "server.pem", "-key",
                           place / "server.key", "-naccept", "1", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as it:
        try:
            for line in it.stdout:
                found = re.match(r"ACCEPT .*:(\d+)$", line)
                if found:
                    break
            check(found, "s_server does not say where it listens")
            yield found[1]
        finally:
            it.terminate()


def servers_for_ours(place):
    root = place / "root.pem"
    for version in "-tls1_2", "-tls1_3":
        with s_server(place, version, "-rev") as port:
            status, out, err = run(peer, "ask", port, "localhost", root, "stressed\ndesserts\n")
            check((status, out, err) == (0, "desserts\nstressed\n", ""), f"s_server {version}: {status} {out!r} {err}")
        with s_server(place, version, "-www", "-Verify", "1", "-CAfile", root, "-verify_return_error") as port:
            request = "GET / HTTP/1.0\r\n\r\n"
            status, out, err = run(peer, "ask", port, "localhost", root, request, place / "client.pem", place / "client.key")
            check(status == 0 and "Subject: CN=client" in out, f"s_server {version}, certificates of both: {status} {err}")
        with s_server(place, version, "-Verify", "1", "-CAfile", root, "-verify_return_error", "-rev") as port:
            status, out, err = run(peer, "ask", port, "localhost", root, "x")
            check(status == 1 and not out and "the peer says: " in err, f"s_server {version}, no certificate: {status} {err}")
    for host, authority, why in (("example.org", root, "hostname mismatch"),
                                 ("localhost", place / "stranger.pem", "unable to get local issuer certificate")):
        with s_server(place, "-rev") as port:
            status, out, err = run(peer, "ask", port, host, authority, "x")
            expected = f"tls_peer: TLS with {host}:{port} (127.0.0.1:{port}): certificate verify failed: {why}\n"
            check((status, out, err) == (1, "", expected), f"s_server, {why}: {status} {out!r} {err}")


def cut_off(place):
    """Python's server ends a session with a close_notify, and without one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "server.pem", place / "server.key")
    for properly in True, False:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def serve():
                plain, _ = listener.accept()
                session = context.wrap_socket(plain, server_side=True)
                while session.recv(100):
                    pass
                session.sendall(b"all that there is")
                if properly:
                    session.unwrap().close()
                else:
                    session.close()
            thread = threading.Thread(target=serve)
            thread.start()
            status, out, err = run(peer, "ask", listener.getsockname()[1], "localhost", place / "root.pem", "x")
            thread.join()
        check(out == "all that there is" or not properly, f"properly: {properly}: {out!r}")
        check((status, err) == (0, "") if properly else status == 1 and "without the peer's close_notify" in err,
              f"properly: {properly}: {status} {err}")


with tempfile.TemporaryDirectory(prefix="coir-tls-") as name:
    place = pathlib.Path(name)
    certificates(place)
    clients_of_ours(place)
    servers_for_ours(place)
    cut_off(place)
